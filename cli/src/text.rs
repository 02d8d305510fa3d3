//! Text for people: safe to print, in tables, sizes that read well.

use std::io::{self, Write};

use layout::text::is_visible;

/// How a result is printed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Text from an image must not steer the terminal, nor show its characters in another order than they are in.
pub(crate) fn printable(text: &str) -> String {
    let safe = |c: char| {
        if is_visible(c) {
            c
        } else {
            char::REPLACEMENT_CHARACTER
        }
    };
    text.chars().map(safe).collect()
}

/// `17 B`, `4.2 kB`, `1.3 GB`: decimal, as registries count.
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    for unit in ["kB", "MB", "GB"] {
        if value < 999.95 {
            return format!("{value:.1} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// Writes rows in columns, indented; all cells are made printable.
pub(crate) fn table<const N: usize>(
    out: &mut dyn Write,
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> io::Result<()> {
    let cells = |row: [String; N]| row.map(|cell| printable(&cell));
    let mut all = vec![head.map(str::to_owned)];
    all.extend(rows.into_iter().map(cells));
    let width = |column: usize| {
        let widths = all.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    for row in &all {
        let cells = row.iter().zip(widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        writeln!(out, "  {}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (4_249_000, "4.2 MB"),
            (1_300_000_000, "1.3 GB"),
            (u64::MAX, "18446744.1 TB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable("a\x1b[31m\nb"), "a\u{fffd}[31m\u{fffd}b");
        assert_eq!(printable("x\u{202e}y\u{2066}"), "x\u{fffd}y\u{fffd}");
        assert_eq!(printable("a\u{200b}b\u{feff}"), "a\u{fffd}b\u{fffd}");
        assert_eq!(printable("größe 大"), "größe 大");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["b".to_owned(), "1\t".to_owned(), String::new()]];
        let mut out = Vec::new();
        table(&mut out, ["NAME", "N", "E"], rows).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "  NAME  N   E\n  b     1\u{fffd}\n");
    }
}
