//! The report: one well-formed file that fetches nothing, cannot be injected into, and stays small.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{check_markup, spiral};
use thalweg_plot::{
    Cell, Figure, Item, Line, Panels, Report, RgbImage, Scatter, ScatterAnimation, Section, Table,
    Trajectories, image_grid,
};

const UGLY: &str =
    "</title></script><script>alert('x')</script><img src=\"http://evil\" onerror=\"x\">&amp;`<b>`\u{0}";

fn animation(title: &str, frames: usize, points: usize) -> ScatterAnimation {
    let times: Vec<f64> = (0..frames).map(|k| k as f64 / (frames - 1) as f64).collect();
    let frames =
        times.iter().map(|t| spiral(points).iter().map(|[x, y]| [x * (1.0 + t), y - t]).collect()).collect();
    ScatterAnimation::new(title, frames, times).unwrap().target(spiral(500)).caption(title)
}

/// A report with every kind of item, all its words being `words`.
fn report(words: &str) -> Report {
    let figure = Figure::new(words)
        .caption(words)
        .with(Line::new(words, spiral(20)))
        .with(Scatter::new(words, spiral(1000)));
    let table = Table::new([words, "value"])
        .row([words.into(), Cell::number(1.5).plus_minus(0.1).floor(1.0).best()])
        .caption(words);
    let png = image_grid(&[RgbImage::new(2, 2, vec![7; 12]).unwrap()], 1).unwrap();
    Report::new(words)
        .subtitle(words)
        .footer(words)
        .fact(words, words)
        .with(
            Section::new(words)
                .text(words)
                .with(figure.clone())
                .with(Panels::new(words).caption(words).with(figure.clone()).with(figure)),
        )
        .with(
            Section::new(words)
                .with(animation(words, 8, 100))
                .with(table)
                .with(Item::Picture { png, description: words.to_owned() }),
        )
        .with(
            Section::new(words)
                .with(Item::code("toml", format!("# {words}\n[{words}]\nkey = \"{words}\"\n")))
                .with(Item::code(words, words)),
        )
        .with(
            Section::new(words)
                .with(Item::key_values([(words, words)]))
                .with(Item::Note(words.to_owned()))
                .with(Item::Warning(words.to_owned())),
        )
}

#[test]
fn every_item_is_well_formed_and_words_stay_words() {
    let html = report(UGLY).render();
    let elements = check_markup(&html).unwrap();
    let count = |name: &str| elements.iter().filter(|element| *element == name).count();
    // Two scripts of our own, and the one picture.
    assert_eq!((count("script"), count("img"), count("b"), count("title")), (2, 1, 0, 1));
    assert_eq!((count("h1"), count("h2"), count("canvas"), count("table"), count("nav")), (1, 4, 1, 1, 1));
    assert!(!html.contains("<script>alert") && html.contains("&lt;script&gt;alert"));
}

#[test]
fn nothing_is_fetched() {
    let html = report("plain words").render();
    assert!(
        !html.contains("http://")
            && !html.contains("https://")
            && !html.contains("url(")
            && !html.contains("@import")
    );
    for attribute in ["src=\"", "href=\""] {
        for value in html.split(attribute).skip(1) {
            assert!(
                value.starts_with("data:image/png;base64,") || value.starts_with('#'),
                "{attribute}{value:.60}"
            );
        }
    }
    assert!(html.contains("default-src &#39;none&#39;"));
}

#[test]
fn a_reader_without_scripts_sees_the_last_frame_and_no_dead_buttons() {
    let html = Report::new("").with(Section::new("").with(animation("motion", 5, 40))).render();
    let player = html.split("class=\"card player\"").nth(1).unwrap();
    assert_eq!(player.split("</svg>").next().unwrap().matches("class=\"tw-dots tw-s0\"").count(), 1);
    assert!(player.contains("class=\"controls\" hidden=\"\""));
    assert!(html.contains("class=\"theme\" hidden=\"\""));
    // Five frames of forty points take four letters each.
    let frames = player.split("data-frames=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(frames.len(), 5 * 40 * 4);
    assert!(
        player.contains("data-points=\"40\"")
            && player.contains("data-times=\"0.000 0.250 0.500 0.750 1.000\"")
    );
}

#[test]
fn contents_appear_when_there_is_something_to_look_up() {
    let with_sections = |count: usize| {
        (0..count).fold(Report::new("r"), |report, k| report.with(Section::new(format!("part {k}")))).render()
    };
    assert!(!with_sections(3).contains("<nav"));
    let long = with_sections(4);
    assert!(
        (1..=4).all(|k| long.contains(&format!("href=\"#section-{k}\""))
            && long.contains(&format!("id=\"section-{k}\"")))
    );
}

#[test]
fn a_rich_report_stays_below_two_megabytes() {
    let paths = spiral(300)
        .iter()
        .map(|[x, y]| (0..60).map(|k| [x + f64::from(k) / 60.0, y * f64::from(k)]).collect())
        .collect();
    let html =
        Report::new("large")
            .with(
                Section::new("all")
                    .with(animation("motion", 200, 10_000))
                    .with(Figure::new("").with(Scatter::new("", spiral(10_000))))
                    .with(Figure::new("").with(Trajectories::new(paths, (0..60).map(f64::from).collect())))
                    .with(Figure::new("").with(Line::new(
                        "",
                        (0..200_000).map(|i| [f64::from(i), f64::from(i % 997)]).collect(),
                    ))),
            )
            .render();
    assert!(html.len() < 1_500_000, "{} bytes", html.len());
}

#[test]
fn the_same_report_is_the_same_bytes_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    report("words").write(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), report("words").render());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
#[should_panic(expected = "one cell for each of its columns")]
fn rows_must_fit_their_columns() {
    let _ = Table::new(["a", "b"]).row([Cell::number(1.0)]);
}
