//! serde over a parsed text, with the reference's idea of which value fits which destination.

use std::fmt::Display;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, IntoDeserializer, Visitor};
use toml::Value;

use super::document::{Lines, join};
use super::{Error, syntax};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct ValueDeserializer<'a> {
    value: &'a Value,
    path: String,
    /// The path with the indexes of arrays.
    place: String,
    lines: &'a Lines,
}

impl<'a> ValueDeserializer<'a> {
    /// Returns the deserializer of a whole text.
    pub(super) fn new(value: &'a Value, lines: &'a Lines) -> Self {
        Self {
            value,
            path: String::new(),
            place: String::new(),
            lines,
        }
    }

    fn child(&self, key: &str, value: &'a Value) -> Self {
        Self {
            value,
            path: join(&self.path, key),
            place: join(&self.place, key),
            lines: self.lines,
        }
    }

    fn item(&self, value: &'a Value, index: usize) -> Self {
        Self {
            value,
            place: format!("{}[{index}]", self.place),
            ..self.clone()
        }
    }

    /// Returns an error about this value, with the line that the reference names and the one where the value is.
    fn fault(&self, message: &str, problem: String) -> Fault {
        let line = |key: &str| self.lines.get(key).copied().unwrap_or_default();
        let error = syntax::at(line(&self.path), &self.path, message);
        Fault {
            line: line(&self.place),
            message: error.message,
            problem,
            is_placed: true,
        }
    }

    fn wrong_type(&self, destination: &str) -> Fault {
        let message = format!(
            "incompatible types: TOML value has type {}; destination has type {destination}",
            type_name(self.value)
        );
        self.fault(&message, self.not_a(destination))
    }

    /// Says in plain words what this value is and what it should be.
    fn not_a(&self, destination: &str) -> String {
        let item = if self.place.ends_with(']') {
            "an item of "
        } else {
            ""
        };
        let (name, is) = (&self.path, plain_type_name(self.value));
        let should_be = match destination {
            "slice" => "an array",
            "integer" => "an integer",
            "float" => "a number",
            "boolean" => "true or false",
            "table" => "a table",
            _ => "a string",
        };
        format!("{item}{name:?} is {is}, not {should_be}")
    }

    /// Gives an error that a visitor made the place of this value.
    fn placed<T>(&self, result: Result<T, Fault>) -> Result<T, Fault> {
        result.map_err(|fault| {
            if fault.is_placed {
                fault
            } else {
                let problem = format!("{:?}: {}", self.path, fault.message);
                self.fault(&fault.message, problem)
            }
        })
    }

    fn table<'de, V: Visitor<'de>>(
        &self,
        table: &'a toml::Table,
        visitor: V,
    ) -> Result<V::Value, Fault>
    where
        'a: 'de,
    {
        let entries = table
            .iter()
            .map(|(key, value)| (key.as_str(), self.child(key, value)));
        visitor.visit_map(MapDeserializer::new(entries))
    }

    fn array<'de, V: Visitor<'de>>(&self, items: &'a [Value], visitor: V) -> Result<V::Value, Fault>
    where
        'a: 'de,
    {
        visitor.visit_seq(SeqDeserializer::new(
            (0..).zip(items).map(|(index, item)| self.item(item, index)),
        ))
    }

    fn sequence<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault>
    where
        'a: 'de,
    {
        match self.value {
            Value::Array(items) => self.placed(self.array(items, visitor)),
            _ => Err(self.wrong_type("slice")),
        }
    }

    fn integer<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::Integer(number) => self.placed(visitor.visit_i64(*number)),
            _ => Err(self.wrong_type("integer")),
        }
    }

    fn float<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::Float(number) => self.placed(visitor.visit_f64(*number)),
            Value::Integer(number) => self.placed(visitor.visit_i64(*number)),
            _ => Err(self.wrong_type("float")),
        }
    }

    fn string<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::String(text) => self.placed(visitor.visit_str(text)),
            _ => Err(self.wrong_type("string")),
        }
    }
}

