//! Turns a serde value into a tree, and scalars into the reference's spelling of them.

use std::fmt::Display;

use serde::ser::{self, Impossible, Serialize};
use toml::value::{Datetime, Offset};

use super::{Error, Node, VERBATIM};

/// Yields `None` for an absent value.
#[derive(Clone, Copy, Debug)]
pub(super) struct TreeSerializer;

type Tree = Option<Node>;

impl ser::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

macro_rules! integers {
    ($($method:ident $type:ty),*) => {
        $(fn $method(self, v: $type) -> Result<Tree, Error> {
            Ok(Some(Node::Plain(v.to_string())))
        })*
    };
}

impl ser::Serializer for TreeSerializer {
    type Ok = Tree;
    type Error = Error;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = Impossible<Tree, Error>;
    type SerializeMap = Map;
    type SerializeStruct = Struct;
    type SerializeStructVariant = Impossible<Tree, Error>;

    integers!(serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_bool bool);

    fn serialize_f32(self, v: f32) -> Result<Tree, Error> {
        Ok(Some(Node::Plain(float(&format!("{v:e}")))))
    }

    fn serialize_f64(self, v: f64) -> Result<Tree, Error> {
        Ok(Some(Node::Plain(float(&format!("{v:e}")))))
    }

    fn serialize_char(self, v: char) -> Result<Tree, Error> {
        Ok(Some(Node::Text(v.to_string())))
    }

    fn serialize_str(self, v: &str) -> Result<Tree, Error> {
        Ok(Some(Node::Text(v.to_owned())))
    }

    fn serialize_bytes(self, v: &[u8]) -> Result<Tree, Error> {
        let items = v.iter().map(|b| Node::Plain(b.to_string()));
        Ok(Some(Node::Array(items.collect())))
    }

    fn serialize_none(self) -> Result<Tree, Error> {
        Ok(None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Tree, Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Tree, Error> {
        Ok(None)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Tree, Error> {
        Ok(None)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Tree, Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Tree, Error> {
        match value.serialize(self)? {
            Some(Node::Text(text)) if name == VERBATIM => Ok(Some(Node::Plain(text))),
            tree => Ok(tree),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<Tree, Error> {
        Err(unsupported(name))
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<List, Error> {
        Ok(List(Vec::new()))
    }

    fn serialize_tuple(self, _len: usize) -> Result<List, Error> {
        Ok(List(Vec::new()))
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<List, Error> {
        Ok(List(Vec::new()))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(unsupported(name))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Map, Error> {
        Ok(Map {
            entries: Vec::new(),
            key: String::new(),
        })
    }

    fn serialize_struct(self, name: &'static str, _len: usize) -> Result<Struct, Error> {
        Ok(Struct {
            entries: Vec::new(),
            is_datetime: name == DATETIME,
        })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Err(unsupported(name))
    }
}

/// A list in the making.
#[derive(Debug)]
pub(super) struct List(Vec<Node>);

impl List {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let item = value.serialize(TreeSerializer)?;
        self.0
            .push(item.ok_or_else(|| Error("array cannot contain nil element".to_owned()))?);
        Ok(())
    }
}

impl ser::SerializeSeq for List {
    type Ok = Tree;
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.push(value)
    }

    fn end(self) -> Result<Tree, Error> {
        Ok(Some(Node::Array(self.0)))
    }
}

impl ser::SerializeTuple for List {
    type Ok = Tree;
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.push(value)
    }

    fn end(self) -> Result<Tree, Error> {
        Ok(Some(Node::Array(self.0)))
    }
}

impl ser::SerializeTupleStruct for List {
    type Ok = Tree;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.push(value)
    }

    fn end(self) -> Result<Tree, Error> {
        Ok(Some(Node::Array(self.0)))
    }
}

/// A map in the making; sorted at its end.
#[derive(Debug)]
pub(super) struct Map {
    entries: Vec<(String, Node)>,
    key: String,
}

impl ser::SerializeMap for Map {
    type Ok = Tree;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        match key.serialize(TreeSerializer)? {
            Some(Node::Text(text)) => {
                self.key = text;
                Ok(())
            }
            _ => Err(Error("map key type is not a string".to_owned())),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if let Some(node) = value.serialize(TreeSerializer)? {
            self.entries.push((std::mem::take(&mut self.key), node));
        }
        Ok(())
    }

    fn end(mut self) -> Result<Tree, Error> {
        self.entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Some(Node::Table(self.entries)))
    }
}

/// A struct in the making; it keeps its order.
#[derive(Debug)]
pub(super) struct Struct {
    entries: Vec<(String, Node)>,
    is_datetime: bool,
}

impl ser::SerializeStruct for Struct {
    type Ok = Tree;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        if let Some(node) = value.serialize(TreeSerializer)? {
            self.entries.push((key.to_owned(), node));
        }
        Ok(())
    }

    fn end(self) -> Result<Tree, Error> {
        match self.entries.first() {
            Some((_, Node::Text(text))) if self.is_datetime => {
                let parsed = text
                    .parse()
                    .map_err(|_| Error(format!("invalid datetime: {text}")))?;
                Ok(Some(Node::Plain(datetime(&parsed))))
            }
            _ => Ok(Some(Node::Table(self.entries))),
        }
    }
}

/// Returns a float in its shortest form, given that form in scientific notation: whole numbers get `.0`,
/// and an exponent of at least two digits is used below -4 and from 6 on.
fn float(scientific: &str) -> String {
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        // NaN, inf, -inf
        return scientific.to_ascii_lowercase();
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    if !(-4..FIRST_LARGE_EXPONENT).contains(&exponent) {
        let direction = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{mantissa}e{direction}{:02}", exponent.unsigned_abs());
    }
    let digits = mantissa.replace('.', "");
    let point = exponent + 1;
    let text = if point <= 0 {
        format!("0.{}{digits}", "0".repeat(point.unsigned_abs() as usize))
    } else {
        let point = point.unsigned_abs() as usize;
        if digits.len() <= point {
            format!("{digits}{}.0", "0".repeat(point - digits.len()))
        } else {
            format!("{}.{}", &digits[..point], &digits[point..])
        }
    };
    format!("{sign}{text}")
}

/// From this decimal exponent on, the shortest form of a float is written with it.
const FIRST_LARGE_EXPONENT: i32 = 6;

/// Returns a datetime without trailing zeros in its fraction, and with `Z` for a zero offset.
fn datetime(value: &Datetime) -> String {
    let mut parts = Vec::new();
    if let Some(date) = value.date {
        parts.push(format!(
            "{:04}-{:02}-{:02}",
            date.year, date.month, date.day
        ));
    }
    if let Some(time) = value.time {
        let mut text = format!(
            "{:02}:{:02}:{:02}",
            time.hour,
            time.minute,
            time.second.unwrap_or_default()
        );
        let fraction = format!("{:09}", time.nanosecond.unwrap_or_default());
        let fraction = fraction.trim_end_matches('0');
        if !fraction.is_empty() {
            text.push('.');
            text.push_str(fraction);
        }
        parts.push(text);
    }
    let offset = match value.offset {
        None => String::new(),
        Some(Offset::Z | Offset::Custom { minutes: 0 }) => "Z".to_owned(),
        Some(offset) => offset.to_string(),
    };
    parts.join("T") + &offset
}

fn unsupported(name: &str) -> Error {
    Error(format!("unsupported type: {name}"))
}

/// Name that a datetime of the `toml` crate announces itself by.
const DATETIME: &str = "$__toml_private_Datetime";
