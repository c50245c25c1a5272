//! Distillation, as a recipe says it (FORMULAS §7.4, Algorithm A.1).

use serde::{Deserialize, Serialize};
use thalweg_flow::{CouplingConfig, Interval, PathConfig, Prediction, TimeSampler};
use thalweg_run::Invalid;
use thalweg_solve::{Method, Solver, Steps};

use super::{MOST_NETWORKS, validate_widths};
use crate::recipe::Recipe;

/// Networks that each make in one evaluation what a part of a trained flow or chain makes in many.
///
/// Of a chain, each student replaces as many neighbouring blocks as there are for each; of one flow, an equal part of its
/// time. They learn from states that the flow itself goes through, from the same noise at all of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DistillationConfig {
    /// How many students there are, which is how many evaluations a sample takes.
    pub students: usize,
    /// Ways through the flow that are followed once and kept.
    pub pairs: usize,
    /// The accurate solver that follows them.
    pub solver: Solver,
    /// Whether a student starts from the weights of what it replaces, where these fit.
    pub warm_start: bool,
    /// The share of the steps, at the end, in which all students are trained together on where the last of them arrives;
    /// before, each is trained on its own.
    pub together: f64,
    /// Width of each student, from the data; left out, all have that of the model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub widths: Vec<usize>,
    /// Networks of what is distilled: 1 for a flow. Taken from its run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networks: Option<usize>,
    /// A fingerprint of the weights of what is distilled, which must not change. Taken from its run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<String>,
}

impl Default for DistillationConfig {
    fn default() -> Self {
        Self {
            students: 1,
            pairs: 20_000,
            solver: Solver::default(),
            warm_start: true,
            together: 0.0,
            widths: Vec::new(),
            networks: None,
            teacher: None,
        }
    }
}

impl DistillationConfig {
    /// The only solver that a student is used with.
    #[must_use]
    pub fn step() -> Solver {
        Solver::fixed(Method::Euler, 1)
    }

    /// Whether a solver is one step of Euler.
    #[must_use]
    pub fn is_step(solver: &Solver) -> bool {
        solver.method == Method::Euler && solver.steps == Steps::Fixed(1)
    }

    /// The time that student `number`, from 1 at the data, takes in one step: a part of that of a flow, or all of that of
    /// a block.
    pub(crate) fn interval(&self, number: usize) -> Interval {
        if self.networks.unwrap_or(1) > 1 {
            return Interval::UNIT;
        }
        let at = |students: usize| students as f64 / self.students as f64;
        Interval::new(at(self.students - number), at(self.students - number + 1))
    }

    pub(crate) fn validate(&self, recipe: &Recipe) -> Result<(), Invalid> {
        let at = |key: &str, message: String| Err(Invalid::new(format!("flow.objective.{key}"), message));
        if recipe.from.is_none() {
            return at("kind", "distils a trained flow or chain: say which with `from.run`".to_string());
        }
        if !(1..=MOST_NETWORKS).contains(&self.students) {
            return at("students", format!("must be at least 1 and at most {MOST_NETWORKS}"));
        }
        if let Some(networks) = self.networks.filter(|n| *n > 1 && !n.is_multiple_of(self.students)) {
            let message = format!(
                "{networks} blocks cannot be shared out equally among {} students: take a divisor of {networks}",
                self.students
            );
            return at("students", message);
        }
        if self.pairs < recipe.train.batch {
            return at("pairs", "must be at least `train.batch`".to_string());
        }
        if !(0.0..1.0).contains(&self.together) {
            return at("together", format!("a share lies in [0, 1), not at {}", self.together));
        }
        if self.together > 0.0 && (self.together * recipe.train.steps as f64).round() < 1.0 {
            return at("together", "is less than one step: set it to 0, or take more steps".to_string());
        }
        if self.together > 0.0 && self.students == 1 {
            return at("together", "one student is alone: set it to 0".to_string());
        }
        validate_widths("flow.objective.widths", &self.widths, self.students)?;
        self.solver.validate().map_err(|error| Invalid::new("flow.objective.solver", error.to_string()))?;
        if matches!(self.solver.steps, Steps::Grid(_)) {
            return at("solver", "takes equal steps or a tolerance, not a grid".to_string());
        }
        self.validate_flow(recipe)
    }

    /// Settings that would have no effect.
    fn validate_flow(&self, recipe: &Recipe) -> Result<(), Invalid> {
        let flow = &recipe.flow;
        let refuse = |key: &str, message: &str| Err(Invalid::new(key, message));
        if flow.path != PathConfig::default() {
            return refuse("flow.path", "students follow what they are taught, not a path: remove it");
        }
        if flow.coupling != CouplingConfig::default() {
            return refuse("flow.coupling", "what is distilled makes the pairs: remove the coupling");
        }
        if flow.time != TimeSampler::default() {
            return refuse("flow.time", "a student knows one time only: remove the time sampler");
        }
        if flow.prediction != Prediction::Velocity || flow.precondition {
            return refuse(
                "flow.prediction",
                "students predict plain steps: remove `flow.prediction` and `flow.precondition`",
            );
        }
        if recipe.local.is_some() || recipe.residual.is_some() {
            return refuse("flow.objective", "students are neither blocks nor followed by a second stage");
        }
        // Known as soon as the recipe is completed by what it distils.
        if self.networks.is_some() && !Self::is_step(&recipe.evaluate.solver) {
            let message = "a student makes one step of euler, whatever the solver: remove it";
            return refuse("evaluate.solver", message);
        }
        if self.networks.is_some() && recipe.evaluate.likelihood_points > 0 {
            let message = "single steps have no likelihood: set it to 0, or remove it";
            return refuse("evaluate.likelihood_points", message);
        }
        Ok(())
    }
}
