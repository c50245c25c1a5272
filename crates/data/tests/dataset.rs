//! Laws of batches, splits and normalisation, and every refusal with its message.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use thalweg_data::{
    Checkerboard, Column, Condition, ConditionConfig, ConditionKind, DataConfig, Dataset, Dequantise,
    EightGaussians, FileConfig, RandomGaussianConfig, SetConfig, SourceConfig, Split, SplitConfig, TwoMoons,
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/data")
}

/// The fixture: rows of (n, 10 n, n mod 4, 7) for n below 20.
fn table() -> DataConfig {
    let file = FileConfig { path: "table.npz".into(), member: Some("x".to_owned()), columns: vec![] };
    DataConfig::of(SetConfig::File(file))
}

fn members(validation: Option<&str>, test: &str) -> SplitConfig {
    let validation = validation.map(str::to_owned);
    SplitConfig::Members { path: None, train: None, validation, test: Some(test.to_owned()) }
}

fn load(config: &DataConfig) -> Dataset {
    Dataset::load(config, 0, &fixtures()).unwrap()
}

fn refusal(config: &DataConfig) -> String {
    Dataset::load(config, 0, &fixtures()).unwrap_err().to_string()
}

/// Numbers of the rows in a batch of the fixture.
fn row_numbers(points: &[f64], dim: usize) -> Vec<usize> {
    points.chunks_exact(dim).map(|point| point[0] as usize).collect()
}

/// A table in a file of its own.
fn csv(content: &str) -> (tempfile::TempDir, DataConfig) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    fs::write(&path, content).unwrap();
    (folder, DataConfig::of(SetConfig::File(FileConfig { path, member: None, columns: vec![] })))
}

fn names(columns: &[&str]) -> Vec<Column> {
    columns.iter().map(|name| Column::Name((*name).to_owned())).collect()
}

#[test]
fn an_epoch_visits_every_row_once_and_the_next_in_another_order() {
    let data = load(&table());
    let epoch = |number: u64| -> Vec<usize> {
        (0..5).flat_map(|k| row_numbers(&data.batch(4, 9, 5 * number + k).unwrap().points, 4)).collect()
    };
    for number in 0..3 {
        let visited: BTreeSet<usize> = epoch(number).into_iter().collect();
        assert_eq!(visited.len(), 20);
    }
    assert_ne!(epoch(0), epoch(1));
    assert_ne!(epoch(0), (0..20).collect::<Vec<_>>());
    let other_seed = row_numbers(&data.batch(20, 10, 0).unwrap().points, 4);
    assert_ne!(row_numbers(&data.batch(20, 9, 0).unwrap().points, 4), other_seed);
}

#[test]
fn an_incomplete_last_batch_is_dropped() {
    let data = load(&table());
    // 20 rows make two batches of 8; the third batch opens the second epoch.
    let rows = |step| row_numbers(&data.batch(8, 9, step).unwrap().points, 4);
    assert!(rows(0).iter().all(|row| !rows(1).contains(row)));
    let complete_epoch = row_numbers(&data.batch(16, 9, 1).unwrap().points, 4);
    assert_eq!([rows(2), rows(3)].concat(), complete_epoch);
}

