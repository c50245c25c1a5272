//! Ending a comparison early without losing anything.
//!
//! The first Ctrl-C ends it: the input of every child is closed, and a child whose input ends finishes its step,
//! saves it and ends. So children also end when their parent is gone, however it went.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Failure;
use crate::interrupt::at_signals;
use crate::print::print_error;

/// Whether to stop.
#[derive(Debug, Default)]
pub struct Stop {
    asked: AtomicBool,
    nothing_to_save: AtomicBool,
}

impl Stop {
    /// Watches for Ctrl-C and the signals that ask a process to end.
    ///
    /// # Errors
    /// When the system lets nobody watch.
    pub fn at_signals() -> Result<Arc<Self>, Failure> {
        let stop = Arc::new(Self::default());
        let shared = Arc::clone(&stop);
        at_signals(move || {
            if shared.asked.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            print_error("\nending the trainings and saving them; once more to stop at once");
        })?;
        Ok(stop)
    }

    /// Watches for the end of standard input.
    pub fn at_end_of_input() -> Arc<Self> {
        let stop = Arc::new(Self::default());
        let shared = Arc::clone(&stop);
        std::thread::spawn(move || {
            // Nobody writes to it; an error is an end too.
            let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
            shared.asked.store(true, Ordering::SeqCst);
            if shared.nothing_to_save.load(Ordering::SeqCst) {
                std::process::exit(1);
            }
        });
        stop
    }

    /// Whether somebody asked.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Everything is saved: from here on the end of input is the end of the process.
    pub fn nothing_to_save(&self) {
        self.nothing_to_save.store(true, Ordering::SeqCst);
        if self.is_asked() {
            std::process::exit(1);
        }
    }
}
