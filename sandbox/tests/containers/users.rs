//! Who runs a test: root, `nobody`, or a user made for it.

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

/// Runs one test of this program as the user for a way.
pub(crate) fn run_as(way: &str, test: &str) -> Result<(), String> {
    let user = match way {
        "many ids" => made()?,
        _ => "65534".to_owned(),
    };
    let (uid, gid) = ids(&user)?;
    let output = Command::new("setpriv")
        .args([&format!("--reuid={uid}"), &format!("--regid={gid}")])
        .args(["--clear-groups", "--inh-caps=-all", "--"])
        .arg(copy())
        .args(["--exact", test])
        .current_dir("/")
        .env("TMPDIR", "/tmp")
        .output()
        .map_err(|it| it.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && said.contains("1 passed") {
        return Ok(());
    }
    Err(format!("{said}{}", String::from_utf8_lossy(&output.stderr)))
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
