//! Noise in `K` discrete steps, as DDPM and its successors were published (FORMULAS §1.7), continued to all times.
//!
//! What is tabulated is `T = -ln ᾱ` at the steps `k = K(1 - t)`. Between them it is a cubic whose slopes at the steps are
//! harmonic means of the differences beside them (Fritsch and Butland): `T` rises everywhere and has a continuous
//! slope, and at the steps `ᾱ` is the product of the chain and nothing else.

use std::cell::RefCell;
use std::f64::consts::FRAC_PI_2;
use std::rc::Rc;

use super::Schedule;
use crate::number::Number;

/// A chain of noising steps.
#[derive(Debug)]
pub(super) struct Chain {
    /// `T`, its slope per step, and the second and third coefficient of the cubic, at the start of each cell.
    cells: [Vec<f64>; 4],
    /// `T` after the last step.
    total: f64,
}

/// `T` and its derivatives in the time to the data, `1 - t`.
pub(super) struct Total<T> {
    pub value: T,
    pub rate: T,
    pub bend: T,
}

/// Halvings after which nothing is left of an interval in double precision.
const HALVINGS: usize = 64;

impl Chain {
    /// The chain of a schedule; none for those in continuous time. The last one is remembered.
    pub fn of(schedule: &Schedule) -> Option<Rc<Self>> {
        thread_local! {
            static LAST: RefCell<Option<(Schedule, Rc<Chain>)>> = const { RefCell::new(None) };
        }
        let rises = rises(schedule);
        LAST.with_borrow_mut(|last| match last {
            Some((of, chain)) if of == schedule => Some(Rc::clone(chain)),
            _ => {
                let chain = Rc::new(Self::new(&rises?.collect::<Vec<f64>>()));
                *last = Some((*schedule, Rc::clone(&chain)));
                Some(chain)
            }
        })
    }

    /// From the rise of `T` in each step.
    fn new(rises: &[f64]) -> Self {
        let steps = rises.len();
        let harmonic = |k: usize| 2.0 * rises[k - 1] * rises[k] / (rises[k - 1] + rises[k]);
        // In the cells at the ends T is a parabola, which rises as well.
        let slope = |k: usize| match k {
            _ if steps == 1 => rises[0],
            0 => 2.0 * rises[0] - harmonic(1),
            _ if k == steps => 2.0 * rises[k - 1] - harmonic(k - 1),
            _ => harmonic(k),
        };
        let mut cells = [(); 4].map(|()| Vec::with_capacity(steps));
        let mut total = 0.0;
        for (k, rise) in rises.iter().enumerate() {
            let (left, right) = (slope(k), slope(k + 1));
            let values = [total, left, 3.0 * rise - 2.0 * left - right, left + right - 2.0 * rise];
            cells.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
            total += rise;
        }
        Self { cells, total }
    }

    fn steps(&self) -> f64 {
        self.cells[0].len() as f64
    }

    /// `T` and its derivatives at the time `t`.
    pub fn at<T: Number>(&self, t: T) -> Total<T> {
        let (cell, u) = self.place(t);
        let [start, slope, square, cube] = self.cells.each_ref().map(|column| cell.lookup(column));
        let steps = self.steps();
        let (square_u, cube_u) = (square.clone() * u.clone(), cube.clone() * u.clone());
        let bend = square.scale(2.0) + cube_u.clone().scale(6.0);
        let rate = slope.clone() + square_u.clone().scale(2.0) + u.clone() * cube_u.clone().scale(3.0);
        let value = start + u.clone() * (slope + square_u + u * cube_u);
        Total { value, rate: rate.scale(steps), bend: bend.scale(steps * steps) }
    }

    /// The cell in which a time lies, and the part of it between its step and the time. Counted from the nearer end, so
    /// that neither is lost in single precision.
    fn place<T: Number>(&self, t: T) -> (T, T) {
        let (steps, last) = (self.steps(), self.steps() - 1.0);
        let split = |distance: T| {
            let cell = distance.clone().floor().limit(0.0, last);
            (cell.clone(), distance - cell)
        };
        let is_late = t.at_least(&t.constant(0.5));
        let choose = |late: T, early: T| is_late.clone() * late + is_late.clone().complement() * early;
        let late = split(t.clone().complement().scale(steps));
        let early = split(t.scale(steps));
        (choose(late.0, -early.0.shift(-last)), choose(late.1, early.1.complement()))
    }

    /// The time at which `T` has this value, or the nearer end.
    pub fn time_of<T: Number>(&self, value: T) -> T {
        let value = value.limit(0.0, self.total);
        // From the data: small distances keep their digits.
        let mut distance = value.constant(0.0);
        let mut half = 0.5;
        for _ in 0..HALVINGS {
            let there = distance.clone().shift(half);
            let is_before = value.at_least(&self.at(there.complement()).value);
            distance = distance + is_before.scale(half);
            half *= 0.5;
        }
        distance.complement()
    }
}

/// `-ln(1 - β)` of each step.
fn rises(schedule: &Schedule) -> Option<Box<dyn Iterator<Item = f64>>> {
    match *schedule {
        Schedule::DiscreteLinear { steps, beta_first, beta_last } => {
            let rise = (beta_last - beta_first) / (steps.max(2) - 1) as f64;
            Some(Box::new((0..steps).map(move |k| -(-(beta_first + k as f64 * rise)).ln_1p())))
        }
        Schedule::DiscreteCosine { steps, offset, largest_beta } => {
            let angle = move |k: usize| (k as f64 / steps as f64 + offset) / (1.0 + offset) * FRAC_PI_2;
            Some(Box::new((0..steps).map(move |k| {
                let (a, b) = (angle(k), angle(k + 1));
                // 1 - cos²b/cos²a without cancellation.
                let beta = ((b - a).sin() * (a + b).sin() / a.cos().powi(2)).min(largest_beta);
                -(-beta).ln_1p()
            })))
        }
        _ => None,
    }
}
