//! What was certified as lines and as a page.

use std::path::PathBuf;

use thalweg_certify::{Certificate, Claim, RegionClaim};
use thalweg_plot::{Cell, Figure, Item, Line, Report, Scatter, Section, Stroke, Table, Tone, Trajectories};
use thalweg_run::RunDir;

use super::CertifyReport;
use crate::error::TrainError;
use crate::trained::{ConditionRequest, TrainedFlow};
use crate::view::plane;

/// Paths of the picture of a stage in the plane, and times at which each is known.
const PATHS: usize = 120;
const PATH_TIMES: usize = 41;
/// Corners of a region's outline.
const CORNERS: usize = 96;

/// A number that was measured beside one that is claimed.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What it is.
    pub name: String,
    /// The largest that was measured.
    pub measured: f64,
    /// What is claimed; none where nothing is.
    pub claimed: Option<f64>,
}

/// Where a report was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertifyFiles {
    /// The certificate, where there is one.
    pub certificate: Option<PathBuf>,
    /// The page.
    pub page: PathBuf,
}

impl CertifyReport {
    /// What is proved and what is not, a sentence each.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences: Vec<String> =
            self.unstructured.iter().map(|reason| format!("Not certified: {reason}.")).collect();
        if self.unstructured.is_some() {
            sentences.push(format!(
                "By norms of its layers no Jacobian is longer than {:.4}: over a time of {} a distance grows to at most \
                 {:.4e} times itself.",
                self.slope,
                self.duration,
                (self.slope * self.duration).exp()
            ));
        }
        sentences.extend(self.certificate.iter().flat_map(Certificate::summary));
        sentences
    }

    /// One word for each claim that may be asked for.
    #[must_use]
    pub fn verdicts(&self) -> Vec<(&'static str, &'static str)> {
        let Some(certificate) = &self.certificate else { return vec![("contraction", "not certified")] };
        let claims = &certificate.claims;
        let regions = if claims.regions.is_empty() { "none" } else { "certified" };
        vec![
            ("contraction", word(&claims.contraction)),
            ("computed steps", word(&claims.steps)),
            ("stability", word(&claims.stability)),
            ("regions", regions),
        ]
    }

    /// What was measured, beside what is claimed of it.
    #[must_use]
    pub fn comparisons(&self) -> Vec<Comparison> {
        let Some(measured) = &self.measured else { return Vec::new() };
        let last = |values: &[f64]| values.last().copied().unwrap_or(f64::NAN);
        let line = |name: &str, measured, claimed| Comparison { name: name.to_string(), measured, claimed };
        let mut lines = vec![
            line(
                "share of a distance that is left",
                last(&measured.along.largest),
                Some(last(&measured.along.claimed)),
            ),
            line("the same by the computed steps", measured.by_steps, measured.claimed_of_steps),
            line(
                "distance that a push of size one leaves",
                measured.disturbance,
                Some(measured.claimed_of_disturbance),
            ),
            line("growth as a map of what the flow makes", measured.as_a_map, measured.claimed_as_a_map),
        ];
        let regions = measured.regions.iter().enumerate();
        lines.extend(regions.map(|(index, [found, claimed])| {
            line(&format!("share that is left in region {}", index + 1), *found, Some(*claimed))
        }));
        lines
    }

    /// Writes `certificate.json`, where there is one, and `certificate.html` into a run.
    ///
    /// # Errors
    /// What the file system answers, and when paths for a picture cannot be followed.
    pub fn write(&self, flow: &TrainedFlow, run: &RunDir) -> Result<CertifyFiles, TrainError> {
        let text = self.certificate.as_ref().map(Certificate::text);
        let certificate = text.map(|text| run.write_text("certificate.json", &text)).transpose()?;
        let page = run.path().join("certificate.html");
        self.page(flow)?.write(&page)?;
        Ok(CertifyFiles { certificate, page })
    }

    /// As a page. `flow` is the one that was certified.
    ///
    /// # Errors
    /// When paths for a picture cannot be followed.
    pub fn page(&self, flow: &TrainedFlow) -> Result<Report, TrainError> {
        let mut proved = Section::new("What is proved");
        for sentence in self.sentences() {
            proved = proved.with(Item::Note(sentence));
        }
        let mut report = Report::new(&self.name).subtitle("Certificates of the second stage");
        for (name, verdict) in self.verdicts() {
            report = report.fact(name, verdict);
        }
        report = report.with(proved);
        if let Some(section) = self.measurements() {
            report = report.with(section);
        }
        if flow.summary.dim == 2 && flow.second_stage().is_some() {
            report = report.with(self.picture(flow)?);
        }
        if let Some(certificate) = &self.certificate {
            let text = "The certificate holds all matrices and proofs. Anyone can check it again, without this program's \
                        solver and without the run.";
            let section = Section::new("Check it").text(text).with(Item::key_values([
                ("weights", certificate.run.weights.clone()),
                ("matrices", certificate.system.fingerprint.clone()),
                ("certificate", certificate.digest.clone()),
            ]));
            report = report.with(section);
        }
        Ok(report)
    }

    fn measurements(&self) -> Option<Section> {
        let measured = self.measured.as_ref()?;
        let mut table = Table::new(["the largest of all pairs", "measured", "claimed"]);
        for Comparison { name, measured, claimed } in self.comparisons() {
            let claimed = claimed.map_or_else(|| Cell::from("nothing"), Cell::number);
            table = table.row([Cell::from(name), Cell::number(measured), claimed]);
        }
        let curve = &measured.along;
        let points =
            |values: &[f64]| curve.times.iter().zip(values).map(|(t, y)| [*t, *y]).collect::<Vec<_>>();
        let mut figure = Figure::new("What is left of a distance").x_label("t").y_label("share").log_y();
        figure = figure
            .with(Line::new("measured, mean", points(&curve.mean)).tone(Tone::Series(0)))
            .with(Line::new("measured, largest", points(&curve.largest)).tone(Tone::Series(1)));
        let claimed = Line::new("claimed", points(&curve.claimed)).tone(Tone::Series(2));
        figure = figure.with(claimed.stroke(Stroke::Dashed));
        let verdict = if measured.is_within_claims() {
            "Nothing that was measured is beyond what is claimed."
        } else {
            "SOMETHING THAT WAS MEASURED IS BEYOND WHAT IS CLAIMED: please report this, with the run."
        };
        let caption = format!("Pairs of points that differ at t = 1, in {}.", measured.norm);
        Some(Section::new("What is measured").text(verdict).with(table).with(figure.caption(caption)))
    }

    /// The paths of a stage in the plane, and the regions in which they come together.
    fn picture(&self, flow: &TrainedFlow) -> Result<Section, TrainError> {
        let text = "What the flow has made is carried on from t = 1, in the units of the data.";
        let section = Section::new("The second stage").text(text);
        let Ok(condition) = flow.condition(&ConditionRequest::AsInData, PATHS, 0) else { return Ok(section) };
        let source = flow.source(PATHS, 0)?;
        let solver = &flow.recipe.evaluate.solver;
        let motion = flow.trajectories(&source, &condition, solver, PATH_TIMES)?;
        let first = motion.times.iter().rposition(|t| *t <= 1.0).unwrap_or(0);
        let at = |row: usize| move |points: &Vec<f64>| [points[2 * row], points[2 * row + 1]];
        let paths = (0..PATHS).map(|row| motion.points[first..].iter().map(at(row)).collect()).collect();
        let ends = motion.points.last().map(|points| plane(points, 2)).unwrap_or_default();
        let mut stage = Figure::new("Paths of the second stage")
            .equal_aspect()
            .with(Trajectories::new(paths, motion.times[first..].to_vec()))
            .with(Scatter::new("ends", ends).tone(Tone::Muted));
        let regions = self.certificate.iter().flat_map(|certificate| &certificate.claims.regions);
        let mut shown = false;
        for (index, region) in regions.enumerate() {
            let label = if index == 0 { "regions of contraction" } else { "" };
            stage = stage.with(Line::new(label, outline(region, flow)).tone(Tone::Series(2)));
            shown = true;
        }
        let caption = if shown {
            "No exact solution leaves an outlined region, and in each those with the same input come together."
        } else {
            "The whole plane is one region where the stage contracts everywhere."
        };
        let contracts = self
            .certificate
            .as_ref()
            .is_some_and(|certificate| certificate.claims.contraction.certified().is_some());
        let stage = if shown || contracts { stage.caption(caption) } else { stage };
        Ok(section.with(stage.width(560.0)))
    }
}

fn word<T>(claim: &Claim<T>) -> &'static str {
    match claim {
        Claim::Certified(_) => "certified",
        Claim::NotCertified(_) => "not certified",
    }
}

/// The edge of a region of the plane, in the units of the data.
fn outline(region: &RegionClaim, flow: &TrainedFlow) -> Vec<[f64; 2]> {
    let [[a, b], [_, c]] = [0, 1].map(|i| [region.metric[i][0], region.metric[i][1]]);
    // P = LLᵀ, so that points L⁻ᵀu of the unit circle have length one.
    let l = [a.sqrt(), b / a.sqrt()];
    let last = (c - l[1] * l[1]).max(0.0).sqrt();
    let normaliser = flow.summary.normaliser.normaliser();
    (0..=CORNERS)
        .map(|corner| {
            let angle = std::f64::consts::TAU * corner as f64 / CORNERS as f64;
            let (u, v) = (region.radius * angle.cos(), region.radius * angle.sin());
            let y = v / last;
            let x = (u - l[1] * y) / l[0];
            let mut point = vec![region.centre[0] + x, region.centre[1] + y];
            normaliser.invert(&mut point);
            [point[0], point[1]]
        })
        .collect()
}
