//! The structured field of a second stage: its parameters, the matrices they stand for, and these matrices on the host.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use faer::{Mat, Side};
use thalweg_noise::Noise;
use thalweg_solve::{Placement, to_host};

use super::Residual;
use super::config::{Anchoring, HeadConfig, MetricConfig, TermsConfig};
use crate::Activation;

/// The parameters of `ẋ = A₀x + Σ A f(Wx + b)`, every matrix with rows for inputs.
#[derive(Module, Debug)]
pub(crate) struct Structured {
    /// `A₀` where it is free.
    linear: Option<Param<Tensor<2>>>,
    contracting: Option<ByConstruction>,
    terms: Vec<Term>,
    #[module(skip)]
    functions: Vec<Activation>,
}

/// What makes `A₀` where the field contracts by construction (FORMULAS §6.7).
///
/// With `Q = P⁻¹` and the terms' outer matrices `A = QÃ` it is `Q(-½XXᵀ - ¼ΣZΓ⁻¹Zᵀ + Y - Yᵀ) - c`, `Z = Ã + ℓWᵀΓ`: written
/// with `Q`, nothing is ever inverted.
#[derive(Module, Debug)]
struct ByConstruction {
    /// `X`.
    damping: Param<Tensor<2>>,
    /// `Y`.
    turning: Param<Tensor<2>>,
    /// `F` of `Q = FᵀF + ε`; none for `Q = 1`.
    metric: Option<Param<Tensor<2>>>,
    #[module(skip)]
    rate: f64,
}

#[derive(Module, Debug)]
struct Term {
    /// `Wᵀ`, `[dim, units]`.
    inner: Param<Tensor<2>>,
    /// `[units]`.
    bias: Param<Tensor<1>>,
    /// `Aᵀ`, or `Ãᵀ` by construction, `[units, dim]`.
    outer: Param<Tensor<2>>,
    /// The logarithm of each multiplier over the one that damps least, `[units]`.
    balance: Option<Param<Tensor<1>>>,
}

/// `ε`: the least eigenvalue of `Q`, so that no norm is stretched beyond its root.
const LEAST: f64 = 1e-2;
/// Outer matrices start at this size, damping and metric at the same distance from none.
const SMALL: f64 = 1e-2;
/// What is added to a norm, so that no multiplier vanishes.
const FLOOR: f64 = 1e-3;
/// What keeps the slope of a root finite at zero.
const TINY: f64 = 1e-12;

/// The matrices of the field on a tape, rows for inputs.
#[derive(Debug, Clone)]
pub(crate) struct Matrices {
    /// `A₀ᵀ`.
    pub(crate) linear: Tensor<2>,
    pub(crate) terms: Vec<TermMatrices>,
}

#[derive(Debug, Clone)]
pub(crate) struct TermMatrices {
    pub(crate) function: Activation,
    /// `Wᵀ`.
    pub(crate) inner: Tensor<2>,
    pub(crate) bias: Tensor<1>,
    /// `Aᵀ`.
    pub(crate) outer: Tensor<2>,
}

impl Structured {
    /// None for kinds that are networks.
    pub(crate) fn init(
        config: &HeadConfig,
        dim: usize,
        noise: &mut Noise,
        placement: &Placement,
    ) -> Option<Self> {
        let mut small =
            |shape: [usize; 2], size: f64| Param::from_tensor(placement.normal::<2>(noise, shape) * size);
        let (terms, contracting) = match config {
            HeadConfig::Free { terms, .. } => (terms, None),
            HeadConfig::Contracting { rate, metric, terms, .. } => {
                let metric = match metric {
                    MetricConfig::Identity => None,
                    MetricConfig::Learned => {
                        Some(Param::from_tensor(identity(dim, placement) * (1.0 - LEAST).sqrt()))
                    }
                };
                let made = ByConstruction {
                    damping: small([dim, dim], SMALL),
                    turning: Param::from_tensor(placement.full(0.0, [dim, dim])),
                    metric,
                    rate: *rate,
                };
                (terms, Some(made))
            }
            HeadConfig::Mlp(_) | HeadConfig::Network {} => return None,
        };
        let linear = contracting.is_none().then(|| Param::from_tensor(placement.full(0.0, [dim, dim])));
        let TermsConfig { functions, .. } = terms;
        let units = terms.units_for(dim);
        let of_units = |value: f64| Param::from_tensor(placement.full(value, [units]));
        let terms = functions.iter().map(|_| Term {
            inner: small([dim, units], (dim as f64).powf(-0.5)),
            bias: of_units(0.0),
            outer: small([units, dim], SMALL * (units as f64).powf(-0.5)),
            balance: contracting.is_some().then(|| of_units(0.0)),
        });
        let terms: Vec<Term> = terms.collect();
        Some(Self { linear, contracting, terms, functions: functions.clone() })
    }

