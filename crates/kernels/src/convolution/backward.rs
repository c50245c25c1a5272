//! The gradients of the weights and of the bias.

use super::Geometry;
use super::slide::Slide;
use super::tile::{COLS, Correlate, ROWS, Run};
use super::weights::COPY;
use crate::lanes::Lanes;
use crate::perceptron::{added, share};
use crate::pool::{Buffer, stale_vector};
use crate::product::Write;
use crate::simd::{self, Loop};

/// Sums that are added up side by side, for as many threads: fewer where they need much memory.
fn most_groups(weights: usize) -> usize {
    if weights <= 1 << 16 { 8 } else { 4 }
}

/// Outputs whose sums are put into their places in one go.
const SCATTERED: usize = 8;

/// The gradient of the weight, `[outputs, inputs, kernel]`.
pub(crate) fn weight_gradient<T: Lanes>(geometry: &Geometry, x: &[T], out_gradient: &[T]) -> Vec<T> {
    let slide = Slide::forward(geometry);
    let (terms, outputs) = (geometry.terms(), geometry.outputs);
    let mut gradient = stale_vector(outputs * terms);
    // Rows that fill up the last tile repeat the last term.
    let mut offsets = slide.offsets();
    offsets.resize(terms.next_multiple_of(ROWS), offsets[terms - 1]);
    let blocks = outputs.div_ceil(COLS);

    let together = slide.images_together();
    let images = geometry.images.div_ceil(most_groups(outputs * terms)).next_multiple_of(together);
    let groups = x.chunks(images * slide.image_len());
    let out_groups = out_gradient.chunks(images * outputs * slide.positions());
    let mut sums: Vec<Buffer<T>> =
        (0..groups.len()).map(|_| Buffer::stale(blocks * offsets.len() * COLS)).collect();
    let jobs: Vec<_> = groups.zip(out_groups).zip(&mut sums).collect();
    share(jobs, geometry.output_len() * terms, |((x, out_gradient), sums)| {
        let mut write = Write::Replace;
        let pieces = x.chunks(together * slide.image_len());
        for (x, g) in pieces.zip(out_gradient.chunks(together * outputs * slide.positions())) {
            add_images(&slide, &offsets, [x, g], sums, write);
            write = Write::Add;
        }
    });

    let total = added(sums);
    let work = COPY * gradient.len();
    let rows: Vec<_> = gradient.chunks_mut(SCATTERED * terms).enumerate().collect();
    share(rows, work, |(index, gradient)| {
        for (output, gradient) in (index * SCATTERED..).zip(gradient.chunks_exact_mut(terms)) {
            let sums = &total[output / COLS * offsets.len() * COLS + output % COLS..];
            for (gradient, sum) in gradient.iter_mut().zip(sums.iter().step_by(COLS)) {
                *gradient = *sum;
            }
        }
    });
    gradient
}

/// Writes or adds what some images contribute to `[blocks, terms, COLS]`.
fn add_images<T: Lanes>(
    slide: &Slide,
    offsets: &[usize],
    [x, out_gradient]: [&[T]; 2],
    sums: &mut [T],
    write: Write,
) {
    let positions = slide.positions();
    let images = x.len() / slide.image_len();
    let outputs = out_gradient.len() / (images * positions);
    let framed = slide.framed(x);
    // Short or spread rows are copied into one long one for each term.
    let count = images * positions;
    let mut columns = Buffer::stale(if slide.in_place() { 0 } else { offsets.len() * count });
    let places: Vec<usize>;
    let (data, offsets, runs) = if slide.in_place() {
        (framed.values(), offsets, slide.runs(images))
    } else {
        slide.gather(framed.values(), offsets, 0..count, &mut columns);
        places = (0..offsets.len()).map(|term| term * count).collect();
        (&columns[..], &places[..], vec![Run { data: 0, position: 0, len: count }])
    };
    let mut gradient = Buffer::stale(images * positions * COLS);
    for (block, sums) in sums.chunks_exact_mut(offsets.len() * COLS).enumerate() {
        let first = block * COLS;
        let channels = first..outputs.min(first + COLS);
        for (image, gradient) in gradient.chunks_exact_mut(positions * COLS).enumerate() {
            let image = &out_gradient[image * outputs * positions..];
            turned(&image[channels.start * positions..channels.end * positions], positions, gradient);
        }
        Correlate { data, offsets, runs: &runs, gradient: &gradient, sums, write }.run();
    }
}

/// `[positions, COLS]` from `[channels, positions]`, with zeros for the channels that are missing.
fn turned<T: Lanes>(values: &[T], positions: usize, into: &mut [T]) {
    if values.len() < COLS * positions {
        into.fill(T::default());
    }
    // Square blocks, so that both sides stay in the nearest cache, and four channels at a time, which are one store.
    const SIDE: usize = 16;
    for start in (0..positions).step_by(SIDE) {
        let end = positions.min(start + SIDE);
        let (rows, _) = into[start * COLS..end * COLS].as_chunks_mut::<COLS>();
        let mut channels = values.chunks_exact(positions);
        let mut channel = 0;
        while channel + 4 <= values.len() / positions {
            let mut next = || channels.next().map_or(&[][..], |values| &values[start..end]);
            let (a, b, c, d) = (next(), next(), next(), next());
            for (row, (((a, b), c), d)) in rows.iter_mut().zip(a.iter().zip(b).zip(c).zip(d)) {
                row[channel..channel + 4].copy_from_slice(&[*a, *b, *c, *d]);
            }
            channel += 4;
        }
        for values in channels {
            for (row, value) in rows.iter_mut().zip(&values[start..end]) {
                row[channel] = *value;
            }
            channel += 1;
        }
    }
}

/// The gradient of the bias: the sum over images and positions.
pub(crate) fn bias_gradient<T: Lanes>(geometry: &Geometry, out_gradient: &[T]) -> Vec<T> {
    channel_sums(out_gradient, geometry.outputs, geometry.output[0] * geometry.output[1])
}

/// The sum of `[images, channels, positions]` for each channel.
pub(crate) fn channel_sums<T: Lanes>(values: &[T], channels: usize, positions: usize) -> Vec<T> {
    let mut sums = vec![T::default(); channels];
    for image in values.chunks_exact(channels * positions) {
        for (sum, plane) in sums.iter_mut().zip(image.chunks_exact(positions)) {
            *sum += simd::widest(Sum(plane));
        }
    }
    sums
}

struct Sum<'a, T>(&'a [T]);

impl<T: Lanes> Loop for Sum<'_, T> {
    type Output = T;

    #[inline(always)]
    fn run(self) -> T {
        simd::sum(self.0, |value| value)
    }
}
