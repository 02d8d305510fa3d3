//! Processes of all buildpacks: later ones replace earlier ones of their type (BPB-040 to BPB-043, BLD-010).

use std::collections::BTreeMap;

use buildpack::launch::Process;

/// Processes so far, by type.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    by_type: BTreeMap<String, Process>,
    default: String,
}

impl Processes {
    /// Adds one buildpack's processes; returns what to warn about.
    pub(crate) fn add(&mut self, processes: Vec<Process>) -> Option<String> {
        let mut warning = None;
        for process in processes {
            if process.default {
                self.default.clone_from(&process.process_type);
                // A default further down makes up for one that was lost.
                warning = None;
            } else if process.process_type == self.default {
                self.default.clear();
                warning = Some(format!(
                    "Warning: redefining the following default process type with a process not marked as default: {}",
                    process.process_type
                ));
            }
            self.by_type.insert(
                process.process_type.clone(),
                Process {
                    default: false,
                    ..process
                },
            );
        }
        warning
    }

    /// Returns the processes sorted by type, and the type of the default one.
    pub(crate) fn finish(self) -> (Vec<Process>, String) {
        (self.by_type.into_values().collect(), self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(process_type: &str, command: &str, default: bool) -> Process {
        Process {
            process_type: process_type.into(),
            command: vec![command.into()],
            default,
            ..Process::default()
        }
    }

    #[test]
    fn the_last_default_wins_and_can_be_lost() {
        type Row = (
            &'static [&'static [(&'static str, bool)]],
            &'static str,
            bool,
        );
        // Processes of each buildpack, the default at the end, whether the last buildpack is warned about.
        let table: &[Row] = &[
            (&[&[("web", true)]], "web", false),
            (&[&[("web", true)], &[("job", true)]], "job", false),
            (&[&[("web", true)], &[("job", false)]], "web", false),
            (&[&[("web", true)], &[("web", false)]], "", true),
            (
                &[&[("web", true)], &[("web", false), ("job", true)]],
                "job",
                false,
            ),
            (&[&[("web", false)]], "", false),
        ];
        for (buildpacks, default, warned) in table {
            let mut processes = Processes::default();
            let mut warning = None;
            for buildpack in *buildpacks {
                warning =
                    processes.add(buildpack.iter().map(|(t, d)| process(t, "x", *d)).collect());
            }
            let expected = "Warning: redefining the following default process type with a process not marked as default: web";
            assert_eq!(
                (processes.finish().1.as_str(), warning.as_deref()),
                (*default, warned.then_some(expected))
            );
        }
    }

    #[test]
    fn a_later_process_replaces_the_whole_earlier_one() {
        let mut processes = Processes::default();
        let first = Process {
            exec_env: vec!["test".into()],
            ..process("web", "old", false)
        };
        let more = |name| process(name, "z", false);
        processes.add(vec![more("zeta"), first, more("Zeta"), more("é")]);
        processes.add(vec![process("web", "new", true)]);
        let (list, _) = processes.finish();
        // In the order of bytes, none of them marked as the default.
        assert_eq!(
            list,
            [
                more("Zeta"),
                process("web", "new", false),
                more("zeta"),
                more("é")
            ]
        );
    }
}
