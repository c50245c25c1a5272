//! Files written by numpy are read, files written here are read back, and files that cannot be read are refused with
//! the reason.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use thalweg_data::{Array, DType, Npz, Table, inspect, read_csv, read_npy, write_csv, write_npy, write_npz};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/data").join(name)
}

/// A folder and a file in it with the content given.
fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

/// A version 1 `.npy` file.
fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

#[test]
fn every_dtype_and_byte_order_stored_and_deflated() {
    for archive in ["dtypes_stored.npz", "dtypes_deflated.npz"] {
        let mut archive = Npz::open(fixture(archive)).unwrap();
        let names = archive.names().to_vec();
        assert_eq!(names.len(), 24);
        for name in names {
            let array = archive.array(&name).unwrap();
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
    }
}

#[test]
fn every_version_and_layout() {
    let counting: Vec<f64> = (0..24).map(f64::from).collect();
    for name in ["version1.npy", "version2.npy", "version3.npy", "fortran.npy"] {
        let array = read_npy(fixture(name)).unwrap();
        assert_eq!((&array.shape[..], &array.values), (&[2, 3, 4][..], &counting), "{name}");
    }
    let scalar = read_npy(fixture("scalar.npy")).unwrap();
    assert_eq!((scalar.shape.len(), scalar.values), (0, vec![2.5]));
    assert_eq!(read_npy(fixture("no_rows.npy")).unwrap().shape, [0, 3]);
}

#[test]
fn what_is_not_a_number_is_refused_with_the_reason() {
    let check = |name: &str, reason: &str| {
        let error = read_npy(fixture(name)).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(reason), "{error}");
    };
    check("object.npy", "Python objects, which only a pickle can restore");
    check("text.npy", "text, not numbers");
    check("bytes.npy", "text, not numbers");
    check("complex.npy", "complex numbers; save the real and imaginary parts");
    check("record.npy", "records; save each field");
    check("dates.npy", "dates or times");
    check("long_double.npy", "size that differs between machines");
}

#[test]
fn arrays_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let values = vec![1.0, -2.5, 1e-300, f64::NAN, f64::INFINITY, 0.1];
    let double = Array::new(vec![3, 2], values);
    let single = Array::new(vec![2], vec![f64::from(0.1_f32), -3.0]).with_dtype(DType::F32);
    let whole = Array::new(vec![2, 1, 2], vec![0.0, 1.0, 255.0, 7.0]).with_dtype(DType::U8);
    let long = Array::new(vec![1], vec![-(2_f64.powi(53))]).with_dtype(DType::I64);
    let scalar = Array::new(vec![], vec![0.25]);
    let same = |a: &Array, b: &Array| {
        let bits = |array: &Array| array.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!((&a.shape, a.dtype, bits(a)), (&b.shape, b.dtype, bits(b)));
    };
    let arrays =
        [("double", &double), ("single", &single), ("whole", &whole), ("long", &long), ("scalar", &scalar)];
    for (name, array) in arrays {
        let path = folder.path().join(name).with_extension("npy");
        write_npy(&path, array).unwrap();
        same(&read_npy(&path).unwrap(), array);
        assert_eq!(
            (fs::metadata(&path).unwrap().len() as usize - array.values.len() * array.dtype.size()) % 64,
            0
        );
    }
    let path = folder.path().join("all.npz");
    write_npz(&path, &arrays).unwrap();
    let first = fs::read(&path).unwrap();
    let mut archive = Npz::open(&path).unwrap();
    assert_eq!(archive.names(), ["double", "single", "whole", "long", "scalar"]);
    for (name, array) in arrays {
        same(&archive.array(name).unwrap(), array);
    }
    write_npz(&path, &arrays).unwrap();
    assert_eq!(first, fs::read(&path).unwrap(), "the same arrays give the same bytes");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 6, "no temporary file is left");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn any_array_and_any_table_comes_back(
        (rows, columns, bits) in (1_usize..6, 1_usize..6).prop_flat_map(|(rows, columns)| {
            (Just(rows), Just(columns), prop::collection::vec(any::<u64>(), rows * columns))
        }),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let array = Array::new(vec![rows, columns], bits.iter().map(|&bits| f64::from_bits(bits)).collect());
        write_npy(&path, &array).unwrap();
        let back: Vec<u64> = read_npy(&path).unwrap().values.iter().map(|value| value.to_bits()).collect();
        prop_assert_eq!(&back, &bits);

        // Text keeps every number, but not which of the many NaNs it was.
        let path = folder.path().join("a.csv");
        let table = Table { columns: None, array };
        write_csv(&path, &table).unwrap();
        let back = read_csv(&path).unwrap();
        for (value, expected) in back.array.values.iter().zip(&table.array.values) {
            prop_assert!(value == expected || value.is_nan() && expected.is_nan());
        }
    }
}

