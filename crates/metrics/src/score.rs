//! The form in which every figure is reported.

use serde::{Deserialize, Serialize};

/// A named value with all that is needed to judge it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// What was measured, in the spelling of recipes, such as `w2`.
    pub name: String,
    /// The figure itself; finite.
    pub value: f64,
    /// How much the value would vary from run to run of the sampling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// Where the true figure lies, at the confidence the protocol names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// What a perfect model reaches, estimated from true samples: the value may fall below it by luck.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// How all of this was found, in a sentence: sizes, settings, resampling.
    pub protocol: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_survives_json() {
        let mut score = Score {
            name: "w2".into(),
            value: 0.25,
            standard_error: Some(0.01),
            interval: Some([0.2, 0.3]),
            floor: Some(0.1),
            protocol: "2000 points".into(),
        };
        let json = serde_json::to_string(&score).unwrap();
        assert_eq!(serde_json::from_str::<Score>(&json).unwrap(), score);
        (score.standard_error, score.interval, score.floor) = (None, None, None);
        let json = serde_json::to_string(&score).unwrap();
        assert_eq!(json, r#"{"name":"w2","value":0.25,"protocol":"2000 points"}"#);
        assert_eq!(serde_json::from_str::<Score>(&json).unwrap(), score);
    }
}
