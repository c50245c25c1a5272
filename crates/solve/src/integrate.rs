//! The one loop behind every solve.

use burn::tensor::{DType, Tensor};

use crate::aside::{Aside, Whole};
use crate::clock::{Clock, Pace, Status};
use crate::control::{Controller, FirstStep, Tuning};
use crate::save::{Kept, Taken, mask};
use crate::solution::Failure;
use crate::state::{State, Term, Weight};
use crate::{
    Control, InvalidSolve, Norms, Save, Solution, SolveError, Solver, Span, Steps, Tableau, Times, Tolerance,
    VelocityField,
};

/// Solves `dx/dt = rate(t, x)` from `initial` at the start of the span to its end, in either direction of time.
///
/// `rate` is never asked outside the span. When the state or what `rate` returns is tracked by automatic
/// differentiation, the accepted steps are recorded with their sizes as constants, so gradients of the result are exact
/// for what was computed; [`record`](crate::record) needs less memory for the same gradients. With steps per sample the
/// tries of samples that were rejected or done stay on the tape behind a mask: their rate must be differentiable too.
///
/// Adaptive solves read one number per sample back to the host in each step, others only look every sixteen steps
/// whether the state is still finite. No tensor is made for a coefficient that the batch shares.
///
/// An empty batch and a span of no length give the initial state back without an evaluation.
///
/// # Errors
/// When the request makes no sense, when the steps do not reach the end, or when values are not finite. The error
/// holds the last good state.
pub fn integrate<S: State>(
    solver: &Solver,
    span: Span,
    initial: S,
    save: &Save,
    rate: impl FnMut(&Times, &S) -> S::Rate,
) -> Result<Solution<S>, SolveError<S>> {
    let request = Request { solver, span, save, tuning: Tuning::DEFAULT, any_rows: false };
    integrate_observed(&request, initial, rate, |_| {})
}

/// [`integrate`] for a `rate` that takes any rows of the batch in any order, because it holds nothing that belongs to a
/// row. With steps per sample the solve goes on without the samples that are done, which saves their share of the work.
///
/// # Errors
/// Those of [`integrate`].
pub fn integrate_any_rows<S: State>(
    solver: &Solver,
    span: Span,
    initial: S,
    save: &Save,
    rate: impl FnMut(&Times, &S) -> S::Rate,
) -> Result<Solution<S>, SolveError<S>> {
    let request = Request { solver, span, save, tuning: Tuning::DEFAULT, any_rows: true };
    integrate_observed(&request, initial, rate, |_| {})
}

/// [`integrate`] for points that follow a velocity field.
///
/// # Errors
/// Those of [`integrate`].
pub fn solve_field<const D: usize>(
    solver: &Solver,
    span: Span,
    x: Tensor<D>,
    save: &Save,
    field: &impl VelocityField<D>,
) -> Result<Solution<Tensor<D>>, SolveError<Tensor<D>>> {
    let request = Request { solver, span, save, tuning: Tuning::DEFAULT, any_rows: field.takes_any_rows() };
    let rate = |times: &Times, x: &Tensor<D>| field.velocity(times.tensor(x), x.clone());
    integrate_observed(&request, x, rate, |_| {})
}

/// What to solve and how.
pub(crate) struct Request<'a> {
    pub(crate) solver: &'a Solver,
    pub(crate) span: Span,
    pub(crate) save: &'a Save,
    /// Of the step size controller.
    pub(crate) tuning: Tuning,
    /// Whether the rate takes any rows of the batch.
    pub(crate) any_rows: bool,
}

/// [`integrate`] with a look at the state after each step, for solves that have one step size for the batch.
pub(crate) fn integrate_observed<S: State>(
    request: &Request<'_>,
    initial: S,
    rate: impl FnMut(&Times, &S) -> S::Rate,
    mut observe: impl FnMut(&S),
) -> Result<Solution<S>, SolveError<S>> {
    let clock = match request.clock(&initial) {
        Ok(clock) => clock,
        Err(reason) => return Err(SolveError::refused(reason, request.span, initial)),
    };
    let kept = Kept::new(request.save, request.span, &initial);
    if initial.batch() == 0 {
        return Ok(Solution {
            saved: kept.finish(&initial),
            state: initial,
            evaluations: vec![],
            accepted: vec![],
            rejected: vec![],
            grid: vec![request.span.start, request.span.end],
        });
    }
    let mut run = Run {
        tableau: request.solver.method.tableau(),
        span: request.span,
        tolerance: request.tolerance(),
        rate,
        good: Good { state: initial.clone(), reached: clock.gather(|lane| lane.time), unchecked: 0 },
        grid: vec![request.span.start],
        // What is kept on the way has a place for every row.
        aside: (request.any_rows && *request.save == Save::End && clock.per_sample)
            .then(|| Aside::new(initial.batch())),
        state: initial,
        slope: None,
        clock,
        kept,
    };
    run.choose_first_step(request.first_step())?;
    while run.clock.aim() {
        run.set_aside()?;
        run.step()?;
        if !run.clock.per_sample && run.clock.lanes[0].taken {
            observe(&run.state);
        }
    }
    run.finish()
}

