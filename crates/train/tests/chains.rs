//! Local chains: laws in closed form, one block is ordinary flow matching, resumed bits, kept points, refusals.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod tuned;

use std::cell::RefCell;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;

use thalweg_data::Condition;
use thalweg_flow::Divergence;
use thalweg_run::{Event, RunError, Sink, Sinks};
use thalweg_solve::{Method, Solver};
use thalweg_train::{ConditionRequest, Ending, Equation, SampleRequest, Session, TrainedFlow};
use tuned::{BASE, begin, score, scored, train};

/// A chain of three blocks with few weights.
const CHAIN: [&str; 3] = ["local.blocks=3", "local.points=4000", "evaluate.likelihood_points=0"];
const GAUSSIAN: [&str; 5] = [
    "data.target={kind='random-gaussian',dim=3,condition_number=16.0}",
    "data.standardise=true",
    "train.steps=3000",
    "train.learning_rate={kind='warm-up-cosine',rate=0.004,warm_up=0.05}",
    "local.first=0.2",
];

fn chain(out: &Path, overrides: &[&str]) -> Session {
    begin(BASE, None, &[&CHAIN, overrides].concat(), out).unwrap()
}

fn trained(out: &Path, overrides: &[&str]) -> Session {
    let mut session = chain(out, overrides);
    assert_eq!(train(&mut session, None), Ending::Finished);
    session
}

fn samples(flow: &TrainedFlow, number: usize, solver: Solver) -> thalweg_train::Samples {
    let condition = ConditionRequest::AsInData;
    let equation = Equation::Flow(solver);
    flow.sample(&SampleRequest { number, seed: 1, condition, guidance: 1.0, equation }).unwrap()
}

#[test]
fn a_chain_learns_a_gaussian_its_density_and_the_way_back() {
    let folder = tempfile::tempdir().unwrap();
    let session = trained(&folder.path().join("run"), &GAUSSIAN);
    let (flow, dataset) = (session.flow(), &session.dataset);
    let points = samples(&flow, 500, Solver::default()).points;
    let solver = Solver::adaptive(Method::Dopri5, 1e-6);
    let found =
        flow.log_likelihood(&points, &Condition::None, &solver, Divergence::default(), 0).unwrap().values;
    let exact = points.chunks_exact(3).map(|x| dataset.log_density(x).unwrap());
    let errors: Vec<f64> = found.iter().zip(exact).map(|(found, exact)| found - exact).collect();
    let mean = errors.iter().sum::<f64>() / 500.0;
    let spread = (errors.iter().map(|e| e * e).sum::<f64>() / 500.0).sqrt();
    assert!(mean.abs() < 0.03 && spread < 0.12, "{mean} {spread}");

    let evaluation = scored(&session);
    assert!(score(&evaluation.scores, "round-trip") < 1e-3);
    assert_eq!(evaluation.blocks.len(), 3);
    for block in &evaluation.blocks {
        let floor = block.loss_floor.unwrap();
        // 300 points tell a mean to a few percent.
        assert!((block.loss - floor).abs() < 0.15 * floor, "{block:?}");
        assert!(block.distance < 2.0 * block.distance_floor, "{block:?}");
    }
    assert_eq!(
        evaluation.blocks.iter().map(|b| b.duration).collect::<Vec<_>>(),
        [Some(0.2), Some(0.26), None]
    );
}

#[test]
fn probes_estimate_the_likelihood_through_all_blocks_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let flow = trained(&folder.path().join("run"), &[&GAUSSIAN[..], &["train.steps=300"]].concat()).flow();
    let points = samples(&flow, 40, Solver::default()).points;
    let of = |divergence| {
        flow.log_likelihood(&points, &Condition::None, &Solver::default(), divergence, 3).unwrap()
    };
    let exact = of(Divergence::default());
    assert!(exact.standard_errors.is_none());
    let probes = of(Divergence::Hutchinson { probes: 64, law: thalweg_flow::ProbeLaw::default() });
    let errors = probes.standard_errors.unwrap();
    let scaled = |i: usize| (probes.values[i] - exact.values[i]) / errors[i];
    let mean_square = (0..40).map(|i| scaled(i) * scaled(i)).sum::<f64>() / 40.0;
    assert!((0.4..2.0).contains(&mean_square), "{mean_square}");
}

