//! What is in each directory below another one: listed by all cores, put into the order of a depth-first walk afterwards.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::{Entry, EntryKind, Error};

/// Directories that must wait before other threads are worth their start.
const MANY: usize = 16;

/// What is in one directory.
#[derive(Debug)]
pub(super) struct Listed {
    entries: Result<Vec<Entry>, Error>,
    /// The number of the first directory among the entries; the others follow it.
    first: usize,
}

impl Listed {
    /// Returns how many entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, Vec::len)
    }
}

/// Lists `top`, by `list`, and every directory below; `top` is the first one, the others come in any order.
///
/// No recursion, no directory held open.
pub(super) fn list(
    top: Arc<Path>,
    list: impl Fn(&Path) -> Result<Vec<Entry>, Error> + Sync,
) -> Vec<Listed> {
    let work = Work {
        state: Mutex::new(State {
            found: vec![top],
            ..State::default()
        }),
        changed: Condvar::new(),
    };
    work.help(&list, MANY);
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    thread::scope(|scope| {
        for _ in 1..threads {
            if work.lock().waiting() < MANY {
                break;
            }
            let helper = || work.help(&list, usize::MAX);
            // Without it, the others do its work.
            thread::Builder::new().spawn_scoped(scope, helper).ok();
        }
        work.help(&list, usize::MAX);
    });
    let State { listed, .. } = work
        .state
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    listed.into_iter().flatten().collect()
}

/// Appends what is below the first directory, each entry in front of what is below it; fails where a directory could not be listed.
pub(super) fn depth_first(mut listed: Vec<Listed>, entries: &mut Vec<Entry>) -> Result<(), Error> {
    let mut take = |number: usize| -> Result<_, Error> {
        let listed = &mut listed[number];
        let entries = std::mem::replace(&mut listed.entries, Ok(Vec::new()))?;
        Ok((entries.into_iter(), listed.first))
    };
    let mut open = vec![take(0)?];
    while let Some((rest, next)) = open.last_mut() {
        let Some(entry) = rest.next() else {
            open.pop();
            continue;
        };
        let below = (entry.kind == EntryKind::Directory).then_some(*next);
        entries.push(entry);
        if let Some(number) = below {
            *next += 1;
            open.push(take(number)?);
        }
    }
    Ok(())
}

struct Work {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Directories in the order in which they were found; the first ones are taken already.
    found: Vec<Arc<Path>>,
    taken: usize,
    /// Those that are being listed.
    busy: usize,
    listed: Vec<Option<Listed>>,
}

impl State {
    fn waiting(&self) -> usize {
        self.found.len() - self.taken
    }

    fn take(&mut self) -> Option<(usize, Arc<Path>)> {
        let number = self.taken;
        let path = Arc::clone(self.found.get(number)?);
        self.taken += 1;
        self.busy += 1;
        Some((number, path))
    }

    fn put(&mut self, number: usize, entries: Result<Vec<Entry>, Error>) {
        let first = self.found.len();
        let directories = entries.iter().flatten();
        let directories = directories.filter(|entry| entry.kind == EntryKind::Directory);
        self.found
            .extend(directories.map(|entry| Arc::clone(&entry.name)));
        self.listed.resize_with(self.found.len(), || None);
        self.listed[number] = Some(Listed { entries, first });
        self.busy -= 1;
    }
}

impl Work {
    /// Lists directories until none is left, or until so `many` wait.
    fn help(&self, list: &(impl Fn(&Path) -> Result<Vec<Entry>, Error> + Sync), many: usize) {
        let mut state = self.lock();
        while state.waiting() < many {
            if let Some((number, path)) = state.take() {
                drop(state);
                let entries = list(&path);
                state = self.lock();
                state.put(number, entries);
                self.changed.notify_all();
            } else if state.busy > 0 {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            } else {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &Path, kind: EntryKind) -> Entry {
        Entry {
            name: name.into(),
            mode: 0o755,
            uid: 0,
            gid: 0,
            kind,
        }
    }

    /// Ten directories in each, three deep, with a FIFO behind the fifth; `bad` cannot be listed.
    fn children(dir: &Path, bad: &[&str]) -> Result<Vec<Entry>, Error> {
        if bad.iter().any(|bad| dir == Path::new(bad)) {
            return Err(std::io::Error::other(dir.display().to_string()).into());
        }
        let depth = dir.components().count();
        let directory = |number| entry(&dir.join(format!("{number}")), EntryKind::Directory);
        let mut entries: Vec<_> = (0..if depth < 4 { 10 } else { 0 }).map(directory).collect();
        entries.insert(entries.len() / 2, entry(&dir.join("4-"), EntryKind::Fifo));
        Ok(entries)
    }

    fn walk(bad: &[&str]) -> Result<Vec<Arc<Path>>, Error> {
        let mut entries = Vec::new();
        depth_first(
            list(Path::new("/").into(), |dir| children(dir, bad)),
            &mut entries,
        )?;
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }

    fn by_recursion(dir: &Path, names: &mut Vec<Arc<Path>>) {
        for entry in children(dir, &[]).unwrap() {
            names.push(entry.name.clone());
            if entry.kind == EntryKind::Directory {
                by_recursion(&entry.name, names);
            }
        }
    }

    #[test]
    fn the_order_is_that_of_a_recursive_walk() {
        let mut expected = Vec::new();
        by_recursion(Path::new("/"), &mut expected);
        assert_eq!(expected.len(), 11 + 110 + 1100 + 1000);
        for _ in 0..20 {
            assert_eq!(walk(&[]).unwrap(), expected);
        }
    }

    #[test]
    fn of_several_errors_the_first_in_order_is_returned() {
        for _ in 0..20 {
            let error = walk(&["/9", "/3/7/1", "/3/7/2", "/4"]).unwrap_err();
            assert_eq!(error.to_string(), "/3/7/1");
        }
        assert_eq!(walk(&["/"]).unwrap_err().to_string(), "/");
    }
}
