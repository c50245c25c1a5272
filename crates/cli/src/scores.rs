//! The table of scores in a terminal.

use thalweg_metrics::Score;
use thalweg_train::Evaluation;

/// The scores as aligned lines: name, value, standard error, floor, and before it was tuned, where it was.
pub fn table(evaluation: &Evaluation) -> String {
    let base = evaluation.base.as_ref().map(|base| &base.scores[..]);
    lines(&evaluation.scores, base)
}

fn lines(scores: &[Score], base: Option<&[Score]>) -> String {
    let mut rows = vec![["score", "value", "± error", "floor", "before"].map(String::from)];
    for score in scores {
        let or_blank = |value: Option<f64>| value.map(number).unwrap_or_default();
        let before = base.and_then(|base| base.iter().find(|before| before.name == score.name));
        rows.push([
            score.name.clone(),
            number(score.value),
            or_blank(score.standard_error),
            or_blank(score.floor),
            or_blank(before.map(|before| before.value)),
        ]);
    }
    if base.is_none() {
        rows[0][4].clear();
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3, 4].map(width);
    let lines = rows.iter().map(|[name, value, error, floor, before]| {
        let [w0, w1, w2, w3, w4] = widths;
        let line = format!("{name:w0$}  {value:>w1$}  {error:>w2$}  {floor:>w3$}  {before:>w4$}");
        line.trim_end().to_string()
    });
    lines.collect::<Vec<_>>().join("\n")
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
            lines(&scores, None),
            "score            value  ± error   floor\nw2              0.5000           0.2500\nvariance_ratio  0.5000"
        );
        assert_eq!(
            lines(&scores[..1], Some(&scores[..1])),
            "score   value  ± error   floor  before\nw2     0.5000           0.2500  0.5000"
        );
    }
}
