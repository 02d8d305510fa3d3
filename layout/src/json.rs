//! JSON as Go's `encoding/json` writes and reads it, because digests and labels depend on the bytes (EXP-062).
//!
//! Writing: `<`, `>`, `&`, U+2028 and U+2029 are escaped, whole floating-point numbers lose their
//! `.0`, very large and small ones get an exponent. Reading: `null` is the same as a missing key,
//! the last of a repeated key wins, and bytes that are no UTF-8 become U+FFFD. Keys are matched
//! exactly, where Go would ignore case.

use std::io::{self, Write};

use serde::Serialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

/// Returns `value` as compact JSON; `<`, `>`, `&`, U+2028 and U+2029 are escaped.
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    write(value, CompactFormatter)
}

/// Returns `value` as JSON indented with three spaces, no final newline: the form of `index.json` (LAY-023).
pub fn to_string_indented<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    write(value, PrettyFormatter::with_indent(b"   "))
}

/// Values that a document may have, those within others included. Each takes a hundred times the memory of its text.
const MAX_VALUES: usize = 500_000;

/// Reads a document; `null` counts as a missing key.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    let text = to_utf8(bytes);
    if values(&text) > MAX_VALUES {
        let problem = format!("more than {MAX_VALUES} values in one document");
        return Err(serde_json::Error::custom(problem));
    }
    let mut value: Value = serde_json::from_str(&text)?;
    if !value.is_object() {
        // serde would take a list for the fields of a struct.
        return Err(serde_json::Error::custom("not a JSON object"));
    }
    drop_nulls(&mut value);
    T::deserialize(value)
}

fn write<T: Serialize + ?Sized>(value: &T, layout: impl Formatter) -> serde_json::Result<String> {
    let mut out = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut out, Go(layout)))?;
    Ok(String::from_utf8(out).expect("JSON of strings is UTF-8"))
}

/// Returns how many values a text has at most: each but the first stands behind a comma, or first in an object or a list.
fn values(text: &str) -> usize {
    let (mut values, mut in_string, mut is_escaped) = (1, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b',' | b'[' | b'{' if !in_string => values += 1,
            _ => {}
        }
    }
    values
}

