//! How the flow moves points: the energy of its paths, beside the least that would do, and their straightness.

use thalweg_data::{Condition, Dataset};
use thalweg_metrics::{
    Moments, Score, frechet_of_moments, normalised_path_energy, straightness, wasserstein2,
};
use thalweg_ot::Points;
use thalweg_solve::{Augmented, Placement, Save, Solver, VelocityField as _, integrate, to_host};

use super::truth::HeldOut;
use super::{Tally, mean_score, normal_interval, words};
use crate::error::TrainError;
use crate::trained::TrainedFlow;

/// Paths solved together.
const BATCH: usize = 10_000;

/// What is integrated along each path, one value for each point.
struct Paths {
    /// `∫‖v‖² dt`.
    energies: Vec<f64>,
    /// Energy beyond that of the straight line between the ends, covered at constant speed.
    detours: Vec<f64>,
}

/// Adds path energy, its normalised excess and straightness, of the flow without guidance and in model units.
pub(super) fn score(
    tally: &mut Tally,
    flow: &TrainedFlow,
    dataset: &Dataset,
    source: &[f64],
    held_out: &HeldOut,
    solver: &Solver,
) {
    // A step of a student is a straight line.
    if flow.recipe.is_distilled() {
        return;
    }
    let condition = &held_out.conditions;
    let Some(paths) = tally.keep("path-energy", follow(flow, source, condition, solver)) else {
        return;
    };
    let mut common = format!("integrated along the solve by {}, in model units", words(solver));
    let has_second_stage = flow.second_stage().is_some();
    if has_second_stage {
        common += ", of the flow before its second stage";
    }
    if *condition != Condition::None {
        common += ", each path under its own condition, without guidance";
    }
    if flow.recipe.is_chain() {
        // Energies of blocks have clocks of their own, so only their detours can be added.
        let protocol = format!(
            "path energy beyond that of the straight chords inside each block, summed over the blocks, 0 for straight \
             paths; {common}"
        );
        let straight = mean_score("straightness", &paths.detours, Some(0.0), protocol);
        return tally.add("straightness", straight.map_err(TrainError::from));
    }
    let least = match condition {
        // The flow alone does not arrive at the data.
        _ if has_second_stage => None,
        // Every vector has a law of its own, of which the data hold one point.
        Condition::Vectors { .. } => {
            common += "; no floor, because the least energy under each condition is not known";
            None
        }
        Condition::None | Condition::Labels(_) => {
            tally.keep("npe", least_energy(flow, dataset, source, held_out))
        }
    };
    let mut protocol = format!("mean of the integral of |v|² over {} paths; {common}", paths.energies.len());
    if let Some(least) = &least {
        protocol += &format!("; floor: {}", least.words);
    }
    let floor = least.as_ref().map(|least| least.energy);
    let energy = mean_score("path-energy", &paths.energies, floor, protocol).map_err(TrainError::from);
    let excess = energy.as_ref().ok().zip(least).and_then(|(energy, least)| excess(energy, &least, &common));
    tally.add("path-energy", energy);
    tally.scores.extend(excess);
    let protocol = format!("path energy beyond that of the straight chords, 0 for straight paths; {common}");
    let straight = mean_score("straightness", &paths.detours, Some(0.0), protocol);
    tally.add("straightness", straight.map_err(TrainError::from));
}

/// Solves for the points and the energy they have used together, so that where the velocity grows without bound the
/// steps shrink for both.
fn follow(
    flow: &TrainedFlow,
    source: &[f64],
    condition: &Condition,
    solver: &Solver,
) -> Result<Paths, TrainError> {
    let dim = flow.summary.dim;
    let placement = Placement::cpu();
    let mut paths = Paths { energies: Vec::new(), detours: Vec::new() };
    for (batch, part) in source.chunks(BATCH * dim).enumerate() {
        let rows: Vec<usize> = (0..part.len() / dim).map(|row| batch * BATCH + row).collect();
        let condition = condition.select(&rows);
        let mut x = placement.tensor::<2>(part, [rows.len(), dim]);
        let (mut energies, mut detours) = (vec![0.0; rows.len()], vec![0.0; rows.len()]);
        for leg in flow.legs(solver) {
            let field = flow.leg_field(&leg, (&condition, rows.len()), 1.0, &placement);
            let start = Augmented::zeroed(x.clone(), 1);
            let span = leg.interval.span();
            let end = integrate(&leg.solver, span, start, &Save::End, |times, state: &Augmented<2>| {
                let velocity = field.velocity(times.tensor(state), state.x.clone());
                let squared_speed = velocity.clone().square().sum_dim(1);
                Augmented::new(velocity, squared_speed)
            })
            .map_err(|error| TrainError::solve("following paths", error))?
            .state;
            let squared_chords = to_host(&(end.x.clone() - x).square().sum_dim(1));
            for (row, energy) in to_host(&end.column(0)).into_iter().enumerate() {
                energies[row] += energy;
                detours[row] += straightness(energy, squared_chords[row] / leg.interval.length());
            }
            x = end.x;
        }
        paths.detours.extend(detours);
        paths.energies.extend(energies);
    }
    Ok(paths)
}

