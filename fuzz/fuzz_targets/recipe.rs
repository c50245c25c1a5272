//! Any bytes read as a recipe give a value, or an error that says where. The first line is an override, the rest is the
//! text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use thalweg_run::{Override, parse};

/// Fields of every type that recipes have: tagged enums within arrays of tables are the hardest to locate.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the reading is of interest")]
struct Recipe {
    a: Option<u64>,
    b: Option<f64>,
    c: Option<Vec<String>>,
    #[serde(default)]
    stage: Vec<Stage>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
#[expect(dead_code, reason = "only the reading is of interest")]
enum Stage {
    A { a: u8, inner: Option<Box<Stage>> },
    B { b: Vec<bool> },
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (change, text) = text.split_once('\n').unwrap_or(("", text));
    let changes: Vec<Override> = change.parse().into_iter().collect();
    if let Err(error) = parse::<Recipe>(text, "fuzzed.toml", &changes) {
        let message = error.to_string();
        assert!(message.contains("fuzzed.toml:") || message.contains("--set "), "{message}");
    }
});
