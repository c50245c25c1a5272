//! JSON with a line for each entry of an object, and arrays on one line.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use thalweg_files::Fingerprint;

pub(super) fn pretty(value: &impl Serialize) -> String {
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, Lines(PrettyFormatter::new()));
    match value.serialize(&mut serializer) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned() + "\n",
        Err(error) => panic!("plain data is always JSON: {error}"),
    }
}

/// Of the JSON without spaces, where equal numbers are equal to the last bit.
pub(super) fn fingerprint(value: &impl Serialize) -> String {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            let mut fingerprint = Fingerprint::default();
            fingerprint.bytes(&bytes);
            fingerprint.text()
        }
        Err(error) => panic!("plain data is always JSON: {error}"),
    }
}

/// Objects as the pretty formatter has them; arrays as by default, without spaces.
struct Lines(PrettyFormatter<'static>);

impl Formatter for Lines {
    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}
