//! The sliced Wasserstein distance: one-dimensional transport, averaged over directions.

use thalweg_noise::Noise;
use thalweg_ot::Points;

use crate::{MetricsError, checks};

/// `SW₂ = √(E_θ W₂²(θᵀX, θᵀY))` over `directions` unit vectors θ: the root, in the units of the data.
///
/// The clouds may differ in size. Directions come in random orthonormal frames of up to `dim` vectors; each is uniform
/// on the sphere, and a shift by μ is measured without any noise, as `‖μ‖²/dim`, when whole frames are drawn. Compare
/// only distances measured along the same directions (clone the noise). Takes `O(directions · n (dim + log n))`.
pub fn sliced_wasserstein2(
    x: Points,
    y: Points,
    directions: usize,
    noise: &mut Noise,
) -> Result<f64, MetricsError> {
    checks::pair(x, y)?;
    if directions == 0 {
        return Err(MetricsError::BadSetting { name: "directions", value: 0.0, expected: "at least 1" });
    }
    let mut frame: Vec<Vec<f64>> = Vec::new();
    let mut sum = 0.0;
    for _ in 0..directions {
        if frame.len() == x.dim() {
            frame.clear();
        }
        let direction = next_direction(&frame, x.dim(), noise);
        sum +=
            line_wasserstein2_squared(&sorted_projection(x, &direction), &sorted_projection(y, &direction));
        frame.push(direction);
    }
    checks::finite("the sliced Wasserstein distance", (sum / directions as f64).sqrt())
}

/// A random unit vector orthogonal to those of the frame, which has fewer than `dim`.
fn next_direction(frame: &[Vec<f64>], dim: usize, noise: &mut Noise) -> Vec<f64> {
    loop {
        let mut direction = noise.normals(dim);
        // Twice is enough for orthogonality to the last digits (Kahan and Parlett).
        for _ in 0..2 {
            for other in frame {
                let along = dot(&direction, other);
                direction.iter_mut().zip(other).for_each(|(d, o)| *d -= along * o);
            }
        }
        let length = dot(&direction, &direction).sqrt();
        // A draw that lies almost in the span of the frame has lost its digits; another one will not.
        if length > 1e-6 {
            direction.iter_mut().for_each(|d| *d /= length);
            return direction;
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sorted_projection(points: Points, direction: &[f64]) -> Vec<f64> {
    let mut projection: Vec<f64> = points.rows().map(|row| dot(row, direction)).collect();
    projection.sort_unstable_by(f64::total_cmp);
    projection
}

/// `∫₀¹ (F⁻¹(u) - G⁻¹(u))² du` for the step functions F, G of two sorted samples.
fn line_wasserstein2_squared(x: &[f64], y: &[f64]) -> f64 {
    let (n, m) = (x.len(), y.len());
    let (mut i, mut j, mut from, mut sum) = (0, 0, 0, 0.0);
    // In units of 1/(nm), x_i covers the quantiles from i·m to (i+1)·m, and y_j those from j·n to (j+1)·n.
    while i < n && j < m {
        let to = ((i + 1) * m).min((j + 1) * n);
        sum += (to - from) as f64 * (x[i] - y[j]).powi(2);
        i += usize::from(to == (i + 1) * m);
        j += usize::from(to == (j + 1) * n);
        from = to;
    }
    sum / (n as f64 * m as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_unequal_samples_are_matched() {
        // Quantiles 0..1/3: 0-1, 1/3..1/2: 0-2, 1/2..2/3: 6-2, 2/3..1: 6-3.
        let expected = 1.0 / 3.0 + 4.0 / 6.0 + 16.0 / 6.0 + 9.0 / 3.0;
        assert!((line_wasserstein2_squared(&[0.0, 6.0], &[1.0, 2.0, 3.0]) - expected).abs() < 1e-14);
        assert!((line_wasserstein2_squared(&[1.0, 2.0, 3.0], &[0.0, 6.0]) - expected).abs() < 1e-14);
    }

    #[test]
    fn frames_are_orthonormal() {
        let mut noise = Noise::new(1);
        let mut frame = Vec::new();
        for _ in 0..6 {
            frame.push(next_direction(&frame, 6, &mut noise));
        }
        for a in 0..6 {
            for b in 0..6 {
                assert!((dot(&frame[a], &frame[b]) - f64::from(u8::from(a == b))).abs() < 1e-14);
            }
        }
    }
}
