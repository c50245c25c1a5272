//! Scores of a trained flow (FORMULAS §3, §11): how far its samples are from held-out data, how likely it finds them,
//! how straight and how costly its paths are.
//!
//! Every score says in words how it was found, and stands beside its floor where it has one: an estimate of what a
//! perfect model reaches with as many points. A score that cannot be computed becomes a warning; the others are kept.

mod blocks;
mod by_steps;
mod distances;
mod likelihood;
mod motion;
mod truth;

use serde::{Deserialize, Serialize};
use thalweg_data::{Condition, Dataset};
use thalweg_metrics::{MetricsError, Score, mean_and_standard_error, normal_width};
use thalweg_run::{Invalid, RunDir};
use thalweg_solve::Solver;

use crate::error::TrainError;
use crate::recipe::Recipe;
use crate::sampler::SamplerConfig;
use crate::trained::{ConditionRequest, SampleRequest, Samples, TrainedFlow};
pub use blocks::BlockScores;
pub use by_steps::CurvePoint;
pub(crate) use by_steps::distance_by_steps;
pub(crate) use likelihood::divergence;
use truth::HeldOut;

/// The confidence of every interval.
const CONFIDENCE: f64 = 0.95;

/// What an evaluation does not take from the recipe.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EvaluateOptions {
    /// The seed of samples, of the choice of held-out points, and of resampling.
    pub seed: u64,
    /// The solver of samples and paths, instead of the recipe's. Likelihoods keep theirs.
    pub solver: Option<Solver>,
    /// By which equation to draw samples, instead of the recipe's.
    pub sampler: Option<SamplerConfig>,
}

/// What an evaluation found, with the points it was found on.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The scores, distances first.
    pub scores: Vec<Score>,
    /// What could not be computed and why, and what the reader of the scores must know.
    pub warnings: Vec<String>,
    /// The seed that was used.
    pub seed: u64,
    /// The solver of samples and paths that was used.
    pub solver: Solver,
    /// By which equation samples were drawn; paths are always those of the ordinary one.
    pub sampler: SamplerConfig,
    /// The samples, under conditions drawn like those of the true points but independently of them; none if sampling
    /// failed.
    pub samples: Option<Samples>,
    /// The held-out points they were compared with.
    pub truth: Truth,
    /// The blocks of a local chain, from the data.
    pub blocks: Vec<BlockScores>,
    /// The same of the flow that this one was tuned from, if from any.
    pub base: Option<Baseline>,
    /// The same of the flow without its second stage, if it has one and was tuned with it.
    pub flow_alone: Option<Baseline>,
}

impl Evaluation {
    /// What stands beside the flow, each with a heading: the flow before it was tuned, and without its second stage.
    pub fn beside(&self) -> impl Iterator<Item = (&'static str, &Baseline)> {
        let headings = [("before tuning", &self.base), ("by the flow alone", &self.flow_alone)];
        headings.into_iter().filter_map(|(heading, baseline)| Some((heading, baseline.as_ref()?)))
    }
}

/// What another flow makes of the same noise.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// Its scores by the same solver, without likelihoods.
    pub scores: Vec<Score>,
    /// Its samples; none if sampling failed.
    pub samples: Option<Samples>,
}

/// Points of the data that samples are compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// The points in data units, row by row.
    pub points: Vec<f64>,
    /// Coordinates of a point.
    pub dim: usize,
    /// The condition of each, in model units.
    pub condition: Condition,
    /// Where they come from, in words.
    pub origin: &'static str,
}

impl Truth {
    /// Number of points.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.points.len() / self.dim
    }
}

