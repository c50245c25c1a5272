//! When a step is good enough, and how far the next one goes.

use crate::Span;

/// A proportional-integral controller (Gustafsson; Hairer, Nørsett and Wanner, Solving Ordinary Differential Equations
/// II, IV.2).
///
/// After an accepted step with error `e`, measured so that 1 is just tolerable, the next is
/// `clip(0.9 · e^(−α) · p^β, 0.2, 10)` times as long, where `p` is the error of the accepted step before, but
/// at least 0.1, and `α = 1/q − 0.75 β` for a method of order `q`; after the first step, which has none before it, `β = 0`.
/// A step with `e > 1` is tried again `clip(0.9 · e^(−1/q), 0.2, 1)` times as long, and the step after it may not grow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Controller {
    /// `q`, the order in `h` of the error estimate.
    order: f64,
    tuning: Tuning,
}

/// What one may choose about a controller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuning {
    /// `β`, the weight of the error before.
    beta: f64,
    /// How much longer than proposed the last steps may be, so that no short one is left over.
    stretch: f64,
}

impl Tuning {
    /// Far fewer rejections than the classical controller where stability limits the step, and fewer steps elsewhere.
    pub(crate) const DEFAULT: Self = Self { beta: 0.03, stretch: 1.1 };
    /// What most libraries do.
    #[cfg(test)]
    pub(crate) const CLASSICAL: Self = Self { beta: 0.0, stretch: 1.0 };
}

const SAFETY: f64 = 0.9;
const MIN_FACTOR: f64 = 0.2;
const MAX_FACTOR: f64 = 10.0;
/// The first step is far too short and one may be lucky: neither says that errors grow.
const LEAST_ERROR: f64 = 0.1;
/// A step that would leave less than this share of itself to the end goes to the end.
const REST: f64 = 1e-9;

/// What a controller remembers between steps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct History {
    accepted_error: Option<f64>,
    just_rejected: bool,
}

impl History {
    pub(crate) const NEW: Self = Self { accepted_error: None, just_rejected: false };
}

/// What to do with a step, and how much longer or shorter the next one is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    Accept(f64),
    Reject(f64),
}

impl Controller {
    pub(crate) fn new(order: usize, tuning: Tuning) -> Self {
        Self { order: order as f64, tuning }
    }

    /// The next step where `left` remains of the span and `proposal` is what accuracy allows; both are unsigned. The last
    /// two steps are of equal length.
    pub(crate) fn fit(&self, proposal: f64, left: f64, history: &History) -> f64 {
        // Neither a first step, which may be a wish, nor one that was just cut short to be tolerable is stretched.
        let trusted = history.accepted_error.is_some() && !history.just_rejected;
        let stretch = if trusted { self.tuning.stretch } else { 1.0 };
        let longest = proposal * stretch;
        if longest >= left * (1.0 - REST) {
            left
        } else if stretch > 1.0 && 2.0 * longest >= left {
            0.5 * left
        } else {
            proposal
        }
    }

    /// An error that is not finite counts as far too large.
    pub(crate) fn judge(&self, error: f64, history: &mut History) -> Verdict {
        if !error.is_finite() {
            history.just_rejected = true;
            return Verdict::Reject(MIN_FACTOR);
        }
        if error > 1.0 {
            history.just_rejected = true;
            return Verdict::Reject((SAFETY * error.powf(-1.0 / self.order)).clamp(MIN_FACTOR, 1.0));
        }
        let (before, beta) = history.accepted_error.map_or((1.0, 0.0), |before| (before, self.tuning.beta));
        let alpha = 1.0 / self.order - 0.75 * beta;
        // An error of zero gives infinity, which the clip turns into the largest factor.
        let factor = SAFETY * error.powf(-alpha) * before.powf(beta);
        let most = if history.just_rejected { 1.0 } else { MAX_FACTOR };
        *history = History { accepted_error: Some(error.max(LEAST_ERROR)), just_rejected: false };
        Verdict::Accept(factor.clamp(MIN_FACTOR, most))
    }
}

/// The sizes that decide on a first step, for one step size: of the state, its slope, and the change of the slope over
/// the probe.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FirstStep {
    /// Length of Euler's probe step, never beyond the span.
    pub(crate) probe: f64,
    slope: f64,
}

impl FirstStep {
    /// `state` and `slope` are root mean squares measured against the tolerance.
    pub(crate) fn new(state: f64, slope: f64, span: Span) -> Self {
        let probe = if state < 1e-5 || slope < 1e-5 { 1e-6 } else { 0.01 * state / slope };
        // An infinite slope gives zero, a slope that is not a number the smallest probe.
        let probe = if probe.is_finite() { probe } else { 1e-6 };
        Self { probe: probe.min(span.length().abs()), slope }
    }

