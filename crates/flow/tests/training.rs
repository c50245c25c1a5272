//! Gradients of the likelihood and its penalties (FORMULAS §3.2, §3.3).

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use burn::tensor::Tensor;
use thalweg_flow::{
    Divergence, Interval, LikelihoodLoss, LogLikelihood, MaximumLikelihood, PathConfig, PenaltyScale,
    ProbeLaw, Regularisation,
};
use thalweg_noise::Noise;
use thalweg_solve::{Checkpoints, Method, Placement, Solver, Tangent, VelocityField, to_host};

/// `tanh(x Wᵀ) · (1 + t)`: a field with parameters, curvature and a dependence on time.
struct Tanh(Tensor<2>);

impl VelocityField<2> for Tanh {
    fn velocity(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        let batch = t.dims()[0];
        x.matmul(self.0.clone().transpose()).tanh() * (t + 1.0).reshape([batch, 1])
    }
}

impl Tangent<2> for Tanh {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<2>,
        dt: Tensor<1>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        let batch = t.dims()[0];
        let value = x.matmul(self.0.clone().transpose()).tanh();
        let inner = dx.matmul(self.0.clone().transpose());
        let slope = -value.clone() * value.clone() + 1.0;
        let scale = (t + 1.0).reshape([batch, 1]);
        let tangent = slope * inner * scale.clone() + value.clone() * dt.reshape([batch, 1]);
        (value * scale, tangent)
    }
}

const WEIGHTS: [f64; 4] = [0.7, -0.2, 0.4, -0.5];

fn objective(divergence: Divergence, scale: PenaltyScale) -> MaximumLikelihood {
    MaximumLikelihood {
        solver: Solver::fixed(Method::Rk4, 10),
        divergence,
        interval: Interval::UNIT,
        source_deviation: 1.0,
        regularisation: Regularisation { kinetic: 0.3, jacobian: 0.2, scale },
    }
}

fn data() -> Tensor<2> {
    Placement::cpu_double().normal(&mut Noise::new(1), [6, 2])
}

fn loss(objective: &MaximumLikelihood, weights: &[f64]) -> LikelihoodLoss {
    let field = Tanh(Placement::cpu_double().tensor(weights, [2, 2]));
    objective.loss(&field, data(), &mut Noise::new(2)).unwrap()
}

fn value(tensor: &Tensor<1>) -> f64 {
    to_host(tensor)[0]
}

const ONE_PROBE: Divergence = Divergence::Hutchinson { probes: 1, law: ProbeLaw::Rademacher };

#[test]
fn gradients_are_those_of_finite_differences_on_the_tape_and_from_checkpoints() {
    for divergence in
        [Divergence::Exact {}, ONE_PROBE, Divergence::Hutchinson { probes: 3, law: ProbeLaw::Gaussian }]
    {
        let objective = objective(divergence, PenaltyScale::Sum);
        let weights = || Placement::cpu_double().tensor::<2>(&WEIGHTS, [2, 2]).autodiff().require_grad();

        let tracked = weights();
        let on_tape = objective.loss(&Tanh(tracked.clone()), data().autodiff(), &mut Noise::new(2)).unwrap();
        let gradients = on_tape.loss.backward();
        let plain = to_host(&tracked.grad(&gradients).unwrap());

        for checkpoints in [Checkpoints::EveryStep, Checkpoints::SquareRoot, Checkpoints::Every(4)] {
            let tracked = weights();
            let mut sum = [0.0; 4];
            let field = Tanh(tracked.clone());
            let from_checkpoints = objective
                .loss_and_gradients(&field, data(), &mut Noise::new(2), checkpoints, |gradients| {
                    let part = to_host(&tracked.grad(gradients).unwrap());
                    sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
                })
                .unwrap();
            assert!((value(&from_checkpoints.loss) - value(&on_tape.loss)).abs() < 1e-13);
            for (a, b) in sum.iter().zip(&plain) {
                assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{checkpoints:?}: {a} {b}");
            }
        }
        for (k, exact) in plain.iter().enumerate() {
            let h = 1e-5;
            let moved = |sign: f64| {
                let mut weights = WEIGHTS;
                weights[k] += sign * h;
                value(&loss(&objective, &weights).loss)
            };
            let difference = (moved(1.0) - moved(-1.0)) / (2.0 * h);
            assert!(
                (difference - exact).abs() < 1e-7 * (1.0 + exact.abs()),
                "{divergence:?}: {difference} {exact}"
            );
        }
    }
}

