//! `docs/cli.md`, held to the definitions. `SNAPSHOTS=overwrite cargo test -p cli reference` writes it anew.

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use crate::Cli;

const HEAD: &str = "\
# Commands of slipway

What `slipway help COMMAND` prints too. Commands and flags are pack's where it has them.

- Results go to stdout, what is said beside them to stderr. The exit status is 0, 1 (it failed, or something is wrong) or
  2 (it was asked wrongly); a build that a signal ends exits with 128 and the number of the signal.
- `oci:DIR[:TAG]` is an image in a layout in a directory, `oci-archive:FILE[:TAG]` one in a tar of a layout, `docker://NAME` one in
  a registry, `docker-daemon:NAME` one in the daemon that `DOCKER_HOST` names; any other name is looked for in the layout repo, and
  pulled into it if it is not there.
- Credentials for registries are those of `docker login`: `DOCKER_CONFIG`, else `~/.docker`, has them, or names a helper program.
- Every command also takes `-h` and `--help`.
- `SLIPWAY_HOME`, else `PACK_HOME`, is the directory of the settings; `NO_COLOR` asks for no colors.
";

/// Returns the commands that do something, each with the names that lead to it.
fn leaves() -> Vec<(String, Command)> {
    let mut cli = Cli::command().term_width(0);
    cli.build();
    let mut found = Vec::new();
    let mut open = vec![("slipway".to_owned(), cli)];
    while let Some((name, command)) = open.pop() {
        let below = command.get_subcommands().filter(|it| !it.is_hide_set());
        let below: Vec<_> = below
            .filter(|it| it.get_name() != "help")
            .cloned()
            .collect();
        let names = below
            .into_iter()
            .map(|it| (format!("{name} {}", it.get_name()), it));
        open.extend(names.collect::<Vec<_>>().into_iter().rev());
        let is_optional = !command.is_subcommand_required_set();
        if !command.has_subcommands() || (is_optional && !command.is_arg_required_else_help_set()) {
            found.push((name, command));
        }
    }
    found
}

/// Returns what somebody can type after a command.
fn args(command: &Command) -> impl Iterator<Item = &Arg> {
    let args = command.get_arguments().filter(|arg| !arg.is_hide_set());
    args.filter(|arg| arg.get_id() != "help")
}

/// Returns the summary as a sentence, and what is said beside it.
fn about(command: &Command) -> String {
    let text = command.get_long_about().or_else(|| command.get_about());
    let text = text.map(ToString::to_string).unwrap_or_default();
    let (summary, more) = text.split_once("\n\n").unwrap_or((&text, ""));
    escaped(format!("{summary}.\n\n{more}").trim_end())
}

fn examples(command: &Command) -> String {
    let text = command.get_after_help();
    text.map(ToString::to_string).unwrap_or_default()
}

fn row(arg: &Arg) -> String {
    let value = match arg.get_action() {
        ArgAction::SetTrue => String::new(),
        _ => arg
            .get_value_names()
            .and_then(<[_]>::first)
            .map(ToString::to_string)
            .unwrap_or_default(),
    };
    let names = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("`-{short}`, `--{long}{}`", spaced(&value)),
        (None, Some(long)) => format!("`--{long}{}`", spaced(&value)),
        _ if arg.is_required_set() => format!("`{value}`"),
        _ => format!("`[{value}]`"),
    };
    let defaults = arg.get_default_values().iter();
    let defaults: Vec<_> = defaults
        .filter(|_| arg.get_action().takes_values())
        .map(|it| format!("`{}`", it.to_string_lossy()))
        .collect();
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let possible = arg.get_possible_values();
    let possible: Vec<_> = possible
        .iter()
        .filter(|_| arg.get_action().takes_values() && !arg.is_hide_possible_values_set())
        .map(|value| match value.get_help() {
            Some(help) => format!("`{}` ({})", value.get_name(), lowered(&help.to_string())),
            None => format!("`{}`", value.get_name()),
        })
        .collect();
    let possible = match possible.len() {
        0 => String::new(),
        _ => format!(": {}", possible.join(", ")),
    };
    let meaning = format!("{}{possible}", escaped(&help)).replace('|', "\\|");
    format!("| {names} | {} | {meaning} |", defaults.join(", ")).replace("|  |", "| |")
}

