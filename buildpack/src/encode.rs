//! TOML as the reference writes it, byte for byte, because `metadata.toml` is part of a layer (EXP-047).
//!
//! Fields of a struct keep their order, keys of a map are sorted; in both, plain values come before tables.
//! `None` is left out, an empty list is `[]`. [`Verbatim`] is for text that follows other rules (EXP-049).

mod serializer;
mod writer;

use std::path::Path;

use serde::{Serialize, Serializer};

pub(crate) use writer::quoted;

use crate::syscall_text;

/// Encodes a value whose fields stand in the order that they shall be written in.
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    match value.serialize(serializer::TreeSerializer)? {
        Some(Node::Table(entries)) => Ok(writer::document(&entries)),
        _ => Err(Error("the top of a document must be a table".to_owned())),
    }
}

/// Encodes a value into a file, making its parents; the file is truncated, not replaced (COM-066).
pub fn to_file<T: Serialize + ?Sized>(path: &Path, value: &T) -> Result<(), FileError> {
    let text = to_string(value)?;
    if let Some(parent) = path.parent() {
        syscall_text::make_dirs(parent)?;
    }
    fs_err::write(path, text).map_err(|e| syscall_text::Error::new("open", path, e))?;
    Ok(())
}

/// Text that is written as it is, in the place of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verbatim(pub String);

impl Serialize for Verbatim {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(VERBATIM, &self.0)
    }
}

/// A value that TOML cannot hold.
#[derive(Debug, thiserror::Error)]
#[error("failed to encode TOML: {0}")]
pub struct Error(pub String);

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The value is not one that TOML can hold.
    #[error(transparent)]
    Encode(#[from] Error),
    /// The file system said no.
    #[error(transparent)]
    Syscall(#[from] syscall_text::Error),
}

/// Name by which the serializer knows [`Verbatim`].
const VERBATIM: &str = "$buildpack::encode::Verbatim";

/// A value on its way to text.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    /// A string, not yet quoted.
    Text(String),
    /// Anything else that stands on one line, as written.
    Plain(String),
    /// A list.
    Array(Vec<Self>),
    /// A table, in writing order but for plain values first.
    Table(Vec<(String, Self)>),
}

impl Node {
    /// Returns whether the node is written under a header of its own.
    fn has_header(&self) -> bool {
        matches!(self, Self::Table(_)) || self.is_array_of_tables()
    }

    fn is_array_of_tables(&self) -> bool {
        matches!(self, Self::Array(items)
            if !items.is_empty() && items.iter().all(|item| matches!(item, Self::Table(_))))
    }
}

#[cfg(test)]
mod tests;
