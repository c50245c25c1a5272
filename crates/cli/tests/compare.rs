//! Comparisons as a user runs them: to the end, killed, interrupted, resumed, with a cell that fails.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use common::{start, thalweg};

const SMALL: &str = r#"
name = "small"
seeds = 2
budget = { steps = 20 }
evaluate = { steps = [1, 2], metric = "w2" }

[recipe]
model = { width = 8, hidden_layers = 2 }
train = { batch = 32, checkpoint_every = 100 }
evaluate = { samples = 40, metrics = ["w2"], likelihood_points = 10, replicates = 0 }

[[set]]
name = "two moons"
recipe = { data = { target = { kind = "two-moons" } } }

[[set]]
name = "rings"
recipe = { data = { target = { kind = "rings" } } }

[[method]]
name = "FM"
stages = [{}]

[[method]]
name = "reflowed"
evaluate_steps = []

[[method.stages]]
[[method.stages]]
recipe.flow.objective = { kind = "reflow" }
recipe.evaluate.solver = { method = "euler", steps = { fixed = 2 } }
"#;

fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("small.toml"), text).unwrap();
    folder
}

fn cells(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for set in ["two moons", "rings"] {
        for method in ["FM", "reflowed"] {
            for seed in ["0", "1"] {
                found.push(root.join("cells").join(set).join(method).join(seed));
            }
        }
    }
    found
}

/// What must be the same however often the work was broken off: not the times.
fn lasting(root: &Path) -> Vec<serde_json::Value> {
    let read = |cell: PathBuf| {
        let text = fs::read_to_string(cell.join("cell.json")).unwrap();
        let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
        let done = record["result"]["done"].as_object_mut().expect("the cell is done");
        done.remove("seconds");
        done["stages"].as_array_mut().unwrap().iter_mut().for_each(|stage| {
            stage.as_object_mut().unwrap().remove("seconds");
        });
        record
    };
    cells(root).into_iter().map(read).collect()
}