#[test]
fn tables_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    let columns = Some(vec!["x".to_owned(), "a, \"b\"".to_owned()]);
    let table = Table { columns, array: Array::new(vec![2, 2], vec![0.1, -1e300, 5e-324, 3.0]) };
    write_csv(&path, &table).unwrap();
    assert_eq!(read_csv(&path).unwrap(), table);
    let single = Array::new(vec![1, 1], vec![f64::from(0.1_f32)]).with_dtype(DType::F32);
    write_csv(&path, &Table { columns: None, array: single }).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "0.1\n");
}

#[test]
fn a_failed_write_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let array = Array::new(vec![1], vec![1.0]);
    let missing = folder.path().join("no_such_folder").join("x.npy");
    let error = write_npy(&missing, &array).unwrap_err().to_string();
    assert!(error.starts_with("cannot write `") && error.contains("x.npy"), "{error}");
    let error = write_npy(folder.path(), &array).unwrap_err().to_string();
    assert!(error.contains("is a directory, not a file"), "{error}");

    let path = folder.path().join("table.csv");
    fs::write(&path, "old").unwrap();
    // A name that the archive cannot hold twice makes the writer fail half way.
    let twice = [("a", &array), ("a", &array)];
    assert!(write_npz(&path, &twice).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn text_tables_in_their_many_forms() {
    let check = |text: &str, columns: Option<&[&str]>, rows: usize, values: &[f64]| {
        let (_folder, path) = file("t.csv", text.as_bytes());
        let table = read_csv(&path).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let names = table.columns.as_ref().map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(names.as_deref(), columns, "{text:?}");
        assert_eq!(table.array.shape, [rows, values.len() / rows], "{text:?}");
        assert_eq!(table.array.values, values, "{text:?}");
    };
    check("1,2\n3,4\n", None, 2, &[1., 2., 3., 4.]);
    check("x,y\n1,2", Some(&["x", "y"]), 1, &[1., 2.]);
    check("# made by hand\r\nx,y\r\n1,2\r\n3,-4e1\r\n", Some(&["x", "y"]), 2, &[1., 2., 3., -40.]);
    check("# a\n#b\n\n1;2\n# between\n3;4\n\n", None, 2, &[1., 2., 3., 4.]);
    check("x\ty\n 1 \t 2 \n", Some(&["x", "y"]), 1, &[1., 2.]);
    check("\u{feff}1,2\n", None, 1, &[1., 2.]);
    check("\"x, y\",\"z\"\n\"1\",2\n", Some(&["x, y", "z"]), 1, &[1., 2.]);
    check("7\n8\n9", None, 3, &[7., 8., 9.]);
    check(",x\n0,5\n", Some(&["", "x"]), 1, &[0., 5.]);
}

#[test]
fn a_bad_text_table_is_refused_with_the_place() {
    let check = |content: &[u8], reason: &str| {
        let (_folder, path) = file("t.csv", content);
        let error = read_csv(&path).unwrap_err().to_string();
        assert!(error.contains("t.csv") && error.contains(reason), "{error}");
    };
    check(b"# c\nx,y\n1,2\n3,four\n", "line 4: `four` in row 2, column 2 is not a number");
    check(b"1,abc\n", "line 1: `abc` in row 1, column 2 is not a number");
    check(b"1,\n", "`` in row 1, column 2");
    check(b"1,2\n3\n", "line 2 has 1 columns, the lines before have 2");
    check(b"x,y\n", "is empty");
    check(b"# only words\n", "is empty");
    check(b"1,\xff\xfe\n", "line 1 is not text");
    check(b"\x1f\x8b\x08\x00", "compressed; unpack it first with `gunzip`");
    check(b"", "is empty");
}

#[test]
fn a_bad_array_file_is_refused_with_the_place() {
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }\n";
    let check = |content: &[u8], reason: &str| {
        let (_folder, path) = file("a.npy", content);
        let error = read_npy(&path).unwrap_err().to_string();
        assert!(error.contains("a.npy") && error.contains(reason), "{error}");
    };
    check(b"", "is empty");
    check(b"\x93NUM", "it ends in the middle");
    check(b"PK\x03\x04 and so on", "does not start with the mark of a .npy file");
    check(
        b"\x93NUMPY\x09\x00\x00\x00\x00\x00",
        "version 9.0 of the .npy format; versions 1, 2 and 3 are known",
    );
    check(b"\x93NUMPY\x01\x00\xff\xff{", "header should be 65535 bytes long, but only 1 bytes are left");
    check(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", "header should be 4294967295 bytes long");
    check(&npy(header, &[0; 20]), "is truncated: 24 bytes of data expected, 20 found");
    check(&npy(header, &[0; 32]), "8 bytes follow the array of shape [3]");
    let huge = header.replace("(3,)", "(1000000000, 1000000000)");
    check(&npy(&huge, &[0; 8]), "8000000000000000000 bytes of data expected, 8 found");
    let overflowing = header.replace("(3,)", "(4294967296, 4294967296, 4294967296)");
    check(&npy(&overflowing, &[0; 8]), "larger than any memory");
    let hollow = header.replace("(3,)", "(0, 4294967296, 4294967296)");
    check(&npy(&hollow, &[]), "larger than any memory");
    check(&npy(&header.replace("<f8", "<q9"), &[0; 24]), "type `<q9` holds no type known here");
    let error = read_npy(std::env::temp_dir()).unwrap_err().to_string();
    assert!(error.contains("is a directory, not a file"), "{error}");
    let error = read_npy("no/such/file.npy").unwrap_err().to_string();
    assert!(error.starts_with("cannot open `no/such/file.npy`: "), "{error}");
}

#[test]
fn a_bad_archive_is_refused_with_file_and_member() {
    let good = fs::read(fixture("dtypes_deflated.npz")).unwrap();
    let open = |content: &[u8]| {
        let (_folder, path) = file("a.npz", content);
        Npz::open(&path).map(|_| ()).unwrap_err().to_string()
    };
    let truncated = open(&good[..good.len() / 2]);
    assert!(
        truncated.contains("a.npz") && truncated.contains("is not a complete zip archive"),
        "{truncated}"
    );
    assert!(open(b"hello").contains("is not a complete zip archive"));
    assert!(open(b"").contains("is empty"));

    let unknown = Npz::open(fixture("torchcfm.npz")).unwrap().array("moons").unwrap_err().to_string();
    assert!(unknown.contains("has no member `moons`; it holds `eight_gaussians`, `two_moons`"), "{unknown}");

    let (member, twin) = (b"u1_big.npy", b"i1_big.npy");
    let mut renamed = good.clone();
    for at in 0..renamed.len() {
        if renamed[at..].starts_with(member) {
            renamed[at..at + twin.len()].copy_from_slice(twin);
        }
    }
    assert!(open(&renamed).contains("two of its members have the same name"));

    // Flips bits inside the first member: the checksum, or the array itself, must notice.
    let mut damaged = fs::read(fixture("dtypes_stored.npz")).unwrap();
    damaged[180] ^= 0xff;
    let (_folder, path) = file("a.npz", &damaged);
    let error = Npz::open(&path).unwrap().array("b1_little").unwrap_err().to_string();
    assert!(error.contains("a.npz`, member `b1_little` cannot be read: "), "{error}");
}

#[test]
fn a_summary_of_every_format() {
    let summary = inspect(fixture("table.npz")).unwrap();
    let x = &summary.arrays[0];
    assert_eq!((x.member.as_deref(), &x.shape[..], x.dtype), (Some("x"), &[20, 4][..], DType::F64));
    assert_eq!((x.range, x.not_finite), (Some((0.0, 190.0)), 0));
    assert_eq!(inspect(fixture("fortran.npy")).unwrap().arrays[0].range, Some((0.0, 23.0)));
    assert_eq!(inspect(fixture("no_rows.npy")).unwrap().arrays[0].range, None);
    let (_folder, path) = file("t.tsv", b"x\ty\n1\tnan\n");
    let table = &inspect(&path).unwrap().arrays[0];
    assert_eq!((table.not_finite, table.columns.as_ref().unwrap().len()), (1, 2));
    let picture = |name: &str| inspect(fixture(name)).unwrap().arrays[0].clone();
    assert_eq!((&picture("grey.png").shape[..], picture("grey.png").dtype), (&[2, 3, 1][..], DType::U8));
    assert_eq!((&picture("alpha.png").shape[..], picture("grey16.png").dtype), (&[2, 3, 4][..], DType::U16));
    assert_eq!(picture("grey16.png").range, Some((f64::from(102 * 257), f64::from(255 * 257))));
    let error = inspect("data.mat").unwrap_err().to_string();
    assert!(error.contains("should end in .npy, .npz, .h5, .hdf5, .csv"), "{error}");
    let error = inspect("cells.csv.gz").unwrap_err().to_string();
    assert!(error.contains("compressed; unpack it first"), "{error}");
}
