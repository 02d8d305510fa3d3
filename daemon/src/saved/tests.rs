use std::io::Write as _;

use layout::digest::sha256;

use super::*;
use crate::host::Host;

/// Members of a tar: name, kind, contents or target.
type Member<'a> = (&'a str, EntryType, &'a [u8]);

const FILE: EntryType = EntryType::Regular;
const LINK: EntryType = EntryType::Symlink;

fn tar(members: &[Member<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, kind, contents) in members {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        let data: &[u8] = if *kind == FILE { contents } else { b"" };
        if *kind != FILE {
            header.set_link_name_literal(contents).unwrap();
        }
        header.set_size(data.len() as u64);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn config(layers: &[&str]) -> Vec<u8> {
    let ids = layers.iter().map(|it| sha256(it.as_bytes()).to_string());
    serde_json::json!({"rootfs": {"diff_ids": ids.collect::<Vec<_>>()}})
        .to_string()
        .into_bytes()
}

fn read(bytes: &[u8]) -> Result<Saved, String> {
    let failed = |source: io::Error| Error::Lost {
        doing: "save".to_owned(),
        host: Host::Unix("/s".into()),
        source,
    };
    let read = Saved::read(bytes, &sha256(b"id"), failed);
    read.map_err(|error| std::error::Error::source(&error).unwrap().to_string())
}

fn layer(saved: &Saved, text: &str) -> String {
    let tar = saved.layer(&DiffId(sha256(text.as_bytes()))).unwrap();
    let mut found = String::new();
    tar.reader().read_to_string(&mut found).unwrap();
    assert_eq!(tar.size(), found.len() as u64);
    found
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_daemon_s_format_is_read() {
    let three = config(&["one", "two", "one"]);
    let docker: &[Member<'_>] = &[
        ("a/", EntryType::Directory, b""),
        ("a/VERSION", FILE, b"1.0"),
        ("a/layer.tar", FILE, b"one"),
        ("b/layer.tar", FILE, b"two"),
        ("c/layer.tar", LINK, b"../a/layer.tar"),
        ("x.json", FILE, &three),
        ("manifest.json", FILE, br#"[{"Config":"x.json","RepoTags":null,"Layers":["a/layer.tar","b/layer.tar","c/layer.tar"]}]"#),
        ("repositories", FILE, b"{}"),
    ];
    let gzipped = gzip("two");
    let containerd: &[Member<'_>] = &[
        ("blobs/", EntryType::Directory, b""),
        ("blobs/sha256/1", FILE, b"one"),
        ("blobs/sha256/2", FILE, &gzipped),
        ("blobs/sha256/c", FILE, &three),
        ("index.json", FILE, b"{}"),
        ("manifest.json", FILE, br#"[{"Config":"blobs/sha256/c","Layers":["blobs/sha256/1","blobs/sha256/2","blobs/sha256/1"]}]"#),
    ];
    let podman: &[Member<'_>] = &[
        ("1.tar", FILE, b"one"),
        ("2.tar", FILE, b"two"),
        ("x.json", FILE, &three),
        ("y/layer.tar", LINK, b"../1.tar"),
        ("z/layer.tar", EntryType::Link, b"y/layer.tar"),
        (
            "./manifest.json",
            FILE,
            br#"[{"Config":"x.json","Layers":["1.tar","2.tar","z/layer.tar"]}]"#,
        ),
    ];
    for members in [docker, containerd, podman] {
        let saved = read(&tar(members)).unwrap();
        assert_eq!(layer(&saved, "one"), "one");
        assert_eq!(layer(&saved, "two"), "two");
        let other = saved.layer(&DiffId(sha256(b"other"))).unwrap_err();
        assert!(matches!(other, Error::Scratch { .. }), "{other:?}");
    }
}

/// A small blob may stand for a disk full of zeros.
#[test]
fn a_layer_that_is_unpacked_has_a_limit() {
    let spooled = |most| LayerTar::spooled_within(&mut io::repeat(0).take(100), most);
    assert_eq!(spooled(100).unwrap().size(), 100);
    let error = spooled(99).unwrap_err().to_string();
    assert!(error.contains("more than 99 bytes"), "{error}");
}

#[test]
fn an_image_of_more_files_than_any_is_refused() {
    let (most, _) = MAX_MEMBERS;
    let empty = tar(&[("x", LINK, b"y")]);
    let many = empty[..512].repeat(most + 1);
    let error = read(&many).unwrap_err();
    assert!(error.contains("more files than any image"), "{error}");
}

#[test]
fn what_is_no_image_is_damaged() {
    let one = config(&["one"]);
    let manifest = |text: &'static str| ("manifest.json", FILE, text.as_bytes());
    let cases: [(&[Member<'_>], &str); 8] = [
        (&[], "manifest.json is not in it"),
        (&[manifest("{")], "expected a sequence"),
        (&[manifest("[]")], "does not name one image"),
        (
            &[manifest(r#"[{"Config":"a"},{"Config":"b"}]"#)],
            "does not name one image",
        ),
        (&[manifest(r#"[{"Config":"a"}]"#)], "a is not in it"),
        (
            &[
                ("a", FILE, &one),
                manifest(r#"[{"Config":"a","Layers":[]}]"#),
            ],
            "not as many layers as its config",
        ),
        (
            &[
                ("a", FILE, &one),
                manifest(r#"[{"Config":"a","Layers":["../../etc/passwd"]}]"#),
            ],
            "etc/passwd is not in it",
        ),
        (
            &[
                ("a", FILE, &one),
                ("l", LINK, b"m"),
                ("m", LINK, b"l"),
                manifest(r#"[{"Config":"a","Layers":["l"]}]"#),
            ],
            "is not in it",
        ),
    ];
    for (members, expected) in cases {
        let error = read(&tar(members)).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let whole = tar(&[("a", FILE, &[b'x'; 2000])]);
    for cut in [1, 511, 700] {
        assert!(read(&whole[..cut]).is_err(), "{cut}");
    }
    assert!(read(&[0xff; 4096]).is_err());
}
