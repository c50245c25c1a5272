//! Contraction by a linear matrix inequality, (10R) of FORMULAS §6.4: if `𝒯(P, Γ, c) ⪯ 0` then any two solutions with the
//! same input approach each other at the rate `c` in the norm `√(zᵀPz)`.

use faer::{Mat, Scale, Side};

use crate::Field;
use crate::dense::{diagonal, eigenvalues, extremes, frobenius, lower_inverse, symmetrised};
use crate::field::Stacked;
use crate::lmi::{Between, Block, End, Point, Program, order_at};

/// What proves a rate, and can be checked by anyone with the field at hand.
#[derive(Debug, Clone)]
pub struct Contraction {
    /// The rate `c`.
    pub rate: f64,
    /// `P`, `[n, n]`.
    pub metric: Mat<f64>,
    /// `Γ`, one number for each unit.
    pub multipliers: Vec<f64>,
}

/// Whether there is a proof.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// There is one, and it has been checked.
    Certified(Contraction),
    /// There is none by this method.
    NotCertified {
        /// The least eigenvalue bound that was reached: below zero would have been a proof.
        margin: f64,
        /// Whether it is sure that the method has no proof, and not that numbers gave out.
        sure: bool,
    },
}

/// Limits of the search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The largest condition number of `P`.
    pub condition: f64,
    /// How precisely the best rate is found, as a share of it.
    pub precision: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { condition: 1e3, precision: 1e-5 }
    }
}

/// `λ_max(𝒯)` must be below this share of the size of `𝒯`.
const MARGIN: f64 = 1e-9;
/// An eigenvalue of the metric below this share of the largest is rounding.
const ROUNDING: f64 = 1e-12;
/// The block that the search for the best rate adds.
const TRUST: usize = 3;
/// Rounds of the search for the best rate, and how much the weight of the rate grows in each.
const ROUNDS: usize = 80;
const GROWTH: f64 = 4.0;

/// The largest rate that can be proved, if any rate above zero can.
///
/// # Panics
/// When [`Field::check`] finds something.
#[must_use]
pub fn best_contraction(field: &Field, limits: Limits) -> Verdict {
    field.assert_sound();
    best_of(&field.stacked(), limits)
}

/// [`best_contraction`] for slopes that may be those of a region.
pub(crate) fn best_of(field: &Stacked, limits: Limits) -> Verdict {
    let found = climb(field, starting_point(field, 0.0, limits), limits);
    if found.rate > 0.0 {
        return backed_off(field, found);
    }
    match feasible(field, 0.0, limits) {
        End::Below(point) => backed_off(field, climb(field, point, limits)),
        End::NoneBelow(margin) => Verdict::NotCertified { margin, sure: true },
        End::Undecided(Point { s, .. }) => Verdict::NotCertified { margin: s.max(0.0), sure: false },
    }
}

/// Looks for any proof at a rate.
fn feasible(field: &Stacked, rate: f64, limits: Limits) -> End {
    let mut program = program(field, limits);
    aim(&mut program, field, rate, Mat::identity(field.rows(), field.rows()));
    program.minimise(starting_point(field, rate, limits), 0.0)
}

/// Follows the central path of `min s` with `2sP̄ - 𝒯(P, Γ, c)` definite, where `P̄` is the metric of the last point and
/// `c` the rate that `s = 0` stands for. Since `P̄ = P` there, `-s` is a gain in rate, and no point on the way is lost: a
/// generalised eigenvalue problem by Dinkelbach's method, with one Newton iteration for all of its rounds (Nesterov and
/// Nemirovski, Interior-Point Polynomial Algorithms in Convex Programming, 1994, treat such problems).
fn climb(field: &Stacked, mut point: Point, limits: Limits) -> Contraction {
    let n = field.linear.nrows();
    scale_up(field, &mut point, limits);
    let mut program = program(field, limits);
    program.blocks.push(limit(Mat::zeros(n, n), -0.5));
    let ceiling = ceiling(field);
    let mut best = raised(field, proof_at(&point, 0.0));
    let size = ceiling.abs().max(best.rate.abs()).max(f64::MIN_POSITIVE);
    let mut reference = best.rate - 0.5 * (ceiling - best.rate).max(1e-3 * size);
    let order = program.order();
    let mut weight = order / (ceiling - reference);
    for _ in 0..ROUNDS {
        point.s = 0.0;
        let unit = symmetrised(&point.matrices[0]);
        let mut shift = Mat::zeros(field.rows(), field.rows());
        shift.submatrix_mut(0, 0, n, n).copy_from(&unit * Scale(2.0));
        aim(&mut program, field, reference, shift);
        // A metric that is merely larger gains nothing but a lower `s`, so it must not grow much at once.
        program.blocks[TRUST].constant = unit * Scale(2.0);
        let Some(decrement) = program.centre(&mut point, weight, f64::NEG_INFINITY) else { break };
        let proof = raised(field, proof_at(&point, reference));
        let gain = proof.rate - reference;
        if proof.rate > best.rate {
            best = proof;
        }
        let gap = order_at(order, decrement) / weight;
        // What may still be gained, once the metric is the right one; it is, where little was gained.
        let left = gap - point.s;
        if left <= limits.precision * best.rate.max(1e-3 * size) || reference + left < -1e-3 * size {
            break;
        }
        // Where the new unit of `s` leaves the point as central as it was, but not beyond what it proves.
        reference += (-point.s).min(gain - 0.05 * gain.abs());
        // While the metric still moves, a gap that is smaller than what that gains is no use.
        if -point.s < 2.0 * gap {
            weight *= GROWTH;
        }
    }
    best
}

