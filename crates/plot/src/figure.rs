//! A figure: layers over a pair of axes, drawn as one SVG that follows the reader's light or dark scheme.

use crate::axes;
use crate::axis::Scale;
use crate::layer::{ColorScale, Layer};
use crate::layers::{Bounds, Tone};
use crate::layout::{LABEL_SIZE, Layout};
use crate::marks::{self, Skipped};
use crate::markup::{Element, px};
use crate::text;
use crate::theme;

/// Layers over a pair of axes.
///
/// ```
/// use thalweg_plot::{Figure, Line, Reference};
/// let svg = Figure::new("Training")
///     .x_label("step")
///     .y_label("loss")
///     .log_y()
///     .with(Line::new("train", (1..500).map(|i| [f64::from(i), 1.0 / f64::from(i)]).collect()))
///     .with(Reference::line("floor", 0.002))
///     .render();
/// assert!(svg.starts_with("<svg"));
/// ```
#[derive(Debug, Clone)]
pub struct Figure {
    pub(crate) title: String,
    pub(crate) caption: String,
    pub(crate) x_label: String,
    pub(crate) y_label: String,
    pub(crate) x_scale: Scale,
    pub(crate) y_scale: Scale,
    pub(crate) x_range: Option<[f64; 2]>,
    pub(crate) y_range: Option<[f64; 2]>,
    pub(crate) width: f64,
    pub(crate) aspect: f64,
    pub(crate) equal_aspect: bool,
    pub(crate) hide_y_labels: bool,
    pub(crate) hide_bars: bool,
    pub(crate) layers: Vec<Layer>,
}

impl Figure {
    /// An empty figure, 640 pixels wide. It draws its axes even if nothing is added.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            caption: String::new(),
            x_label: String::new(),
            y_label: String::new(),
            x_scale: Scale::Linear,
            y_scale: Scale::Linear,
            x_range: None,
            y_range: None,
            width: 640.0,
            aspect: 0.52,
            equal_aspect: false,
            hide_y_labels: false,
            hide_bars: false,
            layers: Vec::new(),
        }
    }

    /// Adds a layer over those already there.
    #[must_use]
    pub fn with(mut self, layer: impl Into<Layer>) -> Self {
        self.layers.push(layer.into());
        self
    }

    /// A sentence or two below the figure: the protocol, what to look at.
    #[must_use]
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = caption.into();
        self
    }

    /// Names the abscissa.
    #[must_use]
    pub fn x_label(mut self, label: impl Into<String>) -> Self {
        self.x_label = label.into();
        self
    }

    /// Names the ordinate.
    #[must_use]
    pub fn y_label(mut self, label: impl Into<String>) -> Self {
        self.y_label = label.into();
        self
    }

    /// A logarithmic abscissa; values that are not positive are skipped and counted.
    #[must_use]
    pub fn log_x(mut self) -> Self {
        self.x_scale = Scale::Log;
        self
    }

    /// A logarithmic ordinate; values that are not positive are skipped and counted.
    #[must_use]
    pub fn log_y(mut self) -> Self {
        self.y_scale = Scale::Log;
        self
    }

    /// Fixes the ends of the abscissa.
    #[must_use]
    pub fn x_range(mut self, lo: f64, hi: f64) -> Self {
        self.x_range = Some([lo, hi]);
        self
    }

    /// Fixes the ends of the ordinate.
    #[must_use]
    pub fn y_range(mut self, lo: f64, hi: f64) -> Self {
        self.y_range = Some([lo, hi]);
        self
    }

    /// Fixes both axes. With [`Figure::equal_aspect`] one of them may still grow.
    #[must_use]
    pub fn bounds(self, bounds: Bounds) -> Self {
        self.x_range(bounds.x[0], bounds.x[1]).y_range(bounds.y[0], bounds.y[1])
    }

    /// One unit is as long upwards as sideways. Makes the figure 420 pixels wide; see [`Figure::width`].
    #[must_use]
    pub fn equal_aspect(mut self) -> Self {
        self.equal_aspect = true;
        self.width = 420.0;
        self
    }

    /// Width in pixels at the natural size, from 120 up; the height follows.
    #[must_use]
    pub fn width(mut self, pixels: f64) -> Self {
        self.width = if pixels.is_finite() { pixels.clamp(120.0, 4000.0) } else { self.width };
        self
    }

    /// The figure as a complete SVG file, caption included.
    ///
    /// # Panics
    /// If a heat map meets a logarithmic axis.
    #[must_use]
    pub fn render(&self) -> String {
        let drawing = self.draw();
        standalone(&drawing, &self.caption)
    }

    /// Draws for a place that brings the style sheet and sets the caption itself.
    pub(crate) fn draw(&self) -> Drawing {
        let layout = Layout::of(self);
        let mut skipped = Skipped::default();
        let mut plot = Element::new("svg")
            .px("x", layout.left)
            .px("y", layout.top)
            .px("width", layout.frame.width)
            .px("height", layout.frame.height)
            .class("tw-plot");
        for (index, layer) in self.layers.iter().enumerate() {
            let linear = self.x_scale == Scale::Linear && self.y_scale == Scale::Linear;
            assert!(linear || !matches!(layer, Layer::HeatMap(_)), "a heat map needs linear axes");
            plot.push(marks::draw(layer, self.tone(index), &layout.frame, &mut skipped));
        }
        let (width, height) = (layout.width, layout.height);
        let svg = Element::new("svg")
            .class("tw-figure")
            .attr("viewBox", format!("0 0 {} {}", px(width), px(height)))
            .px("width", width)
            .px("height", height)
            .attr("role", "img")
            .attr("aria-label", self.description())
            .children(axes::behind(self, &layout))
            .child(plot)
            .children(axes::before(self, &layout));
        Drawing { svg, width, height, notes: skipped.notes() }
    }

    /// What the axes must show: the fixed ranges, else what the layers ask for.
    pub(crate) fn data_bounds(&self) -> Bounds {
        let extents: Vec<[f64; 2]> = self.layers.iter().flat_map(Layer::extent).collect();
        let ends = |scale: Scale, dimension: usize| {
            let ends = extents
                .iter()
                .map(|point| point[dimension])
                .filter(|&v| scale.accepts(v))
                .fold([f64::INFINITY, f64::NEG_INFINITY], |[lo, hi], v| [lo.min(v), hi.max(v)]);
            match scale {
                _ if ends[0] <= ends[1] => ends,
                Scale::Linear => [0.0, 1.0],
                Scale::Log => [1.0, 10.0],
            }
        };
        Bounds {
            x: self.x_range.unwrap_or_else(|| ends(self.x_scale, 0)),
            y: self.y_range.unwrap_or_else(|| ends(self.y_scale, 1)),
        }
    }

    /// Whether a layer covers the plane up to its edges.
    pub(crate) fn fills_plane(&self) -> bool {
        self.layers.iter().any(|layer| matches!(layer, Layer::HeatMap(_)))
    }

    /// Whether there are only curves, which may touch the sides.
    pub(crate) fn is_curve(&self) -> bool {
        self.layers.iter().all(|layer| matches!(layer, Layer::Line(_) | Layer::Reference(_)))
    }

    /// The colour scales to be explained by a bar, each once.
    pub(crate) fn color_bars(&self) -> Vec<ColorScale> {
        if self.hide_bars {
            return Vec::new();
        }
        let mut bars: Vec<ColorScale> = Vec::new();
        for scale in self.layers.iter().filter_map(Layer::color_scale) {
            if !scale.label.is_empty() && !bars.contains(&scale) {
                bars.push(scale);
            }
        }
        bars
    }

    pub(crate) fn legend_labels(&self) -> impl Iterator<Item = (usize, &str)> {
        let labels = self.layers.iter().map(Layer::legend_label).enumerate();
        labels.filter(|(_, label)| !label.is_empty())
    }

    /// The colour of a layer: the one it asked for, else the next of the palette.
    pub(crate) fn tone(&self, index: usize) -> Tone {
        let undecided = |layer: &Layer| layer.tone() == Some(None);
        let own = self.layers.get(index).and_then(Layer::tone);
        own.flatten().unwrap_or_else(|| {
            Tone::Series(self.layers.iter().take(index).filter(|layer| undecided(layer)).count())
        })
    }

    /// What a screen reader says.
    fn description(&self) -> String {
        let mut words = if self.title.is_empty() { "Figure".to_owned() } else { self.title.clone() };
        if !self.x_label.is_empty() || !self.y_label.is_empty() {
            words += &format!(
                ". {} against {}",
                or(&self.y_label, "vertical axis"),
                or(&self.x_label, "horizontal axis")
            );
        }
        let series: Vec<&str> = self.legend_labels().map(|(_, label)| label).collect();
        if !series.is_empty() {
            words += &format!(". Shows {}", series.join(", "));
        }
        words + "."
    }
}