/// The law that makes a resumed run equal the unbroken one: a batch depends on seed and step, not on what came before.
#[test]
fn batches_do_not_depend_on_history() {
    let configs = [
        table(),
        DataConfig {
            dequantise: Some(Dequantise::Every(1.0)),
            standardise: true,
            split: members(None, "test_0"),
            ..table()
        },
        DataConfig::of(SetConfig::TwoMoons(TwoMoons::default())),
        DataConfig {
            source: SourceConfig::Set { set: SetConfig::EightGaussians(EightGaussians::default()) },
            standardise: true,
            ..DataConfig::of(SetConfig::Checkerboard(Checkerboard::default()))
        },
    ];
    for config in configs {
        let unbroken = load(&config);
        let steps: Vec<_> = (0..40).map(|step| unbroken.batch(6, 1, step).unwrap()).collect();
        let sources: Vec<_> = (0..40).map(|step| unbroken.source_batch(6, 1, step).unwrap()).collect();
        let resumed = load(&config);
        for step in [39, 17, 0, 18, 17] {
            assert_eq!(resumed.batch(6, 1, step as u64).unwrap(), steps[step], "{config:?}");
            assert_eq!(resumed.source_batch(6, 1, step as u64).unwrap(), sources[step], "{config:?}");
        }
        assert_ne!(steps[0], steps[1]);
        assert_ne!(sources[0], sources[1]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever the sizes: no row twice in an epoch, every row once when the batches fill it, and the same rows held
    /// out for every seed of a run.
    #[test]
    fn epochs_and_splits_of_any_table(
        rows in 2_usize..60, batch in 1_usize..20, seed: u64, step in 0_u64..1_000_000, split_seed: u64,
        validation in 0.0_f64..0.4, test in 0.0_f64..0.4,
    ) {
        let (_folder, config) = csv(&(0..rows).map(|n| format!("{n}\n")).collect::<String>());
        let config = DataConfig { split: SplitConfig::Fractions { validation, test, seed: split_seed }, ..config };
        let share = |fraction: f64| (fraction * rows as f64).round() as usize;
        if share(validation) + share(test) == rows {
            prop_assert!(refusal(&config).contains("no rows are left for training"));
            return Ok(());
        }
        let data = load(&config);
        let train = data.training_rows().unwrap();
        let held_out: Vec<usize> = [Split::Validation, Split::Test]
            .into_iter()
            .filter(|&split| data.held_out_rows(split).unwrap() > 0)
            .flat_map(|split| row_numbers(&data.held_out(split, None, seed).unwrap().points, 1))
            .collect();
        prop_assert_eq!(held_out.len() + train, rows);
        if batch > train {
            prop_assert!(data.batch(batch, seed, step).is_err());
            return Ok(());
        }
        let batches = (train / batch) as u64;
        let first = step / batches * batches;
        let mut seen = BTreeSet::from_iter(held_out);
        let before = seen.len();
        for step in first..first + batches {
            seen.extend(row_numbers(&data.batch(batch, seed, step).unwrap().points, 1));
        }
        prop_assert_eq!(seen.len(), before + batch * batches as usize);
    }
}

#[test]
fn splits_from_members_are_those_rows_and_training_never_sees_them() {
    let data = load(&DataConfig { split: members(Some("validation_0"), "test_0"), ..table() });
    let held_out = |split| row_numbers(&data.held_out(split, None, 0).unwrap().points, 4);
    assert_eq!(held_out(Split::Test), [3, 5, 17]);
    assert_eq!(held_out(Split::Validation), [0, 10]);
    let mut train = row_numbers(&data.batch(15, 0, 0).unwrap().points, 4);
    train.sort_unstable();
    assert_eq!(train, [1, 2, 4, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 18, 19]);
    assert_eq!((data.training_rows(), data.held_out_rows(Split::Test)), (Some(15), Some(3)));
    let some = row_numbers(&data.held_out(Split::Test, Some(2), 4).unwrap().points, 4);
    assert!(
        some.len() == 2 && some[0] != some[1] && some.iter().all(|row| [3, 5, 17].contains(row)),
        "{some:?}"
    );
}

#[test]
fn fractions_split_every_row_once_whatever_the_run() {
    let split = SplitConfig::Fractions { validation: 0.1, test: 0.25, seed: 3 };
    let config = DataConfig { split, ..table() };
    let data = load(&config);
    let rows = |data: &Dataset, split| row_numbers(&data.held_out(split, None, 0).unwrap().points, 4);
    let (test, validation) = (rows(&data, Split::Test), rows(&data, Split::Validation));
    assert_eq!((test.len(), validation.len(), data.training_rows()), (5, 2, Some(13)));
    let train = row_numbers(&data.batch(13, 0, 0).unwrap().points, 4);
    let all: BTreeSet<usize> = [test.clone(), validation, train].concat().into_iter().collect();
    assert_eq!(all.len(), 20);
    assert_eq!(rows(&Dataset::load(&config, 99, &fixtures()).unwrap(), Split::Test), test);
}

#[test]
fn held_out_draws_of_a_formula_are_fresh() {
    let data = load(&DataConfig::of(SetConfig::EightGaussians(EightGaussians::default())));
    let test = data.held_out(Split::Test, Some(50), 0).unwrap();
    assert_eq!(test.rows, 50);
    assert_eq!(test, data.held_out(Split::Test, Some(50), 0).unwrap());
    let others = [
        data.held_out(Split::Validation, Some(50), 0).unwrap(),
        data.held_out(Split::Test, Some(50), 1).unwrap(),
        data.batch(50, 0, 0).unwrap(),
        data.source_batch(50, 0, 0).unwrap(),
    ];
    assert!(others.iter().all(|other| other.points[0] != test.points[0]));
    assert_eq!(data.held_out(Split::Test, None, 0).unwrap().rows, thalweg_data::DEFAULT_HELD_OUT);
}

#[test]
fn standardised_rows_have_mean_zero_and_deviation_one_on_the_training_split() {
    let config = DataConfig { standardise: true, split: members(None, "test_0"), ..table() };
    let data = load(&config);
    let normaliser = data.normaliser();
    assert_eq!((normaliser.constant_columns.as_slice(), normaliser.deviation[3]), (&[3][..], 1.0));
    let all = data.batch(17, 0, 0).unwrap();
    for column in 0..3 {
        let values = all.points.iter().skip(column).step_by(4);
        let mean = values.clone().sum::<f64>() / 17.0;
        let variance = values.map(|x| x * x).sum::<f64>() / 17.0 - mean * mean;
        assert!(mean.abs() < 1e-12 && (variance - 1.0).abs() < 1e-12, "column {column}: {mean}, {variance}");
    }
    let mut points = all.points.clone();
    normaliser.invert(&mut points);
    assert!(points.chunks_exact(4).all(|p| (p[1] - 10.0 * p[0]).abs() < 1e-10 && (p[3] - 7.0).abs() < 1e-12));
}

#[test]
fn a_standardised_formula_keeps_its_density_in_data_units() {
    let plain =
        DataConfig::of(SetConfig::RandomGaussian(RandomGaussianConfig { dim: 2, ..Default::default() }));
    let data = load(&DataConfig { standardise: true, ..plain.clone() });
    let variance = data.gaussian().unwrap().covariance()[0];
    // 50,000 draws: the deviation is good to 1/sqrt(2n) = 0.3%.
    assert!((data.normaliser().deviation[0] / variance.sqrt() - 1.0).abs() < 0.015);
    assert_eq!(data.log_density(&[0.3, 0.4]), load(&plain).log_density(&[0.3, 0.4]));
    let mut batch = data.batch(5, 0, 0).unwrap().points;
    data.normaliser().invert(&mut batch);
    let raw = load(&plain).batch(5, 0, 0).unwrap().points;
    assert!(batch.iter().zip(&raw).all(|(a, b)| (a - b).abs() < 1e-12));
}

#[test]
fn dequantisation_adds_one_quantum_of_uniform_noise() {
    let data = load(&DataConfig { dequantise: Some(Dequantise::Every(0.5)), ..table() });
    let mut offsets = Vec::new();
    for step in 0..500 {
        for point in data.batch(20, 0, step).unwrap().points.chunks_exact(4) {
            offsets.push(point[3] - 7.0);
        }
    }
    assert!(offsets.iter().all(|offset| (0.0..0.5).contains(offset)));
    let mean = offsets.iter().sum::<f64>() / 10_000.0;
    assert!((mean - 0.25).abs() < 4.0 * 0.5 / 120_000_f64.sqrt(), "{mean}");
    // Standardised, the noise counts: mean 7.25, variance 1/48, and the column is constant no more.
    let data = load(&DataConfig { dequantise: Some(Dequantise::Every(0.5)), standardise: true, ..table() });
    let normaliser = data.normaliser();
    assert_eq!((normaliser.mean[3], normaliser.constant_columns.len()), (7.25, 0));
    assert!((normaliser.deviation[3] - (1.0_f64 / 48.0).sqrt()).abs() < 1e-15);
}

#[test]
fn every_column_has_a_quantum_of_its_own() {
    let quanta = vec![0.0, 1.0, 0.25, 0.0];
    let config = DataConfig { dequantise: Some(Dequantise::Columns(quanta.clone())), ..table() };
    let data = load(&config);
    let points = data.batch(20, 0, 0).unwrap().points;
    for point in points.chunks_exact(4) {
        // Untouched columns tell the row, and with it what the others were.
        let row = point[0];
        assert_eq!((row.fract(), point[3]), (0.0, 7.0));
        let (second, third) = (point[1] - 10.0 * row, point[2] - (row as usize % 4) as f64);
        assert!((0.0..1.0).contains(&second) && (0.0..0.25).contains(&third), "{point:?}");
        assert!(second > 0.0 && third > 0.0, "{point:?}");
    }
    // The same numbers for all columns are those of a single one.
    let every = DataConfig { dequantise: Some(Dequantise::Every(0.5)), ..table() };
    let listed = DataConfig { dequantise: Some(Dequantise::Columns(vec![0.5; 4])), ..table() };
    assert_eq!(load(&every).batch(20, 3, 1).unwrap(), load(&listed).batch(20, 3, 1).unwrap());
    assert_ne!(data.fingerprint(), load(&every).fingerprint());

    // Standardised: what is not rounded keeps its moments, and the constant column stays constant.
    let plain = load(&DataConfig { standardise: true, ..table() });
    let data = load(&DataConfig { standardise: true, ..config.clone() });
    let (before, after) = (plain.normaliser(), data.normaliser());
    assert_eq!((before.mean[0], before.deviation[0]), (after.mean[0], after.deviation[0]));
    assert_eq!((after.mean[3], after.deviation[3], &after.constant_columns[..]), (7.0, 1.0, &[3][..]));
    for (column, quantum) in [(1, 1.0), (2, 0.25)] {
        let variance = before.deviation[column].powi(2) + quantum * quantum / 12.0;
        assert!((after.mean[column] - before.mean[column] - quantum / 2.0_f64).abs() < 1e-12);
        assert!((after.deviation[column].powi(2) / variance - 1.0).abs() < 1e-12);
    }
    let short = DataConfig { dequantise: Some(Dequantise::Columns(vec![0.5; 3])), ..table() };
    assert!(
        refusal(&short).contains("`dequantise`: lists 3 numbers, but the number of modelled columns is 4")
    );
}

/// Rows 0 to 39 with (row, 10 row): 30 for training, 6 for validation and 4 for the test.
fn arrays(validation: Option<&str>, test: Option<&str>) -> DataConfig {
    let path = fixtures().join("../hdf5/splits.hdf5");
    let file = FileConfig { path, member: Some("train".to_owned()), columns: vec![] };
    let (validation, test) = (validation.map(str::to_owned), test.map(str::to_owned));
    DataConfig { split: SplitConfig::Arrays { validation, test }, ..DataConfig::of(SetConfig::File(file)) }
}

#[test]
fn held_out_points_in_arrays_of_their_own() {
    let held_out = |data: &Dataset, split| {
        let mut points = data.held_out(split, None, 0).unwrap().points;
        data.normaliser().invert(&mut points);
        points.chunks_exact(data.dim()).map(|point| point[0].round() as usize).collect::<Vec<_>>()
    };
    let data = load(&DataConfig { standardise: true, ..arrays(Some("validation"), Some("test")) });
    assert_eq!((data.training_rows(), data.dim()), (Some(30), 2));
    assert_eq!(held_out(&data, Split::Validation), (30..36).collect::<Vec<_>>());
    assert_eq!(held_out(&data, Split::Test), (36..40).collect::<Vec<_>>());
    // Moments are those of the training rows: the mean of 0 to 29.
    assert!((data.normaliser().mean[0] - 14.5).abs() < 1e-12);
    let mut batch = data.batch(30, 0, 0).unwrap().points;
    data.normaliser().invert(&mut batch);
    let visited: BTreeSet<usize> = batch.chunks_exact(2).map(|point| point[0].round() as usize).collect();
    assert_eq!(visited, (0..30).collect());
    // Without one of the arrays there are no rows of that kind, and the order of the names is nothing.
    let data = load(&arrays(None, Some("validation")));
    assert_eq!((data.held_out_rows(Split::Validation), held_out(&data, Split::Test).len()), (Some(0), 6));
    assert_ne!(data.fingerprint(), load(&arrays(Some("validation"), None)).fingerprint());

    let condition = ConditionConfig::Columns { columns: vec![Column::Index(1)] };
    let data = load(&DataConfig { condition, ..arrays(None, Some("test")) });
    let batch = data.held_out(Split::Test, None, 0).unwrap();
    assert_eq!(batch.condition, Condition::Vectors { dim: 1, values: vec![360., 370., 380., 390.] });
    let condition = ConditionConfig::Label { member: None, column: Some(Column::Index(0)) };
    let data = load(&DataConfig { condition, ..arrays(None, Some("test")) });
    assert_eq!(data.condition_kind(), ConditionKind::Labels { classes: 40 });
}

#[test]
fn held_out_arrays_that_cannot_be_used() {
    let check = |validation, test, reason: &str| {
        let message = refusal(&arrays(validation, test));
        assert!(message.contains(reason), "{message}");
    };
    check(None, None, "name a member for `validation` or `test`");
    check(Some("test"), Some("test"), "the same array");
    check(Some("train"), None, "`train` is the array for training");
    check(Some("valid"), None, "no member `valid`; it holds `narrow`, `test`, `test_rows`");
    check(Some("narrow"), None, "member `narrow` has the wrong shape: 1 columns to model");
    let (_folder, config) = csv("1,2\n3,4\n");
    let split = SplitConfig::Arrays { validation: None, test: Some("test".to_owned()) };
    assert!(refusal(&DataConfig { split: split.clone(), ..config }).contains("is no archive"));
    let condition = ConditionConfig::Label { member: Some("label".to_owned()), column: None };
    assert!(refusal(&DataConfig { split, condition, ..table() }).contains("`condition.member`"));
    // Row numbers in the same file are a split of another kind.
    let split = members(None, "test_rows");
    let data = load(&DataConfig { split, ..arrays(None, None) });
    assert_eq!(row_numbers(&data.held_out(Split::Test, None, 0).unwrap().points, 2), [3, 5, 17]);
}

#[test]
fn the_last_rows_are_held_out() {
    let tail = |validation, test, shuffle| DataConfig {
        split: SplitConfig::Tail { validation, test, shuffle },
        ..table()
    };
    let rows =
        |config: &DataConfig, split| row_numbers(&load(config).held_out(split, None, 0).unwrap().points, 4);
    // A fifth of 20 rows, then 15% of 16 rows, which is 2.4.
    let config = tail(0.15, 0.2, None);
    assert_eq!(rows(&config, Split::Test), [16, 17, 18, 19]);
    assert_eq!(rows(&config, Split::Validation), [14, 15]);
    assert_eq!(load(&config).training_rows(), Some(14));
    // The order of numpy's RandomState(42) for 20 rows ends with 10 14 6.
    let config = tail(0.0, 0.15, Some(42));
    assert_eq!(rows(&config, Split::Test), [6, 10, 14]);
    assert_eq!(load(&config).held_out_rows(Split::Validation), Some(0));
    assert!(refusal(&tail(0.1, 1.0, None)).contains("`split.test`: must be at least 0 and below 1"));
    let message = refusal(&tail(-0.1, 0.1, None));
    assert!(message.contains("`split.validation`: must be at least 0 and below 1"), "{message}");
}

#[test]
fn conditions_follow_their_rows() {
    let label = ConditionConfig::Label { member: Some("label".to_owned()), column: None };
    let data = load(&DataConfig { condition: label, ..table() });
    assert_eq!(data.condition_kind(), ConditionKind::Labels { classes: 3 });
    let batch = data.batch(20, 0, 0).unwrap();
    let Condition::Labels(labels) = &batch.condition else { panic!("labels were asked for") };
    assert!(row_numbers(&batch.points, 4).iter().zip(labels).all(|(row, &label)| row % 3 == label));

    let column = ConditionConfig::Label { member: None, column: Some(Column::Index(2)) };
    let data = load(&DataConfig { condition: column, ..table() });
    assert_eq!((data.dim(), data.condition_kind()), (3, ConditionKind::Labels { classes: 4 }));

    let columns = ConditionConfig::Columns { columns: vec![Column::Index(1), Column::Index(3)] };
    let data = load(&DataConfig { condition: columns.clone(), standardise: true, ..table() });
    assert_eq!((data.dim(), data.condition_kind()), (2, ConditionKind::Vectors { dim: 2 }));
    let mut batch = data.batch(20, 0, 0).unwrap();
    data.normaliser().invert(&mut batch.points);
    let Condition::Vectors { dim: 2, values } = &mut batch.condition else {
        panic!("vectors were asked for")
    };
    data.condition_normaliser().unwrap().invert(values);
    assert!(values.chunks_exact(2).zip(batch.points.chunks_exact(2)).all(|(condition, point)| {
        (condition[0] - 10.0 * point[0]).abs() < 1e-9 && (condition[1] - 7.0).abs() < 1e-12
    }));

    let vectors = Condition::Vectors { dim: 2, values: vec![0., 1., 2., 3., 4., 5.] };
    let chosen = Condition::Vectors { dim: 2, values: vec![4., 5., 0., 1., 4., 5.] };
    assert_eq!(vectors.select(&[2, 0, 2]), chosen);
    assert_eq!(Condition::Labels(vec![5, 6, 7]).select(&[1, 1]), Condition::Labels(vec![6, 6]));
    assert_eq!(Condition::None.select(&[1, 1]), Condition::None);
}

#[test]
fn columns_by_name_and_by_number() {
    let (_folder, mut config) = csv("a,b,c\n1,2,3\n4,5,6\n");
    let SetConfig::File(file) = &mut config.target else { panic!("the target is a file") };
    file.columns = names(&["c", "a"]);
    let data = load(&config);
    let mut points = data.batch(2, 0, 0).unwrap().points;
    points.sort_by(f64::total_cmp);
    assert_eq!((data.dim(), points), (2, vec![1.0, 3.0, 4.0, 6.0]));
}

#[test]
fn fingerprints_tell_data_and_settings_apart_but_not_folders() {
    let print = |config: &DataConfig| load(config).fingerprint().to_owned();
    let (first, config) = csv("1,2\n3,4\n");
    let (second, moved) = csv("1,2\n3,4\n");
    assert_ne!(first.path(), second.path());
    assert_eq!(print(&config), print(&moved));
    let (_third, changed) = csv("1,2\n3,4.0000001\n");
    let mut all = BTreeSet::from([print(&config), print(&changed), print(&table())]);
    all.insert(print(&DataConfig { standardise: true, ..table() }));
    all.insert(print(&DataConfig { split: members(None, "test_0"), ..table() }));
    all.insert(print(&DataConfig::of(SetConfig::TwoMoons(TwoMoons::default()))));
    all.insert(print(&DataConfig::of(SetConfig::TwoMoons(TwoMoons { noise: 0.1, ..TwoMoons::default() }))));
    assert_eq!(all.len(), 7);
    assert!(all.iter().all(|text| text.len() == 32));
    // Fixed for ever: a change here makes every run on disk refuse to resume.
    let moons = print(&DataConfig::of(SetConfig::TwoMoons(TwoMoons::default())));
    assert_eq!(moons, "fe8011924d247c1b166f3ee63ed9fa21");
}

#[test]
fn tables_that_cannot_be_learned_from() {
    let check = |content: &str, reason: &str| {
        let (_folder, config) = csv(content);
        let error = refusal(&config);
        assert!(error.contains("t.csv") && error.contains(reason), "{error}");
    };
    check("", "is empty");
    check("x,y\n", "is empty");
    check("1,2\n", "has 1 rows in all, but 2 are needed: one point has no distribution");
    check("x,y\n1,2\n3,NaN\n", "row 2, column 2 holds NaN, but every value must be finite");
    check("1,2\n-inf,4\n", "row 2, column 1 holds -inf");
    check("1,2\n3,1e999\n", "row 2, column 2 holds inf");
    check("1,2\n3,oops\n", "line 2: `oops` in row 2, column 2 is not a number");

    let (folder, config) = csv("1,2\n3,4\n");
    let error = load(&config).batch(3, 0, 0).unwrap_err().to_string();
    assert!(error.contains("has 2 rows for training, but 3 are needed"), "{error}");
    let error = load(&config).held_out(Split::Test, None, 0).unwrap_err().to_string();
    assert!(error.contains("has 0 rows in the test split, but 1 are needed"), "{error}");
    let directory = DataConfig::of(SetConfig::File(FileConfig {
        path: folder.path().to_path_buf(),
        member: None,
        columns: vec![],
    }));
    assert!(refusal(&directory).contains("is a directory, not a file"), "{}", refusal(&directory));
}

#[test]
fn settings_that_do_not_suit_the_table() {
    let with = |change: fn(&mut FileConfig)| {
        let mut config = table();
        let SetConfig::File(file) = &mut config.target else { panic!("the target is a file") };
        change(file);
        refusal(&config)
    };
    let check = |error: String, reason: &str| assert!(error.contains(reason), "{error}");
    check(with(|file| file.member = None), "say which array of `");
    check(with(|file| file.member = Some("y".to_owned())), "has no member `y`; it holds `x`, `label`");
    check(with(|file| file.path = "scalar.npy".into()), "is not an archive and has no member `x`");
    check(
        with(|file| file.columns = vec![Column::Index(4)]),
        "it has columns 0 to 3, but column 4 is asked for",
    );
    check(with(|file| file.columns = vec![Column::Index(1); 2]), "column 1 (from 0) is asked for twice");
    check(with(|file| file.columns = names(&["a"])), "its columns have no names");
    check(with(|file| file.path = "grey.png".into()), "a picture is no table; use `kind = \"image\"`");
}

#[test]
fn splits_that_overlap_or_do_not_exist() {
    let check = |split: SplitConfig, reason: &str| {
        let error = refusal(&DataConfig { split, ..table() });
        assert!(error.contains("table.npz") && error.contains(reason), "{error}");
    };
    check(members(Some("overlapping"), "test_0"), "row 17 is in the validation split and in the test split");
    check(members(None, "outside"), "20 is not the number of a row; the table has rows 0 to 19");
    check(members(None, "negative"), "-1 is not the number of a row");
    check(members(None, "twice"), "row 1 is named twice in the test split");
    check(members(None, "x"), "not an array of shape [20, 4]");
    check(members(None, "none"), "has no member `none`");
    let train = Some("test_0".to_owned());
    let both = SplitConfig::Members { path: None, train: train.clone(), validation: None, test: train };
    check(both, "is in the training split and in the test split; they must not overlap");
}

#[test]
fn a_text_table_with_row_numbers_elsewhere() {
    let (_folder, config) = csv(&(0..20).map(|n| format!("{n},{n}\n")).collect::<String>());
    let error = refusal(&DataConfig { split: members(None, "test_0"), ..config.clone() });
    assert!(
        error.contains("`split.path`: ")
            && error.contains("t.csv` is no archive; name the .npz or .hdf5 file"),
        "{error}"
    );
    let path = Some(fixtures().join("table.npz"));
    let split = SplitConfig::Members { path, train: None, validation: None, test: Some("test_0".to_owned()) };
    let data = load(&DataConfig { split, ..config });
    assert_eq!(row_numbers(&data.held_out(Split::Test, None, 0).unwrap().points, 2), [3, 5, 17]);
}

#[test]
fn labels_that_are_none() {
    let (_folder, config) = csv("x,k\n1,0\n2,1.5\n");
    let column = Some(Column::Name("k".to_owned()));
    let error = refusal(&DataConfig { condition: ConditionConfig::Label { member: None, column }, ..config });
    assert!(
        error.contains("t.csv") && error.contains("row 2, column 2 holds 1.5, which is no label"),
        "{error}"
    );
    let member = Some("test_0".to_owned());
    let error =
        refusal(&DataConfig { condition: ConditionConfig::Label { member, column: None }, ..table() });
    assert!(error.contains("member `test_0`") && error.contains("has 20 rows"), "{error}");
}

/// Points in the place of others are handed out as they are: not scaled, not dequantised, and in epochs.
#[test]
fn points_in_the_place_of_others_are_handed_out_as_they_are() {
    let config = DataConfig {
        dequantise: Some(Dequantise::Every(1.0)),
        standardise: true,
        split: members(None, "test_0"),
        ..table()
    };
    let data = load(&config);
    let all = data.batch(data.training_rows().unwrap(), 0, 0).unwrap();
    let mut moved = all.clone();
    moved.points.iter_mut().enumerate().for_each(|(i, x)| *x = i as f64);
    let held_out = moved.select(&[0, 1]);
    let replaced = data.replaced_by(moved.clone(), Some(held_out.clone()));
    assert_eq!(replaced.training_rows(), Some(moved.rows));
    let rows: BTreeSet<usize> = (0..moved.rows / 2)
        .flat_map(|step| row_numbers(&replaced.batch(2, 3, step as u64).unwrap().points, moved.dim))
        .collect();
    // An incomplete last batch is dropped.
    let all: BTreeSet<usize> = row_numbers(&moved.points, moved.dim).into_iter().collect();
    assert!(rows.is_subset(&all) && rows.len() == moved.rows / 2 * 2, "{rows:?} of {all:?}");
    assert_eq!(replaced.held_out(Split::Validation, None, 0).unwrap(), held_out);
    assert!(replaced.held_out(Split::Test, None, 0).is_err());
    assert_eq!(replaced.fingerprint(), data.fingerprint());
    assert_eq!(replaced.normaliser().log_determinant(), 0.0);
    assert_eq!(data.replaced_by(moved, None).held_out_rows(Split::Validation), Some(0));
}
