//! Short trainings from recipe to checkpoint: they learn, they resume to the same bits, they stop with a reason.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;

use thalweg_run::{Document, Event, Override, RunError, Sink, Sinks};
use thalweg_solve::Solver;
use thalweg_train::{
    ConditionRequest, Ending, Equation, RECIPES, Recipe, SampleRequest, Session, TrainError,
};

fn recipe(text: &str, overrides: &[&str]) -> Recipe {
    let overrides: Vec<Override> = overrides.iter().map(|text| text.parse().unwrap()).collect();
    Recipe::read(&Document::new(text, "test", &overrides).unwrap()).unwrap()
}

fn train(session: &mut Session, stop_at: Option<u64>) -> Result<Ending, TrainError> {
    session.train(&mut Sinks::new(), |progress| {
        if Some(progress.step) == stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
}

fn draw(session: &Session, number: usize) -> Vec<f64> {
    let flow = session.flow();
    let request = SampleRequest {
        number,
        seed: 1,
        condition: ConditionRequest::AsInData,
        guidance: 1.0,
        equation: Equation::Flow(Solver::default()),
    };
    flow.sample(&request).unwrap().points
}

const MOONS: &str = include_str!("../../../recipes/two-moons.toml");

#[test]
fn every_embedded_recipe_is_valid() {
    for embedded in complete() {
        let read = recipe(embedded.text, &[]);
        assert_eq!(read.name, embedded.name);
        assert!(read.about.ends_with('.') || read.about.ends_with('?'), "{}: {}", read.name, read.about);
    }
}

/// The paper's table has the number of parameters beside widths, layers and blocks, in millions with two digits.
#[test]
fn benchmarks_have_the_size_that_the_paper_says() {
    let sizes = [("power", 6, 0.81), ("gas", 8, 1.06), ("miniboone", 43, 0.85), ("bsds300", 63, 3.41)];
    for (name, dim, millions) in sizes {
        let recipe = recipe(thalweg_train::find_recipe(name).unwrap().text, &[]);
        let (width, hidden) = (recipe.model.width, recipe.model.hidden_layers);
        // The input has the time beside the point; every layer has a constant beside its input.
        let block = (dim + 2) * width + (hidden - 1) * (width + 1) * width + (width + 1) * dim;
        let found = (recipe.parts() * block) as f64 / 1e6;
        assert!((found - millions).abs() < 0.01, "{name}: {found} instead of {millions}");
    }
}

#[test]
fn a_stopped_and_resumed_training_makes_the_bits_of_an_unbroken_one() {
    let small = [
        "train.steps=60",
        "train.batch=64",
        "model.width=16",
        "train.checkpoint_every=25",
        "train.log_every=20",
    ];
    let folder = tempfile::tempdir().unwrap();
    let unbroken = {
        let mut session =
            Session::begin(recipe(MOONS, &small), Path::new("."), &folder.path().join("a")).unwrap();
        assert_eq!(train(&mut session, None).unwrap(), Ending::Finished);
        session.state.to_checkpoint(&session.recipe, &session.summary)
    };
    let path = folder.path().join("b");
    {
        let mut session = Session::begin(recipe(MOONS, &small), Path::new("."), &path).unwrap();
        assert_eq!(train(&mut session, Some(37)).unwrap(), Ending::Stopped);
    }
    let mut session = Session::resume(&path).unwrap();
    assert_eq!(session.state.step, 37);
    assert_eq!(train(&mut session, None).unwrap(), Ending::Finished);
    let resumed = session.state.to_checkpoint(&session.recipe, &session.summary);
    assert!(unbroken == resumed, "the resumed training differs from the unbroken one");
}

#[test]
fn training_moves_samples_to_the_data() {
    let small = [
        "train.steps=300",
        "train.batch=128",
        "model.width=32",
        "train.learning_rate.rate=0.01",
        "train.average.decay=0.9",
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut session =
        Session::begin(recipe(MOONS, &small), Path::new("."), &folder.path().join("run")).unwrap();
    train(&mut session, None).unwrap();
    let points = draw(&session, 1000);
    // Two moons have mean (1, 0) times 3/2 - 1 in torchcfm's scaling; a standard normal has mean 0 and deviation 1.
    let mean = |axis: usize| points.iter().skip(axis).step_by(2).sum::<f64>() / 1000.0;
    assert!((mean(0) - 0.8).abs() < 0.4, "{}", mean(0));
    let spread = (points.iter().step_by(2).map(|x| (x - mean(0)).powi(2)).sum::<f64>() / 1000.0).sqrt();
    assert!(spread > 2.0, "samples have not moved apart: {spread}");
}

const TINY: [&str; 4] = ["train.steps=12", "train.batch=32", "model.width=8", "train.log_every=4"];

/// Recipes that start from no other run.
fn complete() -> impl Iterator<Item = &'static thalweg_train::EmbeddedRecipe> {
    RECIPES.iter().filter(|recipe| recipe.starts_from().is_none())
}

/// Recipes that need no file of the user's.
fn self_contained() -> impl Iterator<Item = &'static thalweg_train::EmbeddedRecipe> {
    let need_a_file = ["tree", "rose", "kin8nm", "protein", "power", "gas", "miniboone", "bsds300"];
    complete().filter(move |recipe| !need_a_file.contains(&recipe.name))
}

#[test]
fn every_self_contained_recipe_trains_and_samples() {
    let folder = tempfile::tempdir().unwrap();
    for embedded in self_contained() {
        let recipe = recipe(embedded.text, &TINY);
        let mut session = Session::begin(recipe, Path::new("."), &folder.path().join(embedded.name)).unwrap();
        assert_eq!(train(&mut session, None).unwrap(), Ending::Finished, "{}", embedded.name);
        let points = draw(&session, 20);
        assert_eq!(points.len(), 20 * session.summary.dim, "{}", embedded.name);
        assert!(points.iter().all(|x| x.is_finite()), "{}", embedded.name);
    }
}

#[test]
fn a_written_recipe_reads_back_the_same() {
    for embedded in complete() {
        let recipe = recipe(embedded.text, &[]);
        let text = thalweg_run::to_toml(&recipe);
        assert_eq!(self::recipe(&text, &[]), recipe, "{}", embedded.name);
    }
}

/// The values of the scalar `name`, in the order they are told.
struct Curve {
    name: &'static str,
    values: Rc<RefCell<Vec<f64>>>,
}

impl Sink for Curve {
    fn event(&mut self, event: &Event) -> Result<(), RunError> {
        if let Event::Scalar { name, value, .. } = event
            && name == self.name
        {
            self.values.borrow_mut().push(*value);
        }
        Ok(())
    }
}

#[test]
fn a_batch_in_parts_has_the_gradients_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    // Their norms are compared, because Adam hides a wrong factor: it divides it out again.
    let norms = |parts: &str| {
        let overrides = ["train.steps=3", "train.batch=60", "train.log_every=1", "model.width=8", parts];
        let path = folder.path().join(parts);
        let mut session = Session::begin(recipe(MOONS, &overrides), Path::new("."), &path).unwrap();
        let values = Rc::new(RefCell::new(Vec::new()));
        let mut sinks = Sinks::new();
        sinks.add("curve", Curve { name: "gradient_norm", values: Rc::clone(&values) });
        session.train(&mut sinks, |_| ControlFlow::Continue(())).unwrap();
        (values.take(), draw(&session, 10))
    };
    let (whole, samples) = norms("train.accumulate=1");
    assert_eq!(whole.len(), 3);
    for parts in ["train.accumulate=3", "train.accumulate=4"] {
        let (norms, drawn) = norms(parts);
        for (whole, norm) in whole.iter().zip(&norms) {
            assert!((whole - norm).abs() < 1e-4 * whole, "{parts}: {norm}, not {whole}");
        }
        let worst = samples.iter().zip(&drawn).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-4, "{parts}: {worst}");
    }
}

