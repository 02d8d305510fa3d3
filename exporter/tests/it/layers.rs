//! Which layers an image gets, in which order, and which of them are the previous image's.

use fs_err as fs;
use layout::DiffId;
use platform::ExitCode;

use crate::kit::{Build, entries, image_at, lines_with, metadata_of, names};
use crate::log::logged;

const SLICED: &str = r#"
[[processes]]
type = "web"
command = ["serve"]
direct = true
buildpack-id = "acme/one"

[[slices]]
paths = ["data"]
"#;

/// Two buildpacks, an SBOM, a slice.
fn full(minor: u32) -> Build {
    let mut build = Build::at(minor);
    // In group order, whatever the names say.
    build.buildpack("acme/first");
    build.group.group.swap(0, 1);
    "2.0.0".clone_into(&mut build.group.group[0].version);
    build.layer_of("acme_first", "lib", "launch = true", &[("f", "1")]);
    build.layer("also", "launch = true\nbuild = true", &[("f", "1")]);
    build.write("layers/sbom/launch/sbom.legacy.json", "null");
    build.metadata(SLICED);
    build.make_run_image_with(2, |_| {});
    build
}

#[test]
fn layers_of_every_api_stand_in_their_order_on_the_run_image() {
    for minor in 7..=15 {
        let build = full(minor);
        let (image, log) = logged(|| build.export().unwrap());
        let added = lines_with(&log, &["Adding layer", "Layer 'slice-"]);
        let mut ids = vec![
            "acme/first:lib",
            "acme/one:also",
            "acme/one:dep",
            "buildpacksio/lifecycle:launch.sbom",
            "slice-1",
            "slice-2",
            "buildpacksio/lifecycle:launcher",
            "buildpacksio/lifecycle:config",
            "buildpacksio/lifecycle:process-types",
        ];
        let mut texts = vec![
            "Layer: 'lib', Created by buildpack: acme/first@2.0.0",
            "Layer: 'also', Created by buildpack: acme/one@1.0.0",
            "Layer: 'dep', Created by buildpack: acme/one@1.0.0",
            "Software Bill-of-Materials",
            "Application Slice: 1",
            "Application Slice: 2",
            "Buildpacks Application Launcher",
            "Buildpacks Launcher Config",
            "Buildpacks Process Types",
        ];
        if minor < 8 {
            ids.remove(3);
            texts.remove(3);
        }
        let found: Vec<_> = added
            .iter()
            .map(|line| line.split('\'').nth(1).unwrap())
            .collect();
        assert_eq!(found, ids, "0.{minor}");

        let record = metadata_of(&image);
        let sha = |buildpack: usize, layer: &str| &record.buildpacks[buildpack].layers[layer].sha;
        let shas = [sha(0, "lib"), sha(1, "also"), sha(1, "dep")]
            .into_iter()
            .chain(&record.sbom)
            .chain(&record.app)
            .chain([&record.launcher, &record.config, &record.process_types]);
        let diff_ids: Vec<_> = image.diff_ids().iter().map(ToString::to_string).collect();
        assert_eq!(
            diff_ids[2..].iter().collect::<Vec<_>>(),
            shas.collect::<Vec<_>>(),
            "0.{minor}"
        );
        assert_eq!(record.sbom.is_some(), minor >= 8, "0.{minor}");

        let history = image.config().history.iter();
        let created_by: Vec<_> = history.map(|entry| entry.created_by.as_str()).collect();
        let blank = vec![""; texts.len() + 2];
        let expected = if minor < 12 {
            blank
        } else {
            [&["", ""], &texts[..]].concat()
        };
        assert_eq!(created_by, expected, "0.{minor}");

        // The run image's layers are what they were.
        let run_image = image_at(&build.run_image());
        assert_eq!(image.manifest().layers[..2], run_image.manifest().layers);
        assert_eq!(image.diff_ids()[..2], *run_image.diff_ids());
        assert_eq!(record.run_image.top_layer, diff_ids[1]);
    }
}

#[test]
fn the_top_layer_is_the_run_image_s_which_must_have_one() {
    let mut build = Build::new();
    build.make_run_image_with(3, |_| {});
    let image = build.export().unwrap();
    let top = image.diff_ids()[2].to_string();
    assert_eq!(metadata_of(&image).run_image.top_layer, top);

    build.make_run_image_with(0, |_| {});
    let failure = build.export().unwrap_err();
    assert_eq!(failure.code, ExitCode::Export);
    let text = format!("{:#}", failure.error);
    assert!(
        text.starts_with("failed to export: get run image top layer SHA: "),
        "{text}"
    );
}

