//! The law of data whose density is known, as a mixture of Gaussians in model units.

use thalweg_data::Dataset;
use thalweg_flow::MixtureComponent;

use crate::summary::DataSummary;

/// The components of the data: one for a Gaussian, several for a mixture, none for other laws.
pub(crate) fn components(dataset: &Dataset, summary: &DataSummary) -> Option<Vec<MixtureComponent>> {
    let scaling = &summary.normaliser;
    let dim = summary.dim;
    let scaled = |point: &[f64]| -> Vec<f64> {
        let columns = point.iter().zip(&scaling.mean).zip(&scaling.deviation);
        columns.map(|((x, mean), deviation)| (x - mean) / deviation).collect()
    };
    if let Some(gaussian) = dataset.gaussian() {
        let entry =
            |k: usize| gaussian.covariance()[k] / (scaling.deviation[k / dim] * scaling.deviation[k % dim]);
        let covariance = (0..dim * dim).map(entry).collect();
        return Some(vec![MixtureComponent { weight: 1.0, mean: scaled(gaussian.mean()), covariance }]);
    }
    let modes = dataset.modes()?;
    let part = |k: usize| MixtureComponent {
        weight: modes.weights[k],
        mean: scaled(&modes.centres[k]),
        covariance: (0..dim * dim)
            .map(|entry| {
                let (i, j) = (entry / dim, entry % dim);
                let deviation = modes.deviations[k] / scaling.deviation[i];
                if i == j { deviation * deviation } else { 0.0 }
            })
            .collect(),
    };
    Some((0..modes.weights.len()).map(part).collect())
}

/// The components after a diffusion that leaves `kept` of the data and adds noise of deviation `added`.
pub(crate) fn diffused(components: &[MixtureComponent], (kept, added): (f64, f64)) -> Vec<MixtureComponent> {
    let of = |component: &MixtureComponent| {
        let dim = component.mean.len();
        let entry = |(k, c): (usize, &f64)| {
            kept * kept * c + if k.is_multiple_of(dim + 1) { added * added } else { 0.0 }
        };
        MixtureComponent {
            weight: component.weight,
            mean: component.mean.iter().map(|m| kept * m).collect(),
            covariance: component.covariance.iter().enumerate().map(entry).collect(),
        }
    };
    components.iter().map(of).collect()
}
