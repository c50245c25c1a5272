//! Our side of the speed comparison with PyTorch and torchdiffeq; the protocol is in `bench/README.md`.
//!
//! `cargo run --release -p thalweg-bench --example speed -- --weights network.npz --out ours.jsonl --threads 2`
//!
//! Every case should run in a process of its own, so that its peak memory is its own: `--case` chooses one.
#![allow(clippy::print_stderr)]

use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};
use clap::Parser;
use serde_json::{Value, json};
use thalweg_bench::{append, as_the_program_does, load, median_seconds, peak_memory_mib, spread};
use thalweg_data::Npz;
use thalweg_flow::LogLikelihood;
use thalweg_flow::{PathConfig, sample};
use thalweg_nets::{Condition, ConditionSpec, Mlp, MlpConfig};
use thalweg_noise::Noise;
use thalweg_run::{Document, Sinks};
use thalweg_solve::{Method, Placement, Solver, VelocityField, to_host};
use thalweg_train::{Recipe, Session};

#[derive(Parser)]
struct Arguments {
    /// The network and points that `peers/network.py` wrote.
    #[arg(long)]
    weights: PathBuf,
    /// File of JSON lines to append to.
    #[arg(long)]
    out: PathBuf,
    /// Threads of tensor work.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// One of train/2x64x3x256, train/2x256x3x256, train/64x512x4x4096, train/6x256x4x30000-relu, sample/float32,
    /// likelihood/float32, likelihood/float64 (with -per-sample for step sizes of each point), velocity/1, velocity/10000,
    /// gradient/euler, gradient/rk4, tune/2x256x3x256.
    #[arg(long)]
    case: String,
    /// Timed repetitions of a solve.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Timed training steps.
    #[arg(long, default_value_t = 100)]
    steps: usize,
}

const TOLERANCE: f64 = 1e-5;
/// Steps before the timed ones.
const WARM_UP: usize = 11;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    as_the_program_does(arguments.threads, || run(&arguments))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let (kind, detail) = arguments.case.split_once('/').ok_or("a case is kind/detail")?;
    let mut record = match kind {
        "train" => train(detail, arguments.steps)?,
        "sample" => solve(arguments, detail, sampling)?,
        "likelihood" => solve(arguments, detail, likelihood)?,
        "velocity" => velocity(arguments, detail.parse()?)?,
        "gradient" => gradient(arguments, detail)?,
        "tune" => tune(detail, arguments.steps)?,
        other => return Err(format!("there is no case {other}").into()),
    };
    record["case"] = json!(format!("{}/{}", arguments.case, arguments.threads));
    record["kind"] = json!(kind);
    record["library"] = json!("thalweg");
    record["threads"] = json!(arguments.threads);
    record["peak_megabytes"] = json!(peak_memory_mib());
    record["load_average"] = json!(load());
    eprintln!("{record}");
    append(&arguments.out, &record)?;
    Ok(())
}

/// Whole steps as the trainer makes them, with draws, path, loss, backward, Adam; data drawn afresh on the way.
fn train(size: &str, steps: usize) -> Result<Value, Box<dyn Error>> {
    let (size, activation) = size.split_once('-').unwrap_or((size, "silu"));
    let numbers: Vec<usize> = size.split('x').map(str::parse).collect::<Result<_, _>>()?;
    let [dim, width, hidden, batch] =
        numbers.try_into().map_err(|_| "a size is dim x width x hidden x batch")?;
    let text = format!(
        r#"
name = "speed"
[data]
target = {{ kind = "random-gaussian", dim = {dim}, condition_number = 1.0 }}
[model]
width = {width}
hidden_layers = {hidden}
activation = "{activation}"
[flow]
path = {{ kind = "linear", sigma = 0.1 }}
[train]
batch = {batch}
steps = {}
average = {{ decay = 0.0, warm_up = false }}
"#,
        WARM_UP + steps
    );
    let recipe = Recipe::read(&Document::new(&text, "speed", &[])?)?;
    let folder = scratch();
    let session = Session::begin(recipe, Path::new("."), &folder)?;
    let measured = timed(session, steps)?;
    std::fs::remove_dir_all(&folder)?;
    let mut record =
        json!({ "dim": dim, "width": width, "hidden": hidden, "batch": batch, "activation": activation });
    for (name, value) in measured {
        record[name] = value;
    }
    Ok(record)
}

