//! Programs: ours, and other people's.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Returns one of our programs: from the folder that `SLIPWAY_BIN` names, else built on first use.
pub fn ours(name: &str) -> PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| variable("SLIPWAY_BIN").map_or_else(build_all, PathBuf::from))
        .join(name)
}

/// Puts one of our programs into a folder, for a user who cannot reach the folder that it was built in.
pub fn ours_in(name: &str, folder: &Path) -> PathBuf {
    let place = folder.join(name);
    if !place.exists() {
        let source = ours(name);
        fs_err::create_dir_all(folder).unwrap();
        // A hard link is instant, but /tmp may be another file system.
        if fs_err::hard_link(&source, &place).is_err() {
            fs_err::copy(&source, &place).unwrap();
        }
    }
    place
}

/// Returns the root of the project.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate is a folder of the project")
}

/// Returns where the recordings of the reference lifecycle lie: in the folder that `GOLDEN_CASES` names, else beside
/// the project; none on a machine without them.
pub fn golden_cases() -> Option<PathBuf> {
    let beside = || project().join("../shared/golden/cases");
    let folder = variable("GOLDEN_CASES").map_or_else(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// Returns a cargo in the project, without the variables by which the one that runs a test tells it about its crate.
///
/// Build scripts that look at them would run again for it, and again for the next one, and half of the workspace would be
/// built anew each time.
#[expect(clippy::disallowed_methods, reason = "the kit has no platform to ask")]
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(project());
    let of_a_crate = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_")
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| of_a_crate(name)) {
        cargo.env_remove(name);
    }
    cargo
}

fn build_all() -> PathBuf {
    let cargo = cargo()
        .args(["build", "--quiet", "--workspace", "--bins"])
        .status()
        .expect("cargo runs");
    assert!(cargo.success(), "cargo build --workspace --bins failed");
    // .../target/debug/deps/it-0123: programs lie two folders up.
    let test = std::env::current_exe().expect("this program has a path");
    test.ancestors()
        .nth(2)
        .expect("tests lie in target/PROFILE/deps")
        .to_owned()
}

/// Returns false, and says so, where a program is missing; fails instead in CI, which must have it.
pub fn requires(programs: &[&str]) -> bool {
    let missing: Vec<_> = programs
        .iter()
        .filter(|program| which(program).is_none())
        .collect();
    if missing.is_empty() {
        return true;
    }
    skip(&format!("needs {missing:?} on PATH"))
}

/// Returns whether these programs are on PATH.
pub fn are_there(programs: &[&str]) -> bool {
    programs.iter().all(|program| which(program).is_some())
}

/// Returns false, and says so, where this is not root; fails instead in CI.
pub fn requires_root() -> bool {
    is_root() || skip("needs root")
}

/// Returns false, and says so, where our programs are not those that users get; fails instead in CI.
pub fn requires_optimised() -> bool {
    variable("SLIPWAY_BIN").is_some() || skip("needs SLIPWAY_BIN, as `make test` sets it")
}

/// Returns whether this is root.
pub fn is_root() -> bool {
    let status = fs_err::read_to_string("/proc/self/status").expect("/proc is mounted");
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn skip(why: &str) -> bool {
    assert!(
        variable("CI").is_none(),
        "in CI a test must not be skipped: it {why}"
    );
    let thread = std::thread::current();
    eprintln!("skipped: {}: {why}", thread.name().unwrap_or("a test"));
    false
}

#[expect(clippy::disallowed_methods, reason = "the kit has no platform to ask")]
/// Returns a variable that is set and not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn which(program: &str) -> Option<PathBuf> {
    let path = variable("PATH")?;
    let mut places = path
        .split(':')
        .chain(["/usr/sbin", "/sbin"])
        .map(|dir| Path::new(dir).join(program));
    places.find(|place| place.is_file())
}

/// What a program did.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; -1 where a signal ended it.
    pub code: i32,
    /// Standard output and, behind it, standard error.
    pub text: String,
}

impl Ran {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self::from(output)
    }

    /// Returns the text, after checking that all went well.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}", self.text);
        self.text
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Self {
            code: output.status.code().unwrap_or(-1),
            text,
        }
    }
}

/// Runs another project's program, which must succeed, and returns what it printed.
pub fn run(program: &str, args: &[&str]) -> String {
    let path = which(program).unwrap_or_else(|| PathBuf::from(program));
    Ran::of(Command::new(path).args(args)).ok()
}
