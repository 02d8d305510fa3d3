//! A builder on disk, and its phases in containers, each started as a platform starts it.
//!
//! runc makes every container in a mount namespace of its own, so nothing stays mounted; each has an id of its own, so
//! that tests do not meet.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use fs_err as fs;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{self, Ran, run};

/// User and group of the builder, as the base has them.
pub const USER: u32 = 1000;

/// What Docker lets a container's root do.
pub const DOCKER: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// The image that a container is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// A builder: a base with bash, buildpacks, their order and the lifecycle.
    Builder,
    /// A lifecycle image: the programs and nearly nothing else.
    Lifecycle,
}

/// Images, and the folders that a platform mounts into its containers.
#[derive(Debug)]
pub struct Site {
    dir: TempDir,
    containers: AtomicU32,
}

impl Site {
    /// Unpacks the base and puts the lifecycle, one buildpack and the order on it.
    pub fn new(buildpack: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("slipway-site-")
            .tempdir()
            .unwrap();
        let site = Self {
            dir,
            containers: AtomicU32::new(0),
        };
        let image = format!("{}:latest", base().join("build").display());
        let bundle = site.path("builder");
        run("umoci", &["unpack", "--image", &image, path_text(&bundle)]);
        let builder = bundle.join("rootfs");
        add_lifecycle(&builder);
        add_buildpack(&builder.join("cnb"), buildpack);
        let lifecycle = site.path("lifecycle/rootfs");
        for folder in ["etc", "proc", "sys", "dev", "tmp"] {
            fs::create_dir_all(lifecycle.join(folder)).unwrap();
        }
        fs::set_permissions(lifecycle.join("tmp"), Permissions::from_mode(0o1777)).unwrap();
        fs::write(
            lifecycle.join("etc/passwd"),
            "root:x:0:0:root:/root:/sbin/nologin\n",
        )
        .unwrap();
        add_lifecycle(&lifecycle);
        site
    }

    /// Returns a path below the site's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a folder that belongs to a user, of the same group.
    pub fn folder(&self, name: &str, owner: u32) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        chown(&path, Some(owner), Some(owner)).unwrap();
        path
    }

    /// Writes a file that belongs to a user.
    pub fn file(&self, name: &str, text: &str, owner: u32, mode: u32) {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        chown(&path, Some(owner), Some(owner)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    /// Copies the base's run image; its blobs are for their owner alone.
    pub fn run_image(&self, name: &str, owner: u32) -> PathBuf {
        let place = self.path(name);
        let source = base().join("run");
        run("cp", &["-r", path_text(&source), path_text(&place)]);
        run(
            "chown",
            &["-R", &format!("{owner}:{owner}"), path_text(&place)],
        );
        for blob in fs::read_dir(place.join("blobs/sha256")).unwrap() {
            fs::set_permissions(blob.unwrap().path(), Permissions::from_mode(0o600)).unwrap();
        }
        place
    }

    /// Returns a container that runs one program, as root with Docker's capabilities.
    pub fn container(&self, image: From) -> Container<'_> {
        let bundle = fs::read(self.path("builder/config.json")).unwrap();
        let mut config: Value = serde_json::from_slice(&bundle).unwrap();
        let process = &mut config["process"];
        process["terminal"] = json!(false);
        process["noNewPrivileges"] = json!(true);
        process.as_object_mut().unwrap().remove("rlimits");
        if image == From::Lifecycle {
            process["env"] =
                json!(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]);
        }
        // The machine's own network; names are not looked up.
        let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "network");
        let mounts = config["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| mount["destination"] != "/etc/resolv.conf");
        let rootfs = match image {
            From::Builder => self.path("builder/rootfs"),
            From::Lifecycle => self.path("lifecycle/rootfs"),
        };
        config["root"]["path"] = json!(rootfs);
        Container { site: self, config }.user(0, DOCKER)
    }

    /// Unpacks an image and starts what it starts, or a command in its place.
    pub fn start(&self, layout: &Path, tag: &str, command: &[&str]) -> Ran {
        let id = self.id();
        let bundle = self.path(&format!("app-{id}"));
        let image = format!("{}:{tag}", layout.display());
        run("umoci", &["unpack", "--image", &image, path_text(&bundle)]);
        let mut container = self.container(From::Builder);
        let config = fs::read(bundle.join("config.json")).unwrap();
        let mut own: Value = serde_json::from_slice(&config).unwrap();
        own["process"]["terminal"] = json!(false);
        add_libraries(&bundle.join("rootfs"), &program::ours("launcher"));
        own["linux"] = container.config["linux"].take();
        own["mounts"] = container.config["mounts"].take();
        own["root"]["path"] = json!(bundle.join("rootfs"));
        if !command.is_empty() {
            own["process"]["args"] = json!(command);
        }
        container.config = own;
        container.run()
    }

    fn id(&self) -> String {
        let name = self.dir.path().file_name().unwrap().to_string_lossy();
        format!("{name}-{}", self.containers.fetch_add(1, Ordering::Relaxed))
    }
}

/// A container that is not started yet.
#[must_use]
#[derive(Debug)]
pub struct Container<'site> {
    site: &'site Site,
    config: Value,
}

