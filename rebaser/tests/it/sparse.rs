//! Layouts that lack blobs.

use crate::kit::{Layouts, Sample, blob_of, digest, ending, snapshot};

const RUN: &str = "index.docker.io/library/run/latest";
const APP: &str = "index.docker.io/library/app/latest";

#[test]
fn base_layers_may_be_absent() {
    for (old_is_sparse, new_is_sparse) in [(true, false), (false, true), (true, true)] {
        let layouts = Layouts::with(&Sample::app("0.12"));
        if old_is_sparse {
            layouts.forget(APP, "base one");
            layouts.forget(APP, "base two");
        }
        if new_is_sparse {
            layouts.forget(RUN, "new");
        }
        let image = layouts.rebased("0.12", &[]);
        assert_eq!(image.diff_ids()[0], digest("new"));
        let is_there = |layer| blob_of(&layouts.app(), &digest(layer)).exists();
        assert_eq!(is_there("new"), !new_is_sparse);
        assert!(is_there("app") && is_there("launcher"));
    }
}

#[test]
fn a_further_name_gets_what_there_is() {
    let layouts = Layouts::with(&Sample::app("0.12"));
    layouts.forget(RUN, "new");
    layouts
        .rebase("0.12", &["app", "app:two"])
        .map_err(|it| it.error)
        .unwrap();
    let two = layouts.path("index.docker.io/library/app/two");
    assert!(!blob_of(&two, &digest("new")).exists());
    assert!(blob_of(&two, &digest("app")).is_file());
}

#[test]
fn layers_of_the_app_may_not_be_absent() {
    let layouts = Layouts::with(&Sample::app("0.12"));
    layouts.forget(APP, "app");
    let before = snapshot(&layouts.root());
    let (code, text) = ending(layouts.rebase("0.12", &["app", "app:two"]));
    assert_eq!(code, 72);
    assert!(text.starts_with("failed to rebase: "), "{text}");
    let path = layouts.app().display().to_string();
    assert!(
        text.contains(&digest("app")) && text.contains(&path),
        "{text}"
    );
    assert_eq!(snapshot(&layouts.root()), before);
    assert!(!layouts.report().exists());
}
