//! Which rows of a table are for training, validation and test. The three never overlap.

use std::path::Path;

use thalweg_noise::Noise;

use crate::array::{Array, DType};
use crate::config::SplitConfig;
use crate::error::{DataError, Place};
use crate::numpy_order::shuffled;
use crate::read::archive::Archive;

/// Held-out data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// For choices made while training.
    Validation,
    /// For figures that are reported.
    Test,
}

/// Row numbers of each split, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rows {
    pub train: Vec<usize>,
    pub validation: Vec<usize>,
    pub test: Vec<usize>,
}

impl Rows {
    /// Every row for training.
    pub(crate) fn all(rows: usize) -> Self {
        Self { train: (0..rows).collect(), validation: Vec::new(), test: Vec::new() }
    }

    /// Divides the rows of the table at `table` as configured.
    pub(crate) fn divide(
        config: &SplitConfig,
        rows: usize,
        table: &Place,
        base: &Path,
    ) -> Result<Self, DataError> {
        let division = match config {
            SplitConfig::None {} => Self::all(rows),
            SplitConfig::Fractions { validation, test, seed } => {
                let order = Noise::at(*seed, "data-split", 0).permutation(rows);
                let share = |fraction: f64| (fraction * rows as f64).round() as usize;
                let (tests, validations) = (share(*test), share(*validation));
                let of = |range: std::ops::Range<usize>| {
                    let mut rows = order.get(range).unwrap_or_default().to_vec();
                    rows.sort_unstable();
                    rows
                };
                Self {
                    test: of(0..tests),
                    validation: of(tests..tests + validations),
                    train: of(tests + validations..rows),
                }
            }
            SplitConfig::Tail { validation, test, shuffle } => {
                let mut order = match shuffle {
                    Some(seed) => shuffled(rows, *seed),
                    None => (0..rows).collect(),
                };
                // Rounded down, as Python's `int` does.
                let mut last = |share: f64| {
                    let mut cut = order.split_off(order.len() - (share * order.len() as f64) as usize);
                    cut.sort_unstable();
                    cut
                };
                let (test, validation) = (last(*test), last(*validation));
                order.sort_unstable();
                Self { train: order, validation, test }
            }
            SplitConfig::Arrays { .. } => {
                panic!("arrays are divided where they are read, not by the numbers of their rows")
            }
            SplitConfig::Members { path, train, validation, test } => {
                let path = match path {
                    Some(path) => base.join(path),
                    None if table.member.is_some() => table.path.clone(),
                    None => {
                        let reason = format!(
                            "{table} is no archive; name the .npz or .hdf5 file with the row numbers"
                        );
                        return Err(DataError::config("split.path", reason));
                    }
                };
                let mut archive = Archive::open(&path)?;
                let mut owner = vec![None; rows];
                let mut claim = |member: &Option<String>, split: &'static str| match member {
                    Some(member) => {
                        let place = Place::member(&path, member);
                        claim_rows(&archive.array(member)?, &place, split, &mut owner)
                    }
                    None => Ok(()),
                };
                claim(test, "test")?;
                claim(validation, "validation")?;
                claim(train, "training")?;
                let of = |split| (0..rows).filter(|&row| owner[row] == split).collect();
                let rest = if train.is_some() { Some("training") } else { None };
                Self { test: of(Some("test")), validation: of(Some("validation")), train: of(rest) }
            }
        };
        if division.train.is_empty() {
            return Err(DataError::split(table, "no rows are left for training"));
        }
        Ok(division)
    }
}

/// Marks the rows that `array` names as belonging to `split`, and fails where one is marked already.
fn claim_rows(
    array: &Array,
    place: &Place,
    split: &'static str,
    owner: &mut [Option<&'static str>],
) -> Result<(), DataError> {
    let rows = owner.len();
    if array.shape.len() != 1 {
        return Err(DataError::shape(
            place,
            format!("row numbers are a list, not an array of shape {:?}", array.shape),
        ));
    }
    let numbers: Vec<f64> = if array.dtype == DType::Bool {
        if array.rows() != rows {
            let reason = format!("one boolean for each of the {rows} rows is needed, not {}", array.rows());
            return Err(DataError::shape(place, reason));
        }
        (0..rows).filter(|&row| array.values[row] != 0.0).map(|row| row as f64).collect()
    } else {
        array.values.clone()
    };
    for number in numbers {
        // A NaN fails the first comparison.
        if !(number >= 0.0 && number < rows as f64 && number.fract() == 0.0) {
            let reason = format!("{number} is not the number of a row; the table has rows 0 to {}", rows - 1);
            return Err(DataError::split(place, reason));
        }
        let row = number as usize;
        match owner[row] {
            None => owner[row] = Some(split),
            Some(other) if other == split => {
                return Err(DataError::split(
                    place,
                    format!("row {row} is named twice in the {split} split"),
                ));
            }
            Some(other) => {
                let reason = format!(
                    "row {row} is in the {split} split and in the {other} split; they must not overlap"
                );
                return Err(DataError::split(place, reason));
            }
        }
    }
    Ok(())
}
