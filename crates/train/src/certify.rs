//! What can be proved of a run's second stage, and what is measured beside it (FORMULAS §6).

mod measured;
mod report;

use faer::Mat;
use serde_json::Value;
use thalweg_certify::{
    Certificate, Claim, Contraction, Effort, Field, Form, Function, InputRange, Limits, Method, Origin,
    Solver, Subject, Term,
};
use thalweg_files::Fingerprint;
use thalweg_nets::{Activation, Anchoring, Structure};
use thalweg_solve::{Placement, Steps, to_host};

use crate::error::TrainError;
use crate::parameters;
use crate::residual::ResidualConfig;
use crate::trained::TrainedFlow;
pub use measured::{Measured, MeasuredCurve};
pub use report::{CertifyFiles, Comparison};

/// How hard to look for proofs, and what to measure.
#[derive(Debug, Clone, PartialEq)]
pub struct CertifyRequest {
    /// The largest condition number of a metric.
    pub condition: f64,
    /// Stages of more coordinates and units than this, taken together, are not searched.
    pub largest: usize,
    /// Pairs of points that are followed.
    pub points: usize,
    /// The seed of those.
    pub seed: u64,
}

impl Default for CertifyRequest {
    fn default() -> Self {
        let effort = Effort::default();
        Self { condition: effort.limits.condition, largest: effort.largest, points: 256, seed: 0 }
    }
}

/// What was found.
#[derive(Debug, Clone)]
pub struct CertifyReport {
    /// The name of the run.
    pub name: String,
    /// What stands in the place of a proof that there is none of: no second stage, or one without structure.
    pub unstructured: Option<String>,
    /// The proofs, where the stage has a structure.
    pub certificate: Option<Certificate>,
    /// No Jacobian of what was looked at is longer, by norms of layers: a bound that every network has.
    pub slope: f64,
    /// The time that it was looked at for.
    pub duration: f64,
    /// Measurements beside the claims; none for flows without a second stage.
    pub measured: Option<Measured>,
}

impl TrainedFlow {
    /// Proves what can be proved of the second stage, and measures beside every claim.
    ///
    /// That there is nothing to be proved, or no proof, is no error but an answer.
    ///
    /// # Errors
    /// When weights are not finite, conditions cannot be drawn, or a solve fails.
    pub fn certify(&self, request: &CertifyRequest) -> Result<CertifyReport, TrainError> {
        let CertifyRequest { condition, points, .. } = *request;
        if self.recipe.is_chain() {
            let message =
                "a certificate is about the second stage of one flow, and this is a chain of networks";
            return Err(TrainError::Request(message.to_string()));
        }
        if points == 0 {
            return Err(TrainError::Request("at least one pair of points is needed".to_string()));
        }
        if !(condition >= 1.0 && condition.is_finite()) {
            let message = format!("the largest condition number is at least 1, and not {condition}");
            return Err(TrainError::Request(message));
        }
        let mut report = CertifyReport {
            name: self.recipe.name.clone(),
            unstructured: None,
            certificate: None,
            slope: 0.0,
            duration: self.recipe.flow.path.interval().length(),
            measured: None,
        };
        let Some((residual, stage)) = self.second_stage() else {
            report.unstructured = Some(
                "the run has no second stage, and of a flow itself only its slope can be bounded; train one with \
                 `[residual]`, for example the recipe `contracting`"
                    .to_string(),
            );
            report.slope = self.network().steepest();
            return Ok(report);
        };
        report.slope = residual.steepest();
        report.duration = stage.duration;
        if residual.structure().is_none() {
            report.unstructured = Some(
                "the second stage is a network without structure, so only its slope can be bounded; `contracting` and \
                 `free` stages can be certified"
                    .to_string(),
            );
            report.measured = Some(measured::measure(self, None, request)?);
            return Ok(report);
        }
        let limits = Limits { condition: request.condition, ..Limits::default() };
        let effort = Effort { limits, largest: request.largest, ..Effort::default() };
        report.certificate = self.certificate(&effort, &self.starts(request)?)?;
        report.measured = Some(measured::measure(self, report.certificate.as_ref(), request)?);
        Ok(report)
    }

