//! Images in a Docker Engine, or in podman behind its socket, seen and made like those in a layout.
//!
//! ```text
//!              inspect, history                          save, once, and only if a layer is read
//!  Engine ───────────────────────► layout::Image ─ Blobs ─────────────────────────────► file without a name
//!    │
//!    └─ draft ► DaemonDraft: layout::draft::Draft ── load, one stream: layers, config, manifest.json ──► image
//! ```
//!
//! A daemon has no manifests and no compressed layers: an image is called by its ID, the digest of its config, and each
//! layer by its diffID. Of the Engine API there are half a dozen calls (`engine`), spoken in HTTP of our own (`http`):
//! clients that others offer need an async runtime, several megabytes of code, for what is one connection at a time.
//!
//! Nothing here reads a variable or writes to a terminal; what `DOCKER_HOST` says is given to [`Engine::at`].

mod draft;
mod engine;
mod error;
#[cfg(test)]
mod fake;
mod host;
mod http;
mod image;
mod saved;
mod whole;

pub use draft::DaemonDraft;
pub use engine::Engine;
pub use error::{Error, Unreachable};
pub use host::{DEFAULT_HOST, Host};
pub use image::LayerTars;
