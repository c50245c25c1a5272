//! `thalweg data inspect`: what a file holds.

use thalweg_data::inspect;

use crate::args::{Data, DataCommand};
use crate::failure::Failure;
use crate::print::{print_json, print_line};

/// Looks into a data file.
pub fn run(arguments: &Data, json: bool) -> Result<(), Failure> {
    let DataCommand::Inspect { path } = &arguments.command;
    let summary = inspect(path)?;
    if summary.arrays.is_empty() {
        return Err(Failure::request(format!("{} has no members that are arrays", path.display())));
    }
    if json {
        let arrays: Vec<_> = summary.arrays.iter().map(as_json).collect();
        print_json(&serde_json::json!({ "path": summary.path, "arrays": arrays }))?;
        return Ok(());
    }
    for array in &summary.arrays {
        let name = array.member.as_deref().unwrap_or("-");
        let shape: Vec<String> = array.shape.iter().map(ToString::to_string).collect();
        let range = match array.range {
            Some((low, high)) => format!("{low} .. {high}"),
            None => "no finite values".to_string(),
        };
        let bad =
            if array.not_finite > 0 { format!("  {} not finite", array.not_finite) } else { String::new() };
        print_line(&format!("{name:24} {:>16}  {:8} {range}{bad}", shape.join(" x "), array.dtype))?;
    }
    Ok(())
}

fn as_json(array: &thalweg_data::ArraySummary) -> serde_json::Value {
    serde_json::json!({
        "name": array.member,
        "shape": array.shape,
        "dtype": array.dtype.to_string(),
        "range": array.range,
        "not_finite": array.not_finite,
    })
}
