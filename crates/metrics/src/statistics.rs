//! Means, proportions, and how sure of them one may be.

use std::f64::consts::{PI, SQRT_2};

use serde::{Deserialize, Serialize};

use crate::{MetricsError, checks};

/// A confidence interval, ends included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether a value lies within.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

impl From<Interval> for [f64; 2] {
    fn from(interval: Interval) -> Self {
        [interval.low, interval.high]
    }
}

/// The mean and its standard error `s/√n`, where `s²` divides by `n - 1`.
pub fn mean_and_standard_error(values: &[f64]) -> Result<(f64, f64), MetricsError> {
    checks::list("the list of values", values, 2)?;
    let n = values.len() as f64;
    let mean = values.iter().map(|v| v / n).sum::<f64>();
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0);
    Ok((checks::finite("the mean", mean)?, checks::finite("the standard error", (variance / n).sqrt())?))
}

/// Wilson's interval for the chance of success after `successes` of `trials`: right also near 0 and 1, where the
/// usual `p̂ ± z s` is not.
pub fn wilson(successes: usize, trials: usize, confidence: f64) -> Result<Interval, MetricsError> {
    checks::open_unit("confidence", confidence)?;
    if trials == 0 {
        return Err(MetricsError::TooFewPoints { what: "the list of trials", points: 0, needed: 1 });
    }
    if successes > trials {
        let value = successes as f64;
        return Err(MetricsError::BadSetting {
            name: "successes",
            value,
            expected: "at most the number of trials",
        });
    }
    let (z, n) = (normal_width(confidence), trials as f64);
    let share = successes as f64 / n;
    let centre = share + z * z / (2.0 * n);
    let half = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    // At no or only successes the ends are 0 and 1 exactly, which rounding would miss by a little.
    let low = if successes == 0 { 0.0 } else { (centre - half) / scale };
    let high = if successes == trials { 1.0 } else { (centre + half) / scale };
    Ok(Interval { low, high })
}

/// The `z` for which a standard normal lies in `[-z, z]` with the given probability, by bisection: half the width of a
/// normal interval in standard errors. The probability is between 0 and 1.
#[must_use]
pub fn normal_width(probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, 10.0);
    for _ in 0..64 {
        let middle = 0.5 * (low + high);
        if erf(middle / SQRT_2) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The error function for `x ≥ 0`, by `2/√π e^(-x²) Σ 2^k x^(2k+1)/(2k+1)!!`, whose terms are all positive.
fn erf(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    let mut k = 1.0;
    while term > 1e-17 * sum {
        term *= 2.0 * x * x / (2.0 * k + 1.0);
        sum += term;
        k += 1.0;
    }
    2.0 / PI.sqrt() * (-x * x).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_widths_are_the_tabulated_ones() {
        for (probability, z) in
            [(0.682_689_492_137_085_9, 1.0), (0.95, 1.959_963_984_540_054), (0.99, 2.575_829_303_548_901)]
        {
            assert!((normal_width(probability) - z).abs() < 1e-13, "{}", normal_width(probability));
        }
        assert!((erf(1.3 / 2.0) - 0.642_029_327_355_670_7).abs() < 1e-14, "{}", erf(0.65));
    }
}
