//! Which stacks a package as a whole runs on; what declares targets instead runs on any.

use std::collections::BTreeSet;

use crate::labels::Stack;
use crate::module::Module;

/// Returns the stacks that all modules have in common; none if there is no such stack.
pub(super) fn common<'a>(modules: impl IntoIterator<Item = &'a Module>) -> Vec<Stack> {
    let of_one = |module: &Module| match module.stacks.as_slice() {
        [] => vec![any()],
        stacks => stacks.to_vec(),
    };
    // A composite runs where the buildpacks in its order run.
    let modules = modules.into_iter().filter(|it| !it.is_composite());
    let merged = modules.map(of_one).reduce(|all, next| merge(&all, &next));
    merged.unwrap_or_default()
}

fn any() -> Stack {
    Stack {
        id: "*".to_owned(),
        mixins: Vec::new(),
    }
}

fn merge(left: &[Stack], right: &[Stack]) -> Vec<Stack> {
    let mut merged: Vec<Stack> = Vec::new();
    for (left, right) in left
        .iter()
        .flat_map(|it| right.iter().map(move |of| (it, of)))
    {
        let id = match (left.id.as_str(), right.id.as_str()) {
            ("*", id) | (id, "*") => id,
            (id, other) if id == other => id,
            _ => continue,
        };
        if merged.iter().any(|it| it.id == id) {
            continue;
        }
        let mixins: BTreeSet<&String> = left.mixins.iter().chain(&right.mixins).collect();
        merged.push(Stack {
            id: id.to_owned(),
            mixins: mixins.into_iter().cloned().collect(),
        });
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stacks(texts: &[&str]) -> Vec<Stack> {
        let stack = |text: &&str| {
            let mut words = text.split(' ').map(str::to_owned);
            Stack {
                id: words.next().unwrap_or_default(),
                mixins: words.collect(),
            }
        };
        texts.iter().map(stack).collect()
    }

    #[test]
    fn stacks_in_common() {
        let cases: [(&[&str], &[&str], &[&str]); 5] = [
            (&["a", "b"], &["b", "c"], &["b"]),
            (&["a x"], &["a y x"], &["a x y"]),
            (&["*"], &["a x", "b"], &["a x", "b"]),
            (&["a", "*"], &["*"], &["a", "*"]),
            (&["a"], &["b"], &[]),
        ];
        for (left, right, expected) in cases {
            assert_eq!(merge(&stacks(left), &stacks(right)), stacks(expected));
        }
    }
}
