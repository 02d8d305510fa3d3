//! The launcher as a program: what the process that it becomes gets to see, and how it fails.
//!
//! Expectations come from the rules BPX-\*, LCH-\* and BPL-\*, not from recorded output.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The launcher under test.
const LAUNCHER: &str = env!("CARGO_BIN_EXE_launcher");

/// Prints its arguments, each in brackets, and its directory.
const SHOW: &str = "#!/bin/bash\nprintf '[%s]' \"$0\" \"$@\"; echo; pwd\n";

/// An app directory and a layers directory.
struct Image(tempfile::TempDir);

impl Image {
    /// Makes an image whose `metadata.toml` lists buildpack `acme/one` and has these processes too.
    fn new(processes: &str) -> Self {
        let image = Self(tempfile::tempdir().expect("a temporary directory"));
        let buildpacks = "[[buildpacks]]\nid = 'acme/one'\napi = '0.10'\n";
        image.file(
            "layers/config/metadata.toml",
            format!("{buildpacks}{processes}"),
            0o644,
        );
        image.file("app/show", SHOW, 0o755);
        image
    }

    fn path(&self, name: &str) -> PathBuf {
        // The kernel tells processes the name without links.
        fs_err::canonicalize(self.0.path())
            .expect("the image")
            .join(name)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) {
        let path = self.0.path().join(name);
        fs_err::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs_err::write(&path, content).expect("a file");
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    }

    /// Returns the launcher, called by a name, with the least that it needs.
    fn launcher(&self, argv0: &str) -> Command {
        let mut command = Command::new(LAUNCHER);
        command.arg0(argv0).stdin(Stdio::null());
        self.environment(&mut command);
        command
    }

    fn environment(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("CNB_NO_COLOR", "true")
            .env("CNB_PLATFORM_API", "0.13")
            .env("CNB_APP_DIR", self.path("app"))
            .env("CNB_LAYERS_DIR", self.path("layers"));
    }

    fn show(&self, name: &str) -> String {
        self.path(name)
            .to_str()
            .expect("a path of letters")
            .to_owned()
    }
}

fn output(command: &mut Command) -> Output {
    command.output().expect("the launcher starts")
}

