//! Some cells at a time, each in a process of its own.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use thalweg_train::{CellId, CellResult, ComparisonPlan};

use super::progress::CellProgress;
use super::stop::Stop;
use crate::failure::Failure;

/// How often children are looked at; a training takes long.
const PATIENCE: Duration = Duration::from_millis(20);

/// What all cells have in common.
pub struct Workers<'a> {
    /// This program; asked for once, because its file may be replaced in the meantime.
    pub program: PathBuf,
    /// The comparison.
    pub plan: &'a ComparisonPlan,
    /// Its folder.
    pub out: &'a Path,
    /// The folder that relative paths of its recipe start from.
    pub base: &'a Path,
    /// Threads of each process.
    pub threads: usize,
    /// Processes at a time.
    pub jobs: usize,
}

/// A cell that is being trained.
struct Running {
    cell: CellId,
    child: Child,
    /// Closed to make it stop.
    input: Option<ChildStdin>,
    started: Instant,
}

impl Workers<'_> {
    /// Trains and measures cells, of which `done` others are finished already. Those that were not finished because of `stop`
    /// are missing in what is returned.
    ///
    /// # Errors
    /// When a process cannot be started, or what it wrote cannot be read. Others are ended and saved first.
    pub fn run(
        &self,
        cells: Vec<CellId>,
        done: usize,
        stop: &Arc<Stop>,
    ) -> Result<Vec<(CellId, CellResult)>, Failure> {
        let mut progress = CellProgress::new(done, done + cells.len());
        let mut waiting = cells.into_iter();
        let (mut running, mut results) = (Vec::<Running>::new(), Vec::new());
        let mut failure = None;
        loop {
            let is_ending = stop.is_asked() || failure.is_some();
            while !is_ending && running.len() < self.jobs {
                let Some(cell) = waiting.next() else { break };
                match self.start(cell) {
                    Ok(started) => running.push(started),
                    Err(error) => failure = Some(error),
                }
            }
            if is_ending {
                running.iter_mut().for_each(|one| drop(one.input.take()));
            }
            if running.is_empty() {
                break;
            }
            sleep(PATIENCE);
            let mut still = Vec::new();
            for mut one in running {
                match one.child.try_wait() {
                    Ok(None) => still.push(one),
                    Ok(Some(_)) => match self.result(one.cell, stop.is_asked() || failure.is_some()) {
                        Ok(Some(result)) => {
                            progress.ended(&self.plan.name(one.cell), one.started.elapsed(), &result);
                            results.push((one.cell, result));
                        }
                        Ok(None) => {}
                        Err(error) => failure = Some(error),
                    },
                    Err(error) => failure = Some(Failure::work(format!("lost a training: {error}"))),
                }
            }
            running = still;
        }
        progress.finish();
        match failure {
            Some(failure) => Err(failure),
            None => Ok(results),
        }
    }

    fn start(&self, cell: CellId) -> Result<Running, Failure> {
        let folder = self.plan.folder(cell, self.out);
        let log = folder.join("log.txt");
        let failed = |error: std::io::Error| {
            Failure::work(format!("cannot start the training of {}: {error}", self.plan.name(cell)))
        };
        fs::create_dir_all(&folder).map_err(failed)?;
        let log = OpenOptions::new().create(true).append(true).open(log).map_err(failed)?;
        let [set, method] = self.plan.names(cell);
        let mut command = Command::new(&self.program);
        command
            .args(["--threads", &self.threads.to_string(), "cell", "--out"])
            .arg(self.out)
            .arg("--base")
            .arg(self.base);
        command.args(["--seed", &cell.seed.to_string(), "--", set, method]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        // Ctrl-C is meant for this process, which then ends its children in peace.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(failed)?;
        Ok(Running { cell, input: child.stdin.take(), child, started: Instant::now() })
    }

    /// What came of a cell whose process has ended; nothing for one that was ended. One that left no record has crashed, or
    /// could not use its files: it counts as failed now, and is tried again by whoever goes on.
    fn result(&self, cell: CellId, was_ended: bool) -> Result<Option<CellResult>, Failure> {
        if let Some(record) = self.plan.read_record(cell, self.out)? {
            return Ok(Some(record.result));
        }
        if was_ended {
            return Ok(None);
        }
        let log = fs::read_to_string(self.plan.folder(cell, self.out).join("log.txt")).unwrap_or_default();
        let last = log.lines().rev().find(|line| !line.trim().is_empty());
        let reason = match last {
            Some(line) => line.trim_start_matches("error: ").to_string(),
            None => "its process ended without a word".to_string(),
        };
        Ok(Some(CellResult::Failed { reason }))
    }
}
