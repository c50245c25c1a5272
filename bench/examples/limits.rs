//! What the machine can do at best, to hold times against: floating-point operations in a large matrix product, and
//! bytes in a stream through memory.
//!
//! `cargo run --release -p thalweg-bench --example limits -- --out limits.jsonl --threads 2`
#![allow(clippy::print_stderr)]

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use rayon::prelude::*;
use serde_json::json;
use thalweg_bench::{append, as_the_program_does, load, median_seconds};
use thalweg_noise::Noise;
use thalweg_solve::Placement;

#[derive(Parser)]
struct Arguments {
    /// File of JSON lines to append to.
    #[arg(long)]
    out: PathBuf,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// Rows and columns of the matrices; the fastest counts.
const SIZES: [usize; 3] = [512, 1024, 2048];
/// Numbers in each of the three arrays of the stream: far more than any cache holds.
const LENGTH: usize = 1 << 25;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    as_the_program_does(arguments.threads, || run(&arguments))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    for (dtype, placement) in [("float32", Placement::cpu()), ("float64", Placement::cpu_double())] {
        let speed = |size: usize| {
            let matrix = || placement.normal::<2>(&mut Noise::new(0), [size, size]);
            let (a, b) = (matrix(), matrix());
            let seconds = median_seconds(2, 9, || {
                std::hint::black_box(a.clone().matmul(b.clone()));
            });
            2.0 * (size as f64).powi(3) / seconds / 1e9
        };
        let fastest = SIZES.into_iter().map(speed).fold(0.0, f64::max);
        let record = json!({
            "case": format!("product/{dtype}/{}", arguments.threads), "threads": arguments.threads,
            "gigaflops": fastest, "load_average": load(),
        });
        eprintln!("{record}");
        append(&arguments.out, &record)?;
    }
    let (a, b) = (vec![1.0_f32; LENGTH], vec![2.0_f32; LENGTH]);
    let mut out = vec![0.0_f32; LENGTH];
    let seconds = median_seconds(2, 9, || {
        let piece = LENGTH / arguments.threads;
        let inputs = a.par_chunks(piece).zip(b.par_chunks(piece));
        out.par_chunks_mut(piece).zip(inputs).for_each(|(out, (a, b))| {
            for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
                *o = *a + 3.0 * *b;
            }
        });
    });
    // Two arrays read, one written.
    let record = json!({
        "case": format!("stream/{}", arguments.threads), "threads": arguments.threads,
        "gigabytes_per_second": 3.0 * 4.0 * LENGTH as f64 / seconds / 1e9, "load_average": load(),
    });
    eprintln!("{record}");
    append(&arguments.out, &record)?;
    Ok(())
}