/// Returns what a process printed, which has to succeed.
#[track_caller]
fn stdout(command: &mut Command) -> String {
    let output = output(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Fails unless the launcher exits with this code after exactly this error line.
#[track_caller]
fn assert_fails(command: &mut Command, code: i32, error: &str) {
    let output = output(command);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, format!("ERROR: {error}\n"));
    assert_eq!(output.status.code(), Some(code));
    assert_eq!(output.stderr, b"", "all lines go to stdout");
}

fn process(text: &str) -> String {
    format!("[[processes]]\ntype = 'web'\nbuildpack-id = 'acme/one'\n{text}\n")
}

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
fn a_shell_process_replaces_the_launcher() {
    let image = Image::new(&process("command = 'echo $$; kill -TERM $$'"));
    let child = image
        .launcher("web")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, format!("{id}\n").as_bytes());
    assert_eq!(output.status.signal(), Some(15));
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
fn layers_come_first_then_exec_d_then_profiles_then_the_process() {
    let image = Image::new(
        "[[buildpacks]]\nid = 'acme/earlier-by-name'\napi = '0.10'\n\
         [[processes]]\ntype = 'web'\ncommand = 'echo \"$V process\"'\nbuildpack-id = 'acme/one'\n",
    );
    for buildpack in ["acme_one", "acme_earlier-by-name"] {
        let file = |name: &str, text: String, mode| {
            image.file(&format!("layers/{buildpack}/a/{name}"), text, mode);
        };
        file("env/V.append", format!("{buildpack}-env "), 0o644);
        let exec_d = format!("#!/bin/sh\necho \"V = '${{V}}{buildpack}-exec.d '\" >&3\n");
        file("exec.d/1", exec_d, 0o755);
        let profile = format!("export V=\"${{V}}{buildpack}-profile \"\n");
        file("profile.d/1", profile, 0o644);
    }
    image.file("app/.profile", "V=\"${V}app-profile\"\n", 0o644);
    let (one, two) = ("acme_one", "acme_earlier-by-name");
    assert_eq!(
        stdout(&mut image.launcher("web")),
        format!(
            "{one}-env {two}-env {one}-exec.d {two}-exec.d {one}-profile {two}-profile app-profile process\n"
        )
    );
}

#[test]
fn bash_gets_a_script_the_launchers_name_the_command_and_its_arguments() {
    let show = "tr '\\0' '\\n' </proc/$$/cmdline; readlink /proc/$$/exe; exit\n";
    let bash = fs_err::canonicalize("/bin/bash").unwrap();
    for (args, last_line, words) in [
        (&[][..], "exec bash -c \"$@\"", "echo  a"),
        (
            &["b  c", "$d"],
            "exec bash -c '\"$(eval echo \\\"$0\\\")\" \"$(eval echo \\\"${1}\\\")\" \
             \"$(eval echo \\\"${2}\\\")\"' \"${@:1}\"",
            "echo  a\nb  c\n$d",
        ),
    ] {
        let image = Image::new(&process("command = 'echo  a'\nworking-dir = '/no such'"));
        image.file("layers/acme_one/a/profile.d/1.sh", "", 0o644);
        image.file("app/.profile", show, 0o644);
        let profile = image.show("layers/acme_one/a/profile.d/1.sh");
        assert_eq!(
            stdout(image.launcher("/cnb/process/web").args(args)),
            format!(
                "bash\n-c\nsource \"{profile}\"\nsource \".profile\"\ncd \"/no such\"\n{last_line}\n\
                 /cnb/process/web\n{words}\n{}\n",
                bash.display()
            )
        );
    }
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
fn a_shell_sources_profiles_in_the_app_directory() {
    let image = Image::new(&process("command = 'echo \"$P\"; pwd'\nworking-dir = '/'"));
    let add = |what: &str| {
        format!("P=\"$P {what} $(basename \"$0\") $(basename \"$PWD\");\"; export P\n")
    };
    image.file("layers/acme_one/a/profile.d/1.sh", add("one"), 0o644);
    image.file("layers/acme_one/a/profile.d/web/1.sh", add("typed"), 0o644);
    image.file("layers/acme_one/b/profile.d/1.sh", add("two"), 0o644);
    image.file("app/.profile", add("app"), 0o644);
    let got = stdout(&mut image.launcher("/cnb/process/web"));
    assert_eq!(
        got,
        " one web app; typed web app; two web app; app web app;\n/\n"
    );
}

#[test]
fn direct_processes_have_no_profile() {
    let image = Image::new(&process(
        "command = ['sh', '-c', 'echo \"[$P]\"']\ndirect = true",
    ));
    image.file("app/.profile", "export P=app\n", 0o644);
    assert_eq!(stdout(&mut image.launcher("web")), "[]\n");
}

#[test]
fn tokens_of_a_shell_process_are_expanded_once() {
    let image = Image::new("");
    let show = image.show("app/show");
    for (argument, expected) in [
        ("$V", "a  b"),
        ("x$V", "xa  b"),
        ("$(echo sub)", "sub"),
        ("*", "*"),
        ("it's", "it's"),
        ("\\\\x", "\\x"),
        ("`echo sub`", "sub"),
        // What a token expands to is neither split nor matched with files.
        ("$GLOB", "sh*"),
        // BPX-039: what echo takes for options is lost, and so are newlines at the end of what a token expands to;
        // blanks and newlines that a token itself has become one blank, wherever they stand
        ("-n", ""),
        ("-e", ""),
        ("-E", ""),
        ("-ne", ""),
        ("-x", "-x"),
        ("$NEWLINES", "x"),
        ("x\n\n", "x "),
        (" x \t y\nz ", " x y z "),
    ] {
        let got = stdout(
            image
                .launcher("launcher")
                .env("V", "a  b")
                .env("GLOB", "sh*")
                .env("NEWLINES", "x\n\n")
                .args([show.as_str(), argument]),
        );
        assert_eq!(
            got,
            format!("[{show}][{expected}]\n{}\n", image.show("app")),
            "{argument:?}"
        );
    }
}

#[test]
fn a_shell_command_alone_is_a_script() {
    let image = Image::new("");
    assert_eq!(
        stdout(
            image
                .launcher("launcher")
                .arg("X=1; for i in a b; do echo $i$X; done")
        ),
        "a1\nb1\n"
    );
    let joined = Image::new(&process("command = ['echo', 'a   b;', 'echo', 'c']"));
    let got = stdout(joined.launcher("web").env("CNB_PLATFORM_API", "0.9"));
    assert_eq!(
        got, "a b\nc\n",
        "a list is joined with spaces before Platform API 0.10"
    );
}

const EXEC_D: &str = "#!/bin/bash\n";

fn exec_d(image: &Image, name: &str, script: &str) {
    image.file(
        &format!("layers/acme_one/{name}"),
        format!("{EXEC_D}{script}\n"),
        0o755,
    );
}

#[test]
fn exec_d_programs_set_variables_one_after_the_other() {
    let image = Image::new(&process("command = ['tool']\ndirect = true"));
    image.file("late/tool", "#!/bin/sh\necho $SEEN\n", 0o755);
    image.file("layers/acme_one/a/env/SEEN", "0", 0o644);
    // In byte order of the names.
    exec_d(&image, "a/exec.d/10", "echo \"SEEN = '$SEEN 10'\" >&3");
    exec_d(&image, "a/exec.d/9", "echo \"SEEN = '$SEEN 9'\" >&3");
    exec_d(&image, "a/exec.d/web/1", "echo \"SEEN = '$SEEN web'\" >&3");
    exec_d(&image, "a/exec.d/other/1", "exit 1");
    exec_d(&image, "b/exec.d/1", "echo \"SEEN = '$SEEN b'\" >&3");
    exec_d(
        &image,
        "b/exec.d/2",
        &format!("echo \"PATH = '{}:$PATH'\" >&3", image.show("late")),
    );
    assert_eq!(stdout(&mut image.launcher("web")), "0 10 9 web b\n");
}

#[test]
fn an_exec_d_program_gets_descriptor_3_and_little_else() {
    let image = Image::new("");
    exec_d(
        &image,
        "a/exec.d/1",
        "cat; echo $#; pwd; echo err >&2; [ -p /dev/fd/3 ] && echo pipe",
    );
    let mut command = image.launcher("launcher");
    let mut child = command
        .args(["--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"for the process")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let got = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        got,
        format!("0\n{}\npipe\nfor the process", image.show("app"))
    );
    assert_eq!(output.stderr, b"err\n");
}

#[test]
fn descriptors_of_whoever_started_the_launcher_are_left_alone() {
    let image = Image::new("");
    image.file("given", "given", 0o644);
    exec_d(&image, "a/exec.d/1", "echo \"V = 'set'\" >&3");
    for redirections in ["", "<&-", "<&- >&2", "4</dev/null"] {
        // The launcher starts with 3 open on a file: exec.d has its pipe there, the process the file.
        let mut command = Command::new("bash");
        command.args([
            "-c",
            &format!("exec \"$0\" \"$@\" 3<\"$GIVEN\" {redirections}"),
            LAUNCHER,
        ]);
        image.environment(&mut command);
        command.env("GIVEN", image.path("given"));
        let output = output(command.args(["--", "sh", "-c", "echo $V; cat <&3"]));
        assert_eq!(
            [output.stdout, output.stderr].concat(),
            b"set\ngiven",
            "{redirections}"
        );
    }
}

#[test]
fn the_launcher_waits_until_descriptor_3_is_closed_everywhere() {
    let image = Image::new("");
    exec_d(
        &image,
        "a/exec.d/1",
        "(sleep 0.3; echo \"V = 'late'\" >&3) >/dev/null 2>&1 </dev/null &",
    );
    assert_eq!(
        stdout(
            image
                .launcher("launcher")
                .args(["--", "sh", "-c", "echo $V"])
        ),
        "late\n"
    );
}

#[test]
fn exec_d_output_may_be_larger_than_a_pipe() {
    let image = Image::new("");
    exec_d(&image, "a/exec.d/1", "printf \"V = '%0100000d'\\n\" 0 >&3");
    assert_eq!(
        stdout(
            image
                .launcher("launcher")
                .args(["--", "sh", "-c", "echo ${#V}"])
        ),
        "100000\n"
    );
}

#[test]
fn failing_exec_d_programs_end_the_launch() {
    for (script, mode, reason) in [
        (
            "exit 6",
            0o755,
            "failed to execute exec.d file at path '{path}': exit status 6",
        ),
        (
            "exit 0",
            0o644,
            "failed to execute exec.d file at path '{path}': fork/exec {path}: permission denied",
        ),
        (
            "echo 'V = 1' >&3",
            0o755,
            "failed to decode output from exec.d file at path '{path}': toml: line 1 (last key \"V\"): \
             incompatible types: TOML value has type integer; destination has type string",
        ),
    ] {
        let image = Image::new("");
        image.file(
            "layers/acme_one/a/exec.d/1",
            format!("{EXEC_D}{script}\n"),
            mode,
        );
        let reason = reason.replace("{path}", &image.show("layers/acme_one/a/exec.d/1"));
        let mut command = image.launcher("launcher");
        assert_fails(
            command.args(["--", "true"]),
            82,
            &format!("failed to launch: exec.d: {reason}"),
        );
    }
    let image = Image::new("");
    image.file("layers/acme_one/a/exec.d/1", "exit 0\n", 0o755);
    let path = image.show("layers/acme_one/a/exec.d/1");
    let reason = format!(
        "failed to execute exec.d file at path '{path}': fork/exec {path}: exec format error"
    );
    let mut command = image.launcher("launcher");
    assert_fails(
        command.args(["--", "true"]),
        82,
        &format!("failed to launch: exec.d: {reason}"),
    );
}

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
    // BPX-044, LCH-003: whatever it is.
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
