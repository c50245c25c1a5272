//! Distillation: students begin as steps of Euler, learn the jumps of what they replace, and need their teacher no more.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod tuned;

use std::fs;
use std::path::Path;

use thalweg_data::Condition;
use thalweg_solve::{Method, Solver};
use thalweg_train::{
    ConditionRequest, Ending, Equation, EvaluateOptions, SampleRequest, Session, TrainedFlow, evaluate,
};
use tuned::{BASE, begin, scored, train};

/// Students of what is given.
const STUDENTS: &str = "
    name = 'students'
    flow.objective = { kind = 'distillation', students = 2, pairs = 2000 }
    train = { steps = 800, batch = 256, learning_rate = { kind = 'warm-up-cosine', rate = 0.003 }, average.decay = 0.99 }
";

const CHAIN: [&str; 3] = ["local.blocks=4", "local.points=3000", "local.first=0.1"];
/// So small a rate that nothing is learned.
const NOTHING: [&str; 3] =
    ["train.steps=8", "train.learning_rate={kind='constant',rate=1e-12}", "train.average.decay=0.0"];

fn base(folder: &Path, name: &str, overrides: &[&str]) -> TrainedFlow {
    let mut session = begin(BASE, None, overrides, &folder.join(name)).unwrap();
    assert_eq!(train(&mut session, None), Ending::Finished);
    session.flow()
}

fn students(folder: &Path, base: &str, name: &str, overrides: &[&str]) -> Session {
    let mut session = begin(STUDENTS, Some(&folder.join(base)), overrides, &folder.join(name)).unwrap();
    assert_eq!(train(&mut session, None), Ending::Finished);
    session
}

/// Where noise goes by the solver of the recipe or another, with the evaluations that it takes.
fn ends(flow: &TrainedFlow, solver: &Solver, told: &Condition) -> (Vec<f64>, f64) {
    let (condition, equation) = (ConditionRequest::AsInData, Equation::Flow(solver.clone()));
    let request = SampleRequest { number: 300, seed: 5, condition, guidance: 1.0, equation };
    let found = flow.sample_from(&flow.source(300, 5).unwrap(), told, &request).unwrap();
    (found.points, found.evaluations)
}

fn own(flow: &TrainedFlow, told: &Condition) -> (Vec<f64>, f64) {
    ends(flow, &flow.recipe.evaluate.solver.clone(), told)
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    (a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / a.len() as f64).sqrt()
}

#[test]
fn students_begin_as_steps_of_euler() {
    let folder = tempfile::tempdir().unwrap();
    let flow = base(folder.path(), "flow", &["train.steps=200"]);
    let chain = base(folder.path(), "chain", &[&CHAIN[..], &["train.steps=200"]].concat());
    for (number, of_flow) in [(1, 1), (2, 2), (3, 3), (4, 4)] {
        let count = format!("flow.objective.students={number}");
        let name = format!("flow {number}");
        let session = students(folder.path(), "flow", &name, &[&NOTHING[..], &[&count]].concat());
        let (points, evaluations) = own(&session.flow(), &Condition::None);
        let (euler, _) = ends(&flow, &Solver::fixed(Method::Euler, of_flow), &Condition::None);
        assert!(distance(&points, &euler) < 1e-4, "{number}: {}", distance(&points, &euler));
        assert_eq!(evaluations, f64::from(number));
    }
    let session = students(
        folder.path(),
        "chain",
        "of chain",
        &[&NOTHING[..], &["flow.objective.students=4"]].concat(),
    );
    let (points, evaluations) = own(&session.flow(), &Condition::None);
    let (euler, _) = ends(&chain, &Solver::fixed(Method::Euler, 1), &Condition::None);
    assert!(distance(&points, &euler) < 1e-4, "{}", distance(&points, &euler));
    assert_eq!(evaluations, 4.0);
    // Without their weights they begin elsewhere.
    let cold = ["flow.objective.students=4", "flow.objective.warm_start=false"];
    let session = students(folder.path(), "chain", "cold", &[&NOTHING[..], &cold].concat());
    assert!(distance(&own(&session.flow(), &Condition::None).0, &euler) > 0.1);
}

