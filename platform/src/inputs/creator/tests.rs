use super::*;
use crate::inputs::flags::testing::{
    Base, CACHE_WARNINGS, COMMON, USER, call, check_experiment, check_flags, check_layout,
    check_table, ending, warnings,
};

#[test]
fn flags_follow_the_api() {
    check_flags::<Flags>(
        GATES,
        "app buildpacks cache-dir cache-image daemon gid launch-cache launcher layers log-level \
             no-color order parallel platform previous-image process-type project-metadata report \
             run-image skip-restore stack tag uid version",
        &[
            ("build-config launcher-sbom", 11, 99),
            ("run layout layout-dir", 12, 99),
            ("insecure-registry", 13, 99),
            ("system", 15, 99),
        ],
    );
}

/// Flag, field, what it takes, APIs, variable, default
/// (CRE-002, CRE-003, COM-016, COM-017, COM-020, COM-023).
const TABLE: &str = r#"
    app                app_dir                Dir        all    CNB_APP_DIR                "/workspace"
    layers             layers_dir             Dir        all    CNB_LAYERS_DIR             "/layers"
    platform           platform_dir           Dir        all    CNB_PLATFORM_DIR           "/platform"
    buildpacks         buildpacks_dir         Dir        all    CNB_BUILDPACKS_DIR         "/cnb/buildpacks"
    build-config       build_config_dir       Dir        0.11-  CNB_BUILD_CONFIG_DIR       "/cnb/build-config"
    extensions         extensions_dir         Dir        none   CNB_EXTENSIONS_DIR         "/cnb/extensions"
    generated          generated_dir          Dir        none   CNB_GENERATED_DIR          "/layers/generated"
    extended           extended_dir           Path       none   CNB_EXTENDED_DIR           "/layers/extended"
    analyzed           analyzed_path          Path       none   CNB_ANALYZED_PATH          "/layers/analyzed.toml"
    group              group_path             Path       none   CNB_GROUP_PATH             "/layers/group.toml"
    plan               plan_path              Path       none   CNB_PLAN_PATH              "/layers/plan.toml"
    order              order_path             Path       all    CNB_ORDER_PATH             "/cnb/order.toml"
    system             system_path            Path       0.15-  CNB_SYSTEM_PATH            "/cnb/system.toml"
    run                run_path               Path       0.12-  CNB_RUN_PATH               "/cnb/run.toml"
    stack              stack_path             Path       all    CNB_STACK_PATH             "/cnb/stack.toml"
    report             report_path            Path       all    CNB_REPORT_PATH            "/layers/report.toml"
    project-metadata   project_metadata_path  Path       all    CNB_PROJECT_METADATA_PATH  "/layers/project-metadata.toml"
    launcher           launcher_path          Path       all    -                          "/cnb/lifecycle/launcher"
    launcher-sbom      launcher_sbom_dir      Path       0.11-  -                          "/cnb/lifecycle"
    cache-dir          cache_dir              DirIfAny   all    CNB_CACHE_DIR              None
    cache-image        cache_image            TextIfAny  all    CNB_CACHE_IMAGE            None
    launch-cache       launch_cache_dir       DirIfAny   all    CNB_LAUNCH_CACHE_DIR       None
    process-type       process_type           TextIfAny  all    CNB_PROCESS_TYPE           None
    parallel           parallel               Switch     all    CNB_PARALLEL_EXPORT        false
    skip-restore       skip_restore           Switch     all    CNB_SKIP_RESTORE           false
    skip-restore       skip_restore           Switch     all    CNB_SKIP_LAYERS            false
    daemon             daemon                 Switch     all    CNB_USE_DAEMON             false
    insecure-registry  insecure_registries    List       0.13-  CNB_INSECURE_REGISTRIES    []
    tag                tags                   List       all    -                          []
    previous-image     previous_image         Text       all    CNB_PREVIOUS_IMAGE         "app"
    run-image          run_image              Text       all    CNB_RUN_IMAGE              "base"
    exec-env           exec_env               Text       none   CNB_EXEC_ENV               "production"
