//! Running a module's program: its environment, its output through one pipe, and how the reference words its end.
//!
//! Which program, with which arguments and variables, is said by `detect` and `build`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use crate::api::BuildpackApi;
use crate::descriptor::Descriptor;
use crate::fault::{Advice, Fault};
use crate::syscall_text;
use crate::target::Target;

pub(crate) mod diagnosis;

/// A program that is about to run.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    /// The program, an absolute path.
    pub(crate) path: &'a Path,
    /// Its arguments.
    pub(crate) args: &'a [&'a OsStr],
    /// Its whole environment.
    pub(crate) env: &'a BTreeMap<OsString, OsString>,
    /// Its working directory.
    pub(crate) dir: &'a Path,
}

impl Program<'_> {
    /// Runs the program, which must end well, and passes on what it writes as soon as it comes.
    pub(crate) fn succeed(&self, output: &mut (dyn Write + Send)) -> Result<(), Fault> {
        let status = self.run(|bytes| {
            output.write_all(bytes)?;
            output.flush()
        })?;
        match ending(status) {
            Some(ending) => Err(Fault::new(ending, diagnosis::of_end(self.path, status))),
            None => Ok(()),
        }
    }

    /// Runs the program with an empty input. Whatever it writes, to either stream, goes to `output` in the order of writing.
    pub(crate) fn run(
        &self,
        mut output: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<ExitStatus, Fault> {
        let has_nul = |text: &OsString| text.as_bytes().contains(&0);
        let mut variables = self.env.iter();
        if let Some((name, _)) = variables.find(|(name, value)| has_nul(name) || has_nul(value)) {
            return Err(Fault::new(
                "exec: environment variable contains NUL",
                diagnosis::of_nul(self.path, name),
            ));
        }
        let (mut reader, writer) = io::pipe().map_err(|e| self.failed("pipe", &e))?;
        let mut command = Command::new(self.path);
        command
            .args(self.args)
            .env_clear()
            .envs(self.env)
            .current_dir(self.dir)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().map_err(|e| self.failed("dup", &e))?)
            .stderr(writer);
        let spawned = command.spawn();
        // Our copies of the pipe's end go with the command, so that reading ends.
        drop(command);
        let mut child = spawned.map_err(|e| self.not_started(e))?;
        let relayed = relay(&mut reader, &mut output);
        drop(reader);
        let status = child.wait().map_err(|e| self.failed("wait", &e))?;
        if status.success() {
            relayed.map_err(|e| self.failed("write", &e))?;
        }
        Ok(status)
    }

    /// Names the working directory where it is to blame.
    fn not_started(&self, error: io::Error) -> Fault {
        let error = match fs_err::metadata(self.dir) {
            Err(cause) => syscall_text::Error::new("chdir", self.dir, cause),
            Ok(_) => syscall_text::Error::new("fork/exec", self.path, error),
        };
        Fault::new(error, diagnosis::of_start(self.path, self.dir))
    }

    fn failed(&self, operation: &str, error: &io::Error) -> Fault {
        let text = format!("{operation}: {}", syscall_text::reason(error));
        let problem = format!("could not be run to its end: {text}");
        let remedy = "this is no fault of the buildpack: look at the machine that builds";
        Fault::new(text, Advice::new(self.path, problem, remedy))
    }
}

/// Returns how a program ended, if it did not succeed: `exit status 7`, `signal: killed`.
fn ending(status: ExitStatus) -> Option<String> {
    if let Some(signal) = status.signal() {
        let core = if status.core_dumped() {
            " (core dumped)"
        } else {
            ""
        };
        return Some(format!("signal: {}{core}", signal_name(signal)));
    }
    match status.code() {
        Some(0) => None,
        code => Some(format!("exit status {}", code.unwrap_or(-1))),
    }
}

/// Adds the lifecycle's own variables, which win over all others (BPD-034).
pub(crate) fn add_own_variables(
    env: &mut BTreeMap<OsString, OsString>,
    module: &Descriptor,
    api: BuildpackApi,
    path_variables: &[(&str, &Path)],
    target: &Target,
    exec_env: &str,
) {
    let mut set = |name: &str, value: &OsStr| {
        env.insert(name.into(), value.to_owned());
    };
    let dir_variable = if module.extension {
        "CNB_EXTENSION_DIR"
    } else {
        "CNB_BUILDPACK_DIR"
    };
    set(dir_variable, module.dir.as_os_str());
    if api.has_path_variables() {
        for (name, path) in path_variables {
            set(name, path.as_os_str());
        }
    }
    if api.has_target_variables() {
        for (name, value) in target.variables() {
            set(name, value.as_ref());
        }
    }
    if api.has_exec_env() && !exec_env.is_empty() {
        set("CNB_EXEC_ENV", exec_env.as_ref());
    }
}

