//! Where points come from: a formula or the rows of a table, each as batches addressed by `(seed, step)`.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use thalweg_noise::Noise;

use crate::batch::{Batch, Condition, ConditionKind};
use crate::config::ConditionConfig;
use crate::error::DataError;
use crate::normaliser::Normaliser;
use crate::sets::{Opened, Sampler, SetConfig, draw_each};
use crate::table::{DataTable, Usage};

/// Points to which the normaliser of a set with a formula is fitted: moments good to about half a percent.
const NORMALISER_DRAWS: usize = 50_000;

/// Where points come from.
#[derive(Debug)]
pub(crate) enum Population {
    /// A formula, or a picture: fresh points for ever.
    Sampler(Box<dyn Sampler>),
    /// Rows of a file.
    Table { table: Box<DataTable>, epochs: Epochs },
}

impl Population {
    /// Makes a set ready. `field` is its name in messages; `usage` matters to tables.
    pub(crate) fn load(set: &SetConfig, field: &str, usage: &Usage, base: &Path) -> Result<Self, DataError> {
        match set.open(field, base)? {
            Opened::Sampler(sampler) => Ok(Self::Sampler(sampler)),
            Opened::Table(file) => {
                let table = Box::new(DataTable::load(file, usage, base)?);
                Ok(Self::Table { table, epochs: Epochs::default() })
            }
        }
    }

    pub(crate) fn dim(&self) -> usize {
        match self {
            Self::Sampler(sampler) => sampler.dim(),
            Self::Table { table, .. } => table.dim,
        }
    }

    pub(crate) fn sampler(&self) -> Option<&dyn Sampler> {
        match self {
            Self::Sampler(sampler) => Some(sampler.as_ref()),
            Self::Table { .. } => None,
        }
    }

    pub(crate) fn condition_kind(&self, config: &ConditionConfig) -> Result<ConditionKind, DataError> {
        match self {
            Self::Table { table, .. } => Ok(table.kind),
            Self::Sampler(_) if matches!(config, ConditionConfig::None {}) => Ok(ConditionKind::None),
            Self::Sampler(sampler) if sampler.classes() > 1 => {
                Ok(ConditionKind::Labels { classes: sampler.classes() })
            }
            Self::Sampler(_) => {
                Err(DataError::config("condition", "the target has no classes; use `kind = \"none\"`"))
            }
        }
    }

    /// Points without conditions, of a table with replacement.
    pub(crate) fn draws(&self, rows: usize, noise: &mut Noise) -> Batch {
        match self {
            Self::Sampler(sampler) => drawn(sampler.as_ref(), rows, noise, ConditionKind::None),
            Self::Table { table, .. } => {
                let train = &table.rows.train;
                let chosen: Vec<usize> = (0..rows).map(|_| train[noise.below(train.len())]).collect();
                gathered(table, &chosen)
            }
        }
    }

    pub(crate) fn batch(
        &self,
        rows: usize,
        address: Address,
        kind: ConditionKind,
    ) -> Result<Batch, DataError> {
        assert!(rows > 0, "a batch has at least one row");
        let Address { seed, step, streams } = address;
        match self {
            Self::Sampler(sampler) => {
                let mut points = vec![0.0; rows * sampler.dim()];
                let classes = sampler.draw_batch(&mut Noise::at(seed, streams.draws, step), &mut points);
                Ok(assembled(sampler.dim(), points, classes, kind))
            }
            Self::Table { table, epochs } => {
                let train = &table.rows.train;
                if train.len() < rows {
                    return Err(DataError::TooFewRows {
                        place: table.place.clone(),
                        rows: train.len(),
                        of: "for training",
                        needed: rows,
                        advice: "a batch holds no row twice; make it smaller",
                    });
                }
                let batches_per_epoch = (train.len() / rows) as u64;
                let order = epochs.order(train.len(), seed, step / batches_per_epoch, streams.order);
                let start = (step % batches_per_epoch) as usize * rows;
                let chosen: Vec<usize> =
                    order[start..start + rows].iter().map(|&place| train[place]).collect();
                Ok(gathered(table, &chosen))
            }
        }
    }

    /// The normaliser of points, and that of condition vectors where there are any.
    pub(crate) fn fit(&self, quanta: Option<&[f64]>, seed: u64) -> (Normaliser, Option<Normaliser>) {
        match self {
            Self::Sampler(sampler) => {
                let mut noise = Noise::at(seed, "data-normaliser", 0);
                let draws = drawn(sampler.as_ref(), NORMALISER_DRAWS, &mut noise, ConditionKind::None);
                (Normaliser::fit(draws.points.chunks_exact(draws.dim), draws.dim), None)
            }
            Self::Table { table, .. } => {
                let train = &table.rows.train;
                let mut points = Normaliser::fit(train.iter().map(|&row| table.point(row)), table.dim);
                if let Some(quanta) = quanta {
                    points = points.with_uniform_noise(quanta);
                }
                let conditions = match &table.condition {
                    Condition::Vectors { dim, values } => {
                        let rows = train.iter().map(|&row| &values[row * dim..(row + 1) * dim]);
                        Some(Normaliser::fit(rows, *dim))
                    }
                    _ => None,
                };
                (points, conditions)
            }
        }
    }
}

/// Names of the noise streams of a population, so that target and source never share numbers.
pub(crate) struct Streams {
    draws: &'static str,
    order: &'static str,
}

pub(crate) const TARGET: Streams = Streams { draws: "data-batch", order: "data-order" };
pub(crate) const SOURCE: Streams = Streams { draws: "data-source", order: "data-source-order" };

/// Which batch.
pub(crate) struct Address {
    pub seed: u64,
    pub step: u64,
    pub streams: &'static Streams,
}

/// The order of the rows in an epoch. It is a function of seed and epoch; the last one is kept so that consecutive
/// steps do not shuffle the table again.
#[derive(Debug, Default)]
pub(crate) struct Epochs {
    last: Mutex<Option<Epoch>>,
}

#[derive(Debug, Clone)]
struct Epoch {
    seed: u64,
    number: u64,
    order: Arc<Vec<usize>>,
}

impl Epochs {
    fn order(&self, rows: usize, seed: u64, number: u64, stream: &str) -> Arc<Vec<usize>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(epoch) = last.as_ref().filter(|epoch| epoch.seed == seed && epoch.number == number) {
            return Arc::clone(&epoch.order);
        }
        let order = Arc::new(Noise::at(seed, stream, number).permutation(rows));
        *last = Some(Epoch { seed, number, order: Arc::clone(&order) });
        order
    }
}

/// Fresh independent points, with their classes if `kind` asks for any.
pub(crate) fn drawn(sampler: &dyn Sampler, rows: usize, noise: &mut Noise, kind: ConditionKind) -> Batch {
    let mut points = vec![0.0; rows * sampler.dim()];
    let classes = draw_each(sampler, noise, &mut points);
    assembled(sampler.dim(), points, classes, kind)
}

fn assembled(dim: usize, points: Vec<f64>, classes: Vec<usize>, kind: ConditionKind) -> Batch {
    let condition = if kind == ConditionKind::None { Condition::None } else { Condition::Labels(classes) };
    Batch { rows: points.len() / dim, dim, points, condition }
}

/// Some rows of a table.
pub(crate) fn gathered(table: &DataTable, rows: &[usize]) -> Batch {
    let points = rows.iter().flat_map(|&row| table.point(row)).copied().collect();
    Batch { rows: rows.len(), dim: table.dim, points, condition: table.condition.select(rows) }
}
