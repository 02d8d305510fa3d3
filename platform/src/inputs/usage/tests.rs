use std::path::PathBuf;

use super::*;
use crate::inputs::flags::path;
use crate::inputs::flags::testing::call;
use crate::inputs::groups::{CommonFlags, ImageFlags, UserFlags};
use crate::inputs::variables;

#[derive(Debug, clap::Args)]
#[command(before_help = " <image>", about = "does what tests do")]
struct Flags {
    #[command(flatten)]
    common: CommonFlags,
    #[command(flatten)]
    user: UserFlags,
    #[command(flatten)]
    images: ImageFlags,
    /// where the app is
    #[arg(long, env = variables::APP_DIR, default_value = "/workspace", value_parser = path())]
    app: PathBuf,
    /// old file
    #[arg(long, env = variables::STACK_PATH, value_parser = path())]
    stack: Option<PathBuf>,
    /// leave layers out
    #[arg(long, env = variables::SKIP_LAYERS, action = clap::ArgAction::Set, default_value = "false")]
    skip_layers: bool,
}

const GATES: &[Gate] = &[
    Gate::since("insecure-registry", 13),
    Gate::since("layout", 12),
    Gate::before("stack", 12),
    Gate::never("skip-layers"),
];

/// Written by hand: what is here, with the environment's defaults; what is not, and why.
#[test]
fn the_listing_says_variable_api_and_default_of_each_flag() {
    let call = call(
        12,
        &[],
        &[
            ("CNB_USER_ID", "7"),
            ("CNB_USE_LAYOUT", "true"),
            ("CNB_APP_DIR", "/a b"),
        ],
    );
    snapbox::assert_data_eq!(
        usage::<Flags>(&call, GATES).replace('\t', "    "),
        snapbox::str![[r#"
Usage of lifecycle:
  tester [flags] <image>
  does what tests do

Flags at Platform API 0.12:
  -app string
        where the app is [CNB_APP_DIR] (default "/a b")
  -daemon
        images are in a daemon [CNB_USE_DAEMON]
  -gid int
        group that the phase runs as [CNB_GROUP_ID]
  -layout
        images are in OCI layouts on disk [CNB_USE_LAYOUT, since 0.12] (default true)
  -layout-dir string
        directory of OCI layouts [CNB_LAYOUT_DIR]
  -log-level string
        least level of messages: debug, info, warn, error [CNB_LOG_LEVEL] (default "info")
  -no-color
        print no colors [CNB_NO_COLOR]
  -uid int
        user that the phase runs as [CNB_USER_ID] (default 7)
  -version
        print the version and stop

Variables without a flag:
  CNB_SKIP_LAYERS
        leave layers out

Flags of other Platform APIs:
  -insecure-registry value
        registry to speak to without TLS checks [CNB_INSECURE_REGISTRIES, since 0.13]
  -stack string
        old file [CNB_STACK_PATH, before 0.12]

"#]]
    );
}
