//! What can be wrong with a recipe, and where.

use std::fmt;
use std::path::Path;

use super::locate::line_and_column;

/// What is wrong with a recipe. Every message names the key by its dotted path, the place, and what was probably meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("cannot read the recipe {path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why, and what to try.
        reason: String,
    },
    /// The text is not TOML, or gives a key twice.
    #[error("{place}: {message}\n{excerpt}")]
    Syntax {
        /// Where the parser stopped.
        place: Place,
        /// What it met.
        message: String,
        /// The line with a caret under the fault.
        excerpt: String,
    },
    /// A key that does not exist.
    #[error("unknown key `{path}`: {hint} ({place})")]
    UnknownKey {
        /// The key.
        path: String,
        /// The nearest known key, or all of them.
        hint: String,
        /// Where it is written.
        place: Place,
    },
    /// A word that is none of the choices.
    #[error("unknown value `{found}` for `{path}`: {hint} ({place})")]
    UnknownValue {
        /// The key.
        path: String,
        /// The word.
        found: String,
        /// The nearest choice, or all of them.
        hint: String,
        /// Where it is written.
        place: Place,
    },
    /// A value of another type than the key takes.
    #[error("`{path}`: expected {expected}, found {found} ({place})")]
    WrongType {
        /// The key.
        path: String,
        /// The type or range it takes.
        expected: String,
        /// The value that is there.
        found: String,
        /// Where it is written.
        place: Place,
    },
    /// A key without a default is absent.
    #[error("missing key `{path}`: it has no default, so give it a value ({place})")]
    MissingKey {
        /// The key.
        path: String,
        /// The table it belongs to.
        place: Place,
    },
    /// A value of the right type that makes no sense.
    #[error("`{path}`: {message} ({place})")]
    Invalid {
        /// The key.
        path: String,
        /// What is wrong with the value.
        message: String,
        /// Where it is written.
        place: Place,
    },
    /// An override that cannot be read or applied.
    #[error("--set {text}: {message}")]
    Override {
        /// What the user typed.
        text: String,
        /// What is wrong with it, and the right form.
        message: String,
    },
}

/// A caller's finding that a value makes no sense; [`Document::explain`](crate::Document::explain) adds the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Dotted path of the key, `train.steps` or `stage.1.train.steps`.
    pub path: String,
    /// What is wrong with its value and what would be right.
    pub message: String,
}

impl Invalid {
    /// The value at `path` is wrong because of `message`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// Where a value of a recipe comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Written in the text; line and column count from 1.
    File {
        /// The text's name.
        origin: String,
        /// The line.
        line: usize,
        /// The column, in characters.
        column: usize,
    },
    /// Given as an override.
    Set {
        /// What the user typed.
        text: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { origin, line, column } => write!(f, "{origin}:{line}:{column}"),
            Self::Set { text } => write!(f, "--set {text}"),
        }
    }
}

pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> RecipeError {
    let reason = if path.is_dir() {
        "it is a folder; name the TOML file inside it".to_owned()
    } else {
        match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file; check the path".to_owned(),
            std::io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
            _ => error.to_string(),
        }
    };
    RecipeError::Unreadable { path: path.display().to_string(), reason }
}

/// The parser's own message with its caret, under our form of the place.
pub(crate) fn syntax(text: &str, origin: &str, error: &toml::de::Error) -> RecipeError {
    let span = error.span().unwrap_or(0..0);
    let (line, column) = line_and_column(text, span.start);
    let key = text.get(span).unwrap_or_default();
    let message = match error.message() {
        "duplicate key" => format!("the key `{key}` is given twice; keep one of the two"),
        other => format!("this is not TOML: {other}"),
    };
    // Its first line repeats the place and its last ones the message.
    let excerpt = error.to_string().lines().skip(1).take(3).collect::<Vec<_>>().join("\n");
    RecipeError::Syntax { place: Place::File { origin: origin.to_owned(), line, column }, message, excerpt }
}
