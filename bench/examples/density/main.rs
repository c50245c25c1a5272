//! Densities by one flow and by a chain of flows, at equal parameters and equal work; the protocol is in `bench/README.md`.
//!
//! `cargo run --release -p thalweg-bench --example density -- --data FOLDER --out FOLDER --sets tree --batches 4000`
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod sets;
mod tables;

use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use faer::{Mat, Side};
use serde_json::{Value, json};
use thalweg_bench::{as_the_program_does, cell, measure_once, records};
use thalweg_data::{Batch, DataError, Dataset, Split};
use thalweg_flow::{Divergence, ProbeLaw};
use thalweg_metrics::{mean_and_covariance, mean_and_standard_error};
use thalweg_ot::Points;
use thalweg_solve::{Method, Solver};
use thalweg_train::{EvaluateOptions, Session, evaluate};

use crate::sets::{SETS, Set, recipe};

#[derive(Parser)]
struct Arguments {
    /// Folder of the data files.
    #[arg(long)]
    data: PathBuf,
    /// Folder of the runs and of `density.jsonl`; what is there is not done again, and what was stopped goes on.
    #[arg(long)]
    out: PathBuf,
    /// Which sets.
    #[arg(long, value_delimiter = ',', default_value = "tree,rose,kin8nm,protein,patches")]
    sets: Vec<String>,
    /// Which methods.
    #[arg(long, value_delimiter = ',', default_value = "gaussian,fm,interflow,local")]
    methods: Vec<String>,
    /// Batches that go through all parameters once; several for a curve, none to see what there is.
    #[arg(long, value_delimiter = ',')]
    batches: Vec<u64>,
    /// The first seed; of tables, the number of the split too.
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// How many sines and cosines of the point the networks of all methods see beside it.
    #[arg(long, default_value_t = 0)]
    point_features: usize,
    /// Another value of a key of the recipe, `train.batch=500`; as often as you want.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    changes: Vec<String>,
    /// Threads of tensor work.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    as_the_program_does(arguments.threads, move || study(&arguments))
}

fn study(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&arguments.out)?;
    let out = arguments.out.join("density.jsonl");
    let seeds = arguments.first_seed..arguments.first_seed + arguments.seeds;
    for (seed, name) in seeds.flat_map(|seed| arguments.sets.iter().map(move |name| (seed, name))) {
        let set = set(name)?;
        for (method, batches) in
            arguments.methods.iter().flat_map(|method| arguments.batches.iter().map(move |b| (method, *b)))
        {
            let keys = [
                ("set", json!(name)),
                ("method", json!(method)),
                ("seed", json!(seed)),
                ("batches", json!(if method == "gaussian" { 0 } else { batches })),
                ("point_features", json!(arguments.point_features)),
                ("changes", json!(arguments.changes)),
            ];
            if method == "gaussian" && set.dim == 2 {
                continue;
            }
            let cell = format!("{name}, {method}, seed {seed}, {batches}, {}", arguments.point_features);
            let folder = [&[cell], &arguments.changes[..]].concat();
            let folder = arguments.out.join(folder.join(", "));
            measure_once(&out, keys, || match method.as_str() {
                "gaussian" => gaussian(set, seed, arguments),
                _ => flow(&recipe(set, method, (seed, batches), arguments)?, arguments, &folder),
            })?;
        }
    }
    for name in &arguments.sets {
        tables::write(set(name)?, &records(&out), arguments)?;
    }
    Ok(())
}

fn set(name: &str) -> Result<&'static Set, String> {
    SETS.iter().find(|set| set.name == name).ok_or(format!("there is no set {name}"))
}

