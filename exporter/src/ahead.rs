//! Work that is begun before its turn: layers are walked, and hashed where a diffID will be compared, on all cores,
//! while the layers in front of them are still being written.
//!
//! Results and errors are taken in the order in which they would have come without it.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope};

use layout::DiffId;
use layout::layer::{self, Layer};

/// A layer whose turn comes.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) layer: Layer,
    /// Its diffID, where somebody asked for it before.
    pub(crate) diff_id: Option<DiffId>,
}

impl Walked {
    /// Hashes the layer if its diffID will be `compared`.
    pub(crate) fn new(layer: Layer, compared: bool) -> Result<Self, layer::Error> {
        let diff_id = compared.then(|| layer.diff_id()).transpose()?;
        Ok(Self { layer, diff_id })
    }
}

impl From<Layer> for Walked {
    fn from(layer: Layer) -> Self {
        let diff_id = None;
        Self { layer, diff_id }
    }
}

type Job<'scope> = Box<dyn FnOnce() + Send + 'scope>;

/// Threads that work ahead. Dropped, they end what they do and begin nothing more.
#[derive(Debug)]
pub(crate) struct Ahead<'scope> {
    jobs: Sender<Job<'scope>>,
    given_up: Arc<AtomicBool>,
}

impl<'scope> Ahead<'scope> {
    /// Starts a thread a core.
    pub(crate) fn start(scope: &'scope Scope<'scope, '_>) -> std::io::Result<Self> {
        let (sender, jobs) = channel::<Job<'scope>>();
        let jobs = Arc::new(Mutex::new(jobs));
        let given_up = Arc::new(AtomicBool::new(false));
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        for _ in 0..threads {
            let (jobs, given_up) = (Arc::clone(&jobs), Arc::clone(&given_up));
            thread::Builder::new().spawn_scoped(scope, move || {
                while let Some(job) = next(&jobs) {
                    if given_up.load(Ordering::Relaxed) {
                        return;
                    }
                    job();
                }
            })?;
        }
        Ok(Self {
            jobs: sender,
            given_up,
        })
    }

    /// Puts work at the end of the queue.
    pub(crate) fn begin<T: Send + 'scope>(
        &self,
        work: impl FnOnce() -> T + Send + 'scope,
    ) -> Promise<T> {
        let (sender, result) = channel();
        let job = Box::new(move || {
            // Nobody waits any more: the export failed.
            sender.send(work()).ok();
        });
        self.jobs.send(job).expect("the threads wait for jobs");
        Promise(result)
    }
}

impl Drop for Ahead<'_> {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
    }
}

fn next<'scope>(jobs: &Mutex<Receiver<Job<'scope>>>) -> Option<Job<'scope>> {
    jobs.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .recv()
        .ok()
}

/// The result of work that was begun.
#[derive(Debug)]
pub(crate) struct Promise<T>(Receiver<T>);

impl<T> Promise<T> {
    /// Waits for it.
    pub(crate) fn wait(self) -> T {
        self.0.recv().expect("who works ahead does not panic")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_those_of_their_work_in_whatever_order_they_are_taken() {
        thread::scope(|scope| {
            let ahead = Ahead::start(scope).unwrap();
            let begin = |number: u32| ahead.begin(move || number * number);
            let promises: Vec<_> = (0..100).map(begin).collect();
            for (number, promise) in (0..100).zip(promises).rev() {
                assert_eq!(promise.wait(), number * number);
            }
        });
    }

    #[test]
    fn nothing_more_is_begun_after_it_was_given_up() {
        let begun = Mutex::new(0);
        let (gate, threads) = (Mutex::new(()), thread::available_parallelism().unwrap());
        let (started, starts) = channel();
        thread::scope(|scope| {
            let closed = gate.lock().unwrap();
            let ahead = Ahead::start(scope).unwrap();
            // Every thread is busy until the gate is opened.
            for _ in 0..threads.get() {
                let (started, gate) = (started.clone(), &gate);
                ahead.begin(move || {
                    started.send(()).unwrap();
                    drop(gate.lock().unwrap());
                });
            }
            for _ in 0..threads.get() {
                starts.recv().unwrap();
            }
            for _ in 0..10 {
                ahead.begin(|| *begun.lock().unwrap() += 1);
            }
            drop(ahead);
            drop(closed);
        });
        assert_eq!(*begun.lock().unwrap(), 0);
    }
}
