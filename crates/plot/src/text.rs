//! How wide text will be, without a font: enough to lay out legends and margins.

/// Approximate width of `text` at `size` pixels in a system sans-serif face, a little on the generous side.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(|c| advance(c) * size).sum()
}

/// The text itself, or as much of it as fits in `room` pixels followed by an ellipsis.
pub(crate) fn fit(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut used = size;
    let kept: String = text
        .chars()
        .take_while(|&c| {
            used += advance(c) * size;
            used <= room
        })
        .collect();
    format!("{}…", kept.trim_end())
}

/// Breaks text into lines of at most `room` pixels, at spaces where there are any.
pub(crate) fn wrap(text: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line, size) + width(word, size) + 0.3 * size <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(fit(word, size, room)),
        }
    }
    lines
}

/// Advance of one character in ems.
fn advance(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '|' | '\'' | '!' | ' ' => 0.29,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '-' | '\u{202f}' => 0.37,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.90,
        '⁰'..='⁹' | '¹' | '²' | '³' | '⁻' => 0.40,
        'A'..='Z' => 0.68,
        _ if (c as u32) >= 0x2E80 => 1.0,
        _ => 0.57,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitted_and_wrapped_text_stays_in_its_room() {
        let long = "a title that goes on and on until nobody can tell what the figure was meant to be about";
        for room in [60.0, 120.0, 300.0] {
            assert!(width(&fit(long, 12.0, room), 12.0) <= room);
            let lines = wrap(long, 12.0, room);
            assert!(lines.iter().all(|line| width(line, 12.0) <= room), "{lines:?}");
            assert_eq!(lines.join(" "), long);
        }
        assert_eq!(fit("short", 12.0, 200.0), "short");
    }
}
