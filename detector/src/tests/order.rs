//! Which groups are tried, in which order, and what runs meanwhile (BPD-006, BPD-041 to BPD-048).

use super::bench::{Bench, plan};

/// BPD-042, BPD-043, BPD-045: composites, the order, then the groups that are tried until one passes.
/// Buildpacks whose ids begin with `n` do not want the app, all others pass.
#[test]
fn composites_are_expanded_in_place_and_depth_first() {
    type Row = (
        &'static [(&'static str, &'static [&'static str])],
        &'static [&'static str],
        &'static [&'static str],
        &'static str,
    );
    let table: &[Row] = &[
        // The first group that passes is taken; later ones are not tried.
        (&[], &["a n", "b", "c"], &["a n", "b"], "b"),
        // What stands before stays, what stands behind follows each of its groups.
        (
            &[("meta", &["n1", "n2", "b"])],
            &["a meta c"],
            &["a n1 c", "a n2 c", "a b c"],
            "a b c",
        ),
        // Depth first: the inner composite's groups before the outer one's next.
        (
            &[("outer", &["inner x", "b"]), ("inner", &["n1", "n2 n3"])],
            &["a outer c", "d"],
            &["a n1 x c", "a n2 n3 x c", "a b c"],
            "a b c",
        ),
        // Two composites beside each other: the later one's groups vary fastest.
        (
            &[("one", &["a", "b"]), ("two", &["n1", "n2"])],
            &["one two", "c"],
            &["a n1", "a n2", "b n1", "b n2", "c"],
            "c",
        ),
        // An optional composite is left out where none of its groups passes.
        (
            &[("meta", &["n1", "n2"])],
            &["a meta? c"],
            &["a n1 c", "a n2 c", "a c"],
            "a c",
        ),
        // A required one fails the candidate.
        (
            &[("meta", &["n1", "n2"])],
            &["a meta c", "d"],
            &["a n1 c", "a n2 c", "d"],
            "d",
        ),
        // The flag of the composite says nothing of its elements.
        (&[("meta", &["n1? b"])], &["meta?"], &["n1 b"], "b"),
    ];
    for (composites, order, groups, outcome) in table {
        let mut bench = Bench::new();
        bench.passing(&["a", "b", "c", "d", "x"]);
        for id in ["n", "n1", "n2", "n3"] {
            bench.buildpack(id, "", "exit 100");
        }
        for (id, groups) in *composites {
            bench.composite(id, groups);
        }
        bench.order(order);
        assert_eq!(bench.detect().groups(), *groups, "{order:?}");
        assert_eq!(bench.participants(), *outcome, "{order:?}");
    }
}

/// BPD-006: a composite's own program, targets and execution environments do not count.
#[test]
fn a_composite_takes_no_part_itself() {
    let mut bench = Bench::new();
    bench.api = "0.15";
    bench.passing(&["a"]);
    let descriptor = "exec-env = ['test']\n[[targets]]\nos = 'windows'\n\
                      [[order]]\n[[order.group]]\nid = 'a'\nversion = '1'\n";
    bench.buildpack_of("0.12", "meta", descriptor, "exit 9");
    bench.order(&["meta"]);
    let detected = bench.detect();
    assert_eq!(detected.ran, ["a@1"]);
    assert_eq!(detected.groups(), ["a"]);
    assert_eq!(bench.participants(), "a");
}

/// BPD-041, BPD-043: extension groups stand in front of each buildpack group, and are left out where none of them helps.
#[test]
fn extensions_are_an_optional_order_in_front_of_each_group() {
    let mut bench = Bench::new();
    bench.passing(&["a"]);
    bench.buildpack("needy", "", &plan("-tool"));
    bench.buildpack("n", "", "exit 100");
    bench.extension("x1", "", "exit 100");
    bench.extension("x2", "", &plan("+tool"));
    bench.extensions(&["x1", "x2"]);

    bench.order(&["n", "needy"]);
    let groups = ["x1 n", "x2 n", "n", "x1 needy", "x2 needy"];
    assert_eq!(bench.detect().groups(), groups);
    assert_eq!(bench.participants(), "x2 | needy");

    bench.order(&["a"]);
    assert_eq!(
        bench.detect().groups(),
        ["x1 a"],
        "an extension that fails is skipped, not the group"
    );
    assert_eq!(bench.participants(), "a");
}

/// BPD-044: what the group is, and which of two modules of one id is taken, with which flag.
#[test]
fn the_first_module_of_an_id_is_taken() {
    let table: &[(&[&str], &[&str], &str)] = &[
        (&["a@1 a@2"], &["a"], "a"),
        (&["a@2 a@1"], &["a"], "a@2"),
        (&["a@1 b a@1"], &["a b"], "a b"),
        // The flag of the first one counts: `no` may be missing here ...
        (&["a no? no"], &["a no"], "a"),
        // ... and may not here.
        (&["a no no?"], &["a no"], "exit 20"),
        // Through a composite as well.
        (&["meta a@2"], &["a"], "a"),
        (&["a@2 meta"], &["a"], "a@2"),
        // In the next group an id is free again.
        (&["a@1 no", "a@2"], &["a no", "a"], "a@2"),
    ];
    for (order, groups, outcome) in table {
        let mut bench = Bench::new();
        bench.passing(&["a@1", "a@2", "b"]);
        bench.buildpack("no", "", "exit 100");
        bench.composite("meta", &["a@1"]);
        bench.order(order);
        assert_eq!(bench.detect().groups(), *groups, "{order:?}");
        assert_eq!(bench.participants(), *outcome, "{order:?}");
    }
}

