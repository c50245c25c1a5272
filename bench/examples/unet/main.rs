//! Our side of the comparison of U-Nets with PyTorch; the peer is `peers/unet.py`, the protocol in `bench/README.md`.
//!
//! `cargo run --release -p thalweg-bench --example unet -- --out ours.jsonl --threads 2 --case image32/train/16`
//!
//! Cases are `image32` or `image64` with `train/16`, `sample/1`, `sample/16`, and `action` with `train/256`, `chunk/1`.
#![allow(clippy::print_stderr)]

mod adam;

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use adam::Adam;
use burn::module::Module;
use burn::tensor::Tensor;
use clap::Parser;
use serde_json::json;
use thalweg_bench::unet::{ACTION, ActionUnet, HORIZON, ImageUnet, Init, OBSERVATION};
use thalweg_bench::{append, as_the_program_does, load, peak_memory_mib, spread};
use thalweg_noise::Noise;
use thalweg_solve::Placement;

#[derive(Parser)]
struct Arguments {
    /// File of JSON lines to append to.
    #[arg(long)]
    out: PathBuf,
    /// Threads of tensor work.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// network/kind/batch.
    #[arg(long)]
    case: String,
    /// Timed repetitions.
    #[arg(long, default_value_t = 30)]
    repeats: usize,
    /// Untimed ones before.
    #[arg(long, default_value_t = 3)]
    warm_up: usize,
}

/// Steps of an action chunk.
const EULER_STEPS: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    as_the_program_does(arguments.threads, || run(&arguments))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let parts: Vec<&str> = arguments.case.split('/').collect();
    let [network, work, batch] = parts[..] else { return Err("a case is network/kind/batch".into()) };
    let batch: usize = batch.parse()?;
    let mut init = Init { noise: Noise::new(0), placement: Placement::cpu() };
    let timed = |work: &mut dyn FnMut()| times(arguments, work);
    let (parameters, milliseconds) = match (network, work) {
        ("action", _) => {
            let net = ActionUnet::init(&mut init);
            let parameters = net.num_params();
            (
                parameters,
                if work == "train" { train_actions(net, batch, timed) } else { chunks(&net, batch, timed) },
            )
        }
        _ => {
            // Of torchcfm's networks; the peer prints its own counts.
            let (channels, expected) = match network {
                "image32" => (32, 2_245_763),
                "image64" => (64, 8_952_067),
                other => return Err(format!("there is no network {other}").into()),
            };
            let net = ImageUnet::init(channels, &mut init);
            let parameters = net.num_params();
            assert_eq!(parameters, expected, "parameters of ours and of torchcfm's network");
            (
                parameters,
                if work == "train" { train_images(net, batch, timed) } else { sample(&net, batch, timed) },
            )
        }
    };
    let record = json!({
        "case": format!("{}/{}", arguments.case, arguments.threads), "kind": work, "network": network,
        "library": "thalweg", "threads": arguments.threads, "batch": batch, "dtype": "float32",
        "parameters": parameters, "repeats": arguments.repeats,
        "milliseconds_median": milliseconds[1], "milliseconds_low": milliseconds[0],
        "milliseconds_high": milliseconds[2],
        "peak_megabytes": peak_memory_mib(), "load_average": load(),
    });
    eprintln!("{record}");
    append(&arguments.out, &record)?;
    Ok(())
}

/// The ends of the middle four fifths of the repetitions and their median between, in milliseconds.
fn times(arguments: &Arguments, work: &mut dyn FnMut()) -> [f64; 3] {
    (0..arguments.warm_up).for_each(|_| work());
    let timed = |_| {
        let start = Instant::now();
        work();
        1000.0 * start.elapsed().as_secs_f64()
    };
    spread((0..arguments.repeats.max(1)).map(timed).collect())
}

/// What a step of flow matching draws: times, points on the way, and their velocities.
struct Drawn<const D: usize> {
    times: Vec<f64>,
    x: Tensor<D>,
    velocity: Tensor<D>,
}

