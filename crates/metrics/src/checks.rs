//! What every metric asks of its input before it computes anything.

use thalweg_ot::Points;

use crate::MetricsError;

/// Both clouds finite, of one dimension, and of at least two points.
pub(crate) fn pair(x: Points, y: Points) -> Result<(), MetricsError> {
    if x.dim() != y.dim() {
        return Err(MetricsError::DifferentDimensions { first: x.dim(), second: y.dim() });
    }
    cloud("the first sample", x, 2)?;
    cloud("the second sample", y, 2)
}

/// One cloud, finite and of at least `needed` points.
pub(crate) fn cloud(what: &'static str, points: Points, needed: usize) -> Result<(), MetricsError> {
    if points.len() < needed {
        return Err(MetricsError::TooFewPoints { what, points: points.len(), needed });
    }
    match points.values().iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(k) => {
            let (row, col) = (k / points.dim(), k % points.dim());
            Err(MetricsError::NotFinite { what, row, col, value: points.values()[k] })
        }
    }
}

/// A list of finite numbers, at least `needed` of them.
pub(crate) fn list(what: &'static str, values: &[f64], needed: usize) -> Result<(), MetricsError> {
    cloud(what, Points::new(values, 1), needed)
}

/// A number that may only be reported when it is one.
pub(crate) fn finite(metric: &'static str, value: f64) -> Result<f64, MetricsError> {
    if value.is_finite() { Ok(value) } else { Err(MetricsError::Overflow { metric, value }) }
}

/// A confidence level or another share strictly between 0 and 1.
pub(crate) fn open_unit(name: &'static str, value: f64) -> Result<(), MetricsError> {
    if value > 0.0 && value < 1.0 {
        Ok(())
    } else {
        Err(MetricsError::BadSetting { name, value, expected: "between 0 and 1" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(x: &[f64], y: &[f64], dims: [usize; 2], expected: &str) {
        let error = pair(Points::new(x, dims[0]), Points::new(y, dims[1])).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn messages_name_the_cloud_and_the_place() {
        check(&[0.0; 4], &[0.0; 6], [2, 3], "points of dimension 2 with points of dimension 3");
        check(&[0.0; 2], &[0.0; 4], [2, 2], "the first sample has 1 points; at least 2 are needed");
        check(&[0.0; 4], &[], [2, 2], "the second sample has 0 points");
        check(
            &[0.0, 0.0, 0.0, f64::NAN],
            &[0.0; 4],
            [2, 2],
            "the first sample has the value NaN in row 1, column 1",
        );
        check(
            &[0.0; 4],
            &[0.0, 0.0, f64::INFINITY, 0.0],
            [2, 2],
            "the second sample has the value inf in row 1, column 0",
        );
    }
}
