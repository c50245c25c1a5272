//! How a command fails: what to say, and with which exit code.

use std::fmt::Display;

use thalweg_data::DataError;
use thalweg_run::{RecipeError, RunError};
use thalweg_train::TrainError;

use crate::print::{print_error, print_json};

/// A command that did not do what was asked.
#[derive(Debug)]
pub struct Failure {
    message: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Something that the user typed or wrote.
    Request,
    /// Something that went wrong on the way.
    Work,
    /// The same, where the answer has been given all the same.
    Told,
    /// Nothing: the reader of standard output had seen enough.
    Unread,
}

impl Failure {
    /// The request was wrong; exit code 2.
    pub fn request(message: impl Display) -> Self {
        Self { message: message.to_string(), kind: Kind::Request }
    }

    /// The work failed; exit code 1.
    pub fn work(message: impl Display) -> Self {
        Self { message: message.to_string(), kind: Kind::Work }
    }

    /// The work failed, and standard output has a document that says so already; exit code 1.
    pub fn told(message: impl Display) -> Self {
        Self { message: message.to_string(), kind: Kind::Told }
    }

    /// Standard output was closed by its reader; a quiet end with exit code 0.
    pub fn unread() -> Self {
        Self { message: String::new(), kind: Kind::Unread }
    }

    /// Says what was wrong on standard error; as a JSON document on standard output when that was asked for.
    pub fn report(&self, json: bool) {
        if self.kind == Kind::Unread {
            return;
        }
        if json && self.kind != Kind::Told {
            // Should this fail too, the line on standard error and the exit code still tell.
            let _ = print_json(&serde_json::json!({ "error": self.message }));
        }
        print_error(&format!("error: {}", self.message));
    }

    /// 2 for requests, 1 for work, 0 when nothing was wrong.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Request => 2,
            Kind::Work | Kind::Told => 1,
            Kind::Unread => 0,
        }
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        if error.is_request() { Self::request(error) } else { Self::work(error) }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        TrainError::from(error).into()
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        TrainError::from(error).into()
    }
}

impl From<RecipeError> for Failure {
    fn from(error: RecipeError) -> Self {
        Self::request(error)
    }
}