"#;

#[test]
fn each_flag_fills_its_field() {
    let base = Base {
        pairs: &[("CNB_RUN_IMAGE", "base")],
        arguments: &["app"],
    };
    let table = [TABLE, COMMON, USER].concat();
    check_table::<Flags, _>(GATES, &table, base, parse);
    check_layout::<Flags, _>(GATES, base, parse);
}

/// Tekton's task gives every flag a value, empty where it has none.
#[test]
fn empty_values_are_none() {
    let args = [
        "-app=/a",
        "-cache-dir=",
        "-cache-image=",
        "-uid=1000",
        "-gid=1000",
        "-layers=/l",
        "-platform=/p",
        "-report=/l/report.toml",
        "-process-type=",
        "-skip-restore=false",
        "-previous-image=",
        "-run-image=run",
        "-tag=",
        "app",
    ];
    let call = call(
        9,
        &args,
        &[("SOURCE_DATE_EPOCH", "7"), ("CNB_EXTENDED_DIR", "e")],
    );
    let inputs = parse(&call).unwrap().unwrap();
    let expected = Inputs {
        common: Common {
            log_level: "info".to_owned(),
            no_color: false,
        },
        user: User {
            uid: 1000,
            gid: 1000,
        },
        images: ImageSource::default(),
        app_dir: "/a".into(),
        layers_dir: "/l".into(),
        platform_dir: "/p".into(),
        buildpacks_dir: "/cnb/buildpacks".into(),
        extensions_dir: "/cnb/extensions".into(),
        build_config_dir: "/cnb/build-config".into(),
        generated_dir: "/l/generated".into(),
        extended_dir: "e".into(),
        order_path: "/cnb/order.toml".into(),
        system_path: "/cnb/system.toml".into(),
        run_path: "/cnb/run.toml".into(),
        stack_path: "/cnb/stack.toml".into(),
        analyzed_path: "/l/analyzed.toml".into(),
        group_path: "/l/group.toml".into(),
        plan_path: "/l/plan.toml".into(),
        report_path: "/l/report.toml".into(),
        project_metadata_path: "/l/project-metadata.toml".into(),
        launcher_path: "/cnb/lifecycle/launcher".into(),
        launcher_sbom_dir: "/cnb/lifecycle".into(),
        cache_dir: None,
        launch_cache_dir: None,
        cache_image: None,
        process_type: None,
        parallel: false,
        skip_restore: false,
        output_image: "app".to_owned(),
        previous_image: "app".to_owned(),
        run_image: "run".to_owned(),
        tags: Vec::new(),
        exec_env: "production".to_owned(),
        source_date_epoch: Some("7".to_owned()),
        compression: Compression::default(),
    };
    assert_eq!(inputs, expected);
}

#[test]
fn both_variables_skip() {
    for name in ["CNB_SKIP_LAYERS", "CNB_SKIP_RESTORE"] {
        let call = call(15, &["-run-image=run", "app"], &[(name, "true")]);
        assert!(parse(&call).unwrap().unwrap().skip_restore, "{name}");
    }
}

#[test]
fn one_image_is_wanted() {
    let text = "failed to parse arguments: received 0 arguments, but expected 1";
    assert_eq!(ending(parse(&call(12, &[], &[]))), (3, text.to_owned()));
}

/// COM-087, COM-094.
#[test]
fn caches_of_no_use_are_warned_of() {
    for (flags, expected) in CACHE_WARNINGS {
        let args = [*flags, &["-run-image=run", "app"]].concat();
        assert_eq!(&warnings(|| parse(&call(13, &args, &[]))), expected);
    }
}

/// COM-036, COM-038, LAY-001.
#[test]
fn layouts_are_an_experiment_at_every_api() {
    check_experiment(&[("CNB_RUN_IMAGE", "run")], parse);
}
