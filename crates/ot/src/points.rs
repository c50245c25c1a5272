//! A borrowed cloud of points.

/// `len` points of dimension `dim`, one after the other in a slice; a view, as cheap to copy as a reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Points<'a> {
    values: &'a [f64],
    dim: usize,
}

impl<'a> Points<'a> {
    /// Views `values`, `[len, dim]` row by row.
    ///
    /// # Panics
    /// When `dim` is zero or does not divide the number of values.
    #[must_use]
    pub fn new(values: &'a [f64], dim: usize) -> Self {
        assert!(dim > 0, "points need at least one coordinate");
        assert!(
            values.len().is_multiple_of(dim),
            "{} values cannot be points of dimension {dim}",
            values.len()
        );
        Self { values, dim }
    }

    /// Number of points.
    #[must_use]
    pub fn len(self) -> usize {
        self.values.len() / self.dim
    }

    /// Whether there is no point at all.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.values.is_empty()
    }

    /// Number of coordinates of a point, at least one.
    #[must_use]
    pub fn dim(self) -> usize {
        self.dim
    }

    /// The `i`-th point.
    #[must_use]
    pub fn row(self, i: usize) -> &'a [f64] {
        &self.values[i * self.dim..(i + 1) * self.dim]
    }

    /// The points one after the other.
    pub fn rows(self) -> std::slice::ChunksExact<'a, f64> {
        self.values.chunks_exact(self.dim)
    }

    /// All coordinates, `[len, dim]` row by row.
    #[must_use]
    pub fn values(self) -> &'a [f64] {
        self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_slices_of_the_values() {
        let points = Points::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2);
        assert_eq!((points.len(), points.dim(), points.row(1)), (3, 2, &[3.0, 4.0][..]));
        assert_eq!(points.rows().map(|row| row[1]).collect::<Vec<_>>(), [2.0, 4.0, 6.0]);
        assert!(Points::new(&[], 3).is_empty());
    }

    #[test]
    #[should_panic(expected = "5 values cannot be points of dimension 2")]
    fn a_ragged_slice_is_refused() {
        let _ = Points::new(&[0.0; 5], 2);
    }
}
