//! Linear matrix inequalities whose coefficients have little rank, by a barrier method.
//!
//! What a certificate asks for is a symmetric matrix `P` and some numbers that make block matrices definite. In those `P`
//! stands between two fixed matrices, and a number before a product of two vectors. Gradients and curvatures of the
//! barrier `-log det` then come from a few small products, where a general solver would write every coefficient out as a
//! matrix of the size of the block.
//!
//! The program is: minimise `s` such that every block is positive definite and every number within its bounds. Each point
//! on the way is strictly feasible, so the first one with `s < 0` is a proof, and one that is central with `s` above the
//! gap proves that there is none.

use faer::linalg::solvers::{DenseSolveCore, Llt, Solve};
use faer::{Mat, Scale, Side};

/// `constant + s·shift + (LᵀDR + RᵀDL) + Σ x_k (a_k b_kᵀ + b_k a_kᵀ)`, which is to be positive definite.
pub(crate) struct Block {
    pub constant: Mat<f64>,
    /// The factor of `s`, a symmetric matrix.
    pub shift: Option<Mat<f64>>,
    /// The term of a symmetric variable `D`.
    pub matrix: Option<Between>,
    /// The vectors `a_k` and `b_k` as columns, one for each number of the problem.
    pub numbers: Option<[Mat<f64>; 2]>,
}

/// A symmetric variable between two fixed matrices.
pub(crate) struct Between {
    /// Which one.
    pub variable: usize,
    pub left: Mat<f64>,
    pub right: Mat<f64>,
}

/// The program.
pub(crate) struct Program {
    /// Rows of each symmetric variable.
    pub sizes: Vec<usize>,
    /// Bounds of each number.
    pub bounds: Vec<[f64; 2]>,
    pub blocks: Vec<Block>,
}

/// Values of all variables.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub matrices: Vec<Mat<f64>>,
    pub numbers: Vec<f64>,
    pub s: f64,
}

/// How the minimisation ended.
pub(crate) enum End {
    /// `s` is below what was asked for.
    Below(Point),
    /// No point has an `s` below this, which is more than what was asked for.
    NoneBelow(f64),
    /// Neither, within the precision of numbers.
    Undecided(Point),
}

/// Newton steps for one weight of the barrier, and weights.
const STEPS: usize = 200;
const WEIGHTS: usize = 40;
/// How much the weight of `s` grows.
const GROWTH: f64 = 8.0;
/// A point whose Newton decrement is below this is central enough.
const CENTRAL: f64 = 0.6;
/// Gaps below this share of the scale are rounding.
const FINEST: f64 = 1e-12;

impl Program {
    /// From a strictly feasible point to one with `s < goal`, or to the proof that there is none.
    pub fn minimise(&self, mut point: Point, goal: f64) -> End {
        let order = self.order();
        let mut weight = order / (point.s - goal).abs().max(1e-3);
        for _ in 0..WEIGHTS {
            let Some(decrement) = self.centre(&mut point, weight, goal) else { return End::Undecided(point) };
            if point.s < goal {
                return End::Below(point);
            }
            // A point at this distance from the centre is above the least `s` by no more than this.
            let gap = order_at(order, decrement) / weight;
            if point.s - gap > goal {
                return End::NoneBelow(point.s - gap);
            }
            if gap < FINEST * (1.0 + point.s.abs()) {
                break;
            }
            weight *= GROWTH;
        }
        End::Undecided(point)
    }

    /// The parameter of the barrier.
    pub fn order(&self) -> f64 {
        let rows: usize = self.blocks.iter().map(|block| block.constant.nrows()).sum();
        (rows + 2 * self.bounds.len()) as f64
    }

    /// Newton's method on `weight·s + barrier`. Returns the decrement at its end, or nothing when numbers give out; stops as
    /// soon as `s` is below the goal.
    pub fn centre(&self, point: &mut Point, weight: f64, goal: f64) -> Option<f64> {
        let mut decrement = f64::INFINITY;
        let mut here = self.value(point, weight)?;
        for _ in 0..STEPS {
            let Newton { step, squared } = self.newton(point, weight, &here.factors)?;
            decrement = squared.sqrt();
            if decrement < CENTRAL {
                return Some(decrement);
            }
            let mut length = 1.0;
            (*point, here) = loop {
                let next = self.moved(point, &step, length);
                if let Some(found) = self.value(&next, weight)
                    && found.value <= here.value - 0.1 * length * squared
                {
                    break (next, found);
                }
                length *= 0.6;
                if length < 1e-9 {
                    return None;
                }
            };
            if point.s < goal {
                return Some(decrement.min(CENTRAL));
            }
        }
        Some(decrement).filter(|decrement| *decrement < 1.0)
    }

    /// The value of a block at a point.
    pub fn value_of(&self, block: &Block, point: &Point) -> Mat<f64> {
        let rows = block.constant.nrows();
        let mut z = block.constant.clone();
        if let Some(shift) = &block.shift {
            z += shift * Scale(point.s);
        }
        if let Some(Between { variable, left, right }) = &block.matrix {
            let half = left.transpose() * &point.matrices[*variable] * right;
            add_with_transpose(&mut z, &half);
        }
        if let Some([a, b]) = &block.numbers {
            let scaled = Mat::from_fn(rows, a.ncols(), |i, k| a[(i, k)] * point.numbers[k]);
            add_with_transpose(&mut z, &(scaled * b.transpose()));
        }
        z
    }

