//! Our side of the quality comparison with torchcfm; the protocol is in `bench/README.md`.
//!
//! `cargo run --release -p thalweg-bench --example quality -- --clouds clouds --out ours.jsonl`
#![allow(clippy::print_stderr)]

use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use serde_json::json;
use thalweg_bench::{append, is_done, records};
use thalweg_data::{Condition, Npz};
use thalweg_metrics::{normalised_path_energy, path_energy, wasserstein2};
use thalweg_ot::Points;
use thalweg_run::{Document, Sinks};
use thalweg_solve::{Method, Solver};
use thalweg_train::{ConditionRequest, Equation, Recipe, SampleRequest, Session};

#[derive(Parser)]
struct Arguments {
    /// Folder of the evaluation clouds that `peers/problems.py` wrote.
    #[arg(long)]
    clouds: PathBuf,
    /// File of JSON lines to append to; what is there is not done again.
    #[arg(long)]
    out: PathBuf,
    /// Training steps.
    #[arg(long, default_value_t = 5000)]
    steps: u64,
    /// Seeds 0, 1, ...
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// Only cells whose `problem/method` contains this.
    #[arg(long)]
    only: Option<String>,
}

const PROBLEMS: [(&str, &str, &str); 3] = [
    ("gaussian-to-two-moons", r#"kind = "gaussian""#, "two-moons"),
    ("eight-gaussians-to-two-moons", r#"kind = "set", set = { kind = "eight-gaussians" }"#, "two-moons"),
    ("gaussian-to-eight-gaussians", r#"kind = "gaussian""#, "eight-gaussians"),
];

/// torchcfm's Schrödinger-bridge matcher pairs by exact transport unless told otherwise, and so does ours here.
const METHODS: [(&str, &str, &str); 3] = [
    ("i-cfm", r#"kind = "linear", sigma = 0.1"#, "independent"),
    ("ot-cfm", r#"kind = "linear", sigma = 0.1"#, "optimal-transport"),
    ("sb-cfm", r#"kind = "schroedinger-bridge", sigma = 0.5"#, "optimal-transport"),
];

/// The loss that is recorded is a mean over this many last steps; one batch alone says little.
const LOSS_WINDOW: usize = 100;

/// Times at which speeds are taken for the path energy.
const TIMES: usize = 101;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let done = records(&arguments.out);
    for seed in 0..arguments.seeds {
        for (problem, source, target) in PROBLEMS {
            for (method, path, coupling) in METHODS {
                let name = format!("{problem}/{method}");
                let wanted = arguments.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
                let keys = [
                    ("problem", json!(problem)),
                    ("method", json!(method)),
                    ("seed", json!(seed)),
                    ("steps", json!(arguments.steps)),
                ];
                if !wanted || is_done(&done, &keys) {
                    continue;
                }
                let text = recipe(seed, arguments.steps, [source, target], [path, coupling]);
                let clouds = arguments.clouds.join(format!("{problem}-{seed}.npz"));
                let mut record = cell(&text, &clouds)?;
                for (key, value) in keys {
                    record[key] = value;
                }
                eprintln!("{record}");
                append(&arguments.out, &record)?;
            }
        }
    }
    Ok(())
}

/// torchcfm's network and optimiser; the last weights, not their average.
fn recipe(seed: u64, steps: u64, [source, target]: [&str; 2], [path, coupling]: [&str; 2]) -> String {
    format!(
        r#"
name = "quality"
seed = {seed}
[data]
target = {{ kind = "{target}" }}
source = {{ {source} }}
[model]
width = 64
hidden_layers = 3
activation = "selu"
[flow]
path = {{ {path} }}
coupling = {{ kind = "{coupling}" }}
[train]
steps = {steps}
batch = 256
learning_rate = {{ kind = "constant", rate = 0.001 }}
average = {{ decay = 0.0, warm_up = false }}
"#
    )
}

fn cell(text: &str, clouds: &Path) -> Result<serde_json::Value, Box<dyn Error>> {
    let recipe = Recipe::read(&Document::new(text, "quality", &[])?)?;
    let folder = std::env::temp_dir().join(format!("thalweg-quality-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let mut session = Session::begin(recipe, Path::new("."), &folder)?;
    let started = Instant::now();
    let mut losses = Vec::new();
    session.train(&mut Sinks::new(), |progress| {
        losses.push(progress.loss);
        ControlFlow::Continue(())
    })?;
    let train_seconds = started.elapsed().as_secs_f64();
    let last_losses = &losses[losses.len().saturating_sub(LOSS_WINDOW)..];

    let mut archive = Npz::open(clouds)?;
    let [source, target, again] =
        ["source", "target", "target_again"].map(|name| archive.array(name).map(|array| array.values));
    let (source, target, again) = (source?, target?, again?);
    let flow = session.flow();
    let solver = Solver::adaptive(Method::Dopri5, 1e-5);
    let request = SampleRequest {
        number: source.len() / 2,
        seed: 0,
        condition: ConditionRequest::AsInData,
        guidance: 1.0,
        equation: Equation::Flow(solver.clone()),
    };
    let samples = flow.sample_from(&source, &Condition::None, &request)?;
    let trajectories = flow.trajectories(&source, &Condition::None, &solver, TIMES)?;
    let speeds: Vec<f64> =
        trajectories.squared_speeds.iter().map(|s| s.iter().sum::<f64>() / s.len() as f64).collect();
    let energy = path_energy(&trajectories.times, &speeds)?;
    let cloud = |values| Points::new(values, 2);
    let optimal = wasserstein2(cloud(&source), cloud(&target))?.powi(2);
    let record = json!({
        "library": "thalweg",
        "version": env!("CARGO_PKG_VERSION"),
        "steps": session.recipe.train.steps,
        "points": source.len() / 2,
        "w2": wasserstein2(cloud(&samples.points), cloud(&target))?,
        "w2_floor": wasserstein2(cloud(&again), cloud(&target))?,
        "npe": normalised_path_energy(energy, optimal),
        "path_energy": energy,
        "w2_squared_ends": optimal,
        "evaluations": samples.evaluations,
        "final_loss": last_losses.iter().sum::<f64>() / last_losses.len() as f64,
        "train_seconds": train_seconds,
    });
    std::fs::remove_dir_all(&folder)?;
    Ok(record)
}
