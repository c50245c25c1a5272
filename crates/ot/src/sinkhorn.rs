//! Entropic optimal transport, balanced and unbalanced (FORMULAS §2.2, §2.3).
//!
//! With weights `a, b` and potentials `f, g` the plan is `P_ij = a_i b_j exp((f_i + g_j - C_ij)/ε)`. Each update makes
//! one marginal right: `f_i = -κ ε log Σ_j b_j exp((g_j - C_ij)/ε)` and the same for `g`, where `κ = 1` for hard
//! marginals and `ρ/(ρ+ε)` for a Kullback–Leibler penalty of weight `ρ`. Annealing of ε and the stopping rule are
//! here; how an update is made without exponentials, and without overflow or underflow, is the business of `scaling`.

use thalweg_noise::Noise;

use crate::scaling::Scaling;
use crate::weights::{check, check_equal};
use crate::{Cost, OtError, Side};

/// Settings of the entropic problem `min ⟨P, C⟩ + ε KL(P | a⊗b)`.
///
/// The cost is used as given, never divided by its maximum, so `regularisation` keeps its units and its meaning (for a
/// Schrödinger bridge of noise σ it is `2σ²`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sinkhorn {
    /// The entropic weight ε, in the units of the cost.
    pub regularisation: f64,
    /// `None`: both marginals hold exactly. `Some(ρ)`: each costs `ρ KL(marginal | weights)` instead.
    pub marginal_penalty: Option<f64>,
    /// Largest [`EntropicPlan::marginal_error`] to stop at, as a fraction of the total mass.
    pub tolerance: f64,
    /// Updates of both potentials at the final ε before giving up.
    pub max_iterations: usize,
}

/// Updates at each intermediate ε of the annealing: enough to bring the potentials close, which is all they are for.
const WARM_UP_UPDATES: usize = 5;

impl Sinkhorn {
    /// Hard marginals, a relative marginal error of 1e-6, and at most 1,000 iterations.
    #[must_use]
    pub fn new(regularisation: f64) -> Self {
        Self { regularisation, marginal_penalty: None, tolerance: 1e-6, max_iterations: 1_000 }
    }

    /// Solves for equal weights `1/rows` and `1/cols`.
    pub fn solve_uniform<'a>(&self, cost: &'a Cost) -> Result<EntropicPlan<'a>, OtError> {
        let uniform = |n: usize| vec![1.0 / n as f64; n];
        self.solve(&uniform(cost.rows()), &uniform(cost.cols()), cost)
    }

    /// Solves for weights that are not negative and, with hard marginals, have equal totals.
    ///
    /// An iteration is one pass over a kernel of the size of the cost matrix, `4 · rows · cols` multiplications and
    /// additions; exponentials are taken only once at the largest and once at the final ε, unless the potentials move
    /// by more than some 130 ε. The error is a by-product of an iteration, so every iteration is checked. The
    /// potentials are warmed up at larger ε, halving from the spread of the costs. Running out of iterations is no
    /// error: see [`EntropicPlan::converged`].
    pub fn solve<'a>(&self, a: &[f64], b: &[f64], cost: &'a Cost) -> Result<EntropicPlan<'a>, OtError> {
        let [low, high] = cost.check()?;
        let total = check(Side::Source, a, cost.rows())?;
        let target_total = check(Side::Target, b, cost.cols())?;
        self.check_settings()?;
        if self.marginal_penalty.is_none() {
            check_equal(total, target_total)?;
        }

        let penalty = self.marginal_penalty;
        let start = [(high - low).max(self.regularisation), low];
        let mut scaling = Scaling::new([a, b], cost, penalty, start);
        while scaling.epsilon() > self.regularisation {
            for _ in 0..WARM_UP_UPDATES {
                scaling.update();
            }
            if scaling.epsilon() > 2.0 * self.regularisation {
                scaling.halve();
            } else {
                scaling.continue_at(self.regularisation);
            }
        }
        let (mut iterations, mut change) = (0, f64::INFINITY);
        while iterations < self.max_iterations && change > self.tolerance * total {
            change = scaling.update();
            iterations += 1;
        }
        let [row_potentials, col_potentials] = scaling.into_potentials();
        let rounding = self.rounding(&row_potentials, &col_potentials, low.abs().max(high.abs()));
        let marginal_error = change.max(rounding * total);
        Ok(EntropicPlan {
            cost,
            regularisation: self.regularisation,
            weights: [a.to_vec(), b.to_vec()],
            row_potentials,
            col_potentials,
            marginal_error,
            iterations,
            converged: marginal_error <= self.tolerance * total,
        })
    }

    fn check_settings(&self) -> Result<(), OtError> {
        let penalty = self.marginal_penalty.unwrap_or(1.0);
        let settings = [
            ("regularisation", self.regularisation),
            ("marginal_penalty", penalty),
            ("tolerance", self.tolerance),
        ];
        match settings.into_iter().find(|(_, value)| !(*value > 0.0 && value.is_finite())) {
            Some((name, value)) => Err(OtError::BadSetting { name, value }),
            None => Ok(()),
        }
    }

    /// By what fraction entries of the plan may be wrong because potentials and costs have only so many digits.
    fn rounding(&self, row_potentials: &[f64], col_potentials: &[f64], largest_cost: f64) -> f64 {
        let potentials = row_potentials.iter().chain(col_potentials);
        let largest = potentials.fold(largest_cost, |largest, potential| largest.max(potential.abs()));
        f64::EPSILON * largest / self.regularisation
    }
}

