//! The blocks of a local chain one by one, and the chain as a map from data to noise and back (FORMULAS §7.5).
//!
//! A block is held against its own loss in closed form where the law of the data is known, and what the blocks so far make
//! of held-out data against what the diffusion makes of other held-out data.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use thalweg_data::{Batch, Dataset, Split};
use thalweg_flow::{LocalBlock, LocalSchedule, MixtureComponent, MixtureFlow, Schedule, ornstein_uhlenbeck};
use thalweg_metrics::{Score, chi_squared_to_standard_normal, mean_and_covariance, sliced_wasserstein2};
use thalweg_nets::ConditionSpec;
use thalweg_noise::Noise;
use thalweg_ot::Points;
use thalweg_solve::{Placement, VelocityField as _, to_host};

use super::truth::HeldOut;
use super::{Tally, mean_score, words};
use crate::chain::{LocalConfig, smooth};
use crate::error::TrainError;
use crate::known_law::{components, diffused};
use crate::trained::{TrainedFlow, row_ranges, select};

/// Times at which each held-out point is looked at for the loss of a block.
const TIMES: usize = 4;

/// Points behind the exact loss of a block.
const FLOOR_POINTS: usize = 20_000;
/// Turns a seed into that of their draw.
const FLOORS: u64 = 0x626c_6f63_6b20_666c;
/// Directions of sliced distances.
const SLICES: usize = 128;

/// What is known of one block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockScores {
    /// Its number, from 1 at the data.
    pub number: usize,
    /// The time that it diffuses for; none for the last.
    pub duration: Option<f64>,
    /// Mean squared error of a coordinate of the velocity on held-out points, as the blocks before have moved them, at
    /// uniform times.
    pub loss: f64,
    /// Its standard error.
    pub loss_error: f64,
    /// The same of the exact velocity on the exact law, where the law of the data is known.
    pub loss_floor: Option<f64>,
    /// Sliced W2 between held-out points behind this block and other held-out points behind the diffusion.
    pub distance: f64,
    /// The same between two sets of held-out points behind the diffusion.
    pub distance_floor: f64,
    /// χ² to the standard normal of the Gaussian with the moments of the points behind this block; none where it is
    /// infinite.
    pub chi_squared: Option<f64>,
    /// The same of the points behind the diffusion.
    pub chi_squared_diffused: Option<f64>,
}

/// Scores the blocks, and adds the errors of the round trip and of the noise.
pub(super) fn score(
    tally: &mut Tally,
    flow: &TrainedFlow,
    dataset: &Dataset,
    held_out: &HeldOut,
    seed: u64,
) -> Vec<BlockScores> {
    let Some(local) = &flow.recipe.local else { return Vec::new() };
    let chain = Chain { flow, local, schedule: local.schedule(), dataset, held_out, seed };
    let Some(encoded) = tally.keep("encoded data", chain.encoded()) else { return Vec::new() };
    tally.add("round-trip", chain.round_trip(&encoded));
    // Under conditions there is one law for each, of which these are the mixture.
    let is_told = flow.summary.condition != ConditionSpec::None;
    let known = if is_told { None } else { components(dataset, &flow.summary) };
    let blocks = (1..=local.blocks).map(|number| chain.block(number, &encoded, known.as_deref()));
    tally.keep("scores of blocks", blocks.collect()).unwrap_or_default()
}

/// A chain and the points that it is looked at with.
struct Chain<'a> {
    flow: &'a TrainedFlow,
    local: &'a LocalConfig,
    schedule: LocalSchedule,
    dataset: &'a Dataset,
    held_out: &'a HeldOut,
    seed: u64,
}

