//! Shift and scale, column by column, and the change of log-density that comes with it.

/// The map `z = (x − mean) / deviation`, fitted on the training split.
#[derive(Debug, Clone, PartialEq)]
pub struct Normaliser {
    /// Mean of each column.
    pub mean: Vec<f64>,
    /// Standard deviation of each column (of the population: divided by the number of rows); 1 for constant columns.
    pub deviation: Vec<f64>,
    /// Columns that do not vary, from 0. They stay as they are, up to the shift, and no density over them exists.
    pub constant_columns: Vec<usize>,
}

impl Normaliser {
    /// The map that changes nothing.
    #[must_use]
    pub fn identity(dim: usize) -> Self {
        Self { mean: vec![0.0; dim], deviation: vec![1.0; dim], constant_columns: Vec::new() }
    }

    /// Fits mean and deviation to rows of length `dim`, in two passes so that a large mean costs no digits.
    ///
    /// # Panics
    /// When there are no rows.
    #[must_use]
    pub fn fit<'a>(rows: impl Iterator<Item = &'a [f64]> + Clone, dim: usize) -> Self {
        let mut others = rows.clone();
        let Some(first) = others.next() else { panic!("a normaliser is fitted to at least one row") };
        let count = rows.clone().count() as f64;
        let mut mean = vec![0.0; dim];
        for row in rows.clone() {
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += x / count);
        }
        let mut variance = vec![0.0; dim];
        for row in rows {
            for ((v, x), m) in variance.iter_mut().zip(row).zip(&mean) {
                *v += (x - m).powi(2) / count;
            }
        }
        let mut deviation: Vec<f64> = variance.iter().map(|v| v.sqrt()).collect();
        // Compared value by value: rounding gives equal numbers a small deviation, which would blow up the column.
        let is_constant = |&column: &usize| others.clone().all(|row| row[column] == first[column]);
        let constant_columns: Vec<usize> = (0..dim).filter(is_constant).collect();
        for &column in &constant_columns {
            mean[column] = first[column];
            deviation[column] = 1.0;
        }
        Self { mean, deviation, constant_columns }
    }

    /// The map for the same rows with independent noise added, uniform on `[0, quantum)` of each column: such noise has
    /// mean q/2 and variance q²/12, and no column with a quantum above zero stays constant.
    ///
    /// # Panics
    /// When there is not one quantum for each column.
    #[must_use]
    pub fn with_uniform_noise(&self, quanta: &[f64]) -> Self {
        assert_eq!(quanta.len(), self.dim(), "a quantum for each column");
        let is_constant = |column: usize| quanta[column] == 0.0 && self.constant_columns.contains(&column);
        let spread = |column: usize| match self.constant_columns.contains(&column) {
            _ if is_constant(column) => self.deviation[column],
            true => quanta[column] / 12_f64.sqrt(),
            false => self.deviation[column].hypot(quanta[column] / 12_f64.sqrt()),
        };
        Self {
            mean: self.mean.iter().zip(quanta).map(|(mean, quantum)| mean + quantum / 2.0).collect(),
            deviation: (0..self.dim()).map(spread).collect(),
            constant_columns: (0..self.dim()).filter(|&column| is_constant(column)).collect(),
        }
    }

    /// Length of a row.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Maps rows, one after the other in `values`, from data units to model units.
    ///
    /// # Panics
    /// When `values` is not a whole number of rows.
    pub fn apply(&self, values: &mut [f64]) {
        self.each(values, |x, mean, deviation| (x - mean) / deviation);
    }

    /// Maps rows from model units back to data units.
    ///
    /// # Panics
    /// When `values` is not a whole number of rows.
    pub fn invert(&self, values: &mut [f64]) {
        self.each(values, |z, mean, deviation| mean + deviation * z);
    }

    /// `log |det dz/dx|`, so that `log p(x) = log p(z) + log_determinant` for a point `x` in data units.
    #[must_use]
    pub fn log_determinant(&self) -> f64 {
        -self.deviation.iter().map(|deviation| deviation.ln()).sum::<f64>()
    }

    fn each(&self, values: &mut [f64], map: impl Fn(f64, f64, f64) -> f64) {
        let dim = self.dim();
        assert!(values.len().is_multiple_of(dim), "{} values are not rows of {dim}", values.len());
        for row in values.chunks_exact_mut(dim) {
            for ((x, &mean), &deviation) in row.iter_mut().zip(&self.mean).zip(&self.deviation) {
                *x = map(*x, mean, deviation);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_round_trip() {
        let rows = [[1.0, 5.0, 1e9], [3.0, 5.0, 1e9 + 2.0]];
        let normaliser = Normaliser::fit(rows.iter().map(|row| &row[..]), 3);
        assert_eq!(normaliser.mean, [2.0, 5.0, 1e9 + 1.0]);
        assert_eq!(normaliser.deviation, [1.0, 1.0, 1.0]);
        assert_eq!(normaliser.constant_columns, [1]);
        let mut values = rows.concat();
        normaliser.apply(&mut values);
        assert_eq!(values, [-1.0, 0.0, -1.0, 1.0, 0.0, 1.0]);
        normaliser.invert(&mut values);
        assert_eq!(values, rows.concat());
    }

    #[test]
    fn a_constant_that_binary_cannot_hold_is_still_constant() {
        let rows = vec![[0.998, 1.0 / 3.0]; 10_741];
        let normaliser = Normaliser::fit(rows.iter().map(|row| &row[..]), 2);
        assert_eq!(normaliser.constant_columns, [0, 1]);
        assert_eq!((normaliser.mean, normaliser.deviation), (vec![0.998, 1.0 / 3.0], vec![1.0, 1.0]));
    }

    #[test]
    fn the_determinant_moves_likelihoods_to_data_units() {
        // N(3, 2²) at 4: the standard normal at ½, minus ln 2.
        let normaliser = Normaliser { mean: vec![3.0], deviation: vec![2.0], constant_columns: vec![] };
        let standard = |z: f64| -0.5 * z * z - 0.5 * std::f64::consts::TAU.ln();
        let mut z = [4.0];
        normaliser.apply(&mut z);
        let expected = -0.5 * 0.25 - 0.5 * (std::f64::consts::TAU * 4.0).ln();
        assert!((standard(z[0]) + normaliser.log_determinant() - expected).abs() < 1e-15);
    }
}
