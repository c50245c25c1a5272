//! Figures and panels: well-formed whatever goes in, small, the same every time, honest about what they
//! leave out.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{check_markup, spiral};
use proptest::prelude::*;
use thalweg_plot::{
    Bounds, ErrorBars, Figure, HeatMap, Layer, Line, Panels, Reference, Scatter, Stroke, Tone, Trajectories,
    VectorField, linear_ticks, log_ticks,
};

const UGLY: &str = "</text><script>alert(\"1\")</script>&'\u{0}\u{1b}";

fn every_layer(name: &str) -> Vec<Layer> {
    let points = spiral(50);
    let unit = Bounds::new([-1.0, 1.0], [-1.0, 1.0]);
    vec![
        HeatMap::new((0..12).map(f64::from).collect(), 4, unit).label(name).into(),
        Line::new(name, points.clone()).stroke(Stroke::Dashed).into(),
        Scatter::new(name, points.clone()).tone(Tone::Muted).into(),
        VectorField::new(points.clone(), points.clone()).label(name).into(),
        Trajectories::new(points.chunks(5).map(<[_]>::to_vec).collect(), vec![0.0, 0.1, 0.4, 0.5, 1.0])
            .label(name)
            .into(),
        Reference::line(name, 0.3).into(),
        Reference::band(name, -0.4, -0.2).into(),
        ErrorBars::new(name, points, vec![0.1; 50]).into(),
    ]
}

fn figure_of_everything(name: &str) -> Figure {
    let figure = Figure::new(name).x_label(name).y_label(name).caption(name);
    every_layer(name).into_iter().fold(figure, Figure::with)
}

#[test]
fn every_layer_alone_and_all_together_are_well_formed() {
    for layer in every_layer(UGLY) {
        let svg = Figure::new(UGLY).with(layer.clone()).render();
        check_markup(&svg).unwrap_or_else(|error| panic!("{layer:?}: {error}"));
    }
    let svg = figure_of_everything(UGLY).equal_aspect().render();
    let elements = check_markup(&svg).unwrap();
    assert!(!elements.contains(&"script".to_owned()));
    assert!(elements.contains(&"image".to_owned()));
}

#[test]
fn panels_are_well_formed_and_share_one_colour_bar() {
    let panel = |speed: f64| {
        let vectors = spiral(50).iter().map(|[u, v]| [u * speed, v * speed]).collect();
        Figure::new(UGLY).equal_aspect().with(VectorField::new(spiral(50), vectors).label("speed"))
    };
    let panels = (1..=5).fold(Panels::new(UGLY).columns(3), |panels, k| panels.with(panel(f64::from(k))));
    let names_of_bars = |svg: &str| svg.matches(">speed<").count();
    let (own, shared) = (panels.render(), panels.share_scales().render());
    check_markup(&own).unwrap();
    check_markup(&shared).unwrap();
    assert_eq!((names_of_bars(&own), names_of_bars(&shared)), (5, 1));
    check_markup(&Panels::new("none").share_scales().render()).unwrap();
}

#[test]
fn same_input_same_bytes() {
    assert_eq!(figure_of_everything("a").render(), figure_of_everything("a").render());
}

#[test]
fn empty_figures_still_draw_axes() {
    let empty_layers: [Layer; 5] = [
        Line::new("", vec![]).into(),
        Scatter::new("", vec![]).into(),
        VectorField::new(vec![], vec![]).into(),
        Trajectories::new(vec![], vec![]).into(),
        ErrorBars::new("", vec![], vec![]).into(),
    ];
    for figure in empty_layers
        .into_iter()
        .map(|layer| Figure::new("").with(layer))
        .chain([Figure::new(""), Figure::new("").log_y().log_x()])
    {
        let svg = figure.render();
        check_markup(&svg).unwrap();
        assert!(svg.contains("tw-axis") && svg.matches("text-anchor").count() >= 6, "{svg}");
    }
}

