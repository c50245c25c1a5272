//! The description of a network, as it stands in a recipe.

use burn::module::Param;
use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;
use thalweg_solve::Placement;

use crate::linear::Linear;
use crate::mlp::Mlp;
use crate::waves::Waves;
use crate::{Activation, ConditionSpec, NetError, PointEmbedding, TimeEmbedding};

/// A multilayer perceptron `v(t, x | condition)`: affine layers with an activation between them.
///
/// ```text
/// h₁ = φ(x·W₁ₓ + features(x)·W₁f + features(t)·W₁ₜ + condition·W₁c + b₁)     first hidden layer
/// h  = φ(h·W + b)          or, with `residual`,   h + φ(h·W + b)
/// v  = h·W + b
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MlpConfig {
    /// Units of each hidden layer; 64 by default.
    pub width: usize,
    /// Hidden layers, at least one; 3 by default.
    pub hidden_layers: usize,
    /// The function after each hidden layer; `silu` by default. Softplus takes a parameter:
    /// `{ softplus = { beta = 20 } }`.
    pub activation: Activation,
    /// How the time enters; `concatenate` by default. The others take parameters:
    /// `{ fourier = { features = 32, scale = 1 } }`, `{ sinusoidal = { features = 64, max_period = 10000 } }`.
    pub time: TimeEmbedding,
    /// How the point enters; `coordinates` by default. `{ fourier = { features = 64, scale = 1 } }` is for data of few
    /// coordinates with sharp edges.
    pub point: PointEmbedding,
    /// Whether the hidden layers after the first are added to what comes in; false by default.
    pub residual: bool,
    /// Length of the learned vector that stands for a class; 16 by default. Only networks with labels use it.
    pub label_embedding: usize,
    /// Probability that training does not tell a row its condition, so that the network can be
    /// [guided](crate::Guided); 0 by default. Training applies it by [`Condition::dropped`](crate::Condition::dropped);
    /// the network itself is deterministic.
    pub condition_dropout: f64,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self {
            width: 64,
            hidden_layers: 3,
            activation: Activation::default(),
            time: TimeEmbedding::default(),
            point: PointEmbedding::default(),
            residual: false,
            label_embedding: 16,
            condition_dropout: 0.0,
        }
    }
}

impl MlpConfig {
    /// Checks every value on its own.
    ///
    /// # Errors
    /// Names the first key with an impossible value.
    pub fn validate(&self) -> Result<(), NetError> {
        let sizes = [
            ("width", self.width),
            ("hidden_layers", self.hidden_layers),
            ("label_embedding", self.label_embedding),
        ];
        for (key, value) in sizes {
            at_least_one(key, value)?;
        }
        if !(0.0..=1.0).contains(&self.condition_dropout) {
            return Err(NetError::Config {
                key: "condition_dropout",
                value: self.condition_dropout.to_string(),
                expected: "a probability between 0 and 1",
            });
        }
        if let Activation::Softplus { beta } = self.activation
            && !(beta > 0.0 && beta.is_finite())
        {
            return Err(NetError::Config {
                key: "activation.softplus.beta",
                value: beta.to_string(),
                expected: "positive and finite",
            });
        }
        self.time.validate()?;
        self.point.validate()
    }

    /// Checks that such a network can be made for points of `dim` coordinates and this kind of condition.
    ///
    /// # Errors
    /// As [`validate`](Self::validate), and when the data have no coordinates, no classes, empty condition vectors, or
    /// no condition that `condition_dropout` could hide.
    pub fn validate_for(&self, dim: usize, condition: ConditionSpec) -> Result<(), NetError> {
        self.validate()?;
        at_least_one("dim", dim)?;
        match condition {
            ConditionSpec::Labels { classes } => at_least_one("classes", classes),
            ConditionSpec::Vectors { dim } => at_least_one("the length of condition vectors", dim),
            ConditionSpec::None if self.condition_dropout > 0.0 => Err(NetError::Config {
                key: "condition_dropout",
                value: self.condition_dropout.to_string(),
                expected: "0 in a network without conditions",
            }),
            ConditionSpec::None => Ok(()),
        }
    }

    /// How many parameters a network for points of `dim` coordinates has, so that it can be refused before it is made: a
    /// number that may be beyond any memory.
    #[must_use]
    pub fn parameters(&self, dim: usize, condition: ConditionSpec) -> f64 {
        let [dim, width, layers, embedding] =
            [dim, self.width, self.hidden_layers, self.label_embedding].map(|size| size as f64);
        let beside = [self.point.features(), self.time.features(), condition.width(self.label_embedding)];
        let inputs = dim + beside.map(|size| size as f64).iter().sum::<f64>();
        let labels = match condition {
            ConditionSpec::Labels { classes } => (classes as f64 + 1.0) * embedding,
            ConditionSpec::None | ConditionSpec::Vectors { .. } => 0.0,
        };
        let affine = |from: f64, to: f64| (from + 1.0) * to;
        affine(inputs, width) + (layers - 1.0) * affine(width, width) + affine(width, dim) + labels
    }

    /// Draws a network for points of `dim` coordinates.
    ///
    /// Weights and biases are uniform within `±1/√in` and label vectors standard normal, the defaults of PyTorch's
    /// `nn.Linear` and `nn.Embedding`. The draws are made layer by layer, weights before biases, then labels.
    ///
    /// # Panics
    /// When [`validate_for`](Self::validate_for) refuses.
    #[must_use]
    pub fn init(
        &self,
        dim: usize,
        condition: ConditionSpec,
        noise: &mut Noise,
        placement: &Placement,
    ) -> Mlp {
        if let Err(error) = self.validate_for(dim, condition) {
            panic!("validate a configuration before making a network of it: {error}");
        }
        let inputs =
            dim + self.point.features() + self.time.features() + condition.width(self.label_embedding);
        let mut layers = Vec::with_capacity(self.hidden_layers + 1);
        layers.push(Linear::init(inputs, self.width, noise, placement));
        for _ in 1..self.hidden_layers {
            layers.push(Linear::init(self.width, self.width, noise, placement));
        }
        layers.push(Linear::init(self.width, dim, noise, placement));
        let labels = match condition {
            ConditionSpec::Labels { classes } => {
                // The last row is the null label.
                Some(Param::from_tensor(placement.normal(noise, [classes + 1, self.label_embedding])))
            }
            _ => None,
        };
        Mlp {
            layers,
            labels,
            time: Waves::new(&self.time.frequencies(), 1, placement),
            point: Waves::new(&self.point.frequencies(dim), dim, placement),
            config: self.clone(),
            dim,
            condition,
        }
    }
}

fn at_least_one(key: &'static str, value: usize) -> Result<(), NetError> {
    if value == 0 {
        return Err(NetError::Config { key, value: value.to_string(), expected: "at least 1" });
    }
    Ok(())
}
