//! From gradients of the outputs to gradients of inputs and parameters.
//!
//! The gradient of a weight is a sum over rows. Pieces are put together in groups, each group adds up its own sum, and
//! the sums of the groups are added in order: the result is the same for any number of threads.

use std::ops::Range;

use rayon::prelude::*;

use super::passes::{Descend, Values};
use super::{Inputs, Net, WORTH_A_THREAD, pieces, share};
use crate::Real;
use crate::curve::along;
use crate::pool::Buffer;
use crate::product::{Matrix, Write, product};

/// Which gradients are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    pub point: bool,
    pub features: bool,
    pub shift: bool,
    /// Those of all weights and biases.
    pub parameters: bool,
}

/// The gradients; empty where they were not wanted.
#[derive(Debug, Default)]
pub(crate) struct Gradients<T> {
    pub point: Vec<T>,
    pub features: Vec<T>,
    /// Of the shape of the shift.
    pub shift: Vec<T>,
    pub weights: Vec<Vec<T>>,
    pub biases: Vec<Vec<T>>,
}

/// The way back. `saved` is what [`forward`](super::forward) wrote.
pub(crate) fn backward<T: Real>(
    net: &Net<'_, T>,
    inputs: &Inputs<'_, T>,
    saved: &[T],
    out_gradient: &[T],
    wanted: Wanted,
) -> Gradients<T> {
    let batch = inputs.batch;
    let zeros = |wanted: bool, count: usize| if wanted { vec![T::default(); count] } else { Vec::new() };
    let mut gradients = Gradients {
        point: zeros(wanted.point, inputs.point.len()),
        features: zeros(wanted.features, inputs.features.len()),
        shift: zeros(wanted.shift, net.shift.len()),
        ..Gradients::default()
    };
    let layout = Layout::of(net, inputs.cols());
    let groups = grouped(batch, net.width, layout.len);

    let mut sums: Vec<Buffer<T>> = groups.iter().map(|_| Buffer::stale(layout.len)).collect();
    let by_row = wanted.shift && net.shift_by_row();
    let mut point = Parts::new(&mut gradients.point, inputs.dim(), wanted.point);
    let mut features = Parts::new(&mut gradients.features, inputs.feature_count(), wanted.features);
    let mut shift = Parts::new(&mut gradients.shift, net.width, by_row);
    let jobs: Vec<Group<'_, T>> = groups
        .into_iter()
        .zip(&mut sums)
        .map(|(pieces, sums)| {
            let rows = pieces.iter().map(Range::len).sum();
            Group {
                pieces,
                sums,
                point: point.next(rows),
                features: features.next(rows),
                shift: shift.next(rows),
            }
        })
        .collect();
    share(jobs, 3 * batch * net.work(), |group| {
        group.backward(net, inputs, saved, out_gradient, &layout, wanted.parameters);
    });

    let total = added(sums);
    if wanted.shift && !by_row {
        gradients.shift.copy_from_slice(&total[layout.shift.clone()]);
    }
    if wanted.parameters {
        // Rows of the first weight that nothing here meets have gradient zero.
        let whole = |layer: usize| {
            let mut values = total[layout.weights[layer].clone()].to_vec();
            values.resize(net.weights[layer].len(), T::default());
            values
        };
        gradients.weights = (0..net.weights.len()).map(whole).collect();
        gradients.biases = layout.biases.iter().map(|range| total[range.clone()].to_vec()).collect();
    }
    gradients
}

/// Where the gradients of the parameters are in one long slice.
struct Layout {
    weights: Vec<Range<usize>>,
    shift: Range<usize>,
    biases: Vec<Range<usize>>,
    len: usize,
}

impl Layout {
    fn of<T>(net: &Net<'_, T>, cols: usize) -> Self {
        let mut len = 0;
        let mut take = |count: usize| {
            len += count;
            len - count..len
        };
        let layers = net.weights.len();
        let of_layer = |layer: usize| if layer == 0 { cols * net.width } else { net.weights[layer].len() };
        let weights = (0..layers).map(|layer| take(of_layer(layer))).collect();
        let shift = take(net.width);
        let biases = net.biases.iter().map(|bias| take(bias.len())).collect();
        Self { weights, shift, biases, len }
    }
}

