//! Images in real daemons, started by the tests: Docker's and podman's.

#![expect(
    clippy::unwrap_used,
    reason = "the kit is test code: what goes wrong ends the test"
)]

mod copies;
mod faults;
mod images;
mod kit;
