//! Scores and reports of tiny flows: they order good and bad, know what is exactly known, and lose nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::f64::consts::{E, PI};
use std::fs;
use std::ops::ControlFlow;

use tempfile::TempDir;
use thalweg_data::{Array, Condition, write_npz};
use thalweg_metrics::Score;
use thalweg_noise::Noise;
use thalweg_run::{Document, HostTensor, Override, Tensors, Values};
use thalweg_solve::{Method, Solver};
use thalweg_train::{
    ConditionRequest, Equation, EvaluateOptions, Evaluation, Recipe, SampleRequest, ScoreFile, Session,
    TrainState, TrainedFlow, animation, evaluate, write_report, write_scores,
};

const MOONS: &str = include_str!("../../../recipes/two-moons.toml");

/// Small networks, few points, few resamplings.
const SMALL: [&str; 9] = [
    "train.batch=64",
    "train.steps=100",
    "train.log_every=20",
    "train.learning_rate={ kind = \"constant\", rate = 0.01 }",
    "train.average.decay=0.9",
    "model.width=24",
    "model.hidden_layers=2",
    "evaluate.samples=120",
    "evaluate.likelihood_points=40",
];

fn recipe(text: &str, overrides: &[&str]) -> Recipe {
    let overrides: Vec<Override> = overrides.iter().map(|text| text.parse().unwrap()).collect();
    Recipe::read(&Document::new(text, "test", &overrides).unwrap()).unwrap()
}

/// A run that has begun, in a folder of its own.
struct Begun {
    session: Session,
    folder: TempDir,
}

impl Begun {
    fn new(text: &str, overrides: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let session = Session::begin(recipe(text, overrides), folder.path(), &path).unwrap();
        Self { session, folder }
    }

    fn train(mut self) -> Self {
        let mut sinks = self.session.sinks().unwrap();
        self.session.train(&mut sinks, |_| ControlFlow::Continue(())).unwrap();
        self
    }

    fn flow(&self) -> TrainedFlow {
        self.session.flow()
    }

    fn evaluate(&self) -> Evaluation {
        evaluate(&self.flow(), &self.session.dataset, &EvaluateOptions::default()).unwrap()
    }

    /// The report of the evaluation, checked for what every report must have.
    fn report(&self, evaluation: &Evaluation) -> String {
        let Session { dataset, run, .. } = &self.session;
        let path = write_report(&self.flow(), dataset, evaluation, run).unwrap();
        assert_eq!(path, run.report_path());
        let html = fs::read_to_string(path).unwrap();
        check_balanced(&html);
        assert!(!html.contains("http://") && !html.contains("https://"), "the report names an address");
        assert!(!html.contains("a picture is missing"), "a picture is missing");
        html
    }
}

/// Every element that is opened is closed, in the right order; styles and scripts are skipped.
fn check_balanced(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html.trim_start_matches("<!doctype html>");
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let tag = &rest[..rest.find('>').expect("a tag that ends")];
        rest = &rest[tag.len() + 1..];
        let name = tag.split([' ', '/']).find(|name| !name.is_empty()).unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            if name == "style" || name == "script" {
                rest = &rest[rest.find(&format!("</{name}>")).unwrap() + name.len() + 3..];
            } else {
                open.push(name);
            }
        }
    }
    assert!(open.is_empty(), "not closed: {open:?}");
}

fn score<'a>(evaluation: &'a Evaluation, name: &str) -> &'a Score {
    let found = evaluation.scores.iter().find(|score| score.name == name);
    found.unwrap_or_else(|| panic!("no {name}; warnings: {:?}", evaluation.warnings))
}

fn names(evaluation: &Evaluation) -> Vec<&str> {
    evaluation.scores.iter().map(|score| score.name.as_str()).collect()
}

#[test]
fn training_brings_scores_nearer_to_their_floors() {
    let untrained = Begun::new(MOONS, &SMALL);
    let before = untrained.evaluate();
    let trained = untrained.train();
    let after = trained.evaluate();
    for name in ["w2", "sliced-w2", "energy", "nll", "log-density-error"] {
        let (before, after) = (score(&before, name), score(&after, name));
        assert!(after.value < before.value, "{name}: {} is not below {}", after.value, before.value);
        assert_eq!(before.floor, after.floor, "floors do not depend on the model");
    }
    let w2 = score(&after, "w2");
    assert!(w2.value < 2.0 * w2.floor.unwrap() && w2.standard_error.unwrap() > 0.0, "{w2:?}");
    assert!(w2.protocol.contains("mean over 4 independent pairs"), "{}", w2.protocol);
    assert!(w2.protocol.contains("fresh draws") && w2.protocol.contains("in data units"), "{}", w2.protocol);
    let energy = score(&after, "path-energy");
    assert!(
        energy.value > energy.floor.unwrap(),
        "a path cannot be shorter than optimal transport: {energy:?}"
    );
    let npe = score(&after, "npe").value;
    assert!((npe - (energy.value / energy.floor.unwrap() - 1.0)).abs() < 1e-12);
    let straightness = score(&after, "straightness").value;
    assert!(straightness > 0.0 && straightness < 0.5 * energy.value, "{straightness}");
    assert!(score(&after, "nfe").value >= 7.0);
    assert!(after.warnings.is_empty(), "{:?}", after.warnings);
    assert!(after.scores.iter().all(|score| score.value.is_finite() && !score.protocol.is_empty()));
}