impl Request<'_> {
    fn clock<S: State>(&self, initial: &S) -> Result<Clock, InvalidSolve> {
        let Span { start, end } = self.span;
        if !(start.is_finite() && end.is_finite()) {
            return Err(InvalidSolve::Span { start, end });
        }
        self.solver.validate()?;
        let per_sample = matches!(self.solver.steps, Steps::Adaptive { control: Control::PerSample, .. });
        self.save.validate(self.span, per_sample)?;
        let pace = match self.solver.nodes(self.span)? {
            Some(nodes) => Pace::Nodes(nodes),
            None => Pace::Adaptive {
                controller: Controller::new(self.solver.method.tableau().order, self.tuning),
                max_steps: self.solver.max_steps,
                epsilon: match initial.placement().dtype {
                    DType::F64 => f64::EPSILON,
                    _ => f64::from(f32::EPSILON),
                },
            },
        };
        let lanes = if per_sample { initial.batch() } else { 1 };
        Ok(Clock::new(self.span, pace, lanes, per_sample))
    }

    fn tolerance(&self) -> Tolerance {
        match self.solver.steps {
            Steps::Adaptive { tolerance, .. } => tolerance,
            _ => Tolerance::default(),
        }
    }

    fn first_step(&self) -> Option<f64> {
        match self.solver.steps {
            Steps::Adaptive { first_step, .. } => first_step,
            _ => None,
        }
    }
}

/// A solve under way.
struct Run<S: State, F> {
    tableau: &'static Tableau,
    span: Span,
    tolerance: Tolerance,
    rate: F,
    state: S,
    /// The slope at `state`, where it is known.
    slope: Option<S::Rate>,
    clock: Clock,
    kept: Kept<S>,
    good: Good<S>,
    grid: Vec<f64>,
    /// The samples that the solve goes on without, where it may.
    aside: Option<Aside<S>>,
}

/// The last state that was seen to be finite.
struct Good<S> {
    state: S,
    reached: Times,
    /// Steps since.
    unchecked: usize,
}

/// Looking costs a read-back, so it is done only so often.
const CHECK_EVERY: usize = 16;

impl<S: State, F: FnMut(&Times, &S) -> S::Rate> Run<S, F> {
    /// Tries one step in every lane and takes it where its error is tolerable.
    fn step(&mut self) -> Result<(), SolveError<S>> {
        // 1. The slopes, the point at the end, and where the lanes ask for it the error there.
        let step = self.clock.step(|| self.state.placement());
        let (next, rates) = self.stages(&step);
        let errors = self.errors(&step, &next, &rates);
        // 2. What to take of it.
        self.clock.judge(&errors);
        let taken: Vec<bool> = self.clock.lanes.iter().map(|lane| lane.taken).collect();
        if taken.contains(&true) {
            let passed = Taken { clock: &self.clock, from: &self.state, to: &next, rates: &rates };
            self.kept.keep(self.tableau, &passed);
        }
        self.clock.commit();
        // 3. Go on from there.
        self.advance(next, rates, &taken);
        self.check(CHECK_EVERY)
    }

    /// The end point of a step, and its slopes: all of them where the last is wanted, otherwise those that make up the
    /// end point.
    fn stages(&mut self, step: &Weight) -> (S, Vec<S::Rate>) {
        let tableau = self.tableau;
        let first = match self.slope.take() {
            Some(slope) => slope,
            None => {
                self.clock.count(true);
                let state = if self.counts(0) { self.state.clone() } else { self.state.clone().on_the_way() };
                (self.rate)(&self.clock.times(0.0), &state)
            }
        };
        let mut rates = vec![first];
        for stage in 1..tableau.stages() {
            let mut point = self.state.advance(&terms(step, tableau.a[stage - 1], &rates));
            if !self.counts(stage) {
                point = point.on_the_way();
            }
            let at_the_end = tableau.fsal && stage + 1 == tableau.stages();
            // The last slope is the first of the next step: a solve without control leaves it to that one.
            let unwanted = !self.clock.is_adaptive() && !self.kept.needs_dense_output(&self.clock);
            if at_the_end && unwanted {
                return (point, rates);
            }
            self.clock.count(false);
            rates.push((self.rate)(&self.clock.times(tableau.c[stage]), &point));
            if at_the_end {
                return (point, rates);
            }
        }
        (self.state.advance(&terms(step, tableau.b, &rates)), rates)
    }

