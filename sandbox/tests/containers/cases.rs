//! What a container is asked for, it gets.

use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use sandbox::{Capability, Container, Exit, Mount, Network, Root, User};

use crate::kit::{Test, USER, World, bind, read_only};

pub(crate) static ALL: &[Test] = &[
    ("codes_pass", codes_pass),
    ("signals_pass", signals_pass),
    ("layers_are_stacked", layers_are_stacked),
    (
        "hundreds_of_layers_are_stacked",
        hundreds_of_layers_are_stacked,
    ),
    ("a_root_of_mounts_only", a_root_of_mounts_only),
    (
        "nothing_but_the_given_variables",
        nothing_but_the_given_variables,
    ),
    (
        "the_program_is_the_user_and_has_no_rights",
        the_program_is_the_user_and_has_no_rights,
    ),
    (
        "granted_capabilities_are_all_there_are",
        granted_capabilities_are_all_there_are,
    ),
    (
        "what_is_written_to_root_vanishes",
        what_is_written_to_root_vanishes,
    ),
    ("root_is_not_the_users", root_is_not_the_users),
    (
        "what_is_written_to_a_bind_is_the_callers",
        what_is_written_to_a_bind_is_the_callers,
    ),
    (
        "a_read_only_bind_cannot_be_written_to",
        a_read_only_bind_cannot_be_written_to,
    ),
    (
        "missing_mount_points_are_made",
        missing_mount_points_are_made,
    ),
    ("mount_points_may_be_links", mount_points_may_be_links),
    (
        "memory_is_mounted_with_its_mode",
        memory_is_mounted_with_its_mode,
    ),
    ("the_machines_network", the_machines_network),
    ("no_network", no_network),
    ("the_program_begins_afresh", the_program_begins_afresh),
    ("devices_work", devices_work),
    (
        "names_and_processes_are_its_own",
        names_and_processes_are_its_own,
    ),
    (
        "the_working_directory_is_made",
        the_working_directory_is_made,
    ),
    ("what_is_wrong_is_said", what_is_wrong_is_said),
];

/// With one id and another runtime.
pub(crate) static POOR: &[Test] = &[(
    "other_runtimes_say_what_they_lack",
    other_runtimes_say_what_they_lack,
)];

fn other_runtimes_say_what_they_lack(world: &mut World) {
    let error = world.try_run(&world.container("true")).unwrap_err();
    assert!(error.to_string().contains("/etc/subuid"), "{error}");
}

fn codes_pass(world: &mut World) {
    for code in [0, 1, 51, 255] {
        let outcome = world.shell(&format!("exit {code}"), Vec::new());
        assert_eq!(outcome.exit, Exit::Code(code), "{outcome:?}");
    }
}

fn signals_pass(world: &mut World) {
    for signal in [9, 15, 34] {
        let outcome = world.shell(
            &format!("sh -c 'kill -{signal} $$'; kill -{signal} $$"),
            Vec::new(),
        );
        // Other runtimes make the program process 1, which no signal ends that comes from inside.
        let wanted = if world.is_own() {
            Exit::Signal(signal)
        } else {
            Exit::Code(0)
        };
        assert_eq!(outcome.exit, wanted, "{outcome:?}");
    }
}

fn layers_are_stacked(world: &mut World) {
    assert_eq!(world.shell("cat /etc/motd", Vec::new()).ok(), "top\n");
}