/// Passes bytes on as they come, until every holder of the other end has closed it.
fn relay(
    reader: &mut io::PipeReader,
    output: &mut impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = [0; 8192];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => output(&buffer[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Returns a signal's name on Linux.
fn signal_name(signal: i32) -> String {
    const NAMES: [&str; 31] = [
        "hangup",
        "interrupt",
        "quit",
        "illegal instruction",
        "trace/breakpoint trap",
        "aborted",
        "bus error",
        "floating point exception",
        "killed",
        "user defined signal 1",
        "segmentation fault",
        "user defined signal 2",
        "broken pipe",
        "alarm clock",
        "terminated",
        "stack fault",
        "child exited",
        "continued",
        "stopped (signal)",
        "stopped",
        "stopped (tty input)",
        "stopped (tty output)",
        "urgent I/O condition",
        "CPU time limit exceeded",
        "file size limit exceeded",
        "virtual timer expired",
        "profiling timer expired",
        "window changed",
        "I/O possible",
        "power failure",
        "bad system call",
    ];
    let index = usize::try_from(signal).ok().and_then(|s| s.checked_sub(1));
    match index.and_then(|i| NAMES.get(i)) {
        Some(name) => (*name).to_owned(),
        None => format!("signal {signal}"),
    }
}

/// Makes a program for a test. A process of its own writes it: a file that is open for writing, be it in a child
/// that another test is just starting, cannot be run.
#[cfg(test)]
pub(crate) fn install(path: &Path, text: &str, mode: &str) {
    let draft = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(draft.path(), text).unwrap();
    let status = Command::new("install")
        .args(["-m", mode])
        .args([draft.path(), path])
        .status();
    assert!(status.unwrap().success());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_worded_as_in_go() {
        // Wait statuses: the exit code in the second byte, the signal in the lowest seven bits, 0x80 for a core dump.
        let cases = [
            (0, None),
            (7 << 8, Some("exit status 7")),
            (100 << 8, Some("exit status 100")),
            (9, Some("signal: killed")),
            (15, Some("signal: terminated")),
            (0x80 | 6, Some("signal: aborted (core dumped)")),
            (40, Some("signal: signal 40")),
        ];
        for (raw, expected) in cases {
            assert_eq!(
                ending(ExitStatus::from_raw(raw)).as_deref(),
                expected,
                "{raw}"
            );
        }
    }

    #[test]
    fn a_nul_in_the_environment_is_refused() {
        let env = BTreeMap::from([("A".into(), OsString::from("x\0y"))]);
        let program = Program {
            path: Path::new("/bin/true"),
            args: &[],
            env: &env,
            dir: Path::new("/"),
        };
        let error = program.run(|_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "exec: environment variable contains NUL");
    }

    #[test]
    fn both_streams_come_in_the_order_of_writing() {
        let env = BTreeMap::new();
        let script = "for i in 1 2 3; do echo o$i; echo e$i >&2; done; cat; exit 3";
        let program = Program {
            path: Path::new("/bin/sh"),
            args: &["-c".as_ref(), script.as_ref()],
            env: &env,
            dir: Path::new("/"),
        };
        let mut output = Vec::new();
        let status = program.run(|bytes| {
            output.extend_from_slice(bytes);
            Ok(())
        });
        assert_eq!(status.unwrap().code(), Some(3));
        assert_eq!(output, b"o1\ne1\no2\ne2\no3\ne3\n");
    }

    #[test]
    fn an_output_that_fails_does_not_hang_the_program() {
        let env = BTreeMap::new();
        let program = Program {
            path: Path::new("/bin/sh"),
            args: &[
                "-c".as_ref(),
                "echo x; trap '' PIPE; echo y 2>/dev/null; exit 0".as_ref(),
            ],
            env: &env,
            dir: Path::new("/"),
        };
        let error = program
            .run(|_| Err(io::Error::from_raw_os_error(32)))
            .unwrap_err();
        assert_eq!(error.to_string(), "write: broken pipe");
    }
}
