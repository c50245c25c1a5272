//! cargo run --release --example train_and_sample
//!
//! From the text of a recipe to samples and their score, with the library alone: what `thalweg train` and
//! `thalweg sample` do. Two moons in a few seconds; the samples are drawn with letters at the end.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

use thalweg::data::Split;
use thalweg::metrics::{ScoreOptions, TwoSample, score_with_floor};
use thalweg::noise::Noise;
use thalweg::ot::Points;
use thalweg::run::{Document, Override};
use thalweg::solve::Solver;
use thalweg::train::{ConditionRequest, Equation, Recipe, SampleRequest, Session};

const RECIPE: &str = r#"
name = "moons"

[data.target]
kind = "two-moons"

[flow]
coupling = { kind = "optimal-transport" }
time = { kind = "stratified" }

[train]
steps = 1500
learning_rate = { kind = "warm-up-cosine", rate = 0.005, warm_up = 0.03 }
average = { decay = 0.99 }
"#;

fn main() -> Result<(), Box<dyn Error>> {
    // As `--set model.width=64` on the command line.
    let overrides: Vec<Override> = vec!["model.width=64".parse()?];
    let recipe = Recipe::read(&Document::new(RECIPE, "moons.toml", &overrides)?)?;
    let folder = tempfile::tempdir()?;
    let mut session = Session::begin(recipe, Path::new("."), &folder.path().join("moons"))?;
    let mut sinks = session.sinks()?;
    session.train(&mut sinks, |progress| {
        if progress.step.is_multiple_of(300) {
            println!("step {:4}/{}  loss {:.3}", progress.step, progress.steps, progress.loss);
        }
        ControlFlow::Continue(())
    })?;

    let flow = session.flow();
    let samples = flow.sample(&SampleRequest {
        number: 1000,
        seed: 1,
        condition: ConditionRequest::AsInData,
        guidance: 1.0,
        equation: Equation::Flow(Solver::default()),
    })?;
    println!("{} parameters, {:.0} evaluations for each sample", flow.parameters(), samples.evaluations);

    // Two independent draws of the truth: what a perfect model would score is their distance.
    let [truth, again] = [1, 2].map(|seed| session.dataset.held_out(Split::Test, Some(1000), seed));
    let (truth, again) = (truth?.points, again?.points);
    let score = score_with_floor(
        TwoSample::W2,
        Points::new(&samples.points, 2),
        Points::new(&truth, 2),
        Points::new(&again, 2),
        ScoreOptions::default(),
        &mut Noise::new(0),
    )?;
    let floor = score.floor.unwrap_or(f64::NAN);
    println!("w2 {:.3}, where two true samples of this size have {floor:.3}\n", score.value);
    println!("{}", picture(&samples.points));
    Ok(())
}

/// Samples in [-5, 6] × [-4, 4] as letters, more ink where there are more.
fn picture(points: &[f64]) -> String {
    const SIZE: [usize; 2] = [66, 24];
    let mut counts = vec![0_usize; SIZE[0] * SIZE[1]];
    for point in points.chunks_exact(2) {
        let column = (point[0] + 5.0) / 11.0 * SIZE[0] as f64;
        let row = (4.0 - point[1]) / 8.0 * SIZE[1] as f64;
        if (0.0..SIZE[0] as f64).contains(&column) && (0.0..SIZE[1] as f64).contains(&row) {
            counts[row as usize * SIZE[0] + column as usize] += 1;
        }
    }
    let ink = |count: usize| [' ', '.', ':', 'o', 'O', '@'][count.min(5)];
    let lines: Vec<String> =
        counts.chunks(SIZE[0]).map(|line| line.iter().map(|&count| ink(count)).collect::<String>()).collect();
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}
