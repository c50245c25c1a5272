//! Making networks: parameters, their distribution and paths, precision, edge cases, bad configurations.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[allow(dead_code)]
mod support;

use burn::module::Module;
use burn::tensor::{DType, Tensor};
use support::{parameters, patterned};
use thalweg_nets::{Activation, Condition, ConditionSpec, Mlp, MlpConfig, PointEmbedding, TimeEmbedding};
use thalweg_noise::Noise;
use thalweg_solve::{Placement, Tangent, VelocityField, to_host};

fn init(config: &MlpConfig, condition: ConditionSpec, seed: u64) -> Mlp {
    config.init(2, condition, &mut Noise::new(seed), &Placement::cpu())
}

#[test]
fn parameters_have_stable_paths_and_shapes() {
    let time = TimeEmbedding::Fourier { features: 8, scale: 1.0 };
    let config = MlpConfig { width: 32, hidden_layers: 2, time, label_embedding: 5, ..MlpConfig::default() };
    let mlp = init(&config, ConditionSpec::Labels { classes: 3 }, 1);
    let found: Vec<(String, Vec<usize>)> = parameters(&mlp).into_iter().map(|p| (p.path, p.shape)).collect();
    let expected = [
        ("layers.0.weight", vec![2 + 8 + 5, 32]),
        ("layers.0.bias", vec![32]),
        ("layers.1.weight", vec![32, 32]),
        ("layers.1.bias", vec![32]),
        ("layers.2.weight", vec![32, 2]),
        ("layers.2.bias", vec![2]),
        ("labels", vec![4, 5]),
    ];
    assert_eq!(found, expected.map(|(path, shape)| (path.to_string(), shape)));
    assert_eq!(mlp.parameter_count(), 15 * 32 + 32 + 32 * 32 + 32 + 64 + 2 + 20);
    // torchcfm's MLP: three hidden layers of 64 on two coordinates and the time.
    let torchcfm = init(&MlpConfig::default(), ConditionSpec::None, 1);
    assert_eq!(torchcfm.parameter_count(), 3 * 64 + 64 + 2 * (64 * 64 + 64) + 64 * 2 + 2);
}

#[test]
fn a_description_knows_how_many_parameters_its_network_has() {
    let time = TimeEmbedding::Fourier { features: 8, scale: 1.0 };
    let point = PointEmbedding::Fourier { features: 6, scale: 1.0 };
    for (width, hidden_layers) in [(8, 1), (32, 3)] {
        let config =
            MlpConfig { width, hidden_layers, time, point, label_embedding: 5, ..MlpConfig::default() };
        for condition in
            [ConditionSpec::None, ConditionSpec::Labels { classes: 3 }, ConditionSpec::Vectors { dim: 4 }]
        {
            let made = init(&config, condition, 1).parameter_count();
            assert_eq!(config.parameters(2, condition), made as f64, "{condition:?}");
        }
    }
}

#[test]
fn weights_are_uniform_within_one_over_the_root_of_the_inputs() {
    let config = MlpConfig { width: 256, label_embedding: 40, ..MlpConfig::default() };
    let mlp = init(&config, ConditionSpec::Labels { classes: 99 }, 5);
    for parameter in parameters(&mlp) {
        let n = parameter.values.len() as f64;
        let mean = parameter.values.iter().sum::<f64>() / n;
        let variance = parameter.values.iter().map(|v| v * v).sum::<f64>() / n;
        let (expected, kurtosis) = if parameter.path == "labels" {
            (1.0, 3.0)
        } else {
            let inputs = if parameter.path.starts_with("layers.0") { 2 + 1 + 40 } else { 256 };
            let bound = 1.0 / f64::from(inputs).sqrt();
            assert!(parameter.values.iter().all(|v| v.abs() <= bound * (1.0 + 1e-6)), "{}", parameter.path);
            (bound * bound / 3.0, 1.8)
        };
        // Four and a half standard errors of the mean and of the second moment.
        assert!(mean.abs() < 4.5 * (expected / n).sqrt(), "{} has mean {mean}", parameter.path);
        let error = expected * ((kurtosis - 1.0) / n).sqrt();
        assert!((variance - expected).abs() < 4.5 * error, "{} has variance {variance}", parameter.path);
    }
}

#[test]
fn a_seed_gives_one_network() {
    let values = |seed| parameters(&init(&MlpConfig::default(), ConditionSpec::None, seed)).remove(0).values;
    assert_eq!(values(7), values(7));
    assert_ne!(values(7), values(8));
    // Precision rounds the draws and does not change them.
    let mut noise = Noise::new(7);
    let double = MlpConfig::default().init(2, ConditionSpec::None, &mut noise, &Placement::cpu_double());
    let rounded: Vec<f64> =
        parameters(&double).remove(0).values.iter().map(|&v| f64::from(v as f32)).collect();
    assert_eq!(values(7), rounded);
}