    /// Whether the slope of a stage has a weight of its own, beside those in further stages.
    fn counts(&self, stage: usize) -> bool {
        let Tableau { b, error, dense, fsal, .. } = self.tableau;
        let in_error = self.clock.is_adaptive() && error.is_some_and(|weights| weights[stage] != 0.0);
        let in_next = *fsal && stage + 1 == b.len();
        let in_saved = dense[stage] != [0.0; 4] && self.kept.needs_dense_output(&self.clock);
        b[stage] != 0.0 || in_error || in_next || in_saved
    }

    fn errors(&self, step: &Weight, next: &S, rates: &[S::Rate]) -> Vec<f64> {
        match self.tableau.error {
            Some(weights) if self.clock.is_adaptive() => {
                let norms = self.state.error_norms(next, &terms(step, weights, rates), &self.tolerance);
                self.of_lanes(&norms)
            }
            _ => Vec::new(),
        }
    }

    /// Moves the state on where the step is taken, and keeps the slopes that the next step starts with.
    fn advance(&mut self, next: S, mut rates: Vec<S::Rate>, taken: &[bool]) {
        let all = !taken.contains(&false);
        let none = !taken.contains(&true);
        let complete = rates.len() == self.tableau.stages();
        let mask = if all || none { None } else { Some(mask(taken, &self.state)) };
        let reusable = self.tableau.fsal && complete;
        let last = if reusable { rates.pop() } else { None };
        let first = rates.swap_remove(0);
        self.slope = match (last, &mask) {
            (_, None) if none => Some(first),
            (Some(last), None) => Some(last),
            (Some(last), Some(mask)) => Some(S::choose_rate(mask, last, first)),
            (None, _) => None,
        };
        for lane in &mut self.clock.lanes {
            lane.slope_known = reusable || !lane.taken;
        }
        if none {
            return;
        }
        self.state = match &mask {
            None => next,
            Some(mask) => S::choose(mask, next, self.state.clone()),
        };
        if !self.clock.per_sample {
            self.grid.push(self.clock.lanes[0].time);
        }
        self.good.unchecked += 1;
    }

    /// Evaluates the first slope and proposes a first step where the solve is adaptive.
    fn choose_first_step(&mut self, given: Option<f64>) -> Result<(), SolveError<S>> {
        if !self.clock.is_adaptive() || self.span.length() == 0.0 {
            return Ok(());
        }
        self.clock.count(false);
        let slope = (self.rate)(&self.clock.times(0.0), &self.state);
        let one = |weight| Term { weight, rate: &slope };
        let norms = self.state.error_norms(&self.state, &[one(Weight::Shared(1.0))], &self.tolerance);
        let of_samples = norms.of_samples();
        let wrong = of_samples.iter().filter(|norm| !norm.is_finite()).count();
        if wrong > 0 && !self.clock.per_sample {
            return Err(self.fail(Failure::NotFinite, wrong));
        }
        self.clock.stop_where_not_finite(&of_samples);
        match given {
            Some(step) => self.clock.propose(&vec![step; self.clock.lanes.len()]),
            None => {
                let guesses = self.probe(&slope, &norms);
                self.clock.propose_guesses(&guesses);
            }
        }
        self.slope = Some(slope);
        for lane in &mut self.clock.lanes {
            lane.slope_known = true;
        }
        Ok(())
    }

