//! Finding the key that serde complains about where it only knows the table around it.
//!
//! Internally tagged enums (`kind = "linear"`) and flattened structs are buffered by serde, and the path inside them is
//! lost. It is found again by experiment: take one key away, read again, and see whether the complaint goes away. It
//! also does when an innocent key that is read before the guilty one leaves a gap, but nothing read after it matters:
//! so the last key that makes a difference is the guilty one.

use toml::{Table, Value};

use super::Failure;
use super::explain::Complaint;
use super::key_path::KeyPath;

/// The tag of every enum in a recipe. Taking it away always changes the complaint, so it is suspected last.
const TAG: &str = "kind";

/// The path of the key to blame; for a missing key, of the table that lacks it. `retry` reads a changed document and
/// returns its complaint, if any. Costs at most one reading per key below the place that serde named.
pub(crate) fn culprit(
    root: &Table,
    failure: &Failure,
    complaint: &Complaint,
    retry: &dyn Fn(&Table) -> Option<String>,
) -> KeyPath {
    let at = &existing(root, &failure.path);
    let below = nodes(root, at);
    let is_leaf = |path: &&KeyPath| path.find(root).is_some_and(|value| !holds_tables(value));
    let is_cured_without = |path: &&KeyPath| {
        let mut changed = root.clone();
        remove(&mut changed, path);
        retry(&changed).as_deref() != Some(&failure.message)
    };
    let found = match complaint {
        Complaint::UnknownKey { name, .. } if at.last() == Some(name) => None,
        Complaint::UnknownKey { name, .. } => {
            below.iter().filter(|path| path.last() == Some(name)).rfind(is_cured_without)
        }
        Complaint::UnknownValue { name, .. } => {
            let says_so = |path: &&KeyPath| path.find(root).and_then(Value::as_str) == Some(name);
            below.iter().filter(says_so).rfind(is_cured_without)
        }
        Complaint::Missing { name } => below.iter().find(|path| {
            let mut changed = root.clone();
            let Some(table) = path.find_table_mut(&mut changed) else { return false };
            table.insert(name.clone(), Value::Integer(0));
            // In the right table the key is now there, be it with a wrong value; in a wrong one it is unknown.
            let still = format!("unknown field `{name}`");
            retry(&changed).is_none_or(|message| message != failure.message && !message.starts_with(&still))
        }),
        Complaint::WrongType { .. } | Complaint::Other { .. } if is_leaf(&at) => None,
        Complaint::WrongType { found, .. } if found == "a table" => None,
        Complaint::WrongType { .. } | Complaint::Other { .. } => {
            let is_tag = |path: &&KeyPath| path.last() == Some(TAG);
            let leaves = || below.iter().filter(is_leaf);
            let guilty = leaves().filter(|path| !is_tag(path)).rfind(is_cured_without);
            guilty.or_else(|| leaves().filter(is_tag).rfind(is_cured_without))
        }
    };
    found.unwrap_or(at).clone()
}

/// The path, or as much of its beginning as there is: the name of an enum's variant (`fourier` in
/// `{ fourier = { features = 64 } }`) is missing in the paths of what it holds.
fn existing(root: &Table, path: &KeyPath) -> KeyPath {
    let mut path = path.clone();
    while path.len() > 0 && path.find(root).is_none() {
        path = path.parent();
    }
    path
}

/// The path `at` and all paths below it, parents before children.
fn nodes(root: &Table, at: &KeyPath) -> Vec<KeyPath> {
    let mut found = vec![at.clone()];
    match at.find(root) {
        Some(value) => descend(value, at, &mut found),
        None if at.len() == 0 => descend_table(root, at, &mut found),
        None => {}
    }
    found
}

fn descend(value: &Value, path: &KeyPath, found: &mut Vec<KeyPath>) {
    match value {
        Value::Table(table) => descend_table(table, path, found),
        Value::Array(items) if holds_tables(value) => {
            for (index, item) in items.iter().enumerate() {
                let inner = path.child(&index.to_string());
                found.push(inner.clone());
                descend(item, &inner, found);
            }
        }
        _ => {}
    }
}

fn descend_table(table: &Table, path: &KeyPath, found: &mut Vec<KeyPath>) {
    for (key, value) in table {
        let inner = path.child(key);
        found.push(inner.clone());
        descend(value, &inner, found);
    }
}

fn holds_tables(value: &Value) -> bool {
    match value {
        Value::Table(_) => true,
        Value::Array(items) => items.iter().any(Value::is_table),
        _ => false,
    }
}

fn remove(root: &mut Table, path: &KeyPath) {
    if let (Some(table), Some(key)) = (path.parent().find_table_mut(root), path.last()) {
        table.remove(key);
    }
}
