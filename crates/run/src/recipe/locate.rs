//! The line and column at which a key of a TOML text is written.

use toml::de::{DeTable, DeValue};

use super::key_path::KeyPath;

/// A position in a text, counted from 1, and how many keys of the path it stands for: fewer than the path has when the
/// text does not hold the last ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) depth: usize,
}

/// Where the key at the end of `path` is written in `text`, or the deepest of its ancestors that is.
pub(crate) fn position(text: &str, path: &KeyPath) -> Position {
    let mut offset = 0;
    let mut depth = 0;
    // The text was parsed before, so a failure here is impossible; the start of the text is the answer all the same.
    if let Ok(document) = DeTable::parse(text) {
        let root = DeValue::Table(document.into_inner());
        let mut value = &root;
        for key in path.keys() {
            let Some((start, inner)) = step(value, key) else { break };
            offset = start;
            value = inner;
            depth += 1;
        }
    }
    let (line, column) = line_and_column(text, offset);
    Position { line, column, depth }
}

/// Line and column, counted from 1 and in characters, of a byte offset that may lie past the end.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn step<'a, 'i>(value: &'a DeValue<'i>, key: &str) -> Option<(usize, &'a DeValue<'i>)> {
    match value {
        DeValue::Table(table) => {
            let (name, inner) = table.iter().find(|(name, _)| name.get_ref() == key)?;
            Some((name.span().start, inner.get_ref()))
        }
        DeValue::Array(items) => {
            let item = items.get(key.parse::<usize>().ok()?)?;
            Some((item.span().start, item.get_ref()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# A comment.
title = \"é\"

[train]
steps = 10
optimizer = { kind = \"adam\",
  rate = 1e-3 }
flow.path.kind = \"linear\"

[[stage]]
name = \"a\"

[[stage]]
  name = \"b\"
";

    #[test]
    fn keys_are_found_however_they_are_written() {
        for (path, line, column, depth) in [
            ("", 1, 1, 0),
            ("title", 2, 1, 1),
            ("train", 4, 2, 1),
            ("train.steps", 5, 1, 2),
            ("train.optimizer.kind", 6, 15, 3),
            ("train.optimizer.rate", 7, 3, 3),
            ("train.flow.path.kind", 8, 11, 4),
            ("stage.0.name", 11, 1, 3),
            ("stage.1.name", 14, 3, 3),
            ("train.batch", 4, 2, 1),
            ("nothing.at.all", 1, 1, 0),
        ] {
            assert_eq!(position(TEXT, &KeyPath::parse(path)), Position { line, column, depth }, "{path}");
        }
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(line_and_column("é = 1\nü", 3), (1, 3));
        assert_eq!(line_and_column("é = 1\nü", 100), (2, 2));
        assert_eq!(line_and_column("é", 1), (1, 1), "an offset inside a character is moved to its start");
    }
}