    /// The first step of Hairer, Nørsett and Wanner (Solving Ordinary Differential Equations I, II.4): a short step of
    /// Euler's method shows how fast the slope changes.
    fn probe(&mut self, slope: &S::Rate, slope_norms: &Norms) -> Vec<f64> {
        let (span, order) = (self.span, self.tableau.order);
        let sizes = self.of_lanes(&self.state.sizes(&self.tolerance));
        let slopes = self.of_lanes(slope_norms);
        let guesses: Vec<FirstStep> =
            sizes.iter().zip(&slopes).map(|(&size, &slope)| FirstStep::new(size, slope, span)).collect();
        for (lane, guess) in self.clock.lanes.iter_mut().zip(&guesses) {
            lane.target = if guess.probe < span.length().abs() {
                lane.time + guess.probe.copysign(span.length())
            } else {
                span.end
            };
        }
        let step = self.clock.step(|| self.state.placement());
        let point = self.state.advance(&[Term { weight: step, rate: slope }]);
        self.clock.count(false);
        let there = (self.rate)(&self.clock.times(1.0), &point);
        let change = [
            Term { weight: Weight::Shared(1.0), rate: &there },
            Term { weight: Weight::Shared(-1.0), rate: slope },
        ];
        let changes = self.of_lanes(&self.state.error_norms(&self.state, &change, &self.tolerance));
        guesses
            .iter()
            .zip(changes)
            .map(|(guess, change)| guess.size(change / guess.probe, order, span))
            .collect()
    }

    /// From norms of samples to norms of lanes.
    fn of_lanes(&self, norms: &Norms) -> Vec<f64> {
        if self.clock.per_sample { norms.of_samples() } else { vec![norms.of_batch()] }
    }

    /// Looks whether the state is finite when `patience` steps have been taken since the last look.
    fn check(&mut self, patience: usize) -> Result<(), SolveError<S>> {
        if self.good.unchecked < patience {
            return Ok(());
        }
        let wrong = self.state.finite().iter().filter(|finite| !**finite).count();
        if wrong > 0 {
            return Err(self.fail(Failure::NotFinite, wrong));
        }
        self.good =
            Good { state: self.state.clone(), reached: self.clock.gather(|lane| lane.time), unchecked: 0 };
        Ok(())
    }

    /// Goes on without the samples that have stopped, once they are a quarter of those at work.
    fn set_aside(&mut self) -> Result<(), SolveError<S>> {
        let Some(aside) = &self.aside else { return Ok(()) };
        let split = aside.split(&self.clock.lanes);
        if 4 * split.stopped.len() < self.clock.lanes.len() {
            return Ok(());
        }
        // What is set aside is not looked at again until the end.
        self.check(1)?;
        let Some(aside) = &mut self.aside else { return Ok(()) };
        let stopped = self.state.select(&split.stopped);
        self.state = self.state.select(&split.running);
        self.slope = self.slope.take().map(|slope| S::select_rate(&slope, &split.running));
        self.clock.lanes = aside.put(stopped, std::mem::take(&mut self.clock.lanes), &split);
        self.good =
            Good { state: self.state.clone(), reached: self.clock.gather(|lane| lane.time), unchecked: 0 };
        Ok(())
    }

    /// Puts all samples in their places again.
    fn reunite(&mut self) {
        let Some(aside) = self.aside.take() else { return };
        let lanes = std::mem::take(&mut self.clock.lanes);
        let reached = match &self.good.reached {
            Times::PerSample(times) => times.clone(),
            Times::Shared(time) => vec![*time; lanes.len()],
        };
        let Whole { states: [state, good], lanes, reached } =
            aside.whole([self.state.clone(), self.good.state.clone()], lanes, reached);
        (self.state, self.clock.lanes) = (state, lanes);
        self.good = Good { state: good, reached: Times::PerSample(reached), ..self.good };
    }

    fn finish(mut self) -> Result<Solution<S>, SolveError<S>> {
        self.check(1)?;
        self.reunite();
        let batch = self.state.batch();
        let mut failures = self.clock.lanes.iter().filter_map(|lane| match &lane.status {
            Status::Failed(reason) => Some(reason.clone()),
            _ => None,
        });
        if let Some(reason) = failures.next() {
            let samples = if self.clock.per_sample { 1 + failures.count() } else { batch };
            return Err(self.fail(reason, samples));
        }
        Ok(Solution {
            saved: self.kept.finish(&self.state),
            evaluations: self.clock.for_samples(batch, |lane| lane.evaluations),
            accepted: self.clock.for_samples(batch, |lane| lane.accepted),
            rejected: self.clock.for_samples(batch, |lane| lane.rejected),
            grid: if self.clock.per_sample { Vec::new() } else { self.grid },
            state: self.state,
        })
    }

    fn fail(&mut self, reason: Failure, samples: usize) -> SolveError<S> {
        self.reunite();
        SolveError {
            reason,
            span: self.span,
            reached: self.good.reached.clone(),
            samples,
            last: Box::new(self.good.state.clone()),
            evaluations: self.clock.for_samples(self.state.batch(), |lane| lane.evaluations),
        }
    }
}

