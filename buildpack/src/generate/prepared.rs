//! Copying what an extension without `bin/generate` brings along (IMX-015, IMX-016).

use std::path::Path;

use crate::fault::{Advice, Fault};
use crate::syscall_text;

/// Copies what lies in a folder of the extension `root` into another one; a missing folder holds nothing.
///
/// Links right in the folder are followed within the extension, because what they lead to need not be there when an
/// image is extended; those below it are part of what Dockerfiles copy, and stay links.
pub(super) fn copy(from: &Path, to: &Path, root: &Path) -> Result<(), Fault> {
    for entry in syscall_text::read_dir_if_present(from).map_err(|e| refused(&e))? {
        let target = to.join(&entry.name);
        if entry.kind.is_symlink() && !is_inside(&entry.path, root)? {
            let problem = format!("is a link that leads out of {}", root.display());
            let text = format!("{} {problem}", entry.path.display());
            let remedy = "put what it leads to into the extension";
            return Err(Fault::new(text, Advice::new(&entry.path, problem, remedy)));
        }
        let found = fs_err::metadata(&entry.path).map_err(failed("stat", &entry.path))?;
        if found.is_dir() {
            copy_tree(&entry.path, &target)?;
        } else {
            copy_file(&entry.path, &target)?;
        }
    }
    Ok(())
}

fn is_inside(link: &Path, root: &Path) -> Result<bool, Fault> {
    let target = fs_err::canonicalize(link).map_err(failed("stat", link))?;
    let root = fs_err::canonicalize(root).map_err(failed("stat", root))?;
    Ok(target.starts_with(root))
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), Fault> {
    syscall_text::make_dirs(to).map_err(|e| refused(&e))?;
    for entry in syscall_text::read_dir(from).map_err(|e| refused(&e))? {
        let target = to.join(&entry.name);
        if entry.kind.is_dir() {
            copy_tree(&entry.path, &target)?;
        } else if entry.kind.is_symlink() {
            copy_link(&entry.path, &target)?;
        } else {
            copy_file(&entry.path, &target)?;
        }
    }
    let mode = fs_err::metadata(from).map_err(failed("stat", from))?;
    fs_err::set_permissions(to, mode.permissions()).map_err(failed("chmod", to))
}

/// Copies a file with its mode. Pipes and devices are no part of a build's sources, and left out.
fn copy_file(from: &Path, to: &Path) -> Result<(), Fault> {
    let found = fs_err::metadata(from).map_err(failed("stat", from))?;
    if found.is_file() {
        replace(to)?;
        fs_err::copy(from, to).map_err(failed("copy", from))?;
    }
    Ok(())
}

fn copy_link(from: &Path, to: &Path) -> Result<(), Fault> {
    let target = fs_err::read_link(from).map_err(failed("readlink", from))?;
    replace(to)?;
    fs_err::os::unix::fs::symlink(target, to).map_err(failed("symlink", to))
}

/// Makes room: an earlier run may have left a file or a link here.
fn replace(path: &Path) -> Result<(), Fault> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failed("unlink", path)(error))
        }
        _ => Ok(()),
    }
}

fn failed(operation: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Fault {
    move |error| refused(&syscall_text::Error::new(operation, path, error))
}

fn refused(error: &syscall_text::Error) -> Fault {
    let reason = syscall_text::reason(&error.cause);
    let problem = format!("cannot be copied to what extensions generate: {reason}");
    let remedy = "let the building user read the extension and write <generated>";
    Fault::new(error, Advice::new(&error.path, problem, remedy))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn everything_that_a_dockerfile_can_copy_is_copied() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("generate"), root.path().join("to"));
        fs_err::create_dir_all(from.join("context/bin")).unwrap();
        fs_err::create_dir(&to).unwrap();
        fs_err::write(root.path().join("shared"), "FROM a").unwrap();
        symlink("../shared", from.join("run.Dockerfile")).unwrap();
        fs_err::write(from.join("context/bin/tool"), "#!").unwrap();
        let mode = std::fs::Permissions::from_mode;
        fs_err::set_permissions(from.join("context/bin/tool"), mode(0o751)).unwrap();
        fs_err::set_permissions(from.join("context/bin"), mode(0o750)).unwrap();
        symlink("bin/tool", from.join("context/link")).unwrap();

        // A second run finds what the first one left.
        for _ in 0..2 {
            copy(&from, &to, root.path()).unwrap();
            let read = |name: &str| fs_err::read_to_string(to.join(name)).unwrap();
            assert_eq!(read("run.Dockerfile"), "FROM a");
            assert!(
                !fs_err::symlink_metadata(to.join("run.Dockerfile"))
                    .unwrap()
                    .is_symlink()
            );
            assert_eq!(read("context/bin/tool"), "#!");
            let mode = |name: &str| {
                fs_err::metadata(to.join(name))
                    .unwrap()
                    .permissions()
                    .mode()
            };
            assert_eq!(mode("context/bin/tool") & 0o777, 0o751);
            assert_eq!(mode("context/bin") & 0o777, 0o750);
            assert_eq!(
                fs_err::read_link(to.join("context/link")).unwrap(),
                Path::new("bin/tool")
            );
        }
        copy(&root.path().join("no"), &to, root.path()).unwrap();
    }

    #[test]
    fn what_cannot_be_copied_is_named() {
        let root = tempfile::tempdir().unwrap();
        let from = root.path().join("generate");
        fs_err::create_dir(&from).unwrap();
        symlink("nowhere", from.join("context")).unwrap();
        let error = copy(&from, root.path(), root.path())
            .unwrap_err()
            .to_string();
        let path = from.join("context");
        assert_eq!(
            error,
            format!("stat {}: no such file or directory", path.display())
        );
    }

    #[test]
    fn links_lead_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("x/generate"), root.path().join("to"));
        fs_err::create_dir_all(&from).unwrap();
        fs_err::create_dir(&to).unwrap();
        for target in ["/", "../..", "../../to"] {
            let link = from.join("context");
            symlink(target, &link).unwrap();
            let error = copy(&from, &to, &root.path().join("x")).unwrap_err();
            let expected = format!("{} is a link that leads out of", link.display());
            assert!(error.to_string().starts_with(&expected), "{error}");
            assert_eq!(fs_err::read_dir(&to).unwrap().count(), 0);
            fs_err::remove_file(link).unwrap();
        }
    }
}
