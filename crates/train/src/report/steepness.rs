//! How steep the field is, before tuning and after: tuning to a few steps can make fields that other steps cannot
//! follow.

use thalweg_plot::{Figure, Line, Section, Stroke, Tone};
use thalweg_solve::{Method, Steps};

use super::{Subject, add};
use crate::error::TrainError;
use crate::steepness::Steepness;
use crate::trained::{TrainedFlow, Way};

/// Times at which a flow is looked at.
const TIMES: usize = 33;
/// Most points, and least; in between as many as keep the number of tangents, one for each coordinate.
const POINTS: [usize; 2] = [16, 256];
const TANGENTS: usize = 2_048;
/// The slope at which the steps of the evaluation would overshoot is drawn where it is within reach of the curves.
const WITHIN_REACH: f64 = 2.0;

/// The curves of a run that started from another; nothing for others.
pub(super) fn section(subject: &Subject) -> Option<Section> {
    let base = subject.flow.base()?;
    let text = "What a flow gains in few steps it may pay for in steepness: a field whose Jacobian is large needs \
                short steps, or the very steps that it was tuned to.";
    Some(add(Section::new("Steepness").text(text), figure(subject, &base)))
}

fn figure(subject: &Subject, base: &TrainedFlow) -> Result<Figure, TrainError> {
    let Subject { flow, evaluation, .. } = subject;
    let dim = flow.summary.dim;
    let number = (TANGENTS / dim).clamp(POINTS[0], POINTS[1]).min(evaluation.truth.rows());
    let (source, condition) = (flow.source(number, evaluation.seed)?, subject.conditions(number));
    let way = Way { source: &source, condition: &condition, solver: &evaluation.solver, count: TIMES };
    let (before, tuned) = (base.steepness(&way)?, flow.steepness(&way)?);
    let figure = Figure::new("How steep the field is along t").x_label("t").y_label("L");
    let figure = [("before tuning", &before, Tone::Muted), ("tuned", &tuned, Tone::Series(0))]
        .into_iter()
        .fold(figure, |figure, (name, found, tone)| {
            let mean = lines(&format!("{name}, mean"), found, &found.mean);
            let largest = lines(&format!("{name}, largest"), found, &found.largest);
            let largest = largest.map(|line| line.stroke(Stroke::Dashed));
            mean.into_iter().chain(largest).fold(figure, |figure, line| figure.with(line.tone(tone)))
        });
    let limit = overshooting(subject, &before, &tuned);
    let heights = [&before, &tuned].map(|found| &found.largest).into_iter().flatten().copied();
    let highest =
        heights.chain(limit.as_ref().map(|(height, _)| *height)).filter(|height| height.is_finite());
    // From zero on, because L says something only beside it.
    let figure = figure.y_range(0.0, highest.fold(f64::MIN_POSITIVE, f64::max) * 1.05);
    let figure = limit.into_iter().fold(figure, |figure, (_, line)| figure.with(line));
    let second_stage = if tuned.times.len() > tuned.of_flow {
        " After the gap comes the second stage, which has a solver of its own and is not counted."
    } else {
        ""
    };
    let caption = format!(
        "The largest singular value L of the Jacobian of the velocity in the point, in model units, along the paths \
         of {number} points from the same noise, as the solver of the samples makes them. At its steepest the flow has \
         L = {} before tuning and {} after. A step h of Euler overshoots in a direction that contracts at the rate L \
         once hL > 2: to stay below that, were it the steepest that contracts, takes {} before tuning and {} after. \
         Directions that grow or turn have no such limit.{second_stage}",
        slope(before.steepest()),
        slope(tuned.steepest()),
        steps(&before),
        steps(&tuned),
    );
    Ok(figure.caption(subject.unguided(&caption)))
}

/// The curve of the flow, and apart from it that of the second stage, which is another field.
fn lines(label: &str, found: &Steepness, values: &[f64]) -> [Line; 2] {
    let points: Vec<[f64; 2]> = found.times.iter().zip(values).map(|(t, value)| [*t, *value]).collect();
    let (flow, second) = points.split_at(found.of_flow);
    [Line::new(label, flow.to_vec()), Line::new("", second.to_vec())]
}

/// Where the steps of the evaluation have `hL = 2`, with its height.
fn overshooting(subject: &Subject, before: &Steepness, tuned: &Steepness) -> Option<(f64, Line)> {
    let solver = &subject.evaluation.solver;
    let (Method::Euler, Steps::Fixed(count)) = (solver.method, &solver.steps) else { return None };
    let (start, end) = (tuned.times[0], tuned.times[tuned.of_flow - 1]);
    let limit = 2.0 * *count as f64 / (end - start).abs();
    let is_seen = limit <= WITHIN_REACH * before.steepest().max(tuned.steepest());
    let label = format!("hL = 2 in {count} steps of Euler");
    is_seen.then(|| (limit, Line::new(label, vec![[start, limit], [end, limit]]).tone(Tone::Series(1))))
}

fn slope(value: f64) -> String {
    if value.is_finite() { format!("{value:.1}") } else { "∞".to_string() }
}

fn steps(found: &Steepness) -> String {
    match found.steps_of_euler() {
        Some(1) => "1 step".to_string(),
        Some(count) => format!("{count} equal steps"),
        None => "more steps than there are".to_string(),
    }
}
