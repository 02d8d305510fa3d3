//! Modes of what ends up in layers follow the umask of who made it (EXP-052).

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use fs_err as fs;
use tests::build::{Build, GID, UID};
use tests::program::{Ran, requires_root};

/// The same command under a umask, as the buildpacks' user.
fn under(umask: &str, command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "umask \"$0\" && exec \"$@\"", umask])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(command.get_current_dir().expect("phases have a place"))
        .uid(UID)
        .gid(GID);
    shell
}

#[test]
fn root_files_of_the_builder_follow_its_umask() {
    if !requires_root() {
        return;
    }
    for (umask, file, folder) in [
        ("022", 0o644, 0o755),
        ("027", 0o640, 0o750),
        ("000", 0o666, 0o777),
    ] {
        let build = Build::new();
        let [mut analyzer, mut detector, mut restorer, builder, _] = build.all_phases();
        for phase in [&mut analyzer, &mut detector, &mut restorer] {
            Ran::of(phase).ok();
        }
        Ran::of(&mut under(umask, &builder)).ok();
        for (path, expected) in [
            ("config", folder),
            ("config/metadata.toml", file),
            ("sbom", folder),
            ("sbom/launch", folder),
            ("sbom/launch/sbom.legacy.json", file),
        ] {
            let metadata = fs::metadata(build.path(&format!("layers/{path}"))).unwrap();
            let found = metadata.permissions().mode() & 0o7777;
            assert_eq!(found, expected, "{path} under {umask}: {found:o}");
        }
    }
}
