//! Local Flow Matching, as a recipe says it (FORMULAS §7).

use serde::{Deserialize, Serialize};
use thalweg_data::{ConditionConfig, SourceConfig};
use thalweg_flow::{
    CouplingConfig, FlowError, LocalBlock, LocalInterpolant, LocalSchedule, PathConfig, Prediction,
};
use thalweg_run::Invalid;
use thalweg_solve::{Solver, Steps};

use super::{MOST_NETWORKS, validate_widths};
use crate::objective::ObjectiveConfig;
use crate::recipe::Recipe;

/// A chain of flows between neighbouring laws of a diffusion, trained one after the other from the data to the noise.
///
/// Each block learns from the data as the blocks before it have moved them, so that each is the inverse of what follows
/// when samples are drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LocalConfig {
    /// Number of blocks. The last one ends at the noise whatever the times of the others are.
    pub blocks: usize,
    /// The time for which the first block diffuses.
    pub first: f64,
    /// Quotient of the times of neighbouring blocks.
    pub growth: f64,
    /// Time of a diffusion before the first block, for data without a smooth density; what is learned are the data with
    /// that much noise.
    pub smoothing: f64,
    /// How the points of a pair are joined inside a block.
    pub interpolant: LocalInterpolant,
    /// Whether the blocks have networks of their own.
    pub weights: Weights,
    /// Whether a block starts from the weights of the one before.
    pub warm_start: bool,
    /// Points that are moved from block to block. Left out, all rows of a table, or 100,000 draws of a set with a formula.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<usize>,
    /// The accurate solver that moves them.
    pub solver: Solver,
    /// Width of each block, from the data; left out, all have that of the model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub widths: Vec<usize>,
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self {
            blocks: 4,
            first: 0.15,
            growth: 1.3,
            smoothing: 0.0,
            interpolant: LocalInterpolant::default(),
            weights: Weights::default(),
            warm_start: true,
            points: None,
            solver: Solver::default(),
            widths: Vec::new(),
        }
    }
}

/// Which weights the blocks have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weights {
    /// Each its own.
    #[default]
    Independent,
    /// All the same ones, of a network that is told the block. When a block is added, the training goes on with all blocks
    /// so far, on data that are moved again by the weights as they are then.
    Shared,
}

/// A factor on the data below which the last block is the whole flow in all but name.
const NO_SIGNAL: f64 = 0.05;

impl LocalConfig {
    /// The times of the blocks.
    #[must_use]
    pub fn schedule(&self) -> LocalSchedule {
        let Self { blocks, first, growth, smoothing, .. } = *self;
        LocalSchedule { blocks, first, growth, smoothing }
    }

    /// A block by its number, from 1 at the data.
    pub(crate) fn block(&self, number: usize) -> LocalBlock {
        LocalBlock { interpolant: self.interpolant, duration: self.schedule().duration(number) }
    }

    pub(crate) fn validate(&self, recipe: &Recipe) -> Result<(), Invalid> {
        let at = |key: &str, message: String| Err(Invalid::new(format!("local.{key}"), message));
        if self.blocks > MOST_NETWORKS {
            return at("blocks", format!("more than {MOST_NETWORKS} take too long"));
        }
        self.schedule().validate().map_err(|error| Invalid::new(key_of(&error), error.to_string()))?;
        validate_widths("local.widths", &self.widths, self.blocks)?;
        if self.warm_start && self.widths.iter().any(|width| *width != self.widths[0]) {
            let message =
                "a block of another width cannot start from the weights of the one before: set it to false";
            return at("warm_start", message.to_string());
        }
        if self.points.is_some_and(|points| points < recipe.train.batch) {
            return at("points", "must be at least `train.batch`".to_string());
        }
        self.solver.validate().map_err(|error| Invalid::new("local.solver", error.to_string()))?;
        if let Steps::Grid(nodes) = &self.solver.steps
            && nodes.first().zip(nodes.last()) != Some((&0.0, &1.0))
        {
            return at("solver", "a grid must run from 0 to 1, the ends of a block".to_string());
        }
        if self.weights == Weights::Shared {
            self.validate_shared(recipe)?;
        }
        self.validate_flow(recipe)
    }

