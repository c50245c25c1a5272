//! The description of a second stage, as it stands in a recipe.

use serde::{Deserialize, Serialize};

use crate::{Activation, MlpConfig, NetError};

/// What kind of field the second stage is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum HeadConfig {
    /// `A₀x + Σ A f(Wx + b) + g` with free matrices, held towards stability by a penalty on `A₀`.
    Free {
        /// The terms.
        #[serde(default)]
        terms: TermsConfig,
        /// The offset `g`.
        #[serde(default)]
        offset: OffsetConfig,
        /// The penalty.
        #[serde(default)]
        dominance: Dominance,
    },
    /// The same with matrices that make it contract at a given rate whatever the parameters are.
    Contracting {
        /// The rate: distances shrink by at least `exp(-rate·duration)`.
        #[serde(default = "default_rate")]
        rate: f64,
        /// Towards what it contracts.
        #[serde(default)]
        form: Anchoring,
        /// The norm it contracts in.
        #[serde(default)]
        metric: MetricConfig,
        /// The terms.
        #[serde(default)]
        terms: TermsConfig,
        /// The offset `g`.
        #[serde(default)]
        offset: OffsetConfig,
    },
    /// A perceptron of its own: for comparison, since nothing about it can be certified but how steep it is.
    Mlp(MlpConfig),
    /// A perceptron like that of the flow: for comparison.
    Network {},
}

/// Towards what a contracting stage contracts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Anchoring {
    /// Towards a trajectory that depends on time and condition alone, so that differences between any two points shrink:
    /// the stage contracts as a map of what the flow makes. It cannot do nothing.
    Equilibrium,
    /// Towards a trajectory from what the flow has made, so that it can start as doing nothing. Disturbances on the way
    /// shrink; as a map of what the flow makes it need not contract.
    #[default]
    Anchored,
}

/// The norm a stage contracts in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricConfig {
    /// The Euclidean one.
    #[default]
    Identity,
    /// `√(zᵀPz)` with a learned `P`.
    Learned,
}

/// The terms `A f(Wx + b)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TermsConfig {
    /// Units of each term; left out, twice the number of coordinates, and 128 at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<usize>,
    /// The function of each term; `["tanh", "softplus"]` makes two terms. Each is shifted to be zero at zero.
    pub functions: Vec<Activation>,
}

impl Default for TermsConfig {
    fn default() -> Self {
        Self { units: None, functions: vec![Activation::Tanh] }
    }
}

/// The offset `g`: a perceptron with one hidden layer that sees time, condition and, in an anchored stage, what the flow
/// has made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OffsetConfig {
    /// Units of the hidden layer.
    pub width: usize,
    /// No coordinate of the offset is larger, in model units.
    pub bound: f64,
}

impl Default for OffsetConfig {
    fn default() -> Self {
        Self { width: 64, bound: 1.0 }
    }
}

/// A penalty that pushes towards negative diagonal dominance (FORMULAS §6.8): where it is zero, all eigenvalues lie left
/// of minus the margin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dominance {
    /// Its weight.
    pub weight: f64,
    /// The margin.
    pub margin: f64,
    /// Of which matrix.
    pub of: DominanceOf,
}

impl Default for Dominance {
    fn default() -> Self {
        Self { weight: 0.1, margin: 0.1, of: DominanceOf::default() }
    }
}

/// The matrix whose diagonal should dominate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DominanceOf {
    /// `A₀`, as in the paper; the terms are not looked at.
    #[default]
    Linear,
    /// A bound on every Jacobian that the slopes allow: where the penalty is zero, the whole field contracts in the
    /// maximum norm at the rate of the margin.
    Jacobian,
}

fn default_rate() -> f64 {
    0.1
}

/// Rates and bounds that single precision and double precision agree about.
const SENSIBLE: std::ops::RangeInclusive<f64> = 1e-6..=1e6;
/// Units beyond which a stage is larger than any flow before it.
const MOST_HIDDEN: usize = 100_000;
/// Products that the penalty on Jacobians may hold, several times over: half a GB each.
const MOST_PRODUCTS: usize = 1 << 27;
/// A stage has at most this many units beside each other by default.
const MOST_UNITS: usize = 128;

impl TermsConfig {
    /// Units of each term, for points of `dim` coordinates.
    #[must_use]
    pub fn units_for(&self, dim: usize) -> usize {
        self.units.unwrap_or((2 * dim).min(MOST_UNITS))
    }
}

