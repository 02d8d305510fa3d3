//! Uploads: a blob goes to a registry as it is made, or from another store (distribution specification, Pushing blobs).
//!
//! ```text
//! POST ─► 202, a place ─► PATCH, the bytes as they come ─► 202, a place ─► PUT with the digest ─► 201
//!                           ▲        │ the connection breaks
//!                           └─ GET ◄─┘ how many bytes are there
//! ```

mod source;

use std::io;

use layout::digest::Digest;
use ureq::http::Method;

pub(crate) use self::source::{Source, Stored, pipe};
use crate::error::Error;
use crate::exchange::{Pace, Payload, Request, Response};
use crate::repository::{Access, Repository};
use crate::retry::{Failures, Trouble};
use crate::session::Session;
use crate::url::Url;

/// Resets in a row that make no progress until it is no accident.
const MAX_STALLED: u32 = 2;

impl Repository {
    /// Sends all of `source` to an upload; returns where the upload is to be ended. One that fails is given up.
    pub(crate) fn send_stream(
        &self,
        session: &Session,
        mut upload: Url,
        source: &mut dyn Source,
        doing: &str,
    ) -> Result<Url, Error> {
        match self.send_to(session, &mut upload, source, doing) {
            Ok(()) => Ok(upload),
            Err(error) => {
                self.give_up(session, upload, doing);
                Err(error)
            }
        }
    }

    /// Sends all of `source`, by as many tries as are allowed; `upload` is where it went in the end.
    fn send_to(
        &self,
        session: &Session,
        upload: &mut Url,
        source: &mut dyn Source,
        doing: &str,
    ) -> Result<(), Error> {
        let retry = &self.client.options().retry;
        let scopes = self.scopes(Access::Push);
        let (mut failures, mut has_learned) = (Failures::default(), false);
        // Where the last connection that broke had begun, and how many before it began there as well.
        let (mut broke_at, mut stalled) = (None, 0);
        loop {
            let begin = source.position();
            let outcome = self.send_rest(session, upload, source, doing);
            let is_sent = matches!(&outcome, Ok(it) if (200..300).contains(&it.status));
            // Read to its end, where the source checks itself.
            let surplus = is_sent && source.read(&mut [0]).is_ok_and(|it| it > 0);
            if let Some(error) = source.failure() {
                return Err(of_source(doing, error));
            }
            if surplus {
                let problem = "success before it has all of the layer";
                return Err(Error::protocol(doing, &self.registry, problem));
            }
            let (trouble, error) = match outcome {
                Ok(response) if is_sent => {
                    if response.header("location").is_some() {
                        *upload = self.upload_location(response, doing)?;
                    }
                    return Ok(());
                }
                // What was sent cannot be sent again at once, but it can be gone on with.
                Ok(response)
                    if response.status == 401
                        && !has_learned
                        && session.root.is_same_origin(&response.url)
                        && session.learn(&response, &scopes) =>
                {
                    has_learned = true;
                    response.discard();
                    self.resume(session, upload, source, doing)?;
                    continue;
                }
                Ok(response) => {
                    let trouble = Trouble::of_answer(&response).or_else(|| {
                        // It has another number of bytes than we thought.
                        let is_elsewhere = response.status == 416;
                        is_elsewhere.then(|| Trouble::new("another part of the upload is wanted"))
                    });
                    (trouble, session.refusal(response, doing))
                }
                Err(error) => {
                    stalled = if broke_at == Some(begin) {
                        stalled + 1
                    } else {
                        0
                    };
                    broke_at = Some(begin);
                    (Trouble::of_error(&error), error)
                }
            };
            if stalled >= MAX_STALLED
                || !trouble.is_some_and(|it| retry.pause_after(&mut failures, &it))
            {
                // A registry that refuses what is too large may hang up before its answer is read.
                let is_limit = stalled > 0;
                return Err(if is_limit { error.hinted(LIMIT) } else { error }.for_good());
            }
            self.resume(session, upload, source, doing)?;
        }
    }

    /// Sends what is left of `source`, once.
    fn send_rest(
        &self,
        session: &Session,
        upload: &Url,
        source: &mut dyn Source,
        doing: &str,
    ) -> Result<Response, Error> {
        let (begin, left) = (source.position(), source.left());
        let mut body = source;
        let scopes = self.scopes(Access::Push);
        let mut request = Request::new(Method::PATCH, upload.clone(), scopes, doing)
            .header("content-type", "application/octet-stream")
            .body(Payload::Stream(&mut body, left));
        if let Some(left @ 1..) = left
            && begin > 0
        {
            // So that nothing is written twice if the registry has more by now.
            let range = format!("{begin}-{}", begin + left - 1);
            request = request.header("content-range", range);
        }
        request.pace = Pace::Thought;
        self.client.send_once(session, &mut request)
    }

