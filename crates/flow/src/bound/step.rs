//! A step of an explicit Runge–Kutta method as a step of Euler along another field, and how far slopes and errors of
//! a field can come through its stages (FORMULAS §4.3).
//!
//! The method moves `x` to `x + τ u_Φ(x)` with the mean of its slopes `u_Φ = Σ bᵢ kᵢ`. All that holds for steps of
//! Euler along `u` therefore holds for steps of the method with `u_Φ` in its place.

use burn::tensor::Tensor;
use thalweg_solve::{Method, Placement, Tangent, VelocityField};

/// One step of a method.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub method: Method,
    pub start: f64,
    pub end: f64,
}

/// Where a field is asked in a step, and what it says.
pub(super) struct Stage {
    pub time: f64,
    pub x: Tensor<2>,
    pub slope: Tensor<2>,
}

impl Step {
    pub fn length(self) -> f64 {
        self.end - self.start
    }

    /// The stages on which the end depends: those of the next step, which some methods compute early, are not among
    /// them.
    fn stages(self) -> usize {
        let last = self.method.tableau().b.iter().rposition(|weight| *weight != 0.0);
        last.map_or(0, |last| last + 1)
    }

    /// The time of a stage; the last ones are at the very end, which rounding must not pass.
    fn time(self, stage: usize) -> f64 {
        let share = self.method.tableau().c[stage];
        if share == 1.0 { self.end } else { self.start + share * self.length() }
    }

    fn weights(self, stage: usize) -> &'static [f64] {
        if stage == 0 { &[] } else { self.method.tableau().a[stage - 1] }
    }

    /// The stages of the step along `field` from `x`.
    pub fn along(self, field: &impl VelocityField<2>, x: &Tensor<2>) -> Vec<Stage> {
        let mut stages: Vec<Stage> = Vec::new();
        let mut slopes: Vec<Tensor<2>> = Vec::new();
        for stage in 0..self.stages() {
            let (time, x) = (self.time(stage), moved(x, self.length(), self.weights(stage), &slopes));
            let slope = field.velocity(Placement::of(&x).full(time, [x.dims()[0]]), x.clone());
            slopes.push(slope.clone());
            stages.push(Stage { time, x, slope });
        }
        stages
    }

    /// The velocity of the step as a whole: `Σ bᵢ kᵢ`.
    pub fn mean_slope(self, stages: &[Stage]) -> Tensor<2> {
        let slopes: Vec<Tensor<2>> = stages.iter().map(|stage| stage.slope.clone()).collect();
        moved(&stages[0].x.zeros_like(), 1.0, self.method.tableau().b, &slopes)
    }
}

/// `x + τ Σ wᵢ kᵢ`.
fn moved(x: &Tensor<2>, tau: f64, weights: &[f64], slopes: &[Tensor<2>]) -> Tensor<2> {
    let terms = weights.iter().zip(slopes).filter(|(weight, _)| **weight != 0.0);
    terms.fold(x.clone(), |x, (weight, slope)| x + slope.clone() * (weight * tau))
}

/// The field `u_Φ` of a step. The times are those of the step, whatever time it is asked at.
pub(super) struct MeanSlope<'a, F> {
    pub field: &'a F,
    pub step: Step,
}

impl<F: VelocityField<2>> VelocityField<2> for MeanSlope<'_, F> {
    fn velocity(&self, _t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        self.step.mean_slope(&self.step.along(self.field, &x))
    }
}

impl<F: Tangent<2>> Tangent<2> for MeanSlope<'_, F> {
    fn velocity_and_tangent(
        &self,
        t: Tensor<1>,
        x: Tensor<2>,
        dt: Tensor<1>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<2>) {
        let step = self.step;
        let (mut slopes, mut tangents) = (Vec::new(), Vec::new());
        for stage in 0..step.stages() {
            let weights = step.weights(stage);
            let (slope, tangent) = self.field.velocity_and_tangent(
                t.full_like(step.time(stage)),
                moved(&x, step.length(), weights, &slopes),
                dt.clone(),
                moved(&dx, step.length(), weights, &tangents),
            );
            slopes.push(slope);
            tangents.push(tangent);
        }
        let mean = |slopes: &[Tensor<2>]| moved(&x.zeros_like(), 1.0, step.method.tableau().b, slopes);
        (mean(&slopes), mean(&tangents))
    }
}

