//! The phases one by one, at every Platform API.

use serde_json::json;
use tests::build::BUILD_HELLO;

use super::{LAYOUT, RUN, can_run, grep_the_digest, pod, pod_site, whole};

/// The phases one by one, as kpack calls them, with layouts in place of its registry.
fn by_hand(api: &str) {
    if !can_run() {
        return;
    }
    let site = pod_site(BUILD_HELLO);
    let phase = |line: &str| pod(&site, api).env(LAYOUT).line(line).ok();
    phase(&format!(
        "/cnb/lifecycle/analyzer -layers=/layers -analyzed=/layers/analyzed.toml -run-image={RUN} sample"
    ));
    phase(
        "/cnb/lifecycle/detector -app=/workspace -group=/layers/group.toml -plan=/layers/plan.toml",
    );
    phase(
        "/cnb/lifecycle/restorer -group=/layers/group.toml -layers=/layers -cache-dir=/cache -analyzed=/layers/analyzed.toml",
    );
    phase(
        "/cnb/lifecycle/builder -layers=/layers -app=/workspace -group=/layers/group.toml -plan=/layers/plan.toml",
    );
    phase(
        "/cnb/lifecycle/exporter -layers=/layers -app=/workspace -group=/layers/group.toml \
         -analyzed=/layers/analyzed.toml -project-metadata=/layers/project-metadata.toml -cache-dir=/cache \
         -report=/var/report/report.toml sample",
    );
    let output = site.path("output");
    let image = whole(&output);
    let env = image.config["config"]["Env"].as_array().unwrap();
    assert!(
        env.contains(&json!(format!("CNB_PLATFORM_API={api}"))),
        "{env:?}"
    );
    assert_eq!(site.start(&output, "latest", &[]).ok(), "hello\n");
    grep_the_digest(&site.path("report/report.toml"), image.digest());

    // The flags came later than the variables.
    let flags =
        format!("/cnb/lifecycle/analyzer -layout -layout-dir=/layout-repo -run-image={RUN} sample");
    let with_flags = pod(&site, api).env(&LAYOUT[2..]).line(&flags);
    let has_flags = !["0.7", "0.8", "0.9", "0.10", "0.11"].contains(&api);
    assert_eq!(with_flags.code == 0, has_flags, "{}", with_flags.text);
    let refused = with_flags
        .text
        .contains("flag provided but not defined: -layout");
    assert_eq!(refused, !has_flags, "{}", with_flags.text);
}

macro_rules! phases_by_hand {
    ($($test:ident: $api:literal,)*) => {
        $(#[test] fn $test() { by_hand($api); })*
    };
}

phases_by_hand! {
    foreign_phases_by_hand_at_0_7: "0.7",
    foreign_phases_by_hand_at_0_8: "0.8",
    foreign_phases_by_hand_at_0_9: "0.9",
    foreign_phases_by_hand_at_0_10: "0.10",
    foreign_phases_by_hand_at_0_11: "0.11",
    foreign_phases_by_hand_at_0_12: "0.12",
    foreign_phases_by_hand_at_0_13: "0.13",
    foreign_phases_by_hand_at_0_14: "0.14",
    foreign_phases_by_hand_at_0_15: "0.15",
}
