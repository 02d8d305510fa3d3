//! One registry: how it wants to be spoken to, and who we are to it.
//!
//! The first question to a registry is `GET /v2/`. Its answer says whether it speaks TLS and what it asks for:
//! nothing, a password with each request, or a token from another server. Tokens are kept per scope until they end.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ureq::http::Method;

use crate::challenge::{self, Challenge};
use crate::client::Client;
use crate::error::Error;
use crate::exchange::{Request, Response};
use crate::host;
use crate::keychain::{Credentials, Secret};
use crate::refusal;
use crate::retry::{Failures, Trouble};
use crate::token::{self, Token, TokenServer};
use crate::url::{Scheme, Url};

/// What is known of a registry.
#[derive(Debug)]
pub(crate) struct Session {
    /// Its name, as image names have it.
    pub(crate) registry: String,
    /// Whom the keychain is asked for: the registry, or a namespace of it.
    account: String,
    pub(crate) root: Url,
    auth: Mutex<Auth>,
}

#[derive(Debug, Default)]
struct Auth {
    challenge: Option<Challenge>,
    /// Looked up when the registry asks for some.
    credentials: Option<Credentials>,
    tokens: HashMap<Vec<String>, Token>,
    /// What the registry asked for beside the scopes that we know of, by these.
    learned: HashMap<Vec<String>, Vec<String>>,
    /// Tokens that are not used any more, but may still be repeated to us.
    former: VecDeque<Token>,
}

/// Scopes that a registry may ask for beside those of a request.
const MAX_LEARNED: usize = 4;

/// Tokens that are remembered so as not to be shown.
const MAX_FORMER: usize = 16;

impl Auth {
    /// Returns the scopes of a request, and those that the registry asked for with it.
    fn all(&self, scopes: &[String]) -> Vec<String> {
        let learned = self.learned.get(scopes).into_iter().flatten();
        scopes.iter().chain(learned).cloned().collect()
    }

    fn retire(&mut self, token: Option<Token>) {
        self.former.extend(token);
        while self.former.len() > MAX_FORMER {
            self.former.pop_front();
        }
    }
}