/// One step of euler of the teacher is far from where the teacher goes; its students are near.
#[test]
fn students_learn_where_their_teachers_go() {
    let folder = tempfile::tempdir().unwrap();
    let flow = base(folder.path(), "flow", &[]);
    let chain = base(folder.path(), "chain", &CHAIN);
    let cases = [
        ("flow", &flow, 1),
        ("flow", &flow, 2),
        ("chain", &chain, 1),
        ("chain", &chain, 2),
        ("chain", &chain, 4),
    ];
    for (name, teacher, number) in cases {
        let count = format!("flow.objective.students={number}");
        let session = students(folder.path(), name, &format!("{name} {number}"), &[&count]);
        let student = session.flow();
        let (points, evaluations) = own(&student, &Condition::None);
        let (accurate, _) = ends(teacher, &Solver::default(), &Condition::None);
        let each = if name == "flow" { number } else { 1 };
        let (euler, _) = ends(teacher, &Solver::fixed(Method::Euler, each), &Condition::None);
        let [found, before] = [&points, &euler].map(|points| distance(points, &accurate));
        assert!(found < 0.5 * before && found < 0.35, "{name} {number}: {found}, {before} before");
        assert_eq!(evaluations, f64::from(number as u32));
    }
    // Students of students.
    let again = students(folder.path(), "chain 4", "again", &[]);
    let (points, evaluations) = own(&again.flow(), &Condition::None);
    let (accurate, _) = ends(&chain, &Solver::default(), &Condition::None);
    assert!(distance(&points, &accurate) < 0.35, "{}", distance(&points, &accurate));
    assert_eq!(evaluations, 2.0);
    let evaluation = scored(&again);
    assert!(evaluation.warnings.is_empty(), "{:?}", evaluation.warnings);
}

/// Errors of students on their own add up along the chain; together they make up for each other.
#[test]
fn students_trained_together_arrive_nearer() {
    let folder = tempfile::tempdir().unwrap();
    let chain = base(folder.path(), "chain", &CHAIN);
    let (accurate, _) = ends(&chain, &Solver::default(), &Condition::None);
    let found = |together: &str| {
        let share = format!("flow.objective.together={together}");
        let cold =
            ["flow.objective.warm_start=false", "flow.objective.students=4", "train.steps=600", &share];
        let session = students(folder.path(), "chain", together, &cold);
        distance(&own(&session.flow(), &Condition::None).0, &accurate)
    };
    let [alone, together] = ["0.0", "0.5"].map(found);
    assert!(together < 0.9 * alone, "{together}, {alone} alone");
}

#[test]
fn classes_are_taught_along() {
    let folder = tempfile::tempdir().unwrap();
    let labels = ["data.target.kind=eight-gaussians", "data.standardise=true", "data.condition.kind=label"];
    let flow = base(folder.path(), "flow", &labels);
    let session = students(folder.path(), "flow", "students", &["flow.objective.widths=[48,32]"]);
    let told = Condition::Labels((0..300).map(|row| row % 8).collect());
    let (points, _) = own(&session.flow(), &told);
    let (accurate, _) = ends(&flow, &Solver::default(), &told);
    // Another class is several units away.
    assert!(distance(&points, &accurate) < 0.5, "{}", distance(&points, &accurate));
}

#[test]
fn a_stopped_distillation_goes_on_to_the_same_bits_without_its_teacher() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    drop(base(folder.path(), "chain", &[&CHAIN[..], &["train.steps=60"]].concat()));
    let small = ["train.steps=25", "train.checkpoint_every=4", "flow.objective.together=0.4"];
    let unbroken = students(folder.path(), "chain", "unbroken", &small);
    let expected = unbroken.state.to_checkpoint(&unbroken.recipe, &unbroken.summary);
    // With the first student, where its part ends, with the second, where it ends, and with both.
    for stop in [3, 7, 12, 15, 21] {
        let name = format!("stopped {stop}");
        let mut session = begin(STUDENTS, Some(&at("chain")), &small, &at(&name)).unwrap();
        assert_eq!(train(&mut session, Some(stop)), Ending::Stopped);
        drop(session);
        fs::rename(at("chain"), at("away")).unwrap();
        let mut resumed = Session::resume(&at(&name)).unwrap();
        assert_eq!(train(&mut resumed, None), Ending::Finished);
        let found = resumed.state.to_checkpoint(&resumed.recipe, &resumed.summary);
        assert!(found == expected, "stopped at {stop}");
        fs::rename(at("away"), at("chain")).unwrap();
    }
    // What was kept is damaged, so the teacher is asked again; and it is missed when it is gone.
    let mut session = begin(STUDENTS, Some(&at("chain")), &small, &at("damaged")).unwrap();
    train(&mut session, Some(7));
    drop(session);
    fs::remove_file(at("damaged").join("made/model.safetensors")).unwrap();
    fs::rename(at("chain"), at("away")).unwrap();
    let mut resumed = Session::resume(&at("damaged")).unwrap();
    let error = resumed
        .train(&mut thalweg_run::Sinks::new(), |_| std::ops::ControlFlow::Continue(()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("the run to start from cannot be used"), "{error}");
    assert!(error.contains("the states that were kept are made again"), "{error}");
    drop(resumed);
    fs::rename(at("away"), at("chain")).unwrap();
    let mut resumed = Session::resume(&at("damaged")).unwrap();
    assert_eq!(train(&mut resumed, None), Ending::Finished);
    assert!(resumed.state.to_checkpoint(&resumed.recipe, &resumed.summary) == expected);
    drop(resumed);
    // A teacher that has learned something else since teaches no more.
    let mut session = begin(STUDENTS, Some(&at("chain")), &small, &at("betrayed")).unwrap();
    train(&mut session, Some(7));
    drop(session);
    fs::remove_dir_all(at("betrayed").join("made")).unwrap();
    fs::rename(at("chain"), at("away")).unwrap();
    drop(base(folder.path(), "chain", &[&CHAIN[..], &["train.steps=61"]].concat()));
    let mut resumed = Session::resume(&at("betrayed")).unwrap();
    let ending = resumed.train(&mut thalweg_run::Sinks::new(), |_| std::ops::ControlFlow::Continue(()));
    assert!(ending.unwrap_err().to_string().contains("has other weights"));
}

