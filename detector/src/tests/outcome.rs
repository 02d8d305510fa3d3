//! What detection ends with, and the files that it leaves (BPD-033, BPD-050, BPD-051, BPD-060, BPD-069 to BPD-076).

use std::path::Path;

use fs_err as fs;
use platform::PlatformApi;
use platform::entry::Invocation;
use platform::files::Analyzed;
use platform::inputs::Variables;
use platform::inputs::detector;

use super::bench::{Bench, log_of, plan};

const NO_GROUP: &str = "ERROR No buildpack groups passed detection.\n";
const PATH_HINT: &str = "ERROR Please check that you are running against the correct path.\n";

/// BPD-059, BPD-060, BPD-073, BPD-074: the order over buildpacks `pass`, `no` (100), `err` (7), `gone` (a signal),
/// `loose` (requires what nobody provides), and whether an error counted.
#[test]
fn errors_count_where_a_required_module_failed_its_group() {
    let table: &[(&[&str], Option<bool>)] = &[
        (&["no"], Some(false)),
        (&["err"], Some(true)),
        (&["gone"], Some(true)),
        // One group is enough, first or last.
        (&["err", "no"], Some(true)),
        (&["no", "err", "no"], Some(true)),
        // The optional one's error counts where a required one failed the group ...
        (&["no err?"], Some(true)),
        (&["no gone?"], Some(true)),
        // ... and does not where the group fell for want of a buildpack or of a plan.
        (&["err?"], Some(false)),
        (&["no? err?"], Some(false)),
        (&["pass loose err?"], Some(false)),
        (&["pass err?"], None),
        (&["err", "pass"], None),
        (&[], Some(false)),
    ];
    for (order, error) in table {
        let mut bench = Bench::new();
        bench.passing(&["pass"]);
        bench.buildpack("no", "", "exit 100");
        bench.buildpack("err", "", "exit 7");
        bench.buildpack("gone", "", "kill -9 $$");
        bench.buildpack("loose", "", &plan("-x"));
        bench.order(order);
        let (detected, log) = log_of(|| bench.detect());
        match error {
            None => assert_eq!(bench.participants(), "pass", "{order:?}"),
            Some(error) => {
                let (code, cause) = if *error {
                    (21, "buildpack(s) failed with err")
                } else {
                    (20, "no buildpacks participating")
                };
                let text = format!("failed to detect: {cause}");
                assert_eq!(detected.failure(), (code, text), "{order:?}");
                assert!(log.contains(NO_GROUP), "{order:?}: {log}");
                assert_eq!(log.contains(PATH_HINT), !error, "{order:?}: {log}");
            }
        }
    }
}

/// BPD-069: who counts: failed optional ones do, be they skipped, in error or without a place in the plan; extensions do.
#[test]
fn the_participants_are_counted_where_some_are_missing() {
    let table: &[(&str, &[&str], Option<&str>)] = &[
        ("pass", &[], None),
        ("pass no?", &[], Some("1 of 2")),
        ("pass err?", &[], Some("1 of 2")),
        ("pass loose?", &[], Some("1 of 2")),
        ("pass no? err? loose?", &[], Some("1 of 4")),
        ("pass", &["x"], Some("1 of 2")),
        ("pass", &["y"], None),
        ("pass no?", &["x y"], Some("2 of 4")),
    ];
    for (order, extensions, count) in table {
        let mut bench = Bench::new();
        bench.passing(&["pass"]);
        bench.buildpack("no", "", "exit 100");
        bench.buildpack("err", "", "exit 7");
        bench.buildpack("loose", "", &plan("-x"));
        bench.extension("x", "", "exit 100");
        bench.extension("y", "", ":");
        bench.extensions(extensions);
        bench.order(&[order]);
        let lines = bench.detect().lines;
        let said = lines.iter().find(|line| line.contains("participating"));
        let expected = count.map(|count| format!("info {count} buildpacks participating"));
        assert_eq!(said, expected.as_ref(), "{order} {extensions:?}");
    }
}

/// BPD-071: nobody is optional any more.
#[test]
fn who_takes_part_is_required_from_then_on() {
    let mut bench = Bench::new();
    bench.passing(&["a"]);
    bench.extension("x", "", ":");
    bench.extensions(&["x"]);
    bench.order(&["a?"]);
    let group = bench.detect().end.unwrap().group;
    assert!(!group.group[0].optional && !group.group_extensions[0].optional);
}

