//! Laws that hold for every method, start and span.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use burn::tensor::Tensor;
use common::{distance, oscillator, starts};
use proptest::prelude::*;
use thalweg_solve::{Method, Placement, Save, Solver, Span, Steps, Times, integrate};

fn methods() -> impl Strategy<Value = Method> {
    prop::sample::select(Method::ALL.to_vec())
}

/// A linear field that depends on time.
fn linear(times: &Times, x: &Tensor<2>) -> Tensor<2> {
    let matrix: Tensor<2> = Placement::of(x).tensor(&[0.3, -1.2, 0.8, -0.5], [2, 2]);
    let t = times.tensor(x).reshape([x.dims()[0], 1]);
    x.clone().matmul(matrix) * t.cos()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn linear_fields_make_linear_flows(
        method in methods(),
        steps in 1_usize..9,
        start in -2.0..2.0_f64,
        length in -1.5..1.5_f64,
        factor in -3.0..3.0_f64,
    ) {
        let span = Span { start, end: start + length };
        let solver = Solver::fixed(method, steps);
        let flow = |x| integrate(&solver, span, x, &Save::End, linear).unwrap().state;
        let (u, v) = (starts(&Placement::cpu_double(), 2), starts(&Placement::cpu_double(), 2).sin());
        let together = flow(u.clone() + v.clone().mul_scalar(factor));
        prop_assert!(distance(&together, &(flow(u) + flow(v).mul_scalar(factor))) < 1e-12);
    }

    #[test]
    fn a_solve_may_be_cut_at_any_node(
        method in methods(),
        cut in 1_usize..6,
        // Longer steps than a fifth let the explicit methods blow up.
        nodes in prop::collection::vec(0.01..0.2_f64, 6),
    ) {
        let ends: Vec<f64> = std::iter::once(0.0).chain(nodes.iter().scan(0.0, |t, h| { *t += h; Some(*t) })).collect();
        let solve = |x, nodes: &[f64]| {
            let solver = Solver { method, steps: Steps::Grid(nodes.to_vec()), max_steps: 6 };
            let span = Span { start: nodes[0], end: nodes[nodes.len() - 1] };
            integrate(&solver, span, x, &Save::End, oscillator).unwrap().state
        };
        let x = starts(&Placement::cpu_double(), 2);
        let whole = solve(x.clone(), &ends);
        let parts = solve(solve(x, &ends[..=cut]), &ends[cut..]);
        prop_assert_eq!(distance(&whole, &parts), 0.0);
    }

    #[test]
    fn saved_states_do_not_depend_on_what_else_is_saved(
        per_sample in any::<bool>(),
        mut times in prop::collection::vec(0.0..1.0_f64, 1..6),
    ) {
        times.sort_by(f64::total_cmp);
        let solver = Solver::adaptive(Method::Tsit5, 1e-6);
        let solver = if per_sample { solver.per_sample() } else { solver };
        let solve = |times| {
            let x = starts(&Placement::cpu_double(), 3);
            integrate(&solver, Span::FORWARD, x, &Save::At(times), oscillator).unwrap().saved
        };
        for (time, state) in solve(times) {
            prop_assert_eq!(distance(&state, &solve(vec![time])[0].1), 0.0);
        }
    }
}
