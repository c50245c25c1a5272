//! Reflow: paths become straighter, where they lead stays, conditions travel along, and what cannot work is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod tuned;

use thalweg_data::Condition;
use thalweg_solve::{Method, Solver};
use thalweg_train::{Ending, Equation, SampleRequest, Session, TrainedFlow};
use tuned::{Bench, score, scored, train};

const REFLOW: &str = "flow.objective.kind=reflow";
const ACCURATE: &str = "evaluate.solver={method='dopri5',steps={adaptive={}}}";

/// Where each flow takes the same noise.
fn ends(flow: &TrainedFlow, source: &[f64], condition: &Condition, solver: &Solver) -> Vec<f64> {
    let request = SampleRequest {
        number: source.len() / flow.summary.dim,
        seed: 0,
        condition: thalweg_train::ConditionRequest::AsInData,
        guidance: 1.0,
        equation: Equation::Flow(solver.clone()),
    };
    flow.sample_from(source, condition, &request).unwrap().points
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    (a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / a.len() as f64).sqrt()
}

/// Of a Gaussian the map of flow matching is that of optimal transport, and straight paths of it are its geodesics.
#[test]
fn a_gaussian_keeps_its_map_and_gets_straight_paths() {
    let bench = Bench::new(&[
        "data.target={kind='random-gaussian',dim=3,condition_number=16.0}",
        "data.standardise=false",
        "train.steps=1500",
        "train.learning_rate={kind='warm-up-cosine',rate=0.004,warm_up=0.05}",
    ]);
    let rounds = [
        REFLOW,
        ACCURATE,
        "train.steps=1500",
        "train.batch=256",
        "train.learning_rate={kind='warm-up-cosine',rate=0.004,warm_up=0.05}",
        "evaluate.samples=1000",
    ];
    let session = bench.tune("straight", &rounds);
    let (flow, base) = (session.flow(), session.flow().base().unwrap());
    let evaluation = scored(&session);
    let before = &evaluation.base.as_ref().unwrap().scores;
    let [after, before] = [&evaluation.scores, before].map(|scores| score(scores, "straightness"));
    assert!(after < 0.1 * before, "{after}, {before} before");
    let source = flow.source(500, 7).unwrap();
    let accurate = Solver::default();
    let [a, b] = [&flow, &base].map(|flow| ends(flow, &source, &Condition::None, &accurate));
    assert!(distance(&a, &b) < 0.06, "{}", distance(&a, &b));
    // One step is then nearly as good as all of them.
    let one = Solver::fixed(Method::Euler, 1);
    let [c, d] = [&flow, &base].map(|flow| ends(flow, &source, &Condition::None, &one));
    assert!(distance(&c, &b) < 0.2 * distance(&d, &b), "{}, {}", distance(&c, &b), distance(&d, &b));
}

#[test]
fn classes_travel_with_their_pairs_and_data_can_be_mixed_in() {
    let bench =
        Bench::new(&["data.target.kind=eight-gaussians", "data.condition.kind=label", "train.steps=1500"]);
    for (name, encoded) in [("noise", "0.0"), ("mixed", "0.4"), ("data", "1.0")] {
        let share = format!("flow.objective.encoded={encoded}");
        let session = bench.tune(name, &[REFLOW, ACCURATE, &share, "train.steps=400", "train.batch=200"]);
        let (flow, base) = (session.flow(), session.flow().base().unwrap());
        let source = flow.source(400, 3).unwrap();
        let told = Condition::Labels((0..400).map(|row| row % 8).collect());
        let [a, b] = [&flow, &base].map(|flow| ends(flow, &source, &told, &Solver::default()));
        // Pairs of the wrong class would be whole units away.
        assert!(distance(&a, &b) < 0.4, "{name}: {}", distance(&a, &b));
        let evaluation = scored(&session);
        let before = &evaluation.base.as_ref().unwrap().scores;
        let [after, before] = [&evaluation.scores, before].map(|scores| score(scores, "straightness"));
        assert!(after < 0.7 * before, "{name}: {after}, {before} before");
    }
}

