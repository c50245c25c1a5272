//! Values with derivatives along directions, without a graph: one tangent, or the exact divergence.
//!
//! The tangent of a layer `h' = φ(h·W + b)` along `dh` is `φ'·(dh·W)`. The divergence in the point is a sum of such
//! tangents, one for each coordinate, started from the rows of the first weight, to which features that move with the point
//! add theirs; without such features one and two hidden layers have closed forms whose work does not depend on the dimension.

use std::ops::Range;

use super::forward::head;
use super::passes::ActivateWithSlope;
use super::{Inputs, Net, pieces, rows_of_a_piece, share};
use crate::Real;
use crate::curve::along;
use crate::pool::Buffer;
use crate::product::{Matrix, Write, product};
use crate::simd::{self, Loop};

/// Writes the outputs and their tangent along `direction`, both `[batch, outputs]`.
pub(crate) fn tangent<T: Real>(
    net: &Net<'_, T>,
    inputs: &Inputs<'_, T>,
    direction: &Inputs<'_, T>,
    out: &mut [T],
    out_tangent: &mut [T],
) {
    let rows = rows_of_a_piece(inputs.batch, net.width) * net.outputs;
    let outs = out.chunks_mut(rows).zip(out_tangent.chunks_mut(rows));
    let jobs = pieces(inputs.batch, net.width).zip(outs);
    share(jobs.collect(), 2 * inputs.batch * net.work(), |(rows, (out, out_tangent))| {
        let (h, slopes) = with_slopes(net, inputs, &rows);
        head(net, &h, out);
        let (count, cols) = (rows.len(), inputs.cols());
        let mut start = Buffer::stale(count * cols);
        direction.assemble(&rows, &mut start);
        let mut dh = Buffer::stale(count * net.width);
        let weight = Matrix::new(&net.weights[0][..cols * net.width], cols, net.width);
        product(&mut dh, Write::Replace, Matrix::new(&start, count, cols), weight);
        multiply(&mut dh, &slopes[0]);
        let dh = onwards(net, dh, &slopes[1..]);
        let weight = Matrix::new(net.weights[net.hidden_layers()], net.width, net.outputs);
        product(out_tangent, Write::Replace, Matrix::new(&dh, count, net.width), weight);
    });
}

/// Features that move with the point, the first ones of a row: the derivative of feature `j` in coordinate `i` is the
/// product of a slope, which every point has of its own, and a rate, which none has of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moving<'a, T> {
    /// `[batch, moving features]`.
    pub slopes: &'a [T],
    /// `[dim, moving features]`.
    pub rates: &'a [T],
}

/// Writes the outputs `[batch, dim]` and their divergence in the point, `[batch]`.
pub(crate) fn divergence<T: Real>(
    net: &Net<'_, T>,
    inputs: &Inputs<'_, T>,
    moving: Option<Moving<'_, T>>,
    out: &mut [T],
    out_divergence: &mut [T],
) {
    assert!(inputs.dim() == net.outputs, "a divergence needs as many outputs as coordinates");
    let trace = Trace::of(net, moving);
    let rows = rows_of_a_piece(inputs.batch, net.width);
    let outs = out.chunks_mut(rows * net.outputs).zip(out_divergence.chunks_mut(rows));
    let jobs = pieces(inputs.batch, net.width).zip(outs);
    let work = (1 + trace.products(net)) * inputs.batch * net.work();
    share(jobs.collect(), work, |(rows, (out, divergence))| {
        let (h, slopes) = with_slopes(net, inputs, &rows);
        head(net, &h, out);
        trace.write(net, rows, &slopes, divergence);
    });
}

/// The values of the last hidden layer and the slopes of all of them, for some rows.
fn with_slopes<T: Real>(
    net: &Net<'_, T>,
    inputs: &Inputs<'_, T>,
    rows: &Range<usize>,
) -> (Buffer<T>, Vec<Buffer<T>>) {
    let (count, width, cols) = (rows.len(), net.width, inputs.cols());
    let activation = net.architecture.activation;
    let mut h = Buffer::stale(count * width);
    let mut z = Buffer::stale(count * width);
    let mut input = Buffer::stale(count * cols);
    inputs.assemble(rows, &mut input);
    let mut slopes = Vec::with_capacity(net.hidden_layers());
    for layer in 0..net.hidden_layers() {
        let (shift, write) = if layer == 0 {
            let weight = Matrix::new(&net.weights[0][..cols * width], cols, width);
            product(&mut z, Write::Replace, Matrix::new(&input, count, cols), weight);
            (net.shift_of(rows), Write::Replace)
        } else {
            let weight = Matrix::new(net.weights[layer], width, width);
            product(&mut z, Write::Replace, Matrix::new(&h, count, width), weight);
            let write = if net.architecture.residual { Write::Add } else { Write::Replace };
            (net.biases[layer - 1], write)
        };
        let mut slope = Buffer::stale(count * width);
        along(activation, ActivateWithSlope { width, z: &z, shift, h: &mut h, slope: &mut slope, write });
        slopes.push(slope);
    }
    (h, slopes)
}

