//! Several networks one after the other: which there are, and when each of them is trained.
//!
//! The blocks of a local chain and the students of a distillation are the parts of one training. They are numbered from
//! the data, in the order in which they are trained. A recipe of one flow has one part.

mod distillation;
mod kept;
mod local;
mod pushed;
mod shared;
mod states;

use std::ops::Range;

use thalweg_flow::{Interval, LocalBlock};
use thalweg_nets::MlpConfig;
use thalweg_run::Invalid;

use crate::objective::ObjectiveConfig;
use crate::recipe::Recipe;
pub use distillation::DistillationConfig;
pub use local::{LocalConfig, Weights};
pub(crate) use pushed::{dataset_of, smooth};
pub(crate) use shared::block_of;
pub(crate) use states::{StoredStates, fingerprint, teacher};

/// Most networks of one chain.
const MOST_NETWORKS: usize = 1_000;

/// What is trained in some steps: one network of a recipe, or all of them together after each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    /// From 1 at the data; after the last network, all together.
    pub number: usize,
    /// The steps of the training that are its own.
    pub steps: Range<u64>,
    /// What it is for.
    pub role: Role,
}

/// What a network is for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Role {
    /// The whole way from noise to data.
    Whole,
    /// A block between two laws of a diffusion; the first diffuses the data for a time beforehand.
    Block { block: LocalBlock, smoothing: f64 },
    /// All blocks so far, of which each row is told its own.
    Blocks(Vec<LocalBlock>),
    /// One evaluation, at the start of this part of the time of what is distilled, over all of its length.
    Student(Interval),
    /// All students at once, one after the other.
    Students,
}

impl Recipe {
    /// How many networks there are, which are trained one after the other.
    #[must_use]
    pub fn parts(&self) -> usize {
        match (&self.local, &self.flow.objective) {
            (Some(local), _) => local.blocks,
            (None, ObjectiveConfig::Distillation(config)) => config.students,
            _ => 1,
        }
    }

    /// Whether it is a chain of networks rather than one flow, with a second stage or without.
    #[must_use]
    pub fn is_chain(&self) -> bool {
        self.local.is_some() || self.is_distilled()
    }

    /// Whether its networks are students, each of one evaluation.
    #[must_use]
    pub fn is_distilled(&self) -> bool {
        matches!(self.flow.objective, ObjectiveConfig::Distillation(_))
    }

    /// A part by its number, from 1 at the data.
    pub(crate) fn part(&self, number: usize) -> Part {
        let (parts, steps) = (self.parts() as u64, self.train.steps);
        let alone = steps - (self.together() * steps as f64).round() as u64;
        let until = |done: u64| match done <= parts {
            true => (u128::from(alone) * u128::from(done) / u128::from(parts)) as u64,
            false => steps,
        };
        let role = match (&self.local, &self.flow.objective) {
            (Some(local), _) if local.weights == Weights::Shared => {
                Role::Blocks((1..=number).map(|block| local.block(block)).collect())
            }
            (Some(local), _) => Role::Block {
                block: local.block(number),
                smoothing: if number == 1 { local.smoothing } else { 0.0 },
            },
            (None, ObjectiveConfig::Distillation(config)) if number <= config.students => {
                Role::Student(config.interval(number))
            }
            (None, ObjectiveConfig::Distillation(_)) => Role::Students,
            _ => Role::Whole,
        };
        Part { number, steps: until(number as u64 - 1)..until(number as u64), role }
    }

    /// The part that goes on after `step` steps: the last one when all are made.
    pub(crate) fn part_after(&self, step: u64) -> Part {
        let last = self.parts() + usize::from(self.together() > 0.0);
        let parts = (1..=last).map(|number| self.part(number));
        parts.clone().find(|part| step < part.steps.end).unwrap_or_else(|| self.part(last))
    }

    /// The share of the steps in which all networks are trained together.
    fn together(&self) -> f64 {
        match &self.flow.objective {
            ObjectiveConfig::Distillation(config) => config.together,
            _ => 0.0,
        }
    }

    /// The network of a part.
    pub(crate) fn model_of(&self, number: usize) -> MlpConfig {
        let widths = match (&self.local, &self.flow.objective) {
            (Some(local), _) => &local.widths[..],
            (None, ObjectiveConfig::Distillation(config)) => &config.widths[..],
            _ => &[],
        };
        let width = widths.get(number - 1).copied().unwrap_or(self.model.width);
        MlpConfig { width, ..self.model.clone() }
    }

    /// The setting by which steps of one of its networks cost more than those of another, so that the first ones do not tell
    /// how long all of them take.
    pub(crate) fn uneven_steps(&self) -> Option<&'static str> {
        match (&self.local, &self.flow.objective) {
            (Some(local), _) if !local.widths.is_empty() => Some("local.widths"),
            (None, ObjectiveConfig::Distillation(config)) if !config.widths.is_empty() => {
                Some("flow.objective.widths")
            }
            (None, ObjectiveConfig::Distillation(_)) if self.together() > 0.0 => {
                Some("flow.objective.together")
            }
            _ => None,
        }
    }

    /// What all chains have in common.
    pub(crate) fn validate_chain(&self) -> Result<(), Invalid> {
        if let Some(local) = &self.local {
            local.validate(self)?;
        }
        if let ObjectiveConfig::Distillation(config) = &self.flow.objective {
            config.validate(self)?;
        }
        if self.is_chain() && self.part(self.parts()).steps.end < self.parts() as u64 {
            let message = format!(
                "{} networks are trained one after the other, so there must be at least as many steps{}",
                self.parts(),
                if self.together() > 0.0 { " beside those of `flow.objective.together`" } else { "" }
            );
            return Err(Invalid::new("train.steps", message));
        }
        Ok(())
    }
}

/// Checks a list with one width for each part.
fn validate_widths(key: &str, widths: &[usize], parts: usize) -> Result<(), Invalid> {
    if widths.contains(&0) {
        return Err(Invalid::new(key, "a width must be at least 1"));
    }
    if !widths.is_empty() && widths.len() != parts {
        let message = format!(
            "there are {} widths for {parts} networks: give one for each, from the data",
            widths.len()
        );
        return Err(Invalid::new(key, message));
    }
    Ok(())
}
