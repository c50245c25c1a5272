//! The data as the finished blocks of a local chain have moved them: what the next block learns from (FORMULAS §7.2).
//!
//! All points are moved once for each block, and kept in the run folder under a fingerprint of all that they depend on, so
//! that a resumed training does not move them again and never uses those of other weights.

use thalweg_data::{Batch, Dataset, Split};
use thalweg_files::Fingerprint;
use thalweg_flow::{Interval, ornstein_uhlenbeck};
use thalweg_nets::Mlp;
use thalweg_noise::Noise;
use thalweg_run::{HostTensor, RunDir, Tensors, Values};
use thalweg_solve::{Placement, Save, Solver, solve_field, to_host};

use super::LocalConfig;
use super::kept::Kept;
use crate::error::TrainError;
use crate::field::{FlowField, Reading};
use crate::objective::{VALIDATION_POINTS, tensor_condition};
use crate::parameters;
use crate::prepare::single;
use crate::recipe::Recipe;
use crate::state::TrainState;
use crate::summary::DataSummary;
use crate::trained::{row_ranges, select};

/// Draws of a set with a formula, where the recipe does not say how many.
const DRAWS: usize = 100_000;

/// Data for a part, and what the user should know of them.
type Found = (Dataset, Option<String>);

/// The data that the present part learns from; none for the first block where it has a network of its own, because it
/// learns from the data themselves.
///
/// # Errors
/// When the data cannot be read, a solve fails, or the disk does.
pub(crate) fn dataset_of(
    (recipe, local): (&Recipe, &LocalConfig),
    dataset: &Dataset,
    summary: &DataSummary,
    run: &RunDir,
    state: &TrainState,
) -> Result<Option<Found>, TrainError> {
    let moving = Moving { recipe, local, summary };
    let kept = Kept { run, recipe, summary };
    let finished = &state.average.finished[..];
    if recipe.shares_weights() {
        let blocks = recipe.part_after(state.step).number;
        return moving.for_all_blocks(dataset, &kept, finished.first(), blocks).map(Some);
    }
    if finished.is_empty() { Ok(None) } else { moving.behind(dataset, &kept, finished).map(Some) }
}

/// How data are moved.
struct Moving<'a> {
    recipe: &'a Recipe,
    local: &'a LocalConfig,
    summary: &'a DataSummary,
}

impl Moving<'_> {
    /// The data behind networks of their own.
    fn behind(&self, dataset: &Dataset, kept: &Kept, finished: &[Mlp]) -> Result<Found, TrainError> {
        let mut points = [self.beginning(dataset)?];
        let names: Vec<String> =
            (0..=finished.len()).map(|blocks| self.fingerprint(&finished[..blocks], blocks)).collect();
        let (known, warning) = kept.load(&names, &mut points);
        let known = known.unwrap_or(0);
        let [mut points] = points;
        for (index, block) in finished.iter().enumerate().skip(known) {
            points = self.pushed(points, block, index + 1)?;
        }
        if known < finished.len() {
            kept.save(&names[finished.len()], std::slice::from_ref(&points))?;
        }
        Ok((dataset.replaced_by(points.training, points.validation), warning))
    }

    /// The data of all blocks so far, each told its block, as one network moves them.
    fn for_all_blocks(
        &self,
        dataset: &Dataset,
        kept: &Kept,
        network: Option<&Mlp>,
        blocks: usize,
    ) -> Result<Found, TrainError> {
        let mut points = vec![self.beginning(dataset)?];
        let mut warning = None;
        if let Some(network) = network {
            let name = self.fingerprint(std::slice::from_ref(network), blocks);
            let mut all = vec![points[0].clone(); blocks];
            let known;
            (known, warning) = kept.load(std::slice::from_ref(&name), &mut all);
            if known.is_some() {
                points = all;
            } else {
                for number in 1..blocks {
                    points.push(self.pushed(points[number - 1].clone(), network, number)?);
                }
                kept.save(&name, &points)?;
            }
        }
        let told = points.into_iter().enumerate().map(|(index, points)| self.told(points, index + 1));
        let together = told.reduce(|first, second| Pushed {
            training: first.training.and(second.training),
            validation: first.validation.zip(second.validation).map(|(a, b)| a.and(b)),
        });
        let Some(Pushed { training, validation }) = together else {
            unreachable!("there is at least one block")
        };
        Ok((dataset.replaced_by(training, validation), warning))
    }

    /// The points before any block.
    fn beginning(&self, dataset: &Dataset) -> Result<Pushed, TrainError> {
        let (seed, wanted) = (self.recipe.seed, self.local.points);
        let rows = match dataset.training_rows() {
            Some(rows) => wanted.map_or(rows, |points| points.min(rows)),
            None => wanted.unwrap_or(DRAWS),
        };
        let mut training = dataset.batch(rows, seed ^ POINTS, 0)?;
        let held_out = dataset
            .held_out_rows(Split::Validation)
            .map_or(VALIDATION_POINTS, |rows| rows.min(VALIDATION_POINTS));
        let mut validation =
            (held_out > 0).then(|| dataset.held_out(Split::Validation, Some(held_out), seed)).transpose()?;
        let time = self.local.smoothing;
        smooth(&mut training.points, time, Noise::at(seed, "local-smoothing", 0));
        if let Some(validation) = &mut validation {
            smooth(&mut validation.points, time, Noise::at(seed, "local-smoothing", 1));
        }
        Ok(Pushed { training, validation })
    }

    /// All points on the other side of block `number`.
    fn pushed(&self, points: Pushed, network: &Mlp, number: usize) -> Result<Pushed, TrainError> {
        let moved = |batch: Batch| -> Result<Batch, TrainError> {
            let told = self.recipe.told(self.summary.condition, &batch.condition, number, batch.rows);
            let points = encoded(network, &self.local.solver, &Batch { condition: told, ..batch.clone() })?;
            Ok(Batch { points, ..batch })
        };
        let validation = points.validation.map(moved).transpose()?;
        Ok(Pushed { training: moved(points.training)?, validation })
    }

    /// The points with the block that they are for beside their conditions.
    fn told(&self, points: Pushed, number: usize) -> Pushed {
        let tell = |batch: Batch| {
            let condition = self.recipe.told(self.summary.condition, &batch.condition, number, batch.rows);
            Batch { condition, ..batch }
        };
        Pushed { training: tell(points.training), validation: points.validation.map(tell) }
    }

    /// Changes with all that points depend on which networks have moved through so many blocks.
    fn fingerprint(&self, networks: &[Mlp], blocks: usize) -> String {
        let mut fingerprint = Fingerprint::default();
        let solver = serde_json::to_string(&self.local.solver).unwrap_or_default();
        fingerprint.bytes(format!("{} {} {solver}", self.recipe.seed, self.summary.fingerprint).as_bytes());
        fingerprint.numbers(&[self.local.smoothing]);
        for network in networks {
            for (name, values) in parameters::by_name(network) {
                fingerprint.bytes(name.as_bytes());
                fingerprint.numbers(&to_host(&values));
            }
        }
        format!("points behind {blocks} blocks, {}", fingerprint.text())
    }
}

