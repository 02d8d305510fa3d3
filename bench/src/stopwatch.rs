//! Times, and the table that they go into.

use std::io::{self, Write};
use std::time::{Duration, Instant};

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
