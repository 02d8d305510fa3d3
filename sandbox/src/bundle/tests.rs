use std::os::unix::ffi::OsStrExt as _;

use serde_json::{Value, json};

use super::*;
use crate::container::{Root, User};

const USER: User = User {
    uid: 1000,
    gid: 1000,
};

fn container() -> Container {
    Container {
        root: Root::Empty,
        mounts: Vec::new(),
        user: USER,
        capabilities: Vec::new(),
        args: vec!["/bin/true".into(), "--all".into()],
        env: vec![("A".into(), "b=c".into())],
        cwd: "/workspace/".into(),
        network: Network::Host,
    }
}

fn range(inside: u32, outside: u32, count: u32) -> Range {
    Range {
        inside,
        outside,
        count,
    }
}

fn maps() -> IdMaps {
    IdMaps {
        uids: vec![range(0, 100_000, 1000), range(1000, 7, 1)],
        gids: vec![range(0, 200_000, 1000), range(1000, 8, 1)],
    }
}

fn written(container: &Container, maps: Option<&IdMaps>, entered: bool) -> Value {
    serde_json::to_value(spec(container, maps, entered).unwrap()).unwrap()
}

fn namespaces(spec: &Value) -> Vec<&str> {
    let all = spec["linux"]["namespaces"].as_array().unwrap();
    all.iter().map(|it| it["type"].as_str().unwrap()).collect()
}

#[test]
fn the_process_is_what_was_asked_for_and_no_more() {
    let spec = written(&container(), None, false);
    let process = &spec["process"];
    assert_eq!(process["args"], json!(["/bin/true", "--all"]));
    assert_eq!(process["env"], json!(["A=b=c"]));
    assert_eq!(process["cwd"], "/workspace");
    assert_eq!(
        process["user"],
        json!({"uid": 1000, "gid": 1000, "additionalGids": []})
    );
    assert_eq!(process["noNewPrivileges"], true);
    for set in [
        "bounding",
        "effective",
        "permitted",
        "inheritable",
        "ambient",
    ] {
        assert_eq!(process["capabilities"][set], json!([]), "{set}");
    }
    assert_eq!(spec["linux"]["seccomp"]["defaultAction"], "SCMP_ACT_ERRNO");
    assert_eq!(spec["linux"]["seccomp"]["defaultErrnoRet"], 1);
}

#[test]
fn capabilities_are_granted_but_not_passed_on() {
    let spec = written(
        &Container {
            capabilities: vec![Capability::SetUid],
            ..container()
        },
        None,
        false,
    );
    let sets = &spec["process"]["capabilities"];
    for set in ["bounding", "effective", "permitted"] {
        assert_eq!(sets[set], json!(["CAP_SETUID"]), "{set}");
    }
    for set in ["inheritable", "ambient"] {
        assert_eq!(sets[set], json!([]), "{set}");
    }
}

