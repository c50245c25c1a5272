//! Certificates are the same after reading, and no number of them can be changed unnoticed.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use faer::Mat;
use serde_json::Value;
use thalweg_certify::{
    Certificate, Claim, Contraction, Effort, Field, Finding, Form, Function, InputRange, Method, Origin,
    Solver, Source, Subject, Term,
};
use thalweg_noise::Noise;

fn rk4(steps: u64) -> Option<Solver> {
    let a = vec![vec![], vec![0.5], vec![0.0, 0.5], vec![0.0, 0.0, 1.0]];
    let b = vec![1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0];
    Some(Solver { method: Method { name: "rk4".to_string(), a, b }, steps })
}

fn subject(field: &Field) -> Subject<'_> {
    Subject {
        origin: Origin { name: "test".to_string(), step: 1000, weights: "0123abcd".to_string() },
        field,
        form: Form::Equilibrium,
        horizon: 1.5,
        solver: rk4(16),
        input: InputRange::Constant(vec![0.1; field.dim()]),
        known: None,
        starts: &[],
    }
}

fn one(x: f64) -> Mat<f64> {
    Mat::from_fn(1, 1, |_, _| x)
}

fn scalar(a: f64, b: f64) -> Field {
    let term = Term { outer: one(b), inner: one(1.0), bias: vec![0.0], function: Function::Tanh };
    Field { linear: one(-a), terms: vec![term] }
}

fn identity(n: usize) -> Mat<f64> {
    Mat::identity(n, n)
}

/// The theorem of FORMULAS §6.7 with `P = 1`: a field that contracts at the rate `c`, and its proof.
fn constructed(n: usize, units: usize, rate: f64) -> (Field, Contraction) {
    let mut noise = Noise::new(11);
    let mut draw = |rows: usize, cols: usize, size: f64| {
        let draws = noise.normals(rows * cols);
        Mat::from_fn(rows, cols, |i, j| size * draws[i * cols + j])
    };
    let (outer, inner) = (draw(n, units, 0.4), draw(units, n, 0.4));
    let (half, root) = (draw(n, n, 0.5), draw(n, n, 0.2));
    let multipliers = vec![1.0; units];
    let z = &outer + inner.transpose();
    let scaled = |matrix: Mat<f64>, by: f64| matrix * faer::Scale(by);
    let linear =
        scaled(identity(n), -rate) - scaled(&root * root.transpose(), 0.5) - scaled(&z * z.transpose(), 0.25)
            + (&half - half.transpose());
    let bias = (0..units).map(|k| 0.1 * k as f64).collect();
    let field = Field { linear, terms: vec![Term { outer, inner, bias, function: Function::Tanh }] };
    (field, Contraction { rate, metric: identity(n), multipliers })
}

fn made(subject: &Subject<'_>, effort: &Effort) -> Certificate {
    let certificate = Certificate::of(subject, effort).unwrap();
    let text = certificate.text();
    let read = Certificate::check(&text).unwrap_or_else(|findings| panic!("{findings:?}\n{text}"));
    assert_eq!(read, certificate, "after reading");
    assert!(!certificate.summary().is_empty());
    certificate
}

#[test]
fn one_coordinate_in_closed_form() {
    let field = scalar(1.0, 0.4);
    let certificate = made(&subject(&field), &Effort::default());
    let claim = certificate.claims.contraction.certified().unwrap();
    assert!((claim.rate - 0.6).abs() < 1e-4 && claim.source == Source::Search, "{claim:?}");
    assert!((claim.condition - 1.0).abs() < 1e-12);
    assert!((claim.horizon_factor - (-claim.rate * 1.5).exp()).abs() < 1e-15);
    // Norms of the parts give the best rate to the last digit, of which a search stays a little short.
    assert!(claim.euclidean_factor <= claim.horizon_factor + 1e-12);
    assert!((claim.euclidean_factor - (-0.6_f64 * 1.5).exp()).abs() < 1e-12);
    assert!(claim.eigenvalue < 0.0);
    // |g| = 0.1 in the norm of the metric.
    let expected = 0.1 * claim.metric[0][0].sqrt() / claim.rate;
    assert!((claim.radius - expected).abs() < 1e-12 * expected, "{claim:?}");
    assert!(certificate.claims.stability.certified().is_some());
    assert!((certificate.claims.cheap.euclidean - 0.6).abs() < 1e-6);
    let steps = certificate.claims.steps.certified().unwrap();
    assert!((steps.lipschitz - 1.0).abs() < 1e-9 && steps.factor < 1.0, "{steps:?}");
    assert_eq!(steps.words, "16 steps of rk4 are proved to contract");
    assert!(certificate.claims.regions.is_empty());
}

