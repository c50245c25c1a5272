//! How errors grow through a flow, a tuned flow, and flows with second stages; the protocol is in `bench/README.md`.
//!
//! `cargo run --release -p thalweg-bench --example robustness -- --out FOLDER`
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use clap::Parser;
use serde_json::{Value, json};
use thalweg_bench::{append, as_the_program_does, cell, is_done, records, with_error};
use thalweg_nets::{Anchoring, Condition};
use thalweg_noise::Noise;
use thalweg_solve::{Method, Placement, Save, Solver, Span, VelocityField, solve_field, to_host};
use thalweg_train::{CertifyRequest, FlowField, Reading, TrainedFlow};

#[derive(Parser)]
struct Arguments {
    /// Folder of the runs, and of `robustness.jsonl`, which is appended to; what is there is not done again.
    #[arg(long)]
    out: PathBuf,
    /// Seeds 0, 1, ...
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Threads of tensor work.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// What is compared: a name and its keys; all but the first start from the first.
const MODELS: [(&str, &[&str]); 5] = [
    ("base", &[]),
    ("ft", &[]),
    ("free", &["residual.head.kind=free"]),
    ("anchored", &["residual.head={kind='contracting',rate=0.5}"]),
    (
        "equilibrium",
        &["residual.head={kind='contracting',form='equilibrium',rate=0.2}", "residual.first=tuned"],
    ),
];

/// Sizes of the noise, in model units.
const SIZES: [f64; 4] = [0.01, 0.1, 0.3, 1.0];
/// Where the noise acts.
const KINDS: [&str; 4] = ["initial state", "velocity", "condition", "state after the flow"];
/// Points that are followed.
const POINTS: usize = 1000;
/// Times at which the difference of two offsets is looked at.
const TIMES: usize = 101;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    as_the_program_does(arguments.threads, move || study(&arguments))
}

fn study(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&arguments.out)?;
    let log = arguments.out.join("robustness.jsonl");
    let table = arguments.out.join("steered.csv");
    std::fs::write(&table, steered())?;
    for seed in 0..arguments.seeds {
        let at = |model: &str| arguments.out.join(format!("{model}, seed {seed}"));
        for (model, keys) in MODELS {
            if is_done(&records(&log), &[("model", json!(model)), ("seed", json!(seed))]) {
                continue;
            }
            if at(model).exists() {
                std::fs::remove_dir_all(at(model))?;
            }
            let base = (model != "base").then(|| at("base"));
            let flow = trained(&table, seed, base.as_deref(), keys, &at(model))?;
            for record in followed(&flow, model, seed)? {
                append(&log, &record)?;
            }
            eprintln!("{model}, seed {seed}");
        }
    }
    print(&records(&log));
    Ok(())
}

/// Points around two places that depend on where one is told to go: two columns to learn, two that are told.
fn steered() -> String {
    let mut noise = Noise::new(7);
    let mut text = "x,y,east,north\n".to_string();
    for _ in 0..20_000 {
        let angle = std::f64::consts::TAU * noise.uniform();
        let (east, north) = (angle.cos(), angle.sin());
        let side = if noise.uniform() < 0.5 { 1.0 } else { -1.0 };
        let [a, b] = [0.1 * noise.normal(), 0.1 * noise.normal()];
        let (x, y) = (2.0 * east - side * 0.7 * north + a, 2.0 * north + side * 0.7 * east + b);
        text += &format!("{x},{y},{east},{north}\n");
    }
    text
}

fn trained(
    table: &Path,
    seed: u64,
    from: Option<&Path>,
    keys: &[&str],
    path: &Path,
) -> Result<TrainedFlow, Box<dyn Error>> {
    let (steps, rate) = if from.is_some() { (1500, 0.0005) } else { (6000, 0.002) };
    let text = format!(
        "name = 'cell'
        seed = {seed}
        data.target = {{ kind = 'file', path = '{}' }}
        data.condition = {{ kind = 'columns', columns = ['east', 'north'] }}
        data.split = {{ kind = 'fractions', validation = 0.1, test = 0.1 }}
        model = {{ width = 64, hidden_layers = 3 }}
        flow.time.kind = 'stratified'
        [train]
        steps = {steps}
        clip = 1.0
        learning_rate = {{ kind = 'warm-up-cosine', rate = {rate}, warm_up = 0.03 }}
        average.decay = 0.99
        validate_every = 100
        [evaluate]
        solver = {{ method = 'euler', steps.fixed = 4 }}
        likelihood_points = 0
        replicates = 0
        report = false",
        std::path::absolute(table)?.display()
    );
    let mut changes = Vec::new();
    if from.is_some() {
        changes.push("flow.objective.kind=reconstruction");
        changes.push("flow.objective.guard.patience=0");
        changes.push("flow.objective.pairs.kind=self");
    }
    changes.extend(keys);
    Ok(cell::trained(cell::recipe(&text, changes, from)?, path, false)?.flow())
}