#[test]
fn a_stopped_and_resumed_reflow_makes_the_bits_of_an_unbroken_one_and_rounds_go_on() {
    let bench = Bench::new(&["train.steps=60"]);
    let small = [
        REFLOW,
        "flow.objective.pool=300",
        "flow.objective.passes=2",
        "flow.objective.encoded=0.25",
        "train.steps=20",
        "train.batch=64",
        "train.checkpoint_every=7",
    ];
    let unbroken = bench.tune("unbroken", &small);
    // Within a pool, and at its end.
    for stop in [5, 9] {
        let name = format!("stopped {stop}");
        assert_eq!(train(&mut bench.begin(&name, &small).unwrap(), Some(stop)), Ending::Stopped);
        let mut resumed = Session::resume(&bench.at(&name)).unwrap();
        assert_eq!(train(&mut resumed, None), Ending::Finished);
        let [a, b] = [&unbroken, &resumed].map(|s| s.state.to_checkpoint(&s.recipe, &s.summary));
        assert!(a == b, "stopped at {stop}");
    }
    // The second round starts from the first.
    drop(unbroken);
    let changes: Vec<&str> = small.to_vec();
    let mut second =
        tuned::begin(tuned::TUNED, Some(&bench.at("unbroken")), &changes, &bench.at("second")).unwrap();
    assert_eq!(train(&mut second, None), Ending::Finished);
    assert!(second.flow().base().is_some());
}

#[test]
fn a_table_with_fewer_rows_than_a_pool_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<String> =
        (0..50).map(|i| format!("{},{},{}", f64::from(i % 7), f64::from(i % 5), i % 3)).collect();
    std::fs::write(folder.path().join("t.csv"), format!("a,b,c\n{}\n", rows.join("\n"))).unwrap();
    let table = [
        "data.target={kind='file',path='t.csv'}",
        "data.condition={kind='columns',columns=['c']}",
        "data.standardise=true",
        "train.steps=20",
        "train.batch=20",
    ];
    let read = tuned::read(tuned::BASE, None, &table).unwrap();
    train(&mut Session::begin(read.recipe, folder.path(), &folder.path().join("base")).unwrap(), None);
    for encoded in ["0.0", "0.5", "1.0"] {
        let share = format!("flow.objective.encoded={encoded}");
        let changes = [REFLOW, &share, "train.steps=4", "train.batch=16", "flow.objective.pool=200"];
        let out = folder.path().join(encoded);
        let mut session =
            tuned::begin(tuned::TUNED, Some(&folder.path().join("base")), &changes, &out).unwrap();
        assert_eq!(train(&mut session, None), Ending::Finished, "{encoded}");
    }
}

#[test]
fn what_cannot_be_straightened_is_refused() {
    let bench = Bench::new(&["train.steps=20"]);
    let refused = |overrides: &[&str], expected: &str| {
        let found = bench.refusal(&[&[REFLOW], overrides].concat());
        assert!(found.contains(expected), "{overrides:?}: {found}");
    };
    refused(&["flow.coupling.kind=optimal-transport"], "remove the coupling");
    refused(&["flow.objective.pool=3"], "at least `train.batch`");
    refused(&["flow.objective.passes=0"], "at least 1");
    refused(&["flow.objective.encoded=1.5"], "between 0 and 1");
    refused(&["flow.objective.encoded=nan"], "between 0 and 1");
    refused(&["flow.objective.solver={method='euler',steps={fixed=0}}"], "flow.objective.solver");
    refused(&["flow.objective.pairs.kind=self"], "unknown key");
    refused(&["flow.path={kind='trigonometric'}"], "another path");
    refused(&["residual.head.kind=mlp"], "trained on reconstructions");
    let alone = tuned::read(tuned::TUNED, None, &["data.target.kind=checkerboard", REFLOW]).unwrap_err();
    assert!(alone.to_string().contains("say which with `from.run`"), "{alone}");
}
