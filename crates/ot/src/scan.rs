//! Minima over a row: the least reduced cost for the network simplex, and the least sum that proves an assignment.
//!
//! The pass of the network simplex leaves the minimum of each block behind, so that finding *where* the minimum lies takes a look at one
//! block and not a second pass. Eight running minima per block give the compiler independent lanes; selections
//! instead of branches let it use vector instructions.

use pulp::{Arch, NullaryFnOnce};

/// Entries per block: eight cache lines of `f64`.
const BLOCK: usize = 64;
const LANES: usize = 8;

/// Running minima of [`least_sum`], enough for the widest vectors.
const WIDE: usize = 32;

/// Number of blocks of a row of `n` entries.
pub(crate) fn blocks(n: usize) -> usize {
    n.div_ceil(BLOCK)
}

// Inlined, with all else that runs inside of a dispatch, or it would be compiled for the oldest processor.
#[inline(always)]
fn lesser(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

#[inline(always)]
fn least<const N: usize>(lanes: [f64; N]) -> f64 {
    lanes.into_iter().fold(f64::INFINITY, lesser)
}

/// The minimum of `costs[j] - duals[j]`, and into `minima` that of each block.
pub(crate) fn reduced_minimum(costs: &[f64], duals: &[f64], minima: &mut [f64]) -> f64 {
    Arch::new().dispatch(ReducedMinimum { costs, duals, minima })
}

struct ReducedMinimum<'a> {
    costs: &'a [f64],
    duals: &'a [f64],
    minima: &'a mut [f64],
}

impl NullaryFnOnce for ReducedMinimum<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let mut best = f64::INFINITY;
        let blocks = self.costs.chunks(BLOCK).zip(self.duals.chunks(BLOCK));
        for ((costs, duals), minimum) in blocks.zip(self.minima) {
            let mut lanes = [f64::INFINITY; LANES];
            let (cost_lanes, cost_rest) = costs.as_chunks::<LANES>();
            let (dual_lanes, dual_rest) = duals.as_chunks::<LANES>();
            for (c, v) in cost_lanes.iter().zip(dual_lanes) {
                for k in 0..LANES {
                    lanes[k] = lesser(c[k] - v[k], lanes[k]);
                }
            }
            for (c, v) in cost_rest.iter().zip(dual_rest) {
                lanes[0] = lesser(c - v, lanes[0]);
            }
            *minimum = least(lanes);
            best = lesser(*minimum, best);
        }
        best
    }
}

/// Where the minimum that [`reduced_minimum`] has just found lies.
pub(crate) fn place_of(minimum: f64, costs: &[f64], duals: &[f64], minima: &[f64]) -> usize {
    let block = minima.iter().position(|&m| m == minimum).unwrap_or(0);
    let from = block * BLOCK;
    let mut reduced = costs[from..].iter().zip(&duals[from..]).map(|(c, v)| c - v);
    from + reduced.position(|r| r == minimum).unwrap_or(0)
}

/// The minimum of `costs[j] + prices[j]`.
pub(crate) fn least_sum(costs: &[f64], prices: &[f64]) -> f64 {
    Arch::new().dispatch(LeastSum { costs, prices })
}

struct LeastSum<'a> {
    costs: &'a [f64],
    prices: &'a [f64],
}

impl NullaryFnOnce for LeastSum<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let mut lanes = [f64::INFINITY; WIDE];
        let (cost_lanes, cost_rest) = self.costs.as_chunks::<WIDE>();
        let (price_lanes, price_rest) = self.prices.as_chunks::<WIDE>();
        for (c, p) in cost_lanes.iter().zip(price_lanes) {
            for k in 0..WIDE {
                lanes[k] = lesser(c[k] + p[k], lanes[k]);
            }
        }
        for (lane, (c, p)) in lanes.iter_mut().zip(cost_rest.iter().zip(price_rest)) {
            *lane = lesser(c + p, *lane);
        }
        least(lanes)
    }
}

/// The smallest and the largest entry, both NaN if any entry is NaN or infinite.
pub(crate) fn range(values: &[f64]) -> [f64; 2] {
    Arch::new().dispatch(Range(values))
}

struct Range<'a>(&'a [f64]);

impl NullaryFnOnce for Range<'_> {
    type Output = [f64; 2];

    #[inline(always)]
    fn call(self) -> [f64; 2] {
        let (mut low, mut high) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
        // Comparisons pass over a NaN, so it is kept apart: zero times a finite number is zero.
        let mut nan = [0.0; LANES];
        let mut meet = |lane: usize, value: f64| {
            low[lane] = lesser(value, low[lane]);
            high[lane] = if value > high[lane] { value } else { high[lane] };
            nan[lane] += 0.0 * value;
        };
        let (whole, rest) = self.0.as_chunks::<LANES>();
        for values in whole {
            for lane in 0..LANES {
                meet(lane, values[lane]);
            }
        }
        for value in rest {
            meet(0, *value);
        }
        let nan: f64 = nan.into_iter().sum();
        let high =
            high.into_iter().fold(f64::NEG_INFINITY, |high, value| if value > high { value } else { high });
        [least(low) + nan, high + nan]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use thalweg_noise::Noise;

    #[test]
    fn block_minima_agree_with_the_plain_loop() {
        let mut noise = Noise::new(1);
        for n in [1, 7, 8, 63, 64, 65, 200] {
            let (costs, duals) = (noise.normals(n), noise.normals(n));
            let mut minima = vec![0.0; blocks(n)];
            let best = reduced_minimum(&costs, &duals, &mut minima);
            let reduced: Vec<f64> = costs.iter().zip(&duals).map(|(c, v)| c - v).collect();
            let plain = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
            assert_eq!(best, plain(&reduced));
            assert_eq!(minima, reduced.chunks(BLOCK).map(plain).collect::<Vec<_>>());
            assert_eq!(reduced[place_of(best, &costs, &duals, &minima)], best);
        }
    }

    #[test]
    fn a_range_is_that_of_the_plain_loop_and_nothing_with_a_number_that_is_none() {
        let mut noise = Noise::new(3);
        for n in [1, 7, 8, 9, 100] {
            let mut values = noise.normals(n);
            let ends = [f64::INFINITY, f64::NEG_INFINITY];
            let plain = values.iter().fold(ends, |[low, high], &v| [low.min(v), high.max(v)]);
            assert_eq!(range(&values), plain);
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                values[n / 2] = bad;
                assert!(range(&values)[0].is_nan() && range(&values)[1].is_nan());
            }
        }
    }

    #[test]
    fn the_least_sum_is_that_of_the_plain_loop() {
        let mut noise = Noise::new(2);
        for n in [0, 1, 31, 32, 33, 100] {
            let (costs, prices) = (noise.normals(n), noise.normals(n));
            let plain = costs.iter().zip(&prices).map(|(c, p)| c + p).fold(f64::INFINITY, f64::min);
            assert_eq!(least_sum(&costs, &prices), plain);
        }
    }
}