/// A pair of solves: the one that is disturbed, and the one that is not.
struct Solved {
    /// After the flow.
    made: Tensor<2>,
    /// After all.
    end: Tensor<2>,
}

/// What a solve is disturbed by.
#[derive(Clone)]
struct Disturbance {
    source: Tensor<2>,
    velocity: Tensor<2>,
    condition: Tensor<2>,
    made: Tensor<2>,
}

/// Errors by each kind and size of noise, beside what is certified of them.
fn followed(flow: &TrainedFlow, model: &str, seed: u64) -> Result<Vec<Value>, Box<dyn Error>> {
    let placement = Placement::cpu_double();
    let mut noise = Noise::at(seed, "robustness", 0);
    let rows = [POINTS, 2];
    let source = placement.tensor::<2>(&flow.source(POINTS, seed)?, rows);
    let angles: Vec<f64> = (0..POINTS).map(|_| std::f64::consts::TAU * noise.uniform()).collect();
    // Standardised as the network is told them.
    let told: Vec<f64> = angles.iter().flat_map(|a| [a.cos(), a.sin()]).map(|x| x * 2f64.sqrt()).collect();
    let told = placement.tensor::<2>(&told, rows);
    let directions: Vec<f64> = (0..POINTS)
        .flat_map(|_| {
            let angle = std::f64::consts::TAU * noise.uniform();
            [angle.cos(), angle.sin()]
        })
        .collect();
    let directions = placement.tensor::<2>(&directions, rows);
    let zero = directions.zeros_like();
    let nothing =
        Disturbance { source: zero.clone(), velocity: zero.clone(), condition: zero.clone(), made: zero };
    let undisturbed = solved(flow, &source, &told, &nothing)?;
    let claim = Claim::of(flow)?;
    let mut found = Vec::new();
    for kind in KINDS {
        for size in SIZES {
            let push = directions.clone() * size;
            let disturbance = match kind {
                "initial state" => Disturbance { source: push, ..nothing.clone() },
                "velocity" => Disturbance { velocity: push, ..nothing.clone() },
                "condition" => Disturbance { condition: push, ..nothing.clone() },
                _ => Disturbance { made: push, ..nothing.clone() },
            };
            let disturbed = solved(flow, &source, &told, &disturbance)?;
            let made = lengths(&(disturbed.made.clone() - undisturbed.made.clone()));
            let end = lengths(&(disturbed.end - undisturbed.end.clone()));
            let bounds = claim.as_ref().map(|claim| {
                claim.bounds(flow, &disturbance, &told, &undisturbed.made, &disturbed.made, size)
            });
            // What is certified for a row, over what was met there: never below one.
            let tightest = bounds.flatten().map(|bounds| {
                bounds.iter().zip(&end).map(|(bound, met)| bound / met).fold(f64::INFINITY, f64::min)
            });
            let root_mean_square =
                |values: &[f64]| (values.iter().map(|x| x * x).sum::<f64>() / values.len() as f64).sqrt();
            found.push(json!({
                "model": model, "seed": seed, "kind": kind, "size": size,
                "after_the_flow": root_mean_square(&made) / size,
                "at_the_end": root_mean_square(&end) / size,
                "largest_at_the_end": end.iter().copied().fold(0.0, f64::max) / size,
                "bound_over_met": tightest,
            }));
        }
    }
    Ok(found)
}

fn lengths(rows: &Tensor<2>) -> Vec<f64> {
    to_host(&rows.clone().square().sum_dim(1)).into_iter().map(f64::sqrt).collect()
}

/// Solves the flow by its steps of inference, and the second stage accurately, since that is what is certified.
fn solved(
    flow: &TrainedFlow,
    source: &Tensor<2>,
    told: &Tensor<2>,
    disturbance: &Disturbance,
) -> Result<Solved, Box<dyn Error>> {
    let solver = Solver::adaptive(Method::Dopri5, 1e-8);
    let Disturbance { source: moved, velocity: pushed, condition, made } = disturbance;
    let condition = Condition::Vectors(told.clone() + condition.clone());
    let placement = Placement::of(source);
    let network = flow.network().clone().cast(placement.dtype);
    let field = FlowField::new(&network, Reading::Plain, &condition, 1.0);
    let field = |t: Tensor<1>, x: Tensor<2>| field.velocity(t, x) + pushed.clone();
    let x0 = source.clone() + moved.clone();
    let after = solve_field(&flow.recipe.evaluate.solver, Span::FORWARD, x0, &Save::End, &field)
        .map_err(|error| error.to_string())?
        .state;
    let Some((residual, stage)) = flow.second_stage() else {
        return Ok(Solved { made: after.clone() + made.clone(), end: after + made.clone() });
    };
    let residual = residual.clone().cast(placement.dtype);
    // What the flow made is what an anchored stage is anchored at; noise that comes after it is on the state alone.
    let field = residual.given(&condition, &after);
    let field = |t: Tensor<1>, x: Tensor<2>| field.velocity(t, x) + pushed.clone();
    let start = after + made.clone();
    let end = solve_field(&solver, stage.span(), start.clone(), &Save::End, &field)
        .map_err(|error| error.to_string())?
        .state;
    Ok(Solved { made: start, end })
}

