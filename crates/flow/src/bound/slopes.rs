//! How a field carries small errors on: norms of its Jacobians.

use burn::tensor::Tensor;
use faer::{Mat, Side};
use thalweg_noise::Noise;
use thalweg_solve::{Differentiable, Placement, Tangent, to_host};

/// Coordinates up to which Jacobians are written out.
const DENSE: usize = 64;
/// Most steps of a power iteration, and the relative change at which it is done.
const ITERATIONS: usize = 40;
const DONE: f64 = 1e-3;

/// The largest singular value of the Jacobian of the field in the point, at time `t` and each of the points
/// `[batch, dim]`; infinite where it is not finite.
///
/// Up to 64 coordinates it is exact and takes a tangent for each of them. Beyond that it is what a power iteration
/// has reached, a lower estimate, which takes a tangent and a gradient a step, 40 at most.
#[must_use]
pub fn steepness<F: Tangent<2> + ?Sized>(field: &F, t: f64, x: &Tensor<2>) -> Vec<f64> {
    if x.dims()[1] > DENSE {
        return iterated(field, t, x);
    }
    jacobians(field, t, x.clone()).iter().map(steepest).collect()
}

/// By `z ← JᵀJz`.
fn iterated<F: Tangent<2> + ?Sized>(field: &F, t: f64, x: &Tensor<2>) -> Vec<f64> {
    let [batch, dim] = x.dims();
    let placement = Placement::of(x);
    let t: Tensor<1> = placement.full(t, [batch]);
    let start = Noise::at(0, "steepness", 0).normals(batch * dim);
    let mut z = normalised(placement.tensor(&start, [batch, dim]));
    let mut found = vec![0.0_f64; batch];
    for _ in 0..ITERATIONS {
        let (_, turned) = field.velocity_and_tangent(t.clone(), x.clone(), t.zeros_like(), z);
        let before = std::mem::replace(&mut found, to_host(&turned.clone().square().sum_dim(1).sqrt()));
        // Read on the host to stop early: a few numbers a step, beside a gradient.
        if found
            .iter()
            .zip(&before)
            .all(|(now, before)| !now.is_finite() || (now - before).abs() <= DONE * now)
        {
            break;
        }
        let leaf = x.clone().leaf();
        let product = field.velocity(t.clone(), leaf.clone()).dot(&turned);
        z = normalised(leaf.take_gradient(&mut product.backward()));
    }
    found.into_iter().map(|value| if value.is_finite() { value } else { f64::INFINITY }).collect()
}

/// Rows of length one, or of zeros.
fn normalised(z: Tensor<2>) -> Tensor<2> {
    let lengths = z.clone().square().sum_dim(1).sqrt();
    z / (lengths + f64::from(f32::MIN_POSITIVE))
}

/// What a Jacobian does to small errors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slopes {
    /// Its largest singular value.
    pub steepest: f64,
    /// The largest eigenvalue of its symmetric part.
    pub growth: f64,
}

impl Slopes {
    /// Of a Jacobian; infinite where it is not finite.
    pub fn of(jacobian: &Mat<f64>) -> Self {
        let symmetric = Mat::from_fn(jacobian.nrows(), jacobian.ncols(), |i, j| {
            0.5 * (jacobian[(i, j)] + jacobian[(j, i)])
        });
        Self { steepest: steepest(jacobian), growth: largest_eigenvalue(&symmetric) }
    }

    pub fn max(self, other: Self) -> Self {
        Self { steepest: self.steepest.max(other.steepest), growth: self.growth.max(other.growth) }
    }

    /// By how much a step of Euler makes an error longer, at most.
    pub fn amplification(self, step: f64) -> f64 {
        1.0 + step * self.steepest
    }

    /// The same where the growth is less than the slope: below one where the field contracts.
    pub fn least_amplification(self, step: f64) -> f64 {
        let squared = 1.0 + 2.0 * step * self.growth + (step * self.steepest).powi(2);
        self.amplification(step).min(squared.max(0.0).sqrt())
    }
}

/// The largest singular value; infinite where there is none.
fn steepest(jacobian: &Mat<f64>) -> f64 {
    largest_eigenvalue(&(jacobian.transpose() * jacobian)).max(0.0).sqrt()
}

fn largest_eigenvalue(symmetric: &Mat<f64>) -> f64 {
    let values = symmetric.self_adjoint_eigenvalues(Side::Lower).unwrap_or_else(|_| vec![f64::INFINITY]);
    let largest = values.into_iter().fold(f64::NEG_INFINITY, f64::max);
    if largest.is_finite() { largest } else { f64::INFINITY }
}

