//! The façade names every public item of the crates below it, exactly once.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What a `lib.rs` makes public: items of `pub use …;` and items declared at its left margin.
fn public_items(source: &str) -> Vec<String> {
    let mut items = Vec::new();
    for statement in source.split("\npub use ").skip(1) {
        let statement = statement.split(';').next().unwrap();
        items.extend(used_items(statement));
    }
    for kind in ["fn", "struct", "enum", "trait", "const", "type"] {
        for declaration in source.split(&format!("\npub {kind} ")).skip(1) {
            items.push(
                declaration.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_string(),
            );
        }
    }
    items
}

/// `path::{A, B}` or `path::A`.
fn used_items(statement: &str) -> Vec<String> {
    let listed = match statement.split_once('{') {
        Some((_, listed)) => listed.trim_end().trim_end_matches('}'),
        None => statement.rsplit("::").next().unwrap(),
    };
    listed.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_string).collect()
}

#[test]
fn every_public_item_is_named_once() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let facade = fs::read_to_string(here.join("src/lib.rs")).unwrap();
    let mut crates = 0;
    for entry in fs::read_dir(here.parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        let Ok(source) = fs::read_to_string(path.join("src/lib.rs")) else { continue };
        if name == "thalweg" {
            continue;
        }
        crates += 1;
        let declared: BTreeSet<String> = public_items(&source).into_iter().collect();
        assert!(!declared.is_empty(), "no public item found in crates/{name}");
        let module = facade
            .split(&format!("pub mod {name} {{"))
            .nth(1)
            .unwrap_or_else(|| panic!("the façade has no module `{name}`"));
        let statement = module.split_once("pub use ").unwrap().1.split(';').next().unwrap();
        let named = used_items(statement);
        let once: BTreeSet<String> = named.iter().cloned().collect();
        assert_eq!(named.len(), once.len(), "thalweg::{name} names an item twice");
        assert_eq!(once, declared, "thalweg::{name} does not name what crates/{name} makes public");
    }
    assert!(crates >= 10, "only {crates} crates found");
}