/// A flow that does not move: its model is the source itself.
fn still(begun: &Begun) -> TrainedFlow {
    constant(begun, &vec![0.0; begun.session.summary.dim])
}

/// A flow whose network has one and the same output everywhere.
fn constant(begun: &Begun, output: &[f32]) -> TrainedFlow {
    let Session { recipe, summary, state, .. } = &begun.session;
    let mut checkpoint = state.to_checkpoint(recipe, summary);
    let last_bias = format!("layers.{}.bias", recipe.model.hidden_layers);
    let mut weights = Tensors::new();
    for (name, tensor) in checkpoint.average.iter() {
        let shape = tensor.shape().to_vec();
        let values =
            if name.ends_with(&last_bias) { output.to_vec() } else { vec![0.0; shape.iter().product()] };
        weights.insert(name, HostTensor::new(shape, Values::F32(values)));
    }
    checkpoint.average = weights;
    let state = TrainState::from_checkpoint(recipe, summary, &checkpoint).unwrap();
    TrainedFlow::of(recipe, summary, &state, None)
}

const NORMAL: &str = r#"
name = "normal"
[data.target]
kind = "gaussian"
mean = [0.0, 0.0]
covariance = [[1.0, 0.0], [0.0, 1.0]]
"#;

const LINE: &str = r#"
name = "line"
[data.target]
kind = "gaussian-mixture"
weights = [1.0, 1.0]
means = [[-2.0], [2.0]]
deviations = [0.5, 0.5]
"#;

#[test]
fn a_model_that_is_exactly_right_scores_like_the_truth() {
    let begun =
        Begun::new(NORMAL, &["model.width=8", "evaluate.samples=300", "evaluate.likelihood_points=2000"]);
    let evaluation = evaluate(&still(&begun), &begun.session.dataset, &EvaluateOptions::default()).unwrap();
    let nll = score(&evaluation, "nll");
    assert!((nll.value - nll.floor.unwrap()).abs() < 1e-9, "{nll:?}");
    // The entropy of the plane's standard normal, up to the scatter of 2000 points.
    assert!((nll.value - (2.0 * PI * E).ln()).abs() < 4.0 * nll.standard_error.unwrap(), "{nll:?}");
    assert!(score(&evaluation, "log-density-error").value < 1e-9);
    // Source and data have one law, so no effort is needed, and a share of nothing is not defined.
    let energy = score(&evaluation, "path-energy");
    assert!(energy.value == 0.0 && energy.floor.unwrap().abs() < 1e-12, "{energy:?}");
    assert!(!names(&evaluation).contains(&"npe"));
    assert!(score(&evaluation, "straightness").value.abs() < 1e-12);
    let w2 = score(&evaluation, "w2");
    let floor = w2.floor.unwrap();
    assert!((w2.value - floor).abs() < 4.0 * w2.standard_error.unwrap(), "{w2:?}");
    let ratio = score(&evaluation, "variance-ratio");
    assert!((ratio.value - 1.0).abs() < 0.3 && (ratio.floor.unwrap() - 1.0).abs() < 0.3, "{ratio:?}");
}

