//! The client of all registries: reading, access checks, and the way to writing.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use layout::manifest::{Descriptor, Document, MediaType};
use layout::text::printable;
use layout::{Digest, Image, Reference, Selector, blob, index};

use crate::blobs::RegistryBlobs;
use crate::error::Error;
use crate::exchange::Agents;
use crate::keychain::Keychain;
use crate::patience::Patience;
use crate::proxy::Proxies;
use crate::push::Push;
use crate::repository::Repository;
use crate::retry::Retry;
use crate::session::Session;
use crate::transfer::are_there;
use crate::trust::Trust;
use crate::watch::{self, Watch};

/// How registries are spoken to.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who we are.
    pub keychain: Keychain,
    /// Registries whose certificate may be bad, or that have none; `host[:port]`, to the letter.
    pub insecure: Vec<String>,
    /// Whose certificates are good.
    pub trust: Trust,
    /// What is reached through a proxy.
    pub proxies: Proxies,
    /// How often something is tried again.
    pub retry: Retry,
    /// How long an answer is waited for.
    pub patience: Patience,
    /// Who wants to know what is sent.
    pub watch: Arc<dyn Watch>,
    /// What we say that we are.
    pub user_agent: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keychain: Keychain::default(),
            insecure: Vec::new(),
            trust: Trust::default(),
            proxies: Proxies::default(),
            retry: Retry::default(),
            patience: Patience::default(),
            watch: Arc::new(watch::Nobody),
            user_agent: concat!("slipway/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Characters of a foreign text that an error shows.
const MAX_SHOWN: usize = 300;

/// A client of registries. A clone is the same client; connections, tokens and what is known of hosts are shared.
///
/// Making one costs nothing: certificates, credentials and connections come when the first registry is asked.
#[derive(Clone, Debug)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: Options,
    agents: Agents,
    sessions: Mutex<HashMap<String, Slot>>,
}

/// A session, once there is one; locked while it begins, so that a registry is asked only once how it is.
type Slot = Arc<Mutex<Option<Arc<Session>>>>;

/// A manifest or an index as the registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Media type, size and digest.
    pub descriptor: Descriptor,
    /// Its bytes, which are those of the digest.
    pub bytes: Vec<u8>,
}

impl Client {
    /// Returns a client; touches nothing.
    pub fn new(options: Options) -> Self {
        Self(Arc::new(Shared {
            options,
            agents: Agents::default(),
            sessions: Mutex::default(),
        }))
    }

    /// Returns the manifest or index of this name, of either family; `None` if the registry has none (404).
    ///
    /// Its digest is that of its bytes. What the registry says that it is must be the same, and so must the digest in the name.
    pub fn fetch(&self, name: &Reference) -> Result<Option<Fetched>, Error> {
        self.repository(name).manifest(name.identifier())
    }

    /// Returns the image of this name; of an index, the one that `selector` picks. `None` if the registry has none (404).
    ///
    /// Reads manifest and config. Layers are read when somebody asks for them.
    pub fn image(&self, name: &Reference, selector: &Selector) -> Result<Option<Image>, Error> {
        let Some(fetched) = self.fetch(name)? else {
            return Ok(None);
        };
        let doing = format!("read {name}");
        let media_type = &fetched.descriptor.media_type;
        let document = Document::parse(&fetched.bytes, media_type).map_err(|error| {
            let problem = format!("something that is no image: {error}");
            let problem = printable(&problem, MAX_SHOWN);
            Error::protocol(&doing, &name.registry, problem)
        })?;
        let descriptor = fetched.descriptor.clone();
        let blobs: Arc<dyn blob::Blobs> =
            Arc::new(RegistryBlobs::knowing(self.repository(name), fetched));
        let image = match document {
            Document::Manifest(_) => Image::open(blobs, &descriptor)?,
            Document::Index(list) => {
                let entry = index::select(&list, &*blobs, selector)?;
                Image::open(blobs, &entry.descriptor)?
            }
        };
        Ok(Some(image))
    }

    /// Returns the blobs of the repository of this name.
    pub fn blobs(&self, name: &Reference) -> RegistryBlobs {
        RegistryBlobs::of(self.repository(name))
    }

    /// Begins to write an image of this name. Nothing of it is to be seen before it is whole.
    pub fn push(&self, name: &Reference) -> Push {
        Push::new(self.repository(name), name.clone())
    }

    /// Writes a manifest or an index whose parts are there already, under this name.
    pub fn put(&self, name: &Reference, media_type: &MediaType, bytes: &[u8]) -> Result<(), Error> {
        let repository = self.repository(name);
        repository.put_manifest(name.identifier(), media_type, bytes)
    }

    /// Writes an image from any store under this name as it is: the same manifest, the same digest.
    ///
    /// Layers that are there are not sent again, and those of another repository of the same registry are mounted.
    pub fn copy(&self, image: &Image, name: &Reference) -> Result<(), Error> {
        crate::copy::copy(&self.repository(name), image, name)
    }

    /// Returns whether the registry has every layer of an image of its own. Images of other stores are not looked at.
    pub fn has_layers(&self, image: &Image) -> Result<bool, Error> {
        let blobs: &dyn Any = &**image.blobs();
        let Some(RegistryBlobs { repository, .. }) = blobs.downcast_ref() else {
            return Ok(true);
        };
        let layers: Vec<_> = image.layers().map(|(_, layer)| layer).collect();
        let doing = format!(
            "look for the layers of {}@{}",
            repository.location(),
            image.digest()
        );
        are_there(repository, &layers, &doing)
    }

    /// Removes the manifest of this digest from the repository of this name, and with it all tags of it. False if there
    /// is none such.
    pub fn delete(&self, name: &Reference, digest: &Digest) -> Result<bool, Error> {
        self.repository(name).delete_manifest(digest)
    }

    /// Fails if images of this name cannot be read, as far as that can be known: a registry that says 401 or 403, or that
    /// cannot be reached. An image that is absent could be read (COM-056).
    pub fn can_read(&self, name: &Reference) -> Result<(), Error> {
        let repository = self.repository(name);
        repository.check_read(name.identifier())
    }

    /// Fails if images of this name cannot be written: begins an upload, and gives it up (COM-056).
    pub fn can_write(&self, name: &Reference) -> Result<(), Error> {
        self.repository(name).check_write()
    }

    /// Fails if images of this name cannot be both read and written.
    pub fn can_read_and_write(&self, name: &Reference) -> Result<(), Error> {
        self.can_read(name)?;
        self.can_write(name)
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }

    pub(crate) fn agents(&self) -> &Agents {
        &self.0.agents
    }

    /// Returns the session with a registry for a repository, which begins with the first question to it. Repositories
    /// with credentials of their own have one of their own.
    pub(crate) fn session(
        &self,
        registry: &str,
        repository: &str,
        doing: &str,
    ) -> Result<Arc<Session>, Error> {
        let account = self.options().keychain.account(registry, repository);
        let slot = {
            let sessions = self.0.sessions.lock();
            let mut sessions = sessions.unwrap_or_else(PoisonError::into_inner);
            Arc::clone(sessions.entry(account.clone()).or_default())
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = &*slot {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(Session::begin(self, registry, account, doing)?);
        *slot = Some(Arc::clone(&session));
        Ok(session)
    }

    fn repository(&self, name: &Reference) -> Repository {
        Repository::new(self.clone(), &name.registry, &name.repository)
    }
}
