//! `comparison.json`: means over seeds with their standard errors, for every set and method.

use serde::{Deserialize, Serialize};
use thalweg_metrics::mean_and_standard_error;

use super::budget::Budget;
use super::marks::{Mark, mark};
use super::plan::{CellId, ComparisonPlan};
use super::recipe::CurveConfig;
use super::record::{CREATED_BY, CellResult, CellScores};
use crate::evaluate::in_each_network;
use crate::recipe::Recipe;

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComparisonSummary {
    /// The program and its version.
    pub created_by: String,
    /// The name of the comparison.
    pub name: String,
    /// What it compares.
    pub about: String,
    /// Cells of each method on each set.
    pub seeds: u64,
    /// What each method could spend.
    pub budget: Budget,
    /// What the curves are.
    pub evaluate: CurveConfig,
    /// The sets.
    pub sets: Vec<SetSummary>,
}

/// What was found on one data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetSummary {
    /// Its name.
    pub name: String,
    /// Samples that were compared with as many true points.
    pub samples: usize,
    /// The floors of the scores that have one.
    pub floors: Vec<Estimate>,
    /// The methods.
    pub methods: Vec<MethodSummary>,
}

/// What was found of one method on one data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MethodSummary {
    /// Its name.
    pub name: String,
    /// The solver of its samples, in words.
    pub solver: String,
    /// Cells that were trained and measured.
    pub done: u64,
    /// Cells that were not.
    pub failed: Vec<FailedCell>,
    /// Its scores, and as `seconds` and `parameters` what it cost.
    pub scores: Vec<Estimate>,
    /// Its distance by fixed numbers of Euler steps.
    pub curve: Vec<CurveEstimate>,
    /// Mean steps and seconds of its stages.
    pub stages: Vec<StageMean>,
    /// Warnings of its cells, each once.
    pub warnings: Vec<String>,
}

/// A cell without scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedCell {
    /// Its seed.
    pub seed: u64,
    /// Why.
    pub reason: String,
}

/// A mean over seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// Of what.
    pub name: String,
    /// The mean.
    pub mean: f64,
    /// Its standard error; none of a single seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// Seeds behind it.
    pub count: usize,
    /// Whether it is the best of its set, or not to be told from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
}

/// The mean over seeds of a distance by a number of steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurveEstimate {
    /// Equal steps of Euler.
    pub steps: usize,
    /// Mean evaluations of the network for a sample.
    pub evaluations: f64,
    /// The mean.
    pub mean: f64,
    /// Its standard error; none of a single seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// Seeds behind it.
    pub count: usize,
}

/// A stage of a method, over seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageMean {
    /// Mean steps that were made.
    pub steps: f64,
    /// Mean seconds that they took.
    pub seconds: f64,
}

impl ComparisonPlan {
    /// Brings together what came of the cells.
    ///
    /// # Panics
    /// If a cell is not of this comparison.
    #[must_use]
    pub fn summarise(&self, results: &[(CellId, CellResult)]) -> ComparisonSummary {
        let recipe = &self.recipe;
        ComparisonSummary {
            created_by: CREATED_BY.to_string(),
            name: recipe.name.clone(),
            about: recipe.about.clone(),
            seeds: recipe.seeds,
            budget: recipe.budget,
            evaluate: recipe.evaluate.clone(),
            sets: (0..recipe.set.len()).map(|set| self.summarise_set(set, results)).collect(),
        }
    }

    fn summarise_set(&self, set: usize, results: &[(CellId, CellResult)]) -> SetSummary {
        let methods = 0..self.recipe.method.len();
        let mut methods: Vec<MethodSummary> =
            methods.map(|method| self.summarise_method(set, method, results)).collect();
        let is_budget_of_time = matches!(self.recipe.budget, Budget::Seconds(_));
        mark(&mut methods, |name| !(is_budget_of_time && name == "seconds"));
        let done: Vec<&CellScores> = done(results, |cell| cell.set == set).collect();
        let names = names(&done, |score| score.floor.is_some());
        let floors = names.into_iter().filter_map(|name| {
            let floors = done.iter().flat_map(|cell| &cell.scores).filter(|score| score.name == name);
            Estimate::of(&name, &floors.filter_map(|score| score.floor).collect::<Vec<f64>>())
        });
        let floors = floors.collect();
        let name = self.recipe.set[set].name.clone();
        SetSummary { name, samples: self.last_stage(set, 0).evaluate.samples, floors, methods }
    }

