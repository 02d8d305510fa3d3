//! The launcher as a program: what the process that it becomes gets to see, and how it fails.
//!
//! Expectations come from the rules BPX-\*, LCH-\* and BPL-\*, not from recorded output.

mod exec_d;
mod failure;
mod kit;
mod process;
mod shell;
