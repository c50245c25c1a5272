//! Our side of the comparison with POT: exact pairing including the cost matrix; see `bench/README.md`.
//!
//! `cargo run --release -p thalweg-bench --example transport -- --out ours.jsonl`
#![allow(clippy::print_stderr)]

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use serde_json::json;
use thalweg_bench::{append, as_the_program_does, load, median_seconds};
use thalweg_noise::Noise;
use thalweg_ot::{Cost, Points, assign};

#[derive(Parser)]
struct Arguments {
    /// File of JSON lines to append to.
    #[arg(long)]
    out: PathBuf,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Sizes of the clouds.
    #[arg(long, value_delimiter = ',', default_value = "128,256,512,1024,2048,4096")]
    sizes: Vec<usize>,
    /// Dimensions of the points.
    #[arg(long, value_delimiter = ',', default_value = "2,64")]
    dims: Vec<usize>,
    /// Timed repetitions, the median of which counts.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    as_the_program_does(arguments.threads, || run(&arguments))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    for &dim in &arguments.dims {
        for &n in &arguments.sizes {
            // Normal noise against data that is displaced and narrower, as on the peers' side.
            let mut noise = Noise::at(0, "transport", n as u64);
            let x = noise.normals(n * dim);
            let y: Vec<f64> = noise.normals(n * dim).into_iter().map(|v| 0.5 * v + 1.0).collect();
            let (x, y) = (Points::new(&x, dim), Points::new(&y, dim));
            let solved = assign(&Cost::squared_euclidean(x, y))?;
            let certificate = solved.certificate(&Cost::squared_euclidean(x, y));
            let seconds = median_seconds(1, arguments.repeats, || {
                if let Err(error) = assign(&Cost::squared_euclidean(x, y)) {
                    panic!("a problem that was solved before failed: {error}");
                }
            });
            let record = json!({
                "case": format!("pairing/{dim}/{n}/{}", arguments.threads), "kind": "pairing", "library": "thalweg",
                "n": n, "dim": dim, "threads": arguments.threads, "dtype": "float64",
                "seconds_median": seconds, "mean_cost": solved.cost / n as f64, "gap": certificate.gap,
                "load_average": load(),
            });
            eprintln!("{record}");
            append(&arguments.out, &record)?;
        }
    }
    Ok(())
}
