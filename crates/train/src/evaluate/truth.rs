//! The held-out points of an evaluation: pairs of independent sets, and conditions for samples that are independent of
//! the set these are compared with, as the two sets of a pair are.

use thalweg_data::{Batch, Condition, Dataset, Normaliser, Split};
use thalweg_noise::Noise;

use super::Truth;
use crate::error::TrainError;

/// Pairs behind the floors where the truth can be drawn.
const PAIRS: u64 = 4;

/// Turns the seed of the first draw into those of the others.
const OTHERS: u64 = 0x6f74_6865_7273_0000;

/// Independent sets of true points of equal size, in model units.
#[derive(Debug)]
pub(super) struct HeldOut {
    /// At least one pair; floors compare the sets of a pair, and samples are compared with the first set of the first.
    pub pairs: Vec<[Batch; 2]>,
    /// A condition for each sample. With those of the set that samples are compared with, both would have the same
    /// share of every class, and a perfect model would fall below its floor.
    pub conditions: Condition,
    /// Where they come from, in words.
    pub origin: &'static str,
    /// Whether training has never seen them.
    unseen: bool,
}

impl HeldOut {
    /// Sets of `wanted` points. A formula gives several pairs of fresh draws, and one more for the conditions. A table
    /// gives one pair, the disjoint halves of its test split, and the conditions of the second half. A table without test
    /// rows gives its validation rows, and one without these its training rows; then there is a warning.
    ///
    /// # Errors
    /// When a table has fewer than four rows.
    pub fn draw(dataset: &Dataset, wanted: usize, seed: u64) -> Result<Self, TrainError> {
        let Some(training_rows) = dataset.training_rows() else {
            let draw = |index| {
                let seed = if index == 0 { seed } else { seed ^ (OTHERS + index) };
                dataset.held_out(Split::Test, Some(wanted), seed)
            };
            let pairs = (0..PAIRS).map(|pair| Ok([draw(2 * pair)?, draw(2 * pair + 1)?]));
            let pairs = pairs.collect::<Result<Vec<[Batch; 2]>, TrainError>>()?;
            let conditions = draw(2 * PAIRS)?.condition;
            return Ok(Self { pairs, conditions, origin: "fresh draws", unseen: true });
        };
        let places = [
            (Some(Split::Test), "the test split", true),
            (Some(Split::Validation), "the validation split", true),
            (None, "the training rows", false),
        ];
        for (split, origin, unseen) in places {
            let rows = split.map_or(Some(training_rows), |split| dataset.held_out_rows(split)).unwrap_or(0);
            let half = wanted.min(rows / 2);
            if half < 2 {
                continue;
            }
            let both = match split {
                Some(split) => dataset.held_out(split, Some(2 * half), seed)?,
                None => dataset.batch(2 * half, seed, 0)?,
            };
            // A split that is used up comes in the order of the file, which may drift from top to bottom.
            let order = Noise::at(seed, "evaluate-halves", 0).permutation(2 * half);
            let (first, second) = (both.select(&order[..half]), both.select(&order[half..]));
            let conditions = second.condition.clone();
            return Ok(Self { pairs: vec![[first, second]], conditions, origin, unseen });
        }
        Err(TrainError::Request(format!(
            "the data have only {training_rows} rows: an evaluation needs at least 4, two to compare samples with and \
             two for the floor"
        )))
    }

    /// What samples are compared with.
    pub fn first(&self) -> &Batch {
        &self.pairs[0][0]
    }

    /// Points in each set.
    pub fn rows(&self) -> usize {
        self.first().rows
    }

    /// What to know before trusting comparisons with these points.
    pub fn warning(&self, wanted: usize) -> Option<String> {
        if !self.unseen {
            let advice = "a flow that remembers them looks good; hold rows out with `[data.split]`";
            return Some(format!("samples are compared with {}: {advice}", self.origin));
        }
        (self.origin == "the validation split" || self.rows() < wanted).then(|| {
            let rows = self.rows();
            format!("samples are compared with {rows} points of {}, half of what it has", self.origin)
        })
    }

    /// The first set in data units.
    pub fn truth(&self, normaliser: &Normaliser) -> Truth {
        let Batch { points, dim, condition, .. } = self.first();
        let mut points = points.clone();
        normaliser.invert(&mut points);
        Truth { points, dim: *dim, condition: condition.clone(), origin: self.origin }
    }
}
