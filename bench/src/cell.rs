//! Cells of a study: a recipe with changes, trained in a folder of its own.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

use thalweg_run::{Document, Override, Sinks};
use thalweg_train::{ReadRecipe, Session, read_recipe};

/// Reads a recipe with changes of `key=value`; `from` is the run it starts from.
///
/// # Errors
/// What is wrong with it.
pub fn recipe<'a>(
    text: &str,
    changes: impl IntoIterator<Item = &'a str>,
    from: Option<&Path>,
) -> Result<ReadRecipe, Box<dyn Error>> {
    let mut overrides = changes.into_iter().map(str::parse).collect::<Result<Vec<Override>, _>>()?;
    if let Some(from) = from {
        overrides.push(format!("from.run='{}'", from.display()).parse()?);
    }
    Ok(read_recipe(Document::new(text, "cell", &overrides)?)?)
}

/// Trains it to its end; `logged` says whether the run keeps its log.
///
/// # Errors
/// Those of the training.
pub fn trained(recipe: ReadRecipe, path: &Path, logged: bool) -> Result<Session, Box<dyn Error>> {
    let base = recipe.base.unwrap_or_else(|| Path::new(".").to_path_buf());
    let mut session = Session::begin(recipe.recipe, &base, path)?;
    let mut sinks = if logged { session.sinks()? } else { Sinks::new() };
    session.train(&mut sinks, |_| ControlFlow::Continue(()))?;
    Ok(session)
}
