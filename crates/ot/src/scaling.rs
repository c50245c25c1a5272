//! Sinkhorn updates as products with a kernel: stabilised matrix scaling (Schmitzer 2016; Chizat et al. 2018).
//!
//! The potentials are split into a part that is *absorbed* in the kernel and scalings that change with every update,
//! `f = F + ε log u` and `g = G + ε log v`. The kernel `K_ij = a_i b_j exp((F_i + G_j - C_ij)/ε)` is the plan of the
//! absorbed part, the plan is `u_i K_ij v_j`, and an update takes no exponentials: `u_i = a_i / (K v)_i`, and for `v`
//! the same with the transpose. Soft marginals take `u_i = (a_i / (K v)_i)^κ exp(-F_i/(ρ+ε))`.
//!
//! Entries of `K` that are negligible are zeros. As long as the scalings stay within bounds, what is lost that way is
//! less than a rounding error; an update that would leave them is made by soft minima instead, and absorbed.

use crate::Cost;
use crate::products::{ROWS, add_multiples, product};
use crate::softmin::{self, Against};

/// Bounds of the scalings, and of the ratio of a weight to its sum. With [`NEGLIGIBLE`] they make the lost part of a
/// sum, at most `1e-199 · 1e60` of the weight, vanish beside the sum, at least `1e-60` of it.
const SCALINGS: std::ops::RangeInclusive<f64> = 1e-60..=1e60;

/// Exponents below this, `exp(-460) = 1.7e-200`, make entries of zero. Far above underflow, so that products with
/// scalings are no subnormal numbers, which are slow.
const NEGLIGIBLE: f64 = -460.0;

/// Smaller entries of a squared kernel become zeros, for the same reason.
const LEAST_SQUARE: f64 = 1e-200;

/// Halvings of ε before the kernel is computed from the costs again: each doubles its relative errors.
const SQUARINGS: usize = 20;

/// The entropic problem at one ε, with the state of its solution.
pub(crate) struct Scaling<'a> {
    cost: &'a Cost,
    /// The weight ρ of the marginal penalty, if marginals are soft.
    penalty: Option<f64>,
    epsilon: f64,
    rows: Half<'a>,
    cols: Half<'a>,
    kernel: Vec<f64>,
    /// How often the kernel has been squared since it was computed from the costs.
    squarings: usize,
}

/// The points of one side. Those without weight have the potential minus infinity and the scaling 1 throughout, so
/// that their kernel entries are zeros.
struct Half<'a> {
    weights: &'a [f64],
    absorbed: Vec<f64>,
    scalings: Vec<f64>,
    /// The scalings of an update that may yet be given up.
    proposed: Vec<f64>,
}

impl<'a> Half<'a> {
    fn new(weights: &'a [f64], potential: f64) -> Self {
        let ones = vec![1.0; weights.len()];
        let absorbed = weights.iter().map(|w| if *w > 0.0 { potential } else { f64::NEG_INFINITY }).collect();
        Self { weights, absorbed, scalings: ones.clone(), proposed: ones }
    }

    fn absorb(&mut self, epsilon: f64) {
        for (absorbed, scaling) in self.absorbed.iter_mut().zip(&mut self.scalings) {
            *absorbed += epsilon * scaling.ln();
            *scaling = 1.0;
        }
    }

    fn accept(&mut self) {
        std::mem::swap(&mut self.scalings, &mut self.proposed);
    }

    /// What an entry of the plan is multiplied by when ε is halved: see [`Scaling::halve`].
    fn squaring_factors(&self) -> Vec<f64> {
        let factor = |(w, s): (&f64, &f64)| if *w > 0.0 { s * s / w } else { 0.0 };
        self.weights.iter().zip(&self.scalings).map(factor).collect()
    }

    fn seen(&self, epsilon: f64) -> Against<'_> {
        Against { weights: self.weights, potentials: &self.absorbed, epsilon }
    }
}

