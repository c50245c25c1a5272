//! `thalweg cell`, which only `thalweg compare` types: trains and measures one cell of a comparison.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use thalweg_run::{COMPARISON_FILE, Document, RunDir, RunError, RunLock};
use thalweg_train::{
    Budget, CellId, CellResult, CellScores, ComparisonPlan, Ending, Session, StagePlan, TrainError, Trial,
};

use super::stop::Stop;
use super::trial;
use crate::args::Cell;
use crate::evaluate::tell_sink_failures;
use crate::failure::Failure;
use crate::print::print_error;

/// How long a process of an earlier comparison, whose parent is gone, may take to save its step.
const FAREWELL: Duration = Duration::from_secs(20);

/// Trains, measures, and writes `cell.json`.
pub fn run(arguments: &Cell) -> Result<(), Failure> {
    let out = &arguments.out;
    let plan = ComparisonPlan::read(&Document::open(&out.join(COMPARISON_FILE), &[])?)?;
    let Some(id) = plan.find(&arguments.set, &arguments.method, arguments.seed) else {
        return Err(Failure::request("there is no such cell in the comparison"));
    };
    let stop = Stop::at_end_of_input();
    let _lock = claim(&plan.folder(id, out))?;
    let cell = CellRun { plan: &plan, id, out, base: &arguments.base, stop: &stop };
    let result = match cell.scores() {
        Ok(Some(scores)) => CellResult::Done(scores),
        Ok(None) => return Err(Failure::work("stopped, and saved")),
        Err(error) if is_final(&error) => CellResult::Failed { reason: error.to_string() },
        Err(error) => return Err(error.into()),
    };
    Ok(plan.write_record(id, out, result)?)
}

/// Whether the same would happen again.
fn is_final(error: &TrainError) -> bool {
    use TrainError::{Diverged, Flow, Metrics, Net, Solve};
    matches!(error, Diverged { .. } | Solve { .. } | Metrics(_) | Flow(_) | Net(_))
}

fn claim(folder: &Path) -> Result<RunLock, RunError> {
    let began = Instant::now();
    loop {
        match RunLock::take(folder) {
            Err(RunError::Locked { .. }) if began.elapsed() < FAREWELL => sleep(Duration::from_millis(50)),
            taken => return taken,
        }
    }
}

/// The cell of this process.
struct CellRun<'a> {
    plan: &'a ComparisonPlan,
    id: CellId,
    out: &'a Path,
    base: &'a Path,
    stop: &'a Stop,
}

impl CellRun<'_> {
    /// Trains all stages and measures the last; nothing if it was asked to stop.
    fn scores(&self) -> Result<Option<CellScores>, TrainError> {
        let Self { plan, id, out, stop, .. } = *self;
        let mut trials = plan.read_cell_plan(id, out)?.map_or_else(Vec::new, |begun| begun.trials);
        plan.write_cell_plan(id, out, &trials)?;
        let mut last = None;
        for (index, stage) in plan.stages(id, out)?.iter().enumerate() {
            let Some(mut session) = self.session(index, stage, &mut trials)? else { return Ok(None) };
            for warning in &session.warnings {
                print_error(&format!("warning: {warning}"));
            }
            if !session.is_finished() && train(&mut session, stop)? == Ending::Stopped {
                return Ok(None);
            }
            last = Some(session);
        }
        stop.nothing_to_save();
        match last {
            Some(session) => plan.measure(id, out, &session, &trials).map(Some),
            None => unreachable!("a method has at least one stage"),
        }
    }

    /// The session of a stage: the one that was begun if it left a checkpoint, else a new one.
    fn session(
        &self,
        index: usize,
        stage: &StagePlan,
        trials: &mut Vec<Trial>,
    ) -> Result<Option<Session>, TrainError> {
        let folder = self.plan.stage_folder(self.id, self.out, index);
        let has_checkpoint = RunDir::open(&folder).and_then(|run| run.latest_checkpoint());
        if has_checkpoint.is_ok_and(|latest| latest.found.is_some()) {
            return Session::resume(&folder).map(Some);
        }
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| TrainError::File {
                path: folder.clone(),
                action: "remove",
                reason: error.to_string(),
            })?;
        }
        let mut recipe = stage.recipe.clone();
        if let Budget::Seconds(seconds) = stage.budget {
            if trials.len() <= index {
                let place = self.plan.folder(self.id, self.out).join("trial");
                let found = trial::time(&recipe, (self.base, &place), seconds, self.stop)?;
                let Some(found) = found else { return Ok(None) };
                trials.push(found);
                self.plan.write_cell_plan(self.id, self.out, trials)?;
            }
            recipe.train.steps = trials[index].steps;
        }
        Session::begin(recipe, self.base, &folder).map(Some)
    }
}

fn train(session: &mut Session, stop: &Stop) -> Result<Ending, TrainError> {
    let mut sinks = session.sinks()?;
    let ending = session.train(&mut sinks, |_| {
        if stop.is_asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    tell_sink_failures(&mut sinks);
    Ok(ending)
}
