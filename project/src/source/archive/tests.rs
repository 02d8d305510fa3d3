use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::*;

/// An entry to be written as it is, right or wrong.
struct Raw {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    /// 3: Unix, 0: DOS.
    system: u8,
    attributes: u32,
    data: Vec<u8>,
    size: u32,
    crc: u32,
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    })
}

/// An entry of a Unix archive, with type and mode.
fn unix(name: &str, mode: u32, text: &str) -> Raw {
    Raw {
        name: name.into(),
        flags: 1 << 11,
        method: 0,
        system: 3,
        attributes: mode << 16,
        data: text.into(),
        size: u32::try_from(text.len()).unwrap(),
        crc: crc32(text.as_bytes()),
    }
}

fn file(name: &str, text: &str) -> Raw {
    unix(name, 0o100_644, text)
}

fn dos(name: &str, attributes: u32, text: &str) -> Raw {
    Raw {
        system: 0,
        attributes,
        ..file(name, text)
    }
}

/// Compresses an entry, if one block that is stored counts as that.
fn deflated(mut entry: Raw) -> Raw {
    let length = u16::try_from(entry.data.len()).unwrap();
    let mut block = vec![1];
    block.extend(length.to_le_bytes());
    block.extend((!length).to_le_bytes());
    block.append(&mut entry.data);
    Raw {
        method: 8,
        data: block,
        ..entry
    }
}

/// 14:30:08 on 2 March 2021.
const TIME: u16 = (14 << 11) | (30 << 5) | 4;
const DATE: u16 = (41 << 9) | (3 << 5) | 2;

fn archive(entries: &[Raw]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    let short = |number: usize| u16::try_from(number).unwrap().to_le_bytes();
    let long = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    for entry in entries {
        let offset = bytes.len();
        let mut common = [20_u16, entry.flags, entry.method, TIME, DATE]
            .map(u16::to_le_bytes)
            .concat();
        common.extend(entry.crc.to_le_bytes());
        common.extend(long(entry.data.len()));
        common.extend(entry.size.to_le_bytes());
        common.extend(short(entry.name.len()));
        common.extend(short(0));
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(&entry.name);
        bytes.extend(&entry.data);
        directory.extend(b"PK\x01\x02");
        directory.extend([20, entry.system]);
        directory.extend(&common);
        directory.extend([0; 6]);
        directory.extend(entry.attributes.to_le_bytes());
        directory.extend(long(offset));
        directory.extend(&entry.name);
    }
    let start = bytes.len();
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(short(entries.len()));
    bytes.extend(short(entries.len()));
    bytes.extend(long(directory.len()));
    bytes.extend(long(start));
    bytes.extend(short(0));
    bytes
}

struct Unpacked {
    _dir: tempfile::TempDir,
    target: PathBuf,
    result: Result<(), Error>,
}

fn unpack_bytes(bytes: &[u8], include: &[&str]) -> Unpacked {
    let dir = tempfile::tempdir().unwrap();
    let [source, target] = ["app.zip", "target"].map(|name| dir.path().join(name));
    fs::write(&source, bytes).unwrap();
    fs::create_dir(&target).unwrap();
    let include: Vec<_> = include.iter().map(|&it| it.to_owned()).collect();
    let filter = Filter::new(&include, &[]).unwrap();
    let result = super::super::copy(&source, &filter, &target);
    let mut around: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(around.drain(..).count(), 2, "nothing is made elsewhere");
    Unpacked {
        _dir: dir,
        target,
        result,
    }
}

fn unpacked(entries: &[Raw]) -> Unpacked {
    let unpacked = unpack_bytes(&archive(entries), &[]);
    if let Err(error) = &unpacked.result {
        panic!("{error}");
    }
    unpacked
}

/// Returns the error, which names archive and entry.
fn refused(entries: &[Raw]) -> String {
    let unpacked = unpack_bytes(&archive(entries), &[]);
    let text = unpacked.result.unwrap_err().to_string();
    assert!(text.contains("app.zip"), "{text}");
    text
}