/// Straight paths from noise to `data`, whose first axis is the batch.
fn draw<const D: usize>(data: &[f32], shape: [usize; D], noise: &mut Noise) -> Drawn<D> {
    let times: Vec<f64> = (0..shape[0]).map(|_| noise.uniform()).collect();
    let mut x = normals(data.len(), noise);
    let mut velocity = vec![0.0; data.len()];
    let size = data.len() / shape[0];
    let samples = x.chunks_mut(size).zip(velocity.chunks_mut(size)).zip(data.chunks(size));
    for (((x, velocity), data), t) in samples.zip(&times) {
        for ((x, velocity), data) in x.iter_mut().zip(velocity).zip(data) {
            *velocity = data - *x;
            *x += *t as f32 * *velocity;
        }
    }
    let placement = Placement::cpu();
    Drawn { times, x: placement.tensor_f32(x, shape), velocity: placement.tensor_f32(velocity, shape) }
}

fn normals(count: usize, noise: &mut Noise) -> Vec<f32> {
    noise.normals(count).into_iter().map(|x| x as f32).collect()
}

type Timed<'a> = &'a dyn Fn(&mut dyn FnMut()) -> [f64; 3];

fn train_images(net: ImageUnet, batch: usize, timed: impl Fn(&mut dyn FnMut()) -> [f64; 3]) -> [f64; 3] {
    let shape = [batch, 3, 32, 32];
    train(net, shape, &timed, |net, drawn| net.forward(&drawn.times, &drawn.x.clone().autodiff()))
}

fn train_actions(net: ActionUnet, batch: usize, timed: impl Fn(&mut dyn FnMut()) -> [f64; 3]) -> [f64; 3] {
    let observation = Placement::cpu()
        .tensor_f32(normals(batch * OBSERVATION, &mut Noise::new(1)), [batch, OBSERVATION])
        .autodiff();
    train(net, [batch, ACTION, HORIZON], &timed, |net, drawn| {
        net.forward(&drawn.times, &drawn.x.clone().autodiff(), &observation)
    })
}

/// Whole steps: draws, forwards, backwards, Adam.
fn train<M: Module, const D: usize>(
    net: M,
    shape: [usize; D],
    timed: Timed<'_>,
    forward: impl Fn(&M, &Drawn<D>) -> Tensor<D>,
) -> [f64; 3] {
    let data = normals(shape.iter().product(), &mut Noise::new(1));
    let (mut noise, mut adam) = (Noise::new(2), Adam::default());
    let mut net = Some(net.train());
    timed(&mut || {
        let Some(now) = net.take() else { return };
        let drawn = draw(&data, shape, &mut noise);
        let error = forward(&now, &drawn) - drawn.velocity.autodiff();
        let gradients = (error.clone() * error).mean().backward();
        net = Some(adam.update(now, gradients));
    })
}

/// One evaluation.
fn sample(net: &ImageUnet, batch: usize, timed: impl Fn(&mut dyn FnMut()) -> [f64; 3]) -> [f64; 3] {
    let x = Placement::cpu().tensor_f32(normals(batch * 3 * 32 * 32, &mut Noise::new(1)), [batch, 3, 32, 32]);
    let times = vec![0.5; batch];
    timed(&mut || drop(net.forward(&times, &x)))
}

/// Ten steps of Euler's method from noise to actions.
fn chunks(net: &ActionUnet, batch: usize, timed: impl Fn(&mut dyn FnMut()) -> [f64; 3]) -> [f64; 3] {
    let placement = Placement::cpu();
    let observation =
        placement.tensor_f32(normals(batch * OBSERVATION, &mut Noise::new(1)), [batch, OBSERVATION]);
    let noise =
        placement.tensor_f32(normals(batch * ACTION * HORIZON, &mut Noise::new(1)), [batch, ACTION, HORIZON]);
    timed(&mut || {
        let mut x = noise.clone();
        for step in 0..EULER_STEPS {
            let times = vec![step as f64 / EULER_STEPS as f64; batch];
            x = x.clone() + net.forward(&times, &x, &observation) * (1.0 / EULER_STEPS as f64);
        }
    })
}
