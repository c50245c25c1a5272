//! The training loop.
//!
//! One step: take what was prepared ahead, compute the loss and its gradients, clip, update, average. Everything random
//! is addressed by the step's number, so a training that is killed and resumed makes the same bits as one that was
//! not. Sinks are told what happens and cannot change it.

use std::ops::ControlFlow;
use std::time::Instant;

use thalweg_data::Dataset;
use thalweg_nets::Mlp;
use thalweg_run::{Event, RunDir, Sinks};

use crate::ahead::for_each_ahead;
use crate::chain::{Part, Role, StoredStates, dataset_of};
use crate::error::TrainError;
use crate::gradients;
use crate::guard::Guard;
use crate::objective::{Objective, ObjectiveConfig};
use crate::parameters;
use crate::recipe::Recipe;
use crate::stages::Stages;
use crate::state::TrainState;
use crate::summary::DataSummary;

/// A window's mean loss counts as divergence when it is further above the lowest than this many times the lowest's
/// size, which is taken to be at least 10⁻³ for squared errors and 1 for likelihoods, which may be near zero.
const DIVERGED: f64 = 1e3;

/// What a training works on.
#[derive(Debug)]
pub struct Training<'a> {
    /// What to do.
    pub recipe: &'a Recipe,
    /// On what.
    pub dataset: &'a Dataset,
    /// What of it the run remembers.
    pub summary: &'a DataSummary,
    /// Where checkpoints go.
    pub run: &'a RunDir,
    /// The network that the run started from, if from any.
    pub base: Option<&'a Mlp>,
}

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All steps are made.
    Finished,
    /// The observer asked to stop; the state is in a checkpoint.
    Stopped,
}

/// What an observer is shown after each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps made.
    pub step: u64,
    /// Steps of the whole training.
    pub steps: u64,
    /// Loss of this step.
    pub loss: f64,
}

