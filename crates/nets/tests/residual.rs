//! Second stages: the construction that contracts, the field against its matrices, tangents, penalties.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use faer::Mat;
use proptest::prelude::*;
use thalweg_certify::{Contraction, Field, Function, Term, cheap, verify};
use thalweg_nets::{
    Activation, Anchoring, Condition, ConditionSpec, Dominance, DominanceOf, HeadConfig, MetricConfig, Mlp,
    MlpConfig, OffsetConfig, Residual, Structure, TermsConfig,
};
use thalweg_noise::Noise;
use thalweg_solve::{Method, Placement, Save, Solver, Span, Tangent, VelocityField, solve_field, to_host};

/// Adds noise to every parameter.
struct Shaken(Noise, f64);

impl ModuleMapper for Shaken {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Self(noise, size) = self;
        param.map(|value| {
            let by = Placement::of(&value).tensor(&noise.normals(value.shape().num_elements()), value.dims());
            value + by * *size
        })
    }
}

fn flow(dim: usize, condition: ConditionSpec, placement: &Placement) -> Mlp {
    MlpConfig { width: 8, ..MlpConfig::default() }.init(dim, condition, &mut Noise::new(1), placement)
}

fn contracting(form: Anchoring, metric: MetricConfig, functions: Vec<Activation>) -> HeadConfig {
    HeadConfig::Contracting {
        rate: 0.3,
        form,
        metric,
        terms: TermsConfig { units: Some(5), functions },
        offset: OffsetConfig::default(),
    }
}

fn free(of: DominanceOf, functions: Vec<Activation>) -> HeadConfig {
    HeadConfig::Free {
        terms: TermsConfig { units: Some(5), functions },
        offset: OffsetConfig::default(),
        dominance: Dominance { weight: 0.5, margin: 0.1, of },
    }
}

fn shaken(config: &HeadConfig, dim: usize, condition: ConditionSpec, seed: u64, size: f64) -> Residual {
    let placement = Placement::cpu_double();
    let flow = flow(dim, condition, &placement);
    let stage = config.init(&flow, 0.7, &mut Noise::new(seed), &placement);
    stage.map(&mut Shaken(Noise::new(seed ^ 1), size))
}

fn function(of: Activation) -> Function {
    match of {
        Activation::Tanh => Function::Tanh,
        Activation::Relu => Function::Relu,
        Activation::Softplus { beta: 1.0 } => Function::CentredSoftplus,
        Activation::Silu => Function::Silu,
        Activation::Gelu => Function::Gelu,
        other => panic!("{other:?} is not certified here"),
    }
}

fn field(structure: &Structure) -> Field {
    let dim = structure.dim;
    let matrix =
        |values: &[f64], cols: usize| Mat::from_fn(values.len() / cols, cols, |i, j| values[i * cols + j]);
    let terms = structure.terms.iter().map(|term| Term {
        outer: matrix(&term.outer, term.bias.len()),
        inner: matrix(&term.inner, dim),
        bias: term.bias.clone(),
        function: function(term.function),
    });
    Field { linear: matrix(&structure.linear, dim), terms: terms.collect() }
}

