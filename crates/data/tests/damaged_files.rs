//! Whatever the bytes of a file, readers return an error or an array no larger than the file allows; they never panic.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use thalweg_data::{DataError, Hdf5, Npz, parse_csv, parse_npy};

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/data").join(name)).unwrap()
}

/// What happens to a file on its way.
#[derive(Debug, Clone)]
enum Damage {
    CutAt(usize),
    Overwrite(usize, u8),
    Insert(usize, u8),
    Remove(usize),
}

fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let one = prop_oneof![
        any::<usize>().prop_map(Damage::CutAt),
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Damage::Overwrite(at, byte)),
        // The header and its digits deserve more than their share.
        (0_usize..140, prop::sample::select(b"0123456789(),<>fOL' ".to_vec()))
            .prop_map(|(at, byte)| Damage::Overwrite(at, byte)),
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        any::<usize>().prop_map(Damage::Remove),
    ];
    prop::collection::vec(one, 1..6)
}

fn damaged(mut bytes: Vec<u8>, damage: &[Damage]) -> Vec<u8> {
    for one in damage {
        let length = bytes.len();
        match *one {
            _ if length == 0 => {}
            Damage::CutAt(at) => bytes.truncate(at % length),
            Damage::Overwrite(at, byte) => bytes[at % length] = byte,
            Damage::Insert(at, byte) => bytes.insert(at % length, byte),
            Damage::Remove(at) => drop(bytes.remove(at % length)),
        }
    }
    bytes
}

/// The number of values that came out, or 0 for a refusal, which must name the file.
fn size(outcome: Result<usize, DataError>) -> usize {
    outcome.unwrap_or_else(|error| {
        assert!(error.to_string().contains("damaged.file`"), "the message does not name the file: {error}");
        0
    })
}

fn read_as_npy(bytes: &[u8]) -> usize {
    size(parse_npy(bytes, "damaged.file").map(|array| array.values.len()))
}

fn read_as_csv(bytes: &[u8]) -> usize {
    size(parse_csv(bytes, "damaged.file").map(|table| table.array.values.len()))
}

/// The largest array of an archive.
fn read_as_npz(bytes: &[u8]) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.file");
    fs::write(&path, bytes).unwrap();
    match Npz::open(&path) {
        Err(error) => size(Err(error)),
        Ok(mut archive) => {
            let names = archive.names().to_vec();
            let sizes = names.iter().map(|name| size(archive.array(name).map(|array| array.values.len())));
            sizes.max().unwrap_or(0)
        }
    }
}

/// The largest dataset of a file.
fn read_as_hdf5(bytes: &[u8]) -> usize {
    match Hdf5::parse(bytes.to_vec(), "damaged.file") {
        Err(error) => size(Err(error)),
        Ok(mut file) => {
            let names = file.names().to_vec();
            let sizes = names.iter().map(|name| size(file.array(name).map(|array| array.values.len())));
            sizes.max().unwrap_or(0)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn npy(damage in damage(), which in 0_usize..4) {
        let name = ["version1.npy", "version3.npy", "fortran.npy", "object.npy"][which];
        let bytes = damaged(fixture(name), &damage);
        prop_assert!(read_as_npy(&bytes) <= bytes.len());
    }

    #[test]
    fn hdf5(damage in damage(), which in 0_usize..6, near in prop::collection::vec((0_usize..1200, any::<u8>()), 0..3)) {
        let name = [
            "chunks.h5", "layouts_old.h5", "layouts_newer.h5", "layouts_newest.h5", "attributes_old.h5", "many_names.h5",
        ][which];
        let mut bytes = damaged(fixture(&format!("../hdf5/{name}")), &damage);
        // Headers are at the beginning and deserve more than their share.
        for (at, byte) in near {
            let length = bytes.len();
            if length > 0 {
                bytes[at % length] = byte;
            }
        }
        prop_assert!(read_as_hdf5(&bytes) <= 1032 * bytes.len());
    }

    #[test]
    fn csv(damage in damage()) {
        let bytes = damaged(b"# made\r\nx,y,z\r\n1,2.5,-3e4\r\n4,5,6\r\n\"7\",8,9".to_vec(), &damage);
        prop_assert!(read_as_csv(&bytes) <= bytes.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn any_bytes_at_all(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_as_npy(&bytes);
        read_as_csv(&bytes);
        read_as_npz(&bytes);
        read_as_hdf5(&bytes);
        for version in 0..4 {
            read_as_hdf5(&[b"\x89HDF\r\n\x1a\n", &[version][..], &bytes[..]].concat());
        }
        let marked = [b"\x93NUMPY\x01\x00\x60\x00", &bytes[..]].concat();
        read_as_npy(&marked);
    }

    #[test]
    fn npz(damage in damage(), deflated: bool) {
        let name = if deflated { "dtypes_deflated.npz" } else { "dtypes_stored.npz" };
        let bytes = damaged(fixture(name), &damage);
        // Deflate shrinks by at most a factor of 1032.
        prop_assert!(read_as_npz(&bytes) <= 1032 * bytes.len());
    }
}

/// A header may promise eight exabytes; nothing of that size is asked of the allocator.
#[test]
fn promises_cost_no_memory() {
    for shape in ["(1152921504606846975,)", "(0, 1152921504606846975)", "(9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9)"] {
        let header = format!("{{'descr': '|u1', 'fortran_order': True, 'shape': {shape}, }}");
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        let bytes = [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &[0; 64]].concat();
        assert_eq!(read_as_npy(&bytes), 0, "{shape}");
    }
}
