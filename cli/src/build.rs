//! A build: from what a user typed to an image in a layout.
//!
//! ```text
//! flags, project.toml ─► order ──────────────┐
//! builder ─► unpacked layers ────────────────┤
//! app ─► filter ─► copy ─► stage/workspace ──┼─► analyzer ─► detector ─► restorer ─► builder ─► exporter ─► layout ─► gc
//! run image ─────────────────────────────────┤
//! cache ─────────────────────────────────────┘
//! ```
//!
//! Everything that can be wrong is looked at before the first phase starts. The phases are the lifecycle's own programs,
//! each in a container; nothing here does what a phase does.

mod cache;
mod cache_image;
mod destination;
mod elsewhere;
mod flags;
mod interruption;
mod leftovers;
mod lines;
mod order;
mod outcome;
mod phases;
mod place;
mod platform_dir;
mod programs;
mod request;
mod run_image;
mod stage;
pub(crate) mod volume;

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use platform::files::report;
use project::{Filter, source};
use sandbox::way::Closed;
use sandbox::{Mount, Way};

pub(crate) use flags::Args;
pub(crate) use interruption::Interrupted;
pub(crate) use programs::Programs;

use self::cache::Held;
use self::destination::Kind;
use self::elsewhere::{Delivered, Elsewhere};
use self::flags::Lifecycle;
use self::interruption::Interruption;
use self::lines::{Lines, Style};
use self::order::Order;
use self::phases::{IMAGES, Phase, Site};
use self::place::Place;
use self::request::{Kept, Request, creation_time, open, workspace};
use self::run_image::{Needed, RunImage};
use self::stage::Stage;
use crate::accounts;
use crate::config::Config;
use crate::containers::{self, Machine, read_only, writable};
use crate::environment;
use crate::images::packages::{Packages, Purpose};
use crate::progress::Progress;

/// Where in the stage the phases write an image that goes to a registry or a daemon.
const OUTPUT: &str = "output";

/// Builds.
pub(crate) fn run(args: &Args, config: &Config) -> anyhow::Result<()> {
    if let Some((flag, instead)) = args.unsupported.first() {
        bail!("{flag} of pack is not supported: {instead}");
    }
    let color = io::stdout().is_terminal() && environment::variable("NO_COLOR").is_none();
    let style = Style {
        quiet: args.quiet,
        verbose: args.verbose,
        timestamps: args.timestamps,
        color: color && !args.no_color,
    };
    let mut lines = Lines::new(io::stdout(), style);
    let request = Request::new(args, config, &mut lines)?;
    request.build(&mut lines)
}