/// A coordinate of the field at a point, without offset.
fn value(field: &Field, x: &[f64], i: usize) -> f64 {
    let row =
        |matrix: &Mat<f64>, i: usize| x.iter().enumerate().map(|(j, x)| matrix[(i, j)] * x).sum::<f64>();
    let terms = field.terms.iter().map(|term| {
        let units = 0..term.bias.len();
        let unit = |k| term.outer[(i, k)] * term.function.value(row(&term.inner, k) + term.bias[k]);
        units.map(unit).sum::<f64>()
    });
    row(&field.linear, i) + terms.sum::<f64>()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_value_of_the_parameters_contracts(
        seed in any::<u64>(), size in 0.0..1.0f64, dim in 1usize..6, anchored: bool, learned: bool,
    ) {
        let form = if anchored { Anchoring::Anchored } else { Anchoring::Equilibrium };
        let metric = if learned { MetricConfig::Learned } else { MetricConfig::Identity };
        let functions = vec![Activation::Tanh, Activation::Softplus { beta: 1.0 }, Activation::Relu];
        let stage = shaken(&contracting(form, metric, functions), dim, ConditionSpec::None, seed, size);
        let structure = stage.structure().unwrap();
        let proof = structure.proof.as_ref().unwrap();
        prop_assert_eq!(proof.rate, 0.3);
        let own = Contraction {
            rate: proof.rate * (1.0 - 1e-3),
            metric: Mat::from_fn(dim, dim, |i, j| proof.metric[i * dim + j]),
            multipliers: proof.multipliers.clone(),
        };
        let verdict = verify(&field(&structure), &own);
        prop_assert!(verdict.is_ok(), "{verdict:?}");
    }

    #[test]
    fn the_field_is_that_of_its_matrices(seed in any::<u64>(), by_construction: bool, anchored: bool) {
        let functions = vec![Activation::Tanh, Activation::Softplus { beta: 1.0 }];
        let form = if anchored { Anchoring::Anchored } else { Anchoring::Equilibrium };
        let config = if by_construction {
            contracting(form, MetricConfig::Learned, functions)
        } else {
            free(DominanceOf::Linear, functions)
        };
        let stage = shaken(&config, 3, ConditionSpec::None, seed, 0.5);
        let placement = Placement::cpu_double();
        let mut noise = Noise::new(seed);
        let [x, y, made] = [(); 3].map(|()| placement.normal::<2>(&mut noise, [4, 3]));
        let t = placement.full(1.4, [4]);
        let given = stage.given(&Condition::None, &made);
        // The offset is the same for both, and the anchor too.
        let found = to_host(&(given.velocity(t.clone(), x.clone()) - given.velocity(t, y.clone())));
        let field = field(&stage.structure().unwrap());
        let (x, y) = (to_host(&x), to_host(&y));
        for row in 0..4 {
            let at = row * 3..row * 3 + 3;
            for i in 0..3 {
                let expected = value(&field, &x[at.clone()], i) - value(&field, &y[at.clone()], i);
                prop_assert!((found[row * 3 + i] - expected).abs() < 1e-9 * (1.0 + expected.abs()));
            }
        }
    }
}

#[test]
fn an_anchored_stage_starts_as_doing_nothing() {
    let placement = Placement::cpu();
    let config = contracting(Anchoring::Anchored, MetricConfig::Identity, vec![Activation::Tanh]);
    let stage = config.init(&flow(4, ConditionSpec::None, &placement), 1.0, &mut Noise::new(2), &placement);
    let made = placement.normal::<2>(&mut Noise::new(3), [7, 4]);
    let span = Span { start: 1.0, end: 2.0 };
    let field = stage.given(&Condition::None, &made);
    let end = solve_field(&Solver::fixed(Method::Rk4, 8), span, made.clone(), &Save::End, &field).unwrap();
    for (made, end) in to_host(&made).into_iter().zip(to_host(&end.state)) {
        assert!((made - end).abs() < 1e-6, "{made} became {end}");
    }
}

/// A zero term must not be damped as if it were there: at the start the field is hardly steeper than its rate.
#[test]
fn damping_is_the_least_that_is_needed() {
    let placement = Placement::cpu_double();
    for dim in [2, 16, 64] {
        let config = HeadConfig::Contracting {
            rate: 0.1,
            form: Anchoring::Equilibrium,
            metric: MetricConfig::Identity,
            terms: TermsConfig::default(),
            offset: OffsetConfig::default(),
        };
        let flow = flow(dim, ConditionSpec::None, &placement);
        let stage = config.init(&flow, 1.0, &mut Noise::new(4), &placement);
        let structure = stage.structure().unwrap();
        let slowest = (0..dim).map(|i| -structure.linear[i * dim + i]).fold(f64::INFINITY, f64::min);
        assert!(slowest >= 0.1, "{dim}: {slowest}");
        assert!(stage.steepest() < 0.3, "{dim}: {}", stage.steepest());
    }
}

fn kinds() -> Vec<HeadConfig> {
    let functions = vec![Activation::Tanh, Activation::Softplus { beta: 3.0 }];
    vec![
        contracting(Anchoring::Anchored, MetricConfig::Learned, functions.clone()),
        contracting(Anchoring::Equilibrium, MetricConfig::Identity, functions.clone()),
        free(DominanceOf::Jacobian, vec![Activation::Silu, Activation::Gelu]),
        HeadConfig::Mlp(MlpConfig { width: 6, hidden_layers: 2, ..MlpConfig::default() }),
        HeadConfig::Network {},
    ]
}

