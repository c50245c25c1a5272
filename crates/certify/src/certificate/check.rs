//! How certificates are checked: without a solver, and without believing them.

use std::fmt;

use serde::Deserialize;

use super::{CERTIFICATE_FORMAT, Certificate, Claim, Claims, Form, StepsClaim, derive};
use crate::cheap::rate_with;
use crate::{Bounds, Contraction, Field, cheap, verify_region};

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where in the certificate, as keys with dots between them.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// Derived numbers may differ by this share of themselves, which is far more than rounding does on any machine.
const TOLERANCE: f64 = 1e-9;

impl Certificate {
    /// Reads a certificate and proves all of its claims again: shapes, digests, eigenvalues, and every derived number.
    ///
    /// # Errors
    /// Everything that does not hold.
    pub fn check(text: &str) -> Result<Self, Vec<Finding>> {
        let certificate = parse(text).map_err(|finding| vec![finding])?;
        let findings = certificate.findings();
        if findings.is_empty() { Ok(certificate) } else { Err(findings) }
    }

    /// Everything that does not hold; nothing for a sound certificate.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut report = Report(Vec::new());
        if self.format != CERTIFICATE_FORMAT {
            report.add("format", format!("{} is not {CERTIFICATE_FORMAT}, which is known here", self.format));
        }
        if self.digest != self.computed_digest() {
            report.add("digest", "something was changed since the certificate was written".to_string());
        }
        if self.system.fingerprint != self.system.computed_fingerprint() {
            report.add(
                "system.fingerprint",
                "the numbers of the system are not those it was made for".to_string(),
            );
        }
        if let Err(problem) = self.system.check_use() {
            report.add("system", problem);
            return report.0;
        }
        match self.system.field() {
            Ok(field) => self.check_claims(&field, &mut report),
            Err(problem) => report.add("system", problem),
        }
        report.0
    }

    fn check_claims(&self, field: &Field, report: &mut Report) {
        let Claims { contraction, stability, .. } = &self.claims;
        report.check_refusal("claims.contraction", contraction);
        report.check_refusal("claims.stability", stability);
        let proof = self.check_contraction(field, report);
        self.check_stability(field, report);
        self.check_cheap(field, report);
        self.check_steps(field, proof.as_ref(), report);
        for (index, claim) in self.claims.regions.iter().enumerate() {
            let place = format!("claims.regions[{index}]");
            if self.system.form == Form::Anchored {
                report.add(&place, "an anchored field has no regions".to_string());
            } else if claim.rate <= 0.0 {
                report.add(&place, format!("a rate of {} is no contraction", claim.rate));
            }
            let checked = claim
                .region()
                .and_then(|region| self.system.with_input(|input| verify_region(field, &region, input)));
            if let Err(problem) = checked {
                report.add(&place, problem);
            }
        }
    }

    fn check_contraction(&self, field: &Field, report: &mut Report) -> Option<Contraction> {
        let place = "claims.contraction";
        let claim = self.claims.contraction.certified()?;
        let derived = claim.proof().and_then(|proof| {
            let (derived, size) = derive::contraction(&self.system, field, &proof, claim.source)?;
            Ok((proof, derived, size))
        });
        let (proof, derived, size) = match derived {
            Ok(derived) => derived,
            Err(problem) => {
                report.add(place, problem);
                return None;
            }
        };
        let rounding = |size: f64| 1e-15 * (100 + field.dim() + field.units()) as f64 * size;
        let [_, largest] = derived.metric_eigenvalues;
        report.near(&[place, "eigenvalue"], [claim.eigenvalue, derived.eigenvalue], rounding(size));
        for (found, derived) in claim.metric_eigenvalues.into_iter().zip(derived.metric_eigenvalues) {
            report.near(&[place, "metric_eigenvalues"], [found, derived], rounding(largest));
        }
        // The least eigenvalue is known to a share of the largest.
        let loose = derived.condition * rounding(1.0);
        let of = |value: f64| value * loose;
        report.near(&[place, "condition"], [claim.condition, derived.condition], of(derived.condition));
        report.near(&[place, "horizon_factor"], [claim.horizon_factor, derived.horizon_factor], 0.0);
        let factors = [claim.euclidean_factor, derived.euclidean_factor];
        report.near(&[place, "euclidean_factor"], factors, of(derived.euclidean_factor));
        report.near(
            &[place, "radius"],
            [claim.radius, derived.radius],
            1e-12 * largest.sqrt() / derived.rate,
        );
        Some(proof)
    }

    fn check_stability(&self, field: &Field, report: &mut Report) {
        let place = "claims.stability";
        let Some(claim) = self.claims.stability.certified() else { return };
        match claim.proof().and_then(|proof| derive::stability(field, &proof)) {
            Ok((derived, size)) => {
                let rounding = 1e-15 * (100 + 2 * field.dim() + field.units()) as f64 * size;
                let pairs = [
                    ("decrease_eigenvalue", claim.decrease_eigenvalue, derived.decrease_eigenvalue),
                    ("lyapunov_eigenvalue", claim.lyapunov_eigenvalue, derived.lyapunov_eigenvalue),
                    ("dissipation_eigenvalue", claim.dissipation_eigenvalue, derived.dissipation_eigenvalue),
                ];
                for (name, found, derived) in pairs {
                    report.near(&[place, name], [found, derived], rounding);
                }
            }
            Err(problem) => report.add(place, problem),
        }
    }

    fn check_cheap(&self, field: &Field, report: &mut Report) {
        let place = "claims.cheap";
        let found = &self.claims.cheap;
        let weights = &found.weighted_maximum.weights;
        if weights.len() != field.dim() || weights.iter().any(|x| !(x.is_finite() && *x > 0.0)) {
            report.add(place, "the weights are not one number above zero for each coordinate".to_string());
            return;
        }
        let derived = rate_with(field, weights);
        let size = 1e-12 * (1.0 + derived.abs());
        report.near(&[place, "weighted_maximum.rate"], [found.weighted_maximum.rate, derived], size);
        let derived = cheap(field).euclidean;
        report.near(&[place, "euclidean"], [found.euclidean, derived], 1e-12 * (1.0 + derived.abs()));
    }

    fn check_steps(&self, field: &Field, proof: Option<&Contraction>, report: &mut Report) {
        let place = "claims.steps";
        match (&self.claims.steps, derive::steps(&self.system, field, proof)) {
            (Claim::NotCertified(found), Claim::NotCertified(derived)) => {
                if *found != derived {
                    report.add(place, format!("the reason is another: {}", derived.reason));
                }
            }
            (Claim::Certified(found), Claim::Certified(derived)) => {
                self.check_steps_used(field, proof, [found, &derived], report);
            }
            (Claim::Certified(_), Claim::NotCertified(derived)) => {
                report.add(place, format!("nothing is known of the steps: {}", derived.reason));
            }
            (Claim::NotCertified(_), Claim::Certified(_)) => {
                report.add(place, "more is known of the steps than is claimed".to_string());
            }
        }
    }

    fn check_steps_used(
        &self,
        field: &Field,
        proof: Option<&Contraction>,
        [found, derived]: [&StepsClaim; 2],
        report: &mut Report,
    ) {
        let place = "claims.steps";
        let pairs = [
            ("lipschitz", found.lipschitz, derived.lipschitz),
            ("step", found.step, derived.step),
            ("factor", found.factor, derived.factor),
            ("largest_step", found.largest_step, derived.largest_step),
        ];
        for (name, found, derived) in pairs {
            report.near(&[place, name], [found, derived], 0.0);
        }
        let steps = self.system.solver.as_ref().map_or(1, |solver| solver.steps) as f64;
        let rounding = 1e-15 * steps * derived.horizon_factor;
        report.near(&[place, "horizon_factor"], [found.horizon_factor, derived.horizon_factor], rounding);
        if found.words == derived.words && found.fewest_steps == derived.fewest_steps {
            return;
        }
        // At the very end of the steps that contract, rounding may decide between one number and the next.
        let edge = |steps: u64| -> bool {
            let bounds =
                proof.and_then(|proof| Bounds::of(field, proof).ok()).zip(self.system.solver.as_ref());
            bounds.is_some_and(|(bounds, solver)| {
                (bounds.factor(&solver.method, self.system.horizon / steps as f64) - 1.0).abs() < TOLERANCE
            })
        };
        let fewer = [found.fewest_steps, derived.fewest_steps].into_iter().flatten().min();
        if !fewer.is_some_and(edge) {
            report.add(place, format!("{} (fewest: {:?})", derived.words, derived.fewest_steps));
        }
    }
}

