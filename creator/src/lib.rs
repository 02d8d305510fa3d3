//! The creator: analyze, detect, restore, build and export in one process (platform.md, creator).
//!
//! ```text
//! flags ─► one user for all ─► ANALYZING ─► DETECTING ─► RESTORING ─► BUILDING ─► EXPORTING
//!                                  │            │            │            │            │
//!                            analyzed.toml  group.toml    <layers>   metadata.toml  image, cache,
//!                                           plan.toml                               report.toml
//! ```
//!
//! Obeys CRE-001 to CRE-013. Each phase is its own crate's; here is what they are given and in which order they run.
//! What a phase hands to the next stays in memory; the files are written all the same (CRE-006).

pub mod command;
mod flags;
