//! A trained flow, ready to be used: samples, trajectories, likelihoods, in the units of the data.

use burn::tensor::Tensor;
use thalweg_data::{Condition, Dataset, SourceConfig};
use thalweg_flow::{
    AncestralSampler, Divergence, Likelihood, LogLikelihood, Schedule, StepVariance, StochasticSampler,
    sample,
};
use thalweg_nets::{ConditionSpec, Mlp, Residual};
use thalweg_noise::Noise;
use thalweg_run::{Document, RunDir};
use thalweg_solve::{
    Placement, Save, SolveError, Solver, Steps, Tangent, VelocityField, solve_field, to_host,
};

use crate::base;
use crate::error::TrainError;
use crate::field::{FlowField, reading};
use crate::objective::{ObjectiveConfig, tensor_condition};
use crate::recipe::Recipe;
use crate::residual::{FirstStage, ResidualConfig};
use crate::stages::{Stages, flow_is_frozen};
use crate::state::TrainState;
use crate::summary::DataSummary;

/// Points solved together. A step size shared by the batch depends on the batch, so its size is part of the result.
const BATCH: usize = 10_000;

/// Most numbers drawn at once: 2 GiB of them.
const MOST_VALUES: usize = 1 << 28;

/// A network with all that is needed to use it.
#[derive(Debug, Clone)]
pub struct TrainedFlow {
    /// The recipe it was trained by.
    pub recipe: Recipe,
    /// What is remembered of its data.
    pub summary: DataSummary,
    /// Steps of training behind it.
    pub step: u64,
    network: Stages,
    /// The network that the run started from.
    base: Option<Mlp>,
}

/// What to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleRequest {
    /// How many samples.
    pub number: usize,
    /// The seed of source points and conditions.
    pub seed: u64,
    /// For which conditions.
    pub condition: ConditionRequest,
    /// Strength of classifier-free guidance; 1 is none.
    pub guidance: f64,
    /// By which equation.
    pub equation: Equation,
}

/// The equation that carries source points to data.
#[derive(Debug, Clone, PartialEq)]
pub enum Equation {
    /// The ordinary one.
    Flow(Solver),
    /// The ordinary ones of the blocks of a local chain, with a solver for each, from the data.
    Blocks(Vec<Solver>),
    /// A stochastic one with the same marginals.
    Stochastic {
        /// Strength `η` of its noise.
        strength: f64,
        /// Its steps.
        steps: usize,
    },
    /// The steps of a diffusion model.
    Ancestral {
        /// The share of noise that is fresh: 0 is DDIM, 1 is DDPM.
        freshness: f64,
        /// How many.
        steps: usize,
        /// How much fresh noise there is.
        variance: StepVariance,
        /// The largest coordinate of predicted data, in model units, if there is one.
        clip: Option<f64>,
    },
}

/// For which conditions to draw.
#[derive(Debug, Clone, PartialEq)]
pub enum ConditionRequest {
    /// Labels with the frequencies of the training data; nothing for flows without conditions.
    AsInData,
    /// One class for all.
    Label(usize),
    /// One vector for all, in data units.
    Vector(Vec<f64>),
    /// A condition for each sample, in model units.
    Given(Condition),
}

/// Samples in data units.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// The points, row by row.
    pub points: Vec<f64>,
    /// Coordinates of a point.
    pub dim: usize,
    /// What each was drawn for, in model units.
    pub condition: Condition,
    /// Mean evaluations of the network for a sample; guidance counts two for each of the field.
    pub evaluations: f64,
}

/// Samples on their way: the same points at several times.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trajectories {
    /// The times.
    pub times: Vec<f64>,
    /// The points at each time in data units, row by row.
    pub points: Vec<Vec<f64>>,
    /// The squared speed in model units of each point at each time.
    pub squared_speeds: Vec<Vec<f64>>,
    /// Coordinates of a point.
    pub dim: usize,
}

