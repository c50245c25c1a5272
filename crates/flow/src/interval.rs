//! The times at which a path, and every model trained on it, is defined.

use thalweg_solve::Span;

use crate::FlowError;

/// A closed interval of times inside `[0, 1]`, `start < end`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// First time, at the noise.
    pub start: f64,
    /// Last time, at the data.
    pub end: f64,
}

impl Interval {
    /// The whole of `[0, 1]`.
    pub const UNIT: Interval = Interval { start: 0.0, end: 1.0 };

    /// The interval from `start` to `end`.
    ///
    /// # Panics
    /// Unless `0 <= start < end <= 1`.
    #[must_use]
    pub fn new(start: f64, end: f64) -> Self {
        assert!(
            0.0 <= start && start < end && end <= 1.0,
            "[{start}, {end}] is not an interval inside [0, 1]"
        );
        Self { start, end }
    }

    /// `end - start`.
    #[must_use]
    pub fn length(self) -> f64 {
        self.end - self.start
    }

    /// The span of a solve from source to data; scoring data walks it `reversed`.
    #[must_use]
    pub fn span(self) -> Span {
        Span { start: self.start, end: self.end }
    }

    /// The time at the fraction `u` of the interval.
    #[must_use]
    pub fn lerp(self, u: f64) -> f64 {
        (self.start + self.length() * u).clamp(self.start, self.end)
    }

    /// An error that names the first of `times` outside the interval.
    pub fn check(self, times: impl IntoIterator<Item = f64>) -> Result<(), FlowError> {
        match times.into_iter().find(|t| !(self.start..=self.end).contains(t)) {
            Some(time) => Err(FlowError::OutsideInterval { time, start: self.start, end: self.end }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_outside_are_named() {
        let interval = Interval::new(0.1, 0.9);
        assert_eq!(interval.lerp(0.5), 0.5);
        assert!(interval.check([0.1, 0.5, 0.9]).is_ok());
        let message = interval.check([0.2, 0.95]).unwrap_err().to_string();
        assert!(message.starts_with("time 0.95 lies outside [0.1, 0.9]"), "{message}");
        assert!(interval.check([f64::NAN]).is_err());
    }
}
