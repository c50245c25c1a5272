//! What the benchmark programs share: JSON lines that can be resumed, medians, peak memory, cells of studies, and networks.

pub mod cell;
pub mod unet;

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use thalweg_kernels::{keep_freed_memory, on_the_pool};
use thalweg_metrics::mean_and_standard_error;

/// Runs a benchmark as `thalweg` runs a command: freed memory is kept, and the work is done on the pool.
///
/// # Errors
/// Those of the work.
pub fn as_the_program_does(
    threads: usize,
    work: impl FnOnce() -> Result<(), Box<dyn Error>> + Send,
) -> Result<(), Box<dyn Error>> {
    keep_freed_memory();
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    // Errors of any kind do not travel between threads, their words do.
    on_the_pool(|| work().map_err(|error| error.to_string())).map_err(Into::into)
}

/// Appends one record to a file of JSON lines.
///
/// # Errors
/// What the file system answers.
pub fn append(path: &Path, record: &Value) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "{record}")
}

/// The records of a file of JSON lines; a torn last line is left out.
#[must_use]
pub fn records(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Whether a record with all these values is there already.
#[must_use]
pub fn is_done(records: &[Value], keys: &[(&str, Value)]) -> bool {
    records.iter().any(|record| keys.iter().all(|(key, value)| record.get(*key) == Some(value)))
}

/// Measures what has no record with these keys yet, shows what was found, and appends it.
///
/// # Errors
/// Those of the measurement, and what the file system answers.
#[expect(clippy::print_stderr, reason = "programs of the benchmark show what they find")]
pub fn measure_once<const N: usize>(
    path: &Path,
    keys: [(&str, Value); N],
    measure: impl FnOnce() -> Result<Value, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    if is_done(&records(path), &keys) {
        return Ok(());
    }
    let mut record = measure()?;
    for (key, value) in keys {
        record[key] = value;
    }
    eprintln!("{record}");
    Ok(append(path, &record)?)
}

/// The median of the seconds that `work` takes, over `times` calls after `warm_up` others.
pub fn median_seconds(warm_up: usize, times: usize, mut work: impl FnMut()) -> f64 {
    for _ in 0..warm_up {
        work();
    }
    let seconds: Vec<f64> = (0..times)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect();
    spread(seconds)[1]
}

/// The median of some times between the ends of their middle four fifths.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn spread(mut times: Vec<f64>) -> [f64; 3] {
    assert!(!times.is_empty(), "nothing was timed");
    times.sort_by(f64::total_cmp);
    let (tenth, last) = (times.len() / 10, times.len() - 1);
    let median = 0.5 * (times[last / 2] + times[times.len() / 2]);
    [times[tenth], median, times[last - tenth]]
}

/// The mean of some values with its standard error, one value as it is, nothing where there is none.
#[must_use]
pub fn with_error(values: &[f64], digits: usize) -> String {
    match mean_and_standard_error(values) {
        Ok((mean, error)) => format!("{mean:.digits$} ± {error:.digits$}"),
        Err(_) => values.first().map_or(String::new(), |value| format!("{value:.digits$}")),
    }
}

/// The most memory this process has had, in MiB, where the system tells.
#[must_use]
pub fn peak_memory_mib() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// The load of the machine during the last minute, to judge a timing by.
#[must_use]
pub fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}
