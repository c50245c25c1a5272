//! Named tensors on the host, and their safetensors form.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::{Dtype, SafeTensors, View};

use crate::error::RunError;
use crate::folder::TIME_CONVENTION;

/// Differences listed by [`Tensors::compare`]; the rest are counted.
const LISTED: usize = 4;

/// Tensors by name, in the order of the names. Names are the network's parameter paths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors(BTreeMap<String, HostTensor>);

/// A tensor as plain numbers, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    shape: Vec<usize>,
    values: Values,
}

/// The numbers of a tensor, in the precision they are kept in on disk.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
}

impl Tensors {
    /// No tensors.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor. Panics if the name is taken.
    pub fn insert(&mut self, name: impl Into<String>, tensor: HostTensor) {
        let name = name.into();
        assert!(name != "__metadata__", "safetensors keeps the name __metadata__ for itself");
        assert!(!self.0.contains_key(&name), "two tensors are called `{name}`");
        self.0.insert(name, tensor);
    }

    /// The tensor called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&HostTensor> {
        self.0.get(name)
    }

    /// All tensors, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &HostTensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The number of tensors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and shapes, the `expected` of another's [`compare`](Tensors::compare).
    #[must_use]
    pub fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        self.0.iter().map(|(name, tensor)| (name.clone(), tensor.shape.clone())).collect()
    }

    /// Checks that names and shapes are those that a network has.
    ///
    /// # Errors
    /// [`RunError::OtherTensors`] with the first differences and what to do.
    pub fn compare(&self, expected: &BTreeMap<String, Vec<usize>>) -> Result<(), RunError> {
        let wanted = expected.iter().filter_map(|(name, shape)| match self.0.get(name) {
            None => Some(format!("`{name}` {shape:?} is missing")),
            Some(tensor) if tensor.shape != *shape => {
                Some(format!("`{name}` is {:?} instead of {shape:?}", tensor.shape))
            }
            Some(_) => None,
        });
        let unknown = self.0.iter().filter(|(name, _)| !expected.contains_key(*name));
        let unknown = unknown.map(|(name, tensor)| format!("`{name}` {:?} is unknown to it", tensor.shape));
        let mut differences: Vec<String> = wanted.chain(unknown).collect();
        if differences.is_empty() {
            return Ok(());
        }
        if differences.len() > LISTED {
            let rest = differences.len() - LISTED;
            differences.truncate(LISTED);
            differences.push(format!("and {rest} more"));
        }
        Err(RunError::OtherTensors { differences: differences.join(", ") })
    }

    /// Checks that no number is NaN or infinite; `path` is for the message.
    pub(crate) fn check_finite(&self, path: &Path) -> Result<(), RunError> {
        for (name, tensor) in &self.0 {
            if let Some((index, value)) = tensor.values.first_non_finite() {
                let (path, tensor) = (path.to_path_buf(), name.clone());
                return Err(RunError::NotFinite { path, tensor, index, value });
            }
        }
        Ok(())
    }

    /// The bytes of a safetensors file: the same for equal tensors, whatever made them.
    pub(crate) fn encode(&self) -> Vec<u8> {
        // A single entry, because the order of several would be that of a hash map.
        let metadata = HashMap::from([("time_convention".to_owned(), TIME_CONVENTION.to_owned())]);
        safetensors::serialize(self.0.iter(), Some(metadata))
            .unwrap_or_else(|error| panic!("shapes and values agree by construction: {error}"))
    }

    /// Reads the bytes of a safetensors file; `path` is for the messages.
    pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<Self, RunError> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| {
            RunError::damaged(path, format!("it is not a complete safetensors file ({error})"))
        })?;
        let mut tensors = Self::new();
        for (name, view) in file.iter() {
            let values = match view.dtype() {
                Dtype::F32 => {
                    Values::F32(view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
                }
                Dtype::F64 => {
                    Values::F64(view.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect())
                }
                other => {
                    let message = format!("tensor `{name}` is of type {other}, only F32 and F64 are known");
                    return Err(RunError::damaged(path, message));
                }
            };
            tensors.insert(name, HostTensor { shape: view.shape().to_vec(), values });
        }
        Ok(tensors)
    }
}

impl HostTensor {
    /// A tensor of the given shape; panics if the number of values is another. A scalar has the shape `[]`.
    #[must_use]
    pub fn new(shape: impl Into<Vec<usize>>, values: impl Into<Values>) -> Self {
        let (shape, values) = (shape.into(), values.into());
        let size: usize = shape.iter().product();
        assert!(size == values.len(), "a tensor of shape {shape:?} has {size} values, not {}", values.len());
        Self { shape, values }
    }

    /// Its extents.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its numbers, row-major.
    #[must_use]
    pub fn values(&self) -> &Values {
        &self.values
    }
}

impl Values {
    /// How many numbers.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn first_non_finite(&self) -> Option<(usize, f64)> {
        match self {
            Self::F32(values) => {
                values.iter().enumerate().find(|(_, v)| !v.is_finite()).map(|(i, &v)| (i, f64::from(v)))
            }
            Self::F64(values) => values.iter().copied().enumerate().find(|(_, v)| !v.is_finite()),
        }
    }
}

impl From<Vec<f32>> for Values {
    fn from(values: Vec<f32>) -> Self {
        Self::F32(values)
    }
}

impl From<Vec<f64>> for Values {
    fn from(values: Vec<f64>) -> Self {
        Self::F64(values)
    }
}

impl View for &HostTensor {
    fn dtype(&self) -> Dtype {
        match self.values {
            Values::F32(_) => Dtype::F32,
            Values::F64(_) => Dtype::F64,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(match &self.values {
            Values::F32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Values::F64(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        })
    }

    fn data_len(&self) -> usize {
        match &self.values {
            Values::F32(values) => 4 * values.len(),
            Values::F64(values) => 8 * values.len(),
        }
    }
}
