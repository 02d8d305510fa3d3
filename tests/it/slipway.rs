//! The front end as its users know it: whole commands, in every way that a machine may grant.

mod build;
mod elsewhere;
mod faults;
mod in_place;
mod packages;
mod walk_through;
mod ways;
