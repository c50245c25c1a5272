//! The data as the finished blocks of a local chain have moved them: what the next block learns from (FORMULAS §7.2).
//!
//! All points are moved once for each block, and kept in the run folder under a fingerprint of all that they depend on, so
//! that a resumed training does not move them again and never uses those of other weights.

use thalweg_data::{Batch, Dataset, Split};
use thalweg_files::Fingerprint;
use thalweg_flow::{Interval, ornstein_uhlenbeck};
use thalweg_nets::Mlp;
use thalweg_noise::Noise;
use thalweg_run::{Checkpoint, CheckpointState, HostTensor, RunDir, Tensors, Values};
use thalweg_solve::{Placement, Save, Solver, solve_field, to_host};

use super::LocalConfig;
use crate::error::TrainError;
use crate::field::{FlowField, Reading};
use crate::objective::{VALIDATION_POINTS, tensor_condition};
use crate::parameters;
use crate::prepare::single;
use crate::recipe::Recipe;
use crate::summary::DataSummary;
use crate::trained::{row_ranges, select};

/// Draws of a set with a formula, where the recipe does not say how many.
const DRAWS: usize = 100_000;

/// The points behind some finished blocks.
struct Pushed {
    training: Batch,
    validation: Option<Batch>,
}

/// The data that the block after the `finished` ones learns from, and what the user should know; none for the first block,
/// which learns from the data themselves.
///
/// # Errors
/// When the data cannot be read, a solve fails, or the disk does.
pub(crate) fn dataset_of(
    (recipe, local): (&Recipe, &LocalConfig),
    dataset: &Dataset,
    summary: &DataSummary,
    run: &RunDir,
    finished: &[Mlp],
) -> Result<Option<(Dataset, Option<String>)>, TrainError> {
    if finished.is_empty() {
        return Ok(None);
    }
    let mut points = beginning(recipe, local, dataset)?;
    let fingerprints: Vec<String> =
        (0..=finished.len()).map(|blocks| fingerprint(recipe, local, summary, &finished[..blocks])).collect();
    let kept = run.read_made();
    let mut warning = None;
    let mut known = 0;
    match &kept {
        Ok(Some(made)) => match fingerprints.iter().rposition(|text| *text == made.state.architecture) {
            Some(blocks) if points.load(&made.model) => known = blocks,
            _ => {
                warning = Some(
                    "the points that were kept were moved by other weights: they are moved again".to_string(),
                );
            }
        },
        Ok(None) => {}
        Err(error) => warning = Some(format!("the points that were kept are moved again: {error}")),
    }
    for block in &finished[known..] {
        points.push(block, &local.solver)?;
    }
    if known < finished.len() {
        let architecture = fingerprints.last().cloned().unwrap_or_default();
        let state = CheckpointState::new(0, recipe.seed, summary.fingerprint.clone(), architecture);
        let made =
            Checkpoint { model: points.tensors(), average: Tensors::new(), optimizer: Tensors::new(), state };
        run.save_made(&made)?;
    }
    Ok(Some((dataset.replaced_by(points.training, points.validation), warning)))
}

/// The points before any block.
fn beginning(recipe: &Recipe, local: &LocalConfig, dataset: &Dataset) -> Result<Pushed, TrainError> {
    let seed = recipe.seed;
    let rows = match (dataset.training_rows(), local.points) {
        (Some(rows), points) => points.map_or(rows, |points| points.min(rows)),
        (None, points) => points.unwrap_or(DRAWS),
    };
    let mut training = dataset.batch(rows, seed ^ POINTS, 0)?;
    let held_out = dataset
        .held_out_rows(Split::Validation)
        .map_or(VALIDATION_POINTS, |rows| rows.min(VALIDATION_POINTS));
    let mut validation =
        (held_out > 0).then(|| dataset.held_out(Split::Validation, Some(held_out), seed)).transpose()?;
    smooth(&mut training.points, local.smoothing, Noise::at(seed, "local-smoothing", 0));
    if let Some(validation) = &mut validation {
        smooth(&mut validation.points, local.smoothing, Noise::at(seed, "local-smoothing", 1));
    }
    Ok(Pushed { training, validation })
}

/// Diffuses points for a time.
pub(crate) fn smooth(points: &mut [f64], time: f64, mut noise: Noise) {
    if time > 0.0 {
        let (kept, added) = ornstein_uhlenbeck(time);
        points.iter_mut().for_each(|x| *x = kept * *x + added * noise.normal());
    }
}

impl Pushed {
    fn batches(&mut self) -> impl Iterator<Item = (&'static str, &mut Batch)> {
        [("training", Some(&mut self.training)), ("validation", self.validation.as_mut())]
            .into_iter()
            .filter_map(|(name, batch)| Some((name, batch?)))
    }

    /// Moves all points from the data side of a block to its other side.
    fn push(&mut self, block: &Mlp, solver: &Solver) -> Result<(), TrainError> {
        for (_, batch) in self.batches() {
            batch.points = encoded(block, solver, batch)?;
        }
        Ok(())
    }

    fn tensors(&mut self) -> Tensors {
        let mut tensors = Tensors::new();
        for (name, batch) in self.batches() {
            tensors.insert(name, HostTensor::new([batch.rows, batch.dim], single(&batch.points)));
        }
        tensors
    }

    /// Takes over what was kept, if it is of the same shapes.
    fn load(&mut self, tensors: &Tensors) -> bool {
        let values = |name: &str, batch: &Batch| {
            let Values::F32(values) = tensors.get(name)?.values() else { return None };
            (values.len() == batch.points.len()).then(|| values.iter().map(|&x| f64::from(x)).collect())
        };
        let found: Option<Vec<Vec<f64>>> = self.batches().map(|(name, batch)| values(name, batch)).collect();
        let Some(found) = found else { return false };
        self.batches().zip(found).for_each(|((_, batch), points)| batch.points = points);
        true
    }
}

/// Where a block takes points of its data side.
fn encoded(block: &Mlp, solver: &Solver, batch: &Batch) -> Result<Vec<f64>, TrainError> {
    let placement = Placement::cpu();
    let mut moved = Vec::with_capacity(batch.points.len());
    for rows in row_ranges(batch.rows) {
        let x = placement.tensor::<2>(
            &batch.points[rows.start * batch.dim..rows.end * batch.dim],
            [rows.len(), batch.dim],
        );
        let condition = tensor_condition(&select(&batch.condition, &rows), &placement);
        let field = FlowField::new(block, Reading::Plain, &condition, 1.0);
        let solved = solve_field(solver, Interval::UNIT.span().reversed(), x, &Save::End, &field)
            .map_err(|error| TrainError::solve("moving the data through a block", error))?;
        moved.extend(to_host(&solved.state));
    }
    Ok(moved)
}

/// Changes with all that points behind these blocks depend on.
fn fingerprint(recipe: &Recipe, local: &LocalConfig, summary: &DataSummary, blocks: &[Mlp]) -> String {
    let mut fingerprint = Fingerprint::default();
    let solver = serde_json::to_string(&local.solver).unwrap_or_default();
    fingerprint.bytes(format!("{} {} {solver}", recipe.seed, summary.fingerprint).as_bytes());
    fingerprint.numbers(&[local.smoothing]);
    for block in blocks {
        for (name, values) in parameters::by_name(block) {
            fingerprint.bytes(name.as_bytes());
            fingerprint.numbers(&to_host(&values));
        }
    }
    format!("points behind {} blocks, {}", blocks.len(), fingerprint.text())
}

/// Turns the seed of batches into that of the points which go from block to block.
const POINTS: u64 = 0x6c6f_6361_6c20_7074;
