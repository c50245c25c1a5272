//! Fine-tuning against longer training at equal compute; the protocol is in `bench/README.md`.
//!
//! `cargo run --release -p thalweg-bench --example tuning -- --out FOLDER`
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use serde_json::{Value, json};
use thalweg_bench::{append, as_the_program_does, cell, is_done, records, with_error};
use thalweg_metrics::Score;
use thalweg_run::{Event, RunDir, read_events};
use thalweg_train::{EvaluateOptions, ReadRecipe, evaluate};

#[derive(Parser)]
struct Arguments {
    /// Folder of the runs, and of `tuning.jsonl`, which is appended to; what is there is not done again.
    #[arg(long)]
    out: PathBuf,
    /// Seeds 0, 1, ...
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Only sets with these names.
    #[arg(long)]
    set: Vec<String>,
    /// Only methods whose names begin so, and those they start from.
    #[arg(long)]
    method: Vec<String>,
    /// A file for a set that needs one: `digits=digits.npy`.
    #[arg(long)]
    file: Vec<String>,
    /// Threads of tensor work.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// A set, its data and its network.
struct Set {
    name: &'static str,
    data: &'static str,
    model: &'static str,
    /// Points whose likelihood is computed, the dearest score.
    likelihood_points: usize,
}

const SETS: [Set; 5] = [
    Set {
        name: "eight-gaussians",
        data: "target = { kind = 'eight-gaussians' }",
        model: "width = 128, hidden_layers = 3",
        likelihood_points: 1000,
    },
    Set {
        name: "checkerboard",
        data: "target = { kind = 'checkerboard' }",
        model: "width = 128, hidden_layers = 3",
        likelihood_points: 1000,
    },
    Set {
        name: "tree",
        data: "target = { kind = 'image', texture = 'smooth', aspect = 'stretch', path = 'PATH' }",
        model: "width = 128, hidden_layers = 3",
        likelihood_points: 1000,
    },
    Set {
        name: "gaussian-16d",
        data: "standardise = true, target = { kind = 'random-gaussian', dim = 16, condition_number = 25.0 }",
        model: "width = 128, hidden_layers = 2",
        likelihood_points: 1000,
    },
    Set {
        name: "digits",
        data: "dequantise = 0.0625, split = { kind = 'fractions', validation = 0.1, test = 0.3 }, \
               target = { kind = 'file', path = 'PATH' }",
        model: "width = 256, hidden_layers = 3",
        likelihood_points: 0,
    },
];

/// Steps of a base.
const BASE: u64 = 6000;
/// Steps of a fine-tuning, each of which passes the network [`PASSES`] times forth and back.
const TUNING: u64 = 1500;
/// Evaluations of the solver that is tuned and scored, as many steps of Euler.
const PASSES: u64 = 4;

/// What is compared: a name, what it starts from, and its keys.
const METHODS: [(&str, Option<&str>, &str); 18] = [
    ("fm", None, ""),
    ("ot-cfm", None, "flow.coupling.kind=optimal-transport"),
    ("fm, longer", Some("fm"), ""),
    ("ot-cfm, longer", Some("ot-cfm"), "flow.coupling.kind=optimal-transport"),
    ("ft ot-input", Some("fm"), "flow.objective.pairs.kind=ot-input"),
    ("ft ot-input, batch 1024", Some("fm"), "flow.objective.pairing_batch=1024"),
    ("ft ot-input, 0.1 fm", Some("fm"), "flow.objective.matching=0.1"),
    ("ft ot-output", Some("fm"), "flow.objective.pairs.kind=ot-output"),
    ("ft debiased", Some("fm"), "flow.objective.pairs.kind=debiased"),
    ("ft self", Some("fm"), "flow.objective.pairs.kind=self"),
    ("ft self of ot-cfm", Some("ot-cfm"), "flow.objective.pairs.kind=self"),
    ("stage free, ot-input", Some("fm"), "residual.head.kind=free"),
    ("stage free", Some("fm"), "residual.head.kind=free flow.objective.pairs.kind=self"),
    ("stage anchored", Some("fm"), "residual.head.kind=contracting flow.objective.pairs.kind=self"),
    ("stage mlp", Some("fm"), "residual.head.kind=mlp flow.objective.pairs.kind=self"),
    ("stage network", Some("fm"), "residual.head.kind=network flow.objective.pairs.kind=self"),
    (
        "stage anchored, flow tuned",
        Some("fm"),
        "residual.head.kind=contracting residual.first=tuned flow.objective.pairs.kind=self",
    ),
    (
        "stage equilibrium, flow tuned",
        Some("fm"),
        "residual.head={kind='contracting',form='equilibrium'} residual.first=tuned flow.objective.pairs.kind=self",
    ),
];

/// The solver of second stages: as many evaluations again.
const STAGE: &str = "residual.solver={method='midpoint',steps={fixed=2}}";

const SCORES: [&str; 5] = ["w2", "sliced-w2", "energy", "variance-ratio", "nll"];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    as_the_program_does(arguments.threads, move || study(&arguments))
}

impl Arguments {
    fn wants(&self, method: &str) -> bool {
        let named = |name: &str| self.method.iter().any(|start| name.starts_with(start));
        let is_start = METHODS.iter().any(|(name, from, _)| *from == Some(method) && named(name));
        self.method.is_empty() || named(method) || is_start
    }
}

