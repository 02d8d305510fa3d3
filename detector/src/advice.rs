//! For whoever wrote a buildpack or made a builder: where the mistake is, what it is, and the way out.
//!
//! These lines stand in front of the reference's last one, which says "buildpack(s) failed with err" and no more.

use std::fmt;
use std::path::{Path, PathBuf};

use buildpack::api::SUPPORTED;
use buildpack::decode::{Document, FileError};
use buildpack::descriptor::{self, Descriptor};
use buildpack::fault::Advice;
use buildpack::group::{GroupElement, escape_id};
use buildpack::order::OrderGroup;
use buildpack::syscall_text;
use buildpack::target::{Target, TargetSpec};
use tracing::{error, warn};

use crate::Inputs;
use crate::order::Ancestry;
use crate::trial::LooseEnd;

/// How many names of files are shown of a folder.
const SHOWN: usize = 10;

/// A mistake and its remedy, ready to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Explanation {
    text: String,
    remedy: String,
}

impl Explanation {
    /// Returns what to tell of a module.
    pub(crate) fn of(element: &GroupElement, advice: &Advice) -> Self {
        Self {
            text: format!("{}: {advice}", Named(element)),
            remedy: advice.remedy.clone(),
        }
    }

    /// Returns what to tell of a module that a plan has no place for.
    pub(crate) fn of_loose_end(element: &GroupElement, loose_end: &LooseEnd<'_>) -> Self {
        let module = Named(element);
        let (text, remedy) = match loose_end {
            LooseEnd::Unmet(name) => (
                format!(
                    "{module}: requires {name:?}, which neither it nor a module in front of it provides"
                ),
                format!(
                    "put a buildpack in front of it that provides {name:?}, or make it optional"
                ),
            ),
            LooseEnd::Unused(name) => (
                format!(
                    "{module}: provides {name:?}, which neither it nor a module behind it requires"
                ),
                format!("put a buildpack behind it that requires {name:?}, or make it optional"),
            ),
        };
        Self { text, remedy }
    }

    /// Returns what to tell of a file.
    fn of_file(advice: &Advice) -> Self {
        Self {
            text: advice.to_string(),
            remedy: advice.remedy.clone(),
        }
    }

    /// Tells it where the phase ends because of it.
    pub(crate) fn tell(&self) {
        error!("{}", self.text);
        error!("to fix it: {}", self.remedy);
    }
}

/// Explanations, each of them once.
#[derive(Debug, Default)]
pub(crate) struct Explanations(Vec<Explanation>);

impl Explanations {
    pub(crate) fn add(&mut self, explanation: Explanation) {
        if !self.0.contains(&explanation) {
            self.0.push(explanation);
        }
    }

    /// Tells them where no group was taken.
    pub(crate) fn tell(&self) {
        self.0.iter().for_each(Explanation::tell);
    }

    /// Tells them where a group was taken nevertheless.
    pub(crate) fn warn(&self) {
        for explanation in &self.0 {
            warn!("{}", explanation.text);
            warn!("to fix it: {}", explanation.remedy);
        }
    }
}

/// A module's kind and label.
struct Named<'a>(&'a GroupElement);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", kind(self.0), self.0.label())
    }
}

/// Says of an order that fits nothing what it was tried on, or that there is nothing to try.
pub(crate) fn tell_what_was_tried(inputs: &Inputs<'_>, groups: usize) {
    let order = inputs.order_path;
    let empty = inputs
        .order
        .order
        .iter()
        .position(|group| group.group.is_empty());
    if inputs.order.order.is_empty() {
        let remedy =
            "list at least one group: [[order]], and below it [[order.group]] with id and version";
        Explanation::of_file(&Advice::new(order, "holds no [[order]]", remedy)).tell();
    } else if let Some(index) = empty {
        let problem = format!("group {} holds no [[order.group]]", index + 1);
        let remedy = "list at least one buildpack below its [[order]], with id and version";
        let line = line_in(order, &format!("order[{index}]"));
        Explanation::of_file(&Advice::new(order, problem, remedy).at(line)).tell();
    } else {
        let app = inputs.app_dir.display();
        let holds = match names(inputs.app_dir) {
            names if names.is_empty() => "nothing".to_owned(),
            names => list(&names),
        };
        error!("groups tried: {groups}; on the app in {app}, which holds {holds}");
    }
}

