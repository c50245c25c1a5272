//! Input-to-state stability by a linear matrix inequality, (8R) of FORMULAS §6.3: bounded inputs keep solutions bounded,
//! and without input all of them come to rest at zero.
//!
//! The Lyapunov function is `xᵀPx + 2 Σ λ ∫₀^{wx} f`. Its derivative is a quadratic form in `z = (x, f(Wx), g)`; what is
//! known of the functions, their sign and their sectors, is added with multipliers, and the sum must be definite.

use faer::Mat;

use crate::dense::{diagonal, eigenvalues, extremes, frobenius, symmetrised};
use crate::field::Stacked;
use crate::lmi::{Between, Block, End, Point, Program};
use crate::region::normalised;
use crate::{Contraction, Field};

/// What proves stability.
#[derive(Debug, Clone)]
pub struct Stability {
    /// `P`, `[n, n]`.
    pub metric: Mat<f64>,
    /// `Λ`, the weight of each unit's integral.
    pub integrals: Vec<f64>,
    /// `Ξ`, `Υ` and `T`, for each unit.
    pub multipliers: [Vec<f64>; 3],
    /// `Ξ⁰`, the dissipation in each coordinate.
    pub dissipation: Vec<f64>,
    /// `Φ`, the weight of the input in each coordinate.
    pub gain: Vec<f64>,
}

/// Whether there is a proof.
#[derive(Debug, Clone)]
pub enum StabilityVerdict {
    /// There is one, and it has been checked.
    Certified(Stability),
    /// There is none by this method; a field with several equilibria has none.
    NotCertified {
        /// The bound that was reached: below zero would have been a proof.
        margin: f64,
        /// Whether it is sure that the method has no proof.
        sure: bool,
    },
}

/// The largest value of any multiplier, for a Lyapunov function that is at least `|x|²`.
const HIGHEST: f64 = 1e4;
/// The dissipation must be at least this, or it is rounding.
const DISSIPATION: f64 = 1e-3;
/// The largest eigenvalue must be below this share of the size of the matrix.
const MARGIN: f64 = 1e-9;

/// Looks for a proof that the field is input-to-state stable in its input.
///
/// # Panics
/// When [`Field::check`] finds something.
#[must_use]
pub fn stability(field: &Field) -> StabilityVerdict {
    field.assert_sound();
    let setting = Setting::of(field);
    let program = setting.program();
    match program.minimise(setting.start(&program), 0.0) {
        End::Below(point) => {
            let proof = setting.read(point);
            match verify_stability(field, &proof) {
                Ok(()) => StabilityVerdict::Certified(proof),
                Err(_) => StabilityVerdict::NotCertified { margin: 0.0, sure: false },
            }
        }
        End::NoneBelow(margin) => StabilityVerdict::NotCertified { margin, sure: true },
        End::Undecided(point) => StabilityVerdict::NotCertified { margin: point.s, sure: false },
    }
}

/// A proof of stability that follows from one of contraction: `xᵀPx` falls along all solutions, with the contraction's
/// multipliers for the sectors, and an input is outweighed by `Φ ⪰ P²/(cP)` (FORMULAS §6.3). None when rounding is in the way.
///
/// # Panics
/// When [`Field::check`] finds something.
#[must_use]
pub fn stability_of_contraction(field: &Field, proof: &Contraction) -> Option<Stability> {
    field.assert_sound();
    let proof = normalised(proof.clone());
    let (n, units) = (field.dim(), field.units());
    let [_, largest] = extremes(&proof.metric).ok()?;
    // Of `2cP ⪰ 2c` a quarter is shown as dissipation, and half is left for the input.
    let stability = Stability {
        metric: proof.metric,
        integrals: vec![0.0; units],
        multipliers: [vec![0.0; units], vec![0.0; units], proof.multipliers],
        dissipation: vec![0.5 * proof.rate; n],
        gain: vec![largest * largest / proof.rate; n],
    };
    verify_stability(field, &stability).is_ok().then_some(stability)
}

/// Checks a proof by itself.
///
/// # Errors
/// Says what does not hold.
pub fn verify_stability(field: &Field, proof: &Stability) -> Result<(), String> {
    stability_margins(field, proof).map(|_| ())
}

/// What was found of a proof that holds: least eigenvalues, all above zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StabilityMargins {
    /// Of minus the derivative of the Lyapunov function, and the size of that matrix.
    pub decrease: f64,
    pub size: f64,
    /// Of the Lyapunov function.
    pub lyapunov: f64,
    /// Of the dissipation.
    pub dissipation: f64,
}

