//! The fields that can be certified: linear parts and elementwise functions of known slope (FORMULAS §6.1).

use faer::Mat;
use serde::{Deserialize, Serialize};

/// `dx/dt = A₀x + Σ A_j f_j(W_j x + b_j) + g(u)`; the input `g(u)` is whatever it likes, since it is the same for all
/// solutions that are compared.
#[derive(Debug, Clone)]
pub struct Field {
    /// `A₀`, `[n, n]`.
    pub linear: Mat<f64>,
    /// The other terms.
    pub terms: Vec<Term>,
}

/// `A f(W x + b)`.
#[derive(Debug, Clone)]
pub struct Term {
    /// `A`, `[n, k]`.
    pub outer: Mat<f64>,
    /// `W`, `[k, n]`.
    pub inner: Mat<f64>,
    /// `b`, `[k]`.
    pub bias: Vec<f64>,
    /// `f`.
    pub function: Function,
}

/// A function of single numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Function {
    /// The hyperbolic tangent.
    Tanh,
    /// The logistic function minus one half.
    CentredSigmoid,
    /// `x` above zero and `slope·x` below, with a slope between 0 and 1.
    LeakyRelu {
        /// The slope below zero.
        slope: f64,
    },
    /// `ln(1 + eˣ) - ln 2`.
    CentredSoftplus,
    /// `max(x, 0)`.
    Relu,
    /// `x·σ(x)`.
    Silu,
    /// `x·Φ(x)`.
    Gelu,
}

/// The extreme slopes of SiLU, rounded outwards. By symmetry they add up to one.
const SILU: [f64; 2] = [-0.099_839_4, 1.099_839_4];
/// The extreme slopes of GELU, `Φ(√2) + √2 φ(√2)` and one minus it, rounded outwards.
const GELU: [f64; 2] = [-0.128_904_2, 1.128_904_2];

/// Where the slope of SiLU is greatest: the root of `2 + s - (s - 2) eˢ`.
const SILU_TURN: f64 = 2.399_357_280_520_544;
/// More than the rounding of a slope.
const ROUNDING: f64 = 1e-14;

fn logistic(s: f64) -> f64 {
    1.0 / (1.0 + (-s).exp())
}

/// By its series near zero and a continued fraction in the tails.
fn normal_distribution(s: f64) -> f64 {
    let density = (-0.5 * s * s).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if s.abs() < 3.0 {
        let (mut term, mut sum) = (s, s);
        for k in 1..80 {
            term *= s * s / f64::from(2 * k + 1);
            sum += term;
        }
        return 0.5 + density * sum;
    }
    let x = s.abs();
    let fraction = (1..60).rev().fold(x, |below, k| x + f64::from(k) / below);
    let tail = density / fraction;
    if s > 0.0 { 1.0 - tail } else { tail }
}

impl Function {
    /// The least and the greatest slope.
    #[must_use]
    pub fn slopes(self) -> [f64; 2] {
        match self {
            Self::Tanh | Self::CentredSoftplus | Self::Relu => [0.0, 1.0],
            Self::CentredSigmoid => [0.0, 0.25],
            Self::LeakyRelu { slope } => [slope.min(1.0), slope.max(1.0)],
            Self::Silu => SILU,
            Self::Gelu => GELU,
        }
    }

    /// The value at a number.
    #[must_use]
    pub fn value(self, s: f64) -> f64 {
        match self {
            Self::Tanh => s.tanh(),
            Self::CentredSigmoid => logistic(s) - 0.5,
            Self::LeakyRelu { slope } => {
                if s < 0.0 {
                    slope * s
                } else {
                    s
                }
            }
            Self::CentredSoftplus => s.max(0.0) + (-s.abs()).exp().ln_1p() - std::f64::consts::LN_2,
            Self::Relu => s.max(0.0),
            Self::Silu => s * logistic(s),
            Self::Gelu => s * normal_distribution(s),
        }
    }

    /// The slope at a number; at a kink that of the right.
    #[must_use]
    pub fn slope(self, s: f64) -> f64 {
        match self {
            Self::Tanh => 1.0 - s.tanh() * s.tanh(),
            Self::CentredSigmoid => logistic(s) * logistic(-s),
            Self::LeakyRelu { slope } => {
                if s < 0.0 {
                    slope
                } else {
                    1.0
                }
            }
            Self::CentredSoftplus => logistic(s),
            Self::Relu => f64::from(s >= 0.0),
            Self::Silu => logistic(s) * (1.0 + s * logistic(-s)),
            Self::Gelu => {
                let density = (-0.5 * s * s).exp() / (2.0 * std::f64::consts::PI).sqrt();
                normal_distribution(s) + s * density
            }
        }
    }

