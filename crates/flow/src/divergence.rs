//! The divergence of a field, exactly or by Hutchinson's estimate (FORMULAS §3.1).
//!
//! `E zᵀJz = tr J` for random `z` with unit covariance. One `z` per sample serves a whole solve: the equation stays
//! deterministic, and the integral of the estimate has the mean of the integral.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;
use thalweg_solve::{Placement, Tangent};

use crate::FlowError;
use crate::error::require;

/// How divergences are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Divergence {
    /// The trace itself: one tangent for each coordinate, unless the field knows better.
    Exact {},
    /// The mean of `zᵀJz` over random probes: one tangent for each probe.
    Hutchinson {
        /// Probes per sample, at least 1; default 1.
        #[serde(default = "default_probes")]
        probes: usize,
        /// Their law; default Rademacher.
        #[serde(default)]
        law: ProbeLaw,
    },
}

fn default_probes() -> usize {
    1
}

impl Default for Divergence {
    /// Exact.
    fn default() -> Self {
        Divergence::Exact {}
    }
}

/// The law of the coordinates of a probe. With `S = (J + Jᵀ)/2` the estimate has variance `2(‖S‖² - Σ S_ii²)` for
/// signs and `2‖S‖²` for normals, so signs are never worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeLaw {
    /// Signs, +1 or -1 with equal chance.
    #[default]
    Rademacher,
    /// Standard normals; for comparisons.
    Gaussian,
}

impl Divergence {
    /// Checks that there is a probe.
    pub fn validate(&self) -> Result<(), FlowError> {
        match *self {
            Divergence::Exact {} => Ok(()),
            Divergence::Hutchinson { probes, .. } => {
                require(probes > 0, "the number of Hutchinson probes", probes as f64, "at least 1")
            }
        }
    }

    /// Draws what a solve from `x` `[batch, ..]` needs; the exact divergence needs nothing.
    #[must_use]
    pub fn draw<const D: usize>(&self, x: &Tensor<D>, noise: &mut Noise) -> Probes<D> {
        match *self {
            Divergence::Exact {} => Probes { directions: Vec::new() },
            Divergence::Hutchinson { probes, law } => {
                Probes { directions: (0..probes).map(|_| law.draw(x, noise)).collect() }
            }
        }
    }
}

impl ProbeLaw {
    /// One probe in the shape of `x`.
    pub(crate) fn draw<const D: usize>(self, x: &Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        let shape = x.dims();
        let placement = Placement::of(x);
        match self {
            ProbeLaw::Rademacher => {
                let signs: Vec<f64> = (0..shape.iter().product()).map(|_| noise.sign()).collect();
                placement.tensor(&signs, shape)
            }
            ProbeLaw::Gaussian => placement.normal(noise, shape),
        }
    }
}

/// The probes of one solve, or the exact divergence.
#[derive(Debug, Clone)]
pub struct Probes<const D: usize> {
    /// Directions `[batch, ..]`; none for the exact divergence.
    directions: Vec<Tensor<D>>,
}

/// A velocity and what probing says about its Jacobian.
pub(crate) struct Probed<const D: usize> {
    pub(crate) velocity: Tensor<D>,
    /// One estimate of the divergence for each probe, `[batch]`; the exact one alone if there are no probes.
    pub(crate) divergences: Vec<Tensor<1>>,
    /// `Jz` for each probe.
    pub(crate) images: Vec<Tensor<D>>,
}

impl<const D: usize> Probes<D> {
    pub(crate) fn is_exact(&self) -> bool {
        self.directions.is_empty()
    }

    /// Independent estimates of the divergence: the number of probes, or 1 if it is exact.
    #[must_use]
    pub fn estimates(&self) -> usize {
        self.directions.len().max(1)
    }

    /// The velocity `[batch, ..]` and each estimate of its divergence `[batch]`.
    #[must_use]
    pub fn velocity_and_divergences(
        &self,
        field: &impl Tangent<D>,
        t: Tensor<1>,
        x: Tensor<D>,
    ) -> (Tensor<D>, Vec<Tensor<1>>) {
        let Probed { velocity, divergences, .. } = self.probe(field, t, x);
        (velocity, divergences)
    }

    pub(crate) fn probe(&self, field: &impl Tangent<D>, t: Tensor<1>, x: Tensor<D>) -> Probed<D> {
        let mut directions = self.directions.iter();
        let Some(first) = directions.next() else {
            let (velocity, divergence) = field.velocity_and_divergence(t, x);
            return Probed { velocity, divergences: vec![divergence], images: Vec::new() };
        };
        let still = t.zeros_like();
        let along = |z: &Tensor<D>| {
            let (velocity, image) =
                field.velocity_and_tangent(t.clone(), x.clone(), still.clone(), z.clone());
            (velocity, sum_over_point(z.clone() * image.clone()), image)
        };
        let (velocity, divergence, image) = along(first);
        let (mut divergences, mut images) = (vec![divergence], vec![image]);
        for z in directions {
            let (_, divergence, image) = along(z);
            divergences.push(divergence);
            images.push(image);
        }
        Probed { velocity, divergences, images }
    }
}

/// The sum `[batch]` over all coordinates of each point `[batch, ..]`.
pub(crate) fn sum_over_point<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let shape = x.dims();
    x.reshape([shape[0], shape[1..].iter().product()]).sum_dim(1).reshape([shape[0]])
}

/// The number of coordinates of a point `[batch, ..]`.
pub(crate) fn coordinates<const D: usize>(x: &Tensor<D>) -> usize {
    x.dims()[1..].iter().product()
}
