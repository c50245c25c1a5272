//! Events: what happens during a training, one JSON object per line of `events.jsonl`.
//!
//! ```json
//! {"time":1763629581.25,"event":"scalar","step":100,"name":"loss","value":1.84}
//! ```
//!
//! `time` is in seconds since 1970, UTC. JSON has no NaN and no infinities; they are the strings `"NaN"`, `"inf"` and
//! `"-inf"`.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::RunError;

/// Something that happened during a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A training began or was resumed.
    Started {
        /// Steps already taken: 0, or the step of the checkpoint that it was resumed from.
        step: u64,
        /// Steps it will have taken at the end.
        steps: u64,
        /// Seed of the run.
        seed: u64,
        /// The recipe's name.
        name: String,
    },
    /// A number to draw a curve of.
    Scalar {
        /// Steps taken.
        step: u64,
        /// The curve, for instance `loss`.
        name: String,
        /// The number; NaN and infinities are allowed.
        #[serde(with = "non_finite")]
        value: f64,
    },
    /// A checkpoint was saved.
    Checkpoint {
        /// Its step.
        step: u64,
        /// Its folder, relative to the run.
        path: String,
    },
    /// Something was measured on samples.
    Score {
        /// Steps taken.
        step: u64,
        /// The measurement.
        #[serde(flatten)]
        score: Score,
    },
    /// Something that a human should know of.
    Warning {
        /// Steps taken.
        step: u64,
        /// A sentence.
        message: String,
    },
    /// The training reached its last step.
    Finished {
        /// Steps taken.
        step: u64,
        /// Wall-clock seconds since it was started or last resumed.
        #[serde(with = "non_finite")]
        seconds: f64,
    },
}

/// A measured number with what is needed to judge it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The metric.
    pub name: String,
    /// Its value.
    #[serde(with = "non_finite")]
    pub value: f64,
    /// Its standard error, where there is one.
    #[serde(default, with = "non_finite::option")]
    pub standard_error: Option<f64>,
    /// What two true samples of the same size would reach, where that is known.
    #[serde(default, with = "non_finite::option")]
    pub floor: Option<f64>,
}

/// An event and when it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Seconds since 1970, UTC.
    pub time: f64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Event {
    /// Steps taken when it happened.
    #[must_use]
    pub fn step(&self) -> u64 {
        match self {
            Self::Started { step, .. }
            | Self::Scalar { step, .. }
            | Self::Checkpoint { step, .. }
            | Self::Score { step, .. }
            | Self::Warning { step, .. }
            | Self::Finished { step, .. } => *step,
        }
    }
}

/// Reads `events.jsonl`, in the order written. A last line without its end is what a crash left and is dropped.
///
/// # Errors
/// A file that cannot be read; a complete line that is no event, with its number.
pub fn read_events(path: &Path) -> Result<Vec<Record>, RunError> {
    let bytes = fs::read(path).map_err(RunError::io("read", path))?;
    let mut records = Vec::new();
    for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        if !line.ends_with(b"\n") {
            break;
        }
        let record = serde_json::from_slice(line).map_err(|error| RunError::Event {
            path: path.to_path_buf(),
            line: index + 1,
            message: error.to_string(),
        })?;
        records.push(record);
    }
    Ok(records)
}

/// For `#[serde(with = "non_finite")]`: an `f64` in JSON that may be NaN or infinite, as `"NaN"`, `"inf"`, `"-inf"`.
pub mod non_finite {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Form {
        Number(f64),
        Word(Word),
    }

    #[derive(Clone, Copy, Serialize, Deserialize)]
    enum Word {
        #[serde(rename = "NaN")]
        Nan,
        #[serde(rename = "inf")]
        Infinity,
        #[serde(rename = "-inf")]
        NegativeInfinity,
    }

    impl From<f64> for Form {
        fn from(value: f64) -> Self {
            if value.is_finite() {
                Self::Number(value)
            } else if value.is_nan() {
                Self::Word(Word::Nan)
            } else if value > 0.0 {
                Self::Word(Word::Infinity)
            } else {
                Self::Word(Word::NegativeInfinity)
            }
        }
    }

    impl From<Form> for f64 {
        fn from(form: Form) -> Self {
            match form {
                Form::Number(value) => value,
                Form::Word(Word::Nan) => Self::NAN,
                Form::Word(Word::Infinity) => Self::INFINITY,
                Form::Word(Word::NegativeInfinity) => Self::NEG_INFINITY,
            }
        }
    }

    /// Writes a number, or the word for it.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        Form::from(*value).serialize(serializer)
    }

    /// Reads a number, or the word for it.
    ///
    /// # Errors
    /// Anything else.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Form::deserialize(deserializer).map(f64::from)
    }

    /// The same for an `Option<f64>`; none is `null`.
    pub mod option {
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        use super::Form;

        /// Writes a number, the word for it, or `null`.
        ///
        /// # Errors
        /// The serializer's.
        pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
            value.map(Form::from).serialize(serializer)
        }

        /// Reads a number, the word for it, or `null`.
        ///
        /// # Errors
        /// Anything else.
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
            Ok(Option::<Form>::deserialize(deserializer)?.map(f64::from))
        }
    }
}
