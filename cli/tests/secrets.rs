//! No command shows a secret of a socket: not where it belongs, and not where a mistake put it.

mod command;

use command::{file, run_with_variables};
use kafka_mock::Cluster;

const SECRET: &str = "hunter2";

#[test]
fn no_command_shows_a_secret_of_a_socket() {
    let folder = Folder::new();
    let cluster = Cluster::start().unwrap();
    let mut delivered = 0;
    for socket in folder.sockets(&cluster.bootstrap()) {
        for arguments in commands(&socket) {
            let ended = run_with_variables(&arguments, &[("EVENT_KAFKA_TEST_SECRET", SECRET)]);
            let shown = format!("{}{}", ended.stdout, ended.stderr);
            assert!(!shown.contains(SECRET), "{arguments:?} shows {shown}");
            delivered += u32::from(ended.code == Some(0));
        }
    }
    assert!(delivered > 10, "only {delivered} runs came to their end");
}

#[test]
fn no_mistake_on_the_command_line_shows_a_secret() {
    let socket = "a/t?g.sasl.password=hunter2";
    let option = |name: &str| format!("{name}={socket}");
    let cases: &[&[&str]] = &[
        &[socket],
        &["publsh", socket],
        &["publish", socket, "x", "--frob"],
        &["publish", socket, "x", "--report", "xml"],
        &["publish", socket, "x", "--partition", socket],
        &["publish", "a/t", "x", "--report", socket],
        &["publish", "a/t", "x", &option("--report")],
        &["publish", "a/t", "x", &option("--frob")],
        &["bench", "a/t", socket],
        &["bench", socket, "--topic", "t"],
        &["bench", "--topic", socket],
        &["bench", "--bootstrap", socket],
        &["bench", "--messages", socket],
        &["broker", socket],
        &["broker", "--listen", socket],
        &["demo", socket],
        &["properties", socket],
        &["properties", "--scope", socket],
    ];
    for arguments in cases {
        let ended = run_with_variables(arguments, &[]);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{arguments:?}: {ended:?}");
        assert!(!ended.stderr.contains(SECRET), "{arguments:?}: {ended:?}");
    }
}

/// Every command that takes a socket, as talkative as it can be.
fn commands(socket: &str) -> Vec<Vec<&str>> {
    vec![
        vec!["publish", socket, "x", "-vv", "--report", "json"],
        vec!["publish", socket, "x", "-vv", "--log-format", "json"],
        vec!["bench", socket, "-vv", "--messages", "1", "--warmup", "0"],
        vec!["properties", "-vv", "--changed-from", socket],
        vec!["properties", "--format", "json", "--changed-from", socket],
        vec![
            "properties",
            "--format",
            "markdown",
            "--changed-from",
            socket,
        ],
    ]
}

/// Files with the secret in them.
struct Folder {
    secret: String,
    good: String,
    typo: String,
    colon: String,
    late: String,
}

impl Folder {
    fn new() -> Self {
        let file = |name: &str, content: &str| {
            let path = file(&format!("secrets-{name}"), content.as_bytes());
            path.to_str()
                .expect("the test directory is UTF-8")
                .to_owned()
        };
        Self {
            secret: file("secret", "hunter2\n"),
            good: file("good.conf", "sasl.username=me\nsasl.password=hunter2\n"),
            typo: file("typo.conf", "sasl.pasword=hunter2\n"),
            colon: file("colon.conf", "sasl.password: hunter2 = x\n"),
            late: file("late.conf", "sasl.password=hunter2\nlinger.ms=soon\n"),
        }
    }

    /// Sockets with the secret where it belongs, then where mistakes put it.
    fn sockets(&self, broker: &str) -> Vec<String> {
        let Self {
            secret,
            good,
            typo,
            colon,
            late,
        } = self;
        let well_formed = [
            "g.sasl.password=hunter2".to_owned(),
            r#"g.sasl.password="hunter2&=""#.to_owned(),
            format!("g.sasl.password=@file:{secret}"),
            "g.sasl.password=@env:EVENT_KAFKA_TEST_SECRET".to_owned(),
            format!("config={good}"),
            "g.ssl.key.password=hunter2".to_owned(),
            "g.ssl.keystore.password=hunter2".to_owned(),
            "g.sasl.oauthbearer.client.secret=hunter2".to_owned(),
            "t.sasl.password=hunter2".to_owned(),
            format!("g.linger.ms=@file:{secret}"),
            "t.acks=@env:EVENT_KAFKA_TEST_SECRET".to_owned(),
            "g.sasl.pasword=hunter2".to_owned(),
            "sasl.password=hunter2".to_owned(),
            "key=hunter2".to_owned(),
            "g.sasl.password:hunter2=".to_owned(),
            "g.sasl.password=x&hunter2=y".to_owned(),
            format!("config={typo}"),
            format!("config={colon}"),
            format!("config={late}"),
        ];
        let malformed = [
            "/t?g.sasl.password=x&hunter2",
            "/t?g.sasl.password:hunter2",
            "/t?g.sasl.password=\"hunter2",
            "/t?g.sasl.password=\"x\"hunter2\"",
            "/t?g.sasl.password=\"\\hunter2\"",
            "/t?strict=hunter2",
            "/t&g.sasl.password=hunter2",
            "/t/g.sasl.password=hunter2",
            "&g.sasl.password=hunter2/t",
            "?g.sasl.password=hunter2",
            "=hunter2",
        ];
        let strict = well_formed.iter().map(|item| format!("{broker}/t?{item}"));
        let lenient = well_formed
            .iter()
            .map(|item| format!("{broker}/t?strict=0&{item}"));
        strict
            .chain(lenient)
            .chain(malformed.iter().map(|rest| format!("{broker}{rest}")))
            .chain([format!("user:hunter2@{broker}/t")])
            .collect()
    }
}
