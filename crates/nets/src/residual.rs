//! A second stage after a flow: a field on a short stretch of time beyond it, learned to mend what the flow makes
//! (FORMULAS §6).
//!
//! Most of its kinds have a structure that can be certified, `ẋ = A₀x + Σ A f(W x + b) + g(u)`: a linear part, terms of
//! functions with known slopes, and an *offset* `g` that may depend on time, condition and what the flow has made, but
//! not on where the solution is. Two solutions with the same offset approach each other or not, whatever it says.

mod config;
mod field;
mod offset;
mod penalty;
mod structure;

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor};
use thalweg_noise::Noise;
use thalweg_solve::Placement;

use crate::cast::Cast;
use crate::{Condition, Mlp};
pub use config::{Anchoring, Dominance, DominanceOf, HeadConfig, MetricConfig, OffsetConfig, TermsConfig};
pub use field::ResidualField;
use offset::Offset;
use structure::Structured;
pub use structure::{Proof, Structure, StructureTerm};

/// A second stage, made by [`HeadConfig::init`].
///
/// Its parameters, by path:
///
/// | path | shape | |
/// |---|---|---|
/// | `structured.linear` | `[dim, dim]` | a free linear part, rows for inputs |
/// | `structured.damping`, `structured.turning` | `[dim, dim]` | of a linear part that contracts by construction |
/// | `structured.metric` | `[dim, dim]` | where the norm it contracts in is learned |
/// | `structured.terms.N.inner`, `.bias`, `.outer` | `[dim, units]`, `[units]`, `[units, dim]` | |
/// | `structured.terms.N.balance` | `[units]` | of a field that contracts by construction |
/// | `offset.first`, `offset.last`, `offset.labels` | | the offset, a perceptron with one hidden layer |
/// | `network` | | a perceptron in the place of all of these |
#[derive(Module, Debug)]
pub struct Residual {
    pub(crate) structured: Option<Structured>,
    pub(crate) offset: Option<Offset>,
    pub(crate) network: Option<Mlp>,
    #[module(skip)]
    pub(crate) config: HeadConfig,
    /// The length of the stage, from time 1 on.
    #[module(skip)]
    pub(crate) duration: f64,
}

impl HeadConfig {
    /// Draws a second stage of this `duration` for the points and conditions of `flow`.
    ///
    /// It starts close to doing nothing, or at it where it can: the offset is zero, the terms are small, and the last
    /// layer of a network is zero.
    ///
    /// # Panics
    /// When [`HeadConfig::validate`] refuses.
    #[must_use]
    pub fn init(&self, flow: &Mlp, duration: f64, noise: &mut Noise, placement: &Placement) -> Residual {
        if let Err(error) = self.validate() {
            panic!("validate a configuration before making a stage of it: {error}");
        }
        let spec = (flow.dim(), flow.condition());
        let mut residual =
            Residual { structured: None, offset: None, network: None, config: self.clone(), duration };
        let network = match self {
            Self::Mlp(config) => Some(config),
            Self::Network {} => Some(flow.config()),
            Self::Free { .. } | Self::Contracting { .. } => None,
        };
        if let Some(config) = network {
            residual.network = Some(without_output(config.init(spec.0, spec.1, noise, placement)));
            return residual;
        }
        residual.structured = Structured::init(self, spec.0, noise, placement);
        residual.offset = self.offset().map(|offset| {
            Offset::init(offset, spec, self.is_anchored(), flow.config().label_embedding, noise, placement)
        });
        residual
    }
}

impl Residual {
    /// The stage as a field on the times from 1 to 1 + [`duration`](Self::duration), for one condition and for what the
    /// flow has made, which only an [anchored](Anchoring::Anchored) stage looks at.
    ///
    /// # Panics
    /// When the condition is not of the kind the stage was made for.
    #[must_use]
    pub fn given(&self, condition: &Condition, made: &Tensor<2>) -> ResidualField<'_> {
        ResidualField::new(self, condition, made)
    }

    /// The length of the stage.
    #[must_use]
    pub fn duration(&self) -> f64 {
        self.duration
    }

    /// The description it was made from.
    #[must_use]
    pub fn config(&self) -> &HeadConfig {
        &self.config
    }

    /// How many numbers are learned.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.num_params()
    }

    /// Moves the stage out and leaves one without parameters, only fit to be replaced.
    #[must_use]
    pub fn take(&mut self) -> Self {
        Self {
            structured: self.structured.take(),
            offset: self.offset.take(),
            network: self.network.take(),
            config: self.config.clone(),
            duration: self.duration,
        }
    }

    /// The stage in another precision.
    #[must_use]
    pub fn cast(self, dtype: DType) -> Self {
        let Self { structured, offset, network, config, duration } = self;
        Self {
            structured: structured.map(|part| part.map(&mut Cast { dtype })),
            offset: offset.map(|part| part.map(&mut Cast { dtype })),
            network: network.map(|network| network.cast(dtype)),
            config,
            duration,
        }
    }

    /// An upper bound on the norm of the Jacobian in the point, at every time, point and condition.
    #[must_use]
    pub fn steepest(&self) -> f64 {
        match (&self.network, self.structure()) {
            (Some(network), _) => network.steepest(),
            (None, Some(structure)) => structure.steepest(),
            (None, None) => 0.0,
        }
    }
}

/// The network with a last layer of zeros.
fn without_output(mut network: Mlp) -> Mlp {
    if let Some(last) = network.layers.last_mut() {
        last.weight = zeroed(&last.weight);
        last.bias = zeroed(&last.bias);
    }
    network
}

fn zeroed<const D: usize>(param: &Param<Tensor<D>>) -> Param<Tensor<D>> {
    Param::from_tensor(param.val().zeros_like())
}
