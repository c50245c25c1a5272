//! Reading recipes: TOML, then overrides, then any serde type, with errors that say where and what was meant.
//!
//! The caller's types carry `deny_unknown_fields`, so that a misspelt key is an error and not a default. Overrides are
//! merged into the parsed document before serde sees it, so `--set` obeys exactly the rules of the file. Serde reports
//! what it met but seldom where; [`blame`] and [`locate`] find the key and its line.

pub(crate) mod blame;
pub(crate) mod error;
pub(crate) mod explain;
pub(crate) mod key_path;
pub(crate) mod layer;
pub(crate) mod locate;
pub(crate) mod nearest;
pub(crate) mod overrides;

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Table;

use error::{Invalid, Place, RecipeError};
use explain::Complaint;
use key_path::KeyPath;
use layer::Layer;
use overrides::Override;

/// Reads a `T` from TOML `text` with `overrides` applied in order; `origin` is the name used in errors, as a rule the
/// file's path. Derive `Deserialize` with `deny_unknown_fields`, else misspelt keys pass unseen.
///
/// ```
/// #[derive(Debug, serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Train {
///     steps: u64,
/// }
/// let longer = ["steps=200".parse()?];
/// let train: Train = thalweg_run::parse("steps = 100", "train.toml", &longer)?;
/// assert_eq!(train.steps, 200);
///
/// let error = thalweg_run::parse::<Train>("step = 100", "train.toml", &[]).unwrap_err();
/// assert_eq!(error.to_string(), "unknown key `step`: did you mean `steps`? (train.toml:1:1)");
/// # Ok::<(), thalweg_run::RecipeError>(())
/// ```
///
/// # Errors
/// Text that is not TOML, an override that does not fit, and whatever `T` refuses, with its line and column.
pub fn parse<T: DeserializeOwned>(
    text: &str,
    origin: &str,
    overrides: &[Override],
) -> Result<T, RecipeError> {
    Document::new(text, origin, overrides)?.read()
}

/// Writes `value` as TOML, complete (defaults included) and with arrays on one line.
///
/// # Panics
/// If `value` has no TOML form: a map whose keys are not strings, or an integer beyond `i64`.
pub fn to_toml<T: Serialize>(value: &T) -> String {
    toml::to_string(value).unwrap_or_else(|error| panic!("a recipe type must have a TOML form: {error}"))
}

/// A recipe's text with its overrides merged in, kept so that errors found later, by validation or once the data is
/// known, still get the line of the key they are about. A document may be put together from several; then each value
/// has its place where it was written.
#[derive(Clone, Debug)]
pub struct Document {
    merged: Table,
    /// Where the values come from, the strongest first; never empty.
    layers: Vec<Layer>,
}

impl Document {
    /// Parses `text` and merges `overrides` into it, the last one winning; `origin` names the text in errors.
    ///
    /// # Errors
    /// Text that is not TOML (duplicate keys included), and overrides that reach into something that is no table.
    pub fn new(text: &str, origin: &str, overrides: &[Override]) -> Result<Self, RecipeError> {
        let mut merged: Table = toml::from_str(text).map_err(|error| error::syntax(text, origin, &error))?;
        for change in overrides {
            change.apply(&mut merged)?;
        }
        Ok(Self { layers: vec![Layer::new(text, origin, overrides, &merged)], merged })
    }