#[test]
fn names_decide_the_order_within_a_buildpack_byte_by_byte() {
    let build = Build::new();
    for name in ["b", "a", "a.c", "a-b", "B", "é", "aa"] {
        build.layer(name, "launch = true", &[("f", name)]);
    }
    // No layers, whatever they say: three names, a file that is no TOML, a folder of another buildpack.
    for file in ["launch.toml", "build.toml", "store.toml", "note.txt"] {
        build.write(
            &format!("layers/acme_one/{file}"),
            "[types]\nlaunch = true\n",
        );
    }
    build.layer_of("acme_other", "x", "launch = true", &[("f", "1")]);
    let (image, log) = logged(|| build.export().unwrap());
    let added = lines_with(&log, &["Adding layer 'acme/"]);
    let expected = ["B", "a", "a-b", "a.c", "aa", "b", "dep", "é"];
    let expected = expected.map(|name| format!("INFO Adding layer 'acme/one:{name}'"));
    assert_eq!(added, expected);
    assert_eq!(metadata_of(&image).buildpacks.len(), 1);
}

#[test]
fn a_toml_file_without_a_folder_is_a_layer_and_so_is_a_folder_of_a_special_name() {
    let build = Build::new();
    build.layer("launch", "launch = true", &[("f", "1")]);
    build.layer("lonely", "launch = true\ncache = true", &[]);
    let failure = build.export().unwrap_err();
    let text = format!("{:#}", failure.error);
    assert!(text.contains("'acme/one:lonely'"), "{text}");
    fs::remove_file(build.path("layers/acme_one/lonely.toml")).unwrap();
    let record = metadata_of(&build.export().unwrap());
    assert!(record.buildpacks[0].layers.contains_key("launch"));
}

#[test]
fn only_launch_layers_are_exported_and_every_buildpack_is_recorded() {
    let mut build = Build::new();
    build.buildpack("acme/none");
    build.write("layers/acme_one/bare/f", "no file says what this is");
    for (name, types) in [
        ("l", "launch = true"),
        ("lb", "launch = true\nbuild = true"),
        ("lc", "launch = true\ncache = true"),
        ("lbc", "launch = true\nbuild = true\ncache = true"),
        ("b", "build = true"),
        ("c", "cache = true"),
        ("bc", "build = true\ncache = true"),
        ("n", "launch = false"),
    ] {
        build.layer(name, types, &[("f", name)]);
    }
    let image = build.export().unwrap();
    let record = metadata_of(&image);
    let layers = &record.buildpacks[0].layers;
    assert_eq!(
        layers.keys().collect::<Vec<_>>(),
        ["dep", "l", "lb", "lbc", "lc"]
    );
    for (name, layer) in layers {
        let flags = (layer.launch, layer.build, layer.cache);
        assert_eq!(
            flags,
            (true, name.contains('b'), name.contains('c')),
            "{name}"
        );
    }
    let label = image.label("io.buildpacks.lifecycle.metadata").unwrap();
    let none = r#"{"key":"acme/none","version":"1.0.0","layers":{}}"#;
    assert!(label.contains(none), "{label}");
    // Run image, five layers, SBOM, app, launcher, config, process types.
    assert_eq!(image.diff_ids().len(), 11);
}

#[test]
fn a_layer_without_contents_is_looked_for_under_its_buildpack_and_name() {
    let mut build = Build::new();
    build.buildpack("acme/two");
    build.layer_of("acme_two", "dep", "launch = true", &[("f", "another")]);
    // Neither is the first or the last of its buildpack.
    for folder in ["acme_one", "acme_two"] {
        for name in ["also", "extra"] {
            build.layer_of(folder, name, "launch = true", &[("f", name)]);
        }
    }
    let first = metadata_of(&build.export().unwrap());
    let output = build.output();
    build.analyze(&output);
    for folder in ["acme_one", "acme_two"] {
        fs::remove_dir_all(build.path(&format!("layers/{folder}/dep"))).unwrap();
    }
    let (image, log) = logged(|| build.export().unwrap());
    let second = metadata_of(&image);
    assert_eq!(first.buildpacks, second.buildpacks);
    assert_ne!(
        first.buildpacks[0].layers["dep"].sha,
        first.buildpacks[1].layers["dep"].sha
    );
    for (number, id) in ["acme/one:dep", "acme/two:dep"].iter().enumerate() {
        let sha = &second.buildpacks[number].layers["dep"].sha;
        let expected = format!("INFO Reusing layer '{id}'\nDEBUG Layer '{id}' SHA: {sha}\n");
        assert!(log.contains(&expected), "{log}");
        assert!(image.layer(&DiffId(sha.parse().unwrap())).is_some());
    }

    // The other buildpack's record of that name does not count.
    build.analyzed.metadata.buildpacks[0].layers.remove("dep");
    let failure = build.export().unwrap_err();
    assert_eq!(failure.code, ExitCode::Export);
    assert_eq!(
        format!("{:#}", failure.error),
        "failed to export: cannot reuse 'acme/one:dep', previous image has no metadata for layer 'acme/one:dep'"
    );
}

