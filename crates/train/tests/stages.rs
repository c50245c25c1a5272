//! Second stages in a run: every kind is trained, kept, resumed, sampled and scored, and what cannot work is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod tuned;

use thalweg_data::Condition;
use thalweg_flow::Divergence;
use thalweg_run::RunDir;
use thalweg_solve::{Method, Solver, Steps, Tolerance};
use thalweg_train::{
    CertifyRequest, ConditionRequest, Ending, Equation, EvaluateOptions, SampleRequest, Session, TrainedFlow,
    evaluate, write_report,
};
use tuned::{Bench, score, scored, train};

const KINDS: [(&str, &str); 5] = [
    ("anchored", "residual.head={kind='contracting'}"),
    ("equilibrium", "residual.head={kind='contracting',form='equilibrium',metric='learned',rate=0.05}"),
    ("free", "residual.head={kind='free',terms={functions=['tanh',{softplus={}}],units=8}}"),
    ("mlp", "residual.head={kind='mlp',width=16,hidden_layers=1}"),
    ("network", "residual.head={kind='network'}"),
];

fn weights(session: &Session) -> thalweg_run::Tensors {
    session.state.to_checkpoint(&session.recipe, &session.summary).average
}

fn samples(flow: &TrainedFlow) -> thalweg_train::Samples {
    let request = SampleRequest {
        number: 200,
        seed: 1,
        condition: ConditionRequest::AsInData,
        guidance: 1.0,
        equation: Equation::Flow(flow.recipe.evaluate.solver.clone()),
    };
    flow.sample(&request).unwrap()
}

#[test]
fn every_kind_improves_on_its_base_and_leaves_a_frozen_flow_as_it_was() {
    let bench = Bench::new(&[]);
    for (name, head) in KINDS {
        // What shrinks all distances can only mend a flow that is stretched in turn.
        let first = if name == "equilibrium" { "tuned" } else { "frozen" };
        let first_key = format!("residual.first={first}");
        let pairs = "flow.objective.pairs.kind=debiased";
        let session = bench.tune(name, &[head, &first_key, pairs, "train.steps=300"]);
        let flow = session.flow();
        assert!(flow.base().unwrap().second_stage().is_none());
        let before = session.run.read_base().unwrap().average;
        for (parameter, tensor) in before.iter() {
            let is_same = weights(&session).get(parameter) == Some(tensor);
            assert_eq!(is_same, first == "frozen", "{name}: {parameter} is {first}");
        }
        let evaluation = scored(&session);
        let of_base = &evaluation.base.as_ref().unwrap().scores;
        let [tuned, before] = [&evaluation.scores, of_base].map(|scores| score(scores, "sliced-w2"));
        assert!(tuned < 0.9 * before, "{name}: {tuned}, {before} before");
        // Three Euler steps, and eight Runge-Kutta steps of four.
        assert_eq!((score(&evaluation.scores, "nfe"), score(of_base, "nfe")), (35.0, 3.0));
        // Opened again it is the same flow.
        let (opened, _) = TrainedFlow::open(&session.run).unwrap();
        assert_eq!(samples(&opened), samples(&flow));
        // A flow that was tuned too is shown without its second stage, one that was not is the base.
        let alone = evaluation.flow_alone.as_ref();
        assert_eq!(alone.is_some(), first == "tuned");
        assert!(alone.is_none_or(|alone| score(&alone.scores, "nfe") == 3.0));
        let page = write_report(&opened, &session.dataset, &evaluation, &session.run).unwrap();
        let page = std::fs::read_to_string(page).unwrap();
        assert_eq!(page.contains("Samples by the flow alone"), first == "tuned");
        for expected in ["How steep the field is along t", "before tuning, largest", "is not counted.<"] {
            assert!(page.contains(expected), "{name}: {expected}");
        }
    }
}

