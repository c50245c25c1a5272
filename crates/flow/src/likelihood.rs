//! Log-likelihood of a flow, and sampling with log-density (FORMULAS §3).
//!
//! Along a flow `d/dt log p(x) = -∇·v`. To score data, the point and `ℓ` with `ℓ̇ = ∇·v` are solved together from the
//! data back to the source, and `log p(x1) = log p0(x0) + ℓ`. It is one solve of an augmented state by the same
//! `integrate` that draws samples.

use burn::tensor::Tensor;
use thalweg_noise::Noise;
use thalweg_solve::{
    Augmented, Save, Solution, SolveError, Solver, Span, Tangent, Times, VelocityField, integrate,
    integrate_any_rows, solve_field,
};

use crate::divergence::{coordinates, sum_over_point};
use crate::{Divergence, Interval, PathConfig, Probes};

/// Draws samples: solves from source points `x0` `[batch, ..]` to the data end of the path's `interval`.
///
/// # Errors
/// Those of the solver; the error holds the last good state.
pub fn sample<const D: usize>(
    field: &impl VelocityField<D>,
    x0: Tensor<D>,
    solver: &Solver,
    interval: Interval,
) -> Result<Solution<Tensor<D>>, SolveError<Tensor<D>>> {
    solve_field(solver, interval.span(), x0, &Save::End, field)
}

/// The log-density `[batch]` of the source `N(0, deviation² I)` at points `[batch, ..]`.
#[must_use]
pub fn gaussian_log_density<const D: usize>(x: Tensor<D>, deviation: f64) -> Tensor<1> {
    let normaliser = coordinates(&x) as f64 * (deviation.ln() + 0.5 * std::f64::consts::TAU.ln());
    sum_over_point(x.clone() * x) * (-0.5 / (deviation * deviation)) - normaliser
}

/// How to compute log-densities under a flow. Work in `f64`: the density is only as good as the solve.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLikelihood {
    /// The solver. Its tolerance holds for points and log-densities alike.
    pub solver: Solver,
    /// Exact or estimated divergence.
    pub divergence: Divergence,
    /// The times the model is defined on; nothing outside is ever evaluated.
    pub interval: Interval,
    /// Deviation of the Gaussian source.
    pub source_deviation: f64,
}

/// Points with their log-densities.
#[derive(Debug, Clone)]
pub struct Likelihood<const D: usize> {
    /// Log-density of the data `[batch]`, in nats.
    pub log_density: Tensor<1>,
    /// The points at the other end `[batch, ..]`: latents when data was scored, samples when sources were pushed.
    pub x: Tensor<D>,
    /// Standard error of `log_density` over the probes `[batch]`, when there are two or more.
    pub standard_error: Option<Tensor<1>>,
    /// Evaluations of the field per sample. One evaluation holds as many tangents as the divergence needs.
    pub evaluations: Vec<usize>,
}

impl LogLikelihood {
    /// Exact divergence, the default solver, and interval and source of `path`.
    #[must_use]
    pub fn for_path(path: &PathConfig) -> Self {
        Self {
            solver: Solver::default(),
            divergence: Divergence::default(),
            interval: path.interval(),
            source_deviation: path.source_deviation(),
        }
    }

    /// The log-density of data `x1` `[batch, ..]` under the flow of `field` from the Gaussian source.
    ///
    /// # Errors
    /// Those of the solver; the error holds the last good state.
    pub fn evaluate<const D: usize>(
        &self,
        field: &impl Tangent<D>,
        x1: Tensor<D>,
        noise: &mut Noise,
    ) -> Result<Likelihood<D>, SolveError<Augmented<D>>> {
        self.evaluate_from(field, x1, noise, |x| gaussian_log_density(x, self.source_deviation))
    }

    /// [`LogLikelihood::evaluate`] for a source of any law, given by its log-density `[batch]` at points `[batch, ..]`.
    ///
    /// # Errors
    /// Those of the solver; the error holds the last good state.
    pub fn evaluate_from<const D: usize>(
        &self,
        field: &impl Tangent<D>,
        x1: Tensor<D>,
        noise: &mut Noise,
        source_log_density: impl Fn(Tensor<D>) -> Tensor<1>,
    ) -> Result<Likelihood<D>, SolveError<Augmented<D>>> {
        let solution = self.solve(self.interval.span().reversed(), field, x1, noise)?;
        let source = source_log_density(solution.state.x.clone());
        Ok(likelihood(solution, source, 1.0))
    }

    /// Pushes Gaussian source points `x0` `[batch, ..]` to the data end; the samples come with their log-densities.
    ///
    /// # Errors
    /// Those of the solver; the error holds the last good state.
    pub fn sample<const D: usize>(
        &self,
        field: &impl Tangent<D>,
        x0: Tensor<D>,
        noise: &mut Noise,
    ) -> Result<Likelihood<D>, SolveError<Augmented<D>>> {
        let source = gaussian_log_density(x0.clone(), self.source_deviation);
        let solution = self.solve(self.interval.span(), field, x0, noise)?;
        Ok(likelihood(solution, source, -1.0))
    }

    /// Points and one integral of the divergence for each probe.
    fn solve<const D: usize>(
        &self,
        span: Span,
        field: &impl Tangent<D>,
        x: Tensor<D>,
        noise: &mut Noise,
    ) -> Result<Solution<Augmented<D>>, SolveError<Augmented<D>>> {
        let probes: Probes<D> = self.divergence.draw(&x, noise);
        let initial = Augmented::zeroed(x, probes.estimates());
        let rate = |times: &Times, state: &Augmented<D>| {
            if !state.integrands_count {
                let velocity = field.velocity(times.tensor(state), state.x.clone());
                return Augmented::new(velocity, state.accumulated.zeros_like());
            }
            let (velocity, divergences) =
                probes.velocity_and_divergences(field, times.tensor(state), state.x.clone());
            Augmented::new(velocity, columns(divergences))
        };
        // A probe belongs to its row.
        if field.takes_any_rows() && probes.is_exact() {
            integrate_any_rows(&self.solver, span, initial, &Save::End, rate)
        } else {
            integrate(&self.solver, span, initial, &Save::End, rate)
        }
    }
}

/// `[batch]` tensors side by side as `[batch, k]`.
pub(crate) fn columns(tensors: Vec<Tensor<1>>) -> Tensor<2> {
    Tensor::stack(tensors, 1)
}

/// The log-density from that at the source and the integrals of the divergence, taken with `sign`.
fn likelihood<const D: usize>(
    solution: Solution<Augmented<D>>,
    source: Tensor<1>,
    sign: f64,
) -> Likelihood<D> {
    let Augmented { x, accumulated, .. } = solution.state;
    let [batch, k] = accumulated.dims();
    let mean = accumulated.clone().mean_dim(1);
    let standard_error = (k > 1).then(|| {
        let deviations = accumulated - mean.clone();
        let variance = (deviations.clone() * deviations).sum_dim(1) / (k * (k - 1)) as f64;
        variance.sqrt().reshape([batch])
    });
    let log_density = source + mean.reshape([batch]) * sign;
    Likelihood { log_density, x, standard_error, evaluations: solution.evaluations }
}
