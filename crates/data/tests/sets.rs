//! Every synthetic set has the distribution it says: against torchcfm where there is one, otherwise by moments,
//! support, class weights and the shape that defines it.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::f64::consts::{PI, TAU};
use std::path::{Path, PathBuf};

use thalweg_data::{
    Aspect, Batch, Checkerboard, Condition, ConditionConfig, DataConfig, Dataset, EightGaussians,
    GaussianConfig, GaussianMixture, ImageConfig, Ink, Npz, Pinwheel, RandomGaussianConfig, Rings, SetConfig,
    Spirals, SwissRoll, Texture, TwoMoons,
};
use thalweg_noise::Noise;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/data")
}

fn load(config: &DataConfig) -> Dataset {
    Dataset::load(config, 0, &fixtures()).unwrap()
}

/// Points of a set.
fn draw(set: SetConfig, rows: usize) -> Batch {
    load(&DataConfig::of(set)).batch(rows, 3, 0).unwrap()
}

/// Points of a set with their classes.
fn draw_classes(set: SetConfig, rows: usize) -> (Vec<[f64; 2]>, Vec<usize>) {
    let condition = ConditionConfig::Label { member: None, column: None };
    let batch = load(&DataConfig { condition, ..DataConfig::of(set) }).batch(rows, 3, 0).unwrap();
    let Condition::Labels(labels) = batch.condition else { panic!("labels were asked for") };
    (planar(&batch.points), labels)
}

fn planar(points: &[f64]) -> Vec<[f64; 2]> {
    points.chunks_exact(2).map(|p| [p[0], p[1]]).collect()
}

fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count() as f64;
    values.sum::<f64>() / count
}

/// The share of permutations of the pooled sample whose energy statistic is as large as the one observed.
fn energy_p_value(x: &[[f64; 2]], y: &[[f64; 2]]) -> f64 {
    const PERMUTATIONS: usize = 99;
    let pool: Vec<[f64; 2]> = x.iter().chain(y).copied().collect();
    let n = pool.len();
    let mut distances = vec![0.0_f32; n * n];
    for i in 0..n {
        for j in 0..n {
            distances[i * n + j] = (pool[i][0] - pool[j][0]).hypot(pool[i][1] - pool[j][1]) as f32;
        }
    }
    // With s = 1/|x| on x and -1/|y| on y, the statistic is −sᵀ D s.
    let statistic = |order: &[usize]| {
        let mut weights = vec![-1.0 / y.len() as f32; n];
        order[..x.len()].iter().for_each(|&i| weights[i] = 1.0 / x.len() as f32);
        let row =
            |i: usize| distances[i * n..(i + 1) * n].iter().zip(&weights).map(|(d, w)| d * w).sum::<f32>();
        -(0..n).map(|i| f64::from(weights[i]) * f64::from(row(i))).sum::<f64>()
    };
    let observed = statistic(&(0..n).collect::<Vec<_>>());
    let mut noise = Noise::new(11);
    let larger = (0..PERMUTATIONS).filter(|_| statistic(&noise.permutation(n)) >= observed).count();
    (larger + 1) as f64 / (PERMUTATIONS + 1) as f64
}

fn torchcfm(member: &str) -> Vec<[f64; 2]> {
    planar(&Npz::open(fixtures().join("torchcfm.npz")).unwrap().array(member).unwrap().values)
}

#[test]
fn eight_gaussians_are_those_of_torchcfm() {
    let theirs = torchcfm("eight_gaussians");
    let ours = planar(&draw(SetConfig::EightGaussians(EightGaussians::default()), 600).points);
    let p = energy_p_value(&theirs, &ours);
    assert!(p > 0.05, "the energy test tells ours from theirs: p = {p}");
    // The energy statistic is dominated by the places of the modes, so their width is compared on its own.
    let width = |points: &[[f64; 2]]| {
        mean(points.iter().map(|&[x, y]| {
            let angle = (y.atan2(x) / (TAU / 8.0)).round() * TAU / 8.0;
            ((x - 5.0 * angle.cos()).powi(2) + (y - 5.0 * angle.sin()).powi(2)) / 2.0
        }))
    };
    let variance = 0.1_f64.sqrt();
    // 1200 squares of normals: the relative standard error is sqrt(2/1200) = 4%.
    for points in [&theirs, &ours] {
        assert!((width(points) / variance - 1.0).abs() < 0.16, "{} against {variance}", width(points));
    }
}

