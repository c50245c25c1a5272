//! Changes to a recipe's solver from the command line.

use thalweg_solve::{Control, Method, Solver, Steps, Tolerance};

use crate::args::{MethodName, SolverArguments};
use crate::failure::Failure;

/// What is said to `--steps 0`.
pub const NO_STEPS: &str = "--steps must be at least 1";

/// The recipe's solver with what was asked for on the command line.
pub fn changed(solver: &Solver, arguments: &SolverArguments) -> Result<Solver, Failure> {
    let mut solver = solver.clone();
    if let Some(name) = arguments.solver {
        solver.method = method(name);
    }
    if arguments.steps == Some(0) {
        return Err(Failure::request(NO_STEPS));
    }
    if let Some(steps) = arguments.steps {
        solver.max_steps = solver.max_steps.max(steps);
        solver.steps = Steps::Fixed(steps);
    } else if arguments.rtol.is_some() || arguments.atol.is_some() {
        let (mut tolerance, control) = match solver.steps {
            Steps::Adaptive { tolerance, control, .. } => (tolerance, control),
            _ => (Tolerance::default(), Control::default()),
        };
        if let Some(relative) = arguments.rtol {
            tolerance = Tolerance { relative, absolute: relative };
        }
        tolerance.absolute = arguments.atol.unwrap_or(tolerance.absolute);
        solver.steps = Steps::Adaptive { tolerance, control, first_step: None };
    }
    let is_adaptive = matches!(solver.steps, Steps::Adaptive { .. });
    if is_adaptive && solver.method.tableau().error.is_none() {
        let message = format!("`{}` cannot choose its own steps: say how many with --steps N", solver.method);
        return Err(Failure::request(message));
    }
    solver.validate().map_err(Failure::request)?;
    Ok(solver)
}

/// The method of this name.
pub fn method(name: MethodName) -> Method {
    match name {
        MethodName::Euler => Method::Euler,
        MethodName::Midpoint => Method::Midpoint,
        MethodName::Heun => Method::Heun,
        MethodName::Rk4 => Method::Rk4,
        MethodName::Bosh3 => Method::Bosh3,
        MethodName::Dopri5 => Method::Dopri5,
        MethodName::Tsit5 => Method::Tsit5,
    }
}