#[test]
fn what_is_left_out_is_counted_in_the_caption() {
    let check = |figure: Figure, expected: &str| {
        let svg = figure.render();
        assert!(svg.contains(expected), "{expected:?} is not in {svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    };
    let bad = vec![[0.0, 1.0], [1.0, f64::NAN], [f64::INFINITY, 2.0], [3.0, 4.0]];
    check(Figure::new("").with(Line::new("", bad.clone())), "2 points skipped: not finite");
    check(Figure::new("").with(Scatter::new("", bad.clone())), "2 points skipped: not finite");
    check(Figure::new("").with(VectorField::new(bad.clone(), bad.clone())), "2 points skipped: not finite");
    check(Figure::new("").with(ErrorBars::new("", bad, vec![0.1; 4])), "2 points skipped: not finite");
    check(
        Figure::new("").log_y().with(Line::new("", vec![[0.0, 1.0], [1.0, -1.0], [2.0, 9.0]])),
        "1 point skipped: not a finite",
    );
    check(
        Figure::new("").with(Line::new("", vec![[0.0, 1.0], [1.0, 1e200]])),
        "1 point skipped: not a finite",
    );
    let cells = HeatMap::new(vec![1.0, f64::NAN, 2.0, 3.0], 2, Bounds::new([0.0, 1.0], [0.0, 1.0]));
    check(Figure::new("").with(cells), "1 point skipped: not a finite");
    check(
        Figure::new("").x_range(0.0, 2.0).with(Scatter::new("", vec![[1.0, 1.0], [9.0, 1.0]])),
        "1 point lies outside",
    );
    check(Figure::new("").with(Scatter::new("", spiral(25_000))), "5000 further points not drawn");
}

#[test]
fn a_gap_in_a_line_stays_a_gap() {
    let points = vec![[0.0, 0.0], [1.0, 1.0], [2.0, f64::NAN], [3.0, 1.0], [4.0, 0.0]];
    let svg = Figure::new("").with(Line::new("", points)).render();
    let line = svg.split("<path d=\"").skip(1).find(|part| part.contains("tw-line")).unwrap();
    assert_eq!(line.split('"').next().unwrap().matches('m').count(), 2, "{line}");
}

#[test]
fn figures_stay_small() {
    let line = Figure::new("")
        .with(Line::new("loss", (0..100_000).map(|i| [f64::from(i), f64::from(i * 7919 % 1000)]).collect()));
    assert!(line.render().len() < 60_000, "{}", line.render().len());
    let cloud = Figure::new("").equal_aspect().with(Scatter::new("", spiral(5000)));
    assert!(cloud.render().len() < 75_000, "{}", cloud.render().len());
    let paths = (0..200).map(|k| spiral(50).iter().map(|p| [p[0] + f64::from(k), p[1]]).collect()).collect();
    let curves = Figure::new("").with(Trajectories::new(paths, (0..50).map(f64::from).collect()));
    assert!(curves.render().len() < 150_000, "{}", curves.render().len());
}

#[test]
fn a_heat_map_starts_at_the_bottom() {
    // The greatest value is in the last row, which belongs at the top of the picture.
    let svg = Figure::new("")
        .with(HeatMap::new(vec![0.0, 0.0, 0.0, 1.0], 2, Bounds::new([0.0, 1.0], [0.0, 1.0])))
        .render();
    let data = svg.split("base64,").nth(1).unwrap().split('"').next().unwrap();
    let png = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, data).unwrap();
    let picture = image::load_from_memory(&png).unwrap().to_rgb8();
    let brightness = |x, y| picture.get_pixel(x, y).0.iter().map(|&v| u32::from(v)).sum::<u32>();
    assert!(brightness(1, 0) > 600, "{picture:?}");
    assert!(brightness(0, 0) < 150 && brightness(1, 1) < 150, "{picture:?}");
}

#[test]
fn equal_aspect_bears_a_point_far_from_the_origin() {
    let far = vec![[-1.191_077_775_515_261_8e77, 1.213_908_973_500_864_1e-235]];
    check_markup(&Figure::new("").equal_aspect().with(Scatter::new("", far)).render()).unwrap();
}

#[test]
#[should_panic(expected = "a heat map needs linear axes")]
fn heat_maps_refuse_logarithmic_axes() {
    let _ = Figure::new("")
        .log_y()
        .with(HeatMap::new(vec![1.0], 1, Bounds::new([1.0, 2.0], [1.0, 2.0])))
        .render();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn linear_ticks_are_inside_even_and_neither_few_nor_many(lo in -1e6..1e6_f64, exponent in -6.0..9.0_f64) {
        let hi = lo + 10f64.powf(exponent);
        let ticks = linear_ticks(lo, hi);
        prop_assert!((3..=10).contains(&ticks.len()), "{:?}", ticks);
        prop_assert!(ticks.iter().all(|tick| (lo..=hi).contains(&tick.value)));
        let gaps: Vec<f64> = ticks.windows(2).map(|pair| pair[1].value - pair[0].value).collect();
        let tolerance = 1e-5 * gaps[0] + 1e-9;
        prop_assert!(gaps.iter().all(|gap| (gap - gaps[0]).abs() <= tolerance), "{:?}", ticks);
        let mut labels: Vec<&str> = ticks.iter().map(|tick| tick.label.as_str()).collect();
        labels.dedup();
        prop_assert_eq!(labels.len(), ticks.len(), "labels repeat: {:?}", ticks);
    }

    #[test]
    fn log_ticks_are_inside_growing_and_neither_few_nor_many(start in -30.0..30.0_f64, decades in 0.01..60.0_f64) {
        let (lo, hi) = (10f64.powf(start), 10f64.powf(start + decades));
        let ticks = log_ticks(lo, hi);
        prop_assert!((3..=10).contains(&ticks.len()), "{:?}", ticks);
        prop_assert!(ticks.iter().all(|tick| (lo..=hi).contains(&tick.value)), "[{}, {}] {:?}", lo, hi, ticks);
        prop_assert!(ticks.windows(2).all(|pair| pair[0].value < pair[1].value));
    }

    #[test]
    fn any_numbers_give_a_well_formed_figure(points in prop::collection::vec([any::<f64>(), any::<f64>()], 0..40), title in any::<String>()) {
        let figure = Figure::new(title).with(Line::new("line", points.clone())).with(Scatter::new("dots", points));
        for figure in [figure.clone(), figure.clone().log_y().log_x(), figure.equal_aspect()] {
            let svg = figure.render();
            prop_assert!(check_markup(&svg).is_ok(), "{:?}", check_markup(&svg));
            prop_assert!(!svg.contains("NaN"));
        }
    }
}
