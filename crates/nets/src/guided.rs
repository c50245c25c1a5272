//! Classifier-free guidance (Ho and Salimans, 2022): a mixture of a conditional and an unconditional field.

use burn::tensor::Tensor;
use thalweg_solve::{Tangent, VelocityField};

/// The field `v = v_u + w·(v_c - v_u)`.
///
/// `scale = 1` is the conditional field, 0 the unconditional one, and more than 1 exaggerates the condition. Papers
/// and programs count the scale in two ways: CleanDiffuser's `w·v_c + (1 - w)·v_u` is ours, while the
/// `(1 + w')·v_c - w'·v_u` of the original paper and of Meta's flow_matching is ours with `w = 1 + w'`.
///
/// Each evaluation evaluates both fields, so a solver's count of evaluations is half the number of network passes.
/// A guided field is in general not the velocity of any flow between the two times with the conditional law at its
/// end, so likelihoods along it are those of the guided map and not of the data.
#[derive(Debug, Clone)]
pub struct Guided<C, U> {
    /// The field that is told the condition, `v_c`.
    pub conditional: C,
    /// The field that is not told it, `v_u`.
    pub unconditional: U,
    /// The weight `w`.
    pub scale: f64,
}

impl<C, U> Guided<C, U> {
    fn mix<const D: usize>(&self, conditional: Tensor<D>, unconditional: Tensor<D>) -> Tensor<D> {
        (conditional - unconditional.clone()) * self.scale + unconditional
    }
}

impl<const D: usize, C: VelocityField<D>, U: VelocityField<D>> VelocityField<D> for Guided<C, U> {
    fn velocity(&self, t: Tensor<1>, x: Tensor<D>) -> Tensor<D> {
        let conditional = self.conditional.velocity(t.clone(), x.clone());
        self.mix(conditional, self.unconditional.velocity(t, x))
    }

    fn takes_any_rows(&self) -> bool {
        self.conditional.takes_any_rows() && self.unconditional.takes_any_rows()
    }
}

impl<const D: usize, C: Tangent<D>, U: Tangent<D>> Tangent<D> for Guided<C, U> {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<D>,
        dt: Tensor<1>,
        dx: Tensor<D>,
    ) -> (Tensor<D>, Tensor<D>) {
        let (vc, dvc) = self.conditional.velocity_and_tangent(t.clone(), x.clone(), dt.clone(), dx.clone());
        let (vu, dvu) = self.unconditional.velocity_and_tangent(t, x, dt, dx);
        (self.mix(vc, vu), self.mix(dvc, dvu))
    }

    fn velocity_and_divergence(&self, t: Tensor<1>, x: Tensor<D>) -> (Tensor<D>, Tensor<1>) {
        let (vc, divergence_c) = self.conditional.velocity_and_divergence(t.clone(), x.clone());
        let (vu, divergence_u) = self.unconditional.velocity_and_divergence(t, x);
        (self.mix(vc, vu), self.mix(divergence_c, divergence_u))
    }
}
