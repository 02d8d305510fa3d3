//! Cases that lie in folders: inputs, a `case.toml` that says which programs to run, and what must come out.
//!
//! The golden set was recorded from the reference lifecycle and lies beside the project; cases of the project's own are
//! in `tests/cases`. Both run the same way:
//!
//! ```text
//! case.toml ─► Case ─► Place (a folder of its own, inputs, run images) ─► steps ─► Snapshot ─► compared
//!                                                                          └► exit codes, logs ─┘
//! ```
//!
//! Paths are part of layers and labels, so each case has a fixed folder, `/tmp/cnb-golden/<case>`. Digests that depend on
//! compression have names instead ([`symbols`]); all else is compared as it is.

pub mod case;
pub mod compare;
pub mod difference;
pub mod expect;
pub mod fixture;
pub mod grounds;
pub mod image;
pub mod listing;
pub mod place;
pub mod relax;
pub mod run;
pub mod snapshot;
pub mod step;
pub mod strict;
pub mod symbols;
pub mod text;
pub mod tree;