/// The format is looked at first: another one may have other keys.
fn parse(text: &str) -> Result<Certificate, Finding> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let at = |place: &str, problem: String| Finding { place: place.to_string(), problem };
    let head: Head = serde_json::from_str(text).map_err(|error| at("text", error.to_string()))?;
    if head.format != CERTIFICATE_FORMAT {
        return Err(at(
            "format",
            format!("{} is not {CERTIFICATE_FORMAT}, which is known here", head.format),
        ));
    }
    serde_json::from_str(text).map_err(|error| at("text", error.to_string()))
}

struct Report(Vec<Finding>);

impl Report {
    fn add(&mut self, place: &str, problem: String) {
        self.0.push(Finding { place: place.to_string(), problem });
    }

    /// A refusal claims nothing, but it can contradict itself.
    fn check_refusal<T>(&mut self, place: &str, claim: &Claim<T>) {
        let Claim::NotCertified(refusal) = claim else { return };
        if refusal.margin.is_some_and(|margin| margin < 0.0) || (refusal.sure && refusal.margin.is_none()) {
            self.add(place, format!("a margin of {:?} is no reason to be sure", refusal.margin));
        }
    }

    /// Two numbers that should be the same, but for a share of themselves and some `rounding`.
    fn near(&mut self, place: &[&str], [found, derived]: [f64; 2], rounding: f64) {
        let allowed = TOLERANCE * derived.abs() + rounding;
        let near = (found - derived).abs() <= allowed;
        // What is no number is not near either.
        if !near {
            self.add(&place.join("."), format!("{found} is claimed and {derived} follows"));
        }
    }
}