/// What is followed, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way<'a> {
    /// Source points in model units.
    pub source: &'a [f64],
    /// The condition of each.
    pub condition: &'a Condition,
    /// The solver of the flow; a second stage has its own.
    pub solver: &'a Solver,
    /// Times at which the flow is looked at.
    pub count: usize,
}

/// Log-densities in data units.
#[derive(Debug, Clone, PartialEq)]
pub struct LogDensities {
    /// One for each point, in nats.
    pub values: Vec<f64>,
    /// Standard errors over the probes, when there were two or more.
    pub standard_errors: Option<Vec<f64>>,
    /// Mean evaluations of the field for a point.
    pub evaluations: f64,
}

impl TrainedFlow {
    /// The flow of the newest good checkpoint of a run, and warnings about newer ones that are not good.
    ///
    /// # Errors
    /// When the folder is no run, or has no checkpoint that can be used.
    pub fn open(run: &RunDir) -> Result<(Self, Vec<String>), TrainError> {
        let recipe = Recipe::read(&Document::open(&run.config_path(), &[])?)?;
        let summary = DataSummary::read(run)?;
        let latest = run.latest_checkpoint()?;
        let warnings: Vec<String> = latest
            .skipped
            .iter()
            .map(|skipped| format!("skipped a checkpoint: {}", skipped.reason))
            .collect();
        let Some((_, checkpoint)) = latest.found else {
            let detail = warnings.first().map(|warning| format!(" ({warning})")).unwrap_or_default();
            return Err(TrainError::NoCheckpoint { run: run.path().to_path_buf(), detail });
        };
        let state = TrainState::from_checkpoint(&recipe, &summary, &checkpoint)?;
        let (begun, parts) = (recipe.part_after(state.step).number, recipe.parts());
        let is_untouched = parts > 1 && state.step <= recipe.part(parts).steps.start;
        if begun < parts || is_untouched {
            let message = format!(
                "{} has learned {} of its {parts} parts: go on with `thalweg train --resume --out {}`",
                run.path().display(),
                begun - 1,
                run.path().display()
            );
            return Err(TrainError::Request(message));
        }
        let base = base::restore(run, &recipe, &summary)?;
        Ok((Self::of(&recipe, &summary, &state, base), warnings))
    }

    /// The flow of a training's state: its averaged weights; `base` are those it started from, if from any.
    #[must_use]
    pub fn of(recipe: &Recipe, summary: &DataSummary, state: &TrainState, base: Option<Mlp>) -> Self {
        Self {
            recipe: recipe.clone(),
            summary: summary.clone(),
            step: state.step,
            network: state.average.clone(),
            base,
        }
    }

    /// The flow that this one was tuned from; none for one that started from nothing.
    #[must_use]
    pub fn base(&self) -> Option<Self> {
        Some(self.of_flow_alone(self.base.clone()?))
    }

    /// The same flow without its second stage; none where there is none, or where that is the flow it started from.
    #[must_use]
    pub fn without_second_stage(&self) -> Option<Self> {
        let (_, stage) = self.second_stage()?;
        (stage.first == FirstStage::Tuned).then(|| self.of_flow_alone(self.network().clone()))
    }

    /// A flow of the same recipe and data, of this network alone.
    fn of_flow_alone(&self, network: Mlp) -> Self {
        let recipe = Recipe { residual: None, ..self.recipe.clone() };
        Self { network: network.into(), recipe, base: None, ..self.clone() }
    }

    /// Whether it was tuned to a fixed number of steps, so that an accurate solve is not what it was tuned to.
    #[must_use]
    pub fn is_tuned_to_steps(&self) -> bool {
        match &self.recipe.flow.objective {
            ObjectiveConfig::Reconstruction(config) => {
                !flow_is_frozen(&self.recipe)
                    && !matches!(config.solver(&self.recipe).steps, Steps::Adaptive { .. })
            }
            _ => false,
        }
    }

    /// Parameters of the networks.
    #[must_use]
    pub fn parameters(&self) -> usize {
        if self.recipe.shares_weights() {
            self.network().parameter_count()
        } else {
            self.network.parameter_count()
        }
    }

