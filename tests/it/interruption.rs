//! An export that is killed leaves the earlier layout whole, and the next one succeeds (invariant 4).

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use fs_err as fs;
use tests::build::Build;
use tests::image::{self, Sample};
use tests::program::{Ran, requires, requires_root};

use crate::rebase;

/// Calls that change what a reader sees. strace kills on entry, so what is seen before call N + 1 is what call N left.
const STEPS: &[&str] = &[
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "rmdir",
    "mkdir",
    "mkdirat",
];

/// A build whose app was exported once and has changed since; everything but the export of the change is done.
struct Changed {
    build: Build,
    earlier: String,
    later: String,
}

impl Changed {
    fn new() -> Self {
        let build = Build::new();
        build.until_export();
        Ran::of(&mut build.exporter()).ok();
        let earlier = image::read(&build.app_image()).digest().to_owned();
        // More than one layer changes, and enough to be caught in the middle of.
        build.write("app/hello.txt", &"changed ".repeat(1 << 20));
        let script = tests::build::BUILD_HELLO.replace("echo kept", "echo changed");
        build.buildpack("acme/hello", &script);
        build.forget_layers();
        build.until_export();
        let changed = Self {
            build,
            earlier,
            later: String::new(),
        };
        changed.save();
        Ran::of(&mut changed.build.exporter()).ok();
        let later = image::read(&changed.build.app_image()).digest().to_owned();
        assert_ne!(later, changed.earlier, "the comparison can fail");
        Self { later, ..changed }
    }

    /// Copies what an export changes aside, hard links kept.
    fn save(&self) {
        Self::copy(&self.build.path(""), &self.build.path("saved"));
    }

    /// Brings back what was before the export.
    fn restore(&self) {
        for folder in ["layout", "cache", "report", "layers"] {
            fs::remove_dir_all(self.build.path(folder)).unwrap();
        }
        Self::copy(&self.build.path("saved"), &self.build.path(""));
    }

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        let mut command = Command::new("cp");
        command.arg("-a");
        for folder in ["layout", "cache", "report", "layers"] {
            command.arg(from.join(folder));
        }
        Ran::of(command.arg(to)).ok();
    }

    /// Checks that the layout holds the earlier image or the later one, whole, and that the next export makes the later.
    fn check(&self, when: &str) {
        let found = image::read(&self.build.app_image());
        assert!(
            [&self.earlier, &self.later].contains(&&found.digest().to_owned()),
            "{when}: {}",
            found.digest()
        );
        for layer in found.manifest["layers"].as_array().unwrap() {
            image::read_blob(&self.build.app_image(), layer);
        }
        let report = fs::read_to_string(self.build.path("report/report.toml")).unwrap();
        assert!(
            report.contains(&self.earlier) || report.contains(&self.later),
            "{when}: {report}"
        );

        let next = Ran::of(&mut self.build.exporter());
        assert_eq!(next.code, 0, "{when}, next export: {}", next.text);
        assert_eq!(
            image::read(&self.build.app_image()).digest(),
            self.later,
            "{when}, next export"
        );
        let cache = self
            .build
            .path("cache/committed/io.buildpacks.lifecycle.cache.metadata");
        let metadata: serde_json::Value =
            serde_json::from_slice(&fs::read(cache).unwrap()).unwrap();
        assert_eq!(
            metadata["buildpacks"][0]["key"], "acme/hello",
            "{when}, next export"
        );
        let folder = self.build.app_image().join("blobs/sha256");
        let leftover = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let leftover: Vec<_> = leftover.filter(|name| name.len() != 64).collect();
        assert!(
            leftover.is_empty(),
            "{when}: the next export clears {leftover:?}"
        );
    }
}

