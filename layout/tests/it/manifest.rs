//! The text of a manifest that is made from another.

use fs_err as fs;
use layout::editor::CommitOptions;
use layout::manifest::REF_NAME;
use layout::{ImageEditor, Layout, Selector};
use serde_json::{Value, json};

use crate::kit::{Fixture, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};

/// EXP-060: what the base's manifest does not say stays unsaid, what nobody knows is dropped, annotations stay.
#[test]
fn the_manifest_says_what_the_base_s_said() {
    for media_type in [Some(OCI_MANIFEST), None] {
        let base = Fixture::oci();
        let text = fs::read(base.blob_path(base.open().digest().as_ref())).unwrap();
        let mut manifest: Value = serde_json::from_slice(&text).unwrap();
        let keys = manifest.as_object_mut().unwrap();
        keys.remove("mediaType");
        keys.extend(media_type.map(|it| ("mediaType".to_owned(), json!(it))));
        keys.insert("subject".to_owned(), json!({"unknown": true}));
        manifest["layers"][0]["unknown"] = json!(1);
        manifest["layers"][0]["annotations"] = json!({"z": "<", "a": "1"});
        base.manifest(&manifest);
        let output = Layout::at(base.path().join("output"));
        let options = CommitOptions {
            ref_name: "latest".to_owned(),
            ..CommitOptions::default()
        };
        let editor = ImageEditor::from_base(&base.open());
        let committed = editor.commit(output.update().unwrap(), &options).unwrap();
        let image = output.image(&Selector::default()).unwrap().unwrap();
        let descriptor = |at: usize, annotations: &str| {
            let layer = &image.manifest().layers[at];
            format!(
                r#"{{"mediaType":"{OCI_LAYER}","size":{},"digest":"{}"{annotations}}}"#,
                layer.size, layer.digest
            )
        };
        let config = &image.manifest().config;
        let expected = format!(
            r#"{{"schemaVersion":2,{}"config":{{"mediaType":"{OCI_CONFIG}","size":{},"digest":"{}"}},"layers":[{},{}],"annotations":{{"base":"annotation","{REF_NAME}":"latest"}}}}"#,
            media_type.map_or_else(String::new, |it| format!(r#""mediaType":"{it}","#)),
            config.size,
            config.digest,
            descriptor(0, r#","annotations":{"a":"1","z":"\u003c"}"#),
            descriptor(1, ""),
        );
        let path = output
            .path()
            .join("blobs")
            .join(committed.digest.to_string().replace(':', "/"));
        assert_eq!(fs::read_to_string(path).unwrap(), expected);
    }
}