    /// The first step after the probe, unsigned. `curvature` is the size of the second derivative.
    pub(crate) fn size(&self, curvature: f64, order: usize, span: Span) -> f64 {
        let fastest = self.slope.max(curvature);
        let by_accuracy = if fastest <= 1e-15 {
            (self.probe * 1e-3).max(1e-6)
        } else {
            (0.01 / fastest).powf(1.0 / order as f64)
        };
        (100.0 * self.probe).min(by_accuracy).min(span.length().abs())
    }
}

/// Steps below this do not move a state of this precision any more: four units in the last place of the larger of the
/// time and the length of the span.
pub(crate) fn least_step(epsilon: f64, time: f64, span: Span) -> f64 {
    4.0 * epsilon * time.abs().max(span.length().abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(controller: Controller, error: f64, history: &mut History) -> f64 {
        match controller.judge(error, history) {
            Verdict::Accept(factor) => factor,
            Verdict::Reject(_) => panic!("an error of {error} is tolerable"),
        }
    }

    #[test]
    fn without_beta_the_factor_is_the_classical_one() {
        let controller = Controller::new(5, Tuning::CLASSICAL);
        for error in [0.0, 1e-9, 1e-3, 0.3, 1.0] {
            let factor = accept(controller, error, &mut History::NEW.clone());
            assert_eq!(factor, (0.9 * error.powf(-0.2)).clamp(0.2, 10.0));
        }
        for error in [1.1, 30.0, 1e9] {
            let verdict = controller.judge(error, &mut History::NEW.clone());
            assert_eq!(verdict, Verdict::Reject((0.9 * error.powf(-0.2)).max(0.2)));
        }
    }

    #[test]
    fn errors_that_grow_hold_the_step_back_and_errors_that_shrink_let_it_go() {
        let controller = Controller::new(5, Tuning::DEFAULT);
        let after = |before: f64| {
            let mut history = History::NEW;
            accept(controller, before, &mut history);
            accept(controller, 0.5, &mut history)
        };
        assert!(after(0.1) < after(0.5) && after(0.5) < after(1.0));
    }

    #[test]
    fn a_step_does_not_grow_right_after_a_rejection() {
        let controller = Controller::new(5, Tuning::DEFAULT);
        let mut history = History::NEW;
        assert!(matches!(controller.judge(2.0, &mut history), Verdict::Reject(_)));
        assert_eq!(accept(controller, 1e-6, &mut history), 1.0);
        assert!(accept(controller, 1e-6, &mut history) > 1.0);
    }

    #[test]
    fn the_last_steps_share_what_is_left() {
        let accepted = History { accepted_error: Some(0.5), just_rejected: false };
        let fit = |tuning, proposal| Controller::new(5, tuning).fit(proposal, 1.0, &accepted);
        for (proposal, expected) in [(2.0, 1.0), (0.95, 1.0), (0.9, 0.5), (0.47, 0.5), (0.45, 0.45)] {
            assert_eq!(fit(Tuning::DEFAULT, proposal), expected, "{proposal}");
        }
        for (proposal, expected) in [(2.0, 1.0), (1.0, 1.0), (0.95, 0.95), (0.5, 0.5)] {
            assert_eq!(fit(Tuning::CLASSICAL, proposal), expected, "{proposal}");
        }
        for history in [History::NEW, History { just_rejected: true, ..accepted }] {
            assert_eq!(Controller::new(5, Tuning::DEFAULT).fit(0.95, 1.0, &history), 0.95);
        }
    }

    #[test]
    fn errors_that_are_not_finite_are_rejected() {
        for error in [f64::NAN, f64::INFINITY] {
            assert_eq!(
                Controller::new(5, Tuning::DEFAULT).judge(error, &mut History::NEW.clone()),
                Verdict::Reject(0.2)
            );
        }
    }

    #[test]
    fn the_first_step_stays_inside_the_span() {
        let span = Span { start: 1.0, end: 0.75 };
        for (state, slope) in [(1.0, 1e-9), (1e6, 1e-3), (0.0, 0.0), (1.0, 1.0)] {
            let first = FirstStep::new(state, slope, span);
            assert!(first.probe > 0.0 && first.probe <= 0.25, "{first:?}");
            let size = first.size(slope, 5, span);
            assert!(size > 0.0 && size <= 0.25, "{size}");
        }
    }
}
