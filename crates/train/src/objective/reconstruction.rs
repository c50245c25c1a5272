//! The loss of reconstructions: solve from noise as inference does, and compare the ends with data.

use burn::module::Module as _;
use burn::tensor::Tensor;
use thalweg_flow::{ConditionRule, Conditions, CouplingConfig, Reconstruction, debiased_distance};
use thalweg_nets::Mlp;
use thalweg_noise::Noise;
use thalweg_ot::Points;
use thalweg_solve::{Save, SolveError};

use super::{Objective, failed, tensor_condition};
use crate::error::TrainError;
use crate::finetune::{PairsConfig, ReconstructionConfig};
use crate::inference::Inference;
use crate::parameters::{self, ByName};
use crate::prepare::{PreparedStep, conditions, gather};
use crate::recipe::Recipe;
use crate::stages::Stages;
use crate::summary::DataSummary;

/// What fine-tuning needs beside the model.
#[derive(Debug)]
pub struct Tuning<'a> {
    config: &'a ReconstructionConfig,
    reconstruction: Reconstruction,
    inference: Inference<'a>,
    /// The network that the run started from.
    base: Mlp,
}

impl<'a> Tuning<'a> {
    pub fn new(
        (recipe, summary): (&'a Recipe, &'a DataSummary),
        config: &'a ReconstructionConfig,
        base: Mlp,
    ) -> Self {
        let reconstruction = Reconstruction {
            solver: config.solver(recipe).clone(),
            interval: recipe.flow.path.interval(),
            regularisation: config.regularisation.into(),
        };
        Self { config, reconstruction, inference: Inference { recipe, summary }, base }
    }

    /// Adds the weighted squared distance from the weights at the start to a loss and its gradients.
    fn anchor(&self, model: &Stages, loss: f64, mut gradients: ByName) -> (f64, ByName) {
        let weight = self.config.anchor;
        if weight == 0.0 {
            return (loss, gradients);
        }
        let mut start = parameters::by_name(&self.base);
        let mut squares = 0.0;
        parameters::for_each(model, |name, _, value| {
            let Some(start) = start.remove(name) else { return };
            let away = value - start;
            squares += away.clone().square().sum().into_scalar::<f64>();
            let pull = away.mul_scalar(2.0 * weight);
            let total = match gradients.remove(name) {
                Some(gradient) => gradient + pull,
                None => pull,
            };
            gradients.insert(name.to_string(), total);
        });
        (loss + weight * squares, gradients)
    }
}

impl Objective<'_> {
    /// The loss of a step and its gradients.
    pub(super) fn tuned(
        &self,
        tuning: &Tuning,
        model: &Stages,
        prepared: &PreparedStep,
        noise: &mut Noise,
    ) -> Result<(f64, ByName), TrainError> {
        let pairs = self.chosen(tuning, model, prepared, self.recipe.train.batch, noise)?;
        let dropout = self.recipe.model.condition_dropout;
        let loss = self.tuning_loss(tuning, model, &pairs, dropout, noise)?;
        let value = loss.clone().into_scalar::<f64>();
        let mut gradients = loss.backward();
        Ok(tuning.anchor(model, value, parameters::take_gradients(model, &mut gradients)))
    }

    /// Minus the log-likelihood of the data of some pairs given their noise, and what else the recipe asks for.
    pub(super) fn tuning_loss(
        &self,
        tuning: &Tuning,
        model: &Stages,
        pairs: &PreparedStep,
        dropout: f64,
        noise: &mut Noise,
    ) -> Result<Tensor<1>, TrainError> {
        let shape = [pairs.pairs, pairs.dim];
        let x0 = self.placement.tensor_f32::<2>(pairs.source.clone(), shape);
        let x1 = self.placement.tensor_f32::<2>(pairs.target.clone(), shape);
        // Inference tells the condition, so it is never left out here.
        let field = self.field(model, &pairs.condition, 0.0, noise);
        let reconstructed = tuning.reconstruction.solve(&field, x0, noise).map_err(failed)?;
        let mut x = reconstructed.x;
        let stage = model.residual.as_ref().zip(self.recipe.residual.as_ref());
        if let Some((residual, stage)) = stage {
            let told = tensor_condition(&pairs.condition, &self.placement);
            let end = stage.solve(residual, &told, x, &Save::End);
            x = end.map_err(|error| failed(error.without_state()))?.state;
        }
        let mut loss = match tuning.config.pairs {
            PairsConfig::Debiased {} => debiased_distance(&x, &x1)?,
            _ => tuning.config.covariance.loss(x - x1),
        };
        if let Some(penalty) = stage.and_then(|(residual, _)| residual.penalty()) {
            loss = loss + penalty;
        }
        if let Some(penalty) = reconstructed.penalty {
            loss = loss + penalty;
        }
        if tuning.config.matching > 0.0 {
            loss = loss + self.matching_loss(model, pairs, dropout, noise) * tuning.config.matching;
        }
        Ok(loss)
    }

    /// The pairs that a step uses of those that were prepared: `rows` of them, paired by reconstructions if asked for.
    pub(super) fn chosen(
        &self,
        tuning: &Tuning,
        model: &Stages,
        prepared: &PreparedStep,
        rows: usize,
        noise: &mut Noise,
    ) -> Result<PreparedStep, TrainError> {
        if tuning.config.pairs != (PairsConfig::OtOutput {}) {
            return Ok(prepared.clone());
        }
        let dim = prepared.dim;
        let source: Vec<f64> = prepared.source.iter().map(|&x| f64::from(x)).collect();
        let solver = &tuning.reconstruction.solver;
        let ends = tuning
            .inference
            .ends(&model.valid(), solver, &source, &prepared.condition)
            .map_err(|error: SolveError<()>| failed(error))?;
        let targets: Vec<f64> = prepared.target.iter().map(|&x| f64::from(x)).collect();
        let coupling = CouplingConfig::OptimalTransport { conditions: ConditionRule::default() };
        let told: Conditions = conditions(&prepared.condition);
        let pairing = coupling.pair(Points::new(&ends, dim), Points::new(&targets, dim), told, noise)?;
        let mut order = noise.permutation(pairing.len());
        order.truncate(rows);
        let pick = |indices: &[usize]| order.iter().map(|&k| indices[k]).collect::<Vec<usize>>();
        let (sources, targets) = (pick(&pairing.source), pick(&pairing.target));
        Ok(PreparedStep { source: gather(&prepared.source, dim, &sources), ..prepared.select(&targets) })
    }
}
