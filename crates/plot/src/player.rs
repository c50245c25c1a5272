//! Animations inside a report: the last frame as a drawing, which is all that a reader without scripts sees,
//! and the frames packed for the player of `assets/report.js`.
//!
//! A point takes 24 bits, which base64 writes as exactly four letters: twelve for the abscissa, twelve for
//! the ordinate, each counted from the low edge of the view in steps of 1/4094. All bits set means that the
//! point is not there.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::animation::ScatterAnimation;
use crate::figure::Figure;
use crate::layers::{Bounds, Scatter, Tone};
use crate::layout::Layout;
use crate::marks::evenly;
use crate::markup::Element;
use crate::raster::Viewport;
use crate::report;

/// Most frames and points that a page carries: 60 × 1200 × 4 letters stay below 300 kB.
const FRAMES: usize = 60;
const POINTS: usize = 1200;
const STEPS: f64 = 4094.0;
const ABSENT: u32 = 0xFF_FFFF;

pub(crate) fn element(animation: &ScatterAnimation) -> Element {
    let view = Viewport::square(animation.extent(), 1).bounds();
    let chosen = chosen_frames(animation.frames.len());
    let last = &animation.frames[animation.frames.len() - 1];
    let mut figure = Figure::new(&animation.title).equal_aspect().width(480.0).bounds(view);
    if !animation.target.is_empty() {
        figure =
            figure.with(Scatter::new("data", evenly(&animation.target, POINTS).collect()).tone(Tone::Muted));
    }
    figure = figure.with(Scatter::new("samples", evenly(last, POINTS).collect()).tone(Tone::Series(0)));
    let (layout, drawing) = (Layout::of(&figure), figure.draw());

    let points = last.len().min(POINTS);
    let frames: Vec<&Vec<[f64; 2]>> = chosen.iter().map(|&k| &animation.frames[k]).collect();
    let times: Vec<String> = chosen.iter().map(|&k| format!("{:.3}", animation.times[k])).collect();
    let percent = |part: f64, whole: f64| format!("{:.3}%", 100.0 * part / whole);
    let place = format!(
        "left:{};top:{};width:{};height:{}",
        percent(layout.left, drawing.width),
        percent(layout.top, drawing.height),
        percent(layout.frame.width, drawing.width),
        percent(layout.frame.height, drawing.height),
    );
    let canvas = Element::new("canvas").attr("style", place).attr("aria-hidden", "true");
    let controls = Element::new("div")
        .class("controls")
        .attr("hidden", "")
        .child(
            Element::new("button").attr("type", "button").class("play").attr("aria-label", "Play").text("▶"),
        )
        .child(
            Element::void("input")
                .attr("type", "range")
                .attr("min", 0)
                .attr("max", chosen.len() - 1)
                .attr("step", "any")
                .attr("value", chosen.len() - 1)
                .attr("aria-label", "Time"),
        )
        .child(Element::new("output").text(&format!("t = {}", times.last().map_or("", String::as_str))));
    let mut caption = drawing.full_caption(&animation.caption);
    if points < last.len() {
        caption = format!("{caption} {points} of {} points are shown.", last.len()).trim_start().to_owned();
    }
    let width = drawing.width;
    let stage = Element::new("div").class("stage").child(drawing.svg).child(canvas);
    Element::new("figure")
        .class("card player")
        .attr("style", report::flexible(width))
        .attr("data-points", points)
        .attr("data-times", times.join(" "))
        .attr("data-frames", pack(&frames, view))
        .child(stage)
        .child(controls)
        .children((!caption.is_empty()).then(|| Element::new("figcaption").text(&caption)))
}

/// At most [`FRAMES`] frames, evenly, the first and the last among them.
fn chosen_frames(count: usize) -> Vec<usize> {
    let kept = count.min(FRAMES);
    (0..kept).map(|i| if kept == 1 { 0 } else { i * (count - 1) / (kept - 1) }).collect()
}

fn pack(frames: &[&Vec<[f64; 2]>], view: Bounds) -> String {
    let step = |value: f64, [lo, hi]: [f64; 2]| {
        let fraction = (value - lo) / (hi - lo);
        (0.0..=1.0).contains(&fraction).then(|| (fraction * STEPS).round() as u32)
    };
    let code = |&[x, y]: &[f64; 2]| step(x, view.x).zip(step(y, view.y)).map_or(ABSENT, |(x, y)| x << 12 | y);
    let bytes: Vec<u8> = frames
        .iter()
        .flat_map(|frame| evenly(frame, POINTS))
        .flat_map(|point| {
            let [_, high, middle, low] = code(&point).to_be_bytes();
            [high, middle, low]
        })
        .collect();
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_takes_four_letters() {
        let view = Bounds::new([0.0, 1.0], [0.0, 1.0]);
        // 0 and 4094 are 000 and ffe in hexadecimal.
        assert_eq!(
            pack(&[&vec![[0.0, 1.0], [f64::NAN, 0.5]]], view),
            format!("{}////", STANDARD.encode([0x00, 0x0f, 0xfe]))
        );
    }

    #[test]
    fn chosen_frames_keep_both_ends() {
        for count in [1, 2, 59, 60, 61, 500] {
            let chosen = chosen_frames(count);
            assert_eq!((chosen[0], chosen[chosen.len() - 1]), (0, count - 1));
            assert!(chosen.len() <= FRAMES && chosen.windows(2).all(|pair| pair[0] < pair[1]), "{count}");
        }
    }
}
