//! What a comparison consists of: its cells, the complete recipe of each of their stages, and that all of them can be
//! trained, which is found out before the first one is.
//!
//! The recipe of a method's first stage is laid over that of the set, and this over the common one: sections are
//! completed key by key, whatever lies deeper is taken whole. A later stage takes its `[train]` in the same way, and
//! everything else from the stage before, as any recipe with `[from]` does.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use thalweg_files::Fingerprint;
use thalweg_run::{Document, Invalid, RecipeError, RunDir, to_toml};
use toml::{Table, Value};

use super::budget::{Budget, divide, shares};
use super::recipe::{ComparisonRecipe, SECTIONS};
use crate::base::{self, inherited_by, read_completed};
use crate::error::TrainError;
use crate::recipe::Recipe;
use crate::session;
use crate::summary::DataSummary;

/// A comparison that has been read and checked.
#[derive(Debug, Clone)]
pub struct ComparisonPlan {
    /// The recipe.
    pub recipe: ComparisonRecipe,
    document: Document,
}

/// One training of one method on one set, by their places in the recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellId {
    /// The set.
    pub set: usize,
    /// The method.
    pub method: usize,
    /// The seed.
    pub seed: u64,
}

/// A stage as it is to be trained.
#[derive(Debug, Clone, PartialEq)]
pub struct StagePlan {
    /// The complete recipe. Where the budget is in seconds, its number of steps is not yet known and means nothing.
    pub recipe: Recipe,
    /// What it may spend.
    pub budget: Budget,
}

/// Fingerprints of the data of every set with every method, by their places in the recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedData(BTreeMap<(usize, usize), String>);

/// Steps of a recipe whose number is not known yet.
const UNKNOWN_STEPS: u64 = 1_000_000;

impl ComparisonPlan {
    /// Reads a comparison and the recipes of all its cells.
    ///
    /// # Errors
    /// Whatever is wrong with any of these, with its place, and for the recipe of a cell with its set, method and
    /// stage.
    pub fn read(document: &Document) -> Result<Self, TrainError> {
        let plan = Self { recipe: ComparisonRecipe::read(document)?, document: document.clone() };
        for cell in plan.cells().filter(|cell| cell.seed == 0) {
            plan.stages(cell, Path::new(""))?;
        }
        Ok(plan)
    }

    /// All cells, those of the first seed first.
    pub fn cells(&self) -> impl Iterator<Item = CellId> {
        let (sets, methods) = (self.recipe.set.len(), self.recipe.method.len());
        (0..self.recipe.seeds).flat_map(move |seed| {
            (0..sets).flat_map(move |set| (0..methods).map(move |method| CellId { set, method, seed }))
        })
    }

    /// The name of a cell, as it is shown: `set / method / seed`.
    #[must_use]
    pub fn name(&self, cell: CellId) -> String {
        let [set, method] = self.names(cell);
        format!("{set} / {method} / {}", cell.seed)
    }

    /// The names of a cell's set and method.
    #[must_use]
    pub fn names(&self, cell: CellId) -> [&str; 2] {
        [&self.recipe.set[cell.set].name, &self.recipe.method[cell.method].name]
    }

    /// The cell of these names.
    #[must_use]
    pub fn find(&self, set: &str, method: &str, seed: u64) -> Option<CellId> {
        let set = self.recipe.set.iter().position(|known| known.name == set)?;
        let method = self.recipe.method.iter().position(|known| known.name == method)?;
        (seed < self.recipe.seeds).then_some(CellId { set, method, seed })
    }

    /// The folder of a cell, in that of the comparison.
    #[must_use]
    pub fn folder(&self, cell: CellId, root: &Path) -> PathBuf {
        let [set, method] = self.names(cell);
        root.join("cells").join(set).join(method).join(cell.seed.to_string())
    }

    /// The run folder of a stage, counted from 0, in that of its cell.
    #[must_use]
    pub fn stage_folder(&self, cell: CellId, root: &Path, stage: usize) -> PathBuf {
        self.folder(cell, root).join(format!("stage-{}", stage + 1))
    }

