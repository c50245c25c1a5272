//! Bounds as lines, as a JSON document and as a page.

use thalweg_plot::{Cell, Figure, Item, Line, Report, Section, Table, Tone};
use thalweg_solve::Method;

use super::BoundReport;

/// The mean, the 95th percentile and the largest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// Not exceeded by 95 of 100.
    pub p95: f64,
    /// The largest.
    pub max: f64,
}

/// A number as JSON, which has no infinities of its own.
fn number(value: f64) -> serde_json::Value {
    thalweg_run::non_finite::serialize(&value, serde_json::value::Serializer).unwrap_or_default()
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let place = (0.95 * sorted.len() as f64).ceil() as usize;
        Self {
            mean: values.iter().sum::<f64>() / values.len() as f64,
            p95: sorted[place.clamp(1, sorted.len()) - 1],
            max: sorted[sorted.len() - 1],
        }
    }
}

impl BoundReport {
    /// What is bounded and by what, each with its name and its spread at the end.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, Spread)> {
        let errors = &self.errors;
        let end = |values: &[Vec<f64>]| Spread::of(&values[values.len() - 1]);
        let same = |value: f64| Spread { mean: value, p95: value, max: value };
        vec![
            ("measured error", end(&errors.measured)),
            ("bound with contraction", end(&errors.logarithmic)),
            ("bound by slopes", end(&errors.local)),
            ("uniform recursion", same(errors.uniform()[errors.steps()])),
            ("closed form (5)", same(errors.closed())),
            ("Grönwall's form (4)", same(errors.gronwall())),
        ]
    }

    /// The numbers that go into the bounds, each with its name and where it is from.
    #[must_use]
    pub fn inputs(&self) -> Vec<(&'static str, f64, &'static str)> {
        let errors = &self.errors;
        let is_euler = self.request.method == Method::Euler;
        let met =
            if is_euler { "exact at the points of inference" } else { "exact at the stages of inference" };
        let mut inputs = vec![
            ("error of the field δ", errors.field_error, met),
            ("slope L", errors.slope, "largest at five points between inference and truth, an estimate"),
            ("growth μ", errors.growth, "largest at the same points, an estimate"),
        ];
        if is_euler {
            let origin = "largest along true paths, an estimate";
            inputs.push(("acceleration M", errors.acceleration, origin));
        } else {
            let through = "L through the stages of a step, an estimate";
            inputs.push(("slope of a step L_Φ", errors.step_slope(), through));
            inputs.push(("error of a step δ_Φ", errors.step_error(), "δ through the stages of a step"));
            let origin = "of one step from the truth along the truth, over its length: exact";
            inputs.push(("departure of a step ρ", errors.truncation, origin));
        }
        inputs.extend([
            ("learning part of (5)", errors.learning_part(), "what training can make smaller"),
            ("discretisation part of (5)", errors.discretisation_part(), "what more steps can make smaller"),
            ("error of the field alone", errors.exact.measured, "root mean square, solved exactly"),
            (
                "its bound",
                errors.exact.bound,
                "by the growth of the learned field; bounds W2 too; an estimate",
            ),
        ]);
        let certified = "certified for every point and time, by the norms of its layers";
        inputs.extend(self.network_slope.map(|slope| ("slope of the network, at most", slope, certified)));
        inputs
    }

    /// The steps in words, as in "16 steps of Euler".
    #[must_use]
    pub fn steps_in_words(&self) -> String {
        let name = match self.request.method {
            Method::Euler => "Euler".to_string(),
            method => method.to_string(),
        };
        format!("{} steps of {name}", self.request.steps)
    }

    /// As one JSON document.
    #[must_use]
    pub fn document(&self) -> serde_json::Value {
        let errors = &self.errors;
        let numbers = |values: &[f64]| values.iter().map(|value| number(*value)).collect::<Vec<_>>();
        let object = |spread: Spread| {
            let [mean, p95, max] = [spread.mean, spread.p95, spread.max].map(number);
            serde_json::json!({ "mean": mean, "p95": p95, "max": max })
        };
        let spreads = |values: &[Vec<f64>]| values.iter().map(|v| object(Spread::of(v))).collect::<Vec<_>>();
        serde_json::json!({
            "created_by": concat!("thalweg ", env!("CARGO_PKG_VERSION")),
            "truth": self.truth,
            "exact": self.is_exact,
            "method": self.request.method,
            "steps": self.request.steps,
            "points": self.request.points,
            "seed": self.request.seed,
            "units": "model units",
            "lines": self.lines().into_iter().map(|(name, spread)| {
                let mut line = object(spread);
                line["name"] = name.into();
                line
            }).collect::<Vec<_>>(),
            "inputs": self.inputs().into_iter().map(|(name, value, origin)| serde_json::json!({
                "name": name, "value": number(value), "origin": origin,
            })).collect::<Vec<_>>(),
            "times": errors.times,
            "measured": spreads(&errors.measured),
            "with_contraction": spreads(&errors.logarithmic),
            "by_slopes": spreads(&errors.local),
            "uniform": numbers(&errors.uniform()),
            "field_error_along_truth": numbers(&errors.exact.field_errors),
        })
    }

    /// As a page with a figure.
    #[must_use]
    pub fn page(&self, name: &str) -> Report {
        let errors = &self.errors;
        let mut table = Table::new(["", "mean", "95 of 100", "largest"]);
        for (name, spread) in self.lines() {
            let cells = [spread.mean, spread.p95, spread.max].map(Cell::number);
            table = table.row([Cell::from(name)].into_iter().chain(cells));
        }
        let mut inputs = Table::new(["", "value", "where it is from"]);
        for (name, value, origin) in self.inputs() {
            inputs = inputs.row([name.into(), Cell::number(value), origin.into()]);
        }
        let largest = |values: &[Vec<f64>]| values.iter().map(|v| Spread::of(v).max).collect::<Vec<f64>>();
        let mean = |values: &[Vec<f64>]| values.iter().map(|v| Spread::of(v).mean).collect::<Vec<f64>>();
        let curves = [
            ("measured, mean", mean(&errors.measured)),
            ("measured, largest", largest(&errors.measured)),
            ("with contraction, largest", largest(&errors.logarithmic)),
            ("by slopes, largest", largest(&errors.local)),
            ("uniform recursion", errors.uniform()),
        ];
        let figure = Figure::new("Error along the way").x_label("t").y_label("error").log_y();
        let figure = curves.into_iter().enumerate().fold(figure, |figure, (index, (label, values))| {
            // At the start there is none, which a logarithm cannot show.
            let points = errors.times.iter().zip(values).skip(1).filter(|(_, value)| *value > 0.0);
            let points: Vec<[f64; 2]> = points.map(|(t, value)| [*t, value]).collect();
            figure.with(Line::new(label, points).tone(Tone::Series(index)))
        });
        let caption = format!("{} trajectories of {}.", self.request.points, self.steps_in_words());
        let section = Section::new("Bounds")
            .text(
                "Down to the closed form each line bounds those above it; Grönwall's form bounds the uniform recursion \
                 too. All is Euclidean and in model units.",
            )
            .with(figure.caption(caption))
            .with(table)
            .with(Item::Note(format!("Held against {}.", self.truth)));
        let what = Section::new("What goes in").text(
            "A bound holds as far as its inputs do. Errors of the field are exact where inference goes; slopes and \
             accelerations are the largest that were met.",
        );
        let what = if self.request.method == Method::Euler {
            what
        } else {
            what.text(
                "(4), (5) and the recursion are those of Euler with `L_Φ` for `L`, `δ_Φ + ρ` for `δ`, and no `M`: \
                 what a step loses is measured, not taken from accelerations.",
            )
        };
        Report::new(name)
            .subtitle("The error of inference, and what bounds it")
            .fact("method", self.request.method.to_string())
            .fact("steps", self.request.steps.to_string())
            .fact("trajectories", self.request.points.to_string())
            .with(section)
            .with(what.with(inputs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_of_numbers() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(Spread::of(&values), Spread { mean: 50.5, p95: 95.0, max: 100.0 });
        assert_eq!(Spread::of(&[2.0]), Spread { mean: 2.0, p95: 2.0, max: 2.0 });
    }
}
