//! The kit of the integration tests: programs, a build in a temporary directory, images written by hand.
//!
//! Nothing here uses our own libraries to make an input or to judge an output, so that they never certify themselves.

#![expect(
    clippy::unwrap_used,
    reason = "the kit is test code: what goes wrong ends the test"
)]

pub mod build;
pub mod container;
pub mod desk;
pub mod detection;
pub mod engine;
pub mod fault_proxy;
pub mod golden;
pub mod http;
pub mod image;
pub mod ledger;
pub mod program;
pub mod registry;
