//! `thalweg evaluate`: scores with floors and intervals, and the report; also the end of every training.

use std::path::PathBuf;

use thalweg_data::Dataset;
use thalweg_run::{Event, RunDir, Score as ScoreEvent, Sinks};
use thalweg_train::{EvaluateOptions, Evaluation, TrainedFlow, evaluate, write_report, write_scores};

use crate::args::Evaluate;
use crate::failure::Failure;
use crate::print::{print_error, print_json, print_line};
use crate::{sampler, scores};

/// Scores a run again.
pub fn run(arguments: &Evaluate, json: bool) -> Result<(), Failure> {
    let run = RunDir::open(&arguments.run)?;
    let (flow, warnings) = TrainedFlow::open(&run)?;
    for warning in warnings {
        print_error(&format!("warning: {warning}"));
    }
    let (sampler, solver) = sampler::changed(&flow.recipe.evaluate, &arguments.sampler, &arguments.solver)?;
    let dataset = Dataset::load(&flow.recipe.data, flow.recipe.seed, &flow.summary.base)?;
    let options = EvaluateOptions { seed: arguments.seed, solver: Some(solver), sampler: Some(sampler) };
    let outcome = score_and_report(&flow, &dataset, &run, &options, &mut Sinks::new())?;
    if json {
        print_json(&outcome.document(&run))?;
        return Ok(());
    }
    print_line(&scores::table(&outcome.evaluation))?;
    if let Some(report) = &outcome.report {
        print_line(&format!("report  {}", report.display()))?;
    }
    Ok(())
}

/// What an evaluation gives.
pub struct Outcome {
    /// The scores and what they were made from.
    pub evaluation: Evaluation,
    /// The report, where the recipe asks for one.
    pub report: Option<PathBuf>,
}

impl Outcome {
    /// As one JSON document.
    pub fn document(&self, run: &RunDir) -> serde_json::Value {
        serde_json::json!({
            "run": run.path(),
            "report": self.report,
            "scores": self.evaluation.scores,
            "blocks": self.evaluation.blocks,
            "base": self.evaluation.base.as_ref().map(|base| &base.scores),
            "flow_alone": self.evaluation.flow_alone.as_ref().map(|alone| &alone.scores),
            "warnings": self.evaluation.warnings,
        })
    }
}

/// Scores a flow, writes `scores.json` and, where the recipe asks for it, `report.html`, and tells the sinks.
pub fn score_and_report(
    flow: &TrainedFlow,
    dataset: &Dataset,
    run: &RunDir,
    options: &EvaluateOptions,
    sinks: &mut Sinks,
) -> Result<Outcome, Failure> {
    let evaluation = evaluate(flow, dataset, options)?;
    for warning in &evaluation.warnings {
        print_error(&format!("warning: {warning}"));
    }
    write_scores(run, flow, &evaluation)?;
    for score in &evaluation.scores {
        let score = ScoreEvent {
            name: score.name.clone(),
            value: score.value,
            standard_error: score.standard_error,
            floor: score.floor,
        };
        sinks.event(&Event::Score { step: flow.step, score });
    }
    let report =
        if flow.recipe.evaluate.report { Some(write_report(flow, dataset, &evaluation, run)?) } else { None };
    Ok(Outcome { evaluation, report })
}

/// Says once what a log could not take note of.
pub fn tell_sink_failures(sinks: &mut Sinks) {
    for failure in sinks.take_failures() {
        print_error(&format!("warning: {} is incomplete: {}", failure.sink, failure.error));
    }
}
