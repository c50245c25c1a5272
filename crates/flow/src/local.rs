//! Local Flow Matching: a chain of flows between neighbouring laws of one diffusion (FORMULAS §7).
//!
//! The Ornstein-Uhlenbeck diffusion `dX = -X ds + √2 dW` takes any data to the standard normal. Block `n` of a chain joins
//! its laws before and after the time `γ_n = c ρⁿ⁻¹`, which are close to each other, and the last block joins what is left
//! with the normal itself. Blocks are numbered from the data. Inside a block time runs as everywhere from the noisier side
//! (`t = 0`) to that of the data (`t = 1`); the paper's clock runs the other way.

use std::f64::consts::FRAC_PI_2;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::require;
use crate::number::Number;
use crate::path::data_in_noise;
use crate::{Coefficients, FlowError, PathSample};

/// How a diffusion is cut into blocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocalSchedule {
    /// Number `N` of blocks, with the last, which ends at the standard normal whatever the times are.
    pub blocks: usize,
    /// Time `c` of the first block.
    pub first: f64,
    /// Quotient `ρ` of the times of neighbouring blocks.
    pub growth: f64,
    /// Time `δ` of a diffusion before the first block, which makes rough data smooth.
    pub smoothing: f64,
}

impl LocalSchedule {
    /// The time that block `number`, counted from 1 at the data, diffuses for; none for the last, which diffuses for ever.
    ///
    /// # Panics
    /// When there is no such block.
    #[must_use]
    pub fn duration(&self, number: usize) -> Option<f64> {
        assert!((1..=self.blocks).contains(&number), "there is no block {number} of {}", self.blocks);
        (number < self.blocks).then(|| self.first * self.growth.powf((number - 1) as f64))
    }

    /// The time of the diffusion before block `number` begins, with the smoothing.
    ///
    /// # Panics
    /// When there is no such block.
    #[must_use]
    pub fn time_before(&self, number: usize) -> f64 {
        self.smoothing + (1..number).filter_map(|before| self.duration(before)).sum::<f64>()
    }

    /// What is left of the data where the last block begins: the factor on them there.
    #[must_use]
    pub fn signal(&self) -> f64 {
        (-self.time_before(self.blocks)).exp()
    }

    /// Checks that every setting is in its documented range.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn validate(&self) -> Result<(), FlowError> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let blocks = self.blocks as f64;
        require(self.blocks >= 1, "the number of blocks of a chain", blocks, "at least 1")?;
        require(positive(self.first), "the time of the first block", self.first, "positive and finite")?;
        require(positive(self.growth), "the growth of the blocks", self.growth, "positive and finite")?;
        let smooth = self.smoothing >= 0.0 && self.smoothing.is_finite();
        require(smooth, "the time of the smoothing", self.smoothing, "finite and not negative")?;
        let total = self.time_before(self.blocks);
        require(total.is_finite(), "the time of all blocks together", total, "finite")
    }
}

/// What a diffusion over `time` leaves of its start, and the deviation of the noise that it adds.
#[must_use]
pub fn ornstein_uhlenbeck(time: f64) -> (f64, f64) {
    ((-time).exp(), (-(-2.0 * time).exp_m1()).sqrt())
}

/// How the points of a pair are joined inside a block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocalInterpolant {
    /// Straight lines.
    #[default]
    Linear,
    /// `cos` and `sin` of a quarter turn. Of two neighbours it makes a detour: half-way it is `√2` times their middle.
    Trigonometric,
    /// The diffusion itself, with one and the same noise at all times; the last block then has straight lines.
    OrnsteinUhlenbeck,
}

/// One block: the path between a point and what the diffusion makes of it, `x = α(t) x1 + σ(t) ε`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocalBlock {
    /// How the two are joined.
    pub interpolant: LocalInterpolant,
    /// For how long the diffusion runs; none for ever.
    pub duration: Option<f64>,
}

/// How near to the data, as a share of its time, the path of a diffusion is looked at: its velocity grows there without
/// bound, like the root of one over the distance.
const NEAREST: f64 = 1e-3;

