//! What a container must not reach: a test for each class of hole that runtimes have had.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use nix::libc;
use sandbox::{Capability, Container, Exit, Runtime, User};

use crate::kit::{Test, World, bind, left, mode, read_only};

pub(crate) static ALL: &[Test] = &[
    ("mount_points_stay_inside", mount_points_stay_inside),
    (
        "exchanged_mount_points_stay_inside",
        exchanged_mount_points_stay_inside,
    ),
    (
        "parents_in_targets_are_refused",
        parents_in_targets_are_refused,
    ),
    ("nothing_is_mounted_over_proc", nothing_is_mounted_over_proc),
    (
        "nothing_is_mounted_over_proc_through_a_link",
        nothing_is_mounted_over_proc_through_a_link,
    ),
    (
        "nothing_is_made_on_the_machine",
        nothing_is_made_on_the_machine,
    ),
    (
        "a_layer_cannot_move_the_usual_mounts",
        a_layer_cannot_move_the_usual_mounts,
    ),
    ("devices_cannot_be_changed", devices_cannot_be_changed),
    (
        "sockets_without_a_file_are_not_reached",
        sockets_without_a_file_are_not_reached,
    ),
    ("no_descriptor_leaks", no_descriptor_leaks),
    ("no_working_directory_in_proc", no_working_directory_in_proc),
    ("init_is_shut", init_is_shut),
    (
        "the_programs_own_file_cannot_be_had",
        the_programs_own_file_cannot_be_had,
    ),
    ("the_old_root_is_gone", the_old_root_is_gone),
    ("nobody_outside_can_be_killed", nobody_outside_can_be_killed),
    ("no_terminal_is_the_programs", no_terminal_is_the_programs),
    ("setuid_gains_nothing", setuid_gains_nothing),
    (
        "devices_of_others_do_not_open",
        devices_of_others_do_not_open,
    ),
    (
        "the_kernels_settings_are_read_only",
        the_kernels_settings_are_read_only,
    ),
    ("what_is_masked_is_empty", what_is_masked_is_empty),
];

fn mount_points_stay_inside(world: &mut World) {
    let victim = world.folder("victim");
    let victim_text = victim.to_str().unwrap().to_owned();
    let layer = world.layer();
    symlink(&victim, layer.join("absolute")).unwrap();
    symlink(
        format!("../../../../../../..{victim_text}"),
        layer.join("relative"),
    )
    .unwrap();
    let folder = world.folder("folder");
    fs_err::write(folder.join("file"), "x").unwrap();
    let mounts = vec![
        read_only(&folder.join("file"), "/relative/other"),
        bind(&folder, "/absolute"),
    ];
    let outcome = world.shell(&format!("cat {victim_text}/file; ls /"), mounts);
    // Another runtime may refuse to mount there at all.
    assert!(
        !world.is_own() || outcome.exit == Exit::Code(0),
        "{outcome:?}"
    );
    assert!(
        !world.is_own() || outcome.out.starts_with('x'),
        "{outcome:?}"
    );
    assert_eq!(left(&victim), Vec::<std::ffi::OsString>::new());
}