/// Scores a flow against the data it has learned.
///
/// Draws as many samples as `evaluate.samples` says, but at most half as many as there are held-out rows, because the
/// floor compares two independent halves of them. Sets with a formula give fresh draws of the full size, four pairs of
/// them for the floors. Each sample gets the condition of a true point, but of none that it is compared with. The cost
/// is one sampling, one solve for the paths, one likelihood, and for each exact Wasserstein distance an assignment of
/// that size for the value and one for every pair.
///
/// # Errors
/// When the data are not those the flow was trained on, or cannot give a pair of points, when samples of this flow cannot be
/// drawn as asked for, and when not one score could be computed. What fails alone is a warning.
pub fn evaluate(
    flow: &TrainedFlow,
    dataset: &Dataset,
    options: &EvaluateOptions,
) -> Result<Evaluation, TrainError> {
    if dataset.fingerprint() != flow.summary.fingerprint {
        return Err(TrainError::DataChanged {
            found: dataset.fingerprint().to_string(),
            expected: flow.summary.fingerprint.clone(),
        });
    }
    let settings = &flow.recipe.evaluate;
    let solver = options.solver.clone().unwrap_or_else(|| settings.solver.clone());
    let sampler = options.sampler.clone().unwrap_or_else(|| settings.sampler.clone());
    let refused = |invalid: Invalid| TrainError::Request(format!("{}: {}", invalid.path, invalid.message));
    sampler.validate(&flow.recipe).map_err(refused)?;
    flow.check_equation(&sampler.equation(&solver))?;
    let mut tally = Tally::default();
    let held_out = HeldOut::draw(dataset, settings.samples, options.seed)?;
    tally.warnings.extend(held_out.warning(settings.samples));

    let source = tally.keep("samples and paths", flow.source(held_out.rows(), options.seed));
    let shared = Shared {
        dataset,
        held_out: &held_out,
        solver: &solver,
        sampler: sampler.clone(),
        seed: options.seed,
    };
    let mut samples = None;
    if let Some(source) = &source {
        samples = shared.samples(&mut tally, flow, source);
    }
    likelihood::score(&mut tally, flow, dataset, options.seed);
    if flow.is_tuned_to_steps() && tally.scores.iter().any(|score| score.name == "nll") {
        tally.warnings.push(
            "likelihoods are those of the flow solved accurately, from which the few steps that were tuned may have \
             moved away"
                .to_string(),
        );
    }
    if let Some(source) = &source {
        shared.motion(&mut tally, flow, source, samples.as_ref());
    }
    let blocks = blocks::score(&mut tally, flow, dataset, &held_out, options.seed);
    tally.warnings.extend(flow.steps_that_may_part());
    let mut beside = |words: &str, other: Option<TrainedFlow>| {
        other.zip(source.as_ref()).map(|(other, source)| {
            let mut found = Tally::default();
            let samples = shared.samples(&mut found, &other, source);
            shared.motion(&mut found, &other, source, samples.as_ref());
            tally.warnings.extend(found.warnings.into_iter().map(|warning| format!("{words}, {warning}")));
            Baseline { scores: found.scores, samples }
        })
    };
    let base = beside("of the flow before tuning", flow.base());
    let flow_alone = beside("of the flow without its second stage", flow.without_second_stage());

    let truth = held_out.truth(dataset.normaliser());
    let Tally { scores, warnings } = tally;
    if scores.is_empty() {
        return Err(TrainError::solve("the evaluation", format!("not one score; {}", warnings.join("; "))));
    }
    Ok(Evaluation {
        scores,
        warnings,
        seed: options.seed,
        solver,
        sampler,
        samples,
        truth,
        blocks,
        base,
        flow_alone,
    })
}

/// What all flows of one evaluation have in common.
struct Shared<'a> {
    dataset: &'a Dataset,
    held_out: &'a HeldOut,
    solver: &'a Solver,
    sampler: SamplerConfig,
    seed: u64,
}

impl Shared<'_> {
    /// Draws a sample for each held-out point.
    fn draw(&self, flow: &TrainedFlow, source: &[f64]) -> Result<Samples, TrainError> {
        let conditions = &self.held_out.conditions;
        let request = SampleRequest {
            number: self.held_out.rows(),
            seed: self.seed,
            condition: ConditionRequest::Given(conditions.clone()),
            guidance: flow.recipe.evaluate.guidance,
            equation: self.sampler.equation(self.solver),
        };
        flow.sample_from(source, conditions, &request)
    }

    /// Draws and scores samples.
    fn samples(&self, tally: &mut Tally, flow: &TrainedFlow, source: &[f64]) -> Option<Samples> {
        let samples = tally.keep("samples", self.draw(flow, source))?;
        distances::score(tally, &samples, self.held_out, flow, self.dataset, self.seed);
        Some(samples)
    }

    /// Scores paths and their cost.
    fn motion(&self, tally: &mut Tally, flow: &TrainedFlow, source: &[f64], samples: Option<&Samples>) {
        let before = tally.scores.len();
        motion::score(tally, flow, self.dataset, source, self.held_out, self.solver);
        if !self.sampler.is_ordinary() {
            for score in &mut tally.scores[before..] {
                score.protocol += "; paths are those of the ordinary equation, samples are not drawn by it";
            }
        }
        if let Some(samples) = samples {
            let words = self.sampler.words(self.solver) + &in_each_network(&flow.recipe, &self.sampler);
            tally.scores.push(evaluations(samples, &words, &flow.recipe));
        }
    }
}

/// `scores.json`: the scores, and all that is needed to find them again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreFile {
    /// How the scores were found.
    pub protocol: Protocol,
    /// The scores.
    pub scores: Vec<Score>,
    /// The blocks of a local chain, from the data, if it is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BlockScores>,
    /// The scores of the flow that this one was tuned from, if from any, by the same solver from the same noise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub base: Vec<Score>,
    /// The scores without the second stage, if there is one and the flow was tuned with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flow_alone: Vec<Score>,
    /// What is missing, and what to know before trusting them.
    pub warnings: Vec<String>,
}

