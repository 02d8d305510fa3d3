//! Called as a platform calls: flags, files, and the code of each failure.

use fs_err as fs;
use layout::{Layout, Selector};
use platform::entry::Invocation;
use platform::files::analyzed::RunImage;
use platform::inputs::Variables;
use platform::{Failure, PlatformApi, files};

use crate::kit::{Build, image_at, metadata_of};
use crate::log::logged;

/// A build and how its exporter is called.
struct Call {
    build: Build,
    minor: u32,
    variables: Vec<(&'static str, String)>,
}

const GROUP: &str = "[[group]]\nid = \"acme/one\"\nversion = \"1.0.0\"\napi = \"0.10\"\n";

impl Call {
    /// Writes into a layout, which variables can say at every API.
    fn new(minor: u32) -> Self {
        let build = Build::at(minor);
        build.write("layers/group.toml", GROUP);
        files::analyzed::write(&build.path("layers/analyzed.toml"), &build.analyzed).unwrap();
        let variables = vec![
            ("CNB_USE_LAYOUT", "true".to_owned()),
            ("CNB_LAYOUT_DIR", build.path("images").display().to_string()),
            ("CNB_EXPERIMENTAL_MODE", "quiet".to_owned()),
            ("CNB_RUN_PATH", build.path("run.toml").display().to_string()),
            (
                "CNB_STACK_PATH",
                build.path("stack.toml").display().to_string(),
            ),
        ];
        Self {
            build,
            minor,
            variables,
        }
    }

    fn without(mut self, variable: &str) -> Self {
        self.variables.retain(|(name, _)| *name != variable);
        self
    }

    /// Has the analyzer have found a run image in a registry that nobody reaches.
    fn run_image_nowhere(&self) {
        let reference = format!("127.0.0.1:1/run@sha256:{}", "0".repeat(64));
        let text = format!("[run-image]\nreference = \"{reference}\"\n");
        self.build.write("layers/analyzed.toml", &text);
    }

    fn run(&self, args: &[&str]) -> Result<(), Failure> {
        let at = |name: &str| self.build.path(name).display().to_string();
        let user = self.build.flags.user;
        let given = [
            ("-app", at("app")),
            ("-layers", at("layers")),
            ("-launcher", at("launcher")),
            ("-uid", user.uid.to_string()),
            ("-gid", user.gid.to_string()),
        ];
        let given = given
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value]);
        let args = given.chain(args.iter().map(|&arg| arg.to_owned()));
        let variables = self.variables.iter();
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        exporter::command::command(&Invocation {
            name: "exporter".to_owned(),
            api: PlatformApi::negotiate(Some(&format!("0.{}", self.minor))).unwrap(),
            args: args.map(Into::into).collect(),
            variables: Variables::from_pairs(variables),
        })
    }

    /// Fails, and leaves no image.
    fn fail(&self, args: &[&str]) -> (u8, String) {
        let failure = self.run(args).unwrap_err();
        assert!(!self.build.output().exists());
        assert!(!self.build.path("layers/report.toml").exists());
        (failure.code as u8, format!("{:#}", failure.error))
    }
}

#[test]
fn every_api_exports() {
    for minor in 7..=15 {
        let call = Call::new(minor);
        call.run(&["app"]).unwrap();
        let image = image_at(&call.build.output());
        assert!(
            metadata_of(&image).buildpacks[0].layers.contains_key("dep"),
            "0.{minor}"
        );
        let expected = (minor >= 15).then_some("production");
        assert_eq!(image.label("io.buildpacks.exec-env"), expected, "0.{minor}");
    }
}

#[test]
fn an_image_is_needed_and_the_first_is_the_one() {
    let call = Call::new(13);
    let expected = "failed to parse arguments: at least one image argument is required";
    assert_eq!(call.fail(&[]), (3, expected.to_owned()));
    call.run(&["app", "app:second"]).unwrap();
    let report = fs::read_to_string(call.build.path("layers/report.toml")).unwrap();
    let (first, second) = (
        call.build.output(),
        call.build.path("images/index.docker.io/library/app/second"),
    );
    let tags = format!("tags = [\"{}\", \"{}\"]", first.display(), second.display());
    assert!(report.contains(&tags), "{report}");
    assert_eq!(image_at(&first).digest(), image_at(&second).digest());
}