impl<S: State> SolveError<S> {
    pub(crate) fn refused(reason: InvalidSolve, span: Span, initial: S) -> Self {
        let batch = initial.batch();
        Self {
            reason: Failure::Invalid(reason),
            span,
            reached: Times::Shared(span.start),
            samples: batch,
            evaluations: vec![0; batch],
            last: Box::new(initial),
        }
    }
}

/// `step · Σ weightᵢ rateᵢ` without the terms that vanish. There may be more weights than rates when the last are zero.
fn terms<'a, R>(step: &Weight, weights: &[f64], rates: &'a [R]) -> Vec<Term<'a, R>> {
    let pairs = weights.iter().zip(rates).filter(|(weight, _)| **weight != 0.0);
    pairs.map(|(&weight, rate)| Term { weight: step.scaled(weight), rate }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{Method, Placement, to_host};

    #[test]
    fn the_integral_part_saves_rejections_where_stability_limits_the_step() {
        let x: Tensor<2> = Placement::cpu_double().tensor(&[2.0, -1.0], [1, 2]);
        let stiff = |times: &Times, x: &Tensor<2>| {
            x.clone().sub(times.tensor(x).cos().reshape([1, 1])).mul_scalar(-200.0)
        };
        let run = |tuning| {
            let (solver, span) = (Solver::adaptive(Method::Dopri5, 1e-3), Span { start: 0.0, end: 5.0 });
            let request = Request { solver: &solver, span, save: &Save::End, tuning, any_rows: false };
            let solution = integrate_observed(&request, x.clone(), stiff, |_| {}).unwrap();
            (solution.rejected[0], solution.evaluations[0])
        };
        let ((rejected, evaluations), (rejected_without, evaluations_without)) =
            (run(Tuning::DEFAULT), run(Tuning::CLASSICAL));
        assert!(10 * rejected < rejected_without, "{rejected} against {rejected_without}");
        assert!(evaluations < evaluations_without, "{evaluations} against {evaluations_without}");
    }

    const SCIPY: &str = include_str!("../../../fixtures/solve/scipy.json");

    fn numbers(value: &Value) -> Vec<f64> {
        value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    }

    fn close(ours: &[f64], theirs: &[f64], tolerance: f64) {
        assert_eq!(ours.len(), theirs.len());
        for (a, b) in ours.iter().zip(theirs) {
            assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{ours:?} is not {theirs:?}");
        }
    }

    /// The driven oscillator of the fixture.
    fn oscillator(times: &Times, x: &Tensor<2>) -> Tensor<2> {
        let t = times.tensor(x).reshape([x.dims()[0], 1]);
        let (x0, x1) = (x.clone().narrow(1, 0, 1), x.clone().narrow(1, 1, 1));
        let damping = x0.clone().square().neg().add_scalar(1.0).mul_scalar(2.0);
        let force = t.mul_scalar(3.0).sin().mul_scalar(0.5);
        Tensor::cat(vec![x1.clone(), damping * x1 - x0 + force], 1)
    }

    #[test]
    fn without_the_integral_part_every_step_is_that_of_scipy() {
        let cases: Value = serde_json::from_str(SCIPY).unwrap();
        for case in cases.as_array().unwrap() {
            let method: Method = serde_json::from_value(case["method"].clone()).unwrap();
            let number = |name: &str| case[name].as_f64().unwrap();
            let tolerance = Tolerance { relative: number("relative"), absolute: number("absolute") };
            let steps = Steps::Adaptive { tolerance, control: Control::Shared, first_step: None };
            let solver = Solver { method, steps, ..Solver::default() };
            let span = Span { start: number("start"), end: number("end") };
            let save = Save::At(numbers(&case["times"]));
            let request =
                Request { solver: &solver, span, save: &save, tuning: Tuning::CLASSICAL, any_rows: false };
            let x = Placement::cpu_double().tensor(&numbers(&case["x"]), [1, 2]);
            let solution = integrate_observed(&request, x, oscillator, |_| {}).unwrap();
            // At tight tolerances the estimate is a difference of nearly equal numbers, and its rounding moves steps.
            close(&solution.grid, &numbers(&case["grid"]), 1e-6);
            close(&to_host(&solution.state), &numbers(&case["final"]), 1e-10);
            assert_eq!(solution.evaluations, [case["evaluations"].as_u64().unwrap() as usize]);
            for ((_, ours), theirs) in solution.saved.iter().zip(case["dense"].as_array().unwrap()) {
                close(&to_host(ours), &numbers(theirs), 1e-9);
            }
        }
    }
}