/// One step of Euler is what students make, however it is written.
#[test]
fn their_own_solver_may_be_named() {
    let folder = tempfile::tempdir().unwrap();
    drop(base(folder.path(), "flow", &["train.steps=8"]));
    let named = ["evaluate.solver={method='euler',steps={fixed=1}}", "train.steps=4"];
    let flow = students(folder.path(), "flow", "students", &named).flow();
    assert_eq!(ends(&flow, &Solver::fixed(Method::Euler, 1), &Condition::None).1, 2.0);
}

/// Guided samples are what is taught, and students are not guided once more.
#[test]
fn guidance_is_taught_along() {
    let folder = tempfile::tempdir().unwrap();
    let told = [
        "data.target.kind=eight-gaussians",
        "data.standardise=true",
        "data.condition.kind=label",
        "model.condition_dropout=0.2",
        "evaluate.guidance=2.0",
    ];
    let flow = base(folder.path(), "flow", &told);
    let session = students(folder.path(), "flow", "students", &["flow.objective.students=1"]);
    assert_eq!((session.recipe.evaluate.guidance, session.recipe.model.condition_dropout), (1.0, 0.0));
    let told = Condition::Labels((0..300).map(|row| row % 8).collect());
    let (points, evaluations) = own(&session.flow(), &told);
    let at = |guidance: f64| {
        let (condition, equation) = (ConditionRequest::AsInData, Equation::Flow(Solver::default()));
        let request = SampleRequest { number: 300, seed: 5, condition, guidance, equation };
        flow.sample_from(&flow.source(300, 5).unwrap(), &told, &request).unwrap().points
    };
    let [plain, guided] = [1.0, 2.0].map(|guidance| distance(&points, &at(guidance)));
    assert!(guided < 0.5 * plain && evaluations == 1.0, "{guided}, {plain} from plain");
}

#[test]
fn a_teacher_whose_newest_checkpoint_is_damaged_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    drop(base(folder.path(), "flow", &["train.steps=8", "train.checkpoint_every=4"]));
    let newest = folder.path().join("flow/checkpoints/step-00000008/average.safetensors");
    fs::write(newest, b"half").unwrap();
    for (text, name) in [(STUDENTS, "students"), (tuned::TUNED, "tuned")] {
        let begun =
            begin(text, Some(&folder.path().join("flow")), &["train.steps=8"], &folder.path().join(name));
        let warnings = begun.unwrap().warnings;
        let told = |warning: &String| warning.contains("skipped a checkpoint") && warning.contains("flow: ");
        assert!(warnings.iter().any(told), "{name}: {warnings:?}");
    }
}

#[test]
fn an_evaluation_by_other_steps_is_refused_as_sampling_is() {
    let folder = tempfile::tempdir().unwrap();
    drop(base(folder.path(), "flow", &["train.steps=8"]));
    let session = students(folder.path(), "flow", "students", &["train.steps=8"]);
    let options =
        EvaluateOptions { solver: Some(Solver::fixed(Method::Euler, 4)), ..EvaluateOptions::default() };
    let error = evaluate(&session.flow(), &session.dataset, &options).unwrap_err();
    assert!(error.is_request() && error.to_string().contains("leave the solver out"), "{error}");
}

