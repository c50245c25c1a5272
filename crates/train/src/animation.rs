//! The flow in motion: source points on their way to data, for reports and for GIF files.

use thalweg_plot::{Bounds, ScatterAnimation};

use crate::error::TrainError;
use crate::trained::{Equation, SampleRequest, TrainedFlow};
use crate::view::{bounds, plane};

/// Pictures of a motion, from its start to its end.
const FRAMES: usize = 61;

/// What the request's samples do on their way, seen in their first two coordinates and within the range in which they
/// arrive.
///
/// # Errors
/// When the flow has one dimension only, the request asks for guidance or a stochastic equation, which leave no such
/// paths behind, or the solve fails.
pub fn animation(flow: &TrainedFlow, request: &SampleRequest) -> Result<ScatterAnimation, TrainError> {
    let refuse = |message: &str| Err(TrainError::Request(message.to_string()));
    if flow.summary.dim < 2 {
        return refuse("an animation shows two coordinates, but this flow has one");
    }
    if request.guidance != 1.0 {
        return refuse("an animation shows the flow without guidance: ask for guidance 1");
    }
    let Equation::Flow(solver) = &request.equation else {
        return refuse("an animation follows the ordinary equation, not the stochastic one");
    };
    let source = flow.source(request.number, request.seed)?;
    let condition = flow.condition(&request.condition, request.number, request.seed)?;
    let motion = flow.trajectories(&source, &condition, solver, FRAMES)?;
    let frames: Vec<Vec<[f64; 2]>> = motion.points.iter().map(|points| plane(points, motion.dim)).collect();
    let arrived: Option<Bounds> = frames.last().and_then(|frame| bounds(frame));
    let title =
        if motion.dim == 2 { "From source to data" } else { "From source to data, first two coordinates" };
    let animation = ScatterAnimation::new(title, frames, motion.times)?;
    Ok(match arrived {
        Some(arrived) => animation.bounds(arrived),
        None => animation,
    })
}