/// An entropic plan, held by its potentials: entries are computed when asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct EntropicPlan<'a> {
    cost: &'a Cost,
    regularisation: f64,
    weights: [Vec<f64>; 2],
    /// The potential `f_i` of each row.
    pub row_potentials: Vec<f64>,
    /// The potential `g_j` of each column.
    pub col_potentials: Vec<f64>,
    /// How far the last update of `f` was from a fixed point: `Σ_i |P1_i - a_i|` for hard marginals, where the
    /// column marginals are exact; for soft ones the same sum over what the update changed. Never less than what
    /// rounding of the costs and potentials leaves uncertain.
    pub marginal_error: f64,
    /// Updates of both potentials at the final ε.
    pub iterations: usize,
    /// Whether `marginal_error` is within the tolerance. If not, more iterations or a larger ε are needed, or costs
    /// measured from a nearer origin.
    pub converged: bool,
}

impl EntropicPlan<'_> {
    /// The mass `P_ij` moved from source `i` to target `j`.
    #[must_use]
    pub fn mass(&self, i: usize, j: usize) -> f64 {
        let product = self.weights[0][i] * self.weights[1][j];
        if product == 0.0 {
            // Between two points without weight the exponential may be infinite.
            return 0.0;
        }
        let exponent =
            (self.row_potentials[i] + self.col_potentials[j] - self.cost.at(i, j)) / self.regularisation;
        product * exponent.exp()
    }

    /// Where a source goes: the probabilities `P_ij / Σ_j P_ij` of every target. They do not depend on the weight of
    /// the source and are defined even if that is zero.
    #[must_use]
    pub fn row(&self, i: usize) -> Vec<f64> {
        let weights = &self.weights[1];
        let targets = self.cost.row(i).iter().zip(&self.col_potentials).zip(weights);
        let reduced: Vec<f64> =
            targets.map(|((c, g), b)| if *b > 0.0 { c - g } else { f64::INFINITY }).collect();
        let least = reduced.iter().copied().fold(f64::INFINITY, f64::min);
        let mut probabilities: Vec<f64> =
            reduced.iter().zip(weights).map(|(r, b)| b * ((least - r) / self.regularisation).exp()).collect();
        let sum: f64 = probabilities.iter().sum();
        for probability in &mut probabilities {
            *probability /= sum;
        }
        probabilities
    }

    /// One target for each source, drawn from its row. Every source is used once; targets may repeat.
    #[must_use]
    pub fn sample_targets(&self, noise: &mut Noise) -> Vec<usize> {
        (0..self.cost.rows()).map(|i| noise.choose(&self.row(i))).collect()
    }

    /// `⟨P, C⟩`, the cost of the plan without its entropy.
    #[must_use]
    pub fn transport_cost(&self) -> f64 {
        let row_cost =
            |i: usize| -> f64 { self.cost.row(i).iter().enumerate().map(|(j, c)| self.mass(i, j) * c).sum() };
        (0..self.cost.rows()).map(row_cost).sum()
    }
}
