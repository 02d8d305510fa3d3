//! Debian's `docker-registry` on a free port of this machine: open to all, with a password, with TLS, with tokens.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use fs_err as fs;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Answer, Listener, Request};
use crate::image::read_blob;
use crate::program::{requires, run};

/// Who may do everything where there are passwords.
pub const USER: &str = "someone";
/// That user's password.
pub const PASSWORD: &str = "open sesame";

/// A registry; its process ends and its folder goes when it is dropped.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    port: u16,
    dir: TempDir,
    /// `user:password` of who takes images in.
    login: Option<String>,
    tokens: Option<TokenServer>,
}

impl Registry {
    /// Returns false, and says so, where programs for registries are missing; fails instead in CI.
    pub fn is_possible() -> bool {
        requires(&["docker-registry", "htpasswd", "openssl", "curl"])
    }

    /// Starts a registry that asks nobody who he is.
    pub fn start() -> Self {
        Self::start_with(folder(), "", None)
    }

    /// Starts one that asks for [`USER`] and [`PASSWORD`] with each request.
    pub fn with_password() -> Self {
        let dir = folder();
        let auth = htpasswd(dir.path(), USER, PASSWORD);
        let mut registry = Self::start_with(dir, &auth, None);
        registry.login = Some(format!("{USER}:{PASSWORD}"));
        registry
    }

    /// Starts one on a port that is not free to choose, open to all or with a user and a password.
    pub fn at_port(port: u16, login: Option<(&str, &str)>) -> Self {
        let dir = folder();
        let auth = login.map(|(user, password)| htpasswd(dir.path(), user, password));
        let started = Self::start_at(port, dir, &auth.unwrap_or_default(), None);
        let mut registry = started.unwrap_or_else(|(dir, _)| fail(&dir));
        registry.login = login.map(|(user, password)| format!("{user}:{password}"));
        registry
    }

    /// Starts one that speaks TLS, with a certificate for `localhost` and 127.0.0.1 by the CA of [`Self::ca`].
    pub fn with_tls() -> Self {
        let dir = folder();
        make_certificates(dir.path());
        let (certificate, key) = (dir.path().join("server.pem"), dir.path().join("server.key"));
        let tls = format!(
            "  tls:\n    certificate: {}\n    key: {}\n",
            certificate.display(),
            key.display()
        );
        Self::start_with(dir, &tls, None)
    }

    /// Starts one that takes tokens of a server on another port, which knows [`USER`] and [`PASSWORD`].
    pub fn with_tokens() -> Self {
        let dir = folder();
        make_certificates(dir.path());
        let tokens = TokenServer::start(dir.path());
        let auth = format!(
            "auth:\n  token:\n    realm: http://{}/token\n    service: test-registry\n    issuer: test\n    rootcertbundle: {}\n",
            tokens.listener.address(),
            dir.path().join("ca.pem").display()
        );
        Self::start_with(dir, &auth, Some(tokens))
    }

    fn start_with(mut dir: TempDir, more: &str, mut tokens: Option<TokenServer>) -> Self {
        for _ in 0..5 {
            match Self::start_at(free_port(), dir, more, tokens.take()) {
                Ok(started) => return started,
                Err(back) => (dir, tokens) = back,
            }
        }
        fail(&dir)
    }

    /// Gives back what it got where it does not start: somebody else may have been quicker to take the port.
    fn start_at(
        port: u16,
        dir: TempDir,
        more: &str,
        tokens: Option<TokenServer>,
    ) -> Result<Self, (TempDir, Option<TokenServer>)> {
        let config = dir.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:{port}\n{more}",
            dir.path().join("storage").display()
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(log.into_parts().0)
            .spawn()
            .unwrap();
        if !is_up(&mut process, port) {
            return Err((dir, tokens));
        }
        Ok(Self {
            process,
            port,
            dir,
            login: None,
            tokens,
        })
    }

