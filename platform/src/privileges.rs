//! Whose rights a phase runs with: volumes handed over, then the user switched for good (COM-040 to COM-044).

use std::path::Path;

use crate::exit::Failure;

/// Chowns `dirs` and what is below, where `uid`:`gid` could not write otherwise (COM-040, COM-041).
pub fn own(uid: u32, gid: u32, dirs: &[Option<&Path>]) -> Result<(), Failure> {
    let _ = (uid, gid, dirs);
    todo!()
}

/// Becomes `uid`:`gid`, for good, in every thread; does nothing if that is who runs already (COM-042).
pub fn become_user(uid: u32, gid: u32) -> Result<(), Failure> {
    let _ = (uid, gid);
    todo!()
}

/// Returns HOME and USER of `uid` from the passwd file (COM-043).
pub fn home_of(uid: u32) -> Result<(std::path::PathBuf, String), Failure> {
    let _ = uid;
    todo!()
}

/// Returns whether this process runs as root (COM-044).
pub fn is_root() -> bool {
    todo!()
}
