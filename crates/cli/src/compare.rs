//! `thalweg compare`: all methods on all data sets with all seeds, each with the same budget, in one table.
//!
//! Each cell is trained by a process of its own, this program with the hidden command `cell`, so that one that fails
//! or is killed takes nothing else along.

pub mod cell;
mod progress;
mod stop;
mod trial;
mod workers;

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use thalweg_run::{COMPARISON_FILE, Override, RunLock, to_toml};
use thalweg_train::{CellId, CellResult, CheckedData, ComparisonPlan, ComparisonSummary};

use crate::args::Compare;
use crate::failure::Failure;
use crate::print::{aligned, print_error, print_json, print_line};
use crate::recipes;
use stop::Stop;
use workers::Workers;

/// Trains and measures what is not yet there, and brings everything together.
pub fn run(arguments: &Compare, threads: Option<usize>, json: bool) -> Result<(), Failure> {
    let (plan, base, data) = read(arguments)?;
    let threads = threads.unwrap_or(1);
    let jobs = jobs(arguments.jobs, threads)?;
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("runs").join(&plan.recipe.name));
    let lock = open(&plan, &out, arguments)?;
    let Standing { done, left } = standing(&plan, &out, &data)?;
    let text = to_toml(&plan.recipe);
    write(&out.join(COMPARISON_FILE), &text)?;

    let stop = Stop::at_signals()?;
    let count = done.len() + left.len();
    if !left.is_empty() {
        let at_once = if jobs == 1 { String::new() } else { format!(", {jobs} at a time") };
        print_error(&format!(
            "comparing in {}: {} of {count} cells are left{at_once}",
            out.display(),
            left.len()
        ));
    }
    let mut results = done;
    let program = std::env::current_exe()
        .map_err(|error| Failure::work(format!("cannot find this program: {error}")))?;
    let workers = Workers { program, plan: &plan, out: &out, base: &base, threads, jobs };
    results.extend(workers.run(left, results.len(), &stop)?);
    if results.len() < count {
        let message = format!(
            "stopped: {} of {count} cells are finished, and what is trained of the others is saved; go on with `{}`",
            results.len(),
            again(arguments)
        );
        return Err(Failure::work(message));
    }
    let summary = plan.summarise(&results);
    let files = [summary.write_markdown(&out)?, summary.write_json(&out)?, summary.write_page(&out, &text)?];
    drop(lock);
    say(&summary, &out, &files, json)?;
    match summary.failures() {
        0 => Ok(()),
        failed => {
            let message = format!("{failed} of {count} cells failed; why stands in {}", files[0].display());
            // The document on standard output is complete already.
            Err(if json { Failure::told(message) } else { Failure::work(message) })
        }
    }
}

/// The comparison, checked down to the data of its last cell, the folder that its relative paths start from, and which data
/// these are.
fn read(arguments: &Compare) -> Result<(ComparisonPlan, PathBuf, CheckedData), Failure> {
    let mut overrides: Vec<Override> =
        arguments.set.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    if let Some(seeds) = arguments.seeds {
        overrides.push(format!("seeds={seeds}").parse()?);
    }
    let found = recipes::find_comparison(&arguments.recipe, &overrides)?;
    let plan = ComparisonPlan::read(&found.document)?;
    let data = plan.check(&found.base)?;
    let base = std::path::absolute(&found.base).unwrap_or(found.base);
    Ok((plan, base, data))
}

fn jobs(wanted: Option<usize>, threads: usize) -> Result<usize, Failure> {
    let cores = available_parallelism().map_or(1, NonZero::get);
    match wanted {
        Some(0) => Err(Failure::request("--jobs must be at least 1")),
        Some(jobs) => Ok(jobs),
        None => Ok((cores / threads.max(1)).max(1)),
    }
}

