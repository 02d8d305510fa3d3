//! What the launcher adds to the start of a process, and its bytes.

use std::io::{self, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use ::tests::program::ours;

use crate::stopwatch::{Table, time};

/// Starts of each in a round: one takes half a millisecond.
const STARTS: usize = 100;

/// What an exporter leaves for the launcher, about a process that does nothing.
const METADATA: &str = r#"buildpack-default-process-type = "web"

[[buildpacks]]
id = "acme/hello"
version = "1.0.0"
api = "0.10"

[[processes]]
type = "web"
command = ["/bin/true"]
direct = true
buildpack-id = "acme/hello"
"#;

pub(crate) fn start(rounds: usize, table: &mut Table<impl Write>) -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let (layers, app) = (dir.path().join("layers"), dir.path().join("app"));
    let variables = layers.join("acme_hello/greeting/env.launch");
    for folder in [&app, &layers.join("config"), &variables] {
        fs_err::create_dir_all(folder)?;
    }
    fs_err::write(layers.join("config/metadata.toml"), METADATA)?;
    fs_err::write(variables.join("WORD"), "hello")?;

    let launcher = ours("launcher");
    let mut by_launcher = Command::new(&launcher);
    by_launcher
        .arg0("/cnb/process/web")
        .env("CNB_PLATFORM_API", "0.13")
        .env("CNB_LAYERS_DIR", &layers)
        .env("CNB_APP_DIR", &app);
    let mut direct = Command::new("/bin/true");
    // In turn, so that what else the machine does falls on both.
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..rounds.max(1) * STARTS {
        for (command, times) in [&mut by_launcher, &mut direct].into_iter().zip(&mut times) {
            times.push(time(|| run(command)));
        }
    }
    let [with, without] = times.map(middle);
    let bytes = fs_err::metadata(&launcher)?.len();
    let added = with.saturating_sub(without).as_secs_f64() * 1000.0;
    let what = format!("launcher of {bytes} bytes: adds {added:.2} ms");
    table.line(&what, with, "the process, started directly", without)
}

fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_launcher_starts_the_process_and_is_weighed() {
        let mut out = Vec::new();
        start(1, &mut Table::new(&mut out).unwrap()).unwrap();
        let text = String::from_utf8(out).unwrap();
        let bytes = fs_err::metadata(ours("launcher")).unwrap().len();
        let begin = format!("launcher of {bytes} bytes: adds ");
        assert!(text.lines().any(|line| line.starts_with(&begin)), "{text}");
    }
}