/// A run of the command, as a platform calls it, on the files of a bench.
struct Run<'a> {
    bench: &'a Bench,
    api: &'a str,
    variables: &'a [(&'a str, String)],
}

impl Run<'_> {
    fn invocation(&self) -> Invocation {
        let path = |name: &str| self.bench.path(name).display().to_string();
        let args = [
            ("-app", "app"),
            ("-layers", "layers"),
            ("-platform", "platform"),
            ("-buildpacks", "buildpacks"),
            ("-order", "order.toml"),
        ];
        let args = args
            .iter()
            .flat_map(|(flag, name)| [(*flag).into(), path(name).into()]);
        let mut variables = Variables::default()
            .with("PATH", "/usr/bin:/bin")
            .with("CNB_EXTENSIONS_DIR", path("extensions"))
            .with("CNB_SYSTEM_PATH", path("system.toml"));
        for (name, value) in self.variables {
            variables = variables.with(name, value);
        }
        Invocation {
            name: "detector".to_owned(),
            api: PlatformApi::negotiate(Some(self.api)).unwrap(),
            args: args.collect(),
            variables,
        }
    }

    fn end(&self) -> Result<(), (u8, String)> {
        let invocation = self.invocation();
        let analyzed = Analyzed::default();
        detector::parse(&invocation)
            .and_then(|flags| crate::command::detect(&invocation, &flags.unwrap(), &analyzed))
            .map(drop)
            .map_err(|failure| (failure.code as u8, format!("{:#}", failure.error)))
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.bench.path(name)).unwrap()
    }
}

