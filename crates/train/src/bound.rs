//! The error of inference of a trained flow, and what bounds it (FORMULAS §4.4): what the flow is held against.

mod report;

use thalweg_data::Dataset;
use thalweg_flow::{
    CouplingConfig, FiniteDataFlow, FixedSteps, GaussianFlow, InferenceErrors, MixtureFlow, Schedule,
    inference_errors,
};
use thalweg_nets::{ConditionSpec, Mlp};
use thalweg_ot::Points;
use thalweg_solve::{Method, Placement};

use crate::error::TrainError;
use crate::known_law;
use crate::objective::ObjectiveConfig;
use crate::trained::{ConditionRequest, TrainedFlow};

pub use report::Spread;

/// Rows of a table beyond which its exact velocity costs more than it tells.
const MOST_ROWS: usize = 5_000;
/// Coordinates beyond which dense Jacobians do.
const MOST_COORDINATES: usize = 128;
/// Where a solve along the exact velocity of finite data ends, for it has no end: all slopes grow without bound.
const LAST_OF_FINITE: f64 = 0.9;

/// What to measure.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundRequest {
    /// The method of inference.
    pub method: Method,
    /// Its steps, all equal.
    pub steps: usize,
    /// Trajectories.
    pub points: usize,
    /// The seed of their noise.
    pub seed: u64,
    /// What the flow is held against.
    pub truth: TruthChoice,
    /// The time at which it ends; left out, the end of the path.
    pub until: Option<f64>,
}

/// What a flow is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TruthChoice {
    /// The exact velocity where it is known and the flow was trained on it; the flow before it was tuned, where it
    /// was; else itself.
    Known,
    /// The exact velocity of the data, an error where it is not known.
    Exact,
    /// The flow itself, solved accurately: the error of the steps alone.
    Own,
}

/// Errors of inference with their bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundReport {
    /// What was held against what, in words.
    pub truth: String,
    /// Whether the truth is that of the data.
    pub is_exact: bool,
    /// The steps.
    pub request: BoundRequest,
    /// The numbers.
    pub errors: InferenceErrors,
    /// An upper bound on the slope of the learned velocity anywhere; none where the network is scaled.
    pub network_slope: Option<f64>,
}

impl TrainedFlow {
    /// Measures the error of inference by equal steps, and what bounds it. The data are needed for an exact velocity,
    /// and for conditions that are vectors.
    ///
    /// # Errors
    /// When the truth that was asked for is not known, or the request cannot be met.
    pub fn bound(
        &self,
        dataset: Option<&Dataset>,
        request: &BoundRequest,
    ) -> Result<BoundReport, TrainError> {
        let refuse = |message: String| Err(TrainError::Request(message));
        let dim = self.summary.dim;
        if self.recipe.is_chain() {
            return refuse("a bound is about one flow, and this is a chain of networks".to_string());
        }
        if request.steps == 0 || request.points == 0 {
            return refuse("a bound needs at least one step and one trajectory".to_string());
        }
        if dim > MOST_COORDINATES {
            return refuse(format!(
                "slopes of {dim} coordinates take too long: bounds are for {MOST_COORDINATES} at most"
            ));
        }
        let interval = self.recipe.flow.path.interval();
        let truth = self.known_truth(dataset, request.truth)?;
        let last = match truth {
            Some(Known::Finite(..)) => LAST_OF_FINITE.min(interval.end),
            _ => interval.end,
        };
        let end = request.until.unwrap_or(last);
        if !(end > interval.start && end <= last) {
            return refuse(format!(
                "the time to end at must lie in ({}, {last}], not at {end}",
                interval.start
            ));
        }
        let at = |n: usize| interval.start + (end - interval.start) * n as f64 / request.steps as f64;
        let times = (0..request.steps).map(at).chain([end]).collect();
        let steps = FixedSteps { method: request.method, times };

        let placement = Placement::cpu_double();
        let network = self.network().clone().cast(placement.dtype);
        let condition = match (&self.summary.condition, dataset) {
            (ConditionSpec::Vectors { .. }, Some(dataset)) => {
                let rows = dataset.training_rows().unwrap_or(request.points).min(request.points);
                let told = dataset.batch(rows, self.recipe.seed, 0)?.condition;
                told.select(&(0..request.points).map(|point| point % rows).collect::<Vec<usize>>())
            }
            _ => self.condition(&ConditionRequest::AsInData, request.points, request.seed)?,
        };
        let field = self.field(&network, &condition, 1.0, &placement);
        let source = self.source(request.points, request.seed)?;
        let x0 = placement.tensor::<2>(&source, [request.points, dim]);
        let measure = |words: String, is_exact: bool, errors: Result<InferenceErrors, _>| {
            let errors = errors.map_err(|error: thalweg_solve::SolveError<_>| {
                TrainError::solve("following the truth", error.without_state())
            })?;
            let request = BoundRequest { until: Some(end), ..request.clone() };
            let network_slope = field.is_bare().then(|| network.steepest());
            Ok(BoundReport { truth: words, is_exact, request, errors, network_slope })
        };
        match truth {
            Some(Known::Gaussian(words, truth)) => {
                measure(words, true, inference_errors(&*truth, &field, &x0, &steps))
            }
            Some(Known::Mixture(words, truth)) => {
                measure(words, true, inference_errors(&*truth, &field, &x0, &steps))
            }
            Some(Known::Finite(words, truth)) => {
                measure(words, true, inference_errors(&*truth, &field, &x0, &steps))
            }
            Some(Known::Before(network)) => {
                let network = network.cast(placement.dtype);
                let before = self.field(&network, &condition, 1.0, &placement);
                let words = "the flow before it was tuned, solved accurately".to_string();
                measure(words, false, inference_errors(&before, &field, &x0, &steps))
            }
            None => {
                let words = "the flow itself, solved accurately".to_string();
                measure(words, false, inference_errors(&field, &field, &x0, &steps))
            }
        }
    }

