//! Samples that have reached their end while others go on.
//!
//! With steps per sample some samples need many more steps than others. Evaluating the finished ones along costs as much
//! as evaluating the rest, so they are taken out, and at the end everything is put in order again.

use crate::State;
use crate::clock::{Lane, Status};

/// The samples that were taken out, and which ones are still at work.
pub(crate) struct Aside<S> {
    /// The places in the batch of the samples at work.
    rows: Vec<usize>,
    parts: Vec<Part<S>>,
}

struct Part<S> {
    rows: Vec<usize>,
    state: S,
    lanes: Vec<Lane>,
}

/// Places among the samples at work.
pub(crate) struct Split {
    pub(crate) running: Vec<usize>,
    pub(crate) stopped: Vec<usize>,
}

/// All samples in the order of the batch.
pub(crate) struct Whole<S> {
    pub(crate) states: [S; 2],
    pub(crate) lanes: Vec<Lane>,
    /// The times of the second of the states.
    pub(crate) reached: Vec<f64>,
}

impl<S: State> Aside<S> {
    pub(crate) fn new(batch: usize) -> Self {
        Self { rows: (0..batch).collect(), parts: Vec::new() }
    }

    pub(crate) fn split(&self, lanes: &[Lane]) -> Split {
        let (running, stopped) = (0..lanes.len()).partition(|&place| lanes[place].status == Status::Running);
        Split { running, stopped }
    }

    /// Keeps the samples that have stopped, and returns the lanes of the others.
    pub(crate) fn put(&mut self, state: S, lanes: Vec<Lane>, split: &Split) -> Vec<Lane> {
        let rows = split.stopped.iter().map(|&place| self.rows[place]).collect();
        self.rows = split.running.iter().map(|&place| self.rows[place]).collect();
        let (running, stopped) = lanes.into_iter().partition(|lane| lane.status == Status::Running);
        self.parts.push(Part { rows, state, lanes: stopped });
        running
    }

    /// Everything in its place; `states` are two of the samples at work, the second at the times `reached`.
    pub(crate) fn whole(self, states: [S; 2], lanes: Vec<Lane>, mut reached: Vec<f64>) -> Whole<S> {
        let Self { mut rows, parts } = self;
        let mut all: Vec<Lane> = lanes;
        let mut states = states.map(|state| vec![state]);
        for part in parts {
            rows.extend(part.rows);
            reached.extend(part.lanes.iter().map(|lane| lane.time));
            all.extend(part.lanes);
            for states in &mut states {
                states.push(part.state.clone());
            }
        }
        let mut lanes: Vec<(usize, Lane)> = rows.iter().copied().zip(all).collect();
        lanes.sort_by_key(|&(row, _)| row);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&place| rows[place]);
        let states = states.map(|parts| S::concatenate(parts).select(&order));
        let reached = order.iter().map(|&place| reached[place]).collect();
        Whole { states, lanes: lanes.into_iter().map(|(_, lane)| lane).collect(), reached }
    }
}
