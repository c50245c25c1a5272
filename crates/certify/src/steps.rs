//! How much one step of an explicit Runge–Kutta method contracts, for a field that does (FORMULAS §6.4).
//!
//! The flow contracts by `e^{-ch}` in a time of `h`, but a computed step need not: too long a step parts what the field
//! brings together. The bound here needs the rate `c` and `ℓ ≥ sup ‖J‖`, both in the norm of one metric.

use faer::{Mat, Side};
use serde::{Deserialize, Serialize};

use crate::dense::{lower_inverse, spectral};
use crate::{Contraction, Field};

/// An explicit Runge–Kutta method: `kᵢ = F(x + h Σ aᵢⱼ kⱼ)`, and the step ends at `x + h Σ bᵢ kᵢ`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// What it is called.
    pub name: String,
    /// `a`, strictly below its diagonal: the row of stage `i` has `i` entries.
    pub a: Vec<Vec<f64>>,
    /// `b`.
    pub b: Vec<f64>,
}

impl Method {
    /// What is wrong with the coefficients, if anything.
    ///
    /// # Errors
    /// Says what.
    pub fn check(&self) -> Result<(), String> {
        let shape = self.a.len() == self.b.len() && self.a.iter().enumerate().all(|(i, row)| row.len() == i);
        if !shape || self.b.is_empty() {
            return Err(format!(
                "the coefficients of {} do not have the shape of an explicit method",
                self.name
            ));
        }
        if self.a.iter().flatten().chain(&self.b).any(|x| !x.is_finite()) {
            return Err(format!("a coefficient of {} is not finite", self.name));
        }
        let sum: f64 = self.b.iter().sum();
        if (sum - 1.0).abs() > 1e-12 {
            return Err(format!("the weights of {} add up to {sum} and should to one", self.name));
        }
        Ok(())
    }

    /// Whether [`Bounds::factor`] holds for it: no weight is below zero.
    #[must_use]
    pub fn averages(&self) -> bool {
        self.b.iter().all(|b| *b >= 0.0)
    }
}

/// What is known of all Jacobians of a field, in the norm of one metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// The rate `c`.
    pub rate: f64,
    /// `ℓ`: no Jacobian has a larger norm.
    pub lipschitz: f64,
}

/// More than the rounding of a norm.
const ROUNDING: f64 = 1e-11;

impl Bounds {
    /// Those of a field with a proof of its rate.
    ///
    /// # Errors
    /// When the metric is not definite.
    pub fn of(field: &Field, proof: &Contraction) -> Result<Self, String> {
        let lipschitz = lipschitz(field, &proof.metric)?;
        // A rate above it would be one of another field; `max` keeps the root below real.
        Ok(Self { rate: proof.rate, lipschitz: lipschitz.max(proof.rate) })
    }

    /// A bound of how the distance of two solutions with the same input changes in one step of size `h`:
    /// `√(1 - 2hc + h²ℓ²) + h²ℓ Σᵢ bᵢ Σⱼ |aᵢⱼ| κⱼ` with `κᵢ = ℓ (1 + h Σⱼ |aᵢⱼ| κⱼ)`.
    ///
    /// Proof. The slopes of two solutions at a distance `z` differ by `dᵢ = Jᵢ (z + h Σⱼ aᵢⱼ dⱼ)`, where `Jᵢ` is a mean
    /// of Jacobians between the two stages, so `‖dᵢ‖ ≤ κᵢ ‖z‖`. The new distance is `(I + h Σᵢ bᵢ Jᵢ) z` plus
    /// `h² Σᵢ bᵢ Jᵢ Σⱼ aᵢⱼ dⱼ`. Weights of at least zero that add up to one make `J = Σᵢ bᵢ Jᵢ` a mean of Jacobians as
    /// well, for which `‖z + hJz‖² = ‖z‖² + 2h ⟨z, Jz⟩ + h² ‖Jz‖² ≤ (1 - 2hc + h²ℓ²) ‖z‖²`.
    ///
    /// # Panics
    /// When the method is not sound or has a weight below zero.
    #[must_use]
    pub fn factor(&self, method: &Method, h: f64) -> f64 {
        assert!(method.check().is_ok() && method.averages(), "{method:?} has no bound");
        let Self { rate, lipschitz } = *self;
        let mut kappa = Vec::with_capacity(method.b.len());
        let mut beyond_euler = 0.0;
        for (row, b) in method.a.iter().zip(&method.b) {
            let inner: f64 = row.iter().zip(&kappa).map(|(a, kappa): (&f64, &f64)| a.abs() * kappa).sum();
            kappa.push(lipschitz * (1.0 + h * inner));
            beyond_euler += h * h * lipschitz * b * inner;
        }
        (1.0 - 2.0 * h * rate + h * h * lipschitz * lipschitz).max(0.0).sqrt() + beyond_euler
    }