#[test]
fn a_continuous_normalising_flow_learns_in_either_memory() {
    let folder = tempfile::tempdir().unwrap();
    let text = thalweg_train::find_recipe("cnf").unwrap().text;
    let mut ends = Vec::new();
    for memory in ["whole", "square-root"] {
        let memory_key = format!("flow.objective.memory={memory}");
        let overrides = [
            "train.steps=25",
            "train.batch=64",
            "model.width=16",
            "train.learning_rate.rate=0.02",
            &memory_key,
        ];
        let recipe = recipe(text, &overrides);
        let mut session = Session::begin(recipe, Path::new("."), &folder.path().join(memory)).unwrap();
        let mut losses = Vec::new();
        session
            .train(&mut Sinks::new(), |progress| {
                losses.push(progress.loss);
                ControlFlow::Continue(())
            })
            .unwrap();
        assert!(losses[24] < losses[0] - 0.5, "{memory}: {losses:?}");
        ends.push(losses[24]);
    }
    assert!((ends[0] - ends[1]).abs() < 1e-3, "{ends:?}");
}

#[test]
fn divergence_is_reported_with_step_and_cause_and_the_last_checkpoint_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    // Seven good steps, of which the fifth is saved; then a rate at which nothing can go well.
    let overrides = [
        "train.steps=400",
        "train.batch=32",
        "model.width=8",
        "train.log_every=5",
        "train.checkpoint_every=5",
        r#"train.learning_rate={kind="step-decay", rate=0.001, factor=1e21, every=7}"#,
    ];
    let path = folder.path().join("run");
    let mut session = Session::begin(recipe(MOONS, &overrides), Path::new("."), &path).unwrap();
    let error = train(&mut session, None).unwrap_err();
    let message = error.to_string();
    let TrainError::Diverged { step, checkpoint, .. } = error else { panic!("{message}") };
    assert!((8..=10).contains(&step), "{message}");
    assert_eq!(checkpoint, Some(5), "{message}");
    assert!(message.starts_with(&format!("training diverged at step {step}: ")), "{message}");
    assert!(message.contains("the checkpoint of step 5 is kept"), "{message}");
    assert!(message.contains("Lower `train.learning_rate` or set `train.clip`"), "{message}");
    drop(session);
    assert_eq!(Session::resume(&path).unwrap().state.step, 5);
}