#[test]
fn what_cannot_be_distilled_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    drop(base(folder.path(), "chain", &[&CHAIN[..], &["train.steps=8"]].concat()));
    drop(base(folder.path(), "flow", &["train.steps=8"]));
    let refused = |base: &str, overrides: &[&str], expected: &str| {
        let error = begin(STUDENTS, Some(&at(base)), overrides, &at("refused")).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(expected), "{overrides:?}: {error}");
        assert!(error.is_request() && !at("refused").exists(), "{error}");
    };
    refused("chain", &["flow.objective.students=0"], "at least 1");
    refused("chain", &["flow.objective.students=3"], "take a divisor of 4");
    refused("chain", &["flow.objective.networks=8"], "has 4 networks");
    refused("chain", &["flow.objective.teacher=x"], "has other weights");
    refused("chain", &["flow.objective.pairs=9000000000000000000"], "do not fit into memory");
    refused("chain", &["flow.objective.students=100000"], "at most 1000");
    refused("chain", &["flow.objective.solver={method='euler',steps={grid=[0,1]}}"], "not a grid");
    refused("chain", &["flow.objective.together=0.001", "train.steps=40"], "less than one step");
    refused("chain", &["flow.objective.pairs=3"], "at least `train.batch`");
    refused("chain", &["flow.objective.widths=[3]"], "1 widths for 2 networks");
    refused("chain", &["flow.objective.together=1.0"], "a share lies in [0, 1)");
    refused("chain", &["flow.objective.together=0.5", "flow.objective.students=1"], "one student is alone");
    refused("chain", &["flow.objective.together=0.9", "train.steps=3"], "at least as many steps");
    refused("chain", &["flow.objective.student=2"], "unknown key");
    refused("flow", &["flow.coupling.kind=optimal-transport"], "remove the coupling");
    refused("flow", &["flow.path={kind='trigonometric'}"], "remove it");
    refused("flow", &["flow.time.kind=stratified"], "remove the time sampler");
    refused("flow", &["flow.prediction=noise"], "flow.prediction");
    refused("flow", &["flow.times_per_pair=2"], "flow.times_per_pair");
    refused("flow", &["local.blocks=2"], "remove the objective");
    refused("flow", &["residual.head.kind=mlp"], "second stage");
    refused("flow", &["evaluate.likelihood_points=5"], "have no likelihood");
    refused("flow", &["evaluate.solver={method='rk4',steps={fixed=3}}"], "evaluate.solver");
    refused("flow", &["train.steps=1"], "at least as many steps");
    refused("flow", &["data.target.kind=two-moons"], "other data");
    refused("nowhere", &[], "train it first");
    // Neither is a chain gone on with in other ways.
    for kind in ["reflow", "reconstruction"] {
        let kind = format!("flow.objective.kind={kind}");
        let changes = ["evaluate.solver={method='euler',steps={fixed=3}}", &kind];
        let error =
            begin(tuned::TUNED, Some(&at("chain")), &changes, &at("refused")).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("is a chain of networks"), "{error}");
    }
    let alone = tuned::read(STUDENTS, None, &["data.target.kind=checkerboard"]).unwrap_err();
    assert!(alone.to_string().contains("say which with `from.run`"), "{alone}");
}

#[test]
fn what_students_cannot_do_is_said() {
    let folder = tempfile::tempdir().unwrap();
    drop(base(folder.path(), "flow", &["train.steps=8"]));
    let session = students(folder.path(), "flow", "students", &["train.steps=4"]);
    let flow = session.flow();
    let likelihood = flow.log_likelihood(
        &[0.0, 0.0],
        &Condition::None,
        &Solver::default(),
        thalweg_flow::Divergence::default(),
        0,
    );
    assert!(likelihood.unwrap_err().to_string().contains("single steps of networks give no likelihood"));
    let asked = |equation| {
        let condition = ConditionRequest::AsInData;
        let request = SampleRequest { number: 3, seed: 0, condition, guidance: 1.0, equation };
        flow.sample(&request).unwrap_err().to_string()
    };
    assert!(asked(Equation::Flow(Solver::default())).contains("leave the solver out"));
    assert!(
        asked(Equation::Ancestral {
            freshness: 1.0,
            steps: 3,
            variance: thalweg_flow::StepVariance::default(),
            clip: None
        })
        .contains("leave them out")
    );
    assert!(asked(Equation::Stochastic { strength: 1.0, steps: 3 }).contains("leave them out"));
}
