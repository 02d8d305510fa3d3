//! A small root filesystem, and containers on it.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, OnceLock};

use sandbox::runtime::{Error, Streams};
use sandbox::{Container, Exit, Mount, Network, Root, Running, Runtime, User, Way};

pub(crate) const WAYS: [&str; 3] = ["root", "many ids", "one id"];
pub(crate) const RUNTIMES: [&str; 3] = ["own", "runc", "crun"];

/// Who a container's program is by default.
pub(crate) const USER: User = User {
    uid: 1000,
    gid: 1000,
};

/// A test's name, and what it does.
pub(crate) type Test = (&'static str, fn(&mut World));

/// A way, a runtime, and a root filesystem for them.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) way: Way,
    pub(crate) runtime: Runtime,
    pub(crate) layers: Vec<PathBuf>,
    /// A folder of this test's own.
    pub(crate) dir: tempfile::TempDir,
    /// Where runs keep their files, if not there.
    pub(crate) scratch: Option<PathBuf>,
}

/// How a container ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    pub(crate) fn get(way: &str, runtime: &str) -> Self {
        let runtime = match runtime {
            "own" => Runtime::Own,
            other => Runtime::Program(which(other).unwrap()),
        };
        Self {
            way: Way::named(way, USER).unwrap().unwrap(),
            runtime,
            layers: layers(),
            dir: tempfile::tempdir_in(dir()).unwrap(),
            scratch: None,
        }
    }

    pub(crate) fn is_own(&self) -> bool {
        self.runtime == Runtime::Own
    }

    /// A folder of the machine's with a name of its own.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.dir.path().join(name);
        fs_err::create_dir_all(&folder).unwrap();
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&folder, Some(USER.uid), Some(USER.gid)).unwrap();
        }
        folder
    }

    /// A layer of this test's own, on top of the others.
    pub(crate) fn layer(&mut self) -> PathBuf {
        let layer = self.dir.path().join(format!("layer-{}", self.layers.len()));
        fs_err::create_dir_all(&layer).unwrap();
        self.layers.push(layer.clone());
        layer
    }

    pub(crate) fn is(&self, way: &str) -> bool {
        self.way.name() == way
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        let own = || self.dir.path().join("scratch");
        self.scratch.clone().unwrap_or_else(own)
    }

    /// Runs a shell script with these mounts.
    pub(crate) fn shell(&self, script: &str, mounts: Vec<Mount>) -> Outcome {
        self.run(&Container {
            mounts,
            ..self.container(script)
        })
    }

    /// A container with a shell script.
    pub(crate) fn container(&self, script: &str) -> Container {
        Container {
            root: Root::Layers(self.layers.clone()),
            mounts: Vec::new(),
            user: USER,
            capabilities: Vec::new(),
            args: ["/bin/sh", "-c", script].map(OsString::from).to_vec(),
            env: vec![("PATH".into(), "/bin".into())],
            cwd: "/".into(),
            network: Network::Host,
        }
    }

    pub(crate) fn run(&self, container: &Container) -> Outcome {
        self.try_run(container).unwrap()
    }

    pub(crate) fn try_run(&self, container: &Container) -> Result<Outcome, Error> {
        let mut running = self.start(container)?;
        let mut err = running.take_stderr().unwrap();
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            err.read_to_string(&mut text).unwrap();
            text
        });
        let mut out = String::new();
        running
            .take_stdout()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        let exit = running.wait()?;
        let err = errors.join().unwrap();
        assert_eq!(left(&self.scratch()), Vec::<OsString>::new(), "left behind");
        Ok(Outcome { exit, out, err })
    }

    pub(crate) fn start(&self, container: &Container) -> Result<Running, Error> {
        let streams = Streams {
            stdin: Stdio::null(),
            stdout: Stdio::piped(),
            stderr: Stdio::piped(),
        };
        self.runtime
            .start(&self.way, container, &self.scratch(), streams)
    }
}

impl Outcome {
    /// Returns what was written, if all went well.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.exit, Exit::Code(0), "{self:?}");
        self.out
    }
}

pub(crate) fn bind(source: &Path, target: &str) -> Mount {
    Mount::Bind {
        source: source.to_owned(),
        target: target.into(),
        read_only: false,
    }
}

pub(crate) fn read_only(source: &Path, target: &str) -> Mount {
    Mount::Bind {
        source: source.to_owned(),
        target: target.into(),
        read_only: true,
    }
}