#[test]
fn one_block_is_ordinary_flow_matching() {
    let folder = tempfile::tempdir().unwrap();
    let small = ["train.steps=40"];
    let one = trained(&folder.path().join("one"), &["local.blocks=1", small[0]]);
    assert!(one.warnings.iter().any(|w| w.contains("ordinary flow matching")), "{:?}", one.warnings);
    let mut flow = begin(BASE, None, &small, &folder.path().join("flow")).unwrap();
    train(&mut flow, None);
    let [a, b] = [&one, &flow].map(|session| samples(&session.flow(), 100, Solver::default()).points);
    let largest = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(largest < 1e-3, "{largest}");
}

#[test]
fn classes_travel_through_the_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let session = trained(
        &folder.path().join("run"),
        &[
            "data.target.kind=eight-gaussians",
            "data.standardise=true",
            "data.condition.kind=label",
            "train.steps=2400",
            "local.first=0.1",
        ],
    );
    let flow = session.flow();
    for class in [0_u32, 3] {
        let condition = ConditionRequest::Label(class as usize);
        let equation = Equation::Flow(Solver::default());
        let request = SampleRequest { number: 200, seed: 2, condition, guidance: 1.0, equation };
        let points = flow.sample(&request).unwrap().points;
        let (sin, cos) = (std::f64::consts::TAU * f64::from(class) / 8.0).sin_cos();
        let near = |p: &&[f64]| (p[0] - 5.0 * cos).hypot(p[1] - 5.0 * sin) < 2.0;
        let share = points.chunks_exact(2).filter(near).count();
        assert!(share > 180, "class {class}: {share} of 200");
    }
}

/// One network for all blocks of all classes.
#[test]
fn shared_weights_learn_all_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let overrides = [
        "data.target.kind=eight-gaussians",
        "data.standardise=true",
        "data.condition.kind=label",
        "train.steps=2400",
        "local.first=0.1",
        "local.weights=shared",
    ];
    let session = trained(&folder.path().join("run"), &overrides);
    let flow = session.flow();
    let condition = ConditionRequest::Label(2);
    let equation = Equation::Flow(Solver::default());
    let request = SampleRequest { number: 200, seed: 2, condition, guidance: 1.0, equation };
    let points = flow.sample(&request).unwrap().points;
    let near = points.chunks_exact(2).filter(|p| p[0].hypot(p[1] - 5.0) < 2.0).count();
    assert!(near > 180, "{near} of 200");
    // Of 2 coordinates, a time and 16 numbers for a class; and the vectors of 24 classes and of none.
    assert_eq!(flow.parameters(), (20 * 32) + (33 * 32) + (33 * 2) + 25 * 16);
    let evaluation = scored(&session);
    for block in &evaluation.blocks {
        assert!(block.distance < 2.5 * block.distance_floor, "{block:?}");
    }
    assert!(score(&evaluation.scores, "round-trip") < 1e-3);
}

#[test]
fn smoothing_adds_its_noise_to_what_is_learned() {
    let folder = tempfile::tempdir().unwrap();
    let overrides = [
        "data.target={kind='gaussian',mean=[0.0,0.0],covariance=[[1.0,0.0],[0.0,0.01]]}",
        "local.smoothing=0.1",
        "train.steps=1500",
    ];
    let session = trained(&folder.path().join("run"), &overrides);
    let points = samples(&session.flow(), 4000, Solver::default()).points;
    let variance = |axis: usize| points.iter().skip(axis).step_by(2).map(|x| x * x).sum::<f64>() / 4000.0;
    let added = 1.0 - (-0.2_f64).exp();
    let expected = [1.0, 0.01 * (-0.2_f64).exp() + added];
    for axis in 0..2 {
        let found = variance(axis);
        assert!((found / expected[axis] - 1.0).abs() < 0.12, "{axis}: {found}, not {}", expected[axis]);
    }
}