    /// The least and the greatest slope between two numbers, rounded outwards.
    #[must_use]
    pub fn slopes_between(self, low: f64, high: f64) -> [f64; 2] {
        // Between two of these the slope rises or falls.
        let turns: &[f64] = match self {
            Self::Tanh | Self::CentredSigmoid => &[0.0],
            Self::CentredSoftplus => &[],
            Self::LeakyRelu { .. } | Self::Relu => &[-f64::MIN_POSITIVE, 0.0],
            Self::Silu => &[-SILU_TURN, SILU_TURN],
            Self::Gelu => &[-std::f64::consts::SQRT_2, std::f64::consts::SQRT_2],
        };
        let inside = turns.iter().copied().filter(|turn| (low..=high).contains(turn));
        let slopes = inside.chain([low, high]).map(|s| self.slope(s));
        let [least, most] =
            slopes.fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], slope| [a.min(slope), b.max(slope)]);
        let [lowest, highest] = self.slopes();
        [(least - ROUNDING).max(lowest), (most + ROUNDING).min(highest)]
    }

    /// Whether `s·f(s) > 0` for every `s ≠ 0` and `f` rises strictly, which stability of an equilibrium at zero needs.
    #[must_use]
    pub fn is_in_sector(self) -> bool {
        match self {
            Self::Tanh | Self::CentredSigmoid | Self::CentredSoftplus => true,
            Self::LeakyRelu { slope } => slope > 0.0,
            Self::Relu | Self::Silu | Self::Gelu => false,
        }
    }

    /// Whether `|f(s)|` grows without bound on both sides.
    #[must_use]
    pub fn is_unbounded(self) -> bool {
        matches!(self, Self::LeakyRelu { slope } if slope > 0.0)
    }
}

impl Term {
    /// `Wx + b`.
    fn inside(&self, x: &[f64]) -> Vec<f64> {
        (0..self.bias.len()).map(|k| row(&self.inner, k, x) + self.bias[k]).collect()
    }
}

/// One row of a product.
fn row(matrix: &Mat<f64>, i: usize, x: &[f64]) -> f64 {
    (0..x.len()).map(|j| matrix[(i, j)] * x[j]).sum()
}

/// All terms as one, with unit after unit.
#[derive(Debug, Clone)]
pub(crate) struct Stacked {
    /// `[n, n]`.
    pub linear: Mat<f64>,
    /// `[n, k]`.
    pub outer: Mat<f64>,
    /// `[k, n]`.
    pub inner: Mat<f64>,
    /// Of each unit.
    pub slopes: Vec<[f64; 2]>,
}

