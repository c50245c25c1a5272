//! Proofs of stability and contraction for fields with a known structure.
//!
//! Everything is on plain matrices in double precision, and every proof is checked by eigenvalues before it is given:
//! what a solver says of itself is not believed.

mod cheap;
mod contraction;
mod dense;
mod equilibria;
mod field;
mod lmi;
mod region;
mod stability;
mod steps;

pub use cheap::{Cheap, WeightedMaximum, cheap};
pub use contraction::{
    Contraction, Limits, Verdict, best_contraction, contraction, extremes_of_metric, verify,
};
pub use equilibria::equilibria;
pub use field::{Field, Function, Term};
pub use region::{Input, NoRegion, Region, largest_region, region, verify_region};
pub use stability::{Stability, StabilityVerdict, stability, verify_stability};
pub use steps::{Bounds, Method, lipschitz};