fn nothing_but_the_given_variables(world: &mut World) {
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

fn what_is_written_to_root_vanishes(world: &mut World) {
    let script = "test ! -e /tmp/new && echo x > /tmp/new && cat /tmp/new";
    for _ in 0..2 {
        assert_eq!(world.shell(script, Vec::new()).ok(), "x\n");
    }
}

fn hundreds_of_layers_are_stacked(world: &mut World) {
    for number in 0..300 {
        let layer = world.layer();
        fs_err::write(layer.join(format!("file-{number}")), "").unwrap();
    }
    let count = world.shell("ls / | grep -c ^file-", Vec::new()).ok();
    assert_eq!(count, "300\n");
}

fn a_root_of_mounts_only(world: &mut World) {
    let container = Container {
        root: Root::Empty,
        mounts: vec![read_only(&world.layers[0].join("bin"), "/bin")],
        ..world.container("ls / | sort | tr '\n' ' '")
    };
    assert_eq!(world.run(&container).ok(), "bin dev proc sys ");
}

/// The lines of `/proc/self/status` that begin so, without their names.
fn status(text: &str, names: &[&str]) -> Vec<String> {
    let value = |name: &&str| {
        let line = text
            .lines()
            .find_map(|it| it.strip_prefix(&format!("{name}:")));
        line.unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    names.iter().map(value).collect()
}

const CAPABILITIES: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
const NONE: &str = "0000000000000000";

fn the_program_is_the_user_and_has_no_rights(world: &mut World) {
    let text = world.shell("cat /proc/self/status", Vec::new()).ok();
    assert_eq!(status(&text, &CAPABILITIES), [NONE; 5]);
    let ids = "1000 1000 1000 1000";
    assert_eq!(status(&text, &["Uid", "Gid", "Groups"]), [ids, ids, ""]);
    // Seccomp 2: a filter.
    assert_eq!(status(&text, &["NoNewPrivs", "Seccomp"]), ["1", "2"]);
}

fn granted_capabilities_are_all_there_are(world: &mut World) {
    let mut container = world.container(
        "cat /proc/self/status; touch /etc/f && chown 7:8 /etc/f && stat -c %u:%g /etc/f",
    );
    container.user = User { uid: 0, gid: 0 };
    container.capabilities = vec![
        Capability::Chown,
        Capability::DacOverride,
        Capability::Fowner,
        Capability::SetGid,
        Capability::SetUid,
    ];
    if world.is("one id") {
        let error = world.try_run(&container).unwrap_err();
        assert!(
            error.to_string().starts_with("user 0:0 does not exist"),
            "{error}"
        );
        return;
    }
    let text = world.run(&container).ok();
    // Bits 0, 1, 3, 6, 7 (capabilities(7)).
    let granted = "00000000000000cb";
    assert_eq!(
        status(&text, &CAPABILITIES),
        [NONE, granted, granted, granted, NONE]
    );
    assert_eq!(status(&text, &["Groups"]), [""]);
    assert!(text.ends_with("\n7:8\n"), "{text}");
}

fn root_is_not_the_users(world: &mut World) {
    let outcome = world.shell("touch /new; stat -c %u /dev", Vec::new());
    if world.is("one id") {
        // There is nobody else whose it could be.
        assert_eq!(outcome.ok(), "1000\n");
        return;
    }
    assert_eq!(outcome.out, "0\n");
    assert!(outcome.err.contains("Permission denied"), "{outcome:?}");
}

fn what_is_written_to_a_bind_is_the_callers(world: &mut World) {
    let folder = world.folder("workspace");
    world
        .shell("echo x > /workspace/new", vec![bind(&folder, "/workspace")])
        .ok();
    let new = folder.join("new");
    assert_eq!(fs_err::read_to_string(&new).unwrap(), "x\n");
    let owner = if world.is("root") {
        USER.uid
    } else {
        nix::unistd::geteuid().as_raw()
    };
    assert_eq!(fs_err::metadata(new).unwrap().uid(), owner);
}

fn a_read_only_bind_cannot_be_written_to(world: &mut World) {
    let folder = world.folder("platform");
    fs_err::write(folder.join("file"), "x").unwrap();
    let script = "cat /platform/file; touch /platform/new; echo y > /platform/file; mount -o remount,rw /platform";
    let outcome = world.shell(script, vec![read_only(&folder, "/platform")]);
    assert_eq!(outcome.out, "x", "{outcome:?}");
    assert_eq!(
        outcome.err.matches("Read-only file system").count(),
        2,
        "{outcome:?}"
    );
    assert_eq!(fs_err::read_to_string(folder.join("file")).unwrap(), "x");
}

fn missing_mount_points_are_made(world: &mut World) {
    let folder = world.folder("folder");
    let file = folder.join("file");
    fs_err::write(&file, "x").unwrap();
    let mounts = vec![
        bind(&folder, "/a/b/c"),
        read_only(&file, "/a/d/e"),
        read_only(&file, "/etc/motd"),
    ];
    let script = "cat /a/b/c/file /a/d/e /etc/motd; stat -c %F /a/d/e; stat -c %a /a /a/d";
    let text = world.shell(script, mounts).ok();
    // crun makes them sticky.
    let made = text.strip_prefix("xxxregular file\n").unwrap();
    assert!(!world.is_own() || made == "755\n755\n", "{text}");
}

fn mount_points_may_be_links(world: &mut World) {
    let layer = world.layer();
    fs_err::create_dir_all(layer.join("etc")).unwrap();
    symlink("/run/resolver/resolv.conf", layer.join("etc/resolv.conf")).unwrap();
    let folder = world.folder("folder");
    fs_err::write(folder.join("file"), "x").unwrap();
    let mounts = vec![read_only(&folder.join("file"), "/etc/resolv.conf")];
    let outcome = world.shell("cat /etc/resolv.conf /run/resolver/resolv.conf", mounts);
    assert_eq!(outcome.ok(), "xx");
}

fn memory_is_mounted_with_its_mode(world: &mut World) {
    let mount = |target: &str, mode| Mount::Tmpfs {
        target: target.into(),
        mode,
    };
    let script = "stat -c %a /tmp /secret; grep -c '^tmpfs /tmp .*nosuid,nodev' /proc/self/mounts; touch /tmp/x";
    let mounts = vec![mount("/tmp", 0o1777), mount("/secret", 0o700)];
    assert_eq!(world.shell(script, mounts).ok(), "1777\n700\n1\n");
}

fn the_machines_network(world: &mut World) {
    let script = "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; ls /sys/class/net >&2";
    let outcome = world.shell(script, Vec::new());
    let devices = fs_err::read_to_string("/proc/net/dev").unwrap();
    let names: Vec<_> = devices
        .lines()
        .skip(2)
        .filter_map(|it| it.trim().split(':').next())
        .collect();
    assert_eq!(outcome.out.lines().collect::<Vec<_>>(), names);
    assert_eq!(
        outcome.err.split_whitespace().count(),
        names.len(),
        "{outcome:?}"
    );
}

fn no_network(world: &mut World) {
    let script = "ls /sys/class/net; ifconfig lo | grep -o UP; httpd -p 127.0.0.1:5000 -h /etc; \
        until wget -qO- http://127.0.0.1:5000/motd 2>/dev/null; do sleep 0.02; done";
    let container = Container {
        network: Network::None,
        ..world.container(script)
    };
    assert_eq!(world.run(&container).ok(), "lo\nUP\ntop\n");
}

fn the_program_begins_afresh(world: &mut World) {
    // This process ignores a signal, as every program in Rust does.
    let text = world
        .shell("umask; exec cat /proc/self/status", Vec::new())
        .ok();
    let none = "0000000000000000";
    assert_eq!(status(&text, &["SigBlk", "SigIgn"]), [none, none]);
    assert!(text.starts_with("0022\n"), "{text}");
}

fn devices_work(world: &mut World) {
    let script = "echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; \
        echo x 2>/dev/null > /dev/full || echo full; echo x > /dev/shm/x && cat /dev/shm/x; \
        echo y > /dev/fd/1; ls -d /dev/pts/ptmx /dev/mqueue";
    let text = world.shell(script, Vec::new()).ok();
    assert_eq!(text, "3\n3\nfull\nx\ny\n/dev/mqueue\n/dev/pts/ptmx\n");
}

fn names_and_processes_are_its_own(world: &mut World) {
    let outcome = world
        .shell("hostname; ls -d /proc/[0-9]* | wc -l", Vec::new())
        .ok();
    let (name, count) = outcome.split_once('\n').unwrap();
    assert_eq!(name, "slipway");
    // Init, the shell, ls and wc.
    assert!(count.trim().parse::<u32>().unwrap() <= 4, "{outcome}");
}

fn the_working_directory_is_made(world: &mut World) {
    for cwd in ["/", "/workspace/deep", "/tmp"] {
        let container = Container {
            cwd: cwd.into(),
            ..world.container("pwd")
        };
        assert_eq!(world.run(&container).ok(), format!("{cwd}\n"));
    }
}

fn what_is_wrong_is_said(world: &mut World) {
    let nowhere = Path::new("/nowhere/at/all");
    let with = |change: &dyn Fn(&mut Container)| {
        let mut container = world.container("true");
        change(&mut container);
        container
    };
    let own = world.is_own();
    let table: [(Container, bool, &str); 7] = [
        (
            with(&|it| it.args[0] = "/nope".into()),
            own,
            "failed to start /nope: No such file or directory",
        ),
        (
            with(&|it| it.args[0] = "sh".into()),
            true,
            "must be an absolute path, not sh",
        ),
        (
            with(&|it| it.cwd = "tmp".into()),
            true,
            "tmp inside the container must be absolute",
        ),
        (
            with(&|it| it.env.push(("A=B".into(), "".into()))),
            true,
            "no variable can be named \"A=B\"",
        ),
        (
            with(&|it| it.mounts.push(bind(nowhere, "/x"))),
            own,
            "failed to open /nowhere/at/all: No such file",
        ),
        (
            with(&|it| it.mounts.push(bind(Path::new("/bin"), "/etc/motd"))),
            own,
            "find /etc/motd inside: Not a directory",
        ),
        (
            with(&|it| it.root = Root::Layers(vec![nowhere.into()])),
            true,
            "failed to open /nowhere/at/all: No such file",
        ),
    ];
    for (container, said, wanted) in table {
        match world.try_run(&container) {
            Err(error) => assert!(error.to_string().contains(wanted), "{wanted}: {error}"),
            // Another runtime says it itself, and in its own words.
            Ok(outcome) => assert!(
                !said && outcome.exit != Exit::Code(0),
                "{wanted}: {outcome:?}"
            ),
        }
        assert_eq!(crate::kit::left(&world.scratch()).len(), 0, "{wanted}");
    }
}