#[test]
fn namespaces_are_those_of_the_way_and_the_network() {
    let alone = Container {
        network: Network::None,
        ..container()
    };
    let maps = maps();
    let usual = ["mount", "pid", "ipc", "uts"];
    let with = |more: &[&'static str]| [&usual[..], more].concat();
    assert_eq!(namespaces(&written(&container(), None, false)), usual);
    assert_eq!(
        namespaces(&written(&alone, None, false)),
        with(&["network"])
    );
    let mapped = written(&container(), Some(&maps), false);
    assert_eq!(namespaces(&mapped), with(&["user"]));
    assert_eq!(
        mapped["linux"]["uidMappings"],
        json!([
            {"hostID": 100_000, "containerID": 0, "size": 1000},
            {"hostID": 7, "containerID": 1000, "size": 1}
        ])
    );
    // A runtime that is in the user namespace already makes none.
    let entered = written(&container(), Some(&maps), true);
    assert_eq!(namespaces(&entered), usual);
    assert_eq!(entered["linux"]["uidMappings"], Value::Null);
}

#[test]
fn mounts_are_closed_to_devices_and_setuid_programs() {
    let bind = |target: &str, read_only| Mount::Bind {
        source: "/tmp".into(),
        target: target.into(),
        read_only,
    };
    let spec = written(
        &Container {
            mounts: vec![
                bind("/rw/", false),
                bind("/ro", true),
                Mount::Tmpfs {
                    target: "/m".into(),
                    mode: 0o1777,
                },
            ],
            ..container()
        },
        None,
        false,
    );
    let mounts = spec["mounts"].as_array().unwrap();
    let options = |target: &str| {
        let mount = mounts
            .iter()
            .find(|it| it["destination"] == target)
            .unwrap();
        mount["options"].clone()
    };
    assert_eq!(
        options("/rw"),
        json!(["rbind", "rprivate", "nosuid", "nodev", "rw"])
    );
    assert_eq!(
        options("/ro"),
        json!(["rbind", "rprivate", "nosuid", "nodev", "rro"])
    );
    assert_eq!(options("/m"), json!(["nosuid", "nodev", "mode=1777"]));
    assert_eq!(
        options("/sys"),
        json!(["rbind", "nosuid", "noexec", "nodev", "rro"])
    );
    for mount in mounts {
        assert!(
            mount["options"]
                .as_array()
                .unwrap()
                .contains(&json!("nosuid")),
            "{mount}"
        );
    }
}

#[test]
fn terminals_have_their_group_where_it_exists() {
    let pts = |maps: Option<&IdMaps>| {
        let spec = written(&container(), maps, false);
        let mounts = spec["mounts"].as_array().unwrap().clone();
        let pts = mounts
            .into_iter()
            .find(|it| it["destination"] == "/dev/pts")
            .unwrap();
        pts["options"].as_array().unwrap().contains(&json!("gid=5"))
    };
    let one = IdMaps {
        uids: vec![range(1000, 7, 1)],
        gids: vec![range(1000, 8, 1)],
    };
    assert!(pts(None));
    assert!(pts(Some(&maps())));
    assert!(!pts(Some(&one)));
}

#[test]
fn what_can_be_no_container_is_refused() {
    let bytes = |text: &'static [u8]| OsStr::from_bytes(text).to_owned();
    let bind = |target: &str| {
        vec![Mount::Bind {
            source: "/tmp".into(),
            target: target.into(),
            read_only: false,
        }]
    };
    let change = |change: &dyn Fn(&mut Container)| {
        let mut changed = container();
        change(&mut changed);
        changed
    };
    let table = [
        (
            change(&|it| it.args.clear()),
            "must be an absolute path, not nothing",
        ),
        (
            change(&|it| it.args[0] = "true".into()),
            "must be an absolute path, not true",
        ),
        (
            change(&|it| it.args[1] = bytes(b"\xff")),
            "an argument is not UTF-8",
        ),
        (
            change(&|it| it.args[1] = bytes(b"a\0b")),
            "an argument holds a zero byte",
        ),
        (
            change(&|it| it.env[0].1 = bytes(b"\xff")),
            "the variable A is not UTF-8",
        ),
        (
            change(&|it| it.env[0].0 = "".into()),
            "no variable can be named \"\"",
        ),
        (
            change(&|it| it.env[0].0 = "A=".into()),
            "no variable can be named \"A=\"",
        ),
        (
            change(&|it| it.cwd = "a".into()),
            "the path a inside the container must be absolute",
        ),
        (
            change(&|it| it.cwd = "/a/../b".into()),
            "must not hold \"..\"",
        ),
        (
            change(&|it| it.cwd = "/proc/self/fd/7".into()),
            "the working directory cannot be /proc/self/fd/7",
        ),
        (
            change(&|it| it.mounts = bind("/")),
            "nothing can be mounted at /",
        ),
        (
            change(&|it| it.mounts = bind("/./")),
            "nothing can be mounted at /",
        ),
        (
            change(&|it| it.mounts = bind("//proc/./sys")),
            "nothing can be mounted at /",
        ),
        (
            change(&|it| it.mounts = bind("/a/..")),
            "must not hold \"..\"",
        ),
        (change(&|it| it.mounts = bind("a")), "must be absolute"),
    ];
    for (container, wanted) in table {
        let error = spec(&container, None, false).unwrap_err().to_string();
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
    // A name that only begins so is no /proc.
    spec(&change(&|it| it.mounts = bind("/process")), None, false).unwrap();
}

#[test]
fn a_user_who_does_not_exist_is_refused() {
    for user in [
        User {
            uid: 1001,
            gid: 1000,
        },
        User {
            uid: 1000,
            gid: 1001,
        },
    ] {
        let container = Container {
            user,
            ..container()
        };
        let error = spec(&container, Some(&maps()), false).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("user {user} does not exist")),
            "{error}"
        );
        spec(&container, None, false).unwrap();
    }
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&container(), Some(&maps()), false).unwrap();
    write(dir.path(), &spec).unwrap();
    assert_eq!(read(dir.path()).unwrap(), spec);
}
