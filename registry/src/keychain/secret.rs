//! What must never be shown, and what it is used as.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

/// A text that shows itself to nobody who does not ask for it by [`Secret::reveal`].
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Credentials for one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    Anonymous,
    /// Base64 of `user:password`.
    Basic(Secret),
    /// A token that the registry itself takes.
    RegistryToken(Secret),
    /// A refresh token, which the token server takes.
    IdentityToken(Secret),
}

impl Credentials {
    /// Reads a header value; its first word says what it is, in any case (COM-047).
    pub(crate) fn of_header(header: &str) -> Option<Self> {
        let (kind, secret) = header.split_once(' ')?;
        let secret = Secret::new(secret.trim());
        // A header with other characters would be refused later, with itself in the error.
        if !secret.reveal().bytes().all(|it| it.is_ascii_graphic()) {
            return None;
        }
        match kind.to_ascii_lowercase().as_str() {
            "basic" => Some(Self::Basic(secret)),
            "bearer" => Some(Self::RegistryToken(secret)),
            "x-identity" => Some(Self::IdentityToken(secret)),
            _ => None,
        }
    }

    /// The other way round; `None` where there is nothing to say.
    pub(crate) fn header(&self) -> Option<Secret> {
        let (kind, secret) = match self {
            Self::Anonymous => return None,
            Self::Basic(secret) => ("Basic", secret),
            Self::RegistryToken(secret) => ("Bearer", secret),
            Self::IdentityToken(secret) => ("X-Identity", secret),
        };
        Some(Secret::new(format!("{kind} {}", secret.reveal())))
    }

    /// Returns the texts that nobody else may see.
    pub(crate) fn secrets(&self) -> Vec<String> {
        match self {
            Self::Anonymous => Vec::new(),
            Self::RegistryToken(secret) | Self::IdentityToken(secret) => vec![secret.0.clone()],
            Self::Basic(pair) => {
                let plain = BASE64_STANDARD.decode(&pair.0).unwrap_or_default();
                let plain = String::from_utf8_lossy(&plain).into_owned();
                let password = plain
                    .split_once(':')
                    .map(|(_, password)| password.to_owned());
                [Some(pair.0.clone()), password]
                    .into_iter()
                    .flatten()
                    .collect()
            }
        }
    }

    pub(crate) fn of_password(user: &str, password: &str) -> Self {
        let pair = format!("{user}:{password}");
        Self::Basic(Secret::new(BASE64_STANDARD.encode(pair)))
    }
}
