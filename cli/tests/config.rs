//! `slipway config` as people and scripts call it.
#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made is a failed test"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A home of its own; variables of the caller do not count.
struct Home {
    dir: TempDir,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("slipway")
    }

    fn with(text: &str) -> Self {
        let home = Self::new();
        fs_err::create_dir(home.path()).unwrap();
        fs_err::write(home.file(), text).unwrap();
        home
    }

    fn file(&self) -> PathBuf {
        self.path().join("config.toml")
    }

    fn text(&self) -> String {
        fs_err::read_to_string(self.file()).unwrap_or_default()
    }

    /// Returns exit status, stdout and stderr.
    fn run_with(&self, variables: &[(&str, &Path)], args: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
        command
            .arg("config")
            .args(args)
            .current_dir(self.dir.path());
        command.env_clear().envs(variables.iter().copied());
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let status = output.status.code().unwrap();
        (status, text(output.stdout), text(output.stderr))
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        self.run_with(&[("SLIPWAY_HOME", &self.path())], args)
    }

    /// Returns stdout of a command that succeeds.
    fn out(&self, args: &[&str]) -> String {
        let (status, out, err) = self.run(args);
        assert_eq!((status, err.as_str()), (0, ""), "{args:?}");
        out
    }
}

/// As pack 0.40 writes it, with what a later one may add.
const PACKS: &str = "\
# by hand
default-builder-image = \"cnbs/sample-builder:noble\" # the samples'
experimental = true
layout-repo-dir = \"/home/me/layouts\"
future = { key = [1, 2,  3] }

