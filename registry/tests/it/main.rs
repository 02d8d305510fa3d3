//! The client against Debian's `docker-registry`, with other people's programs as judges.

#![expect(clippy::unwrap_used, reason = "what goes wrong in a test ends it")]

mod credentials;
mod faults;
mod hostile;
mod images;
mod kit;
mod redirects;