fn run<'a>(bench: &'a Bench, api: &'a str) -> Run<'a> {
    Run {
        bench,
        api,
        variables: &[],
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

const ORDER: &str = "[[order]]\n[[order.group]]\nid = 'acme/a'\nversion = '1'\n\
                     [[order.group]]\nid = 'b'\nversion = '1'\noptional = true\n";

/// BPD-070, BPD-071: both files whole, in group order, with APIs as they are written.
#[test]
fn group_and_plan_are_written() {
    let bench = Bench::new();
    bench.buildpack_of(
        "0.9",
        "acme/a",
        "homepage = 'https://a'\n",
        &plan("+one +two -two"),
    );
    let versioned = "cat >$2 <<EOF\n[[provides]]\nname = 'one'\n[[requires]]\nname = 'one'\n\
                     [requires.metadata]\nversion = '17'\ncount = 3\n[[requires]]\nname = 'tool'\nEOF\n";
    bench.buildpack_of("v0.12", "b", "", versioned);
    bench.extension("acme/x", "", &plan("+tool"));
    let order = format!(
        "{ORDER}[[order-extensions]]\n[[order-extensions.group]]\nid = 'acme/x'\nversion = '1'\n"
    );
    write(&bench.path("order.toml"), &order);
    let run = run(&bench, "0.13");
    run.end().unwrap();
    let group = r#"[[group]]
  id = "acme/a"
  version = "1"
  api = "0.9"
  homepage = "https://a"

[[group]]
  id = "b"
  version = "1"
  api = "v0.12"

[[group-extensions]]
  id = "acme/x"
  version = "1"
  api = "0.10"
"#;
    assert_eq!(run.file("layers/group.toml"), group);
    let plan = r#"[[entries]]

  [[entries.providers]]
    id = "acme/a"
    version = "1"

  [[entries.providers]]
    id = "b"
    version = "1"

  [[entries.requires]]
    name = "one"
    [entries.requires.metadata]
      count = 3
      version = "17"

[[entries]]

  [[entries.providers]]
    id = "acme/x"
    version = "1"
    extension = true

  [[entries.requires]]
    name = "tool"

[[entries]]

  [[entries.providers]]
    id = "acme/a"
    version = "1"

  [[entries.requires]]
    name = "two"
"#;
    assert_eq!(run.file("layers/plan.toml"), plan);
}

/// BPD-072: nothing is written, or written over, where detection fails.
#[test]
fn a_failure_leaves_group_and_plan_as_they_were() {
    for (script, code) in [("exit 100", 20), ("exit 1", 21)] {
        let bench = Bench::new();
        bench.buildpack("acme/a", "", script);
        bench.passing(&["b"]);
        write(&bench.path("order.toml"), ORDER);
        let run = run(&bench, "0.13");
        assert_eq!(run.end().unwrap_err().0, code);
        assert!(!bench.path("layers/group.toml").exists());
        assert!(!bench.path("layers/plan.toml").exists());
        write(&bench.path("layers/group.toml"), "before");
        write(&bench.path("layers/plan.toml"), "before");
        run.end().unwrap_err();
        for file in ["layers/group.toml", "layers/plan.toml"] {
            assert_eq!(run.file(file), "before");
        }
    }
}

/// BPD-076: missing, no TOML, of other types.
#[test]
fn an_order_that_cannot_be_read_is_an_error_of_the_set_up() {
    let bench = Bench::new();
    let path = bench.path("order.toml");
    let missing = format!("open {}: no such file or directory", path.display());
    let cases = [
        (None, missing.as_str()),
        (
            Some("= 1"),
            "toml: line 1: unexpected '=': key name appears blank",
        ),
        (
            Some("order = 1"),
            "toml: line 1 (last key \"order\"): incompatible types: TOML value has type int64; destination has type slice",
        ),
    ];
    for (text, cause) in cases {
        if let Some(text) = text {
            write(&path, text);
        }
        let (code, said) = run(&bench, "0.13").end().unwrap_err();
        let expected = format!(
            "failed to initialize detector: reading order: failed to read order file: {cause}"
        );
        assert_eq!(code, 1);
        assert!(said.starts_with(&expected), "{said}");
    }
}

/// BPD-050, BPD-051: system.toml is read from Platform API 0.15 on, id and version of it, and may be missing.
#[test]
fn system_toml_is_read_from_platform_api_0_15_on() {
    let bench = Bench::new();
    bench.passing(&["acme/a", "b", "pre", "post"]);
    write(&bench.path("order.toml"), ORDER);
    let missing = format!(
        "DEBUG No system buildpacks found at path \"{}\"\n",
        bench.path("system.toml").display()
    );
    for (api, count) in [("0.15", 1), ("0.14", 0)] {
        let (end, log) = log_of(|| run(&bench, api).end());
        end.unwrap();
        assert_eq!(log.matches(&missing).count(), count, "{api}: {log}");
    }

    write(&bench.path("system.toml"), "system = 1");
    run(&bench, "0.14").end().unwrap();
    assert_eq!(run(&bench, "0.15").end().unwrap_err().0, 1);

    let system = "[[system.pre.buildpacks]]\nid = 'pre'\nversion = '1'\noptional = true\n\
                  [[system.post.buildpacks]]\nid = 'post'\nversion = '1'\n";
    write(&bench.path("system.toml"), system);
    let run = run(&bench, "0.15");
    run.end().unwrap();
    let group: toml::Table = run.file("layers/group.toml").parse().unwrap();
    let ids: Vec<_> = group["group"]
        .as_array()
        .unwrap()
        .iter()
        .map(|element| element["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["pre", "acme/a", "b", "post"]);
    bench.buildpack("pre", "", "exit 100");
    assert_eq!(
        run.end().unwrap_err().0,
        20,
        "required, whatever the file says"
    );
}

/// BPD-033, BPD-027: what has no flag at an old Platform API has its variable.
#[test]
fn variables_count_at_every_platform_api() {
    let bench = Bench::new();
    let script = "[ \"$OPERATOR\" = yes ] && [ \"$CNB_EXEC_ENV\" = \"$WANTED\" ]";
    bench.buildpack_of("0.12", "acme/a", "", script);
    bench.passing(&["b"]);
    write(&bench.path("order.toml"), ORDER);
    write(&bench.path("config/env/OPERATOR"), "yes");
    let config = bench.path("config").display().to_string();
    for api in ["0.7", "0.10", "0.11", "0.15"] {
        let flags = detector::parse(&run(&bench, api).invocation()).unwrap();
        assert_eq!(
            flags.unwrap().build_config_dir,
            Path::new("/cnb/build-config"),
            "{api}"
        );
        for (given, wanted) in [
            (None, "production"),
            (Some(""), "production"),
            (Some("a/b"), "a/b"),
        ] {
            write(&bench.path("platform/env/WANTED"), wanted);
            let mut variables = vec![("CNB_BUILD_CONFIG_DIR", config.clone())];
            variables.extend(given.map(|value| ("CNB_EXEC_ENV", value.to_owned())));
            let run = Run {
                bench: &bench,
                api,
                variables: &variables,
            };
            assert_eq!(run.end(), Ok(()), "{api} {given:?}");
        }
    }
}
