//! `comparison.html`: tables, and quality against what it costs.

use std::path::{Path, PathBuf};

use thalweg_plot::{
    Cell, ErrorBars, Figure, Item, Line, Reference, Report, Scatter, Section, Stroke, Table, Tone,
};

use super::budget::Budget;
use super::marks::WORDS;
use super::record::write_json;
use super::summary::{ComparisonSummary, Estimate, MethodSummary, SetSummary};
use super::table::heading;
use crate::error::TrainError;

/// Distances that span at least this ratio are drawn on a logarithmic scale.
const LOGARITHMIC_FROM: f64 = 5.0;

/// Colours of a figure; from there on a method is told by how it is drawn.
const COLORS: usize = 6;

impl ComparisonSummary {
    /// Writes `comparison.json` into a folder and returns its path.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn write_json(&self, root: &Path) -> Result<PathBuf, TrainError> {
        let path = root.join("comparison.json");
        write_json(&path, self).map(|()| path)
    }

    /// Writes `comparison.html` into a folder and returns its path; `recipe` is the comparison as TOML.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn write_page(&self, root: &Path, recipe: &str) -> Result<PathBuf, TrainError> {
        let path = root.join("comparison.html");
        self.page(recipe).write(&path)?;
        Ok(path)
    }

    fn page(&self, recipe: &str) -> Report {
        let methods = self.sets.first().map_or(0, |set| set.methods.len());
        let mut report = Report::new(&self.name)
            .subtitle(&self.about)
            .fact("methods", methods.to_string())
            .fact("data sets", self.sets.len().to_string())
            .fact("seeds", self.seeds.to_string())
            .fact("budget of a method", self.budget.words());
        if self.failures() > 0 {
            report = report.fact("failed cells", self.failures().to_string());
        }
        report = report.with(self.protocol());
        for set in &self.sets {
            report = report.with(self.section(set));
        }
        let again = "Save this as `NAME.toml` and run `thalweg compare NAME.toml`. What is the same for all cells \
                     stands in `[recipe]`; the folder of each training has its complete recipe.";
        report
            .with(Section::new("Recipe").text(again).with(Item::code("toml", recipe)))
            .footer(format!("Made by {}.", self.created_by))
    }

    fn protocol(&self) -> Section {
        let budget = match self.budget {
            Budget::Steps(steps) => format!(
                "Each method makes {steps} optimiser steps in all, divided among its stages where it has several."
            ),
            Budget::Seconds(seconds) => format!(
                "Each method trains for {seconds} s in all, divided among its stages where it has several. A short \
                 trial of each stage, which does not count, tells how many steps these are; the training then \
                 makes that many, so that schedules of the learning rate end. Steps and times that came of it \
                 stand below the tables."
            ),
        };
        let seeds = match self.seeds {
            1 => "One training of each method on each data set, with seed 0, so that there are no standard \
                  errors."
                .into(),
            seeds => format!(
                "Each method is trained on each data set {seeds} times, with the seeds from 0 on, which also draw \
                 the samples and the true points. Values are means over these, and behind ± is the standard error \
                 of the mean."
            ),
        };
        let text = format!(
            "{budget}\n\n{seeds}\n\nThe numbers of a table are those of an ordinary evaluation: samples by the \
             solver of the recipe against as many true points. The floor is what a perfect model reaches with as \
             many. The figures show {metric} by Euler's method with {steps} equal steps. Bold is the best value of \
             a column, and whatever is {WORDS}.",
            metric = self.evaluate.metric,
            steps = listed(&self.evaluate.steps),
        );
        Section::new("Protocol").text(text)
    }

    fn section(&self, set: &SetSummary) -> Section {
        let mut section = Section::new(&set.name);
        for method in &set.methods {
            for failed in &method.failed {
                let text = format!("{}, seed {}: {}", method.name, failed.seed, failed.reason);
                section = section.with(Item::Warning(text));
            }
        }
        if set.methods.iter().all(|method| method.done == 0) {
            return section.with(Item::Note("There are no scores.".to_string()));
        }
        section = section.with(table(set)).with(self.against_evaluations(set)).with(self.against_time(set));
        let warnings = set
            .methods
            .iter()
            .flat_map(|method| method.warnings.iter().map(|warning| format!("{}: {warning}", method.name)));
        warnings.fold(section, |section, warning| section.with(Item::Note(warning)))
    }

    fn against_evaluations(&self, set: &SetSummary) -> Figure {
        let metric = self.evaluate.metric.name();
        let mut figure = Figure::new("Quality against evaluations")
            .x_label("evaluations of the network for a sample")
            .y_label(metric)
            .width(500.0)
            .log_x();
        let mut heights = Vec::new();
        for (index, method) in set.methods.iter().enumerate() {
            let tone = Tone::Series(index);
            let points: Vec<[f64; 2]> =
                method.curve.iter().map(|point| [point.evaluations, point.mean]).collect();
            let errors: Vec<f64> =
                method.curve.iter().map(|point| point.standard_error.unwrap_or(0.0)).collect();
            heights.extend(points.iter().zip(&errors).map(|(point, error)| point[1] - error));
            let own = own_point(method, metric);
            heights.extend(own.map(|(point, _)| point[1]));
            if !points.is_empty() {
                let stroke = if index < COLORS { Stroke::Solid } else { Stroke::Dashed };
                figure = figure
                    .with(Line::new(&method.name, points.clone()).tone(tone).stroke(stroke))
                    .with(ErrorBars::new("", points, errors).tone(tone));
            }
            if let Some((point, error)) = own {
                let label = if method.curve.is_empty() { method.name.as_str() } else { "" };
                figure = figure
                    .with(Scatter::new(label, vec![point]).tone(tone))
                    .with(ErrorBars::new("", vec![point], vec![error]).tone(tone));
            }
        }
        let figure = with_floor(figure, set, metric, &mut heights);
        scaled(figure, &heights).caption(
            "Lines: equal steps of Euler, of diffusion models as many of their own. Dots: the solver of the recipe. Bars: \
             one standard error. Dashed lines belong to the methods from the seventh on, whose colours begin anew.",
        )
    }

    fn against_time(&self, set: &SetSummary) -> Figure {
        let metric = self.evaluate.metric.name();
        let mut figure = Figure::new("Quality against time of training")
            .x_label("seconds of training")
            .y_label(metric)
            .width(500.0);
        let (mut heights, mut times) = (Vec::new(), Vec::new());
        for (index, method) in set.methods.iter().enumerate() {
            let (Some(time), Some(value)) = (method.score("seconds"), method.score(metric)) else { continue };
            let (point, error) = ([time.mean, value.mean], value.standard_error.unwrap_or(0.0));
            heights.push(value.mean - error);
            heights.push(value.mean);
            times.push(time.mean);
            let tone = Tone::Series(index);
            let (dot, bar) =
                if index < COLORS { (method.name.as_str(), "") } else { ("", method.name.as_str()) };
            if index < COLORS {
                figure = figure.with(Scatter::new(dot, vec![point]).tone(tone));
            }
            figure = figure.with(ErrorBars::new(bar, vec![point], vec![error]).tone(tone));
        }
        let figure = with_floor(figure, set, metric, &mut heights);
        let figure = if spans(&times) { figure.log_x() } else { figure };
        scaled(figure, &heights).caption(
            "Both by the solver of the recipe, means over seeds; bars: one standard error. Methods from the \
             seventh on have no dot. Times are those of one machine and of as many trainings at once as it was \
             given.",
        )
    }
}

