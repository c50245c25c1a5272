//! Few steps before and after fine-tuning; the protocol is in `bench/README.md`.
//!
//! `cargo run --release -p thalweg-bench --example few_steps -- --out FOLDER`
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::Parser;
use thalweg_bench::{as_the_program_does, cell};
use thalweg_metrics::mean_and_standard_error;
use thalweg_solve::{Method, Solver};
use thalweg_train::{EvaluateOptions, Evaluation, TrainedFlow, evaluate};

#[derive(Parser)]
struct Arguments {
    /// Folder of the runs, which must not hold any yet.
    #[arg(long)]
    out: PathBuf,
    /// Seeds 0, 1, ...
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Threads of tensor work.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

const SETS: [&str; 2] = ["eight-gaussians", "checkerboard"];
const STEPS: [usize; 4] = [1, 2, 4, 8];
/// The base is given this many times as many steps as the tuned flow.
const MORE: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    as_the_program_does(arguments.threads, move || study(&arguments))
}

fn study(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    println!("| set | steps of Euler | before | tuned | reflow once | before, four times the steps | floor |");
    println!("|---|---|---|---|---|---|---|");
    for set in SETS {
        let mut bases = Vec::new();
        for seed in 0..arguments.seeds {
            let path = arguments.out.join(format!("{set}, seed {seed}"));
            bases.push((train(set, seed, None, 1, &path)?, path));
        }
        for steps in STEPS {
            let mut columns = [Vec::new(), Vec::new(), Vec::new()];
            let mut floor = 0.0;
            for (seed, (base, path)) in bases.iter().enumerate() {
                let at = arguments.out.join(format!("{set}, seed {seed}, {steps} steps"));
                let tuned = train(set, seed as u64, Some(path), steps, &at)?;
                let (after, more) = (scored(&tuned, steps)?, scored(base, MORE * steps)?);
                let before = after.base.as_ref().map_or(&[][..], |base| &base.scores);
                columns[0].extend(w2(before));
                columns[1].extend(w2(&after.scores));
                columns[2].extend(w2(&more.scores));
                floor = after.scores.iter().find_map(|s| s.floor.filter(|_| s.name == "w2")).unwrap_or(floor);
            }
            let cells = columns.iter().map(|values| match mean_and_standard_error(values) {
                Ok((mean, error)) => format!("{mean:.3} ± {error:.3}"),
                Err(_) => values.first().map_or(String::new(), |value| format!("{value:.3}")),
            });
            println!("| {set} | {steps} | {} | {floor:.3} |", cells.collect::<Vec<_>>().join(" | "));
        }
    }
    Ok(())
}

/// A flow with its data.
struct Trained {
    flow: TrainedFlow,
    dataset: thalweg_data::Dataset,
}

/// Trains a base of independent pairs, or tunes one to some steps with its own pairs.
fn train(
    set: &str,
    seed: u64,
    from: Option<&Path>,
    steps: usize,
    path: &Path,
) -> Result<Trained, Box<dyn Error>> {
    let (batches, rate) = if from.is_some() { (1500, 0.0005) } else { (8000, 0.002) };
    let text = format!(
        "name = 'few'
        seed = {seed}
        data.target.kind = '{set}'
        model = {{ width = 128, hidden_layers = 3 }}
        flow.time.kind = 'stratified'
        [train]
        steps = {batches}
        learning_rate = {{ kind = 'warm-up-cosine', rate = {rate}, warm_up = 0.03 }}
        average.decay = 0.99
        validate_every = 100
        [evaluate]
        metrics = ['w2']
        solver = {{ method = 'euler', steps.fixed = {steps} }}
        likelihood_points = 0
        replicates = 0
        report = false"
    );
    let tuning = ["flow.objective.kind=reconstruction", "flow.objective.pairs.kind=self"];
    let changes = if from.is_some() { &tuning[..] } else { &[] };
    let session = cell::trained(cell::recipe(&text, changes.iter().copied(), from)?, path, false)?;
    Ok(Trained { flow: session.flow(), dataset: session.dataset })
}

fn scored(trained: &Trained, steps: usize) -> Result<Evaluation, Box<dyn Error>> {
    let solver = Some(Solver::fixed(Method::Euler, steps));
    Ok(evaluate(&trained.flow, &trained.dataset, &EvaluateOptions { seed: 0, solver })?)
}

fn w2(scores: &[thalweg_metrics::Score]) -> Option<f64> {
    scores.iter().find(|score| score.name == "w2").map(|score| score.value)
}