    /// What one network for all blocks cannot be put together with.
    fn validate_shared(&self, recipe: &Recipe) -> Result<(), Invalid> {
        let refuse = |key: &str, message: &str| Err(Invalid::new(key, message));
        if !self.widths.is_empty() {
            return refuse("local.widths", "one network for all blocks has one width: remove them");
        }
        if !self.warm_start {
            return refuse("local.warm_start", "one network for all blocks always goes on: remove it");
        }
        if matches!(recipe.data.condition, ConditionConfig::Columns { .. }) {
            let message = "a network for all blocks is told its block as a class, and takes no vectors beside it: use \
                           `weights = \"independent\"`";
            return refuse("local.weights", message);
        }
        if recipe.model.condition_dropout > 0.0 {
            let message = "a network for all blocks must always be told its block: set it to 0";
            return refuse("model.condition_dropout", message);
        }
        Ok(())
    }

    /// What a chain cannot be put together with.
    fn validate_flow(&self, recipe: &Recipe) -> Result<(), Invalid> {
        let flow = &recipe.flow;
        let refuse = |key: &str, message: &str| Err(Invalid::new(key, message));
        if flow.objective != ObjectiveConfig::FlowMatching {
            return refuse(
                "flow.objective",
                "the blocks of a local chain are trained by flow matching: remove the objective",
            );
        }
        if flow.path != PathConfig::default() {
            return refuse(
                "flow.path",
                "a local chain has paths of its own: remove it, and choose `local.interpolant`",
            );
        }
        if flow.coupling != CouplingConfig::default() {
            return refuse("flow.coupling", "a local chain makes its own pairs: remove the coupling");
        }
        if flow.prediction != Prediction::Velocity || flow.precondition {
            return refuse(
                "flow.prediction",
                "the blocks of a local chain predict plain velocities: remove `flow.prediction` and `flow.precondition`",
            );
        }
        if !matches!(recipe.data.source, SourceConfig::Gaussian {}) {
            return refuse(
                "data.source",
                "a diffusion ends at the standard normal: the source must be gaussian",
            );
        }
        if recipe.residual.is_some() {
            return refuse(
                "residual",
                "a second stage follows one flow, not a chain of them: remove one of the two",
            );
        }
        if recipe.from.is_some() {
            return refuse("from", "a local chain starts from nothing: remove it");
        }
        Ok(())
    }

    /// What the user should know before it is trained on a table of so many rows, or on a set without end.
    pub(crate) fn warnings(&self, rows: Option<usize>) -> Vec<String> {
        let mut warnings = Vec::new();
        if let (Some(points), Some(rows)) = (self.points, rows)
            && points > rows
        {
            warnings.push(format!(
                "`local.points` is {points}, but there are {rows} rows for training: all are moved"
            ));
        }
        if self.blocks == 1 {
            warnings.push("a chain of one block is ordinary flow matching: raise `local.blocks`".to_string());
        }
        let schedule = LocalSchedule { smoothing: 0.0, ..self.schedule() };
        if self.blocks > 1 && schedule.signal() < NO_SIGNAL {
            warnings.push(format!(
                "the blocks before the last diffuse for {:.3} in all, which leaves {:.2e} of the data: they do nearly all, \
                 and the last does nearly nothing; lower `local.first` or `local.growth`",
                schedule.time_before(self.blocks),
                schedule.signal(),
            ));
        }
        let smoothing = LocalSchedule { blocks: 1, ..self.schedule() };
        if smoothing.signal() < NO_SIGNAL {
            warnings.push(format!(
                "the smoothing leaves {:.2e} of the data, so that little but noise is learned: lower `local.smoothing`",
                smoothing.signal(),
            ));
        }
        warnings
    }
}

/// The key whose value a schedule refuses; of what comes of several values, the section.
fn key_of(error: &FlowError) -> &'static str {
    match error {
        FlowError::Setting { name: "the number of blocks of a chain", .. } => "local.blocks",
        FlowError::Setting { name: "the time of the first block", .. } => "local.first",
        FlowError::Setting { name: "the growth of the blocks", .. } => "local.growth",
        FlowError::Setting { name: "the time of the smoothing", .. } => "local.smoothing",
        _ => "local",
    }
}
