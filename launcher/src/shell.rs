//! Processes that run through bash: the script that sources profiles and then evaluates the command
//! (BPX-035 to BPX-040, BPX-043).

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use crate::env::Env;
use crate::error::{Error, Result};
use crate::exec::Program;
use crate::metadata::Buildpack;
use crate::process::Start;

const SHELL: &str = "/bin/bash";

/// Fails if a process with arguments comes from a buildpack that metadata.toml does not list.
pub(crate) fn check_provider(start: &Start, buildpacks: &[Buildpack]) -> Result<()> {
    let Start {
        process_type,
        args,
        buildpack_id,
        ..
    } = start;
    let is_known = buildpack_id.is_empty()
        || buildpacks
            .iter()
            .any(|buildpack| buildpack.id == *buildpack_id);
    if args.is_empty() || is_known {
        return Ok(());
    }
    let process_type = process_type.as_deref().unwrap_or_default();
    Err(Error::new(format!(
        "process type '{process_type}' provided by unknown buildpack '{buildpack_id}'"
    )))
}

/// Returns the shell that becomes the process. Profile scripts see the launcher's name as `$0`.
pub(crate) fn program(
    start: Start,
    argv0: &OsStr,
    profiles: &[PathBuf],
    working_dir: &Path,
    env: &Env,
) -> io::Result<Program> {
    let script = script(profiles, working_dir, start.args.len());
    let command = start.command.join(OsStr::new(" "));
    let argv = [
        "bash".into(),
        "-c".into(),
        script,
        argv0.to_owned(),
        command,
    ];
    Program::new(SHELL, argv.into_iter().chain(start.args), env)
}

/// Returns the outer script, whose own arguments are the command and its arguments.
fn script(profiles: &[PathBuf], working_dir: &Path, arg_count: usize) -> OsString {
    let mut script = OsString::new();
    for profile in profiles {
        script.extend([
            OsStr::new("source \""),
            profile.as_os_str(),
            OsStr::new("\"\n"),
        ]);
    }
    script.extend([
        OsStr::new("cd \""),
        working_dir.as_os_str(),
        OsStr::new("\"\n"),
    ]);
    script.push(last_line(arg_count));
    script
}

/// Returns the line that runs the command: a command alone is a script, but one with arguments is a list of tokens,
/// which an inner shell expands one by one.
fn last_line(arg_count: usize) -> String {
    if arg_count == 0 {
        return r#"exec bash -c "$@""#.to_owned();
    }
    let mut tokens = String::from(r#""$(eval echo \"$0\")""#);
    for position in 1..=arg_count {
        // Writing to a string does not fail.
        let _ = write!(tokens, r#" "$(eval echo \"${{{position}}}\")""#);
    }
    format!(r#"exec bash -c '{tokens}' "${{@:1}}""#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{BuildpackApi, Version};

    #[test]
    fn scripts_have_a_line_for_each_profile_a_cd_and_the_command() {
        for (profiles, arg_count, expected) in [
            (&[][..], 0, "cd \"/app\"\nexec bash -c \"$@\""),
            (
                &["/l/a/profile.d/1 \"$x\".sh", ".profile"],
                0,
                "source \"/l/a/profile.d/1 \"$x\".sh\"\nsource \".profile\"\ncd \"/app\"\nexec bash -c \"$@\"",
            ),
            (
                &[],
                2,
                "cd \"/app\"\nexec bash -c '\"$(eval echo \\\"$0\\\")\" \"$(eval echo \\\"${1}\\\")\" \
                 \"$(eval echo \\\"${2}\\\")\"' \"${@:1}\"",
            ),
        ] {
            let profiles: Vec<_> = profiles.iter().map(PathBuf::from).collect();
            assert_eq!(script(&profiles, Path::new("/app"), arg_count), expected);
        }
    }

    #[test]
    fn providers_of_processes_with_arguments_are_known() {
        let api = BuildpackApi::supported(Version::parse("0.8").unwrap()).unwrap();
        let buildpacks = [Buildpack {
            id: "known".into(),
            api,
        }];
        for (buildpack_id, args, is_fine) in [
            ("known", &["a"][..], true),
            ("gone", &[], true),
            ("", &["a"], true),
            ("gone", &["a"], false),
        ] {
            let start = Start {
                process_type: Some("web".into()),
                args: args.iter().map(OsString::from).collect(),
                buildpack_id: buildpack_id.into(),
                ..Start::default()
            };
            match check_provider(&start, &buildpacks) {
                Ok(()) => assert!(is_fine, "{buildpack_id}"),
                Err(error) => {
                    assert!(!is_fine, "{buildpack_id}");
                    assert_eq!(
                        error.to_string(),
                        "process type 'web' provided by unknown buildpack 'gone'"
                    );
                }
            }
        }
    }
}