#[test]
fn two_moons_are_those_of_torchcfm() {
    let theirs = torchcfm("two_moons");
    let of =
        |noise| planar(&draw(SetConfig::TwoMoons(TwoMoons { noise, ..TwoMoons::default() }), 600).points);
    let p = energy_p_value(&theirs, &of(0.2));
    assert!(p > 0.05, "the energy test tells ours from theirs: p = {p}");
    let p = energy_p_value(&theirs, &of(0.8));
    assert!(p < 0.02, "the energy test is blind: p = {p} for other moons");
    // The defining property: the push is along the diagonal, so x − y lies on the noiseless curve's range, and every
    // point of theirs has positive density under our formula.
    let data = load(&DataConfig::of(SetConfig::TwoMoons(TwoMoons::default())));
    let outside = |points: &[[f64; 2]]| {
        points.iter().filter(|p| !data.log_density(&p[..]).unwrap().is_finite()).count()
    };
    // Their ends of the arcs are exact, and single precision may put them an ulp outside.
    assert!(outside(&theirs) <= 4, "{} of their points are outside our support", outside(&theirs));
    assert_eq!(outside(&of(0.2)), 0);
}

#[test]
fn classes_have_their_weights_and_places() {
    let check = |set: SetConfig, weights: &[f64]| -> (Vec<[f64; 2]>, Vec<usize>) {
        let rows = 20_000;
        let (points, labels) = draw_classes(set, rows);
        for (class, &weight) in weights.iter().enumerate() {
            let share = labels.iter().filter(|&&label| label == class).count() as f64 / rows as f64;
            let error = (weight * (1.0 - weight) / rows as f64).sqrt();
            assert!((share - weight).abs() < 4.0 * error, "class {class}: {share} against {weight}");
        }
        assert!(labels.iter().all(|&label| label < weights.len()));
        (points, labels)
    };
    let (points, labels) = check(SetConfig::TwoMoons(TwoMoons::default()), &[0.5; 2]);
    // Undone, a moon's points are at distance 1 from its centre after the push, which is at most 0.2 along (1, 1).
    for (point, label) in points.iter().zip(labels) {
        let centre = if label == 0 { [0.0, 0.0] } else { [1.0, 0.5] };
        let from = |push: f64| {
            ((point[0] + 1.0) / 3.0 - push - centre[0]).hypot((point[1] + 1.0) / 3.0 - push - centre[1])
        };
        let closest =
            (0..=200).map(|k| (from(f64::from(k) * 0.001) - 1.0).abs()).fold(f64::INFINITY, f64::min);
        assert!(closest < 2e-3, "{point:?} is no point of moon {label}");
    }
    let (points, labels) = check(SetConfig::EightGaussians(EightGaussians::default()), &[0.125; 8]);
    let modes = load(&DataConfig::of(SetConfig::EightGaussians(EightGaussians::default()))).modes().unwrap();
    for (mode, centre) in modes.centres.iter().enumerate() {
        let own: Vec<&[f64; 2]> =
            points.iter().zip(&labels).filter(|(_, l)| **l == mode).map(|(p, _)| p).collect();
        for axis in 0..2 {
            let error = modes.deviations[mode] / (own.len() as f64).sqrt();
            assert!((mean(own.iter().map(|p| p[axis])) - centre[axis]).abs() < 4.0 * error, "mode {mode}");
        }
    }
    let mixture = GaussianMixture {
        weights: vec![1.0, 3.0],
        means: vec![vec![-2.0, 0.0], vec![2.0, 1.0]],
        deviations: vec![0.5, 0.1],
    };
    check(SetConfig::GaussianMixture(mixture), &[0.25, 0.75]);
    let (points, labels) = check(SetConfig::Rings(Rings::default()), &[0.25; 4]);
    for (ring, radius) in Rings::default().radii.into_iter().enumerate() {
        let radii: Vec<f64> =
            points.iter().zip(&labels).filter(|(_, l)| **l == ring).map(|(p, _)| p[0].hypot(p[1])).collect();
        // To second order the mean radius is r + σ²/2r, and its spread is σ.
        let expected = radius + 0.08 * 0.08 / (2.0 * radius);
        let error = 0.08 / (radii.len() as f64).sqrt();
        assert!((mean(radii.iter().copied()) - expected).abs() < 4.5 * error, "ring {ring}");
        assert!(radii.iter().all(|r| (r - radius).abs() < 5.5 * 0.08), "ring {ring}");
    }
    let (points, labels) = check(SetConfig::Pinwheel(Pinwheel::default()), &[0.2; 5]);
    for (point, label) in points.iter().zip(labels) {
        // Along the arm the turn is known up to the width: undo it and look at what is left across.
        let radius = point[0].hypot(point[1]) / 2.0;
        if radius > 0.7 {
            let turn = TAU * label as f64 / 5.0 + 0.25 * radius.exp();
            let (sin, cos) = turn.sin_cos();
            let across = (point[0] * sin + point[1] * cos) / 2.0;
            assert!(across.abs() < 0.75, "{point:?} is {across} off arm {label}");
        }
    }
    let (points, labels) = check(SetConfig::Spirals(Spirals { noise: 0.0, ..Spirals::default() }), &[0.5; 2]);
    for (point, label) in points.iter().zip(labels) {
        let radius = point[0].hypot(point[1]);
        let turn = TAU * 1.5 * radius / 3.5 + PI * label as f64;
        let distance = (point[0] - radius * turn.cos()).hypot(point[1] - radius * turn.sin());
        assert!(distance < 1e-12, "{point:?} is {distance} off spiral {label}");
    }
    // Equal mass on equal areas: the mean of r² is half of the largest.
    let square = mean(points.iter().map(|p| p[0].powi(2) + p[1].powi(2)));
    assert!((square / (0.5 * 3.5 * 3.5) - 1.0).abs() < 0.02, "{square}");
}