/// Takes the tangent `dh` of the first hidden layer through those after it, whose slopes are given.
fn onwards<T: Real>(net: &Net<'_, T>, mut dh: Buffer<T>, slopes: &[Buffer<T>]) -> Buffer<T> {
    let count = dh.len() / net.width;
    let mut da = Buffer::stale(if slopes.is_empty() { 0 } else { dh.len() });
    for (slope, weight) in slopes.iter().zip(&net.weights[1..]) {
        let weight = Matrix::new(weight, net.width, net.width);
        product(&mut da, Write::Replace, Matrix::new(&dh, count, net.width), weight);
        multiply(&mut da, slope);
        if net.architecture.residual {
            simd::widest(AddTo(&mut dh, &da));
        } else {
            std::mem::swap(&mut dh, &mut da);
        }
    }
    dh
}

/// What of the trace does not depend on the batch.
enum Trace<'a, T: Real> {
    /// Of one hidden layer: `Σₖ sₖ·(WₓW_out)ₖₖ`.
    One { diagonal: Vec<T> },
    /// Of two: `s₁ᵀ·M·s₂` with `M = W₂ ⊙ (W_out·Wₓ)ᵀ`; a residual layer adds the trace that goes past it.
    Two { m: Vec<T>, past: Option<Vec<T>> },
    /// Of more, or where features move: the columns of the last weight, one after the other.
    Tangents { leave: Vec<T>, moved: Option<Moved<'a, T>> },
}

/// [`Moving`] features on their way into the first layer.
struct Moved<'a, T> {
    slopes: &'a [T],
    /// How many they are.
    count: usize,
    /// The rows of the first weight that they meet times their rates in a coordinate, `[dim, count, width]`.
    weights: Vec<T>,
}

impl<'a, T: Real> Moved<'a, T> {
    fn of(net: &Net<'_, T>, Moving { slopes, rates }: Moving<'a, T>) -> Self {
        let (width, dim) = (net.width, net.outputs);
        let count = rates.len() / dim;
        let met = &net.weights[0][dim * width..(dim + count) * width];
        let of_coordinate = |rates: &'a [T]| {
            let rows = rates.iter().zip(met.chunks_exact(width));
            rows.flat_map(|(rate, row)| row.iter().map(|weight| *weight * *rate))
        };
        Self { slopes, count, weights: rates.chunks_exact(count).flat_map(of_coordinate).collect() }
    }

    /// Adds what the features of some rows bring into the first layer when a coordinate moves.
    fn add(&self, coordinate: usize, rows: &Range<usize>, width: usize, da: &mut [T]) {
        let size = self.count * width;
        let slopes = &self.slopes[rows.start * self.count..rows.end * self.count];
        let weight = &self.weights[coordinate * size..(coordinate + 1) * size];
        let weight = Matrix::new(weight, self.count, width);
        product(da, Write::Add, Matrix::new(slopes, rows.len(), self.count), weight);
    }
}

impl<'a, T: Real> Trace<'a, T> {
    fn of(net: &Net<'_, T>, moving: Option<Moving<'a, T>>) -> Self {
        let (width, dim) = (net.width, net.outputs);
        let enter = &net.weights[0][..dim * width];
        let last = net.weights[net.hidden_layers()];
        let diagonal = || -> Vec<T> {
            let entry = |k: usize| {
                let mut sum = T::of(0.0);
                for i in 0..dim {
                    sum += enter[i * width + k] * last[k * dim + i];
                }
                sum
            };
            (0..width).map(entry).collect()
        };
        let moved = moving.map(|moving| Moved::of(net, moving));
        match net.hidden_layers() {
            1 if moved.is_none() => Self::One { diagonal: diagonal() },
            2 if moved.is_none() => {
                let mut m = vec![T::default(); width * width];
                let (last, enter) = (Matrix::new(last, width, dim), Matrix::new(enter, dim, width));
                product(&mut m, Write::Replace, enter.transposed(), last.transposed());
                for (m, w) in m.iter_mut().zip(net.weights[1]) {
                    *m = *m * *w;
                }
                Self::Two { m, past: net.architecture.residual.then(diagonal) }
            }
            _ => Self::Tangents {
                leave: (0..dim * width).map(|at| last[at % width * dim + at / width]).collect(),
                moved,
            },
        }
    }

    /// Passes through the whole network that the trace is worth.
    fn products(&self, net: &Net<'_, T>) -> usize {
        if matches!(self, Self::Tangents { .. }) { net.outputs } else { 1 }
    }

