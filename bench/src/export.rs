//! Exports, and what they are measured against: `tar -cf - TREE | pigz -pN -1 | sha256sum` of the same trees.
//!
//! Every round runs every command once, one after the other, so that a machine that is slow for a while is slow for all.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use fs_err as fs;
use layout::{Layout, Selector};
use tests::build::{Build, GID, UID};
use tests::program::run;

use crate::memory::Memory;
use crate::push::Pushes;
use crate::report::{Line, Report};
use crate::stopwatch::{Figures, measured};
use crate::workload::{Extent, Tree};

/// Where the buildpack's layers are.
const LAYERS: &str = "layers/acme_hello";

/// Rounds in which layers are restored, as the trees of each stay on the disk until the end.
const RESTORES: usize = 3;

const PIPELINE: &str = "tar \\| pigz -1 \\| sha256sum";

/// What is measured of every tree, in the order of its rounds.
#[derive(Default)]
struct Series {
    pipeline: Vec<Figures>,
    cold: Vec<Figures>,
    analyzer: Vec<Figures>,
    unchanged: Vec<Figures>,
    one_changed: Vec<Figures>,
    with_cache: Vec<Figures>,
    reading: Vec<Figures>,
    restore: Vec<Figures>,
    pushes: Vec<Pushes>,
}

/// Measures the exports of one tree, with the memory filled before each or `memory_as_it_is`.
pub(crate) fn of(
    tree: Tree,
    rounds: usize,
    memory_as_it_is: bool,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut desk = Desk::new(tree, memory_as_it_is)?;
    let (extent, unit_bytes) = (desk.extent()?, desk.pipeline_bytes());
    let mut series = Series::default();
    let mut bytes = 0;
    // The first round does not count.
    for round in 0..=rounds {
        if round == 1 {
            series = Series::default();
        }
        series.pipeline.push(desk.pipeline()?);
        desk.forget()?;
        desk.analyze()?;
        series.cold.push(desk.export()?);
        bytes = desk.written()?;
        series.analyzer.push(desk.analyze()?);
        series.unchanged.push(desk.export()?);
        if tree == Tree::Mixed {
            let image = desk.build.app_image();
            let pushes = Pushes::measure(&image, &mut desk.memory)?;
            series.pushes.push(pushes);
            fs::write(desk.build.path(LAYERS).join("jdk/round"), round.to_string())?;
            series.one_changed.push(desk.export()?);
            desk.forget()?;
            desk.forget_cache()?;
            desk.analyze()?;
            series.with_cache.push(desk.export_with_cache()?);
            if round <= RESTORES {
                series.reading.push(desk.reading()?);
                desk.analyze()?;
                series.restore.push(desk.restore()?);
            }
        }
    }

    report.tree(tree.name(), extent, unit_bytes);
    let pipeline = Figures::median(&series.pipeline);
    let cold = Figures::median(&series.cold);
    let name = |what: &str| format!("{}: {what}", tree.name());
    let against = |what: &str, figures: &[Figures]| {
        Line::new(name(what), Figures::median(figures), PIPELINE, pipeline)
    };
    report.add(
        against("export, cold", &series.cold)
            .reach(0.58)
            .bytes(bytes, unit_bytes),
    );
    report.add(against("export, nothing changed", &series.unchanged).reach(0.2));
    report.add(against(
        "analyzer with the previous image",
        &series.analyzer,
    ));
    if tree == Tree::Mixed {
        let beside = |what: &str, figures: &[Figures]| {
            Line::new(name(what), Figures::median(figures), "export, cold", cold)
        };
        report.add(beside(
            "export, one of three layers changed",
            &series.one_changed,
        ));
        report.add(beside("export with -cache-dir, cold", &series.with_cache).reach(1.15));
        let reading = Figures::median(&series.reading);
        let restore = Figures::median(&series.restore);
        let line = Line::new(name("restore"), restore, "sha256sum T; tar -xf T", reading);
        report.add(line.reach(0.6));
        let of = |get: fn(&Pushes) -> Figures| {
            Figures::median(&series.pushes.iter().map(get).collect::<Vec<_>>())
        };
        let slipway = of(|it| it.slipway);
        for (against, theirs) in [
            ("skopeo copy", of(|it| it.skopeo)),
            ("crane push", of(|it| it.crane)),
        ] {
            let line = Line::new(
                name("slipway layout copy to a registry"),
                slipway,
                against,
                theirs,
            );
            report.add(line.reach(0.9));
        }
    }
    Ok(())
}

/// A build that was carried as far as the export.
struct Desk {
    build: Build,
    tree: Tree,
    memory: Memory,
}