#[test]
fn blocks_may_differ_in_width_and_solver() {
    let folder = tempfile::tempdir().unwrap();
    let euler = |steps: usize| format!("{{method='euler',steps={{fixed={steps}}}}}");
    let solvers =
        format!("evaluate.sampler={{kind='blocks',solvers=[{},{},{}]}}", euler(2), euler(3), euler(5));
    let overrides = [
        "local.widths=[16,24,40]",
        "local.warm_start=false",
        "train.steps=30",
        &solvers,
        "train.average.decay=0.0",
    ];
    let session = trained(&folder.path().join("run"), &overrides);
    let flow = session.flow();
    let layers = |width: usize| (3 * width + width) + (width * width + width) + (width * 2 + 2);
    assert_eq!(flow.parameters(), layers(16) + layers(24) + layers(40));
    let sampler = flow.recipe.evaluate.sampler.clone();
    let (condition, equation) = (ConditionRequest::AsInData, sampler.equation(&Solver::default()));
    let request = SampleRequest { number: 10, seed: 1, condition, guidance: 1.0, equation };
    assert_eq!(flow.sample(&request).unwrap().evaluations, 10.0);
    // What is not drawn by the recipe's equation is solved as asked: the way to the noise and back is exact.
    let evaluation = scored(&session);
    assert!(score(&evaluation.scores, "round-trip") < 1e-3 && score(&evaluation.scores, "nfe") == 10.0);
    // Another solver is for all.
    assert_eq!(samples(&flow, 10, Solver::fixed(Method::Euler, 4)).evaluations, 12.0);
    // A run that is read again is the same.
    drop(session);
    let run = thalweg_run::RunDir::open(&folder.path().join("run")).unwrap();
    let (again, _) = TrainedFlow::open(&run).unwrap();
    let solver = Solver::fixed(Method::Euler, 4);
    assert_eq!(samples(&again, 10, solver.clone()), samples(&flow, 10, solver));
}

/// Keeps the warnings of a training.
struct Warnings(Rc<RefCell<Vec<String>>>);

impl Sink for Warnings {
    fn event(&mut self, event: &Event) -> Result<(), RunError> {
        if let Event::Warning { message, .. } = event {
            self.0.borrow_mut().push(message.clone());
        }
        Ok(())
    }
}

/// Trains to the end and returns what the training warned of.
fn warned(session: &mut Session) -> Vec<String> {
    let found = Rc::new(RefCell::new(Vec::new()));
    let mut sinks = Sinks::new();
    sinks.add("test", Warnings(Rc::clone(&found)));
    session.train(&mut sinks, |_| ControlFlow::Continue(())).unwrap();
    found.take()
}

#[test]
fn a_stopped_and_resumed_chain_makes_the_bits_of_an_unbroken_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for weights in ["independent", "shared"] {
        let weights = format!("local.weights={weights}");
        resumed_to_the_same_bits(&weights, &at);
    }
}

fn resumed_to_the_same_bits(weights: &str, at: &dyn Fn(&str) -> std::path::PathBuf) {
    let small = ["train.steps=31", "train.checkpoint_every=4", "train.keep=100", weights];
    let unbroken = trained(&at(&format!("unbroken {weights}")), &small);
    let expected = unbroken.state.to_checkpoint(&unbroken.recipe, &unbroken.summary);
    // Inside of the blocks and where one ends: 10, 20 and 31 are the ends.
    for stop in [4, 10, 13, 20, 25] {
        let name = format!("{weights} stopped {stop}");
        assert_eq!(train(&mut chain(&at(&name), &small), Some(stop)), Ending::Stopped);
        let run = thalweg_run::RunDir::open(&at(&name)).unwrap();
        if stop <= 20 {
            let unfinished = TrainedFlow::open(&run).unwrap_err();
            assert!(unfinished.to_string().contains("of its 3 parts"), "{unfinished}");
        }
        let mut resumed = Session::resume(&at(&name)).unwrap();
        assert_eq!(warned(&mut resumed), Vec::<String>::new(), "{name}");
        let found = resumed.state.to_checkpoint(&resumed.recipe, &resumed.summary);
        assert!(found == expected, "{name}");
    }
}

/// What a warning of it says, and how it is done to the folder of kept points.
type Damage<'a> = (&'a str, &'a dyn Fn(&Path));

