//! Pairs of a flow with itself: data, and the noise that an accurate solve takes to them.

use std::sync::{Arc, Mutex, PoisonError};

use thalweg_data::{Batch, Dataset, Split};
use thalweg_noise::Noise;
use thalweg_solve::Solver;

use crate::error::TrainError;
use crate::inference::Inference;
use crate::prepare::{PreparedStep, gather, single};
use crate::recipe::Recipe;
use crate::stages::Stages;
use crate::summary::DataSummary;

/// Encodes data in pools, each a function of its number alone.
#[derive(Debug)]
pub struct Encoder<'a> {
    recipe: &'a Recipe,
    dataset: &'a Dataset,
    summary: &'a DataSummary,
    base: Stages,
    solver: &'a Solver,
    rows: usize,
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

impl<'a> Encoder<'a> {
    /// Encodes by `base` and `solver`, `pool` points at once, each of which is used `passes` times.
    pub fn new(
        recipe: &'a Recipe,
        dataset: &'a Dataset,
        summary: &'a DataSummary,
        base: Stages,
        (solver, pool, passes): (&'a Solver, usize, u64),
    ) -> Self {
        let rows = dataset.training_rows().map_or(pool, |rows| rows.min(pool));
        let steps_of_pool = (passes.saturating_mul(rows as u64) / recipe.train.batch as u64).max(1);
        Self { recipe, dataset, summary, base, solver, rows, steps_of_pool, newest: Mutex::new(None) }
    }

    /// The pairs of step `step`.
    ///
    /// # Errors
    /// When the data cannot give a pool, or the solve fails.
    pub fn step(&self, step: u64) -> Result<PreparedStep, TrainError> {
        let seed = self.recipe.seed;
        let pool = self.pool(step / self.steps_of_pool)?;
        let mut rows = Noise::at(seed, "encoded-pairs", step).permutation(self.rows);
        rows.truncate(self.recipe.train.batch);
        let noise = gather(&pool.noise, pool.data.dim, &rows);
        Ok(self.pairs(&pool.data.select(&rows), &noise, Noise::at(seed, "time", step)))
    }

    /// Held-out pairs, the same at every call.
    ///
    /// # Errors
    /// As [`Encoder::step`].
    pub fn validation(&self, rows: usize) -> Result<PreparedStep, TrainError> {
        let seed = self.recipe.seed;
        let data = self.dataset.held_out(Split::Validation, Some(rows), seed)?;
        let noise = self.encode(&data)?;
        Ok(self.pairs(&data, &noise, Noise::at(seed, "validation-time", 0)))
    }

    fn pool(&self, number: u64) -> Result<Arc<Pool>, TrainError> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = newest.as_ref().filter(|(of, _)| *of == number) {
            return Ok(Arc::clone(pool));
        }
        let data = self.dataset.batch(self.rows, self.recipe.seed ^ POOLS, number)?;
        let noise = self.encode(&data)?;
        let pool = Arc::new(Pool { data, noise });
        *newest = Some((number, Arc::clone(&pool)));
        Ok(pool)
    }

    /// The points at the start of the flow through `data`.
    fn encode(&self, data: &Batch) -> Result<Vec<f64>, TrainError> {
        let inference = Inference { recipe: self.recipe, summary: self.summary };
        inference
            .starts(&self.base, self.solver, &data.points, &data.condition)
            .map_err(|error| TrainError::solve("encoding the data", error))
    }

    fn pairs(&self, data: &Batch, noise: &[f64], mut for_times: Noise) -> PreparedStep {
        let interval = self.recipe.flow.path.interval();
        PreparedStep {
            pairs: data.rows,
            dim: data.dim,
            source: single(noise),
            target: single(&data.points),
            condition: data.condition.clone(),
            times: self.recipe.flow.time.sample(data.rows, interval, &mut for_times),
        }
    }
}

/// Turns the seed of batches into that of pools.
const POOLS: u64 = 0x656e_636f_6465_6400;
