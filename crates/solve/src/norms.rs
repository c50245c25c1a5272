//! Sizes of errors, part by part and sample by sample.

/// The sizes of the parts of a state, for each sample: for points alone one part, for points with running integrals
/// one more for each integral.
#[derive(Debug, Clone, PartialEq)]
pub struct Norms {
    /// A list of samples for each part.
    parts: Vec<Vec<f64>>,
}

impl Norms {
    /// Sizes `parts[part][sample]` of at least one part.
    #[must_use]
    pub fn new(parts: Vec<Vec<f64>>) -> Self {
        assert!(!parts.is_empty(), "a state has at least one part");
        Self { parts }
    }

    /// For each sample the largest of its parts: what decides when samples have steps of their own.
    #[must_use]
    pub fn of_samples(&self) -> Vec<f64> {
        let samples = 0..self.parts[0].len();
        samples.map(|sample| largest(self.parts.iter().map(|part| part[sample]))).collect()
    }

    /// The largest of the parts' root mean squares over the samples: what decides when the batch shares its steps.
    ///
    /// This is smaller than the root mean square of [`of_samples`](Self::of_samples), which would hold the whole batch
    /// to the worst part of every sample.
    #[must_use]
    pub fn of_batch(&self) -> f64 {
        largest(self.parts.iter().map(|part| root_mean_square(part)))
    }
}

fn root_mean_square(norms: &[f64]) -> f64 {
    (norms.iter().map(|norm| norm * norm).sum::<f64>() / norms.len() as f64).sqrt()
}

/// The largest of some norms, or NaN if one is NaN.
fn largest(norms: impl Iterator<Item = f64>) -> f64 {
    norms.fold(0.0, |most, norm| if norm > most || norm.is_nan() { norm } else { most })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_take_the_largest_part_and_the_batch_the_largest_mean() {
        let norms = Norms::new(vec![vec![3.0, 0.0], vec![0.0, 4.0]]);
        assert_eq!(norms.of_samples(), [3.0, 4.0]);
        assert_eq!(norms.of_batch(), 8.0_f64.sqrt());
    }

    #[test]
    fn what_is_not_a_number_is_never_small() {
        let norms = Norms::new(vec![vec![1.0, 2.0], vec![f64::NAN, 0.0]]);
        assert!(norms.of_samples()[0].is_nan() && norms.of_batch().is_nan());
        assert_eq!(norms.of_samples()[1], 2.0);
        assert_eq!(Norms::new(vec![vec![f64::INFINITY, 0.0]]).of_batch(), f64::INFINITY);
    }
}
