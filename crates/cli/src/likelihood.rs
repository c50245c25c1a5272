//! `thalweg likelihood`: log-densities of data under a trained flow.

use std::path::Path;

use thalweg_data::{
    Archive, Array, Condition, DataError, Table, read_csv, read_npy, write_csv, write_npy, write_npz,
};
use thalweg_flow::{Divergence, ProbeLaw};
use thalweg_metrics::mean_and_standard_error;
use thalweg_run::RunDir;
use thalweg_train::{ConditionRequest, TrainedFlow};

use crate::args::Likelihood;
use crate::failure::Failure;
use crate::print::{number, print_error, print_json, print_line};
use crate::sample::condition_request;
use crate::solver;

/// Computes and writes log-densities.
pub fn run(arguments: &Likelihood, json: bool) -> Result<(), Failure> {
    let run = RunDir::open(&arguments.run)?;
    let (flow, warnings) = TrainedFlow::open(&run)?;
    for warning in warnings {
        print_error(&format!("warning: {warning}"));
    }
    let points = read_points(&arguments.data, arguments.member.as_deref(), flow.summary.dim)?;
    let rows = points.len() / flow.summary.dim;
    let condition = condition(&flow, arguments, rows)?;
    let solver = solver::changed(&flow.recipe.evaluate.likelihood_solver, &arguments.solver)?;
    let divergence = match arguments.probes {
        None => Divergence::Exact {},
        Some(probes) => Divergence::Hutchinson { probes, law: ProbeLaw::Rademacher },
    };
    let found = flow.log_likelihood(&points, &condition, &solver, divergence, arguments.seed)?;
    if let Some(output) = &arguments.output {
        write(&found.values, output)?;
    }
    let mean = found.values.iter().sum::<f64>() / rows as f64;
    let error = mean_and_standard_error(&found.values).ok().map(|(_, error)| error);
    if json {
        let mut document = serde_json::json!({
            "points": rows,
            "mean_log_density": number(mean),
            "standard_error": error.map(number),
            "evaluations": found.evaluations,
            "output": arguments.output,
        });
        if arguments.output.is_none() {
            document["log_density"] = found.values.iter().copied().map(number).collect();
        }
        print_json(&document)?;
        return Ok(());
    }
    let error = error.map(|error| format!(" ± {error:.4}")).unwrap_or_default();
    print_line(&format!("mean log-density {mean:.4}{error} nats over {rows} points"))?;
    print_line(&format!("evaluations      {:.1} for each point", found.evaluations))?;
    if let Some(output) = &arguments.output {
        print_line(&format!("log-densities    {}", output.display()))?;
    }
    Ok(())
}

/// The condition of each point. Drawing labels by their frequencies, as for samples, would make the answer random.
fn condition(flow: &TrainedFlow, arguments: &Likelihood, rows: usize) -> Result<Condition, Failure> {
    let request = match &arguments.labels {
        Some(labels) => {
            let labels = read_labels(labels, &arguments.data, rows)?;
            // Refuses a class that the flow does not know, and a flow that knows no classes.
            let highest = labels.iter().max().copied().unwrap_or(0);
            flow.condition(&ConditionRequest::Label(highest), 1, arguments.seed)?;
            ConditionRequest::Given(Condition::Labels(labels))
        }
        None => condition_request(arguments.label, arguments.condition.as_deref()),
    };
    let classes = flow.summary.label_shares.len();
    if request == ConditionRequest::AsInData && classes > 0 {
        let message =
            format!("this flow is conditioned on {classes} classes: say which with --label or --labels");
        return Err(Failure::request(message));
    }
    Ok(flow.condition(&request, rows, arguments.seed)?)
}

