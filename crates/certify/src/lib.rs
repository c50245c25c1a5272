//! Proofs of stability and contraction for fields with a known structure.
//!
//! Everything is on plain matrices in double precision, and every proof is checked by eigenvalues before it is given:
//! what a solver says of itself is not believed. A [`Certificate`] is such proofs as text, with everything that is needed to
//! check them again.
//!
//! ```
//! use faer::Mat;
//! use thalweg_certify::{
//!     Certificate, Effort, Field, Form, Function, InputRange, Origin, Subject, Term,
//! };
//!
//! let one = |x: f64| Mat::from_fn(1, 1, |_, _| x);
//! let term = Term { outer: one(0.4), inner: one(1.0), bias: vec![0.0], function: Function::Tanh };
//! let field = Field { linear: one(-1.0), terms: vec![term] };
//! let subject = Subject {
//!     origin: Origin { name: "example".into(), step: 0, weights: String::new() },
//!     field: &field,
//!     form: Form::Equilibrium,
//!     horizon: 1.0,
//!     solver: None,
//!     input: InputRange::Bound(0.5),
//!     known: None,
//!     starts: &[],
//! };
//! let text = Certificate::of(&subject, &Effort::default())?.text();
//! let certificate = Certificate::check(&text).map_err(|findings| findings[0].to_string())?;
//! let rate = certificate.claims.contraction.certified().map(|claim| claim.rate);
//! assert!(rate.is_some_and(|rate| (rate - 0.6).abs() < 1e-4));
//! # Ok::<(), String>(())
//! ```

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
pub use stability::{Stability, StabilityVerdict, stability, stability_of_contraction, verify_stability};
pub use steps::{Bounds, Method, lipschitz};