#[track_caller]
fn wait_until(what: &str, done: impl Fn() -> bool) {
    let patience = Instant::now();
    while !done() {
        assert!(patience.elapsed() < Duration::from_secs(60), "{what}: not after a minute");
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_comparison_is_a_table_a_page_and_a_document() {
    let folder = folder(SMALL);
    let outcome = thalweg(folder.path(), "compare small.toml --jobs 2").done();
    assert!(outcome.err.contains("8 of 8 cells are left, 2 at a time"), "{}", outcome.err);
    assert!(outcome.err.contains("two moons / reflowed / 1  done in"), "{}", outcome.err);
    assert!(outcome.err.contains("(8 of 8)"), "{}", outcome.err);
    for part in
        ["\nrings\n", "method", "w2", "nll", "nfe", "straightness", "time", "parameters", "floor", " *", "±"]
    {
        assert!(outcome.out.contains(part), "{part:?} is missing in: {}", outcome.out);
    }
    let root = folder.path().join("runs/small");
    let markdown = fs::read_to_string(root.join("table.md")).unwrap();
    assert!(
        markdown.contains("## two moons\n\n| method | w2 |") && markdown.contains("| floor |"),
        "{markdown}"
    );
    let page = fs::read_to_string(root.join("comparison.html")).unwrap();
    for part in [
        "Each method makes 20 optimiser steps in all",
        "<svg",
        "Quality against evaluations",
        "euler, 2 equal steps",
    ] {
        assert!(page.contains(part), "{part:?}");
    }
    assert!(!page.contains("http://") && !page.contains("https://"), "the page refers to something outside");

    let records = lasting(&root);
    let [fm, reflowed] = [&records[0], &records[2]];
    assert_eq!((&fm["set"], &fm["method"], &fm["seed"]), (&"two moons".into(), &"FM".into(), &0.into()));
    let done = |record: &serde_json::Value| record["result"]["done"].clone();
    assert_eq!(done(fm)["stages"], serde_json::json!([{ "steps": 20 }]));
    assert_eq!(done(reflowed)["stages"], serde_json::json!([{ "steps": 10 }, { "steps": 10 }]));
    let curve = done(fm)["curve"].clone();
    assert_eq!((&curve[1]["steps"], &curve[1]["evaluations"]), (&2.into(), &2.0.into()));
    assert_eq!(done(reflowed)["curve"], serde_json::json!([]));
    // The stages are ordinary runs, and the curve is what an evaluation by so many steps finds.
    let first = "evaluate runs/small/cells/rings/FM/1/stage-1 --seed 1 --solver euler --steps 2 --json";
    let by_two_steps = thalweg(folder.path(), first).done().json();
    assert_eq!(by_two_steps["scores"][0]["value"], done(&records[5])["curve"][1]["value"]);
    let stage = root.join("cells/rings/reflowed/1/stage-2");
    fs::rename(&stage, folder.path().join("moved")).unwrap();
    let config = fs::read_to_string(folder.path().join("moved/config.toml")).unwrap();
    assert!(config.contains("seed = 1") && config.contains("steps = 10"), "{config}");
    let scores = thalweg(folder.path(), "evaluate moved --seed 1 --json").done().json();
    assert_eq!(
        scores["scores"][0]["value"],
        done(&records[7])["scores"][0]["value"],
        "the same solver, the same seed"
    );
    fs::rename(folder.path().join("moved"), &stage).unwrap();

    // Nothing is left to be done, and everything is said once more.
    let again = thalweg(folder.path(), "compare small.toml --resume --json").done();
    assert_eq!(again.err, "");
    let document = again.json();
    let written: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(root.join("comparison.json")).unwrap()).unwrap();
    assert_eq!(document["found"], written);
    let scores = written["sets"][1]["methods"][0]["scores"].as_array().unwrap();
    let w2 = scores.iter().find(|score| score["name"] == "w2").unwrap();
    let value = |cell: usize| done(&records[cell])["scores"][0]["value"].as_f64().unwrap();
    let (a, b) = (value(4), value(5));
    assert!((w2["mean"].as_f64().unwrap() - 0.5 * (a + b)).abs() < 1e-12);
    assert!((w2["standard_error"].as_f64().unwrap() - 0.5 * (a - b).abs()).abs() < 1e-12);

    // One more seed is more cells, and those that are there are kept.
    let more = thalweg(folder.path(), "compare small.toml --resume --seeds 3").done();
    assert!(more.err.contains("4 of 12 cells are left"), "{}", more.err);
    // Another recipe is another comparison.
    thalweg(folder.path(), "compare small.toml").refused(&["holds a comparison", "--resume"]);
    thalweg(folder.path(), "compare small.toml --resume --set recipe.train.batch=16")
        .refused(&["cell.json is of another comparison", "another --out"]);
    thalweg(folder.path(), "compare small.toml --resume --out nowhere")
        .refused(&["no comparison to go on with"]);
    thalweg(folder.path(), "compare small.toml --jobs 0 --out other").refused(&["--jobs must be at least 1"]);
}

#[test]
fn mistakes_are_found_before_the_first_cell() {
    let wrong = SMALL.replace("kind = \"reflow\" }", "kind = \"reflow\", encode = 0.1 }");
    let folder = folder(&wrong);
    thalweg(folder.path(), "compare small.toml").refused(&[
        "set `two moons`, method `reflowed`, stage 2: unknown key `flow.objective.encode`",
        "did you mean `flow.objective.encoded`?",
        "small.toml:",
    ]);
    thalweg(folder.path(), "compare small.toml --set method.1.stages=[]")
        .refused(&["--set method.1.stages=[]"]);
    fs::write(
        folder.path().join("small.toml"),
        SMALL.replace("\"rings\" }", "\"file\", path = \"no.npy\" }"),
    )
    .unwrap();
    thalweg(folder.path(), "compare small.toml").refused(&["set `rings`, method `FM`, stage 1: ", "no.npy"]);
    assert!(!folder.path().join("runs").exists());
    thalweg(folder.path(), "compare two-moons").refused(&["`thalweg train two-moons`"]);
    thalweg(folder.path(), "train plane").refused(&["`thalweg compare plane`"]);
    thalweg(folder.path(), "train small.toml").refused(&["`thalweg compare small.toml`"]);
    thalweg(folder.path(), "compare plnae").refused(&["did you mean `plane`?"]);
}

#[test]
fn means_are_of_trainings_on_the_same_data() {
    let folder = folder(&SMALL.replace("kind = \"rings\"", "kind = \"file\", path = \"t.csv\""));
    let write = |factor: usize| {
        let rows: String = (0..200).map(|row| format!("{row},{}\n", (row * factor) % 11)).collect();
        fs::write(folder.path().join("t.csv"), format!("a,b\n{rows}")).unwrap();
    };
    write(7);
    thalweg(folder.path(), "compare small.toml --seeds 1").done();
    write(5);
    for seeds in ["1", "2"] {
        thalweg(folder.path(), &format!("compare small.toml --resume --seeds {seeds}"))
            .refused(&["the data have changed since the cell rings / FM / 0 was begun", "another --out"]);
    }
    write(7);
    thalweg(folder.path(), "compare small.toml --resume --seeds 2").done();
}

#[test]
fn killed_and_interrupted_a_comparison_goes_on_to_the_same_results() {
    // Long enough to be caught.
    let folder = folder(&SMALL.replace("steps = 20", "steps = 600"));
    let here = folder.path();
    thalweg(here, "compare small.toml --out unbroken").done();
    let root = here.join("broken");
    let moment = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_micros() % 4;
    let finished =
        |count: usize| cells(&root).iter().filter(|cell| cell.join("cell.json").exists()).count() >= count;

    let mut child = start(here, "compare small.toml --out broken --jobs 2");
    wait_until("a cell", || finished(1));
    sleep(Duration::from_millis(50 * u64::from(moment)));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!root.join("comparison.json").exists(), "it was over before it was killed");

    let mut child = start(here, "compare small.toml --out broken --resume --jobs 2");
    wait_until("some cells", || finished(4));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("of 8 cells are finished"), "{said}");
    assert!(said.contains("`thalweg compare --resume small.toml --out broken --jobs 2`"), "{said}");
    assert!(!root.join("comparison.json").exists());

    thalweg(here, "compare small.toml --out broken --resume").done();
    assert_eq!(lasting(&root), lasting(&here.join("unbroken")));
}