/// A multiple of a proof is one. The larger it is, the less can be gained by making it larger still, which `s` would take for
/// a gain in rate.
fn scale_up(field: &Stacked, point: &mut Point, limits: Limits) {
    let largest = extremes(&point.matrices[0]).map_or(f64::INFINITY, |[_, largest]| largest);
    let room = |(k, x): (usize, &f64)| highest(field, k, limits) / x;
    let room = point.numbers.iter().enumerate().map(room).fold(limits.condition / largest, f64::min);
    let by = 0.5 * room;
    if by > 1.0 {
        point.matrices[0] = &point.matrices[0] * Scale(by);
        point.numbers.iter_mut().for_each(|x| *x *= by);
    }
}

/// At the very best rate the matrix is singular; a little below it the proof is strict. How little depends on the sizes of
/// metric and multipliers, of which none may drown in the rounding of the others.
fn backed_off(field: &Stacked, mut best: Contraction) -> Verdict {
    let least = 4.0 * MARGIN * frobenius(&inequality(field, &best.metric, &best.multipliers, best.rate));
    best.multipliers.iter_mut().for_each(|x| *x = x.max(least));
    let mut share = 1e-6;
    while share < 1.0 {
        let proof = Contraction { rate: best.rate * (1.0 - share), ..best.clone() };
        if margin_for(field, &proof).is_ok() {
            return Verdict::Certified(proof);
        }
        share *= 4.0;
    }
    Verdict::NotCertified { margin: 0.0, sure: false }
}

/// Whether the field contracts at this rate.
///
/// # Panics
/// When [`Field::check`] finds something.
#[must_use]
pub fn contraction(field: &Field, rate: f64, limits: Limits) -> Verdict {
    field.assert_sound();
    let stacked = field.stacked();
    match feasible(&stacked, rate, limits) {
        End::Below(point) => {
            let found = proof_at(&point, rate);
            match margin_for(&stacked, &found) {
                Ok(_) => Verdict::Certified(found),
                Err(_) => Verdict::NotCertified { margin: 0.0, sure: false },
            }
        }
        End::NoneBelow(margin) => Verdict::NotCertified { margin, sure: true },
        End::Undecided(Point { s, .. }) => Verdict::NotCertified { margin: s, sure: false },
    }
}

/// Checks a proof by itself: shapes, signs and eigenvalues, without the solver.
///
/// # Errors
/// Says what does not hold.
pub fn verify(field: &Field, proof: &Contraction) -> Result<(), String> {
    field.check()?;
    margin_for(&field.stacked(), proof).map(|_| ())
}

/// What was found of a proof that holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Margin {
    /// `λ_max(𝒯)`, below zero.
    pub eigenvalue: f64,
    /// The size of `𝒯`, which its rounding is relative to.
    pub size: f64,
    /// The least and the greatest eigenvalue of the metric.
    pub metric: [f64; 2],
}