#[test]
fn modes_are_recalled_or_missed() {
    let target = "name = \"modes\"\n[data.target]\nkind = \"eight-gaussians\"\n";
    // A still flow scores its source.
    let scores = |source: &str| {
        let source = format!("data.source={source}");
        let begun = Begun::new(target, &[&SMALL[..], &[&source, "evaluate.samples=400"]].concat());
        let evaluation =
            evaluate(&still(&begun), &begun.session.dataset, &EvaluateOptions::default()).unwrap();
        ["mode-recall", "precision"].map(|name| score(&evaluation, name).clone())
    };
    let [recall, precision] = scores("{ kind = \"set\", set = { kind = \"eight-gaussians\" } }");
    assert_eq!((recall.value, recall.floor), (1.0, Some(1.0)), "a good cloud");
    assert!(precision.value > 0.95 && precision.floor.unwrap() > 0.95, "{precision:?}");
    assert!(precision.interval.unwrap()[0] < precision.value);

    let [recall, precision] = scores("{ kind = \"gaussian\" }");
    assert_eq!((recall.value, recall.floor), (0.0, Some(1.0)), "a cloud between the modes");
    assert!(precision.value < 0.1 && precision.interval.unwrap()[1] > precision.value, "{precision:?}");

    let one_mode = "{ kind = \"set\", set = { kind = \"gaussian\", mean = [5.0, 0.0], \
                    covariance = [[0.1, 0.0], [0.0, 0.1]] } }";
    let [recall, precision] = scores(one_mode);
    assert_eq!((recall.value, precision.value), (0.125, 1.0), "a cloud on one mode");
}

#[test]
fn the_energy_of_a_path_that_slows_down_by_orders_of_magnitude_is_exact() {
    let begun = Begun::new(
        NORMAL,
        &[
            "model.width=8",
            "evaluate.samples=40",
            "evaluate.likelihood_points=0",
            "flow.precondition=true",
            "flow.path={ kind = \"one-sided\", schedule = { kind = \"variance-exploding\", sigma_min = 0.01, sigma_max = 50.0 } }",
        ],
    );
    // The velocity is |σ'(t)| times the output of the network, with σ' = σ ln(0.01/50).
    let flow = constant(&begun, &[0.6, 0.8]);
    let evaluation = evaluate(&flow, &begun.session.dataset, &EvaluateOptions::default()).unwrap();
    let (rate, chord) = (5000_f64.ln(), 50.0 - 0.01);
    let energy = 0.5 * rate * (50.0_f64.powi(2) - 0.01_f64.powi(2));
    let close = |name: &str, expected: f64| {
        let found = score(&evaluation, name);
        assert!((found.value / expected - 1.0).abs() < 1e-4, "{found:?} is not {expected}");
    };
    close("path-energy", energy);
    close("straightness", energy - chord * chord);
}

#[test]
fn a_conditional_flow_is_scored_and_shown_under_the_conditions_of_its_data() {
    let overrides = [&SMALL[..], &["data.condition={ kind = \"label\" }", "evaluate.samples=60"]].concat();
    let begun = Begun::new(MOONS, &overrides).train();
    let evaluation = begun.evaluate();
    let samples = evaluation.samples.as_ref().unwrap();
    let (Condition::Labels(drawn), Condition::Labels(given)) =
        (&samples.condition, &evaluation.truth.condition)
    else {
        panic!("no labels: {samples:?}")
    };
    assert!(drawn.len() == 60 && given.len() == 60 && drawn != given, "conditions are independent draws");
    // To reach each moon takes more than to reach either.
    let all = Begun::new(MOONS, &[&SMALL[..], &["evaluate.samples=60"]].concat()).evaluate();
    let (all, each) = (score(&all, "path-energy"), score(&evaluation, "path-energy"));
    assert!(each.floor.unwrap() > 1.2 * all.floor.unwrap(), "{each:?} {all:?}");
    assert!(each.protocol.contains("mean over the classes"), "{}", each.protocol);
    let npe = score(&evaluation, "npe");
    assert!(npe.floor.is_none() && npe.protocol.contains("W2² is biased"), "{npe:?}");
    let nll = score(&evaluation, "nll");
    assert!(nll.floor.is_none() && nll.protocol.contains("given their conditions"), "{nll:?}");
    assert!(!names(&evaluation).contains(&"log-density-error"));
    let html = begun.report(&evaluation);
    for words in ["class 0", "class 1", "all classes"] {
        assert!(html.contains(words), "no {words}");
    }
}

#[test]
fn pictures_and_commands_say_what_differs_from_the_scores() {
    let conditional = [
        "data.condition={ kind = \"label\" }",
        "model.condition_dropout=0.1",
        "evaluate.samples=60",
        "evaluate.guidance=1.5",
    ];
    let begun = Begun::new(MOONS, &[&SMALL[..], &conditional].concat());
    let options =
        EvaluateOptions { seed: 3, solver: Some(Solver::fixed(Method::Heun, 6)), ..Default::default() };
    let evaluation = evaluate(&begun.flow(), &begun.session.dataset, &options).unwrap();
    let html = begun.report(&evaluation);
    // Animation, trajectories, densities, velocities.
    assert_eq!(html.matches("without guidance, unlike the samples (strength 1.5)").count(), 4);
    assert!(html.contains("--seed 3 --solver heun --steps 6 --guidance 1.5"));

    let plain = Begun::new(MOONS, &SMALL);
    let html = plain.report(&plain.evaluate());
    assert!(!html.contains("unlike the samples") && !html.contains("--solver"));
}

