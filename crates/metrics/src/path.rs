//! How straight and how long the way from noise to data is (FORMULAS §11).

use crate::{MetricsError, checks};

/// `PE = ∫ E‖v(x_t, t)‖² dt` from the mean squared speeds at given times, by Simpson's rule on a grid of any spacing.
///
/// The times increase; the integral runs from the first to the last. Exact for speeds that are cubic in time when
/// there is an odd number of evenly spaced times. Two times give the trapezoid.
pub fn path_energy(times: &[f64], mean_squared_speeds: &[f64]) -> Result<f64, MetricsError> {
    checks::list("the list of times", times, 2)?;
    checks::list("the list of speeds", mean_squared_speeds, 2)?;
    assert_eq!(times.len(), mean_squared_speeds.len(), "one mean squared speed belongs to each time");
    if let Some(pair) = times.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(MetricsError::BadSetting {
            name: "a time",
            value: pair[1],
            expected: "after the one before it",
        });
    }
    checks::finite("the path energy", simpson(times, mean_squared_speeds))
}

/// `NPE = |PE - W₂²| / W₂²`, where `W₂²` is between the two ends of the path; `None` where that is not positive.
///
/// Zero for the optimal transport path, which no path between the same ends can undercut.
#[must_use]
pub fn normalised_path_energy(path_energy: f64, w2_squared: f64) -> Option<f64> {
    (w2_squared > 0.0 && w2_squared.is_finite() && path_energy.is_finite())
        .then(|| (path_energy - w2_squared).abs() / w2_squared)
}

/// `S = PE - E‖Z₁ - Z₀‖²`, the mean squared deviation of the velocity from the chord (Liu et al. 2022): zero for
/// straight lines, never negative for exact flows.
#[must_use]
pub fn straightness(path_energy: f64, mean_squared_displacement: f64) -> f64 {
    path_energy - mean_squared_displacement
}

fn simpson(t: &[f64], f: &[f64]) -> f64 {
    let intervals = t.len() - 1;
    if intervals == 1 {
        return 0.5 * (t[1] - t[0]) * (f[0] + f[1]);
    }
    let mut sum = 0.0;
    for k in (0..intervals - 1).step_by(2) {
        let (h, l) = (t[k + 1] - t[k], t[k + 2] - t[k + 1]);
        sum += (h + l) / 6.0
            * ((2.0 - l / h) * f[k] + (h + l).powi(2) / (h * l) * f[k + 1] + (2.0 - h / l) * f[k + 2]);
    }
    if intervals % 2 == 1 {
        // The odd interval out, under the parabola through the last three points.
        let k = intervals - 2;
        let (h, l) = (t[k + 1] - t[k], t[k + 2] - t[k + 1]);
        sum += f[k + 2] * l * (2.0 * l + 3.0 * h) / (6.0 * (h + l))
            + f[k + 1] * l * (l + 3.0 * h) / (6.0 * h)
            - f[k] * l.powi(3) / (6.0 * h * (h + l));
    }
    sum
}
