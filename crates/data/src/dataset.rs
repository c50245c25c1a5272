//! A data set ready for training: batches that are a pure function of `(seed, step)`, held-out points, the map between
//! data units and model units, and what is known of the true density.

use std::path::Path;

use thalweg_files::Fingerprint;
use thalweg_noise::Noise;

use crate::batch::{Batch, Condition, ConditionKind};
use crate::config::{ConditionConfig, DataConfig, SourceConfig, SplitConfig};
use crate::error::{DataError, Place};
use crate::normaliser::Normaliser;
use crate::population::{Address, Epochs, Population, SOURCE, TARGET, drawn, gathered};
use crate::sets::gaussian::Gaussian;
use crate::sets::mixture::Modes;
use crate::split::{Rows, Split};
use crate::table::{DataTable, Usage};

/// Points drawn for [`Dataset::held_out`] from a set with a formula when no number is given.
pub const DEFAULT_HELD_OUT: usize = 10_000;

/// Data to learn from; see the module's documentation.
///
/// Points and condition vectors are handed out in model units, that is standardised when the configuration says so;
/// [`Dataset::normaliser`] leads back. [`Dataset::log_density`] and [`Dataset::modes`] speak of data units.
#[derive(Debug)]
pub struct Dataset {
    target: Population,
    source: Option<Population>,
    kind: ConditionKind,
    /// To what each column was rounded.
    quanta: Option<Vec<f64>>,
    normaliser: Normaliser,
    condition_normaliser: Option<Normaliser>,
    fingerprint: String,
}

impl Dataset {
    /// Reads and checks all that `config` names. Paths in it are relative to `base`.
    ///
    /// The seed only matters for a standardised set with a formula, whose moments are estimated from draws.
    ///
    /// # Errors
    /// When the configuration is impossible, or a file cannot be read or does not suit it.
    pub fn load(config: &DataConfig, seed: u64, base: &Path) -> Result<Self, DataError> {
        config.validate()?;
        let usage = Usage { condition: &config.condition, split: &config.split };
        let target = Population::load(&config.target, "target", &usage, base)?;
        let source = match &config.source {
            SourceConfig::Gaussian {} => None,
            SourceConfig::Set { set } => {
                let usage = Usage { condition: &ConditionConfig::None {}, split: &SplitConfig::None {} };
                Some(Population::load(set, "source.set", &usage, base)?)
            }
        };
        if let Some(source) = source.as_ref().filter(|source| source.dim() != target.dim()) {
            let reason = format!("has dimension {}, but the target has {}", source.dim(), target.dim());
            return Err(DataError::config("source.set", reason));
        }
        let kind = target.condition_kind(&config.condition)?;
        let dequantise = config.dequantise.as_ref();
        let quanta = dequantise.map(|quanta| quanta.of_columns(target.dim())).transpose()?;
        let (normaliser, condition_normaliser) = if config.standardise {
            target.fit(quanta.as_deref(), seed)
        } else {
            (Normaliser::identity(target.dim()), None)
        };
        let fingerprint = fingerprint(config, &target, source.as_ref())?;
        Ok(Self { target, source, kind, quanta, normaliser, condition_normaliser, fingerprint })
    }

    /// A data set of these points, which are made from those of this one and are in model units, as all of them are
    /// handed out. It keeps the fingerprint, and has no source but the standard normal and no test split.
    ///
    /// # Panics
    /// When there are no points for training, or they have other coordinates or conditions than this set.
    #[must_use]
    pub fn replaced_by(&self, training: Batch, validation: Option<Batch>) -> Self {
        let rows = training.rows;
        let held_out = validation.as_ref().map_or(0, |batch| batch.rows);
        assert!(rows > 0 && training.dim == self.dim(), "points that do not fit the data set");
        let Batch { dim, points, condition, .. } = match validation {
            Some(validation) => training.and(validation),
            None => training,
        };
        let table = DataTable {
            place: Place::file(Path::new("the points in their place")),
            dim,
            points,
            condition,
            kind: self.kind,
            rows: Rows {
                train: (0..rows).collect(),
                validation: (rows..rows + held_out).collect(),
                test: Vec::new(),
            },
        };
        Self {
            target: Population::Table { table: Box::new(table), epochs: Epochs::default() },
            source: None,
            kind: self.kind,
            quanta: None,
            normaliser: Normaliser::identity(dim),
            condition_normaliser: None,
            fingerprint: self.fingerprint.clone(),
        }
    }

