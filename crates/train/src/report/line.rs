//! Pictures of a flow on the line.

use thalweg_plot::{Figure, Line, Section, Stroke, Tone};

use super::{Subject, add, repeated};
use crate::error::TrainError;
use crate::evaluate::divergence;
use crate::view::{centres, range};

/// Bars of a histogram.
const BARS: usize = 60;
/// Points of a density.
const CELLS: usize = 400;

/// Histograms of data and samples, with the densities that are known.
pub(super) fn sections(subject: &Subject) -> Vec<Section> {
    let text = "Histograms of data and samples, and the density of the flow by its likelihood.";
    vec![add(Section::new("The flow").text(text), densities(subject))]
}

fn densities(subject: &Subject) -> Result<Figure, TrainError> {
    let evaluation = subject.evaluation;
    let shown = range(&evaluation.truth.points).unwrap_or([-3.0, 3.0]);
    let mut figure = Figure::new("Density").x_label("x").y_label("p(x)").x_range(shown[0], shown[1]);
    figure = figure.with(histogram("data", &evaluation.truth.points, shown).tone(Tone::Muted));
    if let Some(samples) = &evaluation.samples {
        let line = histogram("samples", &samples.points, shown).stroke(Stroke::Faint);
        figure = figure.with(line.tone(Tone::Series(0)));
    }
    let points = centres(shown, CELLS);
    let curve = |values: Vec<f64>| points.iter().copied().zip(values).map(|(x, p)| [x, p]).collect();
    if subject.flow.summary.gaussian_source && subject.views_are_complete() {
        let line = Line::new("model", curve(model_density(subject, &points)?)).tone(Tone::Series(0));
        figure = figure.with(line).caption(subject.unguided(""));
    }
    let truth: Option<Vec<f64>> =
        points.iter().map(|&x| subject.dataset.log_density(&[x]).map(f64::exp)).collect();
    if let Some(truth) = truth {
        let line = Line::new("truth", curve(truth)).tone(Tone::Series(1)).stroke(Stroke::Dashed);
        figure = figure.with(line);
    }
    Ok(figure)
}

/// The density of all classes together.
fn model_density(subject: &Subject, points: &[f64]) -> Result<Vec<f64>, TrainError> {
    let flow = subject.flow;
    let mut sum = vec![0.0; points.len()];
    for (index, (_, condition)) in subject.views().iter().enumerate() {
        let share = flow.summary.label_shares.get(index).copied().unwrap_or(1.0);
        let condition = repeated(condition, points.len());
        let solver = &flow.recipe.evaluate.likelihood_solver;
        let found =
            flow.log_likelihood(points, &condition, solver, divergence(1), subject.evaluation.seed)?;
        sum.iter_mut().zip(found.values).for_each(|(sum, value)| *sum += share * value.exp());
    }
    Ok(sum)
}

/// The outline of a histogram, as a density.
pub(super) fn histogram(name: &str, values: &[f64], [low, high]: [f64; 2]) -> Line {
    let width = (high - low) / BARS as f64;
    let mut counts = [0_usize; BARS];
    for value in values.iter().filter(|value| (low..high).contains(*value)) {
        counts[(((value - low) / width) as usize).min(BARS - 1)] += 1;
    }
    let height = |count: usize| count as f64 / (values.len().max(1) as f64 * width);
    let mut outline = vec![[low, 0.0]];
    for (bar, &count) in counts.iter().enumerate() {
        let left = low + width * bar as f64;
        outline.extend([[left, height(count)], [left + width, height(count)]]);
    }
    outline.push([high, 0.0]);
    Line::new(name, outline)
}
