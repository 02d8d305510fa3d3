//! Why something could not be done with a daemon.

use std::io;

use layout::{DiffId, Digest, blob, image, store};

use crate::host::Host;

/// Why an image could not be read from a daemon, or made in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The daemon said no.
    #[error("failed to {doing} in the daemon at {host}: {message}")]
    Answer {
        /// What was being done, to which image.
        doing: String,
        /// Where the daemon listens.
        host: Host,
        /// Its words.
        message: String,
    },
    /// The daemon speaks another version of the API.
    #[error(
        "the daemon at {host} offers version {found} of its API, which is older than {oldest}\nupdate the daemon"
    )]
    ApiVersion {
        /// Where the daemon listens.
        host: Host,
        /// What it offers.
        found: String,
        /// What is needed.
        oldest: &'static str,
    },
    /// What the daemon answered is not what its API says.
    #[error("failed to {doing} in the daemon at {host}: its answer is damaged")]
    Damaged {
        /// What was being done, to which image.
        doing: String,
        /// Where the daemon listens.
        host: Host,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No address of a daemon.
    #[error(
        "{text:?} is no address of a daemon: {reason}\nset DOCKER_HOST to unix:///PATH or tcp://HOST:PORT"
    )]
    Host {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The daemon made another image of what it was given.
    #[error("the daemon at {host} has image {found} as {name}, where {expected} was loaded")]
    OtherImage {
        /// The name.
        name: String,
        /// Where the daemon listens.
        host: Host,
        /// The ID that the image should have.
        expected: Box<Digest>,
        /// The ID that it has.
        found: Box<Digest>,
    },
    /// A layer of the base is nowhere.
    #[error(
        "failed to load image {name} into the daemon at {host}: layer {diff_id} is not in {location}\na daemon keeps whole images only: use a base that is not sparse"
    )]
    MissingLayer {
        /// The image.
        name: String,
        /// Where the daemon listens.
        host: Host,
        /// The layer.
        diff_id: Box<DiffId>,
        /// Where it should be.
        location: String,
    },
    /// A daemon names images by tags.
    #[error("an image in a daemon has a tag, not a digest: {0}")]
    Untagged(String),
    /// The daemon went away, or says nothing.
    #[error("failed to {doing} in the daemon at {host}")]
    Lost {
        /// What was being done, to which image.
        doing: String,
        /// Where the daemon listens.
        host: Host,
        /// How.
        source: io::Error,
    },
    /// A file on this machine could not be used.
    #[error("failed to keep layers of image {image} on this machine")]
    Scratch {
        /// The image.
        image: String,
        /// Why not.
        source: io::Error,
    },
    /// The image that a daemon describes is none.
    #[error(transparent)]
    Image(#[from] Box<image::Error>),
    /// Nobody answers.
    #[error("failed to {doing}: no connection to the daemon at {host}")]
    Unreachable {
        /// What was to be done, to which image.
        doing: String,
        /// Where the daemon should listen.
        host: Host,
        /// Why not.
        source: Unreachable,
    },
}

/// Why nobody answers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreachable {
    /// There is no such socket, or no such machine.
    #[error("nothing is there\nstart the daemon, or say with DOCKER_HOST where it is")]
    Absent,
    /// The socket is somebody else's.
    #[error(
        "permission denied\nrun this as root or as a user of the socket's group, or give the socket to the user of the build"
    )]
    Denied,
    /// The socket is one that a daemon left, or the port is free.
    #[error("connection refused\nstart the daemon, or say with DOCKER_HOST where it is")]
    Refused,
    /// Something else.
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for Unreachable {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Absent,
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::ConnectionRefused => Self::Refused,
            _ => Self::Io(error),
        }
    }
}

impl From<Error> for blob::Error {
    fn from(error: Error) -> Self {
        Self::Elsewhere(Box::new(error))
    }
}

impl From<Error> for store::Error {
    fn from(error: Error) -> Self {
        Self::Elsewhere(Box::new(error))
    }
}
