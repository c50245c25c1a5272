//! Runge–Kutta methods as data: a new method is one constant here and one variant of [`Method`].
//!
//! A step of size `h` from `(t, x)` evaluates the slopes `kᵢ = f(t + cᵢh, x + h Σⱼ aᵢⱼ kⱼ)` and ends at
//! `x + h Σᵢ bᵢ kᵢ`. With error weights `e = b − b̂` of an embedded method the difference `h Σᵢ eᵢ kᵢ` estimates the
//! local error, and with polynomials `bᵢ(θ)` the point `x + h Σᵢ bᵢ(θ) kᵢ` approximates the solution at `t + θh`
//! (Hairer, Nørsett and Wanner, Solving Ordinary Differential Equations I, II.4 to II.6).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The explicit Runge–Kutta methods, by their names in recipes (`euler`, `midpoint`, `heun`, `rk4`, `bosh3`, `dopri5`,
/// `tsit5`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// [`EULER`]: order 1, one evaluation a step.
    Euler,
    /// [`MIDPOINT`]: order 2, two evaluations a step.
    Midpoint,
    /// [`HEUN`]: order 2, two evaluations a step, with an error estimate.
    Heun,
    /// [`RK4`]: order 4, four evaluations a step.
    Rk4,
    /// [`BOSH3`]: order 3, three evaluations a step, with an error estimate.
    Bosh3,
    /// [`DOPRI5`]: order 5, six evaluations a step, with an error estimate.
    Dopri5,
    /// [`TSIT5`]: order 5, six evaluations a step, with an error estimate.
    Tsit5,
}

impl Method {
    /// Every method, in order of cost.
    pub const ALL: [Self; 7] =
        [Self::Euler, Self::Midpoint, Self::Heun, Self::Bosh3, Self::Rk4, Self::Dopri5, Self::Tsit5];

    /// The coefficients.
    #[must_use]
    pub const fn tableau(self) -> &'static Tableau {
        match self {
            Self::Euler => &EULER,
            Self::Midpoint => &MIDPOINT,
            Self::Heun => &HEUN,
            Self::Rk4 => &RK4,
            Self::Bosh3 => &BOSH3,
            Self::Dopri5 => &DOPRI5,
            Self::Tsit5 => &TSIT5,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tableau().name)
    }
}

/// The coefficients of an explicit Runge–Kutta method; see the head of this file for their meaning.
#[derive(Debug)]
pub struct Tableau {
    /// The name used in recipes.
    pub name: &'static str,
    /// Global error is `O(h^order)`; the embedded method, where there is one, has order `order − 1`.
    pub order: usize,
    /// Row `i − 1` holds the weights of the slopes before stage `i`; the first stage needs none.
    pub a: &'static [&'static [f64]],
    /// Weights of the slopes in the end point.
    pub b: &'static [f64],
    /// Where in the step the slopes are evaluated; the first is 0.
    pub c: &'static [f64],
    /// `b − b̂`, for methods that can choose their own steps.
    pub error: Option<&'static [f64]>,
    /// "First same as last": the last slope is taken at the end point, so it is the first slope of the next step.
    pub fsal: bool,
    /// `bᵢ(θ)` as coefficients of `θ, θ², θ³, θ⁴`.
    pub dense: &'static [[f64; 4]],
    /// Global error of the dense output is `O(h^dense_order)` or that of the method, whichever is larger.
    pub dense_order: usize,
}

impl Tableau {
    /// Number of slopes in a step.
    #[must_use]
    pub const fn stages(&self) -> usize {
        self.b.len()
    }

    /// The weights `bᵢ(θ)` of the slopes for the point at the fraction `theta` in `[0, 1]` of the step.
    pub fn dense_weights(&self, theta: f64) -> impl Iterator<Item = f64> {
        self.dense.iter().map(move |p| theta * (p[0] + theta * (p[1] + theta * (p[2] + theta * p[3]))))
    }
}

/// Explicit Euler; between the ends it is a straight line.
pub const EULER: Tableau = Tableau {
    name: "euler",
    order: 1,
    a: &[],
    b: &[1.0],
    c: &[0.0],
    error: None,
    fsal: false,
    dense: &[[1.0, 0.0, 0.0, 0.0]],
    dense_order: 1,
};

