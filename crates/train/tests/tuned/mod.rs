//! A base in a folder, and runs that start from it.
#![allow(dead_code, reason = "each test uses a part")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use thalweg_run::{Document, Override, Sinks};
use thalweg_train::{
    Ending, EvaluateOptions, Evaluation, ReadRecipe, Session, TrainError, evaluate, read_recipe,
};

/// A small flow.
pub const BASE: &str = "
    name = 'base'
    data.target.kind = 'checkerboard'
    model = { width = 32, hidden_layers = 2 }
    flow.time.kind = 'stratified'
    train = { steps = 800, batch = 256, learning_rate = { kind = 'constant', rate = 0.003 }, average.decay = 0.99 }
    evaluate = { samples = 300, likelihood_points = 0, replicates = 0, report = false }
";

/// What goes on from it.
pub const TUNED: &str = "
    name = 'tuned'
    flow.objective.kind = 'reconstruction'
    evaluate.solver = { method = 'euler', steps.fixed = 3 }
    [train]
    steps = 150
    batch = 128
    validate_every = 50
    learning_rate = { kind = 'constant', rate = 0.001 }
    average.decay = 0.9
";

pub fn read(text: &str, base: Option<&Path>, overrides: &[&str]) -> Result<ReadRecipe, TrainError> {
    let base = base.map(|base| format!("from.run='{}'", base.display()));
    let texts = base.iter().map(String::as_str).chain(overrides.iter().copied());
    let overrides: Vec<Override> = texts.map(|text| text.parse().unwrap()).collect();
    read_recipe(Document::new(text, "test", &overrides).unwrap())
}

pub fn begin(text: &str, base: Option<&Path>, overrides: &[&str], out: &Path) -> Result<Session, TrainError> {
    let ReadRecipe { recipe, base } = read(text, base, overrides)?;
    Session::begin(recipe, &base.unwrap_or_else(|| PathBuf::from(".")), out)
}

pub fn train(session: &mut Session, stop_at: Option<u64>) -> Ending {
    let stop = |step| if Some(step) == stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    session.train(&mut Sinks::new(), |progress| stop(progress.step)).unwrap()
}

/// A folder with a trained base.
pub struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub fn new(overrides: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut session = begin(BASE, None, overrides, &folder.path().join("base")).unwrap();
        assert_eq!(train(&mut session, None), Ending::Finished);
        Self { folder }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn begin(&self, name: &str, overrides: &[&str]) -> Result<Session, TrainError> {
        begin(TUNED, Some(&self.at("base")), overrides, &self.at(name))
    }

    pub fn tune(&self, name: &str, overrides: &[&str]) -> Session {
        let mut session = self.begin(name, overrides).unwrap();
        assert_eq!(train(&mut session, None), Ending::Finished, "{name}");
        session
    }

    pub fn refusal(&self, overrides: &[&str]) -> String {
        let error = self.begin("refused", overrides).map(|_| ()).expect_err(&format!("{overrides:?}"));
        assert!(error.is_request(), "{error}");
        assert!(!self.at("refused").exists(), "{error} has left a folder behind");
        error.to_string()
    }
}

pub fn scored(session: &Session) -> Evaluation {
    evaluate(&session.flow(), &session.dataset, &EvaluateOptions::default()).unwrap()
}

pub fn score(scores: &[thalweg_metrics::Score], name: &str) -> f64 {
    scores.iter().find(|score| score.name == name).unwrap().value
}
