//! The training curve, from the run's log of events.

use thalweg_plot::{Figure, Item, Line, Section, Tone};
use thalweg_run::{Event, Record, RunDir, read_events};

/// A loss that spans at least this ratio is drawn on a logarithmic scale.
const LOGARITHMIC_FROM: f64 = 5.0;

/// What the log of a training tells.
#[derive(Debug, Default)]
pub(crate) struct History {
    loss: Vec<[f64; 2]>,
    validation_loss: Vec<[f64; 2]>,
    learning_rate: Vec<[f64; 2]>,
    /// The guard's distance and the variance ratio of a fine-tuning.
    distance: Vec<[f64; 2]>,
    variance_ratio: Vec<[f64; 2]>,
    condition_spread: Vec<[f64; 2]>,
    warnings: Vec<String>,
    /// Wall-clock time of all sessions together.
    pub seconds: Option<f64>,
}

impl History {
    /// Reads the log; a missing or damaged one gives an empty history with a warning.
    pub fn read(run: &RunDir) -> Self {
        let path = run.events_path();
        if !path.exists() {
            let warnings = vec!["the run has no log of events, so there is no training curve".to_string()];
            return Self { warnings, ..Self::default() };
        }
        match read_events(&path) {
            Ok(records) => Self::of(&records),
            Err(error) => {
                let warnings = vec![format!("there is no training curve: {error}")];
                Self { warnings, ..Self::default() }
            }
        }
    }

    fn of(records: &[Record]) -> Self {
        let mut history = Self { seconds: seconds(records), ..Self::default() };
        for record in records {
            match &record.event {
                Event::Scalar { step, name, value } => {
                    let curve = match name.as_str() {
                        "loss" => &mut history.loss,
                        "validation_loss" => &mut history.validation_loss,
                        "learning_rate" => &mut history.learning_rate,
                        "variance_ratio" => &mut history.variance_ratio,
                        "condition_spread" => &mut history.condition_spread,
                        name if name.starts_with("guard_") => &mut history.distance,
                        _ => continue,
                    };
                    curve.push([*step as f64, *value]);
                }
                Event::Warning { step, message } => {
                    history.warnings.push(format!("at step {step}: {message}"));
                }
                _ => {}
            }
        }
        history
    }

    /// The curves and warnings of the training.
    pub fn section(&self) -> Section {
        let mut section = Section::new("Training");
        for warning in &self.warnings {
            section = section.with(Item::Warning(warning.clone()));
        }
        if !self.loss.is_empty() || !self.validation_loss.is_empty() {
            section = section.with(self.losses());
        }
        let guarded = [
            ("Held-out distance", "distance", &self.distance),
            ("Variance of samples over that of data", "ratio", &self.variance_ratio),
            ("Variance under one condition over that of data", "ratio", &self.condition_spread),
        ];
        for (title, label, curve) in guarded {
            if !curve.is_empty() {
                let line = Line::new("", curve.clone()).tone(Tone::Series(1));
                section =
                    section.with(Figure::new(title).x_label("step").y_label(label).width(430.0).with(line));
            }
        }
        if !self.learning_rate.is_empty() {
            let line = Line::new("", self.learning_rate.clone()).tone(Tone::Series(2));
            let figure = Figure::new("Learning rate").x_label("step").y_label("rate").width(430.0);
            section = section.with(figure.with(line));
        }
        section
    }

    fn losses(&self) -> Figure {
        let mut figure = Figure::new("Loss").x_label("step").y_label("loss").caption(
            "The loss of flow matching does not go to zero: its least value is the spread of velocities that meet in \
             one point. Held-out losses are those of the averaged weights.",
        );
        for (name, curve, tone) in
            [("training", &self.loss, Tone::Series(0)), ("held out", &self.validation_loss, Tone::Series(1))]
        {
            if !curve.is_empty() {
                figure = figure.with(Line::new(name, curve.clone()).tone(tone));
            }
        }
        let values = self.loss.iter().chain(&self.validation_loss).map(|point| point[1]);
        let [low, high] =
            values.fold([f64::INFINITY, 0.0_f64], |[low, high], value| [low.min(value), high.max(value)]);
        if low > 0.0 && high >= LOGARITHMIC_FROM * low { figure.log_y() } else { figure }
    }
}

/// From each start to the end of its session, or to its last event where it was cut off.
fn seconds(records: &[Record]) -> Option<f64> {
    let mut total = None;
    let mut session: Option<(f64, f64)> = None;
    let finish = |session: &mut Option<(f64, f64)>, total: &mut Option<f64>| {
        if let Some((start, last)) = session.take() {
            *total.get_or_insert(0.0) += (last - start).max(0.0);
        }
    };
    for record in records {
        match &record.event {
            Event::Started { .. } => {
                finish(&mut session, &mut total);
                session = Some((record.time, record.time));
            }
            Event::Finished { seconds, .. } => {
                session = session.map(|(start, _)| (start, start + seconds));
                finish(&mut session, &mut total);
            }
            // An evaluation, after the training or after a pause.
            Event::Score { .. } => {}
            _ => session = session.map(|(start, _)| (start, record.time)),
        }
    }
    finish(&mut session, &mut total);
    total
}

/// A time span as one would say it.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 100.0 {
        return format!("{seconds:.1} s");
    }
    let minutes = (seconds / 60.0).round() as u64;
    if minutes < 100 {
        format!("{minutes} min")
    } else {
        format!("{} h {:02} min", minutes / 60, minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_all_sessions_counts_and_pauses_do_not() {
        let started =
            |time, step| Record { time, event: Event::Started { step, steps: 9, seed: 0, name: "n".into() } };
        let loss =
            |time, step| Record { time, event: Event::Scalar { step, name: "loss".into(), value: 1.0 } };
        let finished = Record { time: 1014.0, event: Event::Finished { step: 9, seconds: 13.5 } };
        let records = [started(100.0, 0), loss(104.0, 3), started(1000.0, 3), loss(1013.0, 9), finished];
        assert_eq!(seconds(&records), Some(17.5));
        assert_eq!(seconds(&records[..2]), Some(4.0));
        assert_eq!(seconds(&records[1..2]), None);
        let score = thalweg_run::Score { name: "w2".into(), value: 1.0, standard_error: None, floor: None };
        let scored = Record { time: 9000.0, event: Event::Score { step: 3, score } };
        assert_eq!(
            seconds(&[records[0].clone(), records[1].clone(), scored]),
            Some(4.0),
            "killed, scored later"
        );
        assert_eq!(History::of(&records).loss, [[3.0, 1.0], [9.0, 1.0]]);
    }

    #[test]
    fn durations_read_well() {
        assert_eq!([12.34, 125.0, 7_260.0].map(duration), ["12.3 s", "2 min", "2 h 01 min"]);
    }
}
