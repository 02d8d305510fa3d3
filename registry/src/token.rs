//! Tokens from the server that a registry names (distribution's token and OAuth 2 specifications).
//!
//! Password holders ask by GET, holders of an identity token by POST. A server that sends whoever brings credentials to
//! another host gets none of them there.

use std::time::{Duration, Instant};

use serde::Deserialize;
use ureq::http::Method;

use crate::client::Client;
use crate::error::Error;
use crate::exchange::{Payload, Request, Response};
use crate::keychain::{Credentials, Secret};
use crate::refusal;
use crate::retry::Trouble;
use crate::session::Session;
use crate::url::{Url, encoded};

const MAX_REDIRECTS: usize = 4;
const MAX_ANSWER: u64 = 256 << 10;

/// How long a token is good where its server does not say.
const USUAL_LIFE: u64 = 60;

/// A token, and until when to use it.
#[derive(Debug)]
pub(crate) struct Token {
    value: Secret,
    until: Instant,
}

impl Token {
    /// Returns whether it may still be used: a while longer than a request takes.
    pub(crate) fn is_fresh(&self) -> bool {
        Instant::now() < self.until
    }

    pub(crate) fn header(&self) -> Secret {
        Secret::new(format!("Bearer {}", self.value.reveal()))
    }

    pub(crate) fn reveal(&self) -> &str {
        self.value.reveal()
    }
}

/// Whom to ask, and as whom.
pub(crate) struct TokenServer<'a> {
    pub(crate) realm: &'a str,
    pub(crate) service: Option<&'a str>,
    pub(crate) credentials: &'a Credentials,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<Secret>,
    access_token: Option<Secret>,
    expires_in: Option<u64>,
}

/// Gets a token for all of `scopes`.
pub(crate) fn fetch(
    client: &Client,
    session: &Session,
    server: &TokenServer<'_>,
    scopes: &[String],
    doing: &str,
) -> Result<Token, Error> {
    let realm = client.follow(&session.root, server.realm, doing)?;
    let begin = Instant::now();
    let response = if let Credentials::IdentityToken(token) = server.credentials {
        by_post(client, &realm, server.service, scopes, token, doing)?
    } else {
        by_get(client, realm.clone(), server, scopes, doing)?
    };
    if response.status != 200 {
        let (registry, credentials) = (&session.registry, Some(server.credentials));
        return Err(refusal::error(registry, response, doing, credentials, &[]));
    }
    let host = response.url.authority.clone();
    // Neither too long an answer nor what is wrong with it is repeated: it may hold the token.
    let bytes = response.read(MAX_ANSWER).ok().flatten();
    let answer = bytes.and_then(|it| serde_json::from_slice::<Answer>(&it).ok());
    let problem = || Error::protocol(doing, &host, "something that is no token");
    let answer = answer.ok_or_else(problem)?;
    let is_token = |it: &Secret| {
        let text = it.reveal();
        !text.is_empty() && text.bytes().all(|it| it.is_ascii_graphic())
    };
    let mut tokens = [answer.token, answer.access_token].into_iter().flatten();
    let value = tokens.find(is_token).ok_or_else(problem)?;
    let life = answer.expires_in.unwrap_or(USUAL_LIFE).min(24 * 3600);
    Ok(Token {
        value,
        until: begin + Duration::from_secs(life * 4 / 5),
    })
}

fn by_get(
    client: &Client,
    realm: Url,
    server: &TokenServer<'_>,
    scopes: &[String],
    doing: &str,
) -> Result<Response, Error> {
    let header = match server.credentials {
        Credentials::Basic(_) => server.credentials.header(),
        _ => None,
    };
    let header = header.as_ref().map(Secret::reveal);
    let first = realm.clone();
    let mut url = realm;
    if let Some(service) = server.service {
        url = url.and("service", service);
    }
    for scope in scopes {
        url = url.and("scope", scope);
    }
    for _ in 0..=MAX_REDIRECTS {
        let ask = || {
            let mut request = Request::new(Method::GET, url.clone(), Vec::new(), doing);
            client.exchange(&url, &mut request, header)
        };
        let retry = &client.options().retry;
        let response = retry.insist(ask, Trouble::of_answer)?;
        let location = match response.status {
            301 | 302 | 303 | 307 | 308 => response.header("location").map(str::to_owned),
            _ => None,
        };
        let Some(location) = location else {
            return Ok(response);
        };
        let next = client.follow(&url, &location, doing)?;
        if header.is_some() && !next.is_same_origin(&first) {
            return Err(elsewhere(doing, &first, &next));
        }
        url = next;
    }
    let problem = format!("more than {MAX_REDIRECTS} redirects");
    Err(Error::protocol(doing, &first.authority, problem))
}

fn by_post(
    client: &Client,
    realm: &Url,
    service: Option<&str>,
    scopes: &[String],
    token: &Secret,
    doing: &str,
) -> Result<Response, Error> {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "slipway"),
        ("service", service.unwrap_or_default()),
        ("scope", &scopes.join(" ")),
        ("refresh_token", token.reveal()),
    ];
    let form = form.map(|(name, value)| format!("{name}={}", encoded(value)));
    let form = form.join("&");
    let ask = || {
        let mut request = Request::new(Method::POST, realm.clone(), Vec::new(), doing)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Payload::Bytes(form.as_bytes()));
        client.exchange(realm, &mut request, None)
    };
    let retry = &client.options().retry;
    let response = retry.insist(ask, Trouble::of_answer)?;
    match response.header("location") {
        Some(location) if (300..400).contains(&response.status) => {
            let next = client.follow(realm, location, doing)?;
            Err(elsewhere(doing, realm, &next))
        }
        _ => Ok(response),
    }
}

fn elsewhere(doing: &str, first: &Url, next: &Url) -> Error {
    Error::TokenRedirect {
        doing: doing.to_owned(),
        host: first.authority.clone(),
        location: next.to_string(),
    }
}
