//! For whoever wrote a buildpack or made a builder: where the mistake is, what it is, and the way out.
//!
//! These lines stand in front of the reference's last one, which says "buildpack(s) failed with err" and no more.

mod module;

use std::fmt;
use std::path::Path;

use buildpack::decode::{Document, FileError};
use buildpack::fault::Advice;
use buildpack::group::GroupElement;
use buildpack::syscall_text;
use tracing::{error, warn};

pub(crate) use module::{of_api, of_circle, of_module, of_module_in, of_targets};

use crate::Inputs;
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

/// Returns the line of a key in a file, 0 where that cannot be told.
fn line_in(path: &Path, place: &str) -> usize {
    Document::open(path).map_or(0, |document| document.line_of(place))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_names_the_first_ten_are_shown() {
        let names = |count: usize| -> Vec<String> { (0..count).map(|n| n.to_string()).collect() };
        assert_eq!(list(&names(1)), "0");
        assert_eq!(list(&names(10)), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9");
        assert_eq!(list(&names(12)), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more");
    }

    #[test]
    fn what_is_said_twice_is_told_once() {
        let advice = |problem: &str| Advice::new(Path::new("/a"), problem, "mend it");
        let module = GroupElement::default();
        let mut explanations = Explanations::default();
        for problem in ["one", "two", "one"] {
            explanations.add(Explanation::of(&module, &advice(problem)));
        }
        assert_eq!(explanations.0.len(), 2);
    }
}
