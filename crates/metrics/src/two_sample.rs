//! The metrics between two samples that a recipe can name, and their scores beside the floor.

use std::fmt;

use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;
use thalweg_ot::Points;

use crate::statistics::normal_width;
use crate::{
    Kernel, MetricsError, Score, block_standard_error, checks, energy_distance, frechet_gaussian,
    mean_and_standard_error, mmd2_unbiased, sliced_wasserstein2, wasserstein1, wasserstein2,
};

/// A distance between two samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TwoSample {
    /// [`wasserstein1`]: exact, for clouds of equal size.
    W1,
    /// [`wasserstein2`]: exact, for clouds of equal size; the root.
    W2,
    /// [`sliced_wasserstein2`] along 512 directions; the root.
    SlicedW2,
    /// [`mmd2_unbiased`] with a mixture of kernels around the median distance; can be negative.
    Mmd2,
    /// [`energy_distance`]; can be negative.
    Energy,
    /// [`frechet_gaussian`]: the squared Fréchet distance of the fitted Gaussians.
    Frechet,
}

/// Directions of the sliced distance.
const DIRECTIONS: usize = 512;

/// How a score's uncertainty is estimated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreOptions {
    /// Disjoint blocks that the samples are cut into for the standard error; zero for none.
    pub replicates: usize,
    /// The probability that the interval is to have, between 0 and 1.
    pub confidence: f64,
}

impl Default for ScoreOptions {
    fn default() -> Self {
        Self { replicates: 20, confidence: 0.95 }
    }
}

impl TwoSample {
    /// The distance between two clouds.
    ///
    /// The kernel of [`TwoSample::Mmd2`] is made from these two clouds and the directions of [`TwoSample::SlicedW2`]
    /// from the noise, so values of different calls are not on one scale; [`score_with_floors`] keeps both fixed.
    pub fn evaluate(self, x: Points, y: Points, noise: &mut Noise) -> Result<f64, MetricsError> {
        Ruler::new(self, x, y, noise)?.distance(x, y)
    }

    /// The spelling of recipes and score files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TwoSample::W1 => "w1",
            TwoSample::W2 => "w2",
            TwoSample::SlicedW2 => "sliced-w2",
            TwoSample::Mmd2 => "mmd2",
            TwoSample::Energy => "energy",
            TwoSample::Frechet => "frechet",
        }
    }
}

impl fmt::Display for TwoSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// [`score_with_floors`] with a single pair of true samples: the value is between `samples` and `truth_a`, the floor
/// between `truth_a` and `truth_b`, one draw that scatters as the value of a perfect model does.
pub fn score_with_floor(
    metric: TwoSample,
    samples: Points,
    truth_a: Points,
    truth_b: Points,
    options: ScoreOptions,
    noise: &mut Noise,
) -> Result<Score, MetricsError> {
    score_with_floors(metric, samples, &[[truth_a, truth_b]], options, noise)
}

