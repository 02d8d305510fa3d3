//! A Docker Engine, or podman's service, of a test's own: started by hand, with folders of its own.
//!
//! Each lives in a mount namespace of its own, so that nothing stays mounted when it ends. It ends by its process id.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fs_err as fs;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::program::{Ran, requires, requires_root};

/// How long a daemon may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whose daemon it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `dockerd`.
    Docker,
    /// `podman system service`.
    Podman,
}

/// Both kinds.
pub const KINDS: [Kind; 2] = [Kind::Docker, Kind::Podman];

/// A daemon that ends when this is dropped.
#[derive(Debug)]
pub struct Daemon {
    kind: Kind,
    child: Child,
    dir: TempDir,
}

/// Limits and runtime as small machines need them: no right to raise limits, version 1 of cgroups.
const CONTAINERS_CONF: &str = r#"[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"#;

impl Daemon {
    /// Starts a daemon and waits until it answers; none where a program or root is missing.
    pub fn start(kind: Kind) -> Option<Self> {
        let programs: &[&str] = match kind {
            Kind::Docker => &["dockerd", "docker", "containerd", "runc", "unshare"],
            Kind::Podman => &["podman", "runc", "unshare"],
        };
        if !requires(programs) || !requires_root() {
            return None;
        }
        // Short: the path of a socket has to fit into 108 bytes.
        let dir = tempfile::Builder::new()
            .prefix("sw-engine-")
            .tempdir_in("/tmp")
            .unwrap();
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let child = command(kind, &dir)
            .stdin(Stdio::null())
            .stdout(log.file().try_clone().unwrap())
            .stderr(log.into_parts().0)
            .spawn()
            .unwrap();
        let mut daemon = Self { kind, child, dir };
        daemon.wait_until_it_answers();
        Some(daemon)
    }

    /// Returns where it listens, as `DOCKER_HOST` says it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Returns its socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// Runs its own client, which must succeed, and returns what that printed.
    pub fn run(&self, args: &[&str]) -> String {
        let mut client = match self.kind {
            Kind::Docker => Command::new("docker"),
            Kind::Podman => {
                let mut podman = Command::new("podman");
                podman.args(["--remote", "--url", &self.host()]);
                podman
            }
        };
        client.env("DOCKER_HOST", self.host()).args(args);
        Ran::of(&mut client).ok()
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn wait_until_it_answers(&mut self) {
        let begin = Instant::now();
        while !self.answers() {
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() || begin.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.dir.path().join("log")).unwrap();
                panic!("{:?} does not answer: {ended:?}\n{log}", self.kind);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn answers(&self) -> bool {
        let ping = || -> io::Result<Vec<u8>> {
            let mut stream = UnixStream::connect(self.socket())?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(b"GET /_ping HTTP/1.0\r\n\r\n")?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok(answer)
        };
        ping().is_ok_and(|answer| answer.ends_with(b"OK"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            kill_process(Pid::from_child(&self.child), Signal::TERM).ok();
        }
        let begin = Instant::now();
        while let Ok(None) = self.child.try_wait() {
            if begin.elapsed() > PATIENCE {
                self.child.kill().ok();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn command(kind: Kind, dir: &TempDir) -> Command {
    let path = |name: &str| dir.path().join(name).display().to_string();
    let socket = format!("unix://{}", path("socket"));
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]);
    match kind {
        Kind::Docker => {
            let (data, exec, pid) = (path("data"), path("exec"), path("pid"));
            command.args(["dockerd", "--data-root", &data, "--exec-root", &exec]);
            command.args(["--pidfile", &pid, "--host", &socket, "--bridge=none"]);
            command.args([
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
            ]);
        }
        Kind::Podman => {
            fs::write(path("containers.conf"), CONTAINERS_CONF).unwrap();
            command.env("CONTAINERS_CONF", path("containers.conf"));
            command.args(["podman", "--root", &path("root"), "--runroot", &path("run")]);
            command.args(["--tmpdir", &path("tmp"), "system", "service"]);
            command.args(["--time", "0", &socket]);
        }
    }
    command
}

/// A socket in front of a daemon's, which counts what goes through it and can break.
#[derive(Debug)]
pub struct Relay {
    dir: TempDir,
    sent: Arc<AtomicU64>,
}

impl Relay {
    /// Begins to relay; a connection breaks once more than `most` bytes went from it to the daemon.
    pub fn to(daemon: &Daemon, most: u64) -> Self {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let listener = UnixListener::bind(dir.path().join("socket")).unwrap();
        let (sent, target) = (Arc::new(AtomicU64::new(0)), daemon.socket());
        let count = Arc::clone(&sent);
        // It ends with the test program: nobody waits for a connection that may come.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, daemon) = (client.unwrap(), UnixStream::connect(&target).unwrap());
                let count = Arc::clone(&count);
                let (mut from, mut to) = (daemon.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || {
                    io::copy(&mut from, &mut to).ok();
                    to.shutdown(std::net::Shutdown::Both).ok();
                });
                std::thread::spawn(move || forward(client, daemon, &count, most));
            }
        });
        Self { dir, sent }
    }

    /// Returns where it listens.
    pub fn host(&self) -> String {
        format!("unix://{}", self.dir.path().join("socket").display())
    }

    /// Returns how many bytes went to the daemon since this was asked last.
    pub fn sent(&self) -> u64 {
        self.sent.swap(0, Ordering::SeqCst)
    }
}

fn forward(mut client: UnixStream, mut daemon: UnixStream, count: &AtomicU64, most: u64) {
    let mut buffer = vec![0; 64 << 10];
    let mut total = 0;
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        count.fetch_add(read as u64, Ordering::SeqCst);
        total += read as u64;
        if total > most || daemon.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    daemon.shutdown(std::net::Shutdown::Both).ok();
    client.shutdown(std::net::Shutdown::Both).ok();
}
