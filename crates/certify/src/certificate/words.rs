//! Certificates in words.

use super::{Certificate, Claim, Form, Refusal};

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
                    "Solutions with {same} approach each other at the rate {:.6}: over a time of {} a distance shrinks \
                     to {:.4} of itself in the norm of the metric, and to at most {:.4} in the Euclidean norm.",
                    claim.rate, self.system.horizon, claim.horizon_factor, claim.euclidean_factor
                ));
                let from = match self.system.form {
                    Form::Equilibrium => "end in a ball around the origin, and those that start in it stay",
                    Form::Anchored => "stay in a ball around their anchor",
                };
                lines.push(format!(
                    "Solutions {from}; its radius in that norm is {:.4}, and in the Euclidean norm at most {:.4}.",
                    claim.radius,
                    claim.radius / claim.metric_eigenvalues[0].sqrt()
                ));
            }
            Claim::NotCertified(refusal) => lines.push(refused("Contraction", refusal)),
        }
        match &claims.steps {
            Claim::Certified(steps) => lines.push(format!(
                "Of the computed steps: {}; one changes a distance by at most {:.6}, and steps below {:.4} contract.",
                steps.words, steps.factor, steps.largest_step
            )),
            Claim::NotCertified(refusal) => lines.push(refused("Contraction of the computed steps", refusal)),
        }
        match &claims.stability {
            Claim::Certified(_) => lines.push(
                "Without input all solutions come to rest in one place, and bounded inputs keep them bounded."
                    .to_string(),
            ),
            Claim::NotCertified(refusal) => lines.push(refused("Input-to-state stability", refusal)),
        }
        lines.push(format!(
            "Bounds that need no search: a rate of {:.6} in a weighted maximum norm, and of {:.6} in the Euclidean norm.",
            claims.cheap.weighted_maximum.rate, claims.cheap.euclidean
        ));
        for region in &claims.regions {
            lines.push(format!(
                "No solution leaves the ball of radius {:.6} around {:.6?} in the norm of its metric, and in it they \
                 approach each other at the rate {:.6}.",
                region.radius, region.centre, region.rate
            ));
        }
        lines.extend(claims.remarks.iter().map(|remark| format!("Remark: {remark}.")));
        lines
    }
}

fn refused(what: &str, refusal: &Refusal) -> String {
    format!("{what} is not certified: {}.", refusal.reason)
}
