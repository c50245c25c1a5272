//! What follows from proofs: the same functions when a certificate is made and when it is checked.

use super::{Claim, ContractionClaim, Refusal, RegionClaim, Source, StabilityClaim, StepsClaim, System};
use crate::cheap::euclidean as euclidean_rate;
use crate::contraction::margin_for;
use crate::dense::{from_rows, to_rows};
use crate::stability::stability_margins;
use crate::{Bounds, Contraction, Field, Region, Stability};

impl ContractionClaim {
    /// The proof, if its metric is a matrix.
    pub(super) fn proof(&self) -> Result<Contraction, String> {
        let metric = from_rows("the metric", &self.metric, self.metric.len())?;
        Ok(Contraction { rate: self.rate, metric, multipliers: self.multipliers.clone() })
    }
}

/// What follows from a proof that holds, and the size that the eigenvalue's rounding is relative to.
pub(super) fn contraction(
    system: &System,
    field: &Field,
    proof: &Contraction,
    source: Source,
) -> Result<(ContractionClaim, f64), String> {
    let margin = margin_for(&field.stacked(), proof)?;
    if proof.rate <= 0.0 {
        return Err(format!("a rate of {} is no contraction", proof.rate));
    }
    let condition = margin.metric[1] / margin.metric[0];
    let horizon_factor = (-proof.rate * system.horizon).exp();
    // The Euclidean norm may have a proof of its own, without the detour over the metric.
    let plain = (-euclidean_rate(field) * system.horizon).exp();
    let claim = ContractionClaim {
        source,
        rate: proof.rate,
        metric: to_rows(&proof.metric),
        multipliers: proof.multipliers.clone(),
        eigenvalue: margin.eigenvalue,
        metric_eigenvalues: margin.metric,
        condition,
        horizon_factor,
        euclidean_factor: (condition.sqrt() * horizon_factor).min(plain),
        radius: system.push(field, &proof.metric, margin.metric[1]) / proof.rate,
    };
    Ok((claim, margin.size))
}

impl StabilityClaim {
    pub(super) fn proof(&self) -> Result<Stability, String> {
        Ok(Stability {
            metric: from_rows("the metric", &self.metric, self.metric.len())?,
            integrals: self.integrals.clone(),
            multipliers: self.multipliers.clone(),
            dissipation: self.dissipation.clone(),
            gain: self.gain.clone(),
        })
    }
}

/// As [`contraction`].
pub(super) fn stability(field: &Field, proof: &Stability) -> Result<(StabilityClaim, f64), String> {
    let margins = stability_margins(field, proof)?;
    let claim = StabilityClaim {
        metric: to_rows(&proof.metric),
        integrals: proof.integrals.clone(),
        multipliers: proof.multipliers.clone(),
        dissipation: proof.dissipation.clone(),
        gain: proof.gain.clone(),
        decrease_eigenvalue: margins.decrease,
        lyapunov_eigenvalue: margins.lyapunov,
        dissipation_eigenvalue: margins.dissipation,
    };
    Ok((claim, margins.size))
}

/// What is known of the steps. Without a proof of contraction nothing is.
pub(super) fn steps(system: &System, field: &Field, proof: Option<&Contraction>) -> Claim<StepsClaim> {
    let refused = |reason: String| Claim::NotCertified(Refusal { margin: None, sure: false, reason });
    let Some(solver) = &system.solver else {
        return refused(
            "the solver chooses its steps as it goes, and nothing is known of their sizes".to_string(),
        );
    };
    let method = &solver.method;
    let Some(proof) = proof else {
        return refused("the field itself is not proved to contract".to_string());
    };
    if !method.averages() {
        return refused(format!("{} has a weight below zero, for which there is no bound here", method.name));
    }
    let bounds = match Bounds::of(field, proof) {
        Ok(bounds) => bounds,
        Err(problem) => return refused(problem),
    };
    let step = system.horizon / solver.steps as f64;
    let factor = bounds.factor(method, step);
    // What is beyond all numbers has none in JSON either.
    let horizon_factor = factor.powf(solver.steps as f64).min(f64::MAX);
    let fewest_steps = bounds.fewest_steps(method, system.horizon);
    let used = format!("{} steps of {}", solver.steps, method.name);
    let words = match fewest_steps {
        _ if factor < 1.0 => format!("{used} are proved to contract"),
        Some(fewest) => format!("{used} are not proved to contract; {fewest} would be"),
        None => format!("{used} are not proved to contract, and neither are a million"),
    };
    Claim::Certified(StepsClaim {
        lipschitz: bounds.lipschitz,
        step,
        factor: factor.min(f64::MAX),
        horizon_factor,
        largest_step: bounds.largest_step(method),
        fewest_steps,
        words,
    })
}

impl RegionClaim {
    pub(super) fn of(region: &Region) -> Self {
        Self {
            centre: region.centre.clone(),
            radius: region.radius,
            rate: region.proof.rate,
            metric: to_rows(&region.proof.metric),
            multipliers: region.proof.multipliers.clone(),
            drift: region.drift,
        }
    }

    pub(super) fn region(&self) -> Result<Region, String> {
        let metric = from_rows("the metric", &self.metric, self.metric.len())?;
        Ok(Region {
            centre: self.centre.clone(),
            radius: self.radius,
            proof: Contraction { rate: self.rate, metric, multipliers: self.multipliers.clone() },
            drift: self.drift,
        })
    }
}