impl Container<'_> {
    /// Sets who runs the program and, for root, with which capabilities; others only could get them.
    pub fn user(mut self, id: u32, capabilities: &[&str]) -> Self {
        let process = &mut self.config["process"];
        process["user"] = json!({"uid": id, "gid": id});
        let own = if id == 0 { capabilities } else { &[] };
        process["capabilities"] =
            json!({"bounding": capabilities, "effective": own, "permitted": own});
        self
    }

    /// Sets the group, where it is not that of the same number as the user.
    pub fn group(mut self, id: u32) -> Self {
        self.config["process"]["user"]["gid"] = json!(id);
        self
    }

    /// Makes the root file system read-only, with a tmpfs on /tmp.
    pub fn read_only(mut self) -> Self {
        self.config["root"]["readonly"] = json!(true);
        let tmp = json!({"destination": "/tmp", "source": "tmpfs", "type": "tmpfs", "options": ["mode=1777"]});
        self.config["mounts"].as_array_mut().unwrap().push(tmp);
        self
    }

    /// Sets the directory that the program starts in.
    pub fn workdir(mut self, dir: &str) -> Self {
        self.config["process"]["cwd"] = json!(dir);
        self
    }

    /// Sets variables beside those of the image.
    pub fn env(mut self, variables: &[&str]) -> Self {
        let env = self.config["process"]["env"].as_array_mut().unwrap();
        env.extend(variables.iter().map(|variable| json!(variable)));
        self
    }

    /// Binds a folder of the site, or whatever an absolute path names; `mode` is `ro` or `rw`.
    pub fn bind(mut self, folder: &str, place: &str, mode: &str) -> Self {
        let source = self.site.path(folder);
        let mount = json!({"destination": place, "source": source, "type": "bind", "options": ["rbind", mode]});
        self.config["mounts"].as_array_mut().unwrap().push(mount);
        self
    }

    /// Runs a command line, whose words are parted by blanks.
    pub fn line(mut self, line: &str) -> Ran {
        let words: Vec<_> = line.split_whitespace().collect();
        self.config["process"]["args"] = json!(words);
        self.run()
    }

    fn run(self) -> Ran {
        let id = self.site.id();
        let bundle = self.site.path(&format!("run-{id}"));
        fs::create_dir(&bundle).unwrap();
        fs::write(bundle.join("config.json"), self.config.to_string()).unwrap();
        let mut runc = Command::new("runc");
        runc.arg("--root").arg(self.site.path("runc"));
        runc.args(["run", "-b"]).arg(&bundle).arg(&id);
        Ran::of(runc.stdin(Stdio::null()))
    }
}

/// Returns the folder of the base's two images, which the samples' script makes once.
pub(crate) fn base() -> &'static Path {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    BASE.get_or_init(|| {
        let script = program::project().join("samples/make-base.sh");
        let made = Ran::of(Command::new(script).arg("bash").stderr(Stdio::null())).ok();
        PathBuf::from(made.trim_end())
    })
}

/// One program under the name of each phase, and the launcher.
fn add_lifecycle(rootfs: &Path) {
    let dir = rootfs.join("cnb/lifecycle");
    for name in ["lifecycle", "launcher"] {
        let program = program::ours_in(name, &dir);
        add_libraries(rootfs, &program);
    }
    for phase in [
        "analyzer", "detector", "restorer", "builder", "exporter", "creator",
    ] {
        symlink("lifecycle", dir.join(phase)).unwrap();
    }
}

/// Programs that were built without `make` load libraries, which the image may lack.
fn add_libraries(rootfs: &Path, program: &Path) {
    let listed = Ran::of(Command::new("ldd").arg(program));
    let libraries = listed
        .text
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    for library in libraries.filter(|_| listed.code == 0) {
        let place = rootfs.join(&library[1..]);
        if !place.exists() {
            fs::create_dir_all(place.parent().expect("libraries have a folder")).unwrap();
            fs::copy(library, place).unwrap();
        }
    }
}

/// A buildpack that always passes, whose `bin/build` is this script, and an order of it alone.
fn add_buildpack(cnb: &Path, script: &str) {
    let write = |name: &str, text: &str, mode| {
        let path = cnb.join(name);
        fs::create_dir_all(path.parent().expect("files have a folder")).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    };
    let module = "id = \"acme/hello\"\nversion = \"1.0.0\"\n";
    let mut descriptor = format!("api = \"0.10\"\n[buildpack]\n{module}");
    writeln!(
        descriptor,
        "[[stacks]]\nid = \"*\"\n[[targets]]\nos = \"linux\""
    )
    .expect("a string takes all");
    let dir = "buildpacks/acme_hello/1.0.0";
    write(&format!("{dir}/buildpack.toml"), &descriptor, 0o644);
    write(&format!("{dir}/bin/detect"), "#!/usr/bin/env bash\n", 0o755);
    write(&format!("{dir}/bin/build"), script, 0o755);
    write(
        "order.toml",
        &format!("[[order]]\n[[order.group]]\n{module}"),
        0o644,
    );
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}