/// BPD-044: a buildpack and an extension of one id are two modules.
#[test]
fn kinds_are_told_apart() {
    let mut bench = Bench::new();
    bench.buildpack("a", "", &plan("-x"));
    bench.extension("a", "", &plan("+x"));
    bench.extensions(&["a"]);
    bench.order(&["a"]);
    assert_eq!(bench.participants(), "a | a");
    // BPD-046: and each of them runs.
    assert_eq!(bench.detect().ran, ["a@1", "a@1"]);
}

/// BPD-045, BPD-046: each module runs once, whatever it answers; modules of later groups do not.
#[test]
fn results_are_kept_for_later_groups() {
    let mut bench = Bench::new();
    bench.passing(&["pass@1", "pass@2", "never"]);
    bench.buildpack("no", "", "exit 100");
    bench.buildpack("broken", "", "exit 7");
    bench.order(&[
        "pass no broken",
        "broken pass no",
        "no pass@2",
        "broken? pass",
        "never",
    ]);
    let detected = bench.detect();
    assert_eq!(detected.ran, ["broken@1", "no@1", "pass@1", "pass@2"]);
    assert_eq!(detected.groups().len(), 4);
    let errors = detected
        .lines
        .iter()
        .filter(|l| l.ends_with("err:  broken@1 (7)"));
    assert_eq!(errors.count(), 3, "the kept result counts in each group");
}

/// BPD-046, BPD-017: a mismatch of targets is a result too, kept for a group where the module is optional and would have
/// run; and it takes the place of what the module said where it was optional.
#[test]
fn a_mismatch_of_targets_is_kept() {
    for (order, ran, outcome) in [
        (["a arm", "a arm?"], &["a@1"][..], "a"),
        (["arm? no", "arm"], &["arm@1", "no@1"], "exit 21"),
    ] {
        let mut bench = Bench::new();
        bench.passing(&["a"]);
        bench.buildpack("no", "", "exit 100");
        bench.buildpack("arm", "[[targets]]\narch = 'arm64'\n", ":");
        bench.order(&order);
        assert_eq!(bench.detect().ran, ran, "{order:?}");
        assert_eq!(bench.participants(), outcome, "{order:?}");
    }
}

/// BPD-047: both wait for each other; whoever ran alone would give up.
#[test]
fn programs_of_a_group_run_at_the_same_time() {
    let mut bench = Bench::new();
    let meet = |mine: &str, other: &str| {
        format!(
            "touch {mine}; i=0\nuntil [ -e {other} ]; do sleep 0.05; i=$((i + 1)); [ $i -lt 200 ] || exit 3; done\n"
        )
    };
    bench.buildpack("a", "", &meet("a", "b"));
    bench.buildpack("b", "", &meet("b", "a"));
    // The plan is resolved once all have ended: the slowest one's counts.
    let slow = format!("sleep 0.3\n{}", plan("-x"));
    bench.buildpack("c", "", &plan("+x"));
    bench.buildpack("slow", "", &slow);
    bench.order(&["a b c slow"]);
    assert_eq!(bench.participants(), "a b c slow");
}

/// BPD-068: trials are counted from one in each group.
#[test]
fn trials_are_counted_in_each_group() {
    let mut bench = Bench::new();
    bench.buildpack("two", "", &plan("-x|-y"));
    bench.passing(&["a"]);
    bench.order(&["two", "a two", "a"]);
    let lines = bench.detect().lines;
    let trials: Vec<_> = lines
        .iter()
        .filter_map(|line| line.split_once("(try "))
        .map(|(_, n)| n)
        .collect();
    assert_eq!(trials, ["#1)", "#2)", "#1)", "#2)", "#1)"]);
}

/// BPD-048: directly, over others, and beside a use that is no cycle.
#[test]
fn composites_in_a_circle_end_detection() {
    type Row = (
        &'static [(&'static str, &'static [&'static str])],
        &'static str,
    );
    let table: &[Row] = &[
        (&[("meta", &["a meta"])], "exit 22"),
        (
            &[("meta", &["one"]), ("one", &["two"]), ("two", &["a one"])],
            "exit 22",
        ),
        (
            &[("meta", &["one two"]), ("one", &["two"]), ("two", &["a"])],
            "a",
        ),
    ];
    for (composites, outcome) in table {
        let mut bench = Bench::new();
        bench.passing(&["a"]);
        for (id, groups) in *composites {
            bench.composite(id, groups);
        }
        bench.order(&["meta"]);
        assert_eq!(bench.participants(), *outcome, "{composites:?}");
    }
}
