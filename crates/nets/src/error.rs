//! What can be wrong with a network's configuration or with the conditions given to it.

/// Why a network cannot be made, or cannot be given a condition.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NetError {
    /// A value of the configuration is impossible.
    #[error("`{key}` is {value}, but it must be {expected}")]
    Config {
        /// The key, with the keys that lead to it: `time.fourier.features`.
        key: &'static str,
        /// The value found.
        value: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// The network was made for another kind of condition.
    #[error(
        "the network takes {expected}, but it was given {found}; retrain it, or give the data's condition columns"
    )]
    ConditionKind {
        /// What the network was made for.
        expected: String,
        /// What came.
        found: String,
    },
    /// A label is not one of the classes the network knows.
    #[error(
        "the label of row {row} is {label}, but the network knows classes 0 to {last}; count labels from 0"
    )]
    UnknownLabel {
        /// The row, from 0.
        row: usize,
        /// The label found there.
        label: usize,
        /// The largest class.
        last: usize,
    },
    /// Condition vectors have the wrong length.
    #[error("condition vectors have {found} entries, but the network takes {expected}")]
    ConditionLength {
        /// Entries for each row found.
        found: usize,
        /// Entries the network takes.
        expected: usize,
    },
}
