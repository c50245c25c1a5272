//! Fine-tuning by maximum likelihood of reconstructions: what a solver makes of noise, against the data it should be
//! (FORMULAS §5).
//!
//! Given its noise, a data point is taken to be normal around its *reconstruction*, the end of the solve that inference
//! uses, so the likelihood is a squared error in units of a covariance. It is not the likelihood of the flow as a density
//! ([`MaximumLikelihood`](crate::MaximumLikelihood)). Its gradient goes through the steps of the solve, so that a network
//! learns to make up for what few steps get wrong.

use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;
use thalweg_ot::{Cost, Points, assign};
use thalweg_solve::{
    Augmented, Placement, Save, SolveError, Solver, Tangent, Times, integrate, solve_field, to_host,
};

use crate::error::require;
use crate::likelihood::columns;
use crate::{Divergence, FlowError, Interval, ProbeLaw, Regularisation};

/// The spread of data around their reconstructions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Covariance {
    /// The same variance in every direction, which then does not matter: the mean squared error.
    Scalar {},
    /// A given variance for each coordinate.
    Diagonal {
        /// The variances, in model units.
        variances: Vec<f64>,
    },
    /// The variance of each coordinate is the one that makes the batch likeliest, so coordinates of any scale count alike.
    Learned {},
}

impl Default for Covariance {
    /// Scalar.
    fn default() -> Self {
        Self::Scalar {}
    }
}

/// Variances that are learned are not taken to be smaller, or the best-known coordinate would count for everything.
const LEAST_VARIANCE: f64 = 1e-8;

impl Covariance {
    /// Checks that variances are positive and, where the number of coordinates is known, one for each.
    pub fn validate(&self, dim: Option<usize>) -> Result<(), FlowError> {
        let Self::Diagonal { variances } = self else { return Ok(()) };
        if let Some(&bad) = variances.iter().find(|variance| !(**variance > 0.0 && variance.is_finite())) {
            require(false, "variance of the covariance", bad, "positive and finite")?;
        }
        let count = variances.len() as f64;
        require(!variances.is_empty(), "number of variances of the covariance", count, "at least one")?;
        let fits = dim.is_none_or(|dim| dim == variances.len());
        require(fits, "number of variances of the covariance", count, "one for each coordinate")
    }

    /// Twice minus the log-likelihood of residuals `[batch, dim]`, per coordinate and without what does not depend on them.
    ///
    /// # Panics
    /// When there is not one variance for each coordinate.
    #[must_use]
    pub fn loss(&self, residual: Tensor<2>) -> Tensor<1> {
        let squares = residual.square();
        match self {
            Self::Scalar {} => squares.mean(),
            Self::Diagonal { variances } => {
                assert_eq!(squares.dims()[1], variances.len(), "one variance for each coordinate");
                let inverse: Vec<f64> = variances.iter().map(|variance| 1.0 / variance).collect();
                let inverse = Placement::of(&squares).tensor(&inverse, [1, variances.len()]);
                (squares * inverse).mean()
            }
            Self::Learned {} => squares.mean_dim(0).clamp_min(LEAST_VARIANCE).log().mean(),
        }
    }
}

/// How noise becomes data at inference, with penalties on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconstruction {
    /// The solver of inference. Steps that adapt are differentiated as they were taken.
    pub solver: Solver,
    /// The times of the flow.
    pub interval: Interval,
    /// The penalties on long and crooked paths.
    pub regularisation: Regularisation,
}

/// The end of a solve from noise.
#[derive(Debug, Clone)]
pub struct Reconstructed<const D: usize> {
    /// What the noise has become.
    pub x: Tensor<D>,
    /// The weighted penalties `[1]`; none where none has a weight.
    pub penalty: Option<Tensor<1>>,
}

