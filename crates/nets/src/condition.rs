//! What a network is told beside the time: nothing, a class, or a vector for each row.

use burn::tensor::{DType, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;
use thalweg_solve::Placement;

use crate::NetError;

/// The kind of condition a network is made for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ConditionSpec {
    /// No condition.
    #[default]
    None,
    /// One of `classes` classes, counted from 0.
    Labels {
        /// How many classes, at least one.
        classes: usize,
    },
    /// A vector.
    Vectors {
        /// Its length, at least one.
        dim: usize,
    },
}

impl ConditionSpec {
    /// Checks a condition that comes from a user or a file: its kind, the range of labels, the length of vectors.
    ///
    /// # Errors
    /// When a network made for this kind could not take the condition; the message names the first bad row.
    pub fn check(&self, condition: &Condition) -> Result<(), NetError> {
        match (self, condition) {
            (Self::None, Condition::None) => Ok(()),
            (Self::Labels { classes }, Condition::Labels(labels)) => {
                let bad = labels.iter().enumerate().find_map(|(row, label)| {
                    label.filter(|label| label >= classes).map(|label| (row, label))
                });
                match bad {
                    None => Ok(()),
                    Some((row, label)) => {
                        Err(NetError::UnknownLabel { row, label, last: classes.saturating_sub(1) })
                    }
                }
            }
            (Self::Vectors { dim }, Condition::Vectors(vectors)) => match vectors.dims()[1] {
                found if found == *dim => Ok(()),
                found => Err(NetError::ConditionLength { found, expected: *dim }),
            },
            _ => Err(NetError::ConditionKind {
                expected: self.describe(),
                found: condition.describe().to_string(),
            }),
        }
    }

    /// The entries a row's condition has in the first layer.
    pub(crate) fn width(&self, label_embedding: usize) -> usize {
        match self {
            Self::None => 0,
            Self::Labels { .. } => label_embedding,
            Self::Vectors { dim } => *dim,
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::None => "no condition".to_string(),
            Self::Labels { classes } => format!("labels of {classes} classes"),
            Self::Vectors { dim } => format!("condition vectors of length {dim}"),
        }
    }
}

/// The conditions of a batch, one for each row.
#[expect(clippy::large_enum_variant, reason = "there is one for each batch, not one for each row")]
#[derive(Debug, Clone)]
pub enum Condition {
    /// No condition.
    None,
    /// The class of each row; `None` is the null label, which says that the class is not told.
    Labels(Vec<Option<usize>>),
    /// One vector for each row, `[batch, dim]`, on the network's device and in its precision. The zero vector says
    /// that the condition is not told, so standardise vectors or add an entry that is always 1.
    Vectors(Tensor<2>),
}

impl Condition {
    /// Labels that are all told.
    #[must_use]
    pub fn labels(labels: &[usize]) -> Self {
        Self::Labels(labels.iter().copied().map(Some).collect())
    }

    /// The number of rows; none when there is no condition, which suits any batch.
    #[must_use]
    pub fn rows(&self) -> Option<usize> {
        match self {
            Self::None => None,
            Self::Labels(labels) => Some(labels.len()),
            Self::Vectors(vectors) => Some(vectors.dims()[0]),
        }
    }

    /// The conditions of the given rows, in that order: conditions follow their points through a pairing.
    ///
    /// # Panics
    /// When a row does not exist.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        match self {
            Self::None => Self::None,
            Self::Labels(labels) => Self::Labels(rows.iter().map(|&row| labels[row]).collect()),
            Self::Vectors(vectors) => {
                let count = vectors.dims()[0];
                if let Some(row) = rows.iter().find(|&&row| row >= count) {
                    panic!("row {row} of a condition of {count} rows was selected");
                }
                Self::Vectors(vectors.clone().select(0, indices(rows, vectors)))
            }
        }
    }

    /// Every row `times` times in succession: `a, b` becomes `a, a, b, b`.
    #[must_use]
    pub fn repeat(&self, times: usize) -> Self {
        let rows = self.rows().unwrap_or(0);
        let each: Vec<usize> = (0..rows * times).map(|i| i / times).collect();
        self.select(&each)
    }

    /// The conditions with each row untold with the given probability, for training with classifier-free guidance.
    ///
    /// Draws one number for each row, whatever the probability.
    ///
    /// # Panics
    /// When `probability` is not in `[0, 1]`.
    #[must_use]
    pub fn dropped(&self, probability: f64, noise: &mut Noise) -> Self {
        assert!(
            (0.0..=1.0).contains(&probability),
            "a probability lies in [0, 1], but {probability} does not"
        );
        let mut told =
            |rows: usize| -> Vec<bool> { (0..rows).map(|_| noise.uniform() >= probability).collect() };
        match self {
            Self::None => Self::None,
            Self::Labels(labels) => {
                let told = told(labels.len());
                Self::Labels(labels.iter().zip(told).map(|(label, told)| label.filter(|_| told)).collect())
            }
            Self::Vectors(vectors) => {
                let rows = vectors.dims()[0];
                let told: Vec<f64> = told(rows).into_iter().map(f64::from).collect();
                Self::Vectors(vectors.clone() * Placement::of(vectors).tensor::<2>(&told, [rows, 1]))
            }
        }
    }

    /// A vector for each row: labels by their rows of `table`, whose last is that of the null label.
    pub(crate) fn vectors(&self, table: Option<&Tensor<2>>) -> Option<Tensor<2>> {
        match (self, table) {
            (Self::Vectors(vectors), _) => Some(vectors.clone()),
            (Self::Labels(labels), Some(table)) => {
                let null = table.dims()[0] - 1;
                let rows: Vec<usize> = labels.iter().map(|label| label.unwrap_or(null)).collect();
                Some(table.clone().select(0, indices(&rows, table)))
            }
            (Self::None, _) | (Self::Labels(_), None) => None,
        }
    }

    /// The conditions in another precision, to go with [`Mlp::cast`](crate::Mlp::cast).
    #[must_use]
    pub fn cast(self, dtype: DType) -> Self {
        match self {
            Self::Vectors(vectors) => Self::Vectors(vectors.cast(dtype)),
            other => other,
        }
    }

    fn describe(&self) -> &'static str {
        match self {
            Self::None => "no condition",
            Self::Labels(_) => "labels",
            Self::Vectors(_) => "condition vectors",
        }
    }
}

/// Row numbers on the device of `beside`.
pub(crate) fn indices(rows: &[usize], beside: &Tensor<2>) -> Tensor<1, Int> {
    let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows, [count]), &beside.device())
}
