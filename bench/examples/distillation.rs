//! Samples in 1, 2, 4 and 5 evaluations, distilled from a chain of flows and from one flow; the protocol is in
//! `bench/README.md`.
//!
//! `cargo run --release -p thalweg-bench --example distillation -- --data FOLDER --out FOLDER`
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use serde_json::{Value, json};
use thalweg_bench::{as_the_program_does, cell, measure_once, records, with_error};
use thalweg_run::RunDir;
use thalweg_solve::{Method, Solver};
use thalweg_train::{EvaluateOptions, Session, evaluate};

#[derive(Parser)]
struct Arguments {
    /// Folder of `toy2d/img_tree.png` and `digits.npy`.
    #[arg(long)]
    data: PathBuf,
    /// Folder of the runs and of `distillation.jsonl`; what is there is not done again.
    #[arg(long)]
    out: PathBuf,
    /// Which sets.
    #[arg(long, value_delimiter = ',', default_value = "eight-gaussians,tree,digits")]
    sets: Vec<String>,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Threads of tensor work.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

/// What is taught: chains of four and five blocks, and one flow with as many parameters as four blocks, each for as many
/// batches through all of its parameters.
const TEACHERS: [(&str, &[usize]); 3] =
    [("chain of 4", &[1, 2, 4]), ("chain of 5", &[5]), ("flow", &[1, 2, 4, 5])];

struct Set {
    name: &'static str,
    data: &'static str,
    /// Width of a block and of a student, and of one flow with as many parameters as four blocks.
    widths: [usize; 2],
    first: f64,
    batch: usize,
    /// Batches through all parameters, and steps of each student.
    batches: u64,
    student_steps: u64,
}

const SETS: [Set; 3] = [
    Set {
        name: "eight-gaussians",
        data: "target = { kind = 'eight-gaussians' }",
        widths: [128, 259],
        first: 0.15,
        batch: 512,
        batches: 2500,
        student_steps: 2000,
    },
    Set {
        name: "tree",
        data: "target = { kind = 'image', path = 'toy2d/img_tree.png', texture = 'smooth', aspect = 'stretch' }",
        widths: [128, 259],
        first: 0.05,
        batch: 512,
        batches: 4000,
        student_steps: 3000,
    },
    Set {
        name: "digits",
        data: "dequantise = 0.0625
               target = { kind = 'file', path = 'digits.npy' }
               split = { kind = 'fractions' }",
        widths: [256, 549],
        first: 0.15,
        batch: 256,
        batches: 2500,
        student_steps: 2000,
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    as_the_program_does(arguments.threads, move || study(&arguments))
}

fn study(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&arguments.out)?;
    let out = arguments.out.join("distillation.jsonl");
    for seed in arguments.first_seed..arguments.first_seed + arguments.seeds {
        for name in &arguments.sets {
            let set = SETS.iter().find(|set| set.name == name).ok_or(format!("there is no set {name}"))?;
            for (teacher, evaluations) in TEACHERS {
                let folder = arguments.out.join(format!("{name}, {teacher}, seed {seed}"));
                let cell = Cell { set, teacher, seed, data: &arguments.data, folder: &folder };
                let keys = |students: usize| {
                    [
                        ("set", json!(name)),
                        ("teacher", json!(teacher)),
                        ("seed", json!(seed)),
                        ("students", json!(students)),
                    ]
                };
                // The teacher itself, solved accurately.
                measure_once(&out, keys(0), || cell.teach())?;
                for &students in evaluations {
                    measure_once(&out, keys(students), || cell.learn(students))?;
                }
            }
        }
    }
    tables(&records(&out), &arguments.sets);
    Ok(())
}

/// A table for each set: means over seeds with their standard errors. What students lose to their teacher is told seed by
/// seed, which have the same noise and the same true points.
fn tables(records: &[Value], sets: &[String]) {
    for set in sets {
        println!("\n### {set}\n");
        println!(
            "| teacher | evaluations | W2 | floor | lost to the teacher | MMD² | floor | W2 of as many steps of Euler by \
             the teacher |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        for (teacher, students) in TEACHERS {
            let of = |number: usize| -> Vec<&Value> {
                let of_cell = records.iter().filter(|record| {
                    record["set"] == set.as_str()
                        && record["teacher"] == teacher
                        && record["students"] == json!(number)
                });
                of_cell.collect()
            };
            for number in std::iter::once(&0).chain(students) {
                let records = of(*number);
                let values = |key: &str| -> Vec<f64> {
                    records.iter().filter_map(|record| record[key].as_f64()).collect()
                };
                let evaluations = match number {
                    0 => format!("{}, itself", with_error(&values("nfe"), 0)),
                    _ => number.to_string(),
                };
                let lost = match number {
                    0 => String::new(),
                    _ => with_error(&lost(&records, &of(0)), 3),
                };
                println!(
                    "| {teacher} | {evaluations} | {} | {} | {lost} | {} | {} | {} |",
                    with_error(&values("w2"), 3),
                    with_error(&values("w2_floor"), 3),
                    with_error(&values("mmd2"), 5),
                    with_error(&values("mmd2_floor"), 5),
                    with_error(&values("w2_of_as_many_euler_steps"), 3),
                );
            }
        }
    }
}

/// By how much the W2 of students is above that of their teacher, for each seed.
fn lost(students: &[&Value], teachers: &[&Value]) -> Vec<f64> {
    let teacher = |student: &Value| teachers.iter().find(|teacher| teacher["seed"] == student["seed"]);
    students
        .iter()
        .filter_map(|student| Some(student["w2"].as_f64()? - teacher(student)?["w2"].as_f64()?))
        .collect()
}

struct Cell<'a> {
    set: &'a Set,
    teacher: &'a str,
    seed: u64,
    data: &'a Path,
    folder: &'a Path,
}