    /// What the steps of a stage that contracts by construction are not proved to do, if anything.
    pub(crate) fn steps_that_may_part(&self) -> Option<String> {
        let (residual, _) = self.second_stage()?;
        residual.structure()?.proof?;
        let effort = Effort { largest: 0, stability: false, ..Effort::default() };
        let certificate = match self.certificate(&effort, &[]) {
            Ok(certificate) => certificate?,
            Err(error) => return Some(error.to_string()),
        };
        match &certificate.claims.steps {
            Claim::Certified(steps) if steps.factor < 1.0 => None,
            Claim::Certified(steps) => Some(format!("of the second stage, {}", steps.words)),
            Claim::NotCertified(refusal) => Some(format!(
                "the computed steps of the second stage are not proved to contract: {}",
                refusal.reason
            )),
        }
    }

    /// The proofs of a second stage that has a structure.
    fn certificate(&self, effort: &Effort, starts: &[Vec<f64>]) -> Result<Option<Certificate>, TrainError> {
        let Some((residual, stage)) = self.second_stage() else { return Ok(None) };
        let Some(structure) = residual.structure() else { return Ok(None) };
        let field = field_of(&structure);
        let refuse =
            |problem: String| TrainError::Request(format!("the second stage cannot be certified: {problem}"));
        field.check().map_err(refuse)?;
        let known = structure.proof.as_ref().map(|proof| Contraction {
            rate: proof.rate,
            metric: square(&proof.metric, structure.dim),
            multipliers: rescaled(&structure, &proof.multipliers),
        });
        let subject = Subject {
            origin: self.origin(),
            field: &field,
            form: match structure.form {
                Anchoring::Equilibrium => Form::Equilibrium,
                Anchoring::Anchored => Form::Anchored,
            },
            horizon: stage.duration,
            solver: solver_of(stage),
            input: InputRange::Between {
                low: structure.offset.iter().map(|[low, _]| *low).collect(),
                high: structure.offset.iter().map(|[_, high]| *high).collect(),
            },
            known: known.as_ref(),
            starts,
        };
        Certificate::of(&subject, effort).map(Some).map_err(refuse)
    }

    /// Where the certificate is from.
    fn origin(&self) -> Origin {
        Origin { name: self.recipe.name.clone(), step: self.step, weights: self.weights_fingerprint() }
    }

    /// A short name for all learned numbers that sampling uses.
    #[must_use]
    pub fn weights_fingerprint(&self) -> String {
        let mut fingerprint = Fingerprint::default();
        for (name, value) in parameters::by_name(self.stages()) {
            fingerprint.bytes(name.as_bytes());
            fingerprint.numbers(&to_host(&value));
        }
        fingerprint.text()
    }

    /// Whether a certificate is one of this flow, as it is now: of its weights, and of how they are used.
    ///
    /// # Errors
    /// Says what it is a certificate of.
    pub fn is_subject_of(&self, certificate: &Certificate) -> Result<(), String> {
        let Origin { name, step, weights } = &certificate.run;
        if *weights != self.weights_fingerprint() {
            return Err(format!(
                "the certificate is one of other weights: those of step {step} of {name}; certify this run anew"
            ));
        }
        let effort = Effort { largest: 0, stability: false, ..Effort::default() };
        let own = self.certificate(&effort, &[]).map_err(|error| error.to_string())?;
        let [own, other] = [own.as_ref(), Some(certificate)].map(|certificate| {
            serde_json::to_value(certificate.map(|found| &found.system)).unwrap_or_default()
        });
        match different(&own, &other) {
            None => Ok(()),
            Some(what) => {
                Err(format!("the certificate is one of another use of the weights: `system{what}` differs"))
            }
        }
    }

