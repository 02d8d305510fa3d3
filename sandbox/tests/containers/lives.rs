//! Beginnings and ends: signals from outside, killed callers, what is left.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbox::{Exit, Running};

use crate::kit::{Test, World, eventually, left, processes, unique};

pub(crate) static ALL: &[Test] = &[
    ("signals_reach_the_program", signals_reach_the_program),
    (
        "signals_do_what_they_do_by_default",
        signals_do_what_they_do_by_default,
    ),
    (
        "what_the_program_leaves_running_ends_with_it",
        what_the_program_leaves_running_ends_with_it,
    ),
    ("the_dead_are_buried", the_dead_are_buried),
    ("dropping_kills_everything", dropping_kills_everything),
    (
        "two_at_once_leave_each_other_alone",
        two_at_once_leave_each_other_alone,
    ),
    (
        "killing_the_caller_ends_everything",
        killing_the_caller_ends_everything,
    ),
    (
        "what_a_killed_run_left_is_cleared",
        what_a_killed_run_left_is_cleared,
    ),
    (
        "a_container_inside_a_container",
        a_container_inside_a_container,
    ),
    (
        "a_container_cannot_keep_itself_alive",
        a_container_cannot_keep_itself_alive,
    ),
    (
        "signals_from_inside_do_not_come_back",
        signals_from_inside_do_not_come_back,
    ),
    ("deep_folders_are_removed", deep_folders_are_removed),
    (
        "the_callers_terminal_is_not_the_programs",
        the_callers_terminal_is_not_the_programs,
    ),
    (
        "the_thread_that_started_it_may_end",
        the_thread_that_started_it_may_end,
    ),
    ("nothing_stays_mounted", nothing_stays_mounted),
];

