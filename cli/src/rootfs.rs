//! Looking into the layers of an image as if they were one file system, without mounting them.
//!
//! Links are followed inside the image only: what one names on this machine is never looked at. One thing of overlays is
//! not seen: a folder that hides those of its name below it (an opaque one) shows them here.

use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};

use fs_err as fs;

/// A path that takes more links than this leads round in circles.
const MAX_LINKS: usize = 40;

/// Returns where on this machine the file or directory is that `path` names in the image; `layers` are base first.
pub(crate) fn find(layers: &[PathBuf], path: &Path) -> Option<PathBuf> {
    let mut left = parts(path);
    let mut links = 0;
    let mut at = PathBuf::new();
    let mut found = None;
    while let Some(part) = left.pop() {
        if part == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&part);
        let (place, metadata) = topmost(layers, &next)?;
        if metadata.is_symlink() {
            links += 1;
            let target = fs::read_link(&place).ok()?;
            if links > MAX_LINKS {
                return None;
            }
            if target.is_absolute() {
                at.clear();
            }
            left.append(&mut parts(&target));
        } else {
            at = next;
            found = Some(place);
        }
    }
    found
}

/// Finds a program as the image's PATH has it; a name with a slash is taken as it is.
pub(crate) fn program(layers: &[PathBuf], path: &str, name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name));
    }
    let places = path.split(':').filter(|dir| dir.starts_with('/'));
    let mut places = places.map(|dir| Path::new(dir).join(name));
    places.find(|place| find(layers, place).is_some_and(|it| it.is_file()))
}

/// Returns the parts of a path, the first one last.
fn parts(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev();
    parts
        .filter_map(|part| match part {
            Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
            _ => None,
        })
        .collect()
}

/// Returns what the topmost layer that says something of a path has there; no part of the path but the last is a link.
fn topmost(layers: &[PathBuf], path: &Path) -> Option<(PathBuf, Metadata)> {
    'layers: for layer in layers.iter().rev() {
        let mut place = layer.clone();
        let mut parts = path.iter().peekable();
        while let Some(part) = parts.next() {
            place.push(part);
            let Ok(metadata) = fs::symlink_metadata(&place) else {
                continue 'layers;
            };
            let is_removed = metadata.file_type().is_char_device() && metadata.rdev() == 0;
            let is_last = parts.peek().is_none();
            // Whatever is no folder hides the folder below it.
            if is_removed || (!is_last && !metadata.is_dir()) {
                return None;
            }
            if is_last {
                return Some((place, metadata));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn layers_are_seen_as_one_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let layer = |name: &str| dir.path().join(name);
        let write = |name: &str, text: &str| {
            let path = layer(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("outside", "secret");
        write("base/usr/bin/sh", "base");
        write("base/etc/passwd", "base");
        write("base/hidden/file", "base");
        write("base/opt/tool", "base");
        symlink("usr/bin", layer("base/bin")).unwrap();
        symlink("/usr/bin/sh", layer("base/shell")).unwrap();
        symlink("../../../../etc/passwd", layer("base/climbs")).unwrap();
        symlink(layer("outside"), layer("base/leaks")).unwrap();
        symlink("turns", layer("base/turns")).unwrap();
        write("top/etc/passwd", "top");
        write("top/hidden", "top");
        symlink("/usr", layer("top/opt")).unwrap();
        let layers = [layer("base"), layer("top")];
        for (path, expected) in [
            ("/etc/passwd", Some("top")),
            ("etc/passwd", Some("top")),
            ("/usr/bin/sh", Some("base")),
            ("/bin/sh", Some("base")),
            ("/shell", Some("base")),
            ("/climbs", Some("top")),
            ("/bin/../bin/./sh", Some("base")),
            ("/hidden", Some("top")),
            ("/hidden/file", None),
            ("/opt/tool", None),
            ("/opt/bin/sh", Some("base")),
            ("/leaks", None),
            ("/turns", None),
            ("/absent", None),
        ] {
            let found = find(&layers, Path::new(path));
            let text = found.map(|place| fs::read_to_string(place).unwrap());
            assert_eq!(text.as_deref(), expected, "{path}");
        }
        assert_eq!(
            program(&layers, "/absent:relative:/bin", "sh").as_deref(),
            Some(Path::new("/bin/sh"))
        );
        assert_eq!(program(&layers, "/:/usr", "bin"), None, "no folder");
        assert_eq!(
            program(&layers, "", "/any/thing").as_deref(),
            Some(Path::new("/any/thing"))
        );
    }

    #[test]
    fn root_what_a_layer_removes_is_gone() {
        // Anybody may make this device, but not on an overlay.
        let dir = tempfile::tempdir().unwrap();
        let [base, top] = ["base", "top"].map(|name| dir.path().join(name));
        fs::create_dir_all(base.join("etc")).unwrap();
        fs::write(base.join("etc/passwd"), "").unwrap();
        fs::create_dir(&top).unwrap();
        let made = std::process::Command::new("mknod")
            .arg(top.join("etc"))
            .args(["c", "0", "0"])
            .status();
        if !made.is_ok_and(|status| status.success()) {
            #[expect(clippy::disallowed_methods, reason = "tests are told by CI")]
            let ci = std::env::var_os("CI").is_some();
            assert!(!ci, "in CI a test must not be skipped: it needs mknod");
            return;
        }
        let layers = [base, top];
        assert_eq!(find(&layers, Path::new("/etc/passwd")), None);
        assert!(find(&layers[..1], Path::new("/etc/passwd")).is_some());
    }
}