/// Finite samples of one law are this share of `W2²` apart at most for it to be taken from them.
const MOST_BIAS: f64 = 0.25;

/// The energy of optimal transport, and how it was found.
struct Least {
    energy: f64,
    /// Whether it is free of the bias of samples.
    exact: bool,
    words: String,
}

/// `W2²` between source and data, for labels the mean of those between the source and each class, because a flow under
/// a label cannot send its points to another class. In closed form between Gaussians, else between the points
/// themselves, where these are many enough to show it.
fn least_energy(
    flow: &TrainedFlow,
    dataset: &Dataset,
    source: &[f64],
    held_out: &HeldOut,
) -> Result<Least, TrainError> {
    if let Some(energy) = between_gaussians(flow, dataset, &held_out.conditions)? {
        let words = "W2² in closed form between the two Gaussians".to_string();
        return Ok(Least { energy, exact: true, words });
    }
    let dim = held_out.first().dim;
    let own = Cloud { points: source, condition: &held_out.conditions, dim };
    let clouds: Vec<[Cloud; 2]> =
        held_out.pairs.iter().map(|pair| pair.each_ref().map(Cloud::from)).collect();
    let energies = clouds.iter().map(|[first, _]| own.squared_distance(first));
    let energies = energies.collect::<Result<Vec<f64>, TrainError>>()?;
    let energy = energies.iter().sum::<f64>() / energies.len() as f64;
    let bias = clouds[0][0].squared_distance(&clouds[0][1])?;
    if bias > MOST_BIAS * energy {
        return Err(TrainError::Request(format!(
            "{} points in {dim} dimensions do not show the W2² between source and data: it is {energy:.4}, but two \
             samples of the data are {bias:.4} apart",
            held_out.rows()
        )));
    }
    let what = match held_out.conditions {
        Condition::Labels(_) => "mean over the classes, by their shares, of the exact W2² between",
        _ => "exact W2² between",
    };
    let sets = match energies.len() {
        1 => String::new(),
        count => format!(", mean over {count} sets of these"),
    };
    let words = format!(
        "{what} the same source points and as many true points{sets}, which is too large on average: two samples of \
         the data are {bias:.4} apart"
    );
    Ok(Least { energy, exact: false, words })
}

/// The closed form, where both source and data are Gaussian and there are no conditions.
fn between_gaussians(
    flow: &TrainedFlow,
    dataset: &Dataset,
    condition: &Condition,
) -> Result<Option<f64>, TrainError> {
    let (Some(gaussian), true, Condition::None) =
        (dataset.gaussian(), flow.summary.gaussian_source, condition)
    else {
        return Ok(None);
    };
    let dim = flow.summary.dim;
    let deviation = flow.recipe.flow.path.source_deviation();
    let diagonal = |index: usize| if index.is_multiple_of(dim + 1) { deviation * deviation } else { 0.0 };
    let source = Moments { mean: vec![0.0; dim], covariance: (0..dim * dim).map(diagonal).collect() };
    let (mut mean, mut covariance) = (gaussian.mean().to_vec(), gaussian.covariance().to_vec());
    dataset.normaliser().apply(&mut mean);
    let scales = &dataset.normaliser().deviation;
    covariance.iter_mut().enumerate().for_each(|(i, c)| *c /= scales[i / dim] * scales[i % dim]);
    Ok(Some(frechet_of_moments(&source, &Moments { mean, covariance })?))
}

/// Points that belong to classes, or to none.
#[derive(Clone, Copy)]
struct Cloud<'a> {
    points: &'a [f64],
    condition: &'a Condition,
    dim: usize,
}

