//! How certificates are made.

use super::{
    CERTIFICATE_FORMAT, Certificate, Claim, Claims, ContractionClaim, Form, InputRange, Origin, Refusal,
    RegionClaim, Solver, Source, StabilityClaim, System, derive,
};
use crate::region::normalised;
use crate::{
    Contraction, Field, Limits, StabilityVerdict, Verdict, best_contraction, cheap, equilibria,
    largest_region, region, stability, stability_of_contraction,
};

/// What is to be certified.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// Where it is from.
    pub origin: Origin,
    /// The field.
    pub field: &'a Field,
    /// What it is a field of.
    pub form: Form,
    /// The time that solutions are followed for.
    pub horizon: f64,
    /// How they are computed; none for a solver that chooses its steps.
    pub solver: Option<Solver>,
    /// What the input may be.
    pub input: InputRange,
    /// Metric, multipliers and rate of a field that was made to contract.
    pub known: Option<&'a Contraction>,
    /// From where equilibria are looked for, if the field does not contract everywhere and has them.
    pub starts: &'a [Vec<f64>],
}

/// How hard to try.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effort {
    /// Of the search for a rate.
    pub limits: Limits,
    /// Whether input-to-state stability is looked for.
    pub stability: bool,
    /// Fields with more coordinates and units than this, taken together, are not searched; with more than a third of it they
    /// are not searched for regions.
    pub largest: usize,
}

impl Default for Effort {
    /// A minute or less on one core.
    fn default() -> Self {
        Self { limits: Limits::default(), stability: true, largest: 192 }
    }
}

/// A field that is made to contract at the rate `c` has a singular inequality there.
const BELOW_CONSTRUCTION: f64 = 1e-3;
/// The largest region takes a hundred searches, each of which takes time with more than the fourth power of the size.
const SEARCHES: usize = 3;
/// A search must be better by this share to be preferred to a construction.
const CLEARLY: f64 = 0.02;
/// Without a proof of contraction stability is searched only up to this share of the size.
const OF_STABILITY: usize = 2;
/// The radius of a second region around each equilibrium, as a share of the largest.
const INNER: f64 = 0.75;
/// Regions around more equilibria than this say little.
const REGIONS: usize = 16;

impl Certificate {
    /// Proves what can be proved. Deterministic; takes the time that `effort` allows.
    ///
    /// # Errors
    /// When the subject makes no sense: says which matrix or number. That nothing could be proved is no error.
    pub fn of(subject: &Subject<'_>, effort: &Effort) -> Result<Self, String> {
        let field = subject.field;
        field.check()?;
        let system = System::of(subject);
        system.check_use()?;
        if subject
            .starts
            .iter()
            .any(|start| start.len() != field.dim() || start.iter().any(|x| !x.is_finite()))
        {
            return Err(format!("a start does not have {} finite coordinates", field.dim()));
        }
        let mut remarks = Vec::new();
        let contraction = contraction(subject, effort, &system, &mut remarks)?;
        let proof = contraction.certified().map(ContractionClaim::proof).transpose()?;
        let regions =
            if proof.is_none() { regions(subject, effort, &system, &mut remarks) } else { Vec::new() };
        let claims = Claims {
            stability: stability_of(field, proof.as_ref(), effort)?,
            cheap: cheap(field),
            steps: derive::steps(&system, field, proof.as_ref()),
            contraction,
            regions,
            remarks,
        };
        let mut certificate = Self {
            format: CERTIFICATE_FORMAT,
            run: subject.origin.clone(),
            system,
            claims,
            digest: String::new(),
        };
        certificate.digest = certificate.computed_digest();
        Ok(certificate)
    }
}

fn too_large(field: &Field, largest: usize) -> Option<Refusal> {
    let size = field.dim() + field.units();
    (size > largest).then(|| Refusal {
        margin: None,
        sure: false,
        reason: format!(
            "{} coordinates and {} units are too many for the search, which stops at {} together",
            field.dim(),
            field.units(),
            largest
        ),
    })
}

