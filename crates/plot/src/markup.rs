//! A tree of XML elements that cannot be ill-formed: every attribute and text is escaped on its way in, and
//! tags close themselves. SVG and the HTML report are both written with it.

use std::fmt::{self, Display};

/// One element with its attributes and children, kept as text already escaped.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    tag: &'static str,
    attributes: String,
    children: String,
    void: bool,
}

impl Element {
    /// An element with an explicit end tag, even when it is empty (HTML needs that).
    pub(crate) fn new(tag: &'static str) -> Self {
        Self { tag, attributes: String::new(), children: String::new(), void: false }
    }

    /// An element that never has children: `<path …/>`, `<meta …/>`.
    pub(crate) fn void(tag: &'static str) -> Self {
        Self { void: true, ..Self::new(tag) }
    }

    pub(crate) fn class(self, names: &str) -> Self {
        self.attr("class", names)
    }

    pub(crate) fn attr(mut self, name: &str, value: impl Display) -> Self {
        self.attributes.push(' ');
        self.attributes.push_str(name);
        self.attributes.push_str("=\"");
        self.attributes.push_str(&escape(&value.to_string()));
        self.attributes.push('"');
        self
    }

    /// A length or coordinate, to a tenth of a pixel.
    pub(crate) fn px(self, name: &str, value: f64) -> Self {
        self.attr(name, px(value))
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        self.children.push_str(&escape(text));
        self
    }

    pub(crate) fn child(mut self, child: Self) -> Self {
        self.push(child);
        self
    }

    pub(crate) fn push(&mut self, child: Self) {
        use fmt::Write;
        // Writing to a String cannot fail.
        let _ = write!(self.children, "{child}");
    }

    pub(crate) fn children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        for child in children {
            self.push(child);
        }
        self
    }

    /// Style sheets and scripts of our own: text that must not be escaped.
    pub(crate) fn verbatim(mut self, text: &str) -> Self {
        self.children.push_str(text);
        self
    }
}

impl Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tag, attributes, children, void } = self;
        if *void {
            write!(f, "<{tag}{attributes}/>")
        } else {
            write!(f, "<{tag}{attributes}>{children}</{tag}>")
        }
    }
}

/// Escapes for XML and HTML, text and attributes alike. Control characters, which XML forbids, become
/// `U+FFFD`.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

/// A coordinate to a tenth of a pixel, as short as it can be written.
pub(crate) fn px(value: f64) -> String {
    let tenths = (value * 10.0).round() as i64;
    let (sign, size) = (if tenths < 0 { "-" } else { "" }, tenths.unsigned_abs());
    match size % 10 {
        0 => format!("{sign}{}", size / 10),
        digit => format!("{sign}{}.{digit}", size / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short_and_rounded() {
        for (value, expected) in
            [(0.0, "0"), (-0.04, "0"), (12.0, "12"), (12.34, "12.3"), (-0.25, "-0.3"), (99.96, "100")]
        {
            assert_eq!(px(value), expected, "{value}");
        }
    }

    #[test]
    fn attributes_and_text_are_escaped() {
        let element = Element::new("p").attr("title", "a\"b'<").text("<script>&\u{1b}");
        assert_eq!(element.to_string(), "<p title=\"a&quot;b&#39;&lt;\">&lt;script&gt;&amp;\u{FFFD}</p>");
    }
}