/// The points at the data side of a block.
#[derive(Debug, Clone)]
pub(crate) struct Pushed {
    training: Batch,
    validation: Option<Batch>,
}

impl Pushed {
    fn batches(&self) -> impl Iterator<Item = (&'static str, &Batch)> {
        [("training", Some(&self.training)), ("validation", self.validation.as_ref())]
            .into_iter()
            .filter_map(|(name, batch)| Some((name, batch?)))
    }

    /// Adds the coordinates to what is kept.
    pub fn keep(&self, index: usize, tensors: &mut Tensors) {
        for (name, batch) in self.batches() {
            let values = HostTensor::new([batch.rows, batch.dim], single(&batch.points));
            tensors.insert(format!("{name}.{index}"), values);
        }
    }

    /// The same points with the coordinates that were kept; none where these have other shapes.
    pub fn kept(&self, index: usize, tensors: &Tensors) -> Option<Self> {
        let mut found = self.clone();
        for (name, batch) in self.batches() {
            let Values::F32(values) = tensors.get(&format!("{name}.{index}"))?.values() else { return None };
            if values.len() != batch.points.len() {
                return None;
            }
            let points = values.iter().map(|&x| f64::from(x)).collect();
            match name {
                "training" => found.training.points = points,
                _ => found.validation = Some(Batch { points, ..batch.clone() }),
            }
        }
        Some(found)
    }
}

/// Diffuses points for a time.
pub(crate) fn smooth(points: &mut [f64], time: f64, mut noise: Noise) {
    if time > 0.0 {
        let (kept, added) = ornstein_uhlenbeck(time);
        points.iter_mut().for_each(|x| *x = kept * *x + added * noise.normal());
    }
}

/// Where a block takes points of its data side.
fn encoded(network: &Mlp, solver: &Solver, batch: &Batch) -> Result<Vec<f64>, TrainError> {
    let placement = Placement::cpu();
    let mut moved = Vec::with_capacity(batch.points.len());
    for rows in row_ranges(batch.rows) {
        let part = &batch.points[rows.start * batch.dim..rows.end * batch.dim];
        let x = placement.tensor::<2>(part, [rows.len(), batch.dim]);
        let condition = tensor_condition(&select(&batch.condition, &rows), &placement);
        let field = FlowField::new(network, Reading::Plain, &condition, 1.0);
        let solved = solve_field(solver, Interval::UNIT.span().reversed(), x, &Save::End, &field)
            .map_err(|error| TrainError::solve("moving the data through a block", error))?;
        moved.extend(to_host(&solved.state));
    }
    Ok(moved)
}

/// Turns the seed of batches into that of the points which go from block to block.
const POINTS: u64 = 0x6c6f_6361_6c20_7074;