impl Reconstruction {
    /// Solves from source points `[batch, ..]` to data, on the tape of the field's parameters where they have one.
    ///
    /// # Errors
    /// Those of the solver.
    pub fn solve<const D: usize>(
        &self,
        field: &impl Tangent<D>,
        x0: Tensor<D>,
        noise: &mut Noise,
    ) -> Result<Reconstructed<D>, SolveError<()>> {
        let span = self.interval.span();
        let Regularisation { kinetic, jacobian, .. } = self.regularisation;
        if kinetic == 0.0 && jacobian == 0.0 {
            let solution = solve_field(&self.solver, span, x0, &Save::End, field);
            let x = solution.map_err(SolveError::without_state)?.state;
            return Ok(Reconstructed { x, penalty: None });
        }
        let probes = Divergence::Hutchinson { probes: 1, law: ProbeLaw::Rademacher }.draw(&x0, noise);
        let rate = |times: &Times, state: &Augmented<D>| {
            let (t, x) = (times.tensor(state), state.x.clone());
            let (velocity, images) = if jacobian > 0.0 {
                let probed = probes.probe(field, t, x);
                (probed.velocity, probed.images)
            } else {
                (field.velocity(t, x), Vec::new())
            };
            let (kinetic, jacobian) = self.regularisation.penalties(&velocity, &images);
            Augmented::new(velocity, columns(vec![kinetic, jacobian]))
        };
        let initial = Augmented::zeroed(x0, 2).controlling(0);
        let end = integrate(&self.solver, span, initial, &Save::End, rate);
        let end = end.map_err(SolveError::without_state)?.state;
        let penalty = end.column(0).mean() * kinetic + end.column(1).mean() * jacobian;
        Ok(Reconstructed { x: end.x, penalty: Some(penalty) })
    }
}

/// The squared Wasserstein distance of two batches `[n, dim]` of equal size, per coordinate: the mean squared error
/// between pairs of the cheapest assignment, through which gradients flow as if it were fixed.
///
/// # Errors
/// When a distance is not finite.
pub fn assignment_distance(x: &Tensor<2>, y: &Tensor<2>) -> Result<Tensor<1>, FlowError> {
    let target_of = cheapest(x, y)?;
    Ok((x.clone() - rows(y, &target_of)).square().mean())
}

/// The distance of reconstructions from data without the bias of small batches (FORMULAS §5.2):
/// `W(X, Y) - ½ W(X, X') - ½ W(Y, Y')` between the halves of two batches `[n, dim]` of even size, per coordinate.
///
/// # Errors
/// When a distance is not finite.
///
/// # Panics
/// When the batches are not of one even size.
pub fn debiased_distance(x: &Tensor<2>, y: &Tensor<2>) -> Result<Tensor<1>, FlowError> {
    let [n, _] = x.dims();
    assert!(
        n == y.dims()[0] && n.is_multiple_of(2),
        "two batches of one even size, not {n} and {:?}",
        y.dims()
    );
    let halves = |tensor: &Tensor<2>| [0, n / 2].map(|start| tensor.clone().narrow(0, start, n / 2));
    let ([xa, xb], [ya, yb]) = (halves(x), halves(y));
    // All four pairs of halves, for a mean that varies less.
    let across = assignment_distance(&xa, &ya)?
        + assignment_distance(&xb, &yb)?
        + assignment_distance(&xa, &yb)?
        + assignment_distance(&xb, &ya)?;
    let within = assignment_distance(&xa, &xb)? + assignment_distance(&ya, &yb)?;
    Ok(across * 0.25 - within * 0.5)
}

fn cheapest(x: &Tensor<2>, y: &Tensor<2>) -> Result<Vec<usize>, FlowError> {
    let dim = x.dims()[1];
    let [x, y] = [x, y].map(to_host);
    let cost = Cost::squared_euclidean(Points::new(&x, dim), Points::new(&y, dim));
    Ok(assign(&cost)?.target_of)
}

/// The rows of a matrix in another order.
fn rows(tensor: &Tensor<2>, order: &[usize]) -> Tensor<2> {
    let indices: Vec<i64> = order.iter().map(|&index| index as i64).collect();
    let indices = TensorData::new(indices, [order.len()]);
    tensor.clone().select(0, Tensor::<1, Int>::from_data(indices, &tensor.device()))
}