/// The distance by the solver of the recipe at its number of evaluations, with its error.
fn own_point(method: &MethodSummary, metric: &str) -> Option<([f64; 2], f64)> {
    let (evaluations, value) = (method.score("nfe")?, method.score(metric)?);
    Some(([evaluations.mean, value.mean], value.standard_error.unwrap_or(0.0)))
}

fn with_floor(figure: Figure, set: &SetSummary, metric: &str, heights: &mut Vec<f64>) -> Figure {
    match set.floors.iter().find(|floor| floor.name == metric) {
        Some(floor) => {
            heights.push(floor.mean);
            figure.with(Reference::line("floor", floor.mean))
        }
        None => figure,
    }
}

/// A logarithmic ordinate where everything is above zero and far enough apart.
fn scaled(figure: Figure, heights: &[f64]) -> Figure {
    if spans(heights) { figure.log_y() } else { figure }
}

fn spans(values: &[f64]) -> bool {
    let ends = values
        .iter()
        .fold([f64::INFINITY, 0.0_f64], |[low, high], value| [low.min(*value), high.max(*value)]);
    ends[0] > 0.0 && ends[1] >= LOGARITHMIC_FROM * ends[0]
}

fn table(set: &SetSummary) -> Table {
    let failures = set.has_failures();
    let columns: Vec<&str> = set.columns().collect();
    let heads = ["method"].into_iter().chain(columns.iter().map(|name| heading(name)));
    let mut table = Table::new(heads.chain(failures.then_some("failed")));
    for method in &set.methods {
        let mut row = vec![Cell::from(method.name.as_str())];
        row.extend(columns.iter().map(|name| cell(method.score(name))));
        row.extend(failures.then(|| Cell::from(method.failures())));
        table = table.row(row);
    }
    let mut floors = vec![Cell::from("floor")];
    floors.extend(columns.iter().map(|name| cell(set.floors.iter().find(|floor| floor.name == *name))));
    floors.extend(failures.then(|| Cell::from("")));
    table.row(floors).caption(caption(set))
}

fn cell(value: Option<&Estimate>) -> Cell {
    let Some(value) = value else { return Cell::from("") };
    let cell = Cell::number(value.mean);
    let cell = match value.standard_error.filter(|error| *error > 0.0) {
        Some(error) => cell.plus_minus(error),
        None => cell,
    };
    if value.mark.is_some() { cell.best() } else { cell }
}

fn caption(set: &SetSummary) -> String {
    let mut solvers: Vec<(&str, Vec<&str>)> = Vec::new();
    for method in &set.methods {
        match solvers.iter_mut().find(|(solver, _)| *solver == method.solver) {
            Some((_, names)) => names.push(&method.name),
            None => solvers.push((&method.solver, vec![&method.name])),
        }
    }
    let solvers = match &solvers[..] {
        [(solver, _)] => (*solver).to_string(),
        several => {
            let words = several.iter().map(|(solver, names)| format!("{solver} ({})", names.join(", ")));
            words.collect::<Vec<String>>().join("; ")
        }
    };
    let trainings = set.methods.iter().filter(|method| method.done > 0).map(|method| {
        let stages =
            method.stages.iter().map(|stage| format!("{:.0} in {:.1} s", stage.steps, stage.seconds));
        format!("{} {}", method.name, stages.collect::<Vec<String>>().join(" + "))
    });
    format!(
        "{} samples against as many true points. Solvers: {solvers}. Steps of training: {}.",
        set.samples,
        trainings.collect::<Vec<String>>().join("; ")
    )
}

fn listed(steps: &[usize]) -> String {
    let words: Vec<String> = steps.iter().map(usize::to_string).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}
