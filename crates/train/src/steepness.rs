//! How steep a flow is on its way: the slopes that decide how long steps may be.

use burn::tensor::Tensor;
use thalweg_flow::steepness;
use thalweg_solve::Tangent;

use crate::error::TrainError;
use crate::trained::{TrainedFlow, Way};

/// The largest singular value `L` of the Jacobian of the velocity in the point, in model units, over points on their
/// way.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Steepness {
    /// The times, those of a second stage included.
    pub times: Vec<f64>,
    /// The mean over the points at each time.
    pub mean: Vec<f64>,
    /// The largest.
    pub largest: Vec<f64>,
    /// How many of the times are those of the flow; the others are of a second stage.
    pub of_flow: usize,
}

impl TrainedFlow {
    pub(crate) fn steepness(&self, way: &Way) -> Result<Steepness, TrainError> {
        let mut met = Vec::new();
        let times = self.follow(way, |index, field, at| add(&mut met, index, field, at))?;
        Ok(Steepness { times, of_flow: way.count, ..Steepness::of(&met) })
    }
}

fn add(met: &mut Vec<Vec<f64>>, index: usize, field: &dyn Tangent<2>, (time, x): (f64, Tensor<2>)) {
    met.resize(met.len().max(index + 1), Vec::new());
    met[index].extend(steepness(field, time, &x));
}

impl Steepness {
    fn of(met: &[Vec<f64>]) -> Self {
        let mean = |slopes: &Vec<f64>| slopes.iter().sum::<f64>() / slopes.len() as f64;
        let largest = |slopes: &Vec<f64>| slopes.iter().copied().fold(0.0, f64::max);
        Self {
            mean: met.iter().map(mean).collect(),
            largest: met.iter().map(largest).collect(),
            ..Self::default()
        }
    }

    /// The largest of the flow at any time, a second stage left out.
    #[must_use]
    pub fn steepest(&self) -> f64 {
        self.largest[..self.of_flow].iter().copied().fold(0.0, f64::max)
    }

