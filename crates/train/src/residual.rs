//! The second stage of a recipe (FORMULAS §6): which field, how long, by which solver, and whether the flow before it
//! stays as it is.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use thalweg_flow::Interval;
use thalweg_nets::{Condition, HeadConfig, Residual};
use thalweg_run::Invalid;
use thalweg_solve::{Method, Save, Solution, SolveError, Solver, Span, Steps, solve_field};

use crate::objective::ObjectiveConfig;
use crate::recipe::Recipe;

/// A stage on the times from 1 to 1 + `duration`, after the flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResidualConfig {
    /// What kind of field it is.
    pub head: HeadConfig,
    /// How long it lasts.
    #[serde(default = "default_duration")]
    pub duration: f64,
    /// Its solver, with the same steps in training and inference.
    #[serde(default = "default_solver")]
    pub solver: Solver,
    /// What happens to the flow before it.
    #[serde(default)]
    pub first: FirstStage,
}

/// What happens to the flow when a second stage is trained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirstStage {
    /// It stays as it is.
    #[default]
    Frozen,
    /// It is tuned together with the second stage.
    Tuned,
}

fn default_duration() -> f64 {
    1.0
}

fn default_solver() -> Solver {
    Solver::fixed(Method::Rk4, 8)
}

/// Where the second stage starts, whatever the times of the flow are.
const START: f64 = 1.0;

impl ResidualConfig {
    /// The times of the stage.
    #[must_use]
    pub fn span(&self) -> Span {
        self.interval().span()
    }

    /// The same as an interval.
    #[must_use]
    pub fn interval(&self) -> Interval {
        Interval { start: START, end: START + self.duration }
    }

    /// Goes on from what the flow has made.
    ///
    /// # Errors
    /// Those of the solver.
    pub fn solve(
        &self,
        residual: &Residual,
        condition: &Condition,
        made: Tensor<2>,
        save: &Save,
    ) -> Result<Solution<Tensor<2>>, SolveError<Tensor<2>>> {
        let field = residual.given(condition, &made);
        solve_field(&self.solver, self.span(), made, save, &field)
    }

    pub(crate) fn validate(&self, recipe: &Recipe) -> Result<(), Invalid> {
        let refuse = |key: &str, message: String| Err(Invalid::new(format!("residual.{key}"), message));
        self.head.validate().map_err(|error| Invalid::new("residual.head", error.to_string()))?;
        if !(1e-3..=1e3).contains(&self.duration) {
            return refuse("duration", format!("must lie between 0.001 and 1000, not at {}", self.duration));
        }
        self.solver.validate().map_err(|error| Invalid::new("residual.solver", error.to_string()))?;
        if let Steps::Grid(_) = self.solver.steps {
            let message = "the stage has times of its own: give a number of steps or a tolerance";
            return refuse("solver", message.to_string());
        }
        let ObjectiveConfig::Reconstruction(config) = &recipe.flow.objective else {
            let message = "a second stage is trained on reconstructions: set `flow.objective.kind`";
            return Err(Invalid::new("residual", message));
        };
        if self.first == FirstStage::Tuned {
            return Ok(());
        }
        let penalties = config.regularisation;
        let idle = [
            ("matching", config.matching != 0.0),
            ("anchor", config.anchor != 0.0),
            ("regularisation", penalties.kinetic != 0.0 || penalties.jacobian != 0.0),
        ];
        match idle.into_iter().find(|(_, is_set)| *is_set) {
            None => Ok(()),
            Some((key, _)) => {
                let message = "holds the flow back, which is frozen: remove it, or set `residual.first`";
                Err(Invalid::new(format!("flow.objective.{key}"), message))
            }
        }
    }
}