impl<'a> Scaling<'a> {
    /// Starts from `f = start` and `g = 0`.
    pub(crate) fn new(
        [a, b]: [&'a [f64]; 2],
        cost: &'a Cost,
        penalty: Option<f64>,
        [epsilon, start]: [f64; 2],
    ) -> Self {
        let (rows, cols) = (Half::new(a, start), Half::new(b, 0.0));
        let kernel = vec![0.0; cost.values().len()];
        let mut scaling = Self { cost, penalty, epsilon, rows, cols, kernel, squarings: 0 };
        scaling.compute_kernel();
        scaling
    }

    pub(crate) fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// Updates `f`, then `g`. Returns `Σ_i a_i |exp((f_old - f_new)/ε) - 1|`, which for hard marginals is by how much
    /// the row marginals were wrong before.
    pub(crate) fn update(&mut self) -> f64 {
        self.update_scalings().unwrap_or_else(|| self.update_potentials())
    }

    /// Goes on at half the ε with the same potentials.
    ///
    /// `exp(x/(ε/2)) = exp(x/ε)²`, so with `P` the plan the new kernel is `a_i b_j (P_ij/(a_i b_j))²`.
    pub(crate) fn halve(&mut self) {
        if self.squarings == SQUARINGS {
            return self.continue_at(self.epsilon / 2.0);
        }
        let (row_factors, col_factors) = (self.rows.squaring_factors(), self.cols.squaring_factors());
        for (row, r) in self.kernel.chunks_exact_mut(col_factors.len()).zip(&row_factors) {
            for (entry, c) in row.iter_mut().zip(&col_factors) {
                let squared = (*entry * r) * (*entry * c);
                *entry = if squared > LEAST_SQUARE { squared } else { 0.0 };
            }
        }
        self.squarings += 1;
        self.absorb();
        self.epsilon /= 2.0;
    }

    /// Goes on at another ε with the same potentials and a kernel computed from the costs.
    pub(crate) fn continue_at(&mut self, epsilon: f64) {
        self.absorb();
        self.epsilon = epsilon;
        self.compute_kernel();
    }

    /// The potentials of rows and columns. Points without weight get those that one more update would give them.
    pub(crate) fn into_potentials(mut self) -> [Vec<f64>; 2] {
        self.absorb();
        let weightless = |half: &Half| half.weights.contains(&0.0);
        let of_rows = weightless(&self.rows).then(|| self.updated_rows());
        let of_cols = weightless(&self.cols).then(|| self.updated_cols());
        for (half, updated) in [(&mut self.rows, of_rows), (&mut self.cols, of_cols)] {
            for (potential, updated) in half.absorbed.iter_mut().zip(updated.into_iter().flatten()) {
                if *potential == f64::NEG_INFINITY {
                    *potential = updated;
                }
            }
        }
        [self.rows.absorbed, self.cols.absorbed]
    }

    /// [`Self::update`] by products with the kernel, in one pass over it: a row is still at hand when the product
    /// with the transpose needs it. `None`, and nothing changed, when a scaling is out of bounds.
    fn update_scalings(&mut self) -> Option<f64> {
        let rule = Rule::new(self.penalty, self.epsilon);
        let Self { rows, cols, kernel, .. } = self;
        let mut col_sums = vec![0.0; cols.weights.len()];
        let mut error = 0.0;
        for (block, entries) in kernel.chunks(ROWS * col_sums.len()).enumerate() {
            let first = block * ROWS;
            for (i, row) in (first..).zip(entries.chunks_exact(col_sums.len())) {
                let weight = rows.weights[i];
                if weight > 0.0 {
                    let scaling = rule.scaling(weight, product(row, &cols.scalings), rows.absorbed[i])?;
                    error += weight * (rows.scalings[i] / scaling - 1.0).abs();
                    rows.proposed[i] = scaling;
                }
            }
            add_multiples(&mut col_sums, &rows.proposed[first..], entries);
        }
        for (j, sum) in col_sums.into_iter().enumerate() {
            if cols.weights[j] > 0.0 {
                cols.proposed[j] = rule.scaling(cols.weights[j], sum, cols.absorbed[j])?;
            }
        }
        rows.accept();
        cols.accept();
        Some(error)
    }

    /// [`Self::update`] by soft minima over the costs, which cannot fail but takes three exponentials an entry.
    fn update_potentials(&mut self) -> f64 {
        self.absorb();
        let mut error = 0.0;
        let updated = self.updated_rows();
        for (i, new) in updated.into_iter().enumerate().filter(|(i, _)| self.rows.weights[*i] > 0.0) {
            error += self.rows.weights[i] * ((self.rows.absorbed[i] - new) / self.epsilon).exp_m1().abs();
            self.rows.absorbed[i] = new;
        }
        let updated = self.updated_cols();
        for (j, new) in updated.into_iter().enumerate().filter(|(j, _)| self.cols.weights[*j] > 0.0) {
            self.cols.absorbed[j] = new;
        }
        self.compute_kernel();
        error
    }

    fn updated_rows(&self) -> Vec<f64> {
        let damping = Rule::new(self.penalty, self.epsilon).damping;
        softmin::of_rows(self.cost, self.cols.seen(self.epsilon)).into_iter().map(|f| damping * f).collect()
    }

    fn updated_cols(&self) -> Vec<f64> {
        let damping = Rule::new(self.penalty, self.epsilon).damping;
        softmin::of_cols(self.cost, self.rows.seen(self.epsilon)).into_iter().map(|g| damping * g).collect()
    }

    fn absorb(&mut self) {
        self.rows.absorb(self.epsilon);
        self.cols.absorb(self.epsilon);
    }

    fn compute_kernel(&mut self) {
        let (rows, cols) = (&self.rows, &self.cols);
        for (i, out) in self.kernel.chunks_exact_mut(cols.weights.len()).enumerate() {
            let (weight, potential) = (rows.weights[i], rows.absorbed[i]);
            let others = cols.weights.iter().zip(&cols.absorbed);
            for ((entry, c), (b, g)) in out.iter_mut().zip(self.cost.row(i)).zip(others) {
                let exponent = (potential + g - c) / self.epsilon;
                *entry = if exponent > NEGLIGIBLE { weight * b * exponent.exp() } else { 0.0 };
            }
        }
        self.squarings = 0;
    }
}

/// How a sum over the kernel becomes a scaling.
struct Rule {
    /// `κ = ρ/(ρ+ε)`, and 1 for hard marginals.
    damping: f64,
    /// `1/(ρ+ε)`, and `None` for hard marginals.
    pull: Option<f64>,
}

impl Rule {
    fn new(penalty: Option<f64>, epsilon: f64) -> Self {
        let pull = penalty.map(|penalty| 1.0 / (penalty + epsilon));
        Self { damping: penalty.map_or(1.0, |penalty| penalty / (penalty + epsilon)), pull }
    }

