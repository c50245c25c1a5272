//! Animations as GIF: one palette for all frames, anti-aliased dots, a clock and a bar that fills with time.
//!
//! The palette is a table of mixtures — paper with so much of the still cloud, then so much of the moving
//! one — so a pixel's index is two small numbers and no colour is ever searched for.

use std::borrow::Cow;

use gif::{DisposalMethod, Encoder, Frame, Repeat};

use crate::animation::ScatterAnimation;
use crate::error::PlotError;
use crate::png::checked_size;
use crate::raster::{Coverage, GLYPH, Viewport, glyph};
use crate::theme;

/// Shades of the still and of the moving cloud; their product leaves room for the entries below.
const TARGET_LEVELS: usize = 7;
const DOT_LEVELS: usize = 32;
const TRACK: u8 = 224;
const INK: u8 = 225;
/// Means "as in the frame before".
const UNCHANGED: u8 = 255;

const LARGEST: usize = 2048;
const SMALLEST: usize = 64;

pub(crate) fn encode(animation: &ScatterAnimation, size: usize) -> Result<Vec<u8>, PlotError> {
    let side = u16::try_from(size)
        .ok()
        .filter(|_| size >= SMALLEST && checked_size(size, size, LARGEST).is_ok())
        .ok_or(PlotError::Size { width: size, height: size, limit: LARGEST })?;
    let refused = |error: gif::EncodingError| PlotError::Encode { format: "GIF", reason: error.to_string() };

    let view = Viewport::square(animation.extent(), size);
    let still = painted(&animation.target, &view, size);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, side, side, &palette()).map_err(refused)?;
    encoder.set_repeat(Repeat::Infinite).map_err(refused)?;
    let mut previous: Vec<u8> = Vec::new();
    for (index, points) in animation.frames.iter().enumerate() {
        let mut indices = compose(&still, &painted(points, &view, size));
        draw_clock(&mut indices, size, animation, index);
        // What did not change is transparent, which compresses to almost nothing.
        let shown = match previous.len() {
            0 => indices.clone(),
            _ => indices
                .iter()
                .zip(&previous)
                .map(|(now, before)| if now == before { UNCHANGED } else { *now })
                .collect(),
        };
        let frame = Frame {
            width: side,
            height: side,
            delay: delay(index, animation.frames.len()),
            dispose: DisposalMethod::Keep,
            transparent: Some(UNCHANGED),
            buffer: Cow::Owned(shown),
            ..Frame::default()
        };
        encoder.write_frame(&frame).map_err(refused)?;
        previous = indices;
    }
    drop(encoder);
    Ok(bytes)
}

fn painted(points: &[[f64; 2]], view: &Viewport, size: usize) -> Coverage {
    let mut coverage = Coverage::new(size, size);
    let radius = (size as f64 / 200.0 * (1500.0 / points.len().max(1) as f64).powf(0.25))
        .clamp(1.0, size as f64 / 50.0);
    points.iter().filter_map(|&point| view.place(point)).for_each(|place| coverage.dot(place, radius, 0.6));
    coverage
}

fn palette() -> Vec<u8> {
    let (paper, still, moving) = (theme::SURFACE.light, theme::MUTED.light, theme::SERIES[0].light);
    let mut colors = Vec::with_capacity(256);
    for target in 0..TARGET_LEVELS {
        let behind = paper.mix(still, 0.38 * target as f64 / (TARGET_LEVELS - 1) as f64);
        colors.extend((0..DOT_LEVELS).map(|dot| behind.mix(moving, dot as f64 / (DOT_LEVELS - 1) as f64)));
    }
    colors.push(paper.mix(theme::MUTED.light, 0.25));
    colors.push(theme::INK.light);
    colors.resize(256, paper);
    colors.iter().flat_map(|color| [color.0, color.1, color.2]).collect()
}

fn compose(still: &Coverage, moving: &Coverage) -> Vec<u8> {
    let level = |coverage: f32, levels: usize| (coverage * (levels - 1) as f32).round() as usize;
    let indices = still.values().iter().zip(moving.values());
    indices.map(|(&s, &m)| (level(s, TARGET_LEVELS) * DOT_LEVELS + level(m, DOT_LEVELS)) as u8).collect()
}

/// The time in the lower left corner, and along the lower edge a bar as long as the part that has passed.
fn draw_clock(indices: &mut [u8], size: usize, animation: &ScatterAnimation, index: usize) {
    let times = &animation.times;
    let (first, last, now) = (times[0], times[times.len() - 1], times[index]);
    let passed = if last == first { 1.0 } else { ((now - first) / (last - first)).clamp(0.0, 1.0) };
    let thickness = (size / 160).max(2);
    for row in size - thickness..size {
        for column in 0..size {
            let filled = (column as f64) < passed * size as f64;
            indices[row * size + column] = if filled { INK } else { TRACK };
        }
    }
    let dot = (size / 180).max(1);
    let (mut left, top) = (3 * dot, size - thickness - (GLYPH.1 + 3) * dot);
    for c in format!("t={now:.2}").chars() {
        for (row, bits) in glyph(c).into_iter().enumerate() {
            for column in (0..GLYPH.0).filter(|column| bits >> (GLYPH.0 - 1 - column) & 1 == 1) {
                fill_square(indices, size, [left + column * dot, top + row * dot], dot);
            }
        }
        left += (GLYPH.0 + 1) * dot;
    }
}

fn fill_square(indices: &mut [u8], size: usize, [left, top]: [usize; 2], side: usize) {
    for y in top..(top + side).min(size) {
        for x in left..(left + side).min(size) {
            indices[y * size + x] = INK;
        }
    }
}

/// How long a frame stays, in hundredths of a second. Browsers slow down what is faster than 2.
fn delay(index: usize, frames: usize) -> u16 {
    let even = u16::try_from(400 / frames.max(1)).unwrap_or(u16::MAX).clamp(3, 20);
    if index + 1 == frames {
        160
    } else if index == 0 {
        40
    } else {
        even
    }
}
