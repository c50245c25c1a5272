//! The distributions a recipe can name, and what each can tell of itself.
//!
//! Sets with a formula draw fresh points for ever; a file is a table with a fixed number of rows.

pub(crate) mod gaussian;
pub(crate) mod image;
pub(crate) mod mixture;
pub(crate) mod moons;
pub(crate) mod planar;

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;

use crate::error::DataError;
use gaussian::{Gaussian, GaussianConfig, RandomGaussianConfig};
use image::{ImageConfig, ImageDensity};
use mixture::{EightGaussians, GaussianMixture, Mixture, Modes};
use moons::TwoMoons;
use planar::{Checkerboard, Pinwheel, Rings, Spirals, SwissRoll};

/// A distribution, as `kind = "…"` in a recipe. Everything but the means of mixtures and the paths has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SetConfig {
    /// Two interleaved half circles, as torchcfm draws them.
    TwoMoons(TwoMoons),
    /// Eight Gaussians on a circle, as torchcfm draws them.
    EightGaussians(EightGaussians),
    /// Every other square of a board.
    Checkerboard(Checkerboard),
    /// Bent arms around the origin.
    Pinwheel(Pinwheel),
    /// Concentric circles.
    Rings(Rings),
    /// Interleaved spirals.
    Spirals(Spirals),
    /// One spiral, the cross-section of a rolled sheet.
    SwissRoll(SwissRoll),
    /// A Gaussian with the mean and covariance given.
    Gaussian(GaussianConfig),
    /// A Gaussian with mean and covariance drawn from a seed: a known answer in any dimension.
    RandomGaussian(RandomGaussianConfig),
    /// A mixture of round Gaussians.
    GaussianMixture(GaussianMixture),
    /// The ink of a PNG image as a density.
    Image(ImageConfig),
    /// Rows of a `.npy`, `.npz` or `.csv` file.
    File(FileConfig),
}

/// A table in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// The file, relative to the recipe's folder.
    pub path: PathBuf,
    /// The member of an `.npz` archive; not needed when it has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The columns to model; empty for all that are not conditions or labels.
    #[serde(default)]
    pub columns: Vec<Column>,
}

/// A column of a table: its number from 0, or its name in a CSV header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Column {
    /// Number from 0.
    Index(usize),
    /// Name in the header.
    Name(String),
}

/// A distribution to draw points from.
pub(crate) trait Sampler: Debug + Send + Sync {
    /// Length of a point.
    fn dim(&self) -> usize {
        2
    }

    /// How many classes [`Sampler::draw`] tells apart; 1 when the set has no natural classes.
    fn classes(&self) -> usize {
        1
    }

    /// Writes one point of length [`Sampler::dim`] and returns its class.
    fn draw(&self, noise: &mut Noise, point: &mut [f64]) -> usize;

    /// Fills a training batch and returns the classes of its points. They may depend on one another, as long as each
    /// has the law of [`Sampler::draw`].
    fn draw_batch(&self, noise: &mut Noise, points: &mut [f64]) -> Vec<usize> {
        draw_each(self, noise, points)
    }

    /// Log-density at a point, where a formula is known; negative infinity outside the support.
    fn log_density(&self, _point: &[f64]) -> Option<f64> {
        None
    }

    /// The modes to look for in samples.
    fn modes(&self) -> Option<Modes> {
        None
    }

    /// Mean and covariance, when the set is a Gaussian.
    fn gaussian(&self) -> Option<&Gaussian> {
        None
    }

    /// Numbers read from a file that determine the distribution beside its configuration.
    fn file_values(&self) -> &[f64] {
        &[]
    }
}

/// Independent points, and their classes.
pub(crate) fn draw_each<S: Sampler + ?Sized>(
    sampler: &S,
    noise: &mut Noise,
    points: &mut [f64],
) -> Vec<usize> {
    points.chunks_exact_mut(sampler.dim()).map(|point| sampler.draw(noise, point)).collect()
}

/// A set ready to be used.
pub(crate) enum Opened<'a> {
    /// A distribution to draw from.
    Sampler(Box<dyn Sampler>),
    /// A table still to be read, together with its conditions and splits.
    Table(&'a FileConfig),
}

impl SetConfig {
    /// Makes the set ready to be drawn from. `field` is the name of the set in messages.
    pub(crate) fn open(&self, field: &str, base: &Path) -> Result<Opened<'_>, DataError> {
        self.validate(field)?;
        Ok(Opened::Sampler(match self {
            Self::TwoMoons(set) => Box::new(set.clone()),
            Self::EightGaussians(set) => Box::new(Mixture::from(set)),
            Self::Checkerboard(set) => Box::new(set.clone()),
            Self::Pinwheel(set) => Box::new(set.clone()),
            Self::Rings(set) => Box::new(set.clone()),
            Self::Spirals(set) => Box::new(set.clone()),
            Self::SwissRoll(set) => Box::new(set.clone()),
            Self::Gaussian(set) => Box::new(set.build(field)?),
            Self::RandomGaussian(set) => Box::new(set.build(field)?),
            Self::GaussianMixture(set) => Box::new(Mixture::from(set)),
            Self::Image(set) => Box::new(ImageDensity::load(set, base)?),
            Self::File(file) => return Ok(Opened::Table(file)),
        }))
    }

    /// Checks the values, without looking at any file.
    pub(crate) fn validate(&self, field: &str) -> Result<(), DataError> {
        match self {
            Self::TwoMoons(set) => set.validate(field),
            Self::EightGaussians(set) => set.validate(field),
            Self::Checkerboard(set) => set.validate(field),
            Self::Pinwheel(set) => set.validate(field),
            Self::Rings(set) => set.validate(field),
            Self::Spirals(set) => set.validate(field),
            Self::SwissRoll(set) => set.validate(field),
            Self::Gaussian(set) => set.build(field).map(drop),
            Self::RandomGaussian(set) => set.validate(field),
            Self::GaussianMixture(set) => set.validate(field),
            Self::Image(set) => set.validate(field),
            Self::File(_) => Ok(()),
        }
    }

    /// The file the set is read from, if it is.
    pub(crate) fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Image(set) => Some(&mut set.path),
            Self::File(set) => Some(&mut set.path),
            _ => None,
        }
    }
}

/// Fails unless `value` is positive and finite.
pub(crate) fn positive(field: &str, name: &str, value: f64) -> Result<(), DataError> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(DataError::config(format!("{field}.{name}"), format!("must be positive and finite, not {value}")))
}

/// Fails unless `value` is zero or positive, and finite.
pub(crate) fn not_negative(field: &str, name: &str, value: f64) -> Result<(), DataError> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(DataError::config(
        format!("{field}.{name}"),
        format!("must be at least zero and finite, not {value}"),
    ))
}

/// Fails unless `value` is finite.
pub(crate) fn finite(field: &str, name: &str, value: f64) -> Result<(), DataError> {
    if value.is_finite() {
        return Ok(());
    }
    Err(DataError::config(format!("{field}.{name}"), format!("must be finite, not {value}")))
}

/// Fails unless `value` is at least `least`.
pub(crate) fn at_least(field: &str, name: &str, value: usize, least: usize) -> Result<(), DataError> {
    if value >= least {
        return Ok(());
    }
    Err(DataError::config(format!("{field}.{name}"), format!("must be at least {least}, not {value}")))
}