/// What all scores of an evaluation have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// The program and its version.
    pub created_by: String,
    /// Steps of training behind the flow.
    pub step: u64,
    /// The seed of the evaluation.
    pub seed: u64,
    /// Samples, and true points they were compared with.
    pub samples: usize,
    /// Where the true points come from.
    pub truth: String,
    /// The solver of samples and paths.
    pub solver: Solver,
    /// By which equation samples were drawn, if not by the ordinary one.
    #[serde(default, skip_serializing_if = "SamplerConfig::is_flow")]
    pub sampler: SamplerConfig,
    /// The solver of likelihoods.
    pub likelihood_solver: Solver,
    /// Strength of classifier-free guidance of the samples.
    pub guidance: f64,
    /// Changes with the data.
    pub data_fingerprint: String,
}

/// Writes `scores.json`.
///
/// # Errors
/// What the file system answers.
pub fn write_scores(run: &RunDir, flow: &TrainedFlow, evaluation: &Evaluation) -> Result<(), TrainError> {
    let settings = &flow.recipe.evaluate;
    let protocol = Protocol {
        created_by: concat!("thalweg ", env!("CARGO_PKG_VERSION")).to_string(),
        step: flow.step,
        seed: evaluation.seed,
        samples: evaluation.truth.rows(),
        truth: evaluation.truth.origin.to_string(),
        solver: evaluation.solver.clone(),
        sampler: evaluation.sampler.clone(),
        likelihood_solver: settings.likelihood_solver.clone(),
        guidance: settings.guidance,
        data_fingerprint: flow.summary.fingerprint.clone(),
    };
    let (scores, warnings) = (evaluation.scores.clone(), evaluation.warnings.clone());
    let of =
        |baseline: &Option<Baseline>| baseline.as_ref().map_or_else(Vec::new, |found| found.scores.clone());
    let (base, flow_alone) = (of(&evaluation.base), of(&evaluation.flow_alone));
    let blocks = evaluation.blocks.clone();
    Ok(run.write_scores(&ScoreFile { protocol, scores, blocks, base, flow_alone, warnings })?)
}

/// Scores and warnings so far.
#[derive(Debug, Default)]
struct Tally {
    scores: Vec<Score>,
    warnings: Vec<String>,
}

impl Tally {
    /// Keeps a score, or the reason why there is none.
    fn add(&mut self, name: &str, score: Result<Score, TrainError>) {
        let score = self.keep(name, score);
        self.scores.extend(score);
    }

    /// Gives back what succeeded, and turns what failed into a warning.
    fn keep<T>(&mut self, what: &str, result: Result<T, TrainError>) -> Option<T> {
        result.map_err(|error| self.warnings.push(format!("no {what}: {error}"))).ok()
    }
}

/// The mean of `values` with standard error and normal interval, which the protocol then mentions.
fn mean_score(
    name: &str,
    values: &[f64],
    floor: Option<f64>,
    protocol: String,
) -> Result<Score, MetricsError> {
    let (value, error) = mean_and_standard_error(values)?;
    let spread = format!("standard error over {} points; interval: normal, 95%", values.len());
    Ok(Score {
        name: name.to_string(),
        value,
        standard_error: Some(error),
        interval: Some(normal_interval(value, error)),
        floor,
        protocol: format!("{protocol}; {spread}"),
    })
}

fn normal_interval(value: f64, standard_error: f64) -> [f64; 2] {
    let half = normal_width(CONFIDENCE) * standard_error;
    [value - half, value + half]
}

fn evaluations(samples: &Samples, words: &str, recipe: &Recipe) -> Score {
    let guidance = recipe.evaluate.guidance;
    let mut protocol = format!(
        "mean evaluations of the network for one of {} samples, rejected steps included; {words}",
        samples.points.len() / samples.dim,
    );
    if guidance != 1.0 {
        protocol += &format!("; guidance {guidance} counts twice");
    }
    Score {
        name: "nfe".to_string(),
        value: samples.evaluations,
        standard_error: None,
        interval: None,
        floor: None,
        protocol,
    }
}

/// What follows the words for how samples of a chain are drawn, unless they tell of each block already.
pub(crate) fn in_each_network(recipe: &Recipe, sampler: &SamplerConfig) -> String {
    match (recipe.parts(), sampler) {
        (1, _) | (_, SamplerConfig::Blocks { .. }) => String::new(),
        (networks, _) => format!(" in each of {networks} networks"),
    }
}

/// A solver in a few words, such as `dopri5, tolerance 1e-5`.
pub(crate) fn words(solver: &Solver) -> String {
    use thalweg_solve::Steps;
    let method = serde_json::to_value(solver.method).ok();
    let method = method.as_ref().and_then(|name| name.as_str()).unwrap_or("solver");
    match &solver.steps {
        Steps::Fixed(steps) => format!("{method}, {steps} equal steps"),
        Steps::Grid(nodes) => format!("{method}, {} given steps", nodes.len() - 1),
        Steps::Adaptive { tolerance, .. } if tolerance.relative == tolerance.absolute => {
            format!("{method}, tolerance {:e}", tolerance.relative)
        }
        Steps::Adaptive { tolerance, .. } => {
            format!(
                "{method}, tolerance {:e} relative, {:e} absolute",
                tolerance.relative, tolerance.absolute
            )
        }
    }
}
