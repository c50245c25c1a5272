//! The `[data]` section of a recipe. Combinations that make no sense are refused by [`DataConfig::validate`], so that
//! no setting is silently ignored.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::sets::{Column, SetConfig};

/// Which data to learn, from which source, under which condition.
///
/// Every default is written out when the configuration is serialised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The distribution to learn, at `t = 1`.
    pub target: SetConfig,
    /// The distribution to start from, at `t = 0`.
    #[serde(default)]
    pub source: SourceConfig,
    /// What the model is told beside the time.
    #[serde(default)]
    pub condition: ConditionConfig,
    /// Whether points, and condition columns, are shifted and scaled to mean 0 and deviation 1.
    #[serde(default)]
    pub standardise: bool,
    /// Quantum of rounded table values: uniform noise on `[0, quantum)` is added, afresh in every batch, so that a
    /// density exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dequantise: Option<Dequantise>,
    /// Which rows of a table are held out.
    #[serde(default)]
    pub split: SplitConfig,
}

/// To what the values of a table were rounded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a number, or a list with a number for each column")]
pub enum Dequantise {
    /// All columns to the same.
    Every(f64),
    /// Each of the modelled columns to its own, in their order; 0 where there was no rounding.
    Columns(Vec<f64>),
}

/// The distribution at `t = 0`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SourceConfig {
    /// The standard normal of the target's dimension.
    Gaussian {},
    /// Another set. It is standardised by the same map as the target.
    Set {
        /// The set.
        set: SetConfig,
    },
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self::Gaussian {}
    }
}

/// What the model is told beside the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ConditionConfig {
    /// Nothing.
    None {},
    /// A class. Sets with a formula know their classes; a table must say where its labels are.
    Label {
        /// Member of the target's archive with one label per row.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        member: Option<String>,
        /// Column of the table with the labels.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        column: Option<Column>,
    },
    /// Columns of the table.
    Columns {
        /// The columns, at least one.
        columns: Vec<Column>,
    },
}

impl Default for ConditionConfig {
    fn default() -> Self {
        Self::None {}
    }
}

/// Which rows of a table are held out. Sets with a formula draw fresh points in place of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SplitConfig {
    /// None: all rows are for training.
    None {},
    /// Shares of the rows, drawn at random.
    Fractions {
        /// Share for validation.
        #[serde(default = "tenth")]
        validation: f64,
        /// Share for the test.
        #[serde(default = "tenth")]
        test: f64,
        /// Which draw. It belongs to the data: runs with different seeds have the same test rows.
        #[serde(default)]
        seed: u64,
    },
    /// The last rows, as they lie in the file: first the test is cut off, then validation from what is left.
    Tail {
        /// Share for validation of the rows that are not for the test, rounded down to whole rows.
        #[serde(default = "tenth")]
        validation: f64,
        /// Share for the test, rounded down to whole rows.
        #[serde(default = "tenth")]
        test: f64,
        /// Seed with which numpy's `RandomState(seed).shuffle` changes the order of the rows before; for published
        /// splits that were made so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shuffle: Option<u32>,
    },
    /// Arrays beside the target's own, which has the rows for training, in the same archive.
    Arrays {
        /// Member with the points for validation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        validation: Option<String>,
        /// Member with the points for the test.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test: Option<String>,
    },
    /// Arrays of row numbers from 0, or of booleans with one entry per row, in an archive.
    Members {
        /// The archive; the target's own when not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<PathBuf>,
        /// Member with the rows for training; all rows not held out when not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        train: Option<String>,
        /// Member with the rows for validation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        validation: Option<String>,
        /// Member with the rows for the test.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test: Option<String>,
    },
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self::None {}
    }
}

fn tenth() -> f64 {
    0.1
}

impl DataConfig {
    /// The configuration that learns `target` from Gaussian noise with every other setting at its default.
    #[must_use]
    pub fn of(target: SetConfig) -> Self {
        Self {
            target,
            source: SourceConfig::default(),
            condition: ConditionConfig::default(),
            standardise: false,
            dequantise: None,
            split: SplitConfig::default(),
        }
    }

