use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    }
    dir
}

fn env(vars: &[(&str, &str)]) -> BuildEnv {
    BuildEnv::from_outer(vars.iter().map(|(k, v)| (k.into(), v.into())))
}

fn shown(vars: &Vars) -> Vec<String> {
    vars.iter()
        .map(|(k, v)| format!("{}={}", k.display(), v.display()))
        .collect()
}

#[test]
fn only_the_listed_variables_pass_in_exactly_their_spelling() {
    let listed = [
        "CNB_STACK_ID",
        "HOSTNAME",
        "HOME",
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "NO_PROXY",
        "no_proxy",
        "PATH",
        "LD_LIBRARY_PATH",
        "LIBRARY_PATH",
        "CPATH",
        "PKG_CONFIG_PATH",
    ];
    let others = [
        "home",
        "Path",
        "CNB_PLATFORM_API",
        "USER",
        "ALL_PROXY",
        "PATH_X",
        "",
    ];
    let outer = listed
        .iter()
        .chain(&others)
        .map(|name| (name.into(), "v".into()));
    let passed = BuildEnv::from_outer(outer);
    let mut expected = listed.to_vec();
    expected.sort_unstable();
    let names: Vec<_> = passed
        .variables()
        .keys()
        .map(|k| k.to_str().unwrap())
        .collect();
    assert_eq!(names, expected);
}

/// What files do to a variable; the launcher has the same table.
const ENV_FILES: &str = include_str!("../../../tests/tables/env-files.toml");

/// Each has a row at least.
const RULES: [&str; 11] = [
    "BPL-007", "BPL-008", "BPL-009", "BPL-010", "BPL-011", "BPL-012", "BPL-013", "BPL-014",
    "BPL-015", "BPL-016", "BPL-017",
];

#[test]
fn env_files_act_by_their_suffix() {
    let table: toml::Table = ENV_FILES.parse().unwrap();
    for rule in RULES {
        let mut cases = table["case"].as_array().unwrap().iter();
        assert!(
            cases.any(|case| case["rule"].as_str() == Some(rule)),
            "{rule}"
        );
    }
    for case in table["case"].as_array().unwrap() {
        let layer = tempfile::tempdir().unwrap();
        for (name, content) in case["files"].as_table().unwrap() {
            let path = layer.path().join(name.replace("own/", "env.build/"));
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, content.as_str().unwrap()).unwrap();
        }
        let value = |key: &str| case.get(key).map(|value| value.as_str().unwrap());
        let before: Vec<_> = value("before").map(|v| ("HOME", v)).into_iter().collect();
        let mut env = env(&before);
        env.add_build_layer(layer.path()).unwrap();
        let got = env
            .variables()
            .get(OsStr::new("HOME"))
            .map(|value| value.to_str().unwrap());
        assert_eq!(got, value("after"), "{case}");
    }
}

#[test]
fn path_children_go_in_front_of_their_variables() {
    let layer = folder(&[
        ("lib/x", ""),
        ("include/x", ""),
        ("pkgconfig", "a file counts"),
        ("sbin/x", ""),
    ]);
    symlink("lib", layer.path().join("bin")).unwrap();
    let mut env = env(&[("PATH", "/usr/bin"), ("CPATH", "")]);
    env.add_build_layer(layer.path()).unwrap();
    let root = layer.path().display();
    assert_eq!(
        shown(env.variables()),
        [
            format!("CPATH={root}/include"),
            format!("LD_LIBRARY_PATH={root}/lib"),
            format!("LIBRARY_PATH={root}/lib"),
            format!("PATH={root}/bin:/usr/bin"),
            format!("PKG_CONFIG_PATH={root}/pkgconfig"),
        ]
    );
}

#[test]
fn a_child_that_leads_nowhere_is_absent() {
    let layer = folder(&[]);
    symlink("nowhere", layer.path().join("bin")).unwrap();
    let mut env = env(&[]);
    env.add_build_layer(layer.path()).unwrap();
    assert!(env.variables().is_empty());
}

#[test]
fn one_layer_is_done_before_the_next_and_later_ones_come_first() {
    let first = folder(&[
        ("bin/x", ""),
        ("env/PATH.override", "/only"),
        ("env.build/A", "1"),
        ("env/A", "0"),
    ]);
    let second = folder(&[
        ("bin/x", ""),
        ("env.launch/A", "9"),
        ("env/B.append", "b"),
        ("env.build/B.delim", ":"),
    ]);
    let mut env = env(&[("PATH", "/usr/bin")]);
    env.add_build_layer(first.path()).unwrap();
    env.add_build_layer(second.path()).unwrap();
    assert_eq!(
        shown(env.variables()),
        [
            "A=1".to_owned(),
            "B=b".to_owned(),
            format!("PATH={}/bin:/only", second.path().display())
        ]
    );
}

#[test]
fn a_delimiter_counts_in_its_own_folder_only() {
    let layer = folder(&[
        ("env/A", "0"),
        ("env/A.delim", ":"),
        ("env.build/A.append", "1"),
    ]);
    let mut env = env(&[]);
    env.add_build_layer(layer.path()).unwrap();
    assert_eq!(shown(env.variables()), ["A=01"]);
}

