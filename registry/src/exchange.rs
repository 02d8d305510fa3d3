//! One request and its answer: credentials, redirects, tries.
//!
//! Redirects are followed here and not by the HTTP library: credentials go to the registry's own host and to no other,
//! and never from TLS to plain text.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ureq::http::{HeaderMap, Method};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, AsSendBody, Proxy, SendBody};

use crate::client::{Client, Options};
use crate::error::Error;
use crate::host;
use crate::keychain::Secret;
use crate::retry::Trouble;
use crate::session::Session;
use crate::url::{Scheme, Url};

const MAX_REDIRECTS: usize = 8;

/// What is read of an answer that is only looked at or thrown away.
pub(crate) const MAX_MESSAGE: u64 = 8 << 10;

const CONNECT_PATIENCE: Duration = Duration::from_secs(30);

/// How long a connection may be silent. There is no limit on the whole of a transfer.
const SILENCE: Duration = Duration::from_secs(60);

/// How long a registry may think before it says that it has a blob: some copy it once more by then.
const LONG_SILENCE: Duration = Duration::from_secs(600);

/// Larger than the library's own, for fewer calls: layers are large.
const BUFFER: usize = 256 << 10;

/// What to ask a registry.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Payload<'a>,
    /// What a token must allow: `repository:app:pull`.
    pub(crate) scopes: Vec<String>,
    /// What is being done, to which image, as errors say it after `failed to`.
    pub(crate) doing: &'a str,
    /// The answer may take its time.
    pub(crate) patient: bool,
}

/// What goes with a request.
pub(crate) enum Payload<'a> {
    None,
    Bytes(&'a [u8]),
    /// Can be sent only once.
    Stream(&'a mut dyn Read, Option<u64>),
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: Method, url: Url, scopes: Vec<String>, doing: &'a str) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            body: Payload::None,
            scopes,
            doing,
            patient: false,
        }
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    #[must_use]
    pub(crate) fn body(self, body: Payload<'a>) -> Self {
        Self { body, ..self }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Where it came from in the end.
    pub(crate) url: Url,
    headers: HeaderMap,
    body: ureq::Body,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn headers<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let all = self.headers.get_all(name).into_iter();
        all.filter_map(|it| it.to_str().ok())
    }

    pub(crate) fn into_reader(self) -> ureq::BodyReader<'static> {
        self.body.into_reader()
    }

    /// Returns the body if it has at most `limit` bytes; `None` if it has more.
    pub(crate) fn read(self, limit: u64) -> std::io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        self.into_reader().take(limit + 1).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= limit).then_some(bytes))
    }

    /// Reads the rest of a short answer, so that its connection can be used again.
    pub(crate) fn discard(self) {
        // A connection that breaks here is not used again; that is all.
        self.read(MAX_MESSAGE).ok();
    }
}

/// The HTTP clients, each made when it is first needed.
#[derive(Default)]
pub(crate) struct Agents(Mutex<HashMap<AgentKey, Agent>>);

/// What a client must be like.
#[derive(Clone, PartialEq, Eq, Hash)]
struct AgentKey {
    /// Whether certificates must be good.
    careful: bool,
    proxy: Option<String>,
}

impl fmt::Debug for Agents {
    /// Without the clients, which know the passwords of proxies.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agents").finish_non_exhaustive()
    }
}

impl Agents {
    /// Returns the client for a URL.
    fn of(&self, url: &Url, options: &Options, doing: &str) -> Result<Agent, Error> {
        let insecure = host::is_insecure(&url.authority, &options.insecure);
        let key = AgentKey {
            careful: url.scheme == Scheme::Https && !insecure,
            proxy: options.proxies.before(url).map(str::to_owned),
        };
        let mut agents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let tls = if key.careful {
            let certificates = options.trust.load().map_err(Error::Trust)?;
            tls().root_certs(RootCerts::from(certificates))
        } else {
            tls().disable_verification(true)
        };
        let malformed = |error| Error::connection(doing, &url.authority, error);
        let proxy = key.proxy.as_deref().map(Proxy::new);
        let proxy = proxy.transpose().map_err(malformed)?;
        let agent = agent(options, tls.build(), proxy);
        agents.insert(key, agent.clone());
        Ok(agent)
    }
}

fn tls() -> ureq::tls::TlsConfigBuilder {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider)
        // Only the careless client keeps them, and it does not look at them.
        .root_certs(RootCerts::from(Vec::new()))
}

fn agent(options: &Options, tls: TlsConfig, proxy: Option<Proxy>) -> Agent {
    Agent::config_builder()
        .proxy(proxy)
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(options.user_agent.as_str())
        .timeout_connect(Some(CONNECT_PATIENCE))
        .timeout_per_read(Some(SILENCE))
        .timeout_per_write(Some(SILENCE))
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .max_idle_connections_per_host(8)
        .build()
        .into()
}

