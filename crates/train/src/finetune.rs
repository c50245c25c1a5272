//! Fine-tuning on reconstructions, as a recipe says it (FORMULAS §5): which pairs, which spread, what holds it back.

use serde::{Deserialize, Serialize};
use thalweg_data::ConditionConfig;
use thalweg_flow::{CouplingConfig, Covariance, FlowError, PenaltyScale, Regularisation};
use thalweg_metrics::TwoSample;
use thalweg_run::Invalid;
use thalweg_solve::Solver;

use crate::recipe::Recipe;

/// Maximum likelihood of reconstructions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReconstructionConfig {
    /// Which data point each reconstruction should be.
    pub pairs: PairsConfig,
    /// The solver that is differentiated; left out, that of the evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solver: Option<Solver>,
    /// The spread of data around reconstructions.
    pub covariance: Covariance,
    /// Points that are paired together, of which a batch is then used; left out, the batch. Larger makes pairs better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairing_batch: Option<usize>,
    /// Weight of the flow-matching loss on the same pairs, which keeps the velocity between the ends.
    pub matching: f64,
    /// Weight of the squared distance from the weights that the run started from.
    pub anchor: f64,
    /// Penalties on long and crooked paths; none by default.
    pub regularisation: Penalties,
    /// When to stop, and which weights to keep.
    pub guard: GuardConfig,
}

impl Default for ReconstructionConfig {
    fn default() -> Self {
        Self {
            pairs: PairsConfig::default(),
            solver: None,
            covariance: Covariance::default(),
            pairing_batch: None,
            matching: 0.0,
            anchor: 0.0,
            regularisation: Penalties::default(),
            guard: GuardConfig::default(),
        }
    }
}

/// The weights of the penalties on the path, none of which is there unless it is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Penalties {
    /// On the kinetic energy.
    pub kinetic: f64,
    /// On the norm of the Jacobian.
    pub jacobian: f64,
    /// What exactly they multiply.
    pub scale: PenaltyScale,
}

impl From<Penalties> for Regularisation {
    fn from(Penalties { kinetic, jacobian, scale }: Penalties) -> Self {
        Self { kinetic, jacobian, scale }
    }
}

/// Which data point a reconstruction is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PairsConfig {
    /// The noise that lies nearest in a batch, by exact optimal transport, as in the paper. The minimiser is the mean of
    /// what may lie near, so spread is lost, and most of it in many dimensions.
    OtInput {},
    /// The data point that the present reconstruction lies nearest to. Loses as much spread in the long run.
    OtOutput {},
    /// The data point's own condition says all: pairs within equal conditions.
    Paired {},
    /// The noise that the unchanged flow, solved accurately, takes to the data point: what few steps get wrong is
    /// mended, and no spread is lost.
    #[serde(rename = "self")]
    Itself {
        /// Data points that are encoded at once.
        #[serde(default = "default_pool")]
        pool: usize,
        /// How often each of them is used before others are encoded.
        #[serde(default = "default_passes")]
        passes: u64,
        /// The accurate solver.
        #[serde(default)]
        solver: Solver,
    },
    /// All of them: the Wasserstein distance of the batches without its bias, so that no spread is lost.
    Debiased {},
}

fn default_pool() -> usize {
    10_000
}
fn default_passes() -> u64 {
    10
}

impl Default for PairsConfig {
    /// By optimal transport from the noise, the paper's.
    fn default() -> Self {
        Self::OtInput {}
    }
}

/// Every validation compares reconstructions of held-out points with the points themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardConfig {
    /// The distance that decides which weights are kept.
    pub metric: TwoSample,
    /// Validations in a row without a new best after which the training ends; 0 never ends it.
    pub patience: u64,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self { metric: TwoSample::SlicedW2, patience: 10 }
    }
}

impl ReconstructionConfig {
    /// The solver that is differentiated.
    pub(crate) fn solver<'a>(&'a self, recipe: &'a Recipe) -> &'a Solver {
        self.solver.as_ref().unwrap_or(&recipe.evaluate.solver)
    }