impl Training<'_> {
    /// Trains from `state`; see `Session::train`.
    pub fn run(
        &self,
        state: &mut TrainState,
        sinks: &mut Sinks,
        mut observe: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Ending, TrainError> {
        let Recipe { train, seed, name, .. } = self.recipe;
        let started = Instant::now();
        sinks.event(&Event::Started {
            step: state.step,
            steps: train.steps,
            seed: *seed,
            name: name.clone(),
        });
        let guard = self.guard()?;
        if let Some(guard) = guard.as_ref().filter(|_| state.step == 0) {
            if let (Some(_), Some(base)) = (&self.recipe.residual, self.base) {
                state.watch.alone = Some(guard.look(&Stages::from(base.clone()))?.distance);
            }
            self.look(guard, state, sinks)?;
        }
        let stored = self.stored_states(state, sinks)?;
        let mut ending = Ending::Finished;
        while ending == Ending::Finished && !state.watch.ended {
            let part = self.recipe.part_after(state.step);
            ending = self.run_part(part, (guard.as_ref(), stored.as_ref()), state, sinks, &mut observe)?;
            if state.step >= train.steps {
                break;
            }
        }
        if ending == Ending::Finished {
            sinks.event(&Event::Finished { step: state.step, seconds: started.elapsed().as_secs_f64() });
        }
        Ok(ending)
    }

    /// Trains one network, and makes the state ready for the next where there is one.
    fn run_part(
        &self,
        part: Part,
        (guard, stored): (Option<&Guard>, Option<&StoredStates>),
        state: &mut TrainState,
        sinks: &mut Sinks,
        observe: &mut impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Ending, TrainError> {
        let train = &self.recipe.train;
        let moved = self.moved_data(state, sinks)?;
        let dataset = moved.as_ref().unwrap_or(self.dataset);
        let objective =
            Objective::new((self.recipe, part.clone()), dataset, self.summary, self.base, stored)?;
        let mut ending = Ending::Finished;
        for_each_ahead(
            state.step..part.steps.end,
            |step| objective.prepare(step),
            |step, prepared| {
                let loss = self.step((&objective, &part), state, step, &prepared, sinks)?;
                let progress = Progress { step: state.step, steps: train.steps, loss };
                if observe(progress).is_break() && state.step < train.steps {
                    ending = Ending::Stopped;
                }
                if let Some(guard) = guard.filter(|_| self.is_time(state.step, train.validate_every)) {
                    // Before the checkpoint, which holds the best weights.
                    self.look(guard, state, sinks)?;
                    if state.watch.ended || state.step == train.steps {
                        ending = Ending::Finished;
                        state.keep_best();
                    }
                }
                let last = ending == Ending::Stopped || state.watch.ended;
                let is_over = state.step == part.steps.end && state.step < train.steps;
                if is_over {
                    // The weights that are looked at go aside with the next network.
                    self.validate(&objective, state, sinks)?;
                    let start =
                        stored.and_then(|stored| stored.start(self.recipe, self.summary, part.number + 1));
                    state.next_part(self.recipe, self.summary, start);
                }
                let looks = ending == Ending::Finished && !is_over;
                // Logged before the checkpoint, behind which a killed training goes on, but only heard of after it, so that
                // nothing is lost should the held-out data fail.
                let looked = match looks && self.is_time(state.step, train.validate_every) {
                    true => self.validate(&objective, state, sinks),
                    false => Ok(()),
                };
                if last || is_over || self.is_time(state.step, train.checkpoint_every) {
                    self.checkpoint(state, sinks)?;
                }
                looked?;
                Ok(if last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            },
        )?;
        Ok(ending)
    }

    /// What students learn from; the first of them gets its weights.
    fn stored_states(
        &self,
        state: &mut TrainState,
        sinks: &mut Sinks,
    ) -> Result<Option<StoredStates>, TrainError> {
        let ObjectiveConfig::Distillation(config) = &self.recipe.flow.objective else { return Ok(None) };
        let (stored, warning) =
            StoredStates::open_or_make(self.recipe, config, self.dataset, self.summary, self.run)?;
        if let Some(message) = warning {
            sinks.event(&Event::Warning { step: state.step, message });
        }
        if state.step == 0
            && let Some(start) = stored.start(self.recipe, self.summary, 1)
        {
            *state = TrainState::new(self.recipe, self.summary, Some(&start));
        }
        Ok(Some(stored))
    }

    /// The data as the finished blocks of a local chain have moved them; none where there are none.
    fn moved_data(&self, state: &TrainState, sinks: &mut Sinks) -> Result<Option<Dataset>, TrainError> {
        let Some(local) = &self.recipe.local else { return Ok(None) };
        let moved = dataset_of((self.recipe, local), self.dataset, self.summary, self.run, state)?;
        Ok(moved.map(|(dataset, warning)| {
            if let Some(message) = warning {
                sinks.event(&Event::Warning { step: state.step, message });
            }
            dataset
        }))
    }

    /// The guard of a fine-tuning.
    fn guard(&self) -> Result<Option<Guard<'_>>, TrainError> {
        let ObjectiveConfig::Reconstruction(config) = &self.recipe.flow.objective else { return Ok(None) };
        let how = (&config.guard, config.solver(self.recipe));
        Ok(Some(Guard::new(self.recipe, self.dataset, self.summary, how)?))
    }

    fn look(&self, guard: &Guard, state: &mut TrainState, sinks: &mut Sinks) -> Result<(), TrainError> {
        let (look, step) = (guard.look(&state.average)?, state.step);
        let curves = [
            (format!("guard_{}", guard.config.metric.name()), Some(look.distance)),
            ("variance_ratio".to_string(), Some(look.variance_ratio)),
            ("condition_spread".to_string(), look.condition_spread),
        ];
        for (name, value) in curves {
            if let Some(value) = value {
                sinks.event(&Event::Scalar { step, name, value });
            }
        }
        let TrainState { watch, average, .. } = state;
        for message in watch.note(guard.config, look, step, || parameters::by_name(average)) {
            sinks.event(&Event::Warning { step, message });
        }
        Ok(())
    }

    fn step(
        &self,
        (objective, part): (&Objective, &Part),
        state: &mut TrainState,
        step: u64,
        prepared: &crate::objective::Prepared,
        sinks: &mut Sinks,
    ) -> Result<f64, TrainError> {
        let train = &self.recipe.train;
        let (loss, mut gradients) = objective.loss_and_gradients(&state.model, prepared, step)?;
        let norm = gradients::norm(&gradients);
        self.check_finite(step, loss, norm)?;
        if let Some(limit) = train.clip {
            gradients = gradients::clip(gradients, norm, limit);
        }
        // Each network has a schedule of its own.
        let begun = part.steps.start;
        let rate = train.learning_rate.at(step - begun, part.steps.end - begun);
        // Taken out, so that nothing else holds the parameters and they change in place.
        state.model = state.optimizer.update(state.model.take(), gradients, rate);
        state.step = step + 1;
        state.average = state.average.take().following(
            &state.model,
            self.recipe,
            state.step - begun,
            part.role == Role::Students,
        );
        state.window.sum += loss;
        state.window.count += 1;

        let scalar = |name: &str, value| Event::Scalar { step: state.step, name: name.to_string(), value };
        if self.is_time(state.step, train.log_every) || state.step == part.steps.end {
            let mean = state.window.sum / state.window.count as f64;
            sinks.event(&scalar("loss", mean));
            sinks.event(&scalar("learning_rate", rate));
            sinks.event(&scalar("gradient_norm", norm));
            self.check_trend(step, mean, state.window.lowest)?;
            state.window.lowest = state.window.lowest.min(mean);
            (state.window.sum, state.window.count) = (0.0, 0);
        }
        Ok(loss)
    }

    fn validate(
        &self,
        objective: &Objective,
        state: &TrainState,
        sinks: &mut Sinks,
    ) -> Result<(), TrainError> {
        if let Some(value) = objective.validation_loss(&state.average)? {
            sinks.event(&Event::Scalar { step: state.step, name: "validation_loss".to_string(), value });
        }
        Ok(())
    }

    /// Whether something that happens every `every` steps happens after step `step`; it always does after the last.
    fn is_time(&self, step: u64, every: u64) -> bool {
        step.is_multiple_of(every) || step == self.recipe.train.steps
    }

    fn checkpoint(&self, state: &TrainState, sinks: &mut Sinks) -> Result<(), TrainError> {
        let folder = self.run.save_checkpoint(&state.to_checkpoint(self.recipe, self.summary))?;
        let path = folder.strip_prefix(self.run.path()).unwrap_or(&folder);
        sinks.event(&Event::Checkpoint { step: state.step, path: path.display().to_string() });
        self.run.keep_last(self.recipe.train.keep)?;
        Ok(())
    }

    fn check_finite(&self, step: u64, loss: f64, norm: f64) -> Result<(), TrainError> {
        let cause = if !loss.is_finite() {
            format!("the loss is {loss}")
        } else if !norm.is_finite() {
            format!("the gradient has norm {norm} at a loss of {loss:.4}")
        } else {
            return Ok(());
        };
        Err(self.diverged(step, cause))
    }

    fn check_trend(&self, step: u64, mean: f64, lowest: f64) -> Result<(), TrainError> {
        let least = match self.recipe.flow.objective {
            ObjectiveConfig::FlowMatching
            | ObjectiveConfig::Reconstruction(_)
            | ObjectiveConfig::Reflow(_)
            | ObjectiveConfig::Distillation(_) => 1e-3,
            ObjectiveConfig::Likelihood(_) => 1.0,
        };
        if lowest.is_finite() && mean - lowest > DIVERGED * lowest.abs().max(least) {
            return Err(self.diverged(step, format!("the mean loss rose from {lowest:.4} to {mean:.4}")));
        }
        Ok(())
    }

    fn diverged(&self, step: u64, cause: String) -> TrainError {
        let latest = self.run.latest_checkpoint().ok().and_then(|latest| latest.found);
        let checkpoint = latest.map(|(_, checkpoint)| checkpoint.state.step);
        TrainError::Diverged { step: step + 1, cause, checkpoint }
    }
}