    /// Returns `127.0.0.1:<port>`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the name of an image there.
    pub fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.address())
    }

    /// Returns the certificate of the CA of a registry with TLS.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Returns the folder in which it keeps everything.
    pub fn storage(&self) -> PathBuf {
        self.dir.path().join("storage/docker/registry/v2")
    }

    /// Returns how many tokens were given out, by GET and by POST.
    pub fn tokens_given(&self) -> usize {
        let tokens = self.tokens.as_ref();
        tokens.map_or(0, |it| it.requests.lock().unwrap().len())
    }

    /// Takes an image of a layout in, whatever its media types are: the blobs, and then its manifest by its digest.
    pub fn take_image(&self, repository: &str, layout: &Path, image: &Value) {
        let manifest = read_blob(layout, image);
        let parsed: Value = serde_json::from_slice(&manifest).unwrap();
        let layers = parsed["layers"].as_array().expect("layers");
        for blob in layers.iter().chain([&parsed["config"]]) {
            self.take_blob(repository, layout, blob);
        }
        let digest = image["digest"].as_str().expect("a digest");
        let media_type = image["mediaType"].as_str().expect("a media type");
        self.take_manifest(repository, digest, media_type, &manifest);
    }

    fn take_blob(&self, repository: &str, layout: &Path, blob: &Value) {
        let digest = blob["digest"].as_str().expect("a digest");
        self.take_bytes(repository, digest, &read_blob(layout, blob));
    }

    /// Takes a blob in.
    pub fn take_bytes(&self, repository: &str, digest: &str, bytes: &[u8]) {
        let url = format!("http://{}/v2/{repository}/blobs/uploads/", self.address());
        let headers = self.curl(repository, &["-D", "-", "-X", "POST", &url]);
        let mut lines = headers.lines();
        let place = lines.find_map(|it| it.strip_prefix("Location: "));
        let url = format!("{}&digest={digest}", place.expect("a place").trim());
        self.send(repository, &url, "application/octet-stream", bytes);
    }

    /// Takes a manifest or an index in, under a tag or its digest.
    pub fn take_manifest(&self, repository: &str, name: &str, media_type: &str, bytes: &[u8]) {
        let url = format!("http://{}/v2/{repository}/manifests/{name}", self.address());
        self.send(repository, &url, media_type, bytes);
    }

    fn send(&self, repository: &str, url: &str, media_type: &str, bytes: &[u8]) {
        let file = self.dir.path().join("sent");
        fs::write(&file, bytes).unwrap();
        let (kind, body) = (
            format!("Content-Type: {media_type}"),
            format!("@{}", file.display()),
        );
        let put = ["-X", "PUT", "-H", &kind, "--data-binary", &body, url];
        self.curl(repository, &put);
    }

    fn curl(&self, repository: &str, args: &[&str]) -> String {
        let login = match (&self.login, &self.tokens) {
            (Some(login), _) => vec!["-u".to_owned(), login.clone()],
            (None, Some(_)) => {
                let access = json!([{"type": "repository", "name": repository, "actions": ["pull", "push"]}]);
                let token = token(&access, self.dir.path());
                vec!["-H".to_owned(), format!("Authorization: Bearer {token}")]
            }
            (None, None) => Vec::new(),
        };
        let login: Vec<_> = login.iter().map(String::as_str).collect();
        run("curl", &[&["-sSf"], &login[..], args].concat())
    }

    /// Returns all repositories and their tags, sorted, with the digest of each.
    pub fn tags(&self) -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        let repositories = self.storage().join("repositories");
        for entry in files_below(&repositories) {
            let (Some(folder), true) = (entry.parent(), entry.ends_with("current/link")) else {
                continue;
            };
            let below = folder.strip_prefix(&repositories).unwrap();
            let below = below.to_str().unwrap();
            let (name, tag) = below.split_once("/_manifests/tags/").unwrap();
            let tag = tag.strip_suffix("/current").unwrap();
            let digest = fs::read_to_string(&entry).unwrap();
            found.push((name.to_owned(), tag.to_owned(), digest));
        }
        found.sort();
        found
    }

    /// Returns a blob or a manifest of a repository.
    pub fn blob(&self, repository: &str, digest: &str) -> Option<Vec<u8>> {
        let (algorithm, hex) = digest.split_once(':')?;
        let of = self.storage().join("repositories").join(repository);
        let is_there = |kind: &str| {
            of.join(kind)
                .join(algorithm)
                .join(hex)
                .join("link")
                .exists()
        };
        if !is_there("_layers") && !is_there("_manifests/revisions") {
            return None;
        }
        let folder = self.storage().join("blobs").join(algorithm);
        fs::read(folder.join(&hex[..2]).join(hex).join("data")).ok()
    }

    /// Ends the process, as an accident would; [`Self::restart`] makes it go on.
    pub fn stop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }

    /// Starts the process anew, at the same port and with what it had.
    pub fn restart(&mut self) {
        self.process = Command::new("docker-registry")
            .arg("serve")
            .arg(self.dir.path().join("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        assert!(
            is_up(&mut self.process, self.port),
            "it does not start again"
        );
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns the header that shows that we are [`USER`].
pub fn basic_header() -> String {
    format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"))
    )
}

/// Makes the file of passwords, and returns the part of the configuration that names it.
fn htpasswd(dir: &Path, user: &str, password: &str) -> String {
    let file = dir.join("htpasswd");
    let line = run("htpasswd", &["-nbB", user, password]);
    fs::write(&file, line).unwrap();
    let file = file.display();
    format!("auth:\n  htpasswd:\n    realm: test\n    path: {file}\n")
}

/// Returns all files below a folder.
fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| {
        if path.is_dir() {
            files_below(&path)
        } else {
            vec![path]
        }
    };
    paths.flat_map(below).collect()
}

