//! The velocity field of a recipe: its network with guidance and preconditioning around it.

use burn::tensor::Tensor;
use thalweg_flow::{PathConfig, Preconditioning};
use thalweg_nets::{Condition, Given, Guided, Mlp};
use thalweg_solve::{Tangent, VelocityField};

use crate::recipe::FlowConfig;
use crate::summary::DataSummary;

/// A network as the velocity field that its recipe trains, samples and measures.
#[derive(Debug, Clone)]
pub struct FlowField<'a> {
    network: Network<'a>,
    scales: Option<Preconditioning>,
}

#[derive(Debug, Clone)]
enum Network<'a> {
    Told(Box<Given<'a>>),
    Guided(Box<Guided<Given<'a>, Given<'a>>>),
}

impl<'a> FlowField<'a> {
    /// The field for one condition; `guidance` 1 is plain.
    #[must_use]
    pub fn new(
        network: &'a Mlp,
        scales: Option<Preconditioning>,
        condition: &Condition,
        guidance: f64,
    ) -> Self {
        let network = if guidance == 1.0 {
            Network::Told(Box::new(network.given(condition)))
        } else {
            Network::Guided(Box::new(network.guided(condition, guidance)))
        };
        Self { network, scales }
    }

    /// Whether the velocity is what the network gives, neither scaled nor guided.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.scales.is_none() && self.passes() == 1
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

/// The scales that a recipe puts around its network.
#[must_use]
pub fn preconditioning(flow: &FlowConfig, summary: &DataSummary) -> Option<Preconditioning> {
    match flow.path {
        PathConfig::OneSided { schedule } if flow.precondition => {
            Some(Preconditioning { schedule, data_deviation: summary.spread })
        }
        _ => None,
    }
}

impl VelocityField<2> for Network<'_> {
    fn velocity(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Told(field) => field.velocity(t, x),
            Self::Guided(field) => field.velocity(t, x),
        }
    }

    fn takes_any_rows(&self) -> bool {
        match self {
            Self::Told(field) => field.takes_any_rows(),
            Self::Guided(field) => field.takes_any_rows(),
        }
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
        match self {
            Self::Told(field) => field.velocity_and_tangent(t, x, dt, dx),
            Self::Guided(field) => field.velocity_and_tangent(t, x, dt, dx),
        }
    }

    fn velocity_and_divergence(&self, t: Tensor<1>, x: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        match self {
            Self::Told(field) => field.velocity_and_divergence(t, x),
            Self::Guided(field) => field.velocity_and_divergence(t, x),
        }
    }
}

impl VelocityField<2> for FlowField<'_> {
    fn velocity(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        match self.scales {
            None => self.network.velocity(t, x),
            Some(scales) => scales.wrap(self.network.clone()).velocity(t, x),
        }
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
        match self.scales {
            None => self.network.velocity_and_tangent(t, x, dt, dx),
            Some(scales) => scales.wrap(self.network.clone()).velocity_and_tangent(t, x, dt, dx),
        }
    }

    fn velocity_and_divergence(&self, t: Tensor<1>, x: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        match self.scales {
            None => self.network.velocity_and_divergence(t, x),
            Some(scales) => scales.wrap(self.network.clone()).velocity_and_divergence(t, x),
        }
    }
}
