//! Who runs a test: root, `nobody`, or a user made for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use nix::unistd::geteuid;

/// Name of the user with many ids, if it was made.
static MADE: Mutex<Option<String>> = Mutex::new(None);

/// True if this process is who tests of a way run as.
pub(crate) fn is_for(way: &str) -> bool {
    geteuid().is_root() == (way == "root")
}

/// Returns false, and says so, where a way cannot be tried by this user; fails instead in CI.
pub(crate) fn requires(way: &str) -> bool {
    if geteuid().is_root() {
        return way == "root" || crate::kit::requires(&["setpriv", "useradd", "newuidmap"]);
    }
    // A plain user has one of the two, and no way to the rest.
    way == "one id"
        || (way == "many ids" && crate::kit::has_many())
        || crate::kit::skip("needs root")
}

/// Returns how a test went that this program runs as the user for its way, with all others of that way at once.
pub(crate) fn run_as(way: &str, test: &str) -> Result<(), String> {
    static RUNS: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    let mut runs = RUNS.lock().unwrap();
    if !runs.contains_key(way) {
        runs.insert(way.to_owned(), run_all_as(way)?);
    }
    let said = &runs[way];
    let line = said
        .lines()
        .find(|it| it.starts_with(&format!("test {test} ")));
    if line.is_some_and(|it| it.ends_with(" ok")) {
        return Ok(());
    }
    let title = format!("---- {test} ----");
    let found = said
        .split_once(&title)
        .map(|it| it.1.split("\n---- ").next());
    Err(found.flatten().unwrap_or(said).to_owned())
}

fn run_all_as(way: &str) -> Result<String, String> {
    let user = match way {
        "many ids" => made()?,
        _ => "65534".to_owned(),
    };
    let (uid, gid) = ids(&user)?;
    let output = Command::new("setpriv")
        .args([&format!("--reuid={uid}"), &format!("--regid={gid}")])
        .args(["--clear-groups", "--inh-caps=-all", "--"])
        .arg(copy())
        .args(std::env::args_os().skip(1))
        .current_dir("/")
        .env("TMPDIR", "/tmp")
        .env(WAY, way)
        .output()
        .map_err(|it| it.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(format!("{said}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Names the way to the process that is started as its user.
const WAY: &str = "SANDBOX_TESTS_WAY";

/// Returns which ways this process runs tests of: all, or the one that it was started for.
pub(crate) fn ways() -> Vec<&'static str> {
    #[allow(clippy::disallowed_methods, reason = "this program told itself")]
    let only = std::env::var(WAY).ok();
    let mut ways = crate::kit::WAYS.to_vec();
    ways.retain(|it| only.as_deref().is_none_or(|only| only == *it));
    ways
}

/// Removes what was made here.
pub(crate) fn remove() {
    if let Some(name) = MADE.lock().unwrap().take() {
        let status = Command::new("userdel").arg("--force").arg(&name).status();
        assert!(status.unwrap().success(), "userdel {name}");
    }
}

fn made() -> Result<String, String> {
    let mut made = MADE.lock().unwrap();
    if let Some(name) = &*made {
        return Ok(name.clone());
    }
    let name = format!("slipway-{}", std::process::id());
    let output = Command::new("useradd")
        .args([
            "--no-create-home",
            "--user-group",
            "--shell",
            "/bin/false",
            &name,
        ])
        .output()
        .map_err(|it| it.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    *made = Some(name.clone());
    Ok(name)
}

fn ids(user: &str) -> Result<(String, String), String> {
    if user.bytes().all(|it| it.is_ascii_digit()) {
        return Ok((user.to_owned(), user.to_owned()));
    }
    let passwd = fs_err::read_to_string("/etc/passwd").map_err(|it| it.to_string())?;
    let line = passwd.lines().find(|it| it.split(':').next() == Some(user));
    let fields: Vec<_> = line.ok_or("the user is not there")?.split(':').collect();
    Ok((fields[2].to_owned(), fields[3].to_owned()))
}

/// A copy of this program that every user can run.
fn copy() -> &'static Path {
    static COPY: OnceLock<PathBuf> = OnceLock::new();
    COPY.get_or_init(|| {
        let copy = crate::kit::dir().join("containers");
        fs_err::copy("/proc/self/exe", &copy).unwrap();
        copy
    })
}
