//! Pictures of a flow in more than two dimensions: pairs of coordinates, and coordinates alone.

use thalweg_plot::{Figure, Panels, Scatter, ScatterAnimation, Section, Tone};

use super::line::histogram;
use super::{Subject, add};
use crate::animation::animation;
use crate::error::TrainError;
use crate::trained::{ConditionRequest, Equation, SampleRequest};
use crate::view::{bounds, column, plane, range};

/// Coordinates that are shown in pairs.
const PAIRED: usize = 4;
/// Coordinates that are shown alone.
const ALONE: usize = 8;
/// Points of a picture.
const SHOWN: usize = 1_000;

/// Motion in the first two coordinates, pairs of coordinates, marginals.
pub(super) fn sections(subject: &Subject) -> Vec<Section> {
    let text = "Source points at `t = 0` become data at `t = 1`; seen in the first coordinates.";
    let motion = add(Section::new("The flow").text(text), moving(subject)).with(pairs(subject));
    let marginals = Section::new("Marginals").text("Each coordinate alone: data in grey, samples in colour.");
    vec![motion, marginals.with(marginals_of(subject))]
}

fn moving(subject: &Subject) -> Result<ScatterAnimation, TrainError> {
    let evaluation = subject.evaluation;
    let number = SHOWN.min(evaluation.truth.rows());
    let request = SampleRequest {
        number,
        seed: evaluation.seed,
        condition: ConditionRequest::Given(subject.conditions(number)),
        guidance: 1.0,
        equation: Equation::Flow(evaluation.solver.clone()),
    };
    let moving = animation(subject.flow, &request)?;
    let target = plane(&evaluation.truth.points, evaluation.truth.dim);
    let moving = match bounds(&target) {
        Some(shown) => moving.bounds(shown),
        None => moving,
    };
    Ok(moving.target(target[..number].to_vec()).caption(subject.unguided("In grey: true points.")))
}

fn pairs(subject: &Subject) -> Panels {
    let truth = &subject.evaluation.truth;
    let first = truth.dim.min(PAIRED);
    let mut panels = Panels::new("").columns(3).caption("Data in grey, samples in colour.");
    for i in 0..first {
        for j in i + 1..first {
            let pair = |points: &[f64]| -> Vec<[f64; 2]> {
                points.chunks_exact(truth.dim).take(SHOWN).map(|point| [point[i], point[j]]).collect()
            };
            let data = pair(&truth.points);
            let mut figure = Figure::new("").x_label(format!("x{}", i + 1)).y_label(format!("x{}", j + 1));
            if let Some(shown) = bounds(&data) {
                figure = figure.bounds(shown);
            }
            figure = figure.with(Scatter::new("", data).tone(Tone::Muted));
            if let Some(samples) = &subject.evaluation.samples {
                figure = figure.with(Scatter::new("", pair(&samples.points)).tone(Tone::Series(0)));
            }
            panels = panels.with(figure);
        }
    }
    panels
}

fn marginals_of(subject: &Subject) -> Panels {
    let truth = &subject.evaluation.truth;
    let mut panels = Panels::new("").columns(4);
    for index in 0..truth.dim.min(ALONE) {
        let data = column(&truth.points, truth.dim, index);
        let shown = range(&data).unwrap_or([-3.0, 3.0]);
        let mut figure = Figure::new(format!("x{}", index + 1)).x_range(shown[0], shown[1]);
        figure = figure.with(histogram("", &data, shown).tone(Tone::Muted));
        if let Some(samples) = &subject.evaluation.samples {
            let samples = column(&samples.points, truth.dim, index);
            figure = figure.with(histogram("", &samples, shown).tone(Tone::Series(0)));
        }
        panels = panels.with(figure);
    }
    panels
}
