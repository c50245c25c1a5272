//! Pairs that a flow makes itself by an accurate solve: data with the noise it comes from, or noise with where it
//! goes.

use std::sync::{Arc, Mutex, PoisonError};

use thalweg_data::{Batch, Condition, Dataset, Split};
use thalweg_noise::Noise;
use thalweg_solve::Solver;

use crate::error::TrainError;
use crate::finetune::{PairsConfig, ReconstructionConfig};
use crate::inference::Inference;
use crate::objective::ObjectiveConfig;
use crate::prepare::{PreparedStep, gather, single};
use crate::recipe::Recipe;
use crate::reflow::ReflowConfig;
use crate::stages::Stages;
use crate::summary::DataSummary;

/// How pools are made.
#[derive(Debug, Clone, Copy)]
pub struct Pools<'a> {
    /// The accurate solver.
    pub solver: &'a Solver,
    /// Pairs of a pool; fewer where data are given and a table has fewer.
    pub rows: usize,
    /// How often each pair is used.
    pub passes: u64,
    /// The share of pairs whose data are given.
    pub from_data: f64,
}

impl<'a> Pools<'a> {
    /// The pools of a recipe; none where a flow makes no pairs of its own.
    pub fn of(recipe: &'a Recipe) -> Option<Self> {
        match &recipe.flow.objective {
            ObjectiveConfig::Reflow(ReflowConfig { pool, passes, solver, encoded }) => {
                Some(Self { solver, rows: *pool, passes: *passes, from_data: *encoded })
            }
            ObjectiveConfig::Reconstruction(ReconstructionConfig {
                pairs: PairsConfig::Itself { pool, passes, solver },
                ..
            }) => Some(Self { solver, rows: *pool, passes: *passes, from_data: 1.0 }),
            _ => None,
        }
    }
}

impl Recipe {
    /// Steps for which one pool of pairs that the flow makes itself lasts, unless a table has fewer rows; none where
    /// there are no such pairs. Steps at which a new one is made take much longer than the others.
    #[must_use]
    pub fn steps_of_pool(&self) -> Option<u64> {
        Pools::of(self).map(|pools| steps_of_pool(pools.rows, pools.passes, self.train.batch))
    }
}

fn steps_of_pool(rows: usize, passes: u64, batch: usize) -> u64 {
    (passes.saturating_mul(rows as u64) / batch as u64).max(1)
}

/// Makes pairs in pools, each a function of its number alone.
#[derive(Debug)]
pub struct OwnPairs<'a> {
    recipe: &'a Recipe,
    dataset: &'a Dataset,
    summary: &'a DataSummary,
    base: Stages,
    solver: &'a Solver,
    /// Pairs of a pool whose data are given, and whose noise is.
    rows: [usize; 2],
    steps_of_pool: u64,
    /// The newest pool and its number.
    newest: Mutex<Option<(u64, Arc<Pool>)>>,
}

/// Data and their noise.
#[derive(Debug)]
struct Pool {
    data: Batch,
    noise: Vec<f64>,
}

impl<'a> OwnPairs<'a> {
    /// Pairs that `base` makes.
    pub fn new(
        recipe: &'a Recipe,
        dataset: &'a Dataset,
        summary: &'a DataSummary,
        base: Stages,
        pools: Pools<'a>,
    ) -> Self {
        let given = (pools.from_data * pools.rows as f64).round() as usize;
        let from_data = dataset.training_rows().map_or(given, |rows| rows.min(given));
        let rows = [from_data, pools.rows - given];
        let steps_of_pool = steps_of_pool(rows.iter().sum(), pools.passes, recipe.train.batch);
        let newest = Mutex::new(None);
        Self { recipe, dataset, summary, base, solver: pools.solver, rows, steps_of_pool, newest }
    }

    /// The pairs of step `step`.
    ///
    /// # Errors
    /// When the data cannot give a pool, or the solve fails.
    pub fn step(&self, step: u64) -> Result<PreparedStep, TrainError> {
        let seed = self.recipe.seed;
        let pool = self.pool(step / self.steps_of_pool)?;
        let mut rows = Noise::at(seed, "encoded-pairs", step).permutation(pool.data.rows);
        rows.truncate(self.recipe.train.batch);
        let noise = gather(&pool.noise, pool.data.dim, &rows);
        Ok(self.pairs(&pool.data.select(&rows), &noise, Noise::at(seed, "time", step)))
    }

