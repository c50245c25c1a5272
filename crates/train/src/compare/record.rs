//! `cell.json`, what came of a cell, and `plan.json`, what it was begun with.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thalweg_files::write_atomically;
use thalweg_metrics::Score;
use thalweg_run::RunDir;

use super::plan::{CellId, ComparisonPlan};
use crate::error::TrainError;
use crate::evaluate::{CurvePoint, EvaluateOptions, distance_by_steps, evaluate, write_scores};
use crate::report::training::History;
use crate::report::write_report;
use crate::session::Session;

/// `cell.json`: the last file of a cell to be written, so that a cell which has one is finished.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellRecord {
    /// The program and its version.
    pub created_by: String,
    /// The data set.
    pub set: String,
    /// The method.
    pub method: String,
    /// The seed of training and evaluation.
    pub seed: u64,
    /// Changes with everything that the result depends on.
    pub fingerprint: String,
    /// What came of it.
    pub result: CellResult,
}

/// What came of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CellResult {
    /// It was trained and measured.
    Done(CellScores),
    /// It was not, and would not be if it were tried again.
    Failed {
        /// Why.
        reason: String,
    },
}

/// What was measured of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellScores {
    /// The scores of an ordinary evaluation, by the solver of the recipe; evaluations of the network among them.
    pub scores: Vec<Score>,
    /// Parameters of what samples.
    pub parameters: usize,
    /// Seconds of training, of all stages together.
    pub seconds: f64,
    /// Each training.
    pub stages: Vec<StageRecord>,
    /// The distance of the figures by fixed numbers of Euler steps.
    pub curve: Vec<CurvePoint>,
    /// What is missing, and what to know before trusting the rest.
    pub warnings: Vec<String>,
}

/// One training of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageRecord {
    /// Steps that were made: fewer than planned where a guard ended it.
    pub steps: u64,
    /// Seconds that they took, with checkpoints and looks at held-out points, without pauses.
    pub seconds: f64,
    /// How the number of planned steps was found, where the budget is in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
}

/// A short training that tells how many steps fit into a budget of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Seconds until the first step was made.
    pub start: f64,
    /// Steps that were timed.
    pub timed: u64,
    /// Seconds that one of them took.
    pub seconds_per_step: f64,
    /// Steps of the training, therefore.
    pub steps: u64,
}

/// `plan.json`: what a cell was begun with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellPlan {
    /// Changes with everything that the result depends on.
    pub fingerprint: String,
    /// A trial for each stage that was begun, where the budget is in seconds.
    pub trials: Vec<Trial>,
}

impl ComparisonPlan {
    /// The record of a cell, where it is finished.
    ///
    /// # Errors
    /// A file that cannot be read, and one that was made by another recipe.
    pub fn read_record(&self, cell: CellId, root: &Path) -> Result<Option<CellRecord>, TrainError> {
        let path = self.record_path(cell, root);
        let Some(record) = read_json::<CellRecord>(&path)? else { return Ok(None) };
        self.require(cell, &record.fingerprint, &path)?;
        Ok(Some(record))
    }

