//! ANSI escape sequences, taken out of a stream of bytes (COM-033). A sequence may be spread over several writes.
//!
//! A sequence that is not finished ends with its line, so a broken one cannot swallow what follows.

/// Where in a sequence the stream is.
#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Text,
    /// After ESC and intermediate bytes.
    Escape,
    /// After ESC `[`: up to a letter.
    Control,
    /// After ESC `]` or its kin: up to BEL or ESC `\`.
    String,
}

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;

/// Takes escape sequences out.
#[derive(Debug, Default)]
pub(super) struct Filter {
    state: State,
}

impl Filter {
    /// Returns what is left of the next bytes.
    pub(super) fn strip(&mut self, bytes: &[u8]) -> Vec<u8> {
        bytes
            .iter()
            .copied()
            .filter(|byte| self.keeps(*byte))
            .collect()
    }

    fn keeps(&mut self, byte: u8) -> bool {
        let (next, keeps) = match (self.state, byte) {
            (_, ESC) | (State::Escape, 0x20..=0x2f) => (State::Escape, false),
            (State::Text, _) | (State::String, b'\n') => (State::Text, true),
            (State::Escape, b'[') | (State::Control, 0x20..=0x3f) => (State::Control, false),
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => (State::String, false),
            (State::Escape | State::Control, 0x30..=0x7e) | (State::String, BEL) => {
                (State::Text, false)
            }
            (State::Escape | State::Control, _) => (State::Text, true),
            (State::String, _) => (State::String, false),
        };
        self.state = next;
        keeps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_taken_out() {
        for (text, expected) in [
            ("plain", "plain"),
            ("\x1b[31;1mERROR: \x1b[0mtext\n", "ERROR: text\n"),
            ("\x1b[38;5;208mx\x1b[m", "x"),
            ("\x1b[2K\x1b[1Ax", "x"),
            ("a\x1b[?25lb", "ab"),
            ("\x1b]8;;http://a\x07link\x1b]8;;\x1b\\!", "link!"),
            ("\x1b(Bx\x1b7y", "xy"),
            ("umlaut ä \x1b[1m€", "umlaut ä €"),
            ("cut \x1b[3\nnext", "cut \nnext"),
            ("cut \x1b]0;title\nnext", "cut \nnext"),
            ("cut \x1b\nnext", "cut \nnext"),
            ("[0m\r\t", "[0m\r\t"),
        ] {
            let left = Filter::default().strip(text.as_bytes());
            assert_eq!(String::from_utf8(left).unwrap(), expected);
            // Byte by byte the same comes out.
            let mut filter = Filter::default();
            let left: Vec<u8> = text
                .bytes()
                .flat_map(|byte| filter.strip(&[byte]))
                .collect();
            assert_eq!(String::from_utf8(left).unwrap(), expected);
        }
    }
}
