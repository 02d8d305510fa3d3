//! Project descriptors (project-descriptor 0.1 and 0.2) and the sources of an app.
//!
//! ```text
//! project.toml ─► Descriptor ─► what to include, variables, buildpacks, metadata
//! directory, zip, jar, war ─► Source ──(filter)──► the app directory of a build
//! ```
//!
//! No phase reads project.toml (PRJ-001): a platform does, before the first phase.

pub mod descriptor;
pub mod filter;
pub mod source;
pub mod variables;

pub use descriptor::Descriptor;
pub use filter::Filter;
