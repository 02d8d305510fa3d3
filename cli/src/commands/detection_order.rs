//! The order in which buildpacks are tried, as a tree: groups, their buildpacks, and the groups of those that are composite.

use std::io::{self, Write};
use std::ops::Not;

use distribution::labels::{Group, Layers, ModuleRef};
use serde::Serialize;

use crate::text::printable;

/// Composites may name each other in ways that grow without end; nobody reads more than this.
const MOST: usize = 2_000;

/// One group.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Tree {
    buildpacks: Vec<Node>,
}

/// A buildpack in a group.
#[derive(Debug, PartialEq, Serialize)]
struct Node {
    #[serde(flatten)]
    reference: ModuleRef,
    /// It is within itself, and not shown again.
    #[serde(skip_serializing_if = "Not::not")]
    cyclic: bool,
    /// Its own groups, if it is composite.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    buildpacks: Vec<Tree>,
}

/// Returns an order with what composite buildpacks in it stand for, `depth` of them deep at most.
pub(crate) fn trees(order: &[Group], layers: &Layers, depth: Option<usize>) -> Vec<Tree> {
    let mut walk = Walk {
        layers,
        left: MOST,
        above: Vec::new(),
    };
    walk.groups(order, depth.unwrap_or(usize::MAX))
}

struct Walk<'a> {
    layers: &'a Layers,
    left: usize,
    above: Vec<(String, String)>,
}

impl Walk<'_> {
    fn groups(&mut self, order: &[Group], depth: usize) -> Vec<Tree> {
        let groups = order.iter().map(|group| Tree {
            buildpacks: group.group.iter().map(|it| self.node(it, depth)).collect(),
        });
        groups.collect()
    }

    fn node(&mut self, reference: &ModuleRef, depth: usize) -> Node {
        let mut node = Node {
            reference: reference.clone(),
            cyclic: false,
            buildpacks: Vec::new(),
        };
        let Some(versions) = self.layers.get(&reference.id) else {
            return node;
        };
        let found = match reference.version.as_str() {
            "" if versions.len() == 1 => versions.iter().next(),
            version => versions.get_key_value(version),
        };
        let Some((version, info)) = found else {
            return node;
        };
        let name = (reference.id.clone(), version.clone());
        node.cyclic = self.above.contains(&name);
        self.left = self.left.saturating_sub(1);
        if depth == 0 || node.cyclic || self.left == 0 {
            return node;
        }
        self.above.push(name);
        node.buildpacks = self.groups(&info.order, depth - 1);
        self.above.pop();
        node
    }
}

/// Prints trees with lines, as pack does.
pub(crate) fn print(order: &[Tree], out: &mut dyn Write) -> io::Result<()> {
    if order.is_empty() {
        return writeln!(out, "  (none)");
    }
    groups(order, "", out)
}

fn groups(order: &[Tree], prefix: &str, out: &mut dyn Write) -> io::Result<()> {
    for (at, group) in order.iter().enumerate() {
        let (branch, below) = lines(at + 1 == order.len());
        writeln!(out, "{prefix}{branch}Group #{}:", at + 1)?;
        nodes(&group.buildpacks, &format!("{prefix}{below}"), out)?;
    }
    Ok(())
}

fn nodes(all: &[Node], prefix: &str, out: &mut dyn Write) -> io::Result<()> {
    for (at, node) in all.iter().enumerate() {
        let (branch, below) = lines(at + 1 == all.len());
        let name = printable(&node.reference.label());
        let optional = if node.reference.optional {
            " (optional)"
        } else {
            ""
        };
        let cyclic = if node.cyclic { " [cyclic]" } else { "" };
        writeln!(out, "{prefix}{branch}{name}{optional}{cyclic}")?;
        groups(&node.buildpacks, &format!("{prefix}{below}"), out)?;
    }
    Ok(())
}

fn lines(is_last: bool) -> (&'static str, &'static str) {
    if is_last {
        (" └ ", "   ")
    } else {
        (" ├ ", " │ ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(text: &str) -> Layers {
        serde_json::from_str(&text.replace(
            'D',
            &format!("\"layerDiffID\":\"sha256:{}\"", "0".repeat(64)),
        ))
        .unwrap()
    }

    fn order(text: &str) -> Vec<Group> {
        serde_json::from_str(text).unwrap()
    }

    fn printed(order: &[Group], layers: &Layers, depth: Option<usize>) -> String {
        let mut out = Vec::new();
        print(&trees(order, layers, depth), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn composites_are_shown_with_what_they_name() {
        let layers = layers(concat!(
            r#"{"all":{"1":{D,"order":[{"group":[{"id":"one","version":"1","optional":true}]},{"group":[{"id":"all","version":"1"}]}]}},"#,
            r#""one":{"1":{D}}}"#,
        ));
        let order = order(
            r#"[{"group":[{"id":"all"},{"id":"one"}]},{"group":[{"id":"gone","version":"2"}]}]"#,
        );
        let expected = " ├ Group #1:
 │  ├ all
 │  │  ├ Group #1:
 │  │  │  └ one@1 (optional)
 │  │  └ Group #2:
 │  │     └ all@1 [cyclic]
 │  └ one
 └ Group #2:
    └ gone@2
";
        assert_eq!(printed(&order, &layers, None), expected);
        let shallow = " ├ Group #1:\n │  ├ all\n │  └ one\n └ Group #2:\n    └ gone@2\n";
        assert_eq!(printed(&order, &layers, Some(0)), shallow);
        assert_eq!(printed(&[], &layers, None), "  (none)\n");
    }

    #[test]
    fn an_order_that_grows_without_end_is_cut_off() {
        let level = |level: usize| {
            let next = format!(r#"{{"id":"b{}","version":"1"}}"#, level + 1);
            format!(r#""b{level}":{{"1":{{D,"order":[{{"group":[{next},{next}]}}]}}}}"#)
        };
        let levels: Vec<_> = (0..60).map(level).collect();
        let layers = layers(&format!("{{{}}}", levels.join(",")));
        let printed = printed(
            &order(r#"[{"group":[{"id":"b0","version":"1"}]}]"#),
            &layers,
            None,
        );
        assert!(
            printed.lines().count() < 3 * MOST,
            "{}",
            printed.lines().count()
        );
    }
}
