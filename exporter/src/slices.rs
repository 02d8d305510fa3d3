//! App layers: one per slice and one for the rest (EXP-029, EXP-053 to EXP-057, BPB-048 to BPB-050).
//!
//! Entries are sorted by path, unlike those of other layers. Each path goes to the first slice that
//! takes it; directories above a taken path stand in its layer too, and stay for the rest as long as
//! something in them is left.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use buildpack::launch::Slice;
use layout::layer::{self, Entry, Layer, Owner};

use crate::ahead::Walked;
use crate::pattern::{Malformed, Pattern};

/// A layer of app files.
#[derive(Debug)]
pub(crate) struct AppLayer {
    /// `slice-<n>`, from 1.
    pub(crate) id: String,
    /// History text.
    pub(crate) created_by: String,
    /// What it holds; nothing at all where no file belongs to it.
    pub(crate) contents: Walked,
}

/// Divides the app directory: `slices.len() + 1` layers, hashed if their diffIDs will be `compared`.
pub(crate) fn app_layers(
    app_dir: &Path,
    slices: &[Slice],
    owner: Owner,
    compared: bool,
) -> anyhow::Result<Vec<AppLayer>> {
    let above = layer::ancestors(app_dir)?;
    let mut tree = Tree::new(layer::walk(app_dir, Some(owner))?);
    let mut contents = Vec::with_capacity(slices.len() + 1);
    for slice in slices {
        let matches = tree.matches(app_dir, &slice.paths)?;
        contents.push(tree.take(&matches));
    }
    contents.push(tree.take_rest());

    let layers = contents.into_iter().enumerate().map(|(index, entries)| {
        let number = index + 1;
        let created_by = if slices.is_empty() {
            "Application Layer".to_owned()
        } else {
            format!("Application Slice: {number}")
        };
        Ok(AppLayer {
            id: format!("slice-{number}"),
            created_by,
            contents: Walked::new(with_ancestors(&above, entries), compared)?,
        })
    });
    layers.collect()
}

/// A layer without files has no ancestors either (EXP-053).
fn with_ancestors(above: &[Entry], mut entries: Vec<Entry>) -> Layer {
    entries.sort_by(|a, b| bytes(&a.name).cmp(bytes(&b.name)));
    if !entries.is_empty() {
        entries.splice(0..0, above.iter().cloned());
    }
    Layer { entries }
}

/// `Path`'s own order compares parts, which puts `a/b` before `a-b`.
fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// The app directory in walk order, so that what is below an entry directly follows it.
struct Tree {
    nodes: Vec<Node>,
}

struct Node {
    entry: Entry,
    parent: Option<usize>,
    /// Index after the last entry below.
    end: usize,
    /// In a layer already, with everything below.
    taken: bool,
}

impl Tree {
    fn new(entries: Vec<Entry>) -> Self {
        let mut nodes: Vec<Node> = Vec::with_capacity(entries.len());
        let mut open: Vec<usize> = Vec::new();
        for (index, entry) in entries.into_iter().enumerate() {
            while let Some(&candidate) = open.last()
                && Some(&*nodes[candidate].entry.name) != entry.name.parent()
            {
                open.pop();
                nodes[candidate].end = index;
            }
            nodes.push(Node {
                entry,
                parent: open.last().copied(),
                end: index + 1,
                taken: false,
            });
            open.push(index);
        }
        let count = nodes.len();
        for index in open {
            nodes[index].end = count;
        }
        Self { nodes }
    }

    /// Returns what any of the patterns matches; the app directory itself never does.
    fn matches(&self, app_dir: &Path, patterns: &[String]) -> Result<Vec<usize>, Malformed> {
        let mut matches = Vec::new();
        for pattern in patterns.iter().map(|text| Pattern::parse(text)) {
            for (index, node) in self.nodes.iter().enumerate().skip(1) {
                let name = &node.entry.name;
                let relative = name.strip_prefix(app_dir).unwrap_or(name);
                if pattern.matches(bytes(relative))? {
                    matches.push(index);
                }
            }
        }
        Ok(matches)
    }

    /// Takes the matches with all below them that is left, and the directories above them (EXP-056).
    fn take(&mut self, matches: &[usize]) -> Vec<Entry> {
        let mut fresh = Vec::new();
        for &found in matches {
            for index in found..self.nodes[found].end {
                if !std::mem::replace(&mut self.nodes[index].taken, true) {
                    fresh.push(index);
                }
            }
        }
        let above = self.directories_above(&fresh);
        // The deepest first: whether a directory is used up depends on those below.
        for &directory in above.iter().rev() {
            let used_up = self
                .children(directory)
                .all(|child| self.nodes[child].taken);
            self.nodes[directory].taken = used_up;
        }
        let indexes = fresh.into_iter().chain(above);
        indexes.map(|i| self.nodes[i].entry.clone()).collect()
    }

    /// Takes what no slice took.
    fn take_rest(self) -> Vec<Entry> {
        let rest = self.nodes.into_iter().filter(|node| !node.taken);
        rest.map(|node| node.entry).collect()
    }

