//! Which process is started, with which words, where and with which environment.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};

use crate::kit::{Image, SHOW, assert_fails, output, process, stdout};

#[test]
fn a_direct_process_replaces_the_launcher() {
    let image = Image::new(&process(
        "command = ['sh', '-c', 'echo $$; exit 37']\ndirect = true",
    ));
    let child = image
        .launcher("/cnb/process/web")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, format!("{id}\n").as_bytes());
    assert_eq!(output.status.code(), Some(37));
}

#[test]
fn a_direct_process_gets_its_words_as_they_are() {
    let image = Image::new(&process(
        "command = ['show', '$HOME']\nargs = ['default']\ndirect = true",
    ));
    let app = image.show("app");
    let got = stdout(
        image
            .launcher("web")
            .env("PATH", format!("{app}:/usr/bin:/bin"))
            .args(["a  b", "*", ""]),
    );
    assert_eq!(got, format!("[{app}/show][$HOME][a  b][*][]\n{app}\n"));
    // The launcher has no flags that it could take away.
    let got = stdout(
        image
            .launcher("web")
            .env("PATH", format!("{app}:/usr/bin:/bin"))
            .args(["-version", "--", "--help"]),
    );
    assert_eq!(
        got,
        format!("[{app}/show][$HOME][-version][--][--help]\n{app}\n")
    );
}

#[test]
fn commands_are_texts_or_lists_at_every_platform_api() {
    for (command, expected) in [
        ("'echo text'", "the program 'echo text'"),
        ("['echo', 'list']", "list"),
    ] {
        let image = Image::new(&process(&format!("command = {command}\ndirect = true")));
        // A text is one word, whatever is in it.
        image.file(
            "bin/echo text",
            "#!/bin/sh\necho \"the program '$(basename \"$0\")'\"\n",
            0o755,
        );
        for minor in 7..=15 {
            let mut command = image.launcher("web");
            command
                .env("CNB_PLATFORM_API", format!("0.{minor}"))
                .env("PATH", format!("{}:/usr/bin:/bin", image.show("bin")));
            assert_eq!(stdout(&mut command), format!("{expected}\n"), "0.{minor}");
        }
    }
}

#[test]
fn a_process_called_launcher_is_the_launchers_own() {
    let image = Image::new(
        &process("command = ['echo', 'mine']\ndirect = true").replace("web", "launcher"),
    );
    assert_eq!(
        stdout(&mut image.launcher("/cnb/lifecycle/launcher")),
        "mine\n"
    );
    // Words do not choose: they are arguments of that process.
    assert_eq!(
        stdout(
            image
                .launcher("/cnb/lifecycle/launcher")
                .args(["--", "web"])
        ),
        "mine -- web\n"
    );
}

#[test]
fn a_users_command_runs_in_the_app_directory_and_has_no_type() {
    let image = Image::new(&process(
        "command = ['echo', 'not this']\nworking-dir = '/'\ndirect = true",
    ));
    image.file("layers/acme_one/a/env.launch/web/TYPED", "typed", 0o644);
    image.file("layers/acme_one/a/env.launch/ANY", "any", 0o644);
    let script = "echo \"$ANY[$TYPED]\"; pwd";
    let expected = format!("any[]\n{}\n", image.show("app"));
    let direct = ["--", "sh", "-c", script];
    assert_eq!(stdout(image.launcher("launcher").args(direct)), expected);
    assert_eq!(stdout(image.launcher("launcher").arg(script)), expected);
    // A process type is a word like any other.
    let mut command = image.launcher("/cnb/process/other");
    command.env("PATH", format!("{}:/usr/bin:/bin", image.show("bin")));
    image.file("bin/web", "#!/bin/sh\necho \"a program, $#\"\n", 0o755);
    assert_eq!(stdout(command.args(["web", "x"])), "a program, 1\n");
}

#[test]
fn what_a_relative_element_of_path_leads_to_is_not_run() {
    let image = Image::new(&process("command = ['show']\ndirect = true"));
    let error = "failed to launch: path lookup: exec: \"show\": \
                 cannot run executable found relative to current directory";
    for path in [
        "",
        ":/usr/bin",
        "/usr/bin:",
        "/usr/bin::/bin",
        ".",
        "../app",
    ] {
        let mut command = image.launcher("web");
        let no_path =
            "failed to launch: path lookup: exec: \"show\": executable file not found in $PATH";
        // An empty PATH has no elements at all.
        let error = if path.is_empty() { no_path } else { error };
        assert_fails(command.env("PATH", path), 82, error);
    }
}

#[test]
fn argv0_of_a_direct_process_is_the_command_as_written() {
    let image = Image::new(&process(
        "command = ['sh', '-c', 'tr \"\\\\0\" \" \" </proc/$$/cmdline']\ndirect = true",
    ));
    assert!(stdout(&mut image.launcher("web")).starts_with("sh -c "));
}