    /// The stages of a cell of a comparison in the folder `root`.
    ///
    /// # Errors
    /// Whatever is wrong with one of their recipes.
    pub fn stages(&self, cell: CellId, root: &Path) -> Result<Vec<StagePlan>, TrainError> {
        let budgets = self.budgets(cell).map_err(|invalid| self.document.explain(&invalid))?;
        let mut documents: Vec<Document> = Vec::new();
        let mut stages = Vec::new();
        for (stage, budget) in budgets.into_iter().enumerate() {
            let document = self.compose(cell, stage, budget, (documents.last(), root))?;
            let own = self.own(cell, stage);
            let read = match stages.last() {
                Some(StagePlan { recipe: before, .. }) => read_completed(&own, &document, before),
                None => Recipe::read(&document),
            };
            let read = read.and_then(|recipe| self.check_metric(&document, recipe));
            let recipe = read.map_err(|error| self.in_cell(cell, stage, error))?;
            if let (Budget::Seconds(_), Some(key)) = (budget, recipe.uneven_steps()) {
                let message = format!(
                    "`{key}` makes some steps cost more than the first, by which a budget in seconds is kept: remove it, or \
                     give the budget in steps"
                );
                return Err(self.in_cell(cell, stage, TrainError::Request(message)));
            }
            stages.push(StagePlan { recipe, budget });
            documents.push(document);
        }
        let asked =
            self.recipe.method[cell.method].evaluate_steps.as_ref().is_some_and(|steps| !steps.is_empty());
        if asked && stages.last().is_some_and(|stage| stage.recipe.is_distilled()) {
            let message = "students make one step each, so there is nothing to choose: leave it out";
            let key = format!("method.{}.evaluate_steps", cell.method);
            return Err(self.document.explain(&Invalid::new(key, message)).into());
        }
        Ok(stages)
    }

    /// Checks against the data that all stages can be trained: those of every set with every method, for the first
    /// seed. Returns which data these are.
    ///
    /// # Errors
    /// Data that cannot be used, and networks and stages that do not suit them or each other.
    pub fn check(&self, base: &Path) -> Result<CheckedData, TrainError> {
        let mut data = BTreeMap::new();
        for cell in self.cells().filter(|cell| cell.seed == 0) {
            let mut before = None;
            for (stage, StagePlan { recipe, .. }) in self.stages(cell, Path::new(""))?.into_iter().enumerate()
            {
                let ready = session::ready(&recipe, base).and_then(|(_, summary)| {
                    if let (Some(before), Some(from)) = (&before, &recipe.from) {
                        let (theirs, of_theirs) = before;
                        base::check(&from.run, (theirs, of_theirs), (&recipe, &summary))?;
                    }
                    Ok(summary)
                });
                let summary = ready.map_err(|error| self.in_cell(cell, stage, error))?;
                // Later stages have the data of the first.
                data.entry((cell.set, cell.method)).or_insert_with(|| summary.fingerprint.clone());
                before = Some((recipe, summary));
            }
        }
        Ok(CheckedData(data))
    }

    /// Refuses data that have changed since a cell was begun: a mean over seeds is one over trainings on the same data.
    ///
    /// # Errors
    /// When they have, with the name of the cell.
    pub fn require_same_data(&self, cell: CellId, root: &Path, data: &CheckedData) -> Result<(), TrainError> {
        let CheckedData(data) = data;
        let begun = RunDir::open(&self.stage_folder(cell, root, 0)).map(|run| DataSummary::read(&run));
        // One that is not begun, or not whole, is begun again.
        let Ok(Ok(begun)) = begun else { return Ok(()) };
        if data.get(&(cell.set, cell.method)).is_none_or(|now| *now == begun.fingerprint) {
            return Ok(());
        }
        Err(TrainError::Request(format!(
            "the data have changed since the cell {} was begun: put the former ones back, or choose another --out",
            self.name(cell)
        )))
    }

    /// Changes with everything that the result of a cell depends on, but not with the place of the comparison.
    ///
    /// # Errors
    /// As [`ComparisonPlan::stages`].
    pub fn fingerprint(&self, cell: CellId) -> Result<String, TrainError> {
        let mut fingerprint = Fingerprint::default();
        for stage in self.stages(cell, Path::new(""))? {
            let text = to_toml(&stage.recipe);
            fingerprint.indices(&[text.len()]);
            fingerprint.bytes(text.as_bytes());
            if let Budget::Seconds(seconds) = stage.budget {
                fingerprint.numbers(&[seconds]);
            }
        }
        fingerprint.indices(self.euler_steps(cell));
        fingerprint.bytes(self.recipe.evaluate.metric.name().as_bytes());
        Ok(fingerprint.text())
    }

