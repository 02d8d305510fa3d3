//! Which files of a source belong to the app (PRJ-006): gitignore patterns, to include or to exclude.
//!
//! Rules are git's own: the last pattern that matches counts, `!` takes back, `/` at the front or in the middle binds
//! to the top, `/` at the end means directories. What is in an excluded directory is excluded, also where a later
//! pattern takes it back; what is in an included one is included unless a later pattern takes it back. pack differs in
//! the first: there `["*", "!src/**"]` keeps `src`, in git it keeps nothing, and `["/*", "!/src"]` does in both.

use std::path::Path;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// What to take of a source.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    rule: Rule,
}

#[derive(Clone, Debug, Default)]
enum Rule {
    #[default]
    All,
    Include(Gitignore),
    Exclude(Gitignore),
}

impl Filter {
    /// Takes all but what the patterns match (`exclude`), or only what they match (`include`); giving both is an error.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, Error> {
        let rule = match (include, exclude) {
            ([], []) => Rule::All,
            (include, []) => Rule::Include(compile(include)?),
            ([], exclude) => Rule::Exclude(compile(exclude)?),
            _ => return Err(Error::Both),
        };
        Ok(Self { rule })
    }

    /// Returns whether a path, relative to the source, is taken. A directory that is not may still lead to files that
    /// are: see [`Self::enters`].
    pub fn takes(&self, path: &Path, is_dir: bool) -> bool {
        match &self.rule {
            Rule::All => true,
            Rule::Include(patterns) => {
                let nearest = upwards(path, is_dir)
                    .map(|(path, is_dir)| patterns.matched(path, is_dir))
                    .find(|found| !found.is_none());
                matches!(nearest, Some(Match::Ignore(_)))
            }
            Rule::Exclude(patterns) => !upwards(path, is_dir)
                .any(|(path, is_dir)| patterns.matched(path, is_dir).is_ignore()),
        }
    }

    /// Returns whether something in a directory may be taken.
    pub fn enters(&self, dir: &Path) -> bool {
        match &self.rule {
            Rule::All | Rule::Include(_) => true,
            Rule::Exclude(_) => self.takes(dir, true),
        }
    }
}

/// Returns a path and the directories that it is in, without the top.
fn upwards(path: &Path, is_dir: bool) -> impl Iterator<Item = (&Path, bool)> {
    let paths = path.ancestors().enumerate();
    paths
        .take_while(|(_, path)| !path.as_os_str().is_empty())
        .map(move |(steps, path)| (path, is_dir || steps > 0))
}

fn compile(patterns: &[String]) -> Result<Gitignore, Error> {
    let mut builder = GitignoreBuilder::new("");
    for pattern in patterns {
        let added = builder.add_line(None, pattern);
        added.map_err(|error| Error::new(pattern, error))?;
    }
    builder.build().map_err(|error| Error::new("", error))
}

/// Why patterns are not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Both were given.
    #[error("project.toml: cannot have both include and exclude defined")]
    Both,
    /// One is none.
    #[error("project.toml: {pattern:?} in include or exclude is no gitignore pattern")]
    Pattern {
        /// The pattern; empty if it is not known which one.
        pattern: String,
        /// What is wrong.
        source: ignore::Error,
    },
}