/// The explicit midpoint rule of Runge.
pub const MIDPOINT: Tableau = Tableau {
    name: "midpoint",
    order: 2,
    a: &[&[0.5]],
    b: &[0.0, 1.0],
    c: &[0.0, 0.5],
    error: None,
    fsal: false,
    dense: &[[1.0, -1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]],
    dense_order: 2,
};

/// The explicit trapezoidal rule of Heun, with Euler's method embedded.
pub const HEUN: Tableau = Tableau {
    name: "heun",
    order: 2,
    a: &[&[1.0]],
    b: &[0.5, 0.5],
    c: &[0.0, 1.0],
    error: Some(&[-0.5, 0.5]),
    fsal: false,
    dense: &[[1.0, -0.5, 0.0, 0.0], [0.0, 0.5, 0.0, 0.0]],
    dense_order: 2,
};

/// The classical method of Kutta, with its dense output of order 3.
pub const RK4: Tableau = Tableau {
    name: "rk4",
    order: 4,
    a: &[&[0.5], &[0.0, 0.5], &[0.0, 0.0, 1.0]],
    b: &[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0],
    c: &[0.0, 0.5, 0.5, 1.0],
    error: None,
    fsal: false,
    dense: &[
        [1.0, -1.5, 2.0 / 3.0, 0.0],
        [0.0, 1.0, -2.0 / 3.0, 0.0],
        [0.0, 1.0, -2.0 / 3.0, 0.0],
        [0.0, -0.5, 2.0 / 3.0, 0.0],
    ],
    dense_order: 3,
};

/// Bogacki and Shampine 3(2), Applied Mathematics Letters 2 (1989); dense output by cubic Hermite interpolation.
pub const BOSH3: Tableau = Tableau {
    name: "bosh3",
    order: 3,
    a: &[&[0.5], &[0.0, 0.75], &BOSH3_B],
    b: &BOSH3_B,
    c: &[0.0, 0.5, 0.75, 1.0],
    error: Some(&[-5.0 / 72.0, 1.0 / 12.0, 1.0 / 9.0, -1.0 / 8.0]),
    fsal: true,
    dense: &smooth_quartic(BOSH3_B, [0.0; 4]),
    dense_order: 3,
};

const BOSH3_B: [f64; 4] = [2.0 / 9.0, 1.0 / 3.0, 4.0 / 9.0, 0.0];

/// Dormand and Prince 5(4), Journal of Computational and Applied Mathematics 6 (1980), with the dense output of order 4
/// of Hairer, Nørsett and Wanner.
pub const DOPRI5: Tableau = Tableau {
    name: "dopri5",
    order: 5,
    a: &[
        &[1.0 / 5.0],
        &[3.0 / 40.0, 9.0 / 40.0],
        &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
        &[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0],
        &[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0],
        &DOPRI5_B,
    ],
    b: &DOPRI5_B,
    c: &[0.0, 1.0 / 5.0, 3.0 / 10.0, 4.0 / 5.0, 8.0 / 9.0, 1.0, 1.0],
    error: Some(&[
        71.0 / 57600.0,
        0.0,
        -71.0 / 16695.0,
        71.0 / 1920.0,
        -17253.0 / 339_200.0,
        22.0 / 525.0,
        -1.0 / 40.0,
    ]),
    fsal: true,
    dense: &smooth_quartic(
        DOPRI5_B,
        [
            -12_715_105_075.0 / 11_282_082_432.0,
            0.0,
            87_487_479_700.0 / 32_700_410_799.0,
            -10_690_763_975.0 / 1_880_347_072.0,
            701_980_252_875.0 / 199_316_789_632.0,
            -1_453_857_185.0 / 822_651_844.0,
            69_997_945.0 / 29_380_423.0,
        ],
    ),
    dense_order: 4,
};

const DOPRI5_B: [f64; 7] =
    [35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0, 0.0];