    /// The network of the flow, without a second stage, in single precision.
    #[must_use]
    pub fn network(&self) -> &Mlp {
        &self.network.flow
    }

    /// All networks, in single precision.
    #[must_use]
    pub fn stages(&self) -> &Stages {
        &self.network
    }

    /// The second stage with how it is solved, where there is one.
    #[must_use]
    pub fn second_stage(&self) -> Option<(&Residual, &ResidualConfig)> {
        self.network.residual.as_ref().zip(self.recipe.residual.as_ref())
    }

    /// Draws samples.
    ///
    /// # Errors
    /// When the condition does not suit the flow, the equation the path, or the solve fails.
    pub fn sample(&self, request: &SampleRequest) -> Result<Samples, TrainError> {
        if request.number.saturating_mul(self.summary.dim) > MOST_VALUES {
            let most = MOST_VALUES / self.summary.dim;
            let message = format!(
                "{} samples do not fit into memory: draw at most {most} at once, with a seed for each part",
                request.number
            );
            return Err(TrainError::Request(message));
        }
        self.check_guidance(request.guidance)?;
        let source = self.source(request.number, request.seed)?;
        let condition = self.condition(&request.condition, request.number, request.seed)?;
        self.sample_from(&source, &condition, request)
    }

    fn check_guidance(&self, guidance: f64) -> Result<(), TrainError> {
        let refuse = |message: String| Err(TrainError::Request(message));
        if !guidance.is_finite() {
            return refuse(format!("guidance must be a finite number, not {guidance}"));
        }
        if guidance == 1.0 {
            return Ok(());
        }
        if self.summary.condition == ConditionSpec::None {
            let message = "this flow was trained without conditions, so there is nothing to be guided by";
            return refuse(message.to_string());
        }
        if self.recipe.model.condition_dropout == 0.0 {
            let message = "guidance needs a network that has also learned without its condition; train it with \
                           `model.condition_dropout` above 0";
            return refuse(message.to_string());
        }
        Ok(())
    }

    /// Draws a sample from each source point, which [`TrainedFlow::source`] gives; the request's number and condition
    /// are not looked at.
    ///
    /// # Errors
    /// As [`TrainedFlow::sample`].
    pub fn sample_from(
        &self,
        source: &[f64],
        condition: &Condition,
        request: &SampleRequest,
    ) -> Result<Samples, TrainError> {
        let dim = self.summary.dim;
        let placement = Placement::cpu();
        self.check_equation(&request.equation)?;
        let mut points = Vec::with_capacity(source.len());
        let (mut evaluations, mut noise) = (0.0, Noise::at(request.seed, "sample-path", 0));
        for rows in row_ranges(source.len() / dim) {
            let part = &source[rows.start * dim..rows.end * dim];
            let x0 = placement.tensor::<2>(part, [rows.len(), dim]);
            let told = select(condition, &rows);
            let alone = || self.field(self.network(), &told, request.guidance, &placement);
            let end = match &request.equation {
                Equation::Flow(_) | Equation::Blocks(_) => {
                    let mut x = x0;
                    for leg in self.legs_by(&request.equation) {
                        let field = self.leg_field(&leg, (&told, rows.len()), request.guidance, &placement);
                        let solution = sample(&field, x, &leg.solver, leg.interval)
                            .map_err(|error| TrainError::solve("sampling", error))?;
                        let count = solution.evaluations.iter().sum::<usize>() * field.passes();
                        evaluations += count as f64;
                        x = solution.state;
                    }
                    x
                }
                Equation::Stochastic { strength, steps } => {
                    let field = alone();
                    let schedule = self.schedule()?;
                    let sampler = StochasticSampler { schedule, strength: *strength, steps: *steps };
                    sampler.validate()?;
                    evaluations += (rows.len() * steps * field.passes()) as f64;
                    sampler
                        .sample(&field, x0, &mut noise)
                        .map_err(|error| TrainError::solve("stochastic sampling", error))?
                }
                &Equation::Ancestral { freshness, steps, variance, clip } => {
                    let field = alone();
                    let schedule = self.schedule()?;
                    let sampler = AncestralSampler { schedule, freshness, steps, variance, clip };
                    sampler.validate()?;
                    evaluations += (rows.len() * steps * field.passes()) as f64;
                    let end = sampler.sample(&field, x0, &mut noise);
                    if !end.clone().is_finite().all().into_scalar::<bool>() {
                        let reason = "the state is not finite any more";
                        return Err(TrainError::solve("ancestral sampling", reason));
                    }
                    end
                }
            };
            let end = match self.second_stage() {
                None => end,
                Some((residual, stage)) => {
                    let told = tensor_condition(&select(condition, &rows), &placement);
                    let solution = stage
                        .solve(residual, &told, end, &Save::End)
                        .map_err(|error| TrainError::solve("the second stage", error.without_state()))?;
                    evaluations += solution.evaluations.iter().sum::<usize>() as f64;
                    solution.state
                }
            };
            points.extend(to_host(&end));
        }
        self.summary.normaliser.normaliser().invert(&mut points);
        let evaluations = evaluations / (source.len() / dim).max(1) as f64;
        Ok(Samples { points, dim, condition: condition.clone(), evaluations })
    }

