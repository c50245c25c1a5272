//! Discrete chains: their products, and their steps as they were published (FORMULAS §1.7), written out in plain loops.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use burn::tensor::Tensor;
use proptest::prelude::*;
use serde::Deserialize;
use thalweg_flow::{AncestralSampler, PredictedVelocity, Prediction, Schedule, StepVariance};
use thalweg_noise::Noise;
use thalweg_solve::{Placement, VelocityField, to_host};

const LINEAR: Schedule = Schedule::DiscreteLinear { steps: 1000, beta_first: 1e-4, beta_last: 0.02 };
const COSINE: Schedule = Schedule::DiscreteCosine { steps: 1000, offset: 0.008, largest_beta: 0.999 };

/// Made by `fixtures/make_chains.py`, in extended precision.
#[derive(Deserialize)]
struct Golden {
    schedule: Schedule,
    at: Vec<usize>,
    alpha_bar: Vec<f64>,
}

#[test]
fn at_the_steps_it_is_the_product_of_the_chain() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/flow/chains.json");
    let golden: Vec<Golden> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for Golden { schedule, at, alpha_bar } in golden {
        let steps = schedule.chain_length().unwrap() as f64;
        for (k, bar) in at.into_iter().zip(alpha_bar) {
            let c = schedule.at(1.0 - k as f64 / steps);
            // A thousand roundings; the last β of the cosine divides by the square of a cosine of 10⁻³.
            let error = (c.alpha * c.alpha - bar).abs() / bar;
            assert!(error < 1e-11, "{schedule:?} at {k}: off by {error}");
            let error = (c.sigma * c.sigma - (1.0 - bar)).abs();
            assert!(error < 1e-12 * (1.0 - bar) + 1e-16, "{schedule:?} at {k}: σ off by {error}");
        }
    }
}

/// β of Song et al. is `K` times that of the chain, from 0.1 to 20.
#[test]
fn the_linear_chain_is_near_the_diffusion_in_continuous_time() {
    let continuous = Schedule::VariancePreserving { beta_min: 0.1, beta_max: 20.0 };
    for t in [0.0, 0.2, 0.5, 0.8, 0.99] {
        let (a, b) = (LINEAR.at(t), continuous.at(t));
        // -ln(1 - β) is β + β²/2: at most a hundredth more.
        assert!((a.alpha / b.alpha).ln().abs() < 0.011 * (1.0 / b.alpha).ln() + 1e-4, "{t}");
        assert!((a.alpha_dot / b.alpha_dot - 1.0).abs() < 0.05, "{t}");
    }
}

/// Noise as some network might predict it, of a point and its time.
fn predicted(x: f64, t: f64) -> f64 {
    (0.8 * x + t).tanh() + 0.2 * x
}

struct Predicted;

impl VelocityField<2> for Predicted {
    fn velocity(&self, t: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        (x.clone() * 0.8 + t.unsqueeze_dim::<2>(1)).tanh() + x * 0.2
    }
}

/// `β_k` for `k = 1, .., K`, as published.
fn betas(schedule: Schedule) -> Vec<f64> {
    match schedule {
        Schedule::DiscreteLinear { steps, beta_first, beta_last } => (0..steps)
            .map(|i| beta_first + (beta_last - beta_first) * i as f64 / (steps - 1) as f64)
            .collect(),
        Schedule::DiscreteCosine { steps, offset, largest_beta } => {
            let bar = |k: usize| {
                let angle = (k as f64 / steps as f64 + offset) / (1.0 + offset);
                (angle * std::f64::consts::FRAC_PI_2).cos().powi(2)
            };
            (0..steps).map(|k| (1.0 - bar(k + 1) / bar(k)).min(largest_beta)).collect()
        }
        _ => unreachable!(),
    }
}

fn products(betas: &[f64]) -> Vec<f64> {
    let mut bars = vec![1.0];
    for beta in betas {
        bars.push(bars[bars.len() - 1] * (1.0 - beta));
    }
    bars
}

const SHAPE: [usize; 2] = [3, 2];

fn sampled(sampler: AncestralSampler) -> Vec<f64> {
    let placement = Placement::cpu_double();
    let schedule = sampler.schedule;
    let field = PredictedVelocity { model: Predicted, prediction: Prediction::Noise, schedule };
    let x0 = placement.normal(&mut Noise::new(1), SHAPE);
    to_host(&sampler.sample(&field, x0, &mut Noise::new(2)))
}

fn compare(found: &[f64], expected: &[f64], what: &str) {
    for (a, b) in found.iter().zip(expected) {
        // Roundings of early steps grow with 1/√ᾱ, which is 160 for the linear chain and 2·10⁴ for the cosine.
        assert!((a - b).abs() < 1e-8 * (1.0 + b.abs()), "{what}: {a}, not {b}");
    }
}

/// Algorithm 2 of Ho et al.
#[test]
fn all_steps_are_ddpm_as_published() {
    let short = Schedule::DiscreteLinear { steps: 20, beta_first: 0.3, beta_last: 0.05 };
    for schedule in [LINEAR, COSINE, short] {
        for variance in [StepVariance::Small, StepVariance::Large] {
            let betas = betas(schedule);
            let (bars, steps) = (products(&betas), betas.len());
            let mut x = Noise::new(1).normals(6);
            let mut noise = Noise::new(2);
            for k in (1..=steps).rev() {
                let (beta, bar, bar_before) = (betas[k - 1], bars[k], bars[k - 1]);
                let t = 1.0 - k as f64 / steps as f64;
                let z = if k > 1 { noise.normals(6) } else { vec![0.0; 6] };
                let squared = match variance {
                    StepVariance::Small => (1.0 - bar_before) / (1.0 - bar) * beta,
                    StepVariance::Large => beta,
                };
                for (x, z) in x.iter_mut().zip(z) {
                    let mean = (*x - beta / (1.0 - bar).sqrt() * predicted(*x, t)) / (1.0 - beta).sqrt();
                    *x = mean + squared.sqrt() * z;
                }
            }
            let found = sampled(AncestralSampler { schedule, freshness: 1.0, steps, variance, clip: None });
            compare(&found, &x, &format!("{schedule:?}, {variance:?}"));
        }
    }
}

