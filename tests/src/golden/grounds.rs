//! Where cases run: `/tmp/cnb-golden`, one harness at a time.

use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use fs_err as fs;
use rustix::fs::{FlockOperation, flock};

use crate::program;

/// Parent of all cases' folders. It is part of layers and labels, so it cannot be chosen.
pub const ROOT: &str = "/tmp/cnb-golden";

/// Programs that a case may run.
const PROGRAMS: [&str; 9] = [
    "analyzer",
    "detector",
    "restorer",
    "builder",
    "exporter",
    "creator",
    "rebaser",
    "launcher",
    "lifecycle",
];

/// The place that this harness has to itself.
#[derive(Debug)]
pub struct Grounds {
    _lock: File,
    programs: PathBuf,
}

impl Grounds {
    /// Returns the place, waiting on first use until no other harness has it.
    pub fn get() -> &'static Self {
        static GROUNDS: OnceLock<Grounds> = OnceLock::new();
        GROUNDS.get_or_init(Self::take)
    }

    fn take() -> Self {
        let root = Path::new(ROOT);
        let parent = fs::metadata("/tmp").expect("there is /tmp");
        let found = (parent.mode() & 0o7777, parent.uid(), parent.gid());
        assert_eq!(
            found,
            (0o1777, 0, 0),
            "/tmp is part of layers, so it must be root's, with mode 1777"
        );
        fs::create_dir_all(root).unwrap();
        let lock = fs::File::create(root.join(".lock")).unwrap().into_file();
        flock(&lock, FlockOperation::LockExclusive).expect("/tmp has locks");
        fs::set_permissions(root, std::fs::Permissions::from_mode(0o755)).unwrap();
        chown(root, Some(0), Some(0)).unwrap();
        let programs = root.join(".bin");
        if programs.exists() {
            fs::remove_dir_all(&programs).unwrap();
        }
        for name in PROGRAMS {
            // One that does not exist is missed by the step that runs it.
            if program::ours(name).exists() {
                program::ours_in(name, &programs);
            }
        }
        Self {
            _lock: lock,
            programs,
        }
    }

    /// Returns the folder of the programs.
    pub fn programs(&self) -> &Path {
        &self.programs
    }
}
