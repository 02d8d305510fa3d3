//! A target under libFuzzer: the one whose name this program has.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_targets::run(env!("CARGO_BIN_NAME"), bytes));
