//! The run folder, the contract between commands: recipes, checkpoints, events and scores.
//!
//! A run is a folder that is readable at every instant, also after a crash or on a full disk:
//!
//! ```text
//! run.json                    format version and time convention; what makes the folder a run
//! config.toml                 the complete recipe, every default written out
//! events.jsonl                one event per line: scalars, checkpoints, scores, warnings
//! events.out.tfevents.*       the same scalars for TensorBoard
//! checkpoints/step-00020000/  model, average and optimizer as safetensors, and state.json
//! scores.json, report.html    what `evaluate` found
//! lock                        names the process that writes, while one does
//! ```
//!
//! This crate knows neither tensors with a device nor the keys of a recipe: [`parse`] reads any type that serde can,
//! and [`Tensors`] are names, shapes and numbers.

mod checkpoint;
mod crc32c;
mod error;
mod event;
mod event_log;
mod folder;
mod lock;
mod recipe;
mod scores;
mod sinks;
mod tensorboard;

pub use checkpoint::catalogue::{Latest, Skipped};
pub use checkpoint::tensors::{HostTensor, Tensors, Values};
pub use checkpoint::{Checkpoint, CheckpointState};
pub use error::RunError;
pub use event::{Event, Record, Score, non_finite, read_events};
pub use event_log::EventLog;
pub use folder::{COMPARISON_FILE, FORMAT_VERSION, RunDir, TIME_CONVENTION};
pub use lock::RunLock;
pub use recipe::error::{Invalid, Place, RecipeError};
pub use recipe::nearest::nearest;
pub use recipe::overrides::Override;
pub use recipe::{Document, parse, to_toml};
pub use sinks::{Sink, SinkFailure, Sinks};
pub use tensorboard::TensorBoard;