#[test]
fn the_loss_without_penalties_is_the_likelihood() {
    let mut objective = objective(Divergence::Exact {}, PenaltyScale::Sum);
    objective.regularisation = Regularisation { kinetic: 0.0, jacobian: 0.0, scale: PenaltyScale::Sum };
    let found = loss(&objective, &WEIGHTS);
    let likelihood = LogLikelihood {
        solver: objective.solver.clone(),
        ..LogLikelihood::for_path(&PathConfig::Linear { sigma: 0.0 })
    };
    let field = Tanh(Placement::cpu_double().tensor(&WEIGHTS, [2, 2]));
    let scored = likelihood.evaluate(&field, data(), &mut Noise::new(0)).unwrap();
    let expected = -to_host(&scored.log_density).iter().sum::<f64>() / 6.0;
    assert!((value(&found.loss) - expected).abs() < 1e-13);
    assert_eq!(value(&found.jacobian), 0.0, "what has no weight is not computed");
    assert!(value(&found.kinetic) > 0.0);
    assert_eq!(found.evaluations, 40.0);
}

/// `v = a x`: kinetic energy a²‖x‖², Jacobian norm a² d, in either convention.
struct Scaling(f64);

impl VelocityField<2> for Scaling {
    fn velocity(&self, _: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        x * self.0
    }
}

impl Tangent<2> for Scaling {
    fn velocity_and_tangent(
        &self,
        _: Tensor<1>,
        x: Tensor<2>,
        _: Tensor<1>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        (x * self.0, dx * self.0)
    }
}

#[test]
fn penalties_have_their_closed_forms_in_both_conventions() {
    let a = 0.4_f64;
    let x1 = data();
    let mean_square = to_host(&x1).iter().map(|x| x * x).sum::<f64>() / 6.0;
    // Backward from x1 the path is x1 e^(a(t-1)), so ∫a²‖x‖² dt = a‖x1‖² (1 - e^(-2a))/2.
    let kinetic = 0.5 * a * mean_square * (1.0 - (-2.0 * a).exp());
    let jacobian = 2.0 * a * a;
    for (scale, kinetic, jacobian) in
        [(PenaltyScale::Sum, kinetic, jacobian), (PenaltyScale::Mean, kinetic / 4.0, jacobian / 2.0)]
    {
        for divergence in [Divergence::Exact {}, ONE_PROBE] {
            let mut objective = objective(divergence, scale);
            objective.solver = Solver::fixed(Method::Rk4, 40);
            let found = objective.loss(&Scaling(a), x1.clone(), &mut Noise::new(3)).unwrap();
            assert!((value(&found.kinetic) - kinetic).abs() < 1e-8, "{scale:?}: {}", value(&found.kinetic));
            // Signs make ‖Jz‖² exact for a multiple of the identity.
            assert!(
                (value(&found.jacobian) - jacobian).abs() < 1e-12,
                "{scale:?}: {}",
                value(&found.jacobian)
            );
            let whole = value(&found.negative_log_likelihood) + 0.3 * kinetic + 0.2 * jacobian;
            assert!((value(&found.loss) - whole).abs() < 1e-8);
        }
    }
}

/// `v = x Jᵀ`, whose Jacobian is not symmetric.
struct LinearField(Tensor<2>);

impl VelocityField<2> for LinearField {
    fn velocity(&self, _: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        x.matmul(self.0.clone().transpose())
    }
}

impl Tangent<2> for LinearField {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<2>,
        _: Tensor<1>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        (self.velocity(t.clone(), x), self.velocity(t, dx))
    }
}

/// E‖Jz‖² = ‖J‖², the sum of squares of all entries.
#[test]
fn the_jacobian_norm_is_estimated_without_bias() {
    let n = 20_000;
    let jacobian = [0.5, 1.0, -0.3, 0.2];
    let placement = Placement::cpu_double();
    for divergence in [Divergence::Exact {}, ONE_PROBE] {
        let objective = MaximumLikelihood {
            solver: Solver::fixed(Method::Euler, 1),
            ..objective(divergence, PenaltyScale::Sum)
        };
        let field = LinearField(placement.tensor(&jacobian, [2, 2]));
        let found = objective.loss(&field, placement.full(0.0, [n, 2]), &mut Noise::new(4)).unwrap();
        let expected: f64 = jacobian.iter().map(|j| j * j).sum();
        // ‖Jz‖² is ‖J‖² ± 2(J₁₁J₁₂ + J₂₁J₂₂), so its deviation is 0.88.
        let allowed = 4.0 * 0.88 / (n as f64).sqrt();
        assert!((value(&found.jacobian) - expected).abs() < allowed, "{}", value(&found.jacobian));
    }
}

#[test]
fn recipes_of_penalties_are_read_strictly() {
    let read = serde_json::from_str::<Regularisation>;
    assert_eq!(read("{}").unwrap(), Regularisation::default());
    let text = serde_json::to_string(&Regularisation::default()).unwrap();
    assert_eq!(text, r#"{"kinetic":0.01,"jacobian":0.01,"scale":"sum"}"#);
    assert!(read(r#"{"kinetics": 1}"#).is_err());
    let negative = Regularisation { kinetic: -1.0, ..Regularisation::default() };
    let message = negative.validate().unwrap_err().to_string();
    assert_eq!(message, "the kinetic penalty is -1; it must be finite and not negative");
}
