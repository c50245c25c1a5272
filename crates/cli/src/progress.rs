//! Progress of a training: a bar where standard error is a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use thalweg_train::Progress;

use crate::print::print_error;

/// How many lines a training of any length prints where there is no terminal.
const LINES: u64 = 10;

/// Shows how far a training is.
pub struct ProgressDisplay {
    bar: Option<ProgressBar>,
    steps: u64,
    /// A mean of the losses that forgets, because single losses jump about.
    loss: Option<f64>,
}

impl ProgressDisplay {
    /// A display for `steps` steps of which `done` are made.
    pub fn new(steps: u64, done: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(steps).with_position(done);
            let style = "{bar:30} {pos}/{len} steps  {per_sec}  {eta} left  {msg}";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar, steps, loss: None }
    }

    /// Shows a step.
    pub fn step(&mut self, progress: Progress) {
        let old = self.loss.unwrap_or(progress.loss);
        let loss = 0.98 * old + 0.02 * progress.loss;
        self.loss = Some(loss);
        let Progress { step, steps, .. } = progress;
        match &self.bar {
            Some(bar) => {
                bar.set_position(step);
                if step.is_multiple_of(20) {
                    bar.set_message(format!("loss {loss:.4}"));
                }
            }
            None if step.is_multiple_of((self.steps / LINES).max(1)) || step == steps => {
                print_error(&format!("step {step}/{steps}  loss {loss:.4}"));
            }
            None => {}
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