/// [`verify`] for slopes that may be those of a region, with the numbers that it rests on.
pub(crate) fn margin_for(field: &Stacked, proof: &Contraction) -> Result<Margin, String> {
    let (n, units) = (field.linear.nrows(), field.slopes.len());
    let Contraction { rate, metric, multipliers } = proof;
    if (metric.nrows(), metric.ncols()) != (n, n) || multipliers.len() != units {
        return Err(format!(
            "a metric of {} × {} and {} multipliers do not belong to a field of {n} coordinates and {units} units",
            metric.nrows(),
            metric.ncols(),
            multipliers.len()
        ));
    }
    if !rate.is_finite() {
        return Err(format!("a rate of {rate} says nothing"));
    }
    if let Some(k) = multipliers.iter().position(|x| !(x.is_finite() && *x >= 0.0)) {
        return Err(format!("multiplier {k} is {} and should be at least zero", multipliers[k]));
    }
    for j in 0..n {
        for i in 0..n {
            let (a, b) = (metric[(i, j)], metric[(j, i)]);
            if !(a.is_finite() && a == b) {
                return Err(format!("the metric is not symmetric in row {i}, column {j}: {a} and {b}"));
            }
        }
    }
    let [least, most] = extremes(metric)?;
    if least <= ROUNDING * most.abs() {
        return Err(format!(
            "the metric has the eigenvalue {least:e}, which is not positive beside {most:e}"
        ));
    }
    let matrix = inequality(field, metric, multipliers, *rate);
    let size = frobenius(&matrix);
    let [_, greatest] = extremes(&matrix)?;
    if greatest > -MARGIN * size {
        return Err(format!(
            "the inequality has the eigenvalue {greatest:e}; for a rate of {rate} it must be below {:e}",
            -MARGIN * size
        ));
    }
    Ok(Margin { eigenvalue: greatest, size, metric: [least, most] })
}

/// The least and the greatest eigenvalue of the metric.
///
/// # Errors
/// When they cannot be computed.
pub fn extremes_of_metric(proof: &Contraction) -> Result<[f64; 2], String> {
    extremes(&proof.metric)
}

/// `𝒯` of (10R).
fn inequality(field: &Stacked, metric: &Mat<f64>, multipliers: &[f64], rate: f64) -> Mat<f64> {
    let (n, units) = (metric.nrows(), multipliers.len());
    let linear = metric * shifted(&field.linear, rate);
    let outer = metric * &field.outer;
    let mut matrix = Mat::zeros(n + units, n + units);
    for j in 0..n {
        for i in 0..n {
            matrix[(i, j)] = linear[(i, j)] + linear[(j, i)];
        }
    }
    for (k, (gamma, [low, high])) in multipliers.iter().zip(&field.slopes).enumerate() {
        for i in 0..n {
            for j in 0..n {
                matrix[(i, j)] -= 2.0 * low * high * gamma * field.inner[(k, i)] * field.inner[(k, j)];
            }
            let mixed = outer[(i, k)] + (low + high) * gamma * field.inner[(k, i)];
            matrix[(i, n + k)] = mixed;
            matrix[(n + k, i)] = mixed;
        }
        matrix[(n + k, n + k)] = -2.0 * gamma;
    }
    matrix
}

fn shifted(matrix: &Mat<f64>, by: f64) -> Mat<f64> {
    matrix + diagonal(matrix.nrows(), by)
}

fn proof_at(point: &Point, rate: f64) -> Contraction {
    Contraction { rate, metric: symmetrised(&point.matrices[0]), multipliers: point.numbers.clone() }
}

/// `min s` with `s·shift - 𝒯`, `P - 1` and `κ - P` definite and `Γ` within bounds; rate and shift come from [`aim`].
fn program(field: &Stacked, limits: Limits) -> Program {
    let (n, units, rows) = (field.linear.nrows(), field.slopes.len(), field.rows());
    // A unit with slopes between m and ℓ: (e - ℓw)(e - mw)ᵀ and its transpose.
    let with_slope = |which: usize| {
        Mat::from_fn(rows, units, |i, k| {
            if i < n { -field.slopes[k][which] * field.inner[(k, i)] } else { f64::from(i == n + k) }
        })
    };
    Program {
        sizes: vec![n],
        bounds: (0..units).map(|k| [0.0, highest(field, k, limits)]).collect(),
        blocks: vec![
            Block {
                constant: Mat::zeros(rows, rows),
                shift: None,
                matrix: None,
                numbers: Some([with_slope(1), with_slope(0)]),
            },
            limit(diagonal(n, -1.0), 0.5),
            limit(diagonal(n, limits.condition), -0.5),
        ],
    }
}

