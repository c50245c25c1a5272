//! Where a field comes to rest: the centres of its regions.

use faer::Mat;
use faer::linalg::solvers::Solve;

use crate::Field;

/// Newton steps from one start, and the shortest share of one that is tried.
const STEPS: usize = 200;
const SHORTEST: f64 = 1e-6;

/// The stable equilibria that Newton's method reaches from some points with a constant `input`, in the order they are
/// found and each once. That none is found from these points does not mean that there is none.
///
/// # Panics
/// When [`Field::check`] finds something, or lengths differ.
#[must_use]
pub fn equilibria(field: &Field, input: &[f64], starts: &[Vec<f64>]) -> Vec<Vec<f64>> {
    field.assert_sound();
    let mut found: Vec<Vec<f64>> = Vec::new();
    for start in starts {
        let Some(x) = root(field, input, start.clone()) else { continue };
        let apart = |y: &Vec<f64>| length(x.iter().zip(y).map(|(a, b)| a - b));
        let known = found.iter().any(|y| apart(y) < 1e-6 * (1.0 + length(y.iter().copied())));
        if !known && is_stable(&field.jacobian(&x)) {
            found.push(x);
        }
    }
    found
}

/// Steps are shortened until they make the field smaller.
fn root(field: &Field, input: &[f64], mut x: Vec<f64>) -> Option<Vec<f64>> {
    let n = field.dim();
    let mut value = field.value(&x, input);
    for _ in 0..STEPS {
        let size = length(value.iter().copied());
        let jacobian = field.jacobian(&x);
        let right = Mat::from_fn(n, 1, |i, _| -value[i]);
        let step = jacobian.partial_piv_lu().solve(&right);
        let mut share = 1.0;
        loop {
            let next: Vec<f64> = (0..n).map(|i| x[i] + share * step[(i, 0)]).collect();
            let there = field.value(&next, input);
            let found = length(there.iter().copied());
            if found < (1.0 - 0.1 * share) * size {
                (x, value) = (next, there);
                break;
            }
            share *= 0.5;
            // At the root, but for rounding, no step is of use; elsewhere the method is stuck.
            if share < SHORTEST || !found.is_finite() {
                let scale = 1.0 + length(x.iter().copied()) * jacobian.norm_l2();
                return (size < 1e-10 * scale).then_some(x);
            }
        }
    }
    None
}

fn is_stable(jacobian: &Mat<f64>) -> bool {
    jacobian
        .eigenvalues()
        .is_ok_and(|values| values.into_iter().all(|value| value.re < -1e-9 * jacobian.norm_l2()))
}

fn length(x: impl Iterator<Item = f64>) -> f64 {
    x.map(|x| x * x).sum::<f64>().sqrt()
}
