//! One binary for all integration tests; a module a subject.

mod bad_input;
mod clients;
mod determinism;
mod documents;
mod interruption;
mod phases;
mod samples;
mod shapes;
