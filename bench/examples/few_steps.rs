//! Few steps before and after fine-tuning; the protocol is in `bench/README.md`.
//!
//! `cargo run --release -p thalweg-bench --example few_steps -- --out FOLDER`
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::Parser;
use thalweg_bench::{as_the_program_does, cell, with_error};
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
    println!(
        "| set | steps of Euler | before | tuned | reflow once | before, four times the steps | floor |"
    );
    println!("|---|---|---|---|---|---|---|");
    for set in SETS {
        let mut bases = Vec::new();
        for seed in 0..arguments.seeds {
            let path = arguments.out.join(format!("{set}, seed {seed}"));
            let base = train(set, seed, 1, &Kind::Base, &path)?;
            let at = arguments.out.join(format!("{set}, seed {seed}, reflow"));
            let straight = train(set, seed, 1, &Kind::Reflow(&path), &at)?;
            bases.push((base, straight, path));
        }
        for steps in STEPS {
            let mut columns = [const { Vec::new() }; 4];
            let mut floor = 0.0;
            for (seed, (base, straight, path)) in bases.iter().enumerate() {
                let at = arguments.out.join(format!("{set}, seed {seed}, {steps} steps"));
                let tuned = train(set, seed as u64, steps, &Kind::Tuned(path), &at)?;
                let (after, more) = (scored(&tuned, steps)?, scored(base, MORE * steps)?);
                let before = after.base.as_ref().map_or(&[][..], |base| &base.scores);
                columns[0].extend(w2(before));
                columns[1].extend(w2(&after.scores));
                columns[2].extend(w2(&scored(straight, steps)?.scores));
                columns[3].extend(w2(&more.scores));
                floor = after.scores.iter().find_map(|s| s.floor.filter(|_| s.name == "w2")).unwrap_or(floor);
            }
            let cells = columns.iter().map(|values| with_error(values, 3));
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

/// What is trained, and from which base.
enum Kind<'a> {
    /// With independent pairs.
    Base,
    /// To some steps, with pairs of the base's own.
    Tuned(&'a Path),
    /// On the pairs of the base, for as many evaluations as a tuning to four steps.
    Reflow(&'a Path),
}

fn train(set: &str, seed: u64, steps: usize, kind: &Kind, path: &Path) -> Result<Trained, Box<dyn Error>> {
    let (batches, rate, from, changes) = match kind {
        Kind::Base => (8000, 0.002, None, &[][..]),
        Kind::Tuned(from) => {
            let changes = &["flow.objective.kind=reconstruction", "flow.objective.pairs.kind=self"][..];
            (1500, 0.0005, Some(*from), changes)
        }
        Kind::Reflow(from) => (6000, 0.001, Some(*from), &["flow.objective.kind=reflow"][..]),
    };
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
    let session = cell::trained(cell::recipe(&text, changes.iter().copied(), from)?, path, false)?;
    Ok(Trained { flow: session.flow(), dataset: session.dataset })
}

fn scored(trained: &Trained, steps: usize) -> Result<Evaluation, Box<dyn Error>> {
    let solver = Some(Solver::fixed(Method::Euler, steps));
    Ok(evaluate(&trained.flow, &trained.dataset, &EvaluateOptions { solver, ..Default::default() })?)
}

fn w2(scores: &[thalweg_metrics::Score]) -> Option<f64> {
    scores.iter().find(|score| score.name == "w2").map(|score| score.value)
}
