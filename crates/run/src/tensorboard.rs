//! The sink that writes TensorBoard's event files.
//!
//! A file is a sequence of TFRecords: length as u64, its masked CRC-32C, the bytes, their masked CRC-32C, all little
//! endian. The bytes are protobuf messages `Event` of `tensorboard/compat/proto/event.proto`, of which five fields are
//! needed: `wall_time` 1, `step` 2, `file_version` 3, `summary` 5 (`value` 1: `tag` 1, `simple_value` 2), and
//! `session_log` 7 (`status` 1). Scalars keep their name, scores become `score/<name>`; other events are not written.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::crc32c::crc32c;
use crate::error::RunError;
use crate::event::Event;
use crate::event_log::now;
use crate::sinks::Sink;

/// Appends scalars and scores to a file `events.out.tfevents.<seconds>.thalweg-<number>` in a folder that TensorBoard
/// watches. Values are f32 there.
#[derive(Debug)]
pub struct TensorBoard {
    path: PathBuf,
    file: File,
}

impl TensorBoard {
    /// Begins a new file in `folder`.
    ///
    /// # Errors
    /// The file system's.
    pub fn create(folder: &Path) -> Result<Self, RunError> {
        Self::create_at(folder, now())
    }

    /// Begins a new file in `folder` for a run resumed from the checkpoint of `step`: TensorBoard then drops what
    /// earlier files say of later steps.
    ///
    /// # Errors
    /// The file system's.
    pub fn resume(folder: &Path, step: u64) -> Result<Self, RunError> {
        let time = now();
        let mut board = Self::create_at(folder, time)?;
        board.write(&session_start(time, step + 1))?;
        Ok(board)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn create_at(folder: &Path, time: f64) -> Result<Self, RunError> {
        // The number tells files of one second apart. TensorBoard reads files in the order of their names.
        for number in 0..1000 {
            let path = folder.join(format!("events.out.tfevents.{:010}.thalweg-{number:03}", time as u64));
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => {
                    let mut board = Self { path, file };
                    board.write(&file_version(time))?;
                    return Ok(board);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(RunError::io("make", &path)(error)),
            }
        }
        Err(RunError::io("make an event file in", folder)(io::Error::from(io::ErrorKind::AlreadyExists)))
    }

    fn event_at(&mut self, time: f64, event: &Event) -> Result<(), RunError> {
        match event {
            Event::Scalar { step, name, value } => self.write(&scalar(time, *step, name, *value as f32)),
            Event::Score { step, score } => {
                self.write(&scalar(time, *step, &format!("score/{}", score.name), score.value as f32))
            }
            _ => Ok(()),
        }
    }

    fn write(&mut self, message: &Message) -> Result<(), RunError> {
        self.file.write_all(&frame(&message.0)).map_err(RunError::io("write", &self.path))
    }
}

impl Sink for TensorBoard {
    fn event(&mut self, event: &Event) -> Result<(), RunError> {
        self.event_at(now(), event)
    }
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    let mut framed = Vec::with_capacity(bytes.len() + 16);
    framed.extend(length);
    framed.extend(masked(crc32c(&length)).to_le_bytes());
    framed.extend(bytes);
    framed.extend(masked(crc32c(bytes)).to_le_bytes());
    framed
}

/// TFRecord's mask, so that the checksum of a file that holds checksums is no accident: a rotation and a constant.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

fn file_version(time: f64) -> Message {
    Message::default().double(1, time).bytes(3, b"brain.Event:2")
}

fn scalar(time: f64, step: u64, tag: &str, value: f32) -> Message {
    let value = Message::default().bytes(1, tag.as_bytes()).float(2, value);
    let summary = Message::default().bytes(1, &value.0);
    Message::default().double(1, time).integer(2, step).bytes(5, &summary.0)
}

/// A session that starts at `step`: what was logged for this step and later ones is void.
fn session_start(time: f64, step: u64) -> Message {
    const START: u64 = 1;
    let session = Message::default().integer(1, START);
    Message::default().double(1, time).integer(2, step).bytes(7, &session.0)
}

/// A protobuf message under construction: fields are appended with a key, which is number and wire type.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    /// Varint, wire type 0. Zero is the default and takes no bytes.
    fn integer(mut self, field: u64, value: u64) -> Self {
        if value != 0 {
            self.varint(field << 3);
            self.varint(value);
        }
        self
    }

    /// Eight bytes, wire type 1.
    fn double(mut self, field: u64, value: f64) -> Self {
        self.varint(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A length and so many bytes, wire type 2: text and messages within messages.
    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// Four bytes, wire type 5.
    fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Seven bits a byte, lowest first; the eighth bit says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::event::Score;

    /// Written by TensorBoard's own protobuf classes and accepted by its own reader: `fixtures/make_run.py`.
    const FIRST: &[u8] = include_bytes!("../../../fixtures/run/first.tfevents");
    const RESUMED: &[u8] = include_bytes!("../../../fixtures/run/resumed.tfevents");

    #[test]
    fn the_bytes_are_tensorboards_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = TensorBoard::create_at(folder.path(), 1_700_000_000.25).unwrap();
        let long_name = "n".repeat(300);
        for (second, (step, name, value)) in [
            (0, "loss", 2.5),
            (1, "loss", 0.0),
            (127, "loss", -1.0e-3),
            (128, "größe", 1.0 / 3.0),
            (20_000, &long_name, f64::INFINITY),
            (5_000_000_000, "loss", 1e30),
        ]
        .into_iter()
        .enumerate()
        {
            let event = Event::Scalar { step, name: name.to_owned(), value };
            board.event_at(1_700_000_001.0 + second as f64, &event).unwrap();
        }
        let score = Score { name: "w2".to_owned(), value: 0.125, standard_error: None, floor: None };
        board.event_at(1_700_000_010.5, &Event::Score { step: 7, score }).unwrap();
        board
            .event_at(1_700_000_011.0, &Event::Warning { step: 8, message: "not written".to_owned() })
            .unwrap();
        let name = board.path().file_name().unwrap();
        assert_eq!(name, "events.out.tfevents.1700000000.thalweg-000");
        assert_eq!(fs::read(board.path()).unwrap(), FIRST);
    }

    #[test]
    fn a_resumed_run_voids_later_steps() {
        let folder = tempfile::tempdir().unwrap();
        drop(TensorBoard::create_at(folder.path(), 1_700_000_100.0).unwrap());
        let mut board = TensorBoard::create_at(folder.path(), 1_700_000_100.0).unwrap();
        board.write(&session_start(1_700_000_100.0, 101)).unwrap();
        let event = Event::Scalar { step: 101, name: "loss".to_owned(), value: 0.75 };
        board.event_at(1_700_000_101.0, &event).unwrap();
        let name = board.path().file_name().unwrap();
        assert_eq!(
            name, "events.out.tfevents.1700000100.thalweg-001",
            "the first file of that second is kept"
        );
        assert_eq!(fs::read(board.path()).unwrap(), RESUMED);
    }

    #[test]
    fn resume_starts_a_session_after_the_step() {
        let folder = tempfile::tempdir().unwrap();
        let board = TensorBoard::resume(folder.path(), 100).unwrap();
        let bytes = fs::read(board.path()).unwrap();
        // Field 2 (step) is 101 and field 7 holds one field, 1 (status), that is 1 (START).
        let expected = [0x10, 101, 0x3a, 2, 0x08, 1];
        assert!(bytes.windows(expected.len()).any(|window| window == expected));
    }
}