/// [`verify_stability`], with the numbers that it rests on.
pub(crate) fn stability_margins(field: &Field, proof: &Stability) -> Result<StabilityMargins, String> {
    field.check()?;
    let setting = Setting::of(field);
    let (n, units) = (field.dim(), field.units());
    let Stability { metric, integrals, multipliers: [xi, upsilon, sector], dissipation, gain } = proof;
    if (metric.nrows(), metric.ncols()) != (n, n) || dissipation.len() != n || gain.len() != n {
        return Err("the matrices do not have the size of the field".to_string());
    }
    let of_units = [
        ("integral", integrals),
        ("first multiplier", xi),
        ("second multiplier", upsilon),
        ("third multiplier", sector),
    ];
    for (name, values) in of_units {
        if values.len() != units {
            return Err(format!("there are {} values of the {name} for {units} units", values.len()));
        }
    }
    let all = of_units.iter().flat_map(|(_, values)| values.iter()).chain(dissipation).chain(gain);
    if let Some(bad) = all.into_iter().find(|x| !(x.is_finite() && **x >= 0.0)) {
        return Err(format!("a multiplier is {bad} and should be at least zero"));
    }
    for (unit, in_sector) in setting.in_sector.iter().enumerate() {
        if !in_sector && (integrals[unit] > 0.0 || upsilon[unit] > 0.0 || xi[unit] > 0.0) {
            return Err(format!("unit {unit} has no sign of its own, and its multipliers rely on one"));
        }
    }
    for j in 0..n {
        for i in 0..n {
            if !(metric[(i, j)].is_finite() && metric[(i, j)] == metric[(j, i)]) {
                return Err(format!("the metric is not symmetric in row {i}, column {j}"));
            }
        }
    }
    let point = setting.point(proof);
    let program = setting.program();
    let value = |index: usize| {
        let mut matrix = program.value_of(&program.blocks[index], &point);
        // The program's blocks carry what they must exceed.
        for i in 0..matrix.nrows() {
            matrix[(i, i)] += [0.0, 1.0, DISSIPATION, 0.0][index];
        }
        matrix
    };
    let form = value(0);
    let (decrease, size) = (eigenvalues(&form)?[0], frobenius(&form));
    if decrease < MARGIN * size {
        return Err(format!("minus the derivative of the Lyapunov function has the eigenvalue {decrease:e}"));
    }
    let positive = |index: usize, name: &str| {
        let least = eigenvalues(&value(index))?[0];
        if least > 0.0 {
            return Ok(least);
        }
        Err(format!("the {name} has the eigenvalue {least:e}, which is not positive"))
    };
    let (lyapunov, dissipation) = (positive(1, "Lyapunov function")?, positive(2, "dissipation")?);
    let least = eigenvalues(metric)?[0];
    if least < 0.0 {
        return Err(format!("the metric has the eigenvalue {least:e}, which is negative"));
    }
    Ok(StabilityMargins { decrease, size, lyapunov, dissipation })
}

/// The field, and which of its units have a sign and grow without bound.
struct Setting {
    field: Stacked,
    in_sector: Vec<bool>,
    unbounded: Vec<bool>,
}

/// Places of the numbers of the program: four for each unit, then two for each coordinate.
const OF_A_UNIT: usize = 4;

impl Setting {
    fn of(field: &Field) -> Self {
        let each = |of: fn(crate::Function) -> bool| {
            field.terms.iter().flat_map(|term| vec![of(term.function); term.bias.len()]).collect()
        };
        Self {
            field: field.stacked(),
            in_sector: each(crate::Function::is_in_sector),
            unbounded: each(crate::Function::is_unbounded),
        }
    }

    fn sizes(&self) -> [usize; 2] {
        [self.field.linear.nrows(), self.field.slopes.len()]
    }

    fn numbers(&self) -> usize {
        let [n, units] = self.sizes();
        OF_A_UNIT * units + 2 * n
    }

