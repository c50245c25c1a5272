//! All that is learned of a flow: its network, and that of a second stage where it has one.

use burn::module::Module;
use burn::tensor::DType;
use thalweg_nets::{Mlp, Residual};
use thalweg_noise::Noise;
use thalweg_solve::Placement;

use crate::average;
use crate::recipe::Recipe;
use crate::residual::FirstStage;
use crate::summary::DataSummary;

/// The networks of a flow.
#[derive(Module, Debug)]
pub struct Stages {
    /// The velocity of the flow. Its parameters are named without this field's name, whether there is a second stage or
    /// not.
    pub flow: Mlp,
    /// The second stage.
    pub residual: Option<Residual>,
    /// The finished networks of a chain, from the data; the flow is then the one after them, towards the noise. Of a chain
    /// with one network for all blocks, that network as it was when the last block was added.
    pub finished: Vec<Mlp>,
}

impl Stages {
    /// Networks drawn from the seed of `recipe`; the first is `base` where there is one.
    #[must_use]
    pub fn init(recipe: &Recipe, summary: &DataSummary, base: Option<&Mlp>) -> Self {
        let placement = Placement::cpu();
        let flow = base.cloned().unwrap_or_else(|| drawn(recipe, summary, 1));
        let residual = recipe.residual.as_ref().map(|stage| {
            let mut noise = Noise::at(recipe.seed, "residual-weights", 0);
            stage.head.init(&flow, stage.duration, &mut noise, &placement)
        });
        Self { flow, residual, finished: Vec::new() }
    }

    /// Networks of the right shapes for part `number` of a chain, to be filled with weights.
    #[must_use]
    pub(crate) fn shaped(recipe: &Recipe, summary: &DataSummary, number: usize) -> Self {
        let mut stages = Self::init(recipe, summary, None);
        for next in 2..=number {
            stages = stages.followed_by(recipe, drawn(recipe, summary, next));
        }
        stages
    }

    /// The chain that goes on with another network: the present one is finished.
    #[must_use]
    pub(crate) fn followed_by(self, recipe: &Recipe, next: Mlp) -> Self {
        let Self { flow, residual, mut finished } = self;
        if recipe.shares_weights() {
            finished.clear();
        }
        finished.push(flow);
        Self { flow: next, residual, finished }
    }

    /// All of them as leaves of a tape.
    #[must_use]
    pub(crate) fn tracked_together(self) -> Self {
        self.train()
    }

    /// Those that `recipe` learns as leaves of a tape, the others outside of it.
    #[must_use]
    pub fn tracked(self, recipe: &Recipe) -> Self {
        let flow = if flow_is_frozen(recipe) { self.flow } else { self.flow.train() };
        Self { flow, residual: self.residual.map(Module::train), finished: self.finished }
    }

    /// Averages moved towards `model`, which has made `step` steps, those of finished networks only where all are trained
    /// together. What is frozen stays to the last bit.
    #[must_use]
    pub(crate) fn following(self, model: &Self, recipe: &Recipe, step: u64, together: bool) -> Self {
        let config = &recipe.train.average;
        let flow = if flow_is_frozen(recipe) {
            self.flow
        } else {
            average::update(config, self.flow, &model.flow, step)
        };
        let residual = average::update(config, self.residual, &model.residual, step);
        let finished = if together {
            average::update(config, self.finished, &model.finished, step)
        } else {
            self.finished
        };
        Self { flow, residual, finished }
    }

    /// Moves the networks out and leaves some without parameters, only fit to be replaced.
    #[must_use]
    pub fn take(&mut self) -> Self {
        Self {
            flow: self.flow.take(),
            residual: self.residual.as_mut().map(Residual::take),
            finished: std::mem::take(&mut self.finished),
        }
    }

    /// The networks in another precision.
    #[must_use]
    pub fn cast(self, dtype: DType) -> Self {
        Self {
            flow: self.flow.cast(dtype),
            residual: self.residual.map(|residual| residual.cast(dtype)),
            finished: self.finished.into_iter().map(|network| network.cast(dtype)).collect(),
        }
    }

    /// How many numbers are learned in all.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.flow.parameter_count()
            + self.residual.as_ref().map_or(0, Residual::parameter_count)
            + self.finished.iter().map(Mlp::parameter_count).sum::<usize>()
    }
}

/// The network of a part with weights drawn from the seed of `recipe`.
pub(crate) fn drawn(recipe: &Recipe, summary: &DataSummary, number: usize) -> Mlp {
    let mut noise = Noise::at(recipe.seed, "weights", number as u64 - 1);
    let told = recipe.told_spec(summary.condition);
    recipe.model_of(number).init(summary.dim, told, &mut noise, &Placement::cpu())
}

/// Whether a recipe has a second stage and leaves the flow before it as it is.
pub fn flow_is_frozen(recipe: &Recipe) -> bool {
    recipe.residual.as_ref().is_some_and(|stage| stage.first == FirstStage::Frozen)
}

impl From<Mlp> for Stages {
    /// A flow alone.
    fn from(flow: Mlp) -> Self {
        Self { flow, residual: None, finished: Vec::new() }
    }
}
