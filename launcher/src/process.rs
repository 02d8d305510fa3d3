//! Which process is started and with which arguments (BPX-011 to BPX-023, LCH-005 to LCH-011).

use std::ffi::{OsStr, OsString};

use crate::api::PlatformApi;
use crate::error::{Error, Result};
use crate::files;
use crate::metadata::{Buildpack, Process};

/// What the image offers and what the platform says about choosing from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer<'a> {
    pub(crate) processes: &'a [Process],
    pub(crate) buildpacks: &'a [Buildpack],
    pub(crate) platform_api: PlatformApi,
    pub(crate) exec_env: &'a OsStr,
}

/// The process to start.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Start {
    /// The type of a buildpack's process; a user's command has none.
    pub(crate) process_type: Option<String>,
    pub(crate) command: Vec<OsString>,
    pub(crate) args: Vec<OsString>,
    pub(crate) direct: bool,
    /// Empty for the app directory.
    pub(crate) working_dir: OsString,
    /// Empty for a user's command.
    pub(crate) buildpack_id: String,
}

impl Offer<'_> {
    /// Returns what the launcher starts when it is called like this.
    pub(crate) fn select(&self, argv0: &OsStr, user_args: &[OsString]) -> Result<Start> {
        match self.default_type(argv0) {
            Some(default) => self.buildpack_process(default, user_args),
            None => user_process(user_args),
        }
    }

    /// The type that the launcher was called by, if there is such a process, eligible or not.
    fn default_type(&self, argv0: &OsStr) -> Option<&str> {
        let name = files::base_name(argv0);
        let mut types = self.processes.iter().map(|process| process.r#type.as_str());
        types.find(|r#type| !r#type.is_empty() && name == *r#type)
    }

    fn buildpack_process(&self, process_type: &str, user_args: &[OsString]) -> Result<Start> {
        let process = self
            .processes
            .iter()
            .find(|process| process.r#type == process_type && self.is_eligible(process))
            .ok_or_else(|| Error::new(format!("process type {process_type} was not found")))?;
        let (command, args) = self.command_line(process, user_args)?;
        Ok(Start {
            process_type: Some(process_type.to_owned()),
            command,
            args,
            direct: process.direct,
            working_dir: process.working_dir.clone().into(),
            buildpack_id: process.buildpack_id.clone(),
        })
    }

    fn is_eligible(&self, process: &Process) -> bool {
        let mut exec_envs = process.exec_env.iter();
        !self.platform_api.has_exec_env()
            || process.exec_env.is_empty()
            || exec_envs.any(|exec_env| exec_env == "*" || self.exec_env == exec_env.as_str())
    }

    fn command_line(
        &self,
        process: &Process,
        user_args: &[OsString],
    ) -> Result<(Vec<OsString>, Vec<OsString>)> {
        let default_args = os_strings(&process.args);
        if !self.platform_api.has_overridable_args() {
            return Ok((
                os_strings(&process.command),
                [&default_args, user_args].concat(),
            ));
        }
        if let [command, always @ ..] = process.command.as_slice()
            && !always.is_empty()
        {
            let rest = if user_args.is_empty() {
                &default_args
            } else {
                user_args
            };
            return Ok((vec![command.into()], [&os_strings(always), rest].concat()));
        }
        let args = if user_args.is_empty() {
            default_args
        } else if self.provider(process)?.api.has_default_args() {
            user_args.to_vec()
        } else {
            [&default_args, user_args].concat()
        };
        Ok((os_strings(&process.command), args))
    }

    fn provider(&self, process: &Process) -> Result<&Buildpack> {
        let Process {
            r#type,
            buildpack_id,
            ..
        } = process;
        self.buildpacks
            .iter()
            .find(|buildpack| buildpack.id == *buildpack_id)
            .ok_or_else(|| {
                Error::new(format!(
                    "failed to find buildpack for process {type} with buildpack ID {buildpack_id}"
                ))
            })
    }
}

/// Makes a process of the words that the user gave.
fn user_process(user_args: &[OsString]) -> Result<Start> {
    let (command, args, direct) = match user_args {
        [] => {
            return Err(Error::new(
                "when there is no default process a command is required",
            ));
        }
        [dashes, command, args @ ..] if dashes == "--" => (command, args, true),
        // A lone "--" is a command like any other (BPX-018).
        [command, args @ ..] => (command, args, false),
    };
    Ok(Start {
        command: vec![command.clone()],
        args: args.to_vec(),
        direct,
        ..Start::default()
    })
}

fn os_strings(texts: &[String]) -> Vec<OsString> {
    texts.iter().map(OsString::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{BuildpackApi, Version};

    fn platform_api(text: &str) -> PlatformApi {
        PlatformApi::supported(Version::parse(text).unwrap()).unwrap()
    }

    fn buildpacks() -> Vec<Buildpack> {
        let buildpack = |(id, api): (&str, &str)| Buildpack {
            id: id.into(),
            api: BuildpackApi::supported(Version::parse(api).unwrap()).unwrap(),
        };
        [("old", "0.8"), ("new", "0.9")].map(buildpack).into()
    }

    fn process(r#type: &str, command: &[&str], buildpack_id: &str) -> Process {
        Process {
            r#type: r#type.into(),
            command: command.iter().map(ToString::to_string).collect(),
            args: vec!["d1".into(), "d2".into()],
            buildpack_id: buildpack_id.into(),
            ..Process::default()
        }
    }

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[track_caller]
    fn select(processes: &[Process], api: &str, argv0: &str, user_args: &str) -> Result<Start> {
        let buildpacks = buildpacks();
        let offer = Offer {
            processes,
            buildpacks: &buildpacks,
            platform_api: platform_api(api),
            exec_env: OsStr::new("production"),
        };
        offer.select(OsStr::new(argv0), &words(user_args))
    }

    #[test]
    fn the_name_of_the_launcher_chooses_the_process() {
        let named = |r#type| process(r#type, &["run"], "new");
        let processes = [named(""), named("web"), named("web.v1"), named("launcher")];
        for (argv0, process_type) in [
            ("/cnb/process/web", Some("web")),
            ("web", Some("web")),
            ("./x/web.v1", Some("web.v1")),
            ("/cnb/lifecycle/launcher", Some("launcher")),
            ("/cnb/process/other", None),
            ("/cnb/process/web/", None),
            ("", None),
        ] {
            // An argument never selects a process, not even one that is a type's name.
            let start = select(&processes, "0.13", argv0, "web").unwrap();
            assert_eq!(start.process_type.as_deref(), process_type, "{argv0}");
        }
    }

    #[test]
    fn user_arguments_are_merged_by_apis_and_command() {
        let many = ["run", "always"];
        let one = ["run"];
        for (platform, command, buildpack, user_args, expected_command, expected_args) in [
            // BPX-022, LCH-009: before Platform API 0.10, always appended
            ("0.9", &one[..], "old", "u", "run", "d1 d2 u"),
            ("0.9", &one, "new", "u", "run", "d1 d2 u"),
            ("0.9", &one, "unknown", "u", "run", "d1 d2 u"),
            ("0.9", &many, "new", "u", "run always", "d1 d2 u"),
            ("0.9", &many, "new", "", "run always", "d1 d2"),
            // BPX-019, LCH-010: the rest of a list is always passed
            ("0.10", &many, "new", "u", "run", "always u"),
            ("0.10", &many, "old", "u", "run", "always u"),
            ("0.10", &many, "unknown", "u", "run", "always u"),
            ("0.10", &many, "new", "", "run", "always d1 d2"),
            // BPX-020, BPX-021, LCH-011: replaced from Buildpack API 0.9 on, appended before
            ("0.10", &one, "new", "u v", "run", "u v"),
            ("0.10", &one, "old", "u v", "run", "d1 d2 u v"),
            ("0.10", &one, "new", "", "run", "d1 d2"),
            ("0.10", &one, "unknown", "", "run", "d1 d2"),
            ("0.15", &[], "new", "u", "", "u"),
        ] {
            let start = select(
                &[process("web", command, buildpack)],
                platform,
                "web",
                user_args,
            )
            .unwrap();
            let got = (start.command, start.args);
            assert_eq!(
                got,
                (words(expected_command), words(expected_args)),
                "{platform} {command:?} {buildpack}"
            );
        }
    }

    #[test]
    fn user_arguments_need_to_know_the_buildpack() {
        let error = select(&[process("web", &["run"], "gone")], "0.10", "web", "u").unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to find buildpack for process web with buildpack ID gone"
        );
    }

    #[test]
    fn only_eligible_processes_are_started() {
        let with = |exec_env: &[&str], command| Process {
            exec_env: exec_env.iter().map(ToString::to_string).collect(),
            ..process("web", &[command], "new")
        };
        let test = || with(&["test"], "test");
        for (platform, processes, command) in [
            (
                "0.15",
                vec![
                    test(),
                    with(&["dev", "production"], "second"),
                    with(&[], "third"),
                ],
                Some("second"),
            ),
            (
                "0.15",
                vec![test(), with(&["*"], "any"), with(&["production"], "late")],
                Some("any"),
            ),
            ("0.15", vec![with(&[], "all")], Some("all")),
            ("0.15", vec![test()], None),
            (
                "0.14",
                vec![test(), with(&["production"], "second")],
                Some("test"),
            ),
        ] {
            match (select(&processes, platform, "web", ""), command) {
                (Ok(start), Some(command)) => assert_eq!(start.command, words(command)),
                (Err(error), None) => {
                    assert_eq!(error.to_string(), "process type web was not found");
                }
                (other, _) => panic!("{platform}: {other:?}"),
            }
        }
    }

    #[test]
    fn other_words_are_a_user_command() {
        for (user_args, command, args, direct) in [
            ("echo a -- b", "echo", "a -- b", false),
            ("-- echo a", "echo", "a", true),
            ("-- --", "--", "", true),
            ("--", "--", "", false),
            ("-version", "-version", "", false),
        ] {
            let start = select(&[], "0.13", "launcher", user_args).unwrap();
            let expected = Start {
                command: words(command),
                args: words(args),
                direct,
                ..Start::default()
            };
            assert_eq!(start, expected, "{user_args}");
        }
        let error = select(&[], "0.13", "launcher", "").unwrap_err();
        assert_eq!(
            error.to_string(),
            "when there is no default process a command is required"
        );
    }
}
