//! Layers as another reader sees them: which entries, with whose names, owners and modes.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use fs_err as fs;

use crate::kit::{Build, Seen, entries, metadata_of, names};

const OWNER: (u64, u64) = (4321, 8765);

/// Ids in layers that are nobody's on disk.
fn owned_by_another() -> Build {
    let mut build = Build::new();
    build.flags.user.uid = 4321;
    build.flags.user.gid = 8765;
    build.write("layers/sbom/launch/acme_one/sbom.cdx.json", "{}");
    build
}

/// The paths above one, from the top down.
fn above(path: &Path) -> Vec<String> {
    let mut above: Vec<_> = path
        .ancestors()
        .skip(1)
        .map(|it| it.display().to_string())
        .collect();
    above.retain(|it| it != "/");
    above.reverse();
    above
}

/// What is above a layer's folder is as it is on disk, what is below belongs to whom the platform says.
fn check_owners(seen: &[Seen], dir: &Path) {
    let outside = above(dir);
    assert_eq!(names(&seen[..outside.len()]), outside);
    for entry in &seen[..outside.len()] {
        let metadata = fs::metadata(&entry.name).unwrap();
        let owner = (metadata.uid().into(), metadata.gid().into());
        assert_eq!(
            (entry.owner, entry.mode, entry.kind),
            (owner, metadata.mode() & 0o7777, '5'),
            "{entry:?}"
        );
    }
    let inside = &seen[outside.len()..];
    assert_eq!(inside[0].name, dir.display().to_string());
    for entry in inside {
        assert_eq!(entry.owner, OWNER, "{entry:?}");
        assert!(entry.name.starts_with(&inside[0].name), "{entry:?}");
        let metadata = fs::symlink_metadata(&entry.name).unwrap();
        assert_eq!(entry.mode, metadata.mode() & 0o7777, "{entry:?}");
    }
}

#[test]
fn owners_are_set_from_the_layer_s_folder_downward() {
    let build = owned_by_another();
    fs::set_permissions(
        build.path("layers"),
        std::fs::Permissions::from_mode(0o2751),
    )
    .unwrap();
    let image = build.export().unwrap();
    let record = metadata_of(&image);
    let layers = build.flags.layers_dir.clone();
    let dep = &record.buildpacks[0].layers["dep"].sha;
    for (sha, dir) in [
        (dep, layers.join("acme_one/dep")),
        (&record.config, layers.join("config")),
        (record.sbom.as_ref().unwrap(), layers.join("sbom/launch")),
        (&record.app[0], build.flags.app_dir.clone()),
    ] {
        let seen = entries(&image, sha);
        check_owners(&seen, &dir);
        // Absolute, without a slash at the end of directories.
        assert!(
            seen.iter()
                .all(|it| it.name.starts_with('/') && !it.name.ends_with('/'))
        );
    }
    let launcher = entries(&image, &record.launcher);
    let text = fs::read_to_string(build.path("launcher")).unwrap();
    assert_eq!(launcher.last().unwrap().text, text);
    // Those of the lifecycle itself are root's, whoever the user is.
    for sha in [&record.launcher, &record.process_types] {
        for entry in entries(&image, sha) {
            assert_eq!((entry.owner, entry.mode), ((0, 0), 0o755), "{entry:?}");
        }
    }
}

#[test]
fn modes_and_owners_above_a_layer_change_its_digest() {
    let build = owned_by_another();
    let before = metadata_of(&build.export().unwrap());
    fs::set_permissions(build.path("layers"), std::fs::Permissions::from_mode(0o750)).unwrap();
    let after = metadata_of(&build.export().unwrap());
    let dep =
        |record: &platform::files::LayersMetadata| record.buildpacks[0].layers["dep"].sha.clone();
    assert_ne!(dep(&before), dep(&after));
    assert_ne!(before.config, after.config);
    assert_eq!(before.app, after.app, "the app is elsewhere");
    assert_eq!(before.launcher, after.launcher);
}

