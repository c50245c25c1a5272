//! Data for flows: arrays in files, synthetic sets, splits, normalisation, and batches that can be resumed.
//!
//! A [`DataConfig`] names a target, a source and a condition; [`Dataset::load`] turns it into batches that are a pure
//! function of `(seed, step)`. Nothing here knows tensors: values are `f64` on the host, rows one after the other.
//!
//! ```
//! use std::path::Path;
//! use thalweg_data::{DataConfig, Dataset, EightGaussians, SetConfig};
//!
//! let config = DataConfig::of(SetConfig::EightGaussians(EightGaussians::default()));
//! let data = Dataset::load(&config, 0, Path::new("."))?;
//! let batch = data.batch(256, 0, 1000)?;
//! assert_eq!((batch.rows, batch.dim), (256, 2));
//! assert_eq!(batch, data.batch(256, 0, 1000)?);
//! # Ok::<(), thalweg_data::DataError>(())
//! ```
//!
//! Files are read by [`read_npy`], [`Npz`], [`Hdf5`] and [`read_csv`], written by [`write_npy`], [`write_npz`] and
//! [`write_csv`], and summarised by [`inspect`]. Every message about a file says where in it the trouble is.

mod array;
mod batch;
mod config;
mod dataset;
mod error;
mod normaliser;
mod numpy_order;
mod population;
mod read;
mod sets;
mod split;
mod table;
mod write;

pub use array::{Array, DType};
pub use batch::{Batch, Condition, ConditionKind};
pub use config::{ConditionConfig, DataConfig, Dequantise, SourceConfig, SplitConfig};
pub use dataset::{DEFAULT_HELD_OUT, Dataset};
pub use error::{DataError, Place};
pub use normaliser::Normaliser;
pub use read::archive::Archive;
pub use read::csv::{Table, parse_csv, read_csv};
pub use read::hdf5::Hdf5;
pub use read::inspect::{ArraySummary, Summary, inspect};
pub use read::npy::{parse_npy, read_npy};
pub use read::npz::Npz;
pub use sets::gaussian::{Gaussian, GaussianConfig, RandomGaussianConfig};
pub use sets::image::{Aspect, ImageConfig, Ink, Texture};
pub use sets::mixture::{EightGaussians, GaussianMixture, Modes};
pub use sets::moons::{Angles, TwoMoons};
pub use sets::planar::{Checkerboard, Pinwheel, Rings, Spirals, SwissRoll};
pub use sets::{Column, FileConfig, SetConfig};
pub use split::Split;
pub use write::{write_csv, write_npy, write_npz};
