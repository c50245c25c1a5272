//! Steps chosen by tolerance: accuracy, costs, direction, independence of batch mates.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use burn::tensor::Tensor;
use common::{distance, oscillator, starts};
use serde_json::Value;
use thalweg_solve::{
    Augmented, Control, Method, Placement, Save, Solution, Solver, Span, Steps, Times, Tolerance, integrate,
    integrate_any_rows, solve_field, to_host,
};

const TORCHDIFFEQ: &str = include_str!("../../../fixtures/solve/torchdiffeq.json");
const ADAPTIVE: [Method; 4] = [Method::Heun, Method::Bosh3, Method::Dopri5, Method::Tsit5];

fn points(value: &Value) -> Tensor<2> {
    let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).unwrap();
    Placement::cpu_double().tensor(&rows.concat(), [rows.len(), 2])
}

fn solve(solver: &Solver, span: Span, x: Tensor<2>) -> Solution<Tensor<2>> {
    integrate(solver, span, x, &Save::End, oscillator).unwrap()
}

#[test]
fn results_agree_with_torchdiffeq() {
    let fixture: Value = serde_json::from_str(TORCHDIFFEQ).unwrap();
    let x = points(&fixture["x"]);
    for case in fixture["fixed"].as_array().unwrap() {
        let method = serde_json::from_value(case["method"].clone()).unwrap();
        let steps = case["steps"].as_u64().unwrap() as usize;
        let ours = solve(&Solver::fixed(method, steps), Span::FORWARD, x.clone());
        assert!(distance(&ours.state, &points(&case["final"])) < 1e-13, "{method}");
    }
    let accurate = points(&fixture["accurate"]);
    for (method, allowed) in [(Method::Bosh3, 1e-6), (Method::Dopri5, 1e-7), (Method::Tsit5, 1e-7)] {
        let solver = Solver::adaptive(method, 1e-9);
        for solver in [solver.clone(), solver.per_sample()] {
            let error = distance(&solve(&solver, Span::FORWARD, x.clone()).state, &accurate);
            assert!(error < allowed, "{method} {error}");
        }
    }
}

#[test]
fn smaller_tolerances_give_smaller_errors_in_either_precision() {
    let double = Placement::cpu_double();
    let exact = solve(&Solver::adaptive(Method::Dopri5, 1e-12), Span::FORWARD, starts(&double, 4)).state;
    for method in ADAPTIVE {
        for (placement, tolerance) in [
            (&double, 1e-3),
            (&double, 1e-5),
            (&double, 1e-7),
            (&Placement::cpu(), 1e-3),
            (&Placement::cpu(), 1e-5),
        ] {
            let solution = solve(&Solver::adaptive(method, tolerance), Span::FORWARD, starts(placement, 4));
            assert_eq!(solution.state.dtype(), placement.dtype);
            let error = distance(&double.tensor(&to_host(&solution.state), [4, 2]), &exact);
            assert!(error < 40.0 * tolerance, "{method} at {tolerance}: {error}");
        }
    }
}

#[test]
fn evaluations_are_counted_as_the_formulas_say() {
    let placement = Placement::cpu_double();
    for method in ADAPTIVE {
        let tableau = method.tableau();
        for solver in [Solver::adaptive(method, 1e-6), Solver::adaptive(method, 1e-6).per_sample()] {
            let mut calls = 0;
            let solution = integrate(&solver, Span::FORWARD, starts(&placement, 3), &Save::End, |t, x| {
                calls += 1;
                oscillator(t, x)
            })
            .unwrap();
            let shared = !solution.grid.is_empty();
            for sample in 0..3 {
                let (accepted, rejected) = (solution.accepted[sample], solution.rejected[sample]);
                // First same as last: the slope of the start and the probe, then one less than the stages each try.
                // Otherwise a step that was taken is followed by a new first slope, which the last step does not need.
                let expected = if tableau.fsal {
                    2 + (tableau.stages() - 1) * (accepted + rejected)
                } else {
                    2 + (tableau.stages() - 1) * (accepted + rejected) + accepted - 1
                };
                assert_eq!(solution.evaluations[sample], expected, "{method} sample {sample}");
                assert!(calls >= expected && (!shared || calls == expected), "{calls} calls");
            }
        }
    }
    let expected = [(Method::Euler, 7), (Method::Midpoint, 14), (Method::Heun, 14), (Method::Rk4, 28)];
    for (method, count) in
        expected.into_iter().chain([(Method::Bosh3, 21), (Method::Dopri5, 42), (Method::Tsit5, 42)])
    {
        let solution = solve(&Solver::fixed(method, 7), Span::FORWARD, starts(&placement, 2));
        assert_eq!((solution.evaluations, solution.accepted), (vec![count; 2], vec![7; 2]), "{method}");
    }
}