    /// The numbers of Euler steps at which a cell is measured.
    #[must_use]
    pub fn euler_steps(&self, cell: CellId) -> &[usize] {
        self.recipe.method[cell.method].evaluate_steps.as_ref().unwrap_or(&self.recipe.evaluate.steps)
    }

    fn budgets(&self, cell: CellId) -> Result<Vec<Budget>, Invalid> {
        let stages = &self.recipe.method[cell.method].stages;
        let given: Vec<Option<f64>> = stages.iter().map(|stage| stage.share).collect();
        let at = format!("method.{}.stages", cell.method);
        let shares = shares(&given).map_err(|message| Invalid::new(at, message))?;
        match self.recipe.budget {
            Budget::Steps(steps) => {
                let parts =
                    divide(steps, &shares).map_err(|message| Invalid::new("budget.steps", message))?;
                Ok(parts.into_iter().map(Budget::Steps).collect())
            }
            Budget::Seconds(seconds) => {
                Ok(shares.into_iter().map(|share| Budget::Seconds(share * seconds)).collect())
            }
        }
    }

    /// The document of a stage: what is laid over what, and what the comparison sets itself.
    fn compose(
        &self,
        cell: CellId,
        stage: usize,
        budget: Budget,
        (before, root): (Option<&Document>, &Path),
    ) -> Result<Document, RecipeError> {
        let own = self.own(cell, stage);
        let inherited = inherited_by(&own);
        let below = [format!("set.{}.recipe", cell.set), "recipe".to_string()];
        let below = below.map(|path| self.document.part(&path));
        let sections: &[&str] = if before.is_none() { &SECTIONS } else { &["train"] };
        let paths: Vec<&[&str]> = sections.iter().map(std::slice::from_ref).collect();
        let document = below.iter().fold(own, |document, below| document.completed_by(below, &paths));
        let document = match before {
            Some(before) => document.completed_by(before, inherited),
            None => document,
        };
        let fixed = self.fixed(cell, stage, budget, root)?;
        let keys: &[&[&str]] = &[&["name"], &["about"], &["seed"], &["from"], &["train"], &["evaluate"]];
        Ok(document.completed_by(&fixed, keys))
    }

    /// What a stage says itself.
    fn own(&self, cell: CellId, stage: usize) -> Document {
        self.document.part(&format!("method.{}.stages.{stage}.recipe", cell.method))
    }

    /// What the comparison sets itself.
    fn fixed(
        &self,
        cell: CellId,
        stage: usize,
        budget: Budget,
        root: &Path,
    ) -> Result<Document, RecipeError> {
        let [set, method] = self.names(cell);
        let steps = if let Budget::Steps(steps) = budget { steps } else { UNKNOWN_STEPS };
        let table = |key: &str, value: Value| Value::Table(Table::from_iter([(key.to_string(), value)]));
        let whole = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        let mut fixed = Table::new();
        fixed.insert("name".to_string(), Value::String(format!("{set}-{method}-{}", cell.seed)));
        fixed.insert("about".to_string(), Value::String(format!("Of the comparison {}.", self.recipe.name)));
        fixed.insert("seed".to_string(), whole(cell.seed));
        if stage > 0 {
            let run = self.stage_folder(cell, root, stage - 1).display().to_string();
            fixed.insert("from".to_string(), table("run", Value::String(run)));
        }
        fixed.insert("train".to_string(), table("steps", whole(steps)));
        fixed.insert("evaluate".to_string(), table("report", Value::Boolean(false)));
        Document::new(&to_toml(&fixed), "what the comparison sets: budget, seed, run before", &[])
    }

    /// The distance of the figures must be among those that are measured.
    fn check_metric(&self, document: &Document, recipe: Recipe) -> Result<Recipe, RecipeError> {
        let metric = self.recipe.evaluate.metric;
        if recipe.evaluate.metrics.contains(&metric) {
            return Ok(recipe);
        }
        let message = format!("lacks `{metric}`, the distance that the figures of the comparison show");
        Err(document.explain(&Invalid::new("evaluate.metrics", message)))
    }

    fn in_cell(&self, cell: CellId, stage: usize, error: impl Into<TrainError>) -> TrainError {
        let [set, method] = self.names(cell);
        TrainError::Cell { cell: place(set, method, stage + 1), error: Box::new(error.into()) }
    }
}

fn place(set: &str, method: &str, stage: impl Display) -> String {
    format!("set `{set}`, method `{method}`, stage {stage}")
}