/// Whole steps of a fine-tuning on reconstructions: draws, exact pairing, four steps of Euler forth and back, Adam.
fn tune(size: &str, steps: usize) -> Result<Value, Box<dyn Error>> {
    if size != "2x256x3x256" {
        return Err(format!("there is no case tune/{size}").into());
    }
    let folder = scratch();
    let text = format!(
        "name = 'speed'
        data.target = {{ kind = 'random-gaussian', dim = 2, condition_number = 1.0 }}
        model = {{ width = 256, hidden_layers = 3 }}
        evaluate.solver = {{ method = 'euler', steps.fixed = 4 }}
        train = {{ batch = 256, steps = {}, average = {{ decay = 0.0, warm_up = false }} }}",
        WARM_UP + steps
    );
    let base = Recipe::read(&Document::new(&text, "speed", &["train.steps=1".parse()?])?)?;
    Session::begin(base, Path::new("."), &folder.join("base"))?
        .train(&mut Sinks::new(), |_| ControlFlow::Continue(()))?;
    let from = format!("from.run='{}'", folder.join("base").display()).parse()?;
    let objective = "flow.objective.kind=reconstruction".parse()?;
    let tuned = Recipe::read(&Document::new(&text, "speed", &[from, objective])?)?;
    let measured = timed(Session::begin(tuned, Path::new("."), &folder.join("tuned"))?, steps)?;
    std::fs::remove_dir_all(&folder)?;
    Ok(Value::Object(measured))
}

fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!("thalweg-speed-{}", std::process::id()))
}

/// Trains, and tells how long a step takes after the first.
fn timed(mut session: Session, steps: usize) -> Result<serde_json::Map<String, Value>, Box<dyn Error>> {
    let (mut seconds, mut last) = (Vec::new(), Instant::now());
    session.train(&mut Sinks::new(), |_| {
        seconds.push(last.elapsed().as_secs_f64());
        last = Instant::now();
        ControlFlow::Continue(())
    })?;
    let [low, median, high] = spread(seconds.split_off(WARM_UP)).map(|seconds| json!(1000.0 * seconds));
    let named = [("milliseconds_median", median), ("milliseconds_low", low), ("milliseconds_high", high)];
    let described = [("dtype", json!("float32")), ("steps", json!(steps))];
    Ok(named.into_iter().chain(described).map(|(name, value)| (name.to_string(), value)).collect())
}

/// Evaluations, and figures by which to see that both sides solve the same problem.
type Solved = Result<(f64, Value), Box<dyn Error>>;

fn solve(
    arguments: &Arguments,
    detail: &str,
    work: fn(&Mlp, &Tensor<2>, &Solver) -> Solved,
) -> Result<Value, Box<dyn Error>> {
    let solver = Solver::adaptive(Method::Dopri5, TOLERANCE);
    let (dtype, solver) = match detail.strip_suffix("-per-sample") {
        Some(dtype) => (dtype, solver.per_sample()),
        None => (detail, solver),
    };
    let placement = if dtype == "float64" { Placement::cpu_double() } else { Placement::cpu() };
    let mut archive = Npz::open(&arguments.weights)?;
    let points = archive.array("points")?;
    let mlp = network(&mut archive, &placement)?;
    let x = placement.tensor::<2>(&points.values, [points.shape[0], points.shape[1]]);
    let (evaluations, mut record) = work(&mlp, &x, &solver)?;
    let seconds = median_seconds(1, arguments.repeats, || {
        if let Err(error) = work(&mlp, &x, &solver) {
            panic!("a solve that worked before failed: {error}");
        }
    });
    record["rows"] = json!(points.shape[0]);
    record["dim"] = json!(points.shape[1]);
    record["dtype"] = json!(dtype);
    record["evaluations"] = json!(evaluations);
    record["seconds_median"] = json!(seconds);
    Ok(record)
}

fn sampling(mlp: &Mlp, x: &Tensor<2>, solver: &Solver) -> Solved {
    let interval = PathConfig::default().interval();
    let field = mlp.given(&Condition::None);
    let solution = sample(&field, x.clone(), solver, interval)?;
    let end = to_host(&solution.state);
    let mean = |f: fn(f64) -> f64| end.iter().map(|&x| f(x)).sum::<f64>() / end.len() as f64;
    let checks = json!({ "end_mean": mean(|x| x), "end_mean_square": mean(|x| x * x) });
    Ok((solution.mean_evaluations(), checks))
}

fn likelihood(mlp: &Mlp, x: &Tensor<2>, solver: &Solver) -> Solved {
    let likelihood =
        LogLikelihood { solver: solver.clone(), ..LogLikelihood::for_path(&PathConfig::default()) };
    let found = likelihood.evaluate(&mlp.given(&Condition::None), x.clone(), &mut Noise::new(0))?;
    let values = to_host(&found.log_density);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let evaluations = found.evaluations.iter().sum::<usize>() as f64 / values.len() as f64;
    Ok((evaluations, json!({ "mean_log_density": mean })))
}

