//! Texts come from the rules (EXP-047 to EXP-049, EXP-079, EXP-080; BPB-038, BPB-043, BPB-044, BPB-045, BPB-055; BLD-011,
//! BLD-014, BLD-015) in the shape that the recorded cases show.

use proptest::prelude::*;

use super::*;

fn api(minor: u32) -> PlatformApi {
    PlatformApi::negotiate(Some(&format!("0.{minor}"))).unwrap()
}

fn module(id: &str) -> GroupElement {
    GroupElement {
        id: id.to_owned(),
        version: "1.0.0".to_owned(),
        api: "0.10".to_owned(),
        ..GroupElement::default()
    }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn process(process_type: &str, command: &[&str], args: Option<&[&str]>) -> Process {
    Process {
        process_type: process_type.to_owned(),
        command: texts(command),
        args: args.map(texts),
        direct: true,
        buildpack_id: "a".to_owned(),
        ..Process::default()
    }
}

fn bom() -> BomEntry {
    BomEntry {
        name: "dep".to_owned(),
        metadata: Some(toml::toml! {
            url = "https://example.org/?a=1&b=<2>"
            version = "1.2"
        }),
        buildpack: GroupElement {
            api: String::new(),
            ..module("old")
        },
    }
}

fn written(metadata: &BuildMetadata, api: PlatformApi) -> String {
    let layers = tempfile::tempdir().unwrap();
    write(layers.path(), metadata, api).unwrap();
    fs_err::read_to_string(layers.path().join("config/metadata.toml")).unwrap()
}

fn read_text(text: &str) -> Result<BuildMetadata, Failure> {
    let layers = tempfile::tempdir().unwrap();
    fs_err::create_dir(layers.path().join("config")).unwrap();
    fs_err::write(layers.path().join("config/metadata.toml"), text).unwrap();
    read(layers.path())
}

/// EXP-048: every key in its place.
#[test]
fn the_file_of_a_build() {
    let mut extension = module("ext/curl");
    extension.homepage = "https://example.org/ext".to_owned();
    let web = process(
        "web",
        &["serve <\"$PORT\">", "&\u{2028}"],
        Some(&["x <y>", "\"q\""]),
    );
    let worker = Process {
        working_dir: "/work".to_owned(),
        exec_env: texts(&["production"]),
        direct: false,
        ..process("worker", &["w"], None)
    };
    let metadata = BuildMetadata {
        buildpacks: vec![module("a")],
        extensions: vec![extension],
        labels: vec![Label {
            key: "k".to_owned(),
            value: "b <c>".to_owned(),
        }],
        processes: Some(vec![process("job", &["j"], Some(&[])), web, worker]),
        slices: vec![Slice {
            paths: texts(&["data/*", "*.md"]),
        }],
        default_process_type: "web".to_owned(),
        ..BuildMetadata::default()
    };
    let expected = r#"buildpack-default-process-type = "web"

[[buildpacks]]
  id = "a"
  version = "1.0.0"
  api = "0.10"

[[extensions]]
  id = "ext/curl"
  version = "1.0.0"
  api = "0.10"
  homepage = "https://example.org/ext"

[[labels]]
  key = "k"
  value = "b <c>"

[[processes]]
  type = "job"
  command = ["j"]
  args = []
  direct = true
  buildpack-id = "a"

[[processes]]
  type = "web"
  command = ["serve \u003c\"$PORT\"\u003e", "\u0026\u2028"]
  args = ["x <y>", "\"q\""]
  direct = true
  buildpack-id = "a"

[[processes]]
  type = "worker"
  command = ["w"]
  direct = false
  buildpack-id = "a"
  working-dir = "/work"
  exec-env = ["production"]

[[slices]]
  paths = ["data/*", "*.md"]
"#;
    assert_eq!(written(&metadata, api(15)), expected);
    assert_eq!(read_text(expected).unwrap(), metadata);
}

#[test]
fn the_file_of_an_old_build_with_a_bom_and_no_process() {
    let metadata = BuildMetadata {
        bom: vec![bom()],
        buildpacks: vec![module("old")],
        processes: Some(Vec::new()),
        ..BuildMetadata::default()
    };
    let expected = r#"processes = []

[[bom]]
  name = "dep"
  [bom.metadata]
    url = "https://example.org/?a=1&b=<2>"
    version = "1.2"
  [bom.buildpack]
    id = "old"
    version = "1.0.0"

[[buildpacks]]
  id = "old"
  version = "1.0.0"
  api = "0.10"
"#;
    assert_eq!(written(&metadata, api(8)), expected);
    assert_eq!(read_text(expected).unwrap(), metadata);
}

/// BLD-014: below 0.10 the rest of a command goes in front of the arguments, which are then always there.
#[test]
fn commands_below_0_10_are_one_text() {
    type Row<'a> = (&'a [&'a str], Option<&'a [&'a str]>, &'a str);
    let table: [Row<'_>; 3] = [
        (&["cmd"], None, "  command = \"cmd\"\n  args = []\n"),
        (
            &["cmd", "always", "two"],
            Some(&["over"]),
            "  command = \"cmd\"\n  args = [\"always\", \"two\", \"over\"]\n",
        ),
        (
            &["a&b", "x"],
            None,
            "  command = \"a\\u0026b\"\n  args = [\"x\"]\n",
        ),
    ];
    for (command, args, expected) in table {
        let metadata = BuildMetadata {
            processes: Some(vec![process("web", command, args)]),
            ..BuildMetadata::default()
        };
        let text = written(&metadata, api(9));
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_process_without_a_command() {
    let metadata = BuildMetadata {
        processes: Some(vec![process("web", &[], None)]),
        ..BuildMetadata::default()
    };
    assert!(written(&metadata, api(10)).contains("  command = []\n"));
    let layers = tempfile::tempdir().unwrap();
    let failure = write(layers.path(), &metadata, api(9)).unwrap_err();
    assert_eq!(failure.code, ExitCode::Build);
    let expected = "failed to build: process \"web\" of buildpack a has no command, which Platform API 0.9 cannot say";
    assert_eq!(format!("{:#}", failure.error), expected);
    assert!(!layers.path().join("config").exists());
}

#[test]
fn commands_are_read_in_either_form() {
    let table = [
        ("command = \"one two\"", vec!["one two"]),
        ("command = [\"one\", \"two\"]", vec!["one", "two"]),
        ("command = [1, true, 1.5]", vec!["1", "true", "1.5"]),
        ("command = []", vec![]),
        ("type = \"none\"", vec![]),
    ];
    for (line, expected) in table {
        let found = read_text(&format!("[[processes]]\n{line}\n")).unwrap();
        assert_eq!(found.processes.unwrap()[0].command, expected, "{line}");
    }
}

#[test]
fn absent_and_empty_lists_are_told_apart() {
    assert_eq!(read_text("").unwrap().processes, None);
    assert_eq!(
        read_text("processes = []").unwrap().processes,
        Some(Vec::new())
    );
    let args = |text| read_text(text).unwrap().processes.unwrap()[0].args.clone();
    assert_eq!(args("[[processes]]\ntype = \"x\""), None);
    assert_eq!(args("[[processes]]\nargs = []"), Some(Vec::new()));
}

#[test]
fn errors_say_what_was_read() {
    let layers = tempfile::tempdir().unwrap();
    let failure = read(layers.path()).unwrap_err();
    let path = layers.path().join("config/metadata.toml");
    let expected = format!(
        "failed to read build metadata file: open {}: no such file or directory",
        path.display()
    );
    assert_eq!(format!("{:#}", failure.error), expected);
    let hostile = [
        "= =",
        "processes = 1",
        "[[processes]]\ncommand = 1",
        "[[processes]]\ndirect = \"yes\"",
        "[[bom]]\nname = []",
        "[[slices]]\npaths = [1]",
        "buildpacks = [[]]",
    ];
    for text in hostile {
        let message = format!("{:#}", read_text(text).unwrap_err().error);
        let expected = "failed to read build metadata file: ";
        assert!(message.starts_with(expected), "{text}: {message}");
    }
}

fn launcher() -> LauncherRecord {
    LauncherRecord {
        version: "0.21.17".to_owned(),
        repository: "github.com/x/y".to_owned(),
        commit: "abc".to_owned(),
    }
}

const LAUNCHER: &str = r#""launcher":{"version":"0.21.17","source":{"git":{"repository":"github.com/x/y","commit":"abc"}}}"#;

#[test]
fn the_label_of_a_build() {
    let mut extension = module("ext");
    extension.homepage = "https://example.org".to_owned();
    let worker = Process {
        working_dir: "/w".to_owned(),
        exec_env: texts(&["test"]),
        ..process("worker", &["w"], Some(&[]))
    };
    let metadata = BuildMetadata {
        bom: vec![bom()],
        buildpacks: vec![module("a")],
        extensions: vec![extension],
        processes: Some(vec![process("web", &["serve", "<now>"], None), worker]),
        default_process_type: "web".to_owned(),
        ..BuildMetadata::default()
    };
    let modules = concat!(
        r#""buildpacks":[{"id":"a","version":"1.0.0"}],"#,
        r#""extensions":[{"id":"ext","version":"1.0.0","homepage":"https://example.org"}]"#
    );
    let rest = r#""direct":true,"buildpackID":"a"}"#;
    let worker = r#"{"type":"worker","command":WORKER,"args":[],"direct":true,"buildpackID":"a","working-dir":"/w","exec-env":["test"]}"#;
    let end = r#","buildpack-default-process-type":"web"}"#;
    let arrays = format!(
        r#"{{{modules},{LAUNCHER},"processes":[{{"type":"web","command":["serve","\u003cnow\u003e"],"args":null,{rest},{}]{end}"#,
        worker.replace("WORKER", r#"["w"]"#)
    );
    let text_commands = format!(
        r#"{modules},{LAUNCHER},"processes":[{{"type":"web","command":"serve","args":["\u003cnow\u003e"],{rest},{}]{end}"#,
        worker.replace("WORKER", r#""w""#)
    );
    let bom = concat!(
        r#""bom":[{"name":"dep","metadata":{"url":"https://example.org/?a=1\u0026b=\u003c2\u003e","version":"1.2"},"#,
        r#""buildpack":{"id":"old","version":"1.0.0"}}]"#
    );
    assert_eq!(metadata.to_label(api(15), &launcher()), arrays);
    assert_eq!(metadata.to_label(api(10), &launcher()), arrays);
    let without_bom = format!("{{{text_commands}");
    assert_eq!(metadata.to_label(api(9), &launcher()), without_bom);
    let with_bom = format!("{{{bom},{text_commands}");
    assert_eq!(metadata.to_label(api(8), &launcher()), with_bom);

    // Whichever API wrote it, the same is read. APIs of modules, the BOM and labels are not looked for.
    let without_api = |mut module: GroupElement| {
        module.api.clear();
        module
    };
    for label in [arrays, without_bom, with_bom] {
        let (read, by) = BuildMetadata::from_label(&label).unwrap();
        let is_text = label.contains(r#""command":"serve""#);
        let mut expected = BuildMetadata {
            bom: Vec::new(),
            buildpacks: metadata
                .buildpacks
                .iter()
                .cloned()
                .map(without_api)
                .collect(),
            extensions: metadata
                .extensions
                .iter()
                .cloned()
                .map(without_api)
                .collect(),
            ..metadata.clone()
        };
        if is_text {
            let web = &mut expected.processes.as_mut().unwrap()[0];
            (web.command, web.args) = (texts(&["serve"]), Some(texts(&["<now>"])));
        }
        assert_eq!((read, by), (expected, launcher()), "{label}");
    }
}

#[test]
fn labels_of_others_are_read_or_refused() {
    let (nothing, launcher) = BuildMetadata::from_label("{}").unwrap();
    assert_eq!(nothing.processes, Some(Vec::new()));
    assert_eq!(launcher, LauncherRecord::default());
    let odd = r#"{"launcher":null,"new":1,"processes":[{"type":"web","command":["a"],"new":2}]}"#;
    let (read, _) = BuildMetadata::from_label(odd).unwrap();
    assert_eq!(read.processes.unwrap()[0].command, texts(&["a"]));
    for bad in [
        "",
        "[]",
        r#"{"processes":1}"#,
        r#"{"processes":[{"command":1}]}"#,
    ] {
        assert!(BuildMetadata::from_label(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_label_of_nothing() {
    let nothing = BuildMetadata::default();
    let label = nothing.to_label(api(12), &launcher());
    let expected = format!(r#"{{"buildpacks":null,{LAUNCHER},"processes":null}}"#);
    assert_eq!(label, expected);
    let none = BuildMetadata {
        processes: Some(Vec::new()),
        ..nothing
    };
    let label = none.to_label(api(7), &launcher());
    let expected = format!(r#"{{"bom":null,"buildpacks":null,{LAUNCHER},"processes":[]}}"#);
    assert_eq!(label, expected);
}

fn any_process() -> impl Strategy<Value = Process> {
    let list = || prop::collection::vec(".*", 0..3);
    let flags = (any::<bool>(), any::<bool>());
    (".*", list(), prop::option::of(list()), flags, ".*", list()).prop_map(
        |(process_type, command, args, (direct, default), text, exec_env)| Process {
            process_type,
            command,
            args,
            direct,
            default,
            buildpack_id: text.clone(),
            working_dir: text,
            exec_env,
        },
    )
}

proptest! {
    #[test]
    fn file_and_back_is_the_same(
        processes in prop::option::of(prop::collection::vec(any_process(), 0..3)),
        default_process_type in ".*",
        paths in prop::collection::vec(prop::collection::vec(".*", 0..3), 0..3),
    ) {
        let slices = paths.into_iter().map(|paths| Slice { paths }).collect();
        let metadata = BuildMetadata { processes, slices, default_process_type, ..BuildMetadata::default() };
        prop_assert_eq!(read_text(&written(&metadata, api(15))).unwrap(), metadata);
    }

    #[test]
    fn texts_never_panic(text in ".{0,200}") {
        read_text(&text).ok();
    }
}
