//! A table in memory: the columns to model, the condition of each row, and the rows of each split.

use std::path::Path;

use crate::array::Array;
use crate::batch::{Condition, ConditionKind};
use crate::config::{ConditionConfig, SplitConfig};
use crate::error::{DataError, Place};
use crate::read::archive::Archive;
use crate::read::csv::read_csv;
use crate::read::inspect::Format;
use crate::read::npy::read_npy;
use crate::sets::{Column, FileConfig};
use crate::split::Rows;

/// Labels are one-hot or embedded by the networks, so a column of numbers taken for labels must not pass.
const MAX_CLASSES: usize = 65_536;

/// A table with everything checked: finite values, valid labels, splits without overlap.
#[derive(Debug)]
pub(crate) struct DataTable {
    /// The file and member, for messages.
    pub place: Place,
    /// Columns to model.
    pub dim: usize,
    /// Values of those columns, row by row.
    pub points: Vec<f64>,
    /// Condition of each row.
    pub condition: Condition,
    /// What the conditions are.
    pub kind: ConditionKind,
    /// The splits.
    pub rows: Rows,
}

/// What a table is used for beside its points.
pub(crate) struct Usage<'a> {
    /// Where the conditions are.
    pub condition: &'a ConditionConfig,
    /// Which rows are held out.
    pub split: &'a SplitConfig,
}

impl DataTable {
    /// Reads the table that `config` names.
    pub(crate) fn load(config: &FileConfig, usage: &Usage, base: &Path) -> Result<Self, DataError> {
        let mut table = Self::of_array(config, usage.condition, base)?;
        let rows = table.rows.train.len();
        if rows == 1 {
            let advice = "one point has no distribution to learn; is the table transposed?";
            return Err(DataError::TooFewRows { place: table.place, rows, of: "in all", needed: 2, advice });
        }
        match usage.split {
            SplitConfig::Arrays { validation, test } => {
                let mut of_member = |member: &Option<String>| match member {
                    Some(member) => table.append(member, config, usage.condition, base),
                    None => Ok(Vec::new()),
                };
                let (validation, test) = (of_member(validation)?, of_member(test)?);
                table.rows = Rows { train: (0..rows).collect(), validation, test };
            }
            split => table.rows = Rows::divide(split, rows, &table.place, base)?,
        }
        Ok(table)
    }

    /// One array, with all of its rows for training.
    fn of_array(config: &FileConfig, condition: &ConditionConfig, base: &Path) -> Result<Self, DataError> {
        let raw = Raw::read(config, base)?;
        let (condition, kind, used) = raw.condition(condition)?;
        let columns = if config.columns.is_empty() {
            (0..raw.width).filter(|column| !used.contains(column)).collect()
        } else {
            raw.indices(&config.columns)?
        };
        if columns.is_empty() {
            return Err(DataError::shape(&raw.place, "no columns are left to model"));
        }
        if let Some(both) = columns.iter().find(|column| used.contains(column)) {
            let reason = format!("column {both} (from 0) is both modelled and a condition");
            return Err(DataError::config("target.columns", reason));
        }
        let (place, rows) = (raw.place.clone(), Rows::all(raw.rows));
        Ok(Self { place, dim: columns.len(), points: raw.into_columns(&columns)?, condition, kind, rows })
    }

