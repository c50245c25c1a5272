//! Which values of a column are the best, as far as the seeds can tell.

use serde::{Deserialize, Serialize};

use super::summary::{Estimate, MethodSummary};

/// How a value stands among those of the other methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// The best.
    Best,
    /// Within two standard errors of the difference of the best.
    Tied,
}

/// Standard errors of a difference within which two means are not told apart.
const WIDTH: f64 = 2.0;

/// What marks mean, in words.
pub(super) const WORDS: &str =
    "within two standard errors of the difference of it, √(s₁² + s₂²), as if the seeds were independent";

/// Marks the best of every score for which there is a better and a worse, and that is `wanted`.
pub(super) fn mark(methods: &mut [MethodSummary], wanted: impl Fn(&str) -> bool) {
    let mut names: Vec<String> = Vec::new();
    for score in methods.iter().flat_map(|method| &method.scores) {
        if !names.contains(&score.name) && wanted(&score.name) {
            names.push(score.name.clone());
        }
    }
    for name in names {
        let Some(sign) = direction(&name) else { continue };
        let mut column: Vec<&mut Estimate> = methods
            .iter_mut()
            .flat_map(|method| &mut method.scores)
            .filter(|score| score.name == name)
            .collect();
        mark_column(&mut column, sign);
    }
}

/// Marks a column in which the lowest value, times `sign`, is the best.
fn mark_column(column: &mut [&mut Estimate], sign: f64) {
    // A column of one has nothing to be better than.
    if column.len() < 2 {
        return;
    }
    let best = (0..column.len()).min_by(|a, b| (sign * column[*a].mean).total_cmp(&(sign * column[*b].mean)));
    let Some(best) = best else { return };
    let (least, error) = (column[best].mean, column[best].standard_error);
    for (index, value) in column.iter_mut().enumerate() {
        let difference = (value.mean - least).abs();
        let together = error.zip(value.standard_error).map_or(0.0, |(a, b)| a.hypot(b));
        value.mark = match index == best || difference == 0.0 {
            true => Some(Mark::Best),
            false => (difference <= WIDTH * together).then_some(Mark::Tied),
        };
    }
}

/// 1 where less is better, −1 where more is; nothing where neither is.
fn direction(name: &str) -> Option<f64> {
    match name {
        "w1" | "w2" | "sliced-w2" | "mmd2" | "energy" | "frechet" | "nll" | "log-density-error" | "nfe"
        | "npe" | "straightness" | "seconds" => Some(1.0),
        "mode-recall" | "precision" => Some(-1.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(values: &[(f64, Option<f64>)], sign: f64) -> Vec<Option<Mark>> {
        let mut column: Vec<Estimate> = values
            .iter()
            .map(|&(mean, standard_error)| Estimate {
                name: "w2".to_string(),
                mean,
                standard_error,
                count: 5,
                mark: None,
            })
            .collect();
        mark_column(&mut column.iter_mut().collect::<Vec<_>>(), sign);
        column.into_iter().map(|value| value.mark).collect()
    }

    #[test]
    fn what_is_within_two_errors_of_the_difference_is_not_told_apart() {
        use Mark::{Best, Tied};
        // √(0.3² + 0.4²) = 0.5, so the border is at 1.
        let column = [(2.0, Some(0.3)), (2.999, Some(0.4)), (3.001, Some(0.4)), (9.0, Some(0.1))];
        assert_eq!(marks(&column, 1.0), [Some(Best), Some(Tied), None, None]);
        assert_eq!(marks(&column, -1.0), [None, None, None, Some(Best)]);
        // The same value is as good; and a single seed has no error that could tie others.
        assert_eq!(marks(&[(1.0, None), (1.0, None), (1.1, None)], 1.0), [Some(Best), Some(Best), None]);
        assert_eq!(marks(&[(1.0, Some(0.1))], 1.0), [None]);
    }
}
