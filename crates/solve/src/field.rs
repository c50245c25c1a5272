//! What the method asks of a model: a velocity, and for likelihoods its forward-mode derivative.

use burn::tensor::Tensor;

/// A time-dependent vector field: all that a solver asks of a model.
///
/// Closures `|t, x| v` are fields too. A network becomes a field once its condition is fixed, so conditions never
/// thread through solvers.
pub trait VelocityField<const D: usize> {
    /// The velocity `[batch, ..]` at times `t` `[batch]` and points `x` `[batch, ..]`.
    ///
    /// Rows do not influence each other.
    fn velocity(&self, t: Tensor<1>, x: Tensor<D>) -> Tensor<D>;

    /// Whether the field may be asked for any rows of a batch: it holds nothing that belongs to a row, such as a
    /// condition. A solve with steps per sample then goes on without the samples that are done.
    fn takes_any_rows(&self) -> bool {
        false
    }
}

impl<const D: usize, F: Fn(Tensor<1>, Tensor<D>) -> Tensor<D>> VelocityField<D> for F {
    fn velocity(&self, t: Tensor<1>, x: Tensor<D>) -> Tensor<D> {
        self(t, x)
    }
}

/// A field that can be differentiated forwards: exact divergence, Lipschitz estimates, accelerations.
///
/// Implementations write the tangent layer by layer with ordinary tensor operations, so that reverse mode through it
/// gives gradients of divergences (burn itself is first order, reverse mode only).
pub trait Tangent<const D: usize>: VelocityField<D> {
    /// The velocity and its derivative along the direction `(dt, dx)`, `∂ₜv·dt + ∇v·dx`, each `[batch, ..]`.
    ///
    /// `dt` is `[batch]`, `dx` has the shape of `x`.
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<D>,
        dt: Tensor<1>,
        dx: Tensor<D>,
    ) -> (Tensor<D>, Tensor<D>);

    /// The velocity and its exact divergence `[batch]` over all coordinates of a point.
    ///
    /// The default makes one tangent pass for each coordinate; networks with something better replace it.
    fn velocity_and_divergence(&self, t: Tensor<1>, x: Tensor<D>) -> (Tensor<D>, Tensor<1>) {
        divergence_by_tangents(self, t, x)
    }
}

/// The velocity and its exact divergence `[batch]`, by one tangent pass for each coordinate of a point.
pub fn divergence_by_tangents<const D: usize>(
    field: &(impl Tangent<D> + ?Sized),
    t: Tensor<1>,
    x: Tensor<D>,
) -> (Tensor<D>, Tensor<1>) {
    let shape = x.dims();
    let batch = shape[0];
    let coordinates: usize = shape[1..].iter().product();
    let still = t.zeros_like();
    let mut velocity = None;
    let mut divergence = x.clone().reshape([batch, coordinates]).narrow(1, 0, 1).zeros_like();
    for i in 0..coordinates {
        let flat = x.zeros_like().reshape([batch, coordinates]);
        let unit = flat.slice_fill([0..batch, i..i + 1], 1.0).reshape(shape);
        let (v, dv) = field.velocity_and_tangent(t.clone(), x.clone(), still.clone(), unit);
        divergence = divergence + dv.reshape([batch, coordinates]).narrow(1, i, 1);
        velocity = Some(v);
    }
    let velocity = velocity.unwrap_or_else(|| field.velocity(t, x));
    (velocity, divergence.reshape([batch]))
}