    /// Whether [`bound`](Self::bound) needs the data: the steps alone can be judged without.
    #[must_use]
    pub fn bound_needs_data(&self, truth: TruthChoice) -> bool {
        truth != TruthChoice::Own || matches!(self.summary.condition, ConditionSpec::Vectors { .. })
    }

    fn known_truth(
        &self,
        dataset: Option<&Dataset>,
        choice: TruthChoice,
    ) -> Result<Option<Known>, TrainError> {
        let tuned = matches!(self.recipe.flow.objective, ObjectiveConfig::Reconstruction(_));
        match choice {
            TruthChoice::Own => Ok(None),
            TruthChoice::Known if tuned => {
                Ok(self.base().map(|base| Known::Before(Box::new(base.network().clone()))))
            }
            TruthChoice::Known => Ok(self.exact_velocity(dataset).ok()),
            TruthChoice::Exact => self
                .exact_velocity(dataset)
                .map(Some)
                .map_err(|reason| TrainError::Request(format!("the exact velocity is not known: {reason}"))),
        }
    }

    /// The velocity that perfect training would have found, or why there is none in closed form.
    fn exact_velocity(&self, dataset: Option<&Dataset>) -> Result<Known, String> {
        let flow = &self.recipe.flow;
        if let ObjectiveConfig::Reflow(_) = flow.objective {
            return Err("pairs of another flow have no closed form".to_string());
        }
        if let ObjectiveConfig::Likelihood(_) = flow.objective {
            return Err("training by likelihood may find any flow that ends in the data".to_string());
        }
        if flow.coupling != (CouplingConfig::Independent {}) {
            return Err(format!("pairs of the {} coupling have no closed form", flow.coupling.name()));
        }
        if !self.summary.gaussian_source {
            return Err("the source is not Gaussian".to_string());
        }
        let schedule =
            self.schedule().map_err(|_| format!("the {} path is not one-sided", flow.path.name()))?;
        if self.summary.condition != ConditionSpec::None {
            return Err("with conditions there is one for each of them".to_string());
        }
        let dataset = dataset.ok_or("the data are not at hand")?;
        let placement = Placement::cpu_double();
        let known = self.closed_form(dataset, schedule, &placement).map_err(|error| error.to_string())?;
        known.ok_or_else(|| {
            format!("the data are neither Gaussian nor a mixture nor a table of {MOST_ROWS} rows at most")
        })
    }