#[test]
fn kept_points_of_other_weights_or_damaged_ones_are_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let small = ["train.steps=30", "train.checkpoint_every=5"];
    let unbroken = trained(&at("unbroken"), &small);
    let expected = unbroken.state.to_checkpoint(&unbroken.recipe, &unbroken.summary);
    drop(trained(&at("other"), &[&small[..], &["seed=9"]].concat()));
    let damage: [Damage; 4] = [
        ("moved by other weights", &|made| {
            for file in fs::read_dir(at("other").join("made")).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), made.join(file.file_name())).unwrap();
            }
        }),
        ("model.safetensors", &|made| {
            let bytes = fs::read(made.join("model.safetensors")).unwrap();
            fs::write(made.join("model.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("state.json", &|made| fs::remove_file(made.join("state.json")).unwrap()),
        ("", &|made| fs::remove_dir_all(made).unwrap()),
    ];
    for (index, (message, damage)) in damage.into_iter().enumerate() {
        let out = at(&index.to_string());
        assert_eq!(train(&mut chain(&out, &small), Some(25)), Ending::Stopped);
        damage(&out.join("made"));
        let mut resumed = Session::resume(&out).unwrap();
        let warnings = warned(&mut resumed);
        match message {
            "" => assert!(warnings.is_empty(), "{warnings:?}"),
            _ => assert!(warnings.len() == 1 && warnings[0].contains(message), "{warnings:?}"),
        }
        let found = resumed.state.to_checkpoint(&resumed.recipe, &resumed.summary);
        assert!(found == expected, "{message}");
    }
}

#[test]
fn a_table_without_held_out_rows_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<String> = (0..60).map(|i| format!("{},{}", f64::from(i % 7), f64::from(i % 5))).collect();
    fs::write(folder.path().join("t.csv"), format!("a,b\n{}\n", rows.join("\n"))).unwrap();
    let table = [
        &CHAIN[..],
        &[
            "data.target={kind='file',path='t.csv'}",
            "data.standardise=true",
            "train.steps=9",
            "train.batch=20",
        ],
        &["local.points=40", "flow.times_per_pair=3"],
    ]
    .concat();
    let read = tuned::read(BASE, None, &table).unwrap();
    let mut session = Session::begin(read.recipe, folder.path(), &folder.path().join("run")).unwrap();
    assert_eq!(train(&mut session, None), Ending::Finished);
    assert_eq!(session.state.average.finished.len(), 2);
}

#[test]
fn a_chain_without_signal_is_warned_of_with_the_number() {
    let folder = tempfile::tempdir().unwrap();
    let session = chain(&folder.path().join("run"), &["local.first=2.0", "train.steps=3"]);
    let warning = session.warnings.iter().find(|w| w.contains("leaves")).unwrap();
    assert!(warning.contains("4.600 in all") && warning.contains("1.01e-2"), "{warning}");
    let session = chain(&folder.path().join("smooth"), &["local.smoothing=5.0", "train.steps=3"]);
    let warning = session.warnings.iter().find(|w| w.contains("leaves")).unwrap();
    assert!(warning.contains("lower `local.smoothing`") && warning.contains("6.74e-3"), "{warning}");
}

#[test]
fn fewer_points_than_were_asked_for_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..400).map(|row| format!("{row},{}\n", (row * 7) % 11)).collect();
    fs::write(folder.path().join("t.csv"), format!("a,b\n{rows}")).unwrap();
    let table = [&CHAIN[..], &["data.target={kind='file',path='t.csv'}", "local.points=5000"]].concat();
    let read = tuned::read(BASE, None, &table).unwrap();
    let session = Session::begin(read.recipe, folder.path(), &folder.path().join("run")).unwrap();
    assert!(
        session.warnings.iter().any(|warning| warning.contains("5000") && warning.contains("400 rows")),
        "{:?}",
        session.warnings
    );
}

