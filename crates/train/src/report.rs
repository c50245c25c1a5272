//! `report.html`: one page that shows what a run has learned, how well, and how to do it again.
//!
//! The page is made of pictures that depend on the dimension (a curve, the plane, pairs of coordinates), the scores
//! with a sentence on how to read each, the training curve and the recipe; for a tuned flow also how steep its field has
//! become. A picture that cannot be made leaves a warning in its place.

mod blocks;
pub(crate) mod figures;
mod line;
mod pairs;
mod plane;
mod reproduce;
mod scores;
mod steepness;
pub(crate) mod training;

use std::path::PathBuf;

use thalweg_data::{Condition, Dataset};
use thalweg_plot::{Item, Report, Section};
use thalweg_run::RunDir;

use crate::error::TrainError;
use crate::evaluate::Evaluation;
use crate::trained::TrainedFlow;

/// Most classes, or conditions, that get pictures of their own.
const MOST_VIEWS: usize = 4;

/// Writes `report.html` and returns its path. Takes a second or two in the plane, where the density on a grid costs
/// most.
///
/// # Errors
/// When the file cannot be written.
pub fn write_report(
    flow: &TrainedFlow,
    dataset: &Dataset,
    evaluation: &Evaluation,
    run: &RunDir,
) -> Result<PathBuf, TrainError> {
    let subject = Subject { flow, dataset, evaluation };
    let path = run.report_path();
    report(&subject, run).write(&path)?;
    Ok(path)
}

/// What a report is about.
#[derive(Debug, Clone, Copy)]
struct Subject<'a> {
    flow: &'a TrainedFlow,
    dataset: &'a Dataset,
    evaluation: &'a Evaluation,
}

fn report(subject: &Subject, run: &RunDir) -> Report {
    let Subject { flow, evaluation, .. } = subject;
    let recipe = &flow.recipe;
    let history = training::History::read(run);
    let mut report = Report::new(&recipe.name)
        .subtitle(&recipe.about)
        .fact("dimension", flow.summary.dim.to_string())
        .fact("parameters", grouped(flow.parameters()))
        .fact("steps", grouped(flow.step as usize));
    if let Some(seconds) = history.seconds {
        report = report.fact("training", training::duration(seconds));
    }
    for (name, tile) in [("nfe", "evaluations per sample"), ("w2", "exact W₂"), ("nll", "NLL in nats")] {
        if let Some(score) = evaluation.scores.iter().find(|score| score.name == name) {
            report = report.fact(tile, figures::with_error(score.value, score.standard_error));
        }
    }
    let pictures = match flow.summary.dim {
        1 => line::sections(subject),
        2 => plane::sections(subject),
        _ => pairs::sections(subject),
    };
    let (first, others) =
        pictures.split_first().map_or((None, &[][..]), |(first, others)| (Some(first), others));
    let sections =
        first.cloned().into_iter().chain([scores::section(evaluation)]).chain(others.iter().cloned());
    let sections = sections.chain(blocks::section(subject)).chain(steepness::section(subject));
    let sections = sections.chain([history.section()]).chain(scores::protocols(evaluation));
    let sections = sections.chain([reproduce::section(subject, run)]);
    sections.fold(report, Report::with).footer(concat!(
        "Made by thalweg ",
        env!("CARGO_PKG_VERSION"),
        ". Time runs from t = 0, noise, to t = 1, data."
    ))
}

/// Adds a picture, or the reason why there is none.
fn add(section: Section, picture: Result<impl Into<Item>, TrainError>) -> Section {
    match picture {
        Ok(item) => section.with(item),
        Err(error) => section.with(Item::Warning(format!("a picture is missing: {error}"))),
    }
}

impl Subject<'_> {
    /// Conditions to show one by one, each with its name; a single nameless one for flows without conditions. For
    /// vectors these are the conditions of the first true points.
    fn views(&self) -> Vec<(String, Condition)> {
        let condition = &self.evaluation.truth.condition;
        match condition {
            Condition::None => vec![(String::new(), Condition::None)],
            Condition::Labels(_) => (0..self.flow.summary.label_shares.len().min(MOST_VIEWS))
                .map(|class| (format!("class {class}"), Condition::Labels(vec![class])))
                .collect(),
            Condition::Vectors { .. } => (0..self.evaluation.truth.rows().min(MOST_VIEWS))
                .map(|row| (format!("as for true point {}", row + 1), condition.select(&[row])))
                .collect(),
        }
    }

    /// Whether the views are all there is to show.
    fn views_are_complete(&self) -> bool {
        match self.evaluation.truth.condition {
            Condition::None => true,
            Condition::Labels(_) => self.flow.summary.label_shares.len() <= MOST_VIEWS,
            Condition::Vectors { .. } => false,
        }
    }

    /// A caption for a picture of the conditional field itself, which guided samples do not follow.
    fn unguided(&self, caption: &str) -> String {
        match self.flow.recipe.evaluate.guidance {
            1.0 => caption.to_string(),
            strength => {
                let notice = format!("Shown without guidance, unlike the samples (strength {strength}).");
                format!("{caption} {notice}").trim_start().to_string()
            }
        }
    }

    /// The conditions of the first `number` true points.
    fn conditions(&self, number: usize) -> Condition {
        self.evaluation.truth.condition.select(&(0..number).collect::<Vec<usize>>())
    }
}

/// One condition for each of `rows` points.
fn repeated(condition: &Condition, rows: usize) -> Condition {
    condition.select(&vec![0; rows])
}

/// A whole number with thin spaces between its thousands.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(["1", "1\u{202f}234", "12\u{202f}345\u{202f}678"], [1, 1234, 12_345_678].map(grouped));
    }
}