/// `|b|ᵀ(I - z|A|)⁻¹1` with `z = τL`: by how much the stages of a step make the slope `L` and the error `δ` of a
/// field larger, `L_Φ/L = δ_Φ/δ`. One for Euler.
///
/// For let `Yᵢ` be the stages along `u` from `ψ` and `Zᵢ` those along `v` from `φ`. Then `eᵢ = ‖u(Yᵢ) - v(Zᵢ)‖` is at
/// most `L‖Yᵢ - Zᵢ‖ + δ` and `‖Yᵢ - Zᵢ‖` at most `‖ψ - φ‖ + τ Σⱼ|aᵢⱼ|eⱼ`, where `L` holds between `Yᵢ` and `Zᵢ` and
/// `δ` at `Zᵢ`. So `e ≤ (I - τL|A|)⁻¹1 (L‖ψ - φ‖ + δ)`, the inverse being a finite sum without negative terms, and
/// the ends are no further apart than `‖ψ - φ‖ + τ|b|ᵀe`.
pub(super) fn stretch(method: Method, z: f64) -> f64 {
    let tableau = method.tableau();
    let mut grown: Vec<f64> = Vec::new();
    for stage in 0..tableau.stages() {
        let weights = if stage == 0 { &[][..] } else { tableau.a[stage - 1] };
        let earlier: f64 = weights.iter().zip(&grown).map(|(weight, grown)| weight.abs() * grown).sum();
        grown.push(1.0 + z * earlier);
    }
    tableau.b.iter().zip(&grown).map(|(weight, grown)| weight.abs() * grown).sum()
}

#[cfg(test)]
mod tests {
    use thalweg_solve::to_host;

    use super::super::slopes::{Slopes, jacobians};
    use super::*;

    #[test]
    fn stretches_in_closed_form() {
        for z in [0.0, 0.3, 1.7] {
            let close = |method: Method, expected: f64| {
                let found = stretch(method, z);
                assert!(
                    (found - expected).abs() < 1e-14 * expected,
                    "{method}, {z}: {found}, not {expected}"
                );
            };
            assert_eq!(stretch(Method::Euler, z), 1.0);
            close(Method::Midpoint, 1.0 + z / 2.0);
            close(Method::Heun, 1.0 + z / 2.0);
            close(Method::Rk4, 1.0 + z / 2.0 + z * z / 6.0 + z.powi(3) / 24.0);
            for method in Method::ALL {
                assert!(stretch(method, z) >= 1.0 - 1e-14, "{method}: weights sum to one");
            }
        }
    }

    /// Along `ẋ = λx` a step of order p multiplies by the first terms of the exponential.
    #[test]
    fn a_step_is_a_step_of_euler_along_its_mean_slope() {
        struct Linear;
        impl VelocityField<2> for Linear {
            fn velocity(&self, _t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
                x * -1.5
            }
        }
        impl Tangent<2> for Linear {
            fn velocity_and_tangent(
                &self,
                _t: Tensor<1>,
                x: Tensor<2>,
                _dt: Tensor<1>,
                dx: Tensor<2>,
            ) -> (Tensor<2>, Tensor<2>) {
                (x * -1.5, dx * -1.5)
            }
        }
        let x = Placement::cpu_double().tensor(&[2.0], [1, 1]);
        let step = Step { method: Method::Rk4, start: 0.2, end: 0.6 };
        let z: f64 = -1.5 * 0.4;
        let factor = 1.0 + z + z * z / 2.0 + z.powi(3) / 6.0 + z.powi(4) / 24.0;
        let end = x.clone() + step.mean_slope(&step.along(&Linear, &x)) * 0.4;
        assert!((to_host(&end)[0] - 2.0 * factor).abs() < 1e-14);
        let map = jacobians(&MeanSlope { field: &Linear, step }, 0.2, x);
        assert!((Slopes::of(&map[0]).growth - (factor - 1.0) / 0.4).abs() < 1e-13);
    }

    #[test]
    fn slopes_taken_early_for_the_next_step_are_no_part_of_this_one() {
        let counts = Method::ALL.map(|method| Step { method, start: 0.0, end: 1.0 }.stages());
        assert_eq!(counts, [1, 2, 2, 3, 4, 6, 6]);
    }
}