/// Tsitouras 5(4), Computers and Mathematics with Applications 62 (2011), with its own dense output of order 4.
pub const TSIT5: Tableau = Tableau {
    name: "tsit5",
    order: 5,
    a: &[
        &[0.161],
        &[-0.008_480_655_492_356_989, 0.335_480_655_492_357],
        &[2.897_153_057_105_493_5, -6.359_448_489_975_075, 4.362_295_432_869_581_5],
        &[5.325_864_828_439_257, -11.748_883_564_062_828, 7.495_539_342_889_836_5, -0.092_495_066_361_755_25],
        &[
            5.861_455_442_946_42,
            -12.920_969_317_847_11,
            8.159_367_898_576_159,
            -0.071_584_973_281_401,
            -0.028_269_050_394_068_383,
        ],
        &TSIT5_B,
    ],
    b: &TSIT5_B,
    c: &[0.0, 0.161, 0.327, 0.9, 0.980_025_540_904_509_7, 1.0, 1.0],
    error: Some(&[
        -0.001_780_011_052_225_777,
        -0.000_816_434_459_656_746_9,
        0.007_880_878_010_261_995,
        -0.144_711_007_173_262_9,
        0.582_357_165_452_555_2,
        -0.458_082_105_929_186_97,
        1.0 / 66.0,
    ]),
    fsal: true,
    dense: &smooth_quartic(
        TSIT5_B,
        [
            -1.053_088_497_729_021_6,
            0.1017,
            2.490_627_285_651_253,
            -16.548_102_889_244_902,
            47.379_521_962_819_28,
            -34.870_657_861_496_61,
            2.5,
        ],
    ),
    dense_order: 4,
};

const TSIT5_B: [f64; 7] = [
    0.096_460_766_818_065_23,
    0.01,
    0.479_889_650_414_499_6,
    1.379_008_574_103_742,
    -3.290_069_515_436_081,
    2.324_710_524_099_774,
    0.0,
];

