//! Some cells at a time, each in a process of its own.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
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
    /// Where in the log its words begin.
    log_start: u64,
}

impl Workers<'_> {
    /// Trains and measures cells, of which `done` others are finished already. Those that were not finished because
    /// of `stop` are missing in what is returned.
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
            while running.len() < self.jobs && failure.is_none() && !stop.is_asked() {
                let Some(cell) = waiting.next() else { break };
                match self.start(cell) {
                    Ok(started) => running.push(started),
                    Err(error) => failure = Some(error),
                }
            }
            if failure.is_some() || stop.is_asked() {
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
                    Ok(Some(status)) => match self.result(&one, status, stop.is_asked() || failure.is_some())
                    {
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
        let log_start = log.metadata().map_err(failed)?.len();
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
        Ok(Running { cell, input: child.stdin.take(), child, started: Instant::now(), log_start })
    }

    /// What came of a cell whose process has ended; nothing for one that was ended. One that left no record has
    /// crashed, or could not use its files: it counts as failed now, and is tried again by whoever goes on.
    fn result(
        &self,
        ended: &Running,
        status: ExitStatus,
        was_asked: bool,
    ) -> Result<Option<CellResult>, Failure> {
        if let Some(record) = self.plan.read_record(ended.cell, self.out)? {
            return Ok(Some(record.result));
        }
        if was_asked {
            return Ok(None);
        }
        let log = fs::read(self.plan.folder(ended.cell, self.out).join("log.txt")).unwrap_or_default();
        let said = log.get(usize::try_from(ended.log_start).unwrap_or(usize::MAX)..).unwrap_or_default();
        let said = String::from_utf8_lossy(said);
        let reason = match reason_in(&said) {
            Some(reason) => reason,
            None => format!("its process ended early ({status}); see log.txt in its folder"),
        };
        Ok(Some(CellResult::Failed { reason }))
    }
}

/// The last error that a process has told of, in one line; a panic tells of none.
fn reason_in(said: &str) -> Option<String> {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let start = lines.iter().rposition(|line| line.starts_with("error: "))?;
    let error = lines[start..].join(" ");
    error.strip_prefix("error: ").map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::reason_in;

    #[test]
    fn the_reason_of_a_failure_is_its_last_error_with_all_lines() {
        let said = "error: an older one\nwarning: something\nerror: it is damaged:\n  expected a table\n\n";
        assert_eq!(reason_in(said).as_deref(), Some("it is damaged: expected a table"));
        assert_eq!(reason_in("thread 'main' panicked"), None);
    }
}
