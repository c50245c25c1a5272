//! Groups: names and where they lead. Old ones keep them in a B-tree and a heap, new ones in their header.

use std::collections::HashSet;

use super::object::{Message, kind, messages};
use super::source::{Fault, Source};

/// Longer names, and deeper groups, are no names of arrays.
const MAX_NAME: usize = 1024;
const MAX_DEPTH: usize = 32;
/// All names of a file together, in bytes.
const MAX_NAMES: usize = 1 << 24;

/// A name and the address of an object header.
type Link = (String, u64);

/// All datasets below the group at `root`, with their paths.
pub(super) fn datasets(source: &mut Source, root: u64) -> Result<Vec<Link>, Fault> {
    let mut found = Vec::new();
    let mut groups = HashSet::from([root]);
    let mut pending = vec![(String::new(), root, 0)];
    let mut room = MAX_NAMES;
    while let Some((path, address, depth)) = pending.pop() {
        let of_group = messages(source, address)?;
        if of_group.iter().any(|message| message.kind == kind::LAYOUT) {
            found.push((path, address));
            continue;
        }
        let is_group = [kind::SYMBOL_TABLE, kind::LINK_INFO, kind::LINK, kind::GROUP_INFO];
        if !of_group.iter().any(|message| is_group.contains(&message.kind)) {
            // A type that has a name of its own.
            continue;
        }
        if depth > 0 && !groups.insert(address) {
            continue;
        }
        if depth == MAX_DEPTH {
            return Err(Fault::unsupported(format!("group `{path}` is more than {MAX_DEPTH} groups deep")));
        }
        let mut links = links(source, of_group).map_err(|fault| in_group(fault, &path))?;
        links.reverse();
        for (name, address) in links {
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            room = room
                .checked_sub(path.len())
                .ok_or_else(|| Fault::unsupported("its names are longer than 16 MiB together"))?;
            pending.push((path, address, depth + 1));
        }
    }
    Ok(found)
}

fn in_group(fault: Fault, path: &str) -> Fault {
    let say = |reason: String| if path.is_empty() { reason } else { format!("group `{path}`: {reason}") };
    match fault {
        Fault::Malformed(reason) => Fault::Malformed(say(reason)),
        Fault::Unsupported(reason) => Fault::Unsupported(say(reason)),
        other => other,
    }
}