fn fail(dir: &TempDir) -> ! {
    let log = fs::read_to_string(dir.path().join("log")).unwrap_or_default();
    panic!("docker-registry does not start: {log}");
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits until the port is open; false if the process ended instead.
fn is_up(process: &mut Child, port: u16) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(20) {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    process.kill().ok();
    process.wait().ok();
    false
}

/// Makes `ca.pem` with its key, and a server's certificate by it.
fn make_certificates(dir: &Path) {
    let path = |name: &str| dir.join(name).display().to_string();
    let extension = "subjectAltName=DNS:localhost,IP:127.0.0.1";
    fs::write(dir.join("extension"), extension).unwrap();
    let openssl = |text: &str| {
        let args: Vec<_> = text
            .split(' ')
            .map(|it| it.replace('~', &path("")))
            .collect();
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        run("openssl", &args);
    };
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout ~ca.key -out ~ca.pem -days 2 -subj /CN=test-ca",
    );
    openssl("req -newkey rsa:2048 -nodes -keyout ~server.key -out ~server.csr -subj /CN=localhost");
    openssl(
        "x509 -req -in ~server.csr -CA ~ca.pem -CAkey ~ca.key -CAcreateserial -days 2 -extfile ~extension -out ~server.pem",
    );
    openssl("x509 -in ~ca.pem -outform DER -out ~ca.der");
}

/// Gives out tokens for whatever is asked, to whoever knows the password; and for reading, to everybody.
#[derive(Debug)]
struct TokenServer {
    listener: Listener,
    requests: Arc<Mutex<Vec<String>>>,
}

/// The identity token that the token server takes by POST.
pub const IDENTITY_TOKEN: &str = "identity-of-someone";

impl TokenServer {
    fn start(dir: &Path) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, dir) = (Arc::clone(&requests), dir.to_owned());
        let listener = Listener::answering(move |request| {
            seen.lock().unwrap().push(request.head.method.clone());
            answer(request, &dir)
        });
        Self { listener, requests }
    }
}

fn answer(request: &Request, dir: &Path) -> Answer {
    let form = String::from_utf8_lossy(&request.body).into_owned();
    let query = request.head.target.split_once('?').map(|(_, query)| query);
    let parameters = parameters(query.unwrap_or(&form));
    let values = |name: &str| {
        let all = parameters.iter().filter(move |(it, _)| it == name);
        all.flat_map(|(_, value)| value.split(' ').map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let is_known = match request.head.header("authorization") {
        Some(header) if header == basic_header() => true,
        Some(_) => {
            return Answer::of(
                401,
                r#"{"errors":[{"code":"UNAUTHORIZED","message":"wrong password"}]}"#,
            );
        }
        None => values("refresh_token") == [IDENTITY_TOKEN],
    };
    let access: Vec<_> = values("scope")
        .iter()
        .filter_map(|scope| {
            let mut parts = scope.split(':');
            let (kind, name, actions) = (parts.next()?, parts.next()?, parts.next()?);
            let actions: Vec<_> = actions
                .split(',')
                .filter(|it| is_known || *it == "pull")
                .collect();
            Some(json!({"type": kind, "name": name, "actions": actions}))
        })
        .collect();
    let token = token(&json!(access), dir);
    Answer::of(200, json!({"token": token, "expires_in": 300}).to_string())
}

fn parameters(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter_map(|it| it.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let hex: String = rest.by_ref().take(2).map(char::from).collect();
            bytes.extend(u8::from_str_radix(&hex, 16));
        } else {
            bytes.push(if byte == b'+' { b' ' } else { byte });
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns a JSON web token that the CA's key signed.
fn token(access: &Value, dir: &Path) -> String {
    static SERIAL: Mutex<u32> = Mutex::new(0);
    let serial = {
        let mut serial = SERIAL.lock().unwrap();
        *serial += 1;
        *serial
    };
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let certificate = BASE64_STANDARD.encode(fs::read(dir.join("ca.der")).unwrap());
    let header = json!({"typ": "JWT", "alg": "RS256", "x5c": [certificate]});
    let claims = json!({
        "iss": "test", "sub": USER, "aud": "test-registry", "jti": serial.to_string(),
        "iat": now - 10, "nbf": now - 10, "exp": now + 300, "access": access,
    });
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    let input = dir.join(format!("token-{serial}"));
    let output = dir.join(format!("signature-{serial}"));
    fs::write(&input, &signed).unwrap();
    let path = |it: &Path| it.display().to_string();
    let key = path(&dir.join("ca.key"));
    run(
        "openssl",
        &[
            "dgst",
            "-sha256",
            "-sign",
            &key,
            "-out",
            &path(&output),
            &path(&input),
        ],
    );
    format!("{signed}.{}", encode(&fs::read(&output).unwrap()))
}
