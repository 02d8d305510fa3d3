//! Running one step: a program as a platform calls it, or a script.

use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{RwLock, RwLockReadGuard, mpsc};
use std::time::Duration;

use fs_err as fs;
use rustix::process::{Pid, Signal, kill_process_group};

use super::case::{Step, User};
use super::grounds::Grounds;
use super::place::Place;
use super::text;

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With an exit code, or below zero with a signal.
    Code(i32),
    /// Not in time; it was killed.
    Timeout,
}

impl From<&Exit> for serde_json::Value {
    fn from(exit: &Exit) -> Self {
        match exit {
            Exit::Code(code) => (*code).into(),
            Exit::Timeout => "timeout".into(),
        }
    }
}

// A child that another thread has forked and that has not begun its program yet holds this process's open files. A
// script that was being written then cannot be run: "text file busy".
static SPAWNING: RwLock<()> = RwLock::new(());

/// Keeps other threads from starting programs while files are written that will be run.
pub fn no_spawning() -> RwLockReadGuard<'static, ()> {
    SPAWNING.read().expect("no thread ends while it spawns")
}

/// Runs a step; returns how it ended and its log, standard error included.
pub fn run(place: &Place<'_>, step: &Step) -> (Exit, String) {
    if step.phase == "sh" {
        return shell(place, &step.script);
    }
    let mut program = Grounds::get().programs().join(&step.phase);
    assert!(program.exists(), "there is no program {}", step.phase);
    let mut name = PathBuf::from(&step.phase);
    if let Some(link) = &step.argv0 {
        let links = place.root.join("process");
        fs::create_dir_all(&links).unwrap();
        let link = links.join(link);
        if link.symlink_metadata().is_err() {
            symlink(&program, &link).unwrap();
        }
        program.clone_from(&link);
        name = link;
    }
    let as_owner = ["detector", "builder", "launcher"].contains(&step.phase.as_str());
    let default_user = if as_owner {
        place.case.owner
    } else {
        User::ROOT
    };
    let user = step.user.unwrap_or(default_user);
    let mut own = place.case.env.clone();
    own.extend(step.env.clone());
    let mut command = Command::new(program);
    place.set_environment(&mut command, &own);
    command
        .arg0(name)
        .args(step.args.iter().map(|arg| place.filled_in(arg)))
        .current_dir(place.filled_in(step.cwd.as_deref().unwrap_or("{root}")))
        .uid(user.uid)
        .gid(user.gid)
        .process_group(0);
    wait(command, Duration::from_secs(step.timeout.unwrap_or(60)))
}

/// Runs a script as root.
pub fn shell(place: &Place<'_>, script: &str) -> (Exit, String) {
    let owner = place.case.owner;
    let variables = [
        ("ROOT", "{root}".to_owned()),
        ("REGISTRY", "{registry}".to_owned()),
        ("OWNER", format!("{}:{}", owner.uid, owner.gid)),
    ];
    let mut command = Command::new("bash");
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    place.set_environment(&mut command, &variables.into());
    command
        .args(["-eu", "-c", &place.filled_in(script)])
        .current_dir(&place.root)
        .process_group(0);
    wait(command, Duration::from_secs(60))
}

fn wait(mut command: Command, limit: Duration) -> (Exit, String) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone().unwrap())
        .stderr(writer);
    let spawned = {
        let _alone = SPAWNING.write().expect("no thread ends while it spawns");
        command.spawn()
    };
    let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // Its ends of the pipe: the log ends when the last program has closed it.
    drop(command);
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut log = Vec::new();
        let read = reader.read_to_end(&mut log).map(|_| log);
        // Nobody waits any more for a step that took too long.
        sender.send(read).ok();
    });
    let in_time = receiver.recv_timeout(limit);
    if in_time.is_err() {
        let group = Pid::from_child(&child);
        kill_process_group(group, Signal::KILL).expect("the group of a child can be killed");
    }
    let status = child.wait().unwrap();
    match in_time {
        Ok(log) => {
            let code = status
                .code()
                .or_else(|| status.signal().map(|signal| -signal));
            let code = code.expect("it ended with a code or by a signal");
            (Exit::Code(code), text::shown(&log.unwrap()))
        }
        Err(_) => (Exit::Timeout, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_outputs_are_one_log_and_the_end_is_told() {
        for (script, exit, log) in [
            (
                "echo out; echo err >&2; exit 3",
                Exit::Code(3),
                "out\nerr\n",
            ),
            ("kill -9 $$", Exit::Code(-9), ""),
            ("sleep 60 & sleep 60", Exit::Timeout, ""),
        ] {
            let mut command = Command::new("bash");
            command.args(["-c", script]).process_group(0);
            let limit = if exit == Exit::Timeout { 300 } else { 20_000 };
            let ended = wait(command, Duration::from_millis(limit));
            assert_eq!(ended, (exit, log.to_owned()), "{script}");
        }
    }
}
