use std::io::Write as _;

use super::*;
use crate::editor::{CommitOptions, ImageEditor};
use crate::layer::{Layer, WriteOptions};
use crate::manifest::{MediaType, Platform};
use crate::{History, Layout};

/// Name, kind and contents of each file of a layout with one image, `v1`, of one layer.
fn members() -> Vec<(String, EntryType, Vec<u8>)> {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::at(dir.path());
    let mut update = layout.update().unwrap();
    let layer = Layer { entries: vec![] };
    let layer = update.write_layer(&layer, &WriteOptions::default(), None);
    let mut editor = ImageEditor::empty(&Platform::host());
    editor.append(&layer.unwrap(), History::default());
    let options = CommitOptions {
        ref_name: "v1".to_owned(),
        ..CommitOptions::default()
    };
    editor.commit(update, &options).unwrap();
    let mut found = Vec::new();
    for name in ["oci-layout", "index.json"] {
        let bytes = fs::read(dir.path().join(name)).unwrap();
        found.push((name.to_owned(), EntryType::Regular, bytes));
    }
    for entry in blob::sorted_entries(&dir.path().join("blobs/sha256")).unwrap() {
        let name = format!("blobs/sha256/{}", entry.file_name().display());
        let bytes = fs::read(entry.path()).unwrap();
        found.push((name, EntryType::Regular, bytes));
    }
    assert_eq!(found.len(), 5);
    found
}