    fn closed_form(
        &self,
        dataset: &Dataset,
        schedule: Schedule,
        placement: &Placement,
    ) -> Result<Option<Known>, TrainError> {
        let dim = self.summary.dim;
        match known_law::components(dataset, &self.summary).as_deref() {
            Some([only]) => {
                let truth = GaussianFlow::new(schedule, &only.mean, &only.covariance, placement)?;
                let words = "the exact velocity of a Gaussian".to_string();
                return Ok(Some(Known::Gaussian(words, Box::new(truth))));
            }
            Some(parts) => {
                let truth = MixtureFlow::new(schedule, parts, placement)?;
                let words = format!("the exact velocity of a mixture of {} Gaussians", parts.len());
                return Ok(Some(Known::Mixture(words, Box::new(truth))));
            }
            None => {}
        }
        let rows = dataset.training_rows().filter(|rows| *rows <= MOST_ROWS);
        let (Some(rows), None) = (rows, &self.recipe.data.dequantise) else { return Ok(None) };
        let table = dataset.batch(rows, self.recipe.seed, 0)?;
        let truth = FiniteDataFlow::new(schedule, Points::new(&table.points, dim), placement)?;
        Ok(Some(Known::Finite(format!("the exact velocity of the {rows} training points"), Box::new(truth))))
    }
}

/// What a flow can be held against beside itself: a velocity in closed form with its name, or another network.
enum Known {
    Gaussian(String, Box<GaussianFlow>),
    Mixture(String, Box<MixtureFlow>),
    Finite(String, Box<FiniteDataFlow>),
    Before(Box<Mlp>),
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use thalweg_run::Document;
    use thalweg_solve::{Save, Solver, VelocityField, solve_field, to_host};

    use super::*;
    use crate::recipe::Recipe;
    use crate::state::TrainState;
    use crate::summary::DataSummary;

    fn untrained(text: &str) -> (TrainedFlow, Dataset) {
        let common = "name = 'b'\nmodel = { width = 8, hidden_layers = 1 }\n";
        let recipe = Recipe::read(&Document::new(&format!("{common}{text}"), "test", &[]).unwrap()).unwrap();
        let dataset = Dataset::load(&recipe.data, 0, Path::new(".")).unwrap();
        let summary = DataSummary::of(&recipe, &dataset, Path::new(".")).unwrap();
        let state = TrainState::new(&recipe, &summary, None);
        (TrainedFlow::of(&recipe, &summary, &state, None), dataset)
    }

    fn request() -> BoundRequest {
        BoundRequest {
            method: Method::Euler,
            steps: 6,
            points: 20,
            seed: 0,
            truth: TruthChoice::Exact,
            until: None,
        }
    }

    /// Where the exact velocity takes the noise.
    fn ends(flow: &TrainedFlow, dataset: &Dataset, number: usize) -> Vec<f64> {
        fn end(field: &impl VelocityField<2>, x: burn::tensor::Tensor<2>, until: f64) -> Vec<f64> {
            let span = thalweg_solve::Span { start: 0.0, end: until };
            to_host(&solve_field(&Solver::default(), span, x, &Save::End, field).unwrap().state)
        }
        let (dim, placement) = (flow.summary.dim, Placement::cpu_double());
        let x = placement.tensor::<2>(&flow.source(number, 1).unwrap(), [number, dim]);
        match flow.exact_velocity(Some(dataset)).unwrap() {
            Known::Gaussian(_, field) => end(&*field, x, 1.0),
            Known::Mixture(_, field) => end(&*field, x, 1.0),
            Known::Finite(_, field) => end(&*field, x, 0.999),
            Known::Before(_) => panic!("nothing was tuned"),
        }
    }

    #[test]
    fn the_exact_velocity_of_a_standardised_gaussian_makes_unit_coordinates() {
        let (flow, dataset) =
            untrained("data = { standardise = true, target = { kind = 'random-gaussian', dim = 3 } }");
        let ends = ends(&flow, &dataset, 4000);
        for k in 0..3 {
            let column: Vec<f64> = ends.iter().skip(k).step_by(3).copied().collect();
            let mean = column.iter().sum::<f64>() / 4000.0;
            let variance = column.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 4000.0;
            assert!(mean.abs() < 0.07 && (variance - 1.0).abs() < 0.1, "{k}: {mean}, {variance}");
        }
    }

