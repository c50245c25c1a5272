//! Units and changes of variables for reported likelihoods (FORMULAS §3.4). Densities are natural logarithms.

use std::f64::consts::LN_2;

use crate::FlowError;
use crate::error::require;

/// How pixels `x` in `0..=255` with uniform dequantisation noise `U` became the numbers a model saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelScale {
    /// `(x + U)/256`, in `[0, 1)`.
    Unit,
    /// `2 (x + U)/256 - 1`, in `[-1, 1)`.
    Symmetric,
    /// `(x + U)/127.5 - 1`, which goes a little beyond 1.
    SymmetricHalf,
}

impl PixelScale {
    /// Bits per dimension of an image of `dimensions` numbers whose scaled values have log-density `log_density`.
    ///
    /// A uniform density over the pixels gives exactly 8 (a bound on the bits of the discrete image, from above).
    #[must_use]
    pub fn bits_per_dimension(self, log_density: f64, dimensions: usize) -> f64 {
        let levels_per_unit: f64 = match self {
            PixelScale::Unit => 256.0,
            PixelScale::Symmetric => 128.0,
            PixelScale::SymmetricHalf => 127.5,
        };
        levels_per_unit.log2() - log_density / (dimensions as f64 * LN_2)
    }
}

/// The tighter bound from several draws of the dequantisation noise: `log (1/K) Σ exp(log_densities)`.
///
/// Minus infinity for an empty slice.
#[must_use]
pub fn log_mean_exp(log_densities: &[f64]) -> f64 {
    let largest = log_densities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    let sum: f64 = log_densities.iter().map(|l| (l - largest).exp()).sum();
    largest + (sum / log_densities.len() as f64).ln()
}

/// The map `y ↦ logit(a + (1 - 2a) y)` from `[0, 1]` to the line, under which bounded data gets unbounded room.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogitTransform {
    margin: f64,
}

impl LogitTransform {
    /// The transform with margin `a` in `(0, ½)`, which keeps 0 and 1 finite; 0.05 and 10⁻⁶ are in use.
    pub fn new(margin: f64) -> Result<Self, FlowError> {
        let accepted = 0.0 < margin && margin < 0.5;
        require(accepted, "the margin of the logit transform", margin, "between 0 and 0.5, both excluded")?;
        Ok(Self { margin })
    }

    /// The transformed coordinate of `y` in `[0, 1]`.
    #[must_use]
    pub fn forward(self, y: f64) -> f64 {
        let squeezed = self.squeeze(y);
        (squeezed / (1.0 - squeezed)).ln()
    }

    /// The coordinate `y` whose transform is `l`.
    #[must_use]
    pub fn inverse(self, l: f64) -> f64 {
        (1.0 / (1.0 + (-l).exp()) - self.margin) / (1.0 - 2.0 * self.margin)
    }

    /// What to add to the log-density of the transformed point to get that of the point `y` itself: the logarithm of
    /// the Jacobian, `Σ log(1 - 2a) - log y' - log(1 - y')`.
    #[must_use]
    pub fn log_jacobian(self, y: &[f64]) -> f64 {
        let scale = (1.0 - 2.0 * self.margin).ln();
        y.iter().map(|&y| self.squeeze(y)).map(|s| scale - s.ln() - (1.0 - s).ln()).sum()
    }

    fn squeeze(self, y: f64) -> f64 {
        self.margin + (1.0 - 2.0 * self.margin) * y
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uniform_model_takes_eight_bits() {
        let d = 3072;
        assert_eq!(PixelScale::Unit.bits_per_dimension(0.0, d), 8.0);
        // Uniform on an interval of length 2: density ½ per dimension.
        let log_density = -(d as f64) * LN_2;
        assert!((PixelScale::Symmetric.bits_per_dimension(log_density, d) - 8.0).abs() < 1e-12);
        let log_density = -(d as f64) * (256.0_f64 / 127.5).ln();
        assert!((PixelScale::SymmetricHalf.bits_per_dimension(log_density, d) - 8.0).abs() < 1e-12);
        assert!((PixelScale::SymmetricHalf.bits_per_dimension(0.0, d) - 6.9944).abs() < 1e-4);
    }

    #[test]
    fn the_logit_jacobian_is_the_slope() {
        let transform = LogitTransform::new(0.05).unwrap();
        for y in [0.0, 0.1, 0.5, 0.97, 1.0] {
            let h = 1e-6;
            let slope = (transform.forward(y + h) - transform.forward(y - h)) / (2.0 * h);
            assert!((transform.log_jacobian(&[y]) - slope.ln()).abs() < 1e-8);
            assert!((transform.inverse(transform.forward(y)) - y).abs() < 1e-14);
        }
        let (one, both) = (transform.log_jacobian(&[0.3]), transform.log_jacobian(&[0.3, 0.3]));
        assert!((both - 2.0 * one).abs() < 1e-15);
        assert!(LogitTransform::new(0.5).is_err());
    }

    #[test]
    fn log_mean_exp_neither_overflows_nor_underflows() {
        assert!((log_mean_exp(&[1000.0, 1000.0 + 3_f64.ln()]) - (1000.0 + 2_f64.ln())).abs() < 1e-12);
        assert!((log_mean_exp(&[-2000.0]) + 2000.0).abs() < 1e-12);
        assert_eq!(log_mean_exp(&[]), f64::NEG_INFINITY);
    }
}