    /// Adds the rows of another array of the same archive, and returns their numbers.
    fn append(
        &mut self,
        member: &str,
        config: &FileConfig,
        condition: &ConditionConfig,
        base: &Path,
    ) -> Result<Vec<usize>, DataError> {
        if self.place.member.is_none() {
            let reason =
                format!("{} is no archive with other arrays beside the one for training", self.place);
            return Err(DataError::config("split", reason));
        }
        if self.place.member.as_deref() == Some(member) {
            let reason = format!("`{member}` is the array for training; it cannot be held out too");
            return Err(DataError::config("split", reason));
        }
        let config = FileConfig { member: Some(member.to_owned()), ..config.clone() };
        let other = Self::of_array(&config, condition, base)?;
        if other.dim != self.dim {
            let reason = format!("{} columns to model, but {} has {}", other.dim, self.place, self.dim);
            return Err(DataError::shape(&other.place, reason));
        }
        let start = self.points.len() / self.dim;
        self.points.extend(other.points);
        let own = std::mem::replace(&mut self.condition, Condition::None);
        self.condition = own.and(other.condition);
        if let (ConditionKind::Labels { classes }, ConditionKind::Labels { classes: others }) =
            (&mut self.kind, other.kind)
        {
            *classes = others.max(*classes);
        }
        Ok((start..start + other.rows.train.len()).collect())
    }

    /// The modelled columns of one row.
    pub(crate) fn point(&self, row: usize) -> &[f64] {
        &self.points[row * self.dim..(row + 1) * self.dim]
    }
}

/// A table as the file has it.
struct Raw {
    place: Place,
    names: Option<Vec<String>>,
    rows: usize,
    width: usize,
    values: Vec<f64>,
}

impl Raw {
    fn read(config: &FileConfig, base: &Path) -> Result<Self, DataError> {
        let path = base.join(&config.path);
        let format = Format::of(&path)?;
        if let (Some(member), Format::Npy | Format::Csv) = (&config.member, format) {
            let reason =
                format!("`{}` is not an archive and has no member `{member}`: remove it", path.display());
            return Err(DataError::config("target.member", reason));
        }
        let (array, names, place) = match format {
            Format::Npy => (read_npy(&path)?, None, Place::file(&path)),
            Format::Csv => {
                let table = read_csv(&path)?;
                (table.array, table.columns, Place::file(&path))
            }
            Format::Npz | Format::Hdf5 => {
                let mut archive = Archive::open(&path)?;
                let member = match (&config.member, archive.names()) {
                    (Some(member), _) => member.clone(),
                    (None, [only]) => only.clone(),
                    (None, several) => {
                        let known = crate::error::listed(several);
                        let reason = format!("say which array of `{}` to use: {known}", path.display());
                        return Err(DataError::config("target.member", reason));
                    }
                };
                (archive.array(&member)?, None, Place::member(&path, &member))
            }
            Format::Png => {
                let reason = "a picture is no table; use `kind = \"image\"` to read it as a density";
                return Err(DataError::unsupported(&Place::file(&path), reason));
            }
        };
        Self::from_array(array, names, place)
    }

    /// Checks that there is something. Further axes are flattened, so that images become rows.
    fn from_array(array: Array, names: Option<Vec<String>>, place: Place) -> Result<Self, DataError> {
        if array.shape.is_empty() {
            return Err(DataError::shape(&place, "it is a single number, but a table of rows is needed"));
        }
        let (rows, width) = (array.rows(), array.columns());
        if rows == 0 || width == 0 {
            return Err(DataError::Empty { place });
        }
        Ok(Self { place, names, rows, width, values: array.values })
    }

    fn index(&self, column: &Column) -> Result<usize, DataError> {
        match (column, &self.names) {
            (Column::Index(index), _) if *index < self.width => Ok(*index),
            (Column::Index(index), _) => {
                let reason =
                    format!("it has columns 0 to {}, but column {index} is asked for", self.width - 1);
                Err(DataError::shape(&self.place, reason))
            }
            (Column::Name(name), Some(names)) => {
                names.iter().position(|known| known == name).ok_or_else(|| {
                    let known = crate::error::listed(names);
                    DataError::shape(
                        &self.place,
                        format!("it has no column `{name}`; its columns are {known}"),
                    )
                })
            }
            (Column::Name(name), None) => {
                let reason = format!("its columns have no names; give the number of `{name}`, from 0");
                Err(DataError::shape(&self.place, reason))
            }
        }
    }