#[test]
fn the_swiss_roll_lies_on_its_curve() {
    let points = planar(&draw(SetConfig::SwissRoll(SwissRoll { scale: 0.2, noise: 0.0 }), 20_000).points);
    let angles = points.iter().map(|p| p[0].hypot(p[1]) / 0.2);
    for (point, angle) in points.iter().zip(angles.clone()) {
        assert!((1.5 * PI..=4.5 * PI).contains(&angle), "{angle}");
        assert!((point[0] - 0.2 * angle * angle.cos()).abs() < 1e-12);
    }
    // Uniform on an interval of length 3π: standard error 3π/sqrt(12 n).
    assert!((mean(angles) - 3.0 * PI).abs() < 4.0 * 3.0 * PI / (12.0 * 20_000_f64).sqrt());
}

#[test]
fn the_checkerboard_fills_half_of_the_squares_evenly() {
    let board = load(&DataConfig::of(SetConfig::Checkerboard(Checkerboard::default())));
    let points = board.batch(16_000, 0, 0).unwrap().points;
    let mut counts = [[0_usize; 4]; 4];
    for point in points.chunks_exact(2) {
        assert_eq!(board.log_density(point), Some(-(32_f64.ln())), "{point:?}");
        counts[((point[0] + 4.0) / 2.0) as usize][((point[1] + 4.0) / 2.0) as usize] += 1;
    }
    for (column, row) in (0..4).flat_map(|column| (0..4).map(move |row| (column, row))) {
        let count = counts[column][row] as f64;
        let expected = if (column + row) % 2 == 0 { 2000.0 } else { 0.0 };
        // Standard deviation sqrt(16000 · 1/8 · 7/8) = 42.
        assert!(
            (count - expected).abs() < 4.5 * 42.0 * f64::from(u8::from(expected > 0.0)) + 0.5,
            "{counts:?}"
        );
    }
    for outside in [[1.0, -1.0], [4.1, 0.5], [-5.0, -5.0], [f64::NAN, 0.0]] {
        assert_eq!(board.log_density(&outside), Some(f64::NEG_INFINITY), "{outside:?}");
    }
}

