//! Reflow, as a recipe says it (FORMULAS §2.5): flow matching on the pairs that a trained flow makes, whose paths cross less
//! and so become straighter.

use serde::{Deserialize, Serialize};
use thalweg_flow::CouplingConfig;
use thalweg_run::Invalid;
use thalweg_solve::Solver;

use crate::recipe::Recipe;

/// Flow matching on pairs of noise and where the flow that the run started from takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReflowConfig {
    /// Pairs that are made at once.
    pub pool: usize,
    /// How often each of them is used before others are made.
    pub passes: u64,
    /// The accurate solver that makes them.
    pub solver: Solver,
    /// The share of pairs that start from data, with the noise that the flow takes to them: contact with the data.
    pub encoded: f64,
}

impl Default for ReflowConfig {
    fn default() -> Self {
        Self { pool: 10_000, passes: 10, solver: Solver::default(), encoded: 0.0 }
    }
}

impl ReflowConfig {
    pub(crate) fn validate(&self, recipe: &Recipe) -> Result<(), Invalid> {
        let at = |key: &str, message: String| Err(Invalid::new(format!("flow.objective.{key}"), message));
        if recipe.from.is_none() {
            return at("kind", "straightens a trained flow: say which with `from.run`".to_string());
        }
        if recipe.flow.coupling != CouplingConfig::default() {
            let message = "the flow itself makes the pairs: remove the coupling";
            return Err(Invalid::new("flow.coupling", message));
        }
        if self.pool < recipe.train.batch {
            return at("pool", "must be at least `train.batch`".to_string());
        }
        if self.passes == 0 {
            return at("passes", "must be at least 1".to_string());
        }
        if !(0.0..=1.0).contains(&self.encoded) {
            return at("encoded", format!("a share lies between 0 and 1, and not at {}", self.encoded));
        }
        self.solver.validate().map_err(|error| Invalid::new("flow.objective.solver", error.to_string()))
    }
}