#[test]
fn the_run_image_is_the_one_that_was_analyzed() {
    let call = Call::new(13);
    let path = call.build.path("layers/analyzed.toml");
    let missing = "failed to resolve inputs: run image not found in analyzed metadata";
    for text in [
        Some("[run-image]\nreference = \"\"\n"),
        Some("[image]\nreference = \"\"\n"),
        None,
    ] {
        match text {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        assert_eq!(call.fail(&["app"]), (3, missing.to_owned()), "{text:?}");
    }
    // Another image than the one that run.toml names.
    let mut build = Build::new();
    build.make_run_image_with(2, |_| {});
    let image = image_at(&build.run_image());
    let other = Layout::at(call.build.path("images/other"));
    other.copy_from(&image, "latest").unwrap();
    call.build
        .write("run.toml", "[[images]]\nimage = \"run\"\n");
    let analyzed = files::Analyzed {
        run_image: Some(RunImage {
            reference: format!("{}@{}", other.path().display(), image.digest()),
            ..RunImage::default()
        }),
        ..files::Analyzed::default()
    };
    files::analyzed::write(&path, &analyzed).unwrap();
    call.run(&["app"]).unwrap();
    let made = image_at(&call.build.output());
    assert_eq!(made.diff_ids()[..2], *image.diff_ids());
    let reference = metadata_of(&made).run_image.reference;
    assert_eq!(
        reference,
        format!("{}@{}", other.path().display(), image.digest())
    );
}

#[test]
fn a_group_that_cannot_be_exported_is_refused_first() {
    let module = |api: &str| GROUP.replace("0.10", api);
    let rows = [
        (None, 1, "failed to read group file: open "),
        (
            Some("= =".to_owned()),
            1,
            "failed to read group file: toml: ",
        ),
        (
            Some(module("9.9")),
            12,
            "failed to set API for Buildpack 'acme/one@1.0.0': buildpack API version '9.9' is incompatible with the lifecycle",
        ),
        (Some(module("x")), 12, "failed to parse buildpack API "),
    ];
    for minor in [7, 15] {
        for (text, code, expected) in &rows {
            let call = Call::new(minor);
            let path = call.build.path("layers/group.toml");
            match text {
                Some(text) => fs::write(&path, text).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let (found, said) = call.fail(&["app"]);
            assert_eq!(found, *code, "{said}");
            assert!(said.starts_with(expected), "{said}");
        }
    }
}

#[test]
fn the_code_of_missing_build_metadata_depends_on_who_reads_it_first() {
    let run = |name: &str| format!("[[images]]\nimage = \"{name}\"\n");
    let rows = [
        (7, Some(run("other")), 62),
        (11, Some(run("other")), 62),
        (12, None, 62),
        (12, Some(String::new()), 62),
        (12, Some(run("run")), 62),
        (12, Some(run("other")), 1),
        (15, Some(run("other")), 1),
    ];
    for (minor, text, expected) in rows {
        let mut call = Call::new(minor);
        if let Some(text) = &text {
            call.build.write("run.toml", text);
        }
        let run_image = call.build.analyzed.run_image.as_mut().unwrap();
        run_image.image = "index.docker.io/library/run:latest".to_owned();
        files::analyzed::write(
            &call.build.path("layers/analyzed.toml"),
            &call.build.analyzed,
        )
        .unwrap();
        let path = call.build.path("layers/config/metadata.toml");
        fs::remove_file(&path).unwrap();
        let (code, said) = call.fail(&["app"]);
        assert_eq!(code, expected, "0.{minor} {text:?}: {said}");
        let cause = format!(
            "failed to read build metadata file: open {}: no such file",
            path.display()
        );
        assert!(said.contains(&cause), "{said}");
    }
}

/// What is not there is named: a daemon's socket, and a registry at a port where nobody listens.
#[test]
fn a_layout_comes_before_a_daemon_and_a_daemon_before_a_registry() {
    let call = Call::new(13);
    call.run(&["-daemon", "app"]).unwrap();
    image_at(&call.build.output());

    let mut call = Call::new(13).without("CNB_USE_LAYOUT");
    let socket = call.build.path("no-socket").display().to_string();
    call.variables
        .push(("DOCKER_HOST", format!("unix://{socket}")));
    call.run_image_nowhere();
    for (args, target) in [
        (&["-daemon", "app"][..], socket.as_str()),
        (&["app"], "127.0.0.1:1"),
    ] {
        let (code, said) = call.fail(args);
        assert_eq!(code, 1);
        assert!(said.contains(target), "{said}");
    }
}

#[test]
fn layers_of_extensions_are_an_experiment_below_0_13() {
    for (minor, mode, expected) in [
        (12, None, 1),
        (12, Some("error"), 1),
        (12, Some("warn"), 62),
        (12, Some("quiet"), 62),
        (13, None, 62),
        (15, None, 62),
    ] {
        // Without a layout, which would be an experiment of its own.
        let mut call = Call::new(minor)
            .without("CNB_USE_LAYOUT")
            .without("CNB_EXPERIMENTAL_MODE");
        call.variables
            .extend(mode.map(|mode| ("CNB_EXPERIMENTAL_MODE", mode.to_owned())));
        call.run_image_nowhere();
        call.build
            .write("layers/extended/run/sha256/index.json", "{}");
        let ((code, said), log) = logged(|| call.fail(&["app"]));
        assert_eq!(code, expected, "0.{minor} {mode:?}: {said}");
        let is_said = log.contains("experimental feature 'Dockerfiles'");
        assert_eq!(
            is_said,
            minor < 13 && mode != Some("quiet"),
            "0.{minor} {mode:?}: {log}"
        );
        // A folder without anything in it is no layer: the run image is what is missing then.
        fs::remove_dir_all(call.build.path("layers/extended/run/sha256")).unwrap();
        let (_, said) = call.fail(&["app"]);
        assert!(said.contains("127.0.0.1:1"), "0.{minor} {mode:?}: {said}");
    }
}

/// A machine may have them; where it has not, that is said of each.
#[test]
fn sboms_of_the_lifecycle_are_looked_for_beside_it_from_0_11_on() {
    for minor in [7, 10, 11, 15] {
        let call = Call::new(minor);
        let ((), log) = logged(|| call.run(&["app"]).unwrap());
        for component in ["lifecycle", "launcher"] {
            for format in ["cdx", "spdx", "syft"] {
                let name = format!("{component}.sbom.{format}.json");
                let is_there = std::path::Path::new("/cnb/lifecycle").join(&name).exists();
                let line = if is_there {
                    format!("DEBUG Copying SBOM {name} to ")
                } else {
                    format!("WARN Did not find SBOM {name} in /cnb/lifecycle\n")
                };
                assert_eq!(
                    log.contains(&line),
                    minor >= 11,
                    "0.{minor}: {line} in {log}"
                );
            }
        }
    }
}

#[test]
fn a_launcher_sbom_folder_that_cannot_be_listed_is_said_and_fatal() {
    let call = Call::new(13);
    let absent = call.build.path("absent").display().to_string();
    let ((code, said), log) = logged(|| call.fail(&["-launcher-sbom", &absent, "app"]));
    assert_eq!(code, 62, "{said}");
    let warning = format!("WARN Failed to list contents of directory {absent}\n");
    assert!(log.contains(&warning), "{log}");
    // Below 0.11 there is no such flag, and nobody looks.
    let call = Call::new(10);
    call.run(&["app"]).unwrap();
    assert!(!call.build.path("layers/sbom").exists());
    let found = Layout::at(call.build.output())
        .image(&Selector::default())
        .unwrap();
    assert!(found.is_some());
}