    /// The least number of equal steps over the times of the flow whose length `h` keeps `hL ≤ 2`; none where the
    /// field is infinitely steep.
    ///
    /// In a direction that contracts at the rate `L` a step of Euler multiplies by `1 - hL`, so beyond 2 it leads
    /// further away than it started. A direction that contracts more slowly allows longer steps. One that grows or
    /// turns has no such limit: there errors grow whatever the step.
    #[must_use]
    pub fn steps_of_euler(&self) -> Option<usize> {
        let length = (self.times[self.of_flow - 1] - self.times[0]).abs();
        let steps = (0.5 * self.steepest() * length).ceil();
        steps.is_finite().then_some((steps as usize).max(1))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use thalweg_data::{Condition, Dataset};
    use thalweg_run::Document;
    use thalweg_solve::{Method, Placement, Save, Solver, Span, VelocityField, solve_field};

    use super::*;
    use crate::recipe::Recipe;
    use crate::state::TrainState;
    use crate::summary::DataSummary;

    /// Shrinks the first coordinate ever faster, and turns and stretches nothing else.
    struct Shrinking;

    impl VelocityField<2> for Shrinking {
        fn velocity(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
            let rates = Placement::of(&x).tensor::<2>(&[-12.0, 0.0], [1, 2]);
            x * rates * t.unsqueeze_dim::<2>(1)
        }
    }

    impl Tangent<2> for Shrinking {
        fn velocity_and_tangent(
            &self,
            t: Tensor<1>,
            x: Tensor<2>,
            dt: Tensor<1>,
            dx: Tensor<2>,
        ) -> (Tensor<2>, Tensor<2>) {
            let tangent = self.velocity(t.clone(), dx) + self.velocity(dt, x.clone());
            (self.velocity(t, x), tangent)
        }
    }

    #[test]
    fn the_curve_of_a_linear_field_is_known() {
        let x = Placement::cpu_double().tensor(&[1.0, 2.0, -3.0, 0.5], [2, 2]);
        let save = Save::evenly(Span::FORWARD, 5);
        let path = solve_field(&Solver::fixed(Method::Rk4, 8), Span::FORWARD, x, &save, &Shrinking).unwrap();
        let mut met = Vec::new();
        let times: Vec<f64> = path.saved.iter().map(|(time, _)| *time).collect();
        path.saved.into_iter().enumerate().for_each(|(index, at)| add(&mut met, index, &Shrinking, at));
        assert!(met.iter().all(|slopes| slopes.len() == 2));
        let found = Steepness { times, of_flow: 5, ..Steepness::of(&met) };
        for (n, t) in [0.0, 0.25, 0.5, 0.75, 1.0].into_iter().enumerate() {
            assert!((found.times[n] - t).abs() < 1e-12);
            assert!((found.mean[n] - 12.0 * t).abs() < 1e-12 && (found.largest[n] - 12.0 * t).abs() < 1e-12);
        }
        assert!((found.steepest() - 12.0).abs() < 1e-12);
    }

    fn untrained(target: &str) -> TrainedFlow {
        let text = format!(
            "name = 's'\nfrom.run = 'base'\nmodel = {{ width = 8, hidden_layers = 1 }}\ndata.target = {{ {target} }}\n\
             flow.objective.kind = 'reconstruction'\n\
             residual = {{ duration = 0.5, head = {{ kind = 'contracting', form = 'equilibrium' }} }}"
        );
        let recipe = Recipe::read(&Document::new(&text, "test", &[]).unwrap()).unwrap();
        let dataset = Dataset::load(&recipe.data, 0, Path::new(".")).unwrap();
        let summary = DataSummary::of(&recipe, &dataset, Path::new(".")).unwrap();
        TrainedFlow::of(&recipe, &summary, &TrainState::new(&recipe, &summary, None), None)
    }

    /// In few coordinates by Jacobians, in many by power iterations through both stages.
    #[test]
    fn a_second_stage_is_drawn_on_and_neither_is_steeper_than_its_weights_allow() {
        for target in ["kind = 'two-moons'", "kind = 'random-gaussian', dim = 70"] {
            let flow = untrained(target);
            let source = flow.source(10, 0).unwrap();
            let solver = Solver::fixed(Method::Euler, 3);
            let way = Way { source: &source, condition: &Condition::None, solver: &solver, count: 9 };
            let found = flow.steepness(&way).unwrap();
            assert_eq!((found.times.len(), found.largest.len(), found.of_flow), (13, 13, 9));
            assert!((found.times[12] - 1.5).abs() < 1e-12);
            let residual = flow.second_stage().unwrap().0;
            for (limit, part) in
                [(flow.network().steepest(), &found.largest[..9]), (residual.steepest(), &found.largest[9..])]
            {
                let is_possible = |slope: &f64| *slope > 0.01 * limit && *slope < limit * (1.0 + 1e-5);
                assert!(part.iter().all(is_possible), "{target}: {limit}, {part:?}");
            }
            assert!(found.mean.iter().zip(&found.largest).all(|(mean, largest)| mean <= largest));
        }
    }

    #[test]
    fn steps_that_do_not_overshoot() {
        let of = |times: [f64; 3], largest: [f64; 3]| Steepness {
            times: times.to_vec(),
            mean: vec![0.0; 3],
            largest: largest.to_vec(),
            of_flow: 2,
        };
        // The last time is of a second stage, which has steps of its own.
        assert_eq!(of([0.0, 1.0, 1.5], [3.0, 11.9, 90.0]).steps_of_euler(), Some(6));
        assert_eq!(of([0.0, 0.5, 1.0], [12.0, 3.0, 0.0]).steps_of_euler(), Some(3));
        assert_eq!(of([0.0, 1.0, 1.5], [0.0, 0.0, 0.0]).steps_of_euler(), Some(1));
        assert_eq!(of([0.0, 1.0, 1.5], [0.0, f64::INFINITY, 0.0]).steps_of_euler(), None);
    }
}