impl LocalBlock {
    /// `α`, `σ` and their derivatives at a time. With the trigonometric interpolant `α` first rises above 1.
    #[must_use]
    pub fn at(&self, t: f64) -> Coefficients {
        self.coefficients(t)
    }

    /// The same at times `t` `[batch]`.
    #[must_use]
    pub fn at_times(&self, t: Tensor<1>) -> Coefficients<Tensor<1>> {
        self.coefficients(t)
    }

    /// Points on the paths from `data` `[batch, ..]` to what the diffusion makes of them by the unit normal `noise`
    /// `[batch, ..]`, at times `t` `[batch]`.
    #[must_use]
    pub fn sample<const D: usize>(&self, noise: Tensor<D>, data: Tensor<D>, t: Tensor<1>) -> PathSample<D> {
        data_in_noise(self.coefficients(t.clone()), noise, data, t)
    }

    fn coefficients<T: Number>(&self, t: T) -> Coefficients<T> {
        let (kept, added) = self.duration.map_or((0.0, 1.0), ornstein_uhlenbeck);
        match (self.interpolant, self.duration) {
            (LocalInterpolant::OrnsteinUhlenbeck, Some(duration)) => diffusing(t, duration),
            (LocalInterpolant::Trigonometric, _) => {
                let near = t.clone().scale(FRAC_PI_2).sin();
                let far = t.complement().scale(FRAC_PI_2).sin();
                Coefficients {
                    alpha: near.clone() + far.clone().scale(kept),
                    alpha_dot: (far.clone() - near.clone().scale(kept)).scale(FRAC_PI_2),
                    sigma: far.scale(added),
                    sigma_dot: near.scale(-added * FRAC_PI_2),
                }
            }
            _ => Coefficients {
                alpha: t.clone().complement().scale(kept) + t.clone(),
                alpha_dot: t.constant(1.0 - kept),
                sigma_dot: t.constant(-added),
                sigma: t.complement().scale(added),
            },
        }
    }
}

/// The diffusion over `duration`, run backwards.
fn diffusing<T: Number>(t: T, duration: f64) -> Coefficients<T> {
    let time = t.complement().limit(NEAREST, 1.0).scale(duration);
    let alpha = time.clone().scale(-1.0).exp();
    // 1 - exp(-2 s) = tanh(s) (1 + exp(-2 s)) keeps all digits for small s.
    let sigma = (time.tanh() * alpha.clone().square().shift(1.0)).sqrt();
    Coefficients {
        alpha_dot: alpha.clone().scale(duration),
        sigma_dot: -(alpha.clone().square() / sigma.clone()).scale(duration),
        alpha,
        sigma,
    }
}

#[cfg(test)]
mod tests {
    use thalweg_noise::Noise;
    use thalweg_solve::{Method, Placement, Save, Solver, Span, per_sample, solve_field, to_host};

    use super::*;

    const INTERPOLANTS: [LocalInterpolant; 3] =
        [LocalInterpolant::Linear, LocalInterpolant::Trigonometric, LocalInterpolant::OrnsteinUhlenbeck];

    fn block(interpolant: LocalInterpolant, duration: f64) -> LocalBlock {
        LocalBlock { interpolant, duration: Some(duration) }
    }

    #[test]
    fn the_published_schedules_have_their_times() {
        let total = |blocks, first, growth| {
            LocalSchedule { blocks, first, growth, smoothing: 0.0 }.time_before(blocks)
        };
        let check = |found: f64, expected: f64| assert!((found - expected).abs() < 6e-4, "{found}");
        check(total(9, 0.025, 1.25), 0.496);
        check(total(4, 0.15, 1.3), 0.5985);
        check(total(2, 0.05, 1.0), 0.05);
        check(total(4, 0.25, 1.0), 0.75);
        check(total(4, 0.3, 1.1), 0.993);
        let schedule = LocalSchedule { blocks: 3, first: 0.1, growth: 2.0, smoothing: 0.05 };
        assert_eq!([1, 2, 3].map(|n| schedule.duration(n)), [Some(0.1), Some(0.2), None]);
        assert!((schedule.signal() - (-0.35_f64).exp()).abs() < 1e-15);
    }

