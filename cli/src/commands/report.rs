//! `slipway report`: what to say about this machine when something goes wrong.

use std::io::Write;
use std::process::ExitCode;

use layout::manifest::Platform;
use sandbox::{User, Way};

use super::version::VERSION;
use crate::config::Config;
use crate::environment;

/// Show what belongs into the report of an issue
///
/// Names, paths and whatever else is text in the settings are left out, but for --explicit.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway report
  slipway report --explicit > report.txt")]
pub(crate) struct Args {
    /// Show the settings as they are
    #[arg(long, short)]
    explicit: bool,
}

/// Prints it; nothing that is wrong with the machine or the settings is a failure here.
pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let platform = Platform::host();
    let kernel = fs_err::read_to_string("/proc/sys/kernel/osrelease");
    let kernel = kernel.unwrap_or_else(|_| "unknown".to_owned());
    writeln!(out, "Slipway:")?;
    writeln!(out, "  Version:         {}", *VERSION)?;
    writeln!(out, "  OS/Arch:         {platform}")?;
    writeln!(out, "  Kernel:          {}", kernel.trim_end())?;
    writeln!(out, "Lifecycle:")?;
    writeln!(out, "  Version:         {}", platform::version::VERSION)?;
    let apis = listed(&platform::api::SUPPORTED);
    writeln!(out, "  Platform APIs:   {apis}")?;
    let apis = listed(&buildpack::api::SUPPORTED);
    writeln!(out, "  Buildpack APIs:  {apis}")?;
    write_ways(out)?;
    write_config(args.explicit, out)?;
    Ok(ExitCode::SUCCESS)
}

fn listed(items: &[impl ToString]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}

/// The user is one as most builders have it.
fn write_ways(out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "Containers:")?;
    match Way::find(User {
        uid: 1000,
        gid: 1000,
    }) {
        Ok(way) => writeln!(out, "  Way:             {}", way.name())?,
        Err(closed) => {
            writeln!(out, "  Way:             none")?;
            for reason in closed.reasons {
                writeln!(out, "    {reason}")?;
            }
        }
    }
    Ok(())
}

fn write_config(explicit: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let config = environment::home().and_then(|home| Config::read(&home));
    let text = match &config {
        Err(error) => format!("({error:#})"),
        Ok(config) if !config.file().exists() => {
            format!("(there is no {})", config.file().display())
        }
        Ok(config) if explicit => config.text().to_owned(),
        Ok(config) => redacted(config.text())?,
    };
    writeln!(out, "Config:")?;
    for line in text.lines() {
        let indent = if line.is_empty() { "" } else { "  " };
        writeln!(out, "{indent}{line}")?;
    }
    Ok(())
}

/// What may be shown whoever reads it: words that this program and pack give a meaning.
const HARMLESS: &[&str] = &["pull-policy", "registries.type"];
/// Tables whose keys are names of the user's.
const BY_NAME: &[&str] = &["registry-mirrors"];

/// Returns the settings without texts and comments.
fn redacted(text: &str) -> anyhow::Result<String> {
    let mut table: toml::Table = toml::from_str(text)?;
    redact(&mut table, "");
    Ok(toml::to_string(&table)?)
}

fn redact(table: &mut toml::Table, place: &str) {
    if BY_NAME.contains(&place) {
        let values = std::mem::take(table).into_iter();
        let unnamed = (1..).zip(values);
        *table = unnamed
            .map(|(number, (_, value)): (usize, _)| (format!("{REDACTED} {number}"), value))
            .collect();
    }
    for (key, value) in table.iter_mut() {
        let place = match place {
            "" => key.to_ascii_lowercase(),
            place => format!("{place}.{}", key.to_ascii_lowercase()),
        };
        if !HARMLESS.contains(&place.as_str()) {
            redact_value(value, &place);
        }
    }
}

const REDACTED: &str = "[REDACTED]";

fn redact_value(value: &mut toml::Value, place: &str) {
    match value {
        toml::Value::Boolean(_) => {}
        toml::Value::Table(table) => redact(table, place),
        toml::Value::Array(items) => {
            for item in items {
                redact_value(item, place);
            }
        }
        // Numbers too: nobody knows what a key of somebody else's means.
        other => *other = REDACTED.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_comments_are_left_out() {
        let text = r#"
            # s3cret
            default-builder-image = "s3cret"
            Layout-Repo-Dir = 's3cret'
            pull-policy = "never"
            experimental = true
            token = 1234567
            [[run-images]]
              image = "s3cret"
              mirrors = ["s3cret", "s3cret"] # s3cret
            [[registries]]
              name = "s3cret"
              type = "github"
            [registry-mirrors]
              "s3cret" = "s3cret"
              "*" = """
s3cret"""
            [deep.er]
              type = "s3cret"
              list = [{ a = "s3cret" }, 2024-01-01]
        "#;
        let redacted = redacted(text).unwrap();
        assert!(!redacted.contains("s3cret"), "{redacted}");
        assert!(!redacted.contains("1234567"), "{redacted}");
        assert!(!redacted.contains("2024"), "{redacted}");
        for shown in [
            "pull-policy = \"never\"",
            "experimental = true",
            "default-builder-image = \"[REDACTED]\"",
            "type = \"github\"",
            "mirrors = [\"[REDACTED]\", \"[REDACTED]\"]",
            "\"[REDACTED] 2\" = \"[REDACTED]\"",
        ] {
            assert!(redacted.contains(shown), "{shown}: {redacted}");
        }
    }
}
