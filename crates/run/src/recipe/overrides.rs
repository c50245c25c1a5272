//! Overrides: `--set train.steps=100` as a change to the parsed document.

use std::str::FromStr;

use toml::{Table, Value};

use super::error::RecipeError;
use super::explain::describe;
use super::key_path::KeyPath;

/// One `key.path=value`. The value is TOML (`100`, `1e-3`, `true`, `"text"`, `[64, 64]`, `{ kind = "adam" }`); a bare
/// word is a string. A number in the path counts the elements of an array: `stage.1.train.steps=5`.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    path: KeyPath,
    value: Value,
    text: String,
}

impl Override {
    /// What the user typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn path(&self) -> &KeyPath {
        &self.path
    }

    /// Sets the value, replacing what was there whole and making the tables that are missing.
    pub(crate) fn apply(&self, document: &mut Table) -> Result<(), RecipeError> {
        let Some((name, parents)) = self.path.keys().split_last() else { return Ok(()) };
        if let Some((first, rest)) = parents.split_first() {
            let mut value = document.entry(first.clone()).or_insert_with(|| Value::Table(Table::new()));
            for (depth, key) in rest.iter().enumerate() {
                value = self.enter(value, key, depth + 1)?;
            }
            *self.enter(value, name, parents.len())? = self.value.clone();
        } else {
            document.insert(name.clone(), self.value.clone());
        }
        Ok(())
    }

    /// The place called `key` inside `value`, which the first `depth` keys of the path lead to.
    fn enter<'a>(&self, value: &'a mut Value, key: &str, depth: usize) -> Result<&'a mut Value, RecipeError> {
        let here = KeyPath::new(self.path.keys()[..depth].to_vec());
        match value {
            Value::Table(table) => Ok(table.entry(key).or_insert_with(|| Value::Table(Table::new()))),
            Value::Array(items) => {
                let count = items.len();
                key.parse::<usize>().ok().and_then(|index| items.get_mut(index)).ok_or_else(|| {
                    self.refuse(format!(
                        "`{here}` is an array of {count}, whose elements are numbered from 0"
                    ))
                })
            }
            other => Err(self.refuse(format!("`{here}` is {}, which has no key `{key}`", describe(other)))),
        }
    }

    fn refuse(&self, message: String) -> RecipeError {
        RecipeError::Override { text: self.text.clone(), message }
    }
}

impl FromStr for Override {
    type Err = RecipeError;

