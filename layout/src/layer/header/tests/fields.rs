//! Each field of a header by its rule.

use super::*;

/// The fields of a block: name, mode, uid, gid, size, mtime, type, link, magic and version, names, device, prefix.
fn fields(block: &[u8]) -> Vec<String> {
    let borders = [
        0, 100, 108, 116, 124, 136, 148, 156, 157, 257, 265, 329, 345, 500, 512,
    ];
    let field = |pair: &[usize]| String::from_utf8_lossy(&block[pair[0]..pair[1]]).into_owned();
    let mut fields: Vec<_> = borders.windows(2).map(field).collect();
    let checksum = fields.remove(6);
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    let own: u32 = checksum.bytes().map(u32::from).sum();
    assert_eq!(checksum, format!("{:06o}\0 ", sum - own + 8 * 32));
    assert_eq!(fields.pop().unwrap(), "\0".repeat(12));
    fields
}

fn padded(text: &str, len: usize) -> String {
    format!("{text}{}", "\0".repeat(len - text.len()))
}

fn blocks(entry: &Entry) -> Vec<u8> {
    let mut blocks = Vec::new();
    append(entry, &mut blocks).unwrap();
    blocks
}

/// A kind of entry, then mode, size, type flag, link and device as a block has them.
type Row = (
    Entry,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    [&'static str; 2],
);

#[rustfmt::skip]
fn kinds() -> Vec<Row> {
    use EntryKind::{BlockDevice, CharDevice, Directory, Fifo};
    let none = ["0000000"; 2];
    let (char, block) = (CharDevice { major: 1, minor: 3 }, BlockDevice { major: 4095, minor: 1_048_575 });
    vec![
        (entry("/d", 0o755, Directory), "0000755", "00000000000", "5", "", none),
        (file("/f", 0o4640, 0), "0004640", "00000000000", "0", "", none),
        (file("/f", 0o2751, 4097), "0002751", "00000010001", "0", "", none),
        // What a file system calls the mode has the kind in it too.
        (file("/f", 0o100_644, 1), "0000644", "00000000001", "0", "", none),
        (entry("/t", 0o41_777, Directory), "0001777", "00000000000", "5", "", none),
        (link("/l", "../x"), "0000777", "00000000000", "2", "../x", none),
        (entry("/p", 0o600, Fifo), "0000600", "00000000000", "6", "", none),
        (entry("/c", 0o666, char), "0000666", "00000000000", "3", "", ["0000001", "0000003"]),
        (entry("/b", 0o660, block), "0000660", "00000000000", "4", "", ["0007777", "3777777"]),
    ]
}

/// EXP-030 to EXP-033, EXP-036, EXP-037.
#[test]
fn every_field_of_a_block() {
    for (entry, mode, size, kind, link, [major, minor]) in kinds() {
        let block = blocks(&owned(1000, 2_097_151, entry));
        assert_eq!(block.len(), BLOCK);
        let name = String::from_utf8_lossy(&block[..2]).into_owned();
        let number = |text: &str| format!("{text}\0");
        let expected = [
            padded(&name, 100),
            number(mode),
            number("0001750"),
            number("7777777"),
            number(size),
            // 1980-01-01T00:00:01Z
            number("02263523001"),
            kind.to_owned(),
            padded(link, 100),
            "ustar\x0000".to_owned(),
            // No names of user and group, whoever owns it here.
            padded("", 64),
            number(major) + &number(minor),
            padded("", 155),
        ];
        assert_eq!(fields(&block), expected, "{name}");
    }
}

/// EXP-038.
#[test]
fn long_names_are_split_at_the_last_slash_of_their_first_156_bytes() {
    let n = |len: usize| "n".repeat(len);
    let rows = [
        // Exactly 100 bytes are not long.
        (
            format!("/{}", n(99)),
            Some((String::new(), format!("/{}", n(99)))),
        ),
        (format!("/ab/{}", n(97)), Some(("/ab".to_owned(), n(97)))),
        (
            format!("/{}/{}", n(154), n(100)),
            Some((format!("/{}", n(154)), n(100))),
        ),
        // The slash may be the 156th byte, not the 157th.
        (format!("/{}/{}", n(155), n(50)), None),
        (format!("/{}/{}", n(50), n(101)), None),
        (
            format!("/{}/{}/{}", n(40), n(60), n(3)),
            Some((format!("/{}/{}", n(40), n(60)), n(3))),
        ),
        // The last slash counts, even where an earlier one would do.
        (format!("/{}/{}/", n(50), n(60)), None),
        (format!("/{}", n(100)), None),
    ];
    for (name, expected) in rows {
        let block = blocks(&file(name.clone(), 0o644, 0));
        let found = (block.len() == BLOCK).then(|| {
            let fields = fields(&block);
            let text = |field: &str| field.trim_end_matches('\0').to_owned();
            (text(&fields[11]), text(&fields[0]))
        });
        assert_eq!(found, expected, "{name}");
    }
}

/// What stands in front of a header that cannot hold all: the records, and the name of their own header.
struct Pax {
    name: String,
    records: String,
    main: Vec<String>,
}

fn pax(entry: &Entry) -> Pax {
    let blocks = blocks(entry);
    let (header, rest) = blocks.split_at(BLOCK);
    let fields_of_records = fields(header);
    let size = usize::from_str_radix(fields_of_records[4].trim_end_matches('\0'), 8).unwrap();
    let (records, main) = rest.split_at(size.next_multiple_of(BLOCK));
    assert!(records[size..].iter().all(|&byte| byte == 0));
    assert_eq!(main.len(), BLOCK);
    // EXP-041: of nobody, without mode and time; device and prefix are not even octal.
    let expected = [
        "0000000\0",
        "0000000\0",
        "0000000\0",
        &fields_of_records[4],
        "00000000000\0",
        "x",
        &padded("", 100),
        "ustar\x0000",
        &padded("", 64),
        &padded("", 16),
        &padded("", 155),
    ];
    assert_eq!(fields_of_records[1..], expected);
    Pax {
        name: fields_of_records[0].trim_end_matches('\0').to_owned(),
        records: String::from_utf8_lossy(&records[..size]).into_owned(),
        main: fields(main),
    }
}

/// EXP-039 to EXP-042.
#[test]
fn only_what_does_not_fit_is_recorded() {
    let n = |len: usize| "n".repeat(len);
    let long = format!("/{}", n(100));
    let target = "t".repeat(101);
    let rows: Vec<(Entry, String)> = vec![
        (file("/é", 0o644, 0), "12 path=/é\n".to_owned()),
        (file(long.clone(), 0o644, 0), format!("111 path={long}\n")),
        (link("/l", "é"), "15 linkpath=é\n".to_owned()),
        (
            link("/l", target.clone()),
            format!("115 linkpath={target}\n"),
        ),
        (
            owned(2_097_152, 5, file("/f", 0o644, 0)),
            "15 uid=2097152\n".to_owned(),
        ),
        (
            owned(5, 2_097_152, file("/f", 0o644, 0)),
            "15 gid=2097152\n".to_owned(),
        ),
        (
            file("/f", 0o644, 0o100_000_000_000),
            "19 size=8589934592\n".to_owned(),
        ),
        // In the order of their keys; a name that could be split is recorded with them.
        (
            owned(
                2_097_152,
                2_097_153,
                link(format!("/{}/{}", n(60), n(60)), "é"),
            ),
            format!(
                "15 gid=2097153\n15 linkpath=é\n132 path=/{}/{}\n15 uid=2097152\n",
                n(60),
                n(60)
            ),
        ),
    ];
    for (entry, expected) in rows {
        assert_eq!(pax(&entry).records, expected);
    }
    for fits in [
        owned(2_097_151, 2_097_151, file("/f", 0o644, 0o77_777_777_777)),
        link(format!("/{}", n(99)), "t".repeat(100)),
    ] {
        assert_eq!(blocks(&fits).len(), BLOCK, "{fits:?}");
    }
}

/// EXP-040: the length counts its own digits.
#[test]
fn the_length_of_a_record_counts_itself() {
    for (value, expected) in [
        (1, 9),
        (2, 11),
        (88, 97),
        (89, 98),
        (90, 99),
        (91, 101),
        (988, 998),
        (989, 999),
        (990, 1001),
    ] {
        let record = record("path", &vec![b'v'; value]);
        assert_eq!(record.len(), expected, "{value}");
        let text = String::from_utf8(record).unwrap();
        assert!(text.starts_with(&format!("{expected} path=v")), "{value}");
        assert!(text.ends_with("v\n"));
    }
}

/// EXP-041 and EXP-042.
#[test]
fn names_beside_a_record_are_ascii_of_at_most_100_bytes() {
    let n = |len: usize| "n".repeat(len);
    let rows = [
        (
            "/a/é-b".to_owned(),
            "/a/PaxHeaders.0/-b".to_owned(),
            "/a/-b".to_owned(),
        ),
        ("/é".to_owned(), "/PaxHeaders.0".to_owned(), "/".to_owned()),
        (
            format!("/{}", n(120)),
            format!("/PaxHeaders.0/{}", n(86)),
            format!("/{}", n(99)),
        ),
        // A slash that lands on the last byte is none.
        (
            format!("/{}/{}", n(98), n(110)),
            format!("/{}", n(98)),
            format!("/{}", n(98)),
        ),
    ];
    for (name, of_records, of_main) in rows {
        let pax = pax(&file(name.clone(), 0o640, 7));
        assert_eq!(pax.name, of_records, "{name}");
        assert_eq!(pax.main[0], padded(&of_main, 100), "{name}");
        assert_eq!(pax.main[11], padded("", 155), "{name}");
        assert_eq!(
            (pax.main[1].as_str(), pax.main[4].as_str()),
            ("0000640\0", "00000000007\0")
        );
        assert_eq!(pax.main[5], "02263523001\0");
    }
    let link = pax(&link("/l", format!("é{}", "t".repeat(120))));
    assert_eq!(link.main[7], "t".repeat(100));
    // Numbers that do not fit are zero, those that do are not.
    let large = pax(&owned(2_097_152, 7, file("/f", 0o644, 0o100_000_000_000)));
    assert_eq!(
        large.main[2..5],
        ["0000000\0", "0000007\0", "00000000000\0"]
    );
}

/// EXP-035.
#[test]
fn the_format_is_chosen_entry_by_entry() {
    let mut archive = Vec::new();
    for name in ["/a", "/é", "/b"] {
        append(&file(name, 0o644, 0), &mut archive).unwrap();
    }
    let kinds: Vec<_> = [0, 1, 3, 4]
        .map(|block: usize| archive[block * BLOCK + 156])
        .into();
    assert_eq!(kinds, *b"0x00");
    assert_eq!(archive.len(), 5 * BLOCK);
    for block in [0, 1, 3, 4] {
        let magic = &archive[block * BLOCK + 257..][..8];
        assert_eq!(magic, b"ustar\x0000", "never GNU's");
    }
}
