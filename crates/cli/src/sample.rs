//! `thalweg sample`: points from a trained flow, as numbers or pictures.

use std::path::Path;

use thalweg_data::{Array, Condition, Table, write_csv, write_npy, write_npz};
use thalweg_files::write_atomically;
use thalweg_plot::scatter_png;
use thalweg_run::RunDir;
use thalweg_train::{
    ConditionRequest, Equation, SampleRequest, SamplerConfig, Samples, Scaling, TrainedFlow, animation,
};

use crate::args::Sample;
use crate::failure::Failure;
use crate::print::{print_error, print_json, print_line};
use crate::sampler;

/// Side of a picture, in pixels.
const PICTURE: usize = 800;

/// Draws samples and writes them.
pub fn run(arguments: &Sample, json: bool) -> Result<(), Failure> {
    let run = RunDir::open(&arguments.run)?;
    let (flow, warnings) = TrainedFlow::open(&run)?;
    for warning in warnings {
        print_error(&format!("warning: {warning}"));
    }
    let output = arguments.output.clone().unwrap_or_else(|| run.path().join("samples.npy"));
    let format = Format::of(&output, flow.summary.dim)?;
    if arguments.number == 0 {
        return Err(Failure::request("--number must be at least 1"));
    }
    let request = SampleRequest {
        number: arguments.number,
        seed: arguments.seed,
        condition: condition_request(arguments.label, arguments.condition.as_deref()),
        guidance: arguments.guidance.unwrap_or(flow.recipe.evaluate.guidance),
        equation: equation(arguments, &flow, format)?,
    };
    let evaluations = if format == Format::Gif {
        animation(&flow, &request)?.to_gif(&output, PICTURE / 2).map_err(Failure::work)?;
        None
    } else {
        let samples = flow.sample(&request)?;
        write(&samples, flow.summary.condition_normaliser.as_ref(), &output, format)?;
        Some(samples.evaluations)
    };
    if json {
        print_json(&serde_json::json!({
            "output": output,
            "samples": request.number,
            "dim": flow.summary.dim,
            "evaluations": evaluations,
            "seed": request.seed,
        }))?;
    } else {
        let cost = evaluations.map(|n| format!(", {n:.1} evaluations each")).unwrap_or_default();
        print_line(&format!("{}: {} samples{cost}", output.display(), request.number))?;
    }
    Ok(())
}

/// The condition that was asked for on the command line.
pub fn condition_request(label: Option<usize>, vector: Option<&[f64]>) -> ConditionRequest {
    match (label, vector) {
        (Some(label), _) => ConditionRequest::Label(label),
        (None, Some(vector)) => ConditionRequest::Vector(vector.to_vec()),
        (None, None) => ConditionRequest::AsInData,
    }
}

/// The equation that was asked for. A motion can only be that of the flow, so it is unless another is named.
fn equation(arguments: &Sample, flow: &TrainedFlow, format: Format) -> Result<Equation, Failure> {
    let mut settings = flow.recipe.evaluate.clone();
    if format == Format::Gif {
        settings.sampler = SamplerConfig::default();
    }
    let (sampler, solver) = sampler::changed(&settings, &arguments.sampler, &arguments.solver)?;
    Ok(sampler.equation(&solver))
}

/// What samples can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Npy,
    Npz,
    Csv,
    Png,
    Gif,
}

impl Format {
    fn of(path: &Path, dim: usize) -> Result<Self, Failure> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let format = match extension.to_ascii_lowercase().as_str() {
            "npy" => Self::Npy,
            "npz" => Self::Npz,
            "csv" => Self::Csv,
            "png" => Self::Png,
            "gif" => Self::Gif,
            _ => {
                let message = format!(
                    "cannot tell what to write from the name {}: end it with .npy, .npz, .csv, .png or .gif",
                    path.display()
                );
                return Err(Failure::request(message));
            }
        };
        if dim != 2 && matches!(format, Self::Png | Self::Gif) {
            let message = format!(
                "a .{extension} shows points in the plane, but this flow has {dim} coordinates: use .npy, .npz or .csv"
            );
            return Err(Failure::request(message));
        }
        Ok(format)
    }
}

/// Writes samples in data units; `scaling` is that of vector conditions.
fn write(samples: &Samples, scaling: Option<&Scaling>, path: &Path, format: Format) -> Result<(), Failure> {
    let rows = samples.points.len() / samples.dim;
    let points = Array::new(vec![rows, samples.dim], samples.points.clone());
    match format {
        Format::Npy => write_npy(path, &points)?,
        Format::Csv => {
            let columns = Some((0..samples.dim).map(|axis| format!("x{axis}")).collect());
            write_csv(path, &Table { columns, array: points })?;
        }
        Format::Npz => {
            let condition = condition_array(&samples.condition, scaling, rows);
            let mut arrays = vec![("x", &points)];
            arrays.extend(condition.as_ref().map(|(name, array)| (*name, array)));
            write_npz(path, &arrays)?;
        }
        Format::Png | Format::Gif => {
            let points: Vec<[f64; 2]> = samples.points.chunks_exact(2).map(|p| [p[0], p[1]]).collect();
            let picture = scatter_png(&points, PICTURE).map_err(Failure::work)?;
            write_atomically(path, &picture)
                .map_err(|error| Failure::work(format!("cannot write {}: {error}", path.display())))?;
        }
    }
    Ok(())
}

/// The conditions in data units, and the name of the member that holds them.
fn condition_array(
    condition: &Condition,
    scaling: Option<&Scaling>,
    rows: usize,
) -> Option<(&'static str, Array)> {
    match condition {
        Condition::None => None,
        Condition::Labels(labels) => {
            let labels = labels.iter().map(|&label| label as f64).collect();
            Some(("label", Array::new(vec![rows], labels)))
        }
        Condition::Vectors { dim, values } => {
            let mut values = values.clone();
            if let Some(scaling) = scaling {
                scaling.normaliser().invert(&mut values);
            }
            Some(("condition", Array::new(vec![rows, *dim], values)))
        }
    }
}
