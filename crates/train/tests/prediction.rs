//! Networks that predict noise or data: trained as such, used as velocities, sampled in the steps of diffusion models.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod tuned;

use thalweg_data::Condition;
use thalweg_flow::StepVariance;
use thalweg_solve::Solver;
use thalweg_train::{
    ConditionRequest, EvaluateOptions, Evaluation, SampleRequest, SamplerConfig, ScoreFile, Session,
    TrainError, evaluate, write_scores,
};
use tuned::{BASE, begin, read, score, scored, train};

const VP: &str = "flow.path={kind='one-sided',schedule={kind='variance-preserving'}}";

fn trained(folder: &std::path::Path, name: &str, changes: &[&str]) -> Session {
    let rate = "train.learning_rate={kind='warm-up-cosine',rate=0.004,warm_up=0.05}";
    let common = ["data.target.kind=two-moons", rate, "train.steps=1500", "evaluate.samples=1000"];
    let mut session = begin(BASE, None, &[&common, changes].concat(), &folder.join(name)).unwrap();
    train(&mut session, None);
    session
}

fn spread(points: &[f64]) -> f64 {
    points.iter().map(|x| x * x).sum::<f64>() / points.len() as f64
}

#[test]
fn every_prediction_is_a_flow_and_a_diffusion_model() {
    let folder = tempfile::tempdir().unwrap();
    // Near the data a small error of predicted data is a large one of the velocity.
    for (name, excess) in [("velocity", 0.2), ("noise", 0.2), ("data", 0.5)] {
        let key = format!("flow.prediction={name}");
        let session = trained(folder.path(), name, &[VP, &key, "train.steps=4000", "model.width=48"]);
        let evaluation = scored(&session);
        let found = evaluation.scores.iter().find(|score| score.name == "sliced-w2").unwrap();
        let floor = found.floor.unwrap();
        assert!(found.value < floor + excess, "{name}: {}, floor {floor}", found.value);
        assert!(score(&evaluation.scores, "path-energy").is_finite());
        // DDIM and DDPM end in the same law.
        let flow = session.flow();
        for freshness in [0.0, 0.5, 1.0] {
            let request = SampleRequest {
                number: 2000,
                seed: 2,
                condition: ConditionRequest::AsInData,
                guidance: 1.0,
                equation: SamplerConfig::Ancestral {
                    freshness,
                    steps: 150,
                    variance: StepVariance::Small,
                    clip: None,
                }
                .equation(&Solver::default()),
            };
            let made = flow.sample(&request).unwrap();
            assert_eq!(made.evaluations, 150.0);
            let truth = spread(&evaluation.truth.points);
            let found = spread(&made.points);
            assert!((found - truth).abs() < 0.15 * truth, "{name}, {freshness}: {found}, {truth}");
        }
    }
}

/// The likelihood needs the divergence of the velocity that a prediction implies.
#[test]
fn a_noise_model_has_the_density_of_its_flow() {
    let folder = tempfile::tempdir().unwrap();
    let session = trained(folder.path(), "noise", &[VP, "flow.prediction=noise"]);
    let flow = session.flow();
    let (count, half) = (161_usize, 8.0);
    let at = |k: usize| -half + 2.0 * half * k as f64 / (count - 1) as f64;
    let grid: Vec<f64> = (0..count * count).flat_map(|i| [at(i / count), at(i % count)]).collect();
    let solver = Solver::adaptive(thalweg_solve::Method::Dopri5, 1e-4);
    let found = flow
        .log_likelihood(&grid, &Condition::None, &solver, thalweg_flow::Divergence::default(), 0)
        .unwrap()
        .values;
    let cell = (2.0 * half / (count - 1) as f64).powi(2);
    let total: f64 = found.iter().map(|value| value.exp() * cell).sum();
    assert!((total - 1.0).abs() < 0.02, "{total}");
}

#[test]
fn what_has_no_velocity_is_refused() {
    let refused = |changes: &[&str], expected: &str| {
        let error = read(BASE, None, changes).unwrap_err().to_string();
        assert!(error.contains("flow.prediction") && error.contains(expected), "{changes:?}: {error}");
    };
    // No data are left at the start of the linear path, no noise at its end.
    refused(&["flow.prediction=noise"], "t = 0");
    refused(&["flow.prediction=data"], "t = 1");
    refused(&["flow.prediction=noise", "flow.path={kind='linear',sigma=0.1}"], "not on the linear path");
    refused(&["flow.prediction=noise", VP, "flow.precondition=true"], "flow.precondition");
    refused(
        &["flow.prediction=noise", "data.source={kind='set',set={kind='two-moons'}}"],
        "not on the linear path",
    );

    // What a network means stays in the runs that start from it.
    let folder = tempfile::tempdir().unwrap();
    drop(trained(folder.path(), "noise", &[VP, "flow.prediction=noise", "train.steps=20"]));
    let base = folder.path().join("noise");
    let onwards = |changes: &[&str]| -> Result<Session, TrainError> {
        begin(tuned::TUNED, Some(&base), changes, &folder.path().join("on"))
    };
    let error = onwards(&["flow.prediction=velocity"]).map(|_| ()).unwrap_err();
    assert!(error.is_request() && error.to_string().contains("means something else"), "{error}");
    let session = onwards(&["train.steps=2"]).unwrap();
    assert_eq!(session.recipe.flow.prediction, thalweg_flow::Prediction::Noise);
}

