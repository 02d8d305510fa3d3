//! One binary for all integration tests; a module a subject.

#![allow(clippy::unwrap_used, reason = "what goes wrong ends the test")]

mod analyze;
mod author_build;
mod author_detect;
mod author_program;
mod bad_input;
mod build;
mod callers;
mod clients;
mod command_line;
mod compression;
mod conformance;
mod creator;
mod daemons;
mod detection;
mod determinism;
mod distribution;
mod documents;
mod extensions;
mod instructions;
mod interruption;
mod layer_readers;
mod layouts;
mod logs;
mod phases;
mod privileges;
mod rebase;
mod rebuild;
mod registries;
mod restore;
mod samples;
mod sequences;
mod shapes;
mod size;
mod slipway;
mod umask;
mod versions;