/// The proof by construction first, and a better one where the search is not too large.
fn contraction(
    subject: &Subject<'_>,
    effort: &Effort,
    system: &System,
    remarks: &mut Vec<String>,
) -> Result<Claim<ContractionClaim>, String> {
    let field = subject.field;
    let mut best = None;
    if let Some(known) = subject.known {
        let proof = Contraction { rate: known.rate * (1.0 - BELOW_CONSTRUCTION), ..known.clone() };
        match derive::contraction(system, field, &normalised(proof), Source::Construction) {
            Ok((claim, _)) => best = Some(claim),
            Err(problem) => remarks.push(format!("the proof by construction does not hold: {problem}")),
        }
    }
    if let Some(refusal) = too_large(field, effort.largest) {
        let Some(best) = best else { return Ok(Claim::NotCertified(refusal)) };
        remarks.push(format!("{}; the rate is the one by construction", refusal.reason));
        return Ok(Claim::Certified(best));
    }
    match best_contraction(field, effort.limits) {
        Verdict::Certified(proof) => {
            let claim = derive::contraction(system, field, &normalised(proof), Source::Search)?.0;
            // A proof by construction is simpler, and often in a rounder norm.
            let best = best.filter(|best| best.rate * (1.0 + CLEARLY) >= claim.rate);
            Ok(Claim::Certified(best.unwrap_or(claim)))
        }
        Verdict::NotCertified { margin, sure } => Ok(best.map_or_else(
            || {
                let reason = if sure {
                    format!(
                        "no rate above zero has a proof whose metric has a condition number up to {}",
                        effort.limits.condition
                    )
                } else {
                    "rounding left it open whether there is a proof".to_string()
                };
                Claim::NotCertified(Refusal { margin: Some(margin), sure, reason })
            },
            Claim::Certified,
        )),
    }
}

/// What follows from a contraction first; the search finds more only where there is none.
fn stability_of(
    field: &Field,
    contraction: Option<&Contraction>,
    effort: &Effort,
) -> Result<Claim<StabilityClaim>, String> {
    if !effort.stability {
        let reason = "it was not looked for".to_string();
        return Ok(Claim::NotCertified(Refusal { margin: None, sure: false, reason }));
    }
    if let Some(proof) = contraction.and_then(|proof| stability_of_contraction(field, proof)) {
        return Ok(Claim::Certified(derive::stability(field, &proof)?.0));
    }
    if let Some(refusal) = too_large(field, effort.largest / OF_STABILITY) {
        return Ok(Claim::NotCertified(refusal));
    }
    match stability(field) {
        StabilityVerdict::Certified(proof) => Ok(Claim::Certified(derive::stability(field, &proof)?.0)),
        StabilityVerdict::NotCertified { margin, sure } => {
            let reason = if sure {
                "no Lyapunov function of this kind falls along all solutions"
            } else {
                "rounding left it open whether there is a proof"
            };
            Ok(Claim::NotCertified(Refusal { margin: Some(margin), sure, reason: reason.to_string() }))
        }
    }
}

fn regions(
    subject: &Subject<'_>,
    effort: &Effort,
    system: &System,
    remarks: &mut Vec<String>,
) -> Vec<RegionClaim> {
    let field = subject.field;
    if subject.starts.is_empty() {
        return Vec::new();
    }
    if let Some(refusal) = too_large(field, effort.largest / SEARCHES) {
        remarks.push(format!("no regions: {}", refusal.reason));
        return Vec::new();
    }
    if subject.form == Form::Anchored {
        remarks.push(
            "an anchored field has no regions of its own: its equilibria move with the anchor".to_string(),
        );
        return Vec::new();
    }
    system.with_input(|input| {
        let mut centres = equilibria(field, input.value, subject.starts);
        if centres.len() > REGIONS {
            remarks.push(format!("of {} equilibria the first {REGIONS} have regions", centres.len()));
            centres.truncate(REGIONS);
        }
        let mut regions = Vec::new();
        for centre in centres {
            match largest_region(field, &centre, input, effort.limits) {
                Ok(largest) => {
                    // At the very edge of what can be proved the rate is next to nothing.
                    let inner = region(field, &centre, INNER * largest.radius, input, effort.limits);
                    regions.push(RegionClaim::of(&largest));
                    regions.extend(inner.iter().map(RegionClaim::of));
                }
                Err(_) => remarks.push(format!("no ball around the equilibrium {centre:?} has a proof")),
            }
        }
        regions
    })
}
