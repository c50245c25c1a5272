//! One layer among others: the closed set of what a figure can show, and what a figure asks of each.

use crate::axis::{Axis, Scale};
use crate::color::ColorMap;
use crate::layers::{Bounds, ErrorBars, HeatMap, Line, Reference, Scatter, Tone, Trajectories, VectorField};

/// One thing drawn in a figure. Made from any of the layer types with `into`.
#[derive(Debug, Clone)]
pub enum Layer {
    /// A line through points in their order.
    Line(Line),
    /// A cloud of dots.
    Scatter(Scatter),
    /// Coloured cells of a grid.
    HeatMap(HeatMap),
    /// Arrows coloured by their length.
    VectorField(VectorField),
    /// Curves coloured by time.
    Trajectories(Trajectories),
    /// A level or a band of levels across the figure.
    Reference(Reference),
    /// Points with symmetric intervals.
    ErrorBars(ErrorBars),
}

/// A colour scale a layer reads its colours from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ColorScale {
    pub(crate) label: String,
    pub(crate) map: ColorMap,
    pub(crate) lo: f64,
    pub(crate) hi: f64,
}

impl ColorScale {
    fn new(label: &str, map: ColorMap, [lo, hi]: [f64; 2]) -> Self {
        // The axis opens empty ranges, here as there.
        let (lo, hi) = Axis::new(Scale::Linear, lo, hi).ends();
        Self { label: label.to_owned(), map, lo, hi }
    }

    pub(crate) fn fraction(&self, value: f64) -> f64 {
        ((value - self.lo) / (self.hi - self.lo)).clamp(0.0, 1.0)
    }
}

impl Layer {
    /// The points that the axes should make room for, coordinate by coordinate: not-a-number asks for none.
    pub(crate) fn extent(&self) -> Vec<[f64; 2]> {
        match self {
            Self::Line(Line { points, .. })
            | Self::Scatter(Scatter { points, .. })
            | Self::VectorField(VectorField { points, .. }) => points.clone(),
            Self::HeatMap(HeatMap { bounds: Bounds { x, y }, .. }) => vec![[x[0], y[0]], [x[1], y[1]]],
            Self::Trajectories(Trajectories { paths, .. }) => paths.concat(),
            Self::Reference(Reference { lo, hi, .. }) => vec![[f64::NAN, *lo], [f64::NAN, *hi]],
            Self::ErrorBars(ErrorBars { points, errors, .. }) => points
                .iter()
                .zip(errors)
                .flat_map(|([x, y], error)| [[*x, y - error], [*x, y + error]])
                .collect(),
        }
    }

    /// The colour scale in use, with the range that was set or the one the values have.
    pub(crate) fn color_scale(&self) -> Option<ColorScale> {
        let finite = |values: &mut dyn Iterator<Item = f64>| {
            let ends = values
                .filter(|v| v.is_finite())
                .fold([f64::INFINITY, f64::NEG_INFINITY], |[lo, hi], v| [lo.min(v), hi.max(v)]);
            if ends[0] <= ends[1] { ends } else { [0.0, 1.0] }
        };
        match self {
            Self::HeatMap(HeatMap { values, label, range, .. }) => {
                let range = range.unwrap_or_else(|| finite(&mut values.iter().copied()));
                Some(ColorScale::new(label, ColorMap::Depth, range))
            }
            Self::VectorField(VectorField { vectors, label, range, .. }) => {
                let range =
                    range.unwrap_or_else(|| [0.0, finite(&mut vectors.iter().map(|[u, v]| u.hypot(*v)))[1]]);
                Some(ColorScale::new(label, ColorMap::Flow, range))
            }
            Self::Trajectories(Trajectories { times, label, .. }) => {
                Some(ColorScale::new(label, ColorMap::Flow, finite(&mut times.iter().copied())))
            }
            Self::Line(_) | Self::Scatter(_) | Self::Reference(_) | Self::ErrorBars(_) => None,
        }
    }

    /// Replaces the range of the colour scale, for figures that share one.
    pub(crate) fn set_color_range(&mut self, shared: [f64; 2]) {
        match self {
            Self::HeatMap(HeatMap { range, .. }) | Self::VectorField(VectorField { range, .. }) => {
                *range = Some(shared);
            }
            Self::Line(_)
            | Self::Scatter(_)
            | Self::Trajectories(_)
            | Self::Reference(_)
            | Self::ErrorBars(_) => {}
        }
    }

    /// The name for the legend; empty where a colour bar speaks for the layer.
    pub(crate) fn legend_label(&self) -> &str {
        match self {
            Self::Line(Line { label, .. })
            | Self::Scatter(Scatter { label, .. })
            | Self::ErrorBars(ErrorBars { label, .. })
            | Self::Reference(Reference { label, .. }) => label,
            Self::HeatMap(_) | Self::VectorField(_) | Self::Trajectories(_) => "",
        }
    }

    /// The colour asked for: `None` for layers that take no colour of the palette, `Some(None)` for the next
    /// one.
    pub(crate) fn tone(&self) -> Option<Option<Tone>> {
        match self {
            Self::Line(Line { tone, .. })
            | Self::Scatter(Scatter { tone, .. })
            | Self::ErrorBars(ErrorBars { tone, .. }) => Some(*tone),
            Self::HeatMap(_) | Self::VectorField(_) | Self::Trajectories(_) | Self::Reference(_) => None,
        }
    }
}

impl From<Line> for Layer {
    fn from(layer: Line) -> Self {
        Self::Line(layer)
    }
}

impl From<Scatter> for Layer {
    fn from(layer: Scatter) -> Self {
        Self::Scatter(layer)
    }
}

impl From<HeatMap> for Layer {
    fn from(layer: HeatMap) -> Self {
        Self::HeatMap(layer)
    }
}

impl From<VectorField> for Layer {
    fn from(layer: VectorField) -> Self {
        Self::VectorField(layer)
    }
}

impl From<Trajectories> for Layer {
    fn from(layer: Trajectories) -> Self {
        Self::Trajectories(layer)
    }
}

impl From<Reference> for Layer {
    fn from(layer: Reference) -> Self {
        Self::Reference(layer)
    }
}

impl From<ErrorBars> for Layer {
    fn from(layer: ErrorBars) -> Self {
        Self::ErrorBars(layer)
    }
}