    /// `weight·s` plus the barrier; none outside of its domain.
    fn value(&self, point: &Point, weight: f64) -> Option<Value> {
        let mut value = weight * point.s;
        for (number, [low, high]) in point.numbers.iter().zip(&self.bounds) {
            if number <= low || number >= high {
                return None;
            }
            value -= (number - low).ln() + (high - number).ln();
        }
        let mut factors = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let factor = self.value_of(block, point).llt(Side::Lower).ok()?;
            let lower = factor.L();
            value -= 2.0 * (0..lower.nrows()).map(|i| lower[(i, i)].ln()).sum::<f64>();
            factors.push(factor);
        }
        value.is_finite().then_some(Value { value, factors })
    }

    /// Where each variable begins among the unknowns: symmetric ones by their upper triangles, numbers, `s`.
    fn offsets(&self) -> (Vec<usize>, usize, usize) {
        let mut next = 0;
        let matrices = self
            .sizes
            .iter()
            .map(|n| {
                let here = next;
                next += n * (n + 1) / 2;
                here
            })
            .collect();
        (matrices, next, next + self.bounds.len())
    }

    fn moved(&self, point: &Point, step: &[f64], length: f64) -> Point {
        let (matrices, numbers, s) = self.offsets();
        let moved = |(matrix, offset): (&Mat<f64>, &usize)| {
            Mat::from_fn(matrix.nrows(), matrix.ncols(), |i, j| {
                matrix[(i, j)] + length * step[offset + packed(i.min(j), i.max(j))]
            })
        };
        Point {
            matrices: point.matrices.iter().zip(&matrices).map(moved).collect(),
            numbers: point.numbers.iter().zip(&step[numbers..s]).map(|(x, d)| x + length * d).collect(),
            s: point.s + length * step[s],
        }
    }

    fn newton(&self, point: &Point, weight: f64, factors: &[Llt<f64>]) -> Option<Newton> {
        let (_, _, s) = self.offsets();
        let mut system = System { gradient: vec![0.0; s + 1], curvature: Mat::zeros(s + 1, s + 1) };
        system.gradient[s] = weight;
        for (k, (number, [low, high])) in point.numbers.iter().zip(&self.bounds).enumerate() {
            let (below, above) = (1.0 / (number - low), 1.0 / (high - number));
            let place = s - self.bounds.len() + k;
            system.gradient[place] += above - below;
            system.curvature[(place, place)] += below * below + above * above;
        }
        for (block, factor) in self.blocks.iter().zip(factors) {
            self.add_block(&mut system, block, &factor.inverse());
        }
        let System { gradient, mut curvature } = system;
        // Scaled to a diagonal of ones, or rounding would drown the small unknowns.
        let scale: Vec<f64> = (0..=s).map(|i| curvature[(i, i)].max(1e-300).sqrt().recip()).collect();
        curvature = Mat::from_fn(s + 1, s + 1, |i, j| {
            let entry = if i >= j { curvature[(i, j)] } else { curvature[(j, i)] };
            entry * scale[i] * scale[j] + if i == j { 1e-14 } else { 0.0 }
        });
        let factor = curvature.llt(Side::Lower).ok()?;
        let right = Mat::from_fn(s + 1, 1, |i, _| -gradient[i] * scale[i]);
        let solved = factor.solve(&right);
        let step: Vec<f64> = (0..=s).map(|i| solved[(i, 0)] * scale[i]).collect();
        let squared = -gradient.iter().zip(&step).map(|(g, d)| g * d).sum::<f64>();
        (squared.is_finite() && squared >= 0.0).then_some(Newton { step, squared })
    }

    /// The gradient and the lower triangle of the curvature of `-log det` of a block with this inverse.
    fn add_block(&self, system: &mut System, block: &Block, inverse: &Mat<f64>) {
        let (offsets, numbers, s) = self.offsets();
        let through = block.shift.as_ref().map(|shift| inverse * shift);
        let square = through.as_ref().map(|through| through * inverse);
        if let Some(through) = &through {
            let rows = through.nrows();
            system.gradient[s] -= (0..rows).map(|i| through[(i, i)]).sum::<f64>();
            system.curvature[(s, s)] += (0..rows)
                .map(|j| (0..rows).map(|i| through[(i, j)] * through[(j, i)]).sum::<f64>())
                .sum::<f64>();
        }
        if let Some(one) = &block.matrix {
            let offset = offsets[one.variable];
            let n = self.sizes[one.variable];
            let first = &one.right * inverse * one.left.transpose();
            each_pair(n, |i, j, place| system.gradient[offset + place] -= 2.0 * both(&first, i, j));
            if let Some(square) = &square {
                let second = &one.right * square * one.left.transpose();
                each_pair(n, |i, j, place| {
                    system.curvature[(s, offset + place)] += 2.0 * both(&second, i, j);
                });
            }
            system.add_matrix(inverse, one, offset);
            if let Some([a, b]) = &block.numbers {
                let products = |of: &Mat<f64>| [&one.left, &one.right].map(|side| side * (inverse * of));
                let ([left_a, right_a], [left_b, right_b]) = (products(a), products(b));
                for k in 0..a.ncols() {
                    each_pair(n, |i, j, place| {
                        let sum = left_b[(i, k)] * right_a[(j, k)] + left_a[(i, k)] * right_b[(j, k)];
                        let turned = left_b[(j, k)] * right_a[(i, k)] + left_a[(j, k)] * right_b[(i, k)];
                        let both = if i == j { sum } else { sum + turned };
                        system.curvature[(numbers + k, offset + place)] += 2.0 * both;
                    });
                }
            }
        }
        if let Some([a, b]) = &block.numbers {
            let (ya, yb) = (inverse * a, inverse * b);
            let [aa, ab, bb] = [a.transpose() * &ya, a.transpose() * &yb, b.transpose() * &yb];
            let shifted = block.shift.as_ref().map(|shift| shift * &yb);
            for k in 0..a.ncols() {
                system.gradient[numbers + k] -= 2.0 * ab[(k, k)];
                for l in 0..=k {
                    let product = ab[(k, l)] * ab[(l, k)] + aa[(k, l)] * bb[(k, l)];
                    system.curvature[(numbers + k, numbers + l)] += 2.0 * product;
                }
                if let Some(shifted) = &shifted {
                    let inner: f64 = (0..a.nrows()).map(|i| ya[(i, k)] * shifted[(i, k)]).sum();
                    system.curvature[(s, numbers + k)] += 2.0 * inner;
                }
            }
        }
    }
}