/// Returns text in which no character means something else in Markdown.
fn escaped(text: &str) -> String {
    text.replace('<', "\\<").replace('*', "\\*")
}

fn spaced(value: &str) -> String {
    match value {
        "" => String::new(),
        value => format!(" {value}"),
    }
}

/// Only the first letter, unless it is of a name.
fn lowered(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

fn section((name, command): &(String, Command)) -> String {
    let mut command = command.clone();
    let usage = command.render_usage().to_string();
    let usage = usage
        .trim_start_matches("Usage: ")
        .replace("\n       ", "\n");
    let mut parts = vec![
        format!("\n## {name}"),
        about(&command),
        format!("```text\n{usage}\n```"),
    ];
    let aliases = command.get_visible_aliases();
    let aliases: Vec<_> = aliases.map(|it| format!("`{it}`")).collect();
    if !aliases.is_empty() {
        parts.push(format!("Also called {}.", aliases.join(", ")));
    }
    let rows: Vec<_> = args(&command).map(row).collect();
    if !rows.is_empty() {
        let head = "| | default | meaning |\n|---|---|---|";
        parts.push(format!("{head}\n{}", rows.join("\n")));
    }
    if let Some(lines) = examples(&command).strip_prefix("Examples:\n") {
        let lines: Vec<_> = lines.lines().map(str::trim_start).collect();
        parts.push(format!("```sh\n{}\n```", lines.join("\n")));
    }
    parts.join("\n\n") + "\n"
}

fn page() -> String {
    let sections: String = leaves().iter().map(section).collect();
    format!("{HEAD}{sections}")
}

#[test]
fn the_page_lists_every_command_and_flag_as_it_is_defined() {
    snapbox::assert_data_eq!(page(), snapbox::file!["../../docs/cli.md"].raw());
}

#[test]
fn help_is_written_alike_everywhere() {
    let mut cli = Cli::command();
    cli.build();
    assert!(leaves().len() > 20, "{}", leaves().len());
    cli.debug_assert();
    for (name, command) in leaves() {
        let summary = command.get_about().map(ToString::to_string);
        let summary = summary.unwrap_or_default();
        let is_sentence = summary.starts_with(char::is_uppercase) && !summary.ends_with('.');
        assert!(is_sentence && summary.len() < 80, "{name}: {summary:?}");
        for arg in args(&command) {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let is_sentence = !help.is_empty() && !help.ends_with('.');
            assert!(is_sentence, "{name}: {}: {help:?}", arg.get_id());
        }
        let takes_something =
            args(&command).any(|arg| arg.is_positional() || arg.is_required_set());
        let has_examples = examples(&command).starts_with("Examples:\n");
        let is_of_list = name.starts_with("slipway config ") && name.split(' ').count() > 3;
        assert!(
            has_examples || !takes_something || is_of_list,
            "{name} has no examples"
        );
        for line in examples(&command).lines().skip(1) {
            assert!(line.contains("slipway "), "{name}: {line}");
        }
    }
}

/// Examples are commands: what they call is there.
#[test]
fn examples_can_be_typed() {
    for (name, command) in leaves() {
        let text = examples(&command);
        for line in text
            .lines()
            .skip(1)
            .filter(|line| line.starts_with("  slipway "))
        {
            let line = line.split(" # ").next().unwrap_or_default();
            let line = line.split(" > ").next().unwrap_or_default();
            let words = line.split_whitespace().map(|word| word.trim_matches('\''));
            let parsed = Cli::command().try_get_matches_from(words);
            let kind = parsed.err().map(|error| error.kind());
            let is_fine = kind.is_none_or(|kind| kind == clap::error::ErrorKind::DisplayHelp);
            assert!(is_fine, "{name}: {line}: {kind:?}");
        }
    }
}
