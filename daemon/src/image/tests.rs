use std::io::Read as _;

use layout::digest::sha256;
use layout::json;

use super::*;
use crate::fake::{Fake, ok, refused};

/// What dockerd 20.10 says of an image, shortened.
const INSPECTED: &str = r#"{"Id":"sha256:ID","RepoTags":["app:1"],"RepoDigests":[],"Parent":"","Comment":"","Created":"2024-05-06T07:08:09.5Z",
"Container":"","ContainerConfig":{"Hostname":"x","Cmd":["x"]},"DockerVersion":"20.10.24","Author":"me",
"Config":{"Hostname":"h","Domainname":"d","User":"u","AttachStdin":true,"AttachStdout":true,"AttachStderr":true,
"ExposedPorts":{"80/tcp":{}},"Tty":true,"OpenStdin":true,"StdinOnce":true,"Env":["A=1"],"Cmd":["c"],
"Healthcheck":{"Test":["NONE"],"Interval":1,"StartInterval":7},"ArgsEscaped":true,"Image":"i","Volumes":{"/v":{}},"WorkingDir":"/w",
"Entrypoint":["e"],"NetworkDisabled":true,"MacAddress":"m","OnBuild":["RUN x"],"Labels":{"l":"<1>"},"StopSignal":"SIGINT","Shell":["sh"]},
"Architecture":"arm64","Variant":"v8","Os":"linux","OsVersion":"10","Size":16,"VirtualSize":16,"GraphDriver":{"Data":null,"Name":"overlay2"},
"RootFS":{"Type":"layers","Layers":["sha256:ONE","sha256:TWO"]},"Metadata":{"LastTagTime":"0001-01-01T00:00:00Z"}}"#;

const HISTORY: &str = r#"[{"Comment":"c","Created":1715000000,"CreatedBy":"two","Id":"x","Size":1,"Tags":null},
{"Comment":"","Created":315532801,"CreatedBy":"one","Id":"<missing>","Size":1,"Tags":["a"]}]"#;

fn of(text: &str) -> String {
    let hex = |text: &str| sha256(text.as_bytes()).digest().to_owned();
    let text = text.replace("ID", &hex("id")).replace("ONE", &hex("one"));
    text.replace("sha256:TWO", sha256(b"two").as_ref())
}

fn image(inspected: &str, history: &'static str) -> Image {
    // A digest's place is taken by a word; what else has one of them in it stays.
    let inspected = of(&inspected.replace("\"NONE\"", "\"N0NE\"")).replace("N0NE", "NONE");
    let (_fake, engine) = Fake::engine(move |line| match line.rsplit('/').next() {
        Some("json") => ok(&inspected),
        Some("history") => ok(history),
        _ => refused(404, "no such page"),
    });
    engine.image("app", None).unwrap().unwrap()
}

#[test]
fn an_image_is_what_the_daemon_says() {
    let image = image(INSPECTED, HISTORY);
    assert_eq!(image.digest(), &sha256(b"id"));
    let ids = [sha256(b"one"), sha256(b"two")].map(DiffId);
    assert_eq!(image.diff_ids(), ids);
    let layers: Vec<_> = image.layers().map(|(id, it)| (id, &it.digest)).collect();
    assert_eq!(layers, [(&ids[0], &ids[0].0), (&ids[1], &ids[1].0)]);
    // The keys are those that the reference takes; of Docker's own about containers there are none.
    let expected = of(concat!(
        r#"{"architecture":"arm64","author":"me","created":"2024-05-06T07:08:09.5Z","#,
        r#""history":[{"created":"1980-01-01T00:00:01Z","created_by":"one"},"#,
        r#"{"created":"2024-05-06T12:53:20Z","created_by":"two","comment":"c"}],"os":"linux","#,
        r#""rootfs":{"type":"layers","diff_ids":["sha256:ONE","sha256:TWO"]},"#,
        r#""config":{"Cmd":["c"],"Healthcheck":{"Test":["N0NE"],"Interval":1},"Entrypoint":["e"],"Env":["A=1"],"#,
        r#""Labels":{"l":"\u003c1\u003e"},"OnBuild":["RUN x"],"User":"u","Volumes":{"/v":{}},"WorkingDir":"/w","#,
        r#""ExposedPorts":{"80/tcp":{}},"StopSignal":"SIGINT","Shell":["sh"]},"os.version":"10","variant":"v8"}"#,
    ));
    assert_eq!(
        image.config().to_json().unwrap(),
        expected.replace("N0NE", "NONE")
    );
}

#[test]
fn history_has_one_entry_a_layer() {
    for history in [
        "[]",
        r#"[{"CreatedBy":"ENV"},{"CreatedBy":"two"},{"CreatedBy":"one"}]"#,
    ] {
        let image = image(INSPECTED, history);
        assert_eq!(
            image.config().history,
            [History::default(), History::default()]
        );
    }
}

#[test]
fn an_image_may_be_nearly_nothing() {
    let image = image(
        r#"{"Id":"sha256:ID","Config":null,"RootFS":{"Type":"layers"}}"#,
        "[]",
    );
    assert!(image.diff_ids().is_empty());
    assert_eq!(image.config().created.as_deref(), Some(CREATED));
}

/// A folder of tars.
#[derive(Debug)]
struct Folder(PathBuf);

impl LayerTars for Folder {
    fn open(&self, diff_id: &DiffId) -> Option<fs_err::File> {
        fs_err::File::open(self.0.join(diff_id.to_string())).ok()
    }
}

#[test]
fn a_tar_that_lies_here_is_taken_if_it_is_the_layer_s() {
    let inspected = of(INSPECTED).replace("\"NONE\"", "\"\"");
    let (fake, engine) = Fake::engine(move |line| match line.rsplit('/').next() {
        Some("json") => ok(&inspected),
        Some("history") => ok("[]"),
        _ => refused(500, "saved anew"),
    });
    let dir = tempfile::tempdir().unwrap();
    let tars = Arc::new(Folder(dir.path().to_owned()));
    let image = engine.image("app", Some(tars)).unwrap().unwrap();
    let ids = image.diff_ids().to_owned();
    let read = |id: &DiffId| -> Result<String, blob::Error> {
        let mut text = String::new();
        image.open_layer(id)?.unwrap().read_to_string(&mut text)?;
        Ok(text)
    };
    fs_err::write(dir.path().join(ids[0].to_string()), "one").unwrap();
    fs_err::write(dir.path().join(ids[1].to_string()), "tow").unwrap();
    assert_eq!(read(&ids[0]).unwrap(), "one");
    assert_eq!(fake.seen().len(), 3, "ping, inspect, history");
    // The other one is damaged: the daemon is asked.
    let error = read(&ids[1]).unwrap_err().to_string();
    assert!(error.ends_with("saved anew"), "{error}");
    assert!(error.contains(&fake.host()), "{error}");
    let other = DiffId(sha256(b"other"));
    assert!(image.open_layer(&other).unwrap().is_none());
    assert!(json::from_slice::<Inspected>(b"{}").is_err());
}
