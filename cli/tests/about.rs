//! `slipway completion`, `report` and `version` as people and scripts call them.
#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made is a failed test"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Returns exit status, stdout and stderr.
fn slipway(home: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    command.args(args).env("SLIPWAY_HOME", home);
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let status = output.status.code().unwrap();
    (status, text(output.stdout), text(output.stderr))
}

/// Returns stdout of a command that succeeds.
fn out(home: &Path, args: &[&str]) -> String {
    let (status, out, err) = slipway(home, args);
    assert_eq!((status, err.as_str()), (0, ""), "{args:?}");
    out
}

#[test]
fn the_version_is_one_line_and_the_same_everywhere() {
    let home = Path::new("/no/such/home");
    let version = out(home, &["version"]);
    assert!(version.starts_with(env!("CARGO_PKG_VERSION")), "{version}");
    assert_eq!(version.lines().count(), 1);
    for flag in ["--version", "-V"] {
        assert_eq!(out(home, &[flag]), format!("slipway {version}"));
    }
    let report = out(home, &["report"]);
    assert!(
        report.contains(&format!("  Version:         {version}")),
        "{report}"
    );
}

#[test]
fn every_shell_has_a_script_that_knows_the_commands() {
    let home = Path::new("/no/such/home");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = out(home, &["completion", shell]);
        for command in ["completion", "trusted-builders", "run-image"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
        assert_eq!(out(home, &["completion", "--shell", shell]), script);
    }
    let bash = out(home, &["completion", "bash"]);
    assert_eq!(out(home, &["completion"]), bash);
    let (status, _, err) = slipway(home, &["completion", "tcsh"]);
    assert_eq!(status, 2);
    assert!(err.contains("bash"), "{err}");
}

#[test]
fn foreign_bash_takes_its_script() {
    let script = out(Path::new("/no/such/home"), &["completion", "bash"]);
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", "source /dev/stdin && complete -p slipway"]);
    bash.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut bash = bash.spawn().unwrap();
    bash.stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    let output = bash.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && said.contains("-F _slipway"),
        "{said}"
    );
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    command.args(["completion", "zsh"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), err.as_str()), (Some(0), ""));
}

#[test]
fn a_report_says_what_is_here_and_keeps_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let report = out(&home, &["report"]);
    for line in [
        "Slipway:",
        "  OS/Arch:         linux/",
        "Lifecycle:",
        "  Version:         0.21.17+slipway.",
        "  Platform APIs:   0.7, 0.8, 0.9, 0.10, 0.11, 0.12, 0.13, 0.14, 0.15\n",
        "  Buildpack APIs:  0.7, 0.8, 0.9, 0.10, 0.11, 0.12\n",
        "Containers:\n  Way:             ",
        &format!("Config:\n  (there is no {}/config.toml)\n", home.display()),
    ] {
        assert!(report.contains(line), "{line}: {report}");
    }
    assert!(!home.exists(), "a report makes nothing");

    fs_err::create_dir(&home).unwrap();
    let settings = "# s3cret\ndefault-builder-image = \"s3cret\"\n\n[registry-mirrors]\n\"s3cret\" = \"s3cret\"\n";
    fs_err::write(home.join("config.toml"), settings).unwrap();
    let report = out(&home, &["report"]);
    assert!(!report.contains("s3cret"), "{report}");
    assert!(
        report.contains("  default-builder-image = \"[REDACTED]\"\n"),
        "{report}"
    );
    for flag in ["--explicit", "-e"] {
        let report = out(&home, &["report", flag]);
        assert!(report.contains("Config:\n  # s3cret\n  default-builder-image = \"s3cret\"\n\n"));
    }

    fs_err::write(home.join("config.toml"), "[broken = \"s3cret\"").unwrap();
    let report = out(&home, &["report"]);
    assert!(
        report.contains("Config:\n  (failed to read config "),
        "{report}"
    );
    assert!(!report.contains("s3cret"), "{report}");
}
