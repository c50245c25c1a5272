//! Dotted paths into a document: `train.steps`, and `stage.1.train.steps` for the second of an array of tables.

use std::fmt;

use serde_path_to_error::Segment;
use toml::{Table, Value};

/// The keys from the root to a value. Array elements are counted from 0 and written like keys, as `--set` writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyPath(Vec<String>);

impl KeyPath {
    pub(crate) fn new(keys: Vec<String>) -> Self {
        Self(keys)
    }

    /// Splits at dots; the empty text is the root.
    pub(crate) fn parse(text: &str) -> Self {
        Self(text.split('.').filter(|key| !key.is_empty()).map(str::to_owned).collect())
    }

    /// Enum variants and unknown steps of serde's path are no keys of the document and are left out.
    pub(crate) fn from_serde(path: &serde_path_to_error::Path) -> Self {
        let key = |segment: &Segment| match segment {
            Segment::Map { key } => Some(key.clone()),
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        Self(path.iter().filter_map(key).collect())
    }

    pub(crate) fn keys(&self) -> &[String] {
        &self.0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn last(&self) -> Option<&str> {
        self.0.last().map(String::as_str)
    }

    pub(crate) fn child(&self, key: &str) -> Self {
        Self(self.0.iter().map(String::as_str).chain([key]).map(str::to_owned).collect())
    }

    /// This path, and the other from there on.
    pub(crate) fn joined(&self, other: &Self) -> Self {
        Self([&self.0[..], &other.0[..]].concat())
    }

    pub(crate) fn parent(&self) -> Self {
        Self(self.0[..self.0.len().saturating_sub(1)].to_vec())
    }

    pub(crate) fn starts_with(&self, beginning: &Self) -> bool {
        self.0.starts_with(&beginning.0)
    }

    /// The value at this path, or nothing where the document does not reach so far. The root is no value.
    pub(crate) fn find<'a>(&self, root: &'a Table) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(root.get(first)?, |value, key| match value {
            Value::Table(table) => table.get(key),
            Value::Array(items) => items.get(key.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// The table at this path, the root included.
    pub(crate) fn find_table_mut<'a>(&self, root: &'a mut Table) -> Option<&'a mut Table> {
        let Some((first, rest)) = self.0.split_first() else { return Some(root) };
        rest.iter()
            .try_fold(root.get_mut(first)?, |value, key| match value {
                Value::Table(table) => table.get_mut(key),
                Value::Array(items) => items.get_mut(key.parse::<usize>().ok()?),
                _ => None,
            })?
            .as_table_mut()
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}
