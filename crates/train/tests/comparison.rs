//! Comparisons: what is read, what is refused and where, and what is made of the results.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::Path;

use thalweg_metrics::Score;
use thalweg_run::Document;
use thalweg_train::{
    Budget, COMPARISONS, CellId, CellResult, CellScores, ComparisonPlan, CurvePoint, Mark, ObjectiveConfig,
    StageRecord, find_recipe,
};

const TEXT: &str = r#"
name = "small"
seeds = 2
budget = { steps = 10 }
evaluate = { steps = [1, 2] }

[recipe]
model = { width = 8 }
train = { batch = 16, average = { decay = 0.9 } }

[[set]]
name = "moons"
recipe = { data = { target = { kind = "two-moons" } } }

[[set]]
name = "rings"
recipe = { data = { target = { kind = "rings" } }, model = { hidden_layers = 2 } }

[[method]]
name = "FM"
stages = [{ recipe = { train = { batch = 32 } } }]

[[method]]
name = "reflowed"
evaluate_steps = []

[[method.stages]]
share = 0.7
recipe = { model = { width = 4 }, flow = { coupling = { kind = "optimal-transport" } } }

[[method.stages]]
share = 0.3
recipe = { flow = { objective = { kind = "reflow" } }, train = { clip = 1.0 } }
"#;

fn read(text: &str) -> Result<ComparisonPlan, String> {
    let document = Document::new(text, "small.toml", &[]).map_err(|error| error.to_string())?;
    ComparisonPlan::read(&document).map_err(|error| error.to_string())
}

#[test]
fn recipes_are_laid_over_each_other() {
    let plan = read(TEXT).unwrap();
    assert_eq!(plan.cells().count(), 2 * 2 * 2);
    let cell = plan.find("rings", "reflowed", 1).unwrap();
    assert_eq!(
        (plan.name(cell), plan.find("rings", "reflowed", 2)),
        ("rings / reflowed / 1".to_string(), None)
    );
    let stages = plan.stages(cell, Path::new("out")).unwrap();
    let [first, second] = &stages[..] else { panic!("two stages") };
    assert_eq!((first.budget, second.budget), (Budget::Steps(7), Budget::Steps(3)));
    // The common recipe, the set's and the method's, the later the stronger.
    assert_eq!((first.recipe.seed, first.recipe.train.steps, first.recipe.train.batch), (1, 7, 16));
    assert_eq!((first.recipe.model.width, first.recipe.model.hidden_layers), (4, 2));
    assert!(!first.recipe.evaluate.report);
    // A later stage takes the network from the one before it, and of the rest the training alone.
    let recipe = &second.recipe;
    assert_eq!((&recipe.model, &recipe.data), (&first.recipe.model, &first.recipe.data));
    assert!(matches!(recipe.flow.objective, ObjectiveConfig::Reflow(_)));
    assert_ne!(recipe.flow.coupling, first.recipe.flow.coupling);
    assert_eq!((recipe.train.steps, recipe.train.batch, recipe.train.clip), (3, 16, Some(1.0)));
    assert_eq!(recipe.train.average.decay, 0.9);
    let from = &recipe.from.as_ref().unwrap().run;
    assert_eq!(from, Path::new("out/cells/rings/reflowed/1/stage-1"));
    assert_eq!(
        plan.stages(plan.find("moons", "FM", 0).unwrap(), Path::new("")).unwrap()[0].recipe.train.batch,
        32
    );
    plan.check(Path::new(".")).unwrap();
}

#[test]
fn a_fingerprint_changes_with_the_recipe_and_not_with_the_place() {
    let plan = read(TEXT).unwrap();
    let of =
        |plan: &ComparisonPlan, set, method| plan.fingerprint(plan.find(set, method, 0).unwrap()).unwrap();
    let first = of(&plan, "moons", "FM");
    assert_ne!(first, of(&plan, "rings", "FM"));
    let more_seeds = read(&TEXT.replace("seeds = 2", "seeds = 3")).unwrap();
    assert_eq!(first, of(&more_seeds, "moons", "FM"), "more seeds are more cells of the same kind");
    for (from, to) in [("batch = 32", "batch = 33"), ("steps = 10", "steps = 11"), ("[1, 2]", "[1, 3]")] {
        assert_ne!(first, of(&read(&TEXT.replace(from, to)).unwrap(), "moons", "FM"), "{to}");
    }
    let seconds = |seconds: &str| read(&TEXT.replace("{ steps = 10 }", seconds)).unwrap();
    assert_ne!(
        of(&seconds("{ seconds = 1 }"), "moons", "FM"),
        of(&seconds("{ seconds = 2 }"), "moons", "FM")
    );
}