#[test]
fn a_tuned_first_stage_moves_and_resumes_to_the_same_bits() {
    let bench = Bench::new(&["train.steps=100"]);
    for (kind, head) in KINDS {
        let overrides = [
            head,
            "residual.first=tuned",
            "flow.objective.pairs.kind=ot-output",
            "flow.objective.matching=0.1",
            "train.steps=12",
            "train.batch=32",
            "train.validate_every=4",
            "train.checkpoint_every=5",
        ];
        let unbroken = bench.tune(&format!("{kind} unbroken"), &overrides);
        let learned = unbroken.state.to_checkpoint(&unbroken.recipe, &unbroken.summary).model;
        let before = unbroken.run.read_base().unwrap().average;
        for name in ["layers.0.weight", "layers.2.bias"] {
            assert!(learned.get(name) != before.get(name), "{kind}: the first stage is tuned too");
        }
        let name = format!("{kind} broken");
        assert_eq!(train(&mut bench.begin(&name, &overrides).unwrap(), Some(7)), Ending::Stopped);
        let mut resumed = Session::resume(&bench.at(&name)).unwrap();
        assert_eq!(train(&mut resumed, None), Ending::Finished);
        let [a, b] = [&unbroken, &resumed].map(|s| s.state.to_checkpoint(&s.recipe, &s.summary));
        assert!(a == b, "{name} differs from the unbroken one");
    }
}

/// The density of two stages integrates to one, and is that of the samples: checked by its mean over a grid.
#[test]
fn likelihoods_go_through_both_stages() {
    let bench = Bench::new(&["train.steps=200"]);
    let head = "residual.head={kind='contracting',form='equilibrium',rate=0.3}";
    let accurate = "evaluate.solver={method='dopri5',steps={adaptive={}}}";
    let session = bench.tune("likelihood", &[head, accurate, "train.steps=20", "train.batch=64"]);
    let flow = session.flow();
    let (count, half) = (121_usize, 6.0);
    let at = |k: usize| -half + 2.0 * half * k as f64 / (count - 1) as f64;
    let grid: Vec<f64> = (0..count * count).flat_map(|i| [at(i / count), at(i % count)]).collect();
    let solver = Solver {
        method: Method::Dopri5,
        steps: Steps::Adaptive {
            tolerance: Tolerance { relative: 1e-5, absolute: 1e-5 },
            control: Default::default(),
            first_step: None,
        },
        ..Solver::default()
    };
    let found =
        flow.log_likelihood(&grid, &Condition::None, &solver, Divergence::default(), 0).unwrap().values;
    let cell = (2.0 * half / (count - 1) as f64).powi(2);
    let total: f64 = found.iter().map(|value| value.exp() * cell).sum();
    assert!((total - 1.0).abs() < 0.01, "{total}");
    // Without the second stage the density is another one.
    let first = TrainedFlow::open(&RunDir::open(&bench.at("base")).unwrap()).unwrap().0;
    let of_base =
        first.log_likelihood(&grid, &Condition::None, &solver, Divergence::default(), 0).unwrap().values;
    assert!(found.iter().zip(of_base).any(|(a, b)| (a.exp() - b.exp()).abs() > 1e-3));

    let anchored = bench.tune("anchored", &[KINDS[0].1, "train.steps=2"]);
    let evaluation = evaluate(&anchored.flow(), &anchored.dataset, &EvaluateOptions::default()).unwrap();
    assert!(!evaluation.scores.iter().any(|score| score.name == "nll"));
    let refused = anchored
        .flow()
        .log_likelihood(&grid, &Condition::None, &solver, Divergence::default(), 0)
        .unwrap_err();
    assert!(refused.to_string().contains("anchored"), "{refused}");
}

