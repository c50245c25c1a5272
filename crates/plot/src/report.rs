//! The page a run ends with: one HTML file that fetches nothing, follows the reader's light or dark scheme,
//! prints, and reads well without scripts.

use std::path::Path;

use thalweg_files::write_atomically;

use crate::animation::ScatterAnimation;
use crate::error::PlotError;
use crate::figure::{self, Drawing, Figure};
use crate::markup::Element;
use crate::panels::Panels;
use crate::player;
use crate::png;
use crate::table::Table;

/// From this many sections on, a report has a table of contents.
const CONTENTS_FROM: usize = 4;

/// A page of sections under a title. All text is the user's and is escaped.
#[derive(Debug, Clone, Default)]
pub struct Report {
    title: String,
    subtitle: String,
    footer: String,
    facts: Vec<(String, String)>,
    sections: Vec<Section>,
}

/// A heading with a paragraph and things to look at.
#[derive(Debug, Clone, Default)]
pub struct Section {
    heading: String,
    text: String,
    items: Vec<Item>,
}

/// Something to look at in a section.
#[derive(Debug, Clone)]
pub enum Item {
    /// One figure.
    Figure(Figure),
    /// Several figures in rows.
    Panels(Panels),
    /// A moving cloud with its player.
    Animation(ScatterAnimation),
    /// A table.
    Table(Table),
    /// Text kept as it is, with a button to copy it.
    Code {
        /// `toml` is coloured; any other name is only a label.
        language: String,
        /// The text.
        text: String,
    },
    /// Names and values.
    KeyValues(Vec<(String, String)>),
    /// A picture made of pixels.
    Picture {
        /// A complete PNG file.
        png: Vec<u8>,
        /// What it shows, for those who cannot see it; also its caption.
        description: String,
    },
    /// A remark.
    Note(String),
    /// Something the reader must know before trusting what follows.
    Warning(String),
}

impl Report {
    /// A report without sections.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// A line below the title: what was run, when, with what.
    #[must_use]
    pub fn subtitle(mut self, subtitle: impl Into<String>) -> Self {
        self.subtitle = subtitle.into();
        self
    }

    /// A line at the very end: who made this file.
    #[must_use]
    pub fn footer(mut self, footer: impl Into<String>) -> Self {
        self.footer = footer.into();
        self
    }

    /// A figure to be seen at first glance, as a tile below the title: `("W₂", "0.132 ± 0.004")`.
    #[must_use]
    pub fn fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.facts.push((name.into(), value.into()));
        self
    }

    /// Adds a section.
    #[must_use]
    pub fn with(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// The report as one HTML file.
    #[must_use]
    pub fn render(&self) -> String {
        let html = Element::new("html").attr("lang", "en").child(self.head()).child(self.body());
        format!("<!doctype html>\n{html}\n")
    }

    /// Writes the report, whole or not at all.
    ///
    /// # Errors
    /// [`PlotError::Io`] if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), PlotError> {
        write_atomically(path, self.render().as_bytes()).map_err(PlotError::io(path))
    }

    fn head(&self) -> Element {
        // The policy makes "fetches nothing" a rule that the browser keeps.
        let policy =
            "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
        let style = figure::style_sheet() + include_str!("assets/report.css");
        Element::new("head")
            .child(Element::void("meta").attr("charset", "utf-8"))
            .child(
                Element::void("meta").attr("http-equiv", "Content-Security-Policy").attr("content", policy),
            )
            .child(
                Element::void("meta")
                    .attr("name", "viewport")
                    .attr("content", "width=device-width, initial-scale=1"),
            )
            .child(Element::new("title").text(&self.title))
            .child(Element::new("style").verbatim(&style))
            // Before the body is painted, so that a chosen scheme does not flash.
            .child(Element::new("script").verbatim(include_str!("assets/theme.js")))
    }

    fn body(&self) -> Element {
        let toggle =
            Element::new("button").attr("type", "button").class("theme").attr("hidden", "").text("Dark");
        let words = Element::new("div").child(Element::new("h1").text(&self.title)).children(
            (!self.subtitle.is_empty())
                .then(|| Element::new("p").class("subtitle").children(inline(&self.subtitle))),
        );
        let header = Element::new("header").child(words).child(toggle);
        let with_contents = self.sections.len() >= CONTENTS_FROM;
        let sections = self.sections.iter().enumerate().map(|(index, section)| section.element(index));
        let main = Element::new("main").attr("id", "main").children(self.tiles()).children(sections);
        Element::new("body")
            .class(if with_contents { "with-contents" } else { "plain" })
            .child(Element::new("a").class("skip").attr("href", "#main").text("Skip to content"))
            .child(header)
            .children(with_contents.then(|| self.contents()))
            .child(main)
            .children((!self.footer.is_empty()).then(|| Element::new("footer").text(&self.footer)))
            .child(Element::new("script").verbatim(include_str!("assets/report.js")))
    }

    fn tiles(&self) -> Option<Element> {
        let tiles = self.facts.iter().map(|(name, value)| {
            Element::new("div").child(Element::new("dt").text(name)).child(Element::new("dd").text(value))
        });
        (!self.facts.is_empty()).then(|| Element::new("dl").class("tiles").children(tiles))
    }

    fn contents(&self) -> Element {
        let entries = self.sections.iter().enumerate().map(|(index, section)| {
            Element::new("li").child(
                Element::new("a").attr("href", format!("#section-{}", index + 1)).text(&section.heading),
            )
        });
        Element::new("nav").attr("aria-label", "Contents").child(Element::new("ol").children(entries))
    }
}

