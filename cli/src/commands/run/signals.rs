//! Signals that come to this program and mean the app.

use std::sync::mpsc;

use sandbox::runtime::Signaller;
use signal_hook::consts::{SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::{Handle, Signals};

/// Who presses Ctrl-C this often does not want to wait for the app any more.
const PATIENCE: usize = 3;

/// Passes signals on as long as it lives.
#[derive(Debug)]
pub(super) struct Forwarding {
    handle: Handle,
    app: mpsc::Sender<Signaller>,
}

impl Forwarding {
    /// Begins to take signals; they wait until it is said who gets them.
    pub(super) fn begin() -> anyhow::Result<Self> {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2])?;
        let handle = signals.handle();
        let (app, started) = mpsc::channel::<Signaller>();
        std::thread::spawn(move || {
            // Nobody is there if the app did not start.
            let Ok(app) = started.recv() else { return };
            let mut interrupts = 0;
            for signal in signals.forever() {
                interrupts += usize::from(signal == SIGINT);
                app.send(if interrupts < PATIENCE {
                    signal
                } else {
                    SIGKILL
                });
            }
        });
        Ok(Self { handle, app })
    }

    /// Names the app.
    pub(super) fn to(&self, app: Signaller) {
        // The other side ends only after this one.
        self.app.send(app).ok();
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.handle.close();
    }
}