#[test]
fn trajectories_go_on_into_the_second_stage() {
    let bench = Bench::new(&["train.steps=50"]);
    let session = bench.tune("t", &[KINDS[1].1, "train.steps=5", "residual.duration=0.5"]);
    let flow = session.flow();
    let source = flow.source(20, 3).unwrap();
    let solver = &flow.recipe.evaluate.solver;
    let found = flow.trajectories(&source, &Condition::None, solver, 11).unwrap();
    assert_eq!(found.times.len(), 16);
    assert!((found.times[15] - 1.5).abs() < 1e-12 && (found.times[10] - 1.0).abs() < 1e-12);
    let request = SampleRequest {
        number: 20,
        seed: 3,
        condition: ConditionRequest::AsInData,
        guidance: 1.0,
        equation: Equation::Flow(solver.clone()),
    };
    let ends = flow.sample_from(&source, &Condition::None, &request).unwrap();
    for (a, b) in ends.points.iter().zip(&found.points[15]) {
        assert!((a - b).abs() < 1e-5, "{a}, {b}");
    }
}

#[test]
fn classes_and_vectors_reach_the_second_stage() {
    for (condition, pairs) in
        [("data.condition.kind=label", "ot-input"), ("data.condition.kind=label", "paired")]
    {
        let bench = Bench::new(&["data.target.kind=two-moons", condition, "train.steps=100"]);
        for (kind, head) in KINDS {
            let session = bench.tune(
                kind,
                &[head, &format!("flow.objective.pairs.kind={pairs}"), "train.steps=10", "train.batch=32"],
            );
            let made = samples(&session.flow());
            assert!(made.points.iter().all(|x| x.is_finite()), "{kind}");
        }
    }
}

#[test]
fn what_cannot_be_a_second_stage_is_refused() {
    let bench = Bench::new(&["train.steps=20"]);
    let refused = |overrides: &[&str], expected: &str| {
        let found = bench.refusal(overrides);
        assert!(found.contains(expected), "{overrides:?}: {found}");
    };
    let head = KINDS[0].1;
    refused(&[head, "residual.duration=0.0"], "residual.duration");
    refused(&[head, "residual.duration=nan"], "residual.duration");
    refused(&[head, "residual.duration=1e-20"], "residual.duration");
    refused(&["residual.head={kind='contracting',rate=1e39}"], "`rate`");
    refused(&["residual.head={kind='free',terms={functions=[{softplus={beta=1e-30}}]}}"], "beta");
    refused(&["residual.head={kind='free',offset={bound=1e-40}}"], "offset.bound");
    refused(&["residual.head={kind='free',offset={width=100000000}}"], "offset.width");
    refused(&["residual.head={kind='free',dominance={margin=1e300}}"], "dominance.margin");
    refused(&[head, "residual.solver={method='euler',steps={fixed=0}}"], "residual.solver");
    refused(&[head, "residual.solver={method='euler',steps={grid=[0.0,1.0]}}"], "residual.solver");
    refused(&[head, "flow.objective.matching=0.1"], "flow.objective.matching");
    refused(&[head, "flow.objective.anchor=0.1"], "flow.objective.anchor");
    refused(&[head, "flow.objective.regularisation.kinetic=0.1"], "flow.objective.regularisation");
    refused(&["residual.head={kind='contracting',rate=-1.0}"], "`rate`");
    refused(&["residual.head={kind='contracting',terms={functions=['gelu']}}"], "terms.functions");
    refused(&["residual.head={kind='contracting',rates=1.0}"], "rates");
    refused(&["residual.head={kind='mlp',condition_dropout=0.5}"], "condition_dropout");
    refused(&["residual.duration=1.0"], "head");

    // Nothing goes on after a second stage.
    let two = bench.tune("two", &[head, "train.steps=2"]);
    drop(two);
    let onwards = tuned::begin(tuned::TUNED, Some(&bench.at("two")), &[], &bench.at("three"));
    let error = onwards.map(|_| ()).unwrap_err();
    assert!(error.is_request() && error.to_string().contains("has a second stage"), "{error}");
    assert!(!bench.at("three").exists());

    // A recipe that is trained on something else.
    let text = tuned::BASE.replace("train = {", "residual.head.kind = 'contracting'\n    train = {");
    let error = tuned::read(&text, None, &[]).unwrap_err().to_string();
    assert!(error.contains("trained on reconstructions"), "{error}");

    // A checkpoint of another head.
    let folder = bench.at("two");
    let config = std::fs::read_to_string(folder.join("config.toml")).unwrap();
    std::fs::write(folder.join("config.toml"), config.replace("rate = 0.1\n", "rate = 0.2\n")).unwrap();
    let error = Session::resume(&folder).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("then"), "{error}");
}

