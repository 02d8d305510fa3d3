//! What must fit together before a builder is made; texts are in the sense of pack's, which people search for.

use std::collections::BTreeSet;

use buildpack::Version;
use layout::{Image, layer};
use platform::files::lifecycle::Descriptor;
use platform::labels::{DISTRO_NAME, DISTRO_VERSION, MIXINS, STACK_ID};

use super::config::{Config, ModuleConfig};
use super::create::CreateError;
use super::{GROUP_ID, USER_ID, id, optional_label};
use crate::labels::{ModuleInfo, Target};
use crate::module::{Kind, Module};
use crate::package::{Package, TargetConfig};

/// What of a build image matters.
pub(super) struct Base {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mixins: Vec<String>,
    stack_id: String,
    os: String,
    architecture: String,
    variant: String,
    distro: (String, String),
}

impl Base {
    /// Reads the image and refuses one that cannot be a builder's.
    pub(super) fn read(image: &Image, config: &Config) -> Result<Self, CreateError> {
        let label = |name| image.label(name).unwrap_or_default().to_owned();
        let of = image.config();
        let base = Self {
            uid: id(image, USER_ID)?,
            gid: id(image, GROUP_ID)?,
            mixins: optional_label(image, MIXINS)?,
            stack_id: label(STACK_ID),
            os: of.os.clone(),
            architecture: of.architecture.clone(),
            variant: of.variant.clone(),
            distro: (label(DISTRO_NAME), label(DISTRO_VERSION)),
        };
        base.check(image, config).map_err(CreateError::Invalid)?;
        Ok(base)
    }

    fn check(&self, image: &Image, config: &Config) -> Result<(), String> {
        let name = &config.build.image;
        if self.os != "linux" {
            return Err(format!(
                "build image {name} is for {:?}, not linux",
                self.os
            ));
        }
        // DST-009: the lifecycle does not run buildpacks as root.
        let user = image
            .config()
            .config
            .user
            .split(':')
            .next()
            .unwrap_or_default();
        if self.uid == 0 || matches!(user, "" | "0" | "root") {
            return Err(format!(
                "build image {name} runs as root: buildpacks do not\nset its user, CNB_USER_ID and CNB_GROUP_ID to ids other than 0"
            ));
        }
        let wanted = &config.stack.id;
        if !wanted.is_empty() && *wanted != self.stack_id {
            return Err(format!(
                "stack {wanted:?} from builder config is incompatible with stack {:?} from build image {name}",
                self.stack_id
            ));
        }
        if !config.targets.is_empty() && !config.targets.iter().any(|it| self.is(it)) {
            return Err(format!(
                "build image {name} is for {}, which is none of the targets of the builder",
                self.platform()
            ));
        }
        for (diff_id, layer) in image.layers() {
            if !image.blobs().has(layer).map_err(|e| e.to_string())? {
                return Err(format!(
                    "build image {name} lacks its layer {diff_id}: it is sparse"
                ));
            }
        }
        Ok(())
    }

    fn platform(&self) -> String {
        let parts = [&self.os, &self.architecture, &self.variant];
        let parts: Vec<_> = parts
            .into_iter()
            .filter(|it| !it.is_empty())
            .cloned()
            .collect();
        parts.join("/")
    }

    /// Compares what both say.
    fn is(&self, target: &TargetConfig) -> bool {
        let agree = |wanted: &str, is: &str| wanted.is_empty() || is.is_empty() || wanted == is;
        agree(&target.os, &self.os)
            && agree(&target.arch, &self.architecture)
            && agree(&target.variant, &self.variant)
    }

    fn serves(&self, target: &Target) -> bool {
        let (name, version) = &self.distro;
        let says_distro = !name.is_empty() && !version.is_empty();
        let distros = &target.distros;
        let has_distro = || {
            distros
                .iter()
                .any(|it| it.name == *name && it.version == *version)
        };
        let agree = |wanted: &str, is: &str| wanted.is_empty() || is.is_empty() || wanted == is;
        agree(&target.os, &self.os)
            && agree(&target.arch, &self.architecture)
            && (distros.is_empty() || !says_distro || has_distro())
    }
}

