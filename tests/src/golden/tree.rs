//! Files of a case: which there are, and which are layouts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::text::{sha256, shown, shown_name};

/// A file or folder, as far as two of them are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permissions; none for a link.
    pub mode: Option<u32>,
    /// User and group.
    pub owner: (u32, u32),
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file, with the digest of what it holds.
    File(String),
    /// A symbolic link and where it leads.
    Link(String),
    /// Anything else.
    Special,
}

/// Entries by their names, as shown.
pub type Entries = BTreeMap<String, Found>;

/// An entry and where it lies.
#[derive(Clone, Debug)]
pub struct Found {
    /// The entry.
    pub entry: Entry,
    /// Its path.
    pub path: PathBuf,
}

/// Calls a function for everything below a folder, which says whether to go into a folder.
pub fn walk(folder: &Path, visit: &mut dyn FnMut(&Path, &Metadata) -> bool) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if visit(&path, &metadata) && metadata.is_dir() {
            walk(&path, visit);
        }
    }
}

/// Returns the layouts below a folder, by their names below it.
pub fn layouts(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(root, &mut |path, metadata| {
        let is_layout = metadata.is_dir() && is_layout(path);
        if is_layout {
            found.insert(name_below(root, path));
        }
        !is_layout
    });
    found
}

/// Returns everything below a folder, but not what is inside of layouts.
pub fn entries(root: &Path) -> Entries {
    let mut found = Entries::new();
    walk(root, &mut |path, metadata| {
        let entry = Entry::read(path, metadata);
        let place = path.to_owned();
        found.insert(name_below(root, path), Found { entry, path: place });
        !(metadata.is_dir() && is_layout(path))
    });
    found
}

/// Returns a digest of the files of a layout, to see whether anything changed.
pub fn fingerprint(layout: &Path) -> String {
    let mut files = BTreeMap::new();
    walk(layout, &mut |path, metadata| {
        if metadata.is_file() {
            files.insert(path.to_owned(), sha256(&fs::read(path).unwrap()));
        }
        true
    });
    sha256(format!("{files:?}").as_bytes())
}

/// Returns mode and owner of everything in a layout, each kind once.
pub fn modes(layout: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(layout, &mut |_, metadata| {
        let kind = if metadata.is_dir() { "dir" } else { "file" };
        let (uid, gid) = (metadata.uid(), metadata.gid());
        let mode = metadata.mode() & 0o7777;
        found.insert(format!("{kind} {mode:04o} {uid}:{gid}"));
        true
    });
    found
}

impl Entry {
    fn read(path: &Path, metadata: &Metadata) -> Self {
        let file_type = metadata.file_type();
        let kind = if file_type.is_symlink() {
            Kind::Link(shown(fs::read_link(path).unwrap().as_os_str().as_bytes()))
        } else if file_type.is_dir() {
            Kind::Folder
        } else if file_type.is_file() {
            Kind::File(sha256(&fs::read(path).unwrap()))
        } else {
            Kind::Special
        };
        let mode = (!file_type.is_symlink()).then_some(metadata.mode() & 0o7777);
        Self {
            kind,
            mode,
            owner: (metadata.uid(), metadata.gid()),
        }
    }
}

fn is_layout(folder: &Path) -> bool {
    ["index.json", "oci-layout"].iter().any(|name| {
        folder
            .join(name)
            .symlink_metadata()
            .is_ok_and(|found| !found.is_dir())
    })
}

fn name_below(root: &Path, path: &Path) -> String {
    let name = path.strip_prefix(root).expect("it was found below");
    shown_name(name.as_os_str().as_bytes())
}
