//! TOML as the reference writes it, byte for byte, because `metadata.toml` is part of a layer (EXP-047).

use serde::Serialize;

/// Encodes a value whose fields stand in the order that they shall be written in.
pub fn to_string<T: Serialize>(value: &T) -> Result<String, Error> {
    let _ = value;
    todo!()
}

/// A value that TOML cannot hold.
#[derive(Debug, thiserror::Error)]
#[error("failed to encode TOML: {0}")]
pub struct Error(pub String);
