//! TOML as the reference reads it: keys match exactly, else without regard to case; unknown keys are
//! ignored; a value of the wrong type is an error that names line and last key (BPD-004).

use serde::de::DeserializeOwned;

/// Why a text could not be decoded; the wording is the reference's.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What is wrong, and where.
    pub message: String,
}

/// Decodes a TOML text.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    let _ = text;
    todo!()
}
