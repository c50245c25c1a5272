//! All that a training changes from step to step, and its way into a checkpoint and back.

use std::collections::BTreeMap;

use thalweg_nets::Mlp;
use thalweg_run::{Checkpoint, CheckpointState, Tensors};
use thalweg_solve::Placement;

use crate::chain::Role;
use crate::error::TrainError;
use crate::guard::{Best, Look, Watch};
use crate::optimizer::Optimizer;
use crate::parameters::{self, ByName};
use crate::recipe::Recipe;
use crate::stages::{self, Stages};
use crate::summary::DataSummary;

/// The state of a training after `step` steps. With the recipe and the data it determines all that follows.
#[derive(Debug, Clone)]
pub struct TrainState {
    /// The networks that are trained; the parameters that are learned are leaves of a tape.
    pub model: Stages,
    /// The moving average of its weights, outside any tape.
    pub average: Stages,
    /// The optimiser's moments.
    pub optimizer: Optimizer,
    /// Optimiser steps made.
    pub step: u64,
    /// The training curve since its last entry.
    pub window: LossWindow,
    /// What the guard of a fine-tuning has seen.
    pub watch: Watch,
}

/// The losses since the last entry of the training curve, and the lowest entry so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossWindow {
    /// Sum of the losses.
    pub sum: f64,
    /// Their number.
    pub count: u64,
    /// The lowest mean of a whole window; infinite before the first.
    pub lowest: f64,
}

impl Default for LossWindow {
    fn default() -> Self {
        Self { sum: 0.0, count: 0, lowest: f64::INFINITY }
    }
}

impl TrainState {
    /// The start of a training: the weights of `base`, or else weights drawn from the recipe's seed.
    #[must_use]
    pub fn new(recipe: &Recipe, summary: &DataSummary, base: Option<&Mlp>) -> Self {
        let average = Stages::init(recipe, summary, base);
        Self {
            model: average.clone().tracked(recipe),
            average,
            optimizer: Optimizer::new(recipe.train.optimizer.clone()),
            step: 0,
            window: LossWindow::default(),
            watch: Watch::default(),
        }
    }

    /// Goes on with the next network of a chain: `start`, or else the present weights where the recipe says so, or else
    /// drawn ones. After the last of them, goes on with all together.
    pub(crate) fn next_part(&mut self, recipe: &Recipe, summary: &DataSummary, start: Option<Mlp>) {
        self.optimizer = Optimizer::new(recipe.train.optimizer.clone());
        self.window = LossWindow::default();
        let present = self.average.take();
        if recipe.part_after(self.step).role == Role::Students {
            self.average = present;
            self.model = self.average.clone().tracked_together();
            return;
        }
        let warm = recipe.local.as_ref().is_some_and(|local| local.warm_start);
        let number = recipe.part_after(self.step).number;
        let next = match start {
            Some(start) => start,
            None if warm => present.flow.clone(),
            None => stages::drawn(recipe, summary, number),
        };
        self.average = present.followed_by(recipe, next);
        self.model = self.average.clone().tracked(recipe);
    }

    /// Puts the best weights that the guard has seen in the place of the average.
    pub fn keep_best(&mut self) {
        if let Some(best) = &self.watch.best {
            let average = self.average.clone();
            self.average =
                parameters::map(average, |name, old| best.weights.get(name).cloned().unwrap_or(old));
        }
    }

    /// The averaged weights by name.
    #[must_use]
    pub fn average_by_name(&self) -> ByName {
        parameters::by_name(&self.average)
    }

    /// The checkpoint of this state.
    #[must_use]
    pub fn to_checkpoint(&self, recipe: &Recipe, summary: &DataSummary) -> Checkpoint {
        let mut shapes = BTreeMap::new();
        parameters::for_each(&self.model, |name, shape, _| {
            shapes.insert(name.to_string(), shape.to_vec());
        });
        let mut optimizer = Tensors::new();
        for (prefix, moments) in [("exp_avg", &self.optimizer.first), ("exp_avg_sq", &self.optimizer.second)]
        {
            for (name, moment) in moments {
                if let Some(shape) = shapes.get(name) {
                    optimizer.insert(format!("{prefix}.{name}"), parameters::host_tensor(moment, shape));
                }
            }
        }
        if let Some(best) = &self.watch.best {
            for (name, weights) in &best.weights {
                if let Some(shape) = shapes.get(name) {
                    optimizer.insert(format!("best.{name}"), parameters::host_tensor(weights, shape));
                }
            }
        }
        let mut state = checkpoint_state(recipe, summary, self.step, architecture(recipe, summary));
        state.counters = BTreeMap::from([
            ("optimizer_updates".to_string(), self.optimizer.updates),
            ("loss_sum_bits".to_string(), self.window.sum.to_bits()),
            ("loss_count".to_string(), self.window.count),
            ("loss_lowest_bits".to_string(), self.window.lowest.to_bits()),
        ]);
        state.counters.extend(watch_counters(&self.watch));
        Checkpoint {
            model: parameters::to_host(&self.model),
            average: parameters::to_host(&self.average),
            optimizer,
            state,
        }
    }

