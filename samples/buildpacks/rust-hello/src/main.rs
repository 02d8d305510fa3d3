//! The hello buildpack once more, written with `libcnb`: what real buildpacks in Rust read and write is what that
//! crate reads and writes, so a lifecycle has to get along with it.
//!
//! One layer, `script`, in the image and in the cache, kept while `hello.sh` stays the same; its environment sets
//! `GREETING` at launch.

use libcnb::build::{BuildContext, BuildResult, BuildResultBuilder};
use libcnb::data::build_plan::BuildPlanBuilder;
use libcnb::data::launch::{LaunchBuilder, ProcessBuilder};
use libcnb::data::{layer_name, process_type};
use libcnb::detect::{DetectContext, DetectResult, DetectResultBuilder};
use libcnb::generic::{GenericMetadata, GenericPlatform};
use libcnb::layer::{
    CachedLayerDefinition, InvalidMetadataAction, LayerState, RestoredLayerAction,
};
use libcnb::layer_env::{LayerEnv, ModificationBehavior, Scope};
use libcnb::{Buildpack, buildpack_main};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;

struct RustHello;

/// What the script layer remembers of the build that made it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct ScriptMetadata {
    script: String,
}

impl Buildpack for RustHello {
    type Platform = GenericPlatform;
    type Metadata = GenericMetadata;
    type Error = io::Error;

    fn detect(&self, context: DetectContext<Self>) -> libcnb::Result<DetectResult, io::Error> {
        if !context.app_dir.join("hello.sh").is_file() {
            println!("no hello.sh");
            return DetectResultBuilder::fail().build();
        }
        let plan = BuildPlanBuilder::new()
            .provides("hello")
            .requires("hello")
            .build();
        DetectResultBuilder::pass().build_plan(plan).build()
    }

    fn build(&self, context: BuildContext<Self>) -> libcnb::Result<BuildResult, io::Error> {
        println!(
            "---> Hello buildpack in Rust, for {} {}",
            context.target.os, context.target.arch
        );
        write_script(&context)?;

        let hello = ProcessBuilder::new(process_type!("hello"), ["hello"])
            .arg("world")
            .default(true)
            .build();
        BuildResultBuilder::new()
            .launch(LaunchBuilder::new().process(hello).build())
            .build()
    }
}

fn write_script(context: &BuildContext<RustHello>) -> libcnb::Result<(), io::Error> {
    let source = context.app_dir.join("hello.sh");
    let metadata = ScriptMetadata {
        script: fs::read_to_string(&source).map_err(libcnb::Error::BuildpackError)?,
    };
    let layer = context.cached_layer(
        layer_name!("script"),
        CachedLayerDefinition {
            build: false,
            launch: true,
            invalid_metadata_action: &|_| InvalidMetadataAction::DeleteLayer,
            restored_layer_action: &|restored: &ScriptMetadata, _| {
                if *restored == metadata {
                    RestoredLayerAction::KeepLayer
                } else {
                    RestoredLayerAction::DeleteLayer
                }
            },
        },
    )?;
    if matches!(layer.state, LayerState::Restored { .. }) {
        println!("     Script: unchanged, reusing its layer");
        return Ok(());
    }
    println!("     Script: copying hello.sh into a layer");
    let bin = layer.path().join("bin");
    fs::create_dir_all(&bin)
        .and_then(|()| fs::copy(&source, bin.join("hello")))
        .map_err(libcnb::Error::BuildpackError)?;
    layer.write_env(LayerEnv::new().chainable_insert(
        Scope::Launch,
        ModificationBehavior::Default,
        "GREETING",
        "Hello, in Rust,",
    ))?;
    layer.write_metadata(metadata)
}

buildpack_main!(RustHello);
