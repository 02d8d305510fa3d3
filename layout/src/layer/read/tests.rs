use super::*;

/// Returns a whole entry: a header that `change` has changed, and contents.
fn entry(change: impl Fn(&mut Header), contents: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[0] = b'f';
    header.set_entry_type(EntryType::Regular);
    header.set_size(contents.len() as u64);
    change(&mut header);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(contents);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

fn extended(kind: EntryType, contents: &[u8]) -> Vec<u8> {
    entry(|header| header.set_entry_type(kind), contents)
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let text: String = records
        .iter()
        .map(|(key, value)| {
            let rest = format!(" {key}={value}\n");
            let mut lengths = rest.len()..rest.len() + 10;
            let len = lengths.find(|len| len.to_string().len() + rest.len() == *len);
            len.unwrap().to_string() + &rest
        })
        .collect();
    extended(EntryType::XHeader, text.as_bytes())
}

/// Reads all entries, each with its contents.
fn read(mut bytes: &[u8]) -> io::Result<Vec<(Head, Vec<u8>)>> {
    let mut archive = Archive::new(&mut bytes);
    let mut entries = Vec::new();
    while let Some(head) = archive.next_head()? {
        let mut contents = Vec::new();
        while !archive.fill()?.is_empty() {
            contents.push(archive.fill()?[0]);
            archive.consume(1);
        }
        entries.push((head, contents));
    }
    archive.finish()?;
    Ok(entries)
}

fn only(bytes: &[u8]) -> Head {
    let entries = read(bytes).unwrap();
    assert_eq!(entries.len(), 1);
    entries[0].0.clone()
}

#[test]
fn numbers_are_octal_or_base_256() {
    let cases: [(&[u8], Option<i64>); 18] = [
        (b"0000644\0", Some(0o644)),
        (b"   644 \0", Some(0o644)),
        (b"\x00\x00644 \0", Some(0o644)),
        (b"77777777", Some(0o77_777_777)),
        (b"", Some(0)),
        (b"\0\0\0\0\0\0\0\0", Some(0)),
        (b"       \0", Some(0)),
        (b"1 2     ", Some(1)),
        (b"0000648\0", None),
        (b"-1\0", None),
        (b"+1\0", None),
        (b"\xc3\xa9", Some(-15_447)),
        (b"x\0", None),
        (b"\x80\0\0\0\0\0\x01\0", Some(256)),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
        (
            b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
            Some(i64::MAX),
        ),
        (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
        (b"\x81\0\0\0\0\0\0\0\0\0\0\0", None),
    ];
    for (field, expected) in cases {
        assert_eq!(number(field).ok(), expected, "{field:?}");
    }
}

#[test]
fn times_have_a_fraction() {
    let cases = [
        ("0", Some((0, 0))),
        ("12.5", Some((12, 500_000_000))),
        ("12.123456789123", Some((12, 123_456_789))),
        ("-1.25", Some((-2, 750_000_000))),
        ("-0.5", Some((-1, 500_000_000))),
        ("-3", Some((-3, 0))),
        ("12.", Some((12, 0))),
        ("", None),
        (".5", None),
        ("1.-5", None),
        ("1.2.3", None),
        ("1e3", None),
        ("99999999999999999999", None),
        ("-9223372036854775808.5", None),
    ];
    for (text, expected) in cases {
        let found = time(text.as_bytes());
        let found = found.map(|time| (time.seconds, time.nanoseconds));
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn records_say_how_long_they_are() {
    type Record = (&'static [u8], &'static [u8], &'static [u8]);
    let cases: [(&[u8], Option<Record>); 11] = [
        (b"6 a=b\n", Some((b"a", b"b", b""))),
        (b"6 a=b\n6 c=d\n", Some((b"a", b"b", b"6 c=d\n"))),
        (b"8 a=b=c\n", Some((b"a", b"b=c", b""))),
        (b"5 a=\n", Some((b"a", b"", b""))),
        (b"7 a=b\n", None),
        (b"5 a=b\n", None),
        (b"6 a=bx", None),
        (b"0 a=b\n", None),
        (b"-6 a=b\n", None),
        (b"99999999999999999999 a=b\n", None),
        (b"4 a\n", None),
    ];
    for (text, expected) in cases {
        assert_eq!(record(text), expected, "{text:?}");
    }
}

#[test]
fn extended_headers_win_over_fields() {
    let long = "n".repeat(300);
    let records = [
        ("path", long.as_str()),
        ("linkpath", "target"),
        ("size", "3"),
        ("uid", "3000000000"),
        ("gid", "-1"),
        ("mtime", "1.5"),
        ("comment", "x"),
    ];
    let bytes = [pax(&records), entry(|header| header.set_size(0), b"abc")].concat();
    let entries = read(&bytes).unwrap();
    let (head, contents) = &entries[0];
    assert_eq!(contents, b"abc");
    assert_eq!(head.name, long.as_bytes());
    assert_eq!(head.link, b"target");
    assert_eq!((head.uid, head.gid), (3_000_000_000, -1));
    let mtime = Time {
        seconds: 1,
        nanoseconds: 500_000_000,
    };
    assert_eq!(head.mtime, mtime);
    assert!(!head.sparse);
    // For one entry only; and what is empty says nothing.
    let two = [
        pax(&[("path", "x"), ("path", "")]),
        entry(|_| {}, b""),
        entry(|_| {}, b""),
    ]
    .concat();
    let names: Vec<_> = read(&two)
        .unwrap()
        .into_iter()
        .map(|it| it.0.name)
        .collect();
    assert_eq!(names, [b"x".to_vec(), b"f".to_vec()]);
    // A global one says nothing about files.
    let global = [
        extended(EntryType::XGlobalHeader, b"9 path=x\n"),
        entry(|_| {}, b""),
    ];
    assert_eq!(only(&global.concat()).name, b"f");
    let gnu = [
        extended(EntryType::GNULongLink, b"link\0rest"),
        extended(EntryType::GNULongName, b"name\0"),
        pax(&[("uid", "1")]),
        entry(|_| {}, b""),
    ];
    let head = only(&gnu.concat());
    assert_eq!(
        (&*head.name, &*head.link, head.uid),
        (&b"name"[..], &b"link"[..], 1)
    );
    assert!(only(&[pax(&[("GNU.sparse.major", "1")]), entry(|_| {}, b"")].concat()).sparse);
}

#[test]
fn names_have_a_prefix_in_ustar_alone() {
    let prefixed = |header: &mut Header| {
        let fields = header.as_ustar_mut().unwrap();
        fields.prefix[..3].copy_from_slice(b"dir");
    };
    assert_eq!(only(&entry(prefixed, b"")).name, b"dir/f");
    let gnu = |header: &mut Header| {
        prefixed(header);
        let fields = header.as_ustar_mut().unwrap();
        (fields.magic, fields.version) = (*b"ustar ", *b" \0");
    };
    assert_eq!(only(&entry(gnu, b"")).name, b"f");
    let full = |header: &mut Header| header.as_old_mut().name = [b'n'; 100];
    assert_eq!(only(&entry(full, b"")).name, [b'n'; 100]);
}

#[test]
fn what_has_no_contents_has_no_size() {
    for kind in [
        EntryType::Block,
        EntryType::Char,
        EntryType::Directory,
        EntryType::Fifo,
        EntryType::Link,
        EntryType::Symlink,
    ] {
        let sized = |header: &mut Header| {
            header.set_entry_type(kind);
            header.set_size(1 << 30);
        };
        let entries = read(&[entry(sized, b""), entry(|_| {}, b"x")].concat()).unwrap();
        assert_eq!(entries.len(), 2, "{kind:?}");
        assert_eq!(entries[0].0.kind, kind);
    }
    let old = |header: &mut Header| {
        header.as_old_mut().linkflag = [0];
        header.as_old_mut().name[1] = b'/';
    };
    assert_eq!(only(&entry(old, b"")).kind, EntryType::Directory);
}

#[test]
fn archives_end_with_zeros_or_with_the_file() {
    let one = entry(|_| {}, b"x");
    for zeros in [0, 512, 1024, 10_000] {
        let bytes = [&one[..], &vec![0; zeros]].concat();
        assert_eq!(read(&bytes).unwrap().len(), 1, "{zeros}");
    }
    // Without its last padding, as Go has it.
    assert_eq!(read(&one[..513]).unwrap().len(), 1);
    assert!(read(&one[..512]).is_err());
    assert!(read(&[&one[..], &[0; 512], &one[..]].concat()).is_err());
    // Behind two blocks of zeros nothing is read.
    assert_eq!(
        read(&[&one[..], &[0; 1024], &one[..]].concat())
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn damage_is_an_error() {
    let wrong_sum = |at: usize| {
        let mut bytes = entry(|_| {}, b"");
        bytes[at] ^= 1;
        bytes
    };
    let negative = |header: &mut Header| {
        header.as_old_mut().size = [0xff; 12];
    };
    for (what, bytes) in [
        ("a name's checksum", wrong_sum(0)),
        ("the last byte's checksum", wrong_sum(511)),
        ("a negative size", entry(negative, b"")),
        (
            "a negative PAX size",
            [pax(&[("size", "-1")]), entry(|_| {}, b"")].concat(),
        ),
        (
            "no size",
            [pax(&[("size", "x")]), entry(|_| {}, b"")].concat(),
        ),
        (
            "no id",
            [pax(&[("uid", "1.5")]), entry(|_| {}, b"")].concat(),
        ),
        (
            "no time",
            [pax(&[("mtime", "now")]), entry(|_| {}, b"")].concat(),
        ),
        (
            "NUL in a name",
            [pax(&[("path", "a\0b")]), entry(|_| {}, b"")].concat(),
        ),
        (
            "no record",
            [extended(EntryType::XHeader, b"x"), entry(|_| {}, b"")].concat(),
        ),
        (
            "contents cut off",
            entry(|header| header.set_size(9999), b"x"),
        ),
    ] {
        assert!(read(&bytes).is_err(), "{what}");
    }
    let long = extended(EntryType::GNULongName, &vec![b'x'; (1 << 20) + 1]);
    let error = read(&long).unwrap_err().to_string();
    assert!(error.contains("1048577 bytes, at most 1048576"), "{error}");
}

#[test]
fn checksums_of_old_writers_have_a_sign() {
    let mut bytes = entry(|header| header.as_old_mut().name[0] = 0xe9, b"");
    let sum: i64 = bytes[..512]
        .iter()
        .enumerate()
        .map(|(at, &byte)| {
            if (148..156).contains(&at) {
                32
            } else {
                i64::from(byte.cast_signed())
            }
        })
        .sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(only(&bytes).name, [0xe9]);
}
