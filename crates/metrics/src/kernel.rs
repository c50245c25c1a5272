//! Maximum mean discrepancy with Gaussian kernels.

use thalweg_ot::{Cost, Points};

use crate::pairwise::{mean_between, mean_within};
use crate::{MetricsError, checks};

/// A mean of Gaussian kernels `exp(-‖x-y‖²/2h²)` over several bandwidths `h`, so `k(x, x) = 1`.
#[derive(Debug, Clone, PartialEq)]
pub struct Kernel {
    bandwidths: Vec<f64>,
}

/// Points of each cloud that the median distance is taken from; half a million pairs fix it to about a permille.
const POINTS_FOR_MEDIAN: usize = 500;

impl Kernel {
    /// One Gaussian of the given bandwidth.
    pub fn rbf(bandwidth: f64) -> Result<Self, MetricsError> {
        if bandwidth > 0.0 && bandwidth.is_finite() {
            Ok(Self { bandwidths: vec![bandwidth] })
        } else {
            let expected = "positive and finite";
            Err(MetricsError::BadSetting { name: "bandwidth", value: bandwidth, expected })
        }
    }

    /// Five Gaussians whose bandwidths are ¼, ½, 1, 2 and 4 times the median distance between points of the two
    /// clouds together (of at most 500 of each, evenly spaced). Scores under different kernels do not compare: make
    /// one from true data and keep it.
    pub fn median_mixture(x: Points, y: Points) -> Result<Self, MetricsError> {
        checks::pair(x, y)?;
        let mut pooled = thinned(x, POINTS_FOR_MEDIAN);
        pooled.extend(thinned(y, POINTS_FOR_MEDIAN));
        let pooled = Points::new(&pooled, x.dim());
        let distances = Cost::euclidean(pooled, pooled);
        let mut upper: Vec<f64> =
            (0..pooled.len()).flat_map(|i| distances.row(i)[i + 1..].to_vec()).collect();
        let middle = upper.len() / 2;
        let (_, &mut median, _) = upper.select_nth_unstable_by(middle, f64::total_cmp);
        if median > 0.0 && median.is_finite() {
            Ok(Self { bandwidths: [0.25, 0.5, 1.0, 2.0, 4.0].map(|factor| factor * median).to_vec() })
        } else {
            Err(MetricsError::AllPointsCoincide { what: "median distance" })
        }
    }

    /// The bandwidths `h`.
    #[must_use]
    pub fn bandwidths(&self) -> &[f64] {
        &self.bandwidths
    }

    fn at(&self, squared_distance: f64) -> f64 {
        let sum: f64 = self.bandwidths.iter().map(|h| (-squared_distance / (2.0 * h * h)).exp()).sum();
        sum / self.bandwidths.len() as f64
    }
}

/// At most `count` points, evenly spaced in the order given.
fn thinned(points: Points, count: usize) -> Vec<f64> {
    let kept = points.len().min(count);
    (0..kept).flat_map(|k| points.row(k * points.len() / kept).to_vec()).collect()
}

/// The unbiased estimate of `MMD² = E k(X,X') + E k(Y,Y') - 2 E k(X,Y)`.
///
/// About zero for samples of one distribution, and then as often negative as positive. Takes `O((n+m)² dim)` time and
/// little memory.
pub fn mmd2_unbiased(x: Points, y: Points, kernel: &Kernel) -> Result<f64, MetricsError> {
    checks::pair(x, y)?;
    let k = |squared| kernel.at(squared);
    checks::finite("the squared MMD", mean_within(x, k) + mean_within(y, k) - 2.0 * mean_between(x, y, k))
}