#[test]
fn several_equilibria_have_regions() {
    let field = scalar(1.0, 2.0);
    let starts = [vec![-3.0], vec![-1.5], vec![0.0], vec![3.0]];
    let calm = InputRange::Constant(vec![0.0]);
    let certificate = made(&Subject { input: calm, starts: &starts, ..subject(&field) }, &Effort::default());
    assert!(certificate.claims.contraction.certified().is_none());
    assert!(certificate.claims.stability.certified().is_none());
    let Claim::NotCertified(steps) = &certificate.claims.steps else { panic!("{certificate:?}") };
    assert_eq!(steps.reason, "the field itself is not proved to contract");
    let centres: Vec<f64> = certificate.claims.regions.iter().map(|region| region.centre[0]).collect();
    assert_eq!(centres.len(), 4, "{centres:?}");
    assert!(centres.iter().all(|centre| (centre.abs() - 1.915_008).abs() < 1e-6), "{centres:?}");
    for pair in certificate.claims.regions.chunks(2) {
        let [largest, smaller] = pair else { panic!("{pair:?}") };
        assert!(largest.radius < 1.033_635 && largest.radius > 1.033, "{}", largest.radius);
        assert!(smaller.radius < 0.8 * largest.radius && smaller.rate > 0.25, "{smaller:?}");
    }
    // An anchored field has none.
    let anchored = Subject { form: Form::Anchored, starts: &starts, ..subject(&field) };
    let certificate = made(&anchored, &Effort::default());
    assert!(certificate.claims.regions.is_empty() && certificate.claims.remarks.len() == 1);
}

#[test]
fn a_field_too_large_for_the_search_keeps_its_proof_by_construction() {
    let (field, proof) = constructed(6, 12, 0.3);
    let known = Subject { known: Some(&proof), ..subject(&field) };
    let certificate = made(&known, &Effort { largest: 10, ..Effort::default() });
    let claim = certificate.claims.contraction.certified().unwrap();
    assert_eq!(claim.source, Source::Construction);
    assert!((claim.rate - 0.3 * 0.999).abs() < 1e-12, "{}", claim.rate);
    assert!(certificate.claims.remarks[0].contains("6 coordinates and 12 units"), "{certificate:?}");
    // What follows from a contraction needs no search.
    assert!(certificate.claims.stability.certified().is_some());
    // The search does no worse.
    let certificate = made(&known, &Effort { stability: false, ..Effort::default() });
    assert!(certificate.claims.contraction.certified().unwrap().rate >= 0.3 * 0.999);
    // Without a proof there is nothing to fall back on, but for the bounds that need no search.
    let certificate = made(&subject(&field), &Effort { largest: 10, ..Effort::default() });
    let Claim::NotCertified(refusal) = &certificate.claims.contraction else { panic!("{certificate:?}") };
    assert!(refusal.margin.is_none() && !refusal.sure && refusal.reason.contains("too many"), "{refusal:?}");
    // A proof of something else is not believed.
    let wrong = Contraction { rate: 3.0, ..proof };
    let certificate = made(
        &Subject { known: Some(&wrong), ..subject(&field) },
        &Effort { largest: 10, ..Effort::default() },
    );
    assert!(certificate.claims.contraction.certified().is_none());
    assert!(certificate.claims.remarks[0].contains("does not hold"), "{certificate:?}");
}