macro_rules! forward {
    ($to:ident: $($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.$to(visitor)
        })*
    };
}

impl<'de> de::Deserializer<'de> for ValueDeserializer<'de> {
    type Error = Fault;

    forward!(integer: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64);
    forward!(float: deserialize_f32 deserialize_f64);
    forward!(string: deserialize_char deserialize_str deserialize_string deserialize_identifier);
    forward!(sequence: deserialize_seq deserialize_bytes deserialize_byte_buf);

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::String(text) => self.placed(visitor.visit_str(text)),
            Value::Integer(number) => self.placed(visitor.visit_i64(*number)),
            Value::Float(number) => self.placed(visitor.visit_f64(*number)),
            Value::Boolean(value) => self.placed(visitor.visit_bool(*value)),
            Value::Array(items) => self.placed(self.array(items, visitor)),
            Value::Table(table) => self.placed(self.table(table, visitor)),
            // The toml crate knows its datetimes by a map of one agreed key.
            Value::Datetime(when) => {
                let entry = std::iter::once((DATETIME_FIELD, when.to_string()));
                self.placed(visitor.visit_map(MapDeserializer::new(entry)))
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::Boolean(value) => self.placed(visitor.visit_bool(*value)),
            _ => Err(self.wrong_type("boolean")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    /// What is no table is as good as absent in the place of a free-form one.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::Table(table) => self.placed(self.table(table, visitor)),
            _ => visitor.visit_map(MapDeserializer::new(std::iter::empty::<(&str, &str)>())),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == DATETIME {
            return self.deserialize_any(visitor);
        }
        let Value::Table(table) = self.value else {
            let message = format!(
                "type mismatch for {name}: expected table but found {}",
                type_name(self.value)
            );
            return Err(self.fault(&message, self.not_a("table")));
        };
        let entries = fields.iter().filter_map(|&field| {
            let (key, value) = entry_for(table, field, fields)?;
            Some((field, self.child(key, value)))
        });
        let result = visitor.visit_map(MapDeserializer::new(entries));
        self.placed(result)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.sequence(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.sequence(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.value {
            Value::String(text) => {
                self.placed(visitor.visit_enum(text.as_str().into_deserializer()))
            }
            _ => Err(self.wrong_type("string")),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }
}

impl<'de> IntoDeserializer<'de, Fault> for ValueDeserializer<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// An error on its way up; the innermost value gives it its place.
#[derive(Debug)]
pub(super) struct Fault {
    message: String,
    line: usize,
    problem: String,
    is_placed: bool,
}

impl Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        Self {
            message: message.to_string(),
            line: 0,
            problem: String::new(),
            is_placed: false,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self {
            message: fault.message,
            line: fault.line,
            problem: fault.problem,
        }
    }
}

/// Returns the entry that fills a field: the one of exactly its name, else one that differs in case
/// and is no other field's own.
fn entry_for<'a>(
    table: &'a toml::Table,
    field: &str,
    fields: &[&str],
) -> Option<(&'a String, &'a Value)> {
    table.get_key_value(field).or_else(|| {
        let folded = field.to_lowercase();
        table
            .iter()
            .find(|(key, _)| key.to_lowercase() == folded && !fields.contains(&key.as_str()))
    })
}

/// Returns what the reference calls the type of a value.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Integer(_) => "int64",
        Value::Float(_) => "float64",
        Value::Boolean(_) => "bool",
        Value::Datetime(_) => "time.Time",
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_table) => {
            "[]map[string]any"
        }
        Value::Array(_) => "[]any",
        Value::Table(_) => "map[string]any",
    }
}

/// Returns what a value is for people.
fn plain_type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a number with a point",
        Value::Boolean(true) => "true",
        Value::Boolean(false) => "false",
        Value::Datetime(_) => "a date or time",
        Value::Array(_) => "an array",
        Value::Table(_) => "a table",
    }
}

/// Name that a datetime of the `toml` crate asks for.
const DATETIME: &str = "$__toml_private_Datetime";

/// The one key that it then wants.
const DATETIME_FIELD: &str = "$__toml_private_datetime";
