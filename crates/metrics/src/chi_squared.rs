//! How far a Gaussian is from the standard normal by `χ²`, which diffusions contract (FORMULAS §7.5).

use faer::Side;

use crate::gaussian::matrix;
use crate::{MetricsError, Moments};

/// `χ²(N(m, S) ‖ N(0, I)) = exp(mᵀ(2I - S)⁻¹m) / √det(S(2I - S)) - 1`; infinite where a direction has a variance of 2 or
/// more, or none.
///
/// # Errors
/// When the eigenvalues of the covariance cannot be found.
///
/// # Panics
/// When the shapes of mean and covariance do not belong together.
pub fn chi_squared_to_standard_normal(moments: &Moments) -> Result<f64, MetricsError> {
    let covariance = matrix(moments);
    let eigen = covariance.self_adjoint_eigen(Side::Lower).map_err(|_| MetricsError::NoEigenvalues)?;
    let (axes, variances) = (eigen.U(), eigen.S().column_vector());
    let mut log = 0.0;
    for axis in 0..moments.mean.len() {
        let variance = variances[axis];
        if !(variance > 0.0 && variance < 2.0) {
            return Ok(f64::INFINITY);
        }
        let mean: f64 = moments.mean.iter().enumerate().map(|(i, m)| axes[(i, axis)] * m).sum();
        log += mean * mean / (2.0 - variance) - 0.5 * (variance * (2.0 - variance)).ln();
    }
    Ok(log.exp_m1())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: f64) -> f64 {
        let kept = (-time).exp();
        let diffused = |variance: f64, diagonal: f64| kept * kept * variance + (1.0 - kept * kept) * diagonal;
        let mean = vec![0.6 * kept, -0.3 * kept];
        let covariance = vec![diffused(0.5, 1.0), diffused(0.2, 0.0), diffused(0.2, 0.0), diffused(0.8, 1.0)];
        chi_squared_to_standard_normal(&Moments { mean, covariance }).unwrap()
    }

    #[test]
    fn golden_values_along_a_diffusion() {
        for (time, expected) in [(0.0, 0.664_323), (0.1, 0.474_781), (0.5, 0.174_994), (1.0, 0.061_546)] {
            assert!((at(time) - expected).abs() < 1e-6, "{time}: {}", at(time));
        }
    }

    #[test]
    fn diffusion_contracts_it() {
        for step in 1..40 {
            let time = 0.05 * f64::from(step);
            assert!(at(time) <= (-2.0 * time).exp() * at(0.0), "{time}");
        }
    }

    #[test]
    fn it_is_infinite_where_the_integral_diverges() {
        let of = |variance: f64| {
            chi_squared_to_standard_normal(&Moments { mean: vec![0.0], covariance: vec![variance] }).unwrap()
        };
        assert_eq!(of(2.0), f64::INFINITY);
        assert_eq!(of(0.0), f64::INFINITY);
        assert!(of(1.0).abs() < 1e-15);
        // The integral itself, by the midpoint rule.
        let h = 1e-3;
        let integral: f64 = (-20_000..20_000)
            .map(|i| (f64::from(i) + 0.5) * h)
            .map(|x| (-x * x / 1.5 + x * x / 2.0).exp() / 1.5 / std::f64::consts::TAU.sqrt() * h)
            .sum();
        assert!((of(1.5) - (integral - 1.0)).abs() < 1e-9, "{} {integral}", of(1.5));
    }
}