const CHAIN: &str =
    "flow.path={kind='one-sided',schedule={kind='discrete-linear',steps=200,beta_first=5e-4,beta_last=0.1}}";
const GRID: &str = "flow.time={kind='grid',steps=200}";

/// A chain that is trained at its own steps is evaluated by them, and by its flow.
#[test]
fn a_chain_is_scored_by_its_own_steps() {
    let folder = tempfile::tempdir().unwrap();
    let sampler = "evaluate.sampler={kind='ancestral',steps=200,clip=9.0}";
    let changes = [CHAIN, GRID, "flow.prediction=noise", "train.steps=3000", "model.width=48", sampler];
    let session = trained(folder.path(), "chain", &changes);
    let evaluation = scored(&session);
    let entry = |evaluation: &Evaluation, name: &str| {
        evaluation.scores.iter().find(|score| score.name == name).unwrap().clone()
    };
    let by_steps = entry(&evaluation, "sliced-w2");
    assert!(by_steps.value < by_steps.floor.unwrap() + 0.2, "{by_steps:?}");
    assert_eq!(score(&evaluation.scores, "nfe"), 200.0);
    assert!(entry(&evaluation, "nfe").protocol.ends_with("DDPM, 200 steps, data clipped to [-9, 9]"));
    let straightness = entry(&evaluation, "straightness");
    assert!(straightness.protocol.contains("dopri5"), "{}", straightness.protocol);
    assert!(straightness.protocol.ends_with("samples are not drawn by it"), "{}", straightness.protocol);
    write_scores(&session.run, &session.flow(), &evaluation).unwrap();
    let file = std::fs::read_to_string(session.run.path().join("scores.json")).unwrap();
    let read: ScoreFile = serde_json::from_str(&file).unwrap();
    assert_eq!(read.protocol.sampler, evaluation.sampler);

    let flow = EvaluateOptions { sampler: Some(SamplerConfig::default()), ..Default::default() };
    let evaluation = evaluate(&session.flow(), &session.dataset, &flow).unwrap();
    let by_flow = entry(&evaluation, "sliced-w2");
    assert!(by_flow.value < by_flow.floor.unwrap() + 0.2, "{by_flow:?}");
    assert!(entry(&evaluation, "nfe").protocol.contains("dopri5"));
    assert_eq!(entry(&evaluation, "straightness").value, straightness.value);
    assert!(!entry(&evaluation, "straightness").protocol.contains("not drawn"));

    let stochastic = SamplerConfig::Stochastic { strength: 1.0, steps: 100 };
    let options = EvaluateOptions { sampler: Some(stochastic), ..Default::default() };
    let evaluation = evaluate(&session.flow(), &session.dataset, &options).unwrap();
    let found = entry(&evaluation, "sliced-w2");
    assert!(found.value < found.floor.unwrap() + 0.2, "{found:?}");
    assert_eq!(score(&evaluation.scores, "nfe"), 100.0);

    let clip = Some(1.5);
    let narrow = SamplerConfig::Ancestral { freshness: 0.0, steps: 20, variance: StepVariance::Small, clip };
    let options = EvaluateOptions { sampler: Some(narrow), ..Default::default() };
    let evaluation = evaluate(&session.flow(), &session.dataset, &options).unwrap();
    // The last step leads to the data that it reads.
    let points = evaluation.samples.unwrap().points;
    assert!(points.iter().all(|x| x.abs() < 1.5 + 1e-6) && points.iter().any(|x| x.abs() > 1.5 - 1e-6));

    let most =
        SamplerConfig::Ancestral { freshness: 1.0, steps: 201, variance: StepVariance::Small, clip: None };
    let options = EvaluateOptions { sampler: Some(most), ..Default::default() };
    let error = evaluate(&session.flow(), &session.dataset, &options).unwrap_err().to_string();
    assert!(error.contains("evaluate.sampler") && error.contains("discrete schedule"), "{error}");
}

#[test]
fn samplers_and_grids_that_do_not_suit_the_flow_are_refused() {
    let refused = |changes: &[&str], key: &str, expected: &str| {
        let error = read(BASE, None, changes).unwrap_err().to_string();
        assert!(error.contains(key) && error.contains(expected), "{changes:?}: {error}");
    };
    let (ancestral, stochastic) = ("evaluate.sampler.kind=ancestral", "evaluate.sampler.kind=stochastic");
    for sampler in [ancestral, stochastic] {
        let check = |changes: &[&str], expected: &str| {
            refused(&[&[sampler], changes].concat(), "evaluate.sampler", expected);
        };
        check(&["flow.path.kind=stochastic-interpolant"], "the stochastic-interpolant path");
        check(&["flow.coupling.kind=optimal-transport"], "the optimal-transport coupling");
        check(&["flow.objective.kind=likelihood", "flow.time.kind=uniform"], "another objective");
        check(&["evaluate.sampler.steps=0"], "steps of the");
    }
    refused(&[ancestral, "evaluate.sampler.freshness=2"], "evaluate.sampler", "freshness");
    refused(&[ancestral, "evaluate.sampler.clip=0"], "evaluate.sampler", "clip");
    refused(&[CHAIN, ancestral, "evaluate.sampler.steps=201"], "evaluate.sampler", "discrete schedule");
    refused(&[GRID], "flow.time", "discrete schedule");
    refused(&[CHAIN, "flow.time={kind='grid',steps=100}"], "flow.time", "which has 200");
    assert!(read(BASE, None, &[CHAIN, GRID, ancestral]).is_ok());
}