    fn from_str(text: &str) -> Result<Self, RecipeError> {
        let refuse = |message: String| RecipeError::Override { text: text.to_owned(), message };
        let example = "write `--set train.steps=100` or `--set 'model.hidden=[64, 64]'`";
        let Some((path, value)) = text.split_once('=') else {
            return Err(refuse(format!("there is no `=`; {example}")));
        };
        let keys: Vec<String> = path.split('.').map(|key| key.trim().to_owned()).collect();
        let is_bare = |key: &String| {
            !key.is_empty()
                && key.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter))
        };
        if let Some(wrong) = keys.iter().find(|key| !is_bare(key)) {
            let what =
                if wrong.is_empty() { "a key is empty".to_owned() } else { format!("`{wrong}` is no key") };
            return Err(refuse(format!("{what}; {example}")));
        }
        let value = value.trim();
        if value.is_empty() {
            return Err(refuse(format!("there is no value; {example}, or `=\"\"` for an empty text")));
        }
        let value = match value.parse::<Value>() {
            Ok(value) => value,
            // What opens like an array, a table or a text was meant as one; anything else is a word.
            Err(error) if value.starts_with(['"', '\'', '[', '{']) || value.contains('\n') => {
                return Err(refuse(format!("the value is not TOML ({}); {example}", error.message())));
            }
            Err(_) => Value::String(value.to_owned()),
        };
        Ok(Self { path: KeyPath::new(keys), value, text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn merged(text: &str, changes: &[&str]) -> Result<String, String> {
        let mut document: Table = toml::from_str(text).unwrap();
        for change in changes {
            let change: Override = change.parse().map_err(|error: RecipeError| error.to_string())?;
            change.apply(&mut document).map_err(|error| error.to_string())?;
        }
        Ok(toml::to_string(&document).unwrap())
    }

    #[test]
    fn values_are_toml_and_bare_words_are_strings() {
        for (change, expected) in [
            ("a=1", "a = 1\n"),
            ("a=1e-3", "a = 0.001\n"),
            ("a = true ", "a = true\n"),
            ("a=[64, 64]", "a = [64, 64]\n"),
            ("a=two-moons", "a = \"two-moons\"\n"),
            ("a=data/x.npz", "a = \"data/x.npz\"\n"),
            ("a=\"1\"", "a = \"1\"\n"),
            ("a=b=c", "a = \"b=c\"\n"),
            ("a.b.c=1", "[a.b]\nc = 1\n"),
            ("a={ kind = \"adam\" }", "[a]\nkind = \"adam\"\n"),
        ] {
            assert_eq!(merged("", &[change]).unwrap(), expected, "{change}");
        }
    }

    #[test]
    fn a_change_keeps_its_neighbours_and_the_last_one_wins() {
        let text = "[train]\nbatch = 2\nsteps = 1\n";
        assert_eq!(
            merged(text, &["train.steps=3", "train.steps=4"]).unwrap(),
            "[train]\nbatch = 2\nsteps = 4\n"
        );
        let stages = "[[stage]]\nn = 1\n\n[[stage]]\nn = 2\n";
        assert_eq!(merged(stages, &["stage.1.n=5"]).unwrap(), "[[stage]]\nn = 1\n\n[[stage]]\nn = 5\n");
    }

    #[test]
    fn wrong_syntax_shows_the_right_one() {
        let shows = "write `--set train.steps=100` or `--set 'model.hidden=[64, 64]'`";
        for (change, expected) in [
            ("train.steps", "there is no `=`"),
            ("=3", "a key is empty"),
            ("train..steps=3", "a key is empty"),
            ("tr ain=3", "`tr ain` is no key"),
            ("train.steps=", "there is no value"),
            ("a=[1, 2", "the value is not TOML"),
            ("a=\"x", "the value is not TOML"),
            ("a=1\nb=2", "the value is not TOML"),
        ] {
            let message = merged("", &[change]).unwrap_err();
            assert!(message.starts_with(&format!("--set {change}: {expected}")), "{message}");
            assert!(message.contains(shows), "{message}");
        }
    }

    #[test]
    fn what_is_no_table_cannot_be_entered() {
        let text = "steps = 1\n[[stage]]\nn = 1\n";
        assert_eq!(
            merged(text, &["steps.x=1"]).unwrap_err(),
            "--set steps.x=1: `steps` is an integer, which has no key `x`"
        );
        for change in ["stage.1.n=1", "stage.name=1"] {
            let message = merged(text, &[change]).unwrap_err();
            assert!(
                message.ends_with("`stage` is an array of 1, whose elements are numbered from 0"),
                "{message}"
            );
        }
    }

    fn change() -> impl Strategy<Value = (Vec<String>, i64)> {
        (prop::collection::vec("[abc]", 1..4), any::<i64>())
    }

    proptest! {
        #[test]
        fn what_is_set_is_found_there(changes in prop::collection::vec(change(), 1..8)) {
            let mut document = Table::new();
            for (keys, value) in changes {
                let typed: Override = format!("{}={value}", keys.join(".")).parse().unwrap();
                let before = document.clone();
                if typed.apply(&mut document).is_err() {
                    // Only an integer on the way can be in the way.
                    let blocked = (1..keys.len())
                        .any(|n| KeyPath::new(keys[..n].to_vec()).find(&before).is_some_and(Value::is_integer));
                    prop_assert!(blocked);
                    prop_assert_eq!(&before, &document);
                } else {
                    prop_assert_eq!(typed.path().find(&document), Some(&Value::Integer(value)));
                }
            }
        }

        #[test]
        fn changes_of_different_keys_commute(a in any::<i64>(), b in any::<f64>()) {
            prop_assume!(b.is_finite());
            let one = format!("x.a={a}");
            let two = format!("x.b={b:?}");
            let text = "[x]\na = 0\nb = 0.0\n";
            prop_assert_eq!(merged(text, &[&one, &two]).unwrap(), merged(text, &[&two, &one]).unwrap());
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            if let Ok(change) = text.parse::<Override>() {
                let mut document: Table = toml::from_str("a = 1\n[[b]]\n").unwrap();
                let _ = change.apply(&mut document);
                prop_assert!(!change.path().keys().is_empty());
            }
        }
    }
}