fn study(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&arguments.out)?;
    let log = arguments.out.join("tuning.jsonl");
    for set in &SETS {
        let file = arguments.file.iter().find_map(|pair| pair.strip_prefix(&format!("{}=", set.name)));
        let wanted = arguments.set.is_empty() || arguments.set.iter().any(|name| name == set.name);
        if !wanted || (set.data.contains("PATH") && file.is_none()) {
            continue;
        }
        for seed in 0..arguments.seeds {
            for (method, from, keys) in METHODS {
                if !arguments.wants(method) {
                    continue;
                }
                let cell = [("set", json!(set.name)), ("method", json!(method)), ("seed", json!(seed))];
                if is_done(&records(&log), &cell) {
                    continue;
                }
                let at = |method: &str| arguments.out.join(set.name).join(format!("{method}, seed {seed}"));
                let path = at(method);
                if path.exists() {
                    // Cut off on its way.
                    std::fs::remove_dir_all(&path)?;
                }
                let recipe = recipe(set, file, from.map(at).as_deref(), keys, seed)?;
                let record = run(recipe, &path, &cell)?;
                eprintln!("{}", summary(&record));
                append(&log, &record)?;
            }
        }
    }
    tables(&records(&log));
    Ok(())
}

fn recipe(
    set: &Set,
    file: Option<&str>,
    from: Option<&Path>,
    keys: &str,
    seed: u64,
) -> Result<ReadRecipe, Box<dyn Error>> {
    let tuned = keys.contains("objective") || keys.contains("residual");
    let (steps, rate, decay) = match (from, tuned) {
        (None, _) => (BASE, "kind = 'warm-up-cosine', rate = 0.002, warm_up = 0.03", 0.998),
        (Some(_), false) => (TUNING * PASSES, "kind = 'warm-up-cosine', rate = 0.001, warm_up = 0.03", 0.998),
        (Some(_), true) => (TUNING, "kind = 'warm-up-cosine', rate = 0.0005, warm_up = 0.03", 0.99),
    };
    let text = format!(
        "name = 'cell'
        seed = {seed}
        data = {{ {} }}
        model = {{ {} }}
        flow.time.kind = 'stratified'
        [train]
        steps = {steps}
        batch = 256
        clip = 1.0
        learning_rate = {{ {rate} }}
        average.decay = {decay}
        validate_every = {}
        [evaluate]
        solver = {{ method = 'euler', steps.fixed = {PASSES} }}
        likelihood_points = {}
        replicates = 0
        report = false",
        set.data.replace("PATH", file.unwrap_or_default()),
        set.model,
        if tuned { 50 } else { steps },
        set.likelihood_points,
    );
    let mut changes = Vec::new();
    if tuned {
        changes.extend(["flow.objective.kind=reconstruction", "flow.objective.guard.patience=0"]);
    }
    if keys.contains("residual") {
        changes.push(STAGE);
    }
    changes.extend(keys.split_whitespace());
    cell::recipe(&text, changes, from)
}

/// Trains and scores one cell.
fn run(recipe: ReadRecipe, path: &Path, cell: &[(&str, Value)]) -> Result<Value, Box<dyn Error>> {
    let started = Instant::now();
    let session = cell::trained(recipe, path, true)?;
    let seconds = started.elapsed().as_secs_f64();
    let evaluation = evaluate(&session.flow(), &session.dataset, &EvaluateOptions::default())?;
    let mut record = json!({ "seconds": seconds, "steps": session.state.step });
    for (key, value) in cell {
        record[*key] = value.clone();
    }
    for Score { name, value, floor, .. } in &evaluation.scores {
        record[name] = json!({ "value": value, "floor": floor });
    }
    if let Some(best) = &session.state.watch.best {
        record["best_step"] = json!(best.step);
        record["last_variance_ratio"] = json!(last(&session.run, "variance_ratio")?);
    }
    Ok(record)
}

/// The last value of a curve in the log, that of the weights which were not kept.
fn last(run: &RunDir, curve: &str) -> Result<Option<f64>, Box<dyn Error>> {
    let newest_first = read_events(&run.events_path())?.into_iter().rev();
    let mut values = newest_first.filter_map(|record| match record.event {
        Event::Scalar { name, value, .. } if name == curve => Some(value),
        _ => None,
    });
    Ok(values.next())
}

fn number(record: &Value, score: &str) -> Option<f64> {
    record.get(score)?.get("value")?.as_f64()
}

fn summary(record: &Value) -> String {
    let scores = SCORES.iter().filter_map(|score| Some(format!("{score} {:.4}", number(record, score)?)));
    let scores: Vec<String> = scores.collect();
    format!("{} {} {}: {}", record["set"], record["method"], record["seed"], scores.join(", "))
}

/// A table for each set, means over seeds with their standard errors.
fn tables(records: &[Value]) {
    for set in SETS {
        let of_set: Vec<&Value> = records.iter().filter(|record| record["set"] == set.name).collect();
        let Some(first) = of_set.first() else { continue };
        println!("\n### {}\n", set.name);
        println!("| method | {} | kept step | variance ratio at the end |", SCORES.join(" | "));
        println!("|---|{}", "---|".repeat(SCORES.len() + 2));
        let floors =
            SCORES.map(|score| first[score]["floor"].as_f64().map_or(String::new(), |f| format!("{f:.4}")));
        println!("| *floor, seed 0* | {} | | |", floors.join(" | "));
        for (method, ..) in METHODS {
            let of_method: Vec<&Value> =
                of_set.iter().copied().filter(|record| record["method"] == method).collect();
            if of_method.is_empty() {
                continue;
            }
            let cell = |value: &dyn Fn(&Value) -> Option<f64>| {
                let values: Vec<f64> = of_method.iter().filter_map(|record| value(record)).collect();
                with_error(&values, 4)
            };
            let scores = SCORES.map(|score| cell(&|record: &Value| number(record, score)));
            let plain = |key: &'static str| move |record: &Value| record.get(key)?.as_f64();
            println!(
                "| {method} | {} | {} | {} |",
                scores.join(" | "),
                cell(&plain("best_step")),
                cell(&plain("last_variance_ratio")),
            );
        }
    }
}
