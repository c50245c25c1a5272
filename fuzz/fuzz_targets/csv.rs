//! Any bytes read as a text table give a full rectangle of numbers, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(table) = thalweg_data::parse_csv(bytes, "fuzzed.csv") {
        assert_eq!(table.array.shape.len(), 2);
        assert_eq!(table.array.values.len(), table.array.rows() * table.array.columns());
        assert!(table.columns.is_none_or(|columns| columns.len() == table.array.columns()));
    }
});