    /// Coordinates of a point.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.target.dim()
    }

    /// Which conditions come with the points.
    #[must_use]
    pub fn condition_kind(&self) -> ConditionKind {
        self.kind
    }

    /// The training batch of one step.
    ///
    /// Sets with a formula draw fresh points. A table goes through its training rows in an order of its own for each
    /// epoch; an incomplete last batch is dropped.
    ///
    /// # Errors
    /// When a table has fewer training rows than `rows`.
    ///
    /// # Panics
    /// When `rows` is zero.
    pub fn batch(&self, rows: usize, seed: u64, step: u64) -> Result<Batch, DataError> {
        let mut batch = self.target.batch(rows, Address { seed, step, streams: &TARGET }, self.kind)?;
        self.finish(&mut batch, &mut Noise::at(seed, "data-dequantise", step));
        Ok(batch)
    }

    /// Points of the source for one step, independent of [`Dataset::batch`], without conditions.
    ///
    /// # Errors
    /// When the source is a table with fewer rows than `rows`.
    ///
    /// # Panics
    /// When `rows` is zero.
    pub fn source_batch(&self, rows: usize, seed: u64, step: u64) -> Result<Batch, DataError> {
        assert!(rows > 0, "a batch has at least one row");
        let dim = self.dim();
        match &self.source {
            None => {
                let points = Noise::at(seed, "data-source", step).normals(rows * dim);
                Ok(Batch { rows, dim, points, condition: Condition::None })
            }
            Some(source) => {
                let address = Address { seed, step, streams: &SOURCE };
                let mut batch = source.batch(rows, address, ConditionKind::None)?;
                self.normaliser.apply(&mut batch.points);
                Ok(batch)
            }
        }
    }

    /// Any number of source points for sampling, without conditions: fresh draws, or rows of a table with replacement.
    #[must_use]
    pub fn source_draws(&self, rows: usize, seed: u64) -> Batch {
        let dim = self.dim();
        let mut noise = Noise::at(seed, "data-source-draws", 0);
        match &self.source {
            None => Batch { rows, dim, points: noise.normals(rows * dim), condition: Condition::None },
            Some(source) => {
                let mut batch = source.draws(rows, &mut noise);
                self.normaliser.apply(&mut batch.points);
                batch
            }
        }
    }

    /// Points that training never sees: fresh independent draws from a set with a formula, rows of the split of a
    /// table. Without a number, all rows of the split, or [`DEFAULT_HELD_OUT`] draws; with a number below that of the
    /// split, a random choice.
    ///
    /// # Errors
    /// When a table has no such split, or fewer rows in it than asked for.
    pub fn held_out(&self, split: Split, rows: Option<usize>, seed: u64) -> Result<Batch, DataError> {
        let (draws, choice, dequantise) = match split {
            Split::Validation => ("data-validation", "data-validation-rows", "data-validation-dequantise"),
            Split::Test => ("data-test", "data-test-rows", "data-test-dequantise"),
        };
        let mut batch = match &self.target {
            Population::Sampler(sampler) => {
                let rows = rows.unwrap_or(DEFAULT_HELD_OUT);
                drawn(sampler.as_ref(), rows, &mut Noise::at(seed, draws, 0), self.kind)
            }
            Population::Table { table, .. } => {
                let available = split_rows(&table.rows, split);
                let wanted = rows.unwrap_or(available.len());
                let of = match split {
                    Split::Validation => "in the validation split",
                    Split::Test => "in the test split",
                };
                if available.is_empty() || wanted > available.len() {
                    let needed = wanted.max(1);
                    let advice = "hold out more rows with `[data.split]`, or ask for fewer";
                    let place = table.place.clone();
                    return Err(DataError::TooFewRows { place, rows: available.len(), of, needed, advice });
                }
                let mut chosen = available.to_vec();
                if wanted < available.len() {
                    Noise::at(seed, choice, 0).shuffle(&mut chosen);
                    chosen.truncate(wanted);
                }
                gathered(table, &chosen)
            }
        };
        self.finish(&mut batch, &mut Noise::at(seed, dequantise, 0));
        Ok(batch)
    }

    /// How many rows a split of a table has; none for a set with a formula, which has as many as are asked for.
    #[must_use]
    pub fn held_out_rows(&self, split: Split) -> Option<usize> {
        match &self.target {
            Population::Sampler(_) => None,
            Population::Table { table, .. } => Some(split_rows(&table.rows, split).len()),
        }
    }

    /// How many rows a table has for training; none for a set with a formula.
    #[must_use]
    pub fn training_rows(&self) -> Option<usize> {
        match &self.target {
            Population::Sampler(_) => None,
            Population::Table { table, .. } => Some(table.rows.train.len()),
        }
    }

    /// The map from data units to model units; the identity unless the data are standardised.
    #[must_use]
    pub fn normaliser(&self) -> &Normaliser {
        &self.normaliser
    }

    /// The map of condition vectors to model units, where there are any and they are standardised.
    #[must_use]
    pub fn condition_normaliser(&self) -> Option<&Normaliser> {
        self.condition_normaliser.as_ref()
    }

    /// 32 hexadecimal digits that change with the configuration and with any value in its files, but not with the
    /// folders in which the files are.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The true log-density at a point in data units, in nats, where it is known; negative infinity outside the
    /// support. Classes do not enter: it is the density of the mixture of all.
    #[must_use]
    pub fn log_density(&self, point: &[f64]) -> Option<f64> {
        self.target.sampler()?.log_density(point)
    }

    /// The modes in data units, where the target has some to recall.
    #[must_use]
    pub fn modes(&self) -> Option<Modes> {
        self.target.sampler()?.modes()
    }

    /// Mean and covariance in data units, when the target is one Gaussian.
    #[must_use]
    pub fn gaussian(&self) -> Option<&Gaussian> {
        self.target.sampler()?.gaussian()
    }

    /// Adds the noise of dequantisation and goes over to model units.
    fn finish(&self, batch: &mut Batch, noise: &mut Noise) {
        if let Some(quanta) = &self.quanta {
            for (value, quantum) in batch.points.iter_mut().zip(quanta.iter().cycle()) {
                *value += quantum * noise.uniform();
            }
        }
        self.normaliser.apply(&mut batch.points);
        if let (Some(normaliser), Condition::Vectors { values, .. }) =
            (&self.condition_normaliser, &mut batch.condition)
        {
            normaliser.apply(values);
        }
    }
}