    /// Returns the directories above `taken` that are not among it, in walk order, each once.
    fn directories_above(&self, taken: &[usize]) -> Vec<usize> {
        let mut marked = vec![false; self.nodes.len()];
        for &index in taken {
            let mut above = self.nodes[index].parent;
            while let Some(directory) = above.filter(|&directory| !marked[directory]) {
                marked[directory] = true;
                above = self.nodes[directory].parent;
            }
        }
        for &index in taken {
            marked[index] = false;
        }
        (0..self.nodes.len()).filter(|&i| marked[i]).collect()
    }

    fn children(&self, directory: usize) -> impl Iterator<Item = usize> {
        let end = self.nodes[directory].end;
        let first = (directory + 1 < end).then_some(directory + 1);
        std::iter::successors(first, move |&child| {
            let next = self.nodes[child].end;
            (next < end).then_some(next)
        })
    }
}

#[cfg(test)]
mod tests {
    use layout::layer::EntryKind;

    use super::*;

    /// Directories end in a slash. Listed in walk order below `/app`.
    const APP: [&str; 12] = [
        "/app/",
        "/app/a/",
        "/app/a/b/",
        "/app/a/b/1",
        "/app/a/b/2",
        "/app/a/c",
        "/app/a-b",
        "/app/d/",
        "/app/d/x",
        "/app/empty/",
        "/app/m.md",
        "/app/n.txt",
    ];

    fn entry(name: &str) -> Entry {
        Entry {
            name: Path::new(name.trim_end_matches('/')).into(),
            mode: 0o644,
            uid: 1,
            gid: 1,
            kind: if name.ends_with('/') {
                EntryKind::Directory
            } else {
                EntryKind::Fifo
            },
        }
    }

    /// Returns the names in each layer, relative to the app directory.
    fn divide(slices: &[&[&str]]) -> Vec<String> {
        let mut tree = Tree::new(APP.map(entry).to_vec());
        let mut layers = Vec::new();
        for patterns in slices {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            let matches = tree
                .matches(Path::new("/app"), &patterns)
                .expect("patterns");
            layers.push(tree.take(&matches));
        }
        layers.push(tree.take_rest());
        let names = |entries| {
            let layer = with_ancestors(&[], entries);
            let names = layer
                .entries
                .iter()
                .map(|e| match e.name.strip_prefix("/app") {
                    Ok(name) if name.as_os_str().is_empty() => ".".to_owned(),
                    Ok(name) => name.display().to_string(),
                    Err(error) => panic!("{error}"),
                });
            names.collect::<Vec<_>>().join(" ")
        };
        layers.into_iter().map(names).collect()
    }

    #[test]
    fn each_path_goes_to_the_first_slice_that_takes_it() {
        let everything = ". a a-b a/b a/b/1 a/b/2 a/c d d/x empty m.md n.txt";
        let cases: &[(&[&[&str]], &[&str])] = &[
            (&[], &[everything]),
            (&[&["nothing-*"]], &["", everything]),
            (
                &[&["*.md", "*.txt"]],
                &[". m.md n.txt", ". a a-b a/b a/b/1 a/b/2 a/c d d/x empty"],
            ),
            // A directory comes with all below; its parent stays for what is left in it.
            (
                &[&["a/b"]],
                &[". a a/b a/b/1 a/b/2", ". a a-b a/c d d/x empty m.md n.txt"],
            ),
            // A directory whose last child is taken is used up.
            (
                &[&["d/x"]],
                &[". d d/x", ". a a-b a/b a/b/1 a/b/2 a/c empty m.md n.txt"],
            ),
            // What an earlier slice took stays there, and the rest of the directory follows later.
            (
                &[&["a/b/1"], &["a"]],
                &[
                    ". a a/b a/b/1",
                    ". a a/b a/b/2 a/c",
                    ". a-b d d/x empty m.md n.txt",
                ],
            ),
            (
                &[&["a/b/1"], &["a/b/2"], &["a/c"]],
                &[
                    ". a a/b a/b/1",
                    ". a a/b a/b/2",
                    ". a a/c",
                    ". a-b d d/x empty m.md n.txt",
                ],
            ),
            // Everything taken: the last layer is empty, the app directory included.
            (&[&["*"]], &[everything, ""]),
            (
                &[&["empty"]],
                &[". empty", ". a a-b a/b a/b/1 a/b/2 a/c d d/x m.md n.txt"],
            ),
        ];
        for (slices, expected) in cases {
            assert_eq!(divide(slices), *expected, "{slices:?}");
        }
    }

    #[test]
    fn a_malformed_pattern_fails_only_where_there_is_a_path_to_compare() {
        let bad = ["[".to_owned()];
        let tree = Tree::new(APP.map(entry).to_vec());
        assert!(tree.matches(Path::new("/app"), &bad).is_err());
        let empty = Tree::new(vec![entry("/app/")]);
        assert!(empty.matches(Path::new("/app"), &bad).is_ok());
    }
}