/// Equation 7 of Ho et al., with the data that the step predicts cut off.
#[test]
fn clipped_steps_are_those_of_the_posterior_given_clipped_data() {
    for (schedule, clip) in [(LINEAR, 0.7), (COSINE, 1.0)] {
        let betas = betas(schedule);
        let (bars, steps) = (products(&betas), betas.len());
        let mut x = Noise::new(1).normals(6);
        let mut noise = Noise::new(2);
        let mut cut = 0;
        for k in (1..=steps).rev() {
            let (beta, bar, bar_before) = (betas[k - 1], bars[k], bars[k - 1]);
            let t = 1.0 - k as f64 / steps as f64;
            let z = if k > 1 { noise.normals(6) } else { vec![0.0; 6] };
            for (x, z) in x.iter_mut().zip(z) {
                let data = (*x - (1.0 - bar).sqrt() * predicted(*x, t)) / bar.sqrt();
                cut += usize::from(data.abs() > clip);
                let of_data = bar_before.sqrt() * beta / (1.0 - bar);
                let of_x = (1.0 - beta).sqrt() * (1.0 - bar_before) / (1.0 - bar);
                let deviation = ((1.0 - bar_before) / (1.0 - bar) * beta).sqrt();
                *x = of_data * data.clamp(-clip, clip) + of_x * *x + deviation * z;
            }
        }
        assert!(cut > steps, "{schedule:?}: cut {cut} times only");
        let (variance, clip) = (StepVariance::Small, Some(clip));
        let found = sampled(AncestralSampler { schedule, freshness: 1.0, steps, variance, clip });
        compare(&found, &x, &format!("{schedule:?}"));
        assert!(found.iter().all(|x| x.abs() <= clip.unwrap()), "{found:?}");
    }
}

/// Equation 12 of Song et al. over a part of the chain, with and without clipping.
#[test]
fn an_even_choice_of_steps_is_ddim_as_published() {
    for schedule in [LINEAR, COSINE] {
        for (eta, clip) in [(0.0, None), (0.4, None), (1.0, None), (0.0, Some(0.8)), (0.4, Some(0.8))] {
            let bars = products(&betas(schedule));
            let (steps, chain) = (7, bars.len() - 1);
            let chosen: Vec<usize> = (0..=steps).map(|i| chain * i / steps).collect();
            let mut x = Noise::new(1).normals(6);
            let mut noise = Noise::new(2);
            for pair in chosen.windows(2).rev() {
                let (bar, bar_to) = (bars[pair[1]], bars[pair[0]]);
                let t = 1.0 - pair[1] as f64 / chain as f64;
                let deviation = eta * ((1.0 - bar_to) / (1.0 - bar) * (1.0 - bar / bar_to)).sqrt();
                let z = if deviation > 0.0 { noise.normals(6) } else { vec![0.0; 6] };
                for (x, z) in x.iter_mut().zip(z) {
                    let mut epsilon = predicted(*x, t);
                    let mut data = (*x - (1.0 - bar).sqrt() * epsilon) / bar.sqrt();
                    if let Some(clip) = clip {
                        data = data.clamp(-clip, clip);
                        epsilon = (*x - bar.sqrt() * data) / (1.0 - bar).sqrt();
                    }
                    let old = (1.0 - bar_to - deviation * deviation).sqrt();
                    *x = bar_to.sqrt() * data + old * epsilon + deviation * z;
                }
            }
            let variance = StepVariance::Small;
            let found = sampled(AncestralSampler { schedule, freshness: eta, steps, variance, clip });
            compare(&found, &x, &format!("{schedule:?}, η = {eta}, {clip:?}"));
        }
    }
}

fn chains() -> impl Strategy<Value = Schedule> {
    let share = || 1e-5..0.999_f64;
    prop_oneof![
        (2..400_usize, share(), share()).prop_map(|(steps, beta_first, beta_last)| {
            Schedule::DiscreteLinear { steps, beta_first, beta_last }
        }),
        (2..400_usize, 0.0..0.3_f64, 0.3..0.9999_f64).prop_map(|(steps, offset, largest_beta)| {
            Schedule::DiscreteCosine { steps, offset, largest_beta }
        }),
    ]
}

proptest! {
    /// Data only grow and noise only shrinks, from end to end, and the ratio of both tells the time.
    #[test]
    fn every_chain_rises_between_its_steps_too(schedule in chains(), u in 0.0..0.999_f64, v in 0.0..0.999_f64) {
        prop_assert!(schedule.validate().is_ok());
        let (early, late) = (u.min(v), u.max(v));
        let (a, b) = (schedule.at(early), schedule.at(late));
        // Next to pure noise all sigmas are 1 but for their rounding.
        prop_assert!(a.alpha <= b.alpha && a.sigma >= b.sigma - f64::EPSILON, "{a:?}, {b:?}");
        prop_assert!(b.alpha_dot >= 0.0 && b.sigma_dot <= 0.0 && b.wronskian() >= 0.0, "{b:?}");
        // Where the chain has left next to no data there is no time to be told.
        if a.alpha > 1e-6 && a.alpha_dot > 1e-3 * a.alpha {
            let back = schedule.time_of_ratio(a.alpha, a.sigma);
            prop_assert!((back - early).abs() < 1e-8, "{early}, {back}");
        }
    }
}
