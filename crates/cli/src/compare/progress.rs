//! Progress of a comparison: a bar where standard error is a terminal, a line for each cell elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use thalweg_train::CellResult;

use crate::print::print_error;

/// Shows how many cells are finished.
pub struct CellProgress {
    bar: Option<ProgressBar>,
    done: usize,
    count: usize,
}

impl CellProgress {
    /// A display for `count` cells of which `done` are finished.
    pub fn new(done: usize, count: usize) -> Self {
        let bar = (done < count && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(count as u64).with_position(done as u64).with_elapsed(Duration::ZERO);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} cells  {elapsed}  {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar, done, count }
    }

    /// Shows what came of a cell.
    pub fn ended(&mut self, name: &str, time: Duration, result: &CellResult) {
        self.done += 1;
        let seconds = time.as_secs_f64();
        let line = match result {
            CellResult::Done(_) => {
                format!("{name}  done in {seconds:.1} s ({} of {})", self.done, self.count)
            }
            CellResult::Failed { reason } => {
                format!("{name}  failed after {seconds:.1} s ({} of {}): {reason}", self.done, self.count)
            }
        };
        match (&self.bar, result) {
            (Some(bar), CellResult::Done(_)) => {
                bar.set_position(self.done as u64);
                bar.set_message(name.to_string());
            }
            (Some(bar), CellResult::Failed { .. }) => {
                bar.set_position(self.done as u64);
                bar.println(line);
            }
            (None, _) => print_error(&line),
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
