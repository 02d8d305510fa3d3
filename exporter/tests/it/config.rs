//! The config of the image: dates, history, environment, what is started.

use fs_err as fs;
use layout::{History, ImageConfig};
use platform::{ExitCode, labels};
use serde_json::{Value, json};

use crate::kit::{Build, config_text, lines_with, metadata_of};
use crate::log::logged;

const DEFAULT: &str = "1980-01-01T00:00:01Z";

/// A run image of two layers and much to say.
fn rich(config: &mut ImageConfig) {
    let entry = |created_by: &str, empty_layer| History {
        created: Some("2020-02-02T02:02:02Z".to_owned()),
        created_by: created_by.to_owned(),
        author: "somebody".to_owned(),
        comment: "told".to_owned(),
        empty_layer,
    };
    config.history = vec![
        entry("one", false),
        entry("ENV A=1", true),
        entry("two", false),
    ];
    let settings = &mut config.config;
    settings.env = ["A=1", "CNB_APP_DIR=/old", "PATH=/bin:/usr/bin", "Z=2"]
        .map(str::to_owned)
        .to_vec();
    "1000:1001".clone_into(&mut settings.user);
    settings.entrypoint = vec!["/bin/old".to_owned()];
    settings.cmd = vec!["argument".to_owned()];
    settings.exposed_ports = ["80/tcp".to_owned()].into();
    settings.volumes = ["/data".to_owned()].into();
    "SIGUSR1".clone_into(&mut settings.stop_signal);
    "/old".clone_into(&mut settings.working_dir);
    settings.labels.insert("kept".to_owned(), "yes".to_owned());
}

fn config(build: &Build) -> Value {
    serde_json::from_str(&config_text(&build.output())).unwrap()
}

#[test]
fn history_keeps_its_texts_from_0_12_on_and_every_entry_has_the_image_s_date() {
    for minor in 7..=15 {
        let mut build = Build::at(minor);
        build.make_run_image_with(2, rich);
        build.export().unwrap();
        let config = config(&build);
        assert_eq!(config["created"], DEFAULT, "0.{minor}");
        let mut history = config["history"].as_array().unwrap().clone();
        let layers = config["rootfs"]["diff_ids"].as_array().unwrap().len();
        assert_eq!(history.len(), layers, "0.{minor}");
        if minor < 12 {
            assert!(
                history
                    .iter()
                    .all(|entry| *entry == json!({"created": DEFAULT})),
                "0.{minor}: {history:?}"
            );
            continue;
        }
        let added = history.split_off(2);
        let base = |text| json!({"author": "somebody", "created": DEFAULT, "created_by": text, "comment": "told"});
        assert_eq!(history, [base("one"), base("two")], "0.{minor}");
        for entry in added {
            let created_by = entry["created_by"].as_str().expect("a text of its own");
            assert_eq!(entry, json!({"created": DEFAULT, "created_by": created_by}));
        }
    }
}

#[test]
fn history_of_the_run_image_that_does_not_fit_its_layers_is_dropped() {
    let mut build = Build::new();
    build.make_run_image_with(2, |config| {
        rich(config);
        config.history.pop();
    });
    build.export().unwrap();
    let history = &config(&build)["history"];
    assert_eq!(history[0], json!({"created": DEFAULT}));
    assert_eq!(history[1], json!({"created": DEFAULT}));
    assert!(
        history[2]["created_by"]
            .as_str()
            .unwrap()
            .starts_with("Layer: 'dep'")
    );
}

#[test]
fn source_date_epoch_dates_the_image_but_not_its_layers_from_0_9_on() {
    for minor in 7..=15 {
        let mut build = Build::at(minor);
        let undated = build.export().unwrap();
        for (epoch, is_valid) in [
            ("1234567890", true),
            ("0", true),
            ("-5", true),
            ("1.5", false),
            ("soon", false),
        ] {
            build.flags.source_date_epoch = Some(epoch.to_owned());
            let (image, log) = logged(|| build.export().unwrap());
            let config = config(&build);
            let is_dated = minor >= 9 && is_valid;
            assert_eq!(config["created"] != DEFAULT, is_dated, "0.{minor} {epoch}");
            let history = config["history"].as_array().unwrap();
            assert!(
                history
                    .iter()
                    .all(|entry| entry["created"] == config["created"])
            );
            let warned = log.contains("WARN Ignoring invalid SOURCE_DATE_EPOCH\n");
            assert_eq!(warned, minor >= 9 && !is_valid, "0.{minor} {epoch}");
            assert_eq!(image.diff_ids(), undated.diff_ids(), "0.{minor} {epoch}");
        }
    }
}