impl<'a> From<&'a thalweg_data::Batch> for Cloud<'a> {
    fn from(batch: &'a thalweg_data::Batch) -> Self {
        Self { points: &batch.points, condition: &batch.condition, dim: batch.dim }
    }
}

impl Cloud<'_> {
    /// Exact `W2²` to another cloud, class by class, weighted by the shares of the classes in this one. Of a class that
    /// is larger in one cloud only the first points count.
    ///
    /// # Errors
    /// When a class of this cloud has fewer than two points in one of the clouds.
    fn squared_distance(&self, other: &Self) -> Result<f64, TrainError> {
        let rows = self.points.len() / self.dim;
        let classes = match self.condition {
            Condition::Labels(labels) => labels.iter().max().map_or(0, |largest| largest + 1),
            Condition::None | Condition::Vectors { .. } => 1,
        };
        let mut sum = 0.0;
        for class in 0..classes {
            let (own, others) = (self.of_class(class), other.of_class(class));
            if own.is_empty() {
                continue;
            }
            let length = own.len().min(others.len());
            if length < 2 * self.dim {
                return Err(TrainError::Request(format!(
                    "class {class} has fewer than two points; evaluate more of them, `evaluate.samples`"
                )));
            }
            let [own_part, others] =
                [&own[..length], &others[..length]].map(|points| Points::new(points, self.dim));
            let share = (own.len() / self.dim) as f64 / rows as f64;
            sum += share * wasserstein2(own_part, others)?.powi(2);
        }
        Ok(sum)
    }

    /// The points of a class, row by row; all of them where there are no labels.
    fn of_class(&self, class: usize) -> Vec<f64> {
        match self.condition {
            Condition::Labels(labels) => {
                let rows = self.points.chunks_exact(self.dim).zip(labels);
                rows.filter(|(_, label)| **label == class).flat_map(|(point, _)| point.to_vec()).collect()
            }
            Condition::None | Condition::Vectors { .. } => self.points.to_vec(),
        }
    }
}

/// `NPE`, or nothing where source and data coincide.
fn excess(energy: &Score, least: &Least, common: &str) -> Option<Score> {
    let value = normalised_path_energy(energy.value, least.energy)?;
    let error = energy.standard_error.map(|error| error / least.energy);
    // A sampled W2² is too large on average, so the optimal flow does not reach zero, nor any other value we know.
    let (floor, known) =
        if least.exact { (Some(0.0), "") } else { (None, "; no floor, because W2² is biased") };
    Some(Score {
        name: "npe".to_string(),
        value,
        standard_error: error,
        interval: error.map(|error| {
            let [low, high] = normal_interval(value, error);
            [low.max(0.0), high]
        }),
        floor,
        protocol: format!(
            "|path energy - W2²| / W2² with {}{known}; {common}; standard error: that of the path energy alone; \
             interval: normal, 95%",
            least.words
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_by_class_do_not_cross_classes() {
        let labels = |labels: &[usize]| Condition::Labels(labels.to_vec());
        let (x, y) = ([0.0, 0.0, 0.0, 9.0, 0.0], [4.0, 1.0, 1.0, 4.0, 1.0]);
        let (of_x, of_y) = (labels(&[0, 1, 0, 0, 1]), labels(&[1, 0, 0, 1, 0]));
        let cloud = |points, condition| Cloud { points, condition, dim: 1 };
        // Class 0: {0, 0, 9} to {1, 1, 1} costs (1 + 1 + 64)/3, class 1: {0, 0} to {4, 4} costs 16.
        let found = cloud(&x, &of_x).squared_distance(&cloud(&y, &of_y)).unwrap();
        assert!((found - (0.6 * 22.0 + 0.4 * 16.0)).abs() < 1e-12, "{found}");
        let none = Condition::None;
        let found = cloud(&x, &none).squared_distance(&cloud(&y, &none)).unwrap();
        assert!((found - (1.0 + 1.0 + 1.0 + 16.0 + 25.0) / 5.0).abs() < 1e-12, "{found}");
        let lonely = labels(&[0, 0, 0, 0, 0]);
        let refused = cloud(&x, &of_x).squared_distance(&cloud(&y, &lonely)).unwrap_err();
        assert!(refused.to_string().contains("class 1 has fewer than two points"), "{refused}");
    }
}
