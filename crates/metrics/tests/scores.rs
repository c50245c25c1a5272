//! Scores beside their floors, and whether the standard errors are true.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use thalweg_metrics::{
    MetricsError, Resampling, ScoreOptions, TwoSample, block_standard_error, bootstrap, distance_on_scale,
    mean_and_standard_error, score_with_floor, score_with_floors, wasserstein2,
};
use thalweg_noise::Noise;
use thalweg_ot::Points;

const ALL: [(TwoSample, &str); 6] = [
    (TwoSample::W1, "w1"),
    (TwoSample::W2, "w2"),
    (TwoSample::SlicedW2, "sliced-w2"),
    (TwoSample::Mmd2, "mmd2"),
    (TwoSample::Energy, "energy"),
    (TwoSample::Frechet, "frechet"),
];

#[test]
fn names_are_those_of_recipes() {
    for (metric, name) in ALL {
        assert_eq!(serde_json::to_string(&metric).unwrap(), format!("\"{name}\""));
        assert_eq!(serde_json::from_str::<TwoSample>(&format!("\"{name}\"")).unwrap(), metric);
        assert_eq!(metric.to_string(), name);
    }
}

#[test]
fn a_good_model_scores_near_the_floor_and_a_bad_one_far_from_it() {
    let mut noise = Noise::new(1);
    let [good, a, b] = [0; 3].map(|_| noise.normals(400));
    let bad: Vec<f64> = good.iter().map(|v| 0.5 * v + 1.0).collect();
    let points = |values| Points::new(values, 2);
    for (metric, name) in ALL {
        let options = ScoreOptions { replicates: 10, confidence: 0.95 };
        let score = |samples: &[f64]| {
            score_with_floor(
                metric,
                Points::new(samples, 2),
                points(&a),
                points(&b),
                options,
                &mut Noise::new(2),
            )
            .unwrap()
        };
        let (near, far) = (score(&good), score(&bad));
        assert_eq!(near.name, name);
        let (floor, error) = (near.floor.unwrap(), near.standard_error.unwrap());
        assert_eq!(far.floor, Some(floor), "the floor does not depend on the model");
        assert!((near.value - floor).abs() < 5.0 * error, "{name}: {} ± {error} against {floor}", near.value);
        assert!(far.value > floor + 5.0 * far.standard_error.unwrap(), "{name}: {far:?}");
        let [low, high] = far.interval.unwrap();
        assert!((high - low - 2.0 * 1.959_964 * far.standard_error.unwrap()).abs() < 1e-6);
        for words in ["200 samples against 200 true points", "10 disjoint blocks of 20 points", "95%"] {
            assert!(near.protocol.contains(words), "{}", near.protocol);
        }
        assert_eq!(near, score(&good), "one noise, one score");
    }
}

#[test]
fn the_floor_is_the_mean_over_pairs() {
    let mut noise = Noise::new(9);
    let clouds: Vec<Vec<f64>> = (0..9).map(|_| noise.normals(60)).collect();
    let points: Vec<Points> = clouds.iter().map(|values| Points::new(values, 2)).collect();
    let pairs: Vec<[Points; 2]> = points[1..].chunks(2).map(|pair| [pair[0], pair[1]]).collect();
    let options = ScoreOptions { replicates: 0, ..ScoreOptions::default() };
    let score = |pairs: &[[Points; 2]]| {
        score_with_floors(TwoSample::W2, points[0], pairs, options, &mut Noise::new(0)).unwrap()
    };
    let all = score(&pairs);
    let mean = pairs.iter().map(|&[a, b]| wasserstein2(a, b).unwrap()).sum::<f64>() / 4.0;
    assert!((all.floor.unwrap() - mean).abs() < 1e-14);
    assert_eq!(all.value, wasserstein2(points[0], points[1]).unwrap());
    assert!(all.protocol.contains("mean over 4 independent pairs, standard error"), "{}", all.protocol);
    let one = score(&pairs[..1]);
    assert_eq!((one.value, one.floor), (all.value, Some(wasserstein2(points[1], points[2]).unwrap())));
    assert!(one.protocol.contains("one pair, so it scatters"), "{}", one.protocol);
}

