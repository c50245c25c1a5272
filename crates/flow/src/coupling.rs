//! Couplings: which source point goes to which data point within a batch (FORMULAS §2).
//!
//! A coupling returns indices, so that conditions, weights and images follow their data points whatever they are. Exact
//! optimal transport is used as the permutation it is: every point of the batch is kept. Drawing pairs from the plan
//! with replacement, as is often done, drops more than a third of the data of each batch.

mod conditions;
mod pairing;
mod report;

use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;
use thalweg_ot::{Cost, EntropicPlan, Points, Sinkhorn, assign, partial_assign};

use crate::error::require;
use crate::{FlowError, PathConfig};
pub use conditions::{ConditionRule, Conditions};
pub use pairing::{Pairing, Repeats};
pub use report::{BatchBias, BatchCost, plan_entropy};

/// How the points of a source batch and a data batch are paired. Costs are squared Euclidean distances, never rescaled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum CouplingConfig {
    /// Each data point with a source point drawn without looking: a random permutation.
    Independent {},
    /// Source `i` with data `i`: the batches are pairs already, as for rectified flows.
    Paired {},
    /// The cheapest permutation of the batch, exactly. Cubic in the batch at worst.
    OptimalTransport {
        /// What conditions do to the pairing; default: within groups of equal conditions.
        #[serde(default)]
        conditions: ConditionRule,
    },
    /// One data point for each source point, drawn from the entropic plan. Data points may repeat or be left out.
    Sinkhorn {
        /// Entropic weight, in units of the squared distance; default `2σ²` of a Schrödinger-bridge path.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        regularisation: Option<f64>,
        /// What conditions do to the pairing; default: within groups of equal conditions.
        #[serde(default)]
        conditions: ConditionRule,
    },
    /// The cheapest pairing of a part of the batch; the rest is left out of the step.
    Partial {
        /// The share of the smaller batch to pair, in `(0, 1]`, at least one pair; default 0.9.
        #[serde(default = "default_fraction")]
        fraction: f64,
        /// What conditions do to the pairing; default: within groups of equal conditions.
        #[serde(default)]
        conditions: ConditionRule,
    },
    /// As many pairs as source points, drawn from the entropic plan with soft marginals: outliers are drawn rarely.
    Unbalanced {
        /// Entropic weight, in units of the squared distance; default `2σ²` of a Schrödinger-bridge path.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        regularisation: Option<f64>,
        /// Weight of the Kullback–Leibler penalty on each marginal, in units of the squared distance; default 1.
        #[serde(default = "default_penalty")]
        penalty: f64,
        /// What conditions do to the pairing; default: within groups of equal conditions.
        #[serde(default)]
        conditions: ConditionRule,
    },
}

fn default_fraction() -> f64 {
    0.9
}
fn default_penalty() -> f64 {
    1.0
}

impl Default for CouplingConfig {
    /// Independent.
    fn default() -> Self {
        CouplingConfig::Independent {}
    }
}