    /// Follows source points through the flow, with their speeds, at `count` equally spaced times, and then through a
    /// second stage at times as far apart.
    ///
    /// # Errors
    /// When the solve fails.
    pub fn trajectories(
        &self,
        source: &[f64],
        condition: &Condition,
        solver: &Solver,
        count: usize,
    ) -> Result<Trajectories, TrainError> {
        let mut found = Trajectories { dim: self.summary.dim, ..Trajectories::default() };
        let way = Way { source, condition, solver, count };
        found.times = self.follow(&way, |index, field, at| self.show(&mut found, index, field, at))?;
        Ok(found)
    }

    /// Shows points on their way, in model units: some of them at a time, with the field there and the number of the time
    /// among all, which are returned.
    pub(crate) fn follow(
        &self,
        way: &Way,
        mut look: impl FnMut(usize, &dyn Tangent<2>, (f64, Tensor<2>)),
    ) -> Result<Vec<f64>, TrainError> {
        let dim = self.summary.dim;
        let placement = Placement::cpu();
        let span = self.recipe.flow.path.interval().span();
        let legs = self.legs(way.solver);
        let shown = self.shown_times(&legs, way.count);
        let times: Vec<f64> = shown.iter().flatten().map(|at| at.on_the_way).collect();
        // A second stage is shown at the same distances of time, but not at more times than the flow.
        let later = self.second_stage().map_or_else(Vec::new, |(_, stage)| {
            let share = stage.duration / span.length().abs();
            let more = (share.min(1.0) * (way.count - 1) as f64).ceil() as usize + 1;
            let Save::At(times) = Save::evenly(stage.span(), more) else { return Vec::new() };
            times.into_iter().skip(1).collect()
        });
        let failed = |error: SolveError<Tensor<2>>| TrainError::solve("following trajectories", error);
        for rows in row_ranges(way.source.len() / dim) {
            let part = &way.source[rows.start * dim..rows.end * dim];
            let x0 = placement.tensor::<2>(part, [rows.len(), dim]);
            let condition = select(way.condition, &rows);
            let (mut x, mut index) = (x0, 0);
            for (leg, shown) in legs.iter().zip(&shown) {
                let field = self.leg_field(leg, (&condition, rows.len()), 1.0, &placement);
                let save = Save::At(shown.iter().map(|at| at.solved).collect());
                let solution =
                    solve_field(&leg.solver, leg.interval.span(), x, &save, &field).map_err(failed)?;
                for ((_, at), time) in solution.saved.into_iter().zip(shown) {
                    look(index, &field, (time.known, at));
                    index += 1;
                }
                x = solution.state;
            }
            if let Some((residual, stage)) = self.second_stage() {
                let told = tensor_condition(&condition, &placement);
                let field = residual.given(&told, &x);
                let solution = stage.solve(residual, &told, x, &Save::At(later.clone())).map_err(failed)?;
                let second = solution.saved.into_iter().enumerate();
                second.for_each(|(index, at)| look(times.len() + index, &field, at));
            }
        }
        Ok([times, later].concat())
    }