fn flow(recipe: &str, arguments: &Arguments, folder: &Path) -> Result<Value, Box<dyn Error>> {
    let mut session = if folder.exists() {
        Session::resume(folder)?
    } else {
        let changes = arguments.changes.iter().map(String::as_str);
        Session::begin(cell::recipe(recipe, changes, None)?.recipe, &arguments.data, folder)?
    };
    let mut sinks = session.sinks()?;
    let (started, begun) = (Instant::now(), session.state.step);
    session.train(&mut sinks, |_| ControlFlow::Continue(()))?;
    let seconds = started.elapsed().as_secs_f64();
    let found = evaluate(&session.flow(), &session.dataset, &EvaluateOptions::default())?;
    let score = |name: &str| found.scores.iter().find(|score| score.name == name);
    let (test_nll, error) = nll(&session, Split::Test)?;
    // Pictures have points without end: there is nothing to overfit, and no budget to choose.
    let validation = match session.dataset.held_out_rows(Split::Validation) {
        Some(_) => Some(nll(&session, Split::Validation)?.0),
        None => None,
    };
    Ok(json!({
        "nll": test_nll,
        "nll_error": error,
        "validation_nll": validation,
        "sliced_w2": score("sliced-w2").map(|score| score.value),
        "sliced_w2_floor": score("sliced-w2").and_then(|score| score.floor),
        "round_trip": score("round-trip").map(|score| score.value),
        "nfe": score("nfe").map(|score| score.value),
        "blocks": found.blocks,
        "parameters": session.flow().parameters(),
        "steps": session.recipe.train.steps,
        "batch": session.recipe.train.batch,
        // Of this process alone, where the run was stopped in between.
        "train_seconds": seconds,
        "train_seconds_from_step": begun,
    }))
}

/// Held-out points that a likelihood is the mean of.
const POINTS: usize = 5000;
/// Coordinates up to which divergences are exact; beyond, one probe for each point, whose noise is part of the error.
const EXACT_UP_TO: usize = 16;

/// The held-out points that likelihoods are means of, in the units of the data.
fn held_out(dataset: &Dataset, split: Split, seed: u64) -> Result<Batch, DataError> {
    let rows = dataset.held_out_rows(split).map_or(POINTS, |rows| rows.min(POINTS));
    let mut points = dataset.held_out(split, Some(rows), seed)?;
    dataset.normaliser().invert(&mut points.points);
    Ok(points)
}

/// Minus the mean log-likelihood of held-out points, in nats and in the units of the data, with its standard error.
fn nll(session: &Session, split: Split) -> Result<(f64, f64), Box<dyn Error>> {
    let (dataset, seed) = (&session.dataset, session.recipe.seed);
    let held_out = held_out(dataset, split, seed)?;
    let divergence = match held_out.dim {
        dim if dim <= EXACT_UP_TO => Divergence::Exact {},
        _ => Divergence::Hutchinson { probes: 1, law: ProbeLaw::Rademacher },
    };
    let solver = Solver::adaptive(Method::Dopri5, 1e-5);
    let found =
        session.flow().log_likelihood(&held_out.points, &held_out.condition, &solver, divergence, seed)?;
    let negative: Vec<f64> = found.values.iter().map(|value| -value).collect();
    Ok(mean_and_standard_error(&negative)?)
}

/// The Gaussian with the moments of the training rows.
fn gaussian(set: &Set, seed: u64, arguments: &Arguments) -> Result<Value, Box<dyn Error>> {
    let recipe = cell::recipe(&recipe(set, "fm", (seed, 1), arguments)?, [], None)?.recipe;
    let dataset = Dataset::load(&recipe.data, seed, &arguments.data)?;
    let rows = dataset.training_rows().ok_or("a table is needed")?;
    let (training, test) = (dataset.batch(rows, seed, 0)?, dataset.held_out(Split::Test, None, seed)?);
    let moments = mean_and_covariance(Points::new(&training.points, set.dim))?;
    let covariance = Mat::from_fn(set.dim, set.dim, |i, j| moments.covariance[i * set.dim + j]);
    let eigen = covariance.self_adjoint_eigen(Side::Lower).map_err(|_| "no eigenvalues")?;
    let (axes, variances) = (eigen.U(), eigen.S().column_vector());
    let log_density = |point: &[f64]| {
        let along = |axis: usize| {
            let z: f64 = (0..set.dim).map(|i| axes[(i, axis)] * (point[i] - moments.mean[i])).sum();
            -0.5 * (z * z / variances[axis] + (std::f64::consts::TAU * variances[axis]).ln())
        };
        (0..set.dim).map(along).sum::<f64>()
    };
    let values: Vec<f64> = test.points.chunks_exact(set.dim).map(|point| -log_density(point)).collect();
    let (nll, error) = mean_and_standard_error(&values)?;
    // Back to the units of the data.
    let nll = nll - dataset.normaliser().log_determinant();
    Ok(json!({ "nll": nll, "nll_error": error, "parameters": set.dim + set.dim * (set.dim + 1) / 2 }))
}