#[test]
fn a_given_first_step_saves_the_probe() {
    let x = starts(&Placement::cpu_double(), 1);
    let steps = |first_step| Steps::Adaptive {
        tolerance: Tolerance::default(),
        control: Control::Shared,
        first_step,
    };
    let solver = Solver { steps: steps(Some(0.01)), ..Solver::default() };
    let solution = solve(&solver, Span::BACKWARD, x.clone());
    assert_eq!(solution.evaluations[0], 1 + 6 * (solution.accepted[0] + solution.rejected[0]));
    assert!((solution.grid[1] - 0.99).abs() < 1e-15, "{:?}", solution.grid);
    // Larger than the span: it is cut, not refused.
    let solver = Solver { steps: steps(Some(1e9)), ..Solver::default() };
    assert_eq!(solve(&solver, Span::FORWARD, x).grid.last(), Some(&1.0));
}

#[test]
fn a_sample_does_not_notice_its_batch_mates() {
    for placement in [Placement::cpu(), Placement::cpu_double()] {
        for method in ADAPTIVE {
            let solver = Solver::adaptive(method, 1e-5).per_sample();
            let save = Save::At(vec![0.2, 0.5, 0.5, 1.0]);
            let run = |x| integrate(&solver, Span::FORWARD, x, &save, oscillator).unwrap();
            let x = starts(&placement, 5);
            let together = run(x.clone());
            assert!(together.evaluations.iter().max() > together.evaluations.iter().min());
            for sample in 0..5 {
                let row = |x: &Tensor<2>| to_host(&x.clone().narrow(0, sample, 1));
                let alone = run(x.clone().narrow(0, sample, 1));
                assert_eq!(row(&together.state), to_host(&alone.state), "{method} sample {sample}");
                assert_eq!(together.evaluations[sample], alone.evaluations[0]);
                assert_eq!(together.rejected[sample], alone.rejected[0]);
                for ((_, ours), (_, theirs)) in together.saved.iter().zip(&alone.saved) {
                    assert_eq!(row(ours), to_host(theirs));
                }
            }
        }
    }
}

#[test]
fn one_sample_with_steps_of_its_own_takes_the_shared_steps() {
    let x = starts(&Placement::cpu_double(), 1);
    let shared = solve(&Solver::adaptive(Method::Dopri5, 1e-6), Span::FORWARD, x.clone());
    let own = solve(&Solver::adaptive(Method::Dopri5, 1e-6).per_sample(), Span::FORWARD, x);
    assert_eq!(shared.evaluations, own.evaluations);
    assert!(distance(&shared.state, &own.state) < 1e-14);
}

#[test]
fn going_back_returns_to_the_start() {
    let x = starts(&Placement::cpu_double(), 3);
    let span = Span { start: 0.25, end: 1.25 };
    for solver in [
        Solver::adaptive(Method::Dopri5, 1e-10),
        Solver::adaptive(Method::Tsit5, 1e-10).per_sample(),
        Solver::fixed(Method::Rk4, 1000),
    ] {
        let there = solve(&solver, span, x.clone()).state;
        assert!(distance(&there, &x) > 0.1);
        let back = solve(&solver, span.reversed(), there).state;
        // The attracting cycle repels backward, and errors grow with it.
        assert!(distance(&back, &x) < 1e-6, "{solver:?}: {}", distance(&back, &x));
    }
}

#[test]
fn the_field_is_never_asked_outside_the_span_and_the_end_is_reached_exactly() {
    // Steps of 0.1 do not add up to 1 in binary.
    let span = Span { start: 0.1, end: 1.0 - 1e-5 };
    let methods = Method::ALL.map(|method| Solver::fixed(method, 9)).to_vec();
    let adaptive = ADAPTIVE.map(|method| Solver::adaptive(method, 1e-4));
    let own = adaptive.clone().map(Solver::per_sample);
    for solver in methods.into_iter().chain(adaptive).chain(own) {
        for span in [span, span.reversed()] {
            let (low, high) = (span.start.min(span.end), span.start.max(span.end));
            let solution =
                integrate(&solver, span, starts(&Placement::cpu_double(), 3), &Save::End, |times, x| {
                    for sample in 0..3 {
                        assert!((low..=high).contains(&times.of(sample)), "{solver:?} asked at {times:?}");
                    }
                    oscillator(times, x)
                })
                .unwrap();
            if let (Some(first), Some(last)) = (solution.grid.first(), solution.grid.last()) {
                assert_eq!((*first, *last), (span.start, span.end));
            }
        }
    }
}

