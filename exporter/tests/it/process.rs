//! The program itself: what only a process has, its time zone and its umask.

use std::path::Path;
use std::process::Command;

use fs_err as fs;
use platform::files;

use crate::kit::{Build, image_at, metadata_of};

/// Runs the exporter under a umask and in a time zone.
fn run(build: &Build, umask: &str, zone: &Path, epoch: Option<&str>) {
    let path = build.path("layers/analyzed.toml");
    files::analyzed::write(&path, &build.analyzed).unwrap();
    let group = "[[group]]\nid = \"acme/one\"\nversion = \"1.0.0\"\napi = \"0.10\"\n";
    build.write("layers/group.toml", group);
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "umask $UMASK && exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_exporter"))
        .env_clear()
        .env("UMASK", umask)
        .env("TZ", zone)
        .env("CNB_PLATFORM_API", "0.13")
        .env("CNB_EXPERIMENTAL_MODE", "quiet")
        .envs(epoch.map(|epoch| ("SOURCE_DATE_EPOCH", epoch)))
        .arg("-layout");
    for (flag, name) in [
        ("-layout-dir", "images"),
        ("-app", "app"),
        ("-layers", "layers"),
        ("-launcher", "launcher"),
        ("-launcher-sbom", "launcher-sbom"),
        ("-run", "run.toml"),
    ] {
        command.arg(flag).arg(build.path(name));
    }
    let user = build.flags.user;
    let output = command
        .args(["-uid", &user.uid.to_string(), "-gid", &user.gid.to_string()])
        .arg("app")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}

/// A zone file (RFC 8536) of one offset, so that no machine's own files matter.
fn zone_file(offset: i32, name: &str, footer: &str) -> Vec<u8> {
    let name = [name.as_bytes(), b"\0"].concat();
    let characters = u32::try_from(name.len()).unwrap();
    let counts = [0, 0, 0, 0, 1, characters].map(u32::to_be_bytes).concat();
    let header = [b"TZif2".to_vec(), vec![0; 15], counts].concat();
    let data = [offset.to_be_bytes().to_vec(), vec![0, 0], name].concat();
    let block = [header, data].concat();
    [block.clone(), block, format!("\n{footer}\n").into_bytes()].concat()
}

#[test]
fn source_date_epoch_is_written_in_the_zone_of_the_process() {
    let build = Build::new();
    for (offset, name, footer, expected) in [
        (-18000, "EST", "EST5", "2023-11-14T17:13:20-05:00"),
        (20700, "+0545", "<+0545>-5:45", "2023-11-15T03:58:20+05:45"),
        (0, "UTC", "UTC0", "2023-11-14T22:13:20Z"),
    ] {
        let zone = build.path("zone");
        fs::write(&zone, zone_file(offset, name, footer)).unwrap();
        run(&build, "022", &zone, Some("1700000000"));
        let image = image_at(&build.output());
        let config = image.config();
        assert_eq!(config.created.as_deref(), Some(expected));
        let history = config.history.iter();
        assert!(
            history
                .map(|it| it.created.as_deref())
                .all(|it| it == Some(expected))
        );
    }
    run(&build, "022", Path::new("UTC"), None);
    let image = image_at(&build.output());
    assert_eq!(
        image.config().created.as_deref(),
        Some("1980-01-01T00:00:01Z")
    );
}

/// EXP-052: modes of what the lifecycle itself puts into layers follow the umask, not the source.
#[test]
fn copied_sboms_have_the_modes_of_the_umask() {
    use std::os::unix::fs::PermissionsExt as _;

    for (umask, file, folder) in [
        ("022", 0o644, 0o755),
        ("027", 0o640, 0o750),
        ("000", 0o666, 0o755),
    ] {
        let build = Build::new();
        let source = "launcher-sbom/launcher.sbom.cdx.json";
        build.write(source, "{}");
        fs::set_permissions(build.path(source), std::fs::Permissions::from_mode(0o700)).unwrap();
        run(&build, umask, Path::new("UTC"), None);
        let image = image_at(&build.output());
        let sbom = metadata_of(&image).sbom.unwrap();
        let seen = crate::kit::entries(&image, &sbom);
        let dir = build
            .path("layers/sbom/launch/buildpacksio_lifecycle")
            .display()
            .to_string();
        let made: Vec<_> = seen
            .iter()
            .filter_map(|it| Some((it.name.strip_prefix(&dir)?, it.mode)))
            .collect();
        let expected = [
            ("", folder),
            ("/launcher", folder),
            ("/launcher/launcher.sbom.cdx.json", file),
        ];
        assert_eq!(made, expected, "{umask}");
    }
}
