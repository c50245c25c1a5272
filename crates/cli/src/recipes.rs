//! `thalweg recipes`: what is embedded; and finding the recipe that `thalweg train` was asked for.

use std::path::{Path, PathBuf};

use thalweg_run::{Document, Override, nearest, to_toml};
use thalweg_train::{RECIPES, find_recipe, read_recipe};

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
    let mut all = Vec::new();
    for embedded in RECIPES {
        let about = Document::new(embedded.text, embedded.name, &[])?.text_at(&["about"]);
        all.push((embedded.name, about.unwrap_or_default(), embedded.starts_from()));
    }
    if json {
        let entry = |(name, about, from): &(&str, String, Option<String>)| serde_json::json!({ "name": name, "about": about, "from": from });
        let entries: Vec<_> = all.iter().map(entry).collect();
        print_json(&serde_json::json!({ "recipes": entries }))?;
        return Ok(());
    }
    let width = all.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    for (name, about, from) in all {
        let from = from.map(|run| format!(" Starts from {run}.")).unwrap_or_default();
        print_line(&format!("{name:width$}  {about}{from}"))?;
    }
    Ok(())
}

fn show(name: &str, complete: bool, json: bool) -> Result<(), Failure> {
    let found = find(name, &[])?;
    let title = found.document.text_at(&["name"]).unwrap_or_else(|| name.to_string());
    let text = if complete { to_toml(&read_recipe(found.document)?.recipe) } else { found.text };
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
    let path = Path::new(name);
    let is_path = name.ends_with(".toml") || name.contains(std::path::MAIN_SEPARATOR);
    if let Some(embedded) = find_recipe(name).filter(|_| !is_path) {
        let document = Document::new(embedded.text, &format!("recipe {name}"), overrides)?;
        let text = embedded.text.to_string();
        return Ok(Found { document, text, base: PathBuf::from("."), is_embedded: true });
    }
    if !is_path && !path.exists() {
        return Err(unknown(name));
    }
    let document = Document::open(path, overrides)?;
    let text = std::fs::read_to_string(path).map_err(Failure::request)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let base = folder.unwrap_or(Path::new(".")).to_path_buf();
    Ok(Found { document, text, base, is_embedded: false })
}

fn unknown(name: &str) -> Failure {
    let known = || RECIPES.iter().map(|recipe| recipe.name);
    let hint = match nearest(name, known()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            let all: Vec<&str> = known().collect();
            format!("neither a file of that name nor one of the embedded recipes ({})", all.join(", "))
        }
    };
    Failure::request(format!("there is no recipe `{name}`: {hint}"))
}
