//! Ctrl-C, and the signals that ask a process to end: nothing that was trained is lost.
//!
//! While a training runs, the first one finishes the step and saves it, and the second ends the program at once. After
//! the training there is nothing left to save, so the first one ends the program and says how to score what was trained.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Failure;
use crate::print::print_error;

/// What the handler and the program know of each other.
#[derive(Debug)]
pub struct Interrupt {
    asked: AtomicBool,
    trained: AtomicBool,
    run: PathBuf,
}

impl Interrupt {
    /// Watches for interruptions of a training in the folder `run`; `json` is the form of a failure.
    ///
    /// # Errors
    /// When the system lets nobody watch.
    pub fn watch(run: &Path, json: bool) -> Result<Arc<Self>, Failure> {
        let interrupt = Arc::new(Self {
            asked: AtomicBool::new(false),
            trained: AtomicBool::new(false),
            run: run.to_path_buf(),
        });
        let shared = Arc::clone(&interrupt);
        at_signals(move || shared.handle(json)).map(|()| interrupt)
    }

    /// Whether the training was asked to stop.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// The training is complete and saved; from here on an interruption ends the program.
    ///
    /// # Errors
    /// When one came while the last step was made.
    pub fn training_is_saved(&self) -> Result<(), Failure> {
        self.trained.store(true, Ordering::SeqCst);
        if self.is_asked() { Err(self.not_scored()) } else { Ok(()) }
    }

    fn handle(&self, json: bool) {
        if self.trained.load(Ordering::SeqCst) {
            let failure = self.not_scored();
            failure.report(json);
            std::process::exit(failure.exit_code().into());
        }
        if self.asked.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        print_error("\nfinishing the step and saving it; once more to stop at once");
    }

    fn not_scored(&self) -> Failure {
        let run = self.run.display();
        Failure::work(format!(
            "stopped before the scores; the training is saved: score it with `thalweg evaluate {run}`"
        ))
    }
}

/// Calls `handle` at Ctrl-C and at the signals that ask a process to end.
///
/// # Errors
/// When the system lets nobody watch.
pub fn at_signals(handle: impl FnMut() + 'static + Send) -> Result<(), Failure> {
    match ctrlc::set_handler(handle) {
        Ok(()) => Ok(()),
        Err(ctrlc::Error::System(error)) if error.kind() == ErrorKind::Unsupported => Ok(()),
        Err(error) => Err(Failure::work(format!("cannot watch for Ctrl-C: {error}"))),
    }
}