#[test]
fn the_radius_holds_for_every_input_within_the_bound() {
    let (field, _) = constructed(3, 5, 0.3);
    let bounded = Subject { input: InputRange::Bound(0.7), ..subject(&field) };
    for form in [Form::Equilibrium, Form::Anchored] {
        let certificate = made(&Subject { form, ..bounded.clone() }, &Effort::default());
        let claim = certificate.claims.contraction.certified().unwrap();
        let mut worst: f64 = 0.0;
        for corner in 0..8 {
            let input: Vec<f64> = (0..3).map(|i| if corner >> i & 1 == 1 { 0.7 } else { -0.7 }).collect();
            let push = match form {
                Form::Equilibrium => field.value(&[0.0; 3], &input),
                Form::Anchored => input,
            };
            let square: f64 = (0..3)
                .flat_map(|i| (0..3).map(move |j| (i, j)))
                .map(|(i, j)| push[i] * claim.metric[i][j] * push[j])
                .sum();
            worst = worst.max(square.sqrt() / claim.rate);
        }
        assert!(worst <= claim.radius * (1.0 + 1e-12), "{worst} {}", claim.radius);
        assert!(worst > 0.3 * claim.radius, "{worst} {}", claim.radius);
    }
}

#[test]
fn steps_that_are_not_proved_to_contract_say_so() {
    let spiral =
        Field { linear: Mat::from_fn(2, 2, |i, j| [[-1.0, 3.0], [-3.0, -1.0]][i][j]), terms: vec![] };
    let euler = Method { name: "euler".to_string(), a: vec![vec![]], b: vec![1.0] };
    let with = |solver| Subject { horizon: 1.0, solver, ..subject(&spiral) };
    let certificate = made(&with(Some(Solver { method: euler.clone(), steps: 4 })), &Effort::default());
    let steps = certificate.claims.steps.certified().unwrap();
    assert!(steps.factor > 1.0 && steps.fewest_steps == Some(6), "{steps:?}");
    assert_eq!(steps.words, "4 steps of euler are not proved to contract; 6 would be");
    let certificate = made(&with(Some(Solver { method: euler, steps: 8 })), &Effort::default());
    assert!(certificate.claims.steps.certified().unwrap().factor < 1.0);
    let reason = |solver| match made(&with(solver), &Effort::default()).claims.steps {
        Claim::NotCertified(refusal) => refusal.reason,
        Claim::Certified(steps) => panic!("{steps:?}"),
    };
    assert!(reason(None).contains("chooses its steps"));
    let negative = Method { name: "odd".to_string(), a: vec![vec![], vec![0.5]], b: vec![-1.0, 2.0] };
    assert!(reason(Some(Solver { method: negative, steps: 4 })).contains("below zero"));
}

#[test]
fn subjects_that_make_no_sense_are_refused() {
    let field = scalar(1.0, 0.4);
    let refused = |subject: Subject<'_>| Certificate::of(&subject, &Effort::default()).unwrap_err();
    assert!(refused(Subject { horizon: 0.0, ..subject(&field) }).contains("horizon"));
    assert!(refused(Subject { horizon: f64::NAN, ..subject(&field) }).contains("horizon"));
    assert!(refused(Subject { solver: rk4(0), ..subject(&field) }).contains("0 steps"));
    assert!(refused(Subject { input: InputRange::Constant(vec![]), ..subject(&field) }).contains("input"));
    assert!(refused(Subject { input: InputRange::Bound(-1.0), ..subject(&field) }).contains("bound"));
    assert!(refused(Subject { starts: &[vec![]], ..subject(&field) }).contains("start"));
    let broken = scalar(f64::NAN, 0.4);
    assert!(refused(subject(&broken)).contains("A0"));
}

/// Three certificates that between them have a claim of every kind.
fn samples() -> Vec<Certificate> {
    let (field, _) = constructed(2, 3, 0.4);
    let bistable = scalar(1.0, 2.0);
    let starts = [vec![3.0]];
    let calm = InputRange::Constant(vec![0.0]);
    let leaky = Field {
        linear: Mat::from_fn(2, 2, |i, j| [[-1.5, 0.5], [0.1, -1.0]][i][j]),
        terms: vec![Term {
            outer: Mat::from_fn(2, 1, |i, _| [0.3, -0.2][i]),
            inner: Mat::from_fn(1, 2, |_, j| [0.5, 0.7][j]),
            bias: vec![0.3],
            function: Function::LeakyRelu { slope: 0.1 },
        }],
    };
    vec![
        made(&subject(&field), &Effort::default()),
        made(&Subject { input: calm, starts: &starts, ..subject(&bistable) }, &Effort::default()),
        made(
            &Subject { form: Form::Anchored, input: InputRange::Bound(0.5), ..subject(&leaky) },
            &Effort::default(),
        ),
    ]
}