fn or<'a>(text: &'a str, fallback: &'a str) -> &'a str {
    if text.is_empty() { fallback } else { text }
}

/// A drawing without style sheet or caption.
#[derive(Debug, Clone)]
pub(crate) struct Drawing {
    pub(crate) svg: Element,
    pub(crate) width: f64,
    pub(crate) height: f64,
    /// What was left out, in sentences.
    pub(crate) notes: Vec<String>,
}

impl Drawing {
    /// The caption followed by what was left out.
    pub(crate) fn full_caption(&self, caption: &str) -> String {
        let parts = std::iter::once(caption).chain(self.notes.iter().map(String::as_str));
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// The style of every figure: the palette and the classes of the drawing.
pub(crate) fn style_sheet() -> String {
    theme::style_sheet() + include_str!("assets/figure.css")
}

/// Wraps a drawing into a file of its own, with its style sheet and its caption.
pub(crate) fn standalone(drawing: &Drawing, caption: &str) -> String {
    let lines = text::wrap(&drawing.full_caption(caption), LABEL_SIZE, drawing.width - 20.0);
    let (width, body) = (drawing.width, drawing.height);
    let height = body + if lines.is_empty() { 0.0 } else { lines.len() as f64 * 17.0 + 12.0 };
    let mut svg = Element::new("svg")
        .attr("xmlns", "http://www.w3.org/2000/svg")
        .attr("viewBox", format!("0 0 {} {}", px(width), px(height)))
        .px("width", width)
        .px("height", height)
        .child(Element::new("style").verbatim(&style_sheet()))
        .child(Element::void("rect").class("tw-surface").attr("width", "100%").attr("height", "100%"))
        .child(drawing.svg.clone());
    for (row, line) in lines.iter().enumerate() {
        svg.push(
            Element::new("text")
                .class("tw-caption")
                .px("x", 10.0)
                .px("y", body + 14.0 + row as f64 * 17.0)
                .text(line),
        );
    }
    svg.to_string()
}