#[test]
fn changed_data_are_noticed_on_resume() {
    let folder = tempfile::tempdir().unwrap();
    let table = |scale: f64| {
        let values = (0..200).map(|i| f64::from(i) * scale).collect();
        thalweg_data::write_npy(folder.path().join("x.npy"), &thalweg_data::Array::new(vec![100, 2], values))
            .unwrap();
    };
    let text = "name = \"t\"\n[data]\nstandardise = true\n[data.target]\nkind = \"file\"\npath = \"x.npy\"\n";
    table(1.0);
    let path = folder.path().join("run");
    let mut session = Session::begin(recipe(text, &TINY), folder.path(), &path).unwrap();
    train(&mut session, Some(5)).unwrap();
    drop(session);
    table(2.0);
    let message = Session::resume(&path).unwrap_err().to_string();
    assert!(message.starts_with("the data have changed since the run was started"), "{message}");
    table(1.0);
    assert_eq!(Session::resume(&path).unwrap().state.step, 5);
}

#[test]
fn recipes_with_settings_that_would_have_no_effect_are_refused() {
    let check = |overrides: &[&str], expected: &str| {
        let overrides: Vec<Override> = overrides.iter().map(|text| text.parse().unwrap()).collect();
        let document = Document::new(MOONS, "two-moons.toml", &overrides).unwrap();
        let message = Recipe::read(&document).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    check(&["flow.objective.kind=likelihood"], "`flow.coupling`: training by likelihood makes no pairs");
    check(&["flow.coupling={kind=\"paired\"}"], "takes data that come in pairs");
    check(&["evaluate.guidance=2"], "no condition to be guided by");
    check(&["model.condition_dropout=0.5"], "no condition to be left out");
    check(
        &["data.condition={kind=\"label\"}", "evaluate.guidance=2"],
        "`evaluate.guidance`: guidance needs a network that has also learned without its condition",
    );
    check(&["flow.precondition=true"], "scales exist for one-sided paths only");
    check(&["evaluate.replicates=1"], "one block has no spread");
    check(&["evaluate.samples=1000000"], "at most 20000");
    check(
        &["evaluate.solver={method=\"rk4\", steps={grid=[0, 0.5]}}"],
        "the grid must run between the ends of the path, 0 and 1",
    );
    check(&["name=.."], "must name a folder");
    check(
        &["flow.path={kind=\"one-sided\"}", "data.source={kind=\"set\", set={kind=\"rings\"}}"],
        "needs a Gaussian source",
    );
}

#[test]
fn a_source_table_smaller_than_the_held_out_set_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let values = (0..128).map(|i| f64::from(i % 16) / 8.0).collect();
    thalweg_data::write_npy(folder.path().join("x.npy"), &thalweg_data::Array::new(vec![64, 2], values))
        .unwrap();
    let source = r#"data.source={kind="set", set={kind="file", path="x.npy"}}"#;
    let overrides = [&TINY[..], &[source, "train.validate_every=5"]].concat();
    let mut session =
        Session::begin(recipe(MOONS, &overrides), folder.path(), &folder.path().join("run")).unwrap();
    assert_eq!(train(&mut session, None).unwrap(), Ending::Finished);
    assert_eq!(draw(&session, 500).len(), 1000);
}
