//! The kit of the integration tests: programs, a build in a temporary directory, images written by hand.
//!
//! Nothing here uses our own libraries to make an input or to judge an output, so that they never certify themselves.

pub mod build;
pub mod image;
pub mod program;