#[test]
fn layers_whose_files_make_no_sense_are_named_after_the_good_ones() {
    let mut build = Build::new();
    build.buildpack("acme/two");
    build.layer_of("acme_two", "dep", "launch = true", &[("f", "another")]);
    build.write("layers/acme_one/bad.toml", "= =");
    for key in ["build", "launch", "cache"] {
        build.write(
            &format!("layers/acme_one/flat-{key}.toml"),
            &format!("{key} = true\n"),
        );
    }
    build.layer("zz", "launch = true", &[("f", "1")]);
    let (result, log) = logged(|| build.export());
    let failure = result.unwrap_err();
    assert_eq!(failure.code, ExitCode::Export);
    let ids = "acme/one:bad acme/one:flat-build acme/one:flat-cache acme/one:flat-launch";
    assert_eq!(
        format!("{:#}", failure.error),
        format!("failed to export: failed to parse metadata for layers '[{ids}]'")
    );
    let added = lines_with(&log, &["Adding layer"]);
    assert_eq!(
        added,
        [
            "INFO Adding layer 'acme/one:dep'",
            "INFO Adding layer 'acme/one:zz'"
        ]
    );
}

/// At 0.11 and later the SBOM of the launcher makes the folder.
#[test]
fn the_sbom_layer_is_there_from_0_8_on_if_its_folder_is() {
    for (minor, is_there, expected) in [
        (7, true, false),
        (8, true, true),
        (8, false, false),
        (10, true, true),
        (10, false, false),
    ] {
        let build = Build::at(minor);
        build.write("layers/sbom/build/acme_one/sbom.cdx.json", "{}");
        if is_there {
            build.write("layers/sbom/launch/acme_one/sbom.cdx.json", "{}");
        }
        let image = build.export().unwrap();
        let label = image.label("io.buildpacks.lifecycle.metadata").unwrap();
        assert_eq!(label.contains(r#""sbom":"#), expected, "0.{minor}");
        let record = metadata_of(&image);
        if let Some(sha) = record.sbom {
            let dir = build.path("layers/sbom/launch").display().to_string();
            let seen = entries(&image, &sha);
            let below: Vec<_> = names(&seen)
                .into_iter()
                .filter(|name| name.starts_with(&dir))
                .collect();
            let file = format!("{dir}/acme_one/sbom.cdx.json");
            assert_eq!(
                below,
                [dir.clone(), format!("{dir}/acme_one"), file],
                "0.{minor}"
            );
        }
    }
}

#[test]
fn there_is_a_layer_of_links_only_where_there_are_processes() {
    let build = Build::new();
    let link = |process_type: &str| format!("/cnb/process/{process_type}");
    let process =
        |process_type| format!("[[processes]]\ntype = \"{process_type}\"\ncommand = [\"x\"]\n");
    build.metadata(&(process("web") + &process("a b") + &process("zz.9_-")));
    let image = build.export().unwrap();
    let seen = entries(&image, &metadata_of(&image).process_types);
    let types = ["web", "a b", "zz.9_-"].map(link);
    assert_eq!(names(&seen)[2..], types);
    for entry in &seen {
        assert_eq!((entry.mode, entry.owner), (0o755, (0, 0)), "{entry:?}");
        let is_link = entry.name.matches('/').count() == 3;
        let target = if is_link {
            ('2', "/cnb/lifecycle/launcher")
        } else {
            ('5', "")
        };
        assert_eq!((entry.kind, entry.text.as_str()), target);
    }
    for none in ["", "processes = []\n"] {
        build.metadata(none);
        let (image, log) = logged(|| build.export().unwrap());
        assert_eq!(metadata_of(&image).process_types, "");
        assert!(!log.contains("process-types"), "{log}");
        let label = image.label("io.buildpacks.lifecycle.metadata").unwrap();
        assert!(label.contains(r#""process-types":{"sha":""}"#), "{label}");
    }
}
