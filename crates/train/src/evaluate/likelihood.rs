//! How likely the flow finds points that it has not seen, and how far that is from the truth where it is known.

use thalweg_data::{Batch, Condition, Dataset, Split};
use thalweg_flow::{Divergence, ProbeLaw};
use thalweg_metrics::mean_and_standard_error;

use super::{Tally, mean_score, words};
use crate::error::TrainError;
use crate::trained::{LogDensities, TrainedFlow};

/// Up to this dimension the divergence is exact, one tangent for each coordinate; above it is estimated.
pub(crate) const EXACT_UP_TO: usize = 64;

/// Random probes of an estimated divergence; two or more tell how much they matter.
const PROBES: usize = 4;

/// The divergence that likelihoods of points of this dimension use.
pub(crate) fn divergence(dim: usize) -> Divergence {
    if dim <= EXACT_UP_TO {
        Divergence::Exact {}
    } else {
        Divergence::Hutchinson { probes: PROBES, law: ProbeLaw::Rademacher }
    }
}

/// Adds the negative log-likelihood of held-out points and, where the truth is known, the error of log-densities.
pub(super) fn score(tally: &mut Tally, flow: &TrainedFlow, dataset: &Dataset, seed: u64) {
    if flow.recipe.evaluate.likelihood_points == 0 {
        return;
    }
    let Some((points, origin)) = tally.keep("nll", held_out(flow, dataset, seed)) else { return };
    let mut data = points.points.clone();
    dataset.normaliser().invert(&mut data);
    let found = flow.log_likelihood(
        &data,
        &points.condition,
        &flow.recipe.evaluate.likelihood_solver,
        divergence(points.dim),
        seed,
    );
    let Some(found) = tally.keep("nll", found) else { return };
    // The truth that is known is the density of all classes together.
    let truth: Option<Vec<f64>> = match points.condition {
        Condition::None => data.chunks_exact(points.dim).map(|point| dataset.log_density(point)).collect(),
        Condition::Labels(_) | Condition::Vectors { .. } => None,
    };
    let protocol = protocol(flow, dataset, &points, origin, &found);
    tally.add("nll", nll(&found, truth.as_deref(), protocol.clone()));
    if let Some(truth) = truth {
        let errors: Vec<f64> =
            found.values.iter().zip(&truth).map(|(model, truth)| (model - truth).abs()).collect();
        let protocol = format!("mean |log p of the model - log p of the truth|, in nats; {protocol}");
        let score = mean_score("log-density-error", &errors, Some(0.0), protocol);
        tally.add("log-density-error", score.map_err(TrainError::from));
    }
}

fn nll(
    found: &LogDensities,
    truth: Option<&[f64]>,
    protocol: String,
) -> Result<thalweg_metrics::Score, TrainError> {
    let negative = |values: &[f64]| values.iter().map(|value| -value).collect::<Vec<f64>>();
    let floor =
        truth.map(|truth| mean_and_standard_error(&negative(truth))).transpose()?.map(|(mean, _)| mean);
    let known = if floor.is_some() { "; floor: the true density on the same points" } else { "" };
    let protocol = format!("mean of -log p in nats, in data units; {protocol}{known}");
    Ok(mean_score("nll", &negative(&found.values), floor, protocol)?)
}

/// The points to be scored: of a formula the first ones that samples are compared with, of a table a choice from the
/// test split, else from the validation split.
fn held_out(flow: &TrainedFlow, dataset: &Dataset, seed: u64) -> Result<(Batch, &'static str), TrainError> {
    let wanted = flow.recipe.evaluate.likelihood_points;
    for (split, origin) in
        [(Split::Test, "of the test split"), (Split::Validation, "of the validation split")]
    {
        match dataset.held_out_rows(split) {
            None => return Ok((dataset.held_out(split, Some(wanted), seed)?, "freshly drawn")),
            Some(rows) if rows >= 2 => {
                return Ok((dataset.held_out(split, Some(wanted.min(rows)), seed)?, origin));
            }
            Some(_) => {}
        }
    }
    let advice = "no rows are held out; add `[data.split]` to the recipe";
    Err(TrainError::Request(advice.to_string()))
}

fn protocol(
    flow: &TrainedFlow,
    dataset: &Dataset,
    points: &Batch,
    origin: &str,
    found: &LogDensities,
) -> String {
    let mut words = format!(
        "{} points {origin}, double precision, {}, {:.0} evaluations",
        points.rows,
        words(&flow.recipe.evaluate.likelihood_solver),
        found.evaluations,
    );
    words += &match divergence(points.dim) {
        Divergence::Exact {} => ", exact divergence".to_string(),
        Divergence::Hutchinson { probes, .. } => {
            let errors = found.standard_errors.as_deref().unwrap_or_default();
            let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
            format!(", {probes} Rademacher probes, which move the value of one point by {mean:.3}")
        }
    };
    if points.condition != Condition::None {
        words += ", given their conditions";
    }
    let log_determinant = dataset.normaliser().log_determinant();
    if log_determinant != 0.0 {
        words += &format!("; add {log_determinant:.4} for the density of standardised data");
    }
    words
}