#[test]
fn students_have_no_steps_to_choose() {
    let students = TEXT
        .replace("coupling = { kind = \"optimal-transport\" }", "coupling = {}")
        .replace("flow = { coupling = {} }", "train = {}")
        .replace("{ kind = \"reflow\" }", "{ kind = \"distillation\" }");
    read(&students).unwrap();
    let asked = read(&students.replace("evaluate_steps = []", "evaluate_steps = [1, 2]")).unwrap_err();
    assert!(
        asked.contains("`method.1.evaluate_steps`: students make one step each")
            && asked.contains("small.toml:"),
        "{asked}"
    );
}

#[test]
fn mistakes_are_refused_with_their_place() {
    for (from, to, expected) in [
        ("seeds = 2", "seeds = 0", "`seeds`: must be at least 1 (small.toml:3:1)"),
        ("seeds = 2", "seed = 2", "unknown key `seed`"),
        ("seeds = 2", "seeds = \"two\"", "`seeds`: expected"),
        ("name = \"small\"", "name = \"a/b\"", "`name`: must name a folder"),
        ("steps = 10", "steps = 0", "`budget.steps`: must be at least 1 (small.toml:4:12)"),
        ("steps = 10", "steps = 1", "leaves none for stage 2 of 2"),
        ("{ steps = 10 }", "{ seconds = -1 }", "`budget.seconds`: must be a positive number, not -1"),
        ("{ steps = 10 }", "{ steps = 10, seconds = 3 }", "has either `steps` or `seconds`"),
        ("{ steps = 10 }", "{}", "`budget`: has either"),
        ("{ steps = 10 }", "{ minutes = 1 }", "unknown key `budget.minutes`"),
        ("steps = [1, 2]", "steps = []", "`evaluate.steps`: is empty"),
        ("steps = [1, 2]", "steps = [2, 1]", "`evaluate.steps`: must grow"),
        ("steps = [1, 2]", "steps = [0, 1]", "`evaluate.steps`: a solve has at least 1 step"),
        ("steps = [1, 2]", "metric = \"w3\"", "unknown value `w3` for `evaluate.metric`"),
        ("steps = [1, 2]", "metric = \"frechet\"", "lacks `frechet`"),
        ("evaluate_steps = []", "evaluate_steps = [0]", "`method.1.evaluate_steps`: a solve has"),
        ("evaluate_steps = []", "evaluate-steps = []", "unknown key `method.1.evaluate-steps`: did you mean"),
        (
            "name = \"rings\"",
            "name = \"moons\"",
            "`set.1.name`: there are two of the name `moons` (small.toml:16:1)",
        ),
        ("name = \"FM\"", "name = \"Reflowed\"", "`method.1.name`: there are two of the name `reflowed`"),
        ("name = \"FM\"", "name = \" FM\"", "`method.0.name`: must name a folder"),
        ("stages = [{ recipe = { train = { batch = 32 } } }]", "stages = []", "`method.0.stages`: is empty"),
        ("share = 0.7", "share = 0.6", "`method.1.stages`: the shares sum to 0.8999999999999999"),
        ("share = 0.7\n", "", "`method.1.stages`: either every stage has a `share`"),
        ("batch = 16,", "batch = 16, steps = 5,", "`recipe.train.steps`: comes from the budget"),
        (
            "model = { width = 8 }",
            "modle = { width = 8 }",
            "`recipe.modle`: is no section of a recipe: did you mean `model`?",
        ),
        ("model = { width = 8 }", "seed = 3", "`recipe.seed`: is set by the comparison"),
        ("model = { width = 8 }", "model = 8", "`recipe.model`: must be a table"),
        // Inside of recipes: which cell, and where.
        (
            "batch = 32",
            "batches = 32",
            "set `moons`, method `FM`, stage 1: unknown key `train.batches`: did you mean `train.batch`? (small.toml:21:34)",
        ),
        ("decay = 0.9", "decay = 9.0", "set `moons`, method `FM`, stage 1: `train.average.decay`"),
        ("kind = \"rings\"", "kind = \"ring\"", "set `rings`, method `FM`, stage 1: unknown value `ring`"),
        (
            "kind = \"reflow\" }",
            "kind = \"reflow\", encoded = 7 }",
            "method `reflowed`, stage 2: `flow.objective.encoded`",
        ),
        (
            "clip = 1.0",
            "clip = 0.0",
            "stage 2: `train.clip`: must be a positive number, not 0 (small.toml:33:66)",
        ),
    ] {
        let text = TEXT.replace(from, to);
        assert_ne!(text, TEXT, "{from}");
        let error = read(&text).expect_err(to);
        assert!(error.contains(expected), "{to}: {error}");
    }
    for list in ["set", "method"] {
        let text = TEXT
            .split(&format!("[[{list}]]"))
            .next()
            .unwrap()
            .replace("seeds", &format!("{list} = []\nseeds"));
        let other = if list == "set" { "method" } else { "set" };
        let text = if text.contains("[[set]]") {
            text
        } else {
            format!("{text}\n[[{other}]]\nname = 'x'\nstages = [{{}}]\n")
        };
        let error = read(&text).unwrap_err();
        assert!(error.contains(&format!("`{list}`: is empty")), "{error}");
    }
}

