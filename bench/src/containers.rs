//! Starting a container, until its program runs.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use layout::{Layout, Selector};
use sandbox::runtime::Streams;
use sandbox::{Container, Network, Root, Runtime, Unpacked, User, Way};
use tests::desk::Desk;
use tests::program::Ran;

use crate::stopwatch::{Table, median, time};

/// Who runs in them.
const USER: User = User {
    uid: 1000,
    gid: 1000,
};

pub(crate) fn start(desk: &Desk, rounds: usize, table: &mut Table<impl Write>) -> io::Result<()> {
    let image = Layout::at(desk.path("repo/index.docker.io/slipway/bash-run/latest"));
    let image = image.image(&Selector::default()).unwrap().unwrap();
    let process = median(rounds, || {
        time(|| drop(Ran::of(Command::new("/bin/bash").args(["-c", ":"])).ok()))
    });
    for name in ["root", "many ids", "one id"] {
        let Some(Ok(way)) = Way::named(name, USER) else {
            continue;
        };
        let layers = Unpacked::at(desk.path("bench-layers"));
        let Ok(folders) = layers.layers(&image, &way, &mut |_| {}) else {
            continue;
        };
        let mut runtimes = vec![("slipway", Runtime::Own)];
        for (name, path) in [("runc", "/usr/sbin/runc"), ("crun", "/usr/bin/crun")] {
            let path = PathBuf::from(path);
            if path.exists() {
                runtimes.push((name, Runtime::Program(path)));
            }
        }
        for (program, runtime) in runtimes {
            let Some(took) = once(desk, &runtime, &way, &folders) else {
                continue;
            };
            let took = median(rounds, || {
                once(desk, &runtime, &way, &folders).unwrap_or(took)
            });
            let what = format!("container by {program}, {name}");
            table.line(&what, took, "bash -c :", process)?;
        }
    }
    Ok(())
}

/// Runs a shell that does nothing to its end; nothing is returned where that way is closed.
fn once(desk: &Desk, runtime: &Runtime, way: &Way, layers: &[PathBuf]) -> Option<Duration> {
    let container = Container {
        root: Root::Layers(layers.to_vec()),
        mounts: Vec::new(),
        user: USER,
        capabilities: Vec::new(),
        args: ["/bin/bash", "-c", ":"].map(Into::into).into(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: "/".into(),
        network: Network::Host,
    };
    let streams = Streams {
        stdin: Stdio::null(),
        stdout: Stdio::null(),
        stderr: Stdio::null(),
    };
    let scratch = desk.path("bench-runs");
    fs_err::create_dir_all(&scratch).unwrap();
    let begin = Instant::now();
    let running = runtime.start(way, &container, &scratch, streams).ok()?;
    let exit = running.wait().ok()?;
    (exit == sandbox::Exit::Code(0)).then(|| begin.elapsed())
}