impl Section {
    /// A section without text or items.
    #[must_use]
    pub fn new(heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), ..Self::default() }
    }

    /// Paragraphs, separated by empty lines; words between backticks are set as code.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Adds an item; narrow figures that follow each other stand side by side.
    #[must_use]
    pub fn with(mut self, item: impl Into<Item>) -> Self {
        self.items.push(item.into());
        self
    }

    fn element(&self, index: usize) -> Element {
        let paragraphs = self.text.split("\n\n").filter(|text| !text.trim().is_empty());
        Element::new("section")
            .attr("id", format!("section-{}", index + 1))
            .child(Element::new("h2").text(&self.heading))
            .children(paragraphs.map(|text| Element::new("p").children(inline(text))))
            .child(Element::new("div").class("items").children(self.items.iter().map(Item::element)))
    }
}

impl Item {
    /// Names and values from pairs of text.
    #[must_use]
    pub fn key_values<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::KeyValues(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// Text kept as it is.
    #[must_use]
    pub fn code(language: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Code { language: language.into(), text: text.into() }
    }

    fn element(&self) -> Element {
        match self {
            Self::Figure(figure) => drawn(figure.draw(), &figure.caption),
            Self::Panels(panels) => drawn(panels.draw(), &panels.caption),
            Self::Animation(animation) => player::element(animation),
            Self::Table(table) => table.element(),
            Self::Code { language, text } => code(language, text),
            Self::KeyValues(pairs) => {
                let rows = pairs
                    .iter()
                    .flat_map(|(key, value)| [Element::new("dt").text(key), Element::new("dd").text(value)]);
                Element::new("dl").class("card pairs").children(rows)
            }
            Self::Picture { png, description } => Element::new("figure")
                .class("card picture")
                .child(Element::void("img").attr("src", png::data_uri(png)).attr("alt", description))
                .child(Element::new("figcaption").text(description)),
            Self::Note(text) => Element::new("p").class("note").attr("role", "note").children(inline(text)),
            Self::Warning(text) => Element::new("p")
                .class("note warning")
                .attr("role", "note")
                .child(Element::new("strong").text("Warning: "))
                .children(inline(text)),
        }
    }
}

impl From<Figure> for Item {
    fn from(item: Figure) -> Self {
        Self::Figure(item)
    }
}

impl From<Panels> for Item {
    fn from(item: Panels) -> Self {
        Self::Panels(item)
    }
}

impl From<ScatterAnimation> for Item {
    fn from(item: ScatterAnimation) -> Self {
        Self::Animation(item)
    }
}

impl From<Table> for Item {
    fn from(item: Table) -> Self {
        Self::Table(item)
    }
}

/// A drawing in a card as wide as it was made for, which shrinks with the page but not until its words are
/// unreadable.
fn drawn(drawing: Drawing, caption: &str) -> Element {
    let caption = drawing.full_caption(caption);
    Element::new("figure")
        .class("card")
        .attr("style", flexible(drawing.width))
        .child(Element::new("div").class("scroll").child(drawing.svg))
        .children((!caption.is_empty()).then(|| Element::new("figcaption").children(inline(&caption))))
}

/// A width that grows a little to fill its row.
pub(crate) fn flexible(width: f64) -> String {
    let width = width.round();
    format!("flex:{width} 1 {width}px;max-width:{}px", (1.3 * width).round())
}

/// Text with the words between backticks set as code.
fn inline(text: &str) -> Vec<Element> {
    let parts = text.split('`').enumerate();
    parts.map(|(index, part)| Element::new(if index % 2 == 1 { "code" } else { "span" }).text(part)).collect()
}

fn code(language: &str, text: &str) -> Element {
    let mut body = Element::new("code");
    for (index, line) in text.trim_end().lines().enumerate() {
        if index > 0 {
            body = body.text("\n");
        }
        body = if language == "toml" { toml_line(body, line) } else { body.text(line) };
    }
    let label = if language.is_empty() { "Text".to_owned() } else { language.to_owned() };
    Element::new("figure")
        .class("card code")
        .attr("data-language", &label)
        .child(Element::new("pre").attr("tabindex", 0).attr("aria-label", label).child(body))
}

/// Colours a line of TOML by its first character: enough to find tables and keys, and never wrong about
/// strings.
fn toml_line(body: Element, line: &str) -> Element {
    let start = line.trim_start();
    let span = |class: &str, text: &str| Element::new("span").class(class).text(text);
    match (start.chars().next(), line.split_once('=')) {
        (Some('#'), _) => body.child(span("comment", line)),
        (Some('['), _) => body.child(span("heading", line)),
        (Some(c), Some((key, value))) if c.is_alphanumeric() || c == '_' => {
            body.child(span("key", key)).text("=").text(value)
        }
        _ => body.text(line),
    }
}
