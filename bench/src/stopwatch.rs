//! Times, and the table that they go into.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// Returns how long something took.
pub(crate) fn time(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

/// Returns the median of some rounds, after one that does not count.
pub(crate) fn median(rounds: usize, mut work: impl FnMut() -> Duration) -> Duration {
    work();
    let mut times: Vec<_> = (0..rounds.max(1)).map(|_| work()).collect();
    times.sort();
    times[times.len() / 2]
}

/// What a command cost, children included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// Seconds of all processors together.
    pub(crate) cpu: f64,
    /// The largest process, in KiB.
    pub(crate) peak: f64,
}

impl Figures {
    /// Returns the median of each.
    pub(crate) fn median(all: &[Self]) -> Self {
        let of = |get: fn(&Self) -> f64| {
            let mut sorted: Vec<f64> = all.iter().map(get).collect();
            sorted.sort_by(f64::total_cmp);
            sorted[sorted.len() / 2]
        };
        Self {
            wall: of(|it| it.wall),
            cpu: of(|it| it.cpu),
            peak: of(|it| it.peak),
        }
    }
}

/// Runs a command that must succeed, and returns what it cost by the account of the system.
pub(crate) fn measured(command: &Command) -> anyhow::Result<Figures> {
    let account = tempfile::NamedTempFile::new()?;
    let mut timed = Command::new("time");
    timed.arg("-o").arg(account.path());
    timed.args(["-f", "%U %S %M"]).arg(command.get_program());
    timed.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => timed.env(name, value),
            None => timed.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        timed.current_dir(dir);
    }
    let begin = Instant::now();
    let output = timed.stdin(Stdio::null()).output()?;
    let wall = begin.elapsed().as_secs_f64();
    ensure!(
        output.status.success(),
        "{command:?} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let account = fs_err::read_to_string(account.path())?;
    let numbers = account.split_whitespace().map(str::parse::<f64>);
    let numbers = numbers.collect::<Result<Vec<_>, _>>();
    match numbers.as_deref() {
        Ok([user, system, peak]) => Ok(Figures {
            wall,
            cpu: user + system,
            peak: *peak,
        }),
        _ => Err(anyhow::anyhow!("{account:?}")).context("time(1) gave no account"),
    }
}

/// Lines of what was measured, printed as they come.
#[derive(Debug)]
pub(crate) struct Table<W>(W);

impl<W: Write> Table<W> {
    /// Prints the head.
    pub(crate) fn new(mut out: W) -> io::Result<Self> {
        writeln!(
            out,
            "{:<44} {:>10}  {:<30} {:>10}  {:>6}",
            "measured", "", "against", "", "ratio"
        )?;
        Ok(Self(out))
    }

    /// Prints a line.
    pub(crate) fn line(
        &mut self,
        what: &str,
        took: Duration,
        against: &str,
        unit: Duration,
    ) -> io::Result<()> {
        let ratio = took.as_secs_f64() / unit.as_secs_f64().max(f64::MIN_POSITIVE);
        writeln!(
            self.0,
            "{what:<44} {:>10}  {against:<30} {:>10}  {ratio:>6.2}",
            text(took),
            text(unit)
        )
    }
}

fn text(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    if millis < 1000.0 {
        format!("{millis:.1} ms")
    } else {
        format!("{:.2} s", millis / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_round_does_not_count_and_the_middle_one_is_taken() {
        let mut times = [900, 3, 1, 2].into_iter().map(Duration::from_millis);
        assert_eq!(
            median(3, || times.next().unwrap()),
            Duration::from_millis(2)
        );
    }

    #[test]
    fn a_command_is_accounted_for() {
        let mut command = Command::new("sh");
        let figures =
            measured(command.args(["-c", "head -c 30000000 /dev/zero | sha256sum"])).unwrap();
        assert!(figures.cpu > 0.0 && figures.peak > 500.0, "{figures:?}");
        assert!(measured(Command::new("sh").args(["-c", "exit 3"])).is_err());
    }

    #[test]
    fn lines_have_ratios() {
        let mut out = Vec::new();
        let mut table = Table::new(&mut out).unwrap();
        let millis = Duration::from_millis;
        table.line("one", millis(1500), "two", millis(500)).unwrap();
        let text = String::from_utf8(out).unwrap();
        let words: Vec<_> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(words, ["one", "1.50", "s", "two", "500.0", "ms", "3.00"]);
    }
}