#[test]
fn a_grid_may_be_uneven_and_is_walked_in_either_direction() {
    let nodes: Vec<f64> = (0..=40).map(|i| 1.0 - (1.0 - f64::from(i) / 40.0).powi(2)).collect();
    let solver = Solver { method: Method::Dopri5, steps: Steps::Grid(nodes.clone()), max_steps: 40 };
    let x = starts(&Placement::cpu_double(), 2);
    let there = solve(&solver, Span::FORWARD, x.clone());
    assert_eq!(there.grid, nodes);
    let back = solve(&solver, Span::BACKWARD, there.state);
    assert_eq!(back.grid.first(), Some(&1.0));
    assert!(distance(&back.state, &x) < 1e-4, "{}", distance(&back.state, &x));
}

#[test]
fn saved_states_lie_on_the_solution() {
    let x = starts(&Placement::cpu_double(), 3);
    let times = vec![0.0, 0.0, 0.111, 0.5, 0.77, 1.0];
    for (span, times) in [(Span::FORWARD, times.clone()), (Span::BACKWARD, times.into_iter().rev().collect())]
    {
        let save = Save::At(times.clone());
        for solver in [
            Solver::adaptive(Method::Dopri5, 1e-8),
            Solver::adaptive(Method::Tsit5, 1e-8).per_sample(),
            Solver::fixed(Method::Rk4, 400),
        ] {
            let solution = integrate(&solver, span, x.clone(), &save, oscillator).unwrap();
            assert_eq!(solution.saved.iter().map(|(time, _)| *time).collect::<Vec<_>>(), times);
            for (time, state) in &solution.saved {
                let span = Span { end: *time, ..span };
                let exact = solve(&Solver::adaptive(Method::Dopri5, 1e-11), span, x.clone()).state;
                assert!(distance(state, &exact) < 1e-6, "{solver:?} at {time}: {}", distance(state, &exact));
            }
            assert_eq!(
                distance(&solution.saved[5].1, if times[5] == span.end { &solution.state } else { &x }),
                0.0
            );
        }
    }
}

#[test]
fn saving_in_between_costs_no_evaluation_of_an_adaptive_solve() {
    let x = starts(&Placement::cpu_double(), 2);
    let solver = Solver::adaptive(Method::Dopri5, 1e-6);
    let save = Save::evenly(Span::FORWARD, 50);
    let saving = integrate(&solver, Span::FORWARD, x.clone(), &save, oscillator).unwrap();
    let plain = solve(&solver, Span::FORWARD, x.clone());
    assert_eq!(saving.evaluations, plain.evaluations);
    assert_eq!(distance(&saving.state, &plain.state), 0.0);
    let steps = integrate(&solver, Span::FORWARD, x, &Save::Steps, oscillator).unwrap();
    assert_eq!(steps.saved.iter().map(|(time, _)| *time).collect::<Vec<_>>(), steps.grid);
    assert_eq!(steps.accepted[0] + 1, steps.grid.len());
}

#[test]
fn empty_batches_and_spans_without_length_cost_nothing() {
    let never = |_: &Times, _: &Tensor<2>| -> Tensor<2> { panic!("nothing to evaluate") };
    let still = Span { start: 0.5, end: 0.5 };
    let save = Save::At(vec![0.5, 0.5]);
    for solver in [Solver::default(), Solver::default().per_sample()] {
        let empty = Placement::cpu().tensor(&[], [0, 2]);
        let solution =
            integrate(&solver, Span::FORWARD, empty, &Save::evenly(Span::FORWARD, 3), never).unwrap();
        assert_eq!((solution.state.dims(), solution.saved.len(), solution.evaluations.len()), ([0, 2], 3, 0));
        let x = starts(&Placement::cpu(), 2);
        let solution = integrate(&solver, still, x.clone(), &save, never).unwrap();
        assert_eq!((distance(&solution.state, &x), solution.evaluations), (0.0, vec![0, 0]));
        assert_eq!(distance(&solution.saved[1].1, &x), 0.0);
    }
}