impl CouplingConfig {
    /// Its name in recipes.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            CouplingConfig::Independent {} => "independent",
            CouplingConfig::Paired {} => "paired",
            CouplingConfig::OptimalTransport { .. } => "optimal-transport",
            CouplingConfig::Sinkhorn { .. } => "sinkhorn",
            CouplingConfig::Partial { .. } => "partial",
            CouplingConfig::Unbalanced { .. } => "unbalanced",
        }
    }

    /// Fills in what `path` decides: the regularisation `2σ²` of a Schrödinger bridge, where none is given.
    ///
    /// The result is what a run folder should record.
    pub fn resolved_for(mut self, path: &PathConfig) -> Result<Self, FlowError> {
        let implied = match path {
            PathConfig::SchroedingerBridge { sigma, .. } => Some(2.0 * sigma * sigma),
            _ => None,
        };
        let coupling = self.name();
        if let CouplingConfig::Sinkhorn { regularisation, .. }
        | CouplingConfig::Unbalanced { regularisation, .. } = &mut self
        {
            *regularisation = regularisation.or(implied);
            if regularisation.is_none() {
                return Err(FlowError::RegularisationMissing { coupling });
            }
        }
        self.validate()?;
        Ok(self)
    }

    /// Checks that every setting is in its documented range.
    pub fn validate(&self) -> Result<(), FlowError> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        match *self {
            CouplingConfig::Independent {}
            | CouplingConfig::Paired {}
            | CouplingConfig::OptimalTransport { .. } => {}
            CouplingConfig::Sinkhorn { regularisation, .. } => {
                let value = regularisation.unwrap_or(1.0);
                let name = "regularisation of the sinkhorn coupling";
                require(positive(value), name, value, "positive and finite")?;
            }
            CouplingConfig::Partial { fraction, .. } => {
                let accepted = 0.0 < fraction && fraction <= 1.0;
                require(accepted, "fraction of the partial coupling", fraction, "above 0 and at most 1")?;
            }
            CouplingConfig::Unbalanced { regularisation, penalty, .. } => {
                let value = regularisation.unwrap_or(1.0);
                let name = "regularisation of the unbalanced coupling";
                require(positive(value), name, value, "positive and finite")?;
                require(
                    positive(penalty),
                    "penalty of the unbalanced coupling",
                    penalty,
                    "positive and finite",
                )?;
            }
        }
        self.condition_rule().validate()
    }

    /// What conditions do to this coupling.
    fn condition_rule(&self) -> ConditionRule {
        match *self {
            CouplingConfig::Independent {} | CouplingConfig::Paired {} => ConditionRule::Ignore {},
            CouplingConfig::OptimalTransport { conditions }
            | CouplingConfig::Sinkhorn { conditions, .. }
            | CouplingConfig::Partial { conditions, .. }
            | CouplingConfig::Unbalanced { conditions, .. } => conditions,
        }
    }

    /// The source index of each of `n` data points, for couplings that need no look at the points; `None` for others.
    ///
    /// Saves training on large points the way to the host.
    #[must_use]
    pub fn blind_sources(&self, n: usize, noise: &mut Noise) -> Option<Vec<usize>> {
        match self {
            CouplingConfig::Independent {} => Some(noise.permutation(n)),
            CouplingConfig::Paired {} => Some((0..n).collect()),
            _ => None,
        }
    }

    /// Pairs the points of `x0` with those of `x1`, whose conditions are `conditions`.
    ///
    /// Where conditions matter, source `i` is given the condition of data point `i` *before* pairing, so batches must
    /// then be of equal size. Fails when the sizes do not suit the coupling or a cost is not finite.
    pub fn pair(
        &self,
        x0: Points,
        x1: Points,
        conditions: Conditions,
        noise: &mut Noise,
    ) -> Result<Pairing, FlowError> {
        self.validate()?;
        conditions.check(x1.len())?;
        self.check_batches(x0, x1, conditions)?;
        let n = x1.len();
        let (source, target) = match self.blind_sources(n, noise) {
            Some(source) => (source, (0..n).collect()),
            None => self.transport(x0, x1, conditions, noise)?,
        };
        Ok(Pairing::new(source, target, x0, x1))
    }

    /// Pairs that depend on the cost, group by group.
    fn transport(
        &self,
        x0: Points,
        x1: Points,
        conditions: Conditions,
        noise: &mut Noise,
    ) -> Result<(Vec<usize>, Vec<usize>), FlowError> {
        let rule = self.condition_rule();
        let (mut source, mut target) = (Vec::new(), Vec::new());
        for group in rule.groups(x0.len(), conditions, x1.len()) {
            let cost = rule.cost(x0, x1, conditions, &group);
            for (i, j) in self.pairs_of(&cost, noise)? {
                source.push(group.sources[i]);
                target.push(group.targets[j]);
            }
        }
        Ok((source, target))
    }

    fn check_batches(&self, x0: Points, x1: Points, conditions: Conditions) -> Result<(), FlowError> {
        let keeps_every_point =
            matches!(self, Self::Independent {} | Self::Paired {} | Self::OptimalTransport { .. });
        let heeds_conditions = self.condition_rule().heeds(conditions);
        let expected = if x0.dim() != x1.dim() {
            "both sides must have the same dimension"
        } else if x0.is_empty() || x1.is_empty() {
            "both sides need at least one point"
        } else if keeps_every_point && x0.len() != x1.len() {
            "this coupling keeps every point, so both sides must be of equal size"
        } else if heeds_conditions && x0.len() != x1.len() {
            "with conditions each source takes that of a data point, so both sides must be of equal size"
        } else {
            return Ok(());
        };
        let (sources, source_dim, targets, target_dim) = (x0.len(), x0.dim(), x1.len(), x1.dim());
        Err(FlowError::Batches { sources, source_dim, targets, target_dim, expected })
    }

    /// Pairs of rows and columns of one cost matrix.
    fn pairs_of(&self, cost: &Cost, noise: &mut Noise) -> Result<Vec<(usize, usize)>, FlowError> {
        match *self {
            CouplingConfig::Independent {} | CouplingConfig::Paired {} => {
                unreachable!("couplings that look at no cost are settled before")
            }
            CouplingConfig::OptimalTransport { .. } => {
                Ok(assign(cost)?.target_of.into_iter().enumerate().collect())
            }
            CouplingConfig::Partial { fraction, .. } => {
                let smaller = cost.rows().min(cost.cols());
                let mass = (fraction * smaller as f64).round().max(1.0) as usize;
                Ok(partial_assign(cost, mass)?.pairs)
            }
            CouplingConfig::Sinkhorn { regularisation, .. } => {
                let plan = self.plan(cost, regularisation, None)?;
                Ok(plan.sample_targets(noise).into_iter().enumerate().collect())
            }
            CouplingConfig::Unbalanced { regularisation, penalty, .. } => {
                let plan = self.plan(cost, regularisation, Some(penalty))?;
                Ok(pairs_of_plan(&plan, cost, noise))
            }
        }
    }

    fn plan<'a>(
        &self,
        cost: &'a Cost,
        regularisation: Option<f64>,
        marginal_penalty: Option<f64>,
    ) -> Result<EntropicPlan<'a>, FlowError> {
        let regularisation =
            regularisation.ok_or(FlowError::RegularisationMissing { coupling: self.name() })?;
        let sinkhorn = Sinkhorn { regularisation, marginal_penalty, tolerance: 1e-3, max_iterations: 2_000 };
        let plan = sinkhorn.solve_uniform(cost)?;
        // About one pair is drawn from each row: marginals right to a percent are far below the noise of that.
        if plan.marginal_error > 1e-2 {
            return Err(FlowError::SinkhornUnfinished {
                iterations: plan.iterations,
                marginal_error: plan.marginal_error,
                regularisation,
            });
        }
        Ok(plan)
    }
}

/// As many pairs as the plan has rows, each with probability proportional to its mass. Rows are drawn systematically:
/// a row of `m` times the average mass occurs `⌊m⌋` or `⌈m⌉` times.
fn pairs_of_plan(plan: &EntropicPlan, cost: &Cost, noise: &mut Noise) -> Vec<(usize, usize)> {
    let (rows, cols) = (cost.rows(), cost.cols());
    let masses: Vec<f64> = (0..rows).map(|i| (0..cols).map(|j| plan.mass(i, j)).sum()).collect();
    let spacing = masses.iter().sum::<f64>() / rows as f64;
    let mut next = noise.uniform() * spacing;
    let mut reached = 0.0;
    let mut pairs = Vec::with_capacity(rows);
    for (i, mass) in masses.iter().enumerate() {
        reached += mass;
        let row = plan.row(i);
        while next < reached && pairs.len() < rows {
            pairs.push((i, noise.choose(&row)));
            next += spacing;
        }
    }
    pairs
}