#[test]
fn what_does_not_suit_the_data_or_the_stage_before_is_found_before_training() {
    let of = |from: &str, to: &str| {
        let text = TEXT.replace(from, to);
        assert_ne!(text, TEXT);
        read(&text).unwrap().check(Path::new("nowhere")).unwrap_err().to_string()
    };
    let error = of("kind = \"rings\"", "kind = \"file\", path = \"absent.npy\"");
    assert!(
        error.starts_with("set `rings`, method `FM`, stage 1: ") && error.contains("absent.npy"),
        "{error}"
    );
    let error = of("train = { clip = 1.0 }", "model = { width = 5 }");
    assert!(error.starts_with("set `moons`, method `reflowed`, stage 2: the network of"), "{error}");
}

#[test]
fn the_embedded_comparisons_can_be_trained() {
    for embedded in COMPARISONS {
        assert!(find_recipe(embedded.name).is_none(), "{} is also the name of a recipe", embedded.name);
        let document = Document::new(embedded.text, embedded.name, &[]).unwrap();
        let plan = ComparisonPlan::read(&document).unwrap();
        assert_eq!(plan.recipe.name, embedded.name);
        assert!(plan.recipe.about.len() > 10);
        // Written out and read again it is the same.
        let complete = thalweg_run::to_toml(&plan.recipe);
        let again = ComparisonPlan::read(&Document::new(&complete, "again", &[]).unwrap()).unwrap();
        assert_eq!(again.recipe, plan.recipe);
        for cell in plan.cells().filter(|cell| cell.seed == 0) {
            assert_eq!(plan.fingerprint(cell).unwrap(), again.fingerprint(cell).unwrap());
        }
    }
}

fn done(w2: f64, seconds: f64, curve: &[(usize, f64)]) -> CellResult {
    let score = |name: &str, value, floor| Score {
        name: name.to_string(),
        value,
        standard_error: None,
        interval: None,
        floor,
        protocol: String::new(),
    };
    let curve = curve.iter().map(|&(steps, value)| CurvePoint { steps, evaluations: steps as f64, value });
    CellResult::Done(CellScores {
        scores: vec![score("w2", w2, Some(0.25)), score("nfe", 26.0, None)],
        parameters: 1234,
        seconds,
        stages: vec![StageRecord { steps: 10, seconds, trial: None }],
        curve: curve.collect(),
        warnings: vec!["careful".to_string()],
    })
}

