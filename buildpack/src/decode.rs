//! TOML as the reference reads it: keys match exactly, else without regard to case; unknown keys are
//! ignored; a value of the wrong type is an error that names line and last key (BPD-004).
//!
//! Case only counts as little where a type lists its fields: `#[serde(flatten)]` and maps see the keys as they are,
//! so types that are read from files do without `flatten`.

mod deserializer;
mod document;
mod syntax;

use std::path::Path;

use serde::de::DeserializeOwned;

pub use document::Document;

use crate::syscall_text;

/// Why a text could not be decoded; the wording is the reference's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What is wrong, and where.
    pub message: String,
    /// Line of what is wrong, 0 where unknown. The message may name another one: that of the last key of this name.
    pub line: usize,
    /// What is wrong, in plain words and without the place.
    pub problem: String,
}

impl Error {
    /// Returns an error about no place in particular.
    pub fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            problem: message.clone(),
            message,
            line: 0,
        }
    }
}

/// Decodes a TOML text.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    Document::parse(text)?.decode()
}

/// Decodes a TOML file.
pub fn from_file<T: DeserializeOwned>(path: &Path) -> Result<T, FileError> {
    Ok(Document::open(path)?.decode()?)
}

/// Why a file could not be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It could not be read.
    #[error(transparent)]
    Syscall(#[from] syscall_text::Error),
    /// It is not what it should be.
    #[error(transparent)]
    Decode(#[from] Error),
}

impl FileError {
    /// Returns whether the file was not there, which is often no error.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Syscall(error) if error.is_not_found())
    }
}

#[cfg(test)]
mod tests;
