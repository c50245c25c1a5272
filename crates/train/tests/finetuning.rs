//! Fine-tuning on reconstructions, from a base to what it has become: it mends few steps, it keeps the best weights, it
//! resumes to the same bits, it says when spread is lost, and it refuses what cannot work.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod tuned;

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;

use thalweg_run::{Event, RunDir, RunError, Sink, Sinks};
use thalweg_solve::{Method, Solver};
use thalweg_train::{
    BoundRequest, Ending, EvaluateOptions, Evaluation, RECIPES, ReadRecipe, Session, TrainedFlow,
    TruthChoice, evaluate, write_report, write_scores,
};
use tuned::{BASE, Bench, TUNED, begin, read, score, scored, train};

#[test]
fn every_kind_of_pairs_mends_few_steps_and_the_evaluation_shows_both() {
    let bench = Bench::new(&[]);
    for kind in ["self", "ot-input", "ot-output", "debiased"] {
        let kind_key = format!("flow.objective.pairs.kind={kind}");
        let session = bench.tune(kind, &[&kind_key]);
        let evaluation = scored(&session);
        let base = evaluation.base.as_ref().unwrap();
        let [tuned, before] = [&evaluation.scores, &base.scores].map(|scores| score(scores, "sliced-w2"));
        assert!(tuned < 0.6 * before, "{kind}: {tuned}, {before} before");
        assert_eq!(score(&base.scores, "nfe"), 3.0);
        let watch = &session.state.watch;
        let (first, best) = (watch.first.unwrap(), watch.best.as_ref().unwrap());
        assert!(best.distance < first.distance && best.step > 0, "{kind}");
        assert!(session.verdict().unwrap().contains(&format!("the weights of step {} are kept", best.step)));
        // The base alone gives the same scores, so what stands beside is the base.
        if kind == "self" {
            let (flow, _) = TrainedFlow::open(&RunDir::open(&bench.at("base")).unwrap()).unwrap();
            let options = EvaluateOptions { solver: Some(evaluation.solver.clone()), ..Default::default() };
            let alone = evaluate(&flow, &session.dataset, &options).unwrap();
            assert_eq!(score(&alone.scores, "sliced-w2"), before);
            assert!(alone.base.is_none());
            write_scores(&session.run, &session.flow(), &evaluation).unwrap();
            let text = std::fs::read_to_string(session.run.scores_path()).unwrap();
            assert!(text.contains("\"base\""));
            write_report(&session.flow(), &session.dataset, &evaluation, &session.run).unwrap();
            let page = std::fs::read_to_string(session.run.report_path()).unwrap();
            assert!(page.contains("before tuning") && page.contains("Samples before tuning"));
            assert!(page.contains("How steep the field is along t") && !page.contains("After the gap"));
            // What cannot be drawn is a warning in a report that is written all the same.
            let hopeless = Solver { max_steps: 1, ..Solver::default() };
            let evaluation = Evaluation { solver: hopeless, ..evaluation.clone() };
            write_report(&session.flow(), &session.dataset, &evaluation, &session.run).unwrap();
            let page = std::fs::read_to_string(session.run.report_path()).unwrap();
            assert!(!page.contains("How steep") && page.contains("Steepness"));
            assert!(page.contains("a picture is missing: following trajectories"));
        }
        // Opened again, the best weights are those that are used.
        let (opened, _) = TrainedFlow::open(&session.run).unwrap();
        let again = evaluate(&opened, &session.dataset, &EvaluateOptions::default()).unwrap();
        assert_eq!(score(&again.scores, "sliced-w2"), tuned);
    }
}

#[test]
fn everything_else_that_a_recipe_may_ask_for_changes_the_weights() {
    let bench = Bench::new(&["train.steps=30"]);
    let short = ["train.steps=3", "train.validate_every=3"];
    let weights = |name: &str, overrides: &[&str]| {
        let session = bench.tune(name, &[&short[..], overrides].concat());
        let found = session.state.to_checkpoint(&session.recipe, &session.summary);
        assert!(session.state.step == 3);
        found.model
    };
    let plain = weights("plain", &[]);
    assert!(
        plain == weights("again", &["flow.objective.pairs.kind=ot-input"]),
        "the paper's pairs are the default"
    );
    for (name, change) in [
        ("a", "flow.objective.matching=0.5"),
        ("b", "flow.objective.anchor=10.0"),
        ("c", "flow.objective.regularisation.kinetic=0.5"),
        ("d", "flow.objective.regularisation.jacobian=0.5"),
        ("e", "flow.objective.pairing_batch=256"),
        ("f", "flow.objective.covariance={kind='learned'}"),
        ("g", "flow.objective.covariance={kind='diagonal',variances=[1.0,4.0]}"),
        ("h", "flow.objective.solver={method='midpoint',steps={fixed=2}}"),
        ("i", "flow.objective.pairs={kind='self',pool=200,passes=1}"),
        ("j", "flow.objective.solver={method='dopri5',steps={adaptive={}}}"),
    ] {
        assert!(plain != weights(name, &[change]), "{change} changes nothing");
    }
}

