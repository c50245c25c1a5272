//! Two moons exactly as torchcfm draws them: half circles whose points are all pushed along the *diagonal*.
//!
//! The generator adds one uniform number, not two normal ones, to both coordinates of a point. So the density has a
//! closed form, and it is not that of the moons with Gaussian noise known from elsewhere.

use std::f64::consts::{FRAC_PI_4, PI, SQRT_2};

use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;

use super::{Sampler, finite, not_negative, positive};
use crate::error::DataError;

/// `scale · (c(θ) + s·(1, 1)) + shift` with θ uniform on a half circle `c` and s uniform on `[0, noise)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TwoMoons {
    /// Length of the diagonal push, before scaling.
    pub noise: f64,
    /// Factor after the noise.
    pub scale: f64,
    /// Added to both coordinates at the end.
    pub shift: f64,
}

impl Default for TwoMoons {
    fn default() -> Self {
        Self { noise: 0.2, scale: 3.0, shift: -1.0 }
    }
}

impl TwoMoons {
    pub(super) fn validate(&self, field: &str) -> Result<(), DataError> {
        not_negative(field, "noise", self.noise)?;
        positive(field, "scale", self.scale)?;
        finite(field, "shift", self.shift)
    }
}

/// The upper half circle around the origin, or the lower one around (1, ½).
fn circle(moon: usize, angle: f64) -> [f64; 2] {
    let (sin, cos) = angle.sin_cos();
    if moon == 0 { [cos, sin] } else { [1.0 - cos, 0.5 - sin] }
}

impl Sampler for TwoMoons {
    fn classes(&self) -> usize {
        2
    }

    fn draw(&self, noise: &mut Noise, point: &mut [f64]) -> usize {
        let moon = noise.below(2);
        let on_circle = circle(moon, PI * noise.uniform());
        let push = self.noise * noise.uniform();
        for axis in 0..2 {
            point[axis] = self.scale * (on_circle[axis] + push) + self.shift;
        }
        moon
    }

    /// The push leaves x − y alone, so x − y gives the angle (at most two of them) and x then gives the push. The
    /// map from (θ, s) has the determinant ±(sin θ + cos θ); where it vanishes the density is infinite.
    fn log_density(&self, point: &[f64]) -> Option<f64> {
        if self.noise == 0.0 {
            return None;
        }
        let x = (point[0] - self.shift) / self.scale;
        let y = (point[1] - self.shift) / self.scale;
        let mut density = 0.0;
        for moon in 0..2 {
            // cos θ − sin θ = √2 cos(θ + π/4).
            let difference = if moon == 0 { x - y } else { 0.5 - (x - y) };
            let root = (difference / SQRT_2).acos();
            for angle in [root - FRAC_PI_4, 2.0 * PI - root - FRAC_PI_4] {
                let push = x - circle(moon, angle)[0];
                if (0.0..=PI).contains(&angle) && (0.0..self.noise).contains(&push) {
                    density += 1.0 / (2.0 * PI * self.noise * (angle.sin() + angle.cos()).abs());
                }
            }
        }
        Some(density.ln() - 2.0 * self.scale.ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shares of samples in boxes against the integral of the density over them. The boxes keep clear of the two
    /// diagonals on which the density is infinite, where a sum over a grid converges too slowly.
    #[test]
    fn the_density_is_that_of_the_samples() {
        let moons = TwoMoons::default();
        let mut noise = Noise::new(1);
        let mut point = [0.0; 2];
        let points: Vec<[f64; 2]> = (0..100_000)
            .map(|_| {
                moons.draw(&mut noise, &mut point);
                point
            })
            .collect();
        for [left, bottom] in [[-4.0, -1.0], [1.2, 0.5], [2.0, -2.6], [4.0, -0.6]] {
            let inside =
                |p: &&[f64; 2]| (left..left + 1.0).contains(&p[0]) && (bottom..bottom + 1.0).contains(&p[1]);
            let share = points.iter().filter(inside).count() as f64 / points.len() as f64;
            let cells = 400;
            let at = |k: usize| (k as f64 + 0.5) / f64::from(cells);
            let mut integral = 0.0;
            for i in 0..cells as usize {
                for j in 0..cells as usize {
                    integral += moons.log_density(&[left + at(i), bottom + at(j)]).unwrap().exp();
                }
            }
            integral /= f64::from(cells).powi(2);
            assert!(share > 0.01, "the box at {left}, {bottom} is empty");
            // Four standard errors of the share, and a percent for the jumps at the edge of the support.
            let tolerance = 4.0 * (share / 100_000.0).sqrt() + 0.01 * share;
            assert!(
                (share - integral).abs() < tolerance,
                "box at {left}, {bottom}: {share} against {integral}"
            );
        }
        assert_eq!(moons.log_density(&[0.0, 9.0]), Some(f64::NEG_INFINITY));
    }
}
