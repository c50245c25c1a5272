//! The one in-memory form of numbers from files: a shape, the values as `f64` in C order, and the type they had.

use std::fmt;

/// A dense array of any rank.
///
/// Integers beyond 2⁵³ are rounded to the nearest `f64`; every other supported type fits exactly.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Lengths of the axes; empty for a single number.
    pub shape: Vec<usize>,
    /// The values, last axis fastest.
    pub values: Vec<f64>,
    /// The type in the file, and the type a writer uses.
    pub dtype: DType,
}

impl Array {
    /// An array of `f64`.
    ///
    /// # Panics
    /// When the number of values is not the product of the shape.
    #[must_use]
    pub fn new(shape: Vec<usize>, values: Vec<f64>) -> Self {
        let count: usize = shape.iter().product();
        assert_eq!(count, values.len(), "shape {shape:?} needs {count} values, not {}", values.len());
        Self { shape, values, dtype: DType::F64 }
    }

    /// The same values, to be written as another type.
    #[must_use]
    pub fn with_dtype(self, dtype: DType) -> Self {
        Self { dtype, ..self }
    }

    /// Length of the first axis; 1 for a single number.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Values per row: the product of all axes but the first.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.shape.iter().skip(1).product()
    }
}

/// Types of numbers that files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    /// True or false, as 1 and 0.
    Bool,
    /// 8-bit unsigned integer.
    U8,
    /// 16-bit unsigned integer.
    U16,
    /// 32-bit unsigned integer.
    U32,
    /// 64-bit unsigned integer.
    U64,
    /// 8-bit signed integer.
    I8,
    /// 16-bit signed integer.
    I16,
    /// 32-bit signed integer.
    I32,
    /// 64-bit signed integer.
    I64,
    /// Half precision.
    F16,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
}

impl DType {
    /// Bytes per value.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// The type numpy writes as the letter `kind` and a number of bytes, if it is a type of ours.
    pub(crate) fn from_numpy(kind: char, size: usize) -> Option<Self> {
        Some(match (kind, size) {
            ('b', 1) => Self::Bool,
            ('u', 1) => Self::U8,
            ('u', 2) => Self::U16,
            ('u', 4) => Self::U32,
            ('u', 8) => Self::U64,
            ('i', 1) => Self::I8,
            ('i', 2) => Self::I16,
            ('i', 4) => Self::I32,
            ('i', 8) => Self::I64,
            ('f', 2) => Self::F16,
            ('f', 4) => Self::F32,
            ('f', 8) => Self::F64,
            _ => return None,
        })
    }
}

impl fmt::Display for DType {
    /// numpy's name of the type, such as `float32`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bool => "bool",
            Self::U8 => "uint8",
            Self::U16 => "uint16",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
            Self::I8 => "int8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::F16 => "float16",
            Self::F32 => "float32",
            Self::F64 => "float64",
        })
    }
}