#[test]
fn an_anchor_holds_the_weights_where_they_were() {
    let bench = Bench::new(&["train.steps=30"]);
    let away = |name: &str, anchor: &str| {
        let session = bench.tune(name, &["train.steps=60", "flow.objective.guard.patience=0", anchor]);
        let flow = session.flow();
        let (mut now, mut then) = (Vec::new(), Vec::new());
        for (flow, into) in [(&flow, &mut now), (&flow.base().unwrap(), &mut then)] {
            into.extend(
                flow.velocities(&[0.5, 0.5, -1.0, 2.0], &thalweg_data::Condition::None, 0.5).unwrap(),
            );
        }
        now.iter().zip(&then).map(|(a, b)| (a - b).abs()).sum::<f64>()
    };
    let (free, held) =
        (away("free", "flow.objective.anchor=0.0"), away("held", "flow.objective.anchor=100.0"));
    assert!(held < 0.3 * free, "{held}, {free}");
}

#[test]
fn a_stopped_and_resumed_fine_tuning_makes_the_bits_of_an_unbroken_one() {
    let bench = Bench::new(&["train.steps=100"]);
    for kind in ["ot-output", "self"] {
        let pairs = format!("flow.objective.pairs.kind={kind}");
        let overrides = ["train.steps=40", "train.validate_every=10", "train.checkpoint_every=15", &pairs];
        let unbroken = bench.tune(&format!("{kind} unbroken"), &overrides);
        // At a step with a look, and between two.
        for stop in [20, 27] {
            let name = format!("{kind} {stop}");
            assert_eq!(train(&mut bench.begin(&name, &overrides).unwrap(), Some(stop)), Ending::Stopped);
            let mut resumed = Session::resume(&bench.at(&name)).unwrap();
            assert_eq!(resumed.state.step, stop);
            assert_eq!(train(&mut resumed, None), Ending::Finished);
            let [a, b] = [&unbroken, &resumed].map(|s| s.state.to_checkpoint(&s.recipe, &s.summary));
            assert!(a == b, "{name} differs from the unbroken one");
        }
    }
}

#[derive(Default)]
struct Warnings(Rc<RefCell<Vec<String>>>);

impl Sink for Warnings {
    fn event(&mut self, event: &Event) -> Result<(), RunError> {
        if let Event::Warning { message, .. } = event {
            self.0.borrow_mut().push(message.clone());
        }
        Ok(())
    }
}

#[test]
fn lost_spread_is_told_of_and_patience_ends_the_training_with_the_best_weights() {
    let bench = Bench::new(&[]);
    // Pairs of a few points only, far too long and far too fast.
    let overrides = [
        "train.steps=2000",
        "train.batch=2",
        "train.validate_every=40",
        "train.learning_rate.rate=0.003",
        "evaluate.solver={method='dopri5',steps={adaptive={tolerance={relative=1e-3,absolute=1e-3}}}}",
        "flow.objective.solver={method='midpoint',steps={fixed=6}}",
        "flow.objective.guard={metric='energy',patience=4}",
    ];
    let mut session = bench.begin("collapsing", &overrides).unwrap();
    let warnings = Warnings::default();
    let told = Rc::clone(&warnings.0);
    let mut sinks = Sinks::new();
    sinks.add("warnings", warnings);
    assert_eq!(session.train(&mut sinks, |_| ControlFlow::Continue(())).unwrap(), Ending::Finished);
    let watch = session.state.watch.clone();
    assert!(watch.ended && session.is_finished() && session.state.step < 2000, "{}", session.state.step);
    assert_eq!(told.borrow().iter().filter(|text| text.starts_with("the flow is losing spread")).count(), 1);
    let best = watch.best.unwrap();
    assert!(
        session.state.average_by_name().iter().all(|(name, kept)| {
            kept.clone().equal(best.weights[name].clone()).all().into_scalar::<bool>()
        })
    );
    // A run that has ended has nothing left to do.
    let step = session.state.step;
    drop(session);
    let mut again = Session::resume(&bench.at("collapsing")).unwrap();
    assert!(again.is_finished());
    assert_eq!(train(&mut again, None), Ending::Finished);
    assert_eq!(again.state.step, step);
}

