//! What inference makes of noise: the flow, and the second stage after it where there is one.

use burn::tensor::Tensor;
use thalweg_data::Condition;
use thalweg_solve::{Placement, Save, SolveError, Solver, Span, solve_field, to_host};

use crate::field::{FlowField, reading};
use crate::objective::tensor_condition;
use crate::recipe::Recipe;
use crate::stages::Stages;
use crate::summary::DataSummary;

/// A recipe and its data's summary, which say how networks are solved.
#[derive(Debug, Clone, Copy)]
pub struct Inference<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// What it needs to know of the data.
    pub summary: &'a DataSummary,
}

impl Inference<'_> {
    /// The ends of solves from source points in model units, outside of any tape and without guidance.
    ///
    /// # Errors
    /// Those of the solvers.
    pub fn ends(
        &self,
        stages: &Stages,
        solver: &Solver,
        source: &[f64],
        condition: &Condition,
    ) -> Result<Vec<f64>, SolveError<()>> {
        let span = self.recipe.flow.path.interval().span();
        let made = self.of_flow(stages, solver, span, source, condition)?;
        let made = match (&stages.residual, &self.recipe.residual) {
            (Some(residual), Some(stage)) => {
                let told = tensor_condition(condition, &Placement::of(&made));
                stage.solve(residual, &told, made, &Save::End).map_err(SolveError::without_state)?.state
            }
            _ => made,
        };
        Ok(to_host(&made))
    }

    /// The points at the start of the flow through data, outside of any tape.
    ///
    /// # Errors
    /// Those of the solver.
    pub fn starts(
        &self,
        stages: &Stages,
        solver: &Solver,
        data: &[f64],
        condition: &Condition,
    ) -> Result<Vec<f64>, SolveError<()>> {
        let span = self.recipe.flow.path.interval().span().reversed();
        Ok(to_host(&self.of_flow(stages, solver, span, data, condition)?))
    }

    fn of_flow(
        &self,
        stages: &Stages,
        solver: &Solver,
        span: Span,
        points: &[f64],
        condition: &Condition,
    ) -> Result<Tensor<2>, SolveError<()>> {
        let (placement, dim) = (Placement::cpu(), self.summary.dim);
        let x = placement.tensor::<2>(points, [points.len() / dim, dim]);
        let reading = reading(self.recipe, self.summary);
        let field = FlowField::new(&stages.flow, reading, &tensor_condition(condition, &placement), 1.0);
        let solution = solve_field(solver, span, x, &Save::End, &field);
        Ok(solution.map_err(SolveError::without_state)?.state)
    }
}
