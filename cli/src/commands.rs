//! One module a command.

pub(crate) mod build;
pub(crate) mod config;
pub(crate) mod inspect;
pub(crate) mod layout;
pub(crate) mod rebase;
pub(crate) mod sbom;
