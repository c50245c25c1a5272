//! Small multiples: several figures in rows under one title, on common scales if asked.

use crate::axes;
use crate::figure::{Drawing, Figure, standalone};
use crate::layer::Layer;
use crate::layers::Bounds;
use crate::layout::{Bar, Layout};
use crate::markup::{Element, px};
use crate::text;

const GAP: f64 = 6.0;
const TITLE_SIZE: f64 = 15.0;

/// Several figures in rows under one title: the velocity field at several times, the same cloud by several
/// methods.
#[derive(Debug, Clone)]
pub struct Panels {
    title: String,
    pub(crate) caption: String,
    figures: Vec<Figure>,
    columns: usize,
    width: f64,
    shared: bool,
}

impl Panels {
    /// No figures yet; rows of up to four, 960 pixels wide together.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            caption: String::new(),
            figures: Vec::new(),
            columns: 4,
            width: 960.0,
            shared: false,
        }
    }

    /// Adds a figure to the right, or at the start of a new row. Its width is set to fit.
    #[must_use]
    pub fn with(mut self, figure: Figure) -> Self {
        self.figures.push(figure);
        self
    }

    /// A sentence or two below the panels. Captions of the single figures are not shown.
    #[must_use]
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = caption.into();
        self
    }

    /// Figures in a row, at least 1.
    #[must_use]
    pub fn columns(mut self, columns: usize) -> Self {
        self.columns = columns.max(1);
        self
    }

    /// Width of all panels together, in pixels.
    #[must_use]
    pub fn width(mut self, pixels: f64) -> Self {
        self.width = if pixels.is_finite() { pixels.clamp(200.0, 4000.0) } else { self.width };
        self
    }

    /// Gives all figures the same axes and the same colours for the same values, with one colour bar and
    /// ordinates written once a row: what differs between panels is then the data.
    #[must_use]
    pub fn share_scales(mut self) -> Self {
        self.shared = true;
        self
    }

    /// The panels as a complete SVG file, caption included.
    #[must_use]
    pub fn render(&self) -> String {
        standalone(&self.draw(), &self.caption)
    }

    pub(crate) fn draw(&self) -> Drawing {
        let columns = self.columns.min(self.figures.len().max(1));
        let (mut figures, bars) =
            if self.shared { self.on_common_scales(columns) } else { (self.figures.clone(), Vec::new()) };
        let bars_room: f64 = bars.iter().map(Bar::room).sum();

        // All plots of a row are equally wide; what is left after margins is shared out. Margins depend on
        // the width only through labels of stretched axes, so the second pass is exact enough.
        let room = self.width - bars_room - GAP * (columns - 1) as f64;
        for _ in 0..2 {
            for row in figures.chunks_mut(columns) {
                let margins: Vec<f64> =
                    row.iter().map(|figure| figure.width - Layout::of(figure).frame.width).collect();
                // A short last row keeps the width of the rows above.
                let missing = (columns - row.len()) as f64 * (room / columns as f64);
                let plot = (room - missing - margins.iter().sum::<f64>()) / row.len() as f64;
                for (figure, margin) in row.iter_mut().zip(margins) {
                    figure.width = margin + plot.max(40.0);
                }
            }
        }

        let mut svg = Element::new("svg").class("tw-figure");
        let mut body = Element::new("g");
        let mut notes = Vec::new();
        let mut top = if self.title.is_empty() { 0.0 } else { TITLE_SIZE + 14.0 };
        if !self.title.is_empty() {
            let title = text::fit(&self.title, TITLE_SIZE, self.width - 20.0);
            body.push(
                Element::new("text").class("tw-title").px("x", 10.0).px("y", 10.0 + TITLE_SIZE).text(&title),
            );
        }
        let mut bar_span = None;
        for row in figures.chunks(columns) {
            let (mut left, mut tallest) = (0.0, 0.0_f64);
            for figure in row {
                let drawing = figure.draw();
                body.push(drawing.svg.px("x", left).px("y", top));
                left += drawing.width + GAP;
                tallest = tallest.max(drawing.height);
                notes.extend(drawing.notes);
            }
            let first = Layout::of(&row[0]);
            bar_span.get_or_insert((top + first.top, first.frame.height));
            top += tallest;
        }
        if let Some((bar_top, height)) = bar_span {
            let mut left = self.width - bars_room;
            for mut bar in bars {
                bar.left = left + 4.0;
                left += bar.room();
                body.push(axes::color_bar(&bar, bar_top, height));
            }
        }
        svg = svg
            .attr("viewBox", format!("0 0 {} {}", px(self.width), px(top)))
            .px("width", self.width)
            .px("height", top)
            .attr("role", "img")
            .attr("aria-label", self.description())
            .child(body);
        Drawing { svg, width: self.width, height: top, notes: merged(notes) }
    }

    /// The figures with the union of their axes and colour ranges, and the bars that explain the colours
    /// once.
    fn on_common_scales(&self, columns: usize) -> (Vec<Figure>, Vec<Bar>) {
        let mut figures = self.figures.clone();
        let corners =
            figures.iter().map(Figure::data_bounds).flat_map(|Bounds { x, y }| [[x[0], y[0]], [x[1], y[1]]]);
        let common = Bounds::around(corners.collect::<Vec<_>>().iter());
        // Layers of one kind and name measure one quantity.
        let kind =
            |layer: &Layer| layer.color_scale().map(|scale| (std::mem::discriminant(layer), scale.label));
        for figure in &mut figures {
            for layer in &mut figure.layers {
                let Some(own) = kind(layer) else { continue };
                let alike = self
                    .figures
                    .iter()
                    .flat_map(|f| &f.layers)
                    .filter(|other| kind(other) == Some(own.clone()));
                let ranges = alike.filter_map(Layer::color_scale).map(|scale| [scale.lo, scale.hi]);
                if let Some(range) = ranges.reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])]) {
                    layer.set_color_range(range);
                }
            }
        }
        let mut bars = Vec::new();
        for scale in figures.iter().flat_map(Figure::color_bars) {
            if !bars.contains(&scale) {
                bars.push(scale);
            }
        }
        for (index, figure) in figures.iter_mut().enumerate() {
            if let Some(Bounds { x, y }) = common {
                let air = |[lo, hi]: [f64; 2]| {
                    if figure.fills_plane() {
                        [lo, hi]
                    } else {
                        [lo - 0.04 * (hi - lo), hi + 0.04 * (hi - lo)]
                    }
                };
                let fixed = |own: Option<[f64; 2]>, shared: [f64; 2], log: bool| {
                    own.unwrap_or(if log { shared } else { air(shared) })
                };
                let log = |scale| scale == crate::axis::Scale::Log;
                (figure.x_range, figure.y_range) = (
                    Some(fixed(figure.x_range, x, log(figure.x_scale))),
                    Some(fixed(figure.y_range, y, log(figure.y_scale))),
                );
            }
            figure.hide_y_labels = !index.is_multiple_of(columns);
            figure.hide_bars = true;
        }
        (figures, bars.into_iter().map(Bar::new).collect())
    }

    fn description(&self) -> String {
        let titles: Vec<&str> = self
            .figures
            .iter()
            .map(|figure| figure.title.as_str())
            .filter(|title| !title.is_empty())
            .collect();
        format!("{}. {} panels: {}.", self.title, self.figures.len(), titles.join(", "))
    }
}

/// Notes of several panels, each different one once.
fn merged(notes: Vec<String>) -> Vec<String> {
    let mut once: Vec<String> = Vec::new();
    for note in notes {
        if !once.contains(&note) {
            once.push(note);
        }
    }
    once
}