    /// The blocks: `s - Q`, the Lyapunov function less one, the dissipation less its least, `P`.
    fn program(&self) -> Program {
        let [n, units] = self.sizes();
        let (field, rows) = (&self.field, n + units + n);
        let numbers = self.numbers();
        let empty = |rows: usize| [Mat::<f64>::zeros(rows, numbers), Mat::<f64>::zeros(rows, numbers)];
        let (mut form, mut lyapunov, mut dissipation) = (empty(rows), empty(n), empty(n));
        for k in 0..units {
            let [low, high] = field.slopes[k];
            let [integral, xi, upsilon, sector] = [0, 1, 2, 3].map(|which| OF_A_UNIT * k + which);
            let signed = f64::from(self.in_sector[k]);
            // Of the quadratic form with the opposite sign, since it is to be negative.
            form[0][(n + k, integral)] = -signed;
            for i in 0..n {
                let through: f64 = (0..n).map(|j| field.inner[(k, j)] * field.linear[(j, i)]).sum();
                form[1][(i, integral)] = through;
                form[1][(n + units + i, integral)] = field.inner[(k, i)];
                form[0][(i, upsilon)] = -signed * field.inner[(k, i)];
                form[0][(i, sector)] = -high * field.inner[(k, i)];
                form[1][(i, sector)] = -low * field.inner[(k, i)];
                lyapunov[0][(i, integral)] = signed * field.inner[(k, i)];
                lyapunov[1][(i, integral)] = 0.5 * field.inner[(k, i)];
                dissipation[0][(i, upsilon)] = signed * field.inner[(k, i)];
                dissipation[1][(i, upsilon)] = 0.5 * field.inner[(k, i)];
                if self.unbounded[k] {
                    dissipation[0][(i, xi)] = signed * field.inner[(k, i)];
                    dissipation[1][(i, xi)] = 0.5 * field.inner[(k, i)];
                }
            }
            for l in 0..units {
                form[1][(n + l, integral)] = (0..n).map(|j| field.inner[(k, j)] * field.outer[(j, l)]).sum();
            }
            form[1][(n + k, upsilon)] = 1.0;
            form[0][(n + k, xi)] = -signed;
            form[1][(n + k, xi)] = 0.5;
            form[0][(n + k, sector)] = 1.0;
            form[1][(n + k, sector)] = 1.0;
        }
        for i in 0..n {
            let [loss, gain] = [0, 1].map(|which| OF_A_UNIT * units + 2 * i + which);
            form[0][(i, loss)] = -1.0;
            form[1][(i, loss)] = 0.5;
            dissipation[0][(i, loss)] = 1.0;
            dissipation[1][(i, loss)] = 0.5;
            form[0][(n + units + i, gain)] = 1.0;
            form[1][(n + units + i, gain)] = 0.5;
        }
        let left = Mat::from_fn(n, rows, |i, j| if i == j { -1.0 } else { 0.0 });
        let right = Mat::from_fn(n, rows, |i, j| {
            if j < n {
                field.linear[(i, j)]
            } else if j < n + units {
                field.outer[(i, j - n)]
            } else {
                f64::from(j - n - units == i)
            }
        });
        let plain = || Between { variable: 0, left: Mat::identity(n, n), right: diagonal(n, 0.5) };
        let less = |by: f64| diagonal(n, -by);
        let block = |constant, shift, matrix, numbers| Block { constant, shift, matrix, numbers };
        Program {
            sizes: vec![n],
            bounds: vec![[0.0, HIGHEST]; numbers],
            blocks: vec![
                block(
                    Mat::zeros(rows, rows),
                    Some(Mat::identity(rows, rows)),
                    Some(Between { variable: 0, left, right }),
                    Some(form),
                ),
                block(less(1.0), None, Some(plain()), Some(lyapunov)),
                block(less(DISSIPATION), None, None, Some(dissipation)),
                block(less(0.0), None, Some(plain()), None),
                block(less(-HIGHEST), None, Some(Between { left: less(1.0), ..plain() }), None),
            ],
        }
    }

    fn start(&self, program: &Program) -> Point {
        let [n, _] = self.sizes();
        let metric = diagonal(n, 2.0);
        let mut point = Point { matrices: vec![metric], numbers: vec![1.0; self.numbers()], s: 0.0 };
        let form = program.value_of(&program.blocks[0], &point);
        let least = eigenvalues(&form).map_or(-frobenius(&form), |values| values[0]);
        point.s = 1.0 - 1.1 * least.min(0.0);
        point
    }

    fn point(&self, proof: &Stability) -> Point {
        let units = (0..proof.integrals.len()).flat_map(|k| {
            let [xi, upsilon, sector] = &proof.multipliers;
            [proof.integrals[k], xi[k], upsilon[k], sector[k]]
        });
        let coordinates = proof.dissipation.iter().zip(&proof.gain).flat_map(|(&loss, &gain)| [loss, gain]);
        Point { matrices: vec![proof.metric.clone()], numbers: units.chain(coordinates).collect(), s: 0.0 }
    }

    fn read(&self, point: Point) -> Stability {
        let [n, units] = self.sizes();
        let metric = &point.matrices[0];
        let signed = |which: usize| {
            let value = |k: usize| if self.in_sector[k] { point.numbers[OF_A_UNIT * k + which] } else { 0.0 };
            (0..units).map(value).collect()
        };
        let of_coordinates =
            |which: usize| (0..n).map(|i| point.numbers[OF_A_UNIT * units + 2 * i + which]).collect();
        Stability {
            metric: symmetrised(metric),
            integrals: signed(0),
            multipliers: [
                signed(1),
                signed(2),
                (0..units).map(|k| point.numbers[OF_A_UNIT * k + 3]).collect(),
            ],
            dissipation: of_coordinates(0),
            gain: of_coordinates(1),
        }
    }
}
