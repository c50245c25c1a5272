//! Any bytes read as a `.npy` file give an array no larger than they are, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(array) = thalweg_data::parse_npy(bytes, "fuzzed.npy") {
        assert_eq!(array.values.len(), array.shape.iter().product::<usize>());
        assert!(array.values.len() <= bytes.len());
    }
});