    /// Pairs that training never sees, the same at every call: held-out data, or noise of their own.
    ///
    /// # Errors
    /// As [`OwnPairs::step`].
    pub fn validation(&self, rows: usize) -> Result<PreparedStep, TrainError> {
        let seed = self.recipe.seed;
        let held_out = self.dataset.held_out(Split::Validation, Some(rows), seed)?;
        let pool = if self.rows[1] == 0 {
            let noise = self.encode(&held_out)?;
            Pool { data: held_out, noise }
        } else {
            let source = self.dataset.source_draws(rows, seed ^ VALIDATION);
            self.decoded(source, held_out.condition)?
        };
        Ok(self.pairs(&pool.data, &pool.noise, Noise::at(seed, "validation-time", 0)))
    }

    fn pool(&self, number: u64) -> Result<Arc<Pool>, TrainError> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = newest.as_ref().filter(|(of, _)| *of == number) {
            return Ok(Arc::clone(pool));
        }
        let pool = Arc::new(self.made(number)?);
        *newest = Some((number, Arc::clone(&pool)));
        Ok(pool)
    }

    fn made(&self, number: u64) -> Result<Pool, TrainError> {
        let (seed, [from_data, from_noise]) = (self.recipe.seed ^ POOLS, self.rows);
        let encoded = (from_data > 0).then(|| {
            let data = self.dataset.batch(from_data, seed, number)?;
            let noise = self.encode(&data)?;
            Ok::<Pool, TrainError>(Pool { data, noise })
        });
        let decoded = (from_noise > 0).then(|| {
            let source =
                self.dataset.source_draws(from_noise, Noise::at(seed, "noise-pools", number).next_u64());
            let condition = self.conditions(from_noise, seed ^ VALIDATION, number)?;
            self.decoded(source, condition)
        });
        match (encoded.transpose()?, decoded.transpose()?) {
            (Some(a), Some(b)) => Ok(a.and(b)),
            (Some(pool), None) | (None, Some(pool)) => Ok(pool),
            (None, None) => Err(TrainError::Request("a pool has no pairs".to_string())),
        }
    }

    /// Conditions as in the data, again and again where a table has fewer rows.
    fn conditions(&self, rows: usize, seed: u64, number: u64) -> Result<Condition, TrainError> {
        let available = self.dataset.training_rows().map_or(rows, |most| rows.min(most));
        let told = self.dataset.batch(available, seed, number)?.condition;
        Ok(told.select(&(0..rows).map(|row| row % available).collect::<Vec<usize>>()))
    }

    /// The points at the start of the flow through `data`.
    fn encode(&self, data: &Batch) -> Result<Vec<f64>, TrainError> {
        self.inference()
            .starts(&self.base, self.solver, &data.points, &data.condition)
            .map_err(|error| TrainError::solve("encoding the data", error))
    }

    /// Where the flow takes source points.
    fn decoded(&self, mut source: Batch, condition: Condition) -> Result<Pool, TrainError> {
        let deviation = self.recipe.flow.path.source_deviation();
        source.points.iter_mut().for_each(|x| *x *= deviation);
        let points = self
            .inference()
            .ends(&self.base, self.solver, &source.points, &condition)
            .map_err(|error| TrainError::solve("making pairs", error))?;
        let Batch { rows, dim, points: noise, .. } = source;
        Ok(Pool { data: Batch { rows, dim, points, condition }, noise })
    }

    fn inference(&self) -> Inference<'_> {
        Inference { recipe: self.recipe, summary: self.summary }
    }

    fn pairs(&self, data: &Batch, noise: &[f64], mut for_times: Noise) -> PreparedStep {
        let pairs = PreparedStep {
            pairs: data.rows,
            dim: data.dim,
            source: single(noise),
            target: single(&data.points),
            condition: data.condition.clone(),
            times: Vec::new(),
        };
        pairs.timed(self.recipe, &mut for_times)
    }
}

impl Pool {
    /// The pairs of both.
    fn and(mut self, other: Self) -> Self {
        self.noise.extend(other.noise);
        Self { data: self.data.and(other.data), noise: self.noise }
    }
}

/// Turns the seed of batches into that of pools.
const POOLS: u64 = 0x656e_636f_6465_6400;
/// Turns a seed into that of pairs which training does not see, or of conditions apart from the data beside them.
const VALIDATION: u64 = 0x6f77_6e20_7061_6972;