    /// Adds some points at one of the times, with their speeds.
    fn show(
        &self,
        found: &mut Trajectories,
        index: usize,
        field: &dyn Tangent<2>,
        (time, x): (f64, Tensor<2>),
    ) {
        let shown = found.points.len().max(index + 1);
        found.points.resize(shown, Vec::new());
        found.squared_speeds.resize(shown, Vec::new());
        let velocity = field.velocity(Placement::of(&x).full(time, [x.dims()[0]]), x.clone());
        found.squared_speeds[index].extend(to_host(&velocity.square().sum_dim(1)));
        let mut x = to_host(&x);
        self.summary.normaliser.normaliser().invert(&mut x);
        found.points[index].extend(x);
    }

    /// The velocity of the flow in data units at points in data units, all at time `t`.
    ///
    /// # Errors
    /// When the condition does not suit the flow.
    pub fn velocities(&self, points: &[f64], condition: &Condition, t: f64) -> Result<Vec<f64>, TrainError> {
        let dim = self.summary.dim;
        let placement = Placement::cpu();
        let mut x = points.to_vec();
        self.summary.normaliser.normaliser().apply(&mut x);
        let rows = x.len() / dim;
        let legs = self.legs(&self.recipe.evaluate.solver);
        let along = if legs.len() > 1 { t.clamp(0.0, 1.0) * legs.len() as f64 } else { 0.0 };
        let index = (along.floor() as usize).min(legs.len() - 1);
        let interval = legs[index].interval;
        let t = match self.recipe.is_distilled() {
            // A student knows one time only.
            true => interval.start,
            false if legs.len() > 1 => interval.lerp(along - index as f64),
            false => t.clamp(interval.start, interval.end),
        };
        let t = placement.full(t, [rows]);
        let field = self.leg_field(&legs[index], (condition, rows), 1.0, &placement);
        let mut velocities = to_host(&field.velocity(t, placement.tensor(&x, [rows, dim])));
        let deviation = &self.summary.normaliser.deviation;
        velocities.iter_mut().enumerate().for_each(|(i, v)| *v *= deviation[i % dim]);
        Ok(velocities)
    }

