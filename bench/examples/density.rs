//! Densities by one flow and by a chain of flows, at equal parameters and equal work; the protocol is in `bench/README.md`.
//!
//! `cargo run --release -p thalweg-bench --example density -- --data FOLDER --out FOLDER --sets tree --batches 4000`
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use faer::{Mat, Side};
use serde_json::{Value, json};
use thalweg_bench::{append, as_the_program_does, cell, is_done, records, with_error};
use thalweg_data::{Dataset, Split};
use thalweg_flow::{Divergence, ProbeLaw};
use thalweg_metrics::{mean_and_covariance, mean_and_standard_error};
use thalweg_ot::Points;
use thalweg_solve::{Method, Solver};
use thalweg_train::{EvaluateOptions, Session, evaluate};

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
    /// Batches that go through all parameters once; several for a curve.
    #[arg(long, value_delimiter = ',', required = true)]
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

/// A set with the chain of the Local Flow Matching paper, or of the paper's set that is most like it.
struct Set {
    name: &'static str,
    data: &'static str,
    dim: usize,
    /// Blocks, time of the first and quotient of times.
    chain: (usize, f64, f64),
    /// What else the chain needs: pictures have so many details that many points must go from block to block.
    more: &'static str,
    /// Width and hidden layers of a block.
    block: (usize, usize),
    activation: &'static str,
    /// Where along the path training looks.
    times: &'static str,
    batch: usize,
    /// The largest learning rate.
    rate: f64,
}

const METHODS: [&str; 5] = ["gaussian", "fm", "interflow", "local", "local-trigonometric"];

const fn picture(name: &'static str, data: &'static str) -> Set {
    Set {
        name,
        data,
        dim: 2,
        chain: (9, 0.025, 1.25),
        more: ", points = 300000, solver = { method = 'rk4', steps = { fixed = 4 } }",
        block: (256, 3),
        activation: "{ softplus = { beta = 20 } }",
        // The details of a picture are learned near the data.
        times: "{ kind = 'beta', a = 1, b = 0.5 }",
        batch: 500,
        rate: 0.002,
    }
}

const SETS: [Set; 5] = [
    picture(
        "tree",
        "target = { kind = 'image', path = 'toy2d/img_tree.png', texture = 'smooth', aspect = 'stretch' }",
    ),
    picture(
        "rose",
        "target = { kind = 'image', path = 'toy2d/img_rose.png', texture = 'smooth', aspect = 'stretch' }",
    ),
    Set {
        name: "kin8nm",
        data: "target = { kind = 'file', path = 'kin8nm.npz', member = 'x' }
               split = { kind = 'members', test = 'test_SEED', validation = 'validation_SEED' }",
        dim: 9,
        chain: (4, 0.15, 1.3),
        more: "",
        block: (128, 4),
        activation: "'silu'",
        times: "{ kind = 'stratified' }",
        batch: 512,
        rate: 0.001,
    },
    Set {
        name: "protein",
        data: "target = { kind = 'file', path = 'protein.npz', member = 'x' }
               split = { kind = 'members', test = 'test_SEED', validation = 'validation_SEED' }",
        dim: 10,
        chain: (4, 0.15, 1.3),
        more: "",
        block: (256, 4),
        activation: "'silu'",
        times: "{ kind = 'stratified' }",
        batch: 1024,
        rate: 0.001,
    },
    Set {
        name: "patches",
        data: "target = { kind = 'file', path = 'patches.npz', member = 'x' }
               split = { kind = 'members', test = 'test', validation = 'validation' }",
        dim: 63,
        chain: (4, 0.25, 1.0),
        more: "",
        block: (512, 4),
        activation: "'elu'",
        times: "{ kind = 'stratified' }",
        batch: 500,
        rate: 0.001,
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    as_the_program_does(arguments.threads, move || study(&arguments))
}

fn study(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&arguments.out)?;
    let out = arguments.out.join("density.jsonl");
    let seeds = arguments.first_seed..arguments.first_seed + arguments.seeds;
    for (seed, name) in seeds.flat_map(|seed| arguments.sets.iter().map(move |name| (seed, name))) {
        let set = SETS.iter().find(|set| set.name == name).ok_or(format!("there is no set {name}"))?;
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
            if is_done(&records(&out), &keys) || (method == "gaussian" && set.dim == 2) {
                continue;
            }
            let cell = format!("{name}, {method}, seed {seed}, {batches}, {}", arguments.point_features);
            let folder = [&[cell], &arguments.changes[..]].concat();
            let folder = arguments.out.join(folder.join(", "));
            let mut record = match method.as_str() {
                "gaussian" => gaussian(set, seed, arguments)?,
                _ => flow(&recipe(set, method, (seed, batches), arguments)?, arguments, &folder)?,
            };
            for (key, value) in keys {
                record[key] = value;
            }
            eprintln!("{record}");
            append(&out, &record)?;
        }
    }
    tables(&records(&out), arguments);
    Ok(())
}

/// Parameters of a perceptron that is told the time, and features of the point, beside the point.
fn parameters((dim, features): (usize, usize), width: usize, layers: usize) -> usize {
    (dim + features + 2) * width + (layers - 1) * (width * width + width) + width * dim + dim
}

/// The width at which one network has as many parameters as all blocks.
fn width_of_all(set: &Set, features: usize) -> usize {
    let (width, layers) = set.block;
    let of_width = |width| parameters((set.dim, features), width, layers);
    let wanted = set.chain.0 * of_width(width);
    let above = (width..).find(|width| of_width(*width) > wanted).unwrap_or(width);
    above - 1
}

