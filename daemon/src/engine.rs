//! The Engine API, as far as images need it: ping, inspect, history, save, load, tag, remove.
//!
//! What one engine serves, podman's service does as well; where they differ, it says so.

use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use layout::manifest::Platform;
use layout::name::Identifier;
use layout::text::printable;
use layout::{Digest, Image, Reference, json};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::draft::DaemonDraft;
use crate::error::Error;
use crate::host::Host;
use crate::http::{Answer, Client, Failure, LONG, Request, SHORT, Upload};
use crate::image::{self, Inspected, LayerTars, PastStep};
use crate::saved::Saved;
use crate::whole;

/// The oldest version of the API that has all that is asked for.
const OLDEST: Version = Version(1, 24);
const OLDEST_TEXT: &str = "1.24";

/// The newest version of the API whose changes were looked at. A newer daemon speaks this one too.
const NEWEST: Version = Version(1, 51);

/// The version from which on images of other platforms may have the same name.
const OF_PLATFORMS: Version = Version(1, 49);

/// What every conversation begins with.
const ASK_VERSIONS: &str = "ask for versions";

/// Bytes that a description of an image may have.
const MAX_DOCUMENT: u64 = 16 << 20;

/// Characters that an error shows of what a daemon says.
const MAX_SHOWN: usize = 1000;

/// Connections that a phase needs at once: one that takes an image in, and one for everything else.
const AT_ONCE: usize = 2;

/// A Docker Engine, or podman's service. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Engine {
    client: Arc<Client>,
    offer: Arc<Mutex<Option<Offer>>>,
}

/// What a daemon said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    version: Version,
    /// Layers are known by their diffIDs, on whatever layers they lie.
    pub(crate) is_podman: bool,
}

/// A version of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

impl Engine {
    /// Names a daemon, by what `DOCKER_HOST` says or by empty text; connects to nothing yet.
    pub fn at(docker_host: &str) -> Result<Self, Error> {
        Ok(Self {
            client: Arc::new(Client::new(docker_host.parse()?)),
            offer: Arc::default(),
        })
    }

    /// Returns where the daemon listens.
    pub fn host(&self) -> &Host {
        self.client.host()
    }

    /// Connects now, for a caller who is about to lose the right to (COM-045).
    pub fn hold(&self) -> Result<(), Error> {
        self.client
            .hold(AT_ONCE)
            .map_err(|error| self.unreachable(ASK_VERSIONS, error))?;
        self.offer()?;
        Ok(())
    }

    /// Returns an image by a name or an ID; `None` if the daemon has none such.
    ///
    /// Nothing of its layers is fetched before one is read; then all of them are, once, into a file without a name in
    /// the folder for temporary files. A layer that `tars` has is taken from there instead.
    pub fn image(
        &self,
        name: &str,
        tars: Option<Arc<dyn LayerTars>>,
    ) -> Result<Option<Image>, Error> {
        let Some(inspected) = self.inspect(name)? else {
            return Ok(None);
        };
        let doing = format!("read the history of image {name}");
        let path = format!("/images/{}/history", encoded(inspected.id.as_ref()));
        let answer = self.get_of_host(&doing, &path, SHORT)?;
        let answer = self.succeeded(&doing, answer)?;
        let history: Vec<PastStep> = self.parse_list(&doing, answer)?;
        let image = image::of_inspected(self, name, inspected, history, tars);
        Ok(Some(image.map_err(Box::new)?))
    }

    /// Returns an image with everything in it, fetched at once, for who copies it elsewhere; `None` if the daemon has
    /// none such.
    ///
    /// Its config has the bytes that it has in the daemon, its layers are plain tars, and its manifest is made of these.
    pub fn whole_image(&self, name: &str) -> Result<Option<Image>, Error> {
        let Some(inspected) = self.inspect(name)? else {
            return Ok(None);
        };
        let saved = self.save(&inspected.id)?;
        let location = format!("image {name} of the daemon at {}", self.host());
        Ok(Some(whole::of_saved(&saved, &location)?))
    }

    /// Begins an image of that name, which has to have a tag.
    pub fn draft(&self, name: &Reference) -> Result<DaemonDraft, Error> {
        match &name.identifier {
            Identifier::Tag(_) => Ok(DaemonDraft::new(self, name.name())),
            Identifier::Digest(_) => Err(Error::Untagged(name.name())),
        }
    }

    /// Gives an image one more name.
    pub fn tag(&self, id: &Digest, name: &Reference) -> Result<(), Error> {
        let Identifier::Tag(tag) = &name.identifier else {
            return Err(Error::Untagged(name.name()));
        };
        let doing = format!("tag image {id} as {name}");
        let (id, repository) = (encoded(id.as_ref()), encoded(&name.context()));
        let path = format!("/images/{id}/tag?repo={repository}&tag={}", encoded(tag));
        let answer = self.send(&doing, "POST", &path, SHORT)?;
        self.succeeded(&doing, answer)?.skip();
        Ok(())
    }

