//! Tables of results: numbers with their standard errors and the floors they should be read against.

use crate::markup::Element;
use crate::ticks::grouped;

/// Rows of cells under named columns.
#[derive(Debug, Clone, Default)]
pub struct Table {
    caption: String,
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

/// A cell of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Words, set to the left.
    Text(String),
    /// A number, set to the right with figures of equal width.
    Number {
        /// The value.
        value: f64,
        /// Its standard error, written after ±; it decides how many digits are shown.
        error: Option<f64>,
        /// The value that a perfect method would reach, written beside it.
        floor: Option<f64>,
        /// Set in bold: the best of its kind.
        best: bool,
    },
}

impl Cell {
    /// A number alone, shown to four significant digits.
    #[must_use]
    pub fn number(value: f64) -> Self {
        Self::Number { value, error: None, floor: None, best: false }
    }

    /// Adds a standard error; nothing to a cell of words.
    #[must_use]
    pub fn plus_minus(mut self, standard_error: f64) -> Self {
        if let Self::Number { error, .. } = &mut self {
            *error = Some(standard_error);
        }
        self
    }

    /// Adds the value that a perfect method would reach; nothing to a cell of words.
    #[must_use]
    pub fn floor(mut self, perfect: f64) -> Self {
        if let Self::Number { floor, .. } = &mut self {
            *floor = Some(perfect);
        }
        self
    }

    /// Marks the best number of its kind; nothing to a cell of words.
    #[must_use]
    pub fn best(mut self) -> Self {
        if let Self::Number { best, .. } = &mut self {
            *best = true;
        }
        self
    }

    fn element(&self) -> Element {
        match self {
            Self::Text(text) => Element::new("td").text(text),
            Self::Number { value, error, floor, best } => {
                let decimals = decimals(*value, *error);
                let mut cell = Element::new("td").class(if *best { "number best" } else { "number" });
                cell.push(Element::new("span").class("value").text(&written(*value, decimals)));
                if let Some(error) = error {
                    cell.push(
                        Element::new("span")
                            .class("error")
                            .text(&format!(" ± {}", written(*error, decimals))),
                    );
                }
                if let Some(floor) = floor {
                    cell.push(
                        Element::new("span")
                            .class("floor")
                            .text(&format!("floor {}", written(*floor, decimals))),
                    );
                }
                cell
            }
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::number(value)
    }
}

impl Table {
    /// A table with these columns and no rows.
    #[must_use]
    pub fn new<'a>(columns: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            caption: String::new(),
            columns: columns.into_iter().map(str::to_owned).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If it does not have one cell for each column.
    #[must_use]
    pub fn row(mut self, cells: impl IntoIterator<Item = Cell>) -> Self {
        let row: Vec<Cell> = cells.into_iter().collect();
        assert_eq!(
            row.len(),
            self.columns.len(),
            "a table row needs one cell for each of its columns {:?}",
            self.columns
        );
        self.rows.push(row);
        self
    }

    /// The protocol behind the numbers, below the table.
    #[must_use]
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = caption.into();
        self
    }

    pub(crate) fn element(&self) -> Element {
        let numeric = |column: usize| self.rows.iter().any(|row| matches!(row[column], Cell::Number { .. }));
        let heads = self.columns.iter().enumerate().map(|(index, name)| {
            Element::new("th")
                .attr("scope", "col")
                .class(if numeric(index) { "number" } else { "words" })
                .text(name)
        });
        let head = Element::new("thead").child(Element::new("tr").children(heads));
        let rows = self.rows.iter().map(|row| Element::new("tr").children(row.iter().map(Cell::element)));
        let table = Element::new("table").child(head).child(Element::new("tbody").children(rows));
        // A wide table scrolls in its own box, which the keyboard can reach.
        let scroller = Element::new("div")
            .class("scroll")
            .attr("tabindex", 0)
            .attr("role", "region")
            .attr("aria-label", "Table");
        Element::new("figure")
            .class("card table")
            .child(scroller.child(table))
            .children((!self.caption.is_empty()).then(|| Element::new("figcaption").text(&self.caption)))
    }
}

/// Decimals that show two significant digits of the error, or four of the value. A whole number needs none.
fn decimals(value: f64, error: Option<f64>) -> i32 {
    if error.is_none() && value != 0.0 && value.fract() == 0.0 {
        return 0;
    }
    let (leading, digits) = match error.filter(|e| *e > 0.0 && e.is_finite()) {
        Some(error) => (error, 2),
        None => (value.abs(), 4),
    };
    if leading > 0.0 && leading.is_finite() {
        digits - 1 - leading.log10().floor() as i32
    } else {
        digits - 1
    }
}

fn written(value: f64, decimals: i32) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN".to_owned()
        } else {
            format!("{}∞", if value < 0.0 { "−" } else { "" })
        };
    }
    // Beyond these a column of zeros says less than an exponent.
    if value != 0.0 && (value.abs() >= 1e7 || decimals > 8) {
        return format!("{value:.2e}").replace('-', "−");
    }
    grouped(value, decimals.max(0) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_decide_the_digits() {
        let check = |value: f64, error: Option<f64>, expected: &str| {
            assert_eq!(written(value, decimals(value, error)), expected, "{value} ± {error:?}");
        };
        check(0.131_59, Some(0.004_2), "0.1316");
        check(2.351_9, Some(0.12), "2.35");
        check(-12.433, Some(1.4), "−12.4");
        check(20_000.0, None, "20\u{202f}000");
        check(62.0, None, "62");
        check(62.5, None, "62.50");
        check(0.123_456, None, "0.1235");
        check(0.0, None, "0.000");
        check(3.2e-11, None, "3.20e−11");
        check(f64::NAN, Some(0.1), "NaN");
        check(f64::NEG_INFINITY, None, "−∞");
    }
}
