use std::path::PathBuf;

use buildpack::plan::{PlanEntry, Provider, Require};
use buildpack::target::Target;
use platform::files::RunImageForExport;
use platform::files::analyzed::RunImage;
use tempfile::TempDir;

use super::*;

const BUILD: &str = "ARG base_image\nFROM ${base_image}\nRUN x\n";
const CONFIG: &str = "[[run.args]]\nname = 'a'\nvalue = 'b'\n";

/// Extensions on disk that bring their files along; no program runs.
struct Bench {
    root: TempDir,
    extensions: Vec<GroupElement>,
    plan: Plan,
    analyzed: Analyzed,
    run: RunToml,
}

impl Bench {
    fn new() -> Self {
        let run_image = RunImage {
            reference: "/layout/run@sha256:0".to_owned(),
            image: "run:1".to_owned(),
            extend: false,
            target: Some(Target {
                os: "linux".to_owned(),
                arch: "arm64".to_owned(),
                distro: Some(buildpack::target::Distro::default()),
                ..Target::default()
            }),
        };
        Self {
            root: tempfile::tempdir().unwrap(),
            extensions: Vec::new(),
            plan: Plan::default(),
            analyzed: Analyzed {
                run_image: Some(run_image),
                ..Analyzed::default()
            },
            run: RunToml {
                images: vec![RunImageForExport {
                    image: "run:1".to_owned(),
                    mirrors: vec!["run:2".to_owned()],
                }],
            },
        }
    }