impl Cell<'_> {
    fn recipe(&self) -> String {
        let Set { data, widths, first, batch, batches, .. } = self.set;
        let (width, blocks, local) = match self.teacher {
            "flow" => (widths[1], 1, String::new()),
            chain => {
                let blocks: u64 = if chain.ends_with('5') { 5 } else { 4 };
                (widths[0], blocks, format!("local = {{ blocks = {blocks}, first = {first}, growth = 1.3 }}"))
            }
        };
        format!(
            "name = 'teacher'
            seed = {}
            model = {{ width = {width}, hidden_layers = 3 }}
            {local}
            flow.time = {{ kind = 'stratified' }}
            [data]
            standardise = true
            {data}
            [train]
            steps = {}
            batch = {batch}
            learning_rate = {{ kind = 'warm-up-cosine', rate = 0.002, warm_up = 0.03 }}
            clip = 1.0
            [evaluate]
            samples = 2000
            metrics = ['w2', 'mmd2', 'sliced-w2']
            likelihood_points = 0
            report = false",
            self.seed,
            blocks * batches,
        )
    }

    fn teach(&self) -> Result<Value, Box<dyn Error>> {
        let _ = std::fs::remove_dir_all(self.folder);
        let recipe = cell::recipe(&self.recipe(), [], None)?;
        let started = Instant::now();
        let session = cell::trained(
            thalweg_train::ReadRecipe { base: Some(self.data.to_path_buf()), ..recipe },
            self.folder,
            false,
        )?;
        scored(&session, started.elapsed().as_secs_f64(), None)
    }

    fn learn(&self, students: usize) -> Result<Value, Box<dyn Error>> {
        // All students have the size of a block, whatever they are taught by.
        let text = format!(
            "name = 'students'
            model = {{ width = {}, hidden_layers = 3 }}
            flow.objective = {{ kind = 'distillation', students = {students}, together = {} }}
            [train]
            steps = {}
            batch = {}
            learning_rate = {{ kind = 'warm-up-cosine', rate = 0.001, warm_up = 0.03 }}
            clip = 1.0",
            self.set.widths[0],
            if students > 1 { 0.25 } else { 0.0 },
            students as u64 * self.set.student_steps,
            self.set.batch,
        );
        let path = PathBuf::from(format!("{}, {students} students", self.folder.display()));
        let _ = std::fs::remove_dir_all(&path);
        let started = Instant::now();
        let session = cell::trained(cell::recipe(&text, [], Some(self.folder))?, &path, false)?;
        let seconds = started.elapsed().as_secs_f64();
        // As many evaluations of the teacher itself, where it can be solved in so many.
        let (flow, _) = thalweg_train::TrainedFlow::open(&RunDir::open(self.folder)?)?;
        let blocks = flow.recipe.parts();
        let euler = students.is_multiple_of(blocks).then(|| {
            let solver = Some(Solver::fixed(Method::Euler, students / blocks));
            let options = EvaluateOptions { solver, ..EvaluateOptions::default() };
            evaluate(&flow, &session.dataset, &options)
        });
        let before = euler.transpose()?.map(|found| value(&found.scores, "w2"));
        scored(&session, seconds, before)
    }
}

fn value(scores: &[thalweg_metrics::Score], name: &str) -> Option<f64> {
    scores.iter().find(|score| score.name == name).map(|score| score.value)
}

fn scored(session: &Session, seconds: f64, before: Option<Option<f64>>) -> Result<Value, Box<dyn Error>> {
    let found = evaluate(&session.flow(), &session.dataset, &EvaluateOptions::default())?;
    let floor = |name: &str| found.scores.iter().find(|score| score.name == name).and_then(|s| s.floor);
    Ok(json!({
        "w2": value(&found.scores, "w2"),
        "w2_floor": floor("w2"),
        "mmd2": value(&found.scores, "mmd2"),
        "mmd2_floor": floor("mmd2"),
        "sliced_w2": value(&found.scores, "sliced-w2"),
        "nfe": value(&found.scores, "nfe"),
        "w2_of_as_many_euler_steps": before.flatten(),
        "parameters": session.flow().parameters(),
        "seconds": seconds,
    }))
}
