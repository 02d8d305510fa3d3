use super::*;

const HEAD: &str = "ARG base_image\nFROM ${base_image}\n";

/// Returns base, whether it extends, and warnings; or the error and its line.
fn outcome(kind: Kind, text: &str) -> String {
    let mut warnings = Vec::new();
    let checked = check(text, kind, &mut |warning| warnings.push(warning));
    let mut said = match checked {
        Ok(effect) => format!(
            "{} {}",
            effect.new_base.as_deref().unwrap_or("-"),
            effect.extends
        ),
        Err(error) => format!("{}: {error}", error.line),
    };
    for warning in warnings {
        said = format!("{said}; {warning}");
    }
    said
}

#[test]
fn a_build_dockerfile_begins_with_the_base_image() {
    let no_arg = "build.Dockerfile did not start with required ARG command";
    let no_from = "build.Dockerfile did not contain required FROM ${base_image} command";
    let cases = [
        (
            "ARG base_image\nFROM ${base_image}\nRUN x\n",
            "- true".to_owned(),
        ),
        ("ARG base_image\nFROM ${base_image}\n", "- false".to_owned()),
        (
            "ARG base_image=0\nFROM ${base_image} AS base\nRUN x\n",
            "- true".to_owned(),
        ),
        (
            "ARG base_image other=1\nFROM ${base_image}\nRUN x\n",
            "- true".to_owned(),
        ),
        (
            "arg base_image\nfrom ${base_image}\nrun x\n",
            "- true".to_owned(),
        ),
        (
            "# c\n\nARG base_image\n\nFROM --platform=linux/amd64 ${base_image}\n",
            "- false".to_owned(),
        ),
        ("FROM ${base_image}\n", format!("1: {no_arg}")),
        (
            "FROM ${base_image}\nARG base_image\n",
            format!("1: {no_arg}"),
        ),
        ("ARG other\nFROM ${base_image}\n", format!("1: {no_arg}")),
        (
            "ARG other base_image\nFROM ${base_image}\n",
            format!("1: {no_arg}"),
        ),
        (
            "ARG Base_image\nFROM ${base_image}\n",
            format!("1: {no_arg}"),
        ),
        (
            "ARG base_image\nARG other\nFROM ${base_image}\n",
            format!("2: {no_arg}"),
        ),
        (
            "ARG base_image\nARG base_image\nFROM ${base_image}\n",
            format!("2: {no_arg}"),
        ),
        (
            "ARG base_image\nFROM $base_image\n",
            format!("2: {no_from}"),
        ),
        (
            "ARG base_image\nFROM \"${base_image}\"\n",
            format!("2: {no_from}"),
        ),
        ("ARG base_image\nFROM debian\n", format!("2: {no_from}")),
        (
            "ARG base_image\nFROM ${base_image}:1\n",
            format!("2: {no_from}"),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(outcome(Kind::Build, text), expected, "{text:?}");
    }
}

#[test]
fn a_run_dockerfile_may_begin_with_any_image() {
    let cases = [
        ("FROM ${base_image}\n", "- false"),
        ("FROM ${base_image}\nRUN x\n", "- true"),
        ("ARG base_image\nFROM ${base_image}\nRUN x\n", "- true"),
        ("ARG a\nARG b\nFROM run:2\n", "run:2 false"),
        ("FROM run:2 AS x\nRUN y\n", "run:2 true"),
        ("FROM $base_image\n", "$base_image false"),
        ("FROM run@sha256:0123\n", "run@sha256:0123 false"),
        // Any instruction counts, also one that changes no file.
        ("FROM run\nARG x\n", "run true"),
        ("FROM run\nLABEL x=y\n", "run true"),
    ];
    for (text, expected) in cases {
        assert_eq!(outcome(Kind::Run, text), expected, "{text:?}");
    }
}

#[test]
fn there_is_one_stage() {
    for (kind, name) in [
        (Kind::Build, "build.Dockerfile"),
        (Kind::Run, "run.Dockerfile"),
    ] {
        assert_eq!(format!("{}.Dockerfile", kind.name()), kind.file_name());
        let two = format!("{HEAD}RUN x\nFROM other\n");
        let expected = format!("4: {name} is not permitted to use multistage build");
        assert_eq!(outcome(kind, &two), expected);
        let expected = format!("0: {name} should have at least one stage");
        assert_eq!(outcome(kind, "ARG base_image\n"), expected);
        let expected = "2: no build stage in current context";
        assert_eq!(outcome(kind, "ARG base_image\nRUN x\n"), expected);
        assert_eq!(outcome(kind, "\n"), "0: file with no instructions");
    }
    // More than one stage is seen before a missing argument is.
    let expected = "2: build.Dockerfile is not permitted to use multistage build";
    assert_eq!(outcome(Kind::Build, "FROM a\nFROM b\n"), expected);
}

#[test]
fn some_instructions_are_only_warned_of() {
    let safe =
        "ADD a b\nARG a\nCOPY a b\nENV a=b\nLABEL a=b\nRUN a\nSHELL [\"a\"]\nUSER a\nWORKDIR a\n";
    let odd = [
        ("CMD a", "CMD"),
        ("ENTRYPOINT a", "ENTRYPOINT"),
        ("EXPOSE 1", "EXPOSE"),
        ("HEALTHCHECK NONE", "HEALTHCHECK"),
        ("MAINTAINER a", "MAINTAINER"),
        ("ONBUILD RUN a", "ONBUILD"),
        ("STOPSIGNAL 9", "STOPSIGNAL"),
        ("volume a", "VOLUME"),
    ];
    for kind in [Kind::Build, Kind::Run] {
        let name = kind.file_name();
        assert_eq!(outcome(kind, &format!("{HEAD}{safe}")), "- true");
        for (line, keyword) in odd {
            let expected = format!("- true; {name} command {keyword} on line 4 is not recommended");
            let text = format!("{HEAD}RUN a\n{line}\n");
            assert_eq!(outcome(kind, &text), expected, "{line}");
        }
    }
    // What is warned of is warned of also where the file is refused then.
    let expected = "1: build.Dockerfile did not start with required ARG command; build.Dockerfile command CMD on line 2 is not recommended";
    assert_eq!(
        outcome(Kind::Build, "FROM ${base_image}\nCMD x\n"),
        expected
    );
}

#[test]
fn instructions_are_checked_in_order() {
    let cases = [
        (
            "FROM a\nPEPPER\nRUN --x y\n",
            "2: dockerfile parse error on line 2: unknown instruction: PEPPER",
        ),
        // What cannot be read at all comes first, wherever it stands.
        ("PEPPER\nFROM a\nENV x\n", "3: ENV must have two arguments"),
        (
            "RUN a \\\n b\nPEPPER\n",
            "1: no build stage in current context",
        ),
        (
            "FROM a\nRUN a \\\n b\nPEPPER\n",
            "4: dockerfile parse error on line 4: unknown instruction: PEPPER",
        ),
        (
            "FROM a\nRUN cat <<E\nPEPPER\nE\nPEPPER\n",
            "5: dockerfile parse error on line 5: unknown instruction: PEPPER",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(outcome(Kind::Run, text), expected, "{text:?}");
    }
}

#[test]
fn nothing_nests_without_end() {
    let text = format!("FROM a\n{}RUN x\n", "ONBUILD ".repeat(1_000_000));
    let expected =
        "2: dockerfile parse error on line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed";
    assert_eq!(outcome(Kind::Run, &text), expected);
    let text = format!("FROM a\nRUN {}\n", "[".repeat(1_000_000));
    assert_eq!(outcome(Kind::Run, &text), "a true");
}

proptest::proptest! {
    /// Whatever a file holds, it is read to its end, and what is said of it has a place in it.
    #[test]
    fn no_file_is_too_odd_to_be_judged(words in proptest::collection::vec(word(), 0..40)) {
        let text = words.concat();
        for kind in [Kind::Build, Kind::Run] {
            if let Err(error) = check(&text, kind, &mut |_| {}) {
                proptest::prop_assert!(error.line <= text.lines().count(), "{text:?}: {error:?}");
            }
        }
    }
}

/// What files are made of, and what could be mistaken for it.
fn word() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;

    const WORDS: [&str; 40] = [
        "FROM",
        "ARG",
        "RUN",
        "COPY",
        "ENV",
        "SHELL",
        "ONBUILD",
        "HEALTHCHECK",
        "VOLUME",
        "a",
        "=",
        "${base_image}",
        "base_image",
        "<<E",
        "<<-\"E\"",
        "E",
        "'",
        "\"",
        "\\",
        "`",
        "[",
        "]",
        "\"x\"",
        ",",
        "--from=",
        "--",
        "CMD",
        "AS",
        "#",
        "escape",
        "\n",
        "\n",
        "\n",
        "\r\n",
        " ",
        " ",
        "\t",
        "\\\n",
        "\u{feff}",
        "é",
    ];
    prop_oneof![
        9 => proptest::sample::select(&WORDS[..]).prop_map(str::to_owned),
        1 => ".*",
    ]
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = read(dir.path(), Kind::Run, &mut |_| {}).unwrap_err();
    let expected = format!("read {}: is a directory", dir.path().display());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn rules_come_with_a_remedy() {
    let two_lines = "begin with two lines: ARG base_image, and FROM ${base_image}";
    let cases = [
        (
            Kind::Build,
            "FROM ${base_image}",
            "there is no ARG in front of FROM",
            two_lines,
        ),
        (
            Kind::Build,
            "ARG a=1 base_image\nFROM b",
            "declares a instead of base_image",
            two_lines,
        ),
        (
            Kind::Build,
            "ARG base_image\nARG a\nFROM b",
            "is a second ARG in front of FROM",
            two_lines,
        ),
        (
            Kind::Build,
            "ARG base_image\nFROM debian",
            "begins with debian",
            "write FROM ${base_image}",
        ),
        (
            Kind::Build,
            "ARG base_image",
            "holds no FROM",
            "FROM ${base_image}",
        ),
        (
            Kind::Run,
            "FROM a\nFROM b",
            "holds a second FROM",
            "leave one FROM",
        ),
        (
            Kind::Run,
            "run a",
            "RUN stands in front of FROM",
            "only ARG",
        ),
        (Kind::Run, "", "holds no instruction", "leave the file out"),
        (
            Kind::Run,
            "FROM a\nUSER",
            "USER requires exactly one argument",
            "correct this instruction",
        ),
        (
            Kind::Run,
            "# escape=x\nFROM a",
            "invalid escape token 'x' does not match ` or \\",
            "write \\ or `",
        ),
    ];
    for (kind, text, problem, remedy) in cases {
        let error = check(text, kind, &mut |_| {}).unwrap_err();
        assert_eq!(error.problem, problem);
        assert!(error.remedy.contains(remedy), "{text:?}: {error:?}");
    }
}
