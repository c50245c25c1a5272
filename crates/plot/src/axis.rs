//! An axis: a range that is never empty, linear or logarithmic, from data to a fraction of the plot's side.

use crate::ticks::{Tick, linear_ticks, log_ticks};

/// Numbers larger than this cannot be drawn: their differences would overflow. They are skipped as
/// infinities are.
const LIMIT: f64 = 1e150;

/// How values are spread along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Scale {
    #[default]
    Linear,
    Log,
}

impl Scale {
    /// Whether a value has a place on such an axis.
    pub(crate) fn accepts(self, value: f64) -> bool {
        value.abs() <= LIMIT && (self == Self::Linear || value > 1.0 / LIMIT)
    }
}

/// A drawable range. Inside, a logarithmic axis works with base-ten exponents.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Axis {
    scale: Scale,
    lo: f64,
    hi: f64,
}

impl Axis {
    /// An axis over `[lo, hi]` in data units (in either order), widened where it is empty; a range that this
    /// scale cannot show at all becomes the unit range (one decade up from 1 on a logarithmic axis).
    pub(crate) fn new(scale: Scale, lo: f64, hi: f64) -> Self {
        if !(scale.accepts(lo) && scale.accepts(hi)) {
            return Self { scale, lo: 0.0, hi: 1.0 };
        }
        let (lo, hi) = if lo <= hi { (lo, hi) } else { (hi, lo) };
        let (lo, hi) = match scale {
            Scale::Linear => widen(lo, hi, 1e-9),
            Scale::Log => widen(lo.log10(), hi.log10(), 1e-3),
        };
        Self { scale, lo, hi }
    }

    /// The same axis with a `fraction` of its length added at both ends, so that marks at the edge stay
    /// whole.
    pub(crate) fn padded(self, fraction: f64) -> Self {
        let margin = (self.hi - self.lo) * fraction;
        Self { lo: self.lo - margin, hi: self.hi + margin, ..self }
    }

    /// The axis of this length about the same middle.
    pub(crate) fn with_length(self, length: f64) -> Self {
        let middle = 0.5 * (self.lo + self.hi);
        Self { lo: middle - 0.5 * length, hi: middle + 0.5 * length, ..self }
    }

    /// Length, in data units or in decades.
    pub(crate) fn length(self) -> f64 {
        self.hi - self.lo
    }

    /// Ends in data units.
    pub(crate) fn ends(self) -> (f64, f64) {
        match self.scale {
            Scale::Linear => (self.lo, self.hi),
            Scale::Log => (10f64.powf(self.lo), 10f64.powf(self.hi)),
        }
    }

    /// Where a value lies: 0 at the low end, 1 at the high end, `None` if it has no place on this scale.
    pub(crate) fn fraction(self, value: f64) -> Option<f64> {
        if !self.scale.accepts(value) {
            return None;
        }
        let position = if self.scale == Scale::Log { value.log10() } else { value };
        Some((position - self.lo) / (self.hi - self.lo))
    }

    pub(crate) fn ticks(self) -> Vec<Tick> {
        let (lo, hi) = self.ends();
        match self.scale {
            Scale::Linear => linear_ticks(lo, hi),
            Scale::Log => log_ticks(lo, hi),
        }
    }
}

/// Opens a range shorter than `relative` times its magnitude, so that something can be drawn in it.
fn widen(lo: f64, hi: f64, relative: f64) -> (f64, f64) {
    let magnitude = lo.abs().max(hi.abs());
    if hi - lo > (relative * magnitude).max(1.0 / LIMIT) {
        return (lo, hi);
    }
    let half = if magnitude > 1.0 / LIMIT { 0.05 * magnitude } else { 0.5 };
    (lo - half, hi + half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_and_empty_ranges_become_drawable() {
        for scale in [Scale::Linear, Scale::Log] {
            for (lo, hi) in [
                (0.0, 0.0),
                (1.0, 1.0),
                (-5.0, -5.0),
                (f64::NAN, 1.0),
                (f64::INFINITY, 0.0),
                (2.0, 1.0),
                (0.0, 1e-308),
                (-1e300, 1e300),
            ] {
                let axis = Axis::new(scale, lo, hi);
                assert!(axis.length() > 0.0 && axis.length().is_finite(), "{scale:?} [{lo}, {hi}]");
                assert!((3..=10).contains(&axis.ticks().len()), "{scale:?} [{lo}, {hi}]: {:?}", axis.ticks());
            }
        }
    }

    #[test]
    fn fractions_follow_the_scale() {
        let log = Axis::new(Scale::Log, 1.0, 100.0);
        assert!((log.fraction(10.0).unwrap_or(0.0) - 0.5).abs() < 1e-12);
        assert_eq!(log.fraction(0.0), None);
        assert_eq!(Axis::new(Scale::Linear, -1.0, 1.0).fraction(f64::NAN), None);
        assert_eq!(Axis::new(Scale::Linear, -1.0, 1.0).fraction(0.5), Some(0.75));
    }
}