/// A rate that is certified in the Euclidean norm, and what it is a rate of.
struct Claim {
    rate: f64,
    anchored: bool,
    duration: f64,
}

impl Claim {
    /// Metrics are the identity here, so that norms need no translation.
    fn of(flow: &TrainedFlow) -> Result<Option<Self>, Box<dyn Error>> {
        let Some((residual, stage)) = flow.second_stage() else { return Ok(None) };
        let request = CertifyRequest { condition: 1.0 + 1e-9, ..CertifyRequest::default() };
        let certificate = flow.certify(&request)?.certificate;
        let claim = certificate.as_ref().and_then(|certificate| certificate.claims.contraction.certified());
        let anchored = residual.structure().is_some_and(|structure| structure.form == Anchoring::Anchored);
        Ok(claim.map(|claim| Self { rate: claim.rate, anchored, duration: stage.duration }))
    }

    /// What the end of each row may be away by; none where nothing is certified: an anchored stage whose anchor moved.
    fn bounds(
        &self,
        flow: &TrainedFlow,
        disturbance: &Disturbance,
        told: &Tensor<2>,
        made: &Tensor<2>,
        disturbed: &Tensor<2>,
        size: f64,
    ) -> Option<Vec<f64>> {
        let is_none = |tensor: &Tensor<2>| lengths(tensor).iter().all(|x| *x == 0.0);
        let moved = !(is_none(&disturbance.source)
            && is_none(&disturbance.velocity)
            && is_none(&disturbance.condition));
        if self.anchored && moved {
            return None;
        }
        let kept = (-self.rate * self.duration).exp();
        let pushed = (1.0 - kept) / self.rate;
        let push = if is_none(&disturbance.velocity) { 0.0 } else { size };
        let other = self.difference_of_offsets(flow, disturbance, told)?;
        let apart = lengths(&(disturbed.clone() - made.clone()));
        Some(apart.iter().zip(other).map(|(apart, other)| kept * apart + pushed * (push + other)).collect())
    }

    /// The largest difference of the offsets for the two conditions of each row: that of the fields at one point.
    fn difference_of_offsets(
        &self,
        flow: &TrainedFlow,
        disturbance: &Disturbance,
        told: &Tensor<2>,
    ) -> Option<Vec<f64>> {
        let (residual, stage) = flow.second_stage()?;
        let placement = Placement::of(told);
        let residual = residual.clone().cast(placement.dtype);
        let x = told.zeros_like();
        let of = |condition: Tensor<2>| residual.given(&Condition::Vectors(condition), &x);
        let (plain, other) = (of(told.clone()), of(told.clone() + disturbance.condition.clone()));
        let mut largest = vec![0.0_f64; POINTS];
        for k in 0..TIMES {
            let time = 1.0 + stage.duration * k as f64 / (TIMES - 1) as f64;
            let t = placement.full::<1>(time, [POINTS]);
            let apart = lengths(&(plain.velocity(t.clone(), x.clone()) - other.velocity(t, x.clone())));
            largest.iter_mut().zip(apart).for_each(|(most, apart)| *most = most.max(apart));
        }
        // Between the times that were looked at it may be a little more.
        Some(largest.into_iter().map(|x| 1.01 * x).collect())
    }
}

/// Growth by size and kind, means over seeds, and what is certified over what was met.
fn print(records: &[Value]) {
    for kind in KINDS {
        println!("\n### Noise on the {kind}\n");
        let sizes = SIZES.map(|size| format!("{size}")).join(" | ");
        println!("| model | {sizes} | largest | bound over met |");
        println!("|---|{}", "---|".repeat(SIZES.len() + 2));
        for (model, _) in MODELS {
            let of = |size: Option<f64>, key: &str| -> Vec<f64> {
                let chosen = records.iter().filter(|record| {
                    record["model"] == model
                        && record["kind"] == kind
                        && size.is_none_or(|size| record["size"] == size)
                });
                chosen.filter_map(|record| record[key].as_f64()).collect()
            };
            let cells = SIZES.map(|size| with_error(&of(Some(size), "at_the_end"), 3));
            let largest = of(None, "largest_at_the_end").into_iter().fold(0.0, f64::max);
            let least = of(None, "bound_over_met").into_iter().reduce(f64::min);
            let least = least.map_or_else(|| "no bound".to_string(), |x| format!("{x:.4}"));
            println!("| {model} | {} | {largest:.2} | {least} |", cells.join(" | "));
        }
    }
}