/// Runs a phase under strace, killed on entry of its call number `number` to `step`; returns whether it lived to its end.
fn survives(phase: &Command, step: &str, number: usize) -> bool {
    let mut command = Command::new("strace");
    command
        .args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={step}"),
            "-e",
        ])
        .arg(format!("inject={step}:signal=SIGKILL:when={number}"))
        .arg(phase.get_program())
        .args(phase.get_args())
        .env_clear()
        .envs(
            phase
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(phase.get_current_dir().unwrap());
    let output = command.output().unwrap();
    // strace ends the way its child ended.
    let killed = output.status.signal() == Some(9) || output.status.code() == Some(137);
    assert!(
        killed || output.status.success(),
        "{step} {number}: {:?}",
        Ran::from(output).text
    );
    !killed
}

#[test]
fn foreign_killed_at_each_step_the_earlier_layout_is_whole() {
    if !(requires_root() && requires(&["strace"])) {
        return;
    }
    let changed = Changed::new();
    let mut kills = 0;
    for step in STEPS {
        for number in 1.. {
            changed.restore();
            if survives(&changed.build.exporter(), step, number) {
                break;
            }
            kills += 1;
            changed.check(&format!("killed at {step} {number}"));
        }
    }
    assert!(
        kills > 10,
        "an export makes more than {kills} steps: is it traced at all?"
    );
}

#[test]
fn foreign_a_rebase_killed_at_each_step_leaves_the_earlier_image_whole() {
    if !(requires_root() && requires(&["strace"])) {
        return;
    }
    let build = Build::new();
    build.create().ok();
    let earlier = image::read(&build.app_image()).digest().to_owned();
    rebase::put_run_image(&build, Sample::plain());
    let saved = build.path("saved");
    let copy = |from: &Path, to: &Path| {
        fs::create_dir_all(to).unwrap();
        let folders = ["layout", "report"].map(|folder| from.join(folder));
        Ran::of(Command::new("cp").arg("-a").args(folders).arg(to)).ok();
    };
    copy(&build.path(""), &saved);
    let rebaser = || {
        let mut command = build.rebaser();
        command.args(["app", "app:two"]);
        command
    };
    Ran::of(&mut rebaser()).ok();
    let later = image::read(&build.app_image()).digest().to_owned();
    assert_ne!(later, earlier, "the comparison can fail");

    let mut kills = 0;
    for step in STEPS {
        for number in 1.. {
            for folder in ["layout", "report"] {
                fs::remove_dir_all(build.path(folder)).unwrap();
            }
            copy(&saved, &build.path(""));
            if survives(&rebaser(), step, number) {
                break;
            }
            kills += 1;
            let when = format!("killed at {step} {number}");
            let found = image::read(&build.app_image());
            assert!([&*earlier, &later].contains(&found.digest()), "{when}");
            for layer in found.manifest["layers"].as_array().unwrap() {
                image::read_blob(&build.app_image(), layer);
            }
            let report = fs::read_to_string(build.path("report/report.toml")).unwrap();
            let is_whole = [&*earlier, &later].iter().any(|it| report.contains(*it));
            assert!(is_whole, "{when}: {report}");
            let next = Ran::of(&mut rebaser());
            assert_eq!(next.code, 0, "{when}, next rebase: {}", next.text);
            assert_eq!(image::read(&build.app_image()).digest(), later, "{when}");
        }
    }
    assert!(kills > 10, "a rebase makes more than {kills} steps");
}

#[test]
fn root_killed_at_random_moments_the_earlier_layout_is_whole() {
    if !requires_root() {
        return;
    }
    let changed = Changed::new();
    changed.restore();
    let begin = Instant::now();
    Ran::of(&mut changed.build.exporter()).ok();
    let whole = begin.elapsed();
    let mut killed = 0;
    for moment in 0..20_u32 {
        changed.restore();
        // Spread over the whole run; the machine's own noise makes them random.
        let wait = (whole * moment / 20).max(Duration::from_millis(1));
        let mut exporter = changed
            .build
            .exporter()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sleep(wait);
        exporter.kill().unwrap();
        killed += usize::from(exporter.wait().unwrap().signal() == Some(9));
        changed.check(&format!("killed after {wait:?}"));
    }
    assert!(killed > 0, "each export was over before it could be killed");
}