    /// The new scaling of a point with this weight, sum and absorbed potential, unless it is out of bounds.
    fn scaling(&self, weight: f64, sum: f64, absorbed: f64) -> Option<f64> {
        let ratio = weight / sum;
        let scaling = match self.pull {
            None => ratio,
            Some(pull) => (self.damping * ratio.ln() - pull * absorbed).exp(),
        };
        (SCALINGS.contains(&ratio) && SCALINGS.contains(&scaling)).then_some(scaling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use thalweg_noise::Noise;

    const N: usize = 23;
    const M: usize = 17;

    /// Squared distances of 0 to 60 or so between a wide and a narrow cloud on a line.
    fn cost() -> Cost {
        let mut noise = Noise::new(1);
        let (x, y) = (noise.normals(N), noise.normals(M));
        let values = x.iter().flat_map(|x| y.iter().map(move |y| (3.0 * x - y).powi(2)));
        Cost::from_values(N, M, values.collect())
    }

    fn weights(count: usize) -> Vec<f64> {
        let total = (count * (count + 1)) as f64 / 2.0;
        (1..=count).map(|k| k as f64 / total).collect()
    }

    fn assert_close(x: &[f64], y: &[f64], tolerance: f64) {
        for (x, y) in x.iter().zip(y) {
            assert!((x - y).abs() <= tolerance, "{x} {y}");
        }
    }

    /// Updates by products beside updates by soft minima. Returns how many of the former fell back on the latter.
    fn check_updates(epsilon: f64, penalty: Option<f64>) -> usize {
        let (cost, a, b) = (cost(), weights(N), weights(M));
        let start = || Scaling::new([&a, &b], &cost, penalty, [epsilon, 0.0]);
        let (mut fast, mut slow) = (start(), start());
        let mut fallbacks = 0;
        for _ in 0..30 {
            let error = fast.update_scalings().unwrap_or_else(|| {
                fallbacks += 1;
                fast.update_potentials()
            });
            let expected = slow.update_potentials();
            assert!((error - expected).abs() <= 1e-9 * (1.0 + expected), "{error} {expected}");
        }
        let ([f, g], [slow_f, slow_g]) = (fast.into_potentials(), slow.into_potentials());
        assert_close(&f, &slow_f, 1e-11);
        assert_close(&g, &slow_g, 1e-11);
        fallbacks
    }

    #[test]
    fn products_make_the_updates_of_soft_minima() {
        for penalty in [None, Some(0.3), Some(40.0)] {
            for epsilon in [0.5, 5.0, 500.0] {
                assert_eq!(check_updates(epsilon, penalty), 0, "{epsilon} {penalty:?}");
            }
        }
    }

    #[test]
    fn an_underflowing_kernel_falls_back_and_recovers() {
        for penalty in [None, Some(3.0)] {
            for epsilon in [0.05, 0.02] {
                // Unheated, whole rows of the first kernel are zero; once absorbed the potentials repair it.
                let fallbacks = check_updates(epsilon, penalty);
                assert!((1..10).contains(&fallbacks), "{fallbacks} at {epsilon} {penalty:?}");
            }
        }
    }

    #[test]
    fn squaring_gives_the_kernel_of_half_the_epsilon() {
        let (cost, a, b) = (cost(), weights(N), weights(M));
        let start = || {
            let mut scaling = Scaling::new([&a, &b], &cost, None, [8.0, 0.0]);
            scaling.update();
            scaling
        };
        let (mut squared, mut exact) = (start(), start());
        squared.halve();
        exact.continue_at(4.0);
        assert_eq!(squared.epsilon(), 4.0);
        for (squared, exact) in squared.kernel.iter().zip(&exact.kernel) {
            assert!((squared - exact).abs() <= 1e-13 * exact, "{squared} {exact}");
        }
        for _ in 0..SQUARINGS {
            squared.halve();
        }
        assert_eq!(squared.squarings, 0, "errors that double each time must be cleared");
    }
}
