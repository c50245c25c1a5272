//! What a user or a file can get wrong about a flow.

use thalweg_ot::OtError;

/// Why a path, a coupling or a likelihood cannot be had.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FlowError {
    /// A setting outside its range.
    #[error("{name} is {value}; it must be {expected}")]
    Setting {
        /// Which setting, for example `sigma_min of the linear schedule`.
        name: &'static str,
        /// The offending value.
        value: f64,
        /// What would be accepted.
        expected: &'static str,
    },
    /// A path that is only right for a Gaussian source was asked to start from something else.
    #[error(
        "the {path} path needs a Gaussian source: it takes x0 for the noise of x = αx1 + σε, and its velocity, its \
         noise-to-data conversions and its scores are those of normal noise. Use a two-sided path (`linear`, \
         `trigonometric`, `schroedinger-bridge` or `stochastic-interpolant`) for a source of another law"
    )]
    GaussianSourceNeeded {
        /// The path as recipes call it.
        path: &'static str,
    },
    /// An entropic coupling whose regularisation neither the recipe nor the path fixes.
    #[error(
        "the {coupling} coupling has no regularisation and the path does not imply one (a Schrödinger bridge implies \
         2σ²); set `regularisation`, in the units of the squared distance"
    )]
    RegularisationMissing {
        /// The coupling as recipes call it.
        coupling: &'static str,
    },
    /// Batches that cannot be paired.
    #[error(
        "cannot pair {sources} sources of dimension {source_dim} with {targets} targets of dimension {target_dim}: {expected}"
    )]
    Batches {
        /// Number of source points.
        sources: usize,
        /// Their dimension.
        source_dim: usize,
        /// Number of target points.
        targets: usize,
        /// Their dimension.
        target_dim: usize,
        /// What would be accepted.
        expected: &'static str,
    },
    /// Conditions that do not belong to the targets one by one.
    #[error(
        "{conditions} conditions were given for {targets} targets; give one for each, in the order of the targets"
    )]
    Conditions {
        /// Number of conditions.
        conditions: usize,
        /// Number of targets.
        targets: usize,
    },
    /// The transport problem of a coupling has no answer.
    #[error("the coupling failed: {0}")]
    Transport(#[from] OtError),
    /// Sinkhorn's iteration ran out before the marginals were right.
    #[error(
        "Sinkhorn did not converge in {iterations} iterations (marginal error {marginal_error:.1e}); raise \
         `regularisation` (now {regularisation}) or scale the data"
    )]
    SinkhornUnfinished {
        /// Updates made.
        iterations: usize,
        /// What was left of the marginal error.
        marginal_error: f64,
        /// The entropic weight.
        regularisation: f64,
    },
    /// Times outside the interval on which a path is defined.
    #[error("time {time} lies outside [{start}, {end}], where the path and models trained on it are defined")]
    OutsideInterval {
        /// The offending time.
        time: f64,
        /// Where the interval begins.
        start: f64,
        /// Where it ends.
        end: f64,
    },
    /// A covariance that is not symmetric positive semi-definite, or does not fit its mean.
    #[error("the covariance of {what} is not usable: {reason}")]
    Covariance {
        /// Whose covariance.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// `Ok` when `accepted`, otherwise the error that names the setting.
pub(crate) fn require(
    accepted: bool,
    name: &'static str,
    value: f64,
    expected: &'static str,
) -> Result<(), FlowError> {
    if accepted { Ok(()) } else { Err(FlowError::Setting { name, value, expected }) }
}