#[test]
fn conditions_are_paired_within_their_class_and_the_spread_under_one_is_watched() {
    let bench = Bench::new(&["data.target.kind=two-moons", "data.condition.kind=label", "train.steps=300"]);
    for kind in ["paired", "ot-output", "self", "ot-input"] {
        let session = bench.tune(kind, &[&format!("flow.objective.pairs.kind={kind}"), "train.steps=60"]);
        let first = session.state.watch.first.unwrap();
        let spread = first.condition_spread.unwrap();
        assert!(spread > 0.0 && spread < 2.0, "{kind}: {spread}");
        let before = scored(&session).base.unwrap();
        assert!(score(&before.scores, "sliced-w2").is_finite());
    }
    let refused = bench.refusal(&["flow.objective.pairs.kind=debiased"]);
    assert!(refused.contains("does not see conditions"), "{refused}");
}

#[test]
fn a_run_may_start_from_another_with_any_objective() {
    let bench = Bench::new(&["train.steps=60"]);
    let longer = begin(BASE, Some(&bench.at("base")), &["name=longer", "train.steps=5"], &bench.at("longer"));
    let mut longer = longer.unwrap();
    let start = longer.flow().base().unwrap();
    let velocity =
        |flow: &TrainedFlow| flow.velocities(&[0.3, -0.4], &thalweg_data::Condition::None, 0.5).unwrap();
    assert_eq!(velocity(&longer.flow()), velocity(&start), "the run begins with the weights of its base");
    assert_eq!(train(&mut longer, None), Ending::Finished);
    assert_ne!(velocity(&longer.flow()), velocity(&start));
    drop(longer);
    // The other run is needed no more.
    std::fs::remove_dir_all(bench.at("base")).unwrap();
    assert_eq!(
        velocity(&Session::resume(&bench.at("longer")).unwrap().flow().base().unwrap()),
        velocity(&start)
    );
}

#[test]
fn what_cannot_be_tuned_is_refused() {
    let bench = Bench::new(&["train.steps=20"]);
    let refused = |overrides: &[&str], expected: &str| {
        let found = bench.refusal(overrides);
        assert!(found.contains(expected), "{overrides:?}: {found}");
    };
    refused(&["model.width=16"], "the network of");
    refused(&["data.target.kind=two-moons"], "was trained on other data");
    refused(&["flow.coupling.kind=optimal-transport"], "flow.objective.pairs");
    refused(&["train.accumulate=2"], "paired as a whole");
    refused(&["flow.objective.pairs.kind=paired"], "no condition to pair by");
    refused(&["flow.objective.pairing_batch=4"], "at least `train.batch`");
    refused(&["flow.objective.pairs.kind=self", "flow.objective.pairing_batch=512"], "no larger batch");
    refused(&["flow.objective.pairs={kind='self',pool=4}"], "at least `train.batch`");
    refused(&["flow.objective.pairs={kind='self',passes=0}"], "at least 1");
    refused(&["flow.objective.pairs.kind=debiased", "train.batch=101"], "even");
    refused(
        &["flow.objective.pairs.kind=debiased", "flow.objective.covariance.kind=learned"],
        "no covariance",
    );
    refused(&["flow.objective.covariance={kind='diagonal',variances=[1.0,0.0]}"], "must be positive");
    refused(&["flow.objective.covariance={kind='diagonal',variances=[1.0]}"], "one for each coordinate");
    refused(&["flow.objective.matching=-1.0"], "not negative");
    refused(&["flow.objective.anchor=nan"], "not negative");
    refused(&["flow.objective.pairs.kind=nearest"], "nearest");
    refused(&["flow.objective.solver={method='euler',steps={fixed=0}}"], "flow.objective.solver");
    refused(&["evaluate.guidance=2.0"], "guidance");
    refused(&["from.runs=x"], "unknown key");
    refused(&["from.run=nowhere"], "train it first");

    let alone = read(TUNED, None, &["data.target.kind=checkerboard"]).unwrap_err().to_string();
    assert!(alone.contains("say which with `from.run`"), "{alone}");

    // A base that has lost a weight, or is not a run at all.
    let damaged = bench.tune("damaged", &["train.steps=2"]);
    drop(damaged);
    let base = bench.at("damaged").join("base/average.safetensors");
    let mut bytes = std::fs::read(&base).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&base, bytes).unwrap();
    let error = Session::resume(&bench.at("damaged")).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("average.safetensors"), "{error}");
    std::fs::create_dir(bench.at("empty")).unwrap();
    let error = read(TUNED, Some(&bench.at("empty")), &[]).unwrap_err().to_string();
    assert!(error.contains("the run to start from cannot be used"), "{error}");
}

