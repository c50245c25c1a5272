//! A small rasteriser: anti-aliased dots whose paint adds up, a view of the plane, and digits for a clock.

use crate::axis::{Axis, Scale};
use crate::layers::Bounds;

/// How much of each pixel is painted, in `[0, 1]`, rows from the top.
#[derive(Debug, Clone)]
pub(crate) struct Coverage {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

impl Coverage {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, height, values: vec![0.0; width * height] }
    }

    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    /// A translucent disc of `radius` pixels with soft edges. What lies outside the picture is cut off.
    pub(crate) fn dot(&mut self, [x, y]: [f64; 2], radius: f64, opacity: f64) {
        let span = |center: f64, limit: usize| {
            let lo = (center - radius - 1.0).floor().max(0.0) as usize;
            let hi = (center + radius + 1.0).ceil().clamp(0.0, limit as f64) as usize;
            lo..hi
        };
        for row in span(y, self.height) {
            for column in span(x, self.width) {
                // Distance from the pixel's centre to the rim; half a pixel either side fades.
                let distance = (column as f64 + 0.5 - x).hypot(row as f64 + 0.5 - y);
                let painted = (radius - distance + 0.5).clamp(0.0, 1.0) * opacity;
                let value = &mut self.values[row * self.width + column];
                *value += (1.0 - *value) * painted as f32;
            }
        }
    }
}

/// A square view of the plane, with some air around the data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Viewport {
    x: Axis,
    y: Axis,
    size: f64,
}

impl Viewport {
    /// The view of `bounds` (the unit square if there are none) in `size × size` pixels, aspect kept.
    pub(crate) fn square(bounds: Option<Bounds>, size: usize) -> Self {
        let Bounds { x, y } = bounds.unwrap_or(Bounds::new([0.0, 1.0], [0.0, 1.0]));
        let (x, y) = (Axis::new(Scale::Linear, x[0], x[1]), Axis::new(Scale::Linear, y[0], y[1]));
        let side = x.length().max(y.length());
        let fit = |axis: Axis| axis.with_length(side).padded(0.05);
        Self { x: fit(x), y: fit(y), size: size as f64 }
    }

    /// Ends of the view in data units.
    pub(crate) fn bounds(&self) -> Bounds {
        let ends = |axis: Axis| <[f64; 2]>::from(axis.ends());
        Bounds::new(ends(self.x), ends(self.y))
    }

    /// Pixel position, `None` if the point is not finite or not in view.
    pub(crate) fn place(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        let (x, y) = (self.x.fraction(x)?, self.y.fraction(y)?);
        let inside = (0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y);
        inside.then_some([x * self.size, (1.0 - y) * self.size])
    }
}

/// Width and height of a glyph in its own dots.
pub(crate) const GLYPH: (usize, usize) = (5, 7);

/// The dots of a character, a row to a byte, the leftmost dot at bit 4. Characters without a drawing are
/// blank.
pub(crate) fn glyph(c: char) -> [u8; 7] {
    match c {
        '0' => [0b01110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
        '1' => [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        '2' => [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
        '3' => [0b01110, 0b10001, 0b00001, 0b00110, 0b00001, 0b10001, 0b01110],
        '4' => [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
        '5' => [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
        '6' => [0b01110, 0b10000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
        '7' => [0b11111, 0b00001, 0b00010, 0b00010, 0b00100, 0b00100, 0b00100],
        '8' => [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
        '9' => [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00001, 0b01110],
        't' => [0b00000, 0b00100, 0b01110, 0b00100, 0b00100, 0b00100, 0b00011],
        '=' => [0b00000, 0b00000, 0b11111, 0b00000, 0b11111, 0b00000, 0b00000],
        '-' => [0b00000, 0b00000, 0b00000, 0b11111, 0b00000, 0b00000, 0b00000],
        '.' => [0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b01100, 0b01100],
        _ => [0; 7],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_paints_its_area() {
        let mut coverage = Coverage::new(64, 64);
        coverage.dot([31.3, 30.8], 10.0, 1.0);
        let area: f32 = coverage.values().iter().sum();
        let expected = std::f32::consts::PI * 100.0;
        assert!((area - expected).abs() < 0.02 * expected, "{area} against {expected}");
    }

    #[test]
    fn overlaps_darken_without_ever_exceeding_one() {
        let mut coverage = Coverage::new(8, 8);
        let mut before = 0.0;
        for _ in 0..50 {
            coverage.dot([4.0, 4.0], 2.0, 0.3);
            let now = coverage.values()[4 * 8 + 4];
            assert!(now >= before && now <= 1.0);
            before = now;
        }
    }

    #[test]
    fn dots_outside_the_picture_are_cut_off() {
        let mut coverage = Coverage::new(4, 4);
        coverage.dot([-50.0, -50.0], 3.0, 1.0);
        coverage.dot([1e6, 2.0], 3.0, 1.0);
        assert!(coverage.values().iter().all(|&v| v == 0.0));
    }
}
