//! Standard errors and intervals by resampling.
//!
//! Two schemes, for two kinds of statistics. The **bootstrap** draws points with replacement; it suits means and
//! smooth functions of them. Repeated points bias distances between clouds (a pair at distance zero is what no new
//! sample contains), so those use **disjoint blocks**, each a true small sample.

use thalweg_noise::Noise;
use thalweg_ot::Points;

use crate::statistics::Interval;
use crate::{MetricsError, checks, mean_and_standard_error};

/// How much to resample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resampling {
    /// How many resamples; at least two, and 1,000 or more for intervals worth quoting.
    pub replicates: usize,
    /// The probability that the interval is to have, between 0 and 1.
    pub confidence: f64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { replicates: 1000, confidence: 0.95 }
    }
}

/// What resampling tells about a statistic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The standard deviation over the resamples.
    pub standard_error: f64,
    /// The percentile interval of the resamples.
    pub interval: Interval,
}

/// The bootstrap: evaluates a statistic on index lists drawn with replacement from `0..points`.
///
/// Draw positions of pairs or of seeds to keep together what belongs together. For the mean of a list `v` the
/// statistic is `|chosen| chosen.iter().map(|&i| v[i]).sum::<f64>() / chosen.len() as f64`.
pub fn bootstrap(
    points: usize,
    resampling: Resampling,
    noise: &mut Noise,
    mut statistic: impl FnMut(&[usize]) -> f64,
) -> Result<Spread, MetricsError> {
    checks::open_unit("confidence", resampling.confidence)?;
    if points < 2 {
        return Err(MetricsError::TooFewPoints { what: "the sample", points, needed: 2 });
    }
    let mut values = Vec::with_capacity(resampling.replicates);
    for _ in 0..resampling.replicates {
        let chosen: Vec<usize> = (0..points).map(|_| noise.below(points)).collect();
        values.push(statistic(&chosen));
    }
    checks::list("the list of replicates", &values, 2)?;
    let (_, error_of_mean) = mean_and_standard_error(&values)?;
    values.sort_unstable_by(f64::total_cmp);
    let tail = 0.5 * (1.0 - resampling.confidence);
    let interval = Interval { low: quantile(&values, tail), high: quantile(&values, 1.0 - tail) };
    Ok(Spread { standard_error: error_of_mean * (values.len() as f64).sqrt(), interval })
}

/// The standard error of a distance between two clouds, from `blocks` disjoint random blocks of both.
///
/// The distance is evaluated on each pair of blocks; the standard deviation over `√blocks` estimates the standard error
/// at full size, for any statistic whose fluctuations shrink like one over the root of the sample size (they do for
/// Wasserstein distances, whose *bias* shrinks more slowly but is the same in every block). Where fluctuations shrink
/// faster, as those of MMD and energy distance do between equal distributions, it errs on the large side. Points that
/// do not fill a block are left out. Costs less than one evaluation at full size.
pub fn block_standard_error(
    [x, y]: [Points; 2],
    blocks: usize,
    noise: &mut Noise,
    mut distance: impl FnMut(Points, Points) -> Result<f64, MetricsError>,
) -> Result<f64, MetricsError> {
    if blocks < 2 {
        let value = blocks as f64;
        return Err(MetricsError::BadSetting { name: "the number of blocks", value, expected: "at least 2" });
    }
    let smaller = x.len().min(y.len());
    if smaller / blocks < 2 {
        let needed = 2 * blocks;
        return Err(MetricsError::TooFewPoints {
            what: "the sample to be cut into blocks",
            points: smaller,
            needed,
        });
    }
    let (x, y) = (shuffled(x, noise), shuffled(y, noise));
    let mut values = Vec::with_capacity(blocks);
    for k in 0..blocks {
        values.push(distance(x.block(k, blocks), y.block(k, blocks))?);
    }
    Ok(mean_and_standard_error(&values)?.1)
}

/// A cloud in random order.
struct Shuffled {
    values: Vec<f64>,
    dim: usize,
}

fn shuffled(points: Points, noise: &mut Noise) -> Shuffled {
    let values = noise.permutation(points.len()).into_iter().flat_map(|i| points.row(i).to_vec()).collect();
    Shuffled { values, dim: points.dim() }
}

impl Shuffled {
    fn block(&self, k: usize, blocks: usize) -> Points<'_> {
        let size = self.values.len() / self.dim / blocks * self.dim;
        Points::new(&self.values[k * size..(k + 1) * size], self.dim)
    }
}

/// The quantile of a sorted list, linear between its entries.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}
