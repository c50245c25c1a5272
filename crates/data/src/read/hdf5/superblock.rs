//! The beginning of an HDF5 file: where it is, how wide addresses are, and where the root group is.

use super::source::{Fault, Source, Widths};

const MARK: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// Finds the superblock, sets up `source` by it, and returns the address of the root group's header.
pub(super) fn read(source: &mut Source) -> Result<u64, Fault> {
    source.base = find(source)?;
    source.size -= source.base;
    let mut fields = source.fields(0, source.size.min(128), "its superblock")?;
    fields.skip(MARK.len())?;
    let version = fields.byte()?;
    match version {
        // Versions of parts that have no other, and a reserved byte.
        0 | 1 => fields.skip(4)?,
        2 | 3 => {}
        _ => {
            let reason = format!("a superblock of version {version}; versions 0 to 3 are read");
            return Err(Fault::unsupported(reason));
        }
    }
    let (address, length) = (usize::from(fields.byte()?), usize::from(fields.byte()?));
    if ![2, 4, 8].contains(&address) || ![2, 4, 8].contains(&length) {
        let reason = format!("addresses of {address} bytes and lengths of {length}; 2, 4 and 8 are read");
        return Err(Fault::unsupported(reason));
    }
    source.widths = Widths { address, length };
    let prefix = 8 + 1 + if version < 2 { 7 } else { 3 };
    let mut fields = source.fields(0, source.size.min(128), "its superblock")?;
    fields.skip(prefix)?;
    let root = if version < 2 {
        // Sizes of the nodes of B-trees, and flags; the nodes say themselves how full they are.
        fields.skip(8 + if version == 1 { 4 } else { 0 })?;
        let base = fields.address()?;
        fields.skip(address)?;
        check_end(source, base, fields.address()?)?;
        // The block of the driver, and the name of the root group.
        fields.skip(2 * address)?;
        fields.address()?
    } else {
        let base = fields.address()?;
        fields.skip(address)?;
        check_end(source, base, fields.address()?)?;
        fields.address()?
    };
    root.ok_or_else(|| Fault::malformed("its superblock names no root group"))
}

/// Fails unless the file reaches as far as the superblock says.
fn check_end(source: &Source, base: Option<u64>, end: Option<u64>) -> Result<(), Fault> {
    let (Some(base), Some(end)) = (base, end) else {
        return Err(Fault::malformed("its superblock does not say where the file ends"));
    };
    let expected = end.saturating_sub(base);
    if expected > source.size {
        return Err(Fault::Truncated { expected, found: source.size });
    }
    Ok(())
}

/// The superblock is at the beginning, or after a block of the user's whose length is 512 times a power of two.
fn find(source: &mut Source) -> Result<u64, Fault> {
    let mut at = 0;
    while at + MARK.len() as u64 <= source.size {
        if source.fields(at, MARK.len() as u64, "its mark")?.take(MARK.len())? == MARK {
            return Ok(at);
        }
        at = if at == 0 { 512 } else { 2 * at };
    }
    Err(Fault::malformed("it does not have the mark of an HDF5 file"))
}