#[test]
fn tangents_are_derivatives_and_divergences_their_traces() {
    let placement = Placement::cpu_double();
    let conditions = [
        (ConditionSpec::None, Condition::None),
        (ConditionSpec::Labels { classes: 3 }, Condition::labels(&[0, 2, 1, 1])),
        (ConditionSpec::Vectors { dim: 2 }, Condition::Vectors(placement.normal(&mut Noise::new(8), [4, 2]))),
    ];
    for config in kinds() {
        for (spec, condition) in &conditions {
            let stage = shaken(&config, 3, *spec, 5, 0.4);
            let mut noise = Noise::new(6);
            let [x, made, dx] = [(); 3].map(|()| placement.normal::<2>(&mut noise, [4, 3]));
            let (t, dt) = (placement.full::<1>(1.3, [4]), placement.full::<1>(0.8, [4]));
            let field = stage.given(condition, &made);
            let (velocity, tangent) =
                field.velocity_and_tangent(t.clone(), x.clone(), dt.clone(), dx.clone());
            let h = 1e-5;
            let moved = |by: f64| field.velocity(t.clone() + dt.clone() * by, x.clone() + dx.clone() * by);
            let expected = to_host(&((moved(h) - moved(-h)) * (0.5 / h)));
            for (found, expected) in to_host(&tangent).into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-7, "{}: {found}, not {expected}", config.name());
            }
            let plain = to_host(&field.velocity(t.clone(), x.clone()));
            let (beside, divergence) = field.velocity_and_divergence(t.clone(), x.clone());
            for other in [to_host(&velocity), to_host(&beside)] {
                for (a, b) in plain.iter().zip(other) {
                    assert!((a - b).abs() < 1e-12, "{}: {a} against {b}", config.name());
                }
            }
            let mut trace = vec![0.0; 4];
            for i in 0..3 {
                let unit: Vec<f64> = (0..12).map(|at| f64::from(at % 3 == i)).collect();
                let direction = placement.tensor::<2>(&unit, [4, 3]);
                let (_, column) = field.velocity_and_tangent(t.clone(), x.clone(), t.zeros_like(), direction);
                for (row, value) in to_host(&column).chunks_exact(3).enumerate() {
                    trace[row] += value[i];
                }
            }
            for (found, expected) in to_host(&divergence).into_iter().zip(trace) {
                assert!((found - expected).abs() < 1e-10, "{}: {found}, not {expected}", config.name());
            }
        }
    }
}

#[test]
fn no_jacobian_is_steeper_than_the_bound() {
    let placement = Placement::cpu_double();
    for config in kinds() {
        let stage = shaken(&config, 3, ConditionSpec::None, 9, 0.6);
        let bound = stage.steepest();
        let mut noise = Noise::new(10);
        for _ in 0..50 {
            let [x, made, dx] = [(); 3].map(|()| placement.normal::<2>(&mut noise, [1, 3]) * 2.0);
            let (t, still) = (placement.full::<1>(1.2, [1]), placement.full::<1>(0.0, [1]));
            let (_, tangent) =
                stage.given(&Condition::None, &made).velocity_and_tangent(t, x, still, dx.clone());
            let length = |x: &Tensor<2>| to_host(x).iter().map(|x| x * x).sum::<f64>().sqrt();
            assert!(length(&tangent) <= bound * length(&dx), "{}", config.name());
        }
    }
}

/// Every parameter of a stage that starts anew can learn, but those behind a last layer of zeros.
#[test]
fn gradients_reach_all_parts() {
    struct OnTape;
    impl ModuleMapper for OnTape {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|value| value.autodiff().require_grad())
        }
    }
    struct Check<'a>(&'a burn::tensor::Gradients, usize);
    impl burn::module::ModuleVisitor for Check<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = param.val().grad(self.0).expect("the loss depends on every parameter");
            assert!(to_host(&gradient).iter().all(|x| x.is_finite()));
            self.1 += 1;
        }
    }
    for config in kinds() {
        let placement = Placement::cpu_double();
        let flow = flow(3, ConditionSpec::None, &placement);
        let stage = config.init(&flow, 0.7, &mut Noise::new(1), &placement).map(&mut OnTape);
        let made = placement.normal::<2>(&mut Noise::new(2), [5, 3]);
        let field = stage.given(&Condition::None, &made);
        let velocity = field.velocity(placement.full(1.1, [5]), made.clone() * 1.5);
        let mut loss = velocity.square().sum();
        if let Some(penalty) = stage.penalty() {
            loss = loss + penalty;
        }
        let mut check = Check(&loss.backward(), 0);
        stage.visit(&mut check);
        assert!(check.1 >= 4, "{}", config.name());
    }
}

