//! `thalweg bound`: the error of inference in few steps, and what bounds it.

use thalweg_data::Dataset;
use thalweg_run::RunDir;
use thalweg_solve::{Method, Steps};
use thalweg_train::{BoundRequest, TrainedFlow, TruthChoice};

use crate::args::{Bound, TruthName};
use crate::failure::Failure;
use crate::print::{print_error, print_json, print_line};
use crate::scores::number;
use crate::solver::method;

/// Steps where the recipe has none of the method.
const STEPS: usize = 16;

/// Measures, prints, and writes `bound.json` and `bound.html` into the run.
pub fn run(arguments: &Bound, json: bool) -> Result<(), Failure> {
    let run = RunDir::open(&arguments.run)?;
    let (flow, warnings) = TrainedFlow::open(&run)?;
    for warning in warnings {
        print_error(&format!("warning: {warning}"));
    }
    let solver = &flow.recipe.evaluate.solver;
    let of_recipe = match solver.steps {
        Steps::Fixed(steps) => Some((solver.method, steps)),
        _ => None,
    };
    let asked = arguments.solver.map(method);
    let method = asked.or(of_recipe.map(|(method, _)| method)).unwrap_or(Method::Euler);
    let steps = of_recipe.filter(|(of_recipe, _)| *of_recipe == method).map(|(_, steps)| steps);
    let request = BoundRequest {
        method,
        steps: arguments.steps.or(steps).unwrap_or(STEPS),
        points: arguments.points,
        seed: arguments.seed,
        truth: match arguments.truth {
            TruthName::Known => TruthChoice::Known,
            TruthName::Exact => TruthChoice::Exact,
            TruthName::Own => TruthChoice::Own,
        },
        until: arguments.until,
    };
    let load = || Dataset::load(&flow.recipe.data, flow.recipe.seed, &flow.summary.base);
    let dataset = flow.bound_needs_data(request.truth).then(load).transpose()?;
    let report = flow.bound(dataset.as_ref(), &request)?;
    let document = run.write_document("bound.json", &report.document())?;
    let page = run.path().join("bound.html");
    report.page(&flow.recipe.name).write(&page).map_err(thalweg_train::TrainError::from)?;
    if json {
        let mut answer = report.document();
        answer["page"] = serde_json::json!(page);
        return print_json(&answer);
    }
    let end = report.request.until.unwrap_or_default();
    print_line(&format!("truth   {}", report.truth))?;
    print_line(&format!(
        "steps   {} up to t = {end}, {} trajectories, model units",
        report.steps_in_words(),
        report.request.points
    ))?;
    print_line(&format!("\n{:<29}  {:>10}  {:>10}  {:>10}", "", "mean", "95 of 100", "largest"))?;
    for (name, spread) in report.lines() {
        let [mean, p95, max] = [spread.mean, spread.p95, spread.max].map(number);
        print_line(&format!("{name:<29}  {mean:>10}  {p95:>10}  {max:>10}"))?;
    }
    print_line("")?;
    for (name, value, origin) in report.inputs() {
        print_line(&format!("{name:<29}  {:>10}  {origin}", number(value)))?;
    }
    print_line(&format!("\npage    {}\nnumbers {}", page.display(), document.display()))
}