    /// Checks values and combinations, without looking at any file.
    ///
    /// # Errors
    /// When a value is impossible, or a setting would have no effect.
    pub fn validate(&self) -> Result<(), DataError> {
        self.target.validate("target")?;
        if let SourceConfig::Set { set } = &self.source {
            set.validate("source.set")?;
        }
        let is_table = matches!(self.target, SetConfig::File(_));
        let only_for_tables = |field: &str| {
            Err(DataError::config(
                field,
                "applies to tables (`kind = \"file\"`) only; the target has no rows: remove it",
            ))
        };
        match &self.dequantise {
            Some(_) if !is_table => return only_for_tables("dequantise"),
            Some(quanta) => quanta.validate()?,
            None => {}
        }
        if !is_table && !matches!(self.split, SplitConfig::None {}) {
            return only_for_tables("split");
        }
        self.validate_condition(is_table)?;
        if let (SplitConfig::Arrays { .. }, ConditionConfig::Label { member: Some(_), .. }) =
            (&self.split, &self.condition)
        {
            let reason = "held-out arrays have no labels in a member of their own; use `column`";
            return Err(DataError::config("condition.member", reason));
        }
        self.split.validate()
    }

    fn validate_condition(&self, is_table: bool) -> Result<(), DataError> {
        match &self.condition {
            ConditionConfig::None {} => Ok(()),
            ConditionConfig::Columns { columns } if is_table => {
                if columns.is_empty() {
                    return Err(DataError::config("condition.columns", "name at least one column"));
                }
                Ok(())
            }
            ConditionConfig::Columns { .. } => Err(DataError::config(
                "condition",
                "the target has no columns; use `kind = \"label\"` or none",
            )),
            ConditionConfig::Label { member, column } => match (is_table, member, column) {
                (true, Some(_), None) | (true, None, Some(_)) | (false, None, None) => Ok(()),
                (true, ..) => Err(DataError::config(
                    "condition",
                    "say where the labels are: `member` or `column`, one of them",
                )),
                (false, ..) => Err(DataError::config(
                    "condition",
                    "the target knows its own classes: remove `member` and `column`",
                )),
            },
        }
    }
}

impl Dequantise {
    fn validate(&self) -> Result<(), DataError> {
        let bad = |quantum: f64, rule: &str| {
            Err(DataError::config("dequantise", format!("must be {rule} and finite, not {quantum}")))
        };
        match self {
            Self::Every(quantum) if !(*quantum > 0.0 && quantum.is_finite()) => bad(*quantum, "positive"),
            Self::Every(_) => Ok(()),
            Self::Columns(quanta) => {
                if let Some(&quantum) =
                    quanta.iter().find(|quantum| !(**quantum >= 0.0 && quantum.is_finite()))
                {
                    return bad(quantum, "at least 0 in every column");
                }
                if quanta.iter().all(|&quantum| quantum == 0.0) {
                    return Err(DataError::config("dequantise", "is 0 in every column: remove it"));
                }
                Ok(())
            }
        }
    }

    /// The quantum of each of `dim` columns.
    pub(crate) fn of_columns(&self, dim: usize) -> Result<Vec<f64>, DataError> {
        match self {
            Self::Every(quantum) => Ok(vec![*quantum; dim]),
            Self::Columns(quanta) if quanta.len() == dim => Ok(quanta.clone()),
            Self::Columns(quanta) => {
                let reason =
                    format!("lists {} numbers, but the number of modelled columns is {dim}", quanta.len());
                Err(DataError::config("dequantise", reason))
            }
        }
    }
}

impl SplitConfig {
    fn validate(&self) -> Result<(), DataError> {
        match self {
            Self::None {} => Ok(()),
            Self::Tail { validation, test, .. } => shares(*validation, *test),
            Self::Arrays { validation, test } => {
                if validation.is_none() && test.is_none() {
                    return Err(DataError::config("split", "name a member for `validation` or `test`"));
                }
                if validation == test {
                    return Err(DataError::config("split", "validation and test are the same array"));
                }
                Ok(())
            }
            Self::Fractions { validation, test, .. } => {
                shares(*validation, *test)?;
                if validation + test >= 1.0 {
                    let reason =
                        format!("validation {validation} and test {test} leave no rows for training");
                    return Err(DataError::config("split", reason));
                }
                Ok(())
            }
            Self::Members { train, validation, test, .. } => {
                if train.is_none() && validation.is_none() && test.is_none() {
                    return Err(DataError::config(
                        "split",
                        "name a member for `train`, `validation` or `test`",
                    ));
                }
                Ok(())
            }
        }
    }
}

/// Fails unless both are shares that leave something.
fn shares(validation: f64, test: f64) -> Result<(), DataError> {
    for (field, share) in [("split.validation", validation), ("split.test", test)] {
        if !(0.0..1.0).contains(&share) {
            return Err(DataError::config(field, format!("must be at least 0 and below 1, not {share}")));
        }
    }
    Ok(())
}
