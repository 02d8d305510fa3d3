//! Bytes that need not be text, shown as text.

use std::fmt::Write as _;

/// Returns the bytes as text; what is not UTF-8 comes as `\x` and two digits.
pub fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("writing to a string cannot fail");
        }
    }
    text
}

/// Returns a name on one line.
pub fn shown_name(bytes: &[u8]) -> String {
    shown(bytes).replace('\n', "\\n")
}

/// Returns the lines of a text.
pub fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// Returns the SHA-256 of some bytes, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    let digest = crate::image::digest(bytes);
    digest.trim_start_matches("sha256:").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_text_are_shown() {
        assert_eq!(shown(b"a\xffb\n\xc3\xa9"), "a\\xffb\n\u{e9}");
        assert_eq!(shown_name(b"a\xe9\nb"), "a\\xe9\\nb");
    }
}
