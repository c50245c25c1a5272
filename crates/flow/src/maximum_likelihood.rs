//! Training by maximum likelihood, with the regularisers of Finlay et al. (FORMULAS §3.2, §3.3).
//!
//! The loss is `-mean log p + λ_K mean R_K + λ_J mean R_J` with `R_K = ∫‖v‖² dt` and `R_J = ∫‖∇v‖² dt`, all three from
//! one solve of an augmented state from the data to the source. Its gradient is that of the discrete solve, either on
//! one tape or segment by segment from checkpoints.

use burn::tensor::{Gradients, Tensor};
use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;
use thalweg_solve::{
    Augmented, Checkpoints, Differentiable, Save, SolveError, Solver, Tangent, Times, integrate, record,
};

use crate::divergence::{Probed, coordinates, sum_over_point};
use crate::error::require;
use crate::likelihood::columns;
use crate::{Divergence, FlowError, Interval, ProbeLaw, Probes, gaussian_log_density};

/// The weights of the penalties on the flow, zero to leave one out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Regularisation {
    /// `λ_K`, on the kinetic energy; default 0.01.
    pub kinetic: f64,
    /// `λ_J`, on the Jacobian norm; default 0.01.
    pub jacobian: f64,
    /// What exactly they multiply; default `sum`, the paper's.
    pub scale: PenaltyScale,
}

impl Default for Regularisation {
    fn default() -> Self {
        Self { kinetic: 0.01, jacobian: 0.01, scale: PenaltyScale::Sum }
    }
}

/// The two conventions for the penalties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PenaltyScale {
    /// As in the paper: `‖v‖²` and `‖∇v‖²`, sums over dimensions.
    #[default]
    Sum,
    /// As in the authors' code: half the mean of `v²` over dimensions, and the mean of `(∇v z)²`. Weights tuned there
    /// carry over.
    Mean,
}

/// A continuous normalising flow's loss.
#[derive(Debug, Clone, PartialEq)]
pub struct MaximumLikelihood {
    /// The solver; fixed steps keep the cost of a training step constant.
    pub solver: Solver,
    /// How divergences are computed. One Rademacher probe is usual for training.
    pub divergence: Divergence,
    /// The times of the flow.
    pub interval: Interval,
    /// Deviation of the Gaussian source.
    pub source_deviation: f64,
    /// The penalties.
    pub regularisation: Regularisation,
}

/// The loss of a batch and its parts, each `[1]` and a mean over the batch.
#[derive(Debug, Clone)]
pub struct LikelihoodLoss {
    /// The whole loss.
    pub loss: Tensor<1>,
    /// `-mean log p`, in nats.
    pub negative_log_likelihood: Tensor<1>,
    /// Mean kinetic energy `R_K`, without its weight.
    pub kinetic: Tensor<1>,
    /// Mean Jacobian norm `R_J`, without its weight; zero when it has none, for then it is not computed.
    pub jacobian: Tensor<1>,
    /// Mean evaluations of the field per sample in the forward solve.
    pub evaluations: f64,
}

impl Regularisation {
    /// No penalties.
    pub const NONE: Self = Self { kinetic: 0.0, jacobian: 0.0, scale: PenaltyScale::Sum };

    /// Checks that no weight is negative.
    pub fn validate(&self) -> Result<(), FlowError> {
        let accepted = |x: f64| x >= 0.0 && x.is_finite();
        require(accepted(self.kinetic), "the kinetic penalty", self.kinetic, "finite and not negative")?;
        require(accepted(self.jacobian), "the Jacobian penalty", self.jacobian, "finite and not negative")
    }

    /// The integrands of both penalties `[batch]` from a velocity and `∇v z` for some probes.
    pub(crate) fn penalties<const D: usize>(
        &self,
        velocity: &Tensor<D>,
        images: &[Tensor<D>],
    ) -> (Tensor<1>, Tensor<1>) {
        let dimensions = coordinates(velocity) as f64;
        let (kinetic_scale, jacobian_scale) = match self.scale {
            PenaltyScale::Sum => (1.0, 1.0),
            PenaltyScale::Mean => (0.5 / dimensions, 1.0 / dimensions),
        };
        let square = |x: &Tensor<D>| sum_over_point(x.clone() * x.clone());
        let kinetic = square(velocity) * kinetic_scale;
        let scale = jacobian_scale / images.len().max(1) as f64;
        let jacobian = images.iter().map(square).reduce(|sum, term| sum + term);
        let jacobian = jacobian.map_or_else(|| kinetic.zeros_like(), |sum| sum * scale);
        (kinetic, jacobian)
    }
}

/// What stays fixed during one solve: the probes of divergence and Jacobian norm.
#[derive(Debug, Clone)]
pub struct LikelihoodProbes<const D: usize> {
    divergence: Probes<D>,
    /// For the Jacobian norm beside an exact divergence; a stochastic one shares its own probes.
    jacobian: Option<Probes<D>>,
}

impl MaximumLikelihood {
    /// Checks the parts that a recipe sets.
    pub fn validate(&self) -> Result<(), FlowError> {
        self.divergence.validate()?;
        self.regularisation.validate()
    }