    /// How the host pairs noise and data, and how many at once.
    pub(crate) fn pairing(&self, batch: usize) -> (CouplingConfig, usize) {
        let coupling = match self.pairs {
            PairsConfig::OtInput {} | PairsConfig::Paired {} => {
                CouplingConfig::OptimalTransport { conditions: thalweg_flow::ConditionRule::default() }
            }
            PairsConfig::OtOutput {} | PairsConfig::Itself { .. } | PairsConfig::Debiased {} => {
                CouplingConfig::default()
            }
        };
        (coupling, self.pairing_batch.unwrap_or(batch))
    }

    pub(crate) fn validate(&self, recipe: &Recipe) -> Result<(), Invalid> {
        let at = |key: &str, message: &str| Err(Invalid::new(format!("flow.objective.{key}"), message));
        let of = |key: &'static str| {
            move |error: FlowError| Invalid::new(format!("flow.objective.{key}"), error.to_string())
        };
        if recipe.from.is_none() {
            let message = "tunes a trained flow: say which with `from.run`";
            return at("kind", message);
        }
        if recipe.flow.coupling != CouplingConfig::default() {
            let message = "reconstructions are paired by `flow.objective.pairs`: remove the coupling";
            return Err(Invalid::new("flow.coupling", message));
        }
        if recipe.train.accumulate > 1 {
            let message = "a batch of reconstructions is paired as a whole: leave it at 1";
            return Err(Invalid::new("train.accumulate", message));
        }
        if recipe.evaluate.guidance != 1.0 {
            let message =
                "reconstructions are tuned without guidance, which would then come on top: set it to 1";
            return Err(Invalid::new("evaluate.guidance", message));
        }
        self.covariance.validate(None).map_err(of("covariance"))?;
        Regularisation::from(self.regularisation).validate().map_err(of("regularisation"))?;
        if let Some(solver) = &self.solver {
            let message = |error| Invalid::new("flow.objective.solver", format!("{error}"));
            solver.validate().map_err(message)?;
        }
        for (key, weight) in [("matching", self.matching), ("anchor", self.anchor)] {
            if !(weight >= 0.0 && weight.is_finite()) {
                return at(key, "a weight must be finite and not negative");
            }
        }
        self.validate_pairs(recipe)
    }

    fn validate_pairs(&self, recipe: &Recipe) -> Result<(), Invalid> {
        let at = |key: &str, message: &str| Err(Invalid::new(format!("flow.objective.{key}"), message));
        let batch = recipe.train.batch;
        let paired_at_once = matches!(self.pairs, PairsConfig::Itself { .. } | PairsConfig::Debiased {});
        match self.pairing_batch {
            Some(_) if paired_at_once => return at("pairing_batch", "these pairs need no larger batch"),
            Some(rows) if rows < batch => return at("pairing_batch", "must be at least `train.batch`"),
            _ => {}
        }
        let condition = &recipe.data.condition;
        match &self.pairs {
            PairsConfig::OtOutput {} if matches!(condition, ConditionConfig::Columns { .. }) => {
                at("pairs", "conditions that are vectors leave nothing to pair; use `paired`")
            }
            PairsConfig::Paired {} if matches!(condition, ConditionConfig::None {}) => {
                at("pairs", "there is no condition to pair by; use another kind of pairs")
            }
            PairsConfig::Debiased {} if !matches!(condition, ConditionConfig::None {}) => {
                at("pairs", "a distance of whole batches does not see conditions; use `self` or `paired`")
            }
            PairsConfig::Debiased {} if self.covariance != Covariance::default() => {
                at("covariance", "a distance of whole batches has no covariance: remove it")
            }
            PairsConfig::Debiased {} if !batch.is_multiple_of(2) => {
                Err(Invalid::new("train.batch", "debiased pairs compare two halves, so it must be even"))
            }
            PairsConfig::Itself { pool, .. } if *pool < batch => {
                at("pairs.pool", "must be at least `train.batch`")
            }
            PairsConfig::Itself { passes: 0, .. } => at("pairs.passes", "must be at least 1"),
            PairsConfig::Itself { solver, .. } => solver
                .validate()
                .map_err(|error| Invalid::new("flow.objective.pairs.solver", error.to_string())),
            _ => Ok(()),
        }
    }
}