    /// The matrices that the parameters stand for.
    pub(crate) fn matrices(&self) -> Matrices {
        let inverse_metric = self.inverse_metric();
        let terms = self.terms.iter().zip(&self.functions).map(|(term, &function)| {
            let outer = term.outer.val();
            let outer = match &inverse_metric {
                Some(inverse) => outer.matmul(inverse.clone()),
                None => outer,
            };
            TermMatrices { function, inner: term.inner.val(), bias: term.bias.val(), outer }
        });
        let terms = terms.collect();
        let linear = match (&self.contracting, &self.linear) {
            (Some(made), _) => self.contracting_linear(made, inverse_metric),
            (None, Some(linear)) => linear.val(),
            (None, None) => unreachable!("a linear part is free or made"),
        };
        Matrices { linear, terms }
    }

    /// `Q`, where it is learned.
    fn inverse_metric(&self) -> Option<Tensor<2>> {
        let factor = self.contracting.as_ref()?.metric.as_ref()?.val();
        let dim = factor.dims()[0];
        Some(
            factor.clone().transpose().matmul(factor.clone())
                + identity(dim, &Placement::of(&factor)) * LEAST,
        )
    }

    /// `A₀ᵀ` of a field that contracts by construction.
    fn contracting_linear(&self, made: &ByConstruction, inverse_metric: Option<Tensor<2>>) -> Tensor<2> {
        let (damping, turning) = (made.damping.val(), made.turning.val());
        let dim = damping.dims()[0];
        let mut loss = damping.clone().matmul(damping.clone().transpose()) * 0.5;
        for (index, term) in self.terms.iter().enumerate() {
            let multiplier = self.multiplier(index).unsqueeze_dim::<2>(1);
            let across = term.outer.val()
                + term.inner.val().transpose() * (multiplier.clone() * self.functions[index].steepest());
            loss = loss + across.clone().transpose().matmul(across / multiplier) * 0.25;
        }
        // The transpose, in which the skew part changes its sign.
        let core = turning.clone().transpose() - turning - loss;
        let core = match inverse_metric {
            Some(inverse) => core.matmul(inverse),
            None => core,
        };
        let decay = identity(dim, &Placement::of(&core)) * made.rate;
        core - decay
    }

    /// `Γ` of a term, relative to which its damping is least.
    fn multiplier(&self, index: usize) -> Tensor<1> {
        let (term, slope) = (&self.terms[index], self.functions[index].steepest());
        let norm = |square: Tensor<2>, along: usize| (square.sum_dim(along) + TINY).sqrt();
        let outer: Tensor<1> = norm(term.outer.val().square(), 1).squeeze_dim(1);
        let inner: Tensor<1> = norm(term.inner.val().square(), 0).squeeze_dim(0);
        let least = (outer + FLOOR) / (inner * slope + TINY);
        match &term.balance {
            Some(balance) => least * balance.val().exp(),
            None => least,
        }
    }
}

/// `[dim, dim]`.
pub(super) fn identity(dim: usize, placement: &Placement) -> Tensor<2> {
    Tensor::<2>::eye(dim, &placement.device).cast(placement.dtype)
}