impl Error {
    fn new(pattern: &str, source: ignore::Error) -> Self {
        Self::Pattern {
            pattern: pattern.to_owned(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(patterns: &[&str]) -> Vec<String> {
        patterns.iter().map(|&it| it.to_owned()).collect()
    }

    /// A path that ends with a slash is a directory.
    fn takes(filter: &Filter, path: &str) -> bool {
        filter.takes(Path::new(path.trim_end_matches('/')), path.ends_with('/'))
    }

    #[test]
    fn nothing_given_takes_everything() {
        let filter = Filter::new(&[], &[]).unwrap();
        assert!(takes(&filter, "a/b") && takes(&filter, "a/"));
        assert!(filter.enters(Path::new("a")));
    }

    #[test]
    fn patterns_are_gitignores() {
        // Patterns, paths that they match, paths that they do not.
        #[rustfmt::skip]
        let table: &[(&[&str], &[&str], &[&str])] = &[
            (&["*.sh"], &["a.sh", "b/a.sh"], &["a.sh.txt", "sh"]),
            (&["secrets/"], &["secrets/", "secrets/key", "deep/secrets/key"], &["secrets", "notes"]),
            (&["media/person.png"], &["media/person.png"], &["other/media/person.png", "person.png"]),
            (&["/jar"], &["jar", "jar/x"], &["deep/jar"]),
            (&["jar"], &["jar", "deep/jar", "jar/x", "deep/jar/x"], &["jars"]),
            (&["a/**/z"], &["a/z", "a/b/z", "a/b/c/z"], &["z", "b/a/z"]),
            (&["**/z"], &["z", "a/b/z"], &["zz"]),
            (&["a/**"], &["a/b", "a/b/c"], &["b/a/c"]),
            (&["a/*"], &["a/b", "a/b/c"], &["a/"]),
            (&["?.c"], &["x.c"], &["xx.c", ".c/"]),
            (&["[ab].c"], &["a.c", "b.c"], &["c.c"]),
            (&["# a comment", "", "\\#x"], &["#x"], &["# a comment"]),
            (&["*.log", "!keep.log"], &["a.log"], &["keep.log", "a/keep.log"]),
            (&["\\!x"], &["!x"], &["x"]),
            (&["x "], &["x"], &["x "]),
            (&["/"], &[], &["x"]),
        ];
        for (patterns, matched, others) in table {
            let exclude = Filter::new(&[], &strings(patterns)).unwrap();
            let include = Filter::new(&strings(patterns), &[]).unwrap();
            for path in *matched {
                assert!(!takes(&exclude, path), "{patterns:?} {path}");
                assert!(takes(&include, path), "{patterns:?} {path}");
            }
            for path in *others {
                assert!(takes(&exclude, path), "{patterns:?} {path}");
                assert!(!takes(&include, path), "{patterns:?} {path}");
            }
        }
    }

    #[test]
    fn an_excluded_directory_is_not_entered_whatever_follows() {
        let filter = Filter::new(&[], &strings(&["build/", "!build/keep"])).unwrap();
        assert!(!takes(&filter, "build/keep"));
        assert!(!filter.enters(Path::new("build")));
        assert!(filter.enters(Path::new("src")));
        // How git's manual keeps one directory of all.
        let filter = Filter::new(&[], &strings(&["/*", "!/src"])).unwrap();
        assert!(takes(&filter, "src/a/b") && !takes(&filter, "a"));
    }

    #[test]
    fn what_is_in_an_included_directory_is_taken_unless_taken_back() {
        let patterns = strings(&["src/", "!src/gen", "src/gen/keep"]);
        let filter = Filter::new(&patterns, &[]).unwrap();
        for (path, expected) in [
            ("src/", true),
            ("src/a/b", true),
            ("src/gen/a", false),
            ("src/gen/keep", true),
            ("a", false),
        ] {
            assert_eq!(takes(&filter, path), expected, "{path}");
        }
        assert!(filter.enters(Path::new("a/b")), "*.jar may be in there");
    }

    #[test]
    fn patterns_that_match_nothing_take_nothing() {
        let filter = Filter::new(&strings(&["# nothing"]), &[]).unwrap();
        assert!(!takes(&filter, "a"));
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let error = Filter::new(&strings(&["a"]), &strings(&["b"])).unwrap_err();
        let expected = "project.toml: cannot have both include and exclude defined";
        assert_eq!(error.to_string(), expected);
        let error = Filter::new(&[], &strings(&["ok", "{a"])).unwrap_err();
        assert!(error.to_string().contains("\"{a\""), "{error}");
    }
}
