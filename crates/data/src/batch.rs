//! Points handed to training and evaluation, with what the model is told about each.

/// Some points, one per row.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Number of points.
    pub rows: usize,
    /// Coordinates of a point.
    pub dim: usize,
    /// The coordinates, `rows × dim`, row-major, in model units.
    pub points: Vec<f64>,
    /// What the model is told about each point.
    pub condition: Condition,
}

impl Batch {
    /// The rows named, in that order; a row may be named twice.
    ///
    /// # Panics
    /// When an index is out of range.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let point = |&row: &usize| &self.points[row * self.dim..(row + 1) * self.dim];
        Self {
            rows: rows.len(),
            dim: self.dim,
            points: rows.iter().flat_map(point).copied().collect(),
            condition: self.condition.select(rows),
        }
    }

    /// The rows of both, these first.
    ///
    /// # Panics
    /// When they differ in dimension or in the kind of their conditions.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        assert_eq!(self.dim, other.dim, "points of different dimensions");
        self.rows += other.rows;
        self.points.extend(other.points);
        self.condition = self.condition.and(other.condition);
        self
    }
}

/// What the model is told beside the time, one entry per row.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Nothing.
    None,
    /// A class, counted from 0.
    Labels(Vec<usize>),
    /// A vector, in model units.
    Vectors {
        /// Length of one vector.
        dim: usize,
        /// The vectors, `rows × dim`, row-major.
        values: Vec<f64>,
    },
}

impl Condition {
    /// The conditions of the rows named, in that order; a row may be named twice.
    ///
    /// # Panics
    /// When an index is out of range.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        match self {
            Self::None => Self::None,
            Self::Labels(labels) => Self::Labels(indices.iter().map(|&i| labels[i]).collect()),
            Self::Vectors { dim, values } => {
                let values = indices.iter().flat_map(|&i| &values[i * dim..(i + 1) * dim]).copied().collect();
                Self::Vectors { dim: *dim, values }
            }
        }
    }

    /// The conditions of these rows and of others after them.
    ///
    /// # Panics
    /// When they are of different kinds.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, Self::None) => Self::None,
            (Self::Labels(mut first), Self::Labels(second)) => {
                first.extend(second);
                Self::Labels(first)
            }
            (Self::Vectors { dim, mut values }, Self::Vectors { dim: of_second, values: second })
                if dim == of_second =>
            {
                values.extend(second);
                Self::Vectors { dim, values }
            }
            _ => panic!("conditions of different kinds"),
        }
    }
}

/// Which conditions a data set has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionKind {
    /// None.
    None,
    /// One of several classes.
    Labels {
        /// Number of classes; labels are below it.
        classes: usize,
    },
    /// A vector.
    Vectors {
        /// Its length.
        dim: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(points: &[f64], condition: Condition) -> Batch {
        Batch { rows: points.len() / 2, dim: 2, points: points.to_vec(), condition }
    }

    #[test]
    fn rows_of_two_batches_keep_their_conditions() {
        let labels = |labels: &[usize]| Condition::Labels(labels.to_vec());
        let both = batch(&[1.0, 2.0], labels(&[7])).and(batch(&[3.0, 4.0, 5.0, 6.0], labels(&[8, 9])));
        assert_eq!(both, batch(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], labels(&[7, 8, 9])));
        let vectors = |values: &[f64]| Condition::Vectors { dim: 1, values: values.to_vec() };
        let both = batch(&[1.0, 2.0], vectors(&[0.5])).and(batch(&[3.0, 4.0], vectors(&[0.25])));
        assert_eq!(both, batch(&[1.0, 2.0, 3.0, 4.0], vectors(&[0.5, 0.25])));
    }

    #[test]
    #[should_panic(expected = "conditions of different kinds")]
    fn conditions_of_different_kinds_are_not_put_together() {
        let _ = batch(&[1.0, 2.0], Condition::None).and(batch(&[1.0, 2.0], Condition::Labels(vec![0])));
    }
}