/// Claims and measurements of every kind, for conditions of every kind.
#[test]
fn nothing_that_is_measured_is_beyond_what_is_claimed() {
    for (name, condition) in [("none", "data.condition.kind=none"), ("label", "data.condition.kind=label")] {
        let bench = Bench::new(&["data.target.kind=two-moons", condition, "train.steps=100"]);
        for (kind, head) in KINDS {
            let session = bench.tune(kind, &[head, "train.steps=60", "flow.objective.guard.patience=0"]);
            let flow = session.flow();
            let request = CertifyRequest { points: 64, ..CertifyRequest::default() };
            let report = flow.certify(&request).unwrap();
            let measured = report.measured.as_ref().unwrap();
            assert!(measured.is_within_claims(), "{name}, {kind}: {measured:?}");
            let contracts = report
                .certificate
                .as_ref()
                .is_some_and(|certificate| certificate.claims.contraction.certified().is_some());
            let by_construction = matches!(kind, "anchored" | "equilibrium");
            assert!(contracts || !by_construction, "{name}, {kind}");
            assert_eq!(report.certificate.is_some(), by_construction || kind == "free");
            // What is claimed is not far above what is met.
            if by_construction {
                let claimed = measured.along.claimed.last().unwrap();
                let found = measured.along.largest.last().unwrap();
                assert!(*found > 0.8 * claimed, "{name}, {kind}: {found} of {claimed}");
            }
            let written = report.write(&flow, &session.run).unwrap();
            assert_eq!(written.certificate.is_some(), report.certificate.is_some());
            if let Some(path) = written.certificate {
                let text = std::fs::read_to_string(path).unwrap();
                let certificate = thalweg_certify::Certificate::check(&text).unwrap();
                flow.is_subject_of(&certificate).unwrap();
                // The flow before is another one.
                assert!(flow.base().unwrap().is_subject_of(&certificate).is_err());
            }
        }
    }
}

/// A stage that contracts need not contract by too long steps, and the evaluation says so.
#[test]
fn steps_that_are_too_long_are_told_of() {
    let bench = Bench::new(&["train.steps=20"]);
    let warned = |name: &str, solver: &str| {
        let head = "residual.head={kind='contracting',rate=4.0}";
        let session = bench.tune(name, &[head, solver, "train.steps=2"]);
        let warnings = scored(&session).warnings;
        warnings.iter().any(|warning| warning.contains("1 steps of euler are not proved to contract; "))
    };
    assert!(warned("long", "residual.solver={method='euler',steps={fixed=1}}"));
    assert!(!warned("short", "residual.solver={method='euler',steps={fixed=20}}"));
}

/// Methods with estimates of their own, whose last stages serve nothing else.
#[test]
fn the_steps_of_every_method_are_described() {
    let bench = Bench::new(&["train.steps=20"]);
    for method in Method::ALL {
        let solver = format!("residual.solver={{method='{method}',steps={{fixed=20}}}}");
        let session = bench.tune(&method.to_string(), &[KINDS[1].1, &solver, "train.steps=2"]);
        let report =
            session.flow().certify(&CertifyRequest { points: 16, ..CertifyRequest::default() }).unwrap();
        let certificate = report.certificate.as_ref().unwrap();
        thalweg_certify::Certificate::check(&certificate.text()).unwrap();
        let solver = certificate.system.solver.as_ref().unwrap();
        solver.method.check().unwrap();
        let averages = solver.method.averages();
        assert_eq!(certificate.claims.steps.certified().is_some(), averages, "{method}");
        assert!(report.measured.unwrap().is_within_claims(), "{method}");
        // What is not proved is told of where steps are said to contract.
        let warned = scored(&session).warnings.iter().any(|text| text.contains("not proved to contract"));
        assert_eq!(warned, !averages, "{method}");
    }
}
