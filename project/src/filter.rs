//! Which files of a source belong to the app (PRJ-006): gitignore patterns, to include or to exclude.

use std::path::Path;

/// What to take of a source.
#[derive(Debug, Default)]
pub struct Filter {}

impl Filter {
    /// Takes all but what the patterns match (`exclude`), or only what they match (`include`); giving both is an error.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, Error> {
        let _ = (include, exclude);
        todo!()
    }

    /// Returns whether a path, relative to the source, is taken.
    pub fn takes(&self, path: &Path, is_dir: bool) -> bool {
        let _ = (path, is_dir);
        todo!()
    }
}

/// Why patterns are not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Both were given.
    #[error("project.toml: cannot have both include and exclude defined")]
    Both,
}
