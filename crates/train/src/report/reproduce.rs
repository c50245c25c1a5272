//! The complete recipe, and the commands that lead to the same bits again.

use thalweg_data::Condition;
use thalweg_plot::{Item, Section};
use thalweg_run::{Document, RunDir, to_toml};
use thalweg_solve::{Solver, Steps};

use super::Subject;
use crate::evaluate::{Evaluation, words};
use crate::recipe::Recipe;
use crate::recipes::find_recipe;

/// Recipe, commands and settings.
pub(super) fn section(subject: &Subject, run: &RunDir) -> Section {
    let (recipe, evaluation) = (&subject.flow.recipe, subject.evaluation);
    let name = &recipe.name;
    let folder = shell_word(&run.path().display().to_string());
    let (what, advice) = if is_embedded(recipe) {
        (name.clone(), "The recipe is inside the program.".to_string())
    } else {
        (format!("{name}.toml"), format!("Save the recipe below as `{name}.toml`."))
    };
    let seed = evaluation.seed;
    let mut text = format!(
        "{advice} Two trainings of one recipe on one machine give the same bits; other machines may round otherwise."
    );
    let solver = equation_flags(evaluation, recipe).unwrap_or_else(|| {
        text += &format!(
            " The scores were found with a solver that no flag can name: {}.",
            words(&evaluation.solver)
        );
        String::new()
    });
    let commands = format!(
        "thalweg train {} --out {folder}\nthalweg evaluate {folder} --seed {seed}{solver}\nthalweg sample {folder} -n {} --seed {seed}{solver}{}{}\n",
        shell_word(&what),
        evaluation.truth.rows(),
        guidance_flag(recipe.evaluate.guidance),
        condition_flag(subject),
    );
    Section::new("How to reproduce")
        .text(text)
        .with(Item::code("console", commands))
        .with(Item::key_values([
            ("seed of the training", recipe.seed.to_string()),
            ("seed of the scores", seed.to_string()),
            ("solver of samples", evaluation.sampler.words(&evaluation.solver)),
            ("solver of likelihoods", words(&recipe.evaluate.likelihood_solver)),
            ("fingerprint of the data", subject.flow.summary.fingerprint.clone()),
        ]))
        .with(Item::code("toml", to_toml(recipe)))
}

/// The flags that turn the recipe's equation and solver into those that were used.
fn equation_flags(evaluation: &Evaluation, recipe: &Recipe) -> Option<String> {
    let (used, of_recipe) = (&evaluation.solver, &recipe.evaluate.solver);
    let sampler = &evaluation.sampler;
    match (sampler.is_flow(), recipe.evaluate.sampler.is_flow()) {
        (true, true) => solver_flags(used, of_recipe),
        // Any flag of a solver asks for the flow.
        (true, false) => all_solver_flags(used),
        (false, _) if used != of_recipe => None,
        (false, _) if *sampler == recipe.evaluate.sampler => Some(String::new()),
        (false, _) => Some(sampler.flags()),
    }
}

/// The flags that turn the recipe's solver into the one that was used: none where they are the same, nothing where the
/// command line has no flags for it.
fn solver_flags(used: &Solver, of_recipe: &Solver) -> Option<String> {
    if used == of_recipe {
        return Some(String::new());
    }
    all_solver_flags(used)
}

fn all_solver_flags(used: &Solver) -> Option<String> {
    let method = format!(" --solver {}", used.method);
    match &used.steps {
        Steps::Fixed(steps) => Some(format!("{method} --steps {steps}")),
        Steps::Adaptive { tolerance, .. } => {
            Some(format!("{method} --rtol {:e} --atol {:e}", tolerance.relative, tolerance.absolute))
        }
        Steps::Grid(_) => None,
    }
}

fn guidance_flag(guidance: f64) -> String {
    if guidance == 1.0 { String::new() } else { format!(" --guidance {guidance}") }
}

/// The condition of the first true point in data units, for flows that cannot be sampled without one.
fn condition_flag(subject: &Subject) -> String {
    let Condition::Vectors { values, .. } = subject.conditions(1) else { return String::new() };
    let mut values = values;
    if let Some(scaling) = &subject.flow.summary.condition_normaliser {
        scaling.normaliser().invert(&mut values);
    }
    // With an equals sign, because the first number may be negative.
    let values: Vec<String> = values.iter().map(f64::to_string).collect();
    format!(" --condition={}", values.join(","))
}

/// Whether the program holds this very recipe under its name.
fn is_embedded(recipe: &Recipe) -> bool {
    let read = |text| Recipe::read(&Document::new(text, "embedded", &[])?);
    find_recipe(&recipe.name).is_some_and(|found| read(found.text).is_ok_and(|found| found == *recipe))
}

/// A word that a shell takes as it is.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_string()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_solver_other_than_that_of_the_recipe_needs_flags() {
        use thalweg_solve::{Method, Tolerance};
        let of_recipe = Solver::default();
        let check = |used: &Solver, expected: Option<&str>| {
            assert_eq!(solver_flags(used, &of_recipe).as_deref(), expected, "{used:?}");
        };
        check(&of_recipe, Some(""));
        check(&Solver::fixed(Method::Euler, 8), Some(" --solver euler --steps 8"));
        let mut uneven = Solver::adaptive(Method::Tsit5, 1e-6);
        if let Steps::Adaptive { tolerance, .. } = &mut uneven.steps {
            *tolerance = Tolerance { relative: 1e-6, absolute: 1e-3 };
        }
        check(&uneven, Some(" --solver tsit5 --rtol 1e-6 --atol 1e-3"));
        check(&Solver { steps: Steps::Grid(vec![0.0, 0.3, 1.0]), ..Solver::default() }, None);
    }

    #[test]
    fn awkward_names_are_quoted() {
        assert_eq!(
            ["runs/a-b_1", "my run", "it's", ""].map(shell_word),
            ["runs/a-b_1", "'my run'", r"'it'\''s'", "''"]
        );
    }
}
