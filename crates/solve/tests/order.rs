//! Every method converges with its order, at the end and in between, forward and backward.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use burn::tensor::Tensor;
use thalweg_solve::{Method, Placement, Save, Solver, Span, Times, integrate, to_host};

/// `x' = λx`, row by row.
fn growth(_: &Times, x: &Tensor<2>) -> Tensor<2> {
    x.clone().mul_scalar(-1.3)
}

/// A rotation whose speed grows with time: angle `t + t²/2`.
fn rotation(times: &Times, x: &Tensor<2>) -> Tensor<2> {
    let speed = times.tensor(x).add_scalar(1.0).reshape([x.dims()[0], 1]);
    let (first, second) = (x.clone().narrow(1, 0, 1), x.clone().narrow(1, 1, 1));
    Tensor::cat(vec![second.neg(), first], 1).mul(speed)
}

type Field = fn(&Times, &Tensor<2>) -> Tensor<2>;
const START: [f64; 2] = [0.8, -0.6];

/// The flow from time 0 to `t`, applied to [`START`].
fn exact(field: Field, t: f64) -> [f64; 2] {
    if std::ptr::fn_addr_eq(field, growth as Field) {
        START.map(|x| x * (-1.3 * t).exp())
    } else {
        let (sin, cos) = (t + t * t / 2.0).sin_cos();
        [START[0] * cos - START[1] * sin, START[0] * sin + START[1] * cos]
    }
}

/// Errors at the end and in between, for solves from 0 to 1 or from 1 to 0.
fn errors(method: Method, field: Field, steps: usize, span: Span) -> (f64, f64) {
    let x = Placement::cpu_double().tensor(&exact(field, span.start), [1, 2]);
    let solution =
        integrate(&Solver::fixed(method, steps), span, x, &Save::evenly(span, 8 * steps + 1), field).unwrap();
    assert_eq!(solution.saved.len(), 8 * steps + 1);
    let error = |t: f64, x: &Tensor<2>| {
        exact(field, t).iter().zip(to_host(x)).fold(0.0, |worst: f64, (a, b)| worst.max((a - b).abs()))
    };
    let between = solution.saved.iter().fold(0.0, |worst: f64, (t, x)| worst.max(error(*t, x)));
    (error(span.end, &solution.state), between)
}

fn check_orders(field: Field, span: Span) {
    for method in Method::ALL {
        let tableau = method.tableau();
        // Few steps for high orders, or rounding would hide the slope.
        let coarse = if tableau.order >= 4 { 12 } else { 32 };
        let (end, between) = errors(method, field, coarse, span);
        let (end_quarter, between_quarter) = errors(method, field, 4 * coarse, span);
        let order = tableau.order as f64;
        let slope = (end / end_quarter).log2() / 2.0;
        assert!((order - 0.5..order + 0.7).contains(&slope), "{method}: order {slope} at the end");
        // A dense output of order q makes a local error of order q + 1, so it shows up to that of the method.
        let expected = tableau.order.min(tableau.dense_order + 1) as f64;
        let slope = (between / between_quarter).log2() / 2.0;
        assert!(slope > expected - 0.45, "{method}: order {slope} between the steps, expected {expected}");
    }
}

#[test]
fn growth_converges_with_the_order_of_the_method() {
    check_orders(growth, Span::FORWARD);
    check_orders(growth, Span::BACKWARD);
}

#[test]
fn rotation_converges_with_the_order_of_the_method() {
    check_orders(rotation, Span::FORWARD);
    check_orders(rotation, Span::BACKWARD);
}
