//! cargo run --release --example couplings
//!
//! Transport inside a batch is not transport between the laws: each batch is optimal for itself, and crosses paths with
//! all the others. For two Gaussians that differ by a shift the true cost is known, so the excess of a batch can be
//! seen: how it falls with the batch, how slowly in many dimensions, and what pairing with an entropic plan drops.
#![allow(clippy::print_stdout)]

use std::error::Error;

use thalweg::flow::{BatchBias, ConditionRule, Conditions, CouplingConfig};
use thalweg::noise::Noise;
use thalweg::ot::Points;

const SIZES: [usize; 4] = [16, 64, 256, 512];
const SHIFT: f64 = 3.0;

fn main() -> Result<(), Box<dyn Error>> {
    let rule = ConditionRule::default();
    let couplings = [
        ("independent", CouplingConfig::Independent {}),
        ("optimal transport", CouplingConfig::OptimalTransport { conditions: rule }),
        ("partial, 90 %", CouplingConfig::Partial { fraction: 0.9, conditions: rule }),
        ("sinkhorn, weight 1", CouplingConfig::Sinkhorn { regularisation: Some(1.0), conditions: rule }),
    ];
    let experiment = BatchBias { sizes: SIZES.to_vec(), repetitions: 4 };
    for dim in [2, 16] {
        println!(
            "N(0, I) to N(m, I) with |m|² = {}, {dim} dimensions: cost of a pair above |m|²",
            SHIFT * SHIFT
        );
        println!("{:20} {}", "batch", SIZES.map(|size| format!("{size:>14}")).join(""));
        for (name, coupling) in &couplings {
            let found =
                experiment.measure(coupling, dim, |n, noise| draw(n, dim, noise), &mut Noise::new(1))?;
            let cells: Vec<String> = found
                .iter()
                .map(|cost| format!("{:>7.2} ± {:.2}", cost.cost - SHIFT * SHIFT, cost.standard_error))
                .map(|cell| format!("{cell:>14}"))
                .collect();
            println!("{name:20} {}", cells.join(""));
        }
        println!();
    }

    println!("How many of 256 data points get into a step of training:");
    let mut noise = Noise::new(2);
    let [x0, x1] = draw(256, 2, &mut noise);
    for (name, coupling) in &couplings {
        let (x0, x1) = (Points::new(&x0, 2), Points::new(&x1, 2));
        let repeats = coupling.pair(x0, x1, Conditions::None, &mut noise)?.repeats();
        println!("{name:20} {:4}, the most used one {} times", repeats.distinct_targets, repeats.most);
    }
    Ok(())
}

/// Source and data points, row by row.
fn draw(n: usize, dim: usize, noise: &mut Noise) -> [Vec<f64>; 2] {
    let source = noise.normals(n * dim);
    let mut data = noise.normals(n * dim);
    // The whole shift along the first axis; by symmetry any direction does.
    data.iter_mut().step_by(dim).for_each(|x| *x += SHIFT);
    [source, data]
}