    /// The log-density of points in data units, in double precision.
    ///
    /// # Errors
    /// When the source has no density, the points have another dimension, or the solve fails.
    pub fn log_likelihood(
        &self,
        points: &[f64],
        condition: &Condition,
        solver: &Solver,
        divergence: Divergence,
        seed: u64,
    ) -> Result<LogDensities, TrainError> {
        if !self.summary.gaussian_source {
            let message = "this flow starts from a data set, whose density is not known, so it gives no likelihoods; \
                           train one with `data.source = { kind = \"gaussian\" }`";
            return Err(TrainError::Request(message.to_string()));
        }
        if self.second_stage().is_some_and(|(residual, _)| residual.config().is_anchored()) {
            let message = "the second stage is anchored at what the flow has made, so it cannot be followed backwards and \
                           gives no likelihoods; train one with `form = \"equilibrium\"`";
            return Err(TrainError::Request(message.to_string()));
        }
        if self.recipe.is_distilled() {
            let message = "this flow is distilled: single steps of networks give no likelihood; take that of the run which \
                           it was distilled from";
            return Err(TrainError::Request(message.to_string()));
        }
        divergence.validate()?;
        let dim = self.summary.dim;
        let placement = Placement::cpu_double();
        let stages = self.network.clone().cast(placement.dtype);
        let normaliser = self.summary.normaliser.normaliser();
        let mut x = points.to_vec();
        normaliser.apply(&mut x);
        let path = self.recipe.flow.path;
        let likelihood =
            LogLikelihood { solver: solver.clone(), divergence, ..LogLikelihood::for_path(&path) };
        let mut result = LogDensities { values: Vec::new(), standard_errors: None, evaluations: 0.0 };
        let mut noise = Noise::at(seed, "probes", 0);
        for rows in row_ranges(x.len() / dim) {
            let mut part = placement.tensor::<2>(&x[rows.start * dim..rows.end * dim], [rows.len(), dim]);
            let condition = select(condition, &rows);
            // Backwards, so the second stage comes first.
            let mut changes = Vec::new();
            if let Some((residual, stage)) = stages.residual.as_ref().zip(self.recipe.residual.as_ref()) {
                let field = residual.given(&tensor_condition(&condition, &placement), &part);
                let of_stage = LogLikelihood { interval: stage.interval(), ..likelihood.clone() };
                let found = of_stage
                    .evaluate_from(&field, part, &mut noise, |x| x.zeros_like().sum_dim(1).squeeze_dim(1))
                    .map_err(|error| TrainError::solve("the likelihood of the second stage", error))?;
                part = found.x.clone();
                changes.push(found);
            }
            let mut legs = self.legs_of(&stages, solver);
            let first = legs.remove(0);
            for leg in legs.iter().rev() {
                let field = self.leg_field(leg, (&condition, rows.len()), 1.0, &placement);
                let found = LogLikelihood { interval: leg.interval, ..likelihood.clone() }
                    .evaluate_from(&field, part, &mut noise, |x| x.zeros_like().sum_dim(1).squeeze_dim(1))
                    .map_err(|error| TrainError::solve("the likelihood through a block", error))?;
                part = found.x.clone();
                changes.push(found);
            }
            let field = self.leg_field(&first, (&condition, rows.len()), 1.0, &placement);
            let found = likelihood
                .evaluate(&field, part, &mut noise)
                .map_err(|error| TrainError::solve("the likelihood", error))?;
            changes.push(found);
            result.add(&changes);
        }
        let log_determinant = normaliser.log_determinant();
        result.values.iter_mut().for_each(|value| *value += log_determinant);
        result.evaluations /= result.values.len().max(1) as f64;
        Ok(result)
    }

    /// Source points in model units.
    ///
    /// # Errors
    /// When the source is a data set that cannot be read any more.
    pub fn source(&self, number: usize, seed: u64) -> Result<Vec<f64>, TrainError> {
        match &self.recipe.data.source {
            SourceConfig::Gaussian {} => {
                let deviation = self.recipe.flow.path.source_deviation();
                let mut points = Noise::at(seed, "sample-source", 0).normals(number * self.summary.dim);
                points.iter_mut().for_each(|x| *x *= deviation);
                Ok(points)
            }
            SourceConfig::Set { .. } => {
                let dataset = Dataset::load(&self.recipe.data, self.recipe.seed, &self.summary.base)?;
                Ok(dataset.source_draws(number, seed ^ SAMPLES).points)
            }
        }
    }