/// Returns what to tell of a module that the order, or system.toml, names.
pub(crate) fn of_module(
    inputs: &Inputs<'_>,
    element: &GroupElement,
    error: &descriptor::Error,
) -> Explanation {
    let (orders, key) = if element.extension {
        (&inputs.order.order_extensions, "order-extensions")
    } else {
        (&inputs.order.order, "order")
    };
    let place =
        place_in(orders, element).map(|(group, at)| format!("{key}[{group}].group[{at}].id"));
    let (file, line) = match place {
        Some(place) => (inputs.order_path, line_in(inputs.order_path, &place)),
        None => (Path::new("system.toml"), 0),
    };
    of_named_module(inputs, file, line, element, error)
}

/// Returns what to tell of a module that a composite buildpack names.
pub(crate) fn of_module_in(
    inputs: &Inputs<'_>,
    composite: &GroupElement,
    element: &GroupElement,
    error: &descriptor::Error,
) -> Explanation {
    let modules = inputs.modules;
    let file = modules.buildpack_path(&composite.id, &composite.version);
    let order = modules.buildpack(&composite.id, &composite.version);
    let order = order.map(|descriptor| descriptor.order).unwrap_or_default();
    let line = place_in(&order, element).map_or(0, |(group, at)| {
        line_in(&file, &format!("order[{group}].group[{at}].id"))
    });
    of_named_module(inputs, &file, line, element, error)
}

fn of_named_module(
    inputs: &Inputs<'_>,
    named_by: &Path,
    line: usize,
    element: &GroupElement,
    error: &descriptor::Error,
) -> Explanation {
    let path = descriptor_path(inputs, element);
    let kind = kind(element);
    match error {
        descriptor::Error::Decode(error) => {
            let remedy = format!(
                "correct {kind}.toml; it holds api = \"...\", [{kind}] with id and version, and what else is said of a {kind}"
            );
            Explanation::of(
                element,
                &Advice::new(&path, &*error.problem, remedy).at(error.line),
            )
        }
        _ if !path.exists() => {
            let label = element.label();
            let problem = format!("names {kind} {label}, but there is no {}", path.display());
            let remedy = what_is_there(inputs, element);
            Explanation::of_file(&Advice::new(named_by, problem, remedy).at(line))
        }
        error => {
            let remedy = format!("let the user that builds read {kind}.toml");
            Explanation::of(
                element,
                &Advice::new(&path, format!("cannot be read: {error}"), remedy),
            )
        }
    }
}

fn what_is_there(inputs: &Inputs<'_>, element: &GroupElement) -> String {
    let (dir, flag) = if element.extension {
        (
            &inputs.modules.extensions,
            "-extensions or CNB_EXTENSIONS_DIR",
        )
    } else {
        (
            &inputs.modules.buildpacks,
            "-buildpacks or CNB_BUILDPACKS_DIR",
        )
    };
    let kind = kind(element);
    let versions = names(&dir.join(escape_id(&element.id)));
    if !versions.is_empty() {
        let versions = list(&versions);
        return format!(
            "name a version that is there ({versions}), or add this one to the builder"
        );
    }
    let all = names(dir);
    if all.is_empty() {
        let dir = dir.display();
        return format!(
            "add the {kind} to the builder, or name its folder with {flag}; {dir} holds nothing"
        );
    }
    let all = list(&all);
    format!("name a {kind} that is there ({all}), or add this one to the builder")
}

/// Returns advice about an API that is not supported, or not given.
pub(crate) fn of_api(descriptor: &Descriptor) -> Advice {
    let supported: Vec<_> = SUPPORTED.iter().map(ToString::to_string).collect();
    let supported = supported.join(", ");
    let path = descriptor_file(descriptor);
    if descriptor.api.is_empty() {
        let remedy = format!("write api = \"...\" above the first table, with one of {supported}");
        return Advice::new(&path, "says no api", remedy);
    }
    let problem = format!(
        "api = {:?} is none that this lifecycle knows",
        descriptor.api
    );
    let remedy = format!("name one of {supported}; for a newer one, take a newer lifecycle");
    let line = line_in(&path, "api");
    Advice::new(&path, problem, remedy).at(line)
}

/// Returns advice about targets that do not fit the run image.
pub(crate) fn of_targets(descriptor: &Descriptor, base: &Target) -> Advice {
    let path = descriptor_file(descriptor);
    let targets: Vec<_> = descriptor.targets.iter().map(target_name).collect();
    let base = TargetSpec {
        os: base.os.clone(),
        arch: base.arch.clone(),
        arch_variant: base.arch_variant.clone(),
        distros: base.distro.iter().cloned().collect(),
    };
    let problem = format!(
        "is for {}, and the run image is {}",
        targets.join(" or "),
        target_name(&base)
    );
    let remedy = "list the run image's target under [[targets]], or build on another run image";
    let line = line_in(&path, "targets[0]");
    Advice::new(&path, problem, remedy).at(line)
}

