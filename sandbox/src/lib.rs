//! Programs of an image, run apart from the machine: with root or without it, and with nothing installed.
//!
//! ```text
//!  layers of an image ──unpacked──► a folder a diffID ─┐
//!  mounts, user, program ── Container ─────────────────┴─► bundle (config.json) ─┬─► engine: system calls, in a helper process
//!                                                                                └─► runtime: runc, crun, or any of their kind
//! ```
//!
//! What a container may do is the same on either side, because both read the same bundle: no new privileges, no
//! capabilities but those that are asked for, a filter of system calls, namespaces of its own for mounts, processes,
//! IPC and host name. Nothing here knows what a buildpack is, reads a variable, or writes to a terminal.
//!
//! The program that uses this crate calls [`engine::serve`] first thing in its `main`: the engine starts that program
//! anew as its helper, because a user namespace can only be entered by a process with one thread.

pub mod bundle;
pub mod container;
pub mod engine;
pub mod ids;
pub mod runtime;
mod scratch;
mod seccomp;
mod syscall;
pub mod unpacked;
pub mod way;

pub use container::{Capability, Container, Mount, Network, Root, User};
pub use runtime::{Exit, Running, Runtime};
pub use unpacked::Unpacked;
pub use way::Way;
