//! What a method may spend, and how it is divided among its stages.

use serde::{Deserialize, Serialize};
use thalweg_run::Invalid;

/// What each method may spend on training, in all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "Keys")]
pub enum Budget {
    /// Optimiser steps.
    Steps(u64),
    /// Seconds of training on one machine. Each stage is timed first, to find out how many steps these are.
    Seconds(f64),
}

/// The keys of `[budget]`, of which there is exactly one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    steps: Option<u64>,
    seconds: Option<f64>,
}

impl TryFrom<Keys> for Budget {
    type Error = &'static str;

    fn try_from(keys: Keys) -> Result<Self, Self::Error> {
        match (keys.steps, keys.seconds) {
            (Some(steps), None) => Ok(Self::Steps(steps)),
            (None, Some(seconds)) => Ok(Self::Seconds(seconds)),
            _ => Err("has either `steps` or `seconds`; `--set 'budget={ steps = 100 }'` replaces both"),
        }
    }
}

/// How far the shares of a method may be from 1, which thirds written as decimals miss.
const SHARES_TOLERANCE: f64 = 1e-3;

impl Budget {
    /// Checks that there is something to spend.
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        match *self {
            Self::Steps(0) => Err(Invalid::new("budget.steps", "must be at least 1")),
            Self::Seconds(seconds) if !(seconds > 0.0 && seconds.is_finite()) => {
                Err(Invalid::new("budget.seconds", format!("must be a positive number, not {seconds}")))
            }
            _ => Ok(()),
        }
    }

    /// The budget in words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Steps(1) => "1 optimiser step".to_string(),
            Self::Steps(steps) => format!("{steps} optimiser steps"),
            Self::Seconds(seconds) => format!("{seconds} s of training"),
        }
    }
}

/// How fast a training goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Seconds until the first step is made: preparations, with a first pool of pairs where the flow makes its own.
    pub start: f64,
    /// Seconds of each step.
    pub step: f64,
    /// Steps after which as much has to be prepared as in the beginning; never, where there are no such pairs.
    pub steps_of_pool: Option<u64>,
}

impl Pace {
    /// The most steps that a number of seconds is enough for; 0 where it is not enough for one.
    #[must_use]
    pub fn steps_within(&self, seconds: f64) -> u64 {
        let Self { start, step, steps_of_pool } = *self;
        let without_pools = |seconds: f64| ((seconds - start) / step).floor().max(0.0) as u64;
        let Some(pool) = steps_of_pool else { return without_pools(seconds) };
        let of_one = start + pool as f64 * step;
        let whole = (seconds / of_one).floor();
        whole as u64 * pool + without_pools(seconds - whole * of_one).min(pool)
    }
}

/// The shares of stages that sum to 1: those given, or equal ones where none is.
///
/// # Errors
/// What is wrong with them, as a sentence about the list of stages.
pub(super) fn shares(given: &[Option<f64>]) -> Result<Vec<f64>, String> {
    let count = given.len();
    let Some(shares) = given.iter().copied().collect::<Option<Vec<f64>>>() else {
        if given.iter().all(Option::is_none) {
            return Ok(vec![1.0 / count as f64; count]);
        }
        return Err(
            "either every stage has a `share` of the budget, or none has and all are equal".to_string()
        );
    };
    if let Some(wrong) = shares.iter().find(|share| !(**share > 0.0 && share.is_finite())) {
        return Err(format!("a `share` must be above 0, not {wrong}"));
    }
    let sum: f64 = shares.iter().sum();
    if (sum - 1.0).abs() > SHARES_TOLERANCE {
        return Err(format!("the shares sum to {sum}, but all methods have the same budget: make it 1"));
    }
    Ok(shares.iter().map(|share| share / sum).collect())
}

/// Divides steps by shares, so that the parts sum to the whole.
///
/// # Errors
/// When a stage would have less than one step.
pub(super) fn divide(steps: u64, shares: &[f64]) -> Result<Vec<u64>, String> {
    let (mut parts, mut share_so_far, mut given) = (Vec::with_capacity(shares.len()), 0.0, 0);
    for (index, share) in shares.iter().enumerate() {
        share_so_far += share;
        // The last one takes what is left, whatever was rounded.
        let until =
            if index + 1 == shares.len() { steps } else { (share_so_far * steps as f64).round() as u64 };
        if until <= given {
            return Err(format!(
                "a budget of {steps} steps leaves none for stage {} of {}: raise `budget.steps`",
                index + 1,
                shares.len()
            ));
        }
        parts.push(until - given);
        given = until;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_have_what_they_are_given_and_all_of_it_together() {
        let check = |steps, shares: &[f64], expected: &[u64]| {
            assert_eq!(divide(steps, shares).unwrap(), expected, "{steps} by {shares:?}");
        };
        check(2000, &[1.0], &[2000]);
        check(2000, &[0.5, 0.5], &[1000, 1000]);
        check(1000, &[0.9, 0.1], &[900, 100]);
        // 10/3 and 20/3 are rounded to 3 and 7.
        check(10, &[1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0], &[3, 4, 3]);
        check(2, &[0.5, 0.5], &[1, 1]);
        for (steps, shares) in [(1, &[0.5, 0.5][..]), (3, &[0.99, 0.01]), (3, &[0.1, 0.9])] {
            assert!(
                divide(steps, shares).unwrap_err().contains("raise `budget.steps`"),
                "{steps} {shares:?}"
            );
        }
    }

    #[test]
    fn preparations_cost_as_often_as_they_are_made() {
        let check = |steps_of_pool, seconds, expected| {
            let pace = Pace { start: 2.0, step: 0.5, steps_of_pool };
            assert_eq!(pace.steps_within(seconds), expected, "{seconds} s, {steps_of_pool:?}");
        };
        check(None, 12.0, 20);
        check(None, 2.25, 0);
        check(None, 1.0, 0);
        // A pool and its four steps take 4 s.
        check(Some(4), 4.0, 4);
        check(Some(4), 12.0, 12);
        check(Some(4), 13.9, 12);
        check(Some(4), 14.6, 13);
        check(Some(4), 1.0, 0);
    }

    #[test]
    fn shares_are_given_for_all_stages_or_for_none() {
        assert_eq!(shares(&[None, None]).unwrap(), [0.5, 0.5]);
        assert_eq!(shares(&[Some(0.25), Some(0.75)]).unwrap(), [0.25, 0.75]);
        let thirds = shares(&[Some(0.333), Some(0.333), Some(0.334)]).unwrap();
        assert!((thirds.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        for (given, expected) in [
            (&[Some(0.5), None][..], "every stage"),
            (&[Some(0.5), Some(0.6)], "sum to 1.1"),
            (&[Some(1.5), Some(-0.5)], "above 0, not -0.5"),
            (&[Some(f64::NAN)], "above 0"),
        ] {
            assert!(shares(given).unwrap_err().contains(expected), "{given:?}");
        }
    }
}
