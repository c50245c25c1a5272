//! Recipes as a caller writes them, and every way they can be wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::num::NonZeroUsize;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use thalweg_run::{Document, Invalid, Override, RecipeError, parse, to_toml};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    name: String,
    #[serde(default)]
    model: Model,
    flow: Flow,
    train: Train,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stage: Vec<Stage>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Model {
    hidden: Vec<usize>,
    dropout: Fraction,
}

impl Default for Model {
    fn default() -> Self {
        Self { hidden: vec![64, 64], dropout: Fraction(0.0) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
struct Fraction(f64);

impl TryFrom<f64> for Fraction {
    type Error = String;
    fn try_from(value: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(format!("{value} is not between 0 and 1"))
        }
    }
}

impl From<Fraction> for f64 {
    fn from(value: Fraction) -> Self {
        value.0
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flow {
    path: Path,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Path {
    Linear { sigma_min: f64 },
    VariancePreserving { beta_min: f64, beta_max: f64, keep: Fraction },
    Warped { clock: Clock, steps: NonZeroUsize },
    Trigonometric,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Clock {
    Power { exponent: f64 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Train {
    steps: u64,
    batch: u8,
    rate: f64,
    #[serde(default)]
    decay: Decay,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Decay {
    #[default]
    Constant,
    Cosine,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stage {
    path: Path,
}

const GOOD: &str = "\
name = \"two-moons\"

[flow.path]
kind = \"linear\"
sigma_min = 1e-4

[train]
steps = 1000
batch = 32
rate = 0.001
";

fn overrides(changes: &[&str]) -> Vec<Override> {
    changes.iter().map(|change| change.parse().unwrap()).collect()
}

fn message(text: &str, changes: &[&str]) -> String {
    parse::<Recipe>(text, "recipe.toml", &overrides(changes)).unwrap_err().to_string()
}

/// `GOOD` with one line replaced gives `expected`.
fn check(line: &str, replacement: &str, expected: &str) {
    assert!(GOOD.contains(line));
    assert_eq!(message(&GOOD.replace(line, replacement), &[]), expected);
}

#[test]
fn a_good_recipe_is_read_and_written_complete() {
    let recipe: Recipe = parse(GOOD, "recipe.toml", &[]).unwrap();
    assert_eq!(recipe.model.hidden, [64, 64]);
    let text = to_toml(&recipe);
    assert_eq!(
        text,
        "name = \"two-moons\"\n\n[model]\nhidden = [64, 64]\ndropout = 0.0\n\n[flow.path]\nkind = \"linear\"\nsigma_min = 0.0001\n\n\
         [train]\nsteps = 1000\nbatch = 32\nrate = 0.001\ndecay = \"constant\"\n"
    );
    assert_eq!(parse::<Recipe>(&text, "config.toml", &[]).unwrap(), recipe);
}

#[test]
fn unknown_keys_name_the_nearest_one() {
    check("steps =", "step =", "unknown key `train.step`: did you mean `train.steps`? (recipe.toml:8:1)");
    check(
        "steps =",
        "momentum =",
        "unknown key `train.momentum`: the known keys are `steps`, `batch`, `rate`, `decay` (recipe.toml:8:1)",
    );
    check("[train]", "[trian]", "unknown key `trian`: did you mean `train`? (recipe.toml:7:2)");
}

#[test]
fn keys_inside_tagged_enums_are_found_again() {
    check(
        "sigma_min = 1e-4",
        "sigma_mn = 1e-4",
        "unknown key `flow.path.sigma_mn`: did you mean `flow.path.sigma_min`? (recipe.toml:5:1)",
    );
    check(
        "sigma_min = 1e-4",
        "sigma_min = \"small\"",
        "`flow.path.sigma_min`: expected a number, found string \"small\" (recipe.toml:5:1)",
    );
    check(
        "kind = \"linear\"",
        "kind = \"liner\"",
        "unknown value `liner` for `flow.path.kind`: did you mean `linear`? (recipe.toml:4:1)",
    );
    check(
        "sigma_min = 1e-4",
        "",
        "missing key `flow.path.sigma_min`: it has no default, so give it a value (recipe.toml:3:7)",
    );
    check(
        "kind = \"linear\"\n",
        "",
        "missing key `flow.path.kind`: it has no default, so give it a value (recipe.toml:3:7)",
    );
}

#[test]
fn of_several_suspects_in_a_tagged_enum_the_guilty_is_named() {
    let path = |keys: &str| GOOD.replace("kind = \"linear\"\nsigma_min = 1e-4", keys);
    let vp = "kind = \"variance-preserving\"\nbeta_max = 20.0\nbeta_min = 0.1\nkeep = 0.5";
    parse::<Recipe>(&path(vp), "recipe.toml", &[]).unwrap();
    for (from, to, expected) in [
        ("20.0", "true", "`flow.path.beta_max`: expected a number, found boolean true (recipe.toml:5:1)"),
        ("0.1", "true", "`flow.path.beta_min`: expected a number, found boolean true (recipe.toml:6:1)"),
        ("0.5", "1.5", "`flow.path.keep`: 1.5 is not between 0 and 1 (recipe.toml:7:1)"),
        ("0.1", "[1]", "`flow.path.beta_min`: expected a number, found an array (recipe.toml:6:1)"),
    ] {
        assert_eq!(message(&path(&vp.replace(from, to)), &[]), expected);
    }
    let nested = "kind = \"warped\"\nsteps = 3\n[flow.path.clock]\nkind = \"power\"\nexponent = 2.0";
    parse::<Recipe>(&path(nested), "recipe.toml", &[]).unwrap();
    for (from, to, expected) in [
        (
            "exponent = 2.0",
            "",
            "missing key `flow.path.clock.exponent`: it has no default, so give it a value (recipe.toml:6:12)",
        ),
        (
            "exponent",
            "expnent",
            "unknown key `flow.path.clock.expnent`: did you mean `flow.path.clock.exponent`? (recipe.toml:8:1)",
        ),
        (
            "\"power\"",
            "\"pow\"",
            "unknown value `pow` for `flow.path.clock.kind`: the only value here is `power` (recipe.toml:7:1)",
        ),
        (
            "2.0",
            "\"x\"",
            "`flow.path.clock.exponent`: expected a number, found string \"x\" (recipe.toml:8:1)",
        ),
        (
            "steps = 3",
            "steps = 0",
            "`flow.path.steps`: expected an integer of at least 1, found integer 0 (recipe.toml:5:1)",
        ),
        (
            "steps = 3",
            "",
            "missing key `flow.path.steps`: it has no default, so give it a value (recipe.toml:3:7)",
        ),
    ] {
        assert_eq!(message(&path(&nested.replace(from, to)), &[]), expected);
    }
    let stages = format!(
        "{GOOD}\n[[stage]]\npath = {{ kind = \"trigonometric\" }}\n[[stage]]\npath = {{ kind = \"linear\", sigma = 1 }}\n"
    );
    assert_eq!(
        message(&stages, &[]),
        "unknown key `stage.1.path.sigma`: the only key here is `sigma_min` (recipe.toml:15:27)"
    );
}

#[test]
fn wrong_types_and_values_say_what_is_right() {
    check(
        "steps = 1000",
        "steps = \"many\"",
        "`train.steps`: expected an integer, found string \"many\" (recipe.toml:8:1)",
    );
    check(
        "steps = 1000",
        "steps = 1e3",
        "`train.steps`: expected an integer, found number 1000.0 (recipe.toml:8:1)",
    );
    check(
        "steps = 1000",
        "steps = -5",
        "`train.steps`: expected an integer of at least 0, found integer -5 (recipe.toml:8:1)",
    );
    check(
        "batch = 32",
        "batch = 300",
        "`train.batch`: expected an integer from 0 to 255, found integer 300 (recipe.toml:9:1)",
    );
    check("[flow.path]", "[flow.pth]", "unknown key `flow.pth`: did you mean `flow.path`? (recipe.toml:3:7)");
    check(
        "rate = 0.001",
        "rate = 0.001\ndecay = \"cosin\"",
        "unknown value `cosin` for `train.decay`: did you mean `cosine`? (recipe.toml:11:1)",
    );
    check(
        "name = \"two-moons\"",
        "name = \"x\"\nmodel = 3",
        "`model`: expected a table, found integer 3 (recipe.toml:2:1)",
    );
    check(
        "name = \"two-moons\"",
        "name = \"x\"\n[model]\nhidden = [64, \"wide\"]",
        "`model.hidden.1`: expected an integer, found string \"wide\" (recipe.toml:3:15)",
    );
    check(
        "name = \"two-moons\"",
        "name = \"x\"\nmodel.dropout = 2.0",
        "`model.dropout`: 2 is not between 0 and 1 (recipe.toml:2:7)",
    );
    check(
        "rate = 0.001\n",
        "",
        "missing key `train.rate`: it has no default, so give it a value (recipe.toml:7:2)",
    );
    check(
        "name = \"two-moons\"\n",
        "",
        "missing key `name`: it has no default, so give it a value (recipe.toml:1:1)",
    );
}

#[test]
fn text_that_is_not_toml_shows_the_spot() {
    let text = message(&GOOD.replace("steps = 1000", "steps = = 1000"), &[]);
    assert!(text.starts_with("recipe.toml:8:9: this is not TOML: "), "{text}");
    assert!(text.contains("\n8 | steps = = 1000\n"), "{text}");
    assert!(text.trim_end().ends_with('^'), "{text}");
    let twice = message(&GOOD.replace("steps = 1000", "steps = 1\nsteps = 2"), &[]);
    assert!(
        twice.starts_with("recipe.toml:9:1: the key `steps` is given twice; keep one of the two\n"),
        "{twice}"
    );
    let huge = message(&GOOD.replace("1000", "99999999999999999999"), &[]);
    assert!(huge.starts_with("recipe.toml:8:9: "), "{huge}");
    let empty = message("", &[]);
    assert_eq!(empty, "missing key `name`: it has no default, so give it a value (recipe.toml:1:1)");
}

#[test]
fn what_an_override_broke_is_blamed_on_it() {
    for (change, expected) in [
        (
            "train.steps=many",
            "`train.steps`: expected an integer, found string \"many\" (--set train.steps=many)",
        ),
        ("train.step=5", "unknown key `train.step`: did you mean `train.steps`? (--set train.step=5)"),
        (
            "flow.path.sigma_min=x",
            "`flow.path.sigma_min`: expected a number, found string \"x\" (--set flow.path.sigma_min=x)",
        ),
        (
            "flow.path={ kind = \"liner\" }",
            "unknown value `liner` for `flow.path.kind`: did you mean `linear`? (--set flow.path={ kind = \"liner\" })",
        ),
        ("modle.hidden=[3]", "unknown key `modle`: did you mean `model`? (--set modle.hidden=[3])"),
        (
            "train.decay=cosin",
            "unknown value `cosin` for `train.decay`: did you mean `cosine`? (--set train.decay=cosin)",
        ),
    ] {
        assert_eq!(message(GOOD, &[change]), expected);
    }
    // The file's own mistakes stay the file's, and the last override of a key answers for it.
    assert!(message(&GOOD.replace("rate", "rat"), &["train.steps=5"]).ends_with("(recipe.toml:10:1)"));
    assert!(message(GOOD, &["train.steps=a", "train.steps=b"]).ends_with("(--set train.steps=b)"));
    let cured =
        parse::<Recipe>(&GOOD.replace("1000", "\"many\""), "recipe.toml", &overrides(&["train.steps=5"]));
    assert_eq!(cured.unwrap().train.steps, 5);
}

#[test]
fn a_validation_gets_the_same_places() {
    let document = Document::new(GOOD, "recipe.toml", &overrides(&["train.rate=-1.0"])).unwrap();
    let recipe: Recipe = document.read().unwrap();
    assert!(recipe.train.rate < 0.0);
    let explained = |path: &str| document.explain(&Invalid::new(path, "must be positive")).to_string();
    assert_eq!(explained("train.rate"), "`train.rate`: must be positive (--set train.rate=-1.0)");
    assert_eq!(explained("train.batch"), "`train.batch`: must be positive (recipe.toml:9:1)");
    // A default is written nowhere, so the table around it answers.
    assert_eq!(explained("train.decay"), "`train.decay`: must be positive (recipe.toml:7:2)");
    assert_eq!(explained("model.hidden"), "`model.hidden`: must be positive (recipe.toml:1:1)");
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| Document::open(&folder.path().join(name), &[]).unwrap_err().to_string();
    fs::create_dir(folder.path().join("folder")).unwrap();
    fs::write(folder.path().join("latin.toml"), b"name = \"\xe9\"").unwrap();
    assert!(open("none.toml").ends_with("none.toml: there is no such file; check the path"));
    assert!(open("folder").ends_with("folder: it is a folder; name the TOML file inside it"));
    assert!(open("latin.toml").ends_with("latin.toml: it is not UTF-8 text"));
    fs::write(folder.path().join("good.toml"), GOOD).unwrap();
    let document = Document::open(&folder.path().join("good.toml"), &[]).unwrap();
    assert_eq!(document.read::<Recipe>().unwrap().name, "two-moons");
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    for text in [
        "[".repeat(100_000),
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
    ] {
        let error = parse::<Recipe>(&text, "recipe.toml", &[]).unwrap_err();
        assert!(matches!(error, RecipeError::Syntax { .. }));
    }
    for depth in [10, 100, 2_000, 100_000] {
        let dotted = format!("{}a = 1", "a.".repeat(depth));
        parse::<Recipe>(&dotted, "recipe.toml", &[]).unwrap_err();
    }
}

proptest! {
    #[test]
    fn any_value_anywhere_is_read_or_explained(key in 0usize..8, value in "[-a-z0-9.\"\\[\\]{}= ]{1,12}") {
        let keys = ["name", "train", "train.steps", "flow.path", "flow.path.kind", "flow.path.sigma_min", "model.hidden", "x.y.z"];
        if let Ok(change) = format!("{}={value}", keys[key]).parse::<Override>()
            && let Err(error) = parse::<Recipe>(GOOD, "recipe.toml", &[change])
        {
            let text = error.to_string();
            prop_assert!(text.contains("--set ") || text.contains("recipe.toml:"), "{}", text);
        }
    }

    #[test]
    fn no_damage_to_the_text_makes_it_panic(at in 0usize..GOOD.len(), cut in 0usize..12, paste in ".{0,6}") {
        let end = (at + cut).min(GOOD.len());
        let text = format!("{}{paste}{}", &GOOD[..at], &GOOD[end..]);
        if let Err(error) = parse::<Recipe>(&text, "recipe.toml", &[]) {
            prop_assert!(error.to_string().contains("recipe.toml:"), "{}", error);
        }
    }

    #[test]
    fn every_one_letter_slip_in_a_key_is_put_right(line in 0usize..5, at in 0usize..4) {
        let (table, key) = [("train.", "steps"), ("train.", "batch"), ("train.", "rate"), ("", "name"), ("flow.path.", "sigma_min")][line];
        let mut slipped = key.to_owned();
        slipped.replace_range(at..=at, "7");
let recipe = format!("\n{GOOD}").replace(&format!("\n{key} ="), &format!("\n{slipped} ="));
        let text = message(&recipe, &[]);
        let expected = format!("unknown key `{table}{slipped}`: did you mean `{table}{key}`?");
        prop_assert!(text.starts_with(&expected), "{}", text);
    }
}
