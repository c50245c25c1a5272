//! What surrounds the data: grid, marks, names, legend, colour bars.

use crate::figure::Figure;
use crate::layer::Layer;
use crate::layers::{Line, Reference, Stroke, Tone};
use crate::layout::{BAR, Bar, LABEL_SIZE, LEGEND_ROW, Layout, TICK_SIZE, TITLE_SIZE};
use crate::markup::Element;
use crate::path::PathData;
use crate::text;

/// Steps in which a colour bar is painted; more than an eye tells apart at its height.
const BAR_STEPS: u32 = 48;

/// The class that gives a mark its colour.
pub(crate) fn tone_class(tone: Tone) -> String {
    match tone {
        Tone::Series(n) => format!("tw-s{}", n % crate::theme::SERIES.len()),
        Tone::Muted => "tw-s-muted".to_owned(),
    }
}

/// Grid and axis lines, which lie under the data.
pub(crate) fn behind(figure: &Figure, layout: &Layout) -> Vec<Element> {
    let Layout { left, top, frame, .. } = layout;
    let (right, bottom) = (left + frame.width, top + frame.height);
    let mut grid = PathData::default();
    let mut group = Element::new("g").class("tw-ticks");
    for tick in &layout.x_ticks {
        let Some(fraction) = frame.x.fraction(tick.value) else { continue };
        let x = left + fraction * frame.width;
        grid.polyline(&[[x, *top], [x, bottom]]);
        group.push(label(&tick.label, [x, bottom + TICK_SIZE + 5.0], "middle"));
    }
    for tick in &layout.y_ticks {
        let Some(fraction) = frame.y.fraction(tick.value) else { continue };
        let y = bottom - fraction * frame.height;
        grid.polyline(&[[*left, y], [right, y]]);
        if !figure.hide_y_labels {
            group.push(label(&tick.label, [left - 7.0, y + 0.35 * TICK_SIZE], "end"));
        }
    }
    let mut axis = PathData::default();
    axis.polyline(&[[*left, bottom], [right, bottom]]);
    vec![
        Element::void("path").class("tw-grid").attr("d", grid.into_text()),
        Element::void("path").class("tw-axis").attr("d", axis.into_text()),
        group,
    ]
}

/// Title, names, legend and colour bars, which lie over the data.
pub(crate) fn before(figure: &Figure, layout: &Layout) -> Vec<Element> {
    let Layout { left, top, frame, width, .. } = layout;
    let mut elements = Vec::new();
    if !figure.title.is_empty() {
        let title = text::fit(&figure.title, TITLE_SIZE * 1.06, width - 20.0);
        elements.push(label(&title, [10.0, 10.0 + TITLE_SIZE], "start").class("tw-title"));
    }
    if !figure.x_label.is_empty() {
        let name = text::fit(&figure.x_label, LABEL_SIZE, frame.width + left - 10.0);
        let baseline = top + frame.height + TICK_SIZE + 9.0 + LABEL_SIZE + 6.0;
        elements.push(label(&name, [left + 0.5 * frame.width, baseline], "middle").class("tw-label"));
    }
    if !figure.y_label.is_empty() && !figure.hide_y_labels {
        elements.push(upright(
            &figure.y_label,
            [8.0 + LABEL_SIZE, top + 0.5 * frame.height],
            frame.height + 20.0,
        ));
    }
    elements.extend(layout.legend.iter().map(|entry| {
        let y = layout.legend_top + entry.row as f64 * LEGEND_ROW + 0.5 * LEGEND_ROW;
        Element::new("g")
            .class("tw-legend")
            .child(swatch(&figure.layers[entry.layer], figure.tone(entry.layer), [entry.left, y]))
            .child(label(&entry.text, [entry.left + 24.0, y + 0.35 * LABEL_SIZE], "start").class("tw-label"))
    }));
    elements.extend(layout.bars.iter().map(|bar| color_bar(bar, *top, frame.height)));
    elements
}

/// A colour bar beside a plot that spans `top..top + height`.
pub(crate) fn color_bar(bar: &Bar, top: f64, height: f64) -> Element {
    let mut group = Element::new("g").class("tw-ticks");
    let step = height / f64::from(BAR_STEPS);
    for i in 0..BAR_STEPS {
        // Neighbours overlap by half a pixel so that no seam shows between them.
        group.push(
            Element::void("rect")
                .px("x", bar.left)
                .px("y", top + height - f64::from(i + 1) * step)
                .px("width", BAR)
                .px("height", step + if i == 0 { 0.0 } else { 0.5 })
                .attr("fill", bar.scale.map.at((f64::from(i) + 0.5) / f64::from(BAR_STEPS)).hex()),
        );
    }
    for tick in &bar.ticks {
        let y = top + height * (1.0 - bar.scale.fraction(tick.value));
        group.push(label(&tick.label, [bar.left + BAR + 6.0, y + 0.35 * TICK_SIZE], "start"));
    }
    if !bar.scale.label.is_empty() {
        // The name ends where the room of the bar ends.
        let x = bar.left - 14.0 + bar.room() - 2.0;
        group.push(upright(&bar.scale.label, [x, top + 0.5 * height], height + 20.0));
    }
    group
}

fn label(words: &str, [x, y]: [f64; 2], anchor: &str) -> Element {
    Element::new("text").px("x", x).px("y", y).attr("text-anchor", anchor).text(words)
}

/// Text that reads upwards, centred on a point of its baseline.
fn upright(words: &str, [x, y]: [f64; 2], room: f64) -> Element {
    let words = text::fit(words, LABEL_SIZE, room);
    let turn = format!("translate({} {}) rotate(-90)", crate::markup::px(x), crate::markup::px(y));
    Element::new("text").class("tw-label").attr("transform", turn).attr("text-anchor", "middle").text(&words)
}

fn swatch(layer: &Layer, tone: Tone, [x, y]: [f64; 2]) -> Element {
    let mut path = PathData::default();
    let style = match layer {
        Layer::Reference(Reference { lo, hi, .. }) => {
            let class = if lo == hi { "tw-reference" } else { "tw-band" };
            let height = if lo == hi { 0.0 } else { 5.0 };
            path.polyline(&[[x, y - height], [x + 18.0, y - height]]);
            if height > 0.0 {
                path.line_to([x + 18.0, y + height]);
                path.line_to([x, y + height]);
            }
            return Element::void("path").class(class).attr("d", path.into_text());
        }
        Layer::Scatter(_) => {
            path.dot([x + 9.0, y]);
            "tw-dots tw-swatch"
        }
        Layer::ErrorBars(_) => {
            path.polyline(&[[x + 9.0, y - 6.0], [x + 9.0, y + 6.0]]);
            path.polyline(&[[x + 6.0, y], [x + 12.0, y]]);
            "tw-line"
        }
        other => {
            path.polyline(&[[x, y], [x + 18.0, y]]);
            stroke_class(other)
        }
    };
    Element::void("path").class(&format!("{style} {}", tone_class(tone))).attr("d", path.into_text())
}

pub(crate) fn stroke_class(layer: &Layer) -> &'static str {
    match layer {
        Layer::Line(Line { stroke: Stroke::Dashed, .. }) => "tw-line tw-dashed",
        Layer::Line(Line { stroke: Stroke::Faint, .. }) => "tw-line tw-faint",
        _ => "tw-line",
    }
}
