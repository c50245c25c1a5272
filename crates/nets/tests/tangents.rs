//! Forward mode against differences, against reverse mode, and reverse mode through forward mode.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[allow(dead_code)]
mod support;

use burn::tensor::Tensor;
use support::{assert_close, gradients, map, parameters};
use thalweg_nets::{Activation, Condition, ConditionSpec, Mlp, MlpConfig, PointEmbedding, TimeEmbedding};
use thalweg_noise::Noise;
use thalweg_solve::{Placement, Tangent, VelocityField, to_host};

const SMOOTH: [Activation; 4] =
    [Activation::Silu, Activation::Tanh, Activation::Gelu, Activation::Softplus { beta: 5.0 }];
const TIMES: [TimeEmbedding; 3] = [
    TimeEmbedding::Concatenate,
    TimeEmbedding::Fourier { features: 6, scale: 0.5 },
    TimeEmbedding::Sinusoidal { features: 4, max_period: 1e4 },
];

fn configs() -> impl Iterator<Item = MlpConfig> {
    SMOOTH.into_iter().flat_map(|activation| {
        TIMES.into_iter().flat_map(move |time| {
            (1..=4).map(move |hidden_layers| MlpConfig {
                width: 9,
                hidden_layers,
                activation,
                time,
                // Beside every depth there is one without features of the point.
                point: if time == TIMES[hidden_layers % 3] {
                    PointEmbedding::Fourier { features: 6, scale: 0.3 }
                } else {
                    PointEmbedding::Coordinates
                },
                residual: hidden_layers % 2 == 0,
                ..MlpConfig::default()
            })
        })
    })
}

fn points(placement: &Placement, batch: usize, dim: usize) -> (Tensor<1>, Tensor<2>) {
    let mut noise = Noise::new(3);
    let t: Vec<f64> = (0..batch).map(|_| noise.uniform()).collect();
    (placement.tensor(&t, [batch]), placement.normal(&mut noise, [batch, dim]))
}

#[test]
fn tangents_are_the_limits_of_central_differences() {
    let placement = Placement::cpu_double();
    for config in configs() {
        let mlp = config.init(3, ConditionSpec::None, &mut Noise::new(1), &placement);
        let field = mlp.given(&Condition::None);
        let (t, x) = points(&placement, 4, 3);
        let mut noise = Noise::new(9);
        let (dt, dx) = (placement.normal(&mut noise, [4]), placement.normal(&mut noise, [4, 3]));
        let (_, tangent) = field.velocity_and_tangent(t.clone(), x.clone(), dt.clone(), dx.clone());
        // The fastest sinusoid has third derivatives of 10⁹.
        let h = if matches!(config.time, TimeEmbedding::Sinusoidal { .. }) { 1e-7 } else { 1e-5 };
        let ahead = field.velocity(t.clone() + dt.clone() * h, x.clone() + dx.clone() * h);
        let behind = field.velocity(t - dt * h, x - dx * h);
        let difference = (ahead - behind) / (2.0 * h);
        assert_close(&to_host(&tangent), &to_host(&difference), 2e-6, &format!("{config:?}"));
    }
}

/// The trace of the Jacobian by reverse mode, one coordinate of the velocity at a time.
fn trace_by_reverse_mode(mlp: &Mlp, condition: &Condition, t: &Tensor<1>, x: &Tensor<2>) -> Vec<f64> {
    let [batch, dim] = x.dims();
    let mut trace = vec![0.0; batch];
    for i in 0..dim {
        let x = x.clone().autodiff().require_grad();
        let v = mlp.given(condition).velocity(t.clone().autodiff(), x.clone());
        let gradient = x.grad(&v.narrow(1, i, 1).sum().backward()).unwrap();
        for (sum, row) in trace.iter_mut().zip(to_host(&gradient).chunks(dim)) {
            *sum += row[i];
        }
    }
    trace
}

#[test]
fn divergences_are_traces_of_jacobians_by_reverse_mode() {
    let placement = Placement::cpu_double();
    let spec = ConditionSpec::Labels { classes: 3 };
    for config in configs() {
        let mlp = config.init(4, spec, &mut Noise::new(2), &placement.clone().autodiff());
        let condition = Condition::labels(&[2, 0, 1, 1, 0]);
        let (t, x) = points(&placement, 5, 4);
        let (_, divergence) =
            mlp.given(&condition).velocity_and_divergence(t.clone().autodiff(), x.clone().autodiff());
        let expected = trace_by_reverse_mode(&mlp, &condition, &t, &x);
        assert_close(&to_host(&divergence), &expected, 1e-12, &format!("{config:?}"));
    }
}

/// The field with the trait's own divergence, one pass for each coordinate.
struct Plain<F>(F);

impl<F: VelocityField<2>> VelocityField<2> for Plain<F> {
    fn velocity(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        self.0.velocity(t, x)
    }
}

impl<F: Tangent<2>> Tangent<2> for Plain<F> {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<2>,
        dt: Tensor<1>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        self.0.velocity_and_tangent(t, x, dt, dx)
    }
}

