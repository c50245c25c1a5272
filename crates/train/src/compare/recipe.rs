//! The recipe of a comparison: methods, data sets, seeds and what each may spend, as one TOML file.
//!
//! Its parts are ordinary recipes that leave things out; `plan` puts them together.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thalweg_metrics::TwoSample;
use thalweg_run::{Document, Invalid, RecipeError};
use toml::Table;

use super::budget::{Budget, shares};

/// A complete description of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComparisonRecipe {
    /// The name of its folder and the title of its page.
    pub name: String,
    /// One sentence about what it compares.
    #[serde(default)]
    pub about: String,
    /// How often each method is trained on each set: with the seeds from 0 on.
    #[serde(default = "default_seeds")]
    pub seeds: u64,
    /// What each method may spend.
    pub budget: Budget,
    /// What the figures show.
    #[serde(default)]
    pub evaluate: CurveConfig,
    /// What the recipes of all cells have in common.
    #[serde(default)]
    pub recipe: Table,
    /// The data sets.
    pub set: Vec<SetConfig>,
    /// The methods.
    pub method: Vec<MethodConfig>,
}

fn default_seeds() -> u64 {
    5
}

/// What the figures of a comparison show: one distance against the number of evaluations, by equal steps of Euler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CurveConfig {
    /// Numbers of steps.
    pub steps: Vec<usize>,
    /// The distance.
    pub metric: TwoSample,
}

impl Default for CurveConfig {
    fn default() -> Self {
        Self { steps: vec![1, 2, 4, 8, 16, 32], metric: TwoSample::W2 }
    }
}

/// A data set of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetConfig {
    /// Its name, and that of a folder.
    pub name: String,
    /// What is laid over the common recipe.
    #[serde(default)]
    pub recipe: Table,
}

/// A method of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MethodConfig {
    /// Its name, and that of a folder.
    pub name: String,
    /// Numbers of Euler steps for this method, instead of those of the comparison; none for a method that is measured
    /// by the solver of its recipe alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate_steps: Option<Vec<usize>>,
    /// Its trainings, each of which starts from the one before.
    pub stages: Vec<StageConfig>,
}

/// One training of a method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// Its part of the budget; left out in all stages, equal ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// What is laid over the recipe of the set; of a later stage, over what it takes from the one before.
    #[serde(default)]
    pub recipe: Table,
}

impl ComparisonRecipe {
    /// Reads and checks a comparison, but not yet the recipes inside it.
    pub(super) fn read(document: &Document) -> Result<Self, RecipeError> {
        let recipe: Self = document.read()?;
        match recipe.validate() {
            Ok(()) => Ok(recipe),
            Err(invalid) => Err(document.explain(&invalid)),
        }
    }

    fn validate(&self) -> Result<(), Invalid> {
        check_name("name", &self.name)?;
        if self.seeds == 0 {
            return Err(Invalid::new("seeds", "must be at least 1"));
        }
        if self.seeds > MOST_SEEDS {
            return Err(Invalid::new("seeds", format!("must be at most {MOST_SEEDS}")));
        }
        self.budget.validate()?;
        if self.evaluate.steps.is_empty() {
            return Err(Invalid::new("evaluate.steps", "is empty: leave it out for 1, 2, 4, 8, 16 and 32"));
        }
        check_steps("evaluate.steps", &self.evaluate.steps)?;
        check_sections("recipe", &self.recipe)?;
        check_names("set", self.set.iter().map(|set| set.name.as_str()))?;
        check_names("method", self.method.iter().map(|method| method.name.as_str()))?;
        for (index, set) in self.set.iter().enumerate() {
            check_sections(&format!("set.{index}.recipe"), &set.recipe)?;
        }
        for (index, method) in self.method.iter().enumerate() {
            if let Some(steps) = &method.evaluate_steps {
                check_steps(&format!("method.{index}.evaluate_steps"), steps)?;
            }
            let key = format!("method.{index}.stages");
            if method.stages.is_empty() {
                return Err(Invalid::new(key, "is empty: a method has at least one stage"));
            }
            let given: Vec<Option<f64>> = method.stages.iter().map(|stage| stage.share).collect();
            shares(&given).map_err(|message| Invalid::new(&key, message))?;
            for (number, stage) in method.stages.iter().enumerate() {
                check_sections(&format!("{key}.{number}.recipe"), &stage.recipe)?;
            }
        }
        Ok(())
    }
}

/// More trainings of one method on one set than anybody waits for; a slip of the keys.
const MOST_SEEDS: u64 = 10_000;

/// The sections of a recipe that a comparison may set.
pub(super) const SECTIONS: [&str; 7] = ["data", "model", "residual", "local", "flow", "train", "evaluate"];

/// The keys that it sets itself.
const OWN_KEYS: [&str; 4] = ["name", "about", "seed", "from"];

fn check_sections(path: &str, recipe: &Table) -> Result<(), Invalid> {
    for (key, value) in recipe {
        let path = format!("{path}.{key}");
        if OWN_KEYS.contains(&key.as_str()) {
            return Err(Invalid::new(path, "is set by the comparison: leave it out"));
        }
        if !SECTIONS.contains(&key.as_str()) {
            let meant = match thalweg_run::nearest(key, SECTIONS) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("there are {}", SECTIONS.join(", ")),
            };
            return Err(Invalid::new(path, format!("is no section of a recipe: {meant}")));
        }
        let Some(section) = value.as_table() else {
            return Err(Invalid::new(path, "must be a table"));
        };
        if key == "train" && section.contains_key("steps") {
            let message = "comes from the budget of the comparison: leave it out";
            return Err(Invalid::new(format!("{path}.steps"), message));
        }
    }
    Ok(())
}

fn check_steps(path: &str, steps: &[usize]) -> Result<(), Invalid> {
    if steps.contains(&0) {
        return Err(Invalid::new(path, "a solve has at least 1 step"));
    }
    if steps.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(Invalid::new(path, "must grow from each number to the next"));
    }
    Ok(())
}

fn check_names<'a>(list: &str, names: impl ExactSizeIterator<Item = &'a str>) -> Result<(), Invalid> {
    if names.len() == 0 {
        return Err(Invalid::new(list, format!("is empty: there is nothing to compare without a {list}")));
    }
    let mut known = BTreeSet::new();
    for (index, name) in names.enumerate() {
        let path = format!("{list}.{index}.name");
        check_name(&path, name)?;
        // Some file systems do not tell them apart.
        if !known.insert(name.to_lowercase()) {
            return Err(Invalid::new(path, format!("there are two of the name `{name}`")));
        }
    }
    Ok(())
}

fn check_name(path: &str, name: &str) -> Result<(), Invalid> {
    let is_folder = !["", ".", ".."].contains(&name) && !name.contains(['/', '\\']) && name.trim() == name;
    if is_folder && !name.contains(char::is_control) {
        return Ok(());
    }
    let message =
        "must name a folder: not empty, not `.` or `..`, without slashes and without spaces around it";
    Err(Invalid::new(path, message))
}
