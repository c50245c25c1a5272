//! The table of a comparison as text: for a terminal, and as Markdown.

use std::path::{Path, PathBuf};

use thalweg_files::write_atomically;

use super::budget::Budget;
use super::marks::{Mark, WORDS};
use super::summary::{ComparisonSummary, Estimate, MethodSummary, SetSummary};
use crate::error::TrainError;
use crate::report::figures::with_error;
use crate::report::grouped;

/// Scores in the table, in this order, as far as there are any; the others are in `comparison.json`.
const COLUMNS: [&str; 11] = [
    "w1",
    "w2",
    "sliced-w2",
    "mmd2",
    "energy",
    "frechet",
    "nll",
    "nfe",
    "straightness",
    "seconds",
    "parameters",
];

impl SetSummary {
    /// The scores in its table.
    pub(super) fn columns(&self) -> impl Iterator<Item = &'static str> {
        let known = |name: &&str| self.methods.iter().any(|method| method.score(name).is_some());
        COLUMNS.into_iter().filter(known)
    }

    /// The table as cells of text, the first row with the names of the columns: a row for each method, and the floors
    /// last. The best of a column has a star, and what cannot be told from it a tilde.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<String>> {
        self.rows_as(|text, mark| match mark {
            None => text,
            Some(Mark::Best) => format!("{text} *"),
            Some(Mark::Tied) => format!("{text} ~"),
        })
    }

    fn rows_as(&self, marked: impl Fn(String, Option<Mark>) -> String) -> Vec<Vec<String>> {
        let failures = self.has_failures();
        let mut head = vec!["method".to_string()];
        head.extend(self.columns().map(|name| heading(name).to_string()));
        head.extend(failures.then(|| "failed".to_string()));
        let mut rows = vec![head];
        for method in &self.methods {
            let mut row = vec![method.name.clone()];
            row.extend(self.columns().map(|name| {
                method.score(name).map_or_else(String::new, |score| marked(text(score), score.mark))
            }));
            row.extend(failures.then(|| method.failures()));
            rows.push(row);
        }
        let floor = |name| self.floors.iter().find(|floor| floor.name == name).map_or_else(String::new, text);
        let mut last = vec!["floor".to_string()];
        last.extend(self.columns().map(floor));
        last.extend(failures.then(String::new));
        rows.push(last);
        rows
    }
}

impl MethodSummary {
    /// How many of its cells failed: `1 of 5`; nothing where none did.
    pub(super) fn failures(&self) -> String {
        match self.failed.len() {
            0 => String::new(),
            failed => format!("{failed} of {}", failed as u64 + self.done),
        }
    }
}

impl ComparisonSummary {
    /// How the table is to be read, in sentences.
    #[must_use]
    pub fn reading(&self) -> String {
        let mean = match self.seeds {
            1 => "Values of one seed".to_string(),
            seeds => format!("Means over {seeds} seeds ± standard error"),
        };
        let budget = match self.budget {
            Budget::Steps(_) => format!("{} for each method in all", self.budget.words()),
            Budget::Seconds(_) => format!("{} for each method in all, timed beforehand", self.budget.words()),
        };
        format!(
            "{mean}; {budget}. The floor is what a perfect model reaches with as many samples. Times are in seconds."
        )
    }

    /// What the signs of [`SetSummary::rows`] mean.
    #[must_use]
    pub fn signs(&self) -> String {
        format!("* the best of its column; ~ {WORDS}")
    }

    /// How many cells failed.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.sets.iter().flat_map(|set| &set.methods).map(|method| method.failed.len()).sum()
    }

    /// All tables as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", self.name);
        if !self.about.is_empty() {
            text += &format!("{}\n\n", self.about);
        }
        text += &format!("{} Bold is the best of its column; ~ {WORDS}.\n", self.reading());
        for set in &self.sets {
            text += &format!("\n## {}\n\n", set.name);
            let rows = set.rows_as(|text, mark| match mark {
                None => text,
                Some(Mark::Best) => format!("**{text}**"),
                Some(Mark::Tied) => format!("{text} ~"),
            });
            for (index, row) in rows.iter().enumerate() {
                let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
                text += &format!("| {} |\n", cells.join(" | "));
                if index == 0 {
                    text += &format!("|---|{}\n", "---:|".repeat(row.len() - 1));
                }
            }
            for method in &set.methods {
                for failed in &method.failed {
                    text += &format!("\n- {}, seed {}: {}\n", method.name, failed.seed, failed.reason);
                }
            }
        }
        text
    }

    /// Writes `table.md` into a folder and returns its path.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn write_markdown(&self, root: &Path) -> Result<PathBuf, TrainError> {
        let path = root.join("table.md");
        let written = write_atomically(&path, self.markdown().as_bytes());
        written.map(|()| path.clone()).map_err(|error| TrainError::file(&path, "write", error))
    }
}

/// The name of a column, in words where the score's own name says too little.
pub(super) fn heading(name: &str) -> &str {
    match name {
        "seconds" => "time",
        name => name,
    }
}

fn text(value: &Estimate) -> String {
    match value.name.as_str() {
        "parameters" => grouped(value.mean.round() as usize),
        _ => with_error(value.mean, value.standard_error),
    }
}