#[test]
fn slices_have_the_folders_above_them() {
    let build = owned_by_another();
    build.write("app/deep/er/file", "1");
    build.write("app/deep/er/left", "2");
    build.write("app/deep-er", "sorts between a folder and what is in it");
    build.metadata("processes = []\n[[slices]]\npaths = [\"deep/er/file\"]\n");
    let image = build.export().unwrap();
    let record = metadata_of(&image);
    let app = &build.flags.app_dir;
    let below = |seen: &[Seen]| -> Vec<String> {
        let names = names(seen).into_iter();
        names
            .filter_map(|name| name.strip_prefix(app.to_str().unwrap()))
            .map(str::to_owned)
            .collect()
    };
    let slice = entries(&image, &record.app[0]);
    check_owners(&slice, app);
    assert_eq!(below(&slice), ["", "/deep", "/deep/er", "/deep/er/file"]);
    let rest = entries(&image, &record.app[1]);
    check_owners(&rest, app);
    assert_eq!(
        below(&rest),
        [
            "",
            "/data",
            "/data/readme.txt",
            "/deep",
            "/deep-er",
            "/deep/er",
            "/deep/er/left",
            "/main.sh"
        ]
    );
}

#[test]
fn order_in_app_layers_is_that_of_paths_and_in_others_that_of_a_walk() {
    let build = Build::new();
    for file in ["a/b", "a-b/f", "a", "a.c"].map(|name| if name == "a" { "a/z" } else { name }) {
        build.write(&format!("app/{file}"), "1");
        build.write(&format!("layers/acme_one/dep/{file}"), "1");
    }
    fs::remove_dir_all(build.path("layers/acme_one/dep/bin")).unwrap();
    fs::remove_dir_all(build.path("app/data")).unwrap();
    fs::remove_file(build.path("app/main.sh")).unwrap();
    let image = build.export().unwrap();
    let record = metadata_of(&image);
    let below = |sha: &str, dir: &str| -> Vec<String> {
        let dir = build.path(dir).display().to_string();
        let seen = entries(&image, sha);
        let names = names(&seen)
            .into_iter()
            .filter_map(|name| name.strip_prefix(&dir));
        names.map(str::to_owned).collect()
    };
    assert_eq!(
        below(&record.app[0], "app"),
        ["", "/a", "/a-b", "/a-b/f", "/a.c", "/a/b", "/a/z"]
    );
    assert_eq!(
        below(
            &record.buildpacks[0].layers["dep"].sha,
            "layers/acme_one/dep"
        ),
        ["", "/a", "/a/b", "/a/z", "/a-b", "/a-b/f", "/a.c"]
    );
}

/// A layer that is a link is only found where its file has no folder beside it.
#[test]
fn a_link_in_place_of_a_folder_is_stored_as_the_link() {
    let mut build = Build::new();
    build.write("elsewhere/f", "1");
    symlink("../../elsewhere", build.path("layers/acme_one/linked")).unwrap();
    build.layer("linked", "launch = true", &[]);
    fs::rename(build.path("app"), build.path("moved")).unwrap();
    symlink("moved", build.path("app")).unwrap();
    build.flags.app_dir = build.path("app");
    let image = build.export().unwrap();
    let record = metadata_of(&image);
    for (sha, path, target) in [
        (
            &record.buildpacks[0].layers["linked"].sha,
            "layers/acme_one/linked",
            "../../elsewhere",
        ),
        (&record.app[0], "app", "moved"),
    ] {
        let path = build.path(path);
        let seen = entries(&image, sha);
        let last = seen.last().unwrap();
        assert_eq!(names(&seen)[..seen.len() - 1], above(&path));
        assert_eq!(
            (last.name.as_str(), last.kind, last.mode),
            (path.to_str().unwrap(), '2', 0o777)
        );
        assert_eq!(last.text, target);
    }
}
