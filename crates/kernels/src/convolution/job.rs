//! A piece of the work of a sliding kernel: some images, or some rows of the output of one.

use super::slide::{Framed, Slide};
use super::tile::{COLS, Convolve, PIECE};
use crate::lanes::Lanes;
use crate::pool::Buffer;

/// Some images, and some rows of their output.
pub(super) struct Job<'a, T> {
    pub slide: &'a Slide,
    pub offsets: &'a [usize],
    pub source: Source<'a, T>,
    /// `[tiles, terms, ROWS]`.
    pub weights: &'a [T],
    pub bias: Option<&'a [T]>,
    pub rows: usize,
    /// `[images, rows, positions]`.
    pub out: &'a mut [T],
}

/// What a job reads.
#[derive(Clone, Copy)]
pub(super) enum Source<'a, T> {
    /// Images that it lays into frames itself.
    Images(&'a [T]),
    /// An image in its frame.
    Frame(&'a [T]),
}

impl<T: Lanes> Job<'_, T> {
    pub fn run(self) {
        let framed = match self.source {
            Source::Images(images) => self.slide.framed(images),
            Source::Frame(frame) => Framed::AsTheyAre(frame),
        };
        if self.slide.in_place() {
            self.in_place(framed.values());
        } else {
            self.gathered(framed.values());
        }
    }

    /// Positions of all images.
    fn count(&self) -> usize {
        self.out.len() / self.rows
    }

    /// Reads frames and writes outputs where they are, a panel of [`COLS`] positions at a time.
    fn in_place(self, data: &[T]) {
        let Self { slide, offsets, weights, bias, rows, .. } = self;
        let positions = slide.positions();
        for (image, out) in self.out.chunks_exact_mut(rows * positions).enumerate() {
            for start in (0..positions).step_by(COLS) {
                let places = [start, start + PIECE];
                let bases = places.map(|place| slide.corner_at(image * positions + place));
                let pieces = if start + PIECE < positions { 2 } else { 1 };
                let (bases, places) = (&bases[..pieces], &places[..pieces]);
                Convolve { weights, data, offsets, bases, places, bias, width: positions, out }.run();
            }
        }
    }

    /// Copies what a panel of positions needs next to each other first.
    fn gathered(mut self, data: &[T]) {
        let (slide, count, terms) = (self.slide, self.count(), self.offsets.len());
        let mut panel = Buffer::stale(terms * COLS);
        let mut result = Buffer::stale(self.rows * COLS);
        for start in (0..count).step_by(COLS) {
            let valid = COLS.min(count - start);
            let pieces = valid.div_ceil(PIECE);
            let full = pieces * PIECE;
            // Columns beyond the last position repeat it.
            let positions = (start..start + full).map(|position| position.min(count - 1));
            slide.gather(data, self.offsets, positions, &mut panel);
            let offsets: Vec<usize> = (0..terms).map(|term| term * full).collect();
            let places = &[0, PIECE][..pieces];
            Convolve {
                weights: self.weights,
                data: &panel,
                offsets: &offsets,
                bases: places,
                places,
                bias: self.bias,
                width: COLS,
                out: &mut result,
            }
            .run();
            self.write(&result, start, valid);
        }
    }

    /// Writes a panel of results to where it belongs.
    fn write(&mut self, result: &[T], start: usize, valid: usize) {
        let positions = self.slide.positions();
        let mut done = 0;
        while done < valid {
            let (image, place) = ((start + done) / positions, (start + done) % positions);
            let len = (valid - done).min(positions - place);
            let image = &mut self.out[image * self.rows * positions..][..self.rows * positions];
            for (out, result) in image.chunks_exact_mut(positions).zip(result.chunks_exact(COLS)) {
                out[place..place + len].copy_from_slice(&result[done..done + len]);
            }
            done += len;
        }
    }
}
