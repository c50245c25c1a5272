//! One text that values of a document come from: which of them, and where they stand in it.

use std::sync::Arc;

use toml::{Table, Value};

use super::error::Place;
use super::key_path::KeyPath;
use super::locate;
use super::overrides::Override;

/// A text with its overrides, and what of it is in the document.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    source: Arc<Source>,
    /// The table of the text that stands for the whole document.
    root: KeyPath,
    /// The values that came from here.
    held: Table,
}

#[derive(Debug)]
struct Source {
    origin: String,
    text: String,
    overrides: Vec<Override>,
}

impl Layer {
    pub(crate) fn new(text: &str, origin: &str, overrides: &[Override], merged: &Table) -> Self {
        let source =
            Source { origin: origin.to_owned(), text: text.to_owned(), overrides: overrides.to_vec() };
        Self { source: Arc::new(source), root: KeyPath::default(), held: merged.clone() }
    }

    /// The same for the document that the table at `path` is.
    pub(crate) fn below(&self, path: &KeyPath) -> Self {
        let held = path.find(&self.held).and_then(Value::as_table).cloned().unwrap_or_default();
        Self { root: self.root.joined(path), held, ..self.clone() }
    }

    /// The same of these values only.
    pub(crate) fn holding_only(&self, values: &Table) -> Self {
        Self { held: common(&self.held, values), ..self.clone() }
    }

    /// How many keys of a path lead to something that came from here.
    pub(crate) fn depth(&self, path: &KeyPath) -> usize {
        let keys = path.keys();
        (1..=keys.len())
            .take_while(|&depth| KeyPath::new(keys[..depth].to_vec()).find(&self.held).is_some())
            .count()
    }

    /// Where the value at `path` stands: the last override that set it, else its line, else the nearest thing.
    pub(crate) fn place(&self, path: &KeyPath) -> Place {
        let path = &self.root.joined(path);
        let Source { origin, text, overrides } = &*self.source;
        let set = |change: &Override| Place::Set { text: change.text().to_owned() };
        if let Some(change) = overrides.iter().rev().find(|change| path.starts_with(change.path())) {
            return set(change);
        }
        let found = locate::position(text, path);
        if found.depth < path.len() {
            // Not in the file, so an override of something inside it may have made it.
            if let Some(change) = overrides.iter().rev().find(|change| change.path().starts_with(path)) {
                return set(change);
            }
        }
        Place::File { origin: origin.clone(), line: found.line, column: found.column }
    }
}

/// What `after` has and `before` has not.
pub(crate) fn added(before: &Table, after: &Table) -> Table {
    let new = after.iter().filter_map(|(key, value)| match (before.get(key), value) {
        (None, value) => Some((key.clone(), value.clone())),
        (Some(Value::Table(before)), Value::Table(after)) => {
            let inner = added(before, after);
            (!inner.is_empty()).then(|| (key.clone(), Value::Table(inner)))
        }
        (Some(_), _) => None,
    });
    new.collect()
}

/// What two tables both have.
fn common(one: &Table, other: &Table) -> Table {
    let both = one.iter().filter_map(|(key, value)| match (value, other.get(key)?) {
        (Value::Table(one), Value::Table(other)) => Some((key.clone(), Value::Table(common(one, other)))),
        (value, _) => Some((key.clone(), value.clone())),
    });
    both.collect()
}

#[cfg(test)]
mod tests {
    use crate::{Document, Invalid};

    fn place(document: &Document, path: &str) -> String {
        let message = document.explain(&Invalid::new(path, "x")).to_string();
        message.rsplit_once('(').unwrap().1.trim_end_matches(')').to_owned()
    }

    #[test]
    fn values_stand_where_they_were_written() {
        let text = "[shared.train]\nsteps = 1\nbatch = 2\n\n[[own]]\ntrain.rate = 3\nflow = {}\n";
        let change = ["shared.train.batch=7".parse().unwrap()];
        let whole = Document::new(text, "a.toml", &change).unwrap();
        let other = Document::new("train = { rate = 4, clip = 5 }\n", "b.toml", &[]).unwrap();
        let document = whole.part("own.0").completed_by(&whole.part("shared"), &[&["train"]]);
        let document = document.completed_by(&other, &[&["train"]]);
        for (path, expected) in [
            ("train.rate", "a.toml:6:7"),
            ("train.steps", "a.toml:2:1"),
            ("train.batch", "--set shared.train.batch=7"),
            ("train.clip", "b.toml:1:21"),
            // What nobody wrote is where its section begins in the strongest.
            ("train.keep", "a.toml:6:1"),
            ("flow.path", "a.toml:7:1"),
            ("data", "a.toml:5:1"),
        ] {
            assert_eq!(place(&document, path), expected, "{path}");
        }
    }
}
