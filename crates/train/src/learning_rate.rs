//! The learning rate as a function of the step.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// How the learning rate changes over a run of known length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LearningRate {
    /// The same at every step.
    Constant {
        /// The rate.
        rate: f64,
    },
    /// Linear warm-up from zero, then half a cosine down to `end` at the last step.
    WarmUpCosine {
        /// The rate after the warm-up.
        rate: f64,
        /// Share of the run that the warm-up takes, in `[0, 1)`.
        #[serde(default)]
        warm_up: f64,
        /// The rate at the last step.
        #[serde(default)]
        end: f64,
    },
    /// Multiplied by `factor` every `every` steps.
    StepDecay {
        /// The rate at the start.
        rate: f64,
        /// What the rate is multiplied by.
        factor: f64,
        /// How many steps lie between two changes.
        every: u64,
    },
}

impl Default for LearningRate {
    fn default() -> Self {
        Self::Constant { rate: 1e-3 }
    }
}

impl LearningRate {
    /// The rate of step `step` (the first is 0) of a run of `steps`.
    #[must_use]
    pub fn at(&self, step: u64, steps: u64) -> f64 {
        match *self {
            Self::Constant { rate } => rate,
            Self::WarmUpCosine { rate, warm_up, end } => {
                let warm_up = (warm_up * steps as f64).round() as u64;
                if step < warm_up {
                    return rate * (step + 1) as f64 / warm_up as f64;
                }
                let length = steps.saturating_sub(warm_up + 1).max(1);
                let progress = ((step - warm_up) as f64 / length as f64).min(1.0);
                end + (rate - end) * 0.5 * (1.0 + (PI * progress).cos())
            }
            Self::StepDecay { rate, factor, every } => rate * factor.powf((step / every) as f64),
        }
    }

    /// Says what is impossible about this schedule: the field and the reason.
    ///
    /// # Errors
    /// The name of the first field with an impossible value, and why it is.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        let positive = |name, value: f64| {
            if value > 0.0 && value.is_finite() {
                Ok(())
            } else {
                Err((name, format!("must be a positive number, not {value}")))
            }
        };
        match *self {
            Self::Constant { rate } => positive("rate", rate),
            Self::WarmUpCosine { rate, warm_up, end } => {
                positive("rate", rate)?;
                if !(0.0..1.0).contains(&warm_up) {
                    let message = format!(
                        "is the share of the run to warm up in, at least 0 and below 1, not {warm_up}"
                    );
                    return Err(("warm_up", message));
                }
                if !(0.0..=rate).contains(&end) {
                    return Err(("end", format!("must lie between 0 and the rate {rate}, not be {end}")));
                }
                Ok(())
            }
            Self::StepDecay { rate, factor, every } => {
                positive("rate", rate)?;
                positive("factor", factor)?;
                if every == 0 {
                    return Err(("every", "must be at least one step".to_string()));
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schedule: &LearningRate, step: u64, expected: f64) {
        let rate = schedule.at(step, 101);
        assert!((rate - expected).abs() < 1e-12, "step {step}: {rate}, not {expected}");
    }

    #[test]
    fn each_schedule_at_its_turning_points() {
        check(&LearningRate::Constant { rate: 0.1 }, 77, 0.1);
        let cosine = LearningRate::WarmUpCosine { rate: 1.0, warm_up: 10.0 / 101.0, end: 0.2 };
        check(&cosine, 0, 0.1);
        check(&cosine, 9, 1.0);
        check(&cosine, 10, 1.0);
        check(&cosine, 55, 0.6);
        check(&cosine, 100, 0.2);
        check(&cosine, 5000, 0.2);
        let decay = LearningRate::StepDecay { rate: 1.0, factor: 0.5, every: 10 };
        check(&decay, 9, 1.0);
        check(&decay, 10, 0.5);
        check(&decay, 39, 0.125);
    }

    #[test]
    fn impossible_schedules_name_the_field() {
        let field = |schedule: LearningRate| schedule.validate().unwrap_err().0;
        assert_eq!(field(LearningRate::Constant { rate: 0.0 }), "rate");
        assert_eq!(field(LearningRate::Constant { rate: f64::NAN }), "rate");
        assert_eq!(field(LearningRate::WarmUpCosine { rate: 1.0, warm_up: 1.0, end: 0.0 }), "warm_up");
        assert_eq!(field(LearningRate::WarmUpCosine { rate: 1.0, warm_up: 0.1, end: 2.0 }), "end");
        assert_eq!(field(LearningRate::StepDecay { rate: 1.0, factor: 0.5, every: 0 }), "every");
    }
}
