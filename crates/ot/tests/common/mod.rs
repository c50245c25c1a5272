//! What the behaviour tests share: fixtures and brute force.
#![allow(dead_code)]

use serde_json::Value;
use thalweg_noise::Noise;
use thalweg_ot::{Cost, Points};

/// The problems of a file in `fixtures/ot`, made by `fixtures/make_ot.py`.
pub fn fixture(name: &str) -> Vec<Value> {
    let path = format!("{}/../../fixtures/ot/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

pub fn indices(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

/// The squared Euclidean cost of a fixture's clouds.
pub fn fixture_cost(problem: &Value) -> Cost {
    let dim = problem["dim"].as_u64().unwrap() as usize;
    let (x, y) = (numbers(&problem["x"]), numbers(&problem["y"]));
    Cost::squared_euclidean(Points::new(&x, dim), Points::new(&y, dim))
}

/// Clouds of the sort that flow matching pairs: noise, and data that is displaced and narrower.
pub fn noise_to_data(n: usize, m: usize, dim: usize, seed: u64) -> Cost {
    let mut noise = Noise::new(seed);
    let x = noise.normals(n * dim);
    let y: Vec<f64> = noise.normals(m * dim).iter().map(|v| 0.5 * v + 1.0).collect();
    Cost::squared_euclidean(Points::new(&x, dim), Points::new(&y, dim))
}

/// The least cost of pairing exactly `mass` of the rows from `row` on with columns not yet `taken`.
pub fn brute_force(cost: &Cost, mass: usize, row: usize, taken: &mut Vec<bool>) -> f64 {
    if mass == 0 {
        return 0.0;
    }
    if row == cost.rows() {
        return f64::INFINITY;
    }
    let mut best = brute_force(cost, mass, row + 1, taken);
    for col in 0..cost.cols() {
        if !taken[col] {
            taken[col] = true;
            best = best.min(cost.at(row, col) + brute_force(cost, mass - 1, row + 1, taken));
            taken[col] = false;
        }
    }
    best
}
