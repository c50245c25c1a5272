//! The method: probability paths, couplings, time samplers and likelihood of flows.
//!
//! Time runs from noise or source (`t = 0`) to data (`t = 1`). A step of training pairs a batch of source and data points
//! ([`CouplingConfig`]), draws times ([`TimeSampler`]), and asks a [`PathConfig`] where the pairs are at these times and
//! how fast they move; a model learns that velocity. [`sample`] follows the learned field from the source to new data,
//! [`LogLikelihood`] follows it back and scores data, [`MaximumLikelihood`] trains on that score, and [`Reconstruction`]
//! tunes a trained flow on what a solver makes of it.
//!
//! This crate knows tensors but no layers, no files and no training loop. Models come in as
//! [`VelocityField`](thalweg_solve::VelocityField) and [`Tangent`](thalweg_solve::Tangent); [`GaussianFlow`],
//! [`MixtureFlow`] and [`FiniteDataFlow`] are perfect ones, for data whose law is known:
//!
//! ```
//! use thalweg_flow::{GaussianFlow, LogLikelihood, PathConfig, Schedule};
//! use thalweg_noise::Noise;
//! use thalweg_solve::{Placement, to_host};
//!
//! let schedule = Schedule::Cosine {};
//! let placement = Placement::cpu_double();
//! let field = GaussianFlow::new(schedule, &[2.0], &[0.25], &placement)?;
//! let likelihood = LogLikelihood::for_path(&PathConfig::OneSided { schedule });
//! let data = placement.tensor(&[2.0], [1, 1]);
//! let scored = likelihood.evaluate(&field, data, &mut Noise::new(0))?;
//! // The density of N(2, 0.25) at its mean is 1 / (0.5 √(2π)).
//! assert!((to_host(&scored.log_density)[0] - 0.7979_f64.ln()).abs() < 1e-3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ancestral;
mod bits;
mod bound;
mod change;
mod coupling;
mod divergence;
mod error;
mod interval;
mod likelihood;
mod local;
mod maximum_likelihood;
mod number;
mod oracle;
mod path;
mod precondition;
mod prediction;
mod reconstruction;
mod schedule;
mod sde;
mod times;

pub use ancestral::{AncestralSampler, AncestralStep, StepVariance};
pub use bits::{LogitTransform, PixelScale, log_mean_exp};
pub use bound::{ExactInference, FixedSteps, InferenceErrors, inference_errors, steepness};
pub use change::ChangedSchedule;
pub use coupling::{
    BatchBias, BatchCost, ConditionRule, Conditions, CouplingConfig, Pairing, Repeats, plan_entropy,
};
pub use divergence::{Divergence, ProbeLaw, Probes};
pub use error::FlowError;
pub use interval::Interval;
pub use likelihood::{Likelihood, LogLikelihood, gaussian_log_density, sample};
pub use local::{LocalBlock, LocalInterpolant, LocalSchedule, ornstein_uhlenbeck};
pub use maximum_likelihood::{
    LikelihoodLoss, LikelihoodProbes, MaximumLikelihood, PenaltyScale, Regularisation,
};
pub use oracle::{FiniteDataFlow, GaussianFlow, MixtureComponent, MixtureFlow};
pub use path::{PathConfig, PathSample, Source};
pub use precondition::{Preconditioned, Preconditioning};
pub use prediction::{Conversion, PredictedVelocity, Prediction, ddim_step};
pub use reconstruction::{Covariance, Reconstructed, Reconstruction, assignment_distance, debiased_distance};
pub use schedule::{Coefficients, Schedule};
pub use sde::StochasticSampler;
pub use times::TimeSampler;