impl Session {
    /// Asks a registry how it wants to be spoken to.
    pub(crate) fn begin(
        client: &Client,
        registry: &str,
        account: String,
        doing: &str,
    ) -> Result<Self, Error> {
        let options = client.options();
        let schemes = host::schemes(registry, &options.insecure);
        let is_insecure = host::is_insecure(host::authority(registry), &options.insecure);
        let may_be_plain = schemes.contains(&Scheme::Http);
        let mut failures = Failures::default();
        'tries: loop {
            let mut failed: Option<Error> = None;
            for scheme in schemes {
                let root = Url::root(*scheme, host::authority(registry));
                let is_doubtful = *scheme == Scheme::Https && may_be_plain && !is_insecure;
                let response = match ping(client, &root, is_doubtful, doing) {
                    Ok(response) => response,
                    // A password is not sent in plain text because a certificate is bad.
                    Err(error) if error.is_bad_tls() && !is_insecure => return Err(error),
                    Err(error) => {
                        // Where neither way works, what the first one said counts.
                        failed.get_or_insert(error);
                        continue;
                    }
                };
                if let Some(trouble) = Trouble::of_answer(&response)
                    && options.retry.pause_after(&mut failures, &trouble)
                {
                    continue 'tries;
                }
                // What a TLS server says to plain text.
                if let (Some(error), 400) = (failed.take(), response.status) {
                    return Err(error);
                }
                let session = Self {
                    registry: registry.to_owned(),
                    account,
                    root,
                    auth: Mutex::default(),
                };
                if response.status >= 500 {
                    return Err(session.refusal(response, doing));
                }
                session.auth().challenge = challenge::find(response.headers(AUTHENTICATE));
                response.discard();
                return Ok(session);
            }
            match failed {
                Some(error) => {
                    let trouble = Trouble::of_error(&error);
                    let again =
                        trouble.is_some_and(|it| options.retry.pause_after(&mut failures, &it));
                    if !again {
                        return Err(error.for_good());
                    }
                }
                None => return Err(Error::protocol(doing, registry, "nothing at all")),
            }
        }
    }

    /// Returns the header that shows who we are, with a token for `scopes` if this registry wants one.
    pub(crate) fn authorization(
        &self,
        client: &Client,
        scopes: &[String],
        doing: &str,
    ) -> Result<Option<Secret>, Error> {
        let mut auth = self.auth();
        let Some(challenge) = auth.challenge.clone() else {
            return Ok(None);
        };
        let credentials = match &auth.credentials {
            Some(credentials) => credentials.clone(),
            None => client.options().keychain.credentials(&self.account)?,
        };
        auth.credentials = Some(credentials.clone());
        let Challenge::Bearer { realm, service, .. } = challenge else {
            return Ok(match credentials {
                Credentials::IdentityToken(_) => None,
                other => other.header(),
            });
        };
        if let Credentials::RegistryToken(_) = credentials {
            return Ok(credentials.header());
        }
        let scopes = auth.all(scopes);
        if let Some(token) = auth.tokens.get(&scopes).filter(|it| it.is_fresh()) {
            return Ok(Some(token.header()));
        }
        let server = TokenServer {
            realm: &realm,
            service: service.as_deref(),
            credentials: &credentials,
        };
        // Locked meanwhile: other threads want the same token.
        let token = token::fetch(client, self, &server, &scopes, doing)?;
        let header = token.header();
        let former = auth.tokens.insert(scopes, token);
        auth.retire(former);
        Ok(Some(header))
    }

    /// Takes in what an answer of 401 asks for, and keeps the scope that it names for all requests with these; returns
    /// whether to ask again.
    pub(crate) fn learn(&self, response: &Response, scopes: &[String]) -> bool {
        let Some(challenge) = challenge::find(response.headers(AUTHENTICATE)) else {
            return false;
        };
        let mut auth = self.auth();
        let is_known = auth.challenge.as_ref() == Some(&challenge);
        match &challenge {
            Challenge::Basic if is_known => return false,
            Challenge::Basic => {}
            Challenge::Bearer { scope, .. } => {
                let all = auth.all(scopes);
                let is_new = |it: &String| !all.contains(it);
                let learned = auth.learned.entry(scopes.to_vec()).or_default();
                match scope.clone().filter(is_new) {
                    Some(scope) if learned.len() < MAX_LEARNED => learned.push(scope),
                    // The token was for this, and may have ended early.
                    _ => {
                        let former = auth.tokens.remove(&all);
                        auth.retire(former);
                    }
                }
            }
        }
        auth.challenge = Some(challenge);
        true
    }

    /// Returns the error that an answer means.
    pub(crate) fn refusal(&self, response: Response, doing: &str) -> Error {
        let auth = self.auth();
        let tokens = auth.tokens.values().chain(&auth.former);
        let tokens: Vec<_> = tokens.map(Token::reveal).collect();
        refusal::error(
            &self.registry,
            response,
            doing,
            auth.credentials.as_ref(),
            &tokens,
        )
    }

    fn auth(&self) -> MutexGuard<'_, Auth> {
        // What is kept is only ever replaced as a whole.
        self.auth.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const AUTHENTICATE: &str = "www-authenticate";

/// Asks the first question. Where it is in doubt whether TLS is spoken, that is found out before: to read the system's
/// certificates takes longer than all that is said to a registry of this machine.
fn ping(client: &Client, root: &Url, is_doubtful: bool, doing: &str) -> Result<Response, Error> {
    let malformed = |_| Error::protocol(doing, &root.authority, "a name that is no host");
    let url = root.with("/v2/").map_err(malformed)?;
    let mut request = Request::new(Method::GET, url.clone(), Vec::new(), doing);
    if is_doubtful {
        request.is_probe = true;
        match client.exchange(&url, &mut request, None) {
            Err(error) if error.is_bad_tls() => request.is_probe = false,
            other => return other,
        }
    }
    client.exchange(&url, &mut request, None)
}
