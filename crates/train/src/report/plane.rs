//! Pictures of a flow in the plane.

use thalweg_data::Condition;
use thalweg_plot::{
    Bounds, Figure, HeatMap, Panels, Scatter, ScatterAnimation, Section, Tone, Trajectories, VectorField,
};
use thalweg_solve::{Method, Solver};

use super::{Subject, add, repeated};
use crate::animation::animation;
use crate::error::TrainError;
use crate::evaluate::divergence;
use crate::trained::{ConditionRequest, Equation, SampleRequest, TrainedFlow};
use crate::view::{bounds, grid, plane, shaped};

/// Points of the animation.
const MOVING: usize = 800;
/// Curves of the picture of trajectories.
const PATHS: usize = 150;
/// Times at which a curve is known.
const PATH_TIMES: usize = 41;
/// Cells of a density to a side, when there is one and when there are several.
const CELLS: [usize; 2] = [120, 72];
/// Arrows to a side.
const ARROWS: usize = 15;
/// Times of the velocity fields, as shares of the path's interval, when there is one view and when there are several.
const FIELD_TIMES: [&[f64]; 2] = [&[0.0, 0.2, 0.4, 0.6, 0.8, 1.0], &[0.0, 0.5, 1.0]];
/// Height of a picture over its width, at least and at most.
const ASPECTS: [f64; 2] = [0.75, 1.1];
/// Tolerance of densities that are looked at, not scored.
const LOOKING: f64 = 1e-3;
/// Share of a density's cells that may be brighter than the end of the colour scale.
const BRIGHT: f64 = 0.002;

/// Motion and samples, density, velocity.
pub(super) fn sections(subject: &Subject) -> Vec<Section> {
    let truth = plane(&subject.evaluation.truth.points, 2);
    let shown = bounds(&truth).unwrap_or(Bounds::new([-3.0, 3.0], [-3.0, 3.0]));
    let scene = Scene { subject, truth, shown: shaped(shown, ASPECTS) };
    let mut motion = Section::new("The flow").text("Source points at `t = 0` become data at `t = 1`.");
    motion = add(motion, scene.animation());
    motion = add(motion, scene.trajectories("Trajectories", subject.flow));
    if let Some(base) = subject.flow.base() {
        motion = add(motion, scene.trajectories("Trajectories before tuning", &base));
    }
    if let Some(alone) = subject.flow.without_second_stage() {
        motion = add(motion, scene.trajectories("Trajectories of the flow alone", &alone));
    }
    motion = motion.with(scene.clouds());
    let mut sections = vec![motion];
    if subject.flow.summary.gaussian_source {
        let density = Section::new("Density").text(
            "The likelihood of the flow at every cell, by the change of variables along its paths: a density, not a \
             histogram of samples.",
        );
        let density = if subject.flow.is_tuned_to_steps() {
            density.text("Solved accurately: the few steps that were tuned may arrive elsewhere.")
        } else {
            density
        };
        sections.push(add(density, scene.densities()));
    }
    let velocity = Section::new("Velocity").text("Where points are sent at several times, and how fast.");
    sections.push(add(velocity, scene.velocities()));
    sections
}

struct Scene<'a> {
    subject: &'a Subject<'a>,
    /// The true points.
    truth: Vec<[f64; 2]>,
    /// What every picture shows: the range of the data, whatever the samples do.
    shown: Bounds,
}

