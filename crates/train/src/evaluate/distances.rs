//! Samples against true points: two-sample distances, spread, and modes.

use thalweg_data::{Condition, Dataset, Modes};
use thalweg_metrics::{
    MetricsError, Score, ScoreOptions, block_standard_error, mode_recall, precision, score_with_floors,
    variance_ratio, wilson,
};
use thalweg_noise::Noise;
use thalweg_ot::Points;

use super::truth::HeldOut;
use super::{CONFIDENCE, Tally, normal_interval};
use crate::error::TrainError;
use crate::trained::{Samples, TrainedFlow};

/// Fewest points in a block that a standard error is made from.
const SMALLEST_BLOCK: usize = 10;

/// Samples and pairs of sets of true points, in the units that distances are measured in.
pub(super) struct Clouds {
    samples: Vec<f64>,
    pairs: Vec<[Vec<f64>; 2]>,
    dim: usize,
    units: &'static str,
}

/// Adds the recipe's distances, the variance ratio and, where the data have modes, mode recall and precision.
pub(super) fn score(
    tally: &mut Tally,
    samples: &Samples,
    held_out: &HeldOut,
    flow: &TrainedFlow,
    dataset: &Dataset,
    seed: u64,
) {
    let settings = &flow.recipe.evaluate;
    let clouds = Clouds::new(samples, held_out, dataset);
    let blocks = settings.replicates.min(held_out.rows() / SMALLEST_BLOCK);
    let options = ScoreOptions { replicates: if blocks < 2 { 0 } else { blocks }, confidence: CONFIDENCE };
    let pairs = clouds.pairs();
    let given = match held_out.conditions {
        Condition::None => "",
        _ => "; samples under conditions drawn like those of the true points but independently of them",
    };
    for &metric in &settings.metrics {
        let mut noise = Noise::at(seed, "evaluate-metric", 0);
        let score = score_with_floors(metric, clouds.samples(), &pairs, options, &mut noise);
        let score = score.map(|score| Score {
            protocol: format!("{}; {}; {}{given}", score.protocol, held_out.origin, clouds.units),
            ..score
        });
        tally.add(metric.name(), score.map_err(TrainError::from));
    }
    tally.add("variance-ratio", spread(&clouds, options.replicates, seed));
    if let Some(modes) = dataset.modes() {
        let near = Neighbourhoods::of(&modes, clouds.dim);
        tally.add("mode-recall", recall(&clouds, &near));
        tally.add("precision", share_near_modes(&clouds, &near));
    }
}

impl Clouds {
    /// Model units for tables, so that standardised columns count alike; data units for formulas.
    pub(super) fn new(samples: &Samples, held_out: &HeldOut, dataset: &Dataset) -> Self {
        let mut clouds = Self {
            samples: samples.points.clone(),
            pairs: held_out.pairs.iter().map(|pair| pair.each_ref().map(|set| set.points.clone())).collect(),
            dim: samples.dim,
            units: "in model units, so that columns count alike",
        };
        let normaliser = dataset.normaliser();
        if dataset.training_rows().is_some() {
            normaliser.apply(&mut clouds.samples);
        } else {
            clouds.pairs.iter_mut().flatten().for_each(|points| normaliser.invert(points));
            clouds.units = "in data units";
        }
        clouds
    }

    pub(super) fn samples(&self) -> Points<'_> {
        Points::new(&self.samples, self.dim)
    }

    pub(super) fn pairs(&self) -> Vec<[Points<'_>; 2]> {
        self.pairs.iter().map(|pair| pair.each_ref().map(|values| Points::new(values, self.dim))).collect()
    }

    /// The mean of a statistic of one cloud over all sets of true points: the floor of what has no second cloud.
    fn floor(&self, statistic: impl Fn(Points) -> Result<f64, MetricsError>) -> Result<f64, MetricsError> {
        let values = self.pairs().into_iter().flatten().map(statistic).collect::<Result<Vec<f64>, _>>()?;
        Ok(values.iter().sum::<f64>() / values.len() as f64)
    }
}

/// The centres of the modes, and how far from them their points are.
struct Neighbourhoods<'a> {
    centres: Vec<f64>,
    weights: &'a [f64],
    dim: usize,
    radius: f64,
}

impl<'a> Neighbourhoods<'a> {
    /// Three deviations in the plane; distances from a centre grow like the root of the dimension.
    fn of(modes: &'a Modes, dim: usize) -> Self {
        let deviation = modes.deviations.iter().copied().fold(0.0, f64::max);
        let radius = 3.0 * deviation * (dim as f64 / 2.0).sqrt();
        Self { centres: modes.centres.concat(), weights: &modes.weights, dim, radius }
    }

    fn centres(&self) -> Points<'_> {
        Points::new(&self.centres, self.dim)
    }
}

fn spread(clouds: &Clouds, blocks: usize, seed: u64) -> Result<Score, TrainError> {
    let (x, pairs) = (clouds.samples(), clouds.pairs());
    let a = pairs[0][0];
    let value = variance_ratio(x, a)?;
    let floors = pairs.iter().map(|&[a, b]| variance_ratio(b, a)).collect::<Result<Vec<f64>, _>>()?;
    let error = if blocks == 0 {
        None
    } else {
        let mut noise = Noise::at(seed, "evaluate-variance", 0);
        Some(block_standard_error([x, a], blocks, &mut noise, variance_ratio)?)
    };
    let mut protocol = format!(
        "total variance of {} samples over that of {} true points, {}; floor: that of two true samples, mean over {}",
        x.len(),
        a.len(),
        clouds.units,
        match floors.len() {
            1 => "one pair".to_string(),
            count => format!("{count} independent pairs"),
        }
    );
    if error.is_some() {
        protocol += &format!("; standard error from {blocks} disjoint blocks; interval: normal, 95%");
    }
    Ok(Score {
        name: "variance-ratio".to_string(),
        value,
        standard_error: error,
        interval: error.map(|error| normal_interval(value, error)),
        floor: Some(floors.iter().sum::<f64>() / floors.len() as f64),
        protocol,
    })
}

fn recall(clouds: &Clouds, near: &Neighbourhoods) -> Result<Score, TrainError> {
    let statistic = |points: Points| mode_recall(points, near.centres(), near.weights, near.radius);
    Ok(Score {
        name: "mode-recall".to_string(),
        value: statistic(clouds.samples())?,
        standard_error: None,
        interval: None,
        floor: Some(clouds.floor(statistic)?),
        protocol: format!(
            "share of the {} modes with at least a third of their due of {} samples within {:.4}; floor: the same of as \
             many true points, mean over {} sets",
            near.centres().len(),
            clouds.samples().len(),
            near.radius,
            2 * clouds.pairs.len()
        ),
    })
}

fn share_near_modes(clouds: &Clouds, near: &Neighbourhoods) -> Result<Score, TrainError> {
    let (x, radius) = (clouds.samples(), near.radius);
    let statistic = |points: Points| precision(points, near.centres(), radius);
    let value = statistic(x)?;
    let inside = (value * x.len() as f64).round() as usize;
    Ok(Score {
        name: "precision".to_string(),
        value,
        standard_error: None,
        interval: Some(wilson(inside, x.len(), CONFIDENCE)?.into()),
        floor: Some(clouds.floor(statistic)?),
        protocol: format!(
            "share of {} samples within {radius:.4} of a mode; interval: Wilson, 95%; floor: the same of as many true \
             points, mean over {} sets",
            x.len(),
            2 * clouds.pairs.len()
        ),
    })
}