fn recipe(
    set: &Set,
    method: &str,
    (seed, batches): (u64, u64),
    arguments: &Arguments,
) -> Result<String, String> {
    let (blocks, first, growth) = set.chain;
    let chain = |interpolant: &str| {
        format!(
            "local = {{ blocks = {blocks}, first = {first}, growth = {growth}, interpolant = '{interpolant}'{} }}",
            set.more
        )
    };
    let all = width_of_all(set, arguments.point_features);
    let point = match arguments.point_features {
        0 => String::new(),
        features => format!(", point = {{ fourier = {{ features = {features} }} }}"),
    };
    let (width, steps, method) = match method {
        "local" => (set.block.0, batches * blocks as u64, chain("linear")),
        "local-trigonometric" => (set.block.0, batches * blocks as u64, chain("trigonometric")),
        "fm" => (all, batches, "flow.path = { kind = 'linear' }".to_string()),
        "interflow" => (all, batches, "flow.path = { kind = 'trigonometric' }".to_string()),
        other => return Err(format!("there is no method {other}")),
    };
    let data = set.data.replace("SEED", &seed.to_string());
    let Set { block: (_, layers), activation, times, batch, rate, .. } = set;
    Ok(format!(
        "name = 'density'
        seed = {seed}
        model = {{ width = {width}, hidden_layers = {layers}, activation = {activation}{point} }}
        {method}
        flow.time = {times}
        [data]
        standardise = true
        {data}
        [train]
        steps = {steps}
        batch = {batch}
        learning_rate = {{ kind = 'warm-up-cosine', rate = {rate}, warm_up = 0.03 }}
        average = {{ decay = 0.999 }}
        clip = 1.0
        checkpoint_every = 2000
        validate_every = 2000
        [evaluate]
        metrics = ['sliced-w2']
        samples = 2000
        likelihood_points = 0
        replicates = 0
        report = false"
    ))
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

/// Minus the mean log-likelihood of held-out points, in nats and in the units of the data, with its standard error.
fn nll(session: &Session, split: Split) -> Result<(f64, f64), Box<dyn Error>> {
    let (dataset, seed) = (&session.dataset, session.recipe.seed);
    let rows = dataset.held_out_rows(split).map_or(POINTS, |rows| rows.min(POINTS));
    let mut held_out = dataset.held_out(split, Some(rows), seed)?;
    dataset.normaliser().invert(&mut held_out.points);
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

/// A table for each set: likelihoods as means over seeds with their errors, or of one seed with that of the points. Of
/// several budgets, the last line of a method has what the validation points choose.
fn tables(records: &[Value], arguments: &Arguments) {
    for set in &arguments.sets {
        println!("\n### {set}\n");
        println!(
            "| method | batches | NLL | validation NLL | parameters | minutes of training | evaluations |"
        );
        println!("|---|---|---|---|---|---|---|");
        let of_set: Vec<&Value> = records
            .iter()
            .filter(|record| {
                record["set"] == set.as_str()
                    && record["changes"] == json!(arguments.changes)
                    && record["point_features"] == json!(arguments.point_features)
            })
            .collect();
        for method in METHODS {
            let of_method: Vec<&Value> =
                of_set.iter().copied().filter(|record| record["method"] == method).collect();
            let mut budgets: Vec<u64> =
                of_method.iter().filter_map(|record| record["batches"].as_u64()).collect();
            budgets.sort_unstable();
            budgets.dedup();
            for budget in &budgets {
                let of_budget: Vec<&Value> =
                    of_method.iter().copied().filter(|record| record["batches"] == *budget).collect();
                println!("| {method} | {budget} | {} |", line(&of_budget));
            }
            if budgets.len() > 1 && of_method.iter().any(|record| record["validation_nll"].is_f64()) {
                println!("| {method} | by validation | {} |", line(&chosen(&of_method)));
            }
        }
    }
}

/// Of each seed the record whose likelihood of the validation points is the best.
fn chosen<'a>(records: &[&'a Value]) -> Vec<&'a Value> {
    let mut best: BTreeMap<u64, &Value> = BTreeMap::new();
    for record in records {
        let seed = record["seed"].as_u64().unwrap_or(0);
        let validation = |record: &Value| record["validation_nll"].as_f64().unwrap_or(f64::INFINITY);
        let present = best.entry(seed).or_insert(record);
        if validation(record) < validation(present) {
            *present = record;
        }
    }
    best.into_values().collect()
}

fn line(records: &[&Value]) -> String {
    let values =
        |key: &str| -> Vec<f64> { records.iter().filter_map(|record| record[key].as_f64()).collect() };
    let nll = match (&values("nll")[..], &values("nll_error")[..]) {
        ([nll], [error]) => format!("{nll:.3} ± {error:.3}"),
        (all, _) => with_error(all, 3),
    };
    let minutes: Vec<f64> = values("train_seconds").iter().map(|seconds| seconds / 60.0).collect();
    let mean = |values: &[f64], digits: usize| match values {
        [] => String::new(),
        _ => format!("{:.digits$}", values.iter().sum::<f64>() / values.len() as f64),
    };
    [
        nll,
        with_error(&values("validation_nll"), 3),
        mean(&values("parameters"), 0),
        mean(&minutes, 1),
        mean(&values("nfe"), 0),
    ]
    .join(" | ")
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
