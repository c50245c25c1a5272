//! The networks that samples pass through one after the other: one for a flow, several for a chain.

use burn::tensor::Tensor;
use thalweg_data::{Batch, Condition};
use thalweg_flow::Interval;
use thalweg_nets::{Mlp, MlpConfig};
use thalweg_solve::{Placement, Save, Solver, solve_field, to_host};

use crate::chain::{DistillationConfig, Role};
use crate::error::TrainError;
use crate::field::{FlowField, Reading, reading};
use crate::recipe::Recipe;
use crate::sampler::SamplerConfig;
use crate::stages::Stages;
use crate::trained::{Equation, TrainedFlow, row_ranges, select};

/// A time at which samples on their way are shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shown {
    /// The time of the network that is solved.
    pub solved: f64,
    /// The time at which the network says how fast they move there.
    pub known: f64,
    /// The time on the whole way.
    pub on_the_way: f64,
}

/// One network on the way from noise to data.
#[derive(Debug, Clone)]
pub(crate) struct Leg<'a> {
    /// Its number, from 1 at the data.
    pub number: usize,
    /// The network.
    pub network: &'a Mlp,
    /// The times it knows, from noise to data.
    pub interval: Interval,
    /// How it is solved.
    pub solver: Solver,
}

impl TrainedFlow {
    /// The networks from noise to data, each with the solver that is asked for; students have their own.
    pub(crate) fn legs<'a>(&'a self, solver: &Solver) -> Vec<Leg<'a>> {
        self.legs_of(self.stages(), solver)
    }

    /// The networks from noise to data with the solvers of an ordinary equation.
    pub(crate) fn legs_by<'a>(&'a self, equation: &Equation) -> Vec<Leg<'a>> {
        match equation {
            Equation::Flow(solver) => self.legs(solver),
            Equation::Blocks(solvers) => {
                let own = solvers.iter().rev().cloned();
                let legs = self.legs(&self.recipe.evaluate.solver).into_iter();
                legs.zip(own).map(|(leg, solver)| Leg { solver, ..leg }).collect()
            }
            Equation::Stochastic { .. } | Equation::Ancestral { .. } => Vec::new(),
        }
    }

    /// The same of networks in another precision.
    pub(crate) fn legs_of<'a>(&self, stages: &'a Stages, solver: &Solver) -> Vec<Leg<'a>> {
        let recipe = &self.recipe;
        let networks: Vec<&Mlp> = if recipe.shares_weights() {
            vec![&stages.flow; recipe.parts()]
        } else {
            stages.finished.iter().chain([&stages.flow]).collect()
        };
        let from_the_data = networks.into_iter().enumerate();
        let leg = |(index, network): (usize, &'a Mlp)| {
            let (interval, solver) = match recipe.part(index + 1).role {
                Role::Whole => (recipe.flow.path.interval(), solver.clone()),
                Role::Block { .. } | Role::Blocks(_) => (Interval::UNIT, solver.clone()),
                Role::Student(interval) => (interval, DistillationConfig::step()),
                Role::Students => unreachable!("all together is not one network"),
            };
            Leg { number: index + 1, network, interval, solver }
        };
        let mut legs: Vec<Leg> = from_the_data.map(leg).collect();
        legs.reverse();
        legs
    }

    /// The velocity field of a leg for the conditions of `rows` points.
    pub(crate) fn leg_field<'n>(
        &self,
        leg: &Leg<'n>,
        (condition, rows): (&Condition, usize),
        guidance: f64,
        placement: &Placement,
    ) -> FlowField<'n> {
        let told = self.recipe.told(self.summary.condition, condition, leg.number, rows);
        self.field(leg.network, &told, guidance, placement)
    }

    /// When samples are shown inside each network, about `count` times in all, or exactly where there is one network.
    /// Students are shown before and after their step.
    pub(crate) fn shown_times(&self, legs: &[Leg], count: usize) -> Vec<Vec<Shown>> {
        let several = legs.len() > 1;
        let each = match (self.recipe.is_distilled(), several) {
            (true, _) => 2,
            (false, true) => count.saturating_sub(1).div_ceil(legs.len()).max(1) + 1,
            (false, false) => count,
        };
        let of_leg = |(index, leg): (usize, &Leg)| {
            let Save::At(times) = Save::evenly(leg.interval.span(), each) else { return Vec::new() };
            let shown = times.into_iter().map(|solved| {
                let share = (solved - leg.interval.start) / leg.interval.length();
                Shown {
                    solved,
                    known: if self.recipe.is_distilled() { leg.interval.start } else { solved },
                    on_the_way: if several { (index as f64 + share) / legs.len() as f64 } else { solved },
                }
            });
            // Where one network ends, the next begins.
            shown.skip(usize::from(index > 0)).collect()
        };
        legs.iter().enumerate().map(of_leg).collect()
    }

    /// Refuses equations that a chain does not have.
    pub(crate) fn check_equation(&self, equation: &Equation) -> Result<(), TrainError> {
        let refuse = |message: &str| Err(TrainError::Request(message.to_string()));
        match equation {
            Equation::Flow(solver) if self.recipe.is_distilled() && !DistillationConfig::is_step(solver) => {
                refuse(
                    "this flow is distilled: each of its networks makes one step of euler, so leave the solver out",
                )
            }
            Equation::Flow(_) => Ok(()),
            Equation::Blocks(solvers) => {
                let sampler = SamplerConfig::Blocks { solvers: solvers.clone() };
                sampler.validate(&self.recipe).map_err(|invalid| TrainError::Request(invalid.message))
            }
            _ if self.recipe.is_chain() => refuse(
                "stochastic and ancestral steps need the score at every time, which a chain of networks does not give: \
                 leave them out",
            ),
            _ => Ok(()),
        }
    }

    /// Where samples are after equal parts of their way, `parts` of them, beginning with the noise, in model units, with the
    /// guidance of the recipe.
    ///
    /// # Errors
    /// When the networks cannot be shared out among so many parts, or a solve fails.
    pub(crate) fn states(
        &self,
        source: &[f64],
        condition: &Condition,
        solver: &Solver,
        parts: usize,
    ) -> Result<Vec<Vec<f64>>, TrainError> {
        let guidance = self.recipe.evaluate.guidance;
        let dim = self.summary.dim;
        let legs = self.legs(solver);
        if legs.len() > 1 && !legs.len().is_multiple_of(parts) {
            let message = format!("{} networks cannot be shared out equally among {parts}", legs.len());
            return Err(TrainError::Request(message));
        }
        let placement = Placement::cpu();
        let failed = |error| TrainError::solve("following the states", error);
        let mut states = vec![Vec::with_capacity(source.len()); parts + 1];
        for rows in row_ranges(source.len() / dim) {
            let part = &source[rows.start * dim..rows.end * dim];
            let condition = select(condition, &rows);
            let mut x = placement.tensor::<2>(part, [rows.len(), dim]);
            if let [leg] = &legs[..] {
                let field = self.leg_field(leg, (&condition, rows.len()), guidance, &placement);
                let times = Save::evenly(leg.interval.span(), parts + 1);
                let solved =
                    solve_field(&leg.solver, leg.interval.span(), x, &times, &field).map_err(failed)?;
                for (state, (_, at)) in states.iter_mut().zip(&solved.saved) {
                    state.extend(to_host(at));
                }
                continue;
            }
            let each = legs.len() / parts;
            states[0].extend(to_host(&x));
            for (index, leg) in legs.iter().enumerate() {
                let field = self.leg_field(leg, (&condition, rows.len()), guidance, &placement);
                x = solve_field(&leg.solver, leg.interval.span(), x, &Save::End, &field)
                    .map_err(failed)?
                    .state;
                if (index + 1).is_multiple_of(each) {
                    states[(index + 1) / each].extend(to_host(&x));
                }
            }
        }
        Ok(states)
    }

    /// The network whose weights a student of this flow can start from: the first on the way that it replaces, if it is
    /// of the same shape and says the same.
    pub(crate) fn start_of_student(
        &self,
        recipe: &Recipe,
        config: &DistillationConfig,
        number: usize,
    ) -> Option<&Mlp> {
        let legs = self.legs(&self.recipe.evaluate.solver);
        let first = match legs.len() {
            1 => 0,
            several => (config.students - number) * (several / config.students),
        };
        let leg = legs.get(first)?;
        let is_plain = reading(&self.recipe, &self.summary) == Reading::Plain;
        // Students of students of a flow know another time.
        let same_times = legs.len() == 1 || leg.interval == Interval::UNIT;
        let shape = |config: &MlpConfig| MlpConfig { condition_dropout: 0.0, ..config.clone() };
        let fits = shape(leg.network.config()) == shape(&recipe.model_of(number));
        (is_plain && same_times && fits).then_some(leg.network)
    }

    /// Where points of the data come from at the noise side of each network, from the data, in model units: the forward
    /// map of a chain.
    ///
    /// # Errors
    /// Those of the solver.
    pub(crate) fn encoded(&self, points: &Batch, solver: &Solver) -> Result<Vec<Vec<f64>>, TrainError> {
        let mut legs = self.legs(solver);
        legs.reverse();
        let mut found: Vec<Vec<f64>> = Vec::new();
        for leg in &legs {
            let before = found.last().unwrap_or(&points.points);
            let after = self.through(leg, before, &points.condition, true)?;
            found.push(after);
        }
        Ok(found)
    }

    /// Where noise goes through all networks, in model units and without guidance.
    ///
    /// # Errors
    /// Those of the solver.
    pub(crate) fn decoded(
        &self,
        noise: &[f64],
        condition: &Condition,
        solver: &Solver,
    ) -> Result<Vec<f64>, TrainError> {
        let mut x = noise.to_vec();
        for leg in self.legs(solver) {
            x = self.through(&leg, &x, condition, false)?;
        }
        Ok(x)
    }

    fn through(
        &self,
        leg: &Leg,
        points: &[f64],
        condition: &Condition,
        backwards: bool,
    ) -> Result<Vec<f64>, TrainError> {
        let (dim, placement) = (self.summary.dim, Placement::cpu());
        let mut found = Vec::with_capacity(points.len());
        for rows in row_ranges(points.len() / dim) {
            let x: Tensor<2> = placement.tensor(&points[rows.start * dim..rows.end * dim], [rows.len(), dim]);
            let told = select(condition, &rows);
            let field = self.leg_field(leg, (&told, rows.len()), 1.0, &placement);
            let span = leg.interval.span();
            let span = if backwards { span.reversed() } else { span };
            let solved = solve_field(&leg.solver, span, x, &Save::End, &field)
                .map_err(|error| TrainError::solve("going through a network", error))?;
            found.extend(to_host(&solved.state));
        }
        Ok(found)
    }
}
