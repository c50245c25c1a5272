//! What a run remembers of its data, so that a trained flow can be used without them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thalweg_data::{Condition, ConditionKind, DataError, Dataset, Normaliser, SourceConfig};
use thalweg_files::write_atomically;
use thalweg_nets::ConditionSpec;
use thalweg_run::RunDir;

use crate::error::TrainError;
use crate::recipe::Recipe;

/// Draws from which the spread and the frequencies of labels are estimated where there is no table.
const SUMMARY_POINTS: usize = 10_000;

/// `data.json` of a run folder: dimensions, normalisation, frequencies of labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSummary {
    /// Coordinates of a point.
    pub dim: usize,
    /// Which condition the network is told.
    pub condition: ConditionSpec,
    /// Mean and deviation of the coordinates by which model units differ from data units.
    pub normaliser: Scaling,
    /// The same for condition vectors.
    pub condition_normaliser: Option<Scaling>,
    /// Share of each class in the training data; empty without labels.
    pub label_shares: Vec<f64>,
    /// Root mean square of a coordinate in model units, for preconditioning.
    pub spread: f64,
    /// Whether the source is the standard normal, so that sampling needs no data.
    pub gaussian_source: bool,
    /// The folder that relative paths of the recipe start from.
    pub base: PathBuf,
    /// Changes with the data and their configuration.
    pub fingerprint: String,
}

/// A map `(x - mean) / deviation` by columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// Mean of each column.
    pub mean: Vec<f64>,
    /// Deviation of each column.
    pub deviation: Vec<f64>,
}

impl Scaling {
    fn of(normaliser: &Normaliser) -> Self {
        Self { mean: normaliser.mean.clone(), deviation: normaliser.deviation.clone() }
    }

    /// The map with its methods.
    #[must_use]
    pub fn normaliser(&self) -> Normaliser {
        Normaliser {
            mean: self.mean.clone(),
            deviation: self.deviation.clone(),
            constant_columns: Vec::new(),
        }
    }
}

impl DataSummary {
    /// Summarises a data set for a recipe, which was loaded relative to `base`.
    ///
    /// # Errors
    /// When the data cannot give a batch.
    pub fn of(recipe: &Recipe, dataset: &Dataset, base: &Path) -> Result<Self, DataError> {
        // All rows of a table, so that no rare class is missed.
        let rows = dataset.training_rows().unwrap_or(SUMMARY_POINTS);
        let batch = dataset.batch(rows, recipe.seed, 0)?;
        let mean_square = batch.points.iter().map(|x| x * x).sum::<f64>() / batch.points.len() as f64;
        let condition = match dataset.condition_kind() {
            ConditionKind::None => ConditionSpec::None,
            ConditionKind::Labels { classes } => ConditionSpec::Labels { classes },
            ConditionKind::Vectors { dim } => ConditionSpec::Vectors { dim },
        };
        let label_shares = match (&batch.condition, condition) {
            (Condition::Labels(labels), ConditionSpec::Labels { classes }) => {
                let share = |class| labels.iter().filter(|&&l| l == class).count() as f64 / rows as f64;
                (0..classes).map(share).collect()
            }
            _ => Vec::new(),
        };
        Ok(Self {
            dim: dataset.dim(),
            condition,
            normaliser: Scaling::of(dataset.normaliser()),
            condition_normaliser: dataset.condition_normaliser().map(Scaling::of),
            label_shares,
            spread: mean_square.sqrt(),
            gaussian_source: matches!(recipe.data.source, SourceConfig::Gaussian {}),
            base: std::path::absolute(base).unwrap_or_else(|_| base.to_path_buf()),
            fingerprint: dataset.fingerprint().to_string(),
        })
    }

    /// Writes `data.json`.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn write(&self, run: &RunDir) -> Result<(), TrainError> {
        let path = run.path().join("data.json");
        let text = serde_json::to_vec_pretty(self).map_err(|e| TrainError::file(&path, "write", e))?;
        write_atomically(&path, &text).map_err(|e| TrainError::file(&path, "write", e))
    }

    /// Reads `data.json`.
    ///
    /// # Errors
    /// When the file is missing or not what [`DataSummary::write`] wrote.
    pub fn read(run: &RunDir) -> Result<Self, TrainError> {
        let path = run.path().join("data.json");
        let text = fs::read(&path).map_err(|e| TrainError::file(&path, "read", e))?;
        serde_json::from_slice(&text).map_err(|e| TrainError::file(&path, "read", e))
    }
}
