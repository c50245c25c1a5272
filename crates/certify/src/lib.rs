//! Proofs of stability and contraction for fields with a known structure.
//!
//! Everything is on plain matrices in double precision, and every proof is checked by eigenvalues before it is given:
//! what a solver says of itself is not believed. A [`Certificate`] is such proofs as text, with everything that is needed to
//! check them again.

mod certificate;
mod cheap;
mod contraction;
mod dense;
mod equilibria;
mod field;
mod lmi;
mod region;
mod stability;
mod steps;

pub use certificate::{
    CERTIFICATE_FORMAT, Certificate, Claim, Claims, ContractionClaim, Effort, Finding, Form, InputRange,
    Origin, Refusal, RegionClaim, Solver, Source, StabilityClaim, StepsClaim, Subject, System, TermRecord,
};
pub use cheap::{Cheap, WeightedMaximum, cheap};
pub use contraction::{
    Contraction, Limits, Verdict, best_contraction, contraction, extremes_of_metric, verify,
};
pub use equilibria::equilibria;
pub use field::{Field, Function, Term};
pub use region::{Input, NoRegion, Region, largest_region, region, verify_region};
pub use stability::{Stability, StabilityVerdict, stability, verify_stability};
pub use steps::{Bounds, Method, lipschitz};
