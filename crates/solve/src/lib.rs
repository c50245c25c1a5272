//! Batched differential equations on tensors: one [`integrate`] for every solver, and gradients through it.
//!
//! Four parts are independent of each other: what moves ([`State`]: tensors, or points with running integrals in
//! [`Augmented`]), how a step is made ([`Method`], whose coefficients are a [`Tableau`]), how long the steps are
//! ([`Steps`]), and what is kept ([`Save`]). One loop joins them, forward and backward in time.
//!
//! ```
//! use burn::tensor::Tensor;
//! use thalweg_solve::{Method, Placement, Save, Solver, Span, solve_field, to_host};
//!
//! let decay = |_t: Tensor<1>, x: Tensor<2>| x.neg();
//! let x = Placement::cpu_double().tensor(&[1.0, 2.0], [2, 1]);
//! let solver = Solver::adaptive(Method::Dopri5, 1e-9);
//! let solution = solve_field(&solver, Span::FORWARD, x, &Save::End, &decay)?;
//! assert!((to_host(&solution.state)[1] - 2.0 * (-1.0_f64).exp()).abs() < 1e-8);
//! # Ok::<(), thalweg_solve::SolveError<Tensor<2>>>(())
//! ```
//!
//! A solve that does not reach its end is a value, [`SolveError`], that says why and holds the last good state.
//! [`record`] gives gradients through a solve in memory that grows with the root of the number of steps, and
//! [`EulerMaruyama`] samples stochastic equations.

mod aside;
mod augmented;
mod clock;
mod control;
mod error;
mod field;
mod gradient;
mod integrate;
mod norms;
mod placement;
mod save;
mod sde;
mod solution;
mod solver;
mod state;
mod tableau;
mod time;

pub use augmented::Augmented;
pub use error::InvalidSolve;
pub use field::{Tangent, VelocityField, divergence_by_tangents};
pub use gradient::{Checkpoints, Differentiable, Recorded, record};
pub use integrate::{integrate, integrate_any_rows, solve_field};
pub use norms::Norms;
pub use placement::{Placement, per_sample, to_host};
pub use save::Save;
pub use sde::EulerMaruyama;
pub use solution::{Failure, Solution, SolveError};
pub use solver::{Control, Solver, Steps, Tolerance};
pub use state::{State, Term, Weight};
pub use tableau::{BOSH3, DOPRI5, EULER, HEUN, MIDPOINT, Method, RK4, TSIT5, Tableau};
pub use time::{Span, Times};
