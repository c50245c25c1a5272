//! Every kind of picture in one report, from made-up numbers:
//! `cargo run -p thalweg-plot --example gallery -- FOLDER` writes `gallery.html` and `gallery.gif` there.
use std::{f64::consts::PI, path::PathBuf};

use thalweg_noise::Noise;
use thalweg_plot::{
    Bounds, Cell, ErrorBars, Figure, HeatMap, Item, Line, Panels, PlotError, Reference, Report, RgbImage,
    Scatter, ScatterAnimation, Section, Stroke, Table, Tone, Trajectories, VectorField, image_grid,
};

type Cloud = Vec<[f64; 2]>;

/// Two half circles with a little noise.
fn moons(count: usize, noise: &mut Noise) -> Cloud {
    let mut point = |side: f64| {
        let angle = PI * noise.uniform();
        let [x, y] = [side * (angle.cos() - 0.5), side * (angle.sin() - 0.25)];
        [x + 0.08 * noise.normal(), y + 0.08 * noise.normal()]
    };
    (0..count).map(|i| point(if i % 2 == 0 { 1.0 } else { -1.0 })).collect()
}

/// Centres of `columns × columns` cells of the square from -2.5 to 2.5.
fn grid(columns: usize) -> Cloud {
    let at = |i: usize| 5.0 * ((i as f64 + 0.5) / columns as f64 - 0.5);
    (0..columns * columns).map(|i| [at(i % columns), at(i / columns)]).collect()
}

fn training(noise: &mut Noise) -> Figure {
    let mut loss = |s: f64| 0.3 + 3.0 / (1.0 + s / 60.0) * noise.gamma(9.0) / 9.0 + 0.05 * noise.uniform();
    let raw: Cloud = (1..=20_000).map(f64::from).map(|s| [s, loss(s)]).collect();
    let mean = |c: &[[f64; 2]]| [c[0][0] + 100.0, c.iter().map(|p| p[1]).sum::<f64>() / c.len() as f64];
    let means = raw.chunks(200).map(mean).collect();
    let figure = Figure::new("Training loss").x_label("step").y_label("loss").log_y();
    let figure = figure.with(Line::new("each step", raw).tone(Tone::Series(0)).stroke(Stroke::Faint));
    let figure = figure.with(Line::new("mean of 200", means).tone(Tone::Series(0)));
    figure.with(Reference::line("least possible loss", 0.3)).caption("Mean squared error of the velocity.")
}

fn methods() -> Figure {
    let independent = vec![[4.0, 0.62], [8.0, 0.35], [16.0, 0.24], [64.0, 0.19]];
    let transport = vec![[4.5, 0.31], [9.0, 0.22], [18.0, 0.18], [70.0, 0.17]];
    let figure = Figure::new("Distance against function evaluations").width(430.0).log_x();
    let figure = figure.x_label("evaluations").y_label("exact W₂");
    let figure = figure.with(Reference::band("two true samples", 0.12, 0.15));
    let figure = figure.with(ErrorBars::new("I-CFM", independent, vec![0.04, 0.03, 0.02, 0.015]));
    figure.with(ErrorBars::new("OT-CFM", transport, vec![0.02, 0.015, 0.01, 0.01]))
}

fn density(data: &Cloud) -> Figure {
    let kernel = |p: &[f64; 2], d: &[f64; 2]| (-60.0 * ((p[0] - d[0]).powi(2) + (p[1] - d[1]).powi(2))).exp();
    let at = |p: &[f64; 2]| data.iter().map(|d| kernel(p, d)).sum::<f64>() * 60.0 / PI / data.len() as f64;
    let map = HeatMap::new(grid(96).iter().map(at).collect(), 96, Bounds::new([-2.5, 2.5], [-2.5, 2.5]));
    Figure::new("Density").equal_aspect().x_label("x₁").y_label("x₂").with(map.label("p(x)"))
}

fn field(t: f64) -> Figure {
    let velocity = |[x, y]: [f64; 2]| [(1.0 + t) * (2.0 * y).sin() - x, -y - t * (2.0 * x).cos()];
    let arrows = VectorField::new(grid(14), grid(14).into_iter().map(velocity).collect());
    Figure::new(format!("t = {t}")).equal_aspect().with(arrows.label("speed"))
}

