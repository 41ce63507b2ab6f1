use event_kafka::config::Config;
use event_kafka::opensips::{BrokerId, Socket};

use crate::support::Pretended;

const SECRET: &str = "hunter2";

/// Sockets with a secret where it belongs, and where mistakes put it.
const SOCKETS: &[&str] = &[
    "a/t?g.sasl.password=hunter2",
    "a/t?g.sasl.password=ab=hunter2==",
    r#"a/t?g.sasl.password="hunter2&""#,
    r#"a/t?g.sasl.password="\"hunter2\\""#,
    "a/t?g.sasl.password=@file:/secret",
    "a/t?g.sasl.password=@env:SECRET",
    "a/t?g.linger.ms=@file:/secret",
    "a/t?t.acks=@env:SECRET",
    "a/t?config=/secret",
    "a/t?config=/good.conf",
    "a/t?config=/typo.conf",
    "a/t?config=/colon.conf",
    "a/t?config=/late.conf",
    "a/t?g.ssl.keystore.password=hunter2",
    "a/t?g.ssl.key.password=hunter2&g.ssl.key.pem=hunter2",
    "a/t?g.sasl.oauthbearer.client.secret=hunter2",
    // The name is wrong.
    "a/t?g.sasl.pasword=hunter2",
    "a/t?g.password=hunter2",
    "a/t?sasl.password=hunter2",
    "a/t?password=hunter2",
    "a/t?t.sasl.password=hunter2",
    "a/t?=hunter2",
    "a/t?key=hunter2",
    "a/t?strict=hunter2",
    "a/t?payload=hunter2",
    "a/t?members=hunter2",
    "a/t?header.authorization=hunter2",
    "a/t?header.authorization=\"hunter2\"",
    "a/t?header.authorization=@file:/secret",
    "a/t?header.authorization=@env:SECRET",
    "a/t?header.authorization:hunter2=",
    // Another character than '=' parts name and value.
    "a/t?g.sasl.password:hunter2",
    "a/t?g.sasl.password hunter2",
    "a/t?g.sasl.password:hunter2=",
    "a/t?g.sasl.password:hunter2=x&t.acks=1",
    // Quotes are missing, or too many.
    "a/t?g.sasl.password=x&hunter2",
    "a/t?g.sasl.password=x&hunter2=y",
    "a/t?g.sasl.password=x&yhunter2&g.linger.ms=1",
    "a/t?g.sasl.password=\"hunter2",
    "a/t?g.sasl.password=\"x\"hunter2\"",
    "a/t?g.sasl.password=\"\\hunter2\"",
    // The '?' or the topic is missing.
    "a/t&g.sasl.password=hunter2",
    "a/t/g.sasl.password=hunter2",
    "a&g.sasl.password=hunter2/t",
    "a?g.sasl.password=hunter2",
    "g.sasl.password=hunter2",
    "SSL://user:hunter2@a:9092/t",
    // Brokers are written as the addresses of web pages are.
    "user:hunter2@a/t",
    "user:hunter2@a:9092/t",
    "a:1,user:hunter2@b/t",
    "hunter2@a:9092/t",
    "user:hunter2@[::1]:9092/t",
];

const OUTSIDE: Pretended<'_> = Pretended {
    files: &[
        ("/secret", b"hunter2\n"),
        ("/good.conf", b"sasl.username=me\nsasl.password=hunter2\n"),
        ("/typo.conf", b"sasl.pasword=hunter2\n"),
        ("/colon.conf", b"sasl.password: hunter2 = x\n"),
        ("/late.conf", b"sasl.password=hunter2\nlinger.ms=soon\n"),
    ],
    variables: &[("SECRET", "hunter2")],
};

#[test]
fn no_secret_is_shown_by_sockets_errors_warnings_or_configurations() {
    for text in SOCKETS {
        for text in [(*text).to_owned(), text.replacen('?', "?strict=0&", 1)] {
            let shown = all_that_is_shown_of(&text);
            assert!(!shown.contains(SECRET), "{text} shows {shown}");
            let shown = all_that_is_shown_of(&format!("[k1]{text}"));
            assert!(!shown.contains(SECRET), "[k1]{text} shows {shown}");
        }
    }
}

#[test]
fn what_is_no_secret_is_shown() {
    let socket = "a/t?g.linger.ms=5&t.acks=\"1\"&g.sasl.password=x&g.bogus=1&g.client.id=@env:ID";
    let properties = Socket::parse(socket).unwrap().properties;
    assert_eq!(
        format!("{properties:?}"),
        "[g.linger.ms=5, t.acks=1, g.sasl.password=[redacted], g.bogus=[redacted], \
         g.client.id=@env:ID]"
    );
}

fn all_that_is_shown_of(text: &str) -> String {
    let parsed = if text.starts_with("[k1]") {
        BrokerId::parse(text).map(|broker| broker.socket)
    } else {
        Socket::parse(text)
    };
    let mut shown = format!("{parsed:?}\n");
    let mut config = Config::default();
    let result = parsed.and_then(|socket| {
        for property in &socket.properties {
            shown += &format!("{property}\n");
        }
        socket.resolve(&OUTSIDE)?.configure(&mut config)
    });
    match result {
        Ok(warnings) => {
            for warning in warnings {
                shown += &format!("{warning}\n{warning:?}\n");
            }
        }
        Err(error) => shown += &format!("{error}\n{error:?}\n"),
    }
    shown += &format!("{config:?}\n");
    match config.finish() {
        Ok(finished) => shown + &format!("{finished:?}"),
        Err(error) => shown + &format!("{error}\n{error:?}"),
    }
}