/// Scores samples of a model against true data, beside the floor: the mean of the same distance over pairs of true
/// samples.
///
/// The value is between `samples` and the first cloud of the first pair. All clouds are independent draws, and for a
/// fair floor they have one size. Kernel and directions are drawn once and serve value, floor and standard error alike.
/// The standard error comes from [`block_standard_error`] and the interval is normal around the value. It tells how the
/// value would vary with new samples; the bias that value and floor share is not in it.
///
/// # Panics
/// When there is no pair.
pub fn score_with_floors(
    metric: TwoSample,
    samples: Points,
    pairs: &[[Points; 2]],
    options: ScoreOptions,
    noise: &mut Noise,
) -> Result<Score, MetricsError> {
    assert!(!pairs.is_empty(), "a floor needs at least one pair of true samples");
    let [truth_a, truth_b] = pairs[0];
    checks::open_unit("confidence", options.confidence)?;
    checks::pair(samples, truth_a)?;
    let ruler = Ruler::new(metric, truth_a, truth_b, noise)?;
    let value = ruler.distance(samples, truth_a)?;
    let floors = pairs.iter().map(|&[a, b]| ruler.distance(a, b)).collect::<Result<Vec<f64>, _>>()?;
    let floor = floors.iter().sum::<f64>() / floors.len() as f64;
    let mut protocol = format!(
        "{}; {} samples against {} true points; floor: {} against {} true points, {}",
        ruler.description(),
        samples.len(),
        truth_a.len(),
        truth_a.len(),
        truth_b.len(),
        scatter(&floors)?,
    );
    let mut score = Score {
        name: metric.name().into(),
        value,
        standard_error: None,
        interval: None,
        floor: Some(floor),
        protocol: String::new(),
    };
    if options.replicates > 0 {
        let error =
            block_standard_error([samples, truth_a], options.replicates, noise, |x, y| ruler.distance(x, y))?;
        let half = normal_width(options.confidence) * error;
        score.standard_error = Some(error);
        score.interval = Some([value - half, value + half]);
        protocol += &format!(
            "; standard error: deviation over {} disjoint blocks of {} points, divided by √{}; \
             interval: normal, {}%, without the bias that value and floor share",
            options.replicates,
            samples.len().min(truth_a.len()) / options.replicates,
            options.replicates,
            100.0 * options.confidence,
        );
    }
    Ok(Score { protocol, ..score })
}

/// The value alone of [`score_with_floors`] with the same noise, on the scale that its first pair gives.
pub fn distance_on_scale(
    metric: TwoSample,
    samples: Points,
    [truth_a, truth_b]: [Points; 2],
    noise: &mut Noise,
) -> Result<f64, MetricsError> {
    checks::pair(samples, truth_a)?;
    Ruler::new(metric, truth_a, truth_b, noise)?.distance(samples, truth_a)
}

/// How well the floor is known, in words.
fn scatter(floors: &[f64]) -> Result<String, MetricsError> {
    if floors.len() == 1 {
        return Ok("one pair, so it scatters as the value of a perfect model does".into());
    }
    let (_, error) = mean_and_standard_error(floors)?;
    Ok(format!("mean over {} independent pairs, standard error {error:.2e}", floors.len()))
}

/// A metric with everything fixed that would otherwise change from one evaluation to the next.
enum Ruler {
    Plain(fn(Points, Points) -> Result<f64, MetricsError>, &'static str),
    Mmd2(Kernel),
    /// The state of the noise from which the directions are drawn, every time anew and every time the same.
    Sliced(Noise),
}

impl Ruler {
    fn new(metric: TwoSample, x: Points, y: Points, noise: &mut Noise) -> Result<Self, MetricsError> {
        Ok(match metric {
            TwoSample::W1 => Ruler::Plain(wasserstein1, "exact W1 by assignment"),
            TwoSample::W2 => Ruler::Plain(wasserstein2, "exact W2 by assignment"),
            TwoSample::SlicedW2 => Ruler::Sliced(noise.split()),
            TwoSample::Mmd2 => Ruler::Mmd2(Kernel::median_mixture(x, y)?),
            TwoSample::Energy => Ruler::Plain(energy_distance, "unbiased energy distance"),
            TwoSample::Frechet => {
                Ruler::Plain(frechet_gaussian, "squared Fréchet distance of fitted Gaussians")
            }
        })
    }

    fn distance(&self, x: Points, y: Points) -> Result<f64, MetricsError> {
        match self {
            Ruler::Plain(distance, _) => distance(x, y),
            Ruler::Mmd2(kernel) => mmd2_unbiased(x, y, kernel),
            Ruler::Sliced(noise) => sliced_wasserstein2(x, y, DIRECTIONS, &mut noise.clone()),
        }
    }

    fn description(&self) -> String {
        match self {
            Ruler::Plain(_, description) => (*description).into(),
            Ruler::Mmd2(kernel) => format!(
                "unbiased squared MMD, mean of Gaussian kernels of bandwidths {:.4?}",
                kernel.bandwidths()
            ),
            Ruler::Sliced(_) => format!("sliced W2 along {DIRECTIONS} directions"),
        }
    }
}
