//! Planar sets with a formula. The shapes are those familiar from the papers on continuous normalising flows
//! (Grathwohl et al., FFJORD, 2019); the default sizes fill about [-4, 4]².

use std::f64::consts::{PI, TAU};

use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;

use super::{Sampler, at_least, finite, not_negative, positive};
use crate::error::DataError;

/// Uniform on every other square of a board centred on the origin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Checkerboard {
    /// Half the side of the board.
    pub half_width: f64,
    /// Squares along a side; an even number.
    pub squares: usize,
}

impl Default for Checkerboard {
    fn default() -> Self {
        Self { half_width: 4.0, squares: 4 }
    }
}

impl Checkerboard {
    pub(super) fn validate(&self, field: &str) -> Result<(), DataError> {
        positive(field, "half_width", self.half_width)?;
        if self.squares >= 2 && self.squares.is_multiple_of(2) {
            return Ok(());
        }
        let reason = format!("must be an even number of squares along a side, not {}", self.squares);
        Err(DataError::config(format!("{field}.squares"), reason))
    }

    fn side(&self) -> f64 {
        2.0 * self.half_width / self.squares as f64
    }
}

impl Sampler for Checkerboard {
    fn draw(&self, noise: &mut Noise, point: &mut [f64]) -> usize {
        let column = noise.below(self.squares);
        let row = 2 * noise.below(self.squares / 2) + column % 2;
        point[0] = self.side() * (column as f64 + noise.uniform()) - self.half_width;
        point[1] = self.side() * (row as f64 + noise.uniform()) - self.half_width;
        0
    }

    fn log_density(&self, point: &[f64]) -> Option<f64> {
        let square = |x: f64| ((x + self.half_width) / self.side()).floor();
        let on_board = point.iter().all(|&x| (0.0..self.squares as f64).contains(&square(x)));
        let filled = (square(point[0]) + square(point[1])) % 2.0 == 0.0;
        // Half the board is filled.
        let inside = -(2.0 * self.half_width * self.half_width).ln();
        Some(if on_board && filled { inside } else { f64::NEG_INFINITY })
    }
}

/// Elongated Gaussians along the rays of a star, each turned further the farther out it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pinwheel {
    /// Number of arms.
    pub arms: usize,
    /// Deviation along an arm, before scaling; an arm's middle is at radius 1.
    pub radial_deviation: f64,
    /// Deviation across an arm, before scaling.
    pub tangential_deviation: f64,
    /// The turn at radius r before scaling is `rate · exp(r)`.
    pub rate: f64,
    /// Factor at the end.
    pub scale: f64,
}

impl Default for Pinwheel {
    fn default() -> Self {
        Self { arms: 5, radial_deviation: 0.3, tangential_deviation: 0.1, rate: 0.25, scale: 2.0 }
    }
}

impl Pinwheel {
    pub(super) fn validate(&self, field: &str) -> Result<(), DataError> {
        at_least(field, "arms", self.arms, 1)?;
        positive(field, "radial_deviation", self.radial_deviation)?;
        positive(field, "tangential_deviation", self.tangential_deviation)?;
        finite(field, "rate", self.rate)?;
        positive(field, "scale", self.scale)
    }
}

impl Sampler for Pinwheel {
    fn classes(&self) -> usize {
        self.arms
    }

    fn draw(&self, noise: &mut Noise, point: &mut [f64]) -> usize {
        let arm = noise.below(self.arms);
        let along = 1.0 + self.radial_deviation * noise.normal();
        let across = self.tangential_deviation * noise.normal();
        let turn = TAU * arm as f64 / self.arms as f64 + self.rate * along.exp();
        let (sin, cos) = turn.sin_cos();
        point[0] = self.scale * (along * cos + across * sin);
        point[1] = self.scale * (across * cos - along * sin);
        arm
    }
}

/// Concentric circles of equal weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rings {
    /// Radii of the circles.
    pub radii: Vec<f64>,
    /// Deviation of the Gaussian noise in each coordinate.
    pub noise: f64,
}

impl Default for Rings {
    fn default() -> Self {
        Self { radii: vec![0.75, 1.5, 2.25, 3.0], noise: 0.08 }
    }
}

impl Rings {
    pub(super) fn validate(&self, field: &str) -> Result<(), DataError> {
        at_least(field, "radii (their number)", self.radii.len(), 1)?;
        self.radii.iter().try_for_each(|&radius| positive(field, "radii", radius))?;
        not_negative(field, "noise", self.noise)
    }
}

impl Sampler for Rings {
    fn classes(&self) -> usize {
        self.radii.len()
    }

    fn draw(&self, noise: &mut Noise, point: &mut [f64]) -> usize {
        let ring = noise.below(self.radii.len());
        let (sin, cos) = (TAU * noise.uniform()).sin_cos();
        point[0] = self.radii[ring] * cos + self.noise * noise.normal();
        point[1] = self.radii[ring] * sin + self.noise * noise.normal();
        ring
    }
}

/// Spirals of Archimedes from the origin, each turned against the last, with equal mass on equal areas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spirals {
    /// Number of spirals.
    pub arms: usize,
    /// Turns from the origin to the outer end.
    pub turns: f64,
    /// Radius of the outer end.
    pub radius: f64,
    /// Deviation of the Gaussian noise in each coordinate.
    pub noise: f64,
}

impl Default for Spirals {
    fn default() -> Self {
        Self { arms: 2, turns: 1.5, radius: 3.5, noise: 0.1 }
    }
}

impl Spirals {
    pub(super) fn validate(&self, field: &str) -> Result<(), DataError> {
        at_least(field, "arms", self.arms, 1)?;
        positive(field, "turns", self.turns)?;
        positive(field, "radius", self.radius)?;
        not_negative(field, "noise", self.noise)
    }
}

impl Sampler for Spirals {
    fn classes(&self) -> usize {
        self.arms
    }

    fn draw(&self, noise: &mut Noise, point: &mut [f64]) -> usize {
        let arm = noise.below(self.arms);
        let way = noise.uniform().sqrt();
        let (sin, cos) = (TAU * (self.turns * way + arm as f64 / self.arms as f64)).sin_cos();
        point[0] = self.radius * way * cos + self.noise * noise.normal();
        point[1] = self.radius * way * sin + self.noise * noise.normal();
        arm
    }
}

/// `scale · angle · (cos angle, sin angle)` with the angle uniform on [3π/2, 9π/2], plus Gaussian noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SwissRoll {
    /// Radius per radian.
    pub scale: f64,
    /// Deviation of the Gaussian noise in each coordinate.
    pub noise: f64,
}

impl Default for SwissRoll {
    fn default() -> Self {
        Self { scale: 0.2, noise: 0.2 }
    }
}

impl SwissRoll {
    pub(super) fn validate(&self, field: &str) -> Result<(), DataError> {
        positive(field, "scale", self.scale)?;
        not_negative(field, "noise", self.noise)
    }
}

impl Sampler for SwissRoll {
    fn draw(&self, noise: &mut Noise, point: &mut [f64]) -> usize {
        let angle = 1.5 * PI * (1.0 + 2.0 * noise.uniform());
        point[0] = self.scale * angle * angle.cos() + self.noise * noise.normal();
        point[1] = self.scale * angle * angle.sin() + self.noise * noise.normal();
        0
    }
}