/// The Jacobian `[dim, dim]` of the field at time `t` and each of the points `[batch, dim]`.
pub(super) fn jacobians<F: Tangent<2> + ?Sized>(field: &F, t: f64, x: Tensor<2>) -> Vec<Mat<f64>> {
    let [batch, dim] = x.dims();
    let t: Tensor<1> = Placement::of(&x).full(t, [batch]);
    let columns: Vec<Vec<f64>> = (0..dim)
        .map(|i| {
            let unit = x.zeros_like().slice_fill([0..batch, i..i + 1], 1.0);
            let (_, column) = field.velocity_and_tangent(t.clone(), x.clone(), t.zeros_like(), unit);
            to_host(&column)
        })
        .collect();
    (0..batch).map(|row| Mat::from_fn(dim, dim, |i, j| columns[j][row * dim + i])).collect()
}

#[cfg(test)]
mod tests {
    use thalweg_solve::VelocityField;

    use super::*;

    /// `x ↦ tanh(x M)`, whose Jacobian at zero is the transpose of `M`.
    struct Layer(Tensor<2>);

    impl VelocityField<2> for Layer {
        fn velocity(&self, _t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
            x.matmul(self.0.clone()).tanh()
        }
    }

    impl Tangent<2> for Layer {
        fn velocity_and_tangent(
            &self,
            t: Tensor<1>,
            x: Tensor<2>,
            _dt: Tensor<1>,
            dx: Tensor<2>,
        ) -> (Tensor<2>, Tensor<2>) {
            let velocity = self.velocity(t, x);
            let tangent = (velocity.clone().square() * -1.0 + 1.0) * dx.matmul(self.0.clone());
            (velocity, tangent)
        }
    }

    #[test]
    fn the_steepness_of_a_shear_is_known() {
        // Singular values of [[1, 2], [0, 1]] are √2 ± 1.
        let placement = Placement::cpu_double();
        let layer = Layer(placement.tensor(&[1.0, 2.0, 0.0, 1.0], [2, 2]));
        let x = placement.tensor(&[0.0; 4], [2, 2]);
        for found in steepness(&layer, 0.3, &x) {
            assert!((found - (1.0 + 2.0_f64.sqrt())).abs() < 1e-12, "{found}");
        }
    }

    #[test]
    fn beyond_dense_jacobians_a_power_iteration_finds_the_same() {
        let mut noise = Noise::new(5);
        for placement in [Placement::cpu_double(), Placement::cpu()] {
            // One direction that stands out, which a random matrix of this size may lack.
            let dim = DENSE + 6;
            let mut matrix: Vec<f64> =
                noise.normals(dim * dim).iter().map(|m| m / (dim as f64).sqrt()).collect();
            matrix[3 * dim + 8] += 4.0;
            let layer = Layer(placement.tensor(&matrix, [dim, dim]));
            let x = placement.tensor(&noise.normals(3 * dim), [3, dim]) * 0.05;
            let exact: Vec<f64> = jacobians(&layer, 0.0, x.clone()).iter().map(steepest).collect();
            for (found, exact) in steepness(&layer, 0.0, &x).into_iter().zip(exact) {
                assert!(found <= exact * (1.0 + 1e-6) && found > 0.995 * exact, "{found}, not {exact}");
            }
        }
        let zeros = |rows: usize| Placement::cpu_double().full(0.0, [rows, DENSE + 1]);
        let (still, x) = (Layer(zeros(DENSE + 1)), zeros(2));
        assert_eq!(steepness(&still, 0.0, &x), [0.0, 0.0]);
    }

    #[test]
    fn slopes_of_a_spiral() {
        // The symmetric part contracts at rate one, whatever the turning; a step of 0.2 is the longest that does.
        let spiral = Mat::from_fn(2, 2, |i, j| [[-1.0, 3.0], [-3.0, -1.0]][i][j]);
        let slopes = Slopes::of(&spiral);
        assert!((slopes.steepest - 10.0_f64.sqrt()).abs() < 1e-12);
        assert!((slopes.growth + 1.0).abs() < 1e-12);
        assert!((slopes.least_amplification(0.2) - 1.0).abs() < 1e-12);
        assert!(slopes.least_amplification(0.1) < 1.0 && slopes.least_amplification(0.3) > 1.0);
        let broken = Mat::from_fn(2, 2, |_, _| f64::NAN);
        assert_eq!(Slopes::of(&broken).steepest, f64::INFINITY);
    }
}
