use super::*;

/// Returns what is said against a line, without the place.
fn said(line: &str) -> String {
    let checked = Instruction::parse(line, 7, '\\').and_then(|it| it.check());
    checked.err().map_or_else(String::new, |error| {
        assert_eq!(error.line, 7);
        error.to_string()
    })
}

#[test]
fn every_keyword_is_known_in_any_case() {
    for line in [
        "ADD a b",
        "ADD --chown=1 --link --exclude=a --exclude=b a b",
        "add [\"a b\", \"c\"]",
        "ARG base_image",
        "ARG a b=1 c=\"x y\"",
        "ARG --odd a",
        "CMD",
        "CMD echo",
        "COPY --from=x --parents=false a b/",
        "COPY <<EOF /x",
        "Entrypoint [\"a\"]",
        "ENV a b c",
        "ENV a=b c='d e'",
        "EXPOSE 80 443/tcp",
        "FROM a",
        "FROM --platform=linux/amd64 a AS Stage-1",
        "from a as b",
        "HEALTHCHECK NONE",
        "HEALTHCHECK --interval=5s CMD curl x",
        "LABEL a=b",
        "MAINTAINER a b",
        "ONBUILD RUN x",
        "RUN",
        "RUN --mount=type=cache,target=/x --mount=type=tmpfs,target=/y --network=none a",
        "RUN [broken json",
        "SHELL [\"/bin/bash\", \"-c\"]",
        "STOPSIGNAL 9",
        "USER 1000:1000",
        "VOLUME /a /b",
        "WORKDIR /a b",
    ] {
        assert_eq!(said(line), "", "{line}");
    }
}

#[test]
fn what_is_wrong_is_said_in_the_reference_s_words() {
    let one = "requires at least one argument";
    let exactly = "requires exactly one argument";
    let cases = [
        ("PEPPER x", "unknown instruction: PEPPER"),
        ("FORM a", "unknown instruction: FORM (did you mean FROM?)"),
        ("RNU a", "unknown instruction: RNU (did you mean RUN?)"),
        ("cpoy a", "unknown instruction: cpoy (did you mean copy?)"),
        (
            "Labels a",
            "unknown instruction: Labels (did you mean label?)",
        ),
        ("", "unknown instruction: "),
        (
            "ADD a",
            "ADD requires at least two arguments, but only one was provided. Destination could not be determined",
        ),
        (
            "COPY",
            "COPY requires at least two arguments, but only one was provided. Destination could not be determined",
        ),
        (
            "COPY a <<EOF",
            "COPY cannot accept a heredoc as a destination",
        ),
        ("ARG", &format!("ARG {one}")),
        ("ARG =x", "ARG names can not be blank"),
        ("ENV", &format!("ENV {one}")),
        ("ENV =x", "ENV names can not be blank"),
        ("LABEL", &format!("LABEL {one}")),
        ("EXPOSE", &format!("EXPOSE {one}")),
        ("VOLUME", &format!("VOLUME {one}")),
        ("VOLUME []", &format!("VOLUME {one}")),
        (
            "VOLUME [\"\"]",
            "VOLUME specified can not be an empty string",
        ),
        ("SHELL", &format!("SHELL {one}")),
        ("SHELL []", &format!("SHELL {one}")),
        (
            "SHELL /bin/sh -c",
            "SHELL requires the arguments to be in JSON form",
        ),
        ("MAINTAINER", &format!("MAINTAINER {exactly}")),
        ("STOPSIGNAL", &format!("STOPSIGNAL {exactly}")),
        ("USER", &format!("USER {exactly}")),
        ("WORKDIR", &format!("WORKDIR {exactly}")),
        ("FROM", "FROM requires either one or three arguments"),
        ("FROM a b", "FROM requires either one or three arguments"),
        ("FROM a in b", "FROM requires either one or three arguments"),
        (
            "FROM a AS 1b",
            "invalid name for build stage: \"1b\", name can't start with a number or contain symbols",
        ),
        (
            "FROM a AS b/c",
            "invalid name for build stage: \"b/c\", name can't start with a number or contain symbols",
        ),
        ("HEALTHCHECK", &format!("HEALTHCHECK {one}")),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        (
            "HEALTHCHECK curl x",
            "Unknown type \"CURL\" in HEALTHCHECK (try CMD)",
        ),
        ("ONBUILD", &format!("ONBUILD {one}")),
        (
            "ONBUILD onbuild RUN x",
            "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
        ),
        ("ONBUILD FROM a", "FROM isn't allowed as an ONBUILD trigger"),
        (
            "ONBUILD MAINTAINER a",
            "MAINTAINER isn't allowed as an ONBUILD trigger",
        ),
        ("RUN --nothing x", "unknown flag: --nothing"),
        (
            "COPY --form=x a b",
            "unknown flag: --form (did you mean from?)",
        ),
        ("USER --a b", "unknown flag: --a"),
        ("COPY --from a b", "missing a value on flag: --from"),
        ("COPY --link= a b", "missing a value on flag: --link"),
        (
            "COPY --link=1 a b",
            "expecting boolean value for flag --link, not: 1",
        ),
        (
            "COPY --from=a --from=b c d",
            "duplicate flag specified: --from",
        ),
    ];
    for (line, expected) in cases {
        let expected = format!("dockerfile parse error on line 7: {expected}");
        assert_eq!(said(line), expected, "{line}");
    }
}

/// These stop the reading, before any instruction is checked, and are said without the line.
#[test]
fn what_cannot_be_split_is_said_first() {
    let strings = "when using JSON array syntax, arrays must be comprised of strings only";
    let cases = [
        ("RUN [1]", strings),
        ("COPY [\"a\", null] b", ""),
        ("COPY [\"a\", null]", strings),
        ("HEALTHCHECK CMD [1]", strings),
        ("ONBUILD RUN [1]", strings),
        ("ENV a", "ENV must have two arguments"),
        ("LABEL a", "LABEL must have two arguments"),
        (
            "ENV a=b c",
            "Syntax error - can't find = in \"c\". Must be of the form: name=value",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(said(line), expected, "{line}");
    }
}