    #[test]
    fn the_exact_velocity_of_a_mixture_ends_in_its_modes() {
        let (flow, dataset) = untrained("data = { standardise = true, target.kind = 'eight-gaussians' }");
        let modes = dataset.modes().unwrap();
        let mut ends = ends(&flow, &dataset, 500);
        flow.summary.normaliser.normaliser().invert(&mut ends);
        let near = |point: &[f64]| {
            modes.centres.iter().any(|c| (c[0] - point[0]).hypot(c[1] - point[1]) < 4.0 * modes.deviations[0])
        };
        let share = ends.chunks(2).filter(|point| near(point)).count() as f64 / 500.0;
        assert!(share > 0.98, "{share}");
    }

    #[test]
    fn every_truth_gives_bounds_above_the_error() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("t.csv");
        std::fs::write(&table, "a,b\n1,2\n-1,0.5\n0,-2\n3,1\n").unwrap();
        let table = format!("data.target = {{ kind = 'file', path = '{}' }}", table.display());
        for (text, truth, exact) in [
            ("data.target.kind = 'random-gaussian'", TruthChoice::Known, true),
            ("data.target.kind = 'eight-gaussians'", TruthChoice::Exact, true),
            ("data.target.kind = 'two-moons'", TruthChoice::Known, false),
            ("data.target.kind = 'eight-gaussians'", TruthChoice::Own, false),
            ("data = { target.kind = 'two-moons', condition.kind = 'label' }", TruthChoice::Known, false),
            (&table, TruthChoice::Known, true),
        ] {
            for method in [Method::Euler, Method::Midpoint, Method::Rk4] {
                let (flow, dataset) = untrained(text);
                let report =
                    flow.bound(Some(&dataset), &BoundRequest { method, truth, ..request() }).unwrap();
                assert_eq!(report.is_exact, exact, "{text}");
                let errors = &report.errors;
                for (bound, measured) in
                    errors.logarithmic.iter().flatten().zip(errors.measured.iter().flatten())
                {
                    // Slopes between five points are an estimate, which fails by little if at all.
                    assert!(*measured <= bound * 1.02 + 1e-7, "{text}: {measured} above {bound}");
                }
                assert_eq!(errors.field_error == 0.0, !exact, "{text}");
                let document = report.document().to_string();
                assert!(document.contains("measured error") && !document.contains("null"), "{document}");
                let page = report.page("b").render();
                assert!(page.contains("Error along the way"));
                assert_eq!(document.contains("acceleration M"), method == Method::Euler);
                assert!(document.contains(&format!("\"method\":\"{method}\"")), "{document}");
                assert_eq!(page.contains("6 steps of rk4"), method == Method::Rk4);
            }
        }
    }

    #[test]
    fn what_cannot_be_bounded_says_why() {
        let refusal = |text: &str, change: &dyn Fn(&mut BoundRequest)| {
            let (flow, dataset) = untrained(text);
            let mut request = request();
            change(&mut request);
            let error = flow.bound(Some(&dataset), &request).unwrap_err();
            assert!(error.is_request());
            error.to_string()
        };
        let gaussian = "data.target.kind = 'random-gaussian'";
        let same = |_: &mut BoundRequest| ();
        for (text, expected) in [
            ("data.target.kind = 'two-moons'", "neither Gaussian nor a mixture"),
            (
                "data.target.kind = 'eight-gaussians'\nflow.coupling.kind = 'optimal-transport'",
                "optimal-transport",
            ),
            (
                "data.target.kind = 'eight-gaussians'\nflow.path = { kind = 'linear', sigma = 0.1 }",
                "not one-sided",
            ),
            ("data = { target.kind = 'eight-gaussians', condition.kind = 'label' }", "conditions"),
            ("data.target = { kind = 'random-gaussian', dim = 200 }", "128 at most"),
            ("data.target.kind = 'eight-gaussians'\nflow.objective.kind = 'likelihood'", "by likelihood"),
            (
                "data = { target.kind = 'eight-gaussians', source = { kind = 'set', set.kind = 'two-moons' } }",
                "source is not Gaussian",
            ),
        ] {
            let found = refusal(text, &same);
            assert!(found.contains(expected), "{found}");
        }
        assert!(refusal(gaussian, &|r| r.steps = 0).contains("at least one step"));
        assert!(refusal(gaussian, &|r| r.points = 0).contains("one trajectory"));
        for until in [0.0, -1.0, 1.5, f64::NAN] {
            assert!(refusal(gaussian, &|r| r.until = Some(until)).contains("must lie in"));
        }
    }
}