/// A table of three columns of very different sizes, with a fifth of its rows held out.
fn table(rows: usize, extra: &str) -> Begun {
    let folder = tempfile::tempdir().unwrap();
    let mut noise = Noise::new(3);
    let values = (0..rows).flat_map(|_| {
        let x = noise.normal();
        [x, 100.0 * (x + noise.normal()), 5.0]
    });
    let values: Vec<f64> = values.collect::<Vec<_>>();
    write_npz(folder.path().join("table.npz"), &[("x", &Array::new(vec![rows, 3], values))]).unwrap();
    let text = format!(
        "name = \"table\"\n[data]\nstandardise = true\n{extra}\n[data.target]\nkind = \"file\"\npath = \"table.npz\"\n"
    );
    let path = folder.path().join("run");
    let session = Session::begin(recipe(&text, &SMALL), folder.path(), &path).unwrap();
    Begun { session, folder }
}

#[test]
fn a_table_is_compared_with_two_halves_of_its_test_split() {
    let begun = table(200, "split = { kind = \"fractions\", validation = 0.0, test = 0.2 }");
    let evaluation = begun.evaluate();
    assert_eq!(evaluation.truth.rows(), 20);
    assert!(score(&evaluation, "w2").protocol.contains("one pair"));
    assert_eq!(evaluation.truth.origin, "the test split");
    assert!(evaluation.warnings.iter().any(|warning| warning.contains("20 points of the test split")));
    let w2 = score(&evaluation, "w2");
    assert!(w2.protocol.contains("in model units"), "{}", w2.protocol);
    // In data units the second column alone would make distances of the order of a hundred.
    assert!(w2.value < 10.0 && w2.floor.unwrap() < 10.0, "{w2:?}");
    assert!(score(&evaluation, "nll").protocol.contains("40 points of the test split"));
    let html = begun.report(&evaluation);
    assert!(html.contains("Marginals"));
}

#[test]
fn a_table_without_held_out_rows_is_scored_with_a_warning() {
    let begun = table(80, "");
    let evaluation = begun.evaluate();
    assert_eq!(evaluation.truth.origin, "the training rows");
    assert!(evaluation.warnings[0].contains("remembers"), "{:?}", evaluation.warnings);
    assert!(evaluation.warnings.iter().any(|warning| warning.starts_with("no nll: no rows are held out")));
    assert!(score(&evaluation, "w2").value > 0.0);
    assert!(begun.folder.path().join("table.npz").exists());
}

#[test]
fn under_vectors_the_least_energy_is_not_known() {
    let begun = table(
        200,
        "condition = { kind = \"columns\", columns = [0] }\n\
         split = { kind = \"fractions\", validation = 0.0, test = 0.2 }",
    );
    let evaluation = begun.evaluate();
    assert!(!names(&evaluation).contains(&"npe"));
    let energy = score(&evaluation, "path-energy");
    assert!(energy.floor.is_none() && energy.protocol.contains("no floor"), "{energy:?}");
    assert_ne!(evaluation.samples.as_ref().unwrap().condition, evaluation.truth.condition);
    assert!(begun.report(&evaluation).contains("--condition="));
}

#[test]
fn scores_survive_their_file() {
    let begun = Begun::new(MOONS, &SMALL);
    let (flow, evaluation) = (begun.flow(), begun.evaluate());
    write_scores(&begun.session.run, &flow, &evaluation).unwrap();
    let read: ScoreFile = begun.session.run.read_scores().unwrap().unwrap();
    assert_eq!(read.scores, evaluation.scores);
    assert_eq!(read.warnings, evaluation.warnings);
    assert_eq!((read.protocol.seed, read.protocol.samples, read.protocol.step), (0, 120, 0));
    assert!(read.protocol.created_by.starts_with("thalweg "));
    assert_eq!(evaluation, begun.evaluate(), "two evaluations with one seed are the same");
    let other = EvaluateOptions { seed: 1, ..EvaluateOptions::default() };
    let other = evaluate(&flow, &begun.session.dataset, &other).unwrap();
    assert_ne!(score(&other, "w2").value, score(&evaluation, "w2").value);
}