    /// The end of the steps that are proved to contract: every shorter one has a factor below one, since the factor is
    /// convex in the step and one at zero.
    #[must_use]
    pub fn largest_step(&self, method: &Method) -> f64 {
        const HALVINGS: usize = 200;
        if self.rate <= 0.0 {
            return 0.0;
        }
        // Euler's method ends here, and the others before it.
        let (mut low, mut high) = (0.0, 2.0 * self.rate / (self.lipschitz * self.lipschitz));
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if self.factor(method, middle) < 1.0 {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The least number of equal steps over the horizon that are proved to contract, if a million are enough.
    #[must_use]
    pub fn fewest_steps(&self, method: &Method, horizon: f64) -> Option<u64> {
        const MOST: f64 = 1e6;
        let at_least = (horizon / self.largest_step(method)).floor();
        if !(0.0..MOST).contains(&at_least) {
            return None;
        }
        // Rounding may move the end by one.
        let first = (at_least as u64).max(1);
        (first..first + 3).find(|steps| self.factor(method, horizon / *steps as f64) < 1.0)
    }
}

/// A bound of the norms of all Jacobians in the norm of a metric.
///
/// With the slopes at the middles of their ranges the Jacobian is a fixed matrix; what the slopes add to it is `A D W` with
/// `|D|` at most half the ranges, and at most `‖Aσ‖ ‖σ⁻¹|D|W‖` for any positive `σ`, of which two are tried.
///
/// # Errors
/// When the metric is not definite, or does not have the size of the field.
pub fn lipschitz(field: &Field, metric: &Mat<f64>) -> Result<f64, String> {
    field.check()?;
    let n = field.dim();
    if (metric.nrows(), metric.ncols()) != (n, n) {
        return Err(format!("a metric of {} × {} in {n} coordinates", metric.nrows(), metric.ncols()));
    }
    let lower = metric.llt(Side::Lower).map_err(|_| "the metric is not definite")?.L().to_owned();
    let (upper, back) = (lower.transpose(), lower_inverse(&lower).transpose().to_owned());
    let stacked = field.stacked();
    let middles: Vec<f64> = stacked.slopes.iter().map(|[low, high]| 0.5 * (low + high)).collect();
    let halves: Vec<f64> = stacked.slopes.iter().map(|[low, high]| 0.5 * (high - low)).collect();
    let centre = spectral(&(upper * stacked.jacobian(&middles) * &back))?;
    let (outer, inner) = (upper * &stacked.outer, &stacked.inner * &back);
    let units = halves.len();
    let length = |of: &dyn Fn(usize) -> f64| (0..n).map(|i| of(i) * of(i)).sum::<f64>().sqrt();
    let balance = |k: usize| {
        let (a, w) = (length(&|i| outer[(i, k)]), length(&|i| inner[(k, i)]));
        if a > 0.0 && w > 0.0 { (w / a).sqrt() } else { 1.0 }
    };
    let around = |balance: &dyn Fn(usize) -> f64| -> Result<f64, String> {
        let left = Mat::from_fn(n, units, |i, k| outer[(i, k)] * halves[k].sqrt() * balance(k));
        let right = Mat::from_fn(units, n, |k, i| inner[(k, i)] * halves[k].sqrt() / balance(k));
        Ok(spectral(&left)? * spectral(&right)?)
    };
    let around = around(&balance)?.min(around(&|_| 1.0)?);
    Ok((centre + around) * (1.0 + ROUNDING))
}
