//! Shipwright: one shell step, whose user and group differ.

use fs_err as fs;
use tests::container::USER;

use super::{Cluster, assert_again, digest_of};
use crate::callers::kubernetes::ONE_STEP;

/// Who runs the step, which is the user of the builders that it is meant for; the group is another.
const STEP_USER: u32 = 1001;

#[test]
fn root_shipwright_runs_one_step() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let app = cluster.name("team/app:latest");
    let site = &cluster.site;
    let step = || {
        cluster.fresh_volumes();
        let config = fs::read_to_string(site.path("home/.docker/config.json")).unwrap();
        site.file("home/.docker/config.json", &config, STEP_USER, 0o600);
        site.file("workspace/.step.sh", ONE_STEP, STEP_USER, 0o644);
        let log = cluster
            .pod("0.13")
            .user(STEP_USER, &[])
            .group(USER)
            .env(&[
                "HOME=/home/builder",
                &format!("CNB_USER_ID={STEP_USER}"),
                // The list that it makes ends with a comma.
                &format!("CNB_INSECURE_REGISTRIES={},", cluster.registry.address()),
                &format!("RUN={}", cluster.run),
                &format!("APP={app}"),
            ])
            .line("bash /workspace/.step.sh")
            .ok();
        // The buildpack has a default process, so that the step need not name one.
        assert!(log.contains("exporting with 4 words"), "{log}");
        let digest = fs::read_to_string(site.path("report/digest")).unwrap();
        assert_eq!(digest, digest_of(&app));
        (log, digest)
    };
    let (log, digest) = step();
    assert!(log.contains("making a greeting"), "{log}");
    cluster.check_app(&app);
    let (log, again) = step();
    assert_again(&log);
    assert_eq!(again, digest);
}