#[test]
fn casting_keeps_values_leaves_and_frequencies() {
    let config = MlpConfig {
        time: TimeEmbedding::Sinusoidal { features: 8, max_period: 1e4 },
        point: PointEmbedding::Fourier { features: 6, scale: 3.0 },
        ..MlpConfig::default()
    };
    let single = config.init(2, ConditionSpec::None, &mut Noise::new(1), &Placement::cpu().autodiff());
    let double = single.clone().cast(DType::F64);
    assert_eq!((single.dtype(), double.dtype()), (DType::F32, DType::F64));
    for (a, b) in parameters(&single).into_iter().zip(parameters(&double)) {
        assert_eq!((a.path, a.values), (b.path, b.values));
    }
    // A network that was double from the start has the same frequencies to the last bit.
    let placement = Placement::cpu_double();
    let cast = patterned(&config, 2, ConditionSpec::None, &Placement::cpu()).cast(DType::F64);
    let mut rounded = parameters(&cast).into_iter().map(|p| p.values);
    let born = config.init(2, ConditionSpec::None, &mut Noise::new(0), &placement);
    let born = support::map(born, |_, _| rounded.next().unwrap());
    let at = |mlp: &Mlp| {
        let (t, x) = (placement.tensor(&[0.1, 0.77], [2]), placement.full(0.5, [2, 2]));
        to_host(&mlp.unconditional().velocity(t, x))
    };
    assert_eq!(at(&born), at(&cast));

    let autodiff = placement.autodiff();
    let field = double.given(&Condition::None);
    let loss = field.velocity(autodiff.full(0.5, [3]), autodiff.full(1.0, [3, 2])).sum();
    let tape = loss.backward();
    assert!(support::gradients(&double, &tape)["layers.0.weight"].iter().any(|g| *g != 0.0));
}

#[test]
fn a_network_can_leave_the_tape_and_come_back() {
    let config =
        MlpConfig { time: TimeEmbedding::Fourier { features: 8, scale: 1.0 }, ..MlpConfig::default() };
    let mlp = init(&config, ConditionSpec::None, 1);
    let plain = Placement::cpu();
    let evaluate = |mlp: &Mlp, placement: &Placement| {
        to_host(&mlp.unconditional().velocity(placement.full(0.5, [3]), placement.full(0.2, [3, 2])))
    };
    let tracked = mlp.clone().train();
    let expected = evaluate(&mlp, &plain);
    assert_eq!(evaluate(&tracked, &plain.clone().autodiff()), expected);
    // Points without a tape may meet parameters with one.
    assert_eq!(evaluate(&tracked, &plain), expected);
    assert_eq!(evaluate(&tracked.valid(), &plain), expected);
}

#[test]
fn batches_of_none_and_one() {
    let placement = Placement::cpu_double();
    for hidden_layers in 1..=3 {
        let config = MlpConfig { hidden_layers, residual: true, ..MlpConfig::default() };
        let mlp = config.init(3, ConditionSpec::Labels { classes: 2 }, &mut Noise::new(1), &placement);
        for batch in [0, 1] {
            let field = mlp.given(&Condition::labels(&vec![1; batch]));
            let (t, x): (Tensor<1>, Tensor<2>) =
                (placement.full(0.5, [batch]), placement.full(0.1, [batch, 3]));
            assert_eq!(field.velocity(t.clone(), x.clone()).dims(), [batch, 3]);
            let (v, dv) = field.velocity_and_tangent(t.clone(), x.clone(), t.clone(), x.clone());
            assert_eq!((v.dims(), dv.dims()), ([batch, 3], [batch, 3]));
            let (v, divergence) = field.velocity_and_divergence(t, x);
            assert_eq!((v.dims(), divergence.dims()), ([batch, 3], [batch]));
        }
    }
}

#[test]
#[should_panic(expected = "the network takes points [batch, 2], but was given [4, 3]")]
fn points_of_another_dimension_are_refused() {
    let placement = Placement::cpu();
    let mlp = init(&MlpConfig::default(), ConditionSpec::None, 1);
    let _ = mlp.unconditional().velocity(placement.full(0.5, [4]), placement.full(0.5, [4, 3]));
}

#[test]
#[should_panic(expected = "4 points need times [4], but were given [1]")]
fn times_for_another_batch_are_refused() {
    let placement = Placement::cpu();
    let mlp = init(&MlpConfig::default(), ConditionSpec::None, 1);
    let _ = mlp.unconditional().velocity(placement.full(0.5, [1]), placement.full(0.5, [4, 2]));
}

#[test]
#[should_panic(expected = "the network is in F32, but was given times in F32 and points in F64; cast one")]
fn points_in_another_precision_are_refused() {
    let mlp = init(&MlpConfig::default(), ConditionSpec::None, 1);
    let points = Placement::cpu_double().full(0.5, [4, 2]);
    let _ = mlp.unconditional().velocity(Placement::cpu().full(0.5, [4]), points);
}

