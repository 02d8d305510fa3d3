//! What a container is asked for, it gets.

use sandbox::Exit;

use crate::kit::{Test, World};

pub(crate) static ALL: &[Test] = &[
    ("codes_pass", codes_pass),
    ("signals_pass", signals_pass),
    ("layers_are_stacked", layers_are_stacked),
    (
        "nothing_but_the_given_variables",
        nothing_but_the_given_variables,
    ),
    (
        "what_is_written_to_root_vanishes",
        what_is_written_to_root_vanishes,
    ),
];

fn codes_pass(world: &World) {
    for code in [0, 1, 51, 255] {
        let outcome = world.shell(&format!("exit {code}"), Vec::new());
        assert_eq!(outcome.exit, Exit::Code(code), "{outcome:?}");
    }
}

fn signals_pass(world: &World) {
    for signal in [9, 15] {
        let outcome = world.shell(&format!("kill -{signal} $$"), Vec::new());
        // Other runtimes say it as shells do.
        let wanted = if world.is_own() {
            Exit::Signal(signal)
        } else {
            Exit::Code(128 + signal)
        };
        assert_eq!(outcome.exit, wanted, "{outcome:?}");
    }
}

fn layers_are_stacked(world: &World) {
    assert_eq!(world.shell("cat /etc/motd", Vec::new()).ok(), "top\n");
}

fn nothing_but_the_given_variables(world: &World) {
    let mut container = world.container("exec env");
    container.env = vec![
        ("PATH".into(), "/bin".into()),
        ("A".into(), "1 2\n3=4".into()),
    ];
    let mut lines: Vec<_> = world
        .run(&container)
        .ok()
        .lines()
        .map(str::to_owned)
        .collect();
    // The shell's own.
    lines.retain(|it| {
        !["PWD=", "SHLVL=", "OLDPWD="]
            .iter()
            .any(|own| it.starts_with(own))
    });
    // crun sets HOME where nobody did.
    lines.retain(|it| world.is_own() || !it.starts_with("HOME="));
    lines.sort();
    assert_eq!(lines, ["3=4", "A=1 2", "PATH=/bin"]);
}

fn what_is_written_to_root_vanishes(world: &World) {
    let script = "test ! -e /tmp/new && echo x > /tmp/new && cat /tmp/new";
    for _ in 0..2 {
        assert_eq!(world.shell(script, Vec::new()).ok(), "x\n");
    }
}
