//! Why a score cannot be given.

use thalweg_ot::OtError;

/// What is wrong with the input of a metric.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricsError {
    /// Too few points for the metric to be defined.
    #[error("{what} has {points} points; at least {needed} are needed")]
    TooFewPoints {
        /// Which cloud or list.
        what: &'static str,
        /// How many points it has.
        points: usize,
        /// How many the metric needs.
        needed: usize,
    },
    /// A coordinate that is NaN or infinite.
    #[error("{what} has the value {value} in row {row}, column {col}; did training or sampling diverge?")]
    NotFinite {
        /// Which cloud or list.
        what: &'static str,
        /// Point, from zero.
        row: usize,
        /// Coordinate, from zero.
        col: usize,
        /// The offending value.
        value: f64,
    },
    /// Clouds of different dimensions.
    #[error("cannot compare points of dimension {first} with points of dimension {second}")]
    DifferentDimensions {
        /// Dimension of the first cloud.
        first: usize,
        /// Dimension of the second cloud.
        second: usize,
    },
    /// An exact Wasserstein distance of clouds of different sizes.
    #[error(
        "the exact Wasserstein distance pairs points one to one, but there are {first} and {second}; \
         draw equal numbers, or use the sliced distance"
    )]
    DifferentSizes {
        /// Points of the first cloud.
        first: usize,
        /// Points of the second cloud.
        second: usize,
    },
    /// A setting outside its range.
    #[error("{name} is {value}; it must be {expected}")]
    BadSetting {
        /// Name of the setting.
        name: &'static str,
        /// The offending value.
        value: f64,
        /// The range in words.
        expected: &'static str,
    },
    /// All points coincide, so no length scale can be taken from them.
    #[error("all points coincide, so there is no {what} to take from them")]
    AllPointsCoincide {
        /// The quantity that would have come from the points.
        what: &'static str,
    },
    /// The result overflowed although the input is finite.
    #[error("{metric} is {value}: the coordinates are too large to be squared and summed; rescale the data")]
    Overflow {
        /// Name of the metric.
        metric: &'static str,
        /// What came out.
        value: f64,
    },
    /// The eigenvalues of a covariance did not converge.
    #[error("the eigenvalues of the covariance could not be computed; is it symmetric and of moderate size?")]
    NoEigenvalues,
    /// The exact transport problem has no answer.
    #[error(transparent)]
    Transport(#[from] OtError),
}
