//! Numbers as a reader wants them: as many digits as their error deserves.

/// A value with its error, as in `0.168 ± 0.010`; the value alone where there is no error.
pub(crate) fn with_error(value: f64, error: Option<f64>) -> String {
    match error.filter(|error| *error > 0.0) {
        Some(error) => {
            let decimals = decimals(error);
            format!("{value:.decimals$} ± {error:.decimals$}").replace('-', "−")
        }
        None => short(value),
    }
}

/// An interval with as many decimals as its width deserves.
pub(super) fn between([low, high]: [f64; 2]) -> String {
    let decimals = decimals(0.25 * (high - low));
    format!("{low:.decimals$} to {high:.decimals$}").replace('-', "−")
}

/// Decimals that show two digits of an error.
fn decimals(error: f64) -> usize {
    if error > 0.0 { (1.0 - error.log10().floor()).clamp(0.0, 8.0) as usize } else { 3 }
}

/// Four significant digits at most.
fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".to_string();
    }
    if !(1e-3..1e6).contains(&size) {
        return format!("{value:.2e}").replace('-', "−");
    }
    let decimals = (3.0 - size.log10().floor()).max(0.0) as usize;
    let text = format!("{value:.decimals$}").replace('-', "−");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_decide_the_digits() {
        assert_eq!(with_error(0.167_77, Some(0.0102)), "0.168 ± 0.010");
        assert_eq!(with_error(-12.43, Some(1.4)), "−12.4 ± 1.4");
        assert_eq!(with_error(62.0, None), "62");
        assert_eq!(with_error(0.25, Some(0.0)), "0.25");
        assert_eq!(between([-0.000_96, 0.001_75]), "−0.00096 to 0.00175");
        assert_eq!(between([0.241_9, 0.383_9]), "0.242 to 0.384");
    }
}