/// Returns what to tell of a composite buildpack that contains itself.
pub(crate) fn of_circle(
    descriptor: &Descriptor,
    composite: &GroupElement,
    ancestry: &Ancestry,
) -> Explanation {
    let mut way: Vec<_> = ancestry.elements().map(GroupElement::label).collect();
    let label = composite.label();
    let start = way.iter().position(|around| *around == label);
    way.truncate(start.map_or(way.len(), |start| start + 1));
    way.reverse();
    way.push(label);
    let problem = format!("leads back to itself: {}", way.join(" -> "));
    let remedy = "leave one of these out of the [[order]] of the one in front of it";
    Explanation::of(
        composite,
        &Advice::new(&descriptor_file(descriptor), problem, remedy),
    )
}

/// Returns what to tell of an order.toml that cannot be read.
pub(crate) fn of_order_file(path: &Path, cause: &anyhow::Error) -> Explanation {
    let expected = "write [[order]], and below it [[order.group]] with id, version and perhaps optional = true";
    of_file(
        path,
        cause,
        expected,
        "name the order with -order or CNB_ORDER_PATH",
    )
}

/// Returns what to tell of a system.toml that cannot be read.
pub(crate) fn of_system_file(path: &Path, cause: &anyhow::Error) -> Explanation {
    let expected =
        "write [[system.pre.buildpacks]] and [[system.post.buildpacks]], with id and version each";
    of_file(
        path,
        cause,
        expected,
        "name the file with -system or CNB_SYSTEM_PATH",
    )
}

fn of_file(path: &Path, cause: &anyhow::Error, expected: &str, elsewhere: &str) -> Explanation {
    let cause = cause
        .chain()
        .find_map(|cause| cause.downcast_ref::<FileError>());
    let advice = match cause {
        Some(FileError::Decode(error)) => {
            Advice::new(path, &*error.problem, expected).at(error.line)
        }
        Some(FileError::Syscall(error)) => {
            let problem = format!("cannot be read: {}", syscall_text::reason(&error.cause));
            Advice::new(path, problem, elsewhere)
        }
        _ => Advice::new(path, "cannot be read", elsewhere),
    };
    Explanation::of_file(&advice)
}

fn kind(element: &GroupElement) -> &'static str {
    if element.extension {
        "extension"
    } else {
        "buildpack"
    }
}

fn descriptor_path(inputs: &Inputs<'_>, element: &GroupElement) -> PathBuf {
    let GroupElement { id, version, .. } = element;
    if element.extension {
        inputs.modules.extension_path(id, version)
    } else {
        inputs.modules.buildpack_path(id, version)
    }
}

fn descriptor_file(descriptor: &Descriptor) -> PathBuf {
    let name = if descriptor.extension {
        "extension.toml"
    } else {
        "buildpack.toml"
    };
    descriptor.dir.join(name)
}

/// Returns where an order names a module: group and place in it.
fn place_in(order: &[OrderGroup], element: &GroupElement) -> Option<(usize, usize)> {
    let is_it = |other: &GroupElement| other.label() == element.label();
    order.iter().enumerate().find_map(|(group, of)| {
        let at = of.group.iter().position(is_it)?;
        Some((group, at))
    })
}

/// Returns the line of a key in a file, 0 where that cannot be told.
fn line_in(path: &Path, place: &str) -> usize {
    Document::open(path).map_or(0, |document| document.line_of(place))
}

/// Returns `linux/arm64 (debian 12)`.
fn target_name(target: &TargetSpec) -> String {
    let or_any = |text: &str| {
        if text.is_empty() {
            "any".to_owned()
        } else {
            text.to_owned()
        }
    };
    let mut name = format!("{}/{}", or_any(&target.os), or_any(&target.arch));
    if !target.arch_variant.is_empty() {
        name = format!("{name}/{}", target.arch_variant);
    }
    let distros: Vec<_> = target
        .distros
        .iter()
        .map(|distro| {
            format!("{} {}", distro.name, distro.version)
                .trim()
                .to_owned()
        })
        .collect();
    if distros.is_empty() {
        name
    } else {
        format!("{name} ({})", distros.join(", "))
    }
}

/// Returns the names in a folder; none where it cannot be read.
fn names(dir: &Path) -> Vec<String> {
    let entries = syscall_text::read_dir(dir).unwrap_or_default();
    let names = entries.into_iter().map(|entry| entry.name);
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

fn list(names: &[String]) -> String {
    let more = names.len().saturating_sub(SHOWN);
    let mut text = names[..names.len() - more].join(", ");
    if more > 0 {
        text = format!("{text} and {more} more");
    }
    text
}