    /// Removes a name of an image, and the image if it has no other; by its ID, the image with all names. False if
    /// there is none such.
    pub fn remove(&self, name: &str) -> Result<bool, Error> {
        let doing = format!("remove image {name}");
        let path = format!("/images/{}?force=1", encoded(name));
        let answer = self.send(&doing, "DELETE", &path, SHORT)?;
        if answer.status == 404 {
            // It may have been removed by the first of two requests, whose answer was lost.
            let is_removed = answer.is_repeated;
            answer.skip();
            return Ok(is_removed);
        }
        self.succeeded(&doing, answer)?.skip();
        Ok(true)
    }

    /// Returns what the daemon says of an image; `None` if it has none such.
    pub(crate) fn inspect(&self, name: &str) -> Result<Option<Inspected>, Error> {
        let doing = format!("inspect image {name}");
        let path = format!("/images/{}/json", encoded(name));
        let answer = self.get(&doing, &path, SHORT)?;
        if answer.status == 404 {
            answer.skip();
            return Ok(None);
        }
        let answer = self.succeeded(&doing, answer)?;
        let found: Inspected = self.parse(&doing, answer)?;
        if self.offer()?.version < OF_PLATFORMS {
            return Ok(Some(found));
        }
        let answer = self.get_of_host(&doing, &path, SHORT)?;
        let answer = self.succeeded(&doing, answer)?;
        let mut of_host: Inspected = self.parse(&doing, answer)?;
        // One ID stands for the images of all platforms.
        of_host.id = found.id;
        Ok(Some(of_host))
    }

    /// Fetches all layers of an image into a file without a name.
    pub(crate) fn save(&self, id: &Digest) -> Result<Saved, Error> {
        let doing = format!("save image {id}");
        let path = format!("/images/{}/get", encoded(id.as_ref()));
        let answer = self.get_of_host(&doing, &path, LONG)?;
        let answer = self.succeeded(&doing, answer)?;
        Saved::read(answer.body, id, |source| {
            self.lost_or_damaged(&doing, source)
        })
    }

    /// Begins to load an archive.
    pub(crate) fn load(&self, doing: &str) -> Result<Upload, Error> {
        let target = self.target("/images/load?quiet=1")?;
        let request = Request {
            method: "POST",
            target: &target,
            patience: LONG,
        };
        self.client
            .upload(request, "application/x-tar")
            .map_err(|failure| self.failed(doing, failure))
    }

    /// Reads to its end what the daemon says of an archive that was loaded: errors stand in an answer of success.
    pub(crate) fn loaded(&self, doing: &str, answer: Answer) -> Result<(), Error> {
        let body = self.succeeded(doing, answer)?.body.take(MAX_DOCUMENT);
        let messages = serde_json::Deserializer::from_reader(body).into_iter::<Words>();
        for message in messages {
            let message = message.map_err(|error| match error.io_error_kind() {
                Some(_) => self.lost_or_damaged(doing, error.into()),
                None => self.damaged(doing, error),
            })?;
            if let Some(text) = message.text() {
                return Err(self.refused(doing, &text));
            }
        }
        Ok(())
    }

    /// Returns what the daemon said of itself, which it is asked once.
    pub(crate) fn offer(&self) -> Result<Offer, Error> {
        let mut known = self.offer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(offer) = *known {
            return Ok(offer);
        }
        let request = Request {
            method: "GET",
            target: "/_ping",
            patience: SHORT,
        };
        let doing = ASK_VERSIONS;
        let answer = self
            .client
            .send(request)
            .map_err(|failure| self.failed(doing, failure))?;
        let answer = self.succeeded(doing, answer)?;
        let is_podman = answer.field("libpod-api-version").is_some();
        let found = answer
            .field("api-version")
            .unwrap_or(OLDEST_TEXT)
            .to_owned();
        answer
            .into_bytes(MAX_DOCUMENT)
            .map_err(|error| self.lost_or_damaged(doing, error))?;
        let version = Version::parse(&found).filter(|version| *version >= OLDEST);
        let version = version.ok_or_else(|| Error::ApiVersion {
            host: self.host().clone(),
            found: printable(&found, MAX_SHOWN),
            oldest: OLDEST_TEXT,
        })?;
        let offer = Offer {
            version: version.min(NEWEST),
            is_podman,
        };
        *known = Some(offer);
        Ok(offer)
    }

    /// Returns whether layers that the daemon has need not be sent again.
    ///
    /// One that keeps images in containerd has no layers that another image could share by diffID.
    pub(crate) fn shares_layers(&self) -> Result<bool, Error> {
        let doing = "ask how images are kept";
        let answer = self.get(doing, "/info", SHORT)?;
        let answer = self.succeeded(doing, answer)?;
        let info: Info = self.parse(doing, answer)?;
        let mut status = info.driver_status.iter().flatten();
        Ok(!status.any(|it| *it == ["driver-type", "io.containerd.snapshotter.v1"]))
    }

