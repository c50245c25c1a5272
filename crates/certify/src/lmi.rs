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

use faer::linalg::solvers::{DenseSolveCore, Solve};
use faer::{Mat, Side};

/// `constant + s·shift·I + Σ (LᵀDR + RᵀDL) + Σ x_k (a_k b_kᵀ + b_k a_kᵀ)`, which is to be positive definite.
pub(crate) struct Block {
    pub constant: Mat<f64>,
    /// The factor of `s`.
    pub shift: f64,
    /// Terms of symmetric variables `D`.
    pub matrices: Vec<Between>,
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
const STEPS: usize = 60;
const WEIGHTS: usize = 40;
/// How much the weight of `s` grows.
const GROWTH: f64 = 8.0;
/// A point whose Newton decrement is below this is central enough.
const CENTRAL: f64 = 0.25;
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
            let gap = (order + decrement * order.sqrt() / (1.0 - decrement)) / weight;
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
    fn order(&self) -> f64 {
        let rows: usize = self.blocks.iter().map(|block| block.constant.nrows()).sum();
        (rows + 2 * self.bounds.len()) as f64
    }

    /// Newton's method on `weight·s + barrier`. Returns the decrement at its end, or nothing when numbers give out; stops as
    /// soon as `s` is below the goal.
    fn centre(&self, point: &mut Point, weight: f64, goal: f64) -> Option<f64> {
        let mut decrement = f64::INFINITY;
        for _ in 0..STEPS {
            let Newton { step, squared } = self.newton(point, weight)?;
            decrement = squared.sqrt();
            if decrement < CENTRAL {
                return Some(decrement);
            }
            let value = self.value(point, weight)?;
            let mut length = 1.0;
            let next = loop {
                let next = self.moved(point, &step, length);
                if let Some(found) = self.value(&next, weight)
                    && found <= value - 0.1 * length * squared
                {
                    break next;
                }
                length *= 0.6;
                if length < 1e-9 {
                    return None;
                }
            };
            *point = next;
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
        for i in 0..rows {
            z[(i, i)] += block.shift * point.s;
        }
        for Between { variable, left, right } in &block.matrices {
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
    fn value(&self, point: &Point, weight: f64) -> Option<f64> {
        let mut value = weight * point.s;
        for (number, [low, high]) in point.numbers.iter().zip(&self.bounds) {
            if number <= low || number >= high {
                return None;
            }
            value -= (number - low).ln() + (high - number).ln();
        }
        for block in &self.blocks {
            let factor = self.value_of(block, point).llt(Side::Lower).ok()?;
            let lower = factor.L();
            value -= 2.0 * (0..lower.nrows()).map(|i| lower[(i, i)].ln()).sum::<f64>();
        }
        value.is_finite().then_some(value)
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

    fn newton(&self, point: &Point, weight: f64) -> Option<Newton> {
        let (_, _, s) = self.offsets();
        let mut system = System { gradient: vec![0.0; s + 1], curvature: Mat::zeros(s + 1, s + 1) };
        system.gradient[s] = weight;
        for (k, (number, [low, high])) in point.numbers.iter().zip(&self.bounds).enumerate() {
            let (below, above) = (1.0 / (number - low), 1.0 / (high - number));
            let place = s - self.bounds.len() + k;
            system.gradient[place] += above - below;
            system.curvature[(place, place)] += below * below + above * above;
        }
        for block in &self.blocks {
            self.add_block(&mut system, block, &self.value_of(block, point))?;
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

    /// The gradient and the lower triangle of the curvature of `-log det` of a block with the value `z`.
    fn add_block(&self, system: &mut System, block: &Block, z: &Mat<f64>) -> Option<()> {
        let (offsets, numbers, s) = self.offsets();
        let inverse = z.llt(Side::Lower).ok()?.inverse();
        let square = (block.shift != 0.0).then(|| &inverse * &inverse);
        let trace = |matrix: &Mat<f64>| (0..matrix.nrows()).map(|i| matrix[(i, i)]).sum::<f64>();
        if let Some(square) = &square {
            system.gradient[s] -= block.shift * trace(&inverse);
            system.curvature[(s, s)] += block.shift * block.shift * trace(square);
        }
        for (index, one) in block.matrices.iter().enumerate() {
            let offset = offsets[one.variable];
            let n = self.sizes[one.variable];
            let first = &one.right * &inverse * one.left.transpose();
            each_pair(n, |i, j, place| system.gradient[offset + place] -= 2.0 * both(&first, i, j));
            if let Some(square) = &square {
                let second = &one.right * square * one.left.transpose();
                each_pair(n, |i, j, place| {
                    system.curvature[(s, offset + place)] += 2.0 * block.shift * both(&second, i, j);
                });
            }
            for other in &block.matrices[..=index] {
                let again = std::ptr::eq(one, other);
                system.add_pair(&inverse, [one, other], [offset, offsets[other.variable]], again);
            }
            if let Some([a, b]) = &block.numbers {
                let products = |of: &Mat<f64>| [&one.left, &one.right].map(|side| side * &inverse * of);
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
            let (ya, yb) = (&inverse * a, &inverse * b);
            let [aa, ab, bb] = [a.transpose() * &ya, a.transpose() * &yb, b.transpose() * &yb];
            for k in 0..a.ncols() {
                system.gradient[numbers + k] -= 2.0 * ab[(k, k)];
                for l in 0..=k {
                    let product = ab[(k, l)] * ab[(l, k)] + aa[(k, l)] * bb[(k, l)];
                    system.curvature[(numbers + k, numbers + l)] += 2.0 * product;
                }
                if block.shift != 0.0 {
                    let inner: f64 = (0..a.nrows()).map(|i| ya[(i, k)] * yb[(i, k)]).sum();
                    system.curvature[(s, numbers + k)] += 2.0 * block.shift * inner;
                }
            }
        }
        Some(())
    }
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
    /// The curvature between two terms `LᵀDR + RᵀDL` of symmetric variables. `again`: they are one and the same.
    fn add_pair(&mut self, inverse: &Mat<f64>, terms: [&Between; 2], offsets: [usize; 2], again: bool) {
        let [one, other] = terms;
        let product = |x: &Mat<f64>, y: &Mat<f64>| x * inverse * y.transpose();
        // tr(D₁ X D₂ W) twice, for two pairs X and W.
        let pairs = [
            [product(&one.right, &other.left), product(&other.right, &one.left)],
            [product(&one.right, &other.right), product(&other.left, &one.left)],
        ];
        let same_variable = one.variable == other.variable;
        each_pair(one.left.nrows(), |i, j, row| {
            each_pair(other.left.nrows(), |k, l, col| {
                let mut sum = 0.0;
                for [x, w] in &pairs {
                    sum += x[(j, k)] * w[(l, i)];
                    if i != j {
                        sum += x[(i, k)] * w[(l, j)];
                    }
                    if k != l {
                        sum += x[(j, l)] * w[(k, i)];
                    }
                    if i != j && k != l {
                        sum += x[(i, l)] * w[(k, j)];
                    }
                }
                let (row, col) = (offsets[0] + row, offsets[1] + col);
                // Two terms of one variable count both ways; of the sum the lower triangle is kept.
                if again {
                    if row >= col {
                        self.curvature[(row, col)] += 2.0 * sum;
                    }
                } else if same_variable {
                    self.curvature[(row.max(col), row.min(col))] += if row == col { 4.0 } else { 2.0 } * sum;
                } else {
                    self.curvature[(row.max(col), row.min(col))] += 2.0 * sum;
                }
            });
        });
    }
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
