//! How a launch fails, and what the launcher itself says.

use std::process::Command;

use crate::kit::{Image, LAUNCHER, assert_fails, exec_d, output, process, stdout};

#[test]
fn the_platform_api_is_needed() {
    let image = Image::new("");
    let unset = "failed to get platform API version; \
                 please set 'CNB_PLATFORM_API' to specify the desired platform API version";
    assert_fails(
        image.launcher("web").env_remove("CNB_PLATFORM_API"),
        11,
        unset,
    );
    for (value, error) in [
        ("", unset),
        (" \t", unset),
        ("new", "failed to parse platform API 'new'"),
        (
            "0.16",
            "failed to set platform API: platform API version '0.16' is incompatible with the lifecycle",
        ),
        (
            "0.6",
            "failed to set platform API: platform API version '0.6' is incompatible with the lifecycle",
        ),
    ] {
        assert_fails(
            image.launcher("web").env("CNB_PLATFORM_API", value),
            11,
            error,
        );
    }
}

#[test]
fn unreadable_metadata_exits_1() {
    let image = Image::new("");
    let path = image.show("layers/config/metadata.toml");
    fs_err::remove_file(&path).unwrap();
    let error = format!("failed to read metadata: open {path}: no such file or directory");
    assert_fails(&mut image.launcher("web"), 1, &error);
    fs_err::create_dir(&path).unwrap();
    let error = format!("failed to read metadata: read {path}: is a directory");
    assert_fails(&mut image.launcher("web"), 1, &error);
}

#[test]
fn hostile_metadata_is_an_error_and_nothing_else() {
    let deep = format!("a = {}", "[".repeat(100_000));
    let long = format!("{} = 1", "a.".repeat(50_000) + "a");
    let hostile: &[&[u8]] = &[
        b"= =",
        b"\xff\xfe\0\0",
        b"\0",
        b"processes = 1",
        b"[processes]",
        b"processes = [[]]",
        b"processes = [{type = 1}]",
        b"buildpacks = [{id = 'a', api = 0.9}]",
        b"[[processes]]\ncommand = {}",
        b"[[processes]]\ncommand = 1979-05-27",
        b"[[processes]]\ncommand = [99999999999999999999]",
        b"[[processes]]\nargs = {}",
        b"[[processes",
        b"a = '''",
        deep.as_bytes(),
        long.as_bytes(),
    ];
    for content in hostile {
        let image = Image::new("");
        image.file("layers/config/metadata.toml", content, 0o644);
        let output = output(&mut image.launcher("web"));
        let shown = String::from_utf8_lossy(&content[..content.len().min(40)]);
        assert_eq!(output.status.code(), Some(1), "{shown}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.starts_with("ERROR: failed to read metadata: toml: line "),
            "{shown}: {text}"
        );
        assert_eq!(output.stderr, b"", "{shown}");
    }
}

#[test]
fn buildpacks_of_unsupported_apis_exit_12() {
    for api in ["0.13", "0.6", "1.0"] {
        let image = Image::new(&format!(
            "[[buildpacks]]\nid = 'acme/two'\napi = '{api}'\n{}",
            process("command = ['echo', 'started']\ndirect = true")
        ));
        exec_d(&image, "a/exec.d/1", "echo started");
        let error = format!(
            "failed to set API for buildpack 'acme/two': \
             buildpack API version '{api}' is incompatible with the lifecycle"
        );
        // Not even a warning comes before.
        let mut command = image.launcher("web");
        assert_fails(command.env("CNB_PROCESS_TYPE", "web"), 12, &error);
    }
}