#[test]
fn what_does_not_fit_into_memory_is_refused_before_it_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |overrides: &[&str], expected: &str| {
        let out = folder.path().join("refused");
        let error = begin(BASE, None, overrides, &out).map(|_| ()).unwrap_err();
        assert!(error.is_request() && error.to_string().contains(expected), "{overrides:?}: {error}");
        assert!(!out.exists(), "{error} has left a folder behind");
    };
    refused(&["model.width=1000000"], "more than fit into memory");
    refused(&["model.point={fourier={features=100000000}}"], "fewer features");
    refused(&["model.time={fourier={features=100000000}}"], "fewer features");
    let labels = ["data.target.kind=eight-gaussians", "data.condition.kind=label"];
    refused(&[&labels[..], &["model.label_embedding=1000000000"]].concat(), "more than fit into memory");
    refused(&["local.blocks=1000", "model.width=3000", "train.steps=5000"], "1000 networks of this size");
    let widths = ["local.blocks=3", "local.warm_start=false", "local.widths=[100000,8,8]"];
    refused(&widths, "3 networks of this size");
    refused(&["train.batch=100000000"], "`train.batch`: 100000000 points do not fit");
}

#[test]
fn what_makes_no_chain_is_refused_with_the_key() {
    let refused = |overrides: &[&str], expected: &str| {
        let found = tuned::read(BASE, None, &[&CHAIN, overrides].concat()).unwrap_err().to_string();
        assert!(found.contains(expected), "{overrides:?}: {found}");
    };
    refused(&["local.blocks=0"], "`local.blocks`: the number of blocks of a chain is 0");
    refused(&["local.blocks=-1"], "local.blocks");
    refused(&["local.first=0.0"], "`local.first`: the time of the first block is 0");
    refused(&["local.first=nan"], "`local.first`: the time of the first block is NaN");
    refused(&["local.growth=inf"], "`local.growth`: the growth of the blocks is inf");
    refused(&["local.smoothing=-1.0"], "`local.smoothing`: the time of the smoothing");
    refused(&["model.point={fourier={features=7}}"], "`model.point.fourier.features`: is 7");
    refused(&["local.block=2"], "unknown key");
    refused(&["model.point={fourier={featurs=6}}"], "did you mean `model.point.fourier.features`?");
    refused(&["model.point={fourier={features='many'}}"], "`model.point.fourier.features`: expected");
    refused(&["local.widths=[8,8]"], "2 widths for 3 networks");
    refused(&["local.widths=[8,0,8]"], "`local.widths`");
    refused(&["local.widths=[8,9,8]"], "`local.warm_start`");
    refused(&["local.weights=shared", "local.widths=[8,8,8]"], "has one width");
    refused(&["local.weights=shared", "local.warm_start=false"], "always goes on");
    refused(&["local.weights=both"], "local.weights");
    let told = ["data.target={kind='file',path='t.csv'}", "data.condition={kind='columns',columns=['c']}"];
    refused(&[&told[..], &["local.weights=shared"]].concat(), "takes no vectors beside it");
    let dropped = ["data.condition.kind=label", "model.condition_dropout=0.1", "local.weights=shared"];
    refused(&dropped, "must always be told its block");
    refused(&["local.points=8"], "at least `train.batch`");
    refused(&["local.solver={method='euler',steps={fixed=0}}"], "`local.solver`");
    refused(&["local.blocks=2000"], "more than 1000");
    refused(&["local.solver={method='euler',steps={grid=[0.5,1.0]}}"], "a grid must run from 0 to 1");
    let sampler = |solvers: &str| format!("evaluate.sampler={{kind='blocks',solvers=[{solvers}]}}");
    refused(&[&sampler("{method='euler'}")], "1 solvers for 3 blocks");
    let grid = sampler("{method='euler',steps={grid=[0.5,1.0]}},{method='euler'},{method='euler'}");
    refused(&[&grid], "a grid must run from 0 to 1");
    refused(&["flow.path={kind='trigonometric'}"], "`local.interpolant`");
    refused(&["flow.coupling.kind=optimal-transport"], "remove the coupling");
    refused(&["flow.prediction=noise"], "flow.prediction");
    refused(&["flow.objective.kind=likelihood"], "remove the objective");
    refused(&["data.source={kind='set',set={kind='two-moons'}}"], "must be gaussian");
    refused(&["flow.times_per_pair=0"], "at least 1");
    refused(&["train.steps=2"], "at least as many steps");
}