#[test]
fn a_distance_without_a_floor_is_on_the_scale_of_the_score() {
    let mut noise = Noise::new(4);
    let [x, a, b] = [0; 3].map(|_| noise.normals(60));
    let [x, a, b] = [&x, &a, &b].map(|values| Points::new(values, 3));
    let options = ScoreOptions { replicates: 0, ..ScoreOptions::default() };
    for (metric, name) in ALL {
        let score = score_with_floor(metric, x, a, b, options, &mut Noise::new(8)).unwrap();
        let alone = distance_on_scale(metric, x, [a, b], &mut Noise::new(8)).unwrap();
        assert_eq!(alone, score.value, "{name}");
    }
}

#[test]
fn a_score_without_replicates_claims_no_error() {
    let mut noise = Noise::new(3);
    let [x, a, b] = [0; 3].map(|_| noise.normals(40));
    let options = ScoreOptions { replicates: 0, ..ScoreOptions::default() };
    let [x, a, b] = [&x, &a, &b].map(|values| Points::new(values, 2));
    let score = score_with_floor(TwoSample::W2, x, a, b, options, &mut noise).unwrap();
    assert_eq!((score.standard_error, score.interval), (None, None));
    assert!(!score.protocol.contains("standard error"));
    let too_many = ScoreOptions { replicates: 15, ..options };
    let error = score_with_floor(TwoSample::W2, x, a, b, too_many, &mut noise).unwrap_err();
    assert!(matches!(error, MetricsError::TooFewPoints { points: 20, needed: 30, .. }), "{error}");
    let certain = ScoreOptions { confidence: 1.0, ..options };
    assert!(score_with_floor(TwoSample::W2, x, a, b, certain, &mut noise).is_err());
}

#[test]
fn block_standard_errors_match_the_spread_over_fresh_samples() {
    let mut noise = Noise::new(4);
    let (mut values, mut squared_errors) = (Vec::new(), Vec::new());
    for _ in 0..150 {
        let x = noise.normals(2 * 120);
        let y: Vec<f64> = noise.normals(2 * 120).iter().map(|v| 1.5 * v + 1.0).collect();
        let clouds = [Points::new(&x, 2), Points::new(&y, 2)];
        values.push(wasserstein2(clouds[0], clouds[1]).unwrap());
        squared_errors.push(block_standard_error(clouds, 8, &mut noise, wasserstein2).unwrap().powi(2));
    }
    let (_, error_of_mean) = mean_and_standard_error(&values).unwrap();
    let actual = error_of_mean * 150_f64.sqrt();
    let estimated = (squared_errors.iter().sum::<f64>() / 150.0).sqrt();
    // The spread of 150 values is known to 1/√300 ≈ 6%; small blocks may differ by some more.
    assert!((estimated / actual - 1.0).abs() < 0.3, "{estimated} against {actual}");
}

#[test]
fn the_bootstrap_of_a_mean_finds_its_standard_error() {
    let mut noise = Noise::new(5);
    let values = noise.normals(400);
    let mean = |chosen: &[usize]| chosen.iter().map(|&i| values[i]).sum::<f64>() / chosen.len() as f64;
    let spread = bootstrap(400, Resampling { replicates: 2000, confidence: 0.9 }, &mut noise, mean).unwrap();
    let (centre, error) = mean_and_standard_error(&values).unwrap();
    // The deviation of 2,000 replicates is known to 1/√4000 ≈ 1.6%.
    assert!((spread.standard_error / error - 1.0).abs() < 0.08, "{spread:?} {error}");
    assert!(spread.interval.contains(centre));
    let width = spread.interval.high - spread.interval.low;
    assert!((width / (2.0 * 1.644_854 * error) - 1.0).abs() < 0.1, "{width} {error}");
}

#[test]
fn a_bootstrap_that_cannot_work_is_refused() {
    let mut noise = Noise::new(6);
    let run = |points, replicates, confidence, noise: &mut Noise| {
        bootstrap(points, Resampling { replicates, confidence }, noise, |chosen| chosen[0] as f64)
    };
    assert!(run(1, 100, 0.9, &mut noise).is_err());
    assert!(run(10, 1, 0.9, &mut noise).is_err());
    assert!(run(10, 100, 0.0, &mut noise).is_err());
    assert!(bootstrap(10, Resampling::default(), &mut noise, |_| f64::NAN).is_err());
}