/// All leaves, as paths of `/key/index`.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| leaves(value, &format!("{path}/{key}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| leaves(value, &format!("{path}/{i}"), found));
        }
        _ => found.push(path.to_string()),
    }
}

/// The leaf changed in several ways, little and much.
fn changed(leaf: &Value) -> Vec<Value> {
    match leaf {
        Value::Bool(value) => vec![Value::Bool(!value)],
        Value::Number(number) if number.is_u64() => {
            let number = number.as_u64().unwrap();
            vec![Value::from(number + 1), Value::from(3 * number + 7)]
        }
        Value::Number(number) => {
            let x = number.as_f64().unwrap();
            let next = if x == 0.0 { 1e-300 } else { f64::from_bits(x.to_bits() + 1) };
            [next, x * 1.001 + 1e-5, x * 0.999 - 1e-5, -x - 0.1, 3.0 * x + 1.0, 0.01 * x, 1e9]
                .into_iter()
                .map(Value::from)
                .collect()
        }
        Value::String(text) => vec![Value::from(format!("{text}0"))],
        _ => vec![Value::from(1.0)],
    }
}

fn check_changed(value: &Value, repaired: bool) -> Result<Certificate, Vec<Finding>> {
    if !repaired {
        return Certificate::check(&value.to_string());
    }
    let problem =
        |error: serde_json::Error| vec![Finding { place: "text".to_string(), problem: error.to_string() }];
    let mut certificate: Certificate = serde_json::from_value(value.clone()).map_err(problem)?;
    certificate.system.fingerprint = certificate.system.computed_fingerprint();
    certificate.digest = certificate.computed_digest();
    Certificate::check(&certificate.text())
}

#[test]
fn every_changed_leaf_is_noticed() {
    for certificate in samples() {
        let value: Value = serde_json::from_str(&certificate.text()).unwrap();
        let mut paths = Vec::new();
        leaves(&value, "", &mut paths);
        assert!(paths.len() > 45, "{}", paths.len());
        for path in &paths {
            for change in changed(value.pointer(path).unwrap()) {
                let mut touched = value.clone();
                *touched.pointer_mut(path).unwrap() = change.clone();
                assert!(
                    touched == value || check_changed(&touched, false).is_err(),
                    "{path} became {change}"
                );
            }
        }
    }
}

/// Whether a leaf may be changed from one number to another and all claims stay true: nothing follows from it, or less is
/// claimed than could be.
fn innocent(certificate: &Certificate, path: &str, [from, to]: [f64; 2]) -> bool {
    let certified = certificate.claims.contraction.certified().is_some();
    let within = |start: &str| path.starts_with(start);
    // One weight alone is a unit of length; several are not.
    let scale = path == "/claims/cheap/weighted_maximum/weights/0" && certificate.system.linear.len() == 1;
    // Without a contraction nothing is said of the time and of the steps.
    let unused = !certified && (within("/system/horizon") || within("/system/solver"));
    // By its theorem the bias of an anchored field has no part in anything.
    let anchored = certificate.system.form == Form::Anchored && within("/system/terms/0/b/");
    // A region of a smaller radius, or with a smaller rate, or in a norm that is a little longer: with one coordinate a norm
    // that is longer by any factor is the same with a smaller radius.
    let is_line = certificate.system.linear.len() == 1;
    let in_region = |key: &str| within("/claims/regions/") && path.contains(key);
    let weaker = (in_region("/radius") || in_region("/rate")) && to < from;
    let longer = in_region("/metric") && to > from && (is_line || to < 1.1 * from);
    // A proof that is strict holds with multipliers nearby.
    let nearby = in_region("/multipliers") && (to - from).abs() < 0.01 * from;
    // More weight for the input claims less of what is left of it.
    let gain = path.contains("/gain/") && to > from;
    let refusal = path.contains("/not_certified/margin") && to >= 0.0;
    // Rounding of what is derived, or a change that moves nothing by more than rounding.
    let rounding = (to - from).abs() <= 1e-12 * from.abs() || to.abs() <= 1e-300;
    rounding
        || within("/run/")
        || scale
        || unused
        || anchored
        || weaker
        || gain
        || longer
        || nearby
        || refusal
}

