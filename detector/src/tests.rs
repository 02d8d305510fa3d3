//! Detection as a whole, over modules on disk whose `bin/detect` really runs.

mod bench;
mod conditions;
mod modules;
mod order;
mod outcome;