fn scores() -> Table {
    let distance = |value, error| Cell::number(value).plus_minus(error).floor(0.135);
    let energy = |value, error| Cell::number(value).plus_minus(error);
    let (independent, transport) = (distance(0.193, 0.0153), distance(0.1684, 0.0104).best());
    Table::new(["method", "exact W₂", "path energy", "seconds"])
        .row(["I-CFM".into(), independent, energy(8.21, 0.31), 31.2.into()])
        .row(["OT-CFM".into(), transport, energy(6.94, 0.22).best(), 36.9.into()])
        .caption("Five seeds, 2000 samples; mean ± standard error. The floor is what two true samples reach.")
}

fn images() -> Result<Item, PlotError> {
    let wave = |k: i32| (0..768).map(|i| (0.02 * f64::from(i * (k + 1))).sin()).collect::<Vec<f64>>();
    let images: Result<Vec<_>, _> = (0..24).map(|k| RgbImage::from_channels(&wave(k), 16, 16)).collect();
    Ok(Item::Picture { png: image_grid(&images?, 12)?, description: "24 made-up images.".to_owned() })
}

fn main() -> Result<(), PlotError> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    let noise = &mut Noise::new(7);
    let (data, samples) = (moons(2000, noise), moons(2000, noise));
    let source: Cloud = (0..2000).map(|_| [noise.normal(), noise.normal()]).collect();
    let times: Vec<f64> = (0..=60).map(|k| f64::from(k) / 60.0).collect();
    let at = |i: usize, t: f64| {
        let ([a, b], [x, y]) = (source[i], samples[i]);
        let bend = 0.5 * t * (1.0 - t) * (a - x);
        [a + t * (x - a) - bend, b + t * (y - b) + bend]
    };
    let paths = (0..120).map(|i| times.iter().map(|&t| at(i, t)).collect()).collect();
    let paths = Figure::new("Trajectories").equal_aspect().with(Trajectories::new(paths, times.clone()));
    let frames = times.iter().map(|&t| (0..2000).map(|i| at(i, t)).collect()).collect();
    let animation = ScatterAnimation::new("From noise to data", frames, times)?.target(data.clone());
    animation.to_gif(&folder.join("gallery.gif"), 420)?;
    let clouds = Figure::new("Data and samples").equal_aspect();
    let clouds = clouds.with(Scatter::new("data", data.clone()).tone(Tone::Muted));
    let clouds = clouds.with(Scatter::new("samples", samples));
    let panels = Panels::new("Velocity field").columns(5).width(1040.0).share_scales();
    let fields = [0.0, 0.25, 0.5, 0.75, 1.0].into_iter().fold(panels, |panels, t| panels.with(field(t)));
    let flow = Section::new("The flow").text("Noise at `t = 0` becomes data at `t = 1`.").with(animation);
    let recipe = "# Complete recipe.\n[data]\nname = \"two-moons\"\n\n[train]\nsteps = 20000\nrate = 1e-3\n";
    let reproduce = Section::new("How to reproduce").with(Item::code("console", "thalweg train two-moons"));
    let reproduce = reproduce.with(Item::code("toml", recipe));
    Report::new("two-moons")
        .subtitle("A gallery of every figure, from made-up numbers. Nothing here has been trained.")
        .fact("exact W₂", "0.168 ± 0.010")
        .fact("its floor", "0.135")
        .fact("training time", "36.9 s")
        .with(flow.with(clouds).with(density(&data)).with(paths).with(fields))
        .with(Section::new("Scores").with(scores()).with(methods()).with(Item::Note("Made up.".to_owned())))
        .with(Section::new("Training").with(training(noise)).with(Item::Warning("The loss rose.".to_owned())))
        .with(Section::new("Samples").with(images()?))
        .with(reproduce.with(Item::key_values([
            ("seed", "7"),
            ("machine", "2 cores"),
            ("commit", "0123abc"),
        ])))
        .footer("Made by the gallery example of thalweg-plot.")
        .write(&folder.join("gallery.html"))
}