#[test]
fn the_user_s_files_have_no_suffixes_and_go_in_front_of_paths() {
    let platform = folder(&[
        ("env/PATH", "/user"),
        ("env/CPATH", "/user"),
        ("env/HOME", "user\n"),
        ("env/FOO.append", "x"),
        ("env/dir/file", "x"),
    ]);
    symlink("dir", platform.path().join("env/LINK")).unwrap();
    symlink("HOME", platform.path().join("env/LINKED")).unwrap();
    let env = env(&[("PATH", "/usr/bin"), ("HOME", "/root")]);
    let vars = env
        .for_module(platform.path(), Path::new(""), false)
        .unwrap();
    assert_eq!(
        shown(&vars),
        [
            "CPATH=/user",
            "FOO.append=x",
            "HOME=user\n",
            "LINKED=user\n",
            "PATH=/user:/usr/bin"
        ]
    );
    let cleared = env
        .for_module(platform.path(), Path::new(""), true)
        .unwrap();
    assert_eq!(&cleared, env.variables());
}

/// BPD-031: the variable, its value before, and after the user's file holds `/user`.
#[test]
fn path_variables_of_the_user_go_in_front_and_others_replace() {
    for name in [
        "PATH",
        "LD_LIBRARY_PATH",
        "LIBRARY_PATH",
        "CPATH",
        "PKG_CONFIG_PATH",
    ] {
        for (before, after) in [
            (Some("/a:/b"), "/user:/a:/b"),
            (Some(""), "/user"),
            (None, "/user"),
        ] {
            assert_eq!(with_user_file(name, before), after, "{name} {before:?}");
        }
    }
    for name in ["HOME", "CNB_STACK_ID", "NO_PROXY"] {
        assert_eq!(with_user_file(name, Some("/a")), "/user", "{name}");
    }
}

fn with_user_file(name: &str, before: Option<&str>) -> String {
    let platform = folder(&[(&format!("env/{name}"), "/user")]);
    let env = env(&before
        .map(|value| (name, value))
        .into_iter()
        .collect::<Vec<_>>());
    let vars = env
        .for_module(platform.path(), Path::new(""), false)
        .unwrap();
    vars[OsStr::new(name)].to_str().unwrap().to_owned()
}

#[test]
fn the_operator_s_files_come_last_and_default() {
    let platform = folder(&[("env/A", "user"), ("env/PATH", "/user")]);
    let config = folder(&[
        ("env/A", "operator"),
        ("env/B", "operator"),
        ("env/PATH.prepend", "/op"),
        ("env/PATH.delim", ":"),
        ("env/C.bak", "x"),
    ]);
    let env = env(&[("PATH", "/usr/bin")]);
    let vars = env
        .for_module(platform.path(), config.path(), false)
        .unwrap();
    assert_eq!(
        shown(&vars),
        ["A=user", "B=operator", "PATH=/op:/user:/usr/bin"]
    );
    let cleared = env
        .for_module(platform.path(), config.path(), true)
        .unwrap();
    assert_eq!(
        shown(&cleared),
        ["A=operator", "B=operator", "PATH=/op:/usr/bin"]
    );
}

#[test]
fn missing_folders_are_fine_and_unreadable_entries_are_named() {
    let dir = folder(&[]);
    let mut env = env(&[]);
    env.add_build_layer(&dir.path().join("no")).unwrap();
    env.for_module(&dir.path().join("no"), &dir.path().join("no"), false)
        .unwrap();

    fs_err::create_dir(dir.path().join("env")).unwrap();
    symlink("LOOP", dir.path().join("env/LOOP")).unwrap();
    let shown = dir.path().display();
    let cause = format!("stat {shown}/env/LOOP: too many levels of symbolic links");
    let applied = format!("apply env files from dir '{shown}/env': {cause}");
    assert_eq!(
        env.add_build_layer(dir.path()).unwrap_err().to_string(),
        applied
    );
    let config = env
        .for_module(Path::new(""), dir.path(), false)
        .unwrap_err();
    assert_eq!(config.to_string(), applied);
    let platform = env
        .for_module(dir.path(), Path::new(""), false)
        .unwrap_err();
    assert_eq!(platform.to_string(), cause);
}

#[test]
fn values_need_not_be_text() {
    let layer = folder(&[]);
    fs_err::create_dir(layer.path().join("env")).unwrap();
    fs_err::write(layer.path().join("env/A"), b"\xff\xfe").unwrap();
    let mut env = env(&[]);
    env.add_build_layer(layer.path()).unwrap();
    assert_eq!(env.variables()[OsStr::new("A")].as_bytes(), b"\xff\xfe");
}

#[test]
fn suffixes_that_say_nothing_are_odd() {
    for (file, odd) in [
        ("NAME", None),
        ("NAME.", None),
        ("NAME.append", None),
        ("NAME.default", None),
        ("NAME.delim", None),
        ("NAME.override", None),
        ("NAME.prepend", None),
        ("NAME.bak", Some("bak")),
        ("NAME.append.old", Some("append.old")),
        (".prepends", Some("prepends")),
    ] {
        assert_eq!(odd_suffix(file), odd, "{file}");
    }
}

/// A link that leads to itself is not the same as nothing.
#[test]
fn a_child_that_cannot_be_looked_at_is_an_error() {
    let layer = folder(&[]);
    symlink("bin", layer.path().join("bin")).unwrap();
    let mut env = env(&[]);
    let error = env.add_build_layer(layer.path()).unwrap_err();
    let expected = format!(
        "stat {}/bin: too many levels of symbolic links",
        layer.path().display()
    );
    assert!(error.to_string().contains(&expected), "{error}");
}
