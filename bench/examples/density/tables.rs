//! What the records say: a table and a figure for each set.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;

use serde_json::{Value, json};
use thalweg_bench::{cell, with_error};
use thalweg_data::{Dataset, Split};
use thalweg_metrics::mean_and_standard_error;
use thalweg_plot::{ErrorBars, Figure, Line, Reference, Tone};

use crate::sets::{METHODS, Set, recipe};
use crate::{Arguments, held_out};

/// Prints the table of a set and draws `SET.svg`, which shows quality against steps.
pub fn write(set: &Set, records: &[Value], arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let of_set: Vec<&Value> = records
        .iter()
        .filter(|record| {
            record["set"] == set.name
                && record["changes"] == json!(arguments.changes)
                && record["point_features"] == json!(arguments.point_features)
        })
        .collect();
    table(set, &of_set);
    if METHODS.iter().any(|method| of_method(&of_set, method).len() > 1) {
        let drawn = figure(set, &of_set, entropy(set, arguments)?).render();
        fs::write(arguments.out.join(format!("{}.svg", set.name)), drawn)?;
    }
    Ok(())
}

/// The records of a method by budget.
fn of_method<'a>(records: &[&'a Value], method: &str) -> BTreeMap<u64, Vec<&'a Value>> {
    let mut budgets: BTreeMap<u64, Vec<&Value>> = BTreeMap::new();
    for record in records.iter().filter(|record| record["method"] == method) {
        budgets.entry(record["batches"].as_u64().unwrap_or(0)).or_default().push(record);
    }
    budgets
}

/// Likelihoods as means over seeds with their errors, or of one seed with that of the points. Of several budgets, the last
/// line of a method has what the validation points choose.
fn table(set: &Set, records: &[&Value]) {
    println!("\n### {}\n", set.name);
    println!("| method | batches | NLL | validation NLL | parameters | minutes of training | evaluations |");
    println!("|---|---|---|---|---|---|---|");
    for method in METHODS {
        let budgets = of_method(records, method);
        for (budget, of_budget) in &budgets {
            println!("| {method} | {budget} | {} |", line(of_budget));
        }
        let all: Vec<&Value> = budgets.values().flatten().copied().collect();
        if budgets.len() > 1 && all.iter().any(|record| record["validation_nll"].is_f64()) {
            println!("| {method} | by validation | {} |", line(&chosen(&all)));
        }
    }
}

/// Of each seed the record whose likelihood of the validation points is the best.
fn chosen<'a>(records: &[&'a Value]) -> Vec<&'a Value> {
    let mut best: BTreeMap<u64, &Value> = BTreeMap::new();
    for record in records {
        let seed = record["seed"].as_u64().unwrap_or(0);
        let validation = |record: &Value| record["validation_nll"].as_f64().unwrap_or(f64::INFINITY);
        let present = best.entry(seed).or_insert(record);
        if validation(record) < validation(present) {
            *present = record;
        }
    }
    best.into_values().collect()
}

fn values(records: &[&Value], key: &str) -> Vec<f64> {
    records.iter().filter_map(|record| record[key].as_f64()).collect()
}

/// The mean over seeds with its standard error, or one seed with that of its points.
fn nll(records: &[&Value]) -> Option<(f64, f64)> {
    match (&values(records, "nll")[..], &values(records, "nll_error")[..]) {
        ([nll], [error]) => Some((*nll, *error)),
        (all, _) => mean_and_standard_error(all).ok(),
    }
}

fn line(records: &[&Value]) -> String {
    // A training that went on after a stop has only told of its last part.
    let whole: Vec<&Value> =
        records.iter().copied().filter(|record| record["train_seconds_from_step"] == 0).collect();
    let minutes: Vec<f64> = values(&whole, "train_seconds").iter().map(|seconds| seconds / 60.0).collect();
    let mean = |values: &[f64], digits: usize| match values {
        [] => String::new(),
        _ => format!("{:.digits$}", values.iter().sum::<f64>() / values.len() as f64),
    };
    [
        nll(records).map_or(String::new(), |(nll, error)| format!("{nll:.3} ± {error:.3}")),
        with_error(&values(records, "validation_nll"), 3),
        mean(&values(records, "parameters"), 0),
        mean(&minutes, 1),
        mean(&values(records, "nfe"), 0),
    ]
    .join(" | ")
}

/// Likelihoods of the methods against what they were trained for.
fn figure(set: &Set, records: &[&Value], entropy: Option<f64>) -> Figure {
    let mut figure = Figure::new(format!("{}: quality against gradient steps", set.name))
        .x_label("batches through all parameters")
        .y_label("NLL of held-out points in nats")
        .width(560.0)
        .log_x();
    for (index, method) in METHODS.iter().enumerate() {
        let budgets = of_method(records, method);
        let curve: Vec<([f64; 2], f64)> = budgets
            .iter()
            .filter_map(|(budget, records)| nll(records).map(|(nll, error)| ([*budget as f64, nll], error)))
            .collect();
        let (points, errors): (Vec<[f64; 2]>, Vec<f64>) = curve.into_iter().unzip();
        match (*method, &points[..]) {
            (_, []) => {}
            ("gaussian", [[_, nll], ..]) => figure = figure.with(Reference::line("Gaussian", *nll)),
            _ => {
                let tone = Tone::Series(index);
                figure = figure
                    .with(Line::new(*method, points.clone()).tone(tone))
                    .with(ErrorBars::new("", points, errors).tone(tone));
            }
        }
    }
    if let Some(entropy) = entropy {
        figure = figure.with(Reference::line("entropy", entropy));
    }
    figure
        .caption("Each point is a training of its own. Bars: one standard error, over seeds or over points.")
}

/// Of a set whose density is known.
fn entropy(set: &Set, arguments: &Arguments) -> Result<Option<f64>, Box<dyn Error>> {
    let recipe = cell::recipe(&recipe(set, "fm", (0, 1), arguments)?, [], None)?.recipe;
    let dataset = Dataset::load(&recipe.data, 0, &arguments.data)?;
    let points = held_out(&dataset, Split::Test, 0)?.points;
    let surprise: Option<Vec<f64>> =
        points.chunks_exact(set.dim).map(|point| dataset.log_density(point).map(|p| -p)).collect();
    Ok(match surprise {
        Some(surprise) => Some(mean_and_standard_error(&surprise)?.0),
        None => None,
    })
}
