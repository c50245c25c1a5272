//! The velocity field of a recipe: its network with guidance around it, read as what it predicts.

use burn::tensor::Tensor;
use thalweg_flow::{PathConfig, Preconditioning, PredictedVelocity, Prediction, Schedule};
use thalweg_nets::{Condition, Given, Guided, Mlp};
use thalweg_solve::{Tangent, VelocityField};

use crate::recipe::Recipe;
use crate::summary::DataSummary;

/// A network as the velocity field that its recipe trains, samples and measures.
#[derive(Debug, Clone)]
pub struct FlowField<'a> {
    network: Network<'a>,
    reading: Reading,
}

/// What the output of a network means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// The velocity.
    Plain,
    /// The velocity, between scales of input and output.
    Scaled(Preconditioning),
    /// Something else, from which the velocity follows.
    Predicted {
        /// What.
        prediction: Prediction,
        /// The schedule of the path.
        schedule: Schedule,
    },
}

#[derive(Debug, Clone)]
enum Network<'a> {
    Told(Box<Given<'a>>),
    Guided(Box<Guided<Given<'a>, Given<'a>>>),
}

impl<'a> FlowField<'a> {
    /// The field for one condition; `guidance` 1 is plain.
    #[must_use]
    pub fn new(network: &'a Mlp, reading: Reading, condition: &Condition, guidance: f64) -> Self {
        let network = if guidance == 1.0 {
            Network::Told(Box::new(network.given(condition)))
        } else {
            Network::Guided(Box::new(network.guided(condition, guidance)))
        };
        Self { network, reading }
    }

    /// Whether the velocity is what the network gives, neither converted nor guided.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.reading == Reading::Plain && self.passes() == 1
    }

    /// Passes through the network for one evaluation of the field.
    #[must_use]
    pub fn passes(&self) -> usize {
        match self.network {
            Network::Told(_) => 1,
            Network::Guided(_) => 2,
        }
    }
}

/// How a recipe reads its network.
///
/// # Panics
/// When a network that predicts something else stands on a path that is not one-sided, which a recipe refuses.
#[must_use]
pub fn reading(recipe: &Recipe, summary: &DataSummary) -> Reading {
    let flow = &recipe.flow;
    match (flow.path, flow.prediction) {
        (PathConfig::OneSided { schedule }, _) if flow.precondition => {
            Reading::Scaled(Preconditioning { schedule, data_deviation: summary.spread })
        }
        (_, Prediction::Velocity) => Reading::Plain,
        (_, prediction) => match recipe.schedule() {
            Some(schedule) => Reading::Predicted { prediction, schedule },
            None => panic!("a recipe of another prediction than velocity has a one-sided path"),
        },
    }
}

impl Network<'_> {
    /// Does something with the field that it is.
    fn with<T>(&self, act: impl FnOnce(&dyn Tangent<2>) -> T) -> T {
        match self {
            Self::Told(field) => act(&**field),
            Self::Guided(field) => act(&**field),
        }
    }
}

impl VelocityField<2> for Network<'_> {
    fn velocity(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        self.with(|field| field.velocity(t, x))
    }

    fn takes_any_rows(&self) -> bool {
        self.with(|field| field.takes_any_rows())
    }
}

impl Tangent<2> for Network<'_> {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<2>,
        dt: Tensor<1>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        self.with(|field| field.velocity_and_tangent(t, x, dt, dx))
    }

    fn velocity_and_divergence(&self, t: Tensor<1>, x: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        self.with(|field| field.velocity_and_divergence(t, x))
    }
}

impl FlowField<'_> {
    /// Does something with the velocity field that the network is read as.
    fn with<T>(&self, act: impl FnOnce(&dyn Tangent<2>) -> T) -> T {
        match self.reading {
            Reading::Plain => act(&self.network),
            Reading::Scaled(scales) => act(&scales.wrap(self.network.clone())),
            Reading::Predicted { prediction, schedule } => {
                act(&PredictedVelocity { model: self.network.clone(), prediction, schedule })
            }
        }
    }

    /// What the network itself says, before it is read as a velocity.
    #[must_use]
    pub fn output(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        self.network.velocity(t, x)
    }
}

impl VelocityField<2> for FlowField<'_> {
    fn velocity(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        self.with(|field| field.velocity(t, x))
    }

    fn takes_any_rows(&self) -> bool {
        self.network.takes_any_rows()
    }
}

impl Tangent<2> for FlowField<'_> {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<2>,
        dt: Tensor<1>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        self.with(|field| field.velocity_and_tangent(t, x, dt, dx))
    }

    fn velocity_and_divergence(&self, t: Tensor<1>, x: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        self.with(|field| field.velocity_and_divergence(t, x))
    }
}
