use super::*;
use crate::inputs::flags::testing::{
    Base, CACHE_WARNINGS, COMMON, USER, call, check_experiment, check_flags, check_layout,
    check_table, ending, warnings,
};

#[test]
fn flags_follow_the_api() {
    check_flags::<Flags>(
        GATES,
        "analyzed app cache-dir cache-image daemon gid group image launch-cache launcher layers \
             log-level no-color parallel process-type project-metadata report run-image uid version",
        &[
            ("launcher-sbom", 11, 99),
            ("extended layout layout-dir run", 12, 99),
            ("insecure-registry", 13, 99),
            ("stack", 7, 12),
        ],
    );
}

/// Flag, field, what it takes, APIs, variable, default
/// (EXP-002, COM-018, COM-020, COM-021, COM-024).
const TABLE: &str = r#"
    app                app_dir                Dir        all    CNB_APP_DIR                "/workspace"
    layers             layers_dir             Dir        all    CNB_LAYERS_DIR             "/layers"
    group              group_path             Path       all    CNB_GROUP_PATH             "/layers/group.toml"
    extended           extended_dir           Path       0.12-  CNB_EXTENDED_DIR           "/layers/extended"
    run                run_path               Path       0.12-  CNB_RUN_PATH               "/cnb/run.toml"
    stack              stack_path             Path       -0.11  CNB_STACK_PATH             "/cnb/stack.toml"
    report             report_path            Path       all    CNB_REPORT_PATH            "/layers/report.toml"
    project-metadata   project_metadata_path  Path       all    CNB_PROJECT_METADATA_PATH  "/layers/project-metadata.toml"
    launcher           launcher_path          Path       all    -                          "/cnb/lifecycle/launcher"
    launcher-sbom      launcher_sbom_dir      Path       0.11-  -                          "/cnb/lifecycle"
    cache-dir          cache_dir              DirIfAny   all    CNB_CACHE_DIR              None
    cache-image        cache_image            TextIfAny  all    CNB_CACHE_IMAGE            None
    launch-cache       launch_cache_dir       DirIfAny   all    CNB_LAUNCH_CACHE_DIR       None
    process-type       process_type           TextIfAny  all    CNB_PROCESS_TYPE           None
    parallel           parallel               Switch     all    CNB_PARALLEL_EXPORT        false
    daemon             daemon                 Switch     all    CNB_USE_DAEMON             false
    insecure-registry  insecure_registries    List       0.13-  CNB_INSECURE_REGISTRIES    []
    exec-env           exec_env               Text       none   CNB_EXEC_ENV               "production"
"#;

#[test]
fn each_flag_fills_its_field() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), "[run-image]\nreference = \"run\"\n").unwrap();
    let base = Base {
        pairs: &[("CNB_ANALYZED_PATH", file.path().to_str().unwrap())],
        arguments: &["app"],
    };
    let table = [TABLE, COMMON, USER].concat();
    check_table::<Flags, _>(GATES, &table, base, parse);
    check_layout::<Flags, _>(GATES, base, parse);
}

#[test]
fn run_image_is_not_for_platforms_to_say() {
    let refused = |name| {
        (
            3,
            format!("failed to resolve inputs: {name} is unsupported"),
        )
    };
    let count = "failed to parse arguments: at least one image argument is required";
    let variable = [("CNB_RUN_IMAGE", "mine")];
    for (args, expected) in [
        (&[][..], (3, count.to_owned())),
        (&["-run-image=other", "app"], refused("-run-image")),
        (&["-run-image=mine", "-image=x", "app"], refused("-image")),
        (&["-image=x", "app"], refused("-image")),
        (
            &[""],
            (
                3,
                "failed to resolve inputs: image argument is required".to_owned(),
            ),
        ),
    ] {
        assert_eq!(
            ending(parse(&call(13, args, &variable))),
            expected,
            "{args:?}"
        );
    }
}

#[test]
fn run_image_is_the_analyzers() {
    let dir = tempfile::tempdir().unwrap();
    let layers = dir.path().display().to_string();
    let file = dir.path().join("analyzed.toml");
    let missing = "failed to resolve inputs: run image not found in analyzed metadata";
    let args = ["-layers", &layers, "app", "", "two", "-daemon"];
    let ending_now = || ending(parse(&call(13, &args, &[])));
    assert_eq!(ending_now(), (3, missing.to_owned()));
    fs_err::write(&file, "[image]\nreference = \"x\"\n").unwrap();
    assert_eq!(ending_now(), (3, missing.to_owned()));
    fs_err::write(&file, "[run-image]\nreference = \"\"\n").unwrap();
    assert_eq!(ending_now(), (3, missing.to_owned()));
    fs_err::write(&file, "[run-image]\nreference = \"/L/Upper@sha256:00\"\n").unwrap();
    assert_eq!(ending_now().0, 3);
    // In a layout that is a path, not a name.
    let layout = [
        ("CNB_USE_LAYOUT", "1"),
        ("CNB_LAYOUT_DIR", "/L"),
        ("CNB_EXPERIMENTAL_MODE", "quiet"),
    ];
    let inputs = parse(&call(13, &args, &layout)).unwrap().unwrap();
    assert_eq!(inputs.output_image, "app");
    assert_eq!(inputs.additional_names, ["two", "-daemon"]);
    assert_eq!(inputs.extended_dir, dir.path().join("extended"));
}

/// COM-087, COM-094, COM-014.
#[test]
fn caches_of_no_use_are_warned_of() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), "[run-image]\nreference = \"run\"\n").unwrap();
    let analyzed = ["-analyzed", file.path().to_str().unwrap()];
    for (flags, expected) in CACHE_WARNINGS {
        let args = [&analyzed, *flags, &["app"]].concat();
        assert_eq!(&warnings(|| parse(&call(13, &args, &[]))), expected);
    }
}

/// COM-036, COM-038, LAY-001.
#[test]
fn layouts_are_an_experiment_at_every_api() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), "[run-image]\nreference = \"run\"\n").unwrap();
    let analyzed = [("CNB_ANALYZED_PATH", file.path().to_str().unwrap())];
    check_experiment(&analyzed, parse);
}