/// The most groups, for as many threads: fewer when each needs much memory for its sums.
fn most_groups(parameters: usize) -> usize {
    if parameters <= 1 << 18 { 32 } else { 8 }
}

/// Consecutive pieces in groups of about the same size.
fn grouped(batch: usize, width: usize, parameters: usize) -> Vec<Vec<Range<usize>>> {
    let all: Vec<Range<usize>> = pieces(batch, width).collect();
    let size = all.len().div_ceil(most_groups(parameters)).max(1);
    all.chunks(size).map(<[_]>::to_vec).collect()
}

/// The sum of the groups' sums, in their order.
pub(crate) fn added<T: Real>(mut sums: Vec<Buffer<T>>) -> Buffer<T> {
    const BLOCK: usize = 1 << 13;
    // In multiplications, since memory takes the time.
    const COST: usize = 16;
    let rest = sums.split_off(1);
    let Some(mut total) = sums.pop() else { unreachable!("a batch has at least one piece") };
    let add = |(block, total): (usize, &mut [T])| {
        for other in &rest {
            for (t, o) in total.iter_mut().zip(&other[block * BLOCK..]) {
                *t += *o;
            }
        }
    };
    if COST * total.len() * rest.len() >= WORTH_A_THREAD {
        total.par_chunks_mut(BLOCK).enumerate().for_each(add);
    } else {
        total.chunks_mut(BLOCK).enumerate().for_each(add);
    }
    total
}

/// Hands out consecutive rows of a slice, or nothing.
struct Parts<'a, T> {
    rest: &'a mut [T],
    cols: usize,
    wanted: bool,
}

impl<'a, T> Parts<'a, T> {
    fn new(values: &'a mut [T], cols: usize, wanted: bool) -> Self {
        Self { rest: values, cols, wanted }
    }

    fn next(&mut self, rows: usize) -> Option<&'a mut [T]> {
        if !self.wanted {
            return None;
        }
        let (part, rest) = std::mem::take(&mut self.rest).split_at_mut(rows * self.cols);
        self.rest = rest;
        Some(part)
    }
}

/// Pieces that share their sums, and the rows of the results that are theirs.
struct Group<'a, T: Real> {
    pieces: Vec<Range<usize>>,
    sums: &'a mut Buffer<T>,
    point: Option<&'a mut [T]>,
    features: Option<&'a mut [T]>,
    shift: Option<&'a mut [T]>,
}

impl<T: Real> Group<'_, T> {
    fn backward(
        self,
        net: &Net<'_, T>,
        inputs: &Inputs<'_, T>,
        saved: &[T],
        out_gradient: &[T],
        layout: &Layout,
        parameters: bool,
    ) {
        let Self { pieces, sums, point, features, shift } = self;
        sums[layout.shift.start..].fill(T::default());
        let start = pieces[0].start;
        let (mut point, mut features, mut shift) = (point, features, shift);
        for rows in pieces {
            let here = |cols: usize| (rows.start - start) * cols..(rows.end - start) * cols;
            let mut piece = Piece { net, inputs, layout, sums, parameters, first: rows.start == start };
            let of_rows = net.width * net.hidden_layers();
            let saved = &saved[rows.start * of_rows..rows.end * of_rows];
            let out_gradient = &out_gradient[rows.start * net.outputs..rows.end * net.outputs];
            let first = piece.backward(&rows, saved, out_gradient);
            if let Some(shift) = &mut shift {
                shift[here(net.width)].copy_from_slice(&first);
            }
            let count = rows.len();
            let first = Matrix::new(&first, count, net.width);
            let (dim, features_count) = (inputs.dim(), inputs.feature_count());
            let input_gradient = |into: &mut Option<&mut [T]>, from: usize, cols: usize| {
                if let Some(into) = into {
                    let weight = &net.weights[0][from * net.width..(from + cols) * net.width];
                    let weight = Matrix::new(weight, cols, net.width).transposed();
                    product(&mut into[here(cols)], Write::Replace, first, weight);
                }
            };
            input_gradient(&mut point, 0, dim);
            input_gradient(&mut features, dim, features_count);
        }
    }
}