/// Each byte that is no UTF-8 becomes U+FFFD, as in Go; `from_utf8_lossy` would join several into one.
fn to_utf8(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Escapes and numbers as Go has them, on top of a formatter that decides about white space.
#[derive(Debug)]
struct Go<F>(F);

impl<F: Formatter> Formatter for Go<F> {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut done = 0;
        for (at, special) in fragment.match_indices(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            out.write_all(&fragment.as_bytes()[done..at])?;
            let code = special.chars().next().map_or(0, u32::from);
            write!(out, "\\u{code:04x}")?;
            done = at + special.len();
        }
        out.write_all(&fragment.as_bytes()[done..])
    }

    fn write_f64<W: ?Sized + Write>(&mut self, out: &mut W, value: f64) -> io::Result<()> {
        let size = value.abs();
        if size != 0.0 && !(1e-6..1e21).contains(&size) {
            let text = format!("{value:e}");
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            return write!(out, "{mantissa}e{sign}{exponent}");
        }
        write!(out, "{value}")
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Right-hand sides are what Go 1.26 prints for the same value.
    #[test]
    fn strings_are_escaped_as_go_does() {
        let cases = [
            ("plain", r#""plain""#),
            (
                "<a href=\"x\">&amp;</a>",
                r#""\u003ca href=\"x\"\u003e\u0026amp;\u003c/a\u003e""#,
            ),
            ("a\u{2028}b\u{2029}", r#""a\u2028b\u2029""#),
            ("\u{8}\u{c}\n\r\t", r#""\b\f\n\r\t""#),
            ("\u{0}\u{1f}\u{7f}", "\"\\u0000\\u001f\u{7f}\""),
            ("\\/é😀", r#""\\/é😀""#),
        ];
        for (text, expected) in cases {
            assert_eq!(to_string(text).unwrap(), expected);
        }
        let key = BTreeMap::from([("<k>", 1)]);
        assert_eq!(to_string(&key).unwrap(), r#"{"\u003ck\u003e":1}"#);
    }

    /// Right-hand sides are what Go 1.26 prints for the same float64.
    #[test]
    fn numbers_are_written_as_go_does() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (1.5, "1.5"),
            (-0.1, "-0.1"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (0.000_001, "0.000001"),
            (0.000_000_15, "1.5e-7"),
            (f64::MAX, "1.7976931348623157e+308"),
        ];
        for (number, expected) in cases {
            assert_eq!(to_string(&number).unwrap(), expected);
        }
        assert_eq!(to_string(&u64::MAX).unwrap(), "18446744073709551615");
    }

    #[test]
    fn an_indented_document_has_three_spaces_and_no_newline_at_its_end() {
        let value = json!({"a": [1, {"b": "<"}], "c": {}, "d": []});
        let expected = "{\n   \"a\": [\n      1,\n      {\n         \"b\": \"\\u003c\"\n      }\n   ],\n   \"c\": {},\n   \"d\": []\n}";
        assert_eq!(to_string_indented(&value).unwrap(), expected);
    }

    #[test]
    fn reading_forgives_what_go_forgives() {
        #[derive(Debug, Default, PartialEq, serde::Deserialize)]
        #[serde(default)]
        struct Document {
            list: Vec<String>,
            text: String,
        }
        let cases: [(&[u8], Vec<&str>, &str); 5] = [
            (br#"{"list":null,"text":null}"#, vec![], ""),
            (br#"{"text":"a","text":"b"}"#, vec![], "b"),
            (br#"{"unknown":1,"list":["x"]}"#, vec!["x"], ""),
            (b"{\"text\":\"\xff\xfe.\"}\n", vec![], "\u{fffd}\u{fffd}."),
            (br#"{"text":"\u003c\u2028"}"#, vec![], "<\u{2028}"),
        ];
        for (bytes, list, text) in cases {
            let found: Document = from_slice(bytes).unwrap();
            assert_eq!(found.list, list);
            assert_eq!(found.text, text);
        }
    }

    #[test]
    fn garbage_is_an_error() {
        let deep = "[".repeat(100_000);
        for text in ["", "{", "[1,", "[]", "nul", "{\"a\":1}}", &deep] {
            assert!(from_slice::<Value>(text.as_bytes()).is_err(), "{text:.20}");
        }
    }

    #[test]
    fn values_are_counted_before_they_take_memory() {
        for (text, count) in [
            ("1", 1),
            ("{}", 2),
            (r#"{"a":[1,2],"b,":"\",[{"}"#, 5),
            (r#"["\\",1]"#, 3),
        ] {
            assert_eq!(values(text), count, "{text}");
        }
        let many = r#"{"":0},"#.repeat(MAX_VALUES / 2);
        let error = from_slice::<Value>(format!(r#"{{"x":[{many}0]}}"#).as_bytes()).unwrap_err();
        assert!(error.to_string().contains("more than 500000 values"));
        let text = format!(r#"{{"x":"{many}"}}"#).replace(r#"{"":0}"#, "[,]");
        from_slice::<Value>(text.as_bytes()).unwrap();
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value in document()) {
            for text in [to_string(&value).unwrap(), to_string_indented(&value).unwrap()] {
                let is_escaped = !text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']);
                prop_assert!(is_escaped);
                let again: Value = from_slice(text.as_bytes()).unwrap();
                prop_assert_eq!(&again, &value);
            }
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            from_slice::<Value>(&bytes).ok();
        }
    }

    fn document() -> impl Strategy<Value = Value> {
        let text = "[a-z<>&\\PC\u{2028}\u{2029}\"\\\\]{0,8}";
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(4, 32, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(text, inner, 0..4)
                    .prop_map(|it| it.into_iter().collect()),
            ]
        });
        prop::collection::btree_map(text, value, 0..4).prop_map(|it| it.into_iter().collect())
    }
}
