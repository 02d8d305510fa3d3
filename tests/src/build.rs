//! A whole build in a temporary directory, phases called as platforms call them.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;
use tempfile::TempDir;

use crate::image;
use crate::program::{self, Ran};

/// User that buildpacks run as: nobody, whom every machine has, because the creator asks for a home.
pub const UID: u32 = 65534;
/// Group of that user in these builds; unlike the user, it need not be known to the machine.
pub const GID: u32 = 1235;

/// Folders and files of one build.
#[derive(Debug)]
pub struct Build {
    dir: TempDir,
    /// `CNB_PLATFORM_API`.
    pub api: &'static str,
}

impl Default for Build {
    fn default() -> Self {
        Self::new()
    }
}

impl Build {
    /// Makes the folders, an app, a buildpack, an order and a run image.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("slipway-test-")
            .tempdir()
            .unwrap();
        let build = Self { dir, api: "0.13" };
        // Buildpacks run as another user.
        fs::set_permissions(build.dir.path(), Permissions::from_mode(0o755)).unwrap();
        for folder in [
            "app",
            "layers",
            "platform",
            "cache",
            "layout",
            "buildpacks",
            "build-config",
        ] {
            fs::create_dir(build.path(folder)).unwrap();
        }
        build.write("app/hello.txt", "hello\n");
        build.write("launcher", "#!/bin/sh\n");
        build.write("run.toml", "[[images]]\nimage = \"run\"\n");
        build.buildpack("acme/hello", BUILD_HELLO);
        build.write(
            "order.toml",
            "[[order]]\n[[order.group]]\nid = \"acme/hello\"\nversion = \"1.0.0\"\n",
        );
        image::plain(&build.run_image());
        for folder in [
            "app",
            "layers",
            "cache",
            "layout",
            "layout/index.docker.io",
            "layout/index.docker.io/library",
        ] {
            chown(build.path(folder), Some(UID), Some(GID)).unwrap();
        }
        build
    }

    /// Returns a path below the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns where the run image lies.
    pub fn run_image(&self) -> PathBuf {
        self.path("layout/index.docker.io/library/run/latest")
    }

    /// Returns where the app image will lie.
    pub fn app_image(&self) -> PathBuf {
        self.path("layout/index.docker.io/library/app/latest")
    }

    /// Writes a file, making its folders.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("files have a folder")).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes a buildpack that always passes and whose `bin/build` is this script.
    pub fn buildpack(&self, id: &str, script: &str) {
        let dir = format!("buildpacks/{}/1.0.0", id.replace('/', "_"));
        let descriptor =
            format!("api = \"0.10\"\n[buildpack]\nid = \"{id}\"\nversion = \"1.0.0\"\n");
        self.write(&format!("{dir}/buildpack.toml"), &descriptor);
        for (name, text) in [
            ("detect", "#!/usr/bin/env bash\nexit 0\n"),
            ("build", script),
        ] {
            self.write(&format!("{dir}/bin/{name}"), text);
            fs::set_permissions(
                self.path(&format!("{dir}/bin/{name}")),
                Permissions::from_mode(0o755),
            )
            .unwrap();
        }
    }

    /// Returns a command for one phase, with nothing but what a platform sets.
    pub fn phase(&self, name: &str, args: &[&str]) -> Command {
        let as_user = ["detector", "builder"].contains(&name);
        let program = if as_user {
            program::ours_in(name, &self.path("bin"))
        } else {
            program::ours(name)
        };
        let mut command = Command::new(program);
        command
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("CNB_PLATFORM_API", self.api)
            .env("CNB_EXPERIMENTAL_MODE", "quiet")
            .env("CNB_NO_COLOR", "true")
            .current_dir(self.dir.path())
            .args(args);
        if as_user {
            command.uid(UID).gid(GID);
        }
        command
    }

    /// Returns a command for the creator, complete but for the image.
    pub fn creator(&self) -> Command {
        let mut command = self.phase("creator", &[]);
        for (flag, name) in [
            ("-app", "app"),
            ("-layers", "layers"),
            ("-platform", "platform"),
            ("-buildpacks", "buildpacks"),
            ("-build-config", "build-config"),
            ("-order", "order.toml"),
            ("-run", "run.toml"),
            ("-report", "report/report.toml"),
            ("-launcher", "launcher"),
            ("-cache-dir", "cache"),
            ("-layout-dir", "layout"),
        ] {
            command.arg(flag).arg(self.path(name));
        }
        let ids = [UID.to_string(), GID.to_string()];
        command.args([
            "-layout",
            "-run-image",
            "run",
            "-uid",
            &ids[0],
            "-gid",
            &ids[1],
        ]);
        command
    }

    /// Returns a command for the rebaser, complete but for the image.
    pub fn rebaser(&self) -> Command {
        let mut command = self.phase("rebaser", &["-layout"]);
        for (flag, name) in [("-layout-dir", "layout"), ("-report", "report/report.toml")] {
            command.arg(flag).arg(self.path(name));
        }
        let ids = [UID.to_string(), GID.to_string()];
        command.args(["-uid", &ids[0], "-gid", &ids[1]]);
        command
    }

    /// Runs analyzer, detector, restorer and builder one by one, as platforms do that know each phase.
    pub fn until_export(&self) {
        for phase in ["analyzer", "detector", "restorer", "builder"] {
            Ran::of(&mut self.by_hand(phase)).ok();
        }
        self.hand_over_report();
    }

    /// Returns a command for the exporter, complete.
    pub fn exporter(&self) -> Command {
        self.by_hand("exporter")
    }

    /// Returns commands for the five phases.
    pub fn all_phases(&self) -> [Command; 5] {
        ["analyzer", "detector", "restorer", "builder", "exporter"].map(|phase| self.by_hand(phase))
    }

    /// Returns a command for one phase or the creator, told everything by variables, which count at every API.
    pub fn by_variables(&self, phase: &str, api: &str, args: &[&str]) -> Command {
        let (launcher, mut all) = (self.path("launcher"), Vec::new());
        if ["exporter", "creator"].contains(&phase) {
            all.extend(["-launcher", launcher.to_str().expect("a path of ours")]);
        }
        all.extend(args);
        let mut command = self.phase(phase, &all);
        command.env("CNB_PLATFORM_API", api);
        for (variable, name) in [
            ("CNB_APP_DIR", "app"),
            ("CNB_LAYERS_DIR", "layers"),
            ("CNB_PLATFORM_DIR", "platform"),
            ("CNB_BUILDPACKS_DIR", "buildpacks"),
            ("CNB_BUILD_CONFIG_DIR", "build-config"),
            ("CNB_ORDER_PATH", "order.toml"),
            ("CNB_RUN_PATH", "run.toml"),
            ("CNB_REPORT_PATH", "report/report.toml"),
            ("CNB_LAYOUT_DIR", "layout"),
        ] {
            command.env(variable, self.path(name));
        }
        let ids = [("CNB_USER_ID", UID), ("CNB_GROUP_ID", GID)];
        command.envs(ids.map(|(name, id)| (name, id.to_string())));
        command.env("CNB_USE_LAYOUT", "true");
        command
    }

    /// Returns a command for one of the five phases, complete.
    pub fn by_hand(&self, phase: &str) -> Command {
        let (uid, gid) = (UID.to_string(), GID.to_string());
        let connected = !["detector", "builder"].contains(&phase);
        let mut command = self.phase(phase, &[]);
        let mut flag = |name: &str, path: &str| _ = command.arg(name).arg(self.path(path));
        flag("-layers", "layers");
        match phase {
            "analyzer" => flag("-run", "run.toml"),
            "restorer" => flag("-cache-dir", "cache"),
            "exporter" => {
                flag("-app", "app");
                flag("-run", "run.toml");
                flag("-cache-dir", "cache");
                flag("-launcher", "launcher");
                flag("-report", "report/report.toml");
            }
            _ => {
                flag("-app", "app");
                flag("-platform", "platform");
                flag("-buildpacks", "buildpacks");
                flag("-build-config", "build-config");
            }
        }
        if phase == "detector" {
            flag("-order", "order.toml");
        }
        if connected {
            flag("-layout-dir", "layout");
            command.args(["-layout", "-uid", &uid, "-gid", &gid]);
        }
        match phase {
            "analyzer" => _ = command.args(["-run-image", "run", "app"]),
            "exporter" => _ = command.arg("app"),
            _ => {}
        }
        command
    }

    /// Builds `app` with the creator.
    pub fn create(&self) -> Ran {
        self.hand_over_report();
        Ran::of(self.creator().arg("app"))
    }

    /// Makes the folder of the report, owned by who writes it.
    pub fn hand_over_report(&self) {
        fs::create_dir_all(self.path("report")).unwrap();
        chown(self.path("report"), Some(UID), Some(GID)).unwrap();
    }

    /// Empties the layers folder, as between two builds of a platform.
    pub fn forget_layers(&self) {
        fs::remove_dir_all(self.path("layers")).unwrap();
        fs::create_dir(self.path("layers")).unwrap();
        chown(self.path("layers"), Some(UID), Some(GID)).unwrap();
    }
}

/// Lists a tree: path, and what a file holds, for comparing before and after.
pub fn snapshot(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(next) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&next) else {
            continue;
        };
        for entry in entries {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            } else {
                found.push((entry.path(), fs::read(entry.path()).unwrap_or_default()));
            }
        }
    }
    found.sort();
    found
}

/// A launch layer that is cached, a cache layer, a process; says whether it found what it left.
pub const BUILD_HELLO: &str = r#"#!/usr/bin/env bash
set -eu
layers=$1
if [ -f "$layers/greeting/word" ]; then echo "reusing the greeting"; else
  echo "making a greeting"
  mkdir -p "$layers/greeting/env.launch"
  echo hello > "$layers/greeting/word"
  printf hello > "$layers/greeting/env.launch/WORD"
fi
printf '[types]\nlaunch = true\ncache = true\n[metadata]\nnumber = 3\n' > "$layers/greeting.toml"
mkdir -p "$layers/scratch"
echo kept > "$layers/scratch/file"
printf '[types]\ncache = true\n' > "$layers/scratch.toml"
printf '[[processes]]\ntype = "web"\ncommand = ["/bin/sh", "-c", "echo $WORD"]\ndefault = true\n' > "$layers/launch.toml"
"#;
