//! How steep a network can be at all.

use burn::tensor::Tensor;
use faer::{Mat, Side};
use thalweg_solve::to_host;

use crate::Mlp;

impl Mlp {
    /// An upper bound on the norm of the Jacobian in the point, at every time, point and condition: the product of the
    /// spectral norms of the layers and of the steepest slopes between them. True of every network, and for deep ones far
    /// above what is met.
    #[must_use]
    pub fn steepest(&self) -> f64 {
        let slope = self.config.activation.steepest();
        let last = self.layers.len() - 1;
        let embedding = self.config.point;
        let moved = self.dim + embedding.features();
        let norms = self.layers.iter().enumerate().map(|(index, layer)| {
            let weight = layer.weight.val();
            // Times and conditions do not move with the point.
            let norm = if index == 0 {
                spectral_norm(&weight.narrow(0, 0, moved)) * embedding.stretch(self.dim)
            } else {
                spectral_norm(&weight)
            };
            match index {
                0 => norm * slope,
                _ if index == last => norm,
                _ if self.config.residual => 1.0 + norm * slope,
                _ => norm * slope,
            }
        });
        norms.product()
    }
}

/// The largest singular value; infinite where it cannot be computed.
fn spectral_norm(matrix: &Tensor<2>) -> f64 {
    largest_singular_value(&to_host(matrix), matrix.dims()[0])
}

/// The same of a matrix row by row.
pub(crate) fn largest_singular_value(values: &[f64], rows: usize) -> f64 {
    let cols = values.len() / rows.max(1);
    let matrix = Mat::from_fn(rows, cols, |i, j| values[i * cols + j]);
    let small = if rows < cols { &matrix * matrix.transpose() } else { matrix.transpose() * &matrix };
    let largest = small
        .self_adjoint_eigenvalues(Side::Lower)
        .map_or(f64::INFINITY, |values| values.into_iter().fold(0.0, f64::max));
    // Above the rounding of a square.
    largest.sqrt() * (1.0 + 1e-9)
}

#[cfg(test)]
mod tests {
    use thalweg_noise::Noise;
    use thalweg_solve::{Placement, Tangent};

    use super::*;
    use crate::waves::Waves;
    use crate::{Activation, ConditionSpec, MlpConfig, PointEmbedding};

    #[test]
    fn no_tangent_is_longer() {
        let placement = Placement::cpu_double();
        let every = [
            Activation::Silu,
            Activation::Relu,
            Activation::Elu,
            Activation::Selu,
            Activation::Tanh,
            Activation::Gelu,
            Activation::Softplus { beta: 3.0 },
        ];
        for (activation, residual) in every.into_iter().flat_map(|a| [(a, false), (a, true)]) {
            let point = match residual {
                true => PointEmbedding::Fourier { features: 6, scale: 0.5 },
                false => PointEmbedding::Coordinates,
            };
            let sizes = MlpConfig { width: 12, hidden_layers: 3, ..MlpConfig::default() };
            let config = MlpConfig { activation, residual, point, ..sizes };
            let mut noise = Noise::new(3);
            let mlp = config.init(2, ConditionSpec::None, &mut noise, &placement);
            let bound = mlp.steepest();
            let x = placement.normal::<2>(&mut noise, [200, 2]) * 3.0;
            let direction: Tensor<2> = placement.normal(&mut noise, [200, 2]);
            let t = placement.full(0.3, [200]);
            let field = mlp.unconditional();
            let (_, tangent) = field.velocity_and_tangent(t.clone(), x, t.zeros_like(), direction.clone());
            let lengths = |x: &Tensor<2>| to_host(&x.clone().square().sum_dim(1).sqrt());
            for (tangent, direction) in lengths(&tangent).into_iter().zip(lengths(&direction)) {
                assert!(tangent <= bound * direction, "{activation:?} {residual}: {tangent}, {bound}");
            }
        }
    }

    /// Coordinates and features together turn a direction into one that is longer by the stretch of the embedding, whatever the
    /// point, and never by more.
    #[test]
    fn features_stretch_the_steepest_direction_by_what_is_said() {
        let placement = Placement::cpu_double();
        let embedding = PointEmbedding::Fourier { features: 8, scale: 0.4 };
        let features = Waves::new(&embedding.frequencies(2), 2, &placement);
        let mut noise = Noise::new(5);
        let x: Tensor<2> = placement.normal(&mut noise, [360, 2]);
        let turn = |k: usize| (k as f64).to_radians();
        let directions: Vec<f64> = (0..360).flat_map(|k| [turn(k).cos(), turn(k).sin()]).collect();
        let [_, tangent] = features.with_tangent(&x, &placement.tensor(&directions, [360, 2])).unwrap();
        let lengths = to_host(&tangent.square().sum_dim(1).add_scalar(1.0).sqrt());
        let (longest, bound) = (lengths.into_iter().fold(0.0, f64::max), embedding.stretch(2));
        // Within a degree of the steepest direction.
        assert!(longest <= bound * (1.0 + 1e-9) && longest > 0.9998 * bound, "{longest}, {bound}");
    }

    /// Slopes of the activations on a fine grid: the bound is above all of them and within a ten-thousandth.
    #[test]
    fn steepest_slopes_are_nearly_reached() {
        let placement = Placement::cpu_double();
        let grid: Vec<f64> = (-4000..=4000).map(|i| f64::from(i) / 400.0).collect();
        for activation in
            [Activation::Silu, Activation::Gelu, Activation::Selu, Activation::Tanh, Activation::Elu]
        {
            let (_, slopes) = activation.with_slope(placement.tensor::<1>(&grid, [grid.len()]));
            let largest = to_host(&slopes).into_iter().fold(0.0, f64::max);
            let bound = activation.steepest();
            assert!(largest <= bound + 1e-12 && largest > bound - 2e-4, "{activation:?}: {largest}, {bound}");
        }
    }
}