#[test]
fn fields_and_points_of_any_rank_work() {
    let placement = Placement::cpu_double();
    let scalars = placement.tensor(&[1.0, 2.0, -3.0], [3]);
    let decay = |_: Tensor<1>, x: Tensor<1>| x.neg();
    for solver in [Solver::adaptive(Method::Tsit5, 1e-9), Solver::adaptive(Method::Tsit5, 1e-9).per_sample()]
    {
        let end = solve_field(&solver, Span::FORWARD, scalars.clone(), &Save::End, &decay).unwrap().state;
        assert!(distance(&end, &scalars.clone().mul_scalar((-1.0_f64).exp())) < 1e-8);
        let images = placement.full(2.0, [2, 3, 4, 4]);
        let decay = |_: Tensor<1>, x: Tensor<4>| x.neg();
        let end = solve_field(&solver, Span::FORWARD, images.clone(), &Save::End, &decay).unwrap().state;
        assert!(distance(&end, &images.mul_scalar((-1.0_f64).exp())) < 1e-8);
    }
}

/// `x' = (1 + t) x`, and the integrals of its divergence `d (1 + t)` and of a fast oscillation.
fn swelling(times: &Times, state: &Augmented<2>) -> Augmented<2> {
    let [batch, d] = state.x.dims();
    let speed = times.tensor(state).add_scalar(1.0).reshape([batch, 1]);
    let wave = times.tensor(state).mul_scalar(60.0).cos().reshape([batch, 1]);
    let integrands = Tensor::cat(vec![speed.clone().mul_scalar(d as f64), wave], 1);
    Augmented::new(state.x.clone().mul(speed), integrands)
}

#[test]
fn integrals_ride_along_and_only_those_controlled_ask_for_steps() {
    let x = starts(&Placement::cpu_double(), 3);
    for per_sample in [false, true] {
        let run = |controlled| {
            let solver = Solver::adaptive(Method::Dopri5, 1e-9);
            let solver = if per_sample { solver.per_sample() } else { solver };
            let initial = Augmented::zeroed(x.clone(), 2).controlling(controlled);
            let save = Save::At(vec![0.5]);
            integrate(&solver, Span::FORWARD, initial, &save, swelling).unwrap()
        };
        for controlled in 0..=2 {
            let solution = run(controlled);
            assert!(distance(&solution.state.x, &x.clone().mul_scalar(1.5_f64.exp())) < 1e-7);
            let halfway = 2.0 * (0.5 + 0.125);
            for (end, half) in
                to_host(&solution.state.column(0)).into_iter().zip(to_host(&solution.saved[0].1.column(0)))
            {
                assert!((end - 3.0).abs() < 1e-9 && (half - halfway).abs() < 1e-8, "{end} {half}");
            }
            if controlled == 2 {
                for wave in to_host(&solution.state.column(1)) {
                    assert!((wave - 60.0_f64.sin() / 60.0).abs() < 1e-8, "{wave}");
                }
            }
        }
        assert!(run(2).mean_evaluations() > 2.0 * run(1).mean_evaluations());
    }
}

/// Forty starts of which some need many more steps than others, with a running integral.
fn many() -> Augmented<2> {
    let values: Vec<f64> =
        (0..40).flat_map(|i| [0.1 * f64::from(i) - 2.0, 0.05 * f64::from(i * i)]).collect();
    Augmented::zeroed(Placement::cpu_double().tensor(&values, [40, 2]), 1)
}

fn with_energy(times: &Times, state: &Augmented<2>) -> Augmented<2> {
    let velocity = oscillator(times, &state.x);
    let energy = velocity.clone().square().sum_dim(1);
    Augmented::new(velocity, energy)
}

#[test]
fn going_on_without_finished_samples_changes_nothing() {
    let solver = Solver::adaptive(Method::Dopri5, 1e-7).per_sample();
    let whole = integrate(&solver, Span::FORWARD, many(), &Save::End, with_energy).unwrap();
    let mut sizes = Vec::new();
    let rate = |times: &Times, state: &Augmented<2>| {
        sizes.push(state.x.dims()[0]);
        with_energy(times, state)
    };
    let parted = integrate_any_rows(&solver, Span::FORWARD, many(), &Save::End, rate).unwrap();
    assert_eq!(to_host(&parted.state.x), to_host(&whole.state.x));
    assert_eq!(to_host(&parted.state.accumulated), to_host(&whole.state.accumulated));
    assert_eq!(parted.evaluations, whole.evaluations);
    assert_eq!(parted.accepted, whole.accepted);
    assert_eq!(parted.rejected, whole.rejected);
    // The work is that of the samples, up to the quarter that is waited for.
    let (done, needed) = (sizes.iter().sum::<usize>(), parted.evaluations.iter().sum::<usize>());
    assert!(done < needed * 4 / 3, "{done} rows were evaluated where {needed} were needed");
    assert!(sizes.len() * 40 > done * 5 / 4, "no sample was set aside");
}

