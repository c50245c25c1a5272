//! The exact divergence of a multilayer perceptron from the slopes of its hidden layers (FORMULAS §3.1).
//!
//! With rows as points, the Jacobian of `v` in `x` is the product `Wₓ·D₁·W₂·D₂ ⋯ D_L·W_out` of weights and diagonal
//! slopes `D_l = diag φ'(a_l)`; a residual layer has `I + W·D` in place of `W·D`. Its trace comes
//!
//! * in closed form for one and two hidden layers: work that is independent of the dimension, for each point;
//! * for deeper networks from the tangents of all coordinates at once. The first layer's tangents are the rows of its
//!   weight, so no point is pushed through it, and the last layer only ever gives its trace.

use burn::tensor::Tensor;

use crate::mlp::Mlp;

/// Tangents are held for at most this many values at a time (when a single coordinate has fewer), so that memory does
/// not grow with the dimension. A tape, where there is one, keeps them all nevertheless.
const VALUES_AT_A_TIME: usize = 1 << 20;

/// The divergence `[batch]`, given the slopes `[batch, width]` of every hidden layer.
pub(crate) fn from_slopes(mlp: &Mlp, slopes: Vec<Tensor<2>>) -> Tensor<1> {
    match <[Tensor<2>; 1]>::try_from(slopes) {
        Ok([slope]) => one_hidden_layer(mlp, slope),
        Err(slopes) => match <[Tensor<2>; 2]>::try_from(slopes) {
            Ok([first, second]) => two_hidden_layers(mlp, first, second),
            Err(slopes) => by_tangents(mlp, &slopes),
        },
    }
}

/// `Σₖ φ'(a)ₖ·(WₓW_out)ₖₖ`, where the diagonal of the product is a sum over coordinates.
fn one_hidden_layer(mlp: &Mlp, slope: Tensor<2>) -> Tensor<1> {
    let diagonal = (mlp.point_rows() * mlp.head().weight.val().transpose()).sum_dim(0);
    slope.matmul(diagonal.transpose()).squeeze_dim(1)
}

/// `φ'(a₁)ᵀ·M·φ'(a₂)` with `M = W₂ ⊙ (W_out·Wₓ)ᵀ`; a residual layer adds the trace that goes past it.
fn two_hidden_layers(mlp: &Mlp, first: Tensor<2>, second: Tensor<2>) -> Tensor<1> {
    let around = mlp.head().weight.val().matmul(mlp.point_rows());
    let m = mlp.inner()[0].weight.val() * around.transpose();
    let through = (first.clone().matmul(m) * second).sum_dim(1).squeeze_dim(1);
    if mlp.config.residual { through + one_hidden_layer(mlp, first) } else { through }
}

/// The trace by the tangents of all coordinates, in groups that fit [`VALUES_AT_A_TIME`].
fn by_tangents(mlp: &Mlp, slopes: &[Tensor<2>]) -> Tensor<1> {
    let [batch, width] = slopes[0].dims();
    if batch == 0 {
        // Tensors without values cannot be given a further axis.
        return slopes[0].clone().sum_dim(1).reshape([0]);
    }
    let group = (VALUES_AT_A_TIME / (batch * width)).clamp(1, mlp.dim);
    let (enter, leave) = (mlp.point_rows(), mlp.head().weight.val().transpose());
    let trace_from = |start: usize| {
        let count = group.min(mlp.dim - start);
        let of_group = |rows: &Tensor<2>| rows.clone().narrow(0, start, count).unsqueeze_dim(1);
        trace_of(mlp, slopes, of_group(&enter), of_group(&leave))
    };
    (group..mlp.dim).step_by(group).fold(trace_from(0), |sum, start| sum + trace_from(start))
}

/// The sum over some coordinates `i` of the tangent of `vᵢ` along `xᵢ`, `[batch]`.
///
/// `enter` `[coordinates, 1, width]` holds their rows of the first layer's weight, `leave` of the same shape their
/// columns of the last one's.
fn trace_of(mlp: &Mlp, slopes: &[Tensor<2>], enter: Tensor<3>, leave: Tensor<3>) -> Tensor<1> {
    let (last, before) = (&slopes[slopes.len() - 1], &slopes[..slopes.len() - 1]);
    let mut da = enter;
    let mut past: Option<Tensor<3>> = None;
    for (slope, layer) in before.iter().zip(mlp.inner()) {
        let mut dh = da * slope.clone().unsqueeze_dim(0);
        if let Some(past) = past {
            dh = dh + past;
        }
        past = mlp.config.residual.then(|| dh.clone());
        da = layer.tangent(dh);
    }
    // Coordinates are summed before the last slope is applied, which is then one product in place of one for each.
    let through = (da * leave.clone()).sum_dim(0).squeeze_dim::<2>(0) * last.clone();
    let all = match past {
        Some(past) => through + (past * leave).sum_dim(0).squeeze_dim(0),
        None => through,
    };
    all.sum_dim(1).squeeze_dim(1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;
    use thalweg_noise::Noise;
    use thalweg_solve::{Placement, to_host};

    use super::*;
    use crate::{ConditionSpec, MlpConfig};

    fn at_random_points(
        hidden_layers: usize,
        residual: bool,
        dim: usize,
        batch: usize,
    ) -> (Mlp, Vec<Tensor<2>>) {
        let config = MlpConfig { hidden_layers, residual, ..MlpConfig::default() };
        let (placement, mut noise) = (Placement::cpu_double(), Noise::new(8));
        let mlp = config.init(dim, ConditionSpec::None, &mut noise, &placement);
        let (t, x) = (placement.full(0.3, [batch]), placement.normal(&mut noise, [batch, dim]));
        let (_, slopes) = mlp.unconditional().velocity_and_slopes(t, x);
        (mlp, slopes)
    }

    fn largest_difference(a: Tensor<1>, b: Tensor<1>) -> f64 {
        to_host(&a).iter().zip(to_host(&b)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn closed_forms_agree_with_tangents() {
        for dim in [1, 2, 7] {
            for residual in [false, true] {
                for hidden_layers in [1, 2] {
                    let (mlp, slopes) = at_random_points(hidden_layers, residual, dim, 5);
                    let error = largest_difference(by_tangents(&mlp, &slopes), from_slopes(&mlp, slopes));
                    assert!(error < 1e-13, "{hidden_layers} hidden layers, {dim} coordinates: {error:.1e}");
                }
            }
        }
    }

    #[test]
    fn groups_of_coordinates_add_up() {
        // 64 units and 5,461 points: three coordinates fit at a time, so seven are 3 + 3 + 1.
        let batch = VALUES_AT_A_TIME / (3 * 64);
        let (mlp, slopes) = at_random_points(3, true, 7, batch);
        let few: Vec<Tensor<2>> = slopes.iter().map(|slope| slope.clone().narrow(0, 0, 4)).collect();
        let all = by_tangents(&mlp, &slopes).narrow(0, 0, 4);
        assert!(largest_difference(all, by_tangents(&mlp, &few)) < 1e-13);
    }
}
