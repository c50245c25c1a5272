//! Object headers of versions 1 and 2: the list of messages that say what a group or dataset is.

use super::source::{Fault, Fields, Source};

/// Kinds of messages that are looked at.
pub(super) mod kind {
    pub const DATASPACE: u16 = 0x01;
    pub const LINK_INFO: u16 = 0x02;
    pub const DATATYPE: u16 = 0x03;
    pub const LINK: u16 = 0x06;
    pub const EXTERNAL_FILES: u16 = 0x07;
    pub const LAYOUT: u16 = 0x08;
    pub const GROUP_INFO: u16 = 0x0a;
    pub const FILTERS: u16 = 0x0b;
    pub const CONTINUATION: u16 = 0x10;
    pub const SYMBOL_TABLE: u16 = 0x11;
}

/// One message of an object header.
#[derive(Debug)]
pub(super) struct Message {
    pub kind: u16,
    /// Whether only a reference to the content is here.
    pub shared: bool,
    pub fields: Fields,
}

/// All messages of the object at `address`.
pub(super) fn messages(source: &mut Source, address: u64) -> Result<Vec<Message>, Fault> {
    let (mut block, form) = first_block(source, address)?;
    let mut messages = Vec::new();
    let mut pending = Vec::new();
    // Blocks that lie apart are no longer than the file together, so a circle of them ends here.
    let mut room = source.size.saturating_sub(block.left() as u64);
    loop {
        while let Some(message) = form.next(&mut block)? {
            if message.kind == kind::CONTINUATION {
                pending.push(message);
            } else {
                messages.push(message);
            }
        }
        let Some(mut next) = pending.pop() else { return Ok(messages) };
        let (at, length) = (next.fields.address()?, next.fields.length()?);
        let at = at.ok_or_else(|| Fault::malformed("an object header goes on nowhere"))?;
        if length > room || length == 0 {
            return Err(Fault::malformed("an object header goes on for longer than the file"));
        }
        room -= length;
        block = source.fields(at, length, "an object header")?;
        if let Form::Second { .. } = form {
            block.expect(b"OCHK")?;
            block = without_checksum(block)?;
        }
    }
}

/// How messages are written one after the other.
enum Form {
    First,
    Second {
        /// Whether each has the number of its creation.
        numbered: bool,
    },
}

impl Form {
    fn next(&self, block: &mut Fields) -> Result<Option<Message>, Fault> {
        let head = match self {
            Self::First => 8,
            Self::Second { numbered: false } => 4,
            Self::Second { numbered: true } => 6,
        };
        if block.left() < head {
            return Ok(None);
        }
        let (kind, length, flags) = match self {
            Self::First => {
                let head = (block.short()?, block.short()?, block.byte()?);
                block.skip(3)?;
                head
            }
            Self::Second { numbered } => {
                let head = (u16::from(block.byte()?), block.short()?, block.byte()?);
                block.skip(if *numbered { 2 } else { 0 })?;
                head
            }
        };
        let fields = block.part(usize::from(length), "a message of an object header")?;
        Ok(Some(Message { kind, shared: flags & 2 != 0, fields }))
    }
}

fn first_block(source: &mut Source, address: u64) -> Result<(Fields, Form), Fault> {
    const WHAT: &str = "an object header";
    let start = source.size.saturating_sub(address).min(40);
    let mut head = source.fields(address, start, WHAT)?;
    if head.take(1)? == [1] {
        // A reserved byte, the number of messages, and that of references.
        head.skip(1 + 2 + 4)?;
        let length = u64::from(head.word()?);
        return Ok((source.fields(address + 16, length, WHAT)?, Form::First));
    }
    let mut head = source.fields(address, start, WHAT)?;
    if head.expect(b"OHDR").is_err() {
        return Err(Fault::malformed(format!("there is no object header at byte {address}")));
    }
    let version = head.byte()?;
    if version != 2 {
        return Err(Fault::unsupported(format!("an object header of version {version}; 1 and 2 are read")));
    }
    let flags = head.byte()?;
    let times = if flags & 0x20 != 0 { 16 } else { 0 };
    let limits = if flags & 0x10 != 0 { 4 } else { 0 };
    head.skip(times + limits)?;
    let width = 1 << (flags & 3);
    let length = head.number(width)?;
    let before = 6 + times + limits + width;
    let block = source.fields(address + before as u64, length, WHAT)?;
    Ok((block, Form::Second { numbered: flags & 4 != 0 }))
}

/// The block without the four bytes of its checksum.
fn without_checksum(mut block: Fields) -> Result<Fields, Fault> {
    let length = block.left().saturating_sub(4);
    block.part(length, "an object header")
}