/// Starts a script and waits for its first line.
fn started(world: &World, script: &str) -> Running {
    let mut running = world.start(&world.container(script)).unwrap();
    let mut lines = BufReader::new(running.take_stdout().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    running
}

fn signals_reach_the_program(world: &mut World) {
    let running = started(
        world,
        "trap 'exit 7' TERM; echo ready; while :; do sleep 0.02; done",
    );
    let signaller = running.signaller();
    signaller.send(15);
    assert_eq!(running.wait().unwrap(), Exit::Code(7));
    // To nobody, which is nothing.
    signaller.send(15);
}

fn signals_do_what_they_do_by_default(world: &mut World) {
    if !world.is_own() {
        return; // whose programs are process 1, for which signals do nothing by default
    }
    for signal in [1, 2, 15, 34] {
        let running = started(world, "echo ready; exec sleep 60");
        running.signaller().send(signal);
        assert_eq!(running.wait().unwrap(), Exit::Signal(signal));
    }
}

/// A name for `sleep` that tells its process from all others: longer than any test.
fn long() -> String {
    let seconds: u32 = 100_000;
    let digits: String = unique().chars().filter(char::is_ascii_digit).collect();
    format!("{seconds}{digits}")
}

fn what_the_program_leaves_running_ends_with_it(world: &mut World) {
    let long = long();
    let running = started(
        world,
        &format!("(setsid sleep {long} > /dev/null 2>&1 &); echo ready"),
    );
    assert_eq!(running.wait().unwrap(), Exit::Code(0));
    assert_eq!(processes(&long), Vec::<i32>::new());
}

fn the_dead_are_buried(world: &mut World) {
    if !world.is_own() {
        return;
    }
    let script = "for it in 1 2 3; do (sh -c 'exit 3' &); done; sleep 0.2; grep -l '^State:.Z' /proc/[0-9]*/status; exit 0";
    assert_eq!(world.shell(script, Vec::new()).ok(), "");
}

fn dropping_kills_everything(world: &mut World) {
    let long = long();
    let running = started(
        world,
        &format!("touch /left; sleep {long} & echo ready; sleep {long}"),
    );
    assert!(!processes(&long).is_empty());
    drop(running);
    assert_eq!(processes(&long), Vec::<i32>::new());
    assert_eq!(left(&world.scratch()), Vec::<std::ffi::OsString>::new());
}

fn two_at_once_leave_each_other_alone(world: &mut World) {
    let first = started(world, "echo ready; read it < /dev/zero; cat /etc/motd");
    let second = started(
        world,
        "trap 'cat /etc/motd > /dev/null && exit 5' TERM; echo ready; while :; do sleep 0.02; done",
    );
    assert_eq!(left(&world.scratch()).len(), 2);
    drop(first);
    assert_eq!(left(&world.scratch()).len(), 1);
    second.signaller().send(15);
    assert_eq!(second.wait().unwrap(), Exit::Code(5));
}

/// Arguments with which this program is a caller that waits to be killed.
const CALLER: &str = "--be-a-caller";

/// Runs a container with a program that sleeps, if that is what this process was started for.
pub(crate) fn caller() -> Option<ExitCode> {
    let args: Vec<_> = std::env::args().collect();
    let (caller, [way, runtime, dir, long, rest @ ..]) = args.get(1).zip(args.get(2..))? else {
        return None;
    };
    if caller != CALLER {
        return None;
    }
    let mut world = World::get(way, runtime);
    world.scratch = Some(dir.into());
    if long == TERMINAL {
        return Some(type_into_terminal(&world));
    }
    // More of it than anybody needs.
    let flood =
        "for it in 1 2 3 4 5 6; do (while :; do kill -40 1; kill -41 1; done) & done; sleep 0.3;";
    let flood = if rest.is_empty() { "" } else { flood };
    let script = format!("touch /left; mkdir -m 0 /shut; {flood} echo ready; sleep {long}");
    let running = started(&world, &script);
    let mut out = std::io::stdout();
    writeln!(out, "{}", std::process::id()).unwrap();
    out.flush().unwrap();
    running.wait().unwrap();
    Some(ExitCode::FAILURE)
}

/// In place of how long to sleep: try to type into the caller's terminal.
const TERMINAL: &str = "terminal";

fn type_into_terminal(world: &World) -> ExitCode {
    // TIOCSTI, TIOCSCTTY (by force and without), and the terminal that `/dev/tty` would be.
    let script = "my $x = qq(x); for ([0x5412, $x], [0x540e, 0], [0x540e, 1]) { \
        ioctl(STDIN, $_->[0], $_->[1]) and print qq(open\\n) } \
        open(T, '+<', '/dev/tty') and print qq(tty\\n); print qq(done\\n)";
    let container = sandbox::Container {
        args: ["/usr/bin/perl", "-e", script].map(Into::into).to_vec(),
        mounts: vec![crate::kit::read_only(Path::new("/usr"), "/usr")],
        ..world.container("")
    };
    let streams = sandbox::runtime::Streams {
        stdin: Stdio::inherit(),
        stdout: Stdio::inherit(),
        stderr: Stdio::inherit(),
    };
    let running = world
        .runtime
        .start(&world.way, &container, &world.scratch(), streams);
    match running.unwrap().wait().unwrap() {
        Exit::Code(0) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// TIOCSTI: what a program types into its caller's terminal is run by the caller's shell.
fn the_callers_terminal_is_not_the_programs(world: &mut World) {
    if !crate::kit::requires(&["perl", "script"]) {
        return;
    }
    let program = Path::new("/proc/self/exe").canonicalize().unwrap();
    let caller = format!(
        "{} {CALLER} '{}' {} {} {TERMINAL}",
        program.display(),
        world.way.name(),
        runtime(world),
        world.scratch().display()
    );
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &caller, "/dev/null"])
        .env("TMPDIR", world.dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "done");
}

fn runtime(world: &World) -> String {
    match &world.runtime {
        sandbox::Runtime::Own => "own".to_owned(),
        sandbox::Runtime::Program(path) => path.file_name().unwrap().to_string_lossy().into_owned(),
    }
}

/// A caller, its container's helper, and the container's program.
struct Killable {
    caller: std::process::Child,
    helper: Pid,
    long: String,
    /// The name of its folder.
    run: String,
}

/// A test that fails must leave nobody behind who was stopped.
impl Drop for Killable {
    fn drop(&mut self) {
        self.caller.kill().ok();
        self.caller.wait().ok();
    }
}

fn killable(world: &World) -> Killable {
    killable_with(world, &[])
}

fn killable_with(world: &World, more: &[&str]) -> Killable {
    let long = long();
    let mut caller = Command::new("/proc/self/exe")
        .args([CALLER, world.way.name()])
        .arg(runtime(world))
        .arg(world.scratch())
        .arg(&long)
        .args(more)
        .env("TMPDIR", world.dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(caller.stdout.take().unwrap()).lines();
    // From here on it is killed, whatever happens.
    let mut killable = Killable {
        caller,
        helper: Pid::this(),
        long,
        run: String::new(),
    };
    let id = killable.caller.id();
    assert_eq!(lines.next().unwrap().unwrap(), id.to_string());
    // While a process becomes another program it has no arguments to be found by.
    eventually("the program runs", || processes(&killable.long).len() > 1);
    let children = fs_err::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    let helper = children.split_whitespace().next().unwrap();
    killable.helper = Pid::from_raw(helper.parse().unwrap());
    killable.run = left(&world.scratch()).remove(0).into_string().unwrap();
    killable
}

/// Where the caller's own `/proc` is partly hidden, as in other people's containers, the kernel lets nobody mount one.
fn a_container_inside_a_container(world: &mut World) {
    if !world.is("one id") || !crate::kit::requires(&["unshare", "mount"]) {
        return;
    }
    let long = long();
    let program = Path::new("/proc/self/exe").canonicalize().unwrap();
    let mut caller = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c"])
        .arg("mount -t tmpfs none /proc/fs && exec \"$0\" \"$@\"")
        .arg(program)
        .args([CALLER, "one id", "own"])
        .arg(world.scratch())
        .arg(&long)
        .env("TMPDIR", world.dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(caller.stdout.take().unwrap()).lines();
    let line = lines.next();
    caller.kill().unwrap();
    caller.wait().unwrap();
    assert_eq!(line.unwrap().unwrap(), caller.id().to_string());
    eventually("the container ends", || processes(&long).is_empty());
}

fn killing_the_caller_ends_everything(world: &mut World) {
    let mut killed = killable(world);
    // What is typed into the caller's terminal must not reach the helper.
    let session = |pid| nix::unistd::getsid(pid).unwrap();
    assert_ne!(session(Some(killed.helper)), session(None));
    killed.caller.kill().unwrap();
    killed.caller.wait().unwrap();
    eventually("the container ends", || processes(&killed.long).is_empty());
    // Which the helper does.
    eventually("the scratch folder is cleared", || {
        left(&world.scratch()).is_empty()
    });
}

fn a_container_cannot_keep_itself_alive(world: &mut World) {
    if !world.is_own() {
        return; // whose first process is the program
    }
    let mut killed = killable_with(world, &["flood"]);
    killed.caller.kill().unwrap();
    killed.caller.wait().unwrap();
    eventually("the container ends", || processes(&killed.long).is_empty());
    eventually("the scratch folder is cleared", || {
        left(&world.scratch()).is_empty()
    });
}

/// Signals from inside are for the first process, which wants none.
fn signals_from_inside_do_not_come_back(world: &mut World) {
    if !world.is_own() {
        return;
    }
    let script = "trap 'exit 7' TERM; kill -TERM 1; sleep 0.2; kill -0 1 && exit 3";
    assert_eq!(world.shell(script, Vec::new()).exit, Exit::Code(3));
}

/// Deeper than anybody has descriptors for, and folders that nobody may write to.
fn deep_folders_are_removed(world: &mut World) {
    if !world.is_own() || !crate::kit::requires(&["perl"]) {
        return;
    }
    let script = "chdir '/tmp'; for (1 .. 3000) { mkdir 'd' and chdir 'd' or die } mkdir 'e', 0500; chmod 0500, '.'; print 'made'";
    let container = sandbox::Container {
        args: ["/usr/bin/perl", "-e", script].map(Into::into).to_vec(),
        mounts: vec![crate::kit::read_only(Path::new("/usr"), "/usr")],
        ..world.container("")
    };
    // Which also sees that nothing is left.
    assert_eq!(world.run(&container).ok(), "made");
}

fn what_a_killed_run_left_is_cleared(world: &mut World) {
    let mut killed = killable(world);
    // Stopped first, or it may clear up before it is killed.
    let caller = Pid::from_raw(killed.caller.id().try_into().unwrap());
    kill(caller, Signal::SIGSTOP).unwrap();
    kill(killed.helper, Signal::SIGKILL).unwrap();
    // Whose first process cannot have seen the caller's end.
    eventually("the container ends with its helper", || {
        processes(&killed.long) == [caller.as_raw()]
    });
    killed.caller.kill().unwrap();
    killed.caller.wait().unwrap();
    eventually("the container ends", || processes(&killed.long).is_empty());
    assert_eq!(left(&world.scratch()), [killed.run.as_str()]);
    // Which also sees that nothing is left.
    world.shell("true", Vec::new()).ok();
    let left = Command::new("find")
        .args(["/sys/fs/cgroup", "-name", &format!("*{}*", killed.run)])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}

fn the_thread_that_started_it_may_end(world: &mut World) {
    let running = std::thread::scope(|scope| {
        let start = scope.spawn(|| started(world, "echo ready; sleep 0.3; exit 9"));
        start.join().unwrap()
    });
    assert_eq!(running.wait().unwrap(), Exit::Code(9));
}

fn nothing_stays_mounted(world: &mut World) {
    let before = fs_err::read_to_string("/proc/self/mounts").unwrap();
    let folder = world.folder("folder");
    let running = started(world, "echo ready; sleep 0.1");
    let during = fs_err::read_to_string("/proc/self/mounts").unwrap();
    running.wait().unwrap();
    world
        .shell("true", vec![crate::kit::bind(&folder, "/folder")])
        .ok();
    let own = world.dir.path().to_str().unwrap();
    for mounts in [
        before,
        during,
        fs_err::read_to_string("/proc/self/mounts").unwrap(),
    ] {
        assert!(!mounts.contains(own), "{mounts}");
    }
    assert!(Path::new(own).exists());
}