#[test]
fn variables_at_every_api() {
    for minor in 7..=15 {
        let mut build = Build::at(minor);
        "test".clone_into(&mut build.flags.exec_env);
        build.make_run_image_with(1, rich);
        let (_, log) = logged(|| build.export().unwrap());
        let (app, layers) = (
            build.flags.app_dir.display(),
            build.flags.layers_dir.display(),
        );
        let expected = [
            "A=1".to_owned(),
            format!("CNB_APP_DIR={app}"),
            "PATH=/cnb/process:/cnb/lifecycle:/bin:/usr/bin".to_owned(),
            "Z=2".to_owned(),
            format!("CNB_LAYERS_DIR={layers}"),
            format!("CNB_PLATFORM_API=0.{minor}"),
            "CNB_DEPRECATION_MODE=quiet".to_owned(),
        ];
        assert_eq!(
            config(&build)["config"]["Env"],
            json!(expected),
            "0.{minor}"
        );
        let expected = [
            format!("DEBUG Setting CNB_LAYERS_DIR={layers}"),
            format!("DEBUG Setting CNB_APP_DIR={app}"),
            format!("DEBUG Setting CNB_PLATFORM_API=0.{minor}"),
            "DEBUG Setting CNB_DEPRECATION_MODE=quiet".to_owned(),
            "DEBUG Prepending /cnb/process and /cnb/lifecycle to PATH".to_owned(),
        ];
        assert_eq!(lines_with(&log, &["Setting CNB_", "Prepending"]), expected);
    }
}

/// The reference splits at every `=` and wants two parts.
#[test]
fn without_a_path_that_can_be_read_there_is_a_colon_at_the_end() {
    for (env, expected) in [
        (&[][..], "PATH=/cnb/process:/cnb/lifecycle:"),
        (&["PATH=/a=b:/c"], "PATH=/cnb/process:/cnb/lifecycle:"),
        (&["PATH="], "PATH=/cnb/process:/cnb/lifecycle:"),
        (&["PATH=/a"], "PATH=/cnb/process:/cnb/lifecycle:/a"),
    ] {
        let mut build = Build::new();
        build.make_run_image_with(1, |config| {
            config.config.env = env.iter().map(|&it| it.to_owned()).collect();
        });
        build.export().unwrap();
        let env = config(&build)["config"]["Env"].as_array().unwrap().clone();
        let path = env
            .iter()
            .find(|it| it.as_str().unwrap().starts_with("PATH="));
        assert_eq!(path, Some(&json!(expected)));
    }
}

const PROCESSES: &str = r#"
[[processes]]
type = "web"
command = ["serve"]
[[processes]]
type = "checks"
command = ["check"]
exec-env = ["test"]
"#;

#[test]
fn what_is_started_at_every_api() {
    let web = "buildpack-default-process-type = \"web\"\n";
    let ghost = "buildpack-default-process-type = \"ghost\"\n";
    let rows = [
        (
            "",
            None,
            "/cnb/lifecycle/launcher",
            "no default process type",
        ),
        (
            web,
            None,
            "/cnb/process/web",
            "Setting default process type 'web'",
        ),
        // What a buildpack chose is not looked up.
        (
            ghost,
            None,
            "/cnb/process/ghost",
            "Setting default process type 'ghost'",
        ),
        (
            "",
            Some("web"),
            "/cnb/process/web",
            "Setting default process type 'web'",
        ),
        // Nor is it asked whether the process is for this execution environment.
        (
            web,
            Some("checks"),
            "/cnb/process/checks",
            "Setting default process type 'checks'",
        ),
    ];
    for minor in 7..=15 {
        let mut build = Build::at(minor);
        build.make_run_image_with(1, rich);
        for (default, wanted, expected, line) in rows {
            build.metadata(&format!("{default}{PROCESSES}"));
            build.flags.process_type = wanted.map(str::to_owned);
            let (_, log) = logged(|| build.export().unwrap());
            let settings = &config(&build)["config"];
            assert_eq!(
                settings["Entrypoint"],
                json!([expected]),
                "0.{minor} {wanted:?}"
            );
            assert_eq!(settings["Cmd"], Value::Null);
            assert_eq!(
                lines_with(&log, &["default process type"]),
                [format!("INFO {line}")]
            );
            assert!(log.contains(&format!("DEBUG Setting ENTRYPOINT: '{expected}'\n")));
        }
        build.flags.process_type = Some("job".to_owned());
        let failure = build.export().unwrap_err();
        assert_eq!(failure.code, ExitCode::Export);
        assert_eq!(
            format!("{:#}", failure.error),
            "failed to export: determining entrypoint: tried to set job to default but it doesn't exist"
        );
    }
}