/// A table beside the recipe of the base, from which later runs are started elsewhere.
#[test]
fn tables_are_found_where_the_base_found_them_and_small_ones_say_what_to_lower() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let rows: Vec<String> = (0..40).map(|i| format!("{},{}", f64::from(i % 7), f64::from(i % 5))).collect();
    std::fs::write(at("t.csv"), format!("a,b\n{}\n", rows.join("\n"))).unwrap();
    let table = [
        "data.target={kind='file',path='t.csv'}",
        "data.standardise=true",
        "train.steps=20",
        "train.batch=20",
    ];
    let ReadRecipe { recipe, .. } = read(BASE, None, &table).unwrap();
    train(&mut Session::begin(recipe, folder.path(), &at("base")).unwrap(), None);

    let small = ["train.steps=4", "train.batch=10", "train.validate_every=2"];
    let tune =
        |name: &str, more: &[&str]| begin(TUNED, Some(&at("base")), &[&small[..], more].concat(), &at(name));
    // The same setting said again changes nothing about where the table is.
    let mut session = tune("tuned", &["data.standardise=true"]).unwrap();
    train(&mut session, None);
    assert!(session.verdict().unwrap().contains("training points, for none are held out"));
    let refused = |more: &[&str], expected: &str| {
        let error = tune("refused", more).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!at("refused").exists(), "{error}");
    };
    refused(&["flow.objective.pairing_batch=64"], "`flow.objective.pairing_batch`");
    refused(&["data.standardise=false"], "other data or in other units");
    refused(&["data.target.path=nowhere.csv"], "nowhere.csv");
    // More trajectories than rows are no trouble for a bound.
    let told = ["data.condition={kind='columns',columns=['b']}", "name=told"];
    let ReadRecipe { recipe, .. } = read(BASE, None, &[&table[..], &told].concat()).unwrap();
    let mut session = Session::begin(recipe, folder.path(), &at("told")).unwrap();
    train(&mut session, None);
    let request = BoundRequest {
        method: Method::Euler,
        steps: 3,
        points: 90,
        seed: 0,
        truth: TruthChoice::Known,
        until: None,
    };
    let report = session.flow().bound(Some(&session.dataset), &request).unwrap();
    assert_eq!(report.errors.measured[3].len(), 90);
}

/// One penalty that is asked for does not bring others.
#[test]
fn penalties_that_are_not_asked_for_are_none() {
    let bench = Bench::new(&["train.steps=5"]);
    let session = bench.begin("one", &["flow.objective.regularisation.kinetic=0.1"]).unwrap();
    let written = thalweg_run::to_toml(&session.recipe);
    assert!(written.contains("kinetic = 0.1") && written.contains("jacobian = 0.0"), "{written}");
}

/// A standardised set without a table learns its units from the seed.
#[test]
fn another_seed_may_not_change_the_units() {
    let bench = Bench::new(&["train.steps=5", "data.standardise=true"]);
    let refused = bench.refusal(&["seed=9"]);
    assert!(refused.contains("other units"), "{refused}");
}

/// Of a tuned run the flow before is what it is held against.
#[test]
fn a_tuned_flow_is_bounded_against_the_flow_before() {
    let bench = Bench::new(&[]);
    let session = bench.tune("tuned", &["flow.objective.pairs.kind=self"]);
    let bound = |truth| {
        let request =
            BoundRequest { method: Method::Euler, steps: 3, points: 10, seed: 0, truth, until: None };
        session.flow().bound(None, &request).unwrap()
    };
    let (before, own) = (bound(TruthChoice::Known), bound(TruthChoice::Own));
    assert!(before.truth.contains("before it was tuned") && before.errors.field_error > 0.0);
    assert_eq!(own.errors.field_error, 0.0);
}

/// Embedded recipes that start from another run, each from a short training of it.
#[test]
fn every_recipe_that_starts_from_another_run_trains() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = ["train.steps=6", "train.batch=32", "train.log_every=2", "model.width=8"];
    for embedded in RECIPES {
        let Some(run) = embedded.starts_from() else { continue };
        let base = folder.path().join(&run);
        let name = run.rsplit('/').next().unwrap();
        if !base.exists() {
            let text = thalweg_train::find_recipe(name).expect("the base is a recipe of ours").text;
            train(&mut begin(text, None, &tiny, &base).unwrap(), None);
        }
        let short = ["train.steps=8", "train.batch=32", "train.validate_every=2"];
        let mut session =
            begin(embedded.text, Some(&base), &short, &folder.path().join(embedded.name)).unwrap();
        assert_eq!(session.recipe.name, embedded.name);
        assert_eq!(train(&mut session, None), Ending::Finished, "{}", embedded.name);
        let written = thalweg_run::to_toml(&session.recipe);
        assert_eq!(read(&written, None, &[]).unwrap().recipe, session.recipe, "{}", embedded.name);
    }
}