fn tar(members: &[(String, EntryType, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind, bytes) in members {
        let mut header = tar::Header::new_gnu();
        // Not `set_path`, which refuses what is tried here.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(bytes.len() as u64);
        if *kind == EntryType::GNUSparse {
            header.as_gnu_mut().unwrap().set_real_size(0);
        }
        header.set_cksum();
        tar.append(&header, bytes.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// Opens an archive with these bytes, its image, and its layer; the error is all of its text.
fn read(bytes: &[u8]) -> Result<Image, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image.tar");
    fs::write(&path, bytes).unwrap();
    let archive = Archive::open(&path, dir.path());
    if fs::read_dir(dir.path()).unwrap().count() != 1 {
        return Err("what was decompressed is left behind".to_owned());
    }
    let image = archive.and_then(|archive| archive.image(&Selector::default()));
    let image = image.map_err(|error| {
        let source = std::error::Error::source(&error);
        source.map_or(error.to_string(), |source| format!("{error}: {source}"))
    })?;
    let layer = image.open_layer(&image.diff_ids()[0]);
    let mut layer = layer.unwrap().ok_or("the layer is absent")?;
    let read = io::copy(&mut layer, &mut io::sink());
    read.map_err(|error| error.to_string())?;
    Ok(image)
}

#[test]
fn an_image_is_read_from_a_tar_however_it_is_written() {
    let members = members();
    let plain = tar(&members);
    let renamed = |prefix: &str| {
        let member = |(name, kind, bytes): &(String, EntryType, Vec<u8>)| {
            (format!("{prefix}{name}"), *kind, bytes.clone())
        };
        tar(&members.iter().map(member).collect::<Vec<_>>())
    };
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let cases = [
        ("plain", plain.clone()),
        ("with ./", renamed("./")),
        ("with /", renamed("/")),
        ("gzip", gzip.finish().unwrap()),
        ("zstd", zstd::encode_all(plain.as_slice(), 1).unwrap()),
    ];
    for (what, bytes) in cases {
        let image = read(&bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(image.diff_ids().len(), 1, "{what}");
        assert!(image.blobs().path(image.digest()).is_none(), "{what}");
    }
}

#[test]
fn odd_archives_are_refused_or_what_is_odd_is_ignored() {
    type Change = fn(&mut Vec<(String, EntryType, Vec<u8>)>);
    let cases: [(&str, Change, Option<&str>); 10] = [
        ("empty", |it| it.clear(), Some("it has no index.json")),
        (
            "no index",
            |it| it.retain(|it| it.0 != "index.json"),
            Some("it has no index.json"),
        ),
        (
            "two indexes",
            |it| it.push(it[1].clone()),
            Some("index.json more than once"),
        ),
        (
            "an index that is a link",
            |it| it[1].1 = EntryType::Symlink,
            Some("it has no index.json"),
        ),
        (
            "no JSON",
            |it| it[1].2 = b"{".to_vec(),
            Some("not an image index"),
        ),
        (
            "names that climb",
            |it| it[1].0 = "x/../index.json".to_owned(),
            Some("it has no index.json"),
        ),
        (
            "blobs that are links",
            |it| it[2..].iter_mut().for_each(|it| it.1 = EntryType::Link),
            Some(" is not in "),
        ),
        (
            "other bytes in the end",
            |it| {
                let seconds = it[2..].to_vec();
                for mut second in seconds {
                    second.2[0] ^= 1;
                    it.push(second);
                }
            },
            Some("is damaged: its digest is"),
        ),
        (
            "shorter in the end",
            |it| {
                let seconds = it[2..].to_vec();
                for mut second in seconds {
                    second.2.pop();
                    it.push(second);
                }
            },
            Some("its descriptor says"),
        ),
        (
            "other things beside",
            |it| {
                let sparse = ("sparse".to_owned(), EntryType::GNUSparse, vec![]);
                let link = ("../../evil".to_owned(), EntryType::Symlink, vec![]);
                let odd = ("blobs/../x".to_owned(), EntryType::Regular, vec![1]);
                it.extend([sparse, link, odd]);
            },
            None,
        ),
    ];
    for (what, change, error) in cases {
        let mut members = members();
        change(&mut members);
        match (read(&tar(&members)), error) {
            (Ok(_), None) => {}
            (Err(found), Some(text)) => assert!(found.contains(text), "{what}: {found}"),
            (found, _) => panic!("{what}: {found:?}"),
        }
    }
}

#[test]
fn what_is_no_archive_is_refused() {
    let plain = tar(&members());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let cases: [(&[u8], &str); 5] = [
        (b"", "it has no index.json"),
        (b"abc", "failed to read archive"),
        (&[7; 2000], "failed to read archive"),
        (&gzip[..gzip.len() / 2], "failed to read archive"),
        (&plain[..plain.len() / 2], ""),
    ];
    for (bytes, error) in cases {
        let found = read(bytes).unwrap_err();
        assert!(found.contains(error), "{found}");
    }
    let dir = tempfile::tempdir().unwrap();
    let error = Archive::open(dir.path(), dir.path()).unwrap_err();
    assert!(error.to_string().ends_with("is not a file"), "{error}");
    let error = Archive::open(&dir.path().join("no"), dir.path()).unwrap_err();
    assert!(error.to_string().contains("no"), "{error}");
}

#[test]
fn headers_are_not_read_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image.tar");
    // A long name of 5 GB, for which no disk is needed here.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(5 << 30);
    header.set_cksum();
    fs::write(&path, header.as_bytes()).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(6 << 30).unwrap();
    let error = Archive::open(&path, dir.path()).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("more headers than any image"), "{source}");
}

#[test]
fn a_name_picks_one_of_several_images() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image.tar");
    fs::write(&path, tar(&members())).unwrap();
    let archive = Archive::open(&path, dir.path()).unwrap();
    assert_eq!(archive.images().unwrap()[0].ref_name.as_deref(), Some("v1"));
    assert_eq!(archive.index().manifests.len(), 1);
    let named = |name: &str| Selector {
        ref_name: Some(name.to_owned()),
        ..Selector::default()
    };
    let image = archive.image(&named("v1")).unwrap();
    assert_eq!(image.manifest().media_type, Some(MediaType::ImageManifest));
    let error = archive.image(&named("v2")).unwrap_err();
    assert!(error.to_string().contains("is named v2"), "{error}");
}
