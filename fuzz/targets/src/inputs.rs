//! What is typed: flags in the way of Go's programs, and variables.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use platform::api::PlatformApi;
use platform::entry::Invocation;
use platform::inputs::{
    Variables, analyzer, builder, creator, detector, exporter, rebaser, restorer,
};

/// A line is a variable if it begins with `CNB_`, else an argument; every phase gets all.
pub(crate) fn inputs(bytes: &[u8]) {
    let lines = bytes.split(|&byte| byte == b'\n').map(OsStr::from_bytes);
    let (mut args, mut pairs) = (Vec::<OsString>::new(), Vec::new());
    for line in lines {
        match line.as_bytes().iter().position(|&byte| byte == b'=') {
            Some(at) if line.as_bytes().starts_with(b"CNB_") => {
                let (name, value) = line.as_bytes().split_at(at);
                pairs.push((
                    OsStr::from_bytes(name).into(),
                    OsStr::from_bytes(&value[1..]).into(),
                ));
            }
            // Both print.
            _ if is_question(line) => {}
            _ => args.push(line.into()),
        }
    }
    for api in ["0.7", "0.15"] {
        let invocation = |name: &str| Invocation {
            name: name.to_owned(),
            api: PlatformApi::negotiate(Some(api)).unwrap(),
            args: args.clone(),
            variables: Variables::from_pairs(pairs.clone()),
        };
        analyzer::parse(&invocation("analyzer")).ok();
        builder::parse(&invocation("builder")).ok();
        creator::parse(&invocation("creator")).ok();
        detector::parse(&invocation("detector")).ok();
        exporter::parse(&invocation("exporter")).ok();
        rebaser::parse(&invocation("rebaser")).ok();
        restorer::parse(&invocation("restorer")).ok();
    }
}

fn is_question(line: &OsStr) -> bool {
    let name = line
        .as_bytes()
        .strip_prefix(b"-")
        .map(|it| it.strip_prefix(b"-").unwrap_or(it));
    name.is_some_and(|name| {
        [&b"h"[..], b"help", b"version"]
            .iter()
            .any(|it| name.starts_with(it))
    })
}
