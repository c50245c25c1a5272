//! The host's side of a solve: where in time each lane is, and how large its next step is.
//!
//! A lane is whatever has a step size of its own: the whole batch, or one sample.

use crate::control::{Controller, History, Verdict, least_step};
use crate::solution::Failure;
use crate::state::Weight;
use crate::{Placement, Span, Times};

/// All lanes of a solve.
pub(crate) struct Clock {
    pub(crate) lanes: Vec<Lane>,
    /// A lane for each sample; otherwise there is exactly one.
    pub(crate) per_sample: bool,
    span: Span,
    pace: Pace,
}

/// Where steps end.
pub(crate) enum Pace {
    /// At given times, from start to end of the span.
    Nodes(Vec<f64>),
    /// Where the controller allows; `epsilon` is the rounding unit of the state.
    Adaptive { controller: Controller, max_steps: usize, epsilon: f64 },
}

/// One step size and its history.
pub(crate) struct Lane {
    pub(crate) time: f64,
    /// Where the step that is being tried ends; `time` when the lane has stopped.
    pub(crate) target: f64,
    pub(crate) status: Status,
    pub(crate) evaluations: usize,
    pub(crate) accepted: usize,
    pub(crate) rejected: usize,
    /// Whether the slope at `time` has been evaluated already.
    pub(crate) slope_known: bool,
    /// Whether the step that was just tried is taken.
    pub(crate) taken: bool,
    /// Unsigned size of the next step of an adaptive solve.
    proposal: f64,
    history: History,
    last_error: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Status {
    Running,
    Done,
    Failed(Failure),
}

impl Clock {
    pub(crate) fn new(span: Span, pace: Pace, lanes: usize, per_sample: bool) -> Self {
        let status = if span.start == span.end { Status::Done } else { Status::Running };
        let lane = |_| Lane {
            time: span.start,
            target: span.start,
            status: status.clone(),
            evaluations: 0,
            accepted: 0,
            rejected: 0,
            slope_known: false,
            taken: false,
            proposal: 0.0,
            history: History::NEW,
            last_error: 0.0,
        };
        Self { lanes: (0..lanes).map(lane).collect(), per_sample, span, pace }
    }

    pub(crate) fn is_adaptive(&self) -> bool {
        matches!(self.pace, Pace::Adaptive { .. })
    }

    pub(crate) fn propose(&mut self, sizes: &[f64]) {
        for (lane, &size) in self.lanes.iter_mut().zip(sizes) {
            lane.proposal = size;
        }
    }

    /// Proposes guesses, which may be too small to move the state and are then made larger: a step that is too long is
    /// found out by its error.
    pub(crate) fn propose_guesses(&mut self, guesses: &[f64]) {
        let Pace::Adaptive { epsilon, .. } = self.pace else { return };
        let least = 2.0 * least_step(epsilon, self.span.start, self.span);
        let sizes: Vec<f64> = guesses.iter().map(|guess| guess.max(least)).collect();
        self.propose(&sizes);
    }

    /// Fails the lanes whose first slope is not finite.
    pub(crate) fn stop_where_not_finite(&mut self, slopes: &[f64]) {
        for (lane, slope) in self.lanes.iter_mut().zip(slopes) {
            if !slope.is_finite() {
                lane.status = Status::Failed(Failure::NotFinite);
            }
        }
    }

    /// Sets the target of every lane that runs, and stops those that cannot go on. False when none is left.
    pub(crate) fn aim(&mut self) -> bool {
        let (span, pace) = (self.span, &self.pace);
        for lane in &mut self.lanes {
            lane.taken = false;
            lane.target = lane.time;
            if lane.status != Status::Running {
                continue;
            }
            match pace {
                Pace::Nodes(nodes) => lane.target = nodes[lane.accepted + 1],
                Pace::Adaptive { controller, max_steps, epsilon } => {
                    lane.aim(span, controller, *max_steps, *epsilon);
                }
            }
        }
        self.lanes.iter().any(|lane| lane.status == Status::Running)
    }

