//! Which states a solve keeps besides the last.

use burn::tensor::{Bool, Tensor, TensorData};

use crate::clock::Clock;
use crate::state::{State, Term, Weight};
use crate::{InvalidSolve, Span, Tableau};

/// Which states a solve keeps besides the last.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Save {
    /// None.
    #[default]
    End,
    /// The initial state and the state after every accepted step; needs one step size for the batch.
    Steps,
    /// The states at these times, between the steps by dense output. The times lie in the span, in the order in which
    /// the solve meets them.
    At(Vec<f64>),
}

impl Save {
    /// `count` equally spaced times with both ends of the span among them.
    #[must_use]
    pub fn evenly(span: Span, count: usize) -> Self {
        Self::At(if count < 2 { vec![span.end; count] } else { span.uniform(count - 1) })
    }

    pub(crate) fn validate(&self, span: Span, per_sample: bool) -> Result<(), InvalidSolve> {
        match self {
            Self::Steps if per_sample => Err(InvalidSolve::NeedsSharedSteps { what: "saving every step" }),
            Self::End | Self::Steps => Ok(()),
            Self::At(times) => {
                let mut least = span.start;
                for (index, &time) in times.iter().enumerate() {
                    if !time.is_finite() || !span.contains(time) || span.before(time, least) {
                        return Err(InvalidSolve::SaveTime { index, time, start: span.start, end: span.end });
                    }
                    least = time;
                }
                Ok(())
            }
        }
    }
}

/// The states kept so far.
pub(crate) struct Kept<S> {
    every_step: bool,
    span: Span,
    saved: Vec<(f64, S)>,
}

/// A step whose outcome is about to be kept.
pub(crate) struct Taken<'a, S: State> {
    pub(crate) clock: &'a Clock,
    pub(crate) from: &'a S,
    pub(crate) to: &'a S,
    pub(crate) rates: &'a [S::Rate],
}

impl<S: State> Kept<S> {
    /// Every slot of a time starts with the initial state, which is right for the start of the span.
    pub(crate) fn new(save: &Save, span: Span, initial: &S) -> Self {
        let saved = match save {
            Save::End => Vec::new(),
            Save::Steps => vec![(span.start, initial.clone())],
            Save::At(times) => times.iter().map(|&time| (time, initial.clone())).collect(),
        };
        Self { every_step: *save == Save::Steps, span, saved }
    }

    /// Whether a time to save at lies strictly inside the step that is being taken.
    pub(crate) fn needs_dense_output(&self, clock: &Clock) -> bool {
        let inside = |time| clock.lanes.iter().any(|lane| lane.is_strictly_inside(time, self.span));
        !self.every_step && self.saved.iter().any(|&(time, _)| inside(time))
    }

    /// Keeps what the accepted lanes of a step passed.
    pub(crate) fn keep(&mut self, tableau: &Tableau, taken: &Taken<'_, S>) {
        if self.every_step {
            self.saved.push((taken.clock.lanes[0].target, taken.to.clone()));
            return;
        }
        for (time, slot) in &mut self.saved {
            let passed: Vec<bool> =
                taken.clock.lanes.iter().map(|lane| lane.passes(*time, self.span)).collect();
            if !passed.contains(&true) {
                continue;
            }
            let state = taken.state_at(tableau, *time, &passed);
            *slot = if taken.clock.per_sample {
                S::choose(&mask(&passed, taken.from), state, slot.clone())
            } else {
                state
            };
        }
    }

    /// The end of the span is reached exactly, so what is saved there is the final state itself.
    pub(crate) fn finish(mut self, end: &S) -> Vec<(f64, S)> {
        if !self.every_step {
            for (time, slot) in &mut self.saved {
                if *time == self.span.end {
                    *slot = end.clone();
                }
            }
        }
        self.saved
    }
}

impl<S: State> Taken<'_, S> {
    /// The state at `time` in the lanes that passed it, anything in the others.
    fn state_at(&self, tableau: &Tableau, time: f64, passed: &[bool]) -> S {
        let lanes = &self.clock.lanes;
        if !self.clock.per_sample && time == lanes[0].target {
            return self.to.clone();
        }
        let theta = |lane: usize| {
            if passed[lane] { (time - lanes[lane].time) / lanes[lane].size() } else { 0.0 }
        };
        let weights: Vec<Vec<f64>> = (0..lanes.len())
            .map(|lane| {
                tableau.dense_weights(theta(lane)).map(|weight| weight * lanes[lane].size()).collect()
            })
            .collect();
        let terms: Vec<Term<'_, S::Rate>> = self
            .rates
            .iter()
            .enumerate()
            .map(|(stage, rate)| {
                let of_lanes: Vec<f64> = weights.iter().map(|weights| weights[stage]).collect();
                Term { weight: self.weight(&of_lanes), rate }
            })
            .collect();
        self.from.advance(&terms)
    }

    fn weight(&self, of_lanes: &[f64]) -> Weight {
        if self.clock.per_sample {
            Weight::PerSample(self.from.placement().tensor(of_lanes, [of_lanes.len()]))
        } else {
            Weight::Shared(of_lanes[0])
        }
    }
}

/// A mask `[batch]` on the device of a state.
pub(crate) fn mask<S: State>(values: &[bool], state: &S) -> Tensor<1, Bool> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &state.placement().device)
}