impl HeadConfig {
    /// Checks every value on its own.
    ///
    /// # Errors
    /// Names the first key with an impossible value.
    pub fn validate(&self) -> Result<(), NetError> {
        let refuse = |key, value: String, expected| Err(NetError::Config { key, value, expected });
        match self {
            Self::Mlp(config) if config.condition_dropout != 0.0 => {
                let dropout = config.condition_dropout.to_string();
                refuse("condition_dropout", dropout, "0: a second stage is always told its condition")
            }
            Self::Mlp(config) => config.validate(),
            Self::Network {} => Ok(()),
            Self::Contracting { rate, .. } if !SENSIBLE.contains(rate) => {
                refuse("rate", rate.to_string(), "between 0.000001 and 1000000")
            }
            Self::Contracting { terms, offset, .. } => {
                terms.validate(|f| {
                    matches!(f, Activation::Tanh | Activation::Relu | Activation::Softplus { .. })
                })?;
                offset.validate()
            }
            Self::Free { terms, offset, dominance } => {
                terms.validate(|f| !matches!(f, Activation::Elu | Activation::Selu))?;
                offset.validate()?;
                for (key, value) in
                    [("dominance.weight", dominance.weight), ("dominance.margin", dominance.margin)]
                {
                    if !(0.0..=*SENSIBLE.end()).contains(&value) {
                        return refuse(key, value.to_string(), "between 0 and 1000000");
                    }
                }
                Ok(())
            }
        }
    }

    /// Checks that such a stage can be kept in memory for points of `dim` coordinates.
    ///
    /// # Errors
    /// When the penalty on Jacobians would hold more products than fit.
    pub fn validate_for(&self, dim: usize) -> Result<(), NetError> {
        self.validate()?;
        let Self::Free { terms, dominance, .. } = self else { return Ok(()) };
        let products = terms.units_for(dim).saturating_mul(dim).saturating_mul(dim);
        if dominance.of == DominanceOf::Jacobian && dominance.weight > 0.0 && products > MOST_PRODUCTS {
            return Err(NetError::Config {
                key: "dominance.of",
                value: format!("jacobian with {products} products of entries"),
                expected: "`linear`, or `terms.units` fewer: at most 134217728 products",
            });
        }
        Ok(())
    }

    /// The offset of a kind that has one.
    pub(crate) fn offset(&self) -> Option<&OffsetConfig> {
        match self {
            Self::Free { offset, .. } | Self::Contracting { offset, .. } => Some(offset),
            Self::Mlp(_) | Self::Network {} => None,
        }
    }

    /// Whether the stage looks at what the flow has made.
    #[must_use]
    pub fn is_anchored(&self) -> bool {
        matches!(self, Self::Contracting { form: Anchoring::Anchored, .. })
    }

    /// The kind, as a recipe spells it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Free { .. } => "free",
            Self::Contracting { .. } => "contracting",
            Self::Mlp(_) => "mlp",
            Self::Network {} => "network",
        }
    }
}

impl TermsConfig {
    fn validate(&self, allowed: impl Fn(&Activation) -> bool) -> Result<(), NetError> {
        let refuse = |key, value: String, expected| Err(NetError::Config { key, value, expected });
        if let Some(units) = self.units.filter(|units| !(1..=MOST_HIDDEN).contains(units)) {
            return refuse("terms.units", units.to_string(), "between 1 and 100000");
        }
        if self.functions.is_empty() {
            return refuse("terms.functions", "empty".to_string(), "a list of at least one function");
        }
        for function in &self.functions {
            if let Activation::Softplus { beta } = function
                && !(1e-3..=1e3).contains(beta)
            {
                return refuse(
                    "terms.functions",
                    format!("softplus with beta {beta}"),
                    "of a beta between 0.001 and 1000",
                );
            }
            if !allowed(function) {
                let expected = "made of functions that rise everywhere by a known slope (tanh, relu, softplus; free \
                                stages take silu and gelu too)";
                return refuse("terms.functions", format!("{function:?}").to_lowercase(), expected);
            }
        }
        Ok(())
    }
}

impl OffsetConfig {
    fn validate(&self) -> Result<(), NetError> {
        let refuse = |key, value: String, expected| Err(NetError::Config { key, value, expected });
        if !(1..=MOST_HIDDEN).contains(&self.width) {
            return refuse("offset.width", self.width.to_string(), "between 1 and 100000");
        }
        if !SENSIBLE.contains(&self.bound) {
            return refuse("offset.bound", self.bound.to_string(), "between 0.000001 and 1000000");
        }
        Ok(())
    }
}