/// Where a group's names lead. Names that stand for other names, or lead out of the file, are left out.
fn links(source: &mut Source, of_group: Vec<Message>) -> Result<Vec<Link>, Fault> {
    let mut links = Vec::new();
    for Message { kind, shared, mut fields } in of_group {
        match kind {
            kind::SYMBOL_TABLE | kind::LINK | kind::LINK_INFO if shared => {
                return Err(Fault::unsupported("a group whose names are in a shared message"));
            }
            kind::SYMBOL_TABLE => {
                let (tree, heap) = (fields.address()?, fields.address()?);
                if let (Some(tree), Some(heap)) = (tree, heap) {
                    links.extend(symbols(source, tree, heap)?);
                }
            }
            kind::LINK => {
                version(fields.byte()?, 1, "a link")?;
                let flags = fields.byte()?;
                let to = if flags & 0x08 != 0 { fields.byte()? } else { 0 };
                fields.skip(if flags & 0x04 != 0 { 8 } else { 0 })?;
                fields.skip(if flags & 0x10 != 0 { 1 } else { 0 })?;
                let length = fields.number(1 << (flags & 3))?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let name = name(fields.take(length)?)?;
                if let (0, Some(address)) = (to, if to == 0 { fields.address()? } else { None }) {
                    links.push((name, address));
                }
            }
            kind::LINK_INFO => {
                version(fields.byte()?, 0, "the names of a group")?;
                let flags = fields.byte()?;
                fields.skip(if flags & 1 != 0 { 8 } else { 0 })?;
                if fields.address()?.is_some() {
                    return Err(Fault::unsupported(
                        "a group that keeps its names in a fractal heap, as large groups of the newest format do; \
                         write the file with `libver='earliest'`",
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(links)
}

fn version(found: u8, known: u8, what: &str) -> Result<(), Fault> {
    if found == known {
        return Ok(());
    }
    Err(Fault::unsupported(format!("{what} of version {found}; version {known} is read")))
}

/// The names below a B-tree of symbol tables.
fn symbols(source: &mut Source, tree: u64, heap: u64) -> Result<Vec<Link>, Fault> {
    let names = Heap::open(source, heap)?;
    let mut links = Vec::new();
    let mut visited = HashSet::new();
    // Children of the first level are symbol tables, which have no level: none.
    let mut pending = vec![(tree, None)];
    while let Some((address, expected)) = pending.pop() {
        if !visited.insert(address) {
            return Err(Fault::malformed("the B-tree of a group goes in a circle"));
        }
        if expected == Some(None) {
            links.extend(symbol_table(source, address, &names)?);
            continue;
        }
        let (level, children) = tree_node(source, address)?;
        if expected.is_some_and(|expected| expected != Some(level)) {
            return Err(Fault::malformed("the B-tree of a group has levels out of order"));
        }
        pending.extend(children.into_iter().rev().map(|child| (child, Some(level.checked_sub(1)))));
    }
    Ok(links)
}

/// Level and children of a node.
fn tree_node(source: &mut Source, address: u64) -> Result<(u8, Vec<u64>), Fault> {
    const WHAT: &str = "the B-tree of a group";
    let widths = source.widths;
    let mut head = source.fields(address, 8, WHAT)?;
    head.expect(b"TREE")?;
    let (of, level, used) = (head.byte()?, head.byte()?, head.short()?);
    if of != 0 {
        return Err(Fault::malformed(format!("{WHAT} is one of another kind")));
    }
    let used = u64::from(used);
    let start = 8 + 2 * widths.address as u64;
    let entry = (widths.length + widths.address) as u64;
    let mut body = source.fields(address + start, used * entry, WHAT)?;
    let mut children = Vec::new();
    for _ in 0..used {
        body.skip(widths.length)?;
        children.extend(body.address()?);
    }
    Ok((level, children))
}

fn symbol_table(source: &mut Source, address: u64, names: &Heap) -> Result<Vec<Link>, Fault> {
    const WHAT: &str = "a symbol table";
    let width = source.widths.address;
    let mut head = source.fields(address, 8, WHAT)?;
    head.expect(b"SNOD")?;
    version(head.byte()?, 1, WHAT)?;
    head.skip(1)?;
    let count = u64::from(head.short()?);
    let mut body = source.fields(address + 8, count * (2 * width as u64 + 24), WHAT)?;
    let mut links = Vec::new();
    for _ in 0..count {
        let at = body.number(width)?;
        let address = body.address()?;
        body.skip(24)?;
        if let Some(address) = address {
            links.push((names.name(at)?, address));
        }
    }
    Ok(links)
}

/// The names of an old group, each ended by a zero.
struct Heap(Vec<u8>);

impl Heap {
    fn open(source: &mut Source, address: u64) -> Result<Self, Fault> {
        const WHAT: &str = "the heap of a group";
        let widths = source.widths;
        let mut head = source.fields(address, 8 + 2 * widths.length as u64 + widths.address as u64, WHAT)?;
        head.expect(b"HEAP")?;
        version(head.byte()?, 0, WHAT)?;
        head.skip(3)?;
        let length = head.length()?;
        head.skip(widths.length)?;
        let at = head.address()?.ok_or_else(|| Fault::malformed("the heap of a group is nowhere"))?;
        let mut data = source.fields(at, length, WHAT)?;
        let length = data.left();
        Ok(Self(data.take(length)?.to_vec()))
    }

    fn name(&self, at: u64) -> Result<String, Fault> {
        let rest = usize::try_from(at).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
        let end = rest.iter().take(MAX_NAME + 1).position(|&byte| byte == 0);
        let end = end.ok_or_else(|| Fault::malformed("a name in a group does not end"))?;
        name(&rest[..end])
    }
}

fn name(bytes: &[u8]) -> Result<String, Fault> {
    if bytes.is_empty() || bytes.len() > MAX_NAME {
        return Err(Fault::malformed(format!("a name in a group is {} bytes long", bytes.len())));
    }
    Ok(String::from_utf8_lossy(bytes).into_owned())
}
