//! Certificates in words.

use super::{Certificate, Claim, Claims, Form, Refusal};

impl Certificate {
    /// What is proved and what is not, a sentence each.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        let claims = &self.claims;
        let mut lines = Vec::new();
        let same = match self.system.form {
            Form::Equilibrium => "the same input",
            Form::Anchored => "the same input and the same anchor",
        };
        match &claims.contraction {
            Claim::Certified(claim) => {
                lines.push(format!(
                    "Solutions with {same} approach each other at the rate {}: over a time of {} a distance shrinks to \
                     {} of itself in the norm of the metric, and to at most {} in the Euclidean norm.",
                    below(claim.rate),
                    self.system.horizon,
                    above(claim.horizon_factor),
                    above(claim.euclidean_factor)
                ));
                let (kept, reached) = (claim.horizon_factor, (1.0 - claim.horizon_factor) * claim.radius);
                lines.push(match self.system.form {
                    Form::Equilibrium => format!(
                        "In the norm of the metric a solution ends no further from the origin than {} of where it \
                         started plus {}, and never leaves the ball of radius {} if it starts in it.",
                        above(kept),
                        above(reached),
                        above(claim.radius)
                    ),
                    Form::Anchored => format!(
                        "In the norm of the metric a solution ends no further from its anchor than {}.",
                        above(reached)
                    ),
                });
            }
            Claim::NotCertified(refusal) => lines.push(refused("Contraction", refusal)),
        }
        match &claims.steps {
            Claim::Certified(steps) => lines.push(format!(
                "Of the computed steps: {}; one changes a distance by a factor of at most {}, and steps below {} contract.",
                steps.words,
                above(steps.factor),
                below(steps.largest_step)
            )),
            Claim::NotCertified(refusal) => lines.push(refused("Contraction of the computed steps", refusal)),
        }
        match &claims.stability {
            Claim::Certified(_) => lines.push(
                "Without input all solutions would come to rest in one place as time goes on, and bounded inputs keep \
                 them bounded."
                    .to_string(),
            ),
            Claim::NotCertified(refusal) => lines.push(refused("Input-to-state stability", refusal)),
        }
        lines.push(format!(
            "Bounds that need no search: a rate of {} in a weighted maximum norm, and of {} in the Euclidean norm; below \
             zero they say how fast solutions part at most.",
            below(claims.cheap.weighted_maximum.rate),
            below(claims.cheap.euclidean)
        ));
        for region in &claims.regions {
            lines.push(format!(
                "No solution leaves the ball of radius {} around {:.6?} in the norm of its metric, and in it those with \
                 the same input approach each other at the rate {}.",
                below(region.radius),
                region.centre,
                below(region.rate)
            ));
        }
        lines.extend(claims.remarks.iter().map(|remark| format!("Remark: {remark}.")));
        lines
    }

    /// Whether the summary holds words that no proof stands behind: why something is not certified, and remarks.
    #[must_use]
    pub fn has_unproved_words(&self) -> bool {
        let Claims { contraction, stability, steps, remarks, .. } = &self.claims;
        contraction.certified().is_none()
            || stability.certified().is_none()
            || steps.certified().is_none()
            || !remarks.is_empty()
    }
}

/// Five digits that are no less than the number.
fn above(x: f64) -> String {
    digits(x, f64::ceil)
}

/// Five digits that are no more than the number.
fn below(x: f64) -> String {
    digits(x, f64::floor)
}

fn digits(x: f64, round: fn(f64) -> f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return x.to_string();
    }
    let exponent = x.abs().log10().floor() as i32;
    let places = 4 - exponent;
    // Beyond this a power of ten is no number.
    if !(-12..=12).contains(&exponent) {
        let unit = 10f64.powi(-exponent);
        return if unit.is_finite() && unit > 0.0 {
            format!("{}e{exponent}", round(x * unit * 1e4) / 1e4)
        } else {
            format!("{x:e}")
        };
    }
    let unit = 10f64.powi(places);
    let rounded = round(x * unit) / unit;
    if exponent < -3 {
        return format!("{rounded:.4e}");
    }
    format!("{rounded:.*}", usize::try_from(places.max(0)).unwrap_or(0))
}

fn refused(what: &str, refusal: &Refusal) -> String {
    format!("{what} is not certified: {}.", refusal.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_the_safe_side() {
        assert_eq!((below(0.500_263_7), above(0.500_263_7)), ("0.50026".into(), "0.50027".into()));
        assert_eq!((below(-0.081_180_1), above(4.248e-18)), ("-0.081181".into(), "4.248e-18".into()));
        assert_eq!((below(123_456.7), above(123_456.7)), ("123450".into(), "123460".into()));
        assert_eq!((above(0.0), above(1.0), below(2e-5)), ("0".into(), "1.0000".into(), "2.0000e-5".into()));
    }
}
