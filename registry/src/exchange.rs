//! One request and its answer: credentials, redirects, tries.
//!
//! Redirects are followed here and not by the HTTP library: credentials go to the registry's own host and to no other,
//! and never from TLS to plain text.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use layout::text::printable;
use ureq::http::{HeaderMap, Method};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, AsSendBody, Proxy, ProxyProtocol, SendBody};

use crate::client::{Client, Options};
use crate::error::Error;
use crate::host;
use crate::keychain::Secret;
use crate::patience::{Paced, Patience};
use crate::retry::Trouble;
use crate::session::Session;
use crate::url::{Scheme, Url};

const MAX_REDIRECTS: usize = 8;

/// Characters of a place that an error shows.
const MAX_SHOWN: usize = 200;

/// What is read of an answer that is only looked at or thrown away.
pub(crate) const MAX_MESSAGE: u64 = 8 << 10;

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
    /// How the answer comes.
    pub(crate) pace: Pace,
    /// Whether the host speaks TLS is all that is to be found out: nobody's certificate is good, and none is read.
    pub(crate) is_probe: bool,
}

/// How long an answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Not long.
    Usual,
    /// It begins late.
    Thought,
    /// It is a blob, and may go on for as long as it does go on.
    Blob,
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
            pace: Pace::Usual,
            is_probe: false,
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
    patience: Patience,
}

/// The body of an answer.
pub(crate) type Body = Paced<ureq::BodyReader<'static>>;

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn headers<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let all = self.headers.get_all(name).into_iter();
        all.filter_map(|it| it.to_str().ok())
    }

    pub(crate) fn into_reader(self) -> Body {
        Paced::new(self.body.into_reader(), &self.patience)
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
    scheme: Scheme,
    /// Whether certificates must be good.
    careful: bool,
    is_probe: bool,
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
    fn of(&self, request: &Request<'_>, url: &Url, options: &Options) -> Result<Agent, Error> {
        let (doing, is_probe) = (request.doing, request.is_probe);
        let insecure = host::is_insecure(&url.authority, &options.insecure);
        let proxy = options.proxies.before(url);
        let key = AgentKey {
            scheme: url.scheme,
            // What speaks plain text itself may stand behind a proxy that does not.
            careful: url.scheme == Scheme::Http || !insecure,
            is_probe,
            proxy: proxy.map(str::to_owned),
        };
        let mut agents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let malformed = |error| Error::connection(doing, &url.authority, error);
        let proxy = proxy.map(Proxy::new).transpose().map_err(malformed)?;
        let is_tls = |it: &Proxy| it.protocol() == ProxyProtocol::Https;
        let is_proxy_tls = proxy.as_ref().is_some_and(is_tls);
        if is_proxy_tls && !key.careful {
            // One client checks all certificates or none, and the proxy may get a password.
            return Err(Error::InsecureBehindProxy {
                doing: doing.to_owned(),
                host: url.authority.clone(),
            });
        }
        let tls = if !key.careful {
            tls().disable_verification(true)
        } else if is_probe || url.scheme == Scheme::Http && !is_proxy_tls {
            // No certificate is looked at: nothing is read that is not needed.
            tls()
        } else {
            let certificates = options.trust.load().map_err(Error::Trust)?;
            tls().root_certs(RootCerts::from(certificates))
        };
        let agent = agent(options, tls.build(), proxy);
        agents.insert(key, agent.clone());
        Ok(agent)
    }
}

fn tls() -> ureq::tls::TlsConfigBuilder {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider)
        // Good for a client that does not look at them, or speaks no TLS.
        .root_certs(RootCerts::from(Vec::new()))
}

fn agent(options: &Options, tls: TlsConfig, proxy: Option<Proxy>) -> Agent {
    Agent::config_builder()
        .proxy(proxy)
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(options.user_agent.as_str())
        .timeout_connect(Some(options.patience.connect))
        .timeout_per_read(Some(options.patience.answer))
        .timeout_per_write(Some(options.patience.answer))
        .timeout_recv_response(Some(options.patience.answer))
        .timeout_recv_body(Some(options.patience.document))
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
                if session.learn(&response, &request.scopes) {
                    response.discard();
                    continue;
                }
            }
            let Some(next) = self.redirect(&response, &url, request)? else {
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
        let agent = self.agents().of(request, url, self.options())?;
        let patience = &self.options().patience;
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
            run(&agent, builder.body(body), request.pace, patience)
        } else {
            run(&agent, builder.body(()), request.pace, patience)
        };
        let response = response.map_err(failed)?;
        let (parts, body) = response.into_parts();
        Ok(Response {
            status: parts.status.as_u16(),
            url: url.clone(),
            headers: parts.headers,
            body,
            patience: patience.clone(),
        })
    }

    /// Returns where the answer sends us, if it does so and if what was asked can be asked there.
    fn redirect(
        &self,
        response: &Response,
        url: &Url,
        request: &Request<'_>,
    ) -> Result<Option<Url>, Error> {
        let is_redirect = matches!(response.status, 301 | 302 | 303 | 307 | 308);
        let can_follow = request.method == Method::GET || request.method == Method::HEAD;
        if !is_redirect || !can_follow {
            return Ok(None);
        }
        let Some(location) = response.header("location") else {
            return Ok(None);
        };
        self.follow(url, location, request.doing).map(Some)
    }

    /// Returns where `location` is, seen from `url`, if anything may be sent there.
    pub(crate) fn follow(&self, url: &Url, location: &str, doing: &str) -> Result<Url, Error> {
        let refused = |location: String, refusal| Error::Redirect {
            doing: doing.to_owned(),
            host: url.authority.clone(),
            location: printable(&location, MAX_SHOWN),
            refusal,
        };
        let next = url
            .join(location)
            .map_err(|refusal| refused("no place at all".to_owned(), refusal))?;
        match url.check_step_to(&next, &self.options().insecure) {
            Ok(()) => Ok(next),
            Err(refusal) => Err(refused(next.to_string(), refusal)),
        }
    }
}

fn run(
    agent: &Agent,
    request: Result<ureq::http::Request<impl AsSendBody>, ureq::http::Error>,
    pace: Pace,
    patience: &Patience,
) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
    let request = request?;
    let thought = Some(patience.thought);
    match pace {
        Pace::Usual => agent.run(request),
        Pace::Thought => {
            let config = agent.configure_request(request);
            let config = config.timeout_per_read(thought);
            agent.run(config.timeout_recv_response(thought).build())
        }
        // Neither too slow a body nor one that pauses is, see `Paced` and the time of each read.
        Pace::Blob => {
            let config = agent.configure_request(request);
            agent.run(config.timeout_recv_body(None).build())
        }
    }
}