/// Hand-made matrices: `A₀ = [[-1, 2], [0.5, -3]]` has the excess 1 + η in its first row and none in its second.
#[test]
fn the_penalty_is_that_of_the_formula() {
    struct Set;
    impl ModuleMapper for Set {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|value| {
                let rows_for_inputs = [-1.0, 0.5, 2.0, -3.0];
                if D == 2 && value.dims() == [2; D] {
                    Placement::of(&value).tensor(&rows_for_inputs, value.dims())
                } else {
                    value.zeros_like()
                }
            })
        }
    }
    let placement = Placement::cpu_double();
    let flow = flow(2, ConditionSpec::None, &placement);
    let stage = free(DominanceOf::Linear, vec![Activation::Tanh])
        .init(&flow, 1.0, &mut Noise::new(1), &placement)
        .map(&mut Set);
    assert_eq!(stage.structure().unwrap().linear, [-1.0, 2.0, 0.5, -3.0]);
    let penalty = to_host(&stage.penalty().unwrap());
    assert!((penalty[0] - 0.5 * 1.1).abs() < 1e-12, "{penalty:?}");
}

#[test]
fn without_penalty_on_the_jacobian_the_whole_field_contracts() {
    /// Moves the diagonal of the linear part.
    struct Damped(f64);
    impl ModuleMapper for Damped {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|value| {
                let by = [-self.0, 0.0, 0.0, -self.0];
                let is_linear = D == 2 && value.dims() == [2; D];
                if is_linear {
                    value.clone() + Placement::of(&value).tensor(&by, value.dims())
                } else {
                    value
                }
            })
        }
    }
    let functions = vec![Activation::Tanh, Activation::Silu];
    let mut proved = 0;
    for seed in 0..200 {
        let stage =
            shaken(&free(DominanceOf::Jacobian, functions.clone()), 2, ConditionSpec::None, seed, 0.3)
                .map(&mut Damped(seed as f64 / 50.0));
        let found = cheap(&field(&stage.structure().unwrap())).weighted_maximum.rate;
        if to_host(&stage.penalty().unwrap())[0] == 0.0 {
            proved += 1;
            assert!(found >= 0.1 - 1e-6, "seed {seed}: {found}");
        }
    }
    assert!((20..180).contains(&proved), "{proved} of 200 stages are without penalty");
}

#[test]
fn impossible_values_are_named() {
    let bad = |text: &str| {
        let config: HeadConfig = serde_json::from_str(text).unwrap();
        config.validate().unwrap_err().to_string()
    };
    for (text, key) in [
        (r#"{"kind":"contracting","rate":0}"#, "`rate`"),
        (r#"{"kind":"contracting","terms":{"functions":["silu"]}}"#, "`terms.functions`"),
        (r#"{"kind":"contracting","terms":{"functions":[]}}"#, "`terms.functions`"),
        (r#"{"kind":"free","terms":{"units":0}}"#, "`terms.units`"),
        (r#"{"kind":"free","terms":{"functions":["selu"]}}"#, "`terms.functions`"),
        (r#"{"kind":"free","offset":{"bound":-1}}"#, "`offset.bound`"),
        (r#"{"kind":"free","dominance":{"weight":-1}}"#, "`dominance.weight`"),
        (r#"{"kind":"mlp","width":0}"#, "`width`"),
    ] {
        let message = bad(text);
        assert!(message.contains(key), "{text}: {message}");
    }
    assert!(serde_json::from_str::<HeadConfig>(r#"{"kind":"free","rate":1}"#).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The offset is what the field has beside its matrices.
    #[test]
    fn offsets_stay_in_their_range(seed in any::<u64>(), size in 0.1..2.0f64, labels: bool) {
        let spec = if labels { ConditionSpec::Labels { classes: 4 } } else { ConditionSpec::None };
        let stage = shaken(&free(DominanceOf::Linear, vec![Activation::Tanh]), 3, spec, seed, size);
        let structure = stage.structure().unwrap();
        let (field, placement, rows) = (field(&structure), Placement::cpu_double(), 40);
        let mut noise = Noise::new(seed);
        let t: Vec<f64> = (0..rows).map(|_| 1.0 + 0.7 * noise.uniform()).collect();
        let told: Vec<usize> = (0..rows).map(|row| row % 4).collect();
        let condition = if labels { Condition::labels(&told) } else { Condition::None };
        let x = placement.full(0.0, [rows, 3]);
        let velocity = stage.given(&condition, &x).velocity(placement.tensor(&t, [rows]), x);
        for (at, found) in to_host(&velocity).into_iter().enumerate() {
            let [low, high] = structure.offset[at % 3];
            let offset = found - value(&field, &[0.0; 3], at % 3);
            // The difference is rounded.
            let inside = (low - 1e-12..=high + 1e-12).contains(&offset);
            prop_assert!(inside, "{offset} in [{low}, {high}]");
            prop_assert!(-1.0 <= low && low < high && high <= 1.0);
        }
    }
}
