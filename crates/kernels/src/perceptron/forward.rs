//! From inputs to outputs.

use std::ops::Range;

use super::passes::Activate;
use super::{Inputs, Net, pieces, rows_of_a_piece, share};
use crate::Real;
use crate::curve::along;
use crate::pool::Buffer;
use crate::product::{Matrix, Write, product};

/// Writes the outputs `[batch, outputs]`.
///
/// `saved` is for the way back: what the hidden layers were before their activation, in the order of the pieces and
/// within each of the layers, `batch · hidden layers · width` numbers.
pub(crate) fn forward<T: Real>(
    net: &Net<'_, T>,
    inputs: &Inputs<'_, T>,
    saved: Option<&mut [T]>,
    out: &mut [T],
) {
    struct Piece<'a, T> {
        rows: Range<usize>,
        out: &'a mut [T],
        saved: Option<&'a mut [T]>,
    }
    let rows = rows_of_a_piece(inputs.batch, net.width);
    let of_saved = rows * net.width * net.hidden_layers();
    let mut saved = saved.map(|saved| saved.chunks_mut(of_saved));
    let outs = out.chunks_mut(rows * net.outputs);
    let jobs = pieces(inputs.batch, net.width).zip(outs).map(|(rows, out)| {
        let saved = saved.as_mut().and_then(Iterator::next);
        Piece { rows, out, saved }
    });
    share(jobs.collect(), inputs.batch * net.work(), |piece| {
        let count = piece.rows.len() * net.width;
        match piece.saved {
            Some(saved) => piece_forward(net, inputs, piece.rows, saved, count, piece.out),
            // Without a way back all layers use the same scratch.
            None => piece_forward(net, inputs, piece.rows, &mut Buffer::stale(count), 0, piece.out),
        }
    });
}

/// One piece; layer `l` is before its activation in `before[l · stride..]`.
fn piece_forward<T: Real>(
    net: &Net<'_, T>,
    inputs: &Inputs<'_, T>,
    rows: Range<usize>,
    before: &mut [T],
    stride: usize,
    out: &mut [T],
) {
    let (count, width, cols) = (rows.len(), net.width, inputs.cols());
    let Net { architecture, .. } = net;
    let mut h = Buffer::stale(count * width);
    let mut input = Buffer::stale(count * cols);
    inputs.assemble(&rows, &mut input);

    let z = &mut before[..count * width];
    let weight = Matrix::new(&net.weights[0][..cols * width], cols, width);
    product(z, Write::Replace, Matrix::new(&input, count, cols), weight);
    let shift = net.shift_of(&rows);
    along(architecture.activation, Activate { width, z, shift, h: &mut h, write: Write::Replace });

    let write = if architecture.residual { Write::Add } else { Write::Replace };
    for layer in 1..net.hidden_layers() {
        let z = &mut before[layer * stride..][..count * width];
        let weight = Matrix::new(net.weights[layer], width, width);
        product(z, Write::Replace, Matrix::new(&h, count, width), weight);
        let shift = net.biases[layer - 1];
        along(architecture.activation, Activate { width, z, shift, h: &mut h, write });
    }
    head(net, &h, out);
}

/// The last layer.
pub(super) fn head<T: Real>(net: &Net<'_, T>, h: &[T], out: &mut [T]) {
    let last = net.hidden_layers();
    for row in out.chunks_exact_mut(net.outputs) {
        row.copy_from_slice(net.biases[last - 1]);
    }
    let weight = Matrix::new(net.weights[last], net.width, net.outputs);
    product(out, Write::Add, Matrix::new(h, h.len() / net.width, net.width), weight);
}
