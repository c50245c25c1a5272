//! HDF5 files written by h5py are read, in every form of the format that is promised, and the others are refused by name.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use thalweg_data::{Archive, DType, Hdf5, inspect};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/hdf5").join(name)
}

fn counting(count: usize) -> Vec<f64> {
    (0..count).map(|n| n as f64).collect()
}

#[track_caller]
fn check(file: &mut Hdf5, name: &str, shape: &[usize]) {
    let array = file.array(name).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(array.shape, shape, "{name}");
    assert_eq!(array.values, counting(shape.iter().product()), "{name}");
}

#[test]
fn every_type_in_either_byte_order() {
    let mut file = Hdf5::open(fixture("types.h5")).unwrap();
    let names = file.names().to_vec();
    assert_eq!(names.len(), 23);
    for name in names {
        let array = file.array(&name).unwrap();
        let expected: Vec<f64> = (0..6)
            .map(|n| match &name[..1] {
                "b" => f64::from(n % 2),
                "u" => f64::from(n),
                "i" => f64::from(n - 2),
                _ => f64::from(n) - 1.5,
            })
            .collect();
        assert_eq!((array.shape, array.values), (vec![2, 3], expected), "{name}");
        assert_eq!(array.dtype.size(), name[1..2].parse::<usize>().unwrap(), "{name}");
    }
    let array = Hdf5::open(fixture("booleans_newest.h5")).unwrap().array("b1").unwrap();
    assert_eq!((array.dtype, array.values), (DType::Bool, vec![0., 1., 0., 1., 0., 1.]));
}

#[test]
fn superblocks_groups_and_headers_old_and_new() {
    for (form, superblock) in [("old", 0), ("newer", 2), ("newest", 3)] {
        let path = fixture(&format!("layouts_{form}.h5"));
        assert_eq!(fs::read(&path).unwrap()[8], superblock, "the fixture is not what it is taken for");
        let mut file = Hdf5::open(&path).unwrap();
        let mut names = file.names().to_vec();
        names.sort();
        assert_eq!(
            names,
            ["again", "compact", "contiguous", "deep/in/groups", "no_rows", "scalar"],
            "{form}"
        );
        for name in ["again", "compact", "contiguous"] {
            check(&mut file, name, &[4, 6]);
        }
        check(&mut file, "/deep/in/groups", &[2, 3, 4]);
        let scalar = file.array("scalar").unwrap();
        assert_eq!((scalar.shape.len(), scalar.values), (0, vec![2.5]));
        assert_eq!(file.array("no_rows").unwrap().shape, [0, 3]);
        let message = file.array("soft").unwrap_err().to_string();
        assert!(message.contains("has no member `soft`; it holds"), "{message}");
    }
}

#[test]
fn chunks_with_and_without_filters() {
    let mut file = Hdf5::open(fixture("chunks.h5")).unwrap();
    for name in ["plain", "deflated", "shuffled", "both"] {
        check(&mut file, name, &[7, 5, 3]);
    }
    check(&mut file, "line", &[20]);
    check(&mut file, "many", &[300, 2]);
    assert_eq!(file.array("line").unwrap().dtype, DType::F32);
}