#[test]
fn a_failing_solver_loses_only_what_needs_it() {
    let begun = Begun::new(MOONS, &SMALL);
    let flow = begun.flow();
    // Two steps are not enough at a tolerance of 1e-12.
    let hopeless = Solver { max_steps: 2, ..Solver::adaptive(Method::Dopri5, 1e-12) };
    let options = EvaluateOptions { solver: Some(hopeless.clone()), ..Default::default() };
    let evaluation = evaluate(&flow, &begun.session.dataset, &options).unwrap();
    assert_eq!(names(&evaluation), ["nll", "log-density-error"]);
    assert!(evaluation.warnings.iter().any(|warning| warning.starts_with("no samples: sampling failed")));
    let path = write_report(&flow, &begun.session.dataset, &evaluation, &begun.session.run).unwrap();
    let html = fs::read_to_string(path).unwrap();
    check_balanced(&html);
    assert!(html.contains("no samples: sampling failed") && html.contains("a picture is missing"));

    let mut recipe = flow.recipe.clone();
    recipe.evaluate.likelihood_solver = hopeless;
    let nothing = TrainedFlow::of(&recipe, &begun.session.summary, &begun.session.state, None);
    let error = evaluate(&nothing, &begun.session.dataset, &options).unwrap_err();
    assert!(!error.is_request(), "{error:?}");
    for words in ["not one score", "no samples: sampling failed", "no nll: the likelihood failed"] {
        assert!(error.to_string().contains(words), "{error}");
    }
    let flow = TrainedFlow::of(&recipe, &begun.session.summary, &begun.session.state, None);
    let evaluation = evaluate(&flow, &begun.session.dataset, &EvaluateOptions::default()).unwrap();
    assert!(names(&evaluation).contains(&"w2") && !names(&evaluation).contains(&"nll"));
    assert!(evaluation.warnings.iter().any(|warning| warning.starts_with("no nll: the likelihood failed")));
}

#[test]
fn changed_data_are_refused() {
    let begun = Begun::new(MOONS, &SMALL);
    let other = Begun::new(NORMAL, &[]);
    let refused = evaluate(&begun.flow(), &other.session.dataset, &EvaluateOptions::default());
    assert!(refused.unwrap_err().to_string().contains("the data have changed"));
}

#[test]
fn a_report_shows_every_section_and_the_recipe() {
    let begun = Begun::new(MOONS, &SMALL).train();
    let html = begun.report(&begun.evaluate());
    for heading in ["The flow", "Scores", "Density", "Velocity", "Training", "How to reproduce"] {
        assert!(html.contains(&format!("<h2>{heading}</h2>")), "no section {heading}");
    }
    for words in [
        "optimal transport",
        "Trajectories",
        "Truth",
        "thalweg train two-moons.toml",
        "learning_rate",
        "seed",
    ] {
        assert!(html.contains(words), "no {words}");
    }
}

#[test]
fn a_report_bears_a_missing_and_a_damaged_log() {
    let begun = Begun::new(LINE, &SMALL);
    let mut evaluation = begun.evaluate();
    evaluation.scores.clear();
    let events = begun.session.run.events_path();
    assert!(!events.exists());
    let html = begun.report(&evaluation);
    assert!(html.contains("the run has no log of events") && html.contains("There are no scores."));
    fs::write(&events, "not an event\n").unwrap();
    assert!(begun.report(&evaluation).contains("there is no training curve"));
    // What a crash leaves: a whole line and a torn one.
    let torn =
        "{\"time\":1.0,\"event\":\"scalar\",\"step\":1,\"name\":\"loss\",\"value\":2.0}\n{\"time\":2.0,\"ev";
    fs::write(&events, torn).unwrap();
    assert!(begun.report(&evaluation).contains("Loss"));
}

#[test]
fn a_flow_on_the_line_has_a_report() {
    let begun = Begun::new(LINE, &SMALL);
    let html = begun.report(&begun.evaluate());
    assert!(["data", "samples", "model", "truth"].iter().all(|name| html.contains(&format!(">{name}<"))));
}

#[test]
fn an_animation_refuses_what_it_cannot_show() {
    let begun = Begun::new(MOONS, &SMALL);
    let request = SampleRequest {
        number: 20,
        seed: 1,
        condition: ConditionRequest::AsInData,
        guidance: 1.0,
        equation: Equation::Flow(Solver::default()),
    };
    let flow = begun.flow();
    let gif = animation(&flow, &request).unwrap().gif_bytes(64).unwrap();
    assert!(gif.starts_with(b"GIF89a"));
    let refused = |request: &SampleRequest| animation(&flow, request).unwrap_err().to_string();
    assert!(refused(&SampleRequest { guidance: 2.0, ..request.clone() }).contains("without guidance"));
    let stochastic = Equation::Stochastic { strength: 1.0, steps: 10 };
    assert!(
        refused(&SampleRequest { equation: stochastic, ..request.clone() }).contains("ordinary equation")
    );
}
