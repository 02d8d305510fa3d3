//! Whole exports of small builds, made by hand in a directory of their own.
//!
//! Byte identity with the reference is the golden set's to judge; here is what must hold around it: what is reused,
//! what a failure leaves behind, where names go, what the cache gets.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made is a failed test"
)]

mod cache;
mod calling;
mod config;
mod export;
mod failure;
mod kit;
mod label_texts;
mod layers;
mod log;
mod names;
mod process;
mod reuse;
mod tars;