#[test]
fn long_groups_long_headers_and_a_block_of_the_users() {
    let mut file = Hdf5::open(fixture("many_names.h5")).unwrap();
    assert_eq!(file.names().len(), 40);
    assert!(file.names().is_sorted());
    assert_eq!(file.array("array_31").unwrap().values, [31., 32., 33., 34.]);
    check(&mut Hdf5::open(fixture("user_block.h5")).unwrap(), "x", &[3, 2]);
    for form in ["old", "newer"] {
        let mut file = Hdf5::open(fixture(&format!("attributes_{form}.h5"))).unwrap();
        check(&mut file, "x", &[3, 2]);
        check(&mut file, "group/y", &[2, 2]);
    }
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let check = |file: &mut Hdf5, name: &str, reason: &str| {
        let message = file.array(name).unwrap_err().to_string();
        assert!(message.contains(&format!(".h5`, member `{name}`")), "{message}");
        assert!(message.contains(reason), "{message}");
    };
    let mut file = Hdf5::open(fixture("refused.h5")).unwrap();
    check(&mut file, "text", "text");
    check(&mut file, "texts", "text");
    check(&mut file, "records", "records; save each field");
    check(&mut file, "complex", "records; save each field");
    check(&mut file, "colours", "an enumeration");
    check(&mut file, "long_double", "not those of IEEE 754");
    check(&mut file, "nothing", "is empty");
    check(&mut file, "lzf", "filter 32000 (lzf)");
    check(&mut file, "checked", "filter 3 (fletcher32)");
    check(&mut file, "unwritten", "never written");
    check(&mut file, "half_written", "1 of its 2 chunks were never written");
    check(&mut file, "named_type", "under a name of its own");
    check(&mut file, "elsewhere", "in another file");
    assert!(!file.names().contains(&"type".to_owned()), "a type is no dataset");
    // What is beside them is read nonetheless.
    assert_eq!(file.array("good").unwrap().values, counting(4));

    let mut file = Hdf5::open(fixture("newest_chunks.h5")).unwrap();
    check(&mut file, "x", "libver='earliest'");
    let message = Hdf5::open(fixture("newest_group.h5")).unwrap_err().to_string();
    assert!(message.contains("newest_group.h5` is not supported: group `group`: "), "{message}");
    assert!(message.contains("fractal heap"), "{message}");
}

#[test]
fn a_file_that_is_cut_off_says_so() {
    let bytes = fs::read(fixture("layouts_old.h5")).unwrap();
    let cut = bytes.len() - 100;
    let message = Hdf5::parse(bytes[..cut].to_vec(), "cut.h5").unwrap_err().to_string();
    let expected = format!("`cut.h5` is truncated: {} bytes of data expected, {cut} found", bytes.len());
    assert!(message.contains(&expected), "{message}");
    assert!(Hdf5::parse(Vec::new(), "cut.h5").unwrap_err().to_string().contains("empty"));
    let message = Hdf5::parse(vec![0; 5000], "cut.h5").unwrap_err().to_string();
    assert!(message.contains("does not have the mark of an HDF5 file"), "{message}");
}

/// Whatever one byte of the header of a chunk says, what is taken stays below what the file can hold.
#[test]
fn a_damaged_chunk_is_an_error_and_not_other_numbers() {
    let bytes = fs::read(fixture("chunks.h5")).unwrap();
    // The bytes of a zlib stream at best level, as only `both` has it.
    let start = bytes.windows(2).position(|pair| pair == [0x78, 0xda]).unwrap();
    for offset in [2, 10, 16] {
        let mut damaged = bytes.clone();
        damaged[start + offset] ^= 0x55;
        let mut file = Hdf5::parse(damaged, "damaged.h5").unwrap();
        let message = file.array("both").unwrap_err().to_string();
        assert!(message.contains("member `both`") && message.contains("the chunk at ["), "{message}");
    }
}

#[test]
fn archives_and_summaries_know_the_format() {
    let mut archive = Archive::open(fixture("splits.hdf5")).unwrap();
    assert_eq!(archive.names(), ["narrow", "test", "test_rows", "train", "validation"]);
    assert_eq!(archive.array("train").unwrap().shape, [30, 2]);
    let summary = inspect(fixture("splits.hdf5")).unwrap();
    let train = &summary.arrays[3];
    assert_eq!((train.member.as_deref(), train.dtype), (Some("train"), DType::F32));
    assert_eq!((&train.shape[..], train.range), (&[30, 2][..], Some((0.0, 290.0))));
    let message = Archive::open("x.csv").unwrap_err().to_string();
    assert!(message.contains("no archive"), "{message}");
    let message = inspect("ethylene_CO.pickle").unwrap_err().to_string();
    assert!(message.contains("a pickle is a program"), "{message}");
}