/// The first `rows` of the points that are solved for.
fn some_points(archive: &mut Npz, rows: usize, placement: &Placement) -> Result<Tensor<2>, Box<dyn Error>> {
    let points = archive.array("points")?;
    let dim = points.shape[1];
    let values = points.values.get(..rows * dim).ok_or("there are not so many points")?;
    Ok(placement.tensor(values, [rows, dim]))
}

/// One evaluation of the network, without a tape.
fn velocity(arguments: &Arguments, rows: usize) -> Result<Value, Box<dyn Error>> {
    let placement = Placement::cpu();
    let mut archive = Npz::open(&arguments.weights)?;
    let x = some_points(&mut archive, rows, &placement)?;
    let mlp = network(&mut archive, &placement)?;
    let field = mlp.given(&Condition::None);
    let t = placement.full(0.5, [rows]);
    let calls = if rows < 100 { 2000 } else { 20 };
    let evaluate = || field.velocity(t.clone(), x.clone());
    // Many calls between two looks at the clock, which is coarse beside one.
    let seconds = median_seconds(2, arguments.repeats.max(5), || {
        for _ in 0..calls {
            std::hint::black_box(evaluate());
        }
    });
    let check: f64 = to_host(&evaluate()).iter().map(|v| v * v).sum::<f64>() / (2 * rows) as f64;
    Ok(json!({ "rows": rows, "dtype": "float32", "milliseconds_median": 1000.0 * seconds / calls as f64,
        "mean_square": check }))
}

/// The gradient of the mean square of the end points in all parameters, through eight steps.
fn gradient(arguments: &Arguments, method: &str) -> Result<Value, Box<dyn Error>> {
    const ROWS: usize = 256;
    const STEPS: usize = 8;
    let method = match method {
        "euler" => Method::Euler,
        "rk4" => Method::Rk4,
        other => return Err(format!("there is no case gradient/{other}").into()),
    };
    let placement = Placement::cpu();
    let mut archive = Npz::open(&arguments.weights)?;
    let x = some_points(&mut archive, ROWS, &placement)?;
    let mlp = network(&mut archive, &placement)?.map(&mut Track);
    let interval = PathConfig::default().interval();
    let solver = Solver::fixed(method, STEPS);
    let norm = || -> Result<f64, Box<dyn Error>> {
        let end = sample(&mlp.given(&Condition::None), x.clone(), &solver, interval)?.state;
        let mut taken = Squares { gradients: end.square().mean().backward(), sum: 0.0 };
        mlp.visit(&mut taken);
        Ok(taken.sum.sqrt())
    };
    let check = norm()?;
    let seconds = median_seconds(3, 10 * arguments.repeats, || {
        if let Err(error) = norm() {
            panic!("a gradient that was there before failed: {error}");
        }
    });
    Ok(json!({ "rows": ROWS, "steps": STEPS, "dtype": "float32", "milliseconds_median": 1000.0 * seconds,
        "gradient_norm": check }))
}

/// Puts every parameter on a tape.
struct Track;

impl ModuleMapper for Track {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| value.autodiff().require_grad())
    }
}

/// Adds up the squares of all gradients, so that none may be left out.
struct Squares {
    gradients: Gradients,
    sum: f64,
}

impl ModuleVisitor for Squares {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(&mut self.gradients) {
            self.sum += gradient.square().sum().into_scalar::<f64>();
        }
    }
}

/// The peers' network: SiLU, 3 hidden layers of 256, on (x, t).
fn network(archive: &mut Npz, placement: &Placement) -> Result<Mlp, Box<dyn Error>> {
    let config = MlpConfig { width: 256, hidden_layers: 3, ..MlpConfig::default() };
    let mut values = Vec::new();
    for layer in 0..=config.hidden_layers {
        for part in ["weight", "bias"] {
            values.push(archive.array(&format!("layers.{layer}.{part}"))?);
        }
    }
    let mlp = config.init(2, ConditionSpec::None, &mut Noise::new(0), placement);
    Ok(mlp.map(&mut Fill { values: values.into_iter(), placement }))
}

/// Puts arrays into parameters in the order in which both are visited.
struct Fill<'a, I> {
    values: I,
    placement: &'a Placement,
}

impl<I: Iterator<Item = thalweg_data::Array>> ModuleMapper for Fill<'_, I> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| match self.values.next() {
            Some(array) => {
                let data = TensorData::new(array.values, old.dims()).convert_dtype(self.placement.dtype);
                Tensor::from_data(data, (&self.placement.device, self.placement.dtype))
            }
            None => old,
        })
    }
}
