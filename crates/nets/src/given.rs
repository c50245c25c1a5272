//! A network with its condition fixed: a velocity field with forward-mode tangents.
//!
//! The tangent of a layer `a = h·W + b`, `h' = φ(a)` along `dh` is `da = dh·W`, `dh' = φ'(a)·da`: one more matrix
//! product beside the layer's own, and no graph. Divergences are in the module `divergence`.
//!
//! On the CPU all of this is one fused operation of the crate `kernels`. What stands here is the same with ordinary
//! operations: for other devices, for tangents that are themselves differentiated, and for the tests that compare.

use burn::tensor::Tensor;
use thalweg_kernels::{Architecture, Perceptron};
use thalweg_solve::{Tangent, VelocityField, divergence_by_tangents};

use crate::MlpConfig;
use crate::divergence;
use crate::mlp::{Mlp, Told};

/// A network whose condition is fixed, made by [`Mlp::given`] or [`Mlp::unconditional`].
///
/// An evaluation costs one pass, [`velocity_and_tangent`](Tangent::velocity_and_tangent) two, and
/// [`velocity_and_divergence`](Tangent::velocity_and_divergence) about one more for networks of one or two hidden
/// layers, about `dim` more for deeper ones and for all where the point has features.
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

    /// The network as an operation of the CPU.
    fn fused(&self) -> Perceptron {
        let mlp = self.mlp;
        let MlpConfig { activation, residual, .. } = mlp.config;
        Perceptron {
            architecture: Architecture { activation, residual },
            weights: mlp.layers.iter().map(|layer| layer.weight.val()).collect(),
            shift: self.shift(),
            biases: mlp.layers[1..].iter().map(|layer| layer.bias.val()).collect(),
        }
    }

    /// [`velocity`](VelocityField::velocity) with ordinary operations.
    pub(crate) fn plain_velocity(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
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

    /// [`velocity_and_tangent`](Tangent::velocity_and_tangent) with ordinary operations.
    pub(crate) fn plain_velocity_and_tangent(
        &self,
        [x, features]: [Tensor<2>; 2],
        [dx, features_tangent]: [Tensor<2>; 2],
    ) -> (Tensor<2>, Tensor<2>) {
        let mlp = self.mlp;
        let activation = mlp.config.activation;
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

    /// [`velocity_and_divergence`](Tangent::velocity_and_divergence) with ordinary operations, where only the coordinates
    /// themselves enter.
    pub(crate) fn plain_velocity_and_divergence(&self, t: Tensor<1>, x: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        let (velocity, slopes) = self.velocity_and_slopes(t, x);
        (velocity, divergence::from_slopes(self.mlp, slopes))
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
        let features = self.mlp.features(t, &x);
        self.mlp.enter(x, features) + self.shift()
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
        self.check(&t, &x);
        let features = self.mlp.features(t.clone(), &x);
        self.fused().forward(&x, &features).unwrap_or_else(|| self.plain_velocity(t, x))
    }

    fn takes_any_rows(&self) -> bool {
        self.rows.is_none()
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
        let (features, features_tangent) = self.mlp.features_with_tangent([t, dt], [&x, &dx]);
        let fused = self.fused().with_tangent([&x, &features], [&dx, &features_tangent]);
        fused.unwrap_or_else(|| self.plain_velocity_and_tangent([x, features], [dx, features_tangent]))
    }

    fn velocity_and_divergence(&self, t: Tensor<1>, x: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        self.check(&t, &x);
        let (features, moving) = self.mlp.moving_features(t.clone(), &x);
        let fused = self.fused().with_divergence([&x, &features], moving.as_ref());
        fused.unwrap_or_else(|| match moving {
            Some(_) => divergence_by_tangents(self, t, x),
            None => self.plain_velocity_and_divergence(t, x),
        })
    }
}

#[cfg(test)]
mod tests {
    //! The fused operation against ordinary ones, on random shapes and numbers.

    use burn::tensor::Tensor;
    use proptest::prelude::*;
    use thalweg_noise::Noise;
    use thalweg_solve::{Placement, to_host};

    use super::*;
    use crate::{Activation, Condition, ConditionSpec, PointEmbedding, TimeEmbedding};

    const ACTIVATIONS: [Activation; 8] = [
        Activation::Silu,
        Activation::Relu,
        Activation::Elu,
        Activation::Selu,
        Activation::Tanh,
        Activation::Gelu,
        Activation::Softplus { beta: 1.0 },
        Activation::Softplus { beta: 20.0 },
    ];

    #[derive(Debug, Clone)]
    struct Case {
        config: MlpConfig,
        dim: usize,
        batch: usize,
        labels: bool,
        seed: u64,
    }

    fn cases() -> impl Strategy<Value = Case> {
        let features = (any::<bool>(), any::<bool>());
        let layers = (1usize..5, 1usize..40, any::<bool>(), 0usize..ACTIVATIONS.len(), features);
        // Batches of one, of a piece, of several pieces with a rest.
        let rows = prop_oneof![Just(1), 2usize..70, 120usize..140, Just(256), 500usize..600, 1100usize..1200];
        (layers, rows, 1usize..5, any::<bool>(), any::<u64>()).prop_map(
            |(layers, batch, dim, labels, seed)| {
                let (hidden_layers, width, residual, activation, (fourier, of_point)) = layers;
                let time = if fourier {
                    TimeEmbedding::Fourier { features: 6, scale: 1.0 }
                } else {
                    TimeEmbedding::Concatenate
                };
                let point = if of_point {
                    PointEmbedding::Fourier { features: 4, scale: 0.2 }
                } else {
                    PointEmbedding::Coordinates
                };
                let activation = ACTIVATIONS[activation];
                let sizes = MlpConfig { hidden_layers, width, residual, ..MlpConfig::default() };
                let config = MlpConfig { activation, time, point, ..sizes };
                Case { config, dim, batch, labels, seed }
            },
        )
    }

    struct Setting {
        mlp: Mlp,
        condition: Condition,
        t: Tensor<1>,
        x: Tensor<2>,
        direction: Tensor<2>,
    }

    impl Case {
        fn setting(&self, placement: &Placement) -> Setting {
            let Self { dim, batch, seed, .. } = *self;
            let mut noise = Noise::new(seed);
            let spec = if self.labels { ConditionSpec::Labels { classes: 3 } } else { ConditionSpec::None };
            let mlp = self.config.init(dim, spec, &mut noise, placement);
            let labels: Vec<usize> = (0..batch).map(|_| noise.below(3)).collect();
            let condition = if self.labels { Condition::labels(&labels) } else { Condition::None };
            let t: Vec<f64> = (0..batch).map(|_| noise.uniform()).collect();
            // Read against the grain, so that the values do not lie in the order of the rows.
            let x = placement.tensor::<2>(&noise.normals(batch * dim), [dim, batch]).transpose();
            let direction = placement.tensor::<2>(&noise.normals(batch * dim), [dim, batch]).transpose();
            Setting { mlp, condition, t: placement.tensor(&t, [batch]), x, direction }
        }
    }

    fn close<const D: usize>(what: &str, found: &Tensor<D>, expected: &Tensor<D>, tolerance: f64) {
        close_beside(what, (found, expected), 1e-30, tolerance);
    }

    /// The same, the tolerance being relative to the largest value or to `least` if that is larger.
    fn close_beside<const D: usize>(
        what: &str,
        (found, expected): (&Tensor<D>, &Tensor<D>),
        least: f64,
        tolerance: f64,
    ) {
        assert_eq!(found.dims(), expected.dims(), "{what}");
        let (found, expected) = (to_host(found), to_host(expected));
        let size = expected.iter().fold(least, |size, x| size.max(x.abs()));
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() <= tolerance * size,
                "{what}: {found} against {expected}, of {size}"
            );
        }
    }

    fn compare(case: &Case, placement: &Placement, tolerance: f64) {
        let Setting { mlp, condition, t, x, direction } = case.setting(placement);
        let given = mlp.given(&condition);
        let fused = given.fused();
        let features = mlp.features(t.clone(), &x);
        let velocity = fused.forward(&x, &features).expect("the CPU has the operation");
        close("velocity", &velocity, &given.plain_velocity(t.clone(), x.clone()), tolerance);

        let dt = t.ones_like();
        let (_, df) = mlp.features_with_tangent([t.clone(), dt], [&x, &direction]);
        let (velocity, tangent) = fused.with_tangent([&x, &features], [&direction, &df]).unwrap();
        let expected =
            given.plain_velocity_and_tangent([x.clone(), features.clone()], [direction.clone(), df]);
        close("velocity beside the tangent", &velocity, &expected.0, tolerance);
        close("tangent", &tangent, &expected.1, tolerance);

        let (features, moving) = mlp.moving_features(t.clone(), &x);
        let (velocity, divergence) = fused.with_divergence([&x, &features], moving.as_ref()).unwrap();
        let expected = match moving {
            Some(_) => divergence_by_tangents(&given, t, x),
            None => given.plain_velocity_and_divergence(t, x),
        };
        close("velocity beside the divergence", &velocity, &expected.0, tolerance);
        close("divergence", &divergence, &expected.1, 4.0 * tolerance);
    }

    fn on_tape(mut mlp: Mlp) -> Mlp {
        use burn::module::Param;

        for layer in &mut mlp.layers {
            layer.weight = Param::from_tensor(layer.weight.val().autodiff().require_grad());
            layer.bias = Param::from_tensor(layer.bias.val().autodiff().require_grad());
        }
        mlp.labels = mlp.labels.map(|labels| Param::from_tensor(labels.val().autodiff().require_grad()));
        mlp
    }

    /// Gradients of all parameters and of the point, for an output weighted at random.
    fn gradients(case: &Case, placement: &Placement, fused: bool) -> Vec<Tensor<1>> {
        let Setting { mlp, condition, t, x, direction } = case.setting(placement);
        let mlp = on_tape(mlp);
        let x = x.autodiff().require_grad();
        let given = mlp.given(&condition);
        let velocity = if fused {
            given.fused().forward(&x, &mlp.features(t, &x)).expect("the CPU has the operation")
        } else {
            given.plain_velocity(t, x.clone())
        };
        let loss = (velocity * direction).sum();
        let mut tape = loss.backward();
        let mut all = vec![flat(x.grad(&tape).unwrap())];
        for layer in &mlp.layers {
            all.push(flat(layer.weight.val().grad_remove(&mut tape).unwrap()));
            all.push(flat(layer.bias.val().grad_remove(&mut tape).unwrap()));
        }
        if let Some(labels) = &mlp.labels {
            all.push(flat(labels.val().grad_remove(&mut tape).unwrap()));
        }
        all
    }

    fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
        let count = tensor.shape().num_elements();
        tensor.reshape([count])
    }

    fn compare_gradients(case: &Case, placement: &Placement, tolerance: f64) {
        let (fused, plain) = (gradients(case, placement, true), gradients(case, placement, false));
        assert_eq!(fused.len(), plain.len());
        for (index, (fused, plain)) in fused.iter().zip(&plain).enumerate() {
            // Sums over the batch of terms of order one, which may cancel to nearly nothing where there is only one sum.
            close_beside(&format!("gradient {index}"), (fused, plain), 0.1, tolerance);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn fused_and_plain_agree_in_double_precision(case in cases()) {
            // The plain softplus and GELU are good to about 1e-9.
            compare(&case, &Placement::cpu_double(), 1e-8);
            compare_gradients(&case, &Placement::cpu_double(), 1e-8);
        }

        #[test]
        fn fused_and_plain_agree_in_single_precision(case in cases()) {
            compare(&case, &Placement::cpu(), 3e-5);
            compare_gradients(&case, &Placement::cpu(), 1e-4);
        }
    }
}
