use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn described(advice: &Advice) -> String {
    format!("{advice}; {}", advice.remedy)
}

/// What the file holds, its mode, the line, what is wrong, part of the way out.
type Row<'a> = (Option<&'a [u8]>, u32, usize, &'a str, &'a str);

#[test]
fn what_keeps_a_program_from_starting_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("bin/build");
    fs_err::create_dir(dir.path().join("bin")).unwrap();
    let uid = rustix::process::geteuid().as_raw();
    let (missing, package) = (
        "is missing, or a link to nowhere",
        "then package the buildpack again",
    );
    let unknown = "is neither a script that begins with #! nor a program for this machine";
    let mode = format!("may not be run by user {uid}: its owner is user {uid} and its mode 0644");
    let table: [Row<'_>; 8] = [
        (
            None,
            0,
            0,
            missing,
            "put a program bin/build into the buildpack",
        ),
        (Some(b"#!/bin/sh\n"), 0o644, 0, &mode, package),
        (
            Some(b"#!/no/sh -e\n"),
            0o755,
            1,
            "its interpreter /no/sh is not in the build image",
            "or add /no/sh",
        ),
        (
            Some(b"#! /no/sh"),
            0o755,
            1,
            "its interpreter /no/sh is not in the build image",
            "or add /no/sh",
        ),
        (
            Some(b"#!/bin/sh\r\necho\r\n"),
            0o755,
            1,
            "lines end in CR LF, so its interpreter is \"/bin/sh\\r\", which is not in the build image",
            "save bin/build with line ends of Unix (LF)",
        ),
        (
            Some(b"echo\n"),
            0o755,
            0,
            unknown,
            "begin a script with a line such as #!",
        ),
        (
            Some(b""),
            0o755,
            0,
            unknown,
            "begin a script with a line such as #!",
        ),
        (
            Some(b"\x7fELF\x02\x01 cut off"),
            0o755,
            0,
            unknown,
            "build a program for the machine",
        ),
    ];
    for (text, mode, line, problem, remedy) in table {
        if let Some(text) = text {
            fs_err::write(&program, text).unwrap();
            fs_err::set_permissions(&program, Permissions::from_mode(mode)).unwrap();
        }
        let advice = of_start(&program, dir.path());
        assert_eq!((advice.line, advice.problem.as_str()), (line, problem));
        assert!(advice.remedy.contains(remedy), "{}", described(&advice));
        assert_eq!(advice.path, program);
    }
    let advice = of_start(&program, &dir.path().join("app"));
    assert_eq!(advice.path, dir.path().join("app"));
    assert_eq!(
        advice.problem,
        "bin/build runs in this folder, which is not there"
    );
}

/// A header as the format describes it: one program header that names a loader, at the end of the file.
#[test]
fn a_loader_that_is_missing_is_named() {
    let mut program = b"\x7fELF\x02\x01\x01".to_vec();
    program.resize(64, 0);
    program[32] = 64; // e_phoff
    program[54] = 56; // e_phentsize
    program[56] = 1; // e_phnum
    let mut entry = [0; 56];
    entry[0] = 3; // p_type
    entry[8] = 120; // p_offset
    entry[32] = 11; // p_filesz
    program.extend(entry);
    program.extend(b"/no/loader\0");
    assert_eq!(loader(&program), Some(PathBuf::from("/no/loader")));
    // Cut off anywhere, it is no panic.
    for length in 0..program.len() {
        assert_eq!(loader(&program[..length]), None);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("build");
    fs_err::write(&path, &program).unwrap();
    fs_err::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        of_start(&path, dir.path()).problem,
        "needs /no/loader, which is not in the build image"
    );
}

#[test]
fn ends_are_explained() {
    let memory = "too little memory";
    let table = [
        (6 << 8, "ended with exit code 6", "set -x"),
        (
            126 << 8,
            "ended with exit code 126: a command that it called may not be run",
            "correct its mode",
        ),
        (
            127 << 8,
            "ended with exit code 127: a command that it called was not found",
            "PATH",
        ),
        (128 << 8, "ended with exit code 128", "set -x"),
        (
            137 << 8,
            "ended with exit code 137: a command that it called was ended by signal 9 (killed)",
            memory,
        ),
        (
            139 << 8,
            "ended with exit code 139: a command that it called was ended by signal 11 (segmentation fault)",
            "crashed",
        ),
        (160 << 8, "ended with exit code 160", "set -x"),
        (9, "was ended by signal 9 (killed)", memory),
        (15, "was ended by signal 15 (terminated)", "told to stop"),
    ];
    for (raw, problem, remedy) in table {
        let advice = of_end(Path::new("/a/bin/build"), ExitStatus::from_raw(raw));
        assert_eq!(advice.problem, problem);
        assert!(advice.remedy.contains(remedy), "{}", described(&advice));
    }
}
