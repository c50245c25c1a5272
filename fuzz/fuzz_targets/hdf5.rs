//! Any bytes read as an HDF5 file give arrays no larger than deflate allows, or errors.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut file) = thalweg_data::Hdf5::parse(bytes.to_vec(), "fuzzed.h5") else { return };
    for name in file.names().to_vec() {
        if let Ok(array) = file.array(&name) {
            assert_eq!(array.values.len(), array.shape.iter().product::<usize>());
            assert!(array.values.len() <= 1032 * bytes.len());
        }
    }
});
