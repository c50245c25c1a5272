//! Files that are complete or absent.
//!
//! Everything thalweg writes goes through [`write_atomically`]: under a temporary name in the same folder, synced, then
//! renamed, so that a reader never meets half a file, also after a crash or on a full disk. What is to be recognised later
//! gets a [`Fingerprint`].

mod fingerprint;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

pub use fingerprint::Fingerprint;

/// Replaces the file at `path` with `contents`, or leaves it as it was and says why.
///
/// # Errors
/// Whatever the file system answers; the temporary file is removed and an existing file at `path` is untouched.
pub fn write_atomically(path: &Path, contents: &[u8]) -> io::Result<()> {
    stream_atomically(path, |out| out.write_all(contents))
}

/// [`write_atomically`] for contents that are written piece by piece.
///
/// # Errors
/// The error of `write`, or whatever the file system answers; an existing file at `path` is untouched.
pub fn stream_atomically(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let (temporary, file) = create_beside(path)?;
    let mut out = BufWriter::new(file);
    let written = write(&mut out)
        .and_then(|()| out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // The first error is the one that matters; a temporary file that cannot be removed is harmless.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_folder(path)
}

/// Makes a new folder at `path` complete in one step: `fill` writes into a temporary folder beside it, which is then
/// synced and renamed. A folder left at `path` by an earlier run is replaced.
///
/// # Errors
/// The error of `fill`, or whatever the file system answers; the temporary folder is removed.
pub fn create_folder_atomically<E: From<io::Error>>(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let temporary = temporary_name(path, 0)?;
    if temporary.exists() {
        fs::remove_dir_all(&temporary)?;
    }
    fs::create_dir_all(&temporary)?;
    let finished = fill(&temporary).and_then(|()| {
        File::open(&temporary)?.sync_all()?;
        // The old folder is moved aside before and removed after, so that a crash loses neither.
        let aside = temporary_name(path, 1)?;
        if path.exists() {
            if aside.exists() {
                fs::remove_dir_all(&aside)?;
            }
            fs::rename(path, &aside)?;
        }
        fs::rename(&temporary, path)?;
        if aside.exists() {
            fs::remove_dir_all(&aside)?;
        }
        Ok(())
    });
    if let Err(error) = finished {
        let _ = fs::remove_dir_all(&temporary);
        return Err(error);
    }
    Ok(sync_folder(path)?)
}

/// A new file beside `path`. Names left by a crash, or in use by another thread, are passed over.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for attempt in 0..1000 {
        let temporary = temporary_name(path, attempt)?;
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// `folder/.name.0.tmp`: hidden, in the same folder because a rename cannot cross file systems.
fn temporary_name(path: &Path, attempt: u32) -> io::Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} has no file name", path.display()),
        ));
    };
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{attempt}.tmp"));
    Ok(path.with_file_name(hidden))
}

/// A rename is on disk only when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Some file systems cannot sync a folder; the data itself is safe by then.
    File::open(folder).and_then(|folder| folder.sync_all()).or(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_atomically(&path, b"one").unwrap();
        let failed = stream_atomically(&path, |out| {
            out.write_all(b"tw")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(names(folder.path()), ["a.json"]);
        // A folder stands where the file should go.
        assert!(write_atomically(folder.path(), b"two").is_err());
        assert!(write_atomically(&folder.path().join("no/such/folder"), b"two").is_err());
    }

    #[test]
    fn what_a_crash_left_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".a.json.0.tmp"), "half").unwrap();
        write_atomically(&folder.path().join("a.json"), b"one").unwrap();
        assert_eq!(names(folder.path()), [".a.json.0.tmp", "a.json"]);
    }

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("step");
        let failed = create_folder_atomically(&path, |inside| {
            fs::write(inside.join("first"), b"1")?;
            Err(io::Error::other("the disk is full"))
        });
        assert!(failed.is_err());
        assert!(names(folder.path()).is_empty());
        for round in ["1", "2"] {
            create_folder_atomically(&path, |inside| fs::write(inside.join("first"), round)).unwrap();
            assert_eq!(fs::read_to_string(path.join("first")).unwrap(), round);
        }
        assert_eq!(names(folder.path()), ["step"]);
    }
}