impl Scene<'_> {
    fn animation(&self) -> Result<ScatterAnimation, TrainError> {
        let number = MOVING.min(self.truth.len());
        let moving = animation(self.subject.flow, &self.request(number))?;
        let target = self.truth[..number].to_vec();
        let caption = self.subject.unguided("In grey: true points.");
        Ok(moving.target(target).bounds(self.shown).caption(caption))
    }

    fn request(&self, number: usize) -> SampleRequest {
        SampleRequest {
            number,
            seed: self.subject.evaluation.seed,
            condition: ConditionRequest::Given(self.subject.conditions(number)),
            guidance: 1.0,
            equation: Equation::Flow(self.subject.evaluation.solver.clone()),
        }
    }

    fn trajectories(&self, title: &str, flow: &TrainedFlow) -> Result<Figure, TrainError> {
        let evaluation = self.subject.evaluation;
        let number = PATHS.min(self.truth.len());
        let source = flow.source(number, evaluation.seed)?;
        let conditions = self.subject.conditions(number);
        let motion = flow.trajectories(&source, &conditions, &evaluation.solver, PATH_TIMES)?;
        let at = |row: usize| move |points: &Vec<f64>| [points[2 * row], points[2 * row + 1]];
        let paths = (0..number).map(|row| motion.points.iter().map(at(row)).collect()).collect();
        // As high as the animation beside it.
        let figure = self
            .figure(title)
            .width(500.0)
            .bounds(shaped(self.shown, [1.0, 1.0]))
            .with(Trajectories::new(paths, motion.times));
        let caption = format!("{number} points from source to data.");
        Ok(figure.caption(self.subject.unguided(&caption)))
    }

    /// Data beside samples, with a colour for each class.
    fn clouds(&self) -> Panels {
        let truth = &self.subject.evaluation.truth;
        let cloud = |name: &str, points: &[[f64; 2]], condition: &Condition, tone: Tone| {
            let figure = self.figure(name);
            match condition {
                Condition::Labels(labels) => (0..self.subject.flow.summary.label_shares.len())
                    .map(|class| {
                        let of_class = points.iter().zip(labels).filter(|(_, label)| **label == class);
                        let of_class = of_class.map(|(point, _)| *point).collect();
                        Scatter::new(format!("class {class}"), of_class).tone(Tone::Series(class))
                    })
                    .fold(figure, Figure::with),
                _ => figure.with(Scatter::new("", points.to_vec()).tone(tone)),
            }
        };
        let evaluation = self.subject.evaluation;
        let beside =
            evaluation.beside().map(|(words, other)| (format!("Samples {words}"), other.samples.as_ref()));
        let own = [("Samples".to_string(), evaluation.samples.as_ref())];
        let drawn: Vec<_> =
            beside.chain(own).filter_map(|(title, samples)| Some((title, samples?))).collect();
        let columns = if drawn.len() == 2 { 3 } else { 2 };
        let panels = Panels::new("").columns(columns).width(860.0);
        let panels = panels.with(cloud("Data", &self.truth, &truth.condition, Tone::Muted));
        drawn
            .into_iter()
            .fold(panels, |panels, (title, samples)| {
                let points = plane(&samples.points, 2);
                panels.with(cloud(&title, &points, &samples.condition, Tone::Series(0)))
            })
            .caption(format!("{} points each.", self.truth.len()))
    }

    /// The density of each view, of all classes together, and the true one where it is known.
    fn densities(&self) -> Result<Panels, TrainError> {
        let views = self.subject.views();
        let cells = CELLS[usize::from(views.len() > 1)];
        let points = grid(self.shown, cells, cells);
        let mut maps: Vec<(String, Vec<f64>)> = Vec::new();
        for (name, condition) in &views {
            let name = if name.is_empty() { "Model" } else { name };
            maps.push((name.to_string(), self.density(&points, condition)?));
        }
        let shares = &self.subject.flow.summary.label_shares;
        if views.len() > 1 && self.subject.views_are_complete() {
            let mixture =
                |cell: usize| maps.iter().zip(shares).map(|((_, map), share)| share * map[cell]).sum();
            maps.push(("all classes".to_string(), (0..points.len()).map(mixture).collect()));
        }
        let truth: Option<Vec<f64>> =
            points.iter().map(|point| self.subject.dataset.log_density(point).map(f64::exp)).collect();
        maps.extend(truth.map(|truth| ("Truth".to_string(), truth)));

        let mut values: Vec<f64> =
            maps.iter().flat_map(|(_, map)| map).copied().filter(|p| p.is_finite()).collect();
        values.sort_unstable_by(f64::total_cmp);
        let brightest = values.get(((1.0 - BRIGHT) * values.len() as f64) as usize).copied().unwrap_or(1.0);
        let columns = if maps.len() == 4 { 2 } else { maps.len().clamp(2, 3) };
        let caption = format!(
            "{cells} × {cells} cells, exact divergence, dopri5 at tolerance {LOOKING:e}; the brightest {}% of the cells \
             share one colour.",
            100.0 * BRIGHT
        );
        let caption = self.subject.unguided(&caption);
        let panels = Panels::new("").columns(columns).share_scales().caption(caption);
        Ok(maps.into_iter().fold(panels, |panels, (name, map)| {
            let map = HeatMap::new(map, cells, self.shown).label("p(x)").range(0.0, brightest);
            panels.with(self.figure(&name).with(map))
        }))
    }

    fn density(&self, points: &[[f64; 2]], condition: &Condition) -> Result<Vec<f64>, TrainError> {
        let solver = Solver::adaptive(Method::Dopri5, LOOKING);
        let condition = repeated(condition, points.len());
        let seed = self.subject.evaluation.seed;
        let found =
            self.subject.flow.log_likelihood(&points.concat(), &condition, &solver, divergence(2), seed)?;
        Ok(found.values.into_iter().map(f64::exp).collect())
    }

    /// A row of fields for each view.
    fn velocities(&self) -> Result<Panels, TrainError> {
        let Subject { flow, .. } = self.subject;
        let points = grid(self.shown, ARROWS, ARROWS);
        let interval = flow.recipe.flow.path.interval();
        let views = self.subject.views();
        let times = FIELD_TIMES[usize::from(views.len() > 1)];
        let mut panels = Panels::new("").columns(3).share_scales().caption(self.subject.unguided(""));
        for (name, condition) in views {
            for &share in times {
                let t = interval.lerp(share);
                let condition = repeated(&condition, points.len());
                let velocities = plane(&flow.velocities(&points.concat(), &condition, t)?, 2);
                let title =
                    if name.is_empty() { format!("t = {t:.2}") } else { format!("{name}, t = {t:.2}") };
                let arrows = VectorField::new(points.clone(), velocities).label("speed");
                panels = panels.with(self.figure(&title).with(arrows));
            }
        }
        Ok(panels)
    }

    fn figure(&self, title: &str) -> Figure {
        Figure::new(title).equal_aspect().bounds(self.shown)
    }
}
