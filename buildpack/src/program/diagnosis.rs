//! Why a program of a module did not start, told from what is on disk, and what its end means.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use rustix::fs::{Access, access};

use super::signal_name;
use crate::fault::Advice;

/// Returns why a program could not be started in a folder. Looks at the disk again, so it can only be asked right away.
pub(crate) fn of_start(program: &Path, dir: &Path) -> Advice {
    let name = name_of(program);
    if !dir.is_dir() {
        let problem = format!("{name} runs in this folder, which is not there");
        return Advice::new(dir, problem, "let the platform name the app's folder");
    }
    let advice = |problem: String, remedy: &str| Advice::new(program, problem, remedy);
    let Ok(metadata) = fs_err::metadata(program) else {
        let remedy = format!("put a program {name} into the buildpack and package it again");
        return advice("is missing, or a link to nowhere".to_owned(), &remedy);
    };
    if !metadata.is_file() {
        return advice(
            "is no file".to_owned(),
            &format!("make {name} a script or a program"),
        );
    }
    if metadata.mode() & 0o111 == 0 || !may_run(program) {
        let problem = format!(
            "may not be run by user {}: its owner is user {} and its mode {:04o}",
            rustix::process::geteuid().as_raw(),
            metadata.uid(),
            metadata.mode() & 0o7777
        );
        let remedy = format!("chmod 755 {name}, then package the buildpack again");
        return advice(problem, &remedy);
    }
    let head = head_of(program);
    if let Some(interpreter) = interpreter(&head) {
        return of_interpreter(program, &interpreter);
    }
    if let Some(loader) = loader(&head)
        && !loader.exists()
    {
        let problem = format!(
            "needs {}, which is not in the build image",
            loader.display()
        );
        return advice(
            problem,
            "link it statically, or build it for the C library of the build image",
        );
    }
    advice(
        "is neither a script that begins with #! nor a program for this machine".to_owned(),
        "begin a script with a line such as #!/usr/bin/env bash; build a program for the machine that it runs on",
    )
}

fn of_interpreter(program: &Path, interpreter: &Path) -> Advice {
    let name = name_of(program);
    let shown = interpreter.as_os_str();
    let advice = |problem: String, remedy: String| Advice::new(program, problem, remedy).at(1);
    if let Some(bare) = shown.as_bytes().strip_suffix(b"\r") {
        let bare = Path::new(OsStr::from_bytes(bare)).display();
        return advice(
            format!(
                "lines end in CR LF, so its interpreter is \"{bare}\\r\", which is not in the build image"
            ),
            format!("save {name} with line ends of Unix (LF)"),
        );
    }
    let shown = interpreter.display();
    if interpreter.exists() {
        return advice(
            format!("its interpreter {shown} may not be run"),
            format!("name one that may, such as /bin/sh, or correct the mode of {shown}"),
        );
    }
    advice(
        format!("its interpreter {shown} is not in the build image"),
        format!("name one that is, such as /bin/sh, or add {shown} to the build image"),
    )
}

/// Returns advice about a variable that no program can be given.
pub(crate) fn of_nul(program: &Path, variable: &OsStr) -> Advice {
    let variable = variable.display();
    Advice::new(
        program,
        format!("was not started: variable {variable} contains a NUL byte"),
        format!(
            "look for {variable} in the env folders of the platform, of its build configuration and of earlier buildpacks' layers"
        ),
    )
}

/// Returns what the end of a program means, which did not succeed.
pub(crate) fn of_end(program: &Path, status: ExitStatus) -> Advice {
    let of_memory = "most often the build container has too little memory: give it more, or let the buildpack use less";
    let crashed =
        "the program crashed or was told to stop: what it was doing is in its output above";
    let advice = |problem: String, remedy: &str| Advice::new(program, problem, remedy);
    if let Some(signal) = status.signal() {
        let problem = format!("was ended by signal {signal} ({})", signal_name(signal));
        return advice(problem, if signal == KILL { of_memory } else { crashed });
    }
    let code = status.code().unwrap_or(-1);
    let ended = format!("ended with exit code {code}");
    match code {
        126 => advice(
            format!("{ended}: a command that it called may not be run"),
            "its output above names the command; correct its mode",
        ),
        127 => advice(
            format!("{ended}: a command that it called was not found"),
            "its output above names the command; add it to the build image, or its folder to PATH",
        ),
        129..=159 => {
            let signal = code - 128;
            let name = signal_name(signal);
            let problem =
                format!("{ended}: a command that it called was ended by signal {signal} ({name})");
            advice(problem, if signal == KILL { of_memory } else { crashed })
        }
        _ => advice(
            ended,
            "its output above says why; if there is none, let it say what it does before it gives up (in bash: set -x)",
        ),
    }
}

const KILL: i32 = 9;

/// Returns `bin/build` of `/cnb/buildpacks/a/1/bin/build`.
fn name_of(program: &Path) -> String {
    let name = program.file_name().unwrap_or_default();
    format!("bin/{}", name.display())
}

fn may_run(path: &Path) -> bool {
    access(path, Access::EXEC_OK).is_ok()
}

/// Returns the beginning of a file, as much as is needed here; nothing where it cannot be read.
fn head_of(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    if let Ok(file) = fs_err::File::open(path) {
        file.take(64 * 1024).read_to_end(&mut head).ok();
    }
    head
}

/// Returns what the first line of a script names.
fn interpreter(head: &[u8]) -> Option<PathBuf> {
    let line = head.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next()?;
    let line = line.trim_ascii_start();
    let end = line.iter().position(|byte| b" \t".contains(byte));
    let word = line.get(..end.unwrap_or(line.len()))?;
    Some(PathBuf::from(OsStr::from_bytes(word)))
}

/// Returns the loader that a dynamic program asks for: `PT_INTERP` of a 64-bit little-endian ELF file.
fn loader(head: &[u8]) -> Option<PathBuf> {
    const IS_LOADER: u64 = 3;
    let number = |at: usize, length: usize| -> Option<u64> {
        let bytes = head.get(at..at.checked_add(length)?)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    };
    let offset = |at| usize::try_from(number(at, 8)?).ok();
    head.starts_with(b"\x7fELF\x02\x01").then_some(())?;
    let (table, size) = (offset(32)?, usize::try_from(number(54, 2)?).ok()?);
    let count = usize::try_from(number(56, 2)?).ok()?;
    let mut entries = (0..count).filter_map(|index| table.checked_add(index.checked_mul(size)?));
    let entry = entries.find(|entry| number(*entry, 4) == Some(IS_LOADER))?;
    let (start, length) = (
        offset(entry.checked_add(8)?)?,
        offset(entry.checked_add(32)?)?,
    );
    let path = head.get(start..start.checked_add(length)?)?;
    let path = path.strip_suffix(b"\0").unwrap_or(path);
    Some(PathBuf::from(OsStr::from_bytes(path)))
}

#[cfg(test)]
mod tests;
