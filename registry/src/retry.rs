//! Trying again: only what may go well the next time, a few times, with growing pauses.
//!
//! Broken connections, 408, 429 and errors of servers are such; refused credentials, absent images and a host that
//! takes no connections are not.

use std::time::Duration;

use crate::error::Error;
use crate::exchange::Response;

/// How often something is tried again, and after which pauses.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Tries in all.
    pub tries: u32,
    /// The first pause; each further one is twice as long.
    pub first_pause: Duration,
    /// The longest pause, whatever a registry asks for in `Retry-After`.
    pub longest_pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: 5,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
        }
    }
}

impl Retry {
    /// Makes attempts until one is good, or bad for good, or there were enough. `trouble` says what is bad about an answer.
    pub(crate) fn insist<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, Error>,
        trouble: impl Fn(&T) -> Option<Trouble>,
    ) -> Result<T, Error> {
        let mut failures = Failures::default();
        loop {
            let outcome = attempt();
            let trouble = match &outcome {
                Ok(answer) => trouble(answer),
                Err(error) => Trouble::of_error(error),
            };
            let Some(trouble) = trouble else {
                return outcome;
            };
            if !self.pause_after(&mut failures, &trouble) {
                // Whoever asked for this would multiply the tries otherwise.
                return outcome.map_err(Error::for_good);
            }
        }
    }

    /// Pauses; returns false, at once, if it has been tried often enough.
    pub(crate) fn pause_after(&self, failures: &mut Failures, trouble: &Trouble) -> bool {
        failures.0 += 1;
        if failures.0 >= self.tries {
            return false;
        }
        let pause = self.pause(failures.0, trouble.retry_after);
        tracing::debug!("Trying again in {} ms: {}", pause.as_millis(), trouble.what);
        std::thread::sleep(pause);
        true
    }

    fn pause(&self, failures: u32, asked_for: Option<Duration>) -> Duration {
        let doublings = 2_u32.saturating_pow(failures - 1);
        let own = self.first_pause.saturating_mul(doublings);
        own.max(asked_for.unwrap_or_default())
            .min(self.longest_pause)
    }
}

/// How often something failed so far.
#[derive(Debug, Default)]
pub(crate) struct Failures(pub(crate) u32);

/// A failure that may not happen again.
#[derive(Debug)]
pub(crate) struct Trouble {
    what: String,
    retry_after: Option<Duration>,
}

impl Trouble {
    /// Returns what is wrong with an answer, if another try may help.
    pub(crate) fn of_answer(response: &Response) -> Option<Self> {
        is_transient(response.status).then(|| Self {
            what: format!("{} answers {}", response.url, response.status),
            retry_after: response.header("retry-after").and_then(seconds),
        })
    }

    /// Returns what kept an answer from coming, if another try may help.
    pub(crate) fn of_error(error: &Error) -> Option<Self> {
        error.is_transient().then(|| Self::new(error.to_string()))
    }

    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            retry_after: None,
        }
    }
}

/// 501 and 505 say that it will never work.
fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502..=504 | 506..=599)
}

/// `Retry-After` in seconds; as a date it is not worth the code, and the pauses of our own count.
fn seconds(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let retry = Retry::default();
        let millis = |failures, asked: Option<u64>| {
            let asked = asked.map(Duration::from_secs);
            retry.pause(failures, asked).as_millis()
        };
        assert_eq!(millis(1, None), 500);
        assert_eq!(millis(2, None), 1000);
        assert_eq!(millis(1, Some(3)), 3000);
        assert_eq!(millis(4, Some(3)), 4000);
        assert_eq!(millis(1, Some(u64::MAX)), 30_000);
        assert_eq!(millis(4_000_000, None), 30_000);
    }

    #[test]
    fn only_what_passes_is_tried_again() {
        for status in [408, 429, 500, 502, 503, 504, 522] {
            assert!(is_transient(status), "{status}");
        }
        for status in [200, 301, 400, 401, 403, 404, 405, 416, 501, 505] {
            assert!(!is_transient(status), "{status}");
        }
        assert_eq!(seconds(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(seconds("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(seconds("-1"), None);
    }
}