    /// The probes for a solve from data `x1` `[batch, ..]`.
    #[must_use]
    pub fn draw<const D: usize>(&self, x1: &Tensor<D>, noise: &mut Noise) -> LikelihoodProbes<D> {
        let divergence = self.divergence.draw(x1, noise);
        let apart = self.divergence == Divergence::Exact {} && self.regularisation.jacobian > 0.0;
        let jacobian =
            apart.then(|| Divergence::Hutchinson { probes: 1, law: ProbeLaw::Rademacher }.draw(x1, noise));
        LikelihoodProbes { divergence, jacobian }
    }

    /// The rate of the augmented state at `times`: the velocity, and for three accumulators `∇·v` and, since the solve
    /// runs from data to source, *minus* the integrands of `R_K` and `R_J`, so that all of them come out positive.
    ///
    /// The Jacobian norm is `E‖∇v z‖²`, by the forward tangent that the divergence needs anyway; it has the mean of
    /// `E‖zᵀ∇v‖²`.
    #[must_use]
    pub fn rate<const D: usize>(
        &self,
        field: &impl Tangent<D>,
        probes: &LikelihoodProbes<D>,
        times: &Times,
        state: &Augmented<D>,
    ) -> Augmented<D> {
        let t = times.tensor(state);
        if !state.integrands_count {
            return Augmented::new(field.velocity(t, state.x.clone()), state.accumulated.zeros_like());
        }
        let Probed { velocity, divergences, mut images } =
            probes.divergence.probe(field, t.clone(), state.x.clone());
        if self.regularisation.jacobian == 0.0 {
            images.clear();
        } else if let Some(apart) = &probes.jacobian {
            images = apart.probe(field, t, state.x.clone()).images;
        }
        let (kinetic, jacobian) = self.regularisation.penalties(&velocity, &images);
        let divergence = columns(divergences).mean_dim(1).reshape([velocity.dims()[0]]);
        Augmented::new(velocity, columns(vec![divergence, -kinetic, -jacobian]))
    }

    /// The loss of data `x1` `[batch, ..]`, with everything on one tape: call `backward` on `loss`.
    ///
    /// The tape holds every evaluation of the field, so memory grows with the number of steps.
    ///
    /// # Errors
    /// Those of the solver; the error holds the last good state.
    pub fn loss<const D: usize>(
        &self,
        field: &impl Tangent<D>,
        x1: Tensor<D>,
        noise: &mut Noise,
    ) -> Result<LikelihoodLoss, SolveError<Augmented<D>>> {
        let probes = self.draw(&x1, noise);
        let span = self.interval.span().reversed();
        let rate = |times: &Times, state: &Augmented<D>| self.rate(field, &probes, times, state);
        let solution = integrate(&self.solver, span, initial(x1), &Save::End, rate)?;
        let evaluations = solution.mean_evaluations();
        Ok(self.loss_at(&solution.state, evaluations))
    }

    /// The loss of data `x1` `[batch, ..]` and its gradients from checkpoints.
    ///
    /// With [`Checkpoints::SquareRoot`] memory grows with the root of the number of steps, for one more evaluation of
    /// the field per stage. `collect` is called with the gradients of each segment, last one first, and adds them up;
    /// the tensors of the result are not tracked.
    ///
    /// # Errors
    /// Those of the solver; the error holds the last good state.
    pub fn loss_and_gradients<const D: usize>(
        &self,
        field: &impl Tangent<D>,
        x1: Tensor<D>,
        noise: &mut Noise,
        checkpoints: Checkpoints,
        collect: impl FnMut(&mut Gradients),
    ) -> Result<LikelihoodLoss, SolveError<Augmented<D>>> {
        let x1 = x1.inner();
        let probes = self.draw(&x1, noise);
        let span = self.interval.span().reversed();
        let rate = |times: &Times, state: &Augmented<D>| self.rate(field, &probes, times, state);
        let recorded = record(&self.solver, span, initial(x1), checkpoints, rate)?;
        let evaluations = recorded.solution.mean_evaluations();

        let end = recorded.solution.state.clone().leaf();
        let mut gradients = self.loss_at(&end, evaluations).loss.backward();
        let cotangent = end.take_gradient(&mut gradients);
        recorded.backward(cotangent, rate, collect)?;
        Ok(self.loss_at(&recorded.solution.state, evaluations))
    }

    fn loss_at<const D: usize>(&self, end: &Augmented<D>, evaluations: f64) -> LikelihoodLoss {
        let log_density = gaussian_log_density(end.x.clone(), self.source_deviation) + end.column(0);
        let negative_log_likelihood = -log_density.mean();
        let (kinetic, jacobian) = (end.column(1).mean(), end.column(2).mean());
        let loss = negative_log_likelihood.clone()
            + kinetic.clone() * self.regularisation.kinetic
            + jacobian.clone() * self.regularisation.jacobian;
        LikelihoodLoss { loss, negative_log_likelihood, kinetic, jacobian, evaluations }
    }
}

/// Data with the three integrals at zero; only the log-density takes part in error control.
fn initial<const D: usize>(x1: Tensor<D>) -> Augmented<D> {
    Augmented::zeroed(x1, 3).controlling(1)
}
