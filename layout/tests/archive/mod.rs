//! Archives put together by hand, entry by entry, whatever they say.

use tar::EntryType;

/// One entry of an archive that is put together by hand.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) kind: EntryType,
    pub(crate) name: String,
    pub(crate) link: String,
    pub(crate) data: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) mtime: u64,
}

pub(crate) fn raw(kind: EntryType, name: &str, link: &str, data: &[u8]) -> Raw {
    let mode = if kind == EntryType::Directory {
        0o755
    } else {
        0o644
    };
    Raw {
        kind,
        name: name.to_owned(),
        link: link.to_owned(),
        data: data.to_vec(),
        mode,
        uid: 4_000,
        gid: 4_000,
        mtime: 0,
    }
}

pub(crate) fn dir(name: &str) -> Raw {
    raw(EntryType::Directory, name, "", b"")
}

pub(crate) fn file(name: &str, data: &str) -> Raw {
    raw(EntryType::Regular, name, "", data.as_bytes())
}

pub(crate) fn link(name: &str, target: &str) -> Raw {
    raw(EntryType::Symlink, name, target, b"")
}

pub(crate) fn hard(name: &str, target: &str) -> Raw {
    raw(EntryType::Link, name, target, b"")
}

pub(crate) fn pax(record: &str) -> Raw {
    raw(EntryType::XHeader, "pax", "", record.as_bytes())
}

pub(crate) fn with_mode(mode: u32, raw: Raw) -> Raw {
    Raw { mode, ..raw }
}

pub(crate) fn archive(entries: &[Raw]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        let old = header.as_old_mut();
        old.name[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
        old.linkname[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_uid(entry.uid);
        header.set_gid(entry.gid);
        header.set_mtime(entry.mtime);
        header.set_size(entry.data.len() as u64);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&entry.data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}