    /// Writes the record of a cell.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn write_record(&self, cell: CellId, root: &Path, result: CellResult) -> Result<(), TrainError> {
        let [set, method] = self.names(cell).map(str::to_string);
        let fingerprint = self.fingerprint(cell)?;
        let created_by = CREATED_BY.to_string();
        let record = CellRecord { created_by, set, method, seed: cell.seed, fingerprint, result };
        write_json(&self.record_path(cell, root), &record)
    }

    /// What a cell was begun with; nothing for one that was not.
    ///
    /// # Errors
    /// A file that cannot be read, and one that was made by another recipe.
    pub fn read_cell_plan(&self, cell: CellId, root: &Path) -> Result<Option<CellPlan>, TrainError> {
        let path = self.cell_plan_path(cell, root);
        let Some(plan) = read_json::<CellPlan>(&path)? else { return Ok(None) };
        self.require(cell, &plan.fingerprint, &path)?;
        Ok(Some(plan))
    }

    /// Writes what a cell was begun with.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn write_cell_plan(&self, cell: CellId, root: &Path, trials: &[Trial]) -> Result<(), TrainError> {
        let plan = CellPlan { fingerprint: self.fingerprint(cell)?, trials: trials.to_vec() };
        write_json(&self.cell_plan_path(cell, root), &plan)
    }

    /// Measures a cell whose last stage has been trained in `session`; the trials are those of its stages, if any.
    ///
    /// # Errors
    /// When not one score can be computed, or a run of its stages cannot be read.
    pub fn measure(
        &self,
        cell: CellId,
        root: &Path,
        session: &Session,
        trials: &[Trial],
    ) -> Result<CellScores, TrainError> {
        let (flow, dataset, seed) = (session.flow(), &session.dataset, cell.seed);
        let evaluation = evaluate(&flow, dataset, &EvaluateOptions { seed, ..EvaluateOptions::default() })?;
        write_scores(&session.run, &flow, &evaluation)?;
        if flow.recipe.evaluate.report {
            write_report(&flow, dataset, &evaluation, &session.run)?;
        }
        let mut warnings = evaluation.warnings;
        let metric = self.recipe.evaluate.metric;
        // Students make one step each.
        let steps = if flow.recipe.is_distilled() { &[][..] } else { self.euler_steps(cell) };
        let (curve, missing) = distance_by_steps((&flow, dataset), metric, steps, seed);
        warnings.extend(missing);
        let count = self.recipe.method[cell.method].stages.len();
        let stage = |stage: usize| -> Result<StageRecord, TrainError> {
            let run = RunDir::open(&self.stage_folder(cell, root, stage))?;
            let steps = run.latest_checkpoint()?.found.map_or(0, |(_, checkpoint)| checkpoint.state.step);
            let seconds = History::read(&run).seconds.unwrap_or(0.0);
            Ok(StageRecord { steps, seconds, trial: trials.get(stage).copied() })
        };
        let stages = (0..count).map(stage).collect::<Result<Vec<StageRecord>, TrainError>>()?;
        Ok(CellScores {
            scores: evaluation.scores,
            parameters: flow.parameters(),
            seconds: stages.iter().map(|stage| stage.seconds).sum(),
            stages,
            curve,
            warnings,
        })
    }

    fn record_path(&self, cell: CellId, root: &Path) -> PathBuf {
        self.folder(cell, root).join("cell.json")
    }

    fn cell_plan_path(&self, cell: CellId, root: &Path) -> PathBuf {
        self.folder(cell, root).join("plan.json")
    }

    fn require(&self, cell: CellId, found: &str, path: &Path) -> Result<(), TrainError> {
        if found == self.fingerprint(cell)? {
            return Ok(());
        }
        Err(TrainError::Request(format!(
            "{} is of another comparison, or its recipe has changed since: go on with the recipe, `--set` and \
             `--seeds` that it was begun with, remove its folder to make it anew, or choose another --out",
            path.display()
        )))
    }
}

/// Program and version, recorded in what is written.
pub(super) const CREATED_BY: &str = concat!("thalweg ", env!("CARGO_PKG_VERSION"));

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, TrainError> {
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(path).map_err(|error| TrainError::file(path, "read", error))?;
    let damaged = |error| {
        let reason = format!("{error}; it is damaged: remove it, and the cell is done again");
        TrainError::file(path, "read", reason)
    };
    serde_json::from_str(&text).map(Some).map_err(damaged)
}

pub(super) fn write_json<T: Serialize>(path: &Path, document: &T) -> Result<(), TrainError> {
    let failed = |error: &dyn std::fmt::Display| TrainError::file(path, "write", error);
    let mut text = serde_json::to_vec_pretty(document).map_err(|error| failed(&error))?;
    text.push(b'\n');
    write_atomically(path, &text).map_err(|error| failed(&error))
}
