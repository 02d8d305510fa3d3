//! The order as detection walks it: system buildpacks around each group, extensions in front (BPD-040, BPD-041, BPD-049, BPD-050).

use std::rc::Rc;

use buildpack::descriptor::{self, Descriptor};
use buildpack::group::GroupElement;
use buildpack::order::OrderGroup;
use platform::files::System;
use platform::{ExitCode, Failure};
use tracing::debug;

use crate::Inputs;
use crate::advice::{self, Explanation};

/// One place in a group that is being expanded.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// A module, and the composite buildpacks that it was reached through.
    Module(GroupElement, Ancestry),
    /// An order of its own, tried group by group and left out if none passes.
    OptionalOrder(Rc<[Vec<Self>]>),
}

/// Composite buildpacks around a module, innermost first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ancestry(Option<Rc<(GroupElement, Self)>>);

impl Ancestry {
    /// Returns the ancestry of what `composite` contains; `None` if that contains itself (BPD-048).
    pub(crate) fn below(&self, composite: &GroupElement) -> Option<Self> {
        let label = composite.label();
        if self.elements().any(|around| around.label() == label) {
            return None;
        }
        Some(Self(Some(Rc::new((composite.clone(), self.clone())))))
    }

    /// Returns the composite buildpacks, innermost first.
    pub(crate) fn elements(&self) -> impl Iterator<Item = &GroupElement> {
        let nodes = std::iter::successors(self.0.as_deref(), |node| node.1.0.as_deref());
        nodes.map(|node| &node.0)
    }
}

/// Groups to try, first to last.
#[derive(Clone, Debug)]
pub(crate) struct CandidateOrder(pub(crate) Vec<Vec<Item>>);

impl CandidateOrder {
    /// Builds the order and checks that each module listed in it is there and has a supported API (DET-007, DET-008).
    pub(crate) fn new(inputs: &Inputs<'_>) -> Result<Self, Failure> {
        let mut groups: Vec<Vec<GroupElement>> = inputs
            .order
            .order
            .iter()
            .map(|group| group.group.clone())
            .collect();
        if inputs.api.has_system_buildpacks() {
            groups = groups
                .into_iter()
                .map(|group| surround(group, inputs.system))
                .collect();
        }
        let extensions: Vec<Vec<GroupElement>> = inputs
            .order
            .order_extensions
            .iter()
            .map(extension_group)
            .collect();
        for element in groups.iter().chain(&extensions).flatten() {
            verify(inputs, element)?;
        }

        let front = (!extensions.is_empty()).then(|| {
            let order = extensions
                .iter()
                .map(|group| items(group, &Ancestry::default()))
                .collect();
            Item::OptionalOrder(order)
        });
        let groups = groups.iter().map(|group| {
            front
                .iter()
                .cloned()
                .chain(items(group, &Ancestry::default()))
                .collect()
        });
        Ok(Self(groups.collect()))
    }
}

/// Returns the elements as places of a group.
pub(crate) fn items(group: &[GroupElement], ancestry: &Ancestry) -> Vec<Item> {
    group
        .iter()
        .map(|element| Item::Module(element.clone(), ancestry.clone()))
        .collect()
}

fn extension_group(group: &OrderGroup) -> Vec<GroupElement> {
    let forced = |element: &GroupElement| GroupElement {
        extension: true,
        optional: true,
        ..element.clone()
    };
    group.group.iter().map(forced).collect()
}

/// Puts system buildpacks around a group, those left out whose id it has already.
fn surround(group: Vec<GroupElement>, system: &System) -> Vec<GroupElement> {
    let missing = |around: &[GroupElement]| -> Vec<GroupElement> {
        let mut around = around.to_vec();
        around.retain(|element| group.iter().all(|present| present.id != element.id));
        // Always required, whatever the file says (DET-011).
        for element in &mut around {
            element.optional = false;
        }
        around
    };
    let (pre, post) = (missing(&system.pre), missing(&system.post));
    if !pre.is_empty() {
        debug!("Prepending {} system buildpack(s) to group", pre.len());
    }
    if !post.is_empty() {
        debug!("Appending {} system buildpack(s) to group", post.len());
    }
    pre.into_iter().chain(group).chain(post).collect()
}

fn verify(inputs: &Inputs<'_>, element: &GroupElement) -> Result<(), Failure> {
    let kind = if element.extension {
        "Extension"
    } else {
        "Buildpack"
    };
    let descriptor = look_up(inputs, element).map_err(|error| {
        advice::of_module(inputs, element, &error).tell();
        Failure::new(ExitCode::Failed, "initialize detector", error)
    })?;
    let module = GroupElement {
        api: descriptor.api.clone(),
        ..element.clone()
    };
    let verified = platform::api::verify_module(kind, &module);
    verified.map(drop).inspect_err(|_| {
        Explanation::of(element, &advice::of_api(&descriptor)).tell();
    })
}

/// Reads the descriptor of a module.
pub(crate) fn look_up(
    inputs: &Inputs<'_>,
    element: &GroupElement,
) -> Result<Descriptor, descriptor::Error> {
    let GroupElement { id, version, .. } = element;
    if element.extension {
        inputs.modules.extension(id, version)
    } else {
        inputs.modules.buildpack(id, version)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn element(id: &str) -> GroupElement {
        GroupElement {
            id: id.into(),
            version: "1".into(),
            ..GroupElement::default()
        }
    }

    fn ids(group: &[GroupElement]) -> Vec<&str> {
        group.iter().map(|element| element.id.as_str()).collect()
    }

    #[test]
    fn system_buildpacks_stand_around_a_group_once() {
        let system = System {
            pre: vec![element("pre"), element("a")],
            post: vec![element("post"), element("b")],
        };
        let table: &[(&[&str], &[&str])] = &[
            (&["a", "b"], &["pre", "a", "b", "post"]),
            (&["c"], &["pre", "a", "c", "post", "b"]),
            (&["post"], &["pre", "a", "post", "b"]),
        ];
        for (group, expected) in table {
            let group = group.iter().map(|id| element(id)).collect();
            assert_eq!(ids(&surround(group, &system)), *expected);
        }
    }

    #[test]
    fn system_buildpacks_are_required_whatever_the_file_says() {
        let optional = GroupElement {
            optional: true,
            ..element("pre")
        };
        let system = System {
            pre: vec![optional],
            post: vec![],
        };
        assert!(!surround(vec![element("a")], &system)[0].optional);
    }

    #[test]
    fn extensions_are_optional_whatever_the_file_says() {
        let group = extension_group(&OrderGroup {
            group: vec![element("x")],
        });
        assert!(group[0].optional && group[0].extension);
    }

    #[test]
    fn a_composite_inside_itself_is_seen() {
        let outer = Ancestry::default().below(&element("outer")).unwrap();
        let inner = outer.below(&element("inner")).unwrap();
        assert!(inner.below(&element("outer")).is_none());
        assert!(
            outer.below(&element("inner")).is_some(),
            "a second use beside the first is no cycle"
        );
    }
}