#[test]
fn failures_before_the_exec_exit_82() {
    let direct = |text: &str| process(&format!("direct = true\n{text}"));
    // BPX-044, LCH-003: whatever it is; COM-025: the code of a launch.
    for (processes, argv0, args, error) in [
        // BPX-032, LCH-019: nothing to start
        (
            direct("command = []"),
            "web",
            &[][..],
            "no command provided for process type \"web\"",
        ),
        (
            direct(""),
            "web",
            &[],
            "no command provided for process type \"web\"",
        ),
        // BPX-028: nothing found
        (
            direct("command = ['']"),
            "web",
            &[],
            "path lookup: exec: \"\": executable file not found in $PATH",
        ),
        (
            direct("command = ['no-such']"),
            "web",
            &[],
            "path lookup: exec: \"no-such\": executable file not found in $PATH",
        ),
        (
            direct("command = ['./plain']"),
            "web",
            &[],
            "path lookup: exec: \"./plain\": permission denied",
        ),
        // BPX-033: found, but not started
        (
            direct("command = ['./no-shebang']"),
            "web",
            &[],
            "direct exec: exec format error",
        ),
        (
            direct("command = ['./no-interpreter']"),
            "web",
            &[],
            "direct exec: permission denied",
        ),
        (
            direct("command = ['sh']\nworking-dir = '/no/such'"),
            "web",
            &[],
            "change directory: chdir /no/such: no such file or directory",
        ),
        (
            direct("command = ['sh', \"a\\u0000b\"]"),
            "web",
            &[],
            "direct exec: invalid argument",
        ),
        // BPX-035: no more does bash start
        (
            process("command = \"a\\u0000b\""),
            "web",
            &[],
            "bash exec: invalid argument",
        ),
        // BPX-023, BPX-043, LCH-024: arguments of a process that nobody listed provides
        (
            direct("command = ['sh']").replace("acme/one", "gone"),
            "web",
            &["a"],
            "determine start command: failed to find buildpack for process web with buildpack ID gone",
        ),
        (
            process("command = ['sh', 'a']").replace("acme/one", "gone"),
            "web",
            &[],
            "process type 'web' provided by unknown buildpack 'gone'",
        ),
        // BPX-016: neither process nor command
        (
            String::new(),
            "web",
            &[],
            "determine start command: when there is no default process a command is required",
        ),
        // LCH-001: no flag, a command
        (
            String::new(),
            "launcher",
            &["--", "-version"],
            "path lookup: exec: \"-version\": executable file not found in $PATH",
        ),
    ] {
        let image = Image::new(&processes);
        image.file("app/plain", "", 0o644);
        image.file("app/no-shebang", "exit 0\n", 0o755);
        image.file("app/no-interpreter", "#!./plain\n", 0o755);
        assert_fails(
            image.launcher(argv0).args(args),
            82,
            &format!("failed to launch: {error}"),
        );
    }
}

#[test]
fn a_missing_app_directory_exits_82() {
    let image = Image::new("");
    // It comes before everything that could fail for another reason.
    image.file("layers/acme_one/a/env", "a file, no directory", 0o644);
    exec_d(&image, "a/exec.d/1", "echo started");
    let error =
        "failed to launch: change to app directory: chdir /no/such: no such file or directory";
    assert_fails(
        image
            .launcher("web")
            .arg("pwd")
            .env("CNB_APP_DIR", "/no/such"),
        82,
        error,
    );
}

#[test]
fn layers_that_cannot_be_read_exit_82() {
    let image = Image::new("");
    image.file("layers/acme_one/a/env", "a file, no directory", 0o644);
    let dir = image.show("layers/acme_one/a/env");
    let error = format!(
        "failed to launch: modify env: add layer env: apply env files from dir '{dir}': open {dir}: not a directory"
    );
    assert_fails(image.launcher("web").arg("pwd"), 82, &error);
}

#[test]
fn variables_with_zero_bytes_are_refused() {
    let image = Image::new("");
    image.file("layers/acme_one/a/env/V", b"a\0b", 0o644);
    assert_fails(
        image.launcher("web").args(["--", "true"]),
        82,
        "failed to launch: direct exec: invalid argument",
    );
}

#[test]
fn the_old_way_to_choose_a_process_only_warns() {
    let image = Image::new(&process("command = 'echo started'"));
    let got = stdout(
        image
            .launcher("web")
            .env("CNB_PROCESS_TYPE", "other")
            .env("CNB_PLATFORM_API", "v0.7"),
    );
    assert_eq!(
        got,
        "Warning: CNB_PROCESS_TYPE is not supported in Platform API 0.7\n\
         Warning: Run with ENTRYPOINT 'other' to invoke the 'other' process type\nstarted\n"
    );
    let mut command = image.launcher("web");
    assert_eq!(stdout(command.env("CNB_PROCESS_TYPE", "")), "started\n");
}

#[test]
fn prefixes_are_coloured_unless_told_otherwise() {
    let image = Image::new("");
    let mut warning = image.launcher("web");
    warning
        .env("CNB_PROCESS_TYPE", "x")
        .env_remove("CNB_NO_COLOR");
    let text = String::from_utf8(output(&mut warning).stdout).unwrap();
    assert!(
        text.starts_with(
            "\x1b[33;1mWarning: \x1b[0mCNB_PROCESS_TYPE is not supported in Platform API 0.13\n"
        ),
        "{text:?}"
    );
    for no_color in [None, Some(""), Some("no")] {
        let mut command = image.launcher("web");
        command
            .env("CNB_PLATFORM_API", "new")
            .env_remove("CNB_NO_COLOR");
        if let Some(value) = no_color {
            command.env("CNB_NO_COLOR", value);
        }
        let output = output(&mut command);
        assert_eq!(
            output.stdout, b"\x1b[31;1mERROR: \x1b[0mfailed to parse platform API 'new'\n",
            "{no_color:?}"
        );
    }
}

#[test]
fn a_closed_stdout_does_not_change_the_exit_code() {
    let image = Image::new("");
    let mut command = Command::new("bash");
    command.args(["-c", "exec \"$0\" >&-", LAUNCHER]);
    image.environment(&mut command);
    assert_eq!(output(&mut command).status.code(), Some(82));
}
