//! What the program says: answers on standard output, everything else on standard error.
//!
//! Nothing here panics when nobody listens: `thalweg recipes | head -1` closes the pipe after one line and means it.

use std::io::{self, ErrorKind, Write};

use serde_json::Value;

use crate::failure::Failure;

/// Prints one JSON document on standard output.
pub fn print_json(document: &Value) -> Result<(), Failure> {
    print_line(&format!("{document:#}"))
}

/// Prints a line on standard output.
pub fn print_line(line: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::unread()),
        Err(error) => Err(Failure::work(format!("cannot write to standard output: {error}"))),
    }
}

/// Prints a line on standard error. Where that fails there is nobody left to tell.
pub fn print_error(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Rows as lines: the first column to the left, the others to the right.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            0 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A number as JSON; those that JSON does not have are the words `"NaN"`, `"inf"` and `"-inf"`, as in `events.jsonl`.
pub fn number(value: f64) -> Value {
    thalweg_run::non_finite::serialize(&value, serde_json::value::Serializer).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_form_in_json() {
        let check = |value, expected: &str| assert_eq!(number(value).to_string(), expected);
        check(0.1, "0.1");
        check(f64::NAN, "\"NaN\"");
        check(f64::INFINITY, "\"inf\"");
        check(f64::NEG_INFINITY, "\"-inf\"");
    }
}