    fn indices(&self, columns: &[Column]) -> Result<Vec<usize>, DataError> {
        let mut indices = Vec::with_capacity(columns.len());
        for column in columns {
            let index = self.index(column)?;
            if indices.contains(&index) {
                return Err(DataError::shape(
                    &self.place,
                    format!("column {index} (from 0) is asked for twice"),
                ));
            }
            indices.push(index);
        }
        Ok(indices)
    }

    /// The values of some columns, as [`Self::select`]. A whole table is not copied.
    fn into_columns(self, columns: &[usize]) -> Result<Vec<f64>, DataError> {
        let is_whole = columns.iter().copied().eq(0..self.width);
        if is_whole && self.values.iter().all(|value| value.is_finite()) {
            return Ok(self.values);
        }
        self.select(columns)
    }

    /// The values of some columns, row by row, all of them finite.
    fn select(&self, columns: &[usize]) -> Result<Vec<f64>, DataError> {
        let mut out = Vec::with_capacity(self.rows * columns.len());
        for (row, values) in self.values.chunks_exact(self.width).enumerate() {
            for &column in columns {
                let value = values[column];
                if !value.is_finite() {
                    let place = self.place.clone();
                    return Err(DataError::NotFinite { place, row: row + 1, column: column + 1, value });
                }
                out.push(value);
            }
        }
        Ok(out)
    }

    /// The condition of every row, and the columns it takes from the table.
    fn condition(
        &self,
        config: &ConditionConfig,
    ) -> Result<(Condition, ConditionKind, Vec<usize>), DataError> {
        match config {
            ConditionConfig::None {} => Ok((Condition::None, ConditionKind::None, Vec::new())),
            ConditionConfig::Columns { columns } => {
                let used = self.indices(columns)?;
                let dim = used.len();
                let values = self.select(&used)?;
                Ok((Condition::Vectors { dim, values }, ConditionKind::Vectors { dim }, used))
            }
            ConditionConfig::Label { column: Some(column), .. } => {
                let used = self.index(column)?;
                let values: Vec<f64> = self.values.iter().skip(used).step_by(self.width).copied().collect();
                Ok(labelled(labels(&values, &self.place, used)?, vec![used]))
            }
            ConditionConfig::Label { member, .. } => {
                let member = member.as_deref().unwrap_or_default();
                let place = Place::member(&self.place.path, member);
                if self.place.member.is_none() {
                    let reason = format!("`{}` is not an archive; use `column`", self.place.path.display());
                    return Err(DataError::config("condition.member", reason));
                }
                let array = Archive::open(&self.place.path)?.array(member)?;
                if array.values.len() != self.rows {
                    let reason =
                        format!("shape {:?}, but {} has {} rows", array.shape, self.place, self.rows);
                    return Err(DataError::shape(&place, reason));
                }
                Ok(labelled(labels(&array.values, &place, 0)?, Vec::new()))
            }
        }
    }
}

/// The values of a column as labels.
fn labels(values: &[f64], place: &Place, column: usize) -> Result<Vec<usize>, DataError> {
    let label = |(row, &value): (usize, &f64)| {
        if value >= 0.0 && value < MAX_CLASSES as f64 && value.fract() == 0.0 {
            return Ok(value as usize);
        }
        let (row, column, last) = (row + 1, column + 1, MAX_CLASSES - 1);
        let rule = format!("labels are whole numbers from 0 to {last}");
        let reason = format!("row {row}, column {column} holds {value}, which is no label; {rule}");
        Err(DataError::unsupported(place, reason))
    };
    values.iter().enumerate().map(label).collect()
}

fn labelled(labels: Vec<usize>, used: Vec<usize>) -> (Condition, ConditionKind, Vec<usize>) {
    let classes = labels.iter().max().map_or(0, |largest| largest + 1);
    (Condition::Labels(labels), ConditionKind::Labels { classes }, used)
}
