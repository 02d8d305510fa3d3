//! Images in a registry: a blocking client of the OCI distribution specification, behind the view and editor of `layout`.
//!
//! ```text
//!  Client ──image(name, selector)──► layout::Image ── RegistryBlobs: manifest, config; layers when asked for
//!    │                                    │
//!    └─push(name)─► Push ◄────────────────┴── layout::ImageEditor
//!                     │ layers as they are made ─► PATCH        blobs first,
//!                     │ blobs of other images ─► HEAD, mount, PATCH  several at once
//!                     └ config, and the manifest last ─► PUT
//! ```
//!
//! Registries are not believed: a digest or size that a name, an index or a manifest gives is checked against the bytes.
//! Credentials go to the registry that they are for, and to the token server that it names; a redirect to another host
//! gets none. What may go well at another try is tried again, and a broken transfer goes on where it stopped.
//!
//! Nothing here reads a variable. Where Docker's configuration, the certificates and proxies are, the caller says
//! ([`keychain::config_file`], [`Trust::of`], [`Proxies::of`]).
//!
//! ```no_run
//! use layout::{Layout, Reference, Selector};
//! use registry::{Client, Keychain, Options};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (variable, home) = (None, std::path::PathBuf::new());
//! let client = Client::new(Options {
//!     keychain: Keychain::new(variable, Some(home.join(".docker/config.json")))?,
//!     ..Options::default()
//! });
//! let name: Reference = "registry.example/some/app:v1".parse()?;
//! if let Some(image) = client.image(&name, &Selector::default())? {
//!     Layout::at("app").copy_from(&image, "v1")?;
//!     client.copy(&image, &"registry.example/some/other:v1".parse()?)?;
//! }
//! # Ok(())
//! # }
//! ```

mod blobs;
mod challenge;
mod client;
mod copy;
mod error;
mod exchange;
mod host;
pub mod keychain;
mod patience;
mod proxy;
mod push;
mod refusal;
mod repository;
mod retry;
mod session;
mod token;
mod transfer;
mod trust;
mod upload;
mod url;
mod watch;

pub use blobs::RegistryBlobs;
pub use client::{Client, Fetched, Options};
pub use error::Error;
pub use keychain::Keychain;
pub use patience::Patience;
pub use proxy::Proxies;
pub use push::Push;
pub use retry::Retry;
pub use trust::Trust;
pub use url::Refusal;
pub use watch::{Sending, Watch};