impl Field {
    /// Rows of `A₀`.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.linear.nrows()
    }

    /// All units of all terms.
    #[must_use]
    pub fn units(&self) -> usize {
        self.terms.iter().map(|term| term.bias.len()).sum()
    }

    /// What is wrong with the shapes or the numbers, if anything.
    ///
    /// # Errors
    /// Says which matrix, and what it should be.
    pub fn check(&self) -> Result<(), String> {
        let n = self.dim();
        let shape = |name: &str, matrix: &Mat<f64>, rows: usize, cols: usize| {
            let found = (matrix.nrows(), matrix.ncols());
            if found != (rows, cols) {
                return Err(format!("{name} is {} × {} and should be {rows} × {cols}", found.0, found.1));
            }
            for j in 0..cols {
                if let Some(i) = (0..rows).find(|&i| !matrix[(i, j)].is_finite()) {
                    return Err(format!("{name} has {} in row {i}, column {j}", matrix[(i, j)]));
                }
            }
            Ok(())
        };
        if n == 0 {
            return Err("a field of no coordinates has nothing to certify".to_string());
        }
        shape("A0", &self.linear, n, n)?;
        for (j, term) in (1..).zip(&self.terms) {
            let units = term.bias.len();
            shape(&format!("A{j}"), &term.outer, n, units)?;
            shape(&format!("W{j}"), &term.inner, units, n)?;
            if let Function::LeakyRelu { slope } = term.function
                && !slope.is_finite()
            {
                return Err(format!("f{j} is a leaky ReLU with the slope {slope}"));
            }
            if let Some(i) = term.bias.iter().position(|b| !b.is_finite()) {
                return Err(format!("b{j} has {} in row {i}", term.bias[i]));
            }
        }
        Ok(())
    }

    /// The field at a point: `A₀x + Σ A f(Wx + b) + g` with the input `g`.
    ///
    /// # Panics
    /// When [`check`](Self::check) finds something, or lengths differ.
    #[must_use]
    pub fn value(&self, x: &[f64], input: &[f64]) -> Vec<f64> {
        let n = self.dim();
        assert!(
            x.len() == n && input.len() == n,
            "{} and {} numbers in {n} coordinates",
            x.len(),
            input.len()
        );
        let mut value: Vec<f64> = (0..n).map(|i| row(&self.linear, i, x) + input[i]).collect();
        for term in &self.terms {
            let units: Vec<f64> = term.inside(x).into_iter().map(|s| term.function.value(s)).collect();
            for (i, value) in value.iter_mut().enumerate() {
                *value += row(&term.outer, i, &units);
            }
        }
        value
    }

    /// The Jacobian of [`value`](Self::value).
    #[must_use]
    pub fn jacobian(&self, x: &[f64]) -> Mat<f64> {
        let slopes: Vec<f64> = self
            .terms
            .iter()
            .flat_map(|term| term.inside(x).into_iter().map(|s| term.function.slope(s)))
            .collect();
        self.stacked().jacobian(&slopes)
    }

    /// # Panics
    /// When [`check`](Self::check) finds something.
    pub(crate) fn assert_sound(&self) {
        if let Err(problem) = self.check() {
            panic!("check a field before it is certified: {problem}");
        }
    }

    pub(crate) fn stacked(&self) -> Stacked {
        let (n, units) = (self.dim(), self.units());
        let mut stacked = Stacked {
            linear: self.linear.clone(),
            outer: Mat::zeros(n, units),
            inner: Mat::zeros(units, n),
            slopes: Vec::with_capacity(units),
        };
        for term in &self.terms {
            for k in 0..term.bias.len() {
                let unit = stacked.slopes.len();
                // A unit that sees nothing is constant, one that moves nothing is lost; neither has a part in anything.
                let has_part =
                    (0..n).any(|i| term.inner[(k, i)] != 0.0) && (0..n).any(|i| term.outer[(i, k)] != 0.0);
                for i in (0..n).filter(|_| has_part) {
                    stacked.outer[(i, unit)] = term.outer[(i, k)];
                    stacked.inner[(unit, i)] = term.inner[(k, i)];
                }
                stacked.slopes.push(term.function.slopes());
            }
        }
        stacked
    }
}

impl Stacked {
    /// The same field with what the middle slopes do in its linear part, and units whose slopes lie between -1 and 1.
    pub fn centred(self) -> Self {
        let Self { mut linear, mut outer, mut inner, slopes } = self;
        let (n, units) = (linear.nrows(), slopes.len());
        for (k, [low, high]) in slopes.into_iter().enumerate() {
            let middle = 0.5 * (low + high);
            // Beyond what the halves are rounded by.
            let reach = 0.5 * (high - low) + 1e-15 * (low.abs() + high.abs());
            for i in 0..n {
                for j in 0..n {
                    linear[(i, j)] += middle * outer[(i, k)] * inner[(k, j)];
                }
            }
            for i in 0..n {
                outer[(i, k)] *= reach.sqrt();
                inner[(k, i)] *= reach.sqrt();
            }
        }
        Self { linear, outer, inner, slopes: vec![[-1.0, 1.0]; units] }
    }

    /// Of the inequality: coordinates and units.
    pub fn rows(&self) -> usize {
        self.linear.nrows() + self.slopes.len()
    }

    /// The Jacobian where the units have these slopes.
    pub fn jacobian(&self, slopes: &[f64]) -> Mat<f64> {
        let scaled =
            Mat::from_fn(self.inner.nrows(), self.inner.ncols(), |k, i| slopes[k] * self.inner[(k, i)]);
        &self.linear + &self.outer * scaled
    }
}