impl Desk {
    fn new(tree: Tree, memory_as_it_is: bool) -> anyhow::Result<Self> {
        let build = Build::new();
        let mut script = "#!/usr/bin/env bash\nset -eu\n".to_owned();
        for layer in tree.layers() {
            let types = r"'[types]\nlaunch = true\ncache = true\n'";
            writeln!(
                script,
                "mkdir \"$1/{layer}\"; printf {types} >\"$1/{layer}.toml\""
            )?;
        }
        build.buildpack("acme/hello", &script);
        build.until_export();
        fs::create_dir(build.path("aside"))?;
        for layer in tree.layers() {
            fs::remove_dir(build.path(LAYERS).join(layer))?;
        }
        tree.make(&build.path(LAYERS), &build.path("app"))
            .with_context(|| format!("the {} tree cannot be made", tree.name()))?;
        let owner = format!("{UID}:{GID}");
        for place in [build.path(LAYERS), build.path("app")] {
            run("chown", &["-R", &owner, &place.display().to_string()]);
        }
        let memory = Memory::new(&build.path(""), memory_as_it_is)?;
        Ok(Self {
            build,
            tree,
            memory,
        })
    }

    fn extent(&self) -> anyhow::Result<Extent> {
        let layers = Extent::of(&self.build.path(LAYERS))?;
        let app = Extent::of(&self.build.path("app"))?;
        Ok(layers + app)
    }

    fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .current_dir(self.build.path(""));
        command
    }

    fn compressed(&self, then: &str) -> Command {
        self.shell(&format!(
            "tar -cf - {LAYERS} app | pigz -p\"$(nproc)\" -1 | {then}"
        ))
    }

    fn measured(&mut self, command: &Command) -> anyhow::Result<Figures> {
        self.memory.fill()?;
        measured(command)
    }

    fn pipeline(&mut self) -> anyhow::Result<Figures> {
        self.measured(&self.compressed("sha256sum"))
    }

    /// Returns how long the pipeline's output is.
    fn pipeline_bytes(&self) -> u64 {
        let count = self.compressed("wc -c").output().expect("a shell is there");
        let text = String::from_utf8_lossy(&count.stdout);
        text.trim().parse().expect("wc counts")
    }

    /// Removes the image.
    fn forget(&self) -> anyhow::Result<()> {
        remove(&self.build.app_image())?;
        self.build.hand_over_report();
        Ok(())
    }

    /// Removes what the cache holds.
    fn forget_cache(&self) -> anyhow::Result<()> {
        remove(&self.build.path("cache/committed"))
    }

    /// Moves a tree to where nobody looks. It is not removed before the end: for half a minute after many files are
    /// removed, ext4 looks long for an inode whenever one is made.
    fn put_aside(&self, place: &Path) -> anyhow::Result<()> {
        let aside = tempfile::tempdir_in(self.build.path("aside"))?.keep();
        fs::rename(place, aside.join("it"))?;
        Ok(())
    }

    fn analyze(&mut self) -> anyhow::Result<Figures> {
        self.measured(&self.build.by_hand("analyzer"))
    }

    fn export(&mut self) -> anyhow::Result<Figures> {
        let mut command = self.build.exporter();
        without_cache(&mut command);
        self.measured(&command)
    }

    fn export_with_cache(&mut self) -> anyhow::Result<Figures> {
        self.measured(&self.build.exporter())
    }

    /// Returns the bytes of the layers that are not the run image's.
    fn written(&self) -> anyhow::Result<u64> {
        let image = |place| Layout::at(place).image(&Selector::default());
        let app = image(self.build.app_image())?.context("there is no image")?;
        let run = image(self.build.run_image())?.context("there is no run image")?;
        let layers = app.manifest().layers.iter();
        Ok(layers.skip(run.diff_ids().len()).map(|it| it.size).sum())
    }

    /// Checks and unpacks the cache's tars, as one would by hand.
    fn reading(&mut self) -> anyhow::Result<Figures> {
        let figures = self.measured(&self.shell(
            "mkdir by-hand; for t in cache/committed/*.tar; do sha256sum \"$t\"; tar -xf \"$t\" -C by-hand; done",
        ))?;
        self.put_aside(&self.build.path("by-hand"))?;
        Ok(figures)
    }

    /// Restores into an empty folder; what was there comes back afterwards.
    fn restore(&mut self) -> anyhow::Result<Figures> {
        let (layers, aside) = (self.build.path(LAYERS), self.build.path("aside/layers"));
        fs::rename(&layers, &aside)?;
        let figures = self.measured(&self.build.by_hand("restorer"))?;
        for layer in self.tree.layers() {
            let (there, here) = (
                Extent::of(&aside.join(layer))?,
                Extent::of(&layers.join(layer))?,
            );
            anyhow::ensure!(there == here, "layer {layer} was not restored whole");
        }
        self.put_aside(&layers)?;
        fs::rename(&aside, &layers)?;
        Ok(figures)
    }
}

fn remove(place: &Path) -> anyhow::Result<()> {
    if place.exists() {
        fs::remove_dir_all(place)?;
    }
    Ok(())
}

fn without_cache(command: &mut Command) {
    let mut args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let flag = args.iter().position(|it| it == "-cache-dir");
    let flag = flag.expect("the kit gives the exporter a cache");
    args.drain(flag..flag + 2);
    let mut other = Command::new(command.get_program());
    other.args(args).env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            other.env(name, value);
        }
    }
    if let Some(dir) = command.get_current_dir() {
        other.current_dir(dir);
    }
    *command = other;
}
