//! `thalweg recipes`: what is embedded; and finding the recipe that `thalweg train` was asked for, or the comparison
//! that `thalweg compare` was.

use std::path::{Path, PathBuf};

use thalweg_run::{Document, Override, RunDir, nearest, to_toml};
use thalweg_train::{
    COMPARISONS, ComparisonPlan, DataSummary, EmbeddedRecipe, RECIPES,
    find_comparison as embedded_comparison, read_recipe,
};

use crate::args::{Recipes, RecipesCommand};
use crate::failure::Failure;
use crate::print::{print_json, print_line};

/// Lists the recipes, or shows one.
pub fn run(arguments: &Recipes, json: bool) -> Result<(), Failure> {
    match &arguments.command {
        None => list(json),
        Some(RecipesCommand::Show { name, complete }) => show(name, *complete, json),
    }
}

fn list(json: bool) -> Result<(), Failure> {
    let entries =
        |all: &'static [EmbeddedRecipe]| -> Result<Vec<Entry>, Failure> { all.iter().map(entry).collect() };
    let (recipes, comparisons) = (entries(RECIPES)?, entries(COMPARISONS)?);
    if json {
        let of_recipe = |entry: &Entry| serde_json::json!({ "name": entry.name, "about": entry.about, "from": entry.from });
        let of_comparison = |entry: &Entry| serde_json::json!({ "name": entry.name, "about": entry.about });
        return print_json(&serde_json::json!({
            "recipes": recipes.iter().map(of_recipe).collect::<Vec<_>>(),
            "comparisons": comparisons.iter().map(of_comparison).collect::<Vec<_>>(),
        }));
    }
    let width = recipes.iter().chain(&comparisons).map(|entry| entry.name.len()).max().unwrap_or(0);
    let print = |Entry { name, about, from }: &Entry| {
        let from = from.as_ref().map(|run| format!(" Starts from {run}.")).unwrap_or_default();
        print_line(&format!("{name:width$}  {about}{from}"))
    };
    recipes.iter().try_for_each(print)?;
    print_line("\nComparisons, for `thalweg compare`:")?;
    comparisons.iter().try_for_each(print)
}

/// What is listed of something embedded.
struct Entry {
    name: &'static str,
    about: String,
    from: Option<String>,
}

fn entry(embedded: &'static EmbeddedRecipe) -> Result<Entry, Failure> {
    let about = Document::new(embedded.text, embedded.name, &[])?.text_at(&["about"]).unwrap_or_default();
    Ok(Entry { name: embedded.name, about, from: embedded.starts_from() })
}

fn show(name: &str, complete: bool, json: bool) -> Result<(), Failure> {
    let kind = if embedded_comparison(name).is_some() { EMBEDDED_COMPARISONS } else { EMBEDDED_RECIPES };
    let found = find_in(&kind, name, &[])?;
    let title = found.document.text_at(&["name"]).unwrap_or_else(|| name.to_string());
    let text = match (complete, found.document.has(&["method"])) {
        (false, _) => found.text,
        (true, false) => to_toml(&read_recipe(found.document)?.recipe),
        (true, true) => to_toml(&ComparisonPlan::read(&found.document)?.recipe),
    };
    if json {
        print_json(&serde_json::json!({ "name": title, "toml": text }))?;
    } else {
        print_line(text.trim_end())?;
    }
    Ok(())
}

/// A recipe that was asked for by name or path.
pub struct Found {
    /// Its text and overrides.
    pub document: Document,
    /// Its text alone.
    pub text: String,
    /// The folder that its relative paths start from.
    pub base: PathBuf,
    /// Whether it is one of ours rather than a file of the user's.
    pub is_embedded: bool,
}

/// Finds a recipe: a file if it looks like one or exists, else an embedded one.
pub fn find(name: &str, overrides: &[Override]) -> Result<Found, Failure> {
    let found = find_in(&EMBEDDED_RECIPES, name, overrides)?;
    if found.document.has(&["method"]) && !found.document.has(&["data"]) {
        let message = format!("{name} is a comparison and no recipe: run it with `thalweg compare {name}`");
        return Err(Failure::request(message));
    }
    Ok(found)
}

/// Finds a comparison in the same way.
pub fn find_comparison(name: &str, overrides: &[Override]) -> Result<Found, Failure> {
    let found = find_in(&EMBEDDED_COMPARISONS, name, overrides)?;
    if found.document.has(&["data"]) && !found.document.has(&["method"]) {
        let message = format!("{name} is a recipe and no comparison: train it with `thalweg train {name}`");
        return Err(Failure::request(message));
    }
    Ok(found)
}

/// One kind of what is embedded.
struct Kind {
    all: &'static [EmbeddedRecipe],
    /// The other kind, and the command for it.
    others: (&'static [EmbeddedRecipe], &'static str),
    word: &'static str,
}

const EMBEDDED_RECIPES: Kind = Kind { all: RECIPES, others: (COMPARISONS, "compare"), word: "recipe" };

const EMBEDDED_COMPARISONS: Kind = Kind { all: COMPARISONS, others: (RECIPES, "train"), word: "comparison" };

fn find_in(kind: &Kind, name: &str, overrides: &[Override]) -> Result<Found, Failure> {
    let path = Path::new(name);
    let is_path = name.ends_with(".toml") || name.contains(std::path::MAIN_SEPARATOR);
    let word = kind.word;
    if let Some(embedded) = kind.all.iter().find(|known| known.name == name && !is_path) {
        let document = Document::new(embedded.text, &format!("{word} {name}"), overrides)?;
        let text = embedded.text.to_string();
        return Ok(Found { document, text, base: PathBuf::from("."), is_embedded: true });
    }
    if !is_path && !path.exists() {
        return Err(unknown(kind, name));
    }
    let document = Document::open(path, overrides)?;
    let text = std::fs::read_to_string(path).map_err(Failure::request)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let base = base_of_run(path, folder).unwrap_or_else(|| folder.to_path_buf());
    Ok(Found { document, text, base, is_embedded: false })
}

/// Where the relative paths of a run's own recipe start from, which is not its folder.
fn base_of_run(path: &Path, folder: &Path) -> Option<PathBuf> {
    let run = RunDir::open(folder).ok()?;
    let is_its_own = path.file_name() == run.config_path().file_name();
    is_its_own.then(|| DataSummary::read(&run).ok().map(|summary| summary.base)).flatten()
}

fn unknown(kind: &Kind, name: &str) -> Failure {
    let Kind { all, others: (others, command), word } = kind;
    let known = || all.iter().map(|recipe| recipe.name);
    let hint = match nearest(name, known()) {
        _ if others.iter().any(|other| other.name == name) => {
            format!("it is one for `thalweg {command} {name}`")
        }
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            let all: Vec<&str> = known().collect();
            format!("neither a file of that name nor one of the embedded {word}s ({})", all.join(", "))
        }
    };
    Failure::request(format!("there is no {word} `{name}`: {hint}"))
}