#[test]
fn words_that_are_no_utf_8_pass() {
    let image = Image::new("");
    let mut command = image.launcher("launcher");
    command
        .args(["--", "sh", "-c", "printf %s \"$1$V\"", "sh"])
        .arg(OsStr::from_bytes(b"\xff"));
    let output = output(
        command
            .env("V", OsStr::from_bytes(b"\xfe"))
            .env(OsStr::from_bytes(b"\xfd"), "x"),
    );
    assert_eq!(output.stdout, b"\xff\xfe");
}

#[test]
fn the_process_does_not_see_what_is_the_launchers() {
    let image = Image::new("");
    let mut command = image.launcher("launcher");
    command
        .env("PATH", "/cnb/process:/usr/bin:/cnb/lifecycle:/bin")
        .env("CNB_EXEC_ENV", "test");
    command
        .env("CNB_DEPRECATION_MODE", "quiet")
        .env("USER_SET", "x");
    let got = stdout(command.args(["--", "env"]));
    let mut lines: Vec<_> = got.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "CNB_EXEC_ENV=test",
            "CNB_NO_COLOR=true",
            "PATH=/usr/bin:/bin",
            "USER_SET=x"
        ]
    );
}

#[test]
fn signals_are_as_the_launcher_found_them() {
    let image = Image::new("");
    let script = "grep -E '^Sig(Blk|Ign)' /proc/self/status";
    let expected = stdout(Command::new("sh").args(["-c", script]));
    assert_eq!(
        stdout(image.launcher("launcher").args(["--", "sh", "-c", script])),
        expected
    );
}

#[test]
fn the_environment_of_layers_is_applied_and_finds_the_command() {
    let image = Image::new(&process("command = ['tool']\ndirect = true"));
    image.file(
        "layers/acme_one/a/bin/tool",
        "#!/bin/sh\necho $V $PATH\n",
        0o755,
    );
    image.file("layers/acme_one/a/env.launch/web/V", "value", 0o644);
    let bin = image.show("layers/acme_one/a/bin");
    assert_eq!(
        stdout(&mut image.launcher("web")),
        format!("value {bin}:/usr/bin:/bin\n")
    );
}

#[test]
fn relative_directories_are_resolved_where_the_launcher_stands() {
    let image = Image::new(&process("command = ['tool']\ndirect = true"));
    image.file(
        "layers/acme_one/a/bin/tool",
        "#!/bin/sh\necho $PATH; pwd\n",
        0o755,
    );
    // metadata.toml is read from where the launcher was started, layers are looked for from the app directory.
    let mut command = image.launcher("web");
    command
        .current_dir(image.path("app"))
        .env("CNB_LAYERS_DIR", "../layers/")
        .env("CNB_APP_DIR", ".");
    let (bin, app) = (image.show("layers/acme_one/a/bin"), image.show("app"));
    assert_eq!(
        stdout(&mut command),
        format!("{bin}:/usr/bin:/bin\n{app}\n")
    );
}

#[test]
fn working_directories_are_relative_to_the_app() {
    for (working_dir, direct, expected) in [
        ("", true, "app"),
        ("", false, "app"),
        ("sub", true, "app/sub"),
        ("sub", false, "app/sub"),
        ("../layers", true, "layers"),
    ] {
        let image = Image::new(&process(&format!(
            "command = ['pwd']\nworking-dir = '{working_dir}'\ndirect = {direct}"
        )));
        image.file("app/sub/file", "", 0o644);
        assert_eq!(
            stdout(&mut image.launcher("web")).trim_end(),
            image.show(expected),
            "{working_dir} {direct}"
        );
    }
}

#[test]
fn a_relative_command_is_looked_up_in_the_app_and_run_in_the_working_directory() {
    let image = Image::new(&process(
        "command = ['./show']\nworking-dir = 'sub'\ndirect = true",
    ));
    image.file("app/sub/other", "", 0o644);
    assert_fails(
        &mut image.launcher("web"),
        82,
        "failed to launch: direct exec: no such file or directory",
    );
    image.file("app/sub/show", SHOW, 0o755);
    assert_eq!(
        stdout(&mut image.launcher("web")),
        format!("[./show]\n{}\n", image.show("app/sub"))
    );
    fs_err::remove_file(image.path("app/show")).unwrap();
    assert_fails(
        &mut image.launcher("web"),
        82,
        "failed to launch: path lookup: exec: \"./show\": stat ./show: no such file or directory",
    );
}

#[test]
fn ineligible_processes_are_not_found_from_platform_api_0_15_on() {
    let image = Image::new(&process("command = 'echo started'\nexec-env = ['test']"));
    assert_eq!(
        stdout(image.launcher("web").env("CNB_PLATFORM_API", "0.14")),
        "started\n"
    );
    let mut command = image.launcher("web");
    command.env("CNB_PLATFORM_API", "0.15");
    let error = "failed to launch: determine start command: process type web was not found";
    assert_fails(&mut command, 82, error);
    assert_eq!(stdout(command.env("CNB_EXEC_ENV", "test")), "started\n");
}