    /// Conditions for `number` samples, in model units.
    ///
    /// # Errors
    /// When the request does not suit the flow; the message says what it is conditioned on.
    pub fn condition(
        &self,
        request: &ConditionRequest,
        number: usize,
        seed: u64,
    ) -> Result<Condition, TrainError> {
        let refuse = |message: String| Err(TrainError::Request(message));
        match (request, self.summary.condition) {
            (ConditionRequest::Given(condition), _) => Ok(condition.clone()),
            (ConditionRequest::AsInData, ConditionSpec::None) => Ok(Condition::None),
            (ConditionRequest::AsInData, ConditionSpec::Labels { .. }) => {
                let mut noise = Noise::at(seed, "sample-labels", 0);
                let shares = &self.summary.label_shares;
                Ok(Condition::Labels((0..number).map(|_| noise.choose(shares)).collect()))
            }
            (ConditionRequest::AsInData, ConditionSpec::Vectors { dim }) => refuse(format!(
                "this flow is conditioned on a vector of {dim} numbers: give one with --condition"
            )),
            (ConditionRequest::Label(label), ConditionSpec::Labels { classes }) if *label < classes => {
                if self.summary.label_shares[*label] == 0.0 {
                    return refuse(format!(
                        "class {label} does not occur in the training data, so it was not learned"
                    ));
                }
                Ok(Condition::Labels(vec![*label; number]))
            }
            (ConditionRequest::Label(label), ConditionSpec::Labels { classes }) => {
                refuse(format!("there is no class {label}: this flow knows the classes 0 to {}", classes - 1))
            }
            (ConditionRequest::Vector(vector), ConditionSpec::Vectors { dim }) if vector.len() == dim => {
                let mut values = vector.repeat(number);
                if let Some(scaling) = &self.summary.condition_normaliser {
                    scaling.normaliser().apply(&mut values);
                }
                Ok(Condition::Vectors { dim, values })
            }
            (ConditionRequest::Vector(vector), ConditionSpec::Vectors { dim }) => {
                refuse(format!("the condition has {} numbers, but this flow takes {dim}", vector.len()))
            }
            (_, ConditionSpec::None) => refuse("this flow was trained without conditions".to_string()),
            (_, ConditionSpec::Labels { classes }) => {
                refuse(format!("this flow is conditioned on {classes} classes: use --label"))
            }
            (_, ConditionSpec::Vectors { dim }) => {
                refuse(format!("this flow is conditioned on a vector of {dim} numbers: use --condition"))
            }
        }
    }

    pub(crate) fn field<'n>(
        &self,
        network: &'n Mlp,
        condition: &Condition,
        guidance: f64,
        placement: &Placement,
    ) -> FlowField<'n> {
        let reading = reading(&self.recipe, &self.summary);
        FlowField::new(network, reading, &tensor_condition(condition, placement), guidance)
    }

    /// The one-sided schedule that the path is, for stochastic sampling.
    pub(crate) fn schedule(&self) -> Result<Schedule, TrainError> {
        self.recipe.schedule().ok_or_else(|| {
            TrainError::Request(format!(
                "stochastic sampling needs the score, which the velocity gives for one-sided paths from a Gaussian \
                 source; this flow has the {} path{}",
                self.recipe.flow.path.name(),
                if self.summary.gaussian_source { "" } else { " and starts from a data set" }
            ))
        })
    }
}

impl LogDensities {
    /// Adds points whose log-density is a sum over stages.
    fn add(&mut self, stages: &[Likelihood<2>]) {
        let sums = |of: &dyn Fn(&Likelihood<2>) -> Vec<f64>| {
            stages
                .iter()
                .map(of)
                .reduce(|a, b| a.iter().zip(b).map(|(a, b)| a + b).collect())
                .unwrap_or_default()
        };
        self.values.extend(sums(&|stage| to_host(&stage.log_density)));
        if stages.iter().all(|stage| stage.standard_error.is_some()) {
            // Probes of different stages are independent.
            let squares = sums(&|stage| {
                stage.standard_error.as_ref().map_or_else(Vec::new, |error| to_host(&error.clone().square()))
            });
            self.standard_errors.get_or_insert_default().extend(squares.into_iter().map(f64::sqrt));
        }
        let evaluations = stages.iter().flat_map(|stage| &stage.evaluations).sum::<usize>();
        self.evaluations += evaluations as f64;
    }
}

/// Turns the seed of samples into one that training does not use.
const SAMPLES: u64 = 0x7361_6d70_6c65_7300;

pub(crate) fn row_ranges(rows: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..rows).step_by(BATCH).map(move |start| start..(start + BATCH).min(rows))
}

pub(crate) fn select(condition: &Condition, rows: &std::ops::Range<usize>) -> Condition {
    let rows: Vec<usize> = rows.clone().collect();
    condition.select(&rows)
}
