//! Our own runtime: a bundle made into processes by system calls alone, in a helper process with one thread.

/// Does the helper's work and ends the process, if that is what this process was started for; else returns at once.
pub fn serve() {}
