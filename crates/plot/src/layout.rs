//! Where things go in a figure: margins measured from the text they hold, and the map from data to pixels.

use crate::axis::Axis;
use crate::figure::Figure;
use crate::layer::ColorScale;
use crate::layers::Bounds;
use crate::text;
use crate::ticks::{Tick, linear_ticks};

pub(crate) const TITLE_SIZE: f64 = 14.0;
pub(crate) const LABEL_SIZE: f64 = 12.5;
pub(crate) const TICK_SIZE: f64 = 11.5;
pub(crate) const LEGEND_ROW: f64 = 19.0;
/// Thickness of a colour bar.
pub(crate) const BAR: f64 = 10.0;
const EDGE: f64 = 10.0;

/// The plotting rectangle in its own pixels, origin at the top left, with the axes that map data into it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
}

impl Frame {
    /// Pixel position of a point, which may lie outside the rectangle; `None` if it has no place on the axes.
    pub(crate) fn place(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        Some([self.x.fraction(x)? * self.width, (1.0 - self.y.fraction(y)?) * self.height])
    }

    pub(crate) fn contains(&self, [x, y]: [f64; 2]) -> bool {
        (0.0..=self.width).contains(&x) && (0.0..=self.height).contains(&y)
    }
}

/// A colour bar with its marks.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub(crate) scale: ColorScale,
    pub(crate) ticks: Vec<Tick>,
    /// Distance of the bar from the left edge of the figure.
    pub(crate) left: f64,
}

impl Bar {
    pub(crate) fn new(scale: ColorScale) -> Self {
        let ticks = linear_ticks(scale.lo, scale.hi);
        Self { scale, ticks, left: 0.0 }
    }

    /// Room it takes to the right of the plot, its margin included.
    pub(crate) fn room(&self) -> f64 {
        let label = if self.scale.label.is_empty() { 0.0 } else { LABEL_SIZE + 8.0 };
        14.0 + BAR + 6.0 + widest(&self.ticks) + label
    }
}

/// One entry of the legend: the index of its layer and its place.
#[derive(Debug, Clone)]
pub(crate) struct LegendEntry {
    pub(crate) layer: usize,
    pub(crate) text: String,
    pub(crate) left: f64,
    pub(crate) row: usize,
}

/// Everything about a figure's geometry.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) frame: Frame,
    pub(crate) x_ticks: Vec<Tick>,
    pub(crate) y_ticks: Vec<Tick>,
    pub(crate) bars: Vec<Bar>,
    pub(crate) legend: Vec<LegendEntry>,
    /// Top of the first row of the legend.
    pub(crate) legend_top: f64,
}

impl Layout {
    pub(crate) fn of(figure: &Figure) -> Self {
        let Bounds { x, y } = figure.data_bounds();
        let mut x = fitted(figure, x, figure.x_range.is_some(), 0);
        let mut y = fitted(figure, y, figure.y_range.is_some(), 1);
        let mut bars: Vec<Bar> = figure.color_bars().into_iter().map(Bar::new).collect();
        // The last label of the abscissa is centred on its mark and may stick out by half its width.
        let overhang = x.ticks().last().map_or(0.0, |tick| 0.5 * text::width(&tick.label, TICK_SIZE));
        let right = EDGE + bars.iter().map(Bar::room).sum::<f64>().max(overhang - 4.0);
        // Widths of labels depend on the axes, which equal aspect may stretch: measure, stretch, measure
        // again.
        let mut left = left_margin(figure, &y.ticks());
        let mut aspect = figure.aspect;
        if figure.equal_aspect {
            // Beyond these an axis grows instead: a figure stays a figure, and rows of them stay even.
            aspect = (y.length() / x.length()).clamp(0.75, 1.15);
            if y.length() < aspect * x.length() {
                y = y.with_length(aspect * x.length());
            } else {
                x = x.with_length(y.length() / aspect);
            }
            left = left_margin(figure, &y.ticks());
        }
        let plot_width = (figure.width - left - right).max(20.0);
        let plot_height = plot_width * aspect;

        let legend_top = EDGE + if figure.title.is_empty() { 0.0 } else { TITLE_SIZE + 10.0 };
        let legend = legend(figure, figure.width - 2.0 * EDGE);
        let rows = legend.last().map_or(0, |entry| entry.row + 1);
        let top = legend_top + rows as f64 * LEGEND_ROW + if rows > 0 { 6.0 } else { 0.0 };
        let below = TICK_SIZE + 12.0 + if figure.x_label.is_empty() { 0.0 } else { LABEL_SIZE + 8.0 };

        let mut bar_left = left + plot_width;
        for bar in &mut bars {
            bar.left = bar_left + 14.0;
            bar_left += bar.room();
        }
        Self {
            width: figure.width,
            height: top + plot_height + below + EDGE - 4.0,
            left,
            top,
            frame: Frame { width: plot_width, height: plot_height, x, y },
            x_ticks: spaced(x.ticks(), x, plot_width),
            y_ticks: y.ticks(),
            bars,
            legend,
            legend_top,
        }
    }
}

/// The axis over a range: exactly as asked, or with some air around what was measured.
fn fitted(figure: &Figure, [lo, hi]: [f64; 2], fixed: bool, dimension: usize) -> Axis {
    let axis = Axis::new(if dimension == 0 { figure.x_scale } else { figure.y_scale }, lo, hi);
    let air = match (fixed || figure.fills_plane(), figure.is_curve(), dimension) {
        (true, ..) | (false, true, 0) => 0.0,
        _ => 0.04,
    };
    axis.padded(air)
}

/// Drops every second label, or more, where they would run into each other.
fn spaced(ticks: Vec<Tick>, axis: Axis, width: f64) -> Vec<Tick> {
    let room = width / (ticks.len().max(2) - 1) as f64;
    let (lo, hi) = axis.ends();
    let covered = ticks.last().map_or(1.0, |last| {
        let fraction = |v: f64| axis.fraction(v).unwrap_or(0.0);
        (fraction(last.value) - fraction(ticks[0].value)).max(1e-3)
    });
    debug_assert!(lo < hi);
    let stride = ((widest(&ticks) + 8.0) / (room * covered)).ceil().max(1.0) as usize;
    // Start so that zero, where there is one, keeps its label.
    let zero = ticks.iter().position(|tick| tick.label == "0").unwrap_or(0);
    ticks.into_iter().skip(zero % stride).step_by(stride).collect()
}

fn left_margin(figure: &Figure, ticks: &[Tick]) -> f64 {
    let label = if figure.y_label.is_empty() { 0.0 } else { LABEL_SIZE + 10.0 };
    EDGE + if figure.hide_y_labels { 0.0 } else { label + widest(ticks) + 8.0 }
}

fn widest(ticks: &[Tick]) -> f64 {
    ticks.iter().map(|tick| text::width(&tick.label, TICK_SIZE)).fold(0.0, f64::max)
}

/// Places the names of series from left to right, in rows.
fn legend(figure: &Figure, room: f64) -> Vec<LegendEntry> {
    let (mut left, mut row) = (0.0, 0);
    let mut entries = Vec::new();
    for (layer, label) in figure.legend_labels() {
        let text = text::fit(label, LABEL_SIZE, room - 24.0);
        let width = 24.0 + text::width(&text, LABEL_SIZE) + 16.0;
        if left > 0.0 && left + width - 16.0 > room {
            (left, row) = (0.0, row + 1);
        }
        entries.push(LegendEntry { layer, text, left: EDGE + left, row });
        left += width;
    }
    entries
}