/// `constant + 2·by·P`.
fn limit(constant: Mat<f64>, by: f64) -> Block {
    let n = constant.nrows();
    let matrix = Some(Between { variable: 0, left: Mat::identity(n, n), right: diagonal(n, by) });
    Block { constant, shift: None, matrix, numbers: None }
}

/// Sets the rate of the inequality, and what `s` is multiplied by.
fn aim(program: &mut Program, field: &Stacked, rate: f64, shift: Mat<f64>) {
    let (n, rows) = (field.linear.nrows(), field.rows());
    let drift = shifted(&field.linear, rate);
    let left = Mat::from_fn(n, rows, |i, j| if i == j { -1.0 } else { 0.0 });
    let right = Mat::from_fn(n, rows, |i, j| if j < n { drift[(i, j)] } else { field.outer[(i, j - n)] });
    program.blocks[0].matrix = Some(Between { variable: 0, left, right });
    program.blocks[0].shift = Some(shift);
}

/// The largest multiplier of a unit: ten times what balances it where the metric is largest.
fn highest(field: &Stacked, unit: usize, limits: Limits) -> f64 {
    10.0 * limits.condition * balance(field, unit)
}

/// The multiplier that damps a unit least where the metric is one; any number where it has no part.
fn balance(field: &Stacked, unit: usize) -> f64 {
    let n = field.linear.nrows();
    let length = |of: &dyn Fn(usize) -> f64| (0..n).map(|i| of(i) * of(i)).sum::<f64>().sqrt();
    let [low, high] = field.slopes[unit];
    let outer = length(&|i| field.outer[(i, unit)]);
    let inner = length(&|i| field.inner[(unit, i)]) * high.abs().max(low.abs());
    let balance = outer / inner;
    if balance.is_finite() && balance > 0.0 { balance } else { 1.0 }
}

/// A multiple of the identity, the multipliers that damp least for it, and `s` above what they need.
fn starting_point(field: &Stacked, rate: f64, limits: Limits) -> Point {
    let (n, units) = (field.linear.nrows(), field.slopes.len());
    let size = 2.0_f64.min(0.5 * (1.0 + limits.condition));
    let metric = diagonal(n, size);
    let multipliers: Vec<f64> = (0..units).map(|k| size * balance(field, k)).collect();
    let matrix = inequality(field, &metric, &multipliers, rate);
    let greatest = extremes(&matrix).map_or_else(|_| frobenius(&matrix), |[_, greatest]| greatest);
    Point { matrices: vec![metric], numbers: multipliers, s: greatest + 1.0 + 0.1 * greatest.abs() }
}

/// The same proof for the largest rate that it holds for: `𝒯` depends on the rate by `2cP` in one corner, so that the
/// Schur complement of the rest tells.
fn raised(field: &Stacked, mut proof: Contraction) -> Contraction {
    let Some(by) = headroom(field, &proof) else { return proof };
    // Not to the last digit, where the matrix is singular.
    proof.rate += by - 1e-9 * by.abs();
    proof
}

fn headroom(field: &Stacked, proof: &Contraction) -> Option<f64> {
    let n = proof.metric.nrows();
    let matrix = inequality(field, &proof.metric, &proof.multipliers, proof.rate);
    let complement = Mat::from_fn(n, n, |i, j| {
        let through: f64 =
            (n..matrix.nrows()).map(|k| matrix[(i, k)] * matrix[(k, j)] / matrix[(k, k)]).sum();
        -(matrix[(i, j)] - through)
    });
    let factor = proof.metric.llt(Side::Lower).ok()?;
    let lower = factor.L().to_owned();
    let inverse = lower_inverse(&lower);
    let whitened = &inverse * complement * inverse.transpose();
    Some(0.5 * eigenvalues(&whitened).ok()?[0])
}

/// No rate is above the decay of the slowest mode of any Jacobian that the slopes allow.
fn ceiling(field: &Stacked) -> f64 {
    let choices: [fn(&[f64; 2]) -> f64; 3] =
        [|[low, _]| *low, |[_, high]| *high, |[low, high]| 0.5 * (low + high)];
    let decay = |choose: fn(&[f64; 2]) -> f64| {
        let slopes: Vec<f64> = field.slopes.iter().map(choose).collect();
        let values = field.jacobian(&slopes).eigenvalues().unwrap_or_default();
        values.into_iter().map(|value| -value.re).fold(f64::INFINITY, f64::min)
    };
    choices.into_iter().map(decay).fold(f64::INFINITY, f64::min)
}