/// The polynomials of a dense output that meets value and slope at both ends of a step whose first and last slopes are
/// those of the ends: cubic Hermite interpolation plus `θ²(1 − θ)² Σ dᵢ kᵢ`, the only freedom a quartic has left.
const fn smooth_quartic<const S: usize>(b: [f64; S], d: [f64; S]) -> [[f64; 4]; S] {
    let mut dense = [[0.0; 4]; S];
    let mut i = 0;
    while i < S {
        dense[i] = [0.0, 3.0 * b[i] + d[i], -2.0 * b[i] - 2.0 * d[i], d[i]];
        i += 1;
    }
    // θ(1 − θ)² of the slope at the start and −θ²(1 − θ) of the slope at the end.
    dense[0] = [1.0, dense[0][1] - 2.0, dense[0][2] + 1.0, dense[0][3]];
    dense[S - 1] = [0.0, dense[S - 1][1] - 1.0, dense[S - 1][2] + 1.0, dense[S - 1][3]];
    dense
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&Tableau; 7] = [&EULER, &MIDPOINT, &HEUN, &RK4, &BOSH3, &DOPRI5, &TSIT5];

    /// Butcher's conditions up to order 5: pairs of an elementary weight of each stage and the density of its tree, by
    /// order.
    fn conditions(tableau: &Tableau) -> Vec<(usize, Vec<f64>, f64)> {
        let stages = tableau.stages();
        let apply = |v: &[f64]| -> Vec<f64> {
            (0..stages)
                .map(|i| if i == 0 { 0.0 } else { tableau.a[i - 1].iter().zip(v).map(|(a, v)| a * v).sum() })
                .collect()
        };
        let times = |u: &[f64], v: &[f64]| -> Vec<f64> { u.iter().zip(v).map(|(u, v)| u * v).collect() };
        let one = vec![1.0; stages];
        let c = apply(&one);
        for (given, sum) in tableau.c.iter().zip(&c) {
            assert!((given - sum).abs() < 2e-15, "{}: row sums are not c: {given} {sum}", tableau.name);
        }
        let c2 = times(&c, &c);
        let (ac, c3) = (apply(&c), times(&c2, &c));
        let (ac2, aac) = (apply(&c2), apply(&ac));
        vec![
            (1, one, 1.0),
            (2, c.clone(), 2.0),
            (3, c2.clone(), 3.0),
            (3, ac.clone(), 6.0),
            (4, c3.clone(), 4.0),
            (4, times(&c, &ac), 8.0),
            (4, ac2.clone(), 12.0),
            (4, aac.clone(), 24.0),
            (5, times(&c2, &c2), 5.0),
            (5, times(&c2, &ac), 10.0),
            (5, times(&c, &ac2), 15.0),
            (5, times(&c, &aac), 30.0),
            (5, times(&ac, &ac), 20.0),
            (5, apply(&c3), 20.0),
            (5, apply(&times(&c, &ac)), 40.0),
            (5, apply(&ac2), 60.0),
            (5, apply(&aac), 120.0),
        ]
    }

    /// The largest order up to which `Σ wᵢ Φᵢ = θ^order / γ` holds.
    fn order_of(tableau: &Tableau, weights: &[f64], theta: f64) -> usize {
        let broken = conditions(tableau).into_iter().find(|(order, phi, gamma)| {
            let sum: f64 = weights.iter().zip(phi).map(|(w, p)| w * p).sum();
            (sum - theta.powi(*order as i32) / gamma).abs() > 1e-13
        });
        broken.map_or(5, |(order, ..)| order - 1)
    }

    #[test]
    fn end_points_have_the_order_of_the_method() {
        for tableau in ALL {
            assert_eq!(order_of(tableau, tableau.b, 1.0), tableau.order, "{}", tableau.name);
        }
    }

    #[test]
    fn embedded_methods_have_one_order_less() {
        for tableau in ALL {
            if let Some(error) = tableau.error {
                let embedded: Vec<f64> = tableau.b.iter().zip(error).map(|(b, e)| b - e).collect();
                assert_eq!(order_of(tableau, &embedded, 1.0), tableau.order - 1, "{}", tableau.name);
            }
        }
    }

    #[test]
    fn dense_output_has_its_order_and_ends_at_the_end_point() {
        for tableau in ALL {
            for theta in [0.1, 0.35, 0.5, 0.8, 0.95] {
                let weights: Vec<f64> = tableau.dense_weights(theta).collect();
                assert_eq!(
                    order_of(tableau, &weights, theta),
                    tableau.dense_order,
                    "{} at {theta}",
                    tableau.name
                );
            }
            for (at_end, b) in tableau.dense_weights(1.0).zip(tableau.b) {
                assert!((at_end - b).abs() < 1e-14, "{}: {at_end} is not {b}", tableau.name);
            }
        }
    }

    #[test]
    fn dense_output_of_first_same_as_last_methods_is_smooth() {
        for tableau in ALL.into_iter().filter(|tableau| tableau.fsal) {
            let slope = |theta: f64| -> Vec<f64> {
                let slope =
                    |p: &[f64; 4]| p[0] + theta * (2.0 * p[1] + theta * (3.0 * p[2] + theta * 4.0 * p[3]));
                tableau.dense.iter().map(slope).collect()
            };
            let last = tableau.stages() - 1;
            for (stage, (at_start, at_end)) in slope(0.0).into_iter().zip(slope(1.0)).enumerate() {
                assert!((at_start - f64::from(stage == 0)).abs() < 1e-13, "{}", tableau.name);
                assert!((at_end - f64::from(stage == last)).abs() < 1e-13, "{}", tableau.name);
            }
        }
    }

    #[test]
    fn shapes_agree() {
        for tableau in ALL {
            let stages = tableau.stages();
            assert_eq!((tableau.c.len(), tableau.a.len(), tableau.dense.len()), (stages, stages - 1, stages));
            assert_eq!(tableau.error.map_or(stages, <[f64]>::len), stages);
            assert_eq!(tableau.c[0], 0.0);
            if tableau.fsal {
                assert_eq!(tableau.a[stages - 2][..stages - 1], tableau.b[..stages - 1], "{}", tableau.name);
                assert_eq!((tableau.b[stages - 1], tableau.c[stages - 1]), (0.0, 1.0));
            }
        }
    }

    #[test]
    fn names_are_those_of_recipes() {
        for method in Method::ALL {
            let written = serde_json::to_string(&method).unwrap();
            assert_eq!(written, format!("\"{method}\""));
            assert_eq!(serde_json::from_str::<Method>(&written).unwrap(), method);
        }
    }
}
