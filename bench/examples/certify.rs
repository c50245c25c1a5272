//! Our side of the comparison of certificates with cvxpy and Clarabel; the protocol is in `bench/README.md`.
//!
//! `cargo run --release -p thalweg-bench --example certify -- --out ours.jsonl --fields fields`
#![allow(clippy::print_stderr)]

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use faer::Mat;
use serde_json::{Value, json};
use thalweg_bench::{append, as_the_program_does};
use thalweg_certify::{Field, Function, Limits, Term, Verdict, best_contraction, contraction};
use thalweg_noise::Noise;

#[derive(Parser)]
struct Arguments {
    /// File of JSON lines to append to.
    #[arg(long)]
    out: PathBuf,
    /// Folder for the fields, which the peer reads.
    #[arg(long)]
    fields: PathBuf,
    /// Numbers of coordinates; there are twice as many units.
    #[arg(long, num_args = 1.., default_values_t = [8, 16, 32, 64])]
    sizes: Vec<usize>,
    /// Rates that are to be proved. The best are about 1.8, 1.7 and 1.6 for 8, 16 and 32 coordinates.
    #[arg(long, num_args = 1.., default_values_t = [0.5, 1.5])]
    rates: Vec<f64>,
    /// Also search for the best rate, to a thousandth.
    #[arg(long)]
    best: bool,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    as_the_program_does(arguments.threads, move || run(&arguments))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&arguments.fields)?;
    for &n in &arguments.sizes {
        let field = field(n);
        std::fs::write(arguments.fields.join(format!("{n}.json")), document(&field).to_string())?;
        for &rate in &arguments.rates {
            let started = Instant::now();
            let verdict = contraction(&field, rate, Limits::default());
            let seconds = started.elapsed().as_secs_f64();
            let certified = matches!(verdict, Verdict::Certified(_));
            let record = json!({ "case": format!("certify/{n}/{rate}/{}", arguments.threads), "n": n,
                "units": 2 * n, "rate": rate, "certified": certified, "seconds": seconds,
                "threads": arguments.threads });
            eprintln!("{record}");
            append(&arguments.out, &record)?;
        }
        if arguments.best {
            let started = Instant::now();
            let limits = Limits { precision: 1e-3, ..Limits::default() };
            let Verdict::Certified(proof) = best_contraction(&field, limits) else { continue };
            let record = json!({ "case": format!("certify/{n}/best/{}", arguments.threads), "n": n,
                "units": 2 * n, "rate": proof.rate, "seconds": started.elapsed().as_secs_f64(),
                "threads": arguments.threads });
            eprintln!("{record}");
            append(&arguments.out, &record)?;
        }
    }
    Ok(())
}

/// `-2x + Sx + A tanh(Wx)` with `S` skew, all drawn for this size alone.
fn field(n: usize) -> Field {
    let mut noise = Noise::at(0, "certified field", n as u64);
    let mut draw = |rows: usize, cols: usize, size: f64| {
        let values = noise.normals(rows * cols);
        Mat::from_fn(rows, cols, |i, j| size * values[i * cols + j] / (n as f64).sqrt())
    };
    let half = draw(n, n, 1.0);
    let linear = &half - half.transpose() - Mat::<f64>::identity(n, n) * faer::Scale(2.0);
    let (outer, inner) = (draw(n, 2 * n, 0.5), draw(2 * n, n, 0.5));
    Field { linear, terms: vec![Term { outer, inner, bias: vec![0.0; 2 * n], function: Function::Tanh }] }
}

fn document(field: &Field) -> Value {
    let rows = |matrix: &Mat<f64>| -> Vec<Vec<f64>> {
        (0..matrix.nrows()).map(|i| (0..matrix.ncols()).map(|j| matrix[(i, j)]).collect()).collect()
    };
    let term = &field.terms[0];
    json!({ "condition": Limits::default().condition, "A0": rows(&field.linear),
        "A": rows(&term.outer), "W": rows(&term.inner) })
}
