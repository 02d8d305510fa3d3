//! Copies of a layer's tar: whoever has made a part hands it over, and goes on if somebody is at it already.
//!
//! A thread for it alone would read parts out of another core's cache, and threads that all write at once
//! wait for each other in the kernel, which lets one write to a file at a time.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::Error;

/// Gets a copy of a layer's tar while the layer is written: a cache, for one.
pub trait Tee: Send {
    /// Takes all of `bytes`, which stand at `offset` of the tar. They come in any order, and every byte once.
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
}

/// A file that becomes the tar; it is empty before.
impl Tee for File {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }
}

/// A tee that many threads have parts for.
pub(super) struct Shared<'t, P> {
    tee: Mutex<&'t mut dyn Tee>,
    /// Parts that nobody has written yet, and their offsets.
    waiting: Mutex<Vec<(u64, Arc<P>)>>,
    /// So many may wait before whoever brings another one waits as well.
    most: usize,
}

impl<'t, P: AsRef<[u8]>> Shared<'t, P> {
    pub(super) fn new(tee: &'t mut dyn Tee, most: usize) -> Self {
        Self {
            tee: Mutex::new(tee),
            waiting: Mutex::default(),
            most,
        }
    }

    /// Has the tee get a part, by this thread or by the one that is at it. When the last call has ended, the tee has all.
    ///
    /// What fails may be the writing of another thread's part; theirs succeeds then.
    pub(super) fn give(&self, offset: u64, part: Arc<P>) -> Result<(), Error> {
        let mut waiting = lock(&self.waiting);
        waiting.push((offset, part));
        let mut is_full = waiting.len() > self.most;
        drop(waiting);
        while let Some(mut tee) = self.turn(is_full) {
            while let Some((offset, part)) = self.next() {
                let written = tee.write_all_at((*part).as_ref(), offset);
                written.map_err(Error::Tee)?;
            }
            drop(tee);
            // Whoever came since the last look, and before the turn ended, has gone on.
            if lock(&self.waiting).is_empty() {
                break;
            }
            is_full = false;
        }
        Ok(())
    }

    fn next(&self) -> Option<(u64, Arc<P>)> {
        lock(&self.waiting).pop()
    }

    fn turn(&self, at_any_rate: bool) -> Option<MutexGuard<'_, &'t mut dyn Tee>> {
        if at_any_rate {
            return Some(lock(&self.tee));
        }
        match self.tee.try_lock() {
            Ok(tee) => Some(tee),
            Err(TryLockError::Poisoned(tee)) => Some(tee.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;

    use super::*;

    /// Says when it is called, and ends the call when it is told to, with what it is told.
    struct Told {
        called: Sender<u64>,
        ends: Receiver<io::Result<()>>,
    }

    impl Tee for Told {
        fn write_all_at(&mut self, _: &[u8], offset: u64) -> io::Result<()> {
            self.called.send(offset).unwrap();
            self.ends.recv().unwrap()
        }
    }

    /// Returns a tee, what it says, and who ends its calls.
    fn told() -> (Told, Receiver<u64>, Sender<io::Result<()>>) {
        let ((called, calls), (end, ends)) = (channel(), channel());
        (Told { called, ends }, calls, end)
    }

    #[test]
    fn whoever_finds_another_thread_at_it_goes_on_until_too_much_waits() {
        let (mut told, calls, end) = told();
        let shared = &Shared::new(&mut told, 2);
        thread::scope(|scope| {
            let first = scope.spawn(|| shared.give(0, Arc::new("first")));
            assert_eq!(calls.recv().unwrap(), 0);
            // Nothing has ended that call, and these come back.
            shared.give(1, Arc::new("second")).unwrap();
            shared.give(2, Arc::new("third")).unwrap();
            let fourth = scope.spawn(|| shared.give(3, Arc::new("fourth")));
            for _ in 0..4 {
                end.send(Ok(())).unwrap();
            }
            first.join().unwrap().unwrap();
            fourth.join().unwrap().unwrap();
            let mut rest: Vec<_> = calls.try_iter().collect();
            rest.sort_unstable();
            assert_eq!(rest, [1, 2, 3]);
        });
    }

    #[test]
    fn a_failure_comes_back_to_who_is_at_it() {
        let (mut told, calls, end) = told();
        let shared = &Shared::new(&mut told, 2);
        thread::scope(|scope| {
            let first = scope.spawn(|| shared.give(0, Arc::new("first")));
            calls.recv().unwrap();
            shared.give(1, Arc::new("second")).unwrap();
            end.send(Ok(())).unwrap();
            end.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
            let error = first.join().unwrap().unwrap_err();
            assert!(matches!(error, Error::Tee(_)), "{error}");
        });
    }

    #[test]
    fn of_many_parts_from_many_threads_none_is_lost() {
        let mut file = tempfile::tempfile().unwrap();
        let shared = &Shared::new(&mut file, 1);
        thread::scope(|scope| {
            for thread in 0..8 {
                scope.spawn(move || {
                    for part in 0..200 {
                        let number: u64 = part * 8 + thread;
                        let part = Arc::new(number.to_le_bytes());
                        shared.give(number * 8, part).unwrap();
                    }
                });
            }
        });
        let mut bytes = vec![0; 8 * 1600];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let expected: Vec<u8> = (0..1600_u64).flat_map(u64::to_le_bytes).collect();
        assert!(bytes == expected);
        assert_eq!(file.metadata().unwrap().len(), 8 * 1600);
    }
}
