//! What can be wrong with a transport problem.

use std::fmt;

/// Which of the two measures of a transport problem an error speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The rows of the cost matrix.
    Source,
    /// The columns of the cost matrix.
    Target,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Source => "source",
            Side::Target => "target",
        })
    }
}

/// Why a transport problem has no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OtError {
    /// One side has no points.
    #[error(
        "there is nothing to transport: the cost matrix is {rows} × {cols}; give at least one point on each side"
    )]
    Empty {
        /// Rows of the cost matrix.
        rows: usize,
        /// Columns of the cost matrix.
        cols: usize,
    },
    /// A one-to-one pairing was asked of clouds of different sizes.
    #[error(
        "cannot pair {rows} sources with {cols} targets one to one; draw equal numbers, \
         or use a partial assignment or the network simplex"
    )]
    NotSquare {
        /// Rows of the cost matrix.
        rows: usize,
        /// Columns of the cost matrix.
        cols: usize,
    },
    /// A cost that is NaN, infinite, or so large that sums of costs would overflow.
    #[error(
        "the cost of moving source {row} to target {col} is {value}; costs must be finite and at most 1e300 in size \
         (look for NaN or infinity in the points)"
    )]
    BadCost {
        /// Row of the cost matrix.
        row: usize,
        /// Column of the cost matrix.
        col: usize,
        /// The offending cost.
        value: f64,
    },
    /// More or fewer weights than points.
    #[error("{weights} {side} weights were given for {points} points; give one weight per point")]
    WeightCount {
        /// Whose weights.
        side: Side,
        /// How many weights were given.
        weights: usize,
        /// How many the cost matrix asks for.
        points: usize,
    },
    /// A weight that is negative, NaN or infinite.
    #[error("{side} weight {index} is {value}; weights must be finite and not negative")]
    BadWeight {
        /// Whose weight.
        side: Side,
        /// Which point.
        index: usize,
        /// The offending weight.
        value: f64,
    },
    /// A side whose weights are all zero, or whose sum overflows.
    #[error("the {side} weights sum to {total}; the total must be positive and finite")]
    BadTotal {
        /// Whose weights.
        side: Side,
        /// Their sum.
        total: f64,
    },
    /// A balanced problem whose two sides differ in mass.
    #[error(
        "the source weights sum to {source_total} but the target weights to {target_total}; scale them to one total, \
         or solve the unbalanced problem with a marginal penalty"
    )]
    UnequalTotals {
        /// Sum of the source weights.
        source_total: f64,
        /// Sum of the target weights.
        target_total: f64,
    },
    /// A partial assignment of more points than the smaller side has.
    #[error("cannot pair {mass} points: there are {rows} sources and {cols} targets")]
    TooMuchMass {
        /// How many pairs were asked for.
        mass: usize,
        /// Rows of the cost matrix.
        rows: usize,
        /// Columns of the cost matrix.
        cols: usize,
    },
    /// A setting outside its range.
    #[error("{name} is {value}; it must be positive and finite")]
    BadSetting {
        /// Name of the setting.
        name: &'static str,
        /// The offending value.
        value: f64,
    },
    /// The network simplex made far more pivots than any known problem needs: rounding keeps it from settling.
    #[error(
        "the network simplex did not settle in {pivots} pivots; rescale costs that differ by many orders of magnitude"
    )]
    Unsettled {
        /// Pivots made.
        pivots: usize,
    },
}
