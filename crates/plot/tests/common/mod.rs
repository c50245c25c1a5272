//! A checker of well-formed markup, and pictures to run it on.

/// Walks through SVG or our HTML and reports the first thing that is not well-formed: tags that do not
/// match, attributes given twice or unquoted, characters or entities that XML forbids. Returns the names of
/// all elements.
pub fn check_markup(text: &str) -> Result<Vec<String>, String> {
    let mut rest = text.trim_start_matches("<!doctype html>\n").trim_end();
    let (mut open, mut seen): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        let Some(start) = rest.find('<') else { return Err(format!("text after the end: {rest:.40}")) };
        check_characters(&rest[..start])?;
        rest = &rest[start + 1..];
        let end = tag_end(rest).ok_or_else(|| format!("a tag is not closed: {rest:.60}"))?;
        let (tag, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            let expected = open.pop();
            if expected.as_deref() != Some(name) {
                return Err(format!("</{name}> closes {expected:?}"));
            }
            continue;
        }
        let body = tag.strip_suffix('/').unwrap_or(tag);
        let (name, attributes) = body.split_once(' ').unwrap_or((body, ""));
        check_attributes(name, attributes)?;
        seen.push(name.to_owned());
        if tag.ends_with('/') {
            continue;
        }
        // Style and script hold text that is not markup.
        if name == "style" || name == "script" {
            let close = format!("</{name}>");
            let end = rest.find(&close).ok_or_else(|| format!("<{name}> is not closed"))?;
            rest = &rest[end + close.len()..];
            continue;
        }
        open.push(name.to_owned());
    }
    if open.is_empty() { Ok(seen) } else { Err(format!("not closed: {open:?}")) }
}

/// Position of the `>` that ends a tag, outside of quotes.
fn tag_end(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '>' && !quoted).then_some(at)
    })
}

fn check_attributes(tag: &str, attributes: &str) -> Result<(), String> {
    let mut names: Vec<&str> = Vec::new();
    let mut rest = attributes.trim();
    while !rest.is_empty() {
        let (name, value) =
            rest.split_once("=\"").ok_or_else(|| format!("<{tag}>: attribute without value: {rest:.40}"))?;
        let legal = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-:".contains(c));
        if !legal || names.contains(&name) {
            return Err(format!("<{tag}>: attribute {name:?} is illegal or given twice"));
        }
        names.push(name);
        let (value, after) = value.split_once('"').ok_or_else(|| format!("<{tag}>: {name} is not closed"))?;
        if value.contains('<') {
            return Err(format!("<{tag}>: {name} holds a <"));
        }
        check_characters(value)?;
        rest = after.trim_start();
    }
    Ok(())
}

fn check_characters(text: &str) -> Result<(), String> {
    if let Some(c) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(format!("control character {c:?}"));
    }
    for part in text.split('&').skip(1) {
        let entity = part.split_once(';').map_or("", |(entity, _)| entity);
        if !["amp", "lt", "gt", "quot", "#39"].contains(&entity) {
            return Err(format!("stray & before {part:.20}"));
        }
    }
    Ok(())
}

/// Points on a spiral: spread out, and the same every time.
pub fn spiral(count: usize) -> Vec<[f64; 2]> {
    (0..count)
        .map(|i| {
            let (angle, radius) = (2.399_963 * i as f64, (i as f64 / count as f64).sqrt());
            [radius * angle.cos(), radius * angle.sin()]
        })
        .collect()
}