    /// Makes one extension a text: its `run.Dockerfile`; none for an empty text.
    fn of_run_dockerfiles(texts: &[&str]) -> Self {
        let mut bench = Self::new();
        for (at, text) in texts.iter().enumerate() {
            let files: &[_] = if text.is_empty() {
                &[("build.Dockerfile", BUILD)]
            } else {
                &[("run.Dockerfile", *text)]
            };
            bench.extension(&format!("acme/{at}"), files);
        }
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn extension(&mut self, id: &str, files: &[(&str, &str)]) {
        let element = GroupElement {
            id: id.to_owned(),
            version: "1".to_owned(),
            api: "0.10".to_owned(),
            extension: true,
            ..GroupElement::default()
        };
        let dir = self.path("extensions").join(element.escaped_id()).join("1");
        let descriptor = format!("api = '0.10'\n[extension]\nid = '{id}'\nversion = '1'\n");
        for (name, text) in files
            .iter()
            .map(|(name, text)| (format!("generate/{name}"), *text))
            .chain([("extension.toml".to_owned(), descriptor.as_str())])
        {
            let path = dir.join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        self.extensions.push(element);
    }

    fn generate(&self, api: &str) -> Result<Outputs, Failure> {
        let modules = Modules {
            buildpacks: self.path("buildpacks"),
            extensions: self.path("extensions"),
        };
        let inputs = Inputs {
            api: PlatformApi::negotiate(Some(api)).unwrap(),
            extensions: &self.extensions,
            plan: &self.plan,
            analyzed: &self.analyzed,
            run: &self.run,
            modules: &modules,
            app_dir: self.root.path(),
            platform_dir: &self.path("platform"),
            build_config_dir: &self.path("build-config"),
            generated_dir: &self.path("generated"),
            env: &BuildEnv::default(),
            os_release: Path::new("/no/os-release"),
        };
        run(&inputs, &mut std::io::sink())
    }

    /// Returns the files below `<generated>`.
    fn generated(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut waiting = vec![self.path("generated")];
        while let Some(dir) = waiting.pop() {
            for entry in fs_err::read_dir(&dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    waiting.push(path);
                } else {
                    let name = path.strip_prefix(self.path("generated")).unwrap();
                    found.push(name.display().to_string());
                }
            }
        }
        found.sort();
        found
    }
}

fn require(name: &str) -> Require {
    Require {
        name: name.to_owned(),
        ..Require::default()
    }
}

fn entry(providers: &[(&str, bool)], requires: &[&str]) -> PlanEntry {
    let provider = |(id, extension): &(&str, bool)| Provider {
        id: (*id).to_owned(),
        version: "1".to_owned(),
        extension: *extension,
    };
    PlanEntry {
        providers: providers.iter().map(provider).collect(),
        requires: requires.iter().map(|name| require(name)).collect(),
    }
}

/// IMX-025, IMX-026, IMX-029: a run.Dockerfile an extension, then the image chosen (`-` for none), whether it shall be
/// extended, and which are ignored.
#[test]
fn the_last_run_dockerfile_that_switches_wins() {
    let keep = "FROM ${base_image}\n";
    let extend = "FROM ${base_image}\nRUN x\n";
    let switch = "FROM run:2\n";
    let switch_and_extend = "FROM run:3\nLABEL x=y\n";
    let table: &[(&[&str], &str, bool, &[usize])] = &[
        (&[""], "-", false, &[]),
        (&[keep], "-", false, &[]),
        (&[extend], "-", true, &[]),
        (&[extend, keep], "-", true, &[]),
        (&[switch], "run:2", false, &[]),
        (&[switch_and_extend], "run:3", true, &[]),
        (&[extend, switch], "run:2", false, &[0]),
        (&[switch, extend], "run:2", true, &[]),
        (&[switch, keep, "", extend, keep], "run:2", true, &[]),
        (
            &[switch_and_extend, extend, switch],
            "run:2",
            false,
            &[0, 1],
        ),
        (&[switch, switch_and_extend, keep], "run:3", true, &[0]),
        (&[extend, switch, keep], "run:2", false, &[0]),
        // A build.Dockerfile is never ignored.
        (&["", switch], "run:2", false, &[]),
        (&["FROM $base_image\n"], "$base_image", false, &[]),
    ];
    for (texts, image, extended, ignored) in table {
        let bench = Bench::of_run_dockerfiles(texts);
        let run_image = bench.generate("0.13").unwrap().analyzed.run_image.unwrap();
        let before = bench.analyzed.run_image.clone().unwrap();
        let expected = if *image == "-" {
            RunImage {
                extend: *extended,
                ..before
            }
        } else {
            RunImage {
                reference: (*image).to_owned(),
                image: (*image).to_owned(),
                extend: *extended,
                target: None,
            }
        };
        assert_eq!(run_image, expected, "{texts:?}");
        let name = |at: usize| {
            let file = match (texts[at], ignored.contains(&at)) {
                ("", _) => "build.Dockerfile",
                (_, true) => "run.Dockerfile.ignore",
                (_, false) => "run.Dockerfile",
            };
            format!("acme_{at}/{file}")
        };
        let names: Vec<_> = (0..texts.len()).map(name).collect();
        assert_eq!(bench.generated(), names, "{texts:?}");
    }
}

#[test]
fn the_same_image_again_is_no_switch_from_0_12_on() {
    for (api, kept) in [
        ("0.10", false),
        ("0.11", false),
        ("0.12", true),
        ("0.15", true),
    ] {
        for (text, extend) in [("FROM run:1\n", false), ("FROM run:1\nRUN x\n", true)] {
            let bench = Bench::of_run_dockerfiles(&["FROM ${base_image}\nRUN y\n", text]);
            let run_image = bench.generate(api).unwrap().analyzed.run_image.unwrap();
            let before = bench.analyzed.run_image.clone().unwrap();
            assert_eq!(run_image.extend, extend, "{api} {text:?}");
            assert_eq!(
                run_image.reference == before.reference,
                kept,
                "{api} {text:?}"
            );
            assert_eq!(run_image.target == before.target, kept, "{api} {text:?}");
        }
    }
    // Names are compared as they are written.
    let bench = Bench::of_run_dockerfiles(&["FROM index.docker.io/library/run:1\n"]);
    let run_image = bench.generate("0.15").unwrap().analyzed.run_image.unwrap();
    assert_eq!(run_image.image, "index.docker.io/library/run:1");
}

#[test]
fn without_a_run_image_there_is_none_to_extend() {
    let mut bench = Bench::of_run_dockerfiles(&["FROM ${base_image}\nRUN x\n"]);
    bench.analyzed.run_image = None;
    assert_eq!(bench.generate("0.13").unwrap().analyzed, bench.analyzed);
    let mut bench = Bench::of_run_dockerfiles(&["FROM run:2\nRUN x\n"]);
    bench.analyzed.run_image = None;
    let run_image = bench.generate("0.13").unwrap().analyzed.run_image.unwrap();
    assert_eq!(
        (run_image.image.as_str(), run_image.extend),
        ("run:2", true)
    );
}

/// IMX-013: an entry goes with the first extension that provides it.
#[test]
fn the_plan_loses_what_extensions_met() {
    let mut bench = Bench::of_run_dockerfiles(&["", ""]);
    bench.plan.entries = vec![
        entry(&[("acme/0", true)], &["a"]),
        entry(&[("acme/0", true), ("acme/1", true)], &["b"]),
        entry(&[("acme/1", true), ("node", false)], &["c", "c"]),
        entry(&[("acme/0", false)], &["d"]),
        entry(&[("other", true)], &["e"]),
        entry(&[("node", false)], &["f"]),
    ];
    let left = bench.generate("0.13").unwrap().plan;
    assert_eq!(left.entries, bench.plan.entries[3..]);
}

/// IMX-012, IMX-027, IMX-031, DET-034, DET-035.
#[test]
fn dockerfiles_lie_where_the_api_says() {
    let mut bench = Bench::new();
    bench.extension(
        "acme/first",
        &[
            ("run.Dockerfile", "FROM a\nRUN x\n"),
            ("build.Dockerfile", BUILD),
        ],
    );
    bench.extension(
        "acme/second",
        &[
            ("run.Dockerfile", "FROM run:2\n"),
            ("extend-config.toml", CONFIG),
            ("context/file", "x"),
            ("more", "x"),
        ],
    );
    for api in ["0.9", "0.10", "0.12"] {
        bench.generate(api).unwrap();
        let expected = [
            "build/acme_first/Dockerfile",
            "run/acme_first/Dockerfile.ignore",
            "run/acme_second/Dockerfile",
            "run/acme_second/extend-config.toml",
        ];
        assert_eq!(bench.generated(), expected, "{api}");
        let read = |name: &str| fs_err::read_to_string(bench.path("generated").join(name)).unwrap();
        assert_eq!(read(expected[0]), BUILD);
        assert_eq!(read(expected[1]), "FROM a\nRUN x\n");
        assert_eq!(read(expected[3]), CONFIG);
        fs_err::remove_dir_all(bench.path("generated")).unwrap();
    }
    for api in ["0.13", "0.15"] {
        bench.generate(api).unwrap();
        let expected = [
            "acme_first/build.Dockerfile",
            "acme_first/run.Dockerfile.ignore",
            "acme_second/context/file",
            "acme_second/extend-config.toml",
            "acme_second/more",
            "acme_second/run.Dockerfile",
        ];
        assert_eq!(bench.generated(), expected, "{api}");
        fs_err::remove_dir_all(bench.path("generated")).unwrap();
    }
    // What an extension brings along is copied, and stays as it was.
    let own = bench.path("extensions/acme_first/1/generate/run.Dockerfile");
    assert!(own.exists());
}

/// The config goes beside each Dockerfile of the extension.
#[test]
fn arguments_are_copied_for_both_images() {
    let mut bench = Bench::new();
    bench.extension(
        "acme/both",
        &[
            ("run.Dockerfile", "FROM ${base_image}\n"),
            ("build.Dockerfile", BUILD),
            ("extend-config.toml", CONFIG),
        ],
    );
    bench.generate("0.12").unwrap();
    let expected = [
        "build/acme_both/Dockerfile",
        "build/acme_both/extend-config.toml",
        "run/acme_both/Dockerfile",
        "run/acme_both/extend-config.toml",
    ];
    assert_eq!(bench.generated(), expected);
}

#[test]
fn what_goes_wrong_has_the_code_of_generation() {
    let mut bench = Bench::of_run_dockerfiles(&["FROM a\nFROM b\n"]);
    let failure = bench.generate("0.13").unwrap_err();
    assert_eq!(failure.code, ExitCode::Generate);
    assert_eq!(
        format!("{:#}", failure.error),
        "failed to build: failed to parse run.Dockerfile for extension acme/0: run.Dockerfile is not permitted to use multistage build"
    );
    let descriptor = bench.path("extensions/acme_0/1/extension.toml");
    fs_err::remove_file(&descriptor).unwrap();
    let failure = bench.generate("0.13").unwrap_err();
    assert_eq!(failure.code, ExitCode::Generate);
    assert_eq!(
        format!("{:#}", failure.error),
        format!(
            "failed to build: open {}: no such file or directory",
            descriptor.display()
        )
    );
    bench.extensions[0].api = "0.13".to_owned();
    assert_eq!(
        bench.generate("0.13").unwrap_err().code,
        ExitCode::BuildpackApi
    );
    // A folder where the file goes.
    let bench = Bench::of_run_dockerfiles(&["FROM a\n"]);
    fs_err::create_dir_all(bench.path("generated/run/acme_0/Dockerfile")).unwrap();
    let failure = bench.generate("0.12").unwrap_err();
    assert_eq!(failure.code, ExitCode::Generate);
    let text = format!("{:#}", failure.error);
    assert!(
        text.starts_with("failed to build: failed to copy Dockerfile at "),
        "{text}"
    );
    let mut bench = Bench::new();
    bench.extension(
        "x",
        &[
            ("run.Dockerfile", "FROM a\n"),
            ("extend-config.toml", CONFIG),
        ],
    );
    fs_err::create_dir_all(bench.path("generated/run/x/extend-config.toml")).unwrap();
    let failure = bench.generate("0.12").unwrap_err();
    assert_eq!(failure.code, ExitCode::Generate);
    let text = format!("{:#}", failure.error);
    assert!(
        text.starts_with("failed to build: failed to copy extend config at "),
        "{text}"
    );
}