impl Request<'_> {
    fn build(&self, lines: &mut Lines<io::Stdout>) -> anyhow::Result<()> {
        let args = self.args;
        let programs = Programs::find()?;
        let workspace = workspace(&args.workspace)?;
        let mut stage = Stage::new(&containers::state_dir(self.config)?.join("builds"))?;
        let order = self.order(&stage)?;
        // Before this a signal simply ends us: another pull goes on where that one stopped, and the next build clears up.
        let interruption = &Interruption::listen()?;
        if order.has_extensions() {
            lines.warn("image extensions take part in detection, but their Dockerfiles are not executed yet: should one be needed, the build stops before anything is built");
        }
        let machine = self.machine(&order, lines)?;
        let is_root = match &machine {
            Some(machine) => *machine.way() == Way::Root,
            None => platform::privileges::is_root(),
        };
        if machine.is_none() {
            stage = stage.in_place(&workspace, &args.path)?;
        }
        self.fill(&stage)?;
        if is_root {
            stage.hand_over(self.user)?;
        }
        let layers = match &machine {
            Some(machine) => {
                let mut progress = Progress::new(args.quiet);
                machine.unpack(&self.builder_image, "the builder", &mut progress)?
            }
            None => vec![PathBuf::from("/")],
        };
        let cache = match &self.cache {
            Kept::There(image) => {
                let dir = stage.make("cache")?;
                if !args.clear_cache {
                    image.fill(&dir)?;
                }
                dir
            }
            Kept::Here(folder) => {
                folder.dir(&self.config.volumes_dir(), &self.destinations.place())?
            }
        };
        let cache = Held::take(cache, interruption, || {
            lines.info("Waiting for another build that uses the same cache");
        })?;
        if args.clear_cache {
            cache.clear()?;
        }
        let made = self.destinations.make()?;
        let mut elsewhere = self.elsewhere(&stage)?;
        let place = match &machine {
            Some(machine) => Place::Containers(machine),
            None => Place::Here(stage.path("place")),
        };
        let mut site = self.site(place, &programs, &stage, layers, &order)?;
        site.is_root = is_root;
        site.image_mounts = self.image_mounts(&stage, cache.dir(), &self.run_image)?;
        self.phases(
            &mut site,
            &stage,
            cache.dir(),
            elsewhere.as_mut(),
            lines,
            interruption,
        )?;
        made.keep();
        interruption.check()?;
        let delivered = elsewhere.map(|it| {
            let typed = self.destinations.first().typed();
            lines.info(&format!("Writing image {typed}"));
            // There is nothing to be cleared up that the next build does not clear up too.
            interruption.end_at_once();
            let written = it.deliver(&stage.path(OUTPUT), &self.destinations, &self.stores);
            written.with_context(|| format!("failed to write image {typed}"))
        });
        let delivered = delivered.transpose()?;
        if let Kept::There(image) = &self.cache {
            // The image is there: a cache that is not is worth a word and no failure.
            if let Err(error) = image.save(cache.dir(), &stage.make("cache-image")?) {
                lines.warn(&format!("{error:#}"));
            }
        }
        self.finish(&stage, delivered.as_ref(), lines)
    }

    /// Works out what to try; what the builder lacks is fetched.
    fn order(&self, stage: &Stage) -> anyhow::Result<Order> {
        let packages = Packages {
            stores: &self.stores,
            platform: self.platform.clone(),
            purpose: Purpose::Use,
        };
        let modules = stage.path("modules");
        Order::new(&self.wishes()?, &self.builder, &modules, &packages)
    }

    /// Makes what the phases see of an image that goes to a registry or a daemon.
    fn elsewhere(&self, stage: &Stage) -> anyhow::Result<Option<Elsewhere>> {
        if self.destinations.kind() == Kind::Layouts {
            return Ok(None);
        }
        let previous = elsewhere::previous(
            &self.destinations,
            self.args.previous_image.as_deref(),
            self.platform.as_ref(),
            &self.stores,
        )?;
        let dir = stage.make(OUTPUT)?;
        let name = self.destinations.first().reference();
        Elsewhere::prepare(&dir, name, previous, &self.run_image).map(Some)
    }

    /// Returns where containers can be made; nothing if that is nowhere and the build can do without.
    fn machine(
        &self,
        order: &Order,
        lines: &mut Lines<io::Stdout>,
    ) -> anyhow::Result<Option<Machine>> {
        let error = match Machine::prepare(&self.args.containers, self.config, self.user) {
            Ok(machine) => {
                lines.debug(&format!(
                    "Containers are made the way of {}",
                    machine.way().name()
                ));
                return Ok(Some(machine));
            }
            Err(error) => error,
        };
        if error.downcast_ref::<Closed>().is_none() {
            return Err(error);
        }
        place::check_here(self, order.brings_modules()).with_context(|| format!("{error}"))?;
        lines.debug(
            "No container can be made, and this one is the builder: the phases run in place",
        );
        Ok(None)
    }

    /// Puts app, variables and the phases' inputs into the stage.
    fn fill(&self, stage: &Stage) -> anyhow::Result<()> {
        let filter = Filter::new(&self.descriptor.include, &self.descriptor.exclude)?;
        let what = || format!("failed to copy the app {}", self.args.path.display());
        if !stage.works_on(&self.args.path) {
            // What is built lies beside the app's own files if it is built there: the image before is no part of the app.
            let repo = self.config.layout_repo_dir();
            let images = self.destinations.dirs();
            let without: Vec<_> = images.chain([repo.as_path()]).collect();
            source::copy_without(&without, &self.args.path, &filter, stage.workspace())
                .with_context(what)?;
        }
        let platform = stage.path("platform");
        platform_dir::write(&platform, &self.descriptor.env, self.args, &self.mounts)?;
        let run = stage.path("config").join("run.toml");
        buildpack::encode::to_file(&run, &self.run_image.file(&self.builder))?;
        let metadata = stage.layers().join("project-metadata.toml");
        if let Some(source) = &self.descriptor.source {
            let file = serde_json::json!({ "source": source });
            fs_err::write(&metadata, toml::to_string(&file)?)?;
        }
        Ok(())
    }

    fn site<'s>(
        &self,
        place: Place<'s>,
        programs: &'s Programs,
        stage: &Stage,
        builder: Vec<PathBuf>,
        order: &Order,
    ) -> anyhow::Result<Site<'s>> {
        let args = self.args;
        let workspace = workspace(&args.workspace)?;
        let mut builder_env = containers::image_env(&self.builder_image);
        accounts::add_home(&mut builder_env, &builder, self.user.uid);
        builder_env.extend(environment::proxies());
        let mut env = Vec::new();
        if self.api_has_exec_env() {
            env.push(("CNB_EXEC_ENV".into(), args.exec_env.clone().into()));
        }
        if let Some(time) = &args.creation_time {
            env.push(("SOURCE_DATE_EPOCH".into(), creation_time(time)?.into()));
        }
        if let Some(compression) = args.compression()? {
            env.push((
                "CNB_LAYER_COMPRESSION".into(),
                compression.to_string().into(),
            ));
        } else if self.destinations.kind() == Kind::Daemon {
            // Daemons take plain tars.
            env.push(("CNB_LAYER_COMPRESSION".into(), "none".into()));
        }
        let config = stage.path("config");
        let mut build_mounts = vec![read_only(&stage.path("platform"), Path::new("/platform"))];
        build_mounts.extend(containers::network_files());
        build_mounts.extend(platform_dir::certificates());
        build_mounts.extend(order.mounts(&config)?);
        if args.disable_system_buildpacks {
            let none = config.join("system.toml");
            fs_err::write(&none, "")?;
            build_mounts.push(read_only(&none, Path::new("/cnb/system.toml")));
        }
        build_mounts.extend(self.mounts.iter().cloned());
        let mounts = vec![
            writable(stage.layers(), Path::new("/layers")),
            writable(stage.workspace(), &workspace),
            read_only(&config.join("run.toml"), Path::new("/cnb/run.toml")),
        ];
        Ok(Site {
            place,
            is_root: false,
            has_extensions: order.has_extensions(),
            programs,
            builders_lifecycle: args.lifecycle == Lifecycle::Builder,
            builder,
            builder_env,
            user: self.user,
            api: self.api.clone(),
            env,
            workspace,
            mounts,
            build_mounts,
            image_mounts: Vec::new(),
            network: args.network.into(),
        })
    }

    /// Returns the mounts of images and cache, each image at the place that its name stands for.
    fn image_mounts(
        &self,
        stage: &Stage,
        cache: &Path,
        run_image: &RunImage,
    ) -> anyhow::Result<Vec<Mount>> {
        let images = Path::new(IMAGES);
        let mut mounts = vec![writable(cache, Path::new("/cache"))];
        let is_sparse = self.needed == Needed::Config;
        let run = run_image.layout(is_sparse, &stage.path("images"))?;
        mounts.push(read_only(&run, &run_image.reference().layout_path(images)));
        for destination in self.destinations.iter() {
            let inside = destination.reference().layout_path(images);
            let Some(dir) = destination.dir() else {
                // The other names are given once it is there.
                mounts.push(writable(&stage.path(OUTPUT), &inside));
                return Ok(mounts);
            };
            mounts.push(writable(dir, &inside));
        }
        if let Some(name) = &self.args.previous_image {
            let image = open(name, &self.stores, self.platform.as_ref(), "previous image")?;
            let inside = run_image::previous_reference().layout_path(images);
            let dir = stage.make("images/previous")?;
            layout::Layout::at(&dir).copy_from(&image, "latest")?;
            mounts.push(read_only(&dir, &inside));
        }
        Ok(mounts)
    }

    fn phases(
        &self,
        site: &mut Site<'_>,
        stage: &Stage,
        cache: &Path,
        elsewhere: Option<&mut Elsewhere>,
        lines: &mut Lines<io::Stdout>,
        interruption: &Interruption,
    ) -> anyhow::Result<()> {
        let args = self.args;
        let text = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let image = self.destinations.first().reference().name();
        let app = site.workspace.display().to_string();

        let mut analyzer = text(&["-run-image", self.run_image.name()]);
        let is_layout = self.destinations.kind() == Kind::Layouts;
        let more = self.destinations.iter().skip(1).filter(|_| is_layout);
        let more: Vec<_> = more.map(|it| it.reference().name()).collect();
        for name in &more {
            analyzer.extend(["-tag".to_owned(), name.clone()]);
        }
        if args.previous_image.is_some() && is_layout {
            let previous = run_image::previous_reference().name();
            analyzer.extend(["-previous-image".to_owned(), previous]);
        }
        if args.clear_cache {
            analyzer.push("-skip-layers".to_owned());
        }
        analyzer.push(image.clone());
        site.run(Phase::Analyzer, &analyzer, lines, interruption)?;

        site.run(Phase::Detector, &text(&["-app", &app]), lines, interruption)?;
        // Without extensions nobody but a hostile buildpack has touched analyzed.toml.
        if site.has_extensions
            && let Some(other) = outcome::after_detection(stage.layers(), &self.run_image)?
        {
            // An extension chose another run image.
            let found =
                RunImage::of_extension(&other, &self.stores, self.platform.as_ref(), self.needed)?;
            stage.renew("images")?;
            if let Some(elsewhere) = elsewhere {
                elsewhere.takes_run_image(&stage.path(OUTPUT), &found)?;
            }
            site.image_mounts = self.image_mounts(stage, cache, &found)?;
        }

        if args.clear_cache {
            lines.info("Skipping restoring: the cache was cleared");
        } else {
            let restorer = text(&["-cache-dir", "/cache"]);
            site.run(Phase::Restorer, &restorer, lines, interruption)?;
        }
        site.run(Phase::Builder, &text(&["-app", &app]), lines, interruption)?;

        let mut exporter = text(&["-app", &app, "-cache-dir", "/cache"]);
        if let Some(process) = &args.default_process {
            exporter.extend(["-process-type".to_owned(), process.clone()]);
        }
        exporter.push(image);
        exporter.extend(more);
        site.run(Phase::Exporter, &exporter, lines, interruption)
    }

    /// What is left to do once the image is written.
    fn finish(
        &self,
        stage: &Stage,
        delivered: Option<&Delivered>,
        lines: &mut Lines<io::Stdout>,
    ) -> anyhow::Result<()> {
        let layers = stage.layers();
        match (&self.args.report_output_dir, delivered) {
            (Some(dir), None) => outcome::copy_report(layers, dir)?,
            (Some(dir), Some(delivered)) => {
                fs_err::create_dir_all(dir)?;
                let report = delivered.report(&self.destinations);
                report::write(&dir.join("report.toml"), &report)?;
            }
            (None, _) => {}
        }
        if let Some(dir) = &self.args.sbom_output_dir {
            outcome::copy_sboms(layers, dir)?;
        }
        for dir in self.destinations.dirs() {
            // The image is there: that old blobs stay is worth a word and no failure.
            if let Err(error) = layout::gc::collect(&layout::Layout::at(dir)) {
                let dir = dir.display();
                lines.warn(&format!("stale blobs stay in {dir}: {error}"));
            }
        }
        lines.result(&outcome::success(&self.destinations, delivered)?);
        Ok(())
    }

    fn api_has_exec_env(&self) -> bool {
        platform::PlatformApi::negotiate(Some(&self.api))
            .is_ok_and(platform::PlatformApi::has_exec_env)
    }
}
