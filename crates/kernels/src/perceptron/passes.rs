//! The element-wise passes between two products, each over the data once.

use crate::Real;
use crate::curve::{Curve, CurveLoop};
use crate::product::Write;

/// `z += shift`, then `h = φ(z)` or `h += φ(z)`.
pub(super) struct Activate<'a, T> {
    pub width: usize,
    pub z: &'a mut [T],
    /// `[width]`, or as many rows as `z`.
    pub shift: &'a [T],
    pub h: &'a mut [T],
    pub write: Write,
}

impl<T: Real> CurveLoop<T> for Activate<'_, T> {
    #[inline(always)]
    fn run<C: Curve<T>>(self, curve: C) {
        let Self { width, z, shift, h, write } = self;
        // With one row of shift for all, the same row comes again and again.
        let step = if shift.len() == width { 0 } else { width };
        let mut start = 0;
        for (z, h) in z.chunks_exact_mut(width).zip(h.chunks_exact_mut(width)) {
            for (z, s) in z.iter_mut().zip(&shift[start..start + width]) {
                *z += *s;
            }
            values(curve, z, h, write);
            start += step;
        }
    }
}

/// `h = φ(z)` or `h += φ(z)`.
pub(super) struct Values<'a, T> {
    pub z: &'a [T],
    pub h: &'a mut [T],
    pub write: Write,
}

impl<T: Real> CurveLoop<T> for Values<'_, T> {
    #[inline(always)]
    fn run<C: Curve<T>>(self, curve: C) {
        values(curve, self.z, self.h, self.write);
    }
}

#[inline(always)]
fn values<T: Real, C: Curve<T>>(curve: C, z: &[T], h: &mut [T], write: Write) {
    match write {
        Write::Replace => {
            for (z, h) in z.iter().zip(h) {
                *h = curve.value(*z);
            }
        }
        Write::Add => {
            for (z, h) in z.iter().zip(h) {
                *h += curve.value(*z);
            }
        }
    }
}

/// `z += shift`, `slope = φ'(z)`, and `h = φ(z)` or `h += φ(z)`.
pub(super) struct ActivateWithSlope<'a, T> {
    pub width: usize,
    pub z: &'a [T],
    pub shift: &'a [T],
    pub h: &'a mut [T],
    pub slope: &'a mut [T],
    pub write: Write,
}

impl<T: Real> CurveLoop<T> for ActivateWithSlope<'_, T> {
    #[inline(always)]
    fn run<C: Curve<T>>(self, curve: C) {
        let Self { width, z, shift, h, slope, write } = self;
        let step = if shift.len() == width { 0 } else { width };
        let mut start = 0;
        let rows = z.chunks_exact(width).zip(h.chunks_exact_mut(width)).zip(slope.chunks_exact_mut(width));
        for ((z, h), slope) in rows {
            let shift = &shift[start..start + width];
            if write == Write::Replace {
                h.fill(T::of(0.0));
            }
            for (((z, s), h), slope) in z.iter().zip(shift).zip(h).zip(slope) {
                let (value, slope_here) = curve.value_and_slope(*z + *s);
                *h += value;
                *slope = slope_here;
            }
            start += step;
        }
    }
}

/// `g *= φ'(z)`, its sum over rows added to `bias`, and `h = φ(z)` where it is asked for.
pub(super) struct Descend<'a, T> {
    pub width: usize,
    pub z: &'a [T],
    pub g: &'a mut [T],
    pub bias: &'a mut [T],
    pub h: Option<&'a mut [T]>,
}

impl<T: Real> CurveLoop<T> for Descend<'_, T> {
    #[inline(always)]
    fn run<C: Curve<T>>(self, curve: C) {
        let Self { width, z, g, bias, h } = self;
        let rows = z.chunks_exact(width).zip(g.chunks_exact_mut(width));
        match h {
            Some(h) => {
                for ((z, g), h) in rows.zip(h.chunks_exact_mut(width)) {
                    for (((z, g), h), bias) in z.iter().zip(g).zip(h).zip(bias.iter_mut()) {
                        let (value, slope) = curve.value_and_slope(*z);
                        let change = *g * slope;
                        *h = value;
                        *g = change;
                        *bias += change;
                    }
                }
            }
            None => {
                for (z, g) in rows {
                    for ((z, g), bias) in z.iter().zip(g).zip(bias.iter_mut()) {
                        let change = *g * curve.value_and_slope(*z).1;
                        *g = change;
                        *bias += change;
                    }
                }
            }
        }
    }
}
