//! Certificates: what was proved of a field, as text that anyone can check again without a solver.
//!
//! A certificate carries the numbers of the field, the proofs, and what follows from them. [`Certificate::check`] believes
//! none of it: eigenvalues are computed anew, slopes come from the names of the functions, and every number that follows
//! from others is derived again and compared. The digests are against accidents only; what makes a claim true is its proof.

mod check;
mod derive;
mod json;
mod make;
mod system;
mod words;

use serde::{Deserialize, Serialize};

use crate::Cheap;

pub use check::Finding;
pub use make::{Effort, Subject};
pub use system::{Form, InputRange, Solver, System, TermRecord};

/// The only version there is.
pub const CERTIFICATE_FORMAT: u32 = 1;

/// What was proved of one field; written by [`text`](Self::text), read by [`check`](Self::check).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// [`CERTIFICATE_FORMAT`].
    pub format: u32,
    /// Where the field is from.
    pub run: Origin,
    /// The field, and how it is used.
    pub system: System,
    /// What is proved of it.
    pub claims: Claims,
    /// The fingerprint of everything else.
    pub digest: String,
}

/// Where a field is from. Nothing follows from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The name of the run.
    pub name: String,
    /// The step of the checkpoint.
    pub step: u64,
    /// A fingerprint of the checkpoint's weights.
    pub weights: String,
}

/// Everything that is claimed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// That solutions with the same input approach each other, by (10R).
    pub contraction: Claim<ContractionClaim>,
    /// That bounded inputs keep solutions bounded, by (8R).
    pub stability: Claim<StabilityClaim>,
    /// What needs no solver.
    pub cheap: Cheap,
    /// That the computed steps contract too.
    pub steps: Claim<StepsClaim>,
    /// Balls that no solution leaves and in which solutions approach each other, for fields that do not contract
    /// everywhere.
    pub regions: Vec<RegionClaim>,
    /// What is worth knowing about how the claims were found; nothing follows from it.
    pub remarks: Vec<String>,
}

/// A proof, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim<T> {
    /// There is a proof.
    Certified(T),
    /// There is none, which claims nothing.
    NotCertified(Refusal),
}

impl<T> Claim<T> {
    /// What is certified, if anything.
    pub fn certified(&self) -> Option<&T> {
        match self {
            Self::Certified(claim) => Some(claim),
            Self::NotCertified(_) => None,
        }
    }
}

/// Why something is not certified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The bound that the search reached, below zero for a proof; none when there was no search.
    pub margin: Option<f64>,
    /// Whether it is sure that the method has no proof.
    pub sure: bool,
    /// In words.
    pub reason: String,
}

/// How a proof was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// By optimisation.
    Search,
    /// The field was made so that it contracts.
    Construction,
}

/// Contraction with a rate in the norm `√(zᵀPz)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractionClaim {
    /// How it was found.
    pub source: Source,
    /// The rate `c`.
    pub rate: f64,
    /// `P`, row after row, made so that its least eigenvalue is one: its norm is no less than the Euclidean one.
    pub metric: Vec<Vec<f64>>,
    /// `Γ`.
    pub multipliers: Vec<f64>,
    /// `λ_max(𝒯)`, below zero.
    pub eigenvalue: f64,
    /// The least and the greatest eigenvalue of `P`.
    pub metric_eigenvalues: [f64; 2],
    /// Their ratio `κ`.
    pub condition: f64,
    /// `e^{-cT}`: the share of a distance that is left at the end, in the norm of `P`.
    pub horizon_factor: f64,
    /// The same in the Euclidean norm: `√κ e^{-cT}`, or what norms of the parts give where that is less.
    pub euclidean_factor: f64,
    /// A bound of `sup ‖F(0, u)‖ / c` in the norm of `P`: solutions come as close to the origin as this. For an anchored
    /// field it is `sup ‖g‖ / c`, and solutions never go further from their anchor.
    pub radius: f64,
}

/// Input-to-state stability; see [`Stability`](crate::Stability) for the numbers of the proof.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StabilityClaim {
    /// `P`, row after row.
    pub metric: Vec<Vec<f64>>,
    /// `Λ`.
    pub integrals: Vec<f64>,
    /// `Ξ`, `Υ` and `T`.
    pub multipliers: [Vec<f64>; 3],
    /// `Ξ⁰`.
    pub dissipation: Vec<f64>,
    /// `Φ`.
    pub gain: Vec<f64>,
    /// The least eigenvalue of minus the derivative of the Lyapunov function, as a quadratic form.
    pub decrease_eigenvalue: f64,
    /// That of the Lyapunov function.
    pub lyapunov_eigenvalue: f64,
    /// That of the dissipation.
    pub dissipation_eigenvalue: f64,
}

/// What is known of explicit steps in the norm of the contraction's metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepsClaim {
    /// A bound of the norms of all Jacobians.
    pub lipschitz: f64,
    /// The size of the steps that are used.
    pub step: f64,
    /// A bound of the growth of a distance in one of them.
    pub factor: f64,
    /// The same over all of them.
    pub horizon_factor: f64,
    /// Shorter steps than this are proved to contract.
    pub largest_step: f64,
    /// The least number of equal steps that are proved to contract, if a million are enough.
    pub fewest_steps: Option<u64>,
    /// Whether the steps that are used do, in words.
    pub words: String,
}

/// A [`Region`](crate::Region).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionClaim {
    /// The centre.
    pub centre: Vec<f64>,
    /// The radius in the norm of the metric.
    pub radius: f64,
    /// The rate in the ball.
    pub rate: f64,
    /// `P`, row after row.
    pub metric: Vec<Vec<f64>>,
    /// `Γ`, for the units with slopes between -1 and 1 that are left when the middle slopes in the ball are linear.
    pub multipliers: Vec<f64>,
    /// How strong the field may be at the centre: at most rate times radius.
    pub drift: f64,
}

impl Certificate {
    /// The certificate as JSON, which [`check`](Self::check) reads.
    #[must_use]
    pub fn text(&self) -> String {
        json::pretty(self)
    }

    /// The fingerprint of everything but the digest.
    #[must_use]
    pub fn computed_digest(&self) -> String {
        let without = Self { digest: String::new(), ..self.clone() };
        json::fingerprint(&without)
    }
}