#[test]
fn divergences_agree_with_one_pass_for_each_coordinate() {
    let placement = Placement::cpu_double();
    for config in configs() {
        for dim in [1, 5] {
            let mlp = config.init(dim, ConditionSpec::None, &mut Noise::new(2), &placement);
            let (t, x) = points(&placement, 6, dim);
            let (v, divergence) = mlp.unconditional().velocity_and_divergence(t.clone(), x.clone());
            let (plain_v, plain) = Plain(mlp.unconditional()).velocity_and_divergence(t, x);
            assert_close(&to_host(&v), &to_host(&plain_v), 1e-12, &format!("{config:?}"));
            assert_close(&to_host(&divergence), &to_host(&plain), 1e-12, &format!("{config:?}"));
        }
    }
}

#[test]
fn gradients_of_divergences_are_the_limits_of_differences() {
    let plain = Placement::cpu_double();
    for config in configs() {
        let mlp = config.init(3, ConditionSpec::None, &mut Noise::new(4), &plain);
        let (t, x) = points(&plain, 4, 3);
        let loss = |mlp: &Mlp, t: Tensor<1>, x: Tensor<2>| {
            let (v, divergence) = mlp.unconditional().velocity_and_divergence(t, x);
            divergence.sum() + (v.clone() * v).sum() * 0.5
        };

        let tracked = burn::module::Module::train(mlp.clone());
        let tracked_x = x.clone().autodiff().require_grad();
        let tape = loss(&tracked, t.clone().autodiff(), tracked_x.clone()).backward();
        let by_path = gradients(&tracked, &tape);

        let h = 1e-5;
        let mut noise = Noise::new(5);
        for parameter in parameters(&mlp) {
            // One direction for each parameter sees all its entries.
            let direction = noise.normals(parameter.values.len());
            let moved = |by: f64| {
                let there = map(mlp.clone(), |path, _| {
                    let values = parameters(&mlp).into_iter().find(|p| p.path == path).unwrap().values;
                    if path != parameter.path {
                        return values;
                    }
                    values.iter().zip(&direction).map(|(value, d)| value + by * d).collect()
                });
                to_host(&loss(&there, t.clone(), x.clone()))[0]
            };
            let difference = (moved(h) - moved(-h)) / (2.0 * h);
            let product: f64 = by_path[&parameter.path].iter().zip(&direction).map(|(g, d)| g * d).sum();
            assert_close(&[product], &[difference], 1e-7, &format!("{config:?} {}", parameter.path));
        }
        let direction = plain.normal(&mut noise, [4, 3]);
        let moved = |by: f64| to_host(&loss(&mlp, t.clone(), x.clone() + direction.clone() * by))[0];
        let difference = (moved(h) - moved(-h)) / (2.0 * h);
        let product = to_host(&(tracked_x.grad(&tape).unwrap() * direction.clone()).sum())[0];
        assert_close(&[product], &[difference], 1e-7, &format!("{config:?} points"));
    }
}

#[test]
fn nothing_overflows_far_from_the_origin() {
    let all = [Activation::Relu, Activation::Elu, Activation::Selu].into_iter().chain(SMOOTH);
    for activation in all.chain([Activation::Softplus { beta: 20.0 }]) {
        for placement in [Placement::cpu(), Placement::cpu_double()] {
            let x = placement
                .autodiff()
                .tensor::<1>(&[-1e5, -800.0, -90.0, 0.0, 90.0, 800.0, 1e5], [7])
                .require_grad();
            let (value, slope) = activation.with_slope(x.clone());
            let plain = to_host(&activation.apply(x.clone()));
            let (values, slopes) = (to_host(&value), to_host(&slope));
            let gradient = to_host(&x.grad(&(value.sum() + slope.sum()).backward()).unwrap());
            for list in [&plain, &values, &slopes, &gradient] {
                assert!(list.iter().all(|v| v.is_finite()), "{activation:?}: {list:?}");
            }
            // No activation but tanh grows differently from x, up to SELU's factor, and none falls.
            let ends = if activation == Activation::Tanh { [-1.0, 1.0] } else { [0.0, 1e5] };
            let below_selu = 1.0507009873554805 * 1.6732632423543772;
            assert!(values[0] <= 1e-3 && values[0] >= ends[0] - below_selu, "{activation:?}: {values:?}");
            assert!(
                values[6] >= 0.999 * ends[1] && values[6] <= 1.06 * ends[1],
                "{activation:?}: {values:?}"
            );
        }
    }
}

#[test]
fn segments_can_be_differentiated_one_by_one() {
    let placement = Placement::cpu_double().autodiff();
    let spec = ConditionSpec::Labels { classes: 2 };
    let mlp = MlpConfig::default().init(2, spec, &mut Noise::new(1), &placement);
    let (t, x) = points(&placement, 3, 2);
    let field = mlp.given(&Condition::labels(&[0, 1, 0]));
    let one = |field: &dyn Fn(Tensor<1>, Tensor<2>) -> Tensor<2>| {
        gradients(&mlp, &field(t.clone(), x.clone()).sum().backward())
    };
    let first = one(&|t, x| field.velocity(t, x));
    let second = one(&|t, x| field.velocity(t, x));
    assert_eq!(first, second, "a backward pass took a part of the next one's tape");
    assert!(first["labels"].iter().any(|g| *g != 0.0), "labels learn");
}