#[test]
fn the_rest_stays_as_on_the_run_image() {
    let mut build = Build::new();
    build.make_run_image_with(1, rich);
    build.export().unwrap();
    let app = build.flags.app_dir.display().to_string();
    let config = config(&build);
    let settings = &config["config"];
    assert_eq!(settings["WorkingDir"], json!(app));
    assert_eq!(settings["User"], "1000:1001");
    assert_eq!(settings["ExposedPorts"], json!({"80/tcp": {}}));
    assert_eq!(settings["Volumes"], json!({"/data": {}}));
    assert_eq!(settings["StopSignal"], "SIGUSR1");
    assert_eq!(settings["Labels"]["kept"], "yes");
    assert_eq!(config["architecture"], "amd64");
    assert_eq!(config["os"], "linux");
}

#[test]
fn labels_are_set_in_their_order_and_a_later_one_wins() {
    for minor in 7..=15 {
        let build = Build::at(minor);
        let label =
            |key: &str, value: &str| format!("[[labels]]\nkey = \"{key}\"\nvalue = \"{value}\"\n");
        let mine = label("z", "1")
            + &label("a", "2")
            + &label(labels::PROJECT_METADATA, "mine")
            + &label("z", "3");
        build.metadata(&mine);
        let (image, log) = logged(|| build.export().unwrap());
        let mut expected = vec![
            labels::LIFECYCLE_METADATA,
            labels::BUILD_METADATA,
            labels::PROJECT_METADATA,
            "z",
            "a",
            labels::PROJECT_METADATA,
            "z",
        ];
        if minor >= 15 {
            expected.push(labels::EXEC_ENV);
        }
        let expected: Vec<_> = expected
            .iter()
            .map(|key| format!("INFO Adding label '{key}'"))
            .collect();
        assert_eq!(lines_with(&log, &["Adding label"]), expected, "0.{minor}");
        for (key, value) in [("z", "3"), ("a", "2"), (labels::PROJECT_METADATA, "mine")] {
            assert_eq!(image.label(key), Some(value), "0.{minor}");
        }
    }
}

#[test]
fn the_execution_environment_is_a_label_of_its_own_from_0_15_on() {
    for minor in 7..=15 {
        let mut build = Build::at(minor);
        "test".clone_into(&mut build.flags.exec_env);
        let image = build.export().unwrap();
        let expected = (minor >= 15).then_some("test");
        assert_eq!(image.label("io.buildpacks.exec-env"), expected, "0.{minor}");
        let metadata = image.label(labels::LIFECYCLE_METADATA).unwrap();
        assert!(!metadata.contains("exec-env"), "0.{minor}: {metadata}");
    }
}

#[test]
fn whether_the_image_can_be_rebased_is_the_run_image_s_to_say() {
    let key = "io.buildpacks.rebasable";
    for value in [None, Some("true"), Some("false")] {
        let mut build = Build::at(15);
        build.make_run_image_with(1, |config| {
            let label = value.map(|value| (key.to_owned(), value.to_owned()));
            config.config.labels.extend(label);
        });
        assert_eq!(build.export().unwrap().label(key), value);
    }
}

#[test]
fn the_config_layer_is_the_folder_with_its_bytes_and_modes() {
    use std::os::unix::fs::PermissionsExt as _;

    let build = Build::new();
    let image = build.export().unwrap();
    let sha = metadata_of(&image).config;
    let dir = build.path("layers/config").display().to_string();
    let seen = crate::kit::entries(&image, &sha);
    let [.., folder, file] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!((folder.name.as_str(), folder.kind), (dir.as_str(), '5'));
    assert_eq!(file.name, format!("{dir}/metadata.toml"));
    let text = fs::read_to_string(build.path("layers/config/metadata.toml")).unwrap();
    assert_eq!(file.text, text);
    for (path, mode) in [
        ("layers/config", 0o700),
        ("layers/config/metadata.toml", 0o600),
    ] {
        let before = metadata_of(&build.export().unwrap()).config;
        fs::set_permissions(build.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
        assert_ne!(
            metadata_of(&build.export().unwrap()).config,
            before,
            "{path}"
        );
    }
    build.metadata(&(text + "\n"));
    assert_ne!(metadata_of(&build.export().unwrap()).config, sha);
}