impl Chain<'_> {
    /// Held-out points before the first block and behind each.
    fn encoded(&self) -> Result<Vec<Vec<f64>>, TrainError> {
        let mut points = self.held_out.first().clone();
        smooth(&mut points.points, self.local.smoothing, self.noise("smoothing", 0));
        let behind = self.flow.encoded(&points, &self.local.solver)?;
        Ok([vec![points.points], behind].concat())
    }

    /// How far points come back from where they were when they go to the noise and back.
    fn round_trip(&self, encoded: &[Vec<f64>]) -> Result<Score, TrainError> {
        let Batch { dim, condition, .. } = self.held_out.first();
        let (data, noise) = (&encoded[0], &encoded[encoded.len() - 1]);
        let back = self.flow.decoded(noise, condition, &self.local.solver)?;
        let distance =
            |(a, b): (&[f64], &[f64])| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
        let distances: Vec<f64> =
            data.chunks_exact(*dim).zip(back.chunks_exact(*dim)).map(distance).collect();
        let protocol = format!(
            "mean distance between held-out points and where they come back to from the noise side of all blocks, in model \
             units, by {}",
            words(&self.local.solver)
        );
        Ok(mean_score("round-trip", &distances, Some(0.0), protocol)?)
    }

    fn block(
        &self,
        number: usize,
        encoded: &[Vec<f64>],
        known: Option<&[MixtureComponent]>,
    ) -> Result<BlockScores, TrainError> {
        let block = self.local.block(number);
        let dim = self.held_out.first().dim;
        let (loss, loss_error) = self.loss(number, block, &encoded[number - 1])?;
        let floor = known.map(|parts| self.loss_floor(number, block, parts)).transpose()?;
        let [behind, first, second] = [
            encoded[number].clone(),
            self.diffused(number, &self.held_out.pairs[0][0], 1),
            self.diffused(number, &self.held_out.pairs[0][1], 2),
        ];
        let [behind, first, second] = [&behind, &first, &second].map(|points| Points::new(points, dim));
        // The same directions, so that the two can be compared.
        let mut for_slices = [0; 2].map(|index| self.noise("slices", index));
        let moments = |points| -> Result<Option<f64>, TrainError> {
            let found = chi_squared_to_standard_normal(&mean_and_covariance(points)?)?;
            Ok(found.is_finite().then_some(found))
        };
        Ok(BlockScores {
            number,
            duration: block.duration,
            loss,
            loss_error,
            loss_floor: floor,
            distance: sliced_wasserstein2(behind, second, SLICES, &mut for_slices[0])?,
            distance_floor: sliced_wasserstein2(first, second, SLICES, &mut for_slices[1])?,
            chi_squared: moments(behind)?,
            chi_squared_diffused: moments(second)?,
        })
    }

    /// Points as the exact diffusion moves them from the data to behind a block.
    fn diffused(&self, number: usize, batch: &Batch, stream: u64) -> Vec<f64> {
        let mut noise = self.noise("diffused", stream);
        match self.schedule.duration(number) {
            None => noise.normals(batch.points.len()),
            Some(duration) => {
                let mut points = batch.points.clone();
                smooth(&mut points, self.schedule.time_before(number) + duration, noise);
                points
            }
        }
    }

    /// The loss of a block on points of its data side, and its standard error over points.
    fn loss(&self, number: usize, block: LocalBlock, points: &[f64]) -> Result<(f64, f64), TrainError> {
        let dim = self.held_out.first().dim;
        let placement = Placement::cpu();
        let legs = self.flow.legs(&self.local.solver);
        let leg = &legs[legs.len() - number];
        let mut errors = vec![0.0; points.len() / dim];
        let mut noise = self.noise("block-loss", number as u64);
        for _ in 0..TIMES {
            for rows in row_ranges(points.len() / dim) {
                let data: Tensor<2> =
                    placement.tensor(&points[rows.start * dim..rows.end * dim], [rows.len(), dim]);
                let (t, noise) = self.drawn(&placement, &mut noise, [rows.len(), dim]);
                let way = block.sample(noise, data, t);
                let told = select(&self.held_out.first().condition, &rows);
                let field = self.flow.leg_field(leg, (&told, rows.len()), 1.0, &placement);
                let error = (field.velocity(way.t, way.x) - way.velocity).square().mean_dim(1);
                let error = to_host(&error);
                errors[rows].iter_mut().zip(error).for_each(|(sum, e)| *sum += e / TIMES as f64);
            }
        }
        Ok(thalweg_metrics::mean_and_standard_error(&errors)?)
    }

    /// The loss that the exact velocity has on the exact law.
    fn loss_floor(
        &self,
        number: usize,
        block: LocalBlock,
        known: &[MixtureComponent],
    ) -> Result<f64, TrainError> {
        let (rows, dim) = (FLOOR_POINTS, self.held_out.first().dim);
        let before = diffused(known, ornstein_uhlenbeck(self.schedule.time_before(number)));
        let placement = Placement::cpu_double();
        let exact = MixtureFlow::new(Schedule::default(), &before, &placement)?;
        let mut noise = self.noise("block-floor", number as u64);
        let mut data = self.dataset.held_out(Split::Test, Some(rows), self.seed ^ FLOORS)?.points;
        smooth(&mut data, self.schedule.time_before(number), self.noise("floor-diffused", number as u64));
        let (t, noise) = self.drawn(&placement, &mut noise, [rows, dim]);
        let way = block.sample(noise, placement.tensor(&data, [rows, dim]), t.clone());
        let error = exact.velocity_along(&block.at_times(t), way.x) - way.velocity;
        Ok(to_host(&error.square().mean())[0])
    }

    /// Uniform times and normal noise.
    fn drawn(&self, placement: &Placement, noise: &mut Noise, shape: [usize; 2]) -> (Tensor<1>, Tensor<2>) {
        let times: Vec<f64> = (0..shape[0]).map(|_| noise.uniform()).collect();
        (placement.tensor(&times, [shape[0]]), placement.normal(noise, shape))
    }

    fn noise(&self, stream: &'static str, index: u64) -> Noise {
        Noise::at(self.seed, stream, index)
    }
}