#[test]
fn a_change_with_new_digests_is_noticed_where_a_claim_becomes_false() {
    let mut tried = 0;
    for certificate in samples() {
        let value: Value = serde_json::from_str(&certificate.text()).unwrap();
        let mut paths = Vec::new();
        leaves(&value, "", &mut paths);
        for path in &paths {
            let leaf = value.pointer(path).unwrap();
            for change in changed(leaf) {
                let mut touched = value.clone();
                *touched.pointer_mut(path).unwrap() = change.clone();
                let [Some(from), Some(to)] = [leaf.as_f64(), change.as_f64()] else { continue };
                tried += 1;
                let allowed = innocent(&certificate, path, [from, to]);
                assert!(allowed || check_changed(&touched, true).is_err(), "{path}: {from} became {to}");
            }
        }
    }
    assert!(tried > 900, "{tried}");
}

#[test]
fn what_is_no_certificate_is_refused_in_words() {
    let problem = |text: &str| Certificate::check(text).unwrap_err()[0].to_string();
    assert!(problem("").starts_with("text: "));
    assert!(problem("{}").contains("format"));
    assert_eq!(problem("{\"format\": 2, \"new\": []}"), "format: 2 is not 1, which is known here");
    let text = samples().remove(0).text();
    assert!(problem(&text[..text.len() - 10]).starts_with("text: "));
    let unknown = text.replacen("\"format\"", "\"more\": 1, \"format\"", 1);
    assert!(problem(&unknown).contains("unknown field"));
    let changed = text.replacen("\"name\": \"test\"", "\"name\": \"best\"", 1);
    assert_eq!(problem(&changed), "digest: something was changed since the certificate was written");
    // A matrix that lost a row, or a number of a row.
    let certificate: Certificate = serde_json::from_str(&text).unwrap();
    let broken = |change: &dyn Fn(&mut Certificate)| {
        let mut certificate = certificate.clone();
        change(&mut certificate);
        certificate.system.fingerprint = certificate.system.computed_fingerprint();
        certificate.digest = certificate.computed_digest();
        problem(&certificate.text())
    };
    assert!(broken(&|certificate| drop(certificate.system.linear.pop())).starts_with("system: "));
    assert!(broken(&|certificate| certificate.system.linear[0].clear()).contains("a row of A0"));
    assert!(broken(&|certificate| certificate.system.terms[0].bias.clear()).contains("A1"));
    assert!(broken(&|certificate| certificate.system.terms[0].function = Function::Silu).contains("claims."));
    assert!(
        broken(&|certificate| certificate.claims.cheap.weighted_maximum.weights.clear()).contains("weights")
    );
}

/// What lies between two numbers is a constant where they are one, and a bound where they are opposite.
#[test]
fn inputs_between_two_ends_are_those_of_the_other_spellings() {
    let (field, _) = constructed(3, 4, 0.5);
    let radius = |input: InputRange| {
        let certificate = Certificate::of(&Subject { input, ..subject(&field) }, &Effort::default()).unwrap();
        Certificate::check(&certificate.text()).unwrap();
        certificate.claims.contraction.certified().unwrap().radius
    };
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12 * (1.0 + b), "{a}, {b}");
    let constant = vec![0.3, -0.1, 0.2];
    close(
        radius(InputRange::Between { low: constant.clone(), high: constant.clone() }),
        radius(InputRange::Constant(constant)),
    );
    close(
        radius(InputRange::Between { low: vec![-0.4; 3], high: vec![0.4; 3] }),
        radius(InputRange::Bound(0.4)),
    );
    let refused = |low: Vec<f64>, high: Vec<f64>| {
        let input = InputRange::Between { low, high };
        Certificate::of(&Subject { input, ..subject(&field) }, &Effort::default()).unwrap_err()
    };
    assert!(refused(vec![0.0; 3], vec![0.0; 2]).contains("ends"));
    assert!(refused(vec![0.1; 3], vec![0.0; 3]).contains("order"));
}
