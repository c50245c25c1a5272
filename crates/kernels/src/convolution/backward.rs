//! The gradients of the weights and of the bias.

use super::Geometry;
use super::slide::{JOBS, Slide};
use super::tile::{COLS, Correlate, ROWS, Run};
use super::turn::turned;
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
    let (terms, outputs, entries) = (geometry.terms(), geometry.outputs, geometry.entries());
    let mut gradient = stale_vector(outputs * terms);
    let blocks = outputs.div_ceil(COLS);

    // Rows of the sums, and how far apart channels and entries of the kernel are among them.
    let padded = geometry.inputs.next_multiple_of(ROWS);
    let (together, sum_rows, [channels_apart, entries_apart]) = if slide.abreast() {
        (COLS, padded * entries, [1, padded])
    } else {
        (slide.images_together(), terms.next_multiple_of(ROWS), [entries, 1])
    };
    // Rows that fill up the last tile repeat the last term.
    let mut offsets = slide.offsets();
    offsets.resize(terms.next_multiple_of(ROWS), offsets[terms - 1]);

    let images = geometry.images.div_ceil(most_groups(outputs * terms)).next_multiple_of(together);
    let groups = x.chunks(images * slide.image_len());
    let out_groups = out_gradient.chunks(images * outputs * slide.positions());
    let mut sums: Vec<Buffer<T>> =
        (0..groups.len()).map(|_| Buffer::stale(blocks * sum_rows * COLS)).collect();
    let jobs: Vec<_> = groups.zip(out_groups).zip(&mut sums).collect();
    share(jobs, geometry.output_len() * terms, |((x, out_gradient), sums)| {
        let mut write = Write::Replace;
        let pieces = x.chunks(together * slide.image_len());
        for (x, g) in pieces.zip(out_gradient.chunks(together * outputs * slide.positions())) {
            if slide.abreast() {
                slide.correlate_abreast([x, g], sums, write);
            } else {
                add_images(&slide, &offsets, [x, g], sums, write);
            }
            write = Write::Add;
        }
    });

    let total = added(sums);
    let work = COPY * gradient.len();
    let rows: Vec<_> = gradient.chunks_mut(SCATTERED * terms).enumerate().collect();
    share(rows, work, |(index, gradient)| {
        for (output, gradient) in (index * SCATTERED..).zip(gradient.chunks_exact_mut(terms)) {
            let sums = &total[output / COLS * sum_rows * COLS + output % COLS..];
            for (channel, gradient) in gradient.chunks_exact_mut(entries).enumerate() {
                let sums = sums[channel * channels_apart * COLS..].iter().step_by(entries_apart * COLS);
                for (gradient, sum) in gradient.iter_mut().zip(sums) {
                    *gradient = *sum;
                }
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
        if channels.len() < COLS {
            gradient.fill(T::default());
        }
        for (image, gradient) in gradient.chunks_exact_mut(positions * COLS).enumerate() {
            let image = &out_gradient[image * outputs * positions..];
            turned::<T, 1>(&image[channels.start * positions..channels.end * positions], positions, gradient);
        }
        Correlate { data, offsets, runs: &runs, gradient: &gradient, sums, write }.run();
    }
}

/// The gradient of the bias: the sum over images and positions.
pub(crate) fn bias_gradient<T: Lanes>(geometry: &Geometry, out_gradient: &[T]) -> Vec<T> {
    channel_sums(out_gradient, geometry.outputs, geometry.output[0] * geometry.output[1])
}

/// The sum of `[images, channels, positions]` for each channel.
pub(crate) fn channel_sums<T: Lanes>(values: &[T], channels: usize, positions: usize) -> Vec<T> {
    let mut sums = vec![T::default(); channels];
    let of_part = channels.div_ceil(JOBS);
    let parts: Vec<_> = sums.chunks_mut(of_part).enumerate().collect();
    share(parts, COPY * values.len(), |(part, sums)| {
        let (first, apart) = (part * of_part * positions, channels * positions);
        simd::widest(Sum { values: &values[first..], apart, positions, sums });
    });
    sums
}

/// The sums of the first channels of images that are so far apart.
struct Sum<'a, T> {
    values: &'a [T],
    apart: usize,
    positions: usize,
    sums: &'a mut [T],
}

impl<T: Lanes> Loop for Sum<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        // Images first: positions may be too few for a vector.
        let len = self.sums.len() * self.positions;
        let mut total = Buffer::stale(len);
        total.copy_from_slice(&self.values[..len]);
        for image in self.values.chunks(self.apart).skip(1) {
            for (total, value) in total.iter_mut().zip(&image[..len]) {
                *total += *value;
            }
        }
        for (sum, plane) in self.sums.iter_mut().zip(total.chunks_exact(self.positions)) {
            *sum = simd::sum(plane, |value| value);
        }
    }
}