/// The mean log-density of samples is minus the entropy.
fn check_entropy(set: SetConfig, entropy: f64, tolerance: f64) {
    let data = load(&DataConfig::of(set));
    let batch = data.batch(20_000, 5, 0).unwrap();
    let found = -mean(batch.points.chunks_exact(batch.dim).map(|point| data.log_density(point).unwrap()));
    assert!((found - entropy).abs() < tolerance, "{found} against {entropy}");
}

#[test]
fn densities_have_the_entropy_they_should() {
    let gaussian = |dim: f64| 0.5 * dim * (1.0 + TAU.ln());
    // Standard error of the mean: sqrt(d/2 / n), 0.02 for 16 dimensions, 0.007 for 2.
    check_entropy(SetConfig::RandomGaussian(RandomGaussianConfig::default()), gaussian(16.0), 0.08);
    let given = GaussianConfig { mean: vec![1.0, 2.0], covariance: vec![vec![2.0, 0.3], vec![0.3, 0.5]] };
    check_entropy(SetConfig::Gaussian(given), gaussian(2.0) + 0.5 * 0.91_f64.ln(), 0.028);
    // The modes are twelve deviations apart, so the entropy of the mixture is that of a mode and of the choice.
    let mode = gaussian(2.0) + 0.1_f64.sqrt().ln() + 8_f64.ln();
    check_entropy(
        SetConfig::EightGaussians(EightGaussians { scale: 20.0, ..EightGaussians::default() }),
        mode,
        0.03,
    );
}

#[test]
fn a_gaussian_has_the_covariance_it_reports() {
    let data = load(&DataConfig::of(SetConfig::RandomGaussian(RandomGaussianConfig {
        dim: 3,
        ..Default::default()
    })));
    let gaussian = data.gaussian().unwrap();
    let rows = 40_000;
    let points = data.batch(rows, 0, 0).unwrap().points;
    for i in 0..3 {
        let centred = |point: &[f64], axis: usize| point[axis] - gaussian.mean()[axis];
        let error = (gaussian.covariance()[4 * i] / rows as f64).sqrt();
        assert!(mean(points.chunks_exact(3).map(|p| centred(p, i))).abs() < 4.5 * error);
        for j in 0..3 {
            let found = mean(points.chunks_exact(3).map(|p| centred(p, i) * centred(p, j)));
            let entry = |a: usize, b: usize| gaussian.covariance()[3 * a + b];
            let error = ((entry(i, i) * entry(j, j) + entry(i, j).powi(2)) / rows as f64).sqrt();
            assert!((found - entry(i, j)).abs() < 4.5 * error, "({i}, {j}): {found} against {}", entry(i, j));
        }
    }
}

fn image(name: &str) -> ImageConfig {
    ImageConfig {
        path: name.into(),
        ink: Ink::Dark,
        half_width: 3.0,
        aspect: Aspect::Keep,
        texture: Texture::Flat,
    }
}