    /// Reads the file at `path` as [`Document::new`] reads text.
    ///
    /// # Errors
    /// A missing file, a folder, a file that is not UTF-8, and all errors of [`Document::new`].
    pub fn open(path: &Path, overrides: &[Override]) -> Result<Self, RecipeError> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| error::unreadable(path, &error))?;
        Self::new(&text, &origin, overrides)
    }

    /// The text at a path of keys; none where there is nothing, or something else.
    #[must_use]
    pub fn text_at(&self, path: &[&str]) -> Option<String> {
        Some(self.at(path)?.as_str()?.to_owned())
    }

    /// Whether there is anything at a path of keys.
    #[must_use]
    pub fn has(&self, path: &[&str]) -> bool {
        self.at(path).is_some()
    }

    fn at(&self, path: &[&str]) -> Option<&toml::Value> {
        let (last, tables) = path.split_last()?;
        let table = tables.iter().try_fold(&self.merged, |table, key| table.get(*key)?.as_table())?;
        table.get(*last)
    }

    /// The table at a dotted path, such as `stage.1.recipe`, as a document of its own whose errors have their place in
    /// this one; an empty document where there is no table.
    ///
    /// ```
    /// use thalweg_run::{Document, Invalid};
    ///
    /// let whole = Document::new("[[stage]]\nrecipe = { steps = 0 }", "stages.toml", &[])?;
    /// let part = whole.part("stage.0.recipe");
    /// assert!(part.has(&["steps"]));
    /// let error = part.explain(&Invalid::new("steps", "must be at least 1"));
    /// assert_eq!(error.to_string(), "`steps`: must be at least 1 (stages.toml:2:12)");
    /// # Ok::<(), thalweg_run::RecipeError>(())
    /// ```
    #[must_use]
    pub fn part(&self, path: &str) -> Self {
        let path = KeyPath::parse(path);
        let merged = path.find(&self.merged).and_then(toml::Value::as_table).cloned().unwrap_or_default();
        Self { layers: self.layers.iter().map(|layer| layer.below(&path)).collect(), merged }
    }

    /// The document with what it leaves out taken from `other`, at the given paths of keys. Where both have a table, its
    /// keys are completed one by one, unless they name different kinds of things; whatever lies deeper is taken whole. So no
    /// setting of one kind is mixed with those of another.
    #[must_use]
    pub fn completed_by(mut self, other: &Self, paths: &[&[&str]]) -> Self {
        let before = self.merged.clone();
        for path in paths {
            let Some((last, tables)) = path.split_last() else { continue };
            let Some(value) = other.at(path) else { continue };
            let ours = tables.iter().try_fold(&mut self.merged, |table, key| {
                let table = table.entry(*key).or_insert_with(|| toml::Value::Table(Table::new()));
                table.as_table_mut()
            });
            let Some(ours) = ours else { continue };
            match (ours.get_mut(*last), value) {
                (None, value) => {
                    ours.insert((*last).to_owned(), value.clone());
                }
                // What belongs to one kind of thing means nothing to another.
                (Some(toml::Value::Table(ours)), toml::Value::Table(theirs))
                    if ours.get("kind").is_none_or(|kind| theirs.get("kind") == Some(kind)) =>
                {
                    for (key, value) in theirs {
                        ours.entry(key).or_insert_with(|| value.clone());
                    }
                }
                (Some(_), _) => {}
            }
        }
        let taken = layer::added(&before, &self.merged);
        self.layers.extend(other.layers.iter().map(|layer| layer.holding_only(&taken)));
        self
    }

    /// The document as a `T`.
    ///
    /// # Errors
    /// Unknown keys and values, wrong types and missing keys, each with the path and the line.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, RecipeError> {
        let failure = match deserialize::<T>(&self.merged) {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };
        let complaint = Complaint::understand(&failure.message);
        let retry = |table: &Table| deserialize::<T>(table).err().map(|failure| failure.message);
        let path = blame::culprit(&self.merged, &failure, &complaint, &retry);
        Err(complaint.into_error(&path, self.place(&path)))
    }

    /// Turns the finding of a caller's validation into an error with its place: the same line numbers as [`read`]'s.
    ///
    /// [`read`]: Document::read
    #[must_use]
    pub fn explain(&self, invalid: &Invalid) -> RecipeError {
        let path = KeyPath::parse(&invalid.path);
        RecipeError::Invalid {
            place: self.place(&path),
            path: path.to_string(),
            message: invalid.message.clone(),
        }
    }

    /// Where the value at `path` comes from: the layer that has most of the path, the strongest of several.
    fn place(&self, path: &KeyPath) -> Place {
        let deepest = self.layers.iter().map(|layer| layer.depth(path)).max();
        let layer = self.layers.iter().find(|layer| Some(layer.depth(path)) == deepest);
        layer.unwrap_or(&self.layers[0]).place(path)
    }
}

/// What serde said about a document, and how deep it could say where.
pub(crate) struct Failure {
    pub(crate) path: KeyPath,
    pub(crate) message: String,
}

fn deserialize<T: DeserializeOwned>(table: &Table) -> Result<T, Failure> {
    serde_path_to_error::deserialize(toml::Value::Table(table.clone())).map_err(|error| Failure {
        path: KeyPath::from_serde(error.path()),
        message: error.inner().message().trim().to_owned(),
    })
}
