//! `slipway` as somebody uses it: a home, a layout repo with a builder and its run image, an app, all in one folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use fs_err as fs;
use tempfile::TempDir;

use crate::container;
use crate::program::{self, Ran, ours_in, requires, requires_root, run};

/// Who sits at a desk.
#[derive(Debug)]
pub enum Person {
    /// Root.
    Root,
    /// Somebody with nothing but an own id: user namespaces have that one alone.
    OneId,
    /// A user of the machine with the ids that `useradd` grants; gone with the desk.
    ManyIds(User),
}

/// A user made for a test.
#[derive(Debug)]
pub struct User {
    name: String,
    id: u32,
}

/// What the builder at a desk is made with.
const BUILDER_TOOLS: [&str; 2] = ["umoci", "jq"];

/// The id of nobody in particular.
const STRANGER: u32 = 65534;

impl User {
    /// Makes one; `place` tells the tests that run at a time apart.
    pub fn new(place: &str) -> Self {
        let name = format!("slipway-{place}-{}", std::process::id());
        run(
            "useradd",
            &["--no-create-home", "--shell", "/bin/false", &name],
        );
        let id = run("id", &["-u", &name]).trim().parse().unwrap();
        Self { name, id }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        run("userdel", &[&self.name]);
    }
}

/// A folder with all that `slipway` needs.
#[derive(Debug)]
pub struct Desk {
    // Before the person: what is in it may belong to them.
    dir: TempDir,
    person: Person,
}

impl Desk {
    /// Sets one up for root; none where the tests do not run as root, or where one of these programs is missing, which
    /// fails in CI.
    pub fn of_root(programs: &[&str]) -> Option<Self> {
        let is_possible = requires_root() && requires(&[&BUILDER_TOOLS, programs].concat());
        is_possible.then(|| Self::of(Person::Root))
    }

    /// Sets one up: builder `sample-builder`, run image `slipway/bash-run`, the app `bash-hello` in `app`.
    pub fn of(person: Person) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("slipway-desk-")
            .tempdir()
            .unwrap();
        let desk = Self { dir, person };
        for name in ["slipway", "lifecycle", "launcher"] {
            ours_in(name, &desk.path("bin"));
        }
        let images = desk.path("repo/index.docker.io");
        Self::copy(&builder(), &images.join("library/sample-builder/latest"));
        Self::copy(
            &container::base().join("run"),
            &images.join("slipway/bash-run/latest"),
        );
        Self::copy(
            &program::project().join("samples/apps/bash-hello"),
            &desk.path("app"),
        );
        fs::create_dir_all(desk.path("home")).unwrap();
        fs::create_dir_all(desk.path("work")).unwrap();
        // No test speaks to the world.
        let config = format!(
            "layout-repo-dir = \"{}\"\npull-policy = \"never\"\n",
            desk.path("repo").display()
        );
        fs::write(desk.path("home/config.toml"), config).unwrap();
        desk.hand_over();
        desk
    }

    /// Returns a path at the desk.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, for the person to read.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self.hand_over();
    }

    /// Writes a buildpack `test/NAME` whose `bin/build` is this shell script; it always takes part.
    pub fn buildpack(&self, name: &str, build: &str) -> PathBuf {
        let dir = self.path(name);
        self.write(
            &format!("{name}/buildpack.toml"),
            &format!("api = \"0.10\"\n[buildpack]\nid = \"test/{name}\"\nversion = \"1.0.0\"\n"),
        );
        for (program, text) in [("detect", "exit 0"), ("build", build)] {
            let path = dir.join("bin").join(program);
            fs::create_dir_all(dir.join("bin")).unwrap();
            fs::write(&path, format!("#!/usr/bin/env bash\nset -eu\n{text}\n")).unwrap();
            run("chmod", &["0755", path.to_str().unwrap()]);
        }
        self.hand_over();
        dir
    }

    /// Returns a call of `slipway` by the person, in the folder `work`.
    pub fn slipway(&self, args: &[&str]) -> Command {
        let program = self.path("bin/slipway");
        let id = match &self.person {
            Person::Root => None,
            Person::OneId => Some(STRANGER),
            Person::ManyIds(user) => Some(user.id),
        };
        let mut command = match id {
            None => Command::new(program),
            Some(id) => {
                let mut command = Command::new("setpriv");
                command
                    .arg(format!("--reuid={id}"))
                    .arg(format!("--regid={id}"));
                command
                    .args(["--clear-groups", "--inh-caps=-all"])
                    .arg(program);
                command
            }
        };
        command
            .args(args)
            .current_dir(self.path("work"))
            .stdin(Stdio::null());
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("SLIPWAY_HOME", self.path("home"));
        command.env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        );
        command
    }

    /// Runs `slipway` to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&mut self.slipway(args))
    }

    /// Builds the app into `work/NAME` with the sample builder and these further arguments.
    pub fn build(&self, name: &str, more: &[&str]) -> Ran {
        let image = format!("oci:{name}");
        let usual = [
            "build",
            &image,
            "--path",
            "../app",
            "--builder",
            "sample-builder",
        ];
        self.run(&[&usual, more].concat())
    }

    /// Returns what this desk's builds left where they work: nothing, once they ended.
    pub fn remains(&self) -> Vec<String> {
        let mut found = Vec::new();
        for name in ["builds", "runs"] {
            let entries = fs::read_dir(self.path("repo/.slipway").join(name));
            let entries = entries.into_iter().flatten();
            found.extend(entries.map(|it| format!("{name}/{}", it.unwrap().file_name().display())));
        }
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let here = self.dir.path().to_str().unwrap();
        found.extend(
            mounts
                .lines()
                .filter(|line| line.contains(here))
                .map(str::to_owned),
        );
        found
    }

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        run("cp", &["-r", from.to_str().unwrap(), to.to_str().unwrap()]);
    }

    /// Everything belongs to the person.
    fn hand_over(&self) {
        let id = match &self.person {
            Person::Root => return,
            Person::OneId => STRANGER,
            Person::ManyIds(user) => user.id,
        };
        let dir = self.dir.path().to_str().unwrap();
        run("chown", &["-R", &format!("{id}:{id}"), dir]);
    }
}

/// Returns the sample builder's layout, which the samples' script makes once.
fn builder() -> PathBuf {
    static BUILDER: OnceLock<PathBuf> = OnceLock::new();
    let made = BUILDER.get_or_init(|| {
        let samples = program::project().join("samples");
        let mut script = Command::new(samples.join("make-builder.sh"));
        script.arg(samples.join("builder-bash.toml"));
        script.arg(program::ours("lifecycle").parent().unwrap());
        let made = Ran::of(script.stderr(Stdio::null())).ok();
        PathBuf::from(made.trim_end())
    });
    made.join("image")
}