impl Unpacked {
    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.target.join(path)).unwrap()
    }

    fn mode(&self, path: &str) -> u32 {
        fs::symlink_metadata(self.target.join(path)).unwrap().mode()
    }
}

#[test]
fn files_directories_and_links_are_made() {
    let unpacked = unpacked(&[
        unix("app/bin/run", 0o100_755, "#!/bin/sh\n"),
        unix("app/", 0o040_750, ""),
        deflated(file("app/readme", "some text")),
        unix("app/secret", 0o100_600, "x"),
        unix("app/open", 0o100_666, "x"),
        unix("app/suid", 0o104_755, "x"),
        unix("link", 0o120_777, "app/readme"),
        unix("out", 0o120_777, "/etc/passwd"),
        unix("closed/", 0o040_555, ""),
        file("closed/file", "x"),
        file("./x//y", "z"),
        file("empty", ""),
        unix("./", 0o040_700, ""),
    ]);
    assert_eq!(unpacked.text("app/readme"), "some text");
    assert_eq!(unpacked.text("x/y"), "z");
    assert_eq!(unpacked.text("empty"), "");
    assert_eq!(unpacked.text("closed/file"), "x");
    for (path, mode) in [
        ("app", 0o040_750),
        ("app/bin", 0o040_755),
        ("app/bin/run", 0o100_755),
        ("app/readme", 0o100_644),
        ("app/secret", 0o100_600),
        ("app/open", 0o100_666),
        ("app/suid", 0o100_755),
        ("link", 0o120_777),
        ("closed", 0o040_555),
    ] {
        assert_eq!(unpacked.mode(path), mode, "{path}");
    }
    for (link, expected) in [("link", "app/readme"), ("out", "/etc/passwd")] {
        let target = fs::read_link(unpacked.target.join(link)).unwrap();
        assert_eq!(target, Path::new(expected));
    }
    // `date -u -d '2021-03-02 14:30:08' +%s`
    for path in ["app", "app/readme", "link"] {
        let metadata = fs::symlink_metadata(unpacked.target.join(path)).unwrap();
        assert_eq!(metadata.mtime(), 1_614_695_408, "{path}");
    }
    let closed = unpacked.target.join("closed");
    fs::set_permissions(closed, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn archives_of_other_systems_have_no_modes() {
    let unpacked = unpacked(&[
        dos("dir/", 0x10, ""),
        dos("dir/mvnw", 0x20, "x"),
        dos("other", 0x10, ""),
        // As Java writes them.
        dos("META-INF/", 0, ""),
        deflated(dos("META-INF/MANIFEST.MF", 0, "Manifest-Version: 1.0\r\n")),
        unix("no-mode", 0, "x"),
        unix("no-type", 0o640, "x"),
    ]);
    for (path, mode) in [
        ("dir", 0o040_755),
        ("dir/mvnw", 0o100_755),
        ("other", 0o040_755),
        ("META-INF", 0o040_755),
        ("META-INF/MANIFEST.MF", 0o100_755),
        ("no-mode", 0o100_755),
        ("no-type", 0o100_640),
    ] {
        assert_eq!(unpacked.mode(path), mode, "{path}");
    }
}

#[test]
fn names_that_are_not_plain_are_refused_whatever_is_taken() {
    let long = "a/".repeat(2048);
    for (name, problem) in [
        ("../evil", "has \"..\" in its path"),
        ("a/../../evil", "has \"..\" in its path"),
        ("a/..", "has \"..\" in its path"),
        ("/etc/evil", "has an absolute path"),
        ("C:evil", "begins with a drive letter"),
        ("c:/evil", "begins with a drive letter"),
        ("..\\evil", "has a backslash in its name"),
        ("a\\b", "has a backslash in its name"),
        ("a\0b", "has a NUL byte in its name"),
        ("", "has no name"),
        (".", "has no name"),
        (&long, "has a name that is too long"),
    ] {
        let bytes = archive(&[file("ok", "x"), file(name, "x")]);
        for include in [&["ok"][..], &[]] {
            let unpacked = unpack_bytes(&bytes, include);
            let Err(error) = &unpacked.result else {
                panic!("{name:?}");
            };
            let text = error.to_string();
            assert!(
                text.contains(&format!("entry {name:?} {problem}")),
                "{text}"
            );
            let made = fs::read_dir(&unpacked.target).unwrap().count();
            assert_eq!(made, 0, "nothing is written before all names are known");
        }
    }
}

#[test]
fn names_become_paths() {
    for (name, path) in [
        ("a", "a"),
        ("a/b/", "a/b"),
        ("./a//b", "a/b"),
        ("./", ""),
        ("ab:c", "ab:c"),
        ("...", "..."),
        ("..a/b..", "..a/b.."),
    ] {
        assert_eq!(clean(name.as_bytes()).unwrap(), Path::new(path), "{name}");
    }
}

#[test]
fn names_are_the_bytes_that_are_there() {
    let named = |name: &[u8], flags| Raw {
        name: name.to_vec(),
        flags,
        ..file("", "x")
    };
    for (name, flags) in [
        ("\u{e9}".as_bytes(), 1 << 11),
        // As macOS writes it, and as Windows did.
        ("\u{e9}".as_bytes(), 0),
        (b"\x82", 0),
        (b"\x82", 1 << 11),
    ] {
        let unpacked = unpacked(&[named(name, flags)]);
        let path = unpacked.target.join(OsStr::from_bytes(name));
        assert_eq!(fs::read(path).unwrap(), b"x", "{name:?} {flags}");
    }
}

#[test]
fn nothing_is_made_through_a_link_or_below_a_file() {
    for (above, name) in [
        (unix("a", 0o120_777, "/tmp"), "a/evil"),
        (unix("a", 0o120_777, "../.."), "a/b/evil"),
        (file("a", "x"), "a/b"),
    ] {
        let swapped = Raw {
            name: above.name.clone(),
            data: above.data.clone(),
            ..above
        };
        for entries in [[above, file(name, "x")], [file(name, "x"), swapped]] {
            let text = refused(&entries);
            let expected = format!("entry {name:?} is below \"a\", which is no directory");
            assert!(text.contains(&expected), "{text}");
        }
    }
}

#[test]
fn of_two_entries_of_one_name_the_later_counts() {
    let unpacked = unpacked(&[
        file("a", "first"),
        file("b/c", "first"),
        file("./b//c", "second"),
        file("a", "second"),
        unix("d/", 0o040_700, ""),
        unix("d/", 0o040_750, ""),
        file("l", "a file before"),
        unix("l", 0o120_777, "a"),
    ]);
    assert_eq!(unpacked.text("a"), "second");
    assert_eq!(unpacked.text("b/c"), "second");
    assert_eq!(unpacked.mode("d"), 0o040_750);
    assert_eq!(unpacked.mode("l"), 0o120_777);
    let text = refused(&[file("a", "x"), unix("./a/", 0o040_755, "")]);
    assert!(text.contains("is there twice"), "{text}");
}

#[test]
fn what_cannot_be_read_is_refused() {
    let encrypted = Raw {
        flags: 1,
        ..file("a", "x")
    };
    let of_method = |method| Raw {
        method,
        ..file("a", "x")
    };
    let wrong_crc = Raw {
        crc: 1,
        ..file("a", "x")
    };
    let short = Raw {
        size: 100,
        ..deflated(file("a", "x"))
    };
    let long = Raw {
        size: 1,
        ..deflated(file("a", "more than one"))
    };
    let garbage = Raw {
        method: 8,
        data: vec![0xff; 20],
        ..file("a", "x")
    };
    let pipe = unix("a", 0o010_644, "");
    let device = unix("a", 0o020_644, "");
    let link = |text: &str| unix("a", 0o120_777, text);
    for (entry, problem) in [
        (encrypted, "is encrypted"),
        (of_method(12), "is compressed by"),
        (of_method(93), "is compressed by"),
        (of_method(9), "is compressed by"),
        (wrong_crc, "cannot be read: "),
        (short, "does not have the 100 bytes that it declares"),
        (long, "cannot be read: "),
        (garbage, "cannot be read: "),
        (pipe, "is neither file, directory nor symbolic link"),
        (device, "is neither file, directory nor symbolic link"),
        (link(""), "is a symbolic link that cannot be made"),
        (link("a\0b"), "is a symbolic link that cannot be made"),
        (
            link(&"x".repeat(5000)),
            "is a symbolic link that cannot be made",
        ),
    ] {
        let text = refused(&[entry]);
        assert!(text.contains(&format!("entry \"a\" {problem}")), "{text}");
    }
}

#[test]
fn an_archive_holds_what_one_of_its_size_may() {
    let bomb = Raw {
        size: 1 << 30,
        ..file("bomb", "x")
    };
    let more = file("more", "x");
    let bytes = archive(&[bomb, more]);
    let Err(Error::TooLarge { size, limit, .. }) = unpack_bytes(&bytes, &[]).result else {
        panic!("it is too large");
    };
    assert_eq!((size, limit), ((1 << 30) + 1, 1 << 30));
    // What is not taken does not count.
    unpack_bytes(&bytes, &["more"]).result.unwrap();
}

#[test]
fn bytes_serve_one_entry() {
    let mut bytes = archive(&[file("a", "same"), file("b", "same")]);
    // The second entry of the directory points to the first one's bytes.
    let at = bytes
        .windows(4)
        .rposition(|it| it == b"PK\x01\x02")
        .unwrap();
    bytes[at + 42..at + 46].fill(0);
    let unpacked = unpack_bytes(&bytes, &[]);
    let error = unpacked.result.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("more than one entry"), "{cause}");
}

#[test]
fn the_filter_says_what_is_taken() {
    let entries = [
        unix("a/", 0o040_700, ""),
        file("a/x.jar", "x"),
        file("a/x.sh", "x"),
        unix("b/", 0o040_700, ""),
        file("c/x.jar", "x"),
        Raw {
            flags: 1,
            ..file("c/x.sh", "encrypted")
        },
    ];
    let unpacked = unpack_bytes(&archive(&entries), &["*.jar"]);
    unpacked.result.as_ref().unwrap();
    assert_eq!(unpacked.text("a/x.jar") + &unpacked.text("c/x.jar"), "xx");
    let names = |dir: &str| fs::read_dir(unpacked.target.join(dir)).unwrap().count();
    assert_eq!((names(""), names("a"), names("c")), (2, 1, 1));
}

#[test]
fn days_are_counted_from_1970() {
    for (date, days) in [
        ((1970, 1, 1), 0),
        ((1970, 1, 2), 1),
        ((1970, 3, 1), 59),
        ((1980, 1, 1), 3652),
        ((2000, 2, 29), 11_016),
        ((2024, 2, 29), 19_782),
        ((2024, 12, 31), 20_088),
        ((2100, 3, 1), 47_541),
        ((2107, 12, 31), 50_402),
    ] {
        let (year, month, day) = date;
        assert_eq!(days_since_1970(year, month, day), Some(days), "{date:?}");
    }
}

proptest::proptest! {
    #[test]
    fn foreign_bytes_never_panic(at in 0usize..400, byte: u8, end in 0usize..400) {
        let mut bytes = archive(&[
            file("a", "x"),
            deflated(file("b/c", "text")),
            unix("l", 0o120_777, "a"),
        ]);
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        bytes.truncate(bytes.len() - end.min(bytes.len()) * usize::from(byte & 1));
        drop(unpack_bytes(&bytes, &[]));
    }
}
