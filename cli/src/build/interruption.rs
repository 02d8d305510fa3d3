//! Ctrl-C and SIGTERM: passed on to the phase that runs, so that the build can end by itself and be cleared up.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use signal_hook::consts::{SIGINT, SIGKILL, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::place::Signaller;

/// Listens for signals as long as it lives.
#[derive(Debug)]
pub(crate) struct Interruption {
    shared: Arc<Shared>,
    handle: Handle,
}

#[derive(Debug, Default)]
struct Shared {
    /// The first signal; 0 if there was none.
    signal: AtomicI32,
    running: Mutex<Option<Signaller>>,
    /// Nothing is to be cleared up any more.
    is_over: AtomicBool,
}

impl Interruption {
    /// Begins to listen.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let handle = signals.handle();
        let shared = Arc::new(Shared::default());
        let listener = Arc::clone(&shared);
        std::thread::spawn(move || {
            for signal in signals.forever() {
                listener.received(signal);
            }
        });
        Ok(Self { shared, handle })
    }

    /// Sends what comes to this program, until the next one is named.
    pub(crate) fn send_to(&self, running: Option<Signaller>) {
        *self.shared.running() = running;
        // It may have come just before.
        if let Some(signal) = self.signal() {
            self.shared.send(signal);
        }
    }

    /// Fails if a signal came.
    pub(crate) fn check(&self) -> Result<(), Interrupted> {
        self.signal()
            .map_or(Ok(()), |signal| Err(Interrupted(signal)))
    }

    /// From here on a signal ends this program as if it did not listen.
    pub(crate) fn end_at_once(&self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // It may have come just before.
        if let Some(signal) = self.signal() {
            end(signal);
        }
    }

    fn signal(&self) -> Option<i32> {
        Some(self.shared.signal.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }
}

impl Shared {
    fn running(&self) -> std::sync::MutexGuard<'_, Option<Signaller>> {
        // Nothing can be half done in there.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, signal: i32) {
        if let Some(running) = &*self.running() {
            running.send(signal);
        }
    }

    /// Who asks a second time does not want to wait.
    fn received(&self, signal: i32) {
        if self.is_over.load(Ordering::SeqCst) {
            end(signal);
        }
        let first = self
            .signal
            .compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
        self.send(if first.is_ok() { signal } else { SIGKILL });
    }
}

/// Ends this program as the signal does; nobody can do anything about it if that fails.
fn end(signal: i32) {
    signal_hook::low_level::emulate_default_handler(signal).ok();
}

impl Drop for Interruption {
    fn drop(&mut self) {
        self.handle.close();
    }
}

/// The user ended the build.
#[derive(Debug, thiserror::Error)]
#[error("interrupted: the image is as it was before")]
pub(crate) struct Interrupted(pub(crate) i32);
