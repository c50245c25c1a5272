//! The table of scores in a terminal.

use thalweg_metrics::Score;
use thalweg_train::Evaluation;

use crate::print::aligned;

/// The scores as aligned lines: name, value, standard error, floor, and before it was tuned and without its second stage,
/// where it was or has one.
pub fn table(evaluation: &Evaluation) -> String {
    let mut beside: Vec<(&str, &[Score])> = Vec::new();
    beside.extend(evaluation.base.as_ref().map(|base| ("before", &base.scores[..])));
    beside.extend(evaluation.flow_alone.as_ref().map(|alone| ("flow alone", &alone.scores[..])));
    lines(&evaluation.scores, &beside)
}

fn lines(scores: &[Score], beside: &[(&str, &[Score])]) -> String {
    let headings =
        ["score", "value", "± error", "floor"].into_iter().chain(beside.iter().map(|(name, _)| *name));
    let mut rows: Vec<Vec<String>> = vec![headings.map(String::from).collect()];
    for score in scores {
        let or_blank = |value: Option<f64>| value.map(number).unwrap_or_default();
        let own =
            [score.name.clone(), number(score.value), or_blank(score.standard_error), or_blank(score.floor)];
        let others = beside.iter().map(|(_, others)| {
            or_blank(others.iter().find(|other| other.name == score.name).map(|other| other.value))
        });
        rows.push(own.into_iter().chain(others).collect());
    }
    aligned(&rows)
}

/// Four significant digits, whatever the size.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_string()
    } else if !(1e-3..1e5).contains(&size) {
        format!("{value:.3e}")
    } else {
        let digits = (3 - size.log10().floor() as i32).max(0) as usize;
        format!("{value:.digits$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_significant_digits() {
        let check = |value, expected: &str| assert_eq!(number(value), expected);
        check(0.0, "0");
        check(0.123_456, "0.1235");
        check(12.345_6, "12.35");
        check(98_765.4, "98765");
        check(-0.001_234_5, "-0.001234");
        check(1.5e-7, "1.500e-7");
    }

    #[test]
    fn columns_line_up() {
        let score = |name: &str, floor| Score {
            name: name.into(),
            value: 0.5,
            standard_error: None,
            interval: None,
            floor,
            protocol: String::new(),
        };
        let scores = [score("w2", Some(0.25)), score("variance_ratio", None)];
        assert_eq!(
            lines(&scores, &[]),
            "score            value  ± error   floor\nw2              0.5000           0.2500\nvariance_ratio  0.5000"
        );
        assert_eq!(
            lines(&scores[..1], &[("before", &scores[..1])]),
            "score   value  ± error   floor  before\nw2     0.5000           0.2500  0.5000"
        );
    }
}