    #[test]
    fn impossible_schedules_are_named() {
        let schedule = |blocks, first, growth, smoothing| {
            LocalSchedule { blocks, first, growth, smoothing }.validate().unwrap_err().to_string()
        };
        assert_eq!(schedule(0, 0.1, 1.0, 0.0), "the number of blocks of a chain is 0; it must be at least 1");
        assert!(schedule(3, 0.0, 1.0, 0.0).starts_with("the time of the first block is 0"));
        assert!(schedule(3, f64::NAN, 1.0, 0.0).starts_with("the time of the first block is NaN"));
        assert!(schedule(3, 0.1, -1.0, 0.0).starts_with("the growth of the blocks is -1"));
        assert!(schedule(3, 0.1, 1.0, -0.1).starts_with("the time of the smoothing is -0.1"));
        assert!(schedule(400, 0.1, 10.0, 0.0).starts_with("the time of all blocks together is inf"));
    }

    #[test]
    fn blocks_end_at_the_data_and_at_the_diffused_data() {
        for interpolant in INTERPOLANTS {
            let path = block(interpolant, 0.3);
            let (near, far) = (path.at(1.0), path.at(0.0));
            let (kept, added) = ornstein_uhlenbeck(0.3);
            // The diffusion stops a thousandth of its time before the data.
            let close =
                |a: f64, b: f64, by: f64| assert!((a - b).abs() < by, "{interpolant:?}: {a}, not {b}");
            close(near.alpha, 1.0, 4e-4);
            close(near.sigma, 0.0, 0.03);
            close(far.alpha, kept, 1e-15);
            close(far.sigma, added, 1e-15);
            let last = LocalBlock { interpolant, duration: None };
            let (near, far) = (last.at(1.0), last.at(0.0));
            assert_eq!([near.alpha, near.sigma, far.alpha, far.sigma], [1.0, 0.0, 0.0, 1.0]);
        }
    }

    #[test]
    fn derivatives_are_those_of_finite_differences() {
        for interpolant in INTERPOLANTS {
            for path in [block(interpolant, 0.2), LocalBlock { interpolant, duration: None }] {
                for t in [0.1, 0.5, 0.9] {
                    let h = 1e-6;
                    let (before, now, after) = (path.at(t - h), path.at(t), path.at(t + h));
                    let close = |slope: f64, exact: f64| assert!((slope - exact).abs() < 1e-7, "{path:?}");
                    close((after.alpha - before.alpha) / (2.0 * h), now.alpha_dot);
                    close((after.sigma - before.sigma) / (2.0 * h), now.sigma_dot);
                }
            }
        }
    }

    #[test]
    fn sampled_points_are_those_of_the_coefficients() {
        let placement = Placement::cpu_double();
        let mut noise = Noise::new(3);
        let [eps, data] = [(); 2].map(|()| placement.normal::<2>(&mut noise, [3, 2]));
        let times = [0.0, 0.4, 1.0];
        for interpolant in INTERPOLANTS {
            let path = block(interpolant, 0.7);
            let found = path.sample(eps.clone(), data.clone(), placement.tensor(&times, [3]));
            let (x, v) = (to_host(&found.x), to_host(&found.velocity));
            let (e, d) = (to_host(&eps), to_host(&data));
            for i in 0..6 {
                let c = path.at(times[i / 2]);
                assert!((x[i] - (c.alpha * d[i] + c.sigma * e[i])).abs() < 1e-12);
                assert!((v[i] - (c.alpha_dot * d[i] + c.sigma_dot * e[i])).abs() < 1e-12);
            }
        }
    }

    /// Weight, mean and variance of the components of a law on the line.
    const LAW: [(f64, f64, f64); 2] = [(0.3, -1.1, 0.05), (0.7, 0.6, 0.2)];

    fn moved((weight, mean, variance): (f64, f64, f64), c: &Coefficients) -> (f64, f64, f64) {
        (weight, c.alpha * mean, c.alpha * c.alpha * variance + c.sigma * c.sigma)
    }

