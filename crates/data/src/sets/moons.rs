//! Two moons exactly as torchcfm draws them: half circles whose points are all pushed along the *diagonal*.
//!
//! The generator adds one uniform number, not two normal ones, to both coordinates of a point. So the density has a
//! closed form, and it is not that of the moons with Gaussian noise known from elsewhere. And it spreads the points of
//! a batch evenly: half of them on each moon, at equally spaced angles, so that a batch says more about the moons than
//! as many independent points.

use std::f64::consts::{FRAC_PI_4, PI, SQRT_2};

use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;

use super::{Sampler, draw_each, finite, not_negative, positive};
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
    /// How the points of a training batch are spread. Points to evaluate with are always independent.
    pub angles: Angles,
}

/// How the points of a batch are spread over the moons. Each single point has the same law either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Angles {
    /// Half of the points on each moon, one in each of as many equal parts of the half circle. torchcfm takes the same
    /// angles in every batch; a uniform place within each part keeps the law of a point exact for every batch size.
    #[default]
    Stratified,
    /// Each point for itself.
    Independent,
}

impl Default for TwoMoons {
    fn default() -> Self {
        Self { noise: 0.2, scale: 3.0, shift: -1.0, angles: Angles::default() }
    }
}

impl TwoMoons {
    pub(super) fn validate(&self, field: &str) -> Result<(), DataError> {
        not_negative(field, "noise", self.noise)?;
        positive(field, "scale", self.scale)?;
        finite(field, "shift", self.shift)
    }

    /// Writes the point at `angle` of a moon, pushed by a draw.
    fn place(&self, moon: usize, angle: f64, noise: &mut Noise, point: &mut [f64]) {
        let on_circle = circle(moon, angle);
        let push = self.noise * noise.uniform();
        for axis in 0..2 {
            point[axis] = self.scale * (on_circle[axis] + push) + self.shift;
        }
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
        let angle = PI * noise.uniform();
        self.place(moon, angle, noise, point);
        moon
    }

    fn draw_batch(&self, noise: &mut Noise, points: &mut [f64]) -> Vec<usize> {
        if self.angles == Angles::Independent {
            return draw_each(self, noise, points);
        }
        let rows = points.len() / 2;
        // An odd point out goes to either moon, and no row is special: the order is shuffled.
        let odd_moon = noise.below(2);
        let mut classes = vec![0; rows];
        for (place, row) in noise.permutation(rows).into_iter().enumerate() {
            let moon = (place + odd_moon) % 2;
            let part = place / 2;
            let parts = (rows - (moon ^ odd_moon)).div_ceil(2);
            let angle = PI * (part as f64 + noise.uniform()) / parts as f64;
            self.place(moon, angle, noise, &mut points[2 * row..2 * row + 2]);
            classes[row] = moon;
        }
        classes
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

    fn batch(moons: &TwoMoons, rows: usize, seed: u64) -> (Vec<f64>, Vec<usize>) {
        let mut points = vec![f64::NAN; 2 * rows];
        let classes = moons.draw_batch(&mut Noise::new(seed), &mut points);
        (points, classes)
    }

    /// Without the push the angle of a point can be read off.
    fn part_of(point: &[f64], class: usize, parts: usize) -> usize {
        let (x, y) = if class == 0 { (point[0], point[1]) } else { (1.0 - point[0], 0.5 - point[1]) };
        (y.atan2(x) / PI * parts as f64) as usize
    }

    #[test]
    fn a_stratified_batch_has_one_point_in_each_part() {
        let moons = TwoMoons { noise: 0.0, scale: 1.0, shift: 0.0, angles: Angles::Stratified };
        for rows in [1, 2, 7, 64] {
            let (points, classes) = batch(&moons, rows, rows as u64);
            for moon in 0..2 {
                let parts = classes.iter().filter(|&&class| class == moon).count();
                assert!(parts.abs_diff(rows - parts) <= 1, "{parts} of {rows}");
                let mut hit = vec![0; parts];
                for (point, &class) in points.chunks_exact(2).zip(&classes) {
                    if class == moon {
                        hit[part_of(point, class, parts)] += 1;
                    }
                }
                assert_eq!(hit, vec![1; parts], "{rows} rows");
            }
        }
    }

    /// The first row of many small batches is a draw from the law of a single point, moons included.
    #[test]
    fn spreading_a_batch_leaves_the_law_of_a_point_alone() {
        let count = 40_000;
        let moments = |angles| {
            let moons = TwoMoons { angles, ..TwoMoons::default() };
            let mut sums = [0.0; 5];
            for seed in 0..count {
                let (points, classes) = batch(&moons, 3, seed);
                let (x, y) = (points[0], points[1]);
                for (sum, value) in sums.iter_mut().zip([x, y, x * x, x * y, classes[0] as f64]) {
                    *sum += value / count as f64;
                }
            }
            sums
        };
        let (spread, single) = (moments(Angles::Stratified), moments(Angles::Independent));
        for (a, b) in spread.iter().zip(single) {
            // Five deviations of a difference of means; x² has the largest deviation, about 8.
            assert!((a - b).abs() < 5.0 * 8.0 * (2.0 / count as f64).sqrt(), "{spread:?} against {single:?}");
        }
    }

    #[test]
    fn the_mean_of_a_stratified_batch_varies_little() {
        let deviation = |angles| {
            let moons = TwoMoons { angles, ..TwoMoons::default() };
            let means: Vec<f64> = (0..200)
                .map(|seed| batch(&moons, 256, seed).0.iter().step_by(2).sum::<f64>() / 256.0)
                .collect();
            let mean = means.iter().sum::<f64>() / 200.0;
            (means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / 200.0).sqrt()
        };
        let (spread, single) = (deviation(Angles::Stratified), deviation(Angles::Independent));
        // What is left is the push: 3 · 0.2 / √12 / √256 = 0.011.
        assert!((0.009..0.013).contains(&spread), "{spread}");
        assert!(single > 10.0 * spread, "{single} against {spread}");
    }

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
