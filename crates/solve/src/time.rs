//! Times on the host: the span of a solve, and the times at which a field is evaluated.

use burn::tensor::Tensor;

use crate::State;

/// From where to where a solve runs; backward in time when `end < start`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// The time of the initial state.
    pub start: f64,
    /// The time of the final state; reached exactly, never passed.
    pub end: f64,
}

impl Span {
    /// From noise or source to data, 0 to 1.
    pub const FORWARD: Self = Self { start: 0.0, end: 1.0 };
    /// From data to noise or source, 1 to 0.
    pub const BACKWARD: Self = Self { start: 1.0, end: 0.0 };

    /// The same span walked the other way.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { start: self.end, end: self.start }
    }

    /// `end − start`, negative when time runs backward.
    #[must_use]
    pub fn length(self) -> f64 {
        self.end - self.start
    }

    /// Whether `earlier` comes strictly before `later` on the way from start to end.
    pub(crate) fn before(self, earlier: f64, later: f64) -> bool {
        if self.end >= self.start { earlier < later } else { earlier > later }
    }

    pub(crate) fn contains(self, time: f64) -> bool {
        !self.before(time, self.start) && !self.before(self.end, time)
    }

    /// `steps + 1` equally spaced times whose first and last are exactly the ends.
    pub(crate) fn uniform(self, steps: usize) -> Vec<f64> {
        let mut nodes: Vec<f64> =
            (0..=steps).map(|i| self.start + self.length() * (i as f64 / steps as f64)).collect();
        nodes[steps] = self.end;
        nodes
    }
}

/// The times at which a field is evaluated, on the host.
#[derive(Debug, Clone, PartialEq)]
pub enum Times {
    /// One time for the whole batch.
    Shared(f64),
    /// A time for each sample.
    PerSample(Vec<f64>),
}

impl Times {
    /// The times as a tensor `[batch]` on the device and in the precision of `state`.
    #[must_use]
    pub fn tensor<S: State>(&self, state: &S) -> Tensor<1> {
        let placement = state.placement();
        match self {
            Self::Shared(time) => placement.full(*time, [state.batch()]),
            Self::PerSample(times) => placement.tensor(times, [times.len()]),
        }
    }

    /// The time of one sample.
    #[must_use]
    pub fn of(&self, sample: usize) -> f64 {
        match self {
            Self::Shared(time) => *time,
            Self::PerSample(times) => times[sample],
        }
    }
}