impl Client {
    /// Asks, and asks again where that may help; returns the answer whatever its status is.
    pub(crate) fn send(
        &self,
        session: &Session,
        request: &mut Request<'_>,
    ) -> Result<Response, Error> {
        if matches!(request.body, Payload::Stream(..)) {
            return self.send_once(session, request);
        }
        let retry = &self.options().retry;
        retry.insist(|| self.send_once(session, request), Trouble::of_answer)
    }

    /// Asks with credentials, and follows to where the registry points.
    pub(crate) fn send_once(
        &self,
        session: &Session,
        request: &mut Request<'_>,
    ) -> Result<Response, Error> {
        let mut url = request.url.clone();
        let mut challenged = false;
        for _ in 0..=MAX_REDIRECTS {
            let home = session.root.is_same_origin(&url);
            let authorization = if home {
                session.authorization(self, &request.scopes, request.doing)?
            } else {
                None
            };
            let authorization = authorization.as_ref().map(Secret::reveal);
            let response = self.exchange(&url, request, authorization)?;
            let can_repeat = !matches!(request.body, Payload::Stream(..));
            if response.status == 401 && home && can_repeat && !challenged {
                challenged = true;
                if session.learn(&response, &mut request.scopes) {
                    response.discard();
                    continue;
                }
            }
            let Some(next) = redirect(&response, &url, request)? else {
                return Ok(response);
            };
            response.discard();
            url = next;
        }
        let problem = format!("more than {MAX_REDIRECTS} redirects");
        Err(Error::protocol(request.doing, &session.registry, problem))
    }

    /// Sends one request to one place.
    pub(crate) fn exchange(
        &self,
        url: &Url,
        request: &mut Request<'_>,
        authorization: Option<&str>,
    ) -> Result<Response, Error> {
        let agent = self.agents().of(url, self.options(), request.doing)?;
        let failed = |error| Error::connection(request.doing, &url.authority, error);
        let mut builder = ureq::http::Request::builder()
            .method(request.method.clone())
            .uri(url.full());
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        if let Some(value) = authorization {
            builder = builder.header("authorization", value);
        }
        let mut bytes: &[u8] = &[];
        let takes_body = matches!(request.method, Method::POST | Method::PUT | Method::PATCH);
        let (reader, length): (&mut dyn Read, _) = match &mut request.body {
            Payload::None => (&mut bytes, Some(0)),
            Payload::Bytes(all) => {
                bytes = all;
                let length = bytes.len() as u64;
                (&mut bytes, Some(length))
            }
            Payload::Stream(reader, length) => (*reader, *length),
        };
        let response = if takes_body {
            if let Some(length) = length {
                builder = builder.header("content-length", length.to_string());
            }
            let body = SendBody::from_reader(reader);
            run(&agent, builder.body(body), request.patient)
        } else {
            run(&agent, builder.body(()), request.patient)
        };
        let response = response.map_err(failed)?;
        let (parts, body) = response.into_parts();
        Ok(Response {
            status: parts.status.as_u16(),
            url: url.clone(),
            headers: parts.headers,
            body,
        })
    }
}

fn run(
    agent: &Agent,
    request: Result<ureq::http::Request<impl AsSendBody>, ureq::http::Error>,
    patient: bool,
) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
    let request = request?;
    if !patient {
        return agent.run(request);
    }
    let config = agent.configure_request(request);
    agent.run(config.timeout_per_read(Some(LONG_SILENCE)).build())
}

/// Returns where the answer sends us, if it does so and if what was asked can be asked there.
fn redirect(response: &Response, url: &Url, request: &Request<'_>) -> Result<Option<Url>, Error> {
    let is_redirect = matches!(response.status, 301 | 302 | 303 | 307 | 308);
    let can_follow = request.method == Method::GET || request.method == Method::HEAD;
    if !is_redirect || !can_follow {
        return Ok(None);
    }
    let Some(location) = response.header("location") else {
        return Ok(None);
    };
    follow(url, location, request.doing).map(Some)
}

/// Returns where `location` is, seen from `url`, if anything may be sent there.
pub(crate) fn follow(url: &Url, location: &str, doing: &str) -> Result<Url, Error> {
    let refused = |location: String, refusal| Error::Redirect {
        doing: doing.to_owned(),
        host: url.authority.clone(),
        location,
        refusal,
    };
    let next = url
        .join(location)
        .map_err(|refusal| refused("no place at all".to_owned(), refusal))?;
    match url.check_step_to(&next) {
        Ok(()) => Ok(next),
        Err(refusal) => Err(refused(next.to_string(), refusal)),
    }
}