/// The objective at a point, and the factors of the blocks there.
struct Value {
    value: f64,
    factors: Vec<Llt<f64>>,
}

struct Newton {
    step: Vec<f64>,
    /// The square of the decrement.
    squared: f64,
}

struct System {
    gradient: Vec<f64>,
    /// Its lower triangle.
    curvature: Mat<f64>,
}

impl System {
    /// The curvature of a term `LᵀDR + RᵀDL`: `tr(D₁ X D₂ Wᵀ)` twice, for two pairs `X` and `W`.
    fn add_matrix(&mut self, inverse: &Mat<f64>, term: &Between, offset: usize) {
        let right = &term.right * inverse;
        let (left_left, right_left, right_right) = (
            &term.left * inverse * term.left.transpose(),
            &right * term.left.transpose(),
            &right * term.right.transpose(),
        );
        let left_right = right_left.transpose().to_owned();
        let n = term.left.nrows();
        for [x, w] in [[&right_left, &left_right], [&right_right, &left_left]] {
            each_pair(n, |k, l, col| {
                // Of the symmetric unit of a diagonal entry both halves are one.
                let twice = if k == l { 1.0 } else { 2.0 };
                let [(xk, wk), (xl, wl)] = [k, l].map(|k| (x.col_as_slice(k), w.col_as_slice(k)));
                let column = self.curvature.col_as_slice_mut(offset + col);
                // Only the lower triangle is kept.
                for j in l..n {
                    let [to_wl, to_xk, to_wk, to_xl] = [xk[j], wl[j], xl[j], wk[j]].map(|x| twice * x);
                    let start = offset + packed(0, j);
                    let entries = column[start..=start + j].iter_mut();
                    let columns = xk[..=j].iter().zip(&wl[..=j]).zip(xl[..=j].iter().zip(&wk[..=j]));
                    for (entry, ((xk, wl), (xl, wk))) in entries.zip(columns) {
                        *entry += to_wl * wl + to_xk * xk + to_wk * wk + to_xl * xl;
                    }
                    // What was added to the entry of `i = j` is twice its share.
                    column[start + j] -=
                        0.5 * (to_wl * wl[j] + to_xk * xk[j] + to_wk * wk[j] + to_xl * xl[j]);
                }
            });
        }
    }
}

/// The weighted gap of a point at some distance from the centre, for a barrier of this parameter.
pub(crate) fn order_at(order: f64, decrement: f64) -> f64 {
    order + decrement * order.sqrt() / (1.0 - decrement)
}

/// Where the entry `i ≤ j` of a symmetric matrix is.
fn packed(i: usize, j: usize) -> usize {
    j * (j + 1) / 2 + i
}

fn each_pair(n: usize, mut action: impl FnMut(usize, usize, usize)) {
    for j in 0..n {
        for i in 0..=j {
            action(i, j, packed(i, j));
        }
    }
}

/// `tr(B G)` for the symmetric unit `B` of a pair.
fn both(matrix: &Mat<f64>, i: usize, j: usize) -> f64 {
    if i == j { matrix[(i, i)] } else { matrix[(i, j)] + matrix[(j, i)] }
}

fn add_with_transpose(to: &mut Mat<f64>, half: &Mat<f64>) {
    for j in 0..to.ncols() {
        for i in 0..to.nrows() {
            to[(i, j)] += half[(i, j)] + half[(j, i)];
        }
    }
}