[[run-images]]
  image = \"cnbs/sample-stack-run:noble\"
  mirrors = [\"a.example.org/run\", \"b.example.org/run\"]

[[trusted-builders]]
  name = \"one/builder\"

[[registries]]
  name = \"mine\"
  type = \"github\"
  url = \"https://example.org/index\"

[registry-mirrors]
  \"index.docker.io\" = \"10.0.0.1\"
";

#[test]
fn values_are_printed_set_and_removed() {
    let repo = |home: &Home| home.path().join("layout-repo").display().to_string();
    for (command, key, value, default) in [
        (
            "default-builder",
            "default-builder-image",
            "oci:/images/b:v1",
            None,
        ),
        (
            "lifecycle-image",
            "lifecycle-image",
            "example.org/lifecycle:1",
            None,
        ),
        (
            "layout-repo-dir",
            "layout-repo-dir",
            "/images",
            Some(repo as fn(&Home) -> String),
        ),
        (
            "pull-policy",
            "pull-policy",
            "never",
            Some(|_: &Home| "if-not-present".to_owned()),
        ),
    ] {
        let home = Home::new();
        let file = home.file().display().to_string();
        let default = default.map(|default| default(&home) + "\n");
        let (status, out, err) = home.run(&[command]);
        assert_eq!((status, out), (0, default.clone().unwrap_or_default()));
        let expected = format!("{key} is not set in {file}\n");
        assert_eq!(
            err,
            if default.is_none() {
                expected.as_str()
            } else {
                ""
            }
        );
        assert!(!home.path().exists(), "printing makes nothing");
        assert_eq!(home.out(&[command, "--unset"]), expected);
        assert!(!home.path().exists(), "nothing to remove makes nothing");

        let said = home.out(&[command, value]);
        assert_eq!(said, format!("set {key} to {value} in {file}\n"));
        assert_eq!(home.text(), format!("{key} = \"{value}\"\n"));
        assert_eq!(home.out(&[command]), format!("{value}\n"));

        let said = home.out(&[command, "--unset"]);
        assert_eq!(said, format!("removed {key} from {file}\n"));
        assert_eq!(home.text(), "");
        assert_eq!(home.run(&[command]).1, default.unwrap_or_default());
    }
}

#[test]
fn a_file_of_packs_keeps_all_but_what_is_changed() {
    let builder = "default-builder-image = \"cnbs/sample-builder:noble\" # the samples'";
    let changes: &[(&[&str], &str, &str)] = &[
        (
            &["default-builder", "other/builder"],
            builder,
            "default-builder-image = \"other/builder\" # the samples'",
        ),
        (&["default-builder", "-u"], &format!("{builder}\n"), ""),
        (
            &["pull-policy", "never"],
            "3] }\n",
            "3] }\npull-policy = \"never\"\n",
        ),
        (
            &["experimental", "false"],
            "experimental = true",
            "experimental = false",
        ),
        (
            &["trusted-builders", "add", "two/builder"],
            "\n[[registries]]",
            "\n[[trusted-builders]]\nname = \"two/builder\"\n\n[[registries]]",
        ),
        (
            &["trusted-builders", "remove", "one/builder"],
            "[[trusted-builders]]\n  name = \"one/builder\"\n\n",
            "",
        ),
        (
            &[
                "run-image-mirrors",
                "add",
                "cnbs/sample-stack-run:noble",
                "-m",
                "c.example.org/run",
            ],
            "\"b.example.org/run\"]",
            "\"b.example.org/run\", \"c.example.org/run\"]",
        ),
        (
            &[
                "registry-mirrors",
                "add",
                "index.docker.io",
                "--mirror",
                "10.0.0.2",
            ],
            "10.0.0.1",
            "10.0.0.2",
        ),
    ];
    for (args, from, to) in changes {
        let home = Home::with(PACKS);
        home.out(args);
        assert!(PACKS.contains(from), "{from}");
        assert_eq!(home.text(), PACKS.replacen(from, to, 1), "{args:?}");
    }
}

#[test]
fn showing_changes_nothing() {
    let home = Home::with(PACKS);
    for (args, expected) in [
        (vec!["default-builder"], "cnbs/sample-builder:noble\n"),
        (vec!["experimental"], "true\n"),
        (vec!["layout-repo-dir"], "/home/me/layouts\n"),
        (vec!["registries"], "  mine  https://example.org/index\n"),
        (
            vec!["registries", "list"],
            "  mine  https://example.org/index\n",
        ),
        (vec!["registry-mirrors"], "index.docker.io  10.0.0.1\n"),
        (
            vec!["registry-mirrors", "list"],
            "index.docker.io  10.0.0.1\n",
        ),
        (vec!["trusted-builders"], "one/builder\n"),
        (vec!["trusted-builders", "list"], "one/builder\n"),
        (
            vec!["run-image-mirrors"],
            "cnbs/sample-stack-run:noble\n  a.example.org/run\n  b.example.org/run\n",
        ),
        (vec!["run-image-mirrors", "list", "other"], ""),
    ] {
        assert_eq!(home.out(&args), expected, "{args:?}");
        assert_eq!(home.text(), PACKS);
    }
}

#[test]
fn experimental_is_accepted_with_the_folder_that_pack_sets() {
    let home = Home::new();
    assert_eq!(home.out(&["experimental"]), "false\n");
    home.out(&["experimental", "true"]);
    let repo = home.path().join("layout-repo");
    let expected = format!("experimental = true\nlayout-repo-dir = {repo:?}\n");
    assert_eq!(home.text(), expected);
    assert_eq!(home.out(&["experimental"]), "true\n");
    home.out(&["experimental", "false"]);
    assert_eq!(home.text(), "experimental = false\n");
    // A folder of the user's own stays, on and off.
    home.out(&["layout-repo-dir", "/images"]);
    for on in ["true", "false"] {
        home.out(&["experimental", on]);
        assert_eq!(home.out(&["layout-repo-dir"]), "/images\n");
    }
}

#[test]
fn a_path_is_meant_where_it_is_typed() {
    let home = Home::new();
    let here = fs_err::canonicalize(home.dir.path()).unwrap();
    let here = here.display();
    home.out(&["layout-repo-dir", "images"]);
    assert_eq!(home.out(&["layout-repo-dir"]), format!("{here}/images\n"));
    home.out(&["default-builder", "oci:builder:v1"]);
    assert_eq!(
        home.out(&["default-builder"]),
        format!("oci:{here}/builder:v1\n")
    );
}

#[test]
fn lists_grow_and_shrink() {
    let home = Home::new();
    let said = home.out(&["trusted-builders", "add", "one/builder"]);
    assert_eq!(said, "builder one/builder is now trusted\n");
    let said = home.out(&["trust-builder", "add", "one/builder"]);
    assert_eq!(said, "builder one/builder is already trusted\n");
    home.out(&["trusted-builder", "add", "two/builder"]);
    assert_eq!(
        home.out(&["trusted-builders"]),
        "one/builder\ntwo/builder\n"
    );
    let said = home.out(&["trusted-builders", "remove", "three/builder"]);
    assert_eq!(said, "builder three/builder was not trusted\n");
    home.out(&["trusted-builders", "remove", "one/builder"]);
    assert_eq!(home.out(&["trusted-builders"]), "two/builder\n");

    let mirrors = [
        "run-image-mirrors",
        "add",
        "run",
        "--mirror",
        "c,a",
        "-m",
        "b",
    ];
    let said = home.out(&mirrors);
    let expected = ["c", "a", "b"].map(|it| format!("added mirror {it} of run\n"));
    assert_eq!(said, expected.concat());
    assert_eq!(home.out(&["run-image-mirrors"]), "run\n  a\n  b\n  c\n");
    let said = home.out(&["run-image-mirrors", "remove", "run", "-m", "b,x"]);
    assert_eq!(said, "removed mirror b of run\n");
    for (image, mirror) in [("run", "x"), ("other", "a")] {
        let said = home.out(&["run-image-mirrors", "remove", image, "-m", mirror]);
        assert_eq!(said, format!("{image} has no such mirror\n"));
    }
    home.out(&["run-image-mirrors", "remove", "run"]);
    assert_eq!(home.out(&["run-image-mirrors"]), "");

    home.out(&["registry-mirror", "add", "*", "-m", "10.0.0.1"]);
    home.out(&[
        "registry-mirrors",
        "add",
        "index.docker.io",
        "-m",
        "10.0.0.2",
    ]);
    let all = home.out(&["registry-mirrors"]);
    assert_eq!(all, "*  10.0.0.1\nindex.docker.io  10.0.0.2\n");
    for said in ["removed the mirror of *\n", "* has no mirror\n"] {
        assert_eq!(home.out(&["registry-mirrors", "remove", "*"]), said);
    }
}

#[test]
fn the_home_is_the_first_that_is_set_or_there() {
    let home = Home::new();
    let dir = |name: &str| home.dir.path().join(name);
    let [slipway, pack, user, empty] = ["s", "p", "u", ""].map(|name| match name {
        "" => PathBuf::new(),
        name => dir(name),
    });
    let file = |variables: &[(&str, &Path)]| {
        let (status, out, _) = home.run_with(variables, &["default-builder", "--unset"]);
        assert_eq!(status, 0);
        PathBuf::from(out.trim_end().rsplit(' ').next().unwrap().to_owned())
    };
    let all = [
        ("SLIPWAY_HOME", slipway.as_path()),
        ("PACK_HOME", &pack),
        ("HOME", &user),
    ];
    assert_eq!(file(&all), slipway.join("config.toml"));
    assert_eq!(file(&all[1..]), pack.join("config.toml"));
    assert_eq!(file(&all[2..]), user.join(".slipway/config.toml"));
    let unset = [
        ("SLIPWAY_HOME", empty.as_path()),
        ("PACK_HOME", &empty),
        ("HOME", &user),
    ];
    assert_eq!(file(&unset), user.join(".slipway/config.toml"));
    fs_err::create_dir_all(user.join(".pack")).unwrap();
    assert_eq!(file(&all[2..]), user.join(".pack/config.toml"));
    let (status, _, err) = home.run_with(&[], &["default-builder"]);
    assert_eq!(status, 1);
    assert!(err.contains("set HOME or SLIPWAY_HOME"), "{err}");
}

#[test]
fn a_broken_file_is_an_error_with_path_and_line_and_stays_as_it_is() {
    let broken = "experimental = true\npull-policy = \n";
    let home = Home::with(broken);
    for args in [
        &["experimental"][..],
        &["default-builder", "x/y"],
        &["trusted-builders"],
    ] {
        let (status, out, err) = home.run(args);
        assert_eq!((status, out.as_str()), (1, ""));
        let expected = format!(
            "error: failed to read config {}: toml: line 2",
            home.file().display()
        );
        assert!(err.starts_with(&expected), "{err}");
        assert_eq!(home.text(), broken);
    }
    // A value that nobody knows can be replaced.
    let home = Home::with("pull-policy = \"sometimes\"\n");
    let (status, _, err) = home.run(&["pull-policy"]);
    assert_eq!(status, 1);
    assert!(
        err.contains("invalid pull policy \"sometimes\" in "),
        "{err}"
    );
    home.out(&["pull-policy", "if-not-present"]);
    assert_eq!(home.out(&["pull-policy"]), "if-not-present\n");
}

#[test]
fn wrong_usage_exits_with_2_and_changes_nothing() {
    let home = Home::new();
    for args in [
        &[][..],
        &["nothing"],
        &["experimental", "perhaps"],
        &["pull-policy", "sometimes"],
        &["default-builder", ""],
        &["default-builder", "x/y", "--unset"],
        &["default-builder", "x", "y"],
        &["layout-repo-dir", ""],
        &["trusted-builders", "add"],
        &["run-image-mirrors", "add", "run"],
        &["registry-mirrors", "add", "x"],
        &["registries", "add", "name", "url"],
    ] {
        let (status, out, err) = home.run(args);
        assert_eq!((status, out.as_str()), (2, ""), "{args:?}");
        assert!(err.contains("Usage:") || err.contains("--help"), "{err}");
    }
    let (status, _, err) = home.run(&["default-builder", "No Such Name"]);
    assert_eq!(status, 1);
    assert!(err.contains("invalid image name 'No Such Name'"), "{err}");
    assert!(!home.path().exists());
}
