//! The same networks on a GPU and on the CPU: values and gradients. Where there is a fused operation that can be recorded
//! the CPU runs it, the other device the ordinary ones behind it. With the feature `vulkan` it is a Vulkan device, with `wgpu` alone whatever there is.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, DeviceKind, Gradients, Tensor};
use thalweg_bench::unet::{ACTION, ActionUnet, HORIZON, ImageUnet, Init, OBSERVATION};
use thalweg_nets::{Activation, Condition, ConditionSpec, MlpConfig, TimeEmbedding};
use thalweg_noise::Noise;
use thalweg_solve::{Placement, Tangent, VelocityField, to_host};

/// Relative to the largest entry; sums are in another order on the other device.
const TOLERANCE: f64 = 1e-4;
/// Shading languages have no error function, and its substitute is off by some 1e-7.
const TOLERANCE_OF_GELU: f64 = 1e-3;

fn both() -> [Placement; 2] {
    let place = |device: Device| Placement { device: device.autodiff(), dtype: DType::F32 };
    [place(Device::flex()), place(other())]
}

fn other() -> Device {
    #[cfg(feature = "vulkan")]
    return Device::vulkan(DeviceKind::DefaultDevice);
    #[cfg(not(feature = "vulkan"))]
    return Device::wgpu(DeviceKind::DefaultDevice);
}

/// Some values and the gradients of all parameters, each with its name.
type Found = Vec<(String, Vec<f64>)>;

struct Parameters<'a> {
    gradients: &'a Gradients,
    found: Found,
}

impl ModuleVisitor for Parameters<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.gradients).map(|gradient| to_host(&gradient));
        let name = format!("gradient of parameter {}", self.found.len());
        self.found.push((name, gradient.expect("every parameter has a gradient")));
    }
}

/// Outputs, and the gradients of the sum of their squares.
fn outputs_and_gradients<const D: usize>(net: &impl Module, outputs: Vec<(&str, Tensor<D>)>) -> Found {
    let mut found: Found =
        outputs.iter().map(|(name, tensor)| ((*name).to_string(), to_host(tensor))).collect();
    let squares = outputs.into_iter().map(|(_, tensor)| (tensor.clone() * tensor).mean());
    let gradients = squares.reduce(|sum, square| sum + square).unwrap().backward();
    let mut parameters = Parameters { gradients: &gradients, found: Vec::new() };
    net.visit(&mut parameters);
    found.extend(parameters.found);
    found
}

fn compare(what: &str, tolerance: f64, run: impl Fn(&Placement) -> Found) {
    let [cpu, other] = both().map(|placement| run(&placement));
    assert_eq!(cpu.len(), other.len());
    for ((name, cpu), (_, other)) in cpu.iter().zip(&other) {
        assert_eq!(cpu.len(), other.len(), "{what}: {name}");
        let scale = cpu.iter().fold(1e-3, |most: f64, x| most.max(x.abs()));
        for (index, (a, b)) in cpu.iter().zip(other).enumerate() {
            assert!((a - b).abs() <= tolerance * scale, "{what}: {name}[{index}] is {b}, on the CPU {a}");
        }
    }
}

/// Velocity, tangent and divergence, and what they give to the parameters.
fn compare_mlp(what: &str, config: &MlpConfig, spec: ConditionSpec) {
    const ROWS: usize = 5;
    const DIM: usize = 3;
    let tolerance = if config.activation == Activation::Gelu { TOLERANCE_OF_GELU } else { TOLERANCE };
    compare(what, tolerance, |placement| {
        let net = config.init(DIM, spec, &mut Noise::new(1), placement).train();
        let mut noise = Noise::new(2);
        let [x, dx] = [(); 2].map(|()| placement.normal::<2>(&mut noise, [ROWS, DIM]));
        let t = placement.tensor(&[0.0, 0.2, 0.5, 0.9, 1.0], [ROWS]);
        let condition = match spec {
            ConditionSpec::None => Condition::None,
            ConditionSpec::Labels { classes } => {
                Condition::Labels((0..ROWS).map(|row| (row > 0).then_some(row % classes)).collect())
            }
            ConditionSpec::Vectors { dim } => Condition::Vectors(placement.normal(&mut noise, [ROWS, dim])),
        };
        let field = net.given(&condition);
        let velocity = field.velocity(t.clone(), x.clone());
        let (_, tangent) = field.velocity_and_tangent(t.clone(), x.clone(), placement.full(1.0, [ROWS]), dx);
        let (_, divergence) = field.velocity_and_divergence(t, x);
        let outputs =
            vec![("velocity", velocity), ("tangent", tangent), ("divergence", divergence.reshape([ROWS, 1]))];
        outputs_and_gradients(&net, outputs)
    });
}

#[test]
fn perceptrons_of_every_activation() {
    let activations = [
        Activation::Silu,
        Activation::Relu,
        Activation::Elu,
        Activation::Selu,
        Activation::Tanh,
        Activation::Gelu,
        Activation::Softplus { beta: 2.0 },
    ];
    for activation in activations {
        let config = MlpConfig { width: 9, hidden_layers: 2, activation, ..MlpConfig::default() };
        compare_mlp(&format!("{activation:?}"), &config, ConditionSpec::None);
    }
}

#[test]
fn perceptrons_of_every_time_and_condition() {
    let times = [
        TimeEmbedding::Fourier { features: 6, scale: 1.0 },
        TimeEmbedding::Sinusoidal { features: 4, max_period: 100.0 },
    ];
    for time in times {
        for spec in [ConditionSpec::Labels { classes: 3 }, ConditionSpec::Vectors { dim: 2 }] {
            let config = MlpConfig { width: 8, hidden_layers: 1, time, ..MlpConfig::default() };
            compare_mlp(&format!("{time:?}, {spec:?}"), &config, spec);
        }
    }
}

#[test]
fn image_unet() {
    compare("the U-Net for images", TOLERANCE, |placement| {
        let mut init = Init { noise: Noise::new(1), placement: placement.clone() };
        let net = ImageUnet::init(32, &mut init).train();
        let x = placement.normal(&mut Noise::new(2), [1, 3, 32, 32]);
        let velocity = net.forward(&[0.3], &x);
        outputs_and_gradients(&net, vec![("velocity", velocity)])
    });
}

#[test]
fn action_unet() {
    compare("the U-Net for actions", TOLERANCE, |placement| {
        let mut init = Init { noise: Noise::new(1), placement: placement.clone() };
        let net = ActionUnet::init(&mut init).train();
        let mut noise = Noise::new(2);
        let x = placement.normal(&mut noise, [2, ACTION, HORIZON]);
        let observation = placement.normal(&mut noise, [2, OBSERVATION]);
        let velocity = net.forward(&[0.3, 0.8], &x, &observation);
        outputs_and_gradients(&net, vec![("velocity", velocity)])
    });
}