/// Something that is another test's to look at: a name that no other process has.
pub(crate) fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "{}.{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Processes whose arguments hold this text.
pub(crate) fn processes(text: &str) -> Vec<i32> {
    left(Path::new("/proc"))
        .iter()
        .filter_map(|it| it.to_str()?.parse().ok())
        .filter(|pid| {
            let args = fs_err::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&args).contains(text)
        })
        .collect()
}

/// Waits for something, at most five seconds.
pub(crate) fn eventually(what: &str, is: impl Fn() -> bool) {
    let begin = std::time::Instant::now();
    while !is() {
        assert!(begin.elapsed().as_secs() < 5, "in vain: {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Names in a folder; none if there is no folder.
pub(crate) fn left(folder: &Path) -> Vec<OsString> {
    let Ok(entries) = fs_err::read_dir(folder) else {
        return Vec::new();
    };
    entries.map(|it| it.unwrap().file_name()).collect()
}

/// A folder of this process's own that every user can look into.
pub(crate) fn dir() -> PathBuf {
    let mut dir = DIR.lock().unwrap();
    dir.get_or_insert_with(|| {
        let dir = tempfile::tempdir().unwrap();
        fs_err::set_permissions(dir.path(), mode(0o755)).unwrap();
        dir
    })
    .path()
    .to_owned()
}

static DIR: Mutex<Option<tempfile::TempDir>> = Mutex::new(None);

/// Removes what was made here.
pub(crate) fn clear() {
    if let Some(dir) = DIR.lock().unwrap().take() {
        dir.close().unwrap();
    }
}

/// Two layers: busybox, and one with what the tests look for.
fn layers() -> Vec<PathBuf> {
    static LAYERS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    LAYERS.get_or_init(make_layers).clone()
}

fn make_layers() -> Vec<PathBuf> {
    let (base, top) = (dir().join("layers/base"), dir().join("layers/top"));
    for folder in ["bin", "etc", "home/cnb", "proc", "tmp", "usr", "var"] {
        fs_err::create_dir_all(base.join(folder)).unwrap();
    }
    let busybox = base.join("bin/busybox");
    fs_err::copy("/bin/busybox", &busybox).unwrap();
    let list = std::process::Command::new(&busybox)
        .arg("--list")
        .output()
        .unwrap();
    for applet in String::from_utf8(list.stdout)
        .unwrap()
        .lines()
        .filter(|&it| it != "busybox")
    {
        symlink("busybox", base.join("bin").join(applet)).unwrap();
    }
    for name in ["lib", "lib64"] {
        symlink(format!("usr/{name}"), base.join(name)).unwrap();
    }
    fs_err::set_permissions(base.join("tmp"), mode(0o1777)).unwrap();
    fs_err::write(
        base.join("etc/passwd"),
        "root:x:0:0::/:/bin/sh\ncnb:x:1000:1000::/home/cnb:/bin/sh\n",
    )
    .unwrap();
    fs_err::write(base.join("etc/motd"), "base\n").unwrap();
    fs_err::create_dir_all(top.join("etc")).unwrap();
    fs_err::write(top.join("etc/motd"), "top\n").unwrap();
    vec![base, top]
}

pub(crate) fn which(program: &str) -> Option<PathBuf> {
    [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ]
    .iter()
    .map(|it| Path::new(it).join(program))
    .find(|it| it.is_file())
}

/// Returns false, and says so, where a program is missing; fails instead in CI, which must have it.
pub(crate) fn requires(programs: &[&str]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|it| which(it).is_none()).collect();
    missing.is_empty() || skip(&format!("needs {missing:?}"))
}

pub(crate) fn requires_runtime(runtime: &str) -> bool {
    requires(&["busybox"]) && (runtime == "own" || requires(&[runtime]))
}

pub(crate) fn has_many() -> bool {
    matches!(Way::named("many ids", USER), Some(Ok(_)))
}

pub(crate) fn skip(reason: &str) -> bool {
    #[allow(
        clippy::disallowed_methods,
        reason = "tests are told by CI, not by a platform"
    )]
    let ci = std::env::var_os("CI").is_some_and(|it| it == "true");
    assert!(!ci, "skipped in CI: {reason}");
    eprintln!("skipped: {reason}");
    false
}

pub(crate) fn mode(mode: u32) -> std::fs::Permissions {
    std::fs::Permissions::from_mode(mode)
}
