//! Writing the maps of a user namespace: by itself where one id stands for one, else by `newuidmap` and `newgidmap`.

use std::io;
use std::process::{Child, Command, Stdio};

use super::fault::{Doing as _, Fault};
use crate::ids::{IdMaps, Range};

/// True if a process may write these maps for itself, without a privileged program.
pub(super) fn are_own(maps: &IdMaps) -> bool {
    let one = |ranges: &[Range]| matches!(ranges, [only] if only.count == 1);
    one(&maps.uids) && one(&maps.gids)
}

/// Writes maps of one id each, in the process that is to have them.
pub(super) fn write_own(maps: &IdMaps) -> Result<(), Fault> {
    // The kernel asks for this before an unprivileged process may map a group.
    let files = [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", lines(&maps.uids)),
        ("/proc/self/gid_map", lines(&maps.gids)),
    ];
    for (file, text) in files {
        // One write call: the kernel takes no second.
        rustix::fs::open(
            file,
            rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )
        .and_then(|it| rustix::io::write(it, text.as_bytes()))
        .doing(|| format!("write {file}"))?;
    }
    Ok(())
}

fn lines(ranges: &[Range]) -> String {
    use std::fmt::Write as _;
    ranges.iter().fold(String::new(), |mut text, it| {
        writeln!(text, "{} {} {}", it.inside, it.outside, it.count).ok();
        text
    })
}

/// Has the maps of another process written by the machine's privileged programs.
pub(super) fn write_for(pid: u32, maps: &IdMaps) -> Result<(), Fault> {
    let begin = |program: &'static str, ranges: &[Range]| {
        let numbers = ranges
            .iter()
            .flat_map(|it| [it.inside, it.outside, it.count]);
        Command::new(program)
            .arg(pid.to_string())
            .args(numbers.map(|it| it.to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .doing(|| format!("run {program}"))
            .map(|child| (program, child))
    };
    // Both at once: each costs an exec.
    let users = begin("newuidmap", &maps.uids)?;
    let groups = begin("newgidmap", &maps.gids);
    finish(users)?;
    finish(groups?)
}

fn finish((program, child): (&str, Child)) -> Result<(), Fault> {
    let doing = || format!("map ids with {program}");
    let output = child.wait_with_output().doing(doing)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let cause = io::Error::other(said.trim().replace('\n', "; "));
    Err(cause).doing(doing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_id_is_written_by_oneself() {
        let range = |count| Range {
            inside: 1000,
            outside: 7,
            count,
        };
        for (uids, gids, own) in [
            (vec![range(1)], vec![range(1)], true),
            (vec![range(2)], vec![range(1)], false),
            (vec![range(1)], vec![range(1), range(1)], false),
            (vec![], vec![range(1)], false),
        ] {
            assert_eq!(lines(&uids).lines().count(), uids.len());
            assert_eq!(are_own(&IdMaps { uids, gids }), own);
        }
        assert_eq!(lines(&[range(1), range(5)]), "1000 7 1\n1000 7 5\n");
    }
}