/// The matrices of a second stage on the host, row by row and in the orientation of formulas: `A₀x + Σ A f(Wx + b)`.
///
/// They are the numbers that the stage multiplies with, not others that round to them.
#[derive(Debug, Clone, PartialEq)]
pub struct Structure {
    /// Coordinates.
    pub dim: usize,
    /// `A₀`, `[dim, dim]`.
    pub linear: Vec<f64>,
    /// The terms.
    pub terms: Vec<StructureTerm>,
    /// What the statement is about: differences at the same offset, which in an anchored stage holds what the flow has made.
    pub form: Anchoring,
    /// Between which numbers each coordinate of the offset lies, whatever time, condition and anchor are.
    pub offset: Vec<[f64; 2]>,
    /// The proof that comes with a field that contracts by construction.
    pub proof: Option<Proof>,
}

/// `A f(Wx + b)`.
#[derive(Debug, Clone, PartialEq)]
pub struct StructureTerm {
    /// `f`, shifted to be zero at zero.
    pub function: Activation,
    /// `W`, `[units, dim]`.
    pub inner: Vec<f64>,
    /// `b`.
    pub bias: Vec<f64>,
    /// `A`, `[dim, units]`.
    pub outer: Vec<f64>,
}

/// A rate with the metric and the multipliers that prove it, up to the rounding of the matrices.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// The rate `c`.
    pub rate: f64,
    /// `P`, `[dim, dim]`.
    pub metric: Vec<f64>,
    /// `Γ`, of all units of all terms.
    pub multipliers: Vec<f64>,
}

impl Residual {
    /// The matrices of a stage that has some; none for networks.
    #[must_use]
    pub fn structure(&self) -> Option<Structure> {
        let (structured, offset) = (self.structured.as_ref()?, self.offset.as_ref()?);
        let Matrices { linear, terms } = structured.matrices();
        let dim = linear.dims()[0];
        let proof = structured.contracting.as_ref().map(|made| Proof {
            rate: made.rate,
            metric: match structured.inverse_metric() {
                Some(inverse) => inverted(&to_host(&inverse), dim),
                None => (0..dim * dim).map(|i| f64::from(i % (dim + 1) == 0)).collect(),
            },
            multipliers: (0..terms.len()).flat_map(|index| to_host(&structured.multiplier(index))).collect(),
        });
        let form = match &self.config {
            HeadConfig::Contracting { form, .. } => *form,
            _ => Anchoring::Equilibrium,
        };
        let terms = terms.into_iter().map(|term| StructureTerm {
            function: term.function,
            inner: to_host(&term.inner.transpose()),
            bias: to_host(&term.bias),
            outer: to_host(&term.outer.transpose()),
        });
        let terms = terms.collect();
        let linear = to_host(&linear.transpose());
        Some(Structure { dim, linear, terms, form, offset: offset.range(), proof })
    }
}

impl Structure {
    /// `‖A₀‖ + Σ ℓ‖A‖‖W‖`, above the norm of every Jacobian.
    #[must_use]
    pub fn steepest(&self) -> f64 {
        let terms = self.terms.iter().map(|term| {
            let units = term.bias.len();
            let [outer, inner] = [(&term.outer, self.dim), (&term.inner, units)]
                .map(|(values, rows)| crate::steepness::largest_singular_value(values, rows));
            outer * inner * term.function.steepest()
        });
        crate::steepness::largest_singular_value(&self.linear, self.dim) + terms.sum::<f64>()
    }
}

/// The inverse of a symmetric positive matrix, symmetric to the last bit.
fn inverted(values: &[f64], dim: usize) -> Vec<f64> {
    use faer::linalg::solvers::DenseSolveCore;
    let matrix = Mat::from_fn(dim, dim, |i, j| 0.5 * (values[i * dim + j] + values[j * dim + i]));
    let inverse = matrix.llt(Side::Lower).map_or_else(|_| Mat::identity(dim, dim), |factor| factor.inverse());
    (0..dim * dim).map(|at| 0.5 * (inverse[(at / dim, at % dim)] + inverse[(at % dim, at / dim)])).collect()
}