/// The module that a location has is the one that builder.toml says.
pub(super) fn entry_is(
    kind: Kind,
    location: &str,
    config: &ModuleConfig,
    package: &Package,
) -> Result<(), CreateError> {
    let invalid = |problem: String| Err(CreateError::Invalid(problem));
    let Some(entry) = package.entry_module() else {
        return invalid(format!(
            "{location} does not say which of its modules is the entry"
        ));
    };
    if entry.kind != kind {
        return invalid(format!(
            "{location} is the {} {}, not {} {kind}",
            entry.kind,
            entry.label(),
            kind.article()
        ));
    }
    for (what, wanted, is) in [
        ("ID", &config.id, &entry.info.id),
        ("version", &config.version, &entry.info.version),
    ] {
        if !wanted.is_empty() && wanted != is {
            return invalid(format!(
                "{kind} from URI {location} has {what} {is} which does not match {what} {wanted} from builder config"
            ));
        }
    }
    Ok(())
}

pub(super) fn lifecycle_knows(module: &Module, lifecycle: &Descriptor) -> Result<(), CreateError> {
    let apis = &lifecycle.apis.buildpack;
    let parsed = |text: &str| text.parse::<Version>().ok();
    let mut known = apis.supported.iter().chain(&apis.deprecated);
    if known.any(|it| parsed(it) == parsed(&module.api)) {
        return Ok(());
    }
    Err(CreateError::Invalid(format!(
        "{} {} (Buildpack API {}) is incompatible with lifecycle {} (Buildpack API(s) {})",
        module.kind,
        module.label(),
        module.api,
        lifecycle.lifecycle.version,
        apis.supported.join(", ")
    )))
}

/// What a composite buildpack names is in the builder.
pub(super) fn order_is_there(module: &Module, infos: &[ModuleInfo]) -> Result<(), CreateError> {
    for named in module.order.iter().flat_map(|it| &it.group) {
        if !infos.iter().any(|it| it.label() == named.label()) {
            return Err(CreateError::Invalid(format!(
                "buildpack {} not found on the builder, and {} names it\nadd it to [[buildpacks]], or take the package of {}",
                named.label(),
                module.label(),
                module.label()
            )));
        }
    }
    Ok(())
}

/// A buildpack runs on the build image: its stack or one of its targets.
pub(super) fn base_serves(module: &Module, base: &Base) -> Result<(), CreateError> {
    let name = module.label();
    if !module.stacks.is_empty() {
        let mut stacks = module.stacks.iter();
        let Some(stack) = stacks.find(|it| it.id == base.stack_id || it.id == "*") else {
            return Err(CreateError::Invalid(format!(
                "buildpack {name} does not support stack {:?}",
                base.stack_id
            )));
        };
        let there: BTreeSet<&String> = base.mixins.iter().collect();
        let needed = stack.mixins.iter().filter(|it| !it.starts_with("run:"));
        let missing: BTreeSet<&str> = needed
            .filter(|it| !there.contains(it))
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            let missing: Vec<_> = missing.into_iter().collect();
            return Err(CreateError::Invalid(format!(
                "buildpack {name} requires missing mixin(s): {}",
                missing.join(", ")
            )));
        }
    }
    if !module.targets.is_empty() && !module.targets.iter().any(|it| base.serves(it)) {
        let targets = module.targets.iter().map(|it| {
            let distros = it
                .distros
                .iter()
                .map(|it| format!(" {}@{}", it.name, it.version));
            let parts = [&it.os, &it.arch].map(String::as_str).join("/");
            format!(
                "{}{}",
                parts.trim_end_matches('/'),
                distros.collect::<String>()
            )
        });
        let targets: Vec<_> = targets.collect();
        let (distro, version) = &base.distro;
        return Err(CreateError::Invalid(format!(
            "unable to satisfy target os/arch constraints: the build image is {} {distro}@{version}, buildpack {name} is for {}",
            base.platform(),
            targets.join(", ")
        )));
    }
    Ok(())
}

pub(super) fn extensions_need_api(
    config: &Config,
    lifecycle: &Descriptor,
) -> Result<(), CreateError> {
    let has_extensions = !config.extensions.is_empty() || !config.order_extensions.is_empty();
    let supported = &lifecycle.apis.platform.supported;
    if has_extensions && !platform::api::has_settled_extensions(supported) {
        return Err(CreateError::Invalid(format!(
            "builder config contains image extensions, but the lifecycle's Platform APIs ({}) are all older than 0.13",
            supported.join(", ")
        )));
    }
    Ok(())
}

/// True if two modules make the same layer.
pub(super) fn are_same(left: &Module, right: &Module) -> Result<bool, layer::Error> {
    let diff_id = |it: &Module| {
        let entries = it.entries()?;
        layer::Layer { entries }.diff_id()
    };
    Ok(left.dir == right.dir || diff_id(left)? == diff_id(right)?)
}
