//! The outcome of a coupling.

use thalweg_ot::Points;

/// Pairs of source and data points by their indices in the batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairing {
    /// Index of each pair's source point.
    pub source: Vec<usize>,
    /// Index of each pair's data point; conditions follow this one.
    pub target: Vec<usize>,
    /// Mean squared distance of a pair.
    pub cost: f64,
}

/// How often the points of a batch occur in a pairing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeats {
    /// Source points in at least one pair.
    pub distinct_sources: usize,
    /// Data points in at least one pair.
    pub distinct_targets: usize,
    /// Pairs of the most used point of either side.
    pub most: usize,
}

impl Pairing {
    pub(super) fn new(source: Vec<usize>, target: Vec<usize>, x0: Points, x1: Points) -> Self {
        let squared = |(&i, &j): (&usize, &usize)| -> f64 {
            x0.row(i).iter().zip(x1.row(j)).map(|(a, b)| (a - b) * (a - b)).sum()
        };
        let cost = source.iter().zip(&target).map(squared).sum::<f64>() / source.len() as f64;
        Self { source, target, cost }
    }

    /// Number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.source.len()
    }

    /// Whether there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.source.is_empty()
    }

    /// Whether every point of two batches of size `n` is in exactly one pair.
    #[must_use]
    pub fn is_permutation_of(&self, n: usize) -> bool {
        let repeats = self.repeats();
        self.len() == n && repeats.distinct_sources == n && repeats.distinct_targets == n
    }

    /// Counts repeated points.
    #[must_use]
    pub fn repeats(&self) -> Repeats {
        let count = |indices: &[usize]| {
            let mut sorted = indices.to_vec();
            sorted.sort_unstable();
            let runs: Vec<usize> = sorted.chunk_by(|a, b| a == b).map(<[usize]>::len).collect();
            (runs.len(), runs.into_iter().max().unwrap_or(0))
        };
        let (distinct_sources, most_source) = count(&self.source);
        let (distinct_targets, most_target) = count(&self.target);
        Repeats { distinct_sources, distinct_targets, most: most_source.max(most_target) }
    }
}
