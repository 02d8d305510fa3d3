//! One module a command.

pub(crate) mod build;
pub(crate) mod builder;
pub(crate) mod buildpack;
pub(crate) mod completion;
pub(crate) mod config;
mod detection_order;
pub(crate) mod inspect;
pub(crate) mod layout;
pub(crate) mod manifest;
pub(crate) mod rebase;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod sbom;
pub(crate) mod version;
