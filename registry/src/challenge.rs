//! `WWW-Authenticate`: what a registry asks for (RFC 9110, section 11.6.1; RFC 6750; distribution's token specification).

/// One challenge that this client can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token from the server at `realm`.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

/// Returns the first challenge of these header values that can be answered.
pub(crate) fn find<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Challenge> {
    let mut all = values.into_iter().flat_map(parse);
    all.find_map(|(scheme, mut parameters)| {
        let mut take = |name: &str| {
            let at = parameters.iter().position(|(found, _)| found == name)?;
            Some(parameters.swap_remove(at).1)
        };
        match scheme.as_str() {
            "basic" => Some(Challenge::Basic),
            "bearer" => Some(Challenge::Bearer {
                realm: take("realm")?,
                service: take("service"),
                scope: take("scope").filter(|it| !it.is_empty()),
            }),
            _ => None,
        }
    })
}

/// A scheme and its parameters, names in lower case.
type Parsed = (String, Vec<(String, String)>);

/// Reads a header's value: several challenges, each a scheme and then `name=value` or one token, with commas between.
fn parse(value: &str) -> Vec<Parsed> {
    let mut rest = Cursor(value);
    let mut challenges: Vec<Parsed> = Vec::new();
    loop {
        rest.skip(|c| c == ',' || c.is_ascii_whitespace());
        let word = rest.take(is_token_char);
        if word.is_empty() {
            // Nothing left, or nothing that makes sense; what was read before counts.
            return challenges;
        }
        rest.skip(|c| c.is_ascii_whitespace());
        if let Some(after) = rest.0.strip_prefix('=')
            && let Some((_, parameters)) = challenges.last_mut()
        {
            rest.0 = after;
            rest.skip(|c| c.is_ascii_whitespace());
            let value = rest.quoted().unwrap_or_else(|| rest.take(is_value_char));
            parameters.push((word.to_ascii_lowercase(), value));
        } else {
            challenges.push((word.to_ascii_lowercase(), Vec::new()));
        }
    }
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c)
}

/// What servers leave unquoted although they must not: URLs and scopes.
fn is_value_char(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, ',' | '"')
}

struct Cursor<'a>(&'a str);

impl Cursor<'_> {
    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(is_skipped);
    }

    fn take(&mut self, is_taken: impl Fn(char) -> bool) -> String {
        let end = self.0.find(|c| !is_taken(c)).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        word.to_owned()
    }

    /// Takes a quoted string; one that does not end is taken to the end.
    fn quoted(&mut self) -> Option<String> {
        let inside = self.0.strip_prefix('"')?;
        let mut text = String::new();
        let mut chars = inside.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = &inside[at + 1..];
                    return Some(text);
                }
                '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
                other => text.push(other),
            }
        }
        self.0 = "";
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        }
    }

    #[test]
    fn challenges_of_the_field_are_understood() {
        let cases = [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
                Some(bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:a/b:pull,push"),
                )),
            ),
            (
                r#"bearer  Realm = "https://a/t" , Service=x"#,
                Some(bearer("https://a/t", Some("x"), None)),
            ),
            (
                "Bearer realm=https://a/t?x=1,service=s",
                Some(bearer("https://a/t?x=1", Some("s"), None)),
            ),
            (r#"Basic realm="Registry Realm""#, Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                r#"Negotiate YII=, Basic realm="a, Bearer realm=b", charset="UTF-8""#,
                Some(Challenge::Basic),
            ),
            (
                r#"NTLM, Bearer realm="q\"u\\o",scope="""#,
                Some(bearer(r#"q"u\o"#, None, None)),
            ),
            (
                r#"Bearer realm="https://a"#,
                Some(bearer("https://a", None, None)),
            ),
            (r#"Bearer error="invalid_token""#, None),
            ("Digest x=1", None),
            ("", None),
            (",,,", None),
            ("=\"x\"", None),
            ("\u{e9}", None),
        ];
        for (value, expected) in cases {
            assert_eq!(find([value]), expected, "{value}");
        }
        assert_eq!(find(["Negotiate", "Basic"]), Some(Challenge::Basic));
    }

    proptest! {
        #[test]
        fn foreign_text_never_panics(text in r#"(Bearer |Basic |[a-z]{1,3}|["=, \\]|.){0,20}"#) {
            find([text.as_str()]);
        }
    }
}
