//! What is wrong with one module: it is not there, cannot be read, wants another API, another run image, or itself.

use std::path::{Path, PathBuf};

use buildpack::api::SUPPORTED;
use buildpack::descriptor::{self, Descriptor};
use buildpack::fault::Advice;
use buildpack::group::{GroupElement, escape_id};
use buildpack::order::OrderGroup;
use buildpack::target::{Target, TargetSpec};
use platform::files::System;

use super::{Explanation, kind, line_in, list, names};
use crate::Inputs;
use crate::order::Ancestry;

/// Returns what to tell of a module that the order, or system.toml, names.
pub(crate) fn of_module(
    inputs: &Inputs<'_>,
    element: &GroupElement,
    error: &descriptor::Error,
) -> Explanation {
    let (file, place) = named_where(inputs, element);
    of_named_module(inputs, file, line_in(file, &place), element, error)
}

/// Returns the file that names a module, and the place in it.
fn named_where<'a>(inputs: &Inputs<'a>, element: &GroupElement) -> (&'a Path, String) {
    let (orders, key) = if element.extension {
        (&inputs.order.order_extensions, "order-extensions")
    } else {
        (&inputs.order.order, "order")
    };
    if let Some((group, at)) = place_in(orders, element) {
        return (inputs.order_path, format!("{key}[{group}].group[{at}].id"));
    }
    let System { pre, post } = inputs.system;
    let place = [("pre", pre), ("post", post)]
        .into_iter()
        .find_map(|(side, elements)| {
            let at = elements.iter().position(|other| is_same(other, element))?;
            Some(format!("system.{side}.buildpacks[{at}].id"))
        });
    (inputs.system_path, place.unwrap_or_default())
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

fn is_same(one: &GroupElement, other: &GroupElement) -> bool {
    one.label() == other.label()
}

/// Returns where an order names a module: group and place in it.
fn place_in(order: &[OrderGroup], element: &GroupElement) -> Option<(usize, usize)> {
    order.iter().enumerate().find_map(|(group, of)| {
        let at = of.group.iter().position(|other| is_same(other, element))?;
        Some((group, at))
    })
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

#[cfg(test)]
mod tests {
    use buildpack::target::Distro;

    use super::*;

    #[test]
    fn targets_are_shown_as_people_write_them() {
        let target = |os: &str, arch: &str, variant: &str, distros: &[(&str, &str)]| TargetSpec {
            os: os.into(),
            arch: arch.into(),
            arch_variant: variant.into(),
            distros: distros
                .iter()
                .map(|(name, version)| Distro {
                    name: (*name).into(),
                    version: (*version).into(),
                })
                .collect(),
        };
        for (target, shown) in [
            (target("linux", "arm64", "", &[]), "linux/arm64"),
            (target("linux", "arm", "v7", &[]), "linux/arm/v7"),
            (target("", "", "", &[]), "any/any"),
            (
                target("linux", "", "", &[("debian", "12"), ("alpine", "")]),
                "linux/any (debian 12, alpine)",
            ),
        ] {
            assert_eq!(target_name(&target), shown);
        }
    }
}
