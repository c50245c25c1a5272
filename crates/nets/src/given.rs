//! A network with its condition fixed: a velocity field with forward-mode tangents.
//!
//! The tangent of a layer `a = h·W + b`, `h' = φ(a)` along `dh` is `da = dh·W`, `dh' = φ'(a)·da`: one more matrix
//! product beside the layer's own, and no graph. Divergences are in the module `divergence`.

use burn::tensor::Tensor;
use thalweg_solve::{Tangent, VelocityField};

use crate::divergence;
use crate::mlp::{Mlp, Told};

/// A network whose condition is fixed, made by [`Mlp::given`] or [`Mlp::unconditional`].
///
/// An evaluation costs one pass, [`velocity_and_tangent`](Tangent::velocity_and_tangent) two, and
/// [`velocity_and_divergence`](Tangent::velocity_and_divergence) about one more for networks of one or two hidden
/// layers, about `dim` more for deeper ones.
#[derive(Debug, Clone)]
pub struct Given<'a> {
    mlp: &'a Mlp,
    told: Told,
    /// [`Mlp::shift`] where it is the same for every evaluation. Under automatic differentiation it is computed anew
    /// each time: a backward pass consumes its tape, so segments that are differentiated one by one must not share any.
    shift: Option<Tensor<2>>,
    /// The batch the condition is for; none when it suits any.
    rows: Option<usize>,
}

impl<'a> Given<'a> {
    pub(crate) fn new(mlp: &'a Mlp, told: Told, rows: Option<usize>) -> Self {
        let recorded = mlp.layers[0].weight.is_autodiff()
            || matches!(&told, Told::Vectors(vectors) if vectors.is_autodiff());
        let shift = (!recorded).then(|| mlp.shift(&told));
        Self { mlp, told, shift, rows }
    }

    /// The field at `(t, x)` and, in the order of the hidden layers, the slopes `φ'` `[batch, width]`.
    pub(crate) fn velocity_and_slopes(&self, t: Tensor<1>, x: Tensor<2>) -> (Tensor<2>, Vec<Tensor<2>>) {
        let mlp = self.mlp;
        let activation = mlp.config.activation;
        let mut slopes = Vec::with_capacity(mlp.config.hidden_layers);
        let (mut h, slope) = activation.with_slope(self.first_layer(t, x));
        slopes.push(slope);
        for layer in mlp.inner() {
            let (change, slope) = activation.with_slope(layer.forward(h.clone()));
            slopes.push(slope);
            h = if mlp.config.residual { h + change } else { change };
        }
        (mlp.head().forward(h), slopes)
    }

    /// The first layer before its activation, `[batch, width]`.
    fn first_layer(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        self.check(&t, &x);
        self.mlp.enter(x, self.mlp.time.of(t)) + self.shift()
    }

    fn shift(&self) -> Tensor<2> {
        self.shift.clone().unwrap_or_else(|| self.mlp.shift(&self.told))
    }

    fn check(&self, t: &Tensor<1>, x: &Tensor<2>) {
        let [batch, coordinates] = x.dims();
        let dim = self.mlp.dim;
        assert!(coordinates == dim, "the network takes points [batch, {dim}], but was given {:?}", x.dims());
        assert!(t.dims() == [batch], "{batch} points need times [{batch}], but were given {:?}", t.dims());
        if let Some(rows) = self.rows {
            assert!(rows == batch, "the condition is for {rows} rows, but there are {batch} points");
        }
        let (dtype, of_t, of_x) = (self.mlp.dtype(), t.dtype(), x.dtype());
        assert!(
            of_t == dtype && of_x == dtype,
            "the network is in {dtype:?}, but was given times in {of_t:?} and points in {of_x:?}; cast one"
        );
    }
}

impl VelocityField<2> for Given<'_> {
    fn velocity(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        let mlp = self.mlp;
        let activation = mlp.config.activation;
        let mut h = activation.apply(self.first_layer(t, x));
        for layer in mlp.inner() {
            h = if mlp.config.residual {
                h.clone() + activation.apply(layer.forward(h))
            } else {
                activation.apply(layer.forward(h))
            };
        }
        mlp.head().forward(h)
    }
}

impl Tangent<2> for Given<'_> {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<2>,
        dt: Tensor<1>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        self.check(&t, &x);
        assert!(dt.dims() == t.dims(), "times {:?} have a direction {:?}", t.dims(), dt.dims());
        assert!(dx.dims() == x.dims(), "points {:?} have a direction {:?}", x.dims(), dx.dims());
        let mlp = self.mlp;
        let activation = mlp.config.activation;

        let (features, features_tangent) = mlp.time.with_tangent(t, dt);
        let (mut h, slope) = activation.with_slope(mlp.enter(x, features) + self.shift());
        let mut dh = slope * mlp.enter(dx, features_tangent);
        for layer in mlp.inner() {
            let (change, slope) = activation.with_slope(layer.forward(h.clone()));
            let change_tangent = slope * layer.tangent(dh.clone());
            (h, dh) = if mlp.config.residual {
                (h + change, dh + change_tangent)
            } else {
                (change, change_tangent)
            };
        }
        let head = mlp.head();
        (head.forward(h), head.tangent(dh))
    }

    fn velocity_and_divergence(&self, t: Tensor<1>, x: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        let (velocity, slopes) = self.velocity_and_slopes(t, x);
        (velocity, divergence::from_slopes(self.mlp, slopes))
    }
}