#[test]
fn means_and_errors_over_seeds_by_hand() {
    let plan = read(&TEXT.replace("seeds = 2", "seeds = 3")).unwrap();
    let cell = |method, seed| CellId { set: 0, method, seed };
    let failed = CellResult::Failed { reason: "it diverged".to_string() };
    let results = [
        (cell(0, 0), done(1.0, 2.0, &[(1, 4.0), (2, 3.0)])),
        (cell(0, 1), done(2.0, 2.0, &[(1, 6.0), (2, 3.0)])),
        (cell(0, 2), done(3.0, 2.0, &[(1, 8.0)])),
        (cell(1, 0), done(2.9, 5.0, &[])),
        (cell(1, 1), failed.clone()),
        (cell(1, 2), done(3.1, 5.0, &[])),
        (CellId { set: 1, ..cell(0, 0) }, failed),
    ];
    let summary = plan.summarise(&results);
    let [fm, reflowed] = &summary.sets[0].methods[..] else { panic!("two methods") };
    // The deviation of 1, 2, 3 is 1, that of 2.9, 3.1 is √0.02.
    let w2 = fm.score("w2").unwrap();
    assert_eq!((w2.mean, w2.count, w2.mark), (2.0, 3, Some(Mark::Best)));
    assert!((w2.standard_error.unwrap() - 1.0 / 3_f64.sqrt()).abs() < 1e-12);
    let other = reflowed.score("w2").unwrap();
    assert!((other.mean - 3.0).abs() < 1e-12 && (other.standard_error.unwrap() - 0.1).abs() < 1e-12);
    // A difference of 1 against 2·√(1/3 + 0.01) = 1.17.
    assert_eq!(other.mark, Some(Mark::Tied));
    assert_eq!(
        (fm.score("seconds").unwrap().mark, reflowed.score("seconds").unwrap().mark),
        (Some(Mark::Best), None)
    );
    assert_eq!(fm.score("parameters").unwrap().mark, None);
    assert_eq!(
        (fm.done, fm.failed.len(), reflowed.done, &reflowed.failed[0].reason[..]),
        (3, 0, 2, "it diverged")
    );
    assert_eq!((fm.curve[0].mean, fm.curve[0].count, fm.curve[1].mean, fm.curve[1].count), (6.0, 3, 3.0, 2));
    assert!((fm.curve[0].standard_error.unwrap() - 2.0 / 3_f64.sqrt()).abs() < 1e-12);
    assert!(reflowed.curve.is_empty());
    assert_eq!((fm.stages[0].steps, &fm.warnings[..]), (10.0, &["careful".to_string()][..]));
    // What is 26 for all seeds has no error, not even one of rounding.
    assert_eq!(fm.score("nfe").unwrap().standard_error, Some(0.0));
    let floor = &summary.sets[0].floors[0];
    assert_eq!((&floor.name[..], floor.mean, floor.count), ("w2", 0.25, 5));
    assert_eq!((summary.failures(), summary.sets[1].methods[0].done), (2, 0));

    let rows = summary.sets[0].rows();
    assert_eq!(rows[0], ["method", "w2", "nfe", "time", "parameters", "failed"]);
    assert_eq!(rows[1], ["FM", "2.00 ± 0.58 *", "26 *", "2 *", "1\u{202f}234", ""]);
    assert_eq!(rows[2], ["reflowed", "3.00 ± 0.10 ~", "26 *", "5", "1\u{202f}234", "1 of 3"]);
    assert_eq!(rows[3], ["floor", "0.25", "", "", "", ""]);
    let text = summary.markdown();
    assert!(text.contains("| FM | **2.00 ± 0.58** | **26** | **2** |"), "{text}");
    assert!(text.contains("- reflowed, seed 1: it diverged"), "{text}");

    // What each method is given is no merit.
    let plan = read(&TEXT.replace("{ steps = 10 }", "{ seconds = 10 }")).unwrap();
    let summary = plan.summarise(&results[..4]);
    assert_eq!(summary.sets[0].methods[0].score("seconds").unwrap().mark, None);
    let folder = tempfile::tempdir().unwrap();
    let page = std::fs::read_to_string(summary.write_page(folder.path(), TEXT).unwrap()).unwrap();
    for part in
        ["Quality against evaluations", "Quality against time of training", "for 10 s in all", "careful"]
    {
        assert!(page.contains(part), "{part}");
    }
}
