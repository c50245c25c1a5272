//! `thalweg certify`: what can be proved of a run's second stage, and whether a certificate still holds.

use std::path::Path;

use thalweg_certify::Certificate;
use thalweg_run::RunDir;
use thalweg_train::{CertifyReport, CertifyRequest, Comparison, TrainError, TrainedFlow};

use crate::args::Certify;
use crate::failure::Failure;
use crate::print::{print_error, print_json, print_line};
use crate::scores::number;

/// Certifies a run, or checks a certificate, or both against each other.
pub fn run(arguments: &Certify, json: bool) -> Result<(), Failure> {
    match (&arguments.check, &arguments.run) {
        (Some(file), run) => check(file, run.as_deref(), json),
        (None, Some(run)) => certify(run, arguments, json),
        (None, None) => {
            let message =
                "a run to certify is missing: give its folder, or `--check FILE` to check a certificate";
            Err(TrainError::Request(message.to_string()).into())
        }
    }
}

fn open(folder: &Path) -> Result<(RunDir, TrainedFlow), Failure> {
    let run = RunDir::open(folder)?;
    let (flow, warnings) = TrainedFlow::open(&run)?;
    for warning in warnings {
        print_error(&format!("warning: {warning}"));
    }
    Ok((run, flow))
}

/// Proves, measures, prints, and writes `certificate.json` and `certificate.html` into the run.
fn certify(folder: &Path, arguments: &Certify, json: bool) -> Result<(), Failure> {
    let (run, flow) = open(folder)?;
    let request = CertifyRequest {
        condition: arguments.condition_number,
        largest: arguments.largest,
        points: arguments.points,
        seed: arguments.seed,
    };
    let report = flow.certify(&request)?;
    let written = report.write(&flow, &run)?;
    if report.measured.as_ref().is_some_and(|measured| !measured.is_within_claims()) {
        let message = format!(
            "something that was measured is beyond what is claimed; please report this, with the run and {}",
            written.page.display()
        );
        return Err(Failure::work(message));
    }
    if json {
        return print_json(&document(&report, &written));
    }
    for sentence in report.sentences() {
        print_line(&sentence)?;
    }
    let comparisons = report.comparisons();
    if !comparisons.is_empty() {
        print_line(&format!("\n{:<43}  {:>10}  {:>10}", "the largest of all pairs", "measured", "claimed"))?;
    }
    for Comparison { name, measured, claimed } in comparisons {
        let claimed = claimed.map_or_else(|| "nothing".to_string(), number);
        print_line(&format!("{name:<43}  {:>10}  {claimed:>10}", number(measured)))?;
    }
    print_line("")?;
    if let Some(certificate) = &written.certificate {
        print_line(&format!("certificate {}", certificate.display()))?;
    }
    print_line(&format!("page        {}", written.page.display()))
}

fn document(report: &CertifyReport, written: &thalweg_train::CertifyFiles) -> serde_json::Value {
    let comparisons = report.comparisons().into_iter().map(
        |line| serde_json::json!({ "name": line.name, "measured": line.measured, "claimed": line.claimed }),
    );
    serde_json::json!({
        "verdicts": report.verdicts().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "sentences": report.sentences(),
        "slope": report.slope,
        "measured": comparisons.collect::<Vec<_>>(),
        "within_claims": report.measured.as_ref().map(thalweg_train::Measured::is_within_claims),
        "certificate": written.certificate,
        "page": written.page,
    })
}

/// Reads a certificate and proves it again; with a run, also whether it is that run's.
fn check(file: &Path, run: Option<&Path>, json: bool) -> Result<(), Failure> {
    // Not from a pipe, which would be waited for.
    let is_file = std::fs::metadata(file).is_ok_and(|found| found.is_file());
    if file.exists() && !is_file {
        return Err(TrainError::Request(format!("{} is no file", file.display())).into());
    }
    let text = std::fs::read_to_string(file)
        .map_err(|error| TrainError::Request(format!("cannot read {}: {error}", file.display())))?;
    let mut findings = Vec::new();
    let certificate = match Certificate::check(&text) {
        Ok(certificate) => Some(certificate),
        Err(found) => {
            findings.extend(found.iter().map(ToString::to_string));
            None
        }
    };
    if let (Some(certificate), Some(run)) = (&certificate, run) {
        let (_, flow) = open(run)?;
        findings.extend(flow.is_subject_of(certificate).err());
    }
    if let Some(certificate) = certificate.filter(|_| findings.is_empty()) {
        let sentences = certificate.summary();
        if json {
            return print_json(&serde_json::json!({ "holds": true, "sentences": sentences }));
        }
        for sentence in sentences {
            print_line(&sentence)?;
        }
        print_line(&format!("\n{} holds: every proof was checked again", file.display()))?;
        if certificate.has_unproved_words() {
            print_line("Why something is not certified, and remarks, are words that were not checked.")?;
        }
        return Ok(());
    }
    let count = findings.len();
    let shown: Vec<String> = findings.into_iter().take(MOST_FINDINGS).collect();
    let more =
        if count > MOST_FINDINGS { format!("\n  and {} more", count - MOST_FINDINGS) } else { String::new() };
    let message = format!("{} does not hold:\n  {}{more}", file.display(), shown.join("\n  "));
    Err(Failure::work(message))
}

/// Findings that are shown.
const MOST_FINDINGS: usize = 12;