/// Claims the folder of the comparison.
fn open(plan: &ComparisonPlan, out: &Path, arguments: &Compare) -> Result<RunLock, Failure> {
    let exists = out.join(COMPARISON_FILE).exists();
    if exists && !arguments.resume {
        let message = format!(
            "{} holds a comparison: go on with it by --resume, or choose another --out",
            out.display()
        );
        return Err(Failure::request(message));
    }
    if !exists && arguments.resume {
        let message =
            format!("there is no comparison to go on with in {}: leave out --resume", out.display());
        return Err(Failure::request(message));
    }
    if out.join("run.json").exists() {
        let name = &plan.recipe.name;
        let message = format!("{} holds a run: give the comparison {name} another --out", out.display());
        return Err(Failure::request(message));
    }
    fs::create_dir_all(out)
        .map_err(|error| Failure::work(format!("cannot make {}: {error}", out.display())))?;
    Ok(RunLock::take(out)?)
}

/// Where a comparison stands.
struct Standing {
    /// The cells that are finished, with what came of them.
    done: Vec<(CellId, CellResult)>,
    /// The others.
    left: Vec<CellId>,
}

/// Looks at what is there. Fails where a cell was begun with another recipe or other data, before anything is trained.
fn standing(plan: &ComparisonPlan, out: &Path, data: &CheckedData) -> Result<Standing, Failure> {
    let mut standing = Standing { done: Vec::new(), left: Vec::new() };
    for cell in plan.cells() {
        plan.require_same_data(cell, out, data)?;
        match plan.read_record(cell, out)? {
            Some(record) => standing.done.push((cell, record.result)),
            None => {
                plan.read_cell_plan(cell, out)?;
                standing.left.push(cell);
            }
        }
    }
    Ok(standing)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    thalweg_files::write_atomically(path, text.as_bytes())
        .map_err(|error| Failure::work(format!("cannot write {}: {error}", path.display())))
}

/// The command that goes on with this one.
fn again(arguments: &Compare) -> String {
    let quoted =
        |text: &str| match text.contains(|c: char| c.is_whitespace() || "'\"[]{}$`\\*?;&|<>()".contains(c)) {
            true => format!("'{}'", text.replace('\'', "'\\''")),
            false => text.to_string(),
        };
    let mut words = vec!["thalweg compare --resume".to_string(), quoted(&arguments.recipe)];
    words.extend(arguments.seeds.map(|seeds| format!("--seeds {seeds}")));
    words.extend(arguments.out.as_ref().map(|out| format!("--out {}", quoted(&out.display().to_string()))));
    words.extend(arguments.set.iter().map(|change| format!("--set {}", quoted(change))));
    words.extend(arguments.jobs.map(|jobs| format!("--jobs {jobs}")));
    words.join(" ")
}

fn say(summary: &ComparisonSummary, out: &Path, files: &[PathBuf; 3], json: bool) -> Result<(), Failure> {
    let [table, document, page] = files;
    if json {
        let found = serde_json::to_value(summary).map_err(Failure::work)?;
        return print_json(&serde_json::json!({
            "comparison": out, "table": table, "document": document, "page": page, "found": found,
        }));
    }
    for set in &summary.sets {
        print_line(&format!("{}\n{}\n", set.name, aligned(&set.rows())))?;
    }
    print_line(&summary.signs())?;
    print_line(&summary.reading())?;
    print_line(&format!("table   {}", table.display()))?;
    print_line(&format!("page    {}", page.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_goes_on_is_the_one_that_was_typed() {
        let arguments = Compare {
            recipe: "plane".to_string(),
            seeds: Some(3),
            out: Some("my runs/a".into()),
            set: vec!["budget={ steps = 20 }".to_string(), "recipe.train.batch=64".to_string()],
            jobs: None,
            resume: false,
        };
        assert_eq!(
            again(&arguments),
            "thalweg compare --resume plane --seeds 3 --out 'my runs/a' --set 'budget={ steps = 20 }' --set \
             recipe.train.batch=64"
        );
    }
}
