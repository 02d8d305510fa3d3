//! Why something about a registry failed: which image, which host, what it answered, and the way out.

use std::io;

use layout::digest::Mismatch;
use layout::{image, index};

use crate::keychain;
use crate::url::Refusal;

/// Why something about a registry failed. No text of these holds a credential or the query of a URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// 401 or 403: who asks may not do that.
    #[error("failed to {doing}: {host} answers {status}{message}\n{hint}")]
    Denied {
        /// What was being done, to which image.
        doing: String,
        /// `host[:port]`.
        host: String,
        /// 401 or 403.
        status: u16,
        /// What the registry says, after a colon and a space; may be empty.
        message: String,
        /// The way out.
        hint: String,
    },
    /// Any other answer that is none to what was asked.
    #[error("failed to {doing}: {host} answers {status}{message}")]
    Status {
        /// What was being done, to which image.
        doing: String,
        /// `host[:port]`.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What the registry says, after a colon and a space; may be empty.
        message: String,
    },
    /// There was no connection, or it broke and did so again.
    #[error("failed to {doing}: no answer from {host}{hint}")]
    Connection {
        /// What was being done, to which image.
        doing: String,
        /// `host[:port]`.
        host: String,
        /// The way out in parentheses, where there is one.
        hint: &'static str,
        /// Whether it was tried again already, as often as may be.
        is_final: bool,
        /// What happened.
        source: Box<ureq::Error>,
    },
    /// The certificate of the proxy would not be checked either.
    #[error(
        "failed to {doing}: {host} is an insecure registry behind an https:// proxy, whose certificate could not be checked\nname {host} in NO_PROXY, use a proxy of http://, or give the registry a good certificate"
    )]
    InsecureBehindProxy {
        /// What was being done, to which image.
        doing: String,
        /// `host[:port]`.
        host: String,
    },
    /// An answer that breaks the protocol.
    #[error("failed to {doing}: {host} answers with {problem}")]
    Protocol {
        /// What was being done, to which image.
        doing: String,
        /// `host[:port]`.
        host: String,
        /// What is wrong.
        problem: String,
    },
    /// The registry points somewhere where nothing is sent.
    #[error("failed to {doing}: {host} points to {location}, and {refusal}")]
    Redirect {
        /// What was being done, to which image.
        doing: String,
        /// `host[:port]`.
        host: String,
        /// Where it points, without a query.
        location: String,
        /// Why nothing is sent there.
        refusal: Refusal,
    },
    /// The server that gives out tokens redirects whoever has credentials to another one.
    #[error(
        "failed to {doing}: the token server {host} redirects to {location}, which the credentials are not for"
    )]
    TokenRedirect {
        /// What was being done, to which image.
        doing: String,
        /// The token server.
        host: String,
        /// Where it points, without a query.
        location: String,
    },
    /// The registry's bytes are not those that it, or the name of the image, promised.
    #[error("failed to {doing}")]
    Mismatch {
        /// What was being done, to which image.
        doing: String,
        /// The difference.
        source: Mismatch,
    },
    /// A document that is larger than any real one.
    #[error(
        "failed to {doing}: {host} sends more than {limit} bytes, which is more than a manifest or an index has"
    )]
    TooLarge {
        /// What was being done, to which image.
        doing: String,
        /// `host[:port]`.
        host: String,
        /// Bytes that are allowed.
        limit: u64,
    },
    /// The connection of an upload broke, and the registry has less of it than what is still in memory begins with.
    #[error(
        "failed to {doing}: the upload to {host} broke off, and it has {has} bytes where at least {window} are needed to go on\ntry again: a layer is made anew while it is sent; if it breaks off each time, the registry, or a proxy before it, may limit the size of uploads"
    )]
    NotResumable {
        /// What was being done, to which image.
        doing: String,
        /// `host[:port]`.
        host: String,
        /// Bytes that the registry has.
        has: u64,
        /// Offset of the first byte that can be sent again.
        window: u64,
    },
    /// What was to be sent could not be read or made.
    #[error("failed to {doing}")]
    Source {
        /// What was being done, to which image.
        doing: String,
        /// Why.
        source: io::Error,
    },
    /// A blob that the new image needs is nowhere.
    #[error("failed to {doing}: layer {digest} is neither in {host} nor in {location}")]
    MissingBlob {
        /// What was being done, to which image.
        doing: String,
        /// `host[:port]`.
        host: String,
        /// The blob.
        digest: String,
        /// Where it should be.
        location: String,
    },
    /// Names of one image in more than one registry.
    #[error("failed to {doing}: {other} is in another registry than {name}")]
    OtherRegistry {
        /// What was being done, to which image.
        doing: String,
        /// The image.
        name: String,
        /// The other name.
        other: String,
    },
    /// There are no credentials to be had.
    #[error(transparent)]
    Keychain(#[from] keychain::Error),
    /// The certificates that hosts are checked with cannot be read.
    #[error("failed to read certificates")]
    Trust(#[source] io::Error),
    /// None of an index's images, or one that is damaged.
    #[error(transparent)]
    Index(#[from] Box<index::Error>),
    /// A damaged image.
    #[error(transparent)]
    Image(#[from] Box<image::Error>),
}

impl Error {
    /// Returns the HTTP status that the registry answered with, if it was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Denied { status, .. } | Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Returns whether it may go well at another try, soon.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Connection {
                source, is_final, ..
            } => {
                let is_broken = match &**source {
                    ureq::Error::Io(error) => is_broken_connection(error),
                    ureq::Error::Timeout(which) => matches!(
                        which,
                        ureq::Timeout::PerRead
                            | ureq::Timeout::PerWrite
                            | ureq::Timeout::RecvResponse
                    ),
                    _ => false,
                };
                is_broken && !is_final
            }
            _ => false,
        }
    }

    /// Returns the same error as one that nobody tries to mend by another try: there were enough.
    #[must_use]
    pub(crate) fn for_good(mut self) -> Self {
        if let Self::Connection { is_final, .. } = &mut self {
            *is_final = true;
        }
        self
    }

    /// Returns the same error with what its reader should know if it is a broken connection.
    #[must_use]
    pub(crate) fn hinted(mut self, text: &'static str) -> Self {
        if let Self::Connection { hint, .. } = &mut self
            && hint.is_empty()
        {
            *hint = text;
        }
        self
    }

    /// Returns whether the other side speaks TLS, but not as it should: its certificate is bad, for example.
    pub(crate) fn is_bad_tls(&self) -> bool {
        match self {
            Self::Connection { source, .. } => !matches!(
                rustls_error(source),
                // What comes is no TLS at all.
                None | Some(rustls::Error::InvalidMessage(_))
            ),
            Self::InsecureBehindProxy { .. } | Self::Trust(_) => true,
            _ => false,
        }
    }

    pub(crate) fn connection(doing: &str, host: &str, source: ureq::Error) -> Self {
        Self::Connection {
            doing: doing.to_owned(),
            host: host.to_owned(),
            hint: hint(&source),
            is_final: false,
            source: Box::new(source),
        }
    }

    pub(crate) fn protocol(doing: &str, host: &str, problem: impl Into<String>) -> Self {
        Self::Protocol {
            doing: doing.to_owned(),
            host: host.to_owned(),
            problem: problem.into(),
        }
    }
}

/// True for what happens to connections that were good: they are reset, closed too early or go silent.
pub(crate) fn is_broken_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    let inner = error.get_ref().and_then(|it| it.downcast_ref());
    if let Some(ureq::Error::Timeout(_)) = inner {
        return true;
    }
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof
    )
}

fn rustls_error(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref().and_then(|it| it.downcast_ref()),
        _ => None,
    }
}

fn hint(error: &ureq::Error) -> &'static str {
    match rustls_error(error) {
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) => {
            " (if its certificate is of a CA of your own, name that CA's file in SSL_CERT_FILE)"
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            " (if it speaks plain HTTP, declare it an insecure registry)"
        }
        _ => "",
    }
}

impl From<index::Error> for Error {
    fn from(error: index::Error) -> Self {
        Self::Index(Box::new(error))
    }
}

impl From<image::Error> for Error {
    fn from(error: image::Error) -> Self {
        Self::Image(Box::new(error))
    }
}