    /// Finds out what an upload has, and makes the source go on there. One that is gone, or does not say what it has,
    /// begins anew if the source can.
    fn resume(
        &self,
        session: &Session,
        upload: &mut Url,
        source: &mut dyn Source,
        doing: &str,
    ) -> Result<(), Error> {
        let scopes = self.scopes(Access::Push);
        let mut request = Request::new(Method::GET, upload.clone(), scopes, doing);
        let response = self.client.send(session, &mut request)?;
        let has = match response.status {
            200..=299 => {
                let has = response.header("range").and_then(received);
                if response.header("location").is_some() {
                    *upload = self.upload_location(response, doing)?;
                } else {
                    response.discard();
                }
                has
            }
            404 => {
                response.discard();
                None
            }
            _ => return Err(session.refusal(response, doing)),
        };
        let can_go_on = source.seek(has.unwrap_or(0));
        if !can_go_on.map_err(|error| of_source(doing, error))? {
            return Err(Error::NotResumable {
                doing: doing.to_owned(),
                host: self.registry.clone(),
                has: has.unwrap_or(0),
                window: source.oldest(),
            });
        }
        if has.is_none() {
            let begun = self.begin_upload(session, doing)?;
            self.give_up(session, std::mem::replace(upload, begun), doing);
        }
        Ok(())
    }

    /// Ends an upload: the registry has the blob from now on, if its digest is right.
    pub(crate) fn end_upload(
        &self,
        session: &Session,
        upload: Url,
        digest: &Digest,
        doing: &str,
    ) -> Result<(), Error> {
        let url = upload.clone().and("digest", digest.as_ref());
        let scopes = self.scopes(Access::Push);
        let mut request = Request::new(Method::PUT, url, scopes, doing)
            .header("content-type", "application/octet-stream");
        request.pace = Pace::Thought;
        let ended = self.client.send(session, &mut request);
        let ended = ended.and_then(|response| match response.status {
            200..=204 => {
                response.discard();
                Ok(())
            }
            // The answer to an earlier try was lost, and the upload is ended already.
            404 if self.has_blob(digest, Access::Push, doing)? => Ok(()),
            _ => Err(session.refusal(response, doing)),
        });
        if ended.is_err() {
            self.give_up(session, upload, doing);
        }
        ended
    }

    /// Writes a small blob in one request, unless it is there.
    pub(crate) fn put_small(
        &self,
        bytes: &[u8],
        digest: &Digest,
        doing: &str,
    ) -> Result<(), Error> {
        if self.has_blob(digest, Access::Push, doing)? {
            return Ok(());
        }
        let session = self.session(doing)?;
        let put = || {
            // Anew each time: what a broken try left in an upload would come first.
            let upload = self.begin_upload(&session, doing)?;
            let url = upload.clone().and("digest", digest.as_ref());
            let mut request = Request::new(Method::PUT, url, self.scopes(Access::Push), doing)
                .header("content-type", "application/octet-stream")
                .body(Payload::Bytes(bytes));
            let put = self.client.send_once(&session, &mut request);
            if !put.as_ref().is_ok_and(|it| it.status < 300) {
                self.give_up(&session, upload, doing);
            }
            put
        };
        let retry = &self.client.options().retry;
        let response = retry.insist(put, Trouble::of_answer)?;
        match response.status {
            200..=204 => {
                response.discard();
                Ok(())
            }
            _ => Err(session.refusal(response, doing)),
        }
    }
}

/// What is the matter with a registry that hangs up, again and again, where an upload has come to.
const LIMIT: &str = " (it hangs up at the same place each time: it, or a proxy before it, may limit the size of uploads)";

fn of_source(doing: &str, source: io::Error) -> Error {
    Error::Source {
        doing: doing.to_owned(),
        source,
    }
}

/// Returns how many bytes `Range: 0-<last>` means; `None` if it means nothing. `0-0` may be one byte, and is what
/// registries say that have none.
fn received(range: &str) -> Option<u64> {
    let range = range.trim();
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let last: u64 = range.strip_prefix("0-")?.parse().ok()?;
    last.checked_add(1).filter(|_| last > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_say_how_much_there_is() {
        for (range, bytes) in [
            ("0-99", Some(100)),
            ("bytes=0-99", Some(100)),
            ("0-0", None),
            ("", None),
            ("0--1", None),
            ("5-9", None),
            ("x", None),
            ("0-18446744073709551615", None),
        ] {
            assert_eq!(received(range), bytes, "{range}");
        }
    }
}
