//! A second stage with its condition fixed: a velocity field with forward-mode tangents.

use burn::tensor::Tensor;
use thalweg_kernels::{Architecture, Perceptron};
use thalweg_solve::{Placement, Tangent, VelocityField};

use super::Residual;
use super::offset::{Offset, Still};
use super::structure::{Matrices, TermMatrices, identity};
use crate::{Condition, Given};

/// A second stage for one condition and what the flow has made, made by [`Residual::given`]; its times run from 1 to
/// 1 + duration.
#[derive(Debug, Clone)]
pub struct ResidualField<'a> {
    kind: Kind<'a>,
    duration: f64,
}

#[derive(Debug, Clone)]
enum Kind<'a> {
    Structured(Box<Fixed<'a>>),
    Network(Box<Given<'a>>),
}

/// All that does not change on the way.
#[derive(Debug, Clone)]
struct Fixed<'a> {
    matrices: Matrices,
    offset: &'a Offset,
    still: Still,
    /// Minus the field without offset at what the flow has made, `[batch, dim]`; in anchored stages.
    anchor: Option<Tensor<2>>,
}

impl<'a> ResidualField<'a> {
    pub(super) fn new(residual: &'a Residual, condition: &Condition, made: &Tensor<2>) -> Self {
        let kind = match (&residual.structured, &residual.offset, &residual.network) {
            (Some(structured), Some(offset), _) => {
                let matrices = structured.matrices();
                let made = residual.config.is_anchored().then_some(made);
                let still = offset.still(condition, made);
                let anchor = made.map(|made| matrices.at(made.clone()) * -1.0);
                Kind::Structured(Box::new(Fixed { matrices, offset, still, anchor }))
            }
            (_, _, Some(network)) => Kind::Network(Box::new(network.given(condition))),
            _ => unreachable!("a stage is structured or a network"),
        };
        Self { kind, duration: residual.duration }
    }

    /// Times as the stage sees them, from 0 to 1.
    fn local(&self, t: Tensor<1>) -> Tensor<1> {
        // Times near one are rounded, and what is proved of offsets is about these.
        ((t - 1.0) * (1.0 / self.duration)).clamp(0.0, 1.0)
    }
}

impl Matrices {
    /// The field without its offset.
    fn at(&self, x: Tensor<2>) -> Tensor<2> {
        let linear = x.clone().matmul(self.linear.clone());
        self.terms.iter().fold(linear, |sum, term| sum + term.at(x.clone()))
    }
}

impl TermMatrices {
    /// `A f(Wx + b)`, as one operation where there is one.
    fn at(&self, x: Tensor<2>) -> Tensor<2> {
        let bias = self.bias.clone().unsqueeze_dim(0);
        let perceptron = Perceptron {
            architecture: Architecture { activation: self.function, residual: false },
            weights: vec![self.inner.clone(), self.outer.clone()],
            shift: bias.clone(),
            biases: vec![self.level()],
        };
        let [batch, _] = x.dims();
        let no_features = Placement::of(&x).full(0.0, [batch, 0]);
        perceptron.forward(&x, &no_features).unwrap_or_else(|| {
            let hidden = self.function.apply(x.matmul(self.inner.clone()) + bias);
            hidden.matmul(self.outer.clone()) + self.level().unsqueeze_dim(0)
        })
    }

    /// What shifts the function to zero at zero: `-φ(0) Σ A`, `[dim]`.
    fn level(&self) -> Tensor<1> {
        let sum: Tensor<1> = self.outer.clone().sum_dim(0).squeeze_dim(0);
        sum * -at_zero(self.function)
    }

    fn slopes(&self, x: Tensor<2>) -> Tensor<2> {
        let before = x.matmul(self.inner.clone()) + self.bias.clone().unsqueeze_dim(0);
        self.function.with_slope(before).1
    }
}

/// `φ(0)`.
fn at_zero(function: crate::Activation) -> f64 {
    match function {
        crate::Activation::Softplus { beta } => std::f64::consts::LN_2 / beta,
        _ => 0.0,
    }
}

impl VelocityField<2> for ResidualField<'_> {
    fn velocity(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        let t = self.local(t);
        match &self.kind {
            Kind::Network(network) => network.velocity(t, x),
            Kind::Structured(fixed) => {
                let velocity = fixed.matrices.at(x) + fixed.offset.at(&fixed.still, t);
                match &fixed.anchor {
                    Some(anchor) => velocity + anchor.clone(),
                    None => velocity,
                }
            }
        }
    }

    fn takes_any_rows(&self) -> bool {
        match &self.kind {
            Kind::Network(network) => network.takes_any_rows(),
            Kind::Structured(fixed) => !fixed.still.has_rows && fixed.anchor.is_none(),
        }
    }
}

impl Tangent<2> for ResidualField<'_> {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<2>,
        dt: Tensor<1>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        let (t, dt) = (self.local(t), dt * (1.0 / self.duration));
        let fixed = match &self.kind {
            Kind::Network(network) => return network.velocity_and_tangent(t, x, dt, dx),
            Kind::Structured(fixed) => fixed,
        };
        let [offset, change] = fixed.offset.with_tangent(&fixed.still, t, dt);
        let mut velocity = fixed.matrices.at(x.clone()) + offset;
        if let Some(anchor) = &fixed.anchor {
            velocity = velocity + anchor.clone();
        }
        let mut tangent = dx.clone().matmul(fixed.matrices.linear.clone()) + change;
        for term in &fixed.matrices.terms {
            let through = term.slopes(x.clone()) * dx.clone().matmul(term.inner.clone());
            tangent = tangent + through.matmul(term.outer.clone());
        }
        (velocity, tangent)
    }

    fn velocity_and_divergence(&self, t: Tensor<1>, x: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        let fixed = match &self.kind {
            Kind::Network(network) => return network.velocity_and_divergence(self.local(t), x),
            Kind::Structured(fixed) => fixed,
        };
        let [batch, dim] = x.dims();
        let diagonal = fixed.matrices.linear.clone() * identity(dim, &Placement::of(&x));
        let mut divergence = diagonal.sum().expand([batch]);
        for term in &fixed.matrices.terms {
            // What each unit adds at slope one.
            let weight = (term.inner.clone().transpose() * term.outer.clone()).sum_dim(1);
            let part: Tensor<1> = term.slopes(x.clone()).matmul(weight).squeeze_dim(1);
            divergence = divergence + part;
        }
        (self.velocity(t, x), divergence)
    }
}