#[test]
fn impossible_configurations_are_refused_with_the_key() {
    let check = |config: MlpConfig, message: &str| {
        assert_eq!(config.validate().unwrap_err().to_string(), message);
    };
    let default = MlpConfig::default;
    assert_eq!(default().validate(), Ok(()));
    check(MlpConfig { width: 0, ..default() }, "`width` is 0, but it must be at least 1");
    check(MlpConfig { hidden_layers: 0, ..default() }, "`hidden_layers` is 0, but it must be at least 1");
    check(MlpConfig { label_embedding: 0, ..default() }, "`label_embedding` is 0, but it must be at least 1");
    check(
        MlpConfig { condition_dropout: 1.2, ..default() },
        "`condition_dropout` is 1.2, but it must be a probability between 0 and 1",
    );
    check(
        MlpConfig { condition_dropout: f64::NAN, ..default() },
        "`condition_dropout` is NaN, but it must be a probability between 0 and 1",
    );
    check(
        MlpConfig { activation: Activation::Softplus { beta: -1.0 }, ..default() },
        "`activation.softplus.beta` is -1, but it must be positive and finite",
    );
    let time = |time| MlpConfig { time, ..default() };
    check(
        time(TimeEmbedding::Fourier { features: 7, scale: 1.0 }),
        "`time.fourier.features` is 7, but it must be even and at least 2",
    );
    check(
        time(TimeEmbedding::Fourier { features: 8, scale: f64::INFINITY }),
        "`time.fourier.scale` is inf, but it must be positive and finite",
    );
    check(
        time(TimeEmbedding::Sinusoidal { features: 0, max_period: 1e4 }),
        "`time.sinusoidal.features` is 0, but it must be even and at least 2",
    );
    check(
        time(TimeEmbedding::Sinusoidal { features: 8, max_period: 1.0 }),
        "`time.sinusoidal.max_period` is 1, but it must be greater than 1 and finite",
    );
    let point =
        |features, scale| MlpConfig { point: PointEmbedding::Fourier { features, scale }, ..default() };
    check(point(5, 1.0), "`point.fourier.features` is 5, but it must be even and at least 2");
    check(point(0, 1.0), "`point.fourier.features` is 0, but it must be even and at least 2");
    check(point(8, f64::NAN), "`point.fourier.scale` is NaN, but it must be positive and finite");
}

#[test]
fn networks_that_do_not_suit_the_data_are_refused() {
    let check = |dropout: f64, dim, condition, expected: Result<(), &str>| {
        let config = MlpConfig { condition_dropout: dropout, ..MlpConfig::default() };
        let found = config.validate_for(dim, condition).map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_string));
    };
    check(0.1, 2, ConditionSpec::Labels { classes: 1 }, Ok(()));
    check(0.1, 2, ConditionSpec::Vectors { dim: 1 }, Ok(()));
    check(0.0, 2, ConditionSpec::None, Ok(()));
    check(0.0, 0, ConditionSpec::None, Err("`dim` is 0, but it must be at least 1"));
    check(0.0, 2, ConditionSpec::Labels { classes: 0 }, Err("`classes` is 0, but it must be at least 1"));
    let empty = "`the length of condition vectors` is 0, but it must be at least 1";
    check(0.0, 2, ConditionSpec::Vectors { dim: 0 }, Err(empty));
    let nothing_to_drop = "`condition_dropout` is 0.1, but it must be 0 in a network without conditions";
    check(0.1, 2, ConditionSpec::None, Err(nothing_to_drop));
}

#[test]
fn configurations_are_read_with_defaults_and_without_guessing() {
    let read = |text: &str| serde_json::from_str::<MlpConfig>(text);
    assert_eq!(read("{}").unwrap(), MlpConfig::default());
    let full = read(
        r#"{"width": 512, "hidden_layers": 4, "activation": {"softplus": {"beta": 20}},
            "time": {"sinusoidal": {}}, "point": {"fourier": {"features": 32}}, "residual": true}"#,
    )
    .unwrap();
    assert_eq!(full.point, PointEmbedding::Fourier { features: 32, scale: 1.0 });
    assert_eq!(full.activation, Activation::Softplus { beta: 20.0 });
    assert_eq!(full.time, TimeEmbedding::Sinusoidal { features: 64, max_period: 10_000.0 });
    assert_eq!(read(&serde_json::to_string(&full).unwrap()).unwrap(), full);

    let check = |text: &str, message: &str| {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    };
    check(r#"{"witdh": 3}"#, "unknown field `witdh`");
    check(r#"{"activation": "swish"}"#, "unknown variant `swish`, expected one of `silu`, `relu`");
    check(r#"{"activation": {"softplus": {"betta": 2}}}"#, "unknown field `betta`");
    check(r#"{"time": {"fourier": {"scales": 2}}}"#, "unknown field `scales`");
    check(r#"{"width": -1}"#, "invalid value: integer `-1`");
}

#[test]
#[should_panic(expected = "validate a configuration before making a network of it: `width` is 0")]
fn init_refuses_what_validate_refuses() {
    let _ = init(&MlpConfig { width: 0, ..MlpConfig::default() }, ConditionSpec::None, 1);
}
