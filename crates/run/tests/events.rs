//! The event log, unbroken and broken.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;

use proptest::prelude::*;
use thalweg_run::{Event, EventLog, Score, Sink, Sinks, TensorBoard, read_events};

fn scalar(step: u64, value: f64) -> Event {
    Event::Scalar { step, name: "loss".to_owned(), value }
}

fn score(step: u64) -> Event {
    let score = Score { name: "w2".to_owned(), value: 0.25, standard_error: Some(0.5), floor: None };
    Event::Score { step, score }
}

fn all_kinds() -> Vec<Event> {
    vec![
        Event::Started { step: 0, steps: 4, seed: u64::MAX, name: "two-moons".to_owned() },
        scalar(1, 0.5),
        scalar(2, 1.0),
        Event::Checkpoint { step: 2, path: "checkpoints/step-00000002".to_owned() },
        Event::Warning { step: 3, message: "a \"quoted\"\nline".to_owned() },
        scalar(3, -1e300),
        score(4),
        Event::Finished { step: 4, seconds: 1.5 },
    ]
}

fn events(path: &std::path::Path) -> Vec<Event> {
    read_events(path).unwrap().into_iter().map(|record| record.event).collect()
}

#[test]
fn events_come_back_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut log = EventLog::create(&path).unwrap();
    for event in all_kinds() {
        log.event(&event).unwrap();
    }
    assert_eq!(events(&path), all_kinds());
    assert!(read_events(&path).unwrap().is_sorted_by(|a, b| a.time <= b.time));
    let text = fs::read_to_string(&path).unwrap();
    let second = text.lines().nth(1).unwrap();
    assert!(second.starts_with("{\"time\":"), "{second}");
    assert!(
        second.ends_with(",\"event\":\"scalar\",\"step\":1,\"name\":\"loss\",\"value\":0.5}"),
        "{second}"
    );
}

#[test]
fn what_json_cannot_say_is_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut log = EventLog::create(&path).unwrap();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        log.event(&scalar(1, value)).unwrap();
    }
    let text = fs::read_to_string(&path).unwrap();
    for (line, word) in text.lines().zip(["\"NaN\"", "\"inf\"", "\"-inf\""]) {
        assert!(line.ends_with(&format!("\"value\":{word}}}")), "{line}");
    }
    let read = events(&path);
    assert!(matches!(&read[0], Event::Scalar { value, .. } if value.is_nan()));
    assert_eq!(read[1..], [scalar(1, f64::INFINITY), scalar(1, f64::NEG_INFINITY)]);
}

#[test]
fn a_log_cut_at_any_byte_keeps_its_whole_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut log = EventLog::create(&path).unwrap();
    for event in all_kinds() {
        log.event(&event).unwrap();
    }
    let whole = fs::read(&path).unwrap();
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let lines = whole[..length].iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!(events(&path), all_kinds()[..lines]);
        if length % 31 == 0 {
            let mut log = EventLog::resume(&path, 100).unwrap();
            log.event(&scalar(101, 3.0)).unwrap();
            let mut expected = all_kinds()[..lines].to_vec();
            expected.retain(|event| !matches!(event, Event::Finished { .. }));
            expected.push(scalar(101, 3.0));
            assert_eq!(events(&path), expected);
        }
    }
}

#[test]
fn a_resumed_log_reads_like_an_unbroken_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    // A log that is not there is begun.
    let mut log = EventLog::resume(&path, 0).unwrap();
    for event in all_kinds() {
        log.event(&event).unwrap();
    }
    drop(log);
    let mut log = EventLog::resume(&path, 2).unwrap();
    let again = [
        Event::Started { step: 2, steps: 4, seed: u64::MAX, name: "two-moons".to_owned() },
        scalar(3, 7.0),
        Event::Finished { step: 4, seconds: 0.5 },
    ];
    for event in &again {
        log.event(event).unwrap();
    }
    let expected: Vec<Event> = all_kinds().into_iter().take(4).chain(again).collect();
    assert_eq!(events(&path), expected);
}

#[test]
fn a_line_that_is_no_event_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut log = EventLog::create(&path).unwrap();
    log.event(&scalar(1, 0.5)).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    for (bad, why) in [
        ("{}", "missing field `time`"),
        ("", "EOF"),
        ("{\"time\":1,\"event\":\"imagined\",\"step\":1}", "unknown variant `imagined`"),
        ("{\"time\":1,\"event\":\"scalar\",\"step\":1,\"name\":\"a\",\"value\":\"large\"}", "Form"),
    ] {
        fs::write(&path, format!("{good}{bad}\n{good}")).unwrap();
        let message = read_events(&path).unwrap_err().to_string();
        assert!(message.starts_with(&format!("{}:2: this line is no event (", path.display())), "{message}");
        assert!(message.contains(why), "{message}");
        assert!(
            message.ends_with("; remove the line, or move the file away to go on without it"),
            "{message}"
        );
        assert!(EventLog::resume(&path, 5).is_err());
    }
    let missing = read_events(&folder.path().join("none")).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read "), "{missing}");
}

/// `/dev/full` answers every write as a full disk does.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_once_and_stops_nothing() {
    let mut sinks = Sinks::new();
    sinks.add("events.jsonl", EventLog::create(std::path::Path::new("/dev/full")).unwrap());
    for event in all_kinds() {
        sinks.event(&event);
    }
    let failures = sinks.take_failures();
    assert_eq!(failures.len(), 1);
    let message = failures[0].error.to_string();
    assert!(message.starts_with("cannot write /dev/full: No space left on device"), "{message}");
    assert!(message.ends_with("; free some space"), "{message}");
    assert_eq!(sinks.missed(), [("events.jsonl", all_kinds().len())]);
    assert!(sinks.take_failures().is_empty());
}

#[test]
fn sinks_fan_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let board = TensorBoard::create(folder.path()).unwrap();
    let board_path = board.path().to_path_buf();
    let before = fs::metadata(&board_path).unwrap().len();
    let mut sinks = Sinks::new();
    sinks.add("events.jsonl", EventLog::create(&path).unwrap());
    sinks.add("TensorBoard", board);
    for event in all_kinds() {
        sinks.event(&event);
    }
    assert!(sinks.take_failures().is_empty());
    assert_eq!(events(&path), all_kinds());
    assert!(fs::metadata(&board_path).unwrap().len() > before);
    let gone = TensorBoard::create(&folder.path().join("none")).unwrap_err().to_string();
    assert!(gone.starts_with("cannot make ") && gone.contains("events.out.tfevents."), "{gone}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_number_survives(bits in any::<u64>(), step in any::<u64>(), name in ".{0,20}") {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let value = f64::from_bits(bits);
        let event = Event::Scalar { step, name, value };
        EventLog::create(&path).unwrap().event(&event).unwrap();
        let read = events(&path).remove(0);
        if value.is_nan() {
            let is_nan = matches!(read, Event::Scalar { value, .. } if value.is_nan());
            prop_assert!(is_nan);
        } else {
            prop_assert_eq!(read, event);
        }
    }
}