#[test]
fn a_cell_that_fails_is_counted_and_the_others_are_not_lost() {
    let wild = "[[method]]\nname = \"wild\"\nstages = [{ recipe = { train = { learning_rate = { kind = \"constant\", \
                rate = 1e30 } } } }]\n";
    let folder = folder(&format!("{SMALL}\n{wild}").replace("seeds = 2", "seeds = 1"));
    let outcome = thalweg(folder.path(), "compare small.toml --json");
    let outcome =
        outcome.failed(1, &["2 of 6 cells failed", "rings / wild / 0  failed after", "training diverged"]);
    let found = &outcome.json()["found"];
    let wild = &found["sets"][0]["methods"][2];
    assert_eq!((&wild["done"], &wild["failed"][0]["seed"]), (&0.into(), &0.into()));
    assert!(wild["failed"][0]["reason"].as_str().unwrap().contains("diverged"), "{wild}");
    assert_eq!(found["sets"][0]["methods"][0]["done"], 1);
    // It is not tried again, because it would fail again; a crash would be.
    let again = thalweg(folder.path(), "compare small.toml --resume").failed(1, &["2 of 6 cells failed"]);
    assert!(
        !again.err.contains("cells are left") && again.out.contains("1 of 1"),
        "{} {}",
        again.err,
        again.out
    );
    let text = fs::read_to_string(folder.path().join("runs/small/table.md")).unwrap();
    assert!(text.contains("| failed |") && text.contains("- wild, seed 0: training diverged"), "{text}");
}

#[test]
fn a_process_that_is_killed_is_counted_and_tried_again() {
    let folder = folder(&SMALL.replace("steps = 20", "steps = 600").replace("seeds = 2", "seeds = 1"));
    let here = folder.path();
    let mut child = start(here, "compare small.toml --out out --jobs 1");
    let cell = here.join("out/cells/two moons/reflowed/0");
    wait_until("a training", || cell.join("stage-1/checkpoints").exists());
    let process = fs::read_to_string(cell.join("lock")).unwrap();
    assert!(Command::new("kill").args(["-KILL", process.trim()]).status().unwrap().success());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("two moons / reflowed / 0  failed") && said.contains("SIGKILL"), "{said}");
    assert!(said.contains("1 of 4 cells failed"), "{said}");
    let again = thalweg(here, "compare small.toml --out out --resume").done();
    assert!(again.err.contains("1 of 4 cells are left"), "{}", again.err);
}

#[test]
fn seconds_become_steps_by_a_trial_that_is_written_down() {
    // Checkpoints wait for the disk, and are not what is timed.
    let text = SMALL.replace("steps = 20", "seconds = 0.4").replace("seeds = 2", "seeds = 1");
    let folder = folder(&text.replace("checkpoint_every = 100", "checkpoint_every = 100000"));
    thalweg(folder.path(), "compare small.toml --jobs 1").done();
    let cell = folder.path().join("runs/small/cells/rings/reflowed/0");
    assert!(!cell.join("trial").exists());
    let record: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(cell.join("cell.json")).unwrap()).unwrap();
    for stage in record["result"]["done"]["stages"].as_array().unwrap() {
        let trial = &stage["trial"];
        let [start, per_step] = ["start", "seconds_per_step"].map(|key| trial[key].as_f64().unwrap());
        assert_eq!(trial["steps"], stage["steps"], "all planned steps are made");
        // Stages of so few steps need one pool of pairs at most.
        let share = if record["result"]["done"]["stages"].as_array().unwrap().len() == 1 { 0.4 } else { 0.2 };
        let steps = trial["steps"].as_u64().unwrap();
        assert!(steps <= ((share - start) / per_step) as u64 && steps > 0, "{trial}");
        assert!(trial["timed"].as_u64().unwrap() >= 1);
    }
    let wrong = "compare small.toml --out short --jobs 1 --set budget={seconds=1e-9}";
    thalweg(folder.path(), wrong).failed(1, &["are shorter than one step of", "raise `budget.seconds`"]);
}