    /// The state that a checkpoint holds.
    ///
    /// # Errors
    /// When the checkpoint is of another network, or was trained on other data.
    pub fn from_checkpoint(
        recipe: &Recipe,
        summary: &DataSummary,
        checkpoint: &Checkpoint,
    ) -> Result<Self, TrainError> {
        let saved = &checkpoint.state;
        saved.require_architecture(&architecture(recipe, summary))?;
        if saved.data_fingerprint != summary.fingerprint {
            return Err(TrainError::DataChanged {
                found: summary.fingerprint.clone(),
                expected: saved.data_fingerprint.clone(),
            });
        }
        let mut state = Self::new(recipe, summary, None);
        let part = recipe.part_after(saved.step);
        if part.number > 1 {
            let together = part.role == Role::Students;
            state.average = Stages::shaped(recipe, summary, part.number.min(recipe.parts()));
            let model = state.average.clone();
            state.model = if together { model.tracked_together() } else { model.tracked(recipe) };
        }
        let mut best = ByName::new();
        state.model = parameters::load(state.model, &checkpoint.model)?;
        state.average = parameters::load(state.average, &checkpoint.average)?;
        let placement = Placement::cpu();
        for (name, tensor) in checkpoint.optimizer.iter() {
            let value = parameters::from_host(tensor, &placement);
            if let Some(name) = name.strip_prefix("best.") {
                best.insert(name.to_string(), value);
            } else if let Some(name) = name.strip_prefix("exp_avg_sq.") {
                state.optimizer.second.insert(name.to_string(), value);
            } else if let Some(name) = name.strip_prefix("exp_avg.") {
                state.optimizer.first.insert(name.to_string(), value);
            }
        }
        let counter = |name: &str| saved.counters.get(name).copied();
        state.step = saved.step;
        state.optimizer.updates = counter("optimizer_updates").unwrap_or(saved.step);
        state.window = LossWindow {
            sum: counter("loss_sum_bits").map_or(0.0, f64::from_bits),
            count: counter("loss_count").unwrap_or(0),
            lowest: counter("loss_lowest_bits").map_or(f64::INFINITY, f64::from_bits),
        };
        state.watch = watch_of(&saved.counters, best);
        Ok(state)
    }
}

/// What the guard has seen, as counters of a checkpoint; nothing where nothing was seen.
fn watch_counters(watch: &Watch) -> Vec<(String, u64)> {
    let (Some(first), Some(best)) = (watch.first, &watch.best) else { return Vec::new() };
    let mut counters = vec![
        ("guard_first_distance_bits", first.distance.to_bits()),
        ("guard_first_variance_ratio_bits", first.variance_ratio.to_bits()),
        ("guard_best_distance_bits", best.distance.to_bits()),
        ("guard_best_step", best.step),
        ("guard_waited", watch.waited),
        ("guard_ended", u64::from(watch.ended)),
        ("guard_warned", u64::from(watch.warned)),
    ];
    counters.extend(watch.alone.map(|distance| ("guard_alone_bits", distance.to_bits())));
    counters
        .extend(first.condition_spread.map(|spread| ("guard_first_condition_spread_bits", spread.to_bits())));
    counters.into_iter().map(|(name, count)| (name.to_string(), count)).collect()
}

/// The inverse of [`watch_counters`].
fn watch_of(counters: &BTreeMap<String, u64>, weights: ByName) -> Watch {
    let count = |name: &str| counters.get(name).copied();
    let number = |name: &str| count(name).map(f64::from_bits);
    let (Some(distance), Some(step)) = (number("guard_best_distance_bits"), count("guard_best_step")) else {
        return Watch::default();
    };
    let first = Look {
        distance: number("guard_first_distance_bits").unwrap_or(distance),
        variance_ratio: number("guard_first_variance_ratio_bits").unwrap_or(1.0),
        condition_spread: number("guard_first_condition_spread_bits"),
    };
    Watch {
        first: Some(first),
        alone: number("guard_alone_bits"),
        best: Some(Best { distance, step, weights }),
        waited: count("guard_waited").unwrap_or(0),
        ended: count("guard_ended") == Some(1),
        warned: count("guard_warned") == Some(1),
    }
}

/// A checkpoint that holds weights and nothing to go on with.
#[must_use]
pub fn weights_only(recipe: &Recipe, summary: &DataSummary, step: u64, network: &Mlp) -> Checkpoint {
    Checkpoint {
        model: parameters::to_host(network),
        average: parameters::to_host(network),
        optimizer: Tensors::new(),
        state: checkpoint_state(recipe, summary, step, flow_architecture(recipe, summary)),
    }
}

fn checkpoint_state(
    recipe: &Recipe,
    summary: &DataSummary,
    step: u64,
    architecture: String,
) -> CheckpointState {
    CheckpointState::new(step, recipe.seed, summary.fingerprint.clone(), architecture)
}

/// What two flows must share for the weights of one to fit the other.
#[must_use]
pub fn architecture(recipe: &Recipe, summary: &DataSummary) -> String {
    let flow = flow_architecture(recipe, summary);
    if recipe.is_chain() {
        let widths: Vec<usize> = (1..=recipe.parts()).map(|number| recipe.model_of(number).width).collect();
        let weights = if recipe.shares_weights() { ", one network for all" } else { "" };
        return format!("chain of widths {widths:?}{weights}, {flow}");
    }
    match &recipe.residual {
        None => flow,
        Some(stage) => {
            let head = serde_json::to_string(&stage.head).unwrap_or_default();
            format!("{flow}, then {head} for {}", stage.duration)
        }
    }
}

/// The same of the flow without its second stage.
#[must_use]
pub fn flow_architecture(recipe: &Recipe, summary: &DataSummary) -> String {
    let model = serde_json::to_string(&recipe.model).unwrap_or_default();
    let condition = serde_json::to_string(&summary.condition).unwrap_or_default();
    format!("mlp {model} for {} coordinates, condition {condition}", summary.dim)
}