#[test]
fn a_failure_after_samples_were_set_aside_still_holds_all_of_them() {
    let mut solver = Solver::adaptive(Method::Dopri5, 1e-7).per_sample();
    let counts = integrate(&solver, Span::FORWARD, many(), &Save::End, with_energy).unwrap();
    let steps: Vec<usize> = counts.accepted.iter().zip(&counts.rejected).map(|(a, r)| a + r).collect();
    let mut sorted = steps.clone();
    sorted.sort_unstable();
    solver.max_steps = sorted[30];
    let whole = integrate(&solver, Span::FORWARD, many(), &Save::End, with_energy).unwrap_err();
    let parted = integrate_any_rows(&solver, Span::FORWARD, many(), &Save::End, with_energy).unwrap_err();
    assert_eq!(parted.reason, whole.reason);
    assert_eq!(parted.samples, steps.iter().filter(|&&steps| steps > sorted[30]).count());
    assert_eq!(parted.samples, whole.samples);
    assert_eq!(to_host(&parted.last.x), to_host(&whole.last.x));
    assert_eq!(parted.reached, whole.reached);
    assert_eq!(parted.evaluations, whole.evaluations);
}

#[test]
fn integrands_are_only_asked_for_where_they_count() {
    let x = starts(&Placement::cpu_double(), 3);
    let cases = [
        (Solver::adaptive(Method::Dopri5, 1e-6), Save::End, true),
        (Solver::adaptive(Method::Dopri5, 1e-6).per_sample(), Save::At(vec![0.3, 0.9]), true),
        (Solver::fixed(Method::Midpoint, 20), Save::End, true),
        // Its dense output uses the first slope.
        (Solver::fixed(Method::Midpoint, 20), Save::At(vec![0.01]), true),
        (Solver::fixed(Method::Rk4, 20), Save::End, false),
        (Solver::adaptive(Method::Tsit5, 1e-6), Save::End, false),
    ];
    for (solver, save, spares) in cases {
        let whole = integrate(&solver, Span::FORWARD, Augmented::zeroed(x.clone(), 1), &save, with_energy);
        let mut spared = 0;
        let rate = |times: &Times, state: &Augmented<2>| {
            let rate = with_energy(times, state);
            if state.integrands_count {
                return rate;
            }
            spared += 1;
            Augmented::new(rate.x, rate.accumulated.mul_scalar(0.0).add_scalar(1e6))
        };
        let parts = integrate(&solver, Span::FORWARD, Augmented::zeroed(x.clone(), 1), &save, rate);
        let (whole, parts) = (whole.unwrap(), parts.unwrap());
        assert_eq!(spared > 0, spares, "{solver:?}");
        assert_eq!(to_host(&parts.state.accumulated), to_host(&whole.state.accumulated), "{solver:?}");
        for ((_, parts), (_, whole)) in parts.saved.iter().zip(&whole.saved) {
            assert_eq!(to_host(&parts.accumulated), to_host(&whole.accumulated), "{solver:?}");
        }
    }
}

/// The guess for the first step is relative to the state, and near zero that is too little to move the time.
#[test]
fn a_start_near_zero_is_no_reason_to_stop() {
    let x = Placement::cpu().tensor(&[1e-9, 1.0], [2, 1]);
    for solver in
        [Solver::adaptive(Method::Dopri5, 1e-5), Solver::adaptive(Method::Dopri5, 1e-5).per_sample()]
    {
        let ones = |_: &Times, x: &Tensor<2>| x.ones_like();
        let found = integrate(&solver, Span::FORWARD, x.clone(), &Save::End, ones).unwrap();
        let found = to_host(&found.state);
        assert!((found[0] - 1.0).abs() < 1e-5 && (found[1] - 2.0).abs() < 1e-5, "{found:?}");
    }
}
