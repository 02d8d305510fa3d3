//! What of the previous image is taken again, and what is said of it.

use fs_err as fs;

use crate::kit::{Build, blob_of, entries, lines_with, metadata_of, names};
use crate::log::logged;

/// Every kind of layer once, exported and analyzed.
fn exported() -> Build {
    let mut build = Build::new();
    build.write("layers/sbom/launch/sbom.legacy.json", "null");
    build.export().unwrap();
    let output = build.output();
    build.analyze(&output);
    build
}

#[test]
fn each_layer_is_reused_unless_itself_changed() {
    let items = [
        ("acme/one:dep", "layers/acme_one/dep/bin/tool"),
        (
            "buildpacksio/lifecycle:launch.sbom",
            "layers/sbom/launch/sbom.legacy.json",
        ),
        ("buildpacksio/lifecycle:launcher", "launcher"),
        ("buildpacksio/lifecycle:config", "layers/config/more.toml"),
        ("buildpacksio/lifecycle:process-types", ""),
        ("app layer", "app/main.sh"),
    ];
    for (changed, file) in items {
        let build = exported();
        if file.is_empty() {
            let process = "[[processes]]\ntype = \"other\"\ncommand = [\"x\"]\n";
            build.metadata(process);
        } else {
            build.write(file, "changed");
        }
        let (image, log) = logged(|| build.export().unwrap());
        let diff_ids: Vec<_> = image.diff_ids().iter().map(ToString::to_string).collect();
        let record = metadata_of(&image);
        // The layer of links is made from the file of the config layer.
        let is_changed =
            |id: &str| id == changed || (file.is_empty() && id == "buildpacksio/lifecycle:config");
        for (at, (id, _)) in items[..5].iter().enumerate() {
            let sha = &diff_ids[[1, 2, 4, 5, 6][at]];
            let verb = if is_changed(id) { "Adding" } else { "Reusing" };
            let expected = format!(
                "DEBUG Reusing tarball for layer \"{id}\" with SHA: {sha}\nINFO {verb} layer '{id}'\nDEBUG Layer '{id}' SHA: {sha}\n"
            );
            assert!(log.contains(&expected), "{changed}: {expected} in\n{log}");
        }
        let app = if changed == "app layer" {
            "Added"
        } else {
            "Reused"
        };
        assert_eq!(
            lines_with(&log, &["app layer(s)"]),
            [format!("INFO {app} 1/1 app layer(s)")]
        );
        assert!(log.contains(&format!("DEBUG Layer 'slice-1' SHA: {}\n", record.app[0])));
        assert!(log.contains(&format!(
            "INFO Reusing layers from image '{}'\n",
            build.output().display()
        )));
    }
}

/// A layer's own record counts, not that the image has such a layer under another name.
#[test]
fn a_layer_is_compared_with_what_was_recorded_under_its_name() {
    let mut build = exported();
    let layers = &mut build.analyzed.metadata.buildpacks[0].layers;
    let dep = layers.remove("dep").unwrap();
    layers.insert("other".to_owned(), dep);
    let before = &mut build.analyzed.metadata;
    std::mem::swap(&mut before.launcher, &mut before.config);
    let (_, log) = logged(|| build.export().unwrap());
    let added = lines_with(&log, &["Adding layer"]);
    assert_eq!(
        added,
        [
            "INFO Adding layer 'acme/one:dep'",
            "INFO Adding layer 'buildpacksio/lifecycle:launcher'",
            "INFO Adding layer 'buildpacksio/lifecycle:config'",
        ]
    );
}

#[test]
fn nothing_is_reused_where_there_was_no_image() {
    let mut build = exported();
    build.analyzed.previous_image = None;
    let (_, log) = logged(|| build.export().unwrap());
    assert_eq!(lines_with(&log, &["Reusing layer", "Reused"]), [""; 0]);
}

/// The blob of a reused layer is the previous image's, not one that was made again.
#[test]
fn a_reused_layer_keeps_its_descriptor() {
    let mut build = Build::new();
    let image = build.export().unwrap();
    let output = build.output();
    build.analyze(&output);
    let dep = metadata_of(&image).buildpacks[0].layers["dep"].sha.clone();
    // Were it compressed again, the layout would get the blob back.
    let blob = blob_of(&output, &image, &dep);
    let moved = build.path("moved");
    fs::rename(&blob, &moved).unwrap();
    let failure = build.export().unwrap_err();
    assert!(format!("{:#}", failure.error).contains(&dep));
    fs::rename(&moved, &blob).unwrap();
    let again = build.export().unwrap();
    assert_eq!(again.manifest().layers, image.manifest().layers);
}

const SLICES: &str = "processes = []\n[[slices]]\npaths = [\"a\"]\n[[slices]]\npaths = [\"b\", \"link\"]\n[[slices]]\npaths = [\"nothing\"]\n";

#[test]
fn slices_are_reused_wherever_they_stood() {
    let mut build = Build::new();
    for (file, text) in [("a/one", "1"), ("b/two", "2")] {
        build.write(&format!("app/{file}"), text);
    }
    fs_err::os::unix::fs::symlink("a", build.path("app/link")).unwrap();
    build.metadata(SLICES);
    let (image, log) = logged(|| build.export().unwrap());
    assert_eq!(
        lines_with(&log, &["app layer(s)"]),
        ["INFO Added 4/4 app layer(s)"]
    );
    let first = metadata_of(&image);
    // EXP-053: a slice without files is the archive of nothing.
    let nothing = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
    assert_eq!(first.app[2], nothing);
    let app = build.flags.app_dir.display().to_string();
    let below = |number: usize| {
        let seen = entries(&image, &first.app[number]);
        let names = names(&seen)
            .into_iter()
            .filter_map(|name| name.strip_prefix(&app));
        let kinds = seen.iter().map(|entry| entry.kind).collect::<String>();
        (names.collect::<Vec<_>>().join(" "), kinds.chars().last())
    };
    assert_eq!(below(0), (" /a /a/one".to_owned(), Some('0')));
    assert_eq!(below(1), (" /b /b/two /link".to_owned(), Some('2')));
    assert_eq!(
        below(3),
        (" /data /data/readme.txt /main.sh".to_owned(), Some('0'))
    );
    let history: Vec<_> = image.config().history[3..7]
        .iter()
        .map(|it| it.created_by.as_str())
        .collect();
    let expected = [1, 2, 3, 4].map(|number| format!("Application Slice: {number}"));
    assert_eq!(history, expected);

    let output = build.output();
    build.analyze(&output);
    build.metadata(
        "processes = []\n[[slices]]\npaths = [\"b\", \"link\"]\n[[slices]]\npaths = [\"a\"]\n",
    );
    build.write("app/main.sh", "changed");
    let (image, log) = logged(|| build.export().unwrap());
    let second = metadata_of(&image);
    assert_eq!(
        second.app[..2],
        [first.app[1].clone(), first.app[0].clone()]
    );
    assert_eq!(
        lines_with(&log, &["app layer(s)"]),
        [
            "INFO Reused 2/3 app layer(s)",
            "INFO Added 1/3 app layer(s)"
        ]
    );
}