    /// Decides which lanes take the step they tried; `errors` are those of the lanes, empty when there is no control.
    pub(crate) fn judge(&mut self, errors: &[f64]) {
        for (i, lane) in self.lanes.iter_mut().enumerate() {
            if lane.status != Status::Running {
                continue;
            }
            let verdict = match &self.pace {
                Pace::Nodes(_) => Verdict::Accept(1.0),
                Pace::Adaptive { controller, .. } => {
                    lane.last_error = errors[i];
                    controller.judge(errors[i], &mut lane.history)
                }
            };
            match verdict {
                Verdict::Accept(factor) => {
                    lane.proposal = lane.size().abs() * factor;
                    lane.taken = true;
                }
                Verdict::Reject(factor) => {
                    lane.proposal = lane.size().abs() * factor;
                    lane.rejected += 1;
                }
            }
        }
    }

    /// Moves the lanes that take their step to its end.
    pub(crate) fn commit(&mut self) {
        for lane in self.lanes.iter_mut().filter(|lane| lane.taken) {
            lane.time = lane.target;
            lane.accepted += 1;
            if lane.time == self.span.end {
                lane.status = Status::Done;
            }
        }
    }

    /// Counts one evaluation in every lane that runs, or in those of them whose slope is not known yet.
    pub(crate) fn count(&mut self, only_unknown: bool) {
        for lane in &mut self.lanes {
            if lane.status == Status::Running && !(only_unknown && lane.slope_known) {
                lane.evaluations += 1;
            }
        }
    }

    /// The times at the fraction `c` of the steps that are being tried.
    pub(crate) fn times(&self, c: f64) -> Times {
        self.gather(|lane| {
            // The end of a step is its target exactly, or rounding could leave the span.
            if c == 1.0 { lane.target } else { lane.time + c * lane.size() }
        })
    }

    /// Something of each lane, as times.
    pub(crate) fn gather(&self, of: impl Fn(&Lane) -> f64) -> Times {
        if self.per_sample {
            Times::PerSample(self.lanes.iter().map(of).collect())
        } else {
            Times::Shared(of(&self.lanes[0]))
        }
    }

    /// The signed sizes of the steps that are being tried.
    pub(crate) fn step(&self, placement: impl FnOnce() -> Placement) -> Weight {
        match self.gather(Lane::size) {
            Times::Shared(size) => Weight::Shared(size),
            Times::PerSample(sizes) => Weight::PerSample(placement().tensor(&sizes, [sizes.len()])),
        }
    }

    /// Something of each lane, for each sample.
    pub(crate) fn for_samples(&self, batch: usize, of: impl Fn(&Lane) -> usize) -> Vec<usize> {
        if self.per_sample { self.lanes.iter().map(of).collect() } else { vec![of(&self.lanes[0]); batch] }
    }
}

impl Lane {
    /// Signed size of the step that is being tried; zero when the lane has stopped.
    pub(crate) fn size(&self) -> f64 {
        self.target - self.time
    }

    pub(crate) fn is_strictly_inside(&self, time: f64, span: Span) -> bool {
        span.before(self.time, time) && span.before(time, self.target)
    }

    /// Whether the step that was just taken reached or passed `time`.
    pub(crate) fn passes(&self, time: f64, span: Span) -> bool {
        self.taken && span.before(self.time, time) && !span.before(self.target, time)
    }

    fn aim(&mut self, span: Span, controller: &Controller, max_steps: usize, epsilon: f64) {
        let left = span.end - self.time;
        let least = least_step(epsilon, self.time, span);
        let fitted = controller.fit(self.proposal, left.abs(), &self.history);
        // Half of what is left must not be too small where the proposal is not.
        let size = if fitted < left.abs() { fitted.max(self.proposal.min(2.0 * least)) } else { fitted };
        if self.accepted + self.rejected >= max_steps {
            self.status = Status::Failed(Failure::MaxSteps(max_steps));
        } else if size == left.abs() {
            self.target = span.end;
        } else if size > least {
            self.target = self.time + size.copysign(left);
        } else if self.last_error.is_finite() {
            self.status = Status::Failed(Failure::StepTooSmall(least));
        } else {
            self.status = Status::Failed(Failure::NotFinite);
        }
    }
}
