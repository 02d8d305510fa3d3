//! exec.d programs, and what comes before and after them.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::kit::{Image, LAUNCHER, assert_fails, exec_d, output, process, stdout};

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
fn exec_d_programs_set_variables_one_after_the_other() {
    let image = Image::new(&process("command = ['tool']\ndirect = true"));
    image.file("late/tool", "#!/bin/sh\necho $SEEN\n", 0o755);
    image.file("layers/acme_one/a/env/SEEN", "0", 0o644);
    // BPL-024, BPL-025, BPX-028, LCH-017: general files in byte order of their names, then the type's, then the next layer's.
    exec_d(&image, "a/exec.d/10", "echo \"SEEN = '$SEEN 10'\" >&3");
    exec_d(&image, "a/exec.d/9", "echo \"SEEN = '$SEEN 9'\" >&3");
    exec_d(&image, "a/exec.d/web/1", "echo \"SEEN = '$SEEN web'\" >&3");
    exec_d(&image, "a/exec.d/other/1", "exit 1");
    exec_d(&image, "b/exec.d/1", "echo \"SEEN = '$SEEN b'\" >&3");
    // BPL-026, BPL-028, LCH-018: each sees what was set before it, and what it sets of PATH finds the command.
    exec_d(
        &image,
        "b/exec.d/2",
        &format!("echo \"PATH = '{}:$PATH'\" >&3", image.show("late")),
    );
    assert_eq!(stdout(&mut image.launcher("web")), "0 10 9 web b\n");
}

#[test]
fn programs_of_a_layer_come_in_order() {
    let image = Image::new(&process("command = ['echo', 'started']\ndirect = true"));
    for (layer, name) in [
        ("b", "1"),
        ("a", "web/2"),
        ("a", "web/10"),
        ("a", "9"),
        ("a", "10"),
        ("a", "B"),
        ("a", "other/1"),
        ("a", "web/below/1"),
    ] {
        let program = format!("{layer}/exec.d/{name}");
        exec_d(&image, &program, &format!("echo {layer} {name}"));
    }
    // Layer by layer, first what is for every process, in byte order; nothing of another type, nothing deeper.
    assert_eq!(
        stdout(&mut image.launcher("web")),
        "a 10\na 9\na B\na web/10\na web/2\nb 1\nstarted\n"
    );
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
            format!("#!/bin/bash\n{script}\n"),
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