/// The picture is 3 × 2 pixels with ink 0 1 2 above 3 0 0, so a pixel has side 2 in a box of half width 3.
#[test]
fn pictures_of_every_kind_have_the_same_ink() {
    for name in ["grey.png", "grey16.png", "colour.png", "alpha.png", "grey_alpha.png"] {
        let data = load(&DataConfig::of(SetConfig::Image(image(name))));
        let density = |x: f64, y: f64| data.log_density(&[x, y]).unwrap().exp();
        let check = |x: f64, y: f64, ink: f64| {
            let found = density(x, y) * 4.0 * 6.0;
            assert!((found - ink).abs() < 1e-4, "{name} at ({x}, {y}): {found} against {ink}");
        };
        check(-2.0, 1.0, 0.0);
        check(0.9, 1.9, 1.0);
        check(1.1, 0.1, 2.0);
        check(-2.9, -1.9, 3.0);
        check(0.0, -1.0, 0.0);
        check(-2.0, -2.1, 0.0);
        check(1e300, 0.0, 0.0);
        let mut counts = [[0_usize; 2]; 3];
        for point in data.batch(12_000, 0, 0).unwrap().points.chunks_exact(2) {
            counts[((point[0] + 3.0) / 2.0) as usize][((point[1] + 2.0) / 2.0) as usize] += 1;
        }
        for (found, expected) in [(counts[0][0], 6000), (counts[1][1], 2000), (counts[2][1], 4000)] {
            assert!((found as f64 - f64::from(expected)).abs() < 4.5 * 55.0, "{name}: {counts:?}");
        }
        assert_eq!(counts[0][1] + counts[1][0] + counts[2][0], 0, "{name}: {counts:?}");
    }
}

#[test]
fn light_ink_on_dark_paper() {
    let data = load(&DataConfig::of(SetConfig::Image(ImageConfig { ink: Ink::Light, ..image("grey.png") })));
    // Light of the pixels: 5 4 3 / 2 5 5 fifths, 24 in all.
    let found = data.log_density(&[-2.0, 1.0]).unwrap().exp() * 4.0 * 24.0;
    assert!((found - 5.0).abs() < 1e-4, "{found}");
}

#[test]
fn a_stretched_picture_fills_the_box_and_its_density_has_integral_one() {
    for texture in [Texture::Flat, Texture::Smooth] {
        let set = ImageConfig { aspect: Aspect::Stretch, texture, ..image("grey.png") };
        let data = load(&DataConfig::of(SetConfig::Image(set)));
        let (cells, reach) = (240, 12.0);
        let at = |k: usize| (k as f64 + 0.5) * 2.0 * reach / cells as f64 - reach;
        let mut integral = 0.0;
        for i in 0..cells {
            for j in 0..cells {
                integral += data.log_density(&[at(i), at(j)]).unwrap().exp();
            }
        }
        integral *= (2.0 * reach / cells as f64).powi(2);
        // Beyond 12 lie at least six deviations of half a pixel of height 3.
        assert!((integral - 1.0).abs() < 1e-6, "{texture:?}: {integral}");
        let points = data.batch(30_000, 0, 0).unwrap().points;
        let height = mean(points.chunks_exact(2).map(|p| p[1]));
        // Half of the ink is in each row; the rows are centred at ±1.5, or at the edges ±3.
        assert!(height.abs() < 4.0 * 3.4 / 30_000_f64.sqrt(), "{texture:?}: {height}");
        let spread = mean(points.chunks_exact(2).map(|p| p[1] * p[1]));
        let expected = if texture == Texture::Flat { 1.5 * 1.5 + 9.0 / 12.0 } else { 9.0 + 1.5 * 1.5 };
        assert!((spread / expected - 1.0).abs() < 0.03, "{texture:?}: {spread} against {expected}");
    }
}

#[test]
fn pictures_that_cannot_be_used() {
    let check = |name: &str, reason: &str| {
        let error = Dataset::load(&DataConfig::of(SetConfig::Image(image(name))), 0, &fixtures())
            .unwrap_err()
            .to_string();
        assert!(error.contains(name) && error.contains(reason), "{error}");
    };
    check("blank.png", "it has no dark ink at all; should `ink` be \"light\"?");
    check("scalar.npy", "is not a complete PNG image");
    check("missing.png", "cannot open");
}
