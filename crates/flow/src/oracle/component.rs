//! One Gaussian `N(m, S)` under a one-sided path, in the axes of its covariance, where everything is elementwise.

use burn::tensor::Tensor;
use faer::{Mat, Side};
use thalweg_solve::{Placement, per_sample};

use crate::{Coefficients, FlowError, Schedule};

/// The data law `N(m, S)` as tensors, with `S = Q diag(λ) Qᵀ`.
#[derive(Debug, Clone)]
pub(super) struct Component {
    /// `[1, dim]`.
    mean: Tensor<2>,
    /// `Q`, `[dim, dim]`, one axis per column.
    axes: Tensor<2>,
    /// `λ`, `[1, dim]`.
    variances: Tensor<2>,
}

/// What a component knows of a batch of points at given times; rows are samples, columns are axes.
pub(super) struct View<'a> {
    component: &'a Component,
    c: Coefficients<Tensor<2>>,
    /// `Qᵀ(x - αm)`.
    centred: Tensor<2>,
    /// `α²λ + σ²`.
    variance: Tensor<2>,
    /// Half the time derivative of `variance`, `αα̇λ + σσ̇`.
    half_growth: Tensor<2>,
}

impl Component {
    pub(super) fn new(
        what: &str,
        mean: &[f64],
        covariance: &[f64],
        placement: &Placement,
    ) -> Result<Self, FlowError> {
        let dim = mean.len();
        let unusable = |reason: String| FlowError::Covariance { what: what.to_owned(), reason };
        if covariance.len() != dim * dim {
            return Err(unusable(format!(
                "{} entries for a mean of dimension {dim}; give {dim} × {dim}",
                covariance.len()
            )));
        }
        if !mean.iter().chain(covariance).all(|x| x.is_finite()) {
            return Err(unusable("the mean or the covariance holds a number that is not finite".to_owned()));
        }
        let largest = covariance.iter().fold(0.0_f64, |a, x| a.max(x.abs()));
        let asymmetry = (0..dim * dim).map(|k| (covariance[k] - covariance[k % dim * dim + k / dim]).abs());
        if asymmetry.fold(0.0, f64::max) > 1e-10 * largest {
            return Err(unusable("it is not symmetric".to_owned()));
        }
        let matrix = Mat::from_fn(dim, dim, |i, j| covariance[i * dim + j]);
        let eigen = matrix
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_| unusable("its eigenvalues could not be computed".to_owned()))?;
        let variances: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
        if let Some(negative) = variances.iter().find(|v| **v < -1e-10 * largest) {
            return Err(unusable(format!("it has the negative eigenvalue {negative}")));
        }
        let variances: Vec<f64> = variances.into_iter().map(|v| v.max(0.0)).collect();
        let axes: Vec<f64> = (0..dim * dim).map(|k| eigen.U()[(k / dim, k % dim)]).collect();
        Ok(Self {
            mean: placement.tensor(mean, [1, dim]),
            axes: placement.tensor(&axes, [dim, dim]),
            variances: placement.tensor(&variances, [1, dim]),
        })
    }

    pub(super) fn dim(&self) -> usize {
        self.mean.dims()[1]
    }

    /// The component seen from points `x` `[batch, dim]` at times with coefficients `c`.
    pub(super) fn view(&self, c: &Coefficients<Tensor<1>>, x: Tensor<2>) -> View<'_> {
        let c = Coefficients {
            alpha: per_sample(c.alpha.clone()),
            sigma: per_sample(c.sigma.clone()),
            alpha_dot: per_sample(c.alpha_dot.clone()),
            sigma_dot: per_sample(c.sigma_dot.clone()),
        };
        let centred = (x - c.alpha.clone() * self.mean.clone()).matmul(self.axes.clone());
        let quadratic =
            |a: Tensor<2>, b: Tensor<2>, s: Tensor<2>, r: Tensor<2>| a * b * self.variances.clone() + s * r;
        let variance = quadratic(c.alpha.clone(), c.alpha.clone(), c.sigma.clone(), c.sigma.clone());
        let half_growth =
            quadratic(c.alpha.clone(), c.alpha_dot.clone(), c.sigma.clone(), c.sigma_dot.clone());
        View { component: self, c, centred, variance, half_growth }
    }
}

impl View<'_> {
    /// `α̇m + C Σ⁻¹ (x - αm)`, `[batch, dim]`.
    pub(super) fn velocity(&self) -> Tensor<2> {
        let turned = self.back(self.stretch() * self.centred.clone());
        self.c.alpha_dot.clone() * self.component.mean.clone() + turned
    }

    /// `tr C Σ⁻¹`, `[batch, 1]`.
    pub(super) fn divergence(&self) -> Tensor<2> {
        self.stretch().sum_dim(1)
    }

    /// The gradient of the log-density at the points, `[batch, dim]`.
    pub(super) fn score(&self) -> Tensor<2> {
        -self.back(self.centred.clone() / self.variance.clone())
    }

    /// `log N(x; αm, α²S + σ²I)`, `[batch, 1]`.
    pub(super) fn log_density(&self) -> Tensor<2> {
        let square = self.centred.clone() * self.centred.clone() / self.variance.clone();
        let constant = self.component.dim() as f64 * std::f64::consts::TAU.ln();
        ((square + self.variance.clone().log()).sum_dim(1) + constant) * -0.5
    }

    /// Derivatives of velocity `[batch, dim]` and log-density `[batch, 1]` along `(dt, dx)`.
    pub(super) fn tangent(
        &self,
        (alpha_ddot, sigma_ddot): (Tensor<1>, Tensor<1>),
        dt: Tensor<1>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        let c = &self.c;
        let (alpha_ddot, sigma_ddot) = (per_sample::<2>(alpha_ddot), per_sample::<2>(sigma_ddot));
        let dt = per_sample::<2>(dt);
        let mean = self.component.mean.clone();
        let of_data = c.alpha_dot.clone() * c.alpha_dot.clone() + c.alpha.clone() * alpha_ddot.clone();
        let of_noise = c.sigma_dot.clone() * c.sigma_dot.clone() + c.sigma.clone() * sigma_ddot;
        let d_half_growth = (of_data * self.component.variances.clone() + of_noise) * dt.clone();
        let d_variance = self.half_growth.clone() * 2.0 * dt.clone();
        let d_stretch = (d_half_growth - self.stretch() * d_variance.clone()) / self.variance.clone();
        let d_centred =
            (dx - c.alpha_dot.clone() * dt.clone() * mean.clone()).matmul(self.component.axes.clone());

        let moved = self.back(d_stretch * self.centred.clone() + self.stretch() * d_centred.clone());
        let scaled = self.centred.clone() / self.variance.clone();
        let d_log = d_variance.clone() / self.variance.clone() * 0.5 + scaled.clone() * d_centred
            - scaled.clone() * scaled * d_variance * 0.5;
        (alpha_ddot * dt * mean + moved, -d_log.sum_dim(1))
    }

    /// The eigenvalues of `C Σ⁻¹`.
    fn stretch(&self) -> Tensor<2> {
        self.half_growth.clone() / self.variance.clone()
    }

    /// From the axes back to coordinates.
    fn back(&self, in_axes: Tensor<2>) -> Tensor<2> {
        in_axes.matmul(self.component.axes.clone().transpose())
    }
}

/// The coefficients and second derivatives at times `t`, as every oracle starts.
pub(super) fn motion(schedule: &Schedule, t: Tensor<1>) -> (Coefficients<Tensor<1>>, (Tensor<1>, Tensor<1>)) {
    (schedule.at_times(t.clone()), schedule.accelerations(t))
}
