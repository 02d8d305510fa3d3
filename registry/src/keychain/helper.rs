//! Credential helper programs: `docker-credential-NAME get`, the registry on standard input, JSON on standard output.
//!
//! What a helper prints is never repeated in an error: it is a secret where all went well.

use std::borrow::Cow;
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;

use super::secret::Secret;

/// How long a helper may take; some ask another machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a helper may print.
const MAX_OUTPUT: u64 = 64 << 10;

/// What helpers print, and fail, where they know nothing of a registry.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// What a helper knows.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    #[serde(rename = "Username")]
    pub(super) user: String,
    #[serde(rename = "Secret")]
    pub(super) secret: Secret,
}

/// Asks a helper; `None` if it knows nothing.
pub(super) fn get(name: &str, server: &str) -> Result<Option<Found>, Error> {
    let program = format!("docker-credential-{name}");
    if name.contains('/') {
        // A name with a slash would be a path and no program of PATH.
        return Err(Error {
            helper: program,
            server: server.to_owned(),
            why: Why::Name,
        });
    }
    ask(Path::new(&program), server, PATIENCE).map_err(|why| Error {
        helper: program,
        server: server.to_owned(),
        why,
    })
}

fn ask(program: &Path, server: &str, patience: Duration) -> Result<Option<Found>, Why> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(Why::Start)?;
    let result = converse(&mut child, server, Instant::now() + patience);
    if result.is_err() {
        end(&mut child);
    }
    let (success, output) = result?;
    if success {
        let found = serde_json::from_slice(&output).map_err(|_| Why::Rubbish)?;
        return Ok(Some(found));
    }
    let said = String::from_utf8_lossy(&output);
    if said.trim().eq_ignore_ascii_case(NOT_FOUND) {
        return Ok(None);
    }
    Err(Why::Failed)
}

/// Returns whether the helper succeeded, and what it printed.
fn converse(child: &mut Child, server: &str, deadline: Instant) -> Result<(bool, Vec<u8>), Why> {
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Why::Start(io::ErrorKind::BrokenPipe.into()));
    };
    // So short a text fits into any pipe; a helper that does not read it is its own affair.
    input.write_all(server.as_bytes()).ok();
    drop(input);
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.take(MAX_OUTPUT + 1).read_to_end(&mut bytes);
        // Whoever waited may have lost patience.
        sender.send(read.map(|_| bytes)).ok();
    });
    let left = deadline.saturating_duration_since(Instant::now());
    let bytes = receiver.recv_timeout(left).map_err(|_| Why::Slow)?;
    let bytes = bytes.map_err(Why::Start)?;
    if bytes.len() as u64 > MAX_OUTPUT {
        return Err(Why::Rubbish);
    }
    loop {
        if let Some(status) = child.try_wait().map_err(Why::Start)? {
            return Ok((status.success(), bytes));
        }
        if Instant::now() > deadline {
            return Err(Why::Slow);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends the helper and what it started.
fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended just now.
        kill_process_group(group, Signal::KILL).ok();
    }
    child.wait().ok();
}

/// A helper that did not do what it is for.
#[derive(Debug, thiserror::Error)]
#[error(
    "failed to get credentials for {server} from {helper}: {why}\nsee what `echo {} | {} get` says, or take the helper out of Docker's config.json",
    quoted(server),
    quoted(helper)
)]
pub struct Error {
    helper: String,
    server: String,
    why: Why,
}

/// Returns a word as a shell takes it for itself: hints are copied, and these names come from others.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"-._:/".contains(&it);
    if word.bytes().all(is_plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''")).into()
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("it failed")]
    Failed,
    #[error("that is no name of a program")]
    Name,
    #[error("what it printed is no answer")]
    Rubbish,
    #[error("it took too long")]
    Slow,
    #[error("{0}")]
    Start(io::Error),
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn answer(script: &str) -> Result<Option<(String, String)>, String> {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("docker-credential-test");
        fs_err::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        fs_err::set_permissions(&program, mode).unwrap();
        let found = ask(&program, "r.example", Duration::from_secs(1));
        let found = found.map_err(|why| why.to_string())?;
        Ok(found.map(|it| (it.user, it.secret.reveal().to_owned())))
    }

    /// One test, because a program that is being written cannot be started, and one thread's child may hold another's file.
    #[test]
    fn helpers_answer_fail_or_hang() {
        let good = r#"read -r host; [ "$1" = get ] && echo "{\"ServerURL\":\"$host\",\"Username\":\"u@$host\",\"Secret\":\"s\"}""#;
        // `read` fails at the end of a line that does not end, but has read it.
        let expected = ("u@r.example".to_owned(), "s".to_owned());
        assert_eq!(answer(good), Ok(Some(expected)));
        let unknown = format!("echo '{NOT_FOUND}'; exit 1");
        assert_eq!(answer(&unknown), Ok(None));
        let cases = [
            ("echo secret; exit 1", "it failed"),
            ("echo secret", "what it printed is no answer"),
            ("echo '{\"Secret\":\"s\"}'", "what it printed is no answer"),
            ("exec cat /dev/zero", "what it printed is no answer"),
            ("sleep 60", "it took too long"),
            ("sleep 60 & echo", "it took too long"),
            ("exec >&-; sleep 60", "it took too long"),
        ];
        for (script, why) in cases {
            assert_eq!(answer(script), Err(why.to_owned()), "{script}");
        }
        for (name, why) in [
            ("no-such-helper", "No such file or directory"),
            ("../x", "that is no name of a program"),
        ] {
            let error = get(name, "r.example").unwrap_err().to_string();
            let begin = format!(
                "failed to get credentials for r.example from docker-credential-{name}: {why}"
            );
            assert!(error.starts_with(&begin), "{error}");
        }
        let error = get("x; rm -r $HOME '", "r.example")
            .unwrap_err()
            .to_string();
        let hint = r"`echo r.example | 'docker-credential-x; rm -r $HOME '\''' get`";
        assert!(error.contains(hint), "{error}");
    }
}
