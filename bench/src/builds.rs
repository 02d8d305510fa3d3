//! Whole builds.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::Command;

use tests::build::{Build, GID, UID};
use tests::desk::Desk;
use tests::program::{Ran, project, run};

use crate::stopwatch::{Table, median, time};

/// A build of the smallest sample with everything in its place, and the same phases without containers.
pub(crate) fn warm(desk: &Desk, rounds: usize, table: &mut Table<impl Write>) -> io::Result<()> {
    let build = || {
        desk.build("app", &[]).ok();
    };
    build();
    let ours = median(rounds, || time(build));
    let direct = Direct::new(desk);
    direct.build();
    let phases = median(rounds, || time(|| direct.build()));
    let against = "the five phases, run directly";
    table.line("slipway build of bash-hello, warm", ours, against, phases)
}

/// The phases on this machine, as its platform would call them that trusts them.
struct Direct(Build);

impl Direct {
    fn new(desk: &Desk) -> Self {
        let build = Build::new();
        let samples = project().join("samples");
        let copy = |from: &Path, to: &str| {
            let to = build.path(to);
            run("rm", &["-rf", to.to_str().unwrap()]);
            run("cp", &["-r", from.to_str().unwrap(), to.to_str().unwrap()]);
            let owner = format!("{UID}:{GID}");
            run("chown", &["-R", &owner, to.to_str().unwrap()]);
        };
        copy(&samples.join("apps/bash-hello"), "app");
        fs_err::create_dir_all(build.path("buildpacks/slipway_hello")).unwrap();
        copy(
            &samples.join("buildpacks/hello"),
            "buildpacks/slipway_hello/0.1.0",
        );
        let run_image = desk.path("repo/index.docker.io/slipway/bash-run/latest");
        copy(&run_image, "layout/index.docker.io/library/run/latest");
        build.write(
            "order.toml",
            "[[order]]\n[[order.group]]\nid = \"slipway/hello\"\nversion = \"0.1.0\"\n",
        );
        Self(build)
    }

    fn build(&self) {
        self.0.forget_layers();
        self.0.hand_over_report();
        for mut phase in self.0.all_phases() {
            Ran::of(&mut phase).ok();
        }
    }
}

/// A buildpack that copies one large file into a layer, every time.
pub(crate) fn large_layer(
    desk: &Desk,
    megabytes: u64,
    table: &mut Table<impl Write>,
) -> io::Result<()> {
    let file = desk.path("large/file");
    write(&file, megabytes)?;
    let script = "mkdir -p \"$CNB_LAYERS_DIR/large\"\n\
                  cp /large/file \"$CNB_LAYERS_DIR/large/\"\n\
                  printf '[types]\\nlaunch = true\\n' >\"$CNB_LAYERS_DIR/large.toml\"";
    let buildpack = desk.buildpack("large-layer", script);
    let volume = format!("{}:/large", desk.path("large").display());
    let args = ["-b", buildpack.to_str().unwrap(), "--volume", &volume];
    let build = || {
        desk.build("large-app", &args).ok();
    };
    let hashing = || {
        Ran::of(Command::new("sha256sum").arg(&file)).ok();
    };
    hashing();
    let unit = time(hashing);
    let first = time(build);
    let again = time(build);
    let against = format!("sha256sum of {megabytes} MB");
    table.line("build with one large layer, first", first, &against, unit)?;
    table.line("the same, unchanged", again, &against, unit)
}

/// Writes what compresses to about half: hexadecimal digits of a generator's.
fn write(path: &Path, megabytes: u64) -> io::Result<()> {
    fs_err::create_dir_all(path.parent().unwrap())?;
    let mut out = BufWriter::new(fs_err::File::create(path)?);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..megabytes * 1_000_000 / 16 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        write!(out, "{state:016x}")?;
    }
    out.flush()
}
