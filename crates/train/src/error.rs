//! What can go wrong between a recipe and its run.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use thalweg_data::DataError;
use thalweg_flow::FlowError;
use thalweg_metrics::MetricsError;
use thalweg_nets::NetError;
use thalweg_plot::PlotError;
use thalweg_run::{RecipeError, RunError};

/// Why a training, a sampling or an evaluation failed; every message says what to try.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The recipe does not describe a run.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The run folder cannot be used.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The method cannot do what was asked.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// The network cannot do what was asked.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A score cannot be computed.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A picture cannot be drawn or written.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A differential equation was not solved.
    #[error("{what} failed: {reason}")]
    Solve {
        /// Sampling, a likelihood, a training step.
        what: &'static str,
        /// The solver's report.
        reason: String,
    },
    /// The training went astray.
    #[error("training diverged at step {step}: {cause}; {}. Lower `train.learning_rate` or set `train.clip`, and train again with another --out", kept(*checkpoint))]
    Diverged {
        /// The step that was not made.
        step: u64,
        /// What showed it.
        cause: String,
        /// The newest good checkpoint.
        checkpoint: Option<u64>,
    },
    /// The data are not those the run was trained on.
    #[error(
        "the data have changed since the run was started (fingerprint {found}, was {expected}); restore them, or train a new run with another --out"
    )]
    DataChanged {
        /// The fingerprint of the data as they are.
        found: String,
        /// The fingerprint in the checkpoint.
        expected: String,
    },
    /// A run without a checkpoint cannot be used.
    #[error("{} has no usable checkpoint{detail}; train it to its first checkpoint with `thalweg train --resume --out {}`", run.display(), run.display())]
    NoCheckpoint {
        /// The run folder.
        run: PathBuf,
        /// What was found instead.
        detail: String,
    },
    /// Something in a cell of a comparison.
    #[error("{cell}: {error}")]
    Cell {
        /// Which set, method and stage.
        cell: String,
        /// What is wrong there.
        #[source]
        error: Box<TrainError>,
    },
    /// A request that does not fit the run.
    #[error("{0}")]
    Request(String),
    /// A file of the run.
    #[error("cannot {action} {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Read or write.
        action: &'static str,
        /// The answer.
        reason: String,
    },
}

impl TrainError {
    pub(crate) fn file(path: &Path, action: &'static str, reason: impl Display) -> Self {
        Self::File { path: path.to_path_buf(), action, reason: reason.to_string() }
    }

    pub(crate) fn solve(what: &'static str, reason: impl Display) -> Self {
        Self::Solve { what, reason: reason.to_string() }
    }
}

fn kept(checkpoint: Option<u64>) -> String {
    match checkpoint {
        Some(step) => format!("the checkpoint of step {step} is kept"),
        None => "there was no checkpoint yet".to_string(),
    }
}

impl TrainError {
    /// Whether the user's request, recipe or files were at fault, rather than the work that was begun.
    #[must_use]
    pub fn is_request(&self) -> bool {
        match self {
            Self::Cell { error, .. } => error.is_request(),
            Self::Data(error) => !matches!(error, DataError::Io { action: "write", .. }),
            Self::Recipe(_)
            | Self::Flow(_)
            | Self::Net(_)
            | Self::DataChanged { .. }
            | Self::NoCheckpoint { .. }
            | Self::Request(_) => true,
            Self::Run(error) => matches!(
                error,
                RunError::Missing(_)
                    | RunError::NotAFolder(_)
                    | RunError::NotARun(_)
                    | RunError::HoldsARun(_)
                    | RunError::HoldsAComparison(_)
                    | RunError::Locked { .. }
                    | RunError::NewerFormat { .. }
                    | RunError::TimeConvention { .. }
                    | RunError::OtherTensors { .. }
                    | RunError::OtherArchitecture { .. }
            ),
            Self::Metrics(_)
            | Self::Plot(_)
            | Self::Solve { .. }
            | Self::Diverged { .. }
            | Self::File { .. } => false,
        }
    }
}
