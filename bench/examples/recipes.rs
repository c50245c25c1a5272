//! The README's table of recipes: trains each with the program and prints what it reached.
//!
//! `cargo run --release -p thalweg-bench --example recipes -- --program target/release/thalweg --out runs/table`
//!
//! Runs that are there are not trained again. Recipes that need a file get it by `--file NAME=PATH`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::Parser;
use serde_json::Value;
use thalweg_train::{EmbeddedRecipe, RECIPES, find_recipe};

#[derive(Parser)]
struct Arguments {
    /// The program.
    #[arg(long)]
    program: PathBuf,
    /// Folder of the runs.
    #[arg(long)]
    out: PathBuf,
    /// The file of a recipe that needs one, as NAME=PATH.
    #[arg(long)]
    file: Vec<String>,
    /// Only these recipes.
    #[arg(long)]
    only: Vec<String>,
    /// Threads of tensor work.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// Recipes that need a file of the user's.
const NEED_A_FILE: [&str; 8] = ["tree", "rose", "kin8nm", "protein", "power", "gas", "miniboone", "bsds300"];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.out)?;
    println!("| recipe | reaches (floor) | time |\n|---|---|---|");
    for recipe in RECIPES {
        let name = recipe.name;
        let file = arguments.file.iter().find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        let wanted = arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
        if !wanted || (NEED_A_FILE.contains(&name) && file.is_none()) {
            continue;
        }
        let folder = arguments.out.join(name);
        if !folder.join("scores.json").exists() {
            train(&arguments, name, file, &folder)?;
        }
        let scores: Value = serde_json::from_str(&fs::read_to_string(folder.join("scores.json"))?)?;
        let seconds = fs::read_to_string(folder.join("seconds.txt")).unwrap_or_default();
        println!("| `{name}` | {} | {seconds} |", summary(&scores));
    }
    Ok(())
}

fn train(arguments: &Arguments, name: &str, file: Option<&str>, folder: &Path) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let mut command = Command::new(&arguments.program);
    command.args(["train", name, "--threads", &arguments.threads.to_string(), "--out"]).arg(folder);
    if let Some(run) = find_recipe(name).and_then(EmbeddedRecipe::starts_from) {
        // The folder of the run has the name of its recipe, and was made before.
        let run = arguments.out.join(Path::new(&run).file_name().unwrap_or_default());
        command.arg("--set").arg(format!("from.run={}", run.display()));
    }
    if let Some(file) = file {
        command.arg("--set").arg(format!("data.target.path={file}"));
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("{name}: {seconds:.0} s");
    fs::write(folder.join("seconds.txt"), format!("{seconds:.0} s"))?;
    Ok(())
}

/// The two scores that say most, as `W2 0.23 ± 0.04 (0.27)`.
fn summary(document: &Value) -> String {
    let empty = Vec::new();
    let scores = document["scores"].as_array().unwrap_or(&empty);
    let show = |(name, title): (&str, &str)| {
        let score = scores.iter().find(|score| score["name"] == name)?;
        let number = |key: &str| score[key].as_f64();
        let error = number("standard_error").map(|error| format!(" ± {error:.3}")).unwrap_or_default();
        let floor = number("floor").map(|floor| format!(" ({floor:.3})")).unwrap_or_default();
        Some(format!("{title} {:.3}{error}{floor}", number("value")?))
    };
    [("w2", "W2"), ("nll", "NLL"), ("npe", "NPE")].into_iter().filter_map(show).collect::<Vec<_>>().join(", ")
}
