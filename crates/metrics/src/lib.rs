//! Distances and scores between point clouds, with floors and intervals.
//!
//! A number without its context misleads: exact Wasserstein distances between two samples of one and the same
//! distribution are far from zero. So [`score_with_floors`] reports beside each two-sample metric what two *true*
//! samples reach, how much the value would vary, and in words how both were found.
//!
//! Every function refuses what would make it meaningless (NaN, infinity, too few points, differing dimensions) with an
//! error that names the place; no score is ever NaN. Clouds are [`thalweg_ot::Points`].
//!
//! ```
//! use thalweg_metrics::wasserstein2;
//! use thalweg_ot::Points;
//! let x = [0.0, 0.0, 1.0, 0.0, 0.0, 2.0];
//! let shifted: Vec<f64> = x.iter().map(|v| v + 3.0).collect();
//! let distance = wasserstein2(Points::new(&x, 2), Points::new(&shifted, 2))?;
//! assert!((distance - 18_f64.sqrt()).abs() < 1e-12);
//! # Ok::<(), thalweg_metrics::MetricsError>(())
//! ```

mod checks;
mod chi_squared;
mod energy;
mod error;
mod gaussian;
mod kernel;
mod modes;
mod pairwise;
mod path;
mod resampling;
mod score;
mod sliced;
mod statistics;
mod two_sample;
mod wasserstein;

pub use chi_squared::chi_squared_to_standard_normal;
pub use energy::energy_distance;
pub use error::MetricsError;
pub use gaussian::{Moments, frechet_gaussian, frechet_of_moments, mean_and_covariance};
pub use kernel::{Kernel, mmd2_unbiased};
pub use modes::{mode_recall, precision, variance_ratio};
pub use path::{normalised_path_energy, path_energy, straightness};
pub use resampling::{Resampling, Spread, block_standard_error, bootstrap};
pub use score::Score;
pub use sliced::sliced_wasserstein2;
pub use statistics::{Interval, mean_and_standard_error, normal_width, wilson};
pub use two_sample::{ScoreOptions, TwoSample, distance_on_scale, score_with_floor, score_with_floors};
pub use wasserstein::{wasserstein1, wasserstein2};
