//! Answers that mean no: what they say, and the way out.
//!
//! Registries say why in a body of a certain form: `{"errors":[{"code":…,"message":…}]}` (distribution specification,
//! Error Codes). Anything else is not repeated.

use layout::text::{shortened, visible};
use serde::Deserialize;

use crate::error::Error;
use crate::exchange::{MAX_MESSAGE, Response};
use crate::keychain::Credentials;

/// Longer texts help nobody.
const MAX_LEN: usize = 300;

/// Returns the error that an answer means; `credentials` and `tokens` are what the host was sent, and may repeat.
pub(crate) fn error(
    registry: &str,
    response: Response,
    doing: &str,
    credentials: Option<&Credentials>,
    tokens: &[&str],
) -> Error {
    let (status, host) = (response.status, response.url.authority.clone());
    let doing = doing.to_owned();
    let body = response.read(MAX_MESSAGE).ok().flatten();
    let secrets = credentials.map(Credentials::secrets).unwrap_or_default();
    let secrets = secrets
        .iter()
        .map(String::as_str)
        .chain(tokens.iter().copied());
    let secrets: Vec<_> = secrets.filter(|it| !it.is_empty()).collect();
    let message = message(&body.unwrap_or_default(), &secrets);
    if !matches!(status, 401 | 403) {
        return Error::Status {
            doing,
            host,
            status,
            message,
        };
    }
    let is_known = credentials.is_some_and(|it| *it != Credentials::Anonymous);
    let hint = match (is_known, status) {
        (false, _) => format!(
            "there are no credentials for {registry}: log in with `docker login {registry}`, or set CNB_REGISTRY_AUTH"
        ),
        (true, 401) => format!(
            "the credentials for {registry} are refused: log in anew with `docker login {registry}`, or mend CNB_REGISTRY_AUTH"
        ),
        (true, _) => format!(
            "the credentials for {registry} are not enough for this: ask for access, or see whether the image's name is right"
        ),
    };
    Error::Denied {
        doing,
        host,
        status,
        message,
        hint,
    }
}

#[derive(Deserialize)]
struct Failure {
    errors: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Returns `: CODE: message`; empty where the body says nothing of the kind.
fn message(body: &[u8], secrets: &[&str]) -> String {
    let Ok(failure) = serde_json::from_slice::<Failure>(body) else {
        return String::new();
    };
    let texts = failure.errors.into_iter().next();
    let texts = texts.map(|it| [it.code, it.message]).unwrap_or_default();
    let texts = texts.iter().filter(|it| !it.is_empty());
    let texts = texts.map(|it| format!(": {}", shown(it, secrets)));
    texts.collect()
}

/// Secrets are looked for in what will be seen, and before its end is cut off, which may go through one.
fn shown(text: &str, secrets: &[&str]) -> String {
    let redacted = secrets.iter().fold(visible(text), |text, secret| {
        text.replace(secret, "[redacted]")
    });
    shortened(redacted, MAX_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_the_form_is_repeated() {
        let long = "x".repeat(1000);
        let long = format!(r#"{{"errors":[{{"message":"{long}"}}]}}"#);
        for (body, expected) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"not\u001b[31m yours","detail":[1]},{"code":"X"}]}"#,
                ": DENIED: not[31m yours".to_owned(),
            ),
            (r#"{"errors":[{"code":"DENIED"}]}"#, ": DENIED".to_owned()),
            (r#"{"errors":[]}"#, String::new()),
            (r#"{"errors":null}"#, String::new()),
            ("<html>", String::new()),
            ("", String::new()),
            (&long, format!(": {}...", "x".repeat(MAX_LEN))),
        ] {
            assert_eq!(message(body.as_bytes(), &[]), expected, "{body}");
        }
    }

    #[test]
    fn a_secret_is_redacted_wherever_it_lies() {
        for begin in [0, MAX_LEN - 10, MAX_LEN] {
            let text = format!("{}pass\\u001bword", "x".repeat(begin));
            let body = format!(r#"{{"errors":[{{"message":"{text}"}}]}}"#);
            let found = message(body.as_bytes(), &["password"]);
            assert!(!found.contains("pass"), "{found}");
        }
    }
}
