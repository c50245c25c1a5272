//! Gradients between the backward pass and the optimiser: accumulation, norm, clipping.

use burn::tensor::Tensor;
use thalweg_kernels::sum_of_squares;

use crate::parameters::ByName;

/// Adds the gradients of another part of the batch, each weighted by its share.
pub fn accumulate(total: &mut ByName, part: ByName, share: f64) {
    for (name, gradient) in part {
        let gradient = if share == 1.0 { gradient } else { gradient.mul_scalar(share) };
        let sum = match total.remove(&name) {
            Some(sum) => sum + gradient,
            None => gradient,
        };
        total.insert(name, sum);
    }
}

/// The Euclidean norm over all parameters together.
#[must_use]
pub fn norm(gradients: &ByName) -> f64 {
    let plain = |g: &Tensor<1>| g.clone().square().sum().into_scalar::<f64>();
    gradients.values().map(|g| sum_of_squares(g).unwrap_or_else(|| plain(g))).sum::<f64>().sqrt()
}

/// Scales the gradients down so that their common norm is at most `limit`; `norm` is what [`norm`] gave.
#[must_use]
pub fn clip(gradients: ByName, norm: f64, limit: f64) -> ByName {
    if norm <= limit {
        return gradients;
    }
    gradients.into_iter().map(|(name, gradient)| (name, gradient.mul_scalar(limit / norm))).collect()
}

#[cfg(test)]
mod tests {
    use thalweg_solve::{Placement, to_host};

    use super::*;

    fn gradients(a: &[f64], b: &[f64]) -> ByName {
        let tensor = |values: &[f64]| Placement::cpu().tensor(values, [values.len()]);
        ByName::from([("a".to_string(), tensor(a)), ("b".to_string(), tensor(b))])
    }

    #[test]
    fn the_norm_is_over_all_parameters_and_clipping_meets_the_limit() {
        let long = gradients(&[3.0, 0.0], &[4.0]);
        assert_eq!(norm(&long), 5.0);
        assert_eq!(norm(&ByName::new()), 0.0);
        let clipped = clip(long.clone(), 5.0, 1.0);
        assert!((norm(&clipped) - 1.0).abs() < 1e-6);
        assert_eq!(to_host(&clip(long, 5.0, 6.0)["a"]), [3.0, 0.0]);
    }

    #[test]
    fn parts_add_up_by_their_shares() {
        let mut total = ByName::new();
        accumulate(&mut total, gradients(&[1.0, 2.0], &[4.0]), 0.5);
        accumulate(&mut total, gradients(&[3.0, 2.0], &[0.0]), 0.5);
        assert_eq!((to_host(&total["a"]), to_host(&total["b"])), (vec![2.0, 2.0], vec![2.0]));
    }
}