    fn density(law: &[(f64, f64, f64)], x: f64) -> Vec<f64> {
        let one = |&(w, m, v): &(f64, f64, f64)| {
            w * (-(x - m) * (x - m) / (2.0 * v)).exp() / (std::f64::consts::TAU * v).sqrt()
        };
        law.iter().map(one).collect()
    }

    /// What a perfect block would have learned (FORMULAS §7.6).
    fn exact_velocity(path: &LocalBlock, t: f64, x: f64) -> f64 {
        let c = path.at(t);
        let now: Vec<_> = LAW.iter().map(|&k| moved(k, &c)).collect();
        let shares = density(&now, x);
        let parts = LAW.iter().zip(&now).zip(&shares).map(|((&(_, m, v), &(_, mean, variance)), share)| {
            let growth = c.alpha_dot * c.alpha * v + c.sigma_dot * c.sigma;
            share * (c.alpha_dot * m + growth / variance * (x - mean))
        });
        parts.sum::<f64>() / shares.iter().sum::<f64>()
    }

    /// The share of a law to the left of a point, by the trapezoidal rule, which converges fast for smooth densities.
    fn share_below(law: &[(f64, f64, f64)], x: f64) -> f64 {
        let (low, parts) = (-9.0, 20_000);
        let h = (x - low) / f64::from(parts);
        let at = |i: i32| density(law, low + h * f64::from(i)).iter().sum::<f64>();
        // Corrected at the end that does not vanish.
        let slope = (at(parts + 1) - at(parts - 1)) / (2.0 * h);
        h * ((1..parts).map(at).sum::<f64>() + 0.5 * at(parts)) - h * h / 12.0 * slope
    }

    /// On the line a flow keeps the order of points, so it is right if it keeps what share lies below each.
    #[test]
    fn the_exact_block_carries_the_diffused_law_to_the_law_before() {
        let starts = [-1.3, -0.6, 0.1, 0.7, 1.4];
        let placement = Placement::cpu_double();
        for interpolant in INTERPOLANTS {
            let path = block(interpolant, 0.3);
            let field = |t: Tensor<1>, x: Tensor<2>| {
                let times = to_host(&per_sample::<2>(t));
                let values: Vec<f64> =
                    to_host(&x).iter().zip(times).map(|(&x, t)| exact_velocity(&path, t, x)).collect();
                placement.tensor::<2>(&values, [values.len(), 1])
            };
            let x = placement.tensor::<2>(&starts, [starts.len(), 1]);
            // The diffusion is followed to where its path ends.
            let end = if interpolant == LocalInterpolant::OrnsteinUhlenbeck { 1.0 - NEAREST } else { 1.0 };
            let solver = Solver::adaptive(Method::Dopri5, 1e-9);
            let span = Span { start: 0.0, end };
            let solved = solve_field(&solver, span, x, &Save::End, &field).unwrap();
            let law_at = |t: f64| LAW.map(|k| moved(k, &path.at(t)));
            for (from, to) in starts.iter().zip(to_host(&solved.state)) {
                let (before, after) = (share_below(&law_at(0.0), *from), share_below(&law_at(end), to));
                assert!((before - after).abs() < 2e-8, "{interpolant:?} {from}: {before} {after}");
            }
        }
    }

    #[test]
    fn the_trigonometric_interpolant_makes_a_detour() {
        // Mean squared velocities of a standardised law: exactly (π²/4)(1 + … ) against 2 (1 - e^-γ).
        let energy = |interpolant| {
            let path = block(interpolant, 0.3);
            let times = (0..1000).map(|i| (f64::from(i) + 0.5) / 1000.0);
            let squares = times.map(|t| path.at(t)).map(|c| c.alpha_dot.powi(2) + c.sigma_dot.powi(2));
            squares.sum::<f64>() / 1000.0
        };
        let (straight, turning) = (energy(LocalInterpolant::Linear), energy(LocalInterpolant::Trigonometric));
        let (kept, added) = ornstein_uhlenbeck(0.3);
        assert!((straight - ((1.0 - kept).powi(2) + added * added)).abs() < 1e-12);
        assert!(turning > 2.0 * straight, "{turning} {straight}");
    }
}