    /// What the flow makes, from where equilibria are looked for.
    fn starts(&self, request: &CertifyRequest) -> Result<Vec<Vec<f64>>, TrainError> {
        let number = STARTS.min(request.points);
        let condition = measured::condition(self, number, request.seed)?;
        let source = self.source(number, request.seed)?;
        let made = measured::made(self, &source, &condition)?;
        Ok(made.chunks_exact(self.summary.dim).map(<[f64]>::to_vec).collect())
    }
}

/// Points from where equilibria are looked for.
const STARTS: usize = 64;

/// The field as matrices.
fn field_of(structure: &Structure) -> Field {
    let dim = structure.dim;
    let terms = structure.terms.iter().map(|term| {
        let (function, sharpness) = function_of(term.function);
        let units = term.bias.len();
        Term {
            outer: Mat::from_fn(dim, units, |i, k| term.outer[i * units + k] / sharpness),
            inner: Mat::from_fn(units, dim, |k, i| term.inner[k * dim + i] * sharpness),
            bias: term.bias.iter().map(|bias| bias * sharpness).collect(),
            function,
        }
    });
    Field { linear: square(&structure.linear, dim), terms: terms.collect() }
}

fn square(values: &[f64], dim: usize) -> Mat<f64> {
    Mat::from_fn(dim, dim, |i, j| values[i * dim + j])
}

/// `f(s) = F(βs) / β` as `F` and `β`.
fn function_of(activation: Activation) -> (Function, f64) {
    match activation {
        Activation::Tanh => (Function::Tanh, 1.0),
        Activation::Relu => (Function::Relu, 1.0),
        Activation::Silu => (Function::Silu, 1.0),
        Activation::Gelu => (Function::Gelu, 1.0),
        Activation::Softplus { beta } => (Function::CentredSoftplus, beta),
        Activation::Elu | Activation::Selu => unreachable!("second stages do not take these"),
    }
}

/// Multipliers for the units as they are in the field: a unit that is `β` times as large needs one `β²` times as small.
fn rescaled(structure: &Structure, multipliers: &[f64]) -> Vec<f64> {
    let sharpness = structure.terms.iter().flat_map(|term| {
        let (_, sharpness) = function_of(term.function);
        std::iter::repeat_n(sharpness, term.bias.len())
    });
    multipliers.iter().zip(sharpness).map(|(gamma, beta)| gamma / (beta * beta)).collect()
}

/// The steps of the stage; none where the solver chooses them.
fn solver_of(stage: &ResidualConfig) -> Option<Solver> {
    let Steps::Fixed(steps) = stage.solver.steps else { return None };
    let tableau = stage.solver.method.tableau();
    // Stages that the end point does not use only serve estimates and dense output.
    let used = tableau.b.iter().rposition(|b| *b != 0.0).map_or(0, |last| last + 1);
    let row = |i: usize| if i == 0 { Vec::new() } else { tableau.a[i - 1][..i].to_vec() };
    let method = Method {
        name: tableau.name.to_string(),
        a: (0..used).map(row).collect(),
        b: tableau.b[..used].to_vec(),
    };
    Some(Solver { method, steps: steps as u64 })
}

/// Matrices are products, which another processor may round otherwise.
const SAME: f64 = 1e-5;

/// The first place in which two documents differ, but for fingerprints and the rounding of numbers.
fn different(a: &Value, b: &Value) -> Option<String> {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            let (x, y) = (x.as_f64().unwrap_or(f64::NAN), y.as_f64().unwrap_or(f64::NAN));
            let is_same = (x - y).abs() <= SAME * (1.0 + x.abs());
            (!is_same).then(String::new)
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            let mut pairs = x.iter().zip(y).enumerate();
            pairs.find_map(|(i, (x, y))| different(x, y).map(|rest| format!("[{i}]{rest}")))
        }
        (Value::Object(x), Value::Object(y)) if x.keys().eq(y.keys()) => {
            let mut pairs = x.iter().filter(|(key, _)| *key != "fingerprint");
            pairs.find_map(|(key, x)| different(x, &y[key]).map(|rest| format!(".{key}{rest}")))
        }
        _ => (a != b).then(String::new),
    }
}

/// Double precision for what is held against proofs.
fn precise() -> Placement {
    Placement::cpu_double()
}
