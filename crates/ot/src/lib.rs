//! Optimal transport between clouds of points, on plain slices of `f64`.
//!
//! Two solvers share one dense [`Cost`] matrix, which is never rescaled behind the caller's back:
//!
//! - [`network_simplex`] moves general weights exactly. With unit weights an answer is a permutation: [`assign`]
//!   pairs two clouds of equal size one to one, faster, and [`partial_assign`] pairs only a given number of points.
//! - [`Sinkhorn`] solves the entropic problem, balanced or with soft marginals, by stabilised matrix scaling.
//!
//! The exact solvers return their dual potentials, so that an answer can be checked without trusting the solver:
//! a [`Certificate`] bounds the distance from the optimum by weak duality.
//!
//! ```
//! use thalweg_ot::{Cost, Points, assign};
//! let sources = Points::new(&[0.0, 1.0, 2.0], 1);
//! let targets = Points::new(&[2.1, 0.1, 1.1], 1);
//! let cost = Cost::squared_euclidean(sources, targets);
//! let pairing = assign(&cost)?;
//! assert_eq!(pairing.target_of, [1, 2, 0]);
//! assert!(pairing.certificate(&cost).holds_within(1e-12));
//! # Ok::<(), thalweg_ot::OtError>(())
//! ```

mod assignment;
mod auction;
mod certificate;
mod coarse_to_fine;
mod cost;
mod distances;
mod error;
mod matching;
mod network_simplex;
mod parallel;
mod partial;
mod plan;
mod points;
mod products;
mod scaling;
mod scan;
mod shortest_paths;
mod shortlist;
mod sinkhorn;
mod softmin;
mod spanning_tree;
mod weights;

pub use assignment::{Assignment, assign};
pub use certificate::Certificate;
pub use cost::Cost;
pub use error::{OtError, Side};
pub use network_simplex::network_simplex;
pub use partial::{PartialAssignment, partial_assign};
pub use plan::{Shipment, TransportPlan};
pub use points::Points;
pub use sinkhorn::{EntropicPlan, Sinkhorn};
