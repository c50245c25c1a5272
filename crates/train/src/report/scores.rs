//! The table of scores, and a sentence on how to read each.

use thalweg_plot::{Cell, Item, Section, Table};

use super::figures::between;
use crate::evaluate::Evaluation;

/// The scores with errors, intervals and floors, and what is missing.
pub(super) fn section(evaluation: &Evaluation) -> Section {
    let mut section = Section::new("Scores").text(
        "Values stand beside their floors: what a perfect model reaches with as many points, as far as true samples \
         tell. A distance is good when it is near its floor, not when it is near zero; below it there is only luck.",
    );
    for warning in &evaluation.warnings {
        section = section.with(Item::Warning(warning.clone()));
    }
    if evaluation.scores.is_empty() {
        return section.with(Item::Note("There are no scores.".to_string()));
    }
    let headings = evaluation.beside().map(|(heading, _)| heading);
    let headings = ["score", "value", "95% interval"].into_iter().chain(headings).chain(["how to read it"]);
    let mut table = Table::new(headings);
    for score in &evaluation.scores {
        let mut cell = Cell::number(score.value);
        if let Some(error) = score.standard_error {
            cell = cell.plus_minus(error);
        }
        if let Some(floor) = score.floor {
            cell = cell.floor(floor);
        }
        let interval = score.interval.map(between).unwrap_or_default();
        let mut row = vec![score.name.as_str().into(), cell, interval.into()];
        row.extend(evaluation.beside().map(|(_, other)| {
            let same = other.scores.iter().find(|other| other.name == score.name);
            same.map_or_else(|| Cell::from(""), |other| Cell::number(other.value))
        }));
        row.push(reading(&score.name).into());
        table = table.row(row);
    }
    let caption = format!(
        "{} samples, and as many true points ({}); seed {}. Behind ± is the standard error.",
        evaluation.truth.rows(),
        evaluation.truth.origin,
        evaluation.seed
    );
    section.with(table.caption(caption))
}

/// How each score was found; nothing where there are none.
pub(super) fn protocols(evaluation: &Evaluation) -> Option<Section> {
    let pairs = evaluation.scores.iter().map(|score| (score.name.clone(), score.protocol.clone()));
    let section = Section::new("How the scores were found").with(Item::key_values(pairs));
    (!evaluation.scores.is_empty()).then_some(section)
}

fn reading(name: &str) -> &'static str {
    match name {
        "w1" => "Mean distance between samples and true points, paired as cheaply as possible.",
        "w2" => "Root mean square distance between samples and true points, paired as cheaply as possible.",
        "sliced-w2" => "The same seen along random directions: cheaper, and with a lower floor.",
        "mmd2" => "Difference of two clouds as kernels see it; scatters around zero for a perfect model.",
        "energy" => "Energy distance: zero, up to scatter, only for equal distributions.",
        "frechet" => "Distance of means and covariances only; blind to shape.",
        "variance-ratio" => "Below one, samples have lost diversity; above one, they are too wide.",
        "mode-recall" => "Share of the modes with at least a third of the samples due to them close by.",
        "precision" => "Share of samples that lie near a mode; the rest lie where there are no data.",
        "nll" => {
            "How surprising unseen points are to the model: lower is better, and the truth is beaten only by luck."
        }
        "log-density-error" => {
            "How far the log-density of the model is from the true one at a typical point."
        }
        "path-energy" => {
            "Effort of the way from source to data. Optimal transport takes the least, the floor; less does not arrive."
        }
        "npe" => "Effort beyond that of optimal transport, as a share of it; near zero is optimal.",
        "straightness" => "Effort lost to bends; near zero, a few solver steps are enough.",
        "round-trip" => {
            "How far data come back from where they were after all blocks forwards and backwards: the solver's error."
        }
        "nfe" => "Evaluations of the network for a sample: its cost.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use thalweg_metrics::TwoSample;

    #[test]
    fn every_metric_of_a_recipe_can_be_read() {
        use TwoSample::{Energy, Frechet, Mmd2, SlicedW2, W1, W2};
        for metric in [W1, W2, SlicedW2, Mmd2, Energy, Frechet] {
            assert!(reading(metric.name()).ends_with('.'), "{metric}");
        }
    }
}
