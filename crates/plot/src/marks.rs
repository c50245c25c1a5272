//! The data themselves: one function for each kind of layer, from data to marks in the frame.

use crate::axes::{stroke_class, tone_class};
use crate::layer::{ColorScale, Layer};
use crate::layers::{ErrorBars, HeatMap, Line, Reference, Scatter, Tone, Trajectories, VectorField};
use crate::layout::Frame;
use crate::markup::Element;
use crate::path::{PathData, decimate};
use crate::png;

/// Dots drawn at most for one cloud; more make a heavy file and a black blot.
const DOTS: usize = 20_000;
/// A cloud is drawn as this many paths: paint adds up between paths, not within one, so overlaps darken.
const SHEETS: usize = 6;
/// Classes of colour for arrows and curves, each one path.
const CLASSES: usize = 16;

/// What a figure could not show, counted over its layers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// Points that are not finite, or not positive on a logarithmic axis.
    pub(crate) unplaceable: usize,
    /// Dots beyond the fixed bounds.
    pub(crate) outside: usize,
    /// Dots left out to keep the file small.
    pub(crate) thinned: usize,
    /// Heat maps too large to encode.
    pub(crate) unencoded: usize,
}

impl Skipped {
    /// A sentence for each kind of omission that happened.
    pub(crate) fn notes(self) -> Vec<String> {
        let counted = |count: usize, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}.")),
            n => Some(format!("{} {many}.", crate::ticks::grouped(n as f64, 0))),
        };
        [
            counted(
                self.unplaceable,
                "point skipped: not a finite number on these axes",
                "points skipped: not finite numbers on these axes",
            ),
            counted(self.outside, "point lies outside the frame", "points lie outside the frame"),
            counted(self.thinned, "further point not drawn", "further points not drawn"),
            counted(self.unencoded, "heat map too large to draw", "heat maps too large to draw"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The marks of one layer.
pub(crate) fn draw(layer: &Layer, tone: Tone, frame: &Frame, skipped: &mut Skipped) -> Element {
    let scale = layer.color_scale();
    match (layer, scale) {
        (Layer::Line(line), _) => {
            draw_line(line, frame, skipped).class(&format!("{} {}", stroke_class(layer), tone_class(tone)))
        }
        (Layer::Scatter(scatter), _) => draw_scatter(scatter, tone, frame, skipped),
        (Layer::Reference(reference), _) => draw_reference(reference, frame),
        (Layer::ErrorBars(bars), _) => {
            draw_error_bars(bars, frame, skipped).class(&format!("tw-line {}", tone_class(tone)))
        }
        (Layer::HeatMap(map), Some(scale)) => draw_heat_map(map, &scale, frame, skipped),
        (Layer::VectorField(field), Some(scale)) => draw_vector_field(field, &scale, frame, skipped),
        (Layer::Trajectories(trajectories), Some(scale)) => {
            draw_trajectories(trajectories, &scale, frame, skipped)
        }
        (Layer::HeatMap(_) | Layer::VectorField(_) | Layer::Trajectories(_), None) => {
            unreachable!("layers coloured by value have a colour scale")
        }
    }
}

fn draw_line(line: &Line, frame: &Frame, skipped: &mut Skipped) -> Element {
    let placed: Vec<Option<[f64; 2]>> = line.points.iter().map(|&point| frame.place(point)).collect();
    skipped.unplaceable += placed.iter().filter(|place| place.is_none()).count();
    let mut path = PathData::default();
    for run in placed.split(Option::is_none) {
        let run: Vec<[f64; 2]> = run.iter().flatten().copied().collect();
        match run.as_slice() {
            // A point alone between two gaps is still a measurement.
            [lonely] => path.dot(*lonely),
            run => path.polyline(&decimate(run)),
        }
    }
    Element::void("path").attr("d", path.into_text())
}

fn draw_scatter(scatter: &Scatter, tone: Tone, frame: &Frame, skipped: &mut Skipped) -> Element {
    let placed: Vec<[f64; 2]> = scatter.points.iter().filter_map(|&point| frame.place(point)).collect();
    skipped.unplaceable += scatter.points.len() - placed.len();
    let inside: Vec<[f64; 2]> = placed.iter().copied().filter(|&place| frame.contains(place)).collect();
    skipped.outside += placed.len() - inside.len();
    let shown: Vec<[f64; 2]> = evenly(&inside, DOTS).collect();
    skipped.thinned += inside.len() - shown.len();

    // Ink per area stays about the same from a hundred dots to ten thousand.
    let (diameter, opacity) = match shown.len() {
        0..=300 => (5.0, 0.75),
        301..=1500 => (3.8, 0.55),
        1501..=5000 => (3.0, 0.45),
        _ => (2.2, 0.35),
    };
    // Small figures get smaller dots, so that panels look like figures seen from afar.
    let diameter = diameter * (frame.width / 360.0).clamp(0.55, 1.1);
    let mut group = Element::new("g")
        .class(&format!("tw-dots {}", tone_class(tone)))
        .px("stroke-width", diameter)
        .attr("stroke-opacity", opacity);
    for sheet in 0..SHEETS {
        let mut path = PathData::default();
        shown.iter().skip(sheet).step_by(SHEETS).for_each(|&point| path.dot(point));
        if !path.is_empty() {
            group.push(Element::void("path").attr("d", path.into_text()));
        }
    }
    group
}

/// At most `limit` of the items, evenly over their order.
pub(crate) fn evenly<T: Copy>(items: &[T], limit: usize) -> impl Iterator<Item = T> {
    let kept = items.len().min(limit);
    (0..kept).map(move |i| items[i * items.len() / kept])
}

fn draw_heat_map(map: &HeatMap, scale: &ColorScale, frame: &Frame, skipped: &mut Skipped) -> Element {
    let group = Element::new("g");
    let rows = map.values.len() / map.columns;
    let (Some([left, bottom]), Some([right, top])) =
        (frame.place([map.bounds.x[0], map.bounds.y[0]]), frame.place([map.bounds.x[1], map.bounds.y[1]]))
    else {
        skipped.unplaceable += map.values.len();
        return group;
    };
    // Pictures start at the top, grids at the bottom.
    let cells = (0..rows).rev().flat_map(|row| &map.values[row * map.columns..(row + 1) * map.columns]);
    let mut pixels = Vec::with_capacity(4 * map.values.len());
    for &value in cells {
        if value.is_finite() {
            let color = scale.map.at(scale.fraction(value));
            pixels.extend_from_slice(&[color.0, color.1, color.2, 255]);
        } else {
            skipped.unplaceable += 1;
            pixels.extend_from_slice(&[0; 4]);
        }
    }
    let Ok(picture) = png::encode_rgba(map.columns, rows, &pixels) else {
        skipped.unencoded += 1;
        return group;
    };
    group.child(
        Element::void("image")
            .px("x", left.min(right))
            .px("y", top.min(bottom))
            .px("width", (right - left).abs())
            .px("height", (bottom - top).abs())
            .attr("preserveAspectRatio", "none")
            .attr("href", png::data_uri(&picture)),
    )
}

fn draw_vector_field(
    field: &VectorField,
    scale: &ColorScale,
    frame: &Frame,
    skipped: &mut Skipped,
) -> Element {
    let spacing = (frame.width * frame.height / field.points.len().max(1) as f64).sqrt();
    let longest = (1.2 * spacing).clamp(6.0, 60.0);
    let mut classes: Vec<PathData> = (0..CLASSES).map(|_| PathData::default()).collect();
    for (&point, &[u, v]) in field.points.iter().zip(&field.vectors) {
        let speed = u.hypot(v);
        let (Some(base), true) = (frame.place(point), speed.is_finite()) else {
            skipped.unplaceable += 1;
            continue;
        };
        // Direction on the screen: a unit of x and a unit of y may differ in pixels, and y points down there.
        let (dx, dy) = (u / frame.x.length() * frame.width, -v / frame.y.length() * frame.height);
        let length = longest * (speed / scale.hi.abs().max(f64::MIN_POSITIVE)).sqrt();
        let norm = dx.hypot(dy);
        if !(norm > 0.0 && length > 0.3) {
            classes[0].dot(base);
            continue;
        }
        let along = [dx / norm * length, dy / norm * length];
        let class = (scale.fraction(speed) * (CLASSES - 1) as f64).round() as usize;
        arrow(&mut classes[class], base, along);
    }
    colored_classes(classes, scale, "tw-arrows").px("stroke-width", (longest / 14.0).clamp(0.9, 1.7))
}

/// An arrow centred on its point, so that the field stays where it was sampled.
fn arrow(path: &mut PathData, [x, y]: [f64; 2], [dx, dy]: [f64; 2]) {
    let (tail, tip) = ([x - 0.5 * dx, y - 0.5 * dy], [x + 0.5 * dx, y + 0.5 * dy]);
    path.polyline(&[tail, tip]);
    let head = 0.34;
    let barb = |side: f64| [tip[0] - head * (dx + side * 0.6 * dy), tip[1] - head * (dy - side * 0.6 * dx)];
    path.polyline(&[barb(1.0), tip, barb(-1.0)]);
}

fn draw_trajectories(
    trajectories: &Trajectories,
    scale: &ColorScale,
    frame: &Frame,
    skipped: &mut Skipped,
) -> Element {
    let times = &trajectories.times;
    let class_of = |k: usize| {
        let middle = 0.5 * (times[k] + times[k + 1]);
        ((scale.fraction(middle) * CLASSES as f64) as usize).min(CLASSES - 1)
    };
    let mut classes: Vec<PathData> = (0..CLASSES).map(|_| PathData::default()).collect();
    let (mut starts, mut ends) = (PathData::default(), PathData::default());
    for path in &trajectories.paths {
        let placed: Vec<Option<[f64; 2]>> = path.iter().map(|&point| frame.place(point)).collect();
        skipped.unplaceable += placed.iter().filter(|place| place.is_none()).count();
        placed.first().copied().flatten().into_iter().for_each(|place| starts.dot(place));
        placed.last().copied().flatten().into_iter().for_each(|place| ends.dot(place));
        // A pen stays down while segments follow each other in one class.
        let mut pen: Option<usize> = None;
        for k in 0..placed.len().saturating_sub(1) {
            let (Some(from), Some(to)) = (placed[k], placed[k + 1]) else {
                pen = None;
                continue;
            };
            let class = class_of(k);
            if pen != Some(class) {
                classes[class].move_to(from);
                pen = Some(class);
            }
            classes[class].line_to(to);
        }
    }
    let many = trajectories.paths.len() > 150;
    let (line, dot) = if many { (0.8, 2.2) } else { (1.3, 3.4) };
    let dots = |path: PathData, class: &str| {
        Element::void("path").class(class).px("stroke-width", dot).attr("d", path.into_text())
    };
    Element::new("g")
        .child(dots(starts, "tw-dots tw-start"))
        .child(colored_classes(classes, scale, "tw-curves").px("stroke-width", line))
        .child(dots(ends, "tw-dots tw-ink-dots"))
}

fn colored_classes(classes: Vec<PathData>, scale: &ColorScale, class: &str) -> Element {
    let mut group = Element::new("g").class(class);
    for (index, path) in classes.into_iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        let color = scale.map.at((index as f64 + 0.5) / CLASSES as f64);
        group.push(Element::void("path").attr("stroke", color.hex()).attr("d", path.into_text()));
    }
    group
}

fn draw_reference(reference: &Reference, frame: &Frame) -> Element {
    let y = |value: f64| frame.y.fraction(value).map(|fraction| (1.0 - fraction) * frame.height);
    let group = Element::new("g");
    match (y(reference.lo), y(reference.hi)) {
        (Some(lo), Some(hi)) if reference.lo != reference.hi => group.child(
            Element::void("rect")
                .class("tw-band")
                .px("x", 0.0)
                .px("y", lo.min(hi))
                .px("width", frame.width)
                .px("height", (hi - lo).abs()),
        ),
        (Some(level), Some(_)) => {
            let mut path = PathData::default();
            path.polyline(&[[0.0, level], [frame.width, level]]);
            group.child(Element::void("path").class("tw-reference").attr("d", path.into_text()))
        }
        _ => group,
    }
}

fn draw_error_bars(bars: &ErrorBars, frame: &Frame, skipped: &mut Skipped) -> Element {
    let mut path = PathData::default();
    for (&[x, y], &error) in bars.points.iter().zip(&bars.errors) {
        let Some(center) = frame.place([x, y]) else {
            skipped.unplaceable += 1;
            continue;
        };
        path.polyline(&[[center[0] - 3.5, center[1]], [center[0] + 3.5, center[1]]]);
        // On a logarithmic axis a lower end at or below zero runs off the frame.
        let Some(high) = frame.place([x, y + error.abs()]) else { continue };
        let low = frame.place([x, y - error.abs()]).unwrap_or([center[0], frame.height + 10.0]);
        path.polyline(&[low, high]);
        for end in [low, high] {
            path.polyline(&[[end[0] - 2.5, end[1]], [end[0] + 2.5, end[1]]]);
        }
    }
    Element::void("path").attr("d", path.into_text())
}