    fn write(&self, net: &Net<'_, T>, rows: Range<usize>, slopes: &[Buffer<T>], out: &mut [T]) {
        let (count, width) = (out.len(), net.width);
        match self {
            Self::One { diagonal } => {
                let column = Matrix::new(diagonal, width, 1);
                product(out, Write::Replace, Matrix::new(&slopes[0], count, width), column);
            }
            Self::Two { m, past } => {
                let mut t = Buffer::stale(count * width);
                let first = Matrix::new(&slopes[0], count, width);
                product(&mut t, Write::Replace, first, Matrix::new(m, width, width));
                simd::widest(RowDots { width, a: &t, b: &slopes[1], out });
                if let Some(past) = past {
                    product(out, Write::Add, first, Matrix::new(past, width, 1));
                }
            }
            Self::Tangents { leave, moved } => by_tangents(net, rows, slopes, leave, moved.as_ref(), out),
        }
    }
}

/// The trace from the tangents of all coordinates. The last slopes are applied to the sum over coordinates, once in place of
/// once for each.
fn by_tangents<T: Real>(
    net: &Net<'_, T>,
    rows: Range<usize>,
    slopes: &[Buffer<T>],
    leave: &[T],
    moved: Option<&Moved<'_, T>>,
    out: &mut [T],
) {
    let width = net.width;
    let size = slopes[0].len();
    let last = slopes.len() - 1;
    // With a single hidden layer nothing goes past it.
    let residual = net.architecture.residual && last > 0;
    let mut da = Buffer::stale(size);
    let mut through = Buffer::<T>::stale(size);
    let mut past = Buffer::<T>::stale(if residual { size } else { 0 });
    for (i, leave) in leave.chunks_exact(width).enumerate() {
        let write = if i == 0 { Write::Replace } else { Write::Add };
        let enter = &net.weights[0][i * width..(i + 1) * width];
        let mut dh = Buffer::stale(size);
        if let Some(moved) = moved {
            dh.chunks_exact_mut(width).for_each(|row| row.copy_from_slice(enter));
            moved.add(i, &rows, width, &mut dh);
            if last > 0 {
                multiply(&mut dh, &slopes[0]);
            }
        } else {
            let (by, write) = (&slopes[0], Write::Replace);
            simd::widest(WeightRows { width, row: enter, by, out: &mut dh, write });
        }
        if last == 0 {
            std::mem::swap(&mut da, &mut dh);
        } else {
            dh = onwards(net, dh, &slopes[1..last]);
            let weight = Matrix::new(net.weights[last], width, width);
            product(&mut da, Write::Replace, Matrix::new(&dh, size / width, width), weight);
        }
        simd::widest(WeightRows { width, row: leave, by: &da, out: &mut through, write });
        if residual {
            simd::widest(WeightRows { width, row: leave, by: &dh, out: &mut past, write });
        }
    }
    simd::widest(RowDots { width, a: &through, b: &slopes[last], out });
    if residual {
        for (out, past) in out.iter_mut().zip(past.chunks_exact(width)) {
            for p in past {
                *out += *p;
            }
        }
    }
}

fn multiply<T: Real>(values: &mut [T], by: &[T]) {
    simd::widest(Multiply(values, by));
}

/// `a *= b`.
struct Multiply<'a, T>(&'a mut [T], &'a [T]);

impl<T: Real> Loop for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (a, b) in self.0.iter_mut().zip(self.1) {
            *a = *a * *b;
        }
    }
}

/// `a += b`.
struct AddTo<'a, T>(&'a mut [T], &'a [T]);

impl<T: Real> Loop for AddTo<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (a, b) in self.0.iter_mut().zip(self.1) {
            *a += *b;
        }
    }
}

/// `out = row ⊙ by` or `out += row ⊙ by`, the same row for all.
struct WeightRows<'a, T> {
    width: usize,
    row: &'a [T],
    by: &'a [T],
    out: &'a mut [T],
    write: Write,
}

impl<T: Real> Loop for WeightRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (by, out) in self.by.chunks_exact(self.width).zip(self.out.chunks_exact_mut(self.width)) {
            if self.write == Write::Replace {
                out.fill(T::of(0.0));
            }
            for ((b, r), o) in by.iter().zip(self.row).zip(out) {
                *o += *b * *r;
            }
        }
    }
}

/// The products of rows with rows.
struct RowDots<'a, T> {
    width: usize,
    a: &'a [T],
    b: &'a [T],
    out: &'a mut [T],
}

/// Sums kept side by side, because a single running sum does not vectorise.
const LANES: usize = 16;

impl<T: Real> Loop for RowDots<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let rows = self.a.chunks_exact(self.width).zip(self.b.chunks_exact(self.width));
        for ((a, b), out) in rows.zip(self.out) {
            let mut sums = [T::of(0.0); LANES];
            let (whole_a, rest_a) = a.as_chunks::<LANES>();
            let (whole_b, rest_b) = b.as_chunks::<LANES>();
            for (a, b) in whole_a.iter().zip(whole_b) {
                for lane in 0..LANES {
                    sums[lane] += a[lane] * b[lane];
                }
            }
            let mut sum = T::of(0.0);
            for (a, b) in rest_a.iter().zip(rest_b) {
                sum += *a * *b;
            }
            for lane in sums {
                sum += lane;
            }
            *out = sum;
        }
    }
}
