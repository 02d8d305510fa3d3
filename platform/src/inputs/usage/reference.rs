//! `docs/flags.md`, held to the definitions. `SNAPSHOTS=overwrite cargo test -p platform reference` writes it anew.

use std::collections::BTreeMap;

use super::*;
use crate::inputs::flags::testing::Sheet;
use crate::inputs::{analyzer, builder, creator, detector, exporter, rebaser, restorer};

const HEAD: &str = "\
# Flags and variables

What each phase takes from a platform. `<phase> -help` prints the same for the Platform API in force.

- Flags are those of Go's `flag` package: `-name value`, `-name=value`, and either with two hyphens. A switch takes a value
  only as `-name=false`. Flags end at the first argument that is none, or at `--`; the last of a repeated flag counts,
  but for those that make lists.
- A flag wins over its variable, a variable over the default. An empty variable is an unset one. A variable counts at every
  Platform API, also where its flag is not there yet. `CNB_SKIP_LAYERS` and `CNB_SKIP_RESTORE` are one switch.
- A flag that the API in force does not have is unknown: exit 2, with a line that says which APIs have it.
- An empty value of a flag that names an image, a cache, a process type or a registry is none: `-tag= -cache-image=`.
- `<layers>` is the value of `-layers`. Without `<layers>/order.toml` the order is `/cnb/order.toml`.

## What they are

";

const BETWEEN: &str = "
## Who takes them

`all`: at every Platform API; `variable`: there is no such flag, but its variable counts.

";

const FOOT: &str = "
## Variables without a flag

| variable | default | meaning |
|---|---|---|
| `CNB_PLATFORM_API` | | Platform API that the platform speaks, 0.7 to 0.15; needed by every phase and by the launcher |
| `CNB_DEPRECATION_MODE` | `warn` | what to do about deprecated APIs: `quiet`, `warn`, `error` |
| `CNB_EXPERIMENTAL_MODE` | `error` | what to do about experimental features: `quiet`, `warn`, `error`; layouts are one |
| `SOURCE_DATE_EPOCH` | `1980-01-01T00:00:01Z` | creation time of images, seconds since 1970, since 0.9 |
| `CNB_LAYER_COMPRESSION` | `gzip` | how layers are compressed in a layout: `gzip`, `zstd` or `none`; `gzip:1` to `gzip:12` and `zstd:1` to `zstd:19` give the level. Not of the specification, and refused where the image goes elsewhere |
| `CNB_REGISTRY_AUTH` | | authorization header of each registry, `{\"registry.example\":\"Basic ...\"}`; before Docker's `config.json` |
| `DOCKER_CONFIG` | `~/.docker` | directory of Docker's `config.json`, for credentials and credential helpers |
| `DOCKER_HOST` | `unix:///var/run/docker.sock` | where the daemon listens |
| `SSL_CERT_FILE`, `SSL_CERT_DIR` | the system's | certificates that registries are checked with |
| `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` | | proxies on the way to registries |

The launcher takes no flags. It reads `CNB_APP_DIR`, `CNB_LAYERS_DIR`, `CNB_PROCESS_TYPE`, `CNB_PLATFORM_API`,
`CNB_DEPRECATION_MODE`, `CNB_EXEC_ENV` and `CNB_NO_COLOR`.
";

/// Phases in the order of a build.
fn phases() -> Vec<(&'static str, Sheet)> {
    vec![
        ("analyzer", analyzer::sheet()),
        ("detector", detector::sheet()),
        ("restorer", restorer::sheet()),
        ("builder", builder::sheet()),
        ("exporter", exporter::sheet()),
        ("creator", creator::sheet()),
        ("rebaser", rebaser::sheet()),
    ]
}

/// Returns what a flag is: its row of the first table.
fn meaning(arg: &clap::Arg, has_flag: bool) -> String {
    let code = |text: &str| match text {
        "" => String::new(),
        text => format!(" `{text}`"),
    };
    let variable = arg.get_env().map(|name| name.to_string_lossy());
    let default = default(arg, &Variables::default());
    let default = default
        .trim_start_matches(" (default ")
        .trim_matches([')', '"']);
    let head = format!(
        "`-{}{}`",
        arg.get_long().unwrap_or_default(),
        value_name(arg)
    );
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let variable = code(variable.as_deref().unwrap_or_default());
    let head = if has_flag { head } else { "none".to_owned() };
    format!(
        "| {head} |{variable} |{} | {} |",
        code(default),
        help.replace('<', "\\<")
    )
}

/// Returns which APIs of a phase have a flag: its cell of the second table.
fn apis(name: &str, (command, gates): &Sheet) -> &'static str {
    if flags::flag(command, name).is_none() {
        return "";
    }
    let gate = gates.iter().find(|gate| gate.is_of(name));
    let words = gate.map(|gate| gate.words().unwrap_or_else(|| "variable".to_owned()));
    words.unwrap_or_else(|| "all".to_owned()).leak()
}

/// Returns whether a phase has a flag at some API.
fn has_flag(name: &str, phases: &[(&str, Sheet)]) -> bool {
    let mut cells = phases.iter().map(|(_, sheet)| apis(name, sheet));
    cells.any(|cell| !["", "variable"].contains(&cell))
}

fn page() -> String {
    let phases = phases();
    let mut rows = BTreeMap::new();
    for (_, (command, _)) in &phases {
        for arg in command.get_arguments() {
            let name = arg.get_long().unwrap_or_default().to_owned();
            let row = meaning(arg, has_flag(&name, &phases));
            let before = rows.insert(name.clone(), row.clone());
            assert!(
                before.is_none_or(|before| before == row),
                "{name} means one thing"
            );
        }
    }
    let names: Vec<_> = phases.iter().map(|(name, _)| *name).collect();
    let mut lines = vec![
        HEAD.to_owned() + "| flag | variable | default | meaning |",
        "|---|---|---|---|".to_owned(),
    ];
    lines.extend(rows.values().cloned());
    lines.push(format!("{BETWEEN}| flag | {} |", names.join(" | ")));
    lines.push(format!("|---|{}", "---|".repeat(phases.len())));
    for name in rows.keys() {
        let cells: Vec<_> = phases.iter().map(|(_, sheet)| apis(name, sheet)).collect();
        let label = if has_flag(name, &phases) {
            format!("`-{name}`")
        } else {
            format!("none: {name}")
        };
        lines.push(format!("| {label} | {} |", cells.join(" | ")).replace("  ", " "));
    }
    lines.join("\n") + "\n" + FOOT
}

#[test]
fn the_page_lists_every_flag_as_it_is_defined() {
    snapbox::assert_data_eq!(page(), snapbox::file!["../../../../docs/flags.md"].raw());
}

#[test]
fn the_page_names_every_variable() {
    let page = page();
    let source = include_str!("../variables.rs");
    let named = source.lines().filter_map(|line| {
        let (_, value) = line.strip_prefix("pub const ")?.split_once('"')?;
        value.split('"').next()
    });
    let mut count = 0;
    for variable in named {
        count += 1;
        assert!(page.contains(&format!("`{variable}`")), "{variable}");
    }
    assert!(count > 30, "{count}");
}
