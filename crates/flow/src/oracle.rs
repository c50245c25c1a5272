//! Closed-form marginal velocities of one-sided paths with independent coupling (FORMULAS §1.5).
//!
//! What a perfectly trained model would compute, for data whose law is known: oracles for tests, for the error of
//! trained models, and teaching examples. All of them have exact tangents and divergences and work in the precision of
//! the placement they are made for.

mod component;
mod finite;
mod gaussian;
mod mixture;

pub use finite::FiniteDataFlow;
pub use gaussian::GaussianFlow;
pub use mixture::{MixtureComponent, MixtureFlow};

#[cfg(test)]
pub(crate) use checks::check_tangent;

#[cfg(test)]
mod checks {
    use burn::tensor::Tensor;
    use thalweg_noise::Noise;
    use thalweg_solve::{Placement, Tangent, per_sample, to_host};

    /// Compares tangents in time and space with central differences, and the divergence with the trace of the dense
    /// Jacobian made of them.
    pub(crate) fn check_tangent(field: &impl Tangent<2>, dim: usize) {
        let placement = Placement::cpu_double();
        let mut noise = Noise::new(11);
        let batch = 4;
        let t = placement.tensor(&[0.15, 0.4, 0.6, 0.85], [batch]);
        let x: Tensor<2> = placement.normal(&mut noise, [batch, dim]);
        let close = |found: &Tensor<2>, expected: &Tensor<2>, what: &str| {
            for (a, b) in to_host(found).into_iter().zip(to_host(expected)) {
                assert!((a - b).abs() < 1e-6 * (1.0 + b.abs()), "{what}: {a}, not {b}");
            }
        };
        let h = 1e-5;
        let difference = |dt: &Tensor<1>, dx: &Tensor<2>| {
            let at = |sign: f64| {
                field.velocity(t.clone() + dt.clone() * (sign * h), x.clone() + dx.clone() * (sign * h))
            };
            (at(1.0) - at(-1.0)) / (2.0 * h)
        };
        let still = t.zeros_like();
        let directions: [(Tensor<1>, Tensor<2>); 3] = [
            (t.ones_like(), x.zeros_like()),
            (still.clone(), placement.normal(&mut noise, [batch, dim])),
            (placement.normal(&mut noise, [batch]), placement.normal(&mut noise, [batch, dim])),
        ];
        for (dt, dx) in directions {
            let (velocity, tangent) =
                field.velocity_and_tangent(t.clone(), x.clone(), dt.clone(), dx.clone());
            close(&velocity, &field.velocity(t.clone(), x.clone()), "velocity beside tangent");
            close(&tangent, &difference(&dt, &dx), "tangent");
        }
        let mut trace = still.clone();
        for i in 0..dim {
            let unit = x.zeros_like().slice_fill([0..batch, i..i + 1], 1.0);
            trace = trace + difference(&still, &unit).narrow(1, i, 1).reshape([batch]);
        }
        let (velocity, divergence) = field.velocity_and_divergence(t.clone(), x.clone());
        close(&velocity, &field.velocity(t.clone(), x.clone()), "velocity beside divergence");
        close(&per_sample(divergence), &per_sample(trace), "divergence");
    }
}