/// What the way back of one piece needs.
struct Piece<'a, 'n, T: Real> {
    net: &'a Net<'n, T>,
    inputs: &'a Inputs<'n, T>,
    layout: &'a Layout,
    sums: &'a mut Buffer<T>,
    parameters: bool,
    /// Whether the sums of the weights still hold stale numbers.
    first: bool,
}

impl<T: Real> Piece<'_, '_, T> {
    /// Adds to the sums, and returns the gradient of what was before the first activation.
    fn backward(&mut self, rows: &Range<usize>, saved: &[T], out_gradient: &[T]) -> Buffer<T> {
        let (net, count) = (self.net, rows.len());
        let (width, layers) = (net.width, net.hidden_layers());
        let activation = net.architecture.activation;
        let size = count * width;
        let before = |layer: usize| &saved[layer * size..(layer + 1) * size];
        // What residual layers were given cannot be told from one layer alone.
        let chain = net.architecture.residual.then(|| residual_values(net, saved, size));

        for row in out_gradient.chunks_exact(net.outputs) {
            for (sum, g) in self.sums[self.layout.biases[layers - 1].clone()].iter_mut().zip(row) {
                *sum += *g;
            }
        }
        let mut g = Buffer::stale(size);
        let last = Matrix::new(net.weights[layers], width, net.outputs).transposed();
        product(&mut g, Write::Replace, Matrix::new(out_gradient, count, net.outputs), last);

        let mut h = Buffer::stale(size);
        let mut above: Option<Buffer<T>> = None;
        for layer in (0..layers).rev() {
            // `g` is the gradient of the layer's value and becomes that of what was before the activation; a residual
            // layer hands the former on as well.
            let past = (net.architecture.residual && layer > 0).then(|| {
                let mut past = Buffer::stale(size);
                past.copy_from_slice(&g);
                past
            });
            let bias = if layer == 0 { &self.layout.shift } else { &self.layout.biases[layer - 1] };
            let bias = &mut self.sums[bias.clone()];
            let values = if chain.is_none() { Some(&mut h[..]) } else { None };
            along(activation, Descend { width, z: before(layer), g: &mut g, bias, h: values });

            let values = chain.as_ref().map_or(&h[..], |chain| &chain[layer * size..(layer + 1) * size]);
            match &above {
                None => self.weight(layers, Matrix::new(values, count, width), out_gradient, net.outputs),
                Some(above) => self.weight(layer + 1, Matrix::new(values, count, width), above, width),
            }
            if layer == 0 {
                break;
            }
            let mut below = above.take().unwrap_or_else(|| Buffer::stale(size));
            let into = match past {
                Some(past) => {
                    below.copy_from_slice(&past);
                    Write::Add
                }
                None => Write::Replace,
            };
            let weight = Matrix::new(net.weights[layer], width, width).transposed();
            product(&mut below, into, Matrix::new(&g, count, width), weight);
            above = Some(std::mem::replace(&mut g, below));
        }
        if self.parameters {
            let cols = self.inputs.cols();
            let mut input = Buffer::stale(count * cols);
            self.inputs.assemble(rows, &mut input);
            self.weight(0, Matrix::new(&input, count, cols), &g, width);
        }
        g
    }

    /// Adds the gradient of a weight: what went into the layer, transposed, times the gradient of what came out.
    fn weight(&mut self, layer: usize, values: Matrix<'_, T>, gradient: &[T], cols: usize) {
        if !self.parameters {
            return;
        }
        let into = if self.first { Write::Replace } else { Write::Add };
        let sums = &mut self.sums[self.layout.weights[layer].clone()];
        product(sums, into, values.transposed(), Matrix::new(gradient, gradient.len() / cols, cols));
    }
}

/// The values of all hidden layers of a residual network.
fn residual_values<T: Real>(net: &Net<'_, T>, saved: &[T], size: usize) -> Buffer<T> {
    let activation = net.architecture.activation;
    let mut chain = Buffer::stale(saved.len());
    for layer in 0..net.hidden_layers() {
        let (given, here) = chain.split_at_mut(layer * size);
        let z = &saved[layer * size..(layer + 1) * size];
        let h = &mut here[..size];
        if layer == 0 {
            along(activation, Values { z, h, write: Write::Replace });
        } else {
            h.copy_from_slice(&given[(layer - 1) * size..]);
            along(activation, Values { z, h, write: Write::Add });
        }
    }
    chain
}