    fn summarise_method(&self, set: usize, method: usize, results: &[(CellId, CellResult)]) -> MethodSummary {
        let is_ours = |cell: &CellId| cell.set == set && cell.method == method;
        let done: Vec<&CellScores> = done(results, is_ours).collect();
        let failed = results.iter().filter_map(|(cell, result)| match result {
            CellResult::Failed { reason } if is_ours(cell) => {
                Some(FailedCell { seed: cell.seed, reason: reason.clone() })
            }
            _ => None,
        });
        let named = names(&done, |_| true).into_iter().filter_map(|name| {
            let values = done.iter().flat_map(|cell| &cell.scores).filter(|score| score.name == name);
            Estimate::of(&name, &values.map(|score| score.value).collect::<Vec<f64>>())
        });
        let over = |name: &str, value: fn(&CellScores) -> f64| {
            Estimate::of(name, &done.iter().map(|cell| value(cell)).collect::<Vec<f64>>())
        };
        let costs = [over("seconds", |cell| cell.seconds), over("parameters", |cell| cell.parameters as f64)];
        let mut warnings: Vec<String> = Vec::new();
        for warning in done.iter().flat_map(|cell| &cell.warnings) {
            if !warnings.contains(warning) {
                warnings.push(warning.clone());
            }
        }
        MethodSummary {
            name: self.recipe.method[method].name.clone(),
            solver: drawing(&self.last_stage(set, method)),
            done: done.len() as u64,
            failed: failed.collect(),
            scores: named.chain(costs.into_iter().flatten()).collect(),
            curve: curve(&done),
            stages: stages(&done),
            warnings,
        }
    }

    fn last_stage(&self, set: usize, method: usize) -> Recipe {
        let stages = self.stages(CellId { set, method, seed: 0 }, std::path::Path::new(""));
        let last = stages.ok().and_then(|mut stages| stages.pop());
        let Some(last) = last else { unreachable!("the recipes of a plan were read before") };
        last.recipe
    }
}

impl SetSummary {
    /// Whether a cell of it has failed.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        self.methods.iter().any(|method| !method.failed.is_empty())
    }
}

impl MethodSummary {
    /// The score of this name.
    #[must_use]
    pub fn score(&self, name: &str) -> Option<&Estimate> {
        self.scores.iter().find(|score| score.name == name)
    }
}

impl Estimate {
    /// The mean of the values with its standard error; nothing of no values.
    fn of(name: &str, values: &[f64]) -> Option<Self> {
        let (mean, standard_error) = estimate(values)?;
        Some(Self { name: name.to_string(), mean, standard_error, count: values.len(), mark: None })
    }
}

/// Errors that are this small beside their mean are roundings.
const ROUNDINGS: f64 = 1e-13;

fn estimate(values: &[f64]) -> Option<(f64, Option<f64>)> {
    match values {
        [] => None,
        [value] => Some((*value, None)),
        values => {
            let (mean, error) = mean_and_standard_error(values).ok()?;
            // What is the same for all seeds has no error, nor the roundings of one.
            Some((mean, Some(if error > ROUNDINGS * mean.abs() { error } else { 0.0 })))
        }
    }
}

fn done(
    results: &[(CellId, CellResult)],
    wanted: impl Fn(&CellId) -> bool,
) -> impl Iterator<Item = &CellScores> {
    results.iter().filter_map(move |(cell, result)| match result {
        CellResult::Done(scores) if wanted(cell) => Some(scores),
        _ => None,
    })
}

/// The names of scores in the order in which they are first met.
fn names(cells: &[&CellScores], wanted: impl Fn(&thalweg_metrics::Score) -> bool) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for score in cells.iter().flat_map(|cell| &cell.scores).filter(|score| wanted(score)) {
        if !names.contains(&score.name) {
            names.push(score.name.clone());
        }
    }
    names
}

fn curve(cells: &[&CellScores]) -> Vec<CurveEstimate> {
    let mut steps: Vec<usize> = cells.iter().flat_map(|cell| &cell.curve).map(|point| point.steps).collect();
    steps.sort_unstable();
    steps.dedup();
    let points = steps.into_iter().filter_map(|steps| {
        let points: Vec<_> = cells.iter().flat_map(|cell| &cell.curve).filter(|p| p.steps == steps).collect();
        let (mean, standard_error) = estimate(&points.iter().map(|point| point.value).collect::<Vec<f64>>())?;
        let evaluations = points.iter().map(|point| point.evaluations).sum::<f64>() / points.len() as f64;
        Some(CurveEstimate { steps, evaluations, mean, standard_error, count: points.len() })
    });
    points.collect()
}

fn stages(cells: &[&CellScores]) -> Vec<StageMean> {
    let count = cells.iter().map(|cell| cell.stages.len()).max().unwrap_or(0);
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let stage = |stage: usize| {
        let records = || cells.iter().filter_map(move |cell| cell.stages.get(stage));
        StageMean {
            steps: mean(records().map(|record| record.steps as f64).collect()),
            seconds: mean(records().map(|record| record.seconds).collect()),
        }
    };
    (0..count).map(stage).collect()
}
/// How samples of a recipe are drawn, in words.
fn drawing(recipe: &Recipe) -> String {
    let sampler = &recipe.evaluate.sampler;
    sampler.words(&recipe.evaluate.solver) + &in_each_network(recipe, sampler)
}