/// CVE-2021-30465: a mount point in a volume that a running container shares, exchanged for a link at the right moment.
fn exchanged_mount_points_stay_inside(world: &mut World) {
    if !world.is_own() {
        return; // theirs to answer for
    }
    let (volume, marked) = (world.folder("volume"), world.folder("marked"));
    fs_err::write(marked.join("marker"), "").unwrap();
    fs_err::create_dir(volume.join("point")).unwrap();
    symlink("/", volume.join("link")).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let (point, link) = (volume.join("point"), volume.join("link"));
                renameat_with(CWD, point, CWD, link, RenameFlags::EXCHANGE).ok();
            }
        });
        for _ in 0..20 {
            let container = Container {
                mounts: vec![bind(&volume, "/volume"), bind(&marked, "/volume/point")],
                ..world.container("ls /; exit 0")
            };
            // What is there is the container's own root, whatever was mounted where; or it is not started.
            if let Ok(outcome) = world.try_run(&container) {
                assert!(outcome.out.contains("volume"), "{outcome:?}");
                assert!(!outcome.out.contains("marker"), "{outcome:?}");
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

fn parents_in_targets_are_refused(world: &mut World) {
    let folder = world.folder("folder");
    for target in ["/a/../b", "/..", "/../../etc", "/", "relative"] {
        let container = Container {
            mounts: vec![bind(&folder, target)],
            ..world.container("true")
        };
        assert!(world.try_run(&container).is_err(), "{target}");
    }
}

fn nothing_is_mounted_over_proc(world: &mut World) {
    let folder = world.folder("folder");
    for target in [
        "/proc",
        "/proc/",
        "//proc/.",
        "/proc/self",
        "/proc/sys/kernel",
        "/proc/self/exe",
    ] {
        let container = Container {
            mounts: vec![bind(&folder, target)],
            ..world.container("true")
        };
        let error = world.try_run(&container).unwrap_err();
        assert!(
            error.to_string().starts_with("nothing can be mounted at /"),
            "{target}: {error}"
        );
    }
}

/// CVE-2019-16884 and its kin.
fn nothing_is_mounted_over_proc_through_a_link(world: &mut World) {
    if !world.is_own() {
        return; // theirs to answer for: crun 1.8 does it
    }
    let layer = world.layer();
    symlink("/proc", layer.join("whole")).unwrap();
    symlink("proc/self/attr", layer.join("part")).unwrap();
    let folder = world.folder("folder");
    for target in ["/whole", "/whole/self", "/part", "/part/new"] {
        let container = Container {
            mounts: vec![bind(&folder, target)],
            ..world.container("true")
        };
        assert!(world.try_run(&container).is_err(), "{target}");
    }
}

/// A mount point that is missing in a bound folder would have to be made there.
fn nothing_is_made_on_the_machine(world: &mut World) {
    let (outer, inner) = (world.folder("outer"), world.folder("inner"));
    let container = Container {
        mounts: vec![bind(&outer, "/outer"), bind(&inner, "/outer/missing")],
        ..world.container("true")
    };
    if world.is_own() {
        let error = world.try_run(&container).unwrap_err();
        assert!(
            error.to_string().contains("mounted from the machine"),
            "{error}"
        );
        assert_eq!(left(&outer), Vec::<std::ffi::OsString>::new());
    }
}

/// `/proc` mounted elsewhere is a `/proc` with nothing masked; and one that a later mount hides is not there to mask.
fn a_layer_cannot_move_the_usual_mounts(world: &mut World) {
    if !world.is_own() {
        return; // theirs to answer for
    }
    let images: [&[(&str, &str)]; 5] = [
        &[("proc", "/etc")],
        &[("dev", "/etc")],
        &[("sys", "/etc")],
        &[("dev/pts", "/etc")],
        &[
            ("proc", "dev/link/proc"),
            ("dev/link", "/real"),
            ("real/proc/x", "x"),
        ],
    ];
    for links in images {
        let layer = world.layer();
        for (link, target) in links {
            let link = layer.join(link);
            fs_err::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(target, link).unwrap();
        }
        // A link in the tmpfs that is mounted on /dev is none any more.
        let hidden = links[0].0 == "dev/pts";
        match world.try_run(
            &world.container("cat /real/proc/keys; echo x > /real/proc/sysrq-trigger; exit 3"),
        ) {
            Err(error) => assert!(
                !hidden && error.to_string().contains("symbolic link"),
                "{links:?}: {error}"
            ),
            Ok(outcome) => assert!(hidden, "{links:?}: {outcome:?}"),
        }
        fs_err::remove_dir_all(world.layers.pop().unwrap()).unwrap();
    }
}

/// Device nodes are the machine's own: their modes and owners must be as well.
fn devices_cannot_be_changed(world: &mut World) {
    if !world.is_own() {
        return; // which make their own where they can
    }
    let before = fs_err::metadata("/dev/null").unwrap();
    // To what they are, in case it works.
    let script = "for it in full null random tty urandom zero; do chmod 666 /dev/$it; chown 0:0 /dev/$it; done; exit 0";
    let mut container = world.container(script);
    if !world.is("one id") {
        container.user = User { uid: 0, gid: 0 };
        container.capabilities = vec![Capability::Chown, Capability::Fowner];
    }
    let outcome = world.run(&container);
    assert_eq!(
        outcome.err.matches("Read-only file system").count(),
        12,
        "{outcome:?}"
    );
    assert_eq!(
        fs_err::metadata("/dev/null").unwrap().ctime(),
        before.ctime()
    );
}

/// CVE-2020-15257: sockets without a file belong to the network, which is the machine's.
fn sockets_without_a_file_are_not_reached(world: &mut World) {
    if !crate::kit::requires(&["perl"]) || !has_scopes() {
        return;
    }
    let name = format!("slipway-{}", crate::kit::unique());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    // Family 1 is AF_UNIX. The second is of the container's own, and works.
    let script = format!(
        "sub reach {{ socket(my $s, 1, 1, 0); connect($s, pack('S', 1) . qq(\\0) . $_[0]) ? 0 : $! + 0 }} \
        socket(my $l, 1, 1, 0); bind($l, pack('S', 1) . qq(\\0own-{name})) or die; listen($l, 1) or die; \
        print reach('{name}'), ' ', reach('own-{name}'), qq(\\n)"
    );
    let container = Container {
        args: ["/usr/bin/perl", "-e", &script].map(Into::into).to_vec(),
        mounts: vec![read_only(Path::new("/usr"), "/usr")],
        ..world.container("")
    };
    assert_eq!(world.run(&container).ok(), format!("{} 0\n", libc::EPERM));
}

/// True where the kernel can keep programs from such sockets (Linux 6.12).
fn has_scopes() -> bool {
    let release = nix::sys::utsname::uname().unwrap();
    let release = release.release().to_string_lossy().into_owned();
    let mut numbers = release.split('.').map(|it| it.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(12))
}

/// CVE-2024-21626, first half.
fn no_descriptor_leaks(world: &mut World) {
    // The caller's own, which an exec leaves open.
    let open = std::fs::File::from(
        rustix::fs::open("/", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap(),
    );
    let text = world.shell("exec ls /proc/self/fd", Vec::new()).ok();
    drop(open);
    // Three streams, and what `ls` reads the folder by.
    assert_eq!(text, "0\n1\n2\n3\n");
}

/// CVE-2024-21626, second half.
fn no_working_directory_in_proc(world: &mut World) {
    let in_proc = (3..12).map(|it| format!("/proc/self/fd/{it}"));
    for cwd in in_proc.chain(["/proc".to_owned(), "/proc/1/root".to_owned()]) {
        let container = Container {
            cwd: (&cwd).into(),
            ..world.container("pwd")
        };
        assert!(world.try_run(&container).is_err(), "{cwd}");
    }
    if world.is_own() {
        for number in 3..12 {
            let layer = world.layer();
            symlink(format!("/proc/self/fd/{number}"), layer.join("link")).unwrap();
            let container = Container {
                cwd: "/link".into(),
                ..world.container("ls")
            };
            assert!(world.try_run(&container).is_err(), "{number}");
            fs_err::remove_dir_all(world.layers.pop().unwrap()).unwrap();
        }
    }
}

fn init_is_shut(world: &mut World) {
    if !world.is_own() {
        return; // whose first process is the program
    }
    let script = "for it in exe cwd root ns/mnt; do readlink /proc/1/$it && echo open $it; done; \
        for it in environ mem maps auxv; do head -c 1 /proc/1/$it && echo open $it; done; \
        ls /proc/1/fd && echo open fd; ls /proc/1/map_files && echo open map_files; \
        echo x > /proc/1/mem && echo written; grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/1/status";
    let outcome = world.shell(script, Vec::new());
    let status =
        "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n";
    assert_eq!(outcome.out, status, "{outcome:?}");
}

/// CVE-2019-5736: the file that the runtime runs from, written to by way of its process.
fn the_programs_own_file_cannot_be_had(world: &mut World) {
    let before = fs_err::metadata("/proc/self/exe").unwrap();
    let folder = world.folder("folder");
    for name in ["script", "other"] {
        fs_err::write(folder.join(name), "#!/proc/self/exe\n").unwrap();
        fs_err::set_permissions(folder.join(name), mode(0o755)).unwrap();
    }
    let script = "for it in 1 $$ self; do : > /proc/$it/exe; done; /folder/script; \
        for it in /proc/[0-9]*/exe; do echo x >> $it; done; exit 0";
    world.shell(script, vec![bind(&folder, "/folder")]);
    for program in ["/proc/self/exe", "/proc/1/exe", "/folder/other"] {
        let container = Container {
            args: vec![program.into()],
            mounts: vec![bind(&folder, "/folder")],
            ..world.container("")
        };
        // A copy of this program may be what runs; nothing comes of it.
        world.try_run(&container).ok();
    }
    let after = fs_err::metadata("/proc/self/exe").unwrap();
    assert_eq!(
        (before.mtime(), before.size()),
        (after.mtime(), after.size())
    );
}

fn the_old_root_is_gone(world: &mut World) {
    let text = world
        .shell(
            "cat /proc/self/mountinfo; ls -a /; cd /; cd ../../..; pwd",
            Vec::new(),
        )
        .ok();
    for line in text.lines().filter(|it| it.contains(" - ")) {
        let point = line.split(' ').nth(4).unwrap();
        let known = ["/proc", "/dev", "/sys"]
            .iter()
            .any(|it| Path::new(point).starts_with(it));
        assert!(known || point == "/", "{line}");
    }
    assert!(text.ends_with("\n/\n"), "{text}");
    let machine = left(Path::new("/")).len();
    assert!(
        !text.lines().any(|it| it == "root" || it == "boot"),
        "{machine}: {text}"
    );
    // Where the caller keeps its files is nobody's business.
    assert!(!text.contains(world.dir.path().to_str().unwrap()), "{text}");
}

fn nobody_outside_can_be_killed(world: &mut World) {
    let mut sleep = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    let pid = sleep.id();
    let script = format!(
        "kill -9 {pid} && echo killed; test -d /proc/{pid} && echo seen; kill -9 -1; echo alive"
    );
    let outcome = world.shell(&script, Vec::new());
    assert!(
        !outcome.out.contains("killed") && !outcome.out.contains("seen"),
        "{outcome:?}"
    );
    assert!(sleep.try_wait().unwrap().is_none());
    sleep.kill().unwrap();
    sleep.wait().unwrap();
}

/// TIOCSTI: what is typed into the caller's terminal is run by the caller's shell.
fn no_terminal_is_the_programs(world: &mut World) {
    // Fields 1, 6 and 7 of proc_pid_stat(5): process, session, terminal.
    let text = world.shell(
        "cut -d' ' -f1,6,7 /proc/self/stat; echo $$; cat /dev/tty",
        Vec::new(),
    );
    let mut lines = text.out.lines();
    let fields: Vec<_> = lines.next().unwrap().split(' ').collect();
    assert_eq!(
        (fields[1], fields[2]),
        (lines.next().unwrap(), "0"),
        "{text:?}"
    );
    assert!(text.err.contains("No such device or address"), "{text:?}");
}

fn setuid_gains_nothing(world: &mut World) {
    let folder = world.folder("folder");
    let layer = world.layer();
    for place in [&folder, &layer] {
        fs_err::copy("/bin/busybox", place.join("id")).unwrap();
        fs_err::set_permissions(place.join("id"), mode(0o6755)).unwrap();
    }
    let script = "/folder/id -u; /id -u; /id -g; grep CapEff /proc/self/status";
    let text = world.shell(script, vec![bind(&folder, "/folder")]).ok();
    assert_eq!(text, "1000\n1000\n1000\nCapEff:\t0000000000000000\n");
}

fn devices_of_others_do_not_open(world: &mut World) {
    let folder = world.folder("folder");
    let layer = world.layer();
    // crun mounts `/` anew, with devices.
    let crun = matches!(&world.runtime, Runtime::Program(it) if it.ends_with("crun"));
    let places = [&folder, &layer];
    let places = if crun { &places[..1] } else { &places };
    let mut script = "mknod /tmp/d c 1 3 && cat /tmp/d && echo made; ".to_owned();
    if world.is("root") {
        for place in places {
            let kind = nix::sys::stat::SFlag::S_IFCHR;
            let all = nix::sys::stat::Mode::from_bits_truncate(0o666);
            let zero = nix::sys::stat::makedev(1, 5);
            nix::sys::stat::mknod(&place.join("zero"), kind, all, zero).unwrap();
            fs_err::set_permissions(place.join("zero"), mode(0o666)).unwrap();
        }
        script.push_str(
            "for it in /folder/zero /zero; do test -e $it && head -c 1 $it && echo opened; done; ",
        );
    }
    let outcome = world.shell(&script, vec![bind(&folder, "/folder")]);
    assert_eq!(outcome.out, "", "{outcome:?}");
    if world.is("root") {
        assert_eq!(
            outcome.err.matches("Permission denied").count(),
            places.len(),
            "{outcome:?}"
        );
    }
}

fn the_kernels_settings_are_read_only(world: &mut World) {
    let paths = "/proc/sys/kernel/hostname /proc/sys/kernel/core_pattern /proc/irq/default_smp_affinity \
        /sys/kernel/uevent_helper /sys/kernel/mm/transparent_hugepage/enabled";
    // What is there, in case it works.
    let script = format!(
        "for it in {paths}; do v=$(cat $it 2>/dev/null); echo \"$v\" > $it && echo written $it; done; \
        echo '?' > /proc/sysrq-trigger && echo written sysrq-trigger; exit 0"
    );
    let mut container = world.container(&script);
    if !world.is("one id") {
        // Whose files these are, or would be.
        container.user = User { uid: 0, gid: 0 };
        container.capabilities = vec![Capability::DacOverride];
    }
    let outcome = world.run(&container);
    assert_eq!(outcome.out, "", "{outcome:?}");
    if world.is("root") {
        assert!(
            outcome.err.matches("Read-only file system").count() >= 4,
            "{outcome:?}"
        );
    }
}

fn what_is_masked_is_empty(world: &mut World) {
    let script = "cat /proc/keys /proc/timer_list /proc/kcore /proc/interrupts 2>/dev/null | wc -c; \
        ls /proc/acpi /sys/firmware /proc/scsi 2>/dev/null | grep -v : | wc -w";
    assert_eq!(world.shell(script, Vec::new()).ok(), "0\n0\n");
}
