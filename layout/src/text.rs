//! Text that others wrote, for messages: it must neither steer a terminal nor fill it.

/// Returns whether a character shows itself, and nothing else: no control character, none that turns the direction of
/// text or has no width.
pub fn is_visible(c: char) -> bool {
    let is_format = matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    );
    !c.is_control() && !is_format
}

/// Returns the visible characters of a text.
pub fn visible(text: &str) -> String {
    text.chars().filter(|it| is_visible(*it)).collect()
}

/// Returns a text without its end if it has more than `most` characters; three dots stand for the end.
pub fn shortened(mut text: String, most: usize) -> String {
    if let Some((at, _)) = text.char_indices().nth(most) {
        text.truncate(at);
        text.push_str("...");
    }
    text
}

/// Returns a text as a message may have it: what is visible of its first `most` characters.
pub fn printable(text: &str, most: usize) -> String {
    shortened(visible(text), most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_neither_steers_nor_fills_the_terminal() {
        for (text, expected) in [
            ("not\u{1b}[31m\nyours", "not[31my..."),
            ("a\u{202e}b\u{2066}c\u{200b}d\u{feff}", "abcd"),
            ("größe 大", "größe 大"),
            ("12345678", "12345678"),
            ("123456789", "12345678..."),
            ("", ""),
        ] {
            assert_eq!(printable(text, 8), expected);
        }
    }
}
