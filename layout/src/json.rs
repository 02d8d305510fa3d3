//! JSON as Go's `encoding/json` writes it, because digests and labels depend on the bytes (EXP-062).

use serde::Serialize;

/// Returns `value` as compact JSON; `<`, `>`, `&`, U+2028 and U+2029 are escaped.
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    let _ = value;
    todo!()
}
