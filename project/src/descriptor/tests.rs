use std::error::Error as _;

use super::*;

fn parse(text: &str) -> Descriptor {
    Descriptor::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn refused(text: &str) -> String {
    Descriptor::parse(text).unwrap_err().to_string()
}

fn module(id: &str, version: &str) -> Module {
    Module {
        id: id.to_owned(),
        version: version.to_owned(),
        ..Module::default()
    }
}

const UNDECLARED: &str =
    "No schema version declared in project.toml, defaulting to schema version 0.1";

/// PRJ-002.
#[test]
fn the_schema_version_selects_the_schema() {
    let both = |version: &str| {
        format!(
            "[_]\n{version}\n[build]\nbuilder = \"first\"\n[io.buildpacks]\nbuilder = \"second\""
        )
    };
    for (version, builder) in [
        ("", "first"),
        ("schema-version = \"\"", "first"),
        ("schema-version = \"0.1\"", "first"),
        ("schema-version = \"0.2\"", "second"),
        ("schema-version = \"0.3\"", "second"),
    ] {
        let descriptor = parse(&both(version));
        assert_eq!(descriptor.builder.as_deref(), Some(builder), "{version}");
        let is_told = descriptor.warnings.contains(&UNDECLARED.to_owned());
        let is_undeclared = version.is_empty() || version.contains("\"\"");
        assert_eq!(is_told, is_undeclared, "{version}");
    }
    for version in ["0", "0.4", "1.0", "0.2 "] {
        let text = refused(&both(&format!("schema-version = \"{version}\"")));
        let expected = format!("unknown project descriptor schema version {version}\n");
        assert!(text.starts_with(&expected), "{text}");
    }
}

#[test]
fn an_empty_file_is_an_empty_descriptor_of_the_first_schema() {
    let expected = Descriptor {
        warnings: vec![UNDECLARED.to_owned()],
        ..Descriptor::default()
    };
    assert_eq!(parse(""), expected);
}

/// PRJ-003.
#[test]
fn both_schemas_say_the_same() {
    let first = r#"
        [project]
        id = "io.example.app"
        name = "App"
        version = "1.2.3"
        authors = ["a <a@example.org>"]
        documentation-url = "https://example.org/docs"
        source-url = "https://example.org/src"
        [[project.licenses]]
        type = "MIT"
        [metadata]
        free = { form = [1, "two"] }
        [build]
        builder = "some/builder"
        include = ["cmd/", "*.go"]
        [[build.buildpacks]]
        id = "example/one"
        version = "1.0"
        [[build.buildpacks]]
        uri = "https://example.org/two.cnb"
        [[build.env]]
        name = "JAVA_OPTS"
        value = "-Xmx1g"
    "#;
    let second = r#"
        [_]
        schema-version = "0.2"
        id = "io.example.app"
        name = "App"
        version = "1.2.3"
        authors = ["a <a@example.org>"]
        documentation-url = "https://example.org/docs"
        source-url = "https://example.org/src"
        [[_.licenses]]
        type = "MIT"
        [_.metadata]
        free = { form = [1, "two"] }
        [io.buildpacks]
        builder = "some/builder"
        include = ["cmd/", "*.go"]
        [[io.buildpacks.group]]
        id = "example/one"
        version = "1.0"
        [[io.buildpacks.group]]
        uri = "https://example.org/two.cnb"
        [[io.buildpacks.build.env]]
        name = "JAVA_OPTS"
        value = "-Xmx1g"
    "#;
    let by_uri = Module {
        uri: Some("https://example.org/two.cnb".to_owned()),
        ..Module::default()
    };
    let expected = Descriptor {
        include: vec!["cmd/".to_owned(), "*.go".to_owned()],
        env: vec![("JAVA_OPTS".to_owned(), "-Xmx1g".to_owned())],
        buildpacks: vec![module("example/one", "1.0"), by_uri],
        builder: Some("some/builder".to_owned()),
        source: Some(serde_json::json!({
            "type": "project",
            "version": { "declared": "1.2.3" },
            "metadata": { "url": "https://example.org/src" },
        })),
        ..Descriptor::default()
    };
    assert_eq!(parse(second), expected);
    let mut from_first = parse(first);
    assert_eq!(std::mem::take(&mut from_first.warnings), [UNDECLARED]);
    assert_eq!(from_first, expected);
}

/// PRJ-004.
#[test]
fn metadata_is_free_form() {
    let text = r#"
        [_]
        schema-version = "0.2"
        [_.metadata]
        buildpacks = 1
        when = 2024-01-02
        [[_.metadata.assets]]
        url = "x"
        [com.example]
        anything = true
    "#;
    assert_eq!(parse(text), Descriptor::default());
    for text in [
        "[_]\nschema-version = \"0.2\"\nversion = 1",
        "[_]\nschema-version = 0.2",
        "[io]\nbuildpacks = []\n[_]\nschema-version = \"0.2\"",
        "[_",
        "[build]\ninclude = \"x\"",
    ] {
        let error = Descriptor::parse(text);
        assert!(matches!(error, Err(Error::Decode(_))), "{text}: {error:?}");
    }
}

#[test]
fn what_is_declared_of_the_source_is_kept() {
    let with = |keys: &str| parse(&format!("[_]\nschema-version = \"0.2\"\n{keys}")).source;
    let source = with("version = \"1\"").unwrap();
    assert_eq!(source["version"]["declared"], "1");
    assert_eq!(source["metadata"]["url"], "");
    let source = with("source-url = \"u\"").unwrap();
    assert_eq!(source["version"]["declared"], "");
    assert_eq!(source["metadata"]["url"], "u");
    assert_eq!(with("name = \"n\""), None);
}

/// PRJ-005.
#[test]
fn a_license_has_a_type_or_a_uri() {
    let text = |license: &str| format!("[_]\nschema-version = \"0.2\"\n[[_.licenses]]\n{license}");
    parse(&text("type = \"MIT\""));
    parse(&text("uri = \"https://example.org\""));
    let expected = "project.toml: must have a type or uri defined for each license";
    assert_eq!(refused(&text("")), expected);
    assert_eq!(refused("[[project.licenses]]\ntype = \"\""), expected);
    assert_eq!(
        refused(&(text("type = \"MIT\"") + "\n[[_.licenses]]")),
        expected
    );
}

/// PRJ-006.
#[test]
fn include_and_exclude_exclude_each_other() {
    let expected = "project.toml: cannot have both include and exclude defined";
    for (include, exclude) in [("[\"a\"]", "[\"b\"]"), ("[]", "[\"b\"]"), ("[]", "[]")] {
        let keys = format!("include = {include}\nexclude = {exclude}");
        assert_eq!(refused(&format!("[build]\n{keys}")), expected);
        let second = format!("[_]\nschema-version = \"0.2\"\n[io.buildpacks]\n{keys}");
        assert_eq!(refused(&second), expected);
    }
    let descriptor = parse("[build]\nexclude = [\"b\"]");
    assert_eq!((descriptor.include.len(), descriptor.exclude.len()), (0, 1));
}

/// PRJ-007.
#[test]
fn a_script_is_a_buildpack() {
    let text =
        |keys: &str| format!("[_]\nschema-version = \"0.2\"\n[[io.buildpacks.group]]\n{keys}");
    let script = |shell: &str| Script {
        api: "0.10".to_owned(),
        inline: "echo hi".to_owned(),
        shell: shell.to_owned(),
    };
    let inline = "[io.buildpacks.group.script]\napi = \"0.10\"\ninline = \"echo hi\"\n";
    for (more, shell) in [("", "/bin/sh"), ("shell = \"/bin/bash\"", "/bin/bash")] {
        let descriptor = parse(&text(&format!("id = \"a/b\"\n{inline}{more}")));
        let [module] = &descriptor.buildpacks[..] else {
            panic!("{descriptor:?}")
        };
        assert_eq!(module.script, Some(script(shell)));
        assert_eq!(module.version, "0.0.0");
        assert_eq!((module.id.as_str(), &module.uri), ("a/b", &None));
        assert_eq!(descriptor.warnings, [""; 0]);
    }
    // Ruled out, but pack takes it.
    let descriptor = parse(&text(&format!("id = \"a/b\"\nversion = \"1\"\n{inline}")));
    assert_eq!(descriptor.buildpacks[0].version, "1");
    assert!(descriptor.warnings[0].contains("a/b"), "{descriptor:?}");

    let refused = |keys: &str| refused(&text(keys));
    assert_eq!(
        refused(&format!("id = \"a/b\"\nuri = \"x\"\n{inline}")),
        "project.toml: buildpacks cannot have both uri and script defined (buildpack \"a/b\")"
    );
    let lacks = |key: &str| {
        format!("project.toml: the script of buildpack \"a/b\" needs a value for {key}")
    };
    let head = "id = \"a/b\"\n[io.buildpacks.group.script]\n";
    assert_eq!(refused(&format!("{head}inline = \"x\"")), lacks("api"));
    assert_eq!(refused(&format!("{head}api = \"0.10\"")), lacks("inline"));
    assert_eq!(
        refused(inline),
        "project.toml: buildpacks must have an id or url defined"
    );
}

/// PRJ-008.
#[test]
fn a_buildpack_is_named_in_one_way() {
    for list in ["group", "pre.group", "post.group"] {
        let refused = |keys: &str| {
            refused(&format!(
                "[_]\nschema-version = \"0.2\"\n[[io.buildpacks.{list}]]\n{keys}"
            ))
        };
        let no_id = "project.toml: buildpacks must have an id or url defined";
        assert_eq!(refused(""), no_id);
        assert_eq!(refused("version = \"1\""), no_id);
        let both = "project.toml: buildpacks cannot have both uri and version defined";
        assert_eq!(refused("uri = \"x\"\nversion = \"1\""), both);
        assert_eq!(refused("id = \"a\"\nuri = \"x\"\nversion = \"1\""), both);
    }
    assert_eq!(
        refused("[[build.buildpacks]]\nversion = \"1\""),
        "project.toml: buildpacks must have an id or url defined"
    );
}

/// PRJ-009.
#[test]
fn pre_and_post_are_lists_of_their_own() {
    let text = r#"
        [_]
        schema-version = "0.2"
        [[io.buildpacks.pre.group]]
        id = "first"
        [[io.buildpacks.pre.group]]
        id = "second"
        version = "2"
        [[io.buildpacks.post.group]]
        id = "last"
    "#;
    let descriptor = parse(text);
    assert_eq!(descriptor.pre, [module("first", ""), module("second", "2")]);
    assert_eq!(descriptor.post, [module("last", "")]);
    assert_eq!(descriptor.buildpacks, []);
}

/// PRJ-010.
#[test]
fn variables_may_be_spelled_the_older_way() {
    let entry =
        |table: &str, value: &str| format!("[[{table}]]\nname = \"A\"\nvalue = \"{value}\"\n");
    let (new, old) = ("io.buildpacks.build.env", "io.buildpacks.env.build");
    let head = "[_]\nschema-version = \"0.2\"\n";
    let env = |text: &str| parse(&format!("{head}{text}")).env;
    let expected = |values: &[&str]| -> Vec<_> {
        let values = values.iter();
        values
            .map(|it| ("A".to_owned(), (*it).to_owned()))
            .collect()
    };
    let twice = entry(new, "1") + &entry(new, "2");
    assert_eq!(env(&twice), expected(&["1", "2"]));
    assert_eq!(env(&entry(old, "old")), expected(&["old"]));
    assert_eq!(
        env(&(entry(new, "new") + &entry(old, "old"))),
        expected(&["new"])
    );
    let none = "[io.buildpacks.build]\nenv = []\n";
    assert_eq!(env(&format!("{none}{}", entry(old, "old"))), expected(&[]));
}

#[test]
fn a_variable_becomes_a_file_and_nothing_else() {
    for name in ["", "../../etc/passwd", "a/b", "A=B", ".."] {
        let text = format!("[[build.env]]\nname = \"{name}\"\nvalue = \"s3cret\"");
        let error = Descriptor::parse(&text).unwrap_err();
        let cause = error.source().unwrap().to_string();
        assert!(cause.contains(&format!("{name:?} is no name")), "{cause}");
        assert!(!cause.contains("s3cret"), "{cause}");
    }
}

/// PRJ-011.
#[test]
fn the_draft_knows_execution_environments() {
    let text = |version: &str| {
        format!(
            r#"
            [_]
            schema-version = "{version}"
            [[io.buildpacks.group]]
            id = "a"
            exec-env = ["test"]
            [[io.buildpacks.build.env]]
            name = "A"
            value = "1"
            exec-env = ["production"]
        "#
        )
    };
    for version in ["0.2", "0.3"] {
        let descriptor = parse(&text(version));
        assert_eq!(descriptor.buildpacks, [module("a", "")]);
        assert_eq!(descriptor.env.len(), 1);
        let warnings = descriptor.warnings.join("\n");
        let (is_draft, is_known) = (version == "0.3", !warnings.contains("\n- "));
        assert_eq!(is_known, is_draft, "{warnings}");
        let is_told = warnings.contains("exec-env is not applied");
        assert_eq!(is_told, is_draft, "{warnings}");
    }
}

#[test]
fn keys_of_another_schema_are_told() {
    let first = r#"
        other = 1
        [project]
        nmae = "x"
        [build]
        group = []
        [[build.env]]
        nam = "x"
        name = "A"
        [io.buildpacks]
        builder = "x"
        [io.example]
        builder = "x"
    "#;
    let keys = "\n- build.env.nam\n- build.group\n- io.buildpacks\n- project.nmae";
    let [undeclared, told] = &parse(first).warnings[..] else {
        panic!("{:?}", parse(first).warnings)
    };
    assert_eq!(undeclared, UNDECLARED);
    assert!(told.contains("schema version 0.1"), "{told}");
    assert!(told.ends_with(&format!("know them:{keys}")), "{told}");

    let second = r#"
        [_]
        schema-version = "0.2"
        licence = "MIT"
        Name = "keys count in any case"
        [_.metadata.deep]
        x = 1
        [project]
        name = "a table of the user's own"
        [io.buildpacks]
        includes = ["x"]
        [[io.buildpacks.group]]
        id = "a"
        script.api = "0.10"
        script.inline = "x"
        script.shel = "x"
    "#;
    let [told] = &parse(second).warnings[..] else {
        panic!("{:?}", parse(second).warnings)
    };
    let keys = "\n- _.licence\n- io.buildpacks.group.script.shel\n- io.buildpacks.includes";
    assert!(told.contains("schema version 0.2"), "{told}");
    assert!(told.ends_with(&format!("know them:{keys}")), "{told}");
}

#[test]
fn a_file_is_read_where_there_is_one_and_errors_name_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("project.toml");
    assert_eq!(Descriptor::read(&path).unwrap(), None);

    fs_err::write(&path, "[build]\nbuilder = \"x\"").unwrap();
    let descriptor = Descriptor::read(&path).unwrap().unwrap();
    assert_eq!(descriptor.builder.as_deref(), Some("x"));

    for bytes in [
        b"[build".as_slice(),
        b"# \xff",
        b"[[build.buildpacks]]\nversion = \"1\"",
    ] {
        fs_err::write(&path, bytes).unwrap();
        let text = Descriptor::read(&path).unwrap_err().to_string();
        let expected = format!("failed to read project descriptor {}", path.display());
        assert_eq!(text, expected);
    }
    let text = Descriptor::read(dir.path()).unwrap_err().to_string();
    assert!(text.contains(dir.path().to_str().unwrap()), "{text}");
}

proptest::proptest! {
    #[test]
    fn foreign_text_never_panics(text in "[_a-z\\[\\]{}=\".0-9\n ]{0,80}") {
        Descriptor::parse(&text).ok();
        Descriptor::parse(&format!("[_]\nschema-version = \"0.2\"\n{text}")).ok();
    }
}