fn split_rows(rows: &Rows, split: Split) -> &[usize] {
    match split {
        Split::Validation => &rows.validation,
        Split::Test => &rows.test,
    }
}

fn fingerprint(
    config: &DataConfig,
    target: &Population,
    source: Option<&Population>,
) -> Result<String, DataError> {
    let mut portable = config.clone();
    let mut paths = Vec::from_iter(portable.target.path_mut());
    if let SourceConfig::Set { set } = &mut portable.source {
        paths.extend(set.path_mut());
    }
    if let SplitConfig::Members { path: Some(path), .. } = &mut portable.split {
        paths.push(path);
    }
    for path in paths {
        *path = path.file_name().unwrap_or_default().into();
    }
    let text = serde_json::to_string(&portable)
        .map_err(|error| DataError::config("data", format!("cannot be written down: {error}")))?;
    let mut fingerprint = Fingerprint::default();
    fingerprint.bytes(text.as_bytes());
    for population in [Some(target), source].into_iter().flatten() {
        match population {
            Population::Sampler(sampler) => fingerprint.numbers(sampler.file_values()),
            Population::Table { table, .. } => {
                fingerprint.numbers(&table.points);
                match &table.condition {
                    Condition::None => {}
                    Condition::Labels(labels) => fingerprint.indices(labels),
                    Condition::Vectors { values, .. } => fingerprint.numbers(values),
                }
                for rows in [&table.rows.train, &table.rows.validation, &table.rows.test] {
                    fingerprint.indices(&[rows.len()]);
                    fingerprint.indices(rows);
                }
            }
        }
    }
    Ok(fingerprint.text())
}
