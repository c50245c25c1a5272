//! Round numbers along an axis, and how to write them.
//!
//! Linear steps are 1, 2 or 5 times a power of ten. Consecutive steps differ by at most 2.5, so one of them
//! always puts between 3 and 8 marks in a range; that is the law the tests hold us to.

/// A mark on an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// Where, in data units; always inside the range asked for.
    pub value: f64,
    /// How it is written.
    pub label: String,
}

/// Three to ten round values inside `[lo, hi]`, evenly spaced. `lo` must be below `hi`, both finite.
#[must_use]
pub fn linear_ticks(lo: f64, hi: f64) -> Vec<Tick> {
    assert!(lo < hi && lo.is_finite() && hi.is_finite(), "ticks need a finite range, got [{lo}, {hi}]");
    let span = hi - lo;
    // The largest step with at least three whole steps in the range.
    let mut exponent = (span / 3.0).log10().floor() as i32;
    let room = span / 3.0 / 10f64.powi(exponent);
    let mut leading = [5, 2, 1].into_iter().find(|&m| f64::from(m) <= room * (1.0 + 1e-9)).unwrap_or(1);
    // Four marks look sparse on a long axis: a finer step is taken when it stays below ten.
    let (finer, finer_exponent) = match leading {
        5 => (2, exponent),
        2 => (1, exponent),
        _ => (5, exponent - 1),
    };
    if (span / step(finer, finer_exponent)).floor() <= 7.0 {
        (leading, exponent) = (finer, finer_exponent);
    }
    let step = step(leading, exponent);
    // The tolerance keeps ends that are round but for the last bit; clamping puts them back inside.
    let (first, last) = ((lo / step - 1e-6).ceil(), (hi / step + 1e-6).floor());
    let count = (last - first) as usize + 1;
    let largest = lo.abs().max(hi.abs());
    (0..count)
        .map(|i| {
            let rounded = (first + i as f64) * step;
            Tick { value: rounded.clamp(lo, hi), label: label(rounded, exponent, largest) }
        })
        .collect()
}

/// Three to ten values inside `[lo, hi]` for a logarithmic axis: powers of ten when there are enough, else
/// their multiples by 2 and 5, else evenly spaced values. `lo` must be positive and below `hi`.
#[must_use]
pub fn log_ticks(lo: f64, hi: f64) -> Vec<Tick> {
    assert!(0.0 < lo && lo < hi && hi.is_finite(), "logarithmic ticks need 0 < lo < hi, got [{lo}, {hi}]");
    let (first, last) = ((lo.log10() - 1e-9).ceil() as i32, (hi.log10() + 1e-9).floor() as i32);
    let decades = (last - first + 1).max(0) as usize;
    if decades >= 3 {
        let stride = [1, 2, 5, 10, 20, 50, 100]
            .into_iter()
            .find(|stride| decades.div_ceil(*stride) <= 8)
            .unwrap_or(200);
        return (first..=last)
            .step_by(stride)
            .map(|power| Tick { value: 10f64.powi(power).clamp(lo, hi), label: power_label(power) })
            .collect();
    }
    let multiples: Vec<Tick> = (first - 1..=last)
        .flat_map(|power| [1, 2, 5].map(|leading| (leading, power)))
        .map(|(leading, power)| (step(leading, power), power))
        .filter(|(value, _)| (lo..=hi).contains(value))
        .map(|(value, power)| Tick { value, label: label(value, power, value) })
        .collect();
    if multiples.len() >= 3 { multiples } else { linear_ticks(lo, hi) }
}

fn step(leading: u32, exponent: i32) -> f64 {
    // Dividing by an exact power rounds once; multiplying by an inexact one rounds twice.
    if exponent < 0 {
        f64::from(leading) / 10f64.powi(-exponent)
    } else {
        f64::from(leading) * 10f64.powi(exponent)
    }
}

/// Writes `value` with digits down to `10^exponent`; as a power of ten when `largest`, the axis's largest
/// value, is far from one.
fn label(value: f64, exponent: i32, largest: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let power = largest.log10().floor() as i32;
    if (-4..7).contains(&power) {
        return grouped(value, (-exponent).max(0) as usize);
    }
    // One power for the whole axis keeps the mantissas comparable.
    let mantissa = grouped(value / 10f64.powi(power), (power - exponent).max(0) as usize);
    format!("{mantissa}×{}", superscript_power(power))
}

fn power_label(power: i32) -> String {
    if (-3..=4).contains(&power) {
        grouped(10f64.powi(power), (-power).max(0) as usize)
    } else {
        superscript_power(power)
    }
}

fn superscript_power(power: i32) -> String {
    let digits = power.unsigned_abs().to_string();
    let raised = digits
        .bytes()
        .map(|digit| ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][usize::from(digit - b'0')]);
    std::iter::once("10".to_owned())
        .chain((power < 0).then(|| "⁻".to_owned()))
        .chain(raised.map(String::from))
        .collect()
}

/// A number with a fixed count of decimals, a true minus sign, and thin spaces between thousands from 10 000
/// on.
pub(crate) fn grouped(value: f64, decimals: usize) -> String {
    let plain = format!("{:.decimals$}", value.abs());
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut out = String::new();
    // A value that rounds to zero carries no sign.
    if value < 0.0 && plain.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        out.push('−');
    }
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && whole.len() >= 5 && (whole.len() - i) % 3 == 0 {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|t| t.label.as_str()).collect()
    }

    #[test]
    fn linear_labels_are_what_a_person_would_write() {
        let check =
            |lo, hi, expected: &[&str]| assert_eq!(labels(&linear_ticks(lo, hi)), expected, "[{lo}, {hi}]");
        check(0.0, 1.0, &["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        check(-2.0, 2.0, &["−2", "−1", "0", "1", "2"]);
        check(0.0, 20_000.0, &["0", "5000", "10\u{202f}000", "15\u{202f}000", "20\u{202f}000"]);
        check(0.0, 3e8, &["0", "0.5×10⁸", "1.0×10⁸", "1.5×10⁸", "2.0×10⁸", "2.5×10⁸", "3.0×10⁸"]);
        check(1.000, 1.003, &["1.0000", "1.0005", "1.0010", "1.0015", "1.0020", "1.0025", "1.0030"]);
        check(0.0, 6e-6, &["0", "1×10⁻⁶", "2×10⁻⁶", "3×10⁻⁶", "4×10⁻⁶", "5×10⁻⁶", "6×10⁻⁶"]);
    }

    #[test]
    fn log_labels_are_decades_where_there_are_enough() {
        let check =
            |lo, hi, expected: &[&str]| assert_eq!(labels(&log_ticks(lo, hi)), expected, "[{lo}, {hi}]");
        check(0.001, 10.0, &["0.001", "0.01", "0.1", "1", "10"]);
        check(1e-9, 1e3, &["10⁻⁹", "10⁻⁷", "10⁻⁵", "0.001", "0.1", "10", "1000"]);
        check(0.3, 30.0, &["0.5", "1", "2", "5", "10", "20"]);
        check(2.0, 2.6, &["2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6"]);
    }

    #[test]
    fn rounding_to_zero_drops_the_sign() {
        assert_eq!(grouped(-0.001, 1), "0.0");
        assert_eq!(grouped(-1_234_567.25, 2), "−1\u{202f}234\u{202f}567.25");
    }
}