    /// Returns whether this is the same daemon, by the same connections.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.client, &other.client)
    }

    fn get(&self, doing: &str, path: &str, patience: Duration) -> Result<Answer, Error> {
        self.send(doing, "GET", path, patience)
    }

    /// Asks for the image of this program's platform among those of a name; for any, if there is none for it.
    ///
    /// Left to itself a daemon takes its own platform, which is another one where this program is emulated.
    fn get_of_host(&self, doing: &str, path: &str, patience: Duration) -> Result<Answer, Error> {
        if self.offer()?.version >= OF_PLATFORMS {
            let Platform {
                architecture, os, ..
            } = Platform::host();
            let platform = format!(r#"{{"os":"{os}","architecture":"{architecture}"}}"#);
            let path = format!("{path}?platform={}", encoded(&platform));
            let answer = self.get(doing, &path, patience)?;
            if answer.status != 404 {
                return Ok(answer);
            }
            answer.skip();
        }
        self.get(doing, path, patience)
    }

    fn send(
        &self,
        doing: &str,
        method: &'static str,
        path: &str,
        patience: Duration,
    ) -> Result<Answer, Error> {
        let target = self.target(path)?;
        let request = Request {
            method,
            target: &target,
            patience,
        };
        self.client
            .send(request)
            .map_err(|failure| self.failed(doing, failure))
    }

    /// Puts the version in front of a path.
    fn target(&self, path: &str) -> Result<String, Error> {
        let Version(major, minor) = self.offer()?.version;
        Ok(format!("/v{major}.{minor}{path}"))
    }

    /// Passes an answer of success, and makes an error of any other.
    fn succeeded(&self, doing: &str, answer: Answer) -> Result<Answer, Error> {
        let status = answer.status;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let bytes = answer.into_bytes(MAX_DOCUMENT).unwrap_or_default();
        let said = json::from_slice::<Words>(&bytes).ok();
        let text = said.and_then(Words::text);
        let text = text.unwrap_or_else(|| String::from_utf8_lossy(&bytes).trim().to_owned());
        if text.is_empty() {
            return Err(self.refused(doing, &format!("status {status}")));
        }
        Err(self.refused(doing, &text))
    }

    fn parse<T: DeserializeOwned>(&self, doing: &str, answer: Answer) -> Result<T, Error> {
        let bytes = self.bytes(doing, answer)?;
        json::from_slice(&bytes).map_err(|error| self.damaged(doing, error))
    }

    fn parse_list<T: DeserializeOwned>(&self, doing: &str, answer: Answer) -> Result<T, Error> {
        let bytes = self.bytes(doing, answer)?;
        serde_json::from_slice(&bytes).map_err(|error| self.damaged(doing, error))
    }

    fn bytes(&self, doing: &str, answer: Answer) -> Result<Vec<u8>, Error> {
        answer
            .into_bytes(MAX_DOCUMENT)
            .map_err(|error| self.lost_or_damaged(doing, error))
    }

    fn failed(&self, doing: &str, failure: Failure) -> Error {
        match failure {
            Failure::Connect(error) => self.unreachable(doing, error),
            Failure::Talk(error) => self.lost_or_damaged(doing, error),
        }
    }

    fn unreachable(&self, doing: &str, error: std::io::Error) -> Error {
        Error::Unreachable {
            doing: doing.to_owned(),
            host: self.host().clone(),
            source: error.into(),
        }
    }

    pub(crate) fn lost_or_damaged(&self, doing: &str, source: std::io::Error) -> Error {
        if source.kind() == std::io::ErrorKind::InvalidData {
            return self.damaged(doing, source);
        }
        Error::Lost {
            doing: doing.to_owned(),
            host: self.host().clone(),
            source,
        }
    }

    fn damaged(
        &self,
        doing: &str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error::Damaged {
            doing: doing.to_owned(),
            host: self.host().clone(),
            source: source.into(),
        }
    }

    fn refused(&self, doing: &str, message: &str) -> Error {
        Error::Answer {
            doing: doing.to_owned(),
            host: self.host().clone(),
            message: printable(message, MAX_SHOWN),
        }
    }
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

/// What a daemon says in words: one document, or one of a stream of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Words {
    message: Option<String>,
    error: Option<String>,
    error_detail: Option<Detail>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Detail {
    message: Option<String>,
}

impl Words {
    /// Returns what went wrong; progress has none of these keys.
    fn text(self) -> Option<String> {
        let detail = self.error_detail.and_then(|it| it.message);
        detail.or(self.error).or(self.message)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Info {
    driver_status: Option<Vec<Vec<String>>>,
}

/// Encodes a name for a path or a query; slashes and colons may stay as they are in both.
fn encoded(name: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' | b'/' | b':' | b'@' => text.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            _ => write!(text, "%{byte:02X}").expect("a string takes all"),
        }
    }
    text
}

#[cfg(test)]
mod tests;
