//! The header of a `.npy` file: a Python dictionary with the keys `descr`, `fortran_order` and `shape`.
//!
//! Only this much of Python is read; nothing is evaluated.

/// What the header says.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    /// The type, such as `<f8`. Records, whose type is a list of fields, come as `V`.
    pub descr: String,
    /// Whether the first axis runs fastest.
    pub fortran_order: bool,
    /// Lengths of the axes.
    pub shape: Vec<usize>,
}

/// Reads the dictionary; an error is the reason, as the end of a sentence.
pub(super) fn parse_header(text: &str) -> Result<Header, String> {
    let mut cursor = Cursor { rest: text };
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    cursor.expect('{')?;
    while !cursor.take('}') {
        let key = cursor.string()?;
        cursor.expect(':')?;
        match key {
            "descr" => descr = Some(cursor.descr()?),
            "fortran_order" => fortran_order = Some(cursor.boolean()?),
            "shape" => shape = Some(cursor.shape()?),
            other => return Err(format!("its header has the unknown key `{other}`")),
        }
        if !cursor.take(',') {
            cursor.expect('}')?;
            break;
        }
    }
    if !cursor.rest.trim_matches(['\n', ' ', '\0']).is_empty() {
        return Err("its header does not end after the dictionary".to_owned());
    }
    let missing = |key| format!("its header lacks the key `{key}`");
    Ok(Header {
        descr: descr.ok_or_else(|| missing("descr"))?,
        fortran_order: fortran_order.ok_or_else(|| missing("fortran_order"))?,
        shape: shape.ok_or_else(|| missing("shape"))?,
    })
}

struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// Steps over `token` if it comes next.
    fn take(&mut self, token: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: char) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(self.unexpected(&format!("`{token}`"))) }
    }

    fn unexpected(&self, wanted: &str) -> String {
        let found: String = self.rest.chars().take(12).collect();
        format!("its header should have {wanted} where `{}` stands", found.escape_default())
    }

    fn string(&mut self) -> Result<&'a str, String> {
        self.rest = self.rest.trim_start();
        let quote = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"'));
        let quoted = quote.and_then(|quote| self.rest[1..].split_once(quote));
        let (text, rest) = quoted.ok_or_else(|| self.unexpected("a string"))?;
        self.rest = rest;
        Ok(text)
    }

    fn descr(&mut self) -> Result<String, String> {
        if !self.take('[') {
            return self.string().map(str::to_owned);
        }
        // A list of fields: the caller refuses it, so only its end matters.
        let mut depth = 1_usize;
        for (at, letter) in self.rest.char_indices() {
            match letter {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.rest = &self.rest[at + 1..];
                return Ok("V".to_owned());
            }
        }
        Err(self.unexpected("a closed list of fields"))
    }

    fn boolean(&mut self) -> Result<bool, String> {
        self.rest = self.rest.trim_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err(self.unexpected("True or False"))
    }

    fn shape(&mut self) -> Result<Vec<usize>, String> {
        /// numpy's own limit on the number of axes.
        const MAX_AXES: usize = 64;
        self.expect('(')?;
        let mut shape = Vec::new();
        while !self.take(')') {
            shape.push(self.length()?);
            if shape.len() > MAX_AXES {
                return Err(format!("its shape has more than {MAX_AXES} axes"));
            }
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(shape)
    }

    fn length(&mut self) -> Result<usize, String> {
        self.rest = self.rest.trim_start();
        let digits = self.rest.len() - self.rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let length = self.rest[..digits].parse().map_err(|_| self.unexpected("the length of an axis"))?;
        self.rest = &self.rest[digits..];
        // Python 2 marked long integers with an L.
        self.take('L');
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries_as_numpy_writes_them() {
        let check = |text: &str, shape: &[usize]| {
            let header = Header { descr: "<f8".to_owned(), fortran_order: false, shape: shape.to_vec() };
            assert_eq!(parse_header(text), Ok(header), "{text}");
        };
        check("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }          \n", &[3, 4]);
        check("{'descr': '<f8', 'fortran_order': False, 'shape': (), }\n", &[]);
        check("{\"shape\": (3L,), \"fortran_order\": False, \"descr\": \"<f8\"}", &[3]);
    }

    #[test]
    fn what_is_not_such_a_dictionary_is_named() {
        let check = |text: &str, reason: &str| {
            let error = parse_header(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        };
        check("", "should have `{`");
        check("{'descr': '<f8', 'fortran_order': False}", "lacks the key `shape`");
        check("{'descr': '<f8', 'fortran_order': 1, 'shape': ()}", "True or False");
        check(
            "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
            "the length of an axis where `-1,)}`",
        );
        check(
            "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999999,)}",
            "length of an axis",
        );
        check(
            "{'descr': '<f8', 'fortran_order': False, 'shape': ()} + f()",
            "does not end after the dictionary",
        );
        check("{'descr': __import__('os')}", "a string");
        check("{'colour': 1}", "unknown key `colour`");
    }
}
