//! Understanding serde's messages: which kind of complaint it is, and how to say it in the words of TOML.
//!
//! Serde gives derived types no other channel than text, but the text is fixed by `serde::de::Error`'s provided methods:
//! "unknown field \`a\`, expected one of \`b\`, \`c\`", "invalid type: string \"x\", expected u64" and so on.

use toml::Value;

use super::error::{Place, RecipeError};
use super::key_path::KeyPath;
use super::nearest::nearest;

/// A message of serde's, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Complaint {
    UnknownKey { name: String, known: Vec<String> },
    UnknownValue { name: String, known: Vec<String> },
    WrongType { found: String, expected: String },
    Missing { name: String },
    Other { message: String },
}

impl Complaint {
    pub(crate) fn understand(message: &str) -> Self {
        let named = |rest: &str| {
            let mut names = backticked(rest).into_iter();
            (names.next().unwrap_or_default(), names.collect())
        };
        if let Some(rest) = message.strip_prefix("unknown field ") {
            let (name, known) = named(rest);
            Self::UnknownKey { name, known }
        } else if let Some(rest) = message.strip_prefix("unknown variant ") {
            let (name, known) = named(rest);
            Self::UnknownValue { name, known }
        } else if let Some(rest) = message.strip_prefix("missing field ") {
            Self::Missing { name: named(rest).0 }
        } else if let Some((found, expected)) = ["invalid type: ", "invalid value: ", "invalid length "]
            .iter()
            .find_map(|start| message.strip_prefix(start))
            .and_then(|rest| rest.rsplit_once(", expected "))
        {
            let in_range = message.starts_with("invalid value");
            Self::WrongType { found: found_in_toml(found), expected: expected_in_toml(expected, in_range) }
        } else {
            Self::Other { message: message.to_owned() }
        }
    }

    /// The error for the key at `path`; for a missing key, `path` is the table it is missing from.
    pub(crate) fn into_error(self, path: &KeyPath, place: Place) -> RecipeError {
        match self {
            Self::UnknownKey { name, known } => {
                // Serde may not know the name's place in the document; then `path` is the table around it.
                let path = if path.last() == Some(&name) { path.clone() } else { path.child(&name) };
                let hint = hint(&name, &known, "key", |key| path.parent().child(key).to_string());
                RecipeError::UnknownKey { path: path.to_string(), hint, place }
            }
            Self::UnknownValue { name, known } => {
                let hint = hint(&name, &known, "value", str::to_owned);
                RecipeError::UnknownValue { path: path.to_string(), found: name, hint, place }
            }
            Self::WrongType { found, expected } => {
                RecipeError::WrongType { path: path.to_string(), expected, found, place }
            }
            Self::Missing { name } => RecipeError::MissingKey { path: path.child(&name).to_string(), place },
            Self::Other { message } => RecipeError::Invalid { path: path.to_string(), message, place },
        }
    }
}

/// "an integer", "a table": what a value is, with its article.
pub(crate) fn describe(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "a boolean",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "an array",
        Value::Table(_) => "a table",
    }
}

fn hint(name: &str, known: &[String], what: &str, show: impl Fn(&str) -> String) -> String {
    if let Some(near) = nearest(name, known.iter().map(String::as_str)) {
        return format!("did you mean `{}`?", show(near));
    }
    match known {
        [] => format!("there are no {what}s here, so remove it"),
        [only] => format!("the only {what} here is `{only}`"),
        several => format!("the known {what}s are `{}`", several.join("`, `")),
    }
}

/// The texts between pairs of backticks.
fn backticked(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn found_in_toml(found: &str) -> String {
    match found {
        "map" => "a table".to_owned(),
        "sequence" => "an array".to_owned(),
        _ => {
            let found =
                found.strip_prefix("floating point").map_or(found.to_owned(), |rest| format!("number{rest}"));
            // The backticks of a quoted text are the user's own.
            if found.starts_with("string") { found } else { found.replace('`', "") }
        }
    }
}

/// `in_range`: the type was right, so only the range is of interest.
fn expected_in_toml(expected: &str, in_range: bool) -> String {
    let at_least = |least: &str| format!("an integer of at least {least}");
    match expected {
        "u8" if in_range => "an integer from 0 to 255".to_owned(),
        "u16" if in_range => "an integer from 0 to 65535".to_owned(),
        "u32" if in_range => "an integer from 0 to 4294967295".to_owned(),
        "u64" | "usize" if in_range => at_least("0"),
        nonzero if nonzero.starts_with("a nonzero u") => at_least("1"),
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => {
            "an integer".to_owned()
        }
        "f32" | "f64" => "a number".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "a table".to_owned(),
        rust_type
            if ["struct ", "internally tagged enum ", "adjacently tagged enum "]
                .iter()
                .any(|start| rust_type.starts_with(start)) =>
        {
            "a table".to_owned()
        }
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_understood() {
        let unknown = Complaint::understand("unknown field `a`, expected one of `b`, `c`");
        assert_eq!(unknown, Complaint::UnknownKey { name: "a".into(), known: vec!["b".into(), "c".into()] });
        let empty = Complaint::understand("unknown field `a`, there are no fields");
        assert_eq!(empty, Complaint::UnknownKey { name: "a".into(), known: vec![] });
        let missing = Complaint::understand("missing field `a`");
        assert_eq!(missing, Complaint::Missing { name: "a".into() });
        for (message, expected, found) in [
            ("invalid type: string \"many\", expected u64", "an integer", "string \"many\""),
            (
                "invalid type: string \"a, expected `b`\", expected f64",
                "a number",
                "string \"a, expected `b`\"",
            ),
            ("invalid value: integer `-1`, expected u64", "an integer of at least 0", "integer -1"),
            ("invalid value: integer `300`, expected u8", "an integer from 0 to 255", "integer 300"),
            ("invalid value: integer `0`, expected a nonzero usize", "an integer of at least 1", "integer 0"),
            ("invalid type: floating point `1.5`, expected usize", "an integer", "number 1.5"),
            ("invalid type: map, expected a sequence", "an array", "a table"),
            ("invalid type: integer `3`, expected struct Train", "a table", "integer 3"),
        ] {
            let expected = Complaint::WrongType { found: found.into(), expected: expected.into() };
            assert_eq!(Complaint::understand(message), expected, "{message}");
        }
        let other = Complaint::understand("sigma must be positive");
        assert_eq!(other, Complaint::Other { message: "sigma must be positive".into() });
    }
}