/// The labels in a file, or in a member of the archive that holds the points: an integer from 0 for each of `rows`.
fn read_labels(name: &str, data: &Path, rows: usize) -> Result<Vec<usize>, Failure> {
    let is = |path: &Path, wanted: &[&str]| {
        path.extension().is_some_and(|found| wanted.iter().any(|wanted| found.eq_ignore_ascii_case(wanted)))
    };
    let (array, place) = if is(Path::new(name), &["npy", "csv"]) {
        (read_array(Path::new(name), None)?, name.to_string())
    } else if is(data, &["npz", "h5", "hdf5"]) {
        (read_array(data, Some(name))?, format!("{}, member `{name}`", data.display()))
    } else {
        let message = format!(
            "--labels {name} is neither a .npy or .csv file nor a member: {} is no archive",
            data.display()
        );
        return Err(Failure::request(message));
    };
    if !matches!(array.shape.as_slice(), [_] | [_, 1]) || array.values.len() != rows {
        let shape = &array.shape;
        let message =
            format!("{place} has the shape {shape:?}, but there are {rows} points: one label for each");
        return Err(Failure::request(message));
    }
    let label = |(index, &value): (usize, &f64)| {
        // Beyond 2^53 an f64 no longer tells neighbouring integers apart; no flow has that many classes.
        if value >= 0.0 && value.fract() == 0.0 && value < 2_f64.powi(53) {
            return Ok(value as usize);
        }
        let row = index + 1;
        Err(Failure::request(format!("{place}: row {row} is {value}, but a label is an integer from 0")))
    };
    array.values.iter().enumerate().map(label).collect()
}

/// The points of a file, checked against the flow's dimension.
fn read_points(path: &Path, member: Option<&str>, dim: usize) -> Result<Vec<f64>, Failure> {
    let array = read_array(path, member)?;
    let place = path.display();
    let fits = match array.shape.as_slice() {
        [_, columns] => *columns == dim,
        [_] => dim == 1,
        _ => false,
    };
    if !fits {
        let shape = &array.shape;
        let message = format!("{place} has the shape {shape:?}, but this flow takes rows of {dim} numbers");
        return Err(Failure::request(message));
    }
    if array.values.is_empty() {
        return Err(Failure::request(format!("{place} holds no points")));
    }
    if let Some(index) = array.values.iter().position(|value| !value.is_finite()) {
        let (row, column, value) = (index / dim + 1, index % dim + 1, array.values[index]);
        let message = format!("{place}: row {row}, column {column} is {value}; remove such rows first");
        return Err(Failure::request(message));
    }
    Ok(array.values)
}

fn read_array(path: &Path, member: Option<&str>) -> Result<Array, Failure> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let without_member = |array: Result<Array, DataError>| match member {
        None => Ok(array?),
        Some(_) => Err(Failure::request(format!(
            "--member is for .npz and .hdf5 files, but {} is none",
            path.display()
        ))),
    };
    match extension.to_ascii_lowercase().as_str() {
        "npy" => without_member(read_npy(path)),
        "csv" => without_member(read_csv(path).map(|table| table.array)),
        "npz" | "h5" | "hdf5" => {
            let mut archive = Archive::open(path)?;
            let names: Vec<String> = archive.names().iter().map(ToString::to_string).collect();
            let name = match (member, names.as_slice()) {
                (Some(member), _) => member,
                (None, [only]) => only,
                (None, []) => {
                    return Err(Failure::request(format!("{} has no members", path.display())));
                }
                (None, _) => {
                    let message = format!(
                        "{} has the members {}: choose one with --member",
                        path.display(),
                        names.join(", ")
                    );
                    return Err(Failure::request(message));
                }
            };
            Ok(archive.array(name)?)
        }
        _ => {
            let message =
                format!("cannot read {}: the data must be .npy, .npz, .hdf5 or .csv", path.display());
            Err(Failure::request(message))
        }
    }
}

fn write(values: &[f64], path: &Path) -> Result<(), Failure> {
    let array = Array::new(vec![values.len()], values.to_vec());
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "npy" => write_npy(path, &array)?,
        "npz" => write_npz(path, &[("log_density", &array)])?,
        "csv" => {
            let array = Array::new(vec![values.len(), 1], values.to_vec());
            write_csv(path, &Table { columns: Some(vec!["log_density".to_string()]), array })?;
        }
        _ => {
            let message = format!("cannot write {}: end the name with .npy, .npz or .csv", path.display());
            return Err(Failure::request(message));
        }
    }
    Ok(())
}
