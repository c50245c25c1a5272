//! Fan-out of events. Data flows one way: a sink cannot stop a training.

use crate::error::RunError;
use crate::event::Event;

/// Something that events are told to: a log, a progress bar, a TensorBoard file.
pub trait Sink {
    /// Takes note of an event. An error is remembered by [`Sinks`], and the next event is told all the same.
    ///
    /// # Errors
    /// Whatever kept the sink from taking note.
    fn event(&mut self, event: &Event) -> Result<(), RunError>;
}

/// Tells every event to several sinks, in the order they were added.
#[derive(Default)]
pub struct Sinks {
    sinks: Vec<Listener>,
}

/// The first failure of a sink.
#[derive(Debug)]
pub struct SinkFailure {
    /// The sink's name.
    pub sink: String,
    /// What it said.
    pub error: RunError,
}

struct Listener {
    name: String,
    sink: Box<dyn Sink>,
    missed: usize,
    unreported: Option<RunError>,
}

impl Sinks {
    /// No sinks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sink; `name` is for the report of its failure.
    pub fn add(&mut self, name: impl Into<String>, sink: impl Sink + 'static) {
        self.sinks.push(Listener { name: name.into(), sink: Box::new(sink), missed: 0, unreported: None });
    }

    /// Tells `event` to every sink. A failure is kept for [`take_failures`](Sinks::take_failures).
    pub fn event(&mut self, event: &Event) {
        for listener in &mut self.sinks {
            if let Err(error) = listener.sink.event(event) {
                if listener.missed == 0 {
                    listener.unreported = Some(error);
                }
                listener.missed += 1;
            }
        }
    }

    /// The sinks that failed since the last call and had not failed before: each sink is reported once.
    pub fn take_failures(&mut self) -> Vec<SinkFailure> {
        let failure = |listener: &mut Listener| {
            listener.unreported.take().map(|error| SinkFailure { sink: listener.name.clone(), error })
        };
        self.sinks.iter_mut().filter_map(failure).collect()
    }

    /// How many events each sink missed, by name; the sinks that missed none are left out.
    #[must_use]
    pub fn missed(&self) -> Vec<(&str, usize)> {
        let missed = self.sinks.iter().map(|listener| (listener.name.as_str(), listener.missed));
        missed.filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// Notes steps, and fails at odd ones.
    struct Even(Rc<RefCell<Vec<u64>>>);

    impl Sink for Even {
        fn event(&mut self, event: &Event) -> Result<(), RunError> {
            if event.step() % 2 == 1 {
                return Err(RunError::Missing("odd".into()));
            }
            self.0.borrow_mut().push(event.step());
            Ok(())
        }
    }

    #[test]
    fn a_failing_sink_is_reported_once_and_stops_nothing() {
        struct Counter(Rc<RefCell<usize>>);
        impl Sink for Counter {
            fn event(&mut self, _: &Event) -> Result<(), RunError> {
                *self.0.borrow_mut() += 1;
                Ok(())
            }
        }
        let (even, count) = (Rc::default(), Rc::default());
        let mut sinks = Sinks::new();
        sinks.add("even", Even(Rc::clone(&even)));
        sinks.add("count", Counter(Rc::clone(&count)));
        let mut failures = Vec::new();
        for step in 0..6 {
            sinks.event(&Event::Warning { step, message: String::new() });
            failures.extend(sinks.take_failures());
        }
        assert_eq!(*even.borrow(), [0, 2, 4]);
        assert_eq!(*count.borrow(), 6);
        assert_eq!(failures.len(), 1);
        assert_eq!(failures[0].sink, "even");
        assert_eq!(sinks.missed(), [("even", 3)]);
    }
}
