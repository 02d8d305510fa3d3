//! Processes that run through bash.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use crate::kit::{Image, process, stdout};

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
