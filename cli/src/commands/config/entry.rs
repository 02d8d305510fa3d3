//! Settings of many entries: printed one a line, and changed entry by entry.

use std::fmt::Display;
use std::io::Write;

use crate::config::Config;
use crate::config::edit::Edit;

/// Prints entries.
pub(super) fn list(
    entries: impl IntoIterator<Item = impl Display>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    for entry in entries {
        writeln!(out, "{entry}")?;
    }
    Ok(())
}

/// An entry to add or to remove, and what is said of it.
pub(super) struct Change {
    /// It is as it should be: the file stays as it is.
    pub(super) is_made: bool,
    /// Said where it was made already.
    pub(super) before: String,
    /// Said where it is made now.
    pub(super) now: String,
}

impl Change {
    /// Makes it by `edit`, unless it is made.
    pub(super) fn make(
        self,
        config: &Config,
        out: &mut dyn Write,
        edit: impl FnOnce(&mut Edit),
    ) -> anyhow::Result<()> {
        if self.is_made {
            return Ok(writeln!(out, "{}", self.before)?);
        }
        let mut file = config.edit()?;
        edit(&mut file);
        file.save()?;
        Ok(writeln!(out, "{}", self.now)?)
    }
}
