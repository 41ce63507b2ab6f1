//! The one table of properties.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use kafka_engine::log::Context;
use kafka_engine::settings::{Acks, AddressFamily, Partitioner, ReportMode, TopicCodec};
use kafka_wire::Codec;
use tracing::level_filters::LevelFilter;

use super::property::{
    Form, MAX, Property, Refusal, Refused, Scope, boolean, brokers, call, choice, exact_choice,
    flags, float, foreign, formed, integer, integer_or_word, patterns, text,
};

/// Every property that somebody may set, in the order of librdkafka's documentation: what concerns
/// the producer, what concerns a topic, what a producer ignores. Ours stand among those that they
/// resemble.
///
/// To implement a planned one, put `.implemented("effects::TEST", |to, value| ...)` in the place of
/// its `.planned(...)`.
pub static PROPERTIES: &[Property] = &[
    // The producer.
    flags(
        "builtin.features",
        &[
            "gzip",
            "snappy",
            "ssl",
            "sasl",
            "regex",
            "lz4",
            "sasl_gssapi",
            "sasl_plain",
            "sasl_scram",
            "plugins",
            "zstd",
            "sasl_oauthbearer",
            "http",
            "oidc",
        ],
        None,
        "gzip,snappy,lz4,zstd",
    )
    .refuses(&[
        Refusal {
            values: Refused::Words(&[
                "ssl",
                "sasl",
                "sasl_plain",
                "sasl_scram",
                "sasl_oauthbearer",
                "http",
                "oidc",
            ]),
            reason: "this build does not have it yet: TLS and SASL are to come",
            instead: "leave it out",
        },
        Refusal {
            values: Refused::Words(&["regex", "sasl_gssapi", "plugins"]),
            reason: "this build does not have it",
            instead: "leave it out",
        },
    ])
    .no_op("to set it is to ask for features, and what is lacking is refused")
    .doc("What this build can do, for programs that ask."),
    text("client.id", "rdkafka")
        .implemented("effects::client_id", |to, id| {
            to.global.client_id = id.to_owned()
        })
        .doc("How this producer names itself to brokers; quotas and request logs go by it."),
    text("client.software.name", "event-kafka")
        .hidden()
        .implemented("effects::client_software_name", |to, name| {
            to.global.client_software_name = name.to_owned();
        })
        .doc("The name of the client software that brokers are told (KIP-511)."),
    text("client.software.version", env!("CARGO_PKG_VERSION"))
        .hidden()
        .implemented("effects::client_software_version", |to, version| {
            to.global.client_software_version = version.to_owned();
        })
        .doc("The version of the client software that brokers are told (KIP-511)."),
    brokers("metadata.broker.list")
        .also(&["bootstrap.servers"])
        .high()
        .implemented("effects::metadata_broker_list", |to, list| {
            to.global.bootstrap = list.to_vec();
        })
        .doc(
            "Where to find the cluster first: host[:port], parted by commas; the port is 9092 \
             unless given. The cluster itself names its other brokers.",
        ),
    integer("message.max.bytes", 1_000..=1_000_000_000, "1000000")
        .medium()
        .implemented("effects::message_max_bytes", |to, bytes| {
            to.global.message_max_bytes = bytes as usize;
        })
        .doc("The largest record batch in bytes, and so the largest message."),
    integer("request.max.bytes", 1_000..=1_000_000_000, "8388608")
        .ours()
        .implemented("effects::request_max_bytes", |to, bytes| {
            to.global.request_max_bytes = bytes as usize;
        })
        .doc(
            "The largest Produce request in bytes, unless a single batch is larger. librdkafka \
             sends one batch in each request and has nothing like it.",
        ),
    integer("message.copy.max.bytes", 0..=1_000_000_000, "65535")
        .no_op("every message is encoded straight into its batch, whatever its size")
        .doc("Up to which size librdkafka copies a payload rather than refers to it."),
    integer("receive.message.max.bytes", 1_000..=MAX, "100000000")
        .medium()
        .implemented("effects::receive_message_max_bytes", |to, bytes| {
            to.global.sockets.max_answer = bytes as usize;
        })
        .doc(
            "The largest response in bytes; a larger one ends the connection before memory is \
             given to it.",
        ),
    integer(
        "max.in.flight.requests.per.connection",
        1..=1_000_000,
        "1000000",
    )
    .also(&["max.in.flight"])
    .implemented(
        "effects::max_in_flight_requests_per_connection",
        |to, requests| {
            to.global.max_in_flight = requests as usize;
        },
    )
    .doc(
        "Requests on the wire of one connection at most. With more than one, a retry can \
             change the order of messages.",
    ),
    choice(
        "metadata.recovery.strategy",
        &["none", "rebootstrap"],
        "rebootstrap",
    )
    .implemented("effects::metadata_recovery_strategy", |to, word| {
        to.global.rebootstrap = word == "rebootstrap";
    })
    .doc(
        "Whether a client that reaches none of the brokers it knows begins anew with \
             bootstrap.servers (KIP-899).",
    ),
    integer(
        "metadata.recovery.rebootstrap.trigger.ms",
        0..=MAX,
        "300000",
    )
    .implemented(
        "effects::metadata_recovery_rebootstrap_trigger_ms",
        |to, ms| {
            to.global.rebootstrap_trigger = millis(ms);
        },
    )
    .doc(
        "Forget the brokers that the cluster has named, and begin anew with bootstrap.servers, \
             when no metadata could be had for so many milliseconds (KIP-1102); less than 2000 \
             counts as that.",
    ),
    integer("metadata.request.timeout.ms", 10..=900_000, "10")
        .hidden()
        .no_op("librdkafka does not use it either")
        .doc("Nothing any more."),
    integer(
        "topic.metadata.refresh.interval.ms",
        -1..=3_600_000,
        "300000",
    )
    .implemented("effects::topic_metadata_refresh_interval_ms", |to, ms| {
        to.global.metadata_refresh_interval = unless_zero(ms);
    })
    .doc("Ask for metadata anew after so many milliseconds; 0 and -1: only on errors."),
    integer("metadata.max.age.ms", 1..=86_400_000, "900000")
        .implemented("effects::metadata_max_age_ms", |to, ms| {
            to.global.metadata_max_age = millis(ms);
        })
        .doc(
            "Forget what is known of a topic after so many milliseconds. Unless set: three times \
             topic.metadata.refresh.interval.ms.",
        ),
    integer("topic.metadata.refresh.fast.interval.ms", 1..=60_000, "100")
        .implemented(
            "effects::topic_metadata_refresh_fast_interval_ms",
            |to, ms| {
                to.global.metadata_fast_interval = millis(ms);
            },
        )
        .doc(
            "Milliseconds before metadata is asked for again while a topic or leader is unknown; \
             doubles up to retry.backoff.max.ms. Unless set: retry.backoff.ms.",
        ),
    integer("topic.metadata.refresh.fast.cnt", 0..=1_000, "10")
        .no_op("deprecated; librdkafka does not use it either")
        .doc("Nothing any more."),
    boolean("topic.metadata.refresh.sparse", "true")
        .implemented("effects::topic_metadata_refresh_sparse", |to, sparse| {
            to.global.metadata_sparse = sparse;
        })
        .doc(
            "Ask for the metadata of the topics in use only, rather than of all topics there \
             are.",
        ),
    integer("topic.metadata.propagation.max.ms", 0..=3_600_000, "30000")
        .implemented("effects::topic_metadata_propagation_max_ms", |to, ms| {
            to.global.topic_propagation_max = millis(ms);
        })
        .doc(
            "How many milliseconds a topic that the cluster does not know yet may take to \
             appear.",
        ),
    patterns("topic.blacklist")
        .no_op("a producer asks for no topics but those that it publishes to")
        .doc("Topics that are passed over in metadata, by name or ^pattern."),
    flags(
        "debug",
        &[
            "generic",
            "broker",
            "topic",
            "metadata",
            "feature",
            "queue",
            "msg",
            "protocol",
            "cgrp",
            "security",
            "fetch",
            "interceptor",
            "plugin",
            "consumer",
            "admin",
            "eos",
            "mock",
            "assignor",
            "conf",
            "telemetry",
            "all",
        ],
        Some("all"),
        "",
    )
    .medium()
    .implemented("effects::debug", |to, words| {
        let contexts = Context::ALL.into_iter();
        to.global.log.details = contexts.filter(|it| words.contains(it.name())).collect();
    })
    .doc(
        "What the log tells of in detail, whatever log_level is. For a producer: generic, broker, \
         topic, metadata, msg, eos, conf, and protocol for every request and answer.",
    ),
    integer("socket.timeout.ms", 10..=300_000, "60000")
        .implemented("effects::socket_timeout_ms", |to, ms| {
            to.global.request_timeout = millis(ms)
        })
        .doc("How many milliseconds a broker may take to answer a request."),
    integer("socket.blocking.max.ms", 1..=60_000, "1000")
        .no_op("deprecated; librdkafka does not use it either")
        .doc("Nothing any more."),
    integer("socket.send.buffer.bytes", 0..=100_000_000, "0")
        .implemented("effects::socket_send_buffer_bytes", |to, bytes| {
            to.global.sockets.send_buffer = (bytes > 0).then_some(bytes as u32);
        })
        .doc("The send buffer of a connection (SO_SNDBUF) in bytes; 0: as the system has it."),
    integer("socket.receive.buffer.bytes", 0..=100_000_000, "0")
        .implemented("effects::socket_receive_buffer_bytes", |to, bytes| {
            to.global.sockets.receive_buffer = (bytes > 0).then_some(bytes as u32);
        })
        .doc("The receive buffer of a connection (SO_RCVBUF) in bytes; 0: as the system has it."),
    boolean("socket.keepalive.enable", "false")
        .implemented("effects::socket_keepalive_enable", |to, on| {
            to.global.sockets.keepalive = on
        })
        .doc("Have the system probe idle connections (SO_KEEPALIVE)."),
    boolean("socket.nagle.disable", "true")
        .implemented("effects::socket_nagle_disable", |to, on| {
            to.global.sockets.nodelay = on
        })
        .doc("Send small packets at once (TCP_NODELAY)."),
    integer("socket.max.fails", 0..=1_000_000, "1")
        .implemented("effects::socket_max_fails", |to, requests| {
            to.global.max_fails = (requests > 0).then_some(requests as usize);
        })
        .doc(
            "With how many requests that got no answer within socket.timeout.ms a connection is \
             closed; before that, those alone are given up. 0: with none.",
        ),
    integer("broker.address.ttl", 0..=86_400_000, "1000")
        .implemented("effects::broker_address_ttl", |to, ms| {
            to.global.sockets.address_ttl = millis(ms);
        })
        .doc("How many milliseconds the addresses of a broker's name are remembered."),
    choice("broker.address.family", &["any", "v4", "v6"], "any")
        .implemented("effects::broker_address_family", |to, word| {
            to.global.sockets.family = match word {
                "v4" => AddressFamily::V4,
                "v6" => AddressFamily::V6,
                _ => AddressFamily::Any,
            };
        })
        .doc("Which addresses of a broker's name are tried: any, IPv4 or IPv6."),
    integer("socket.connection.setup.timeout.ms", 1_000..=MAX, "30000")
        .medium()
        .implemented("effects::socket_connection_setup_timeout_ms", |to, ms| {
            to.global.connection_setup_timeout = millis(ms);
        })
        .doc("How many milliseconds name resolution, TCP and the handshake may take together."),
    integer("connections.max.idle.ms", 0..=MAX, "0")
        .medium()
        .implemented("effects::connections_max_idle_ms", |to, ms| {
            to.global.connections_max_idle = unless_zero(ms);
        })
        .doc(
            "Close a connection after so many milliseconds without a request; 0: never. Unless \
             set: 230000 where bootstrap.servers names \"azure\", whose balancers drop idle \
             connections.",
        ),
    boolean("enable.sparse.connections", "true")
        .hidden()
        .medium()
        .implemented("effects::enable_sparse_connections", |to, sparse| {
            to.global.sparse_connections = sparse;
        })
        .doc("Connect only to the brokers that are needed."),
    integer("reconnect.backoff.jitter.ms", 0..=3_600_000, "0")
        .no_op("deprecated; reconnect.backoff.ms has its own jitter")
        .doc("Nothing any more."),
    integer("reconnect.backoff.ms", 0..=3_600_000, "100")
        .medium()
        .implemented("effects::reconnect_backoff_ms", |to, ms| {
            to.global.reconnect_backoff = millis(ms);
        })
        .doc(
            "Milliseconds before a lost broker is connected again; doubles up to \
             reconnect.backoff.max.ms, each time with a jitter of -25 % to +50 %.",
        ),
    integer("reconnect.backoff.max.ms", 0..=3_600_000, "10000")
        .medium()
        .implemented("effects::reconnect_backoff_max_ms", |to, ms| {
            to.global.reconnect_backoff_max = millis(ms);
        })
        .doc("The longest wait in milliseconds before a lost broker is connected again."),
    integer("statistics.interval.ms", 0..=86_400_000, "0")
        .high()
        .ignored_until(STATISTICS)
        .doc("Give out statistics every so many milliseconds; 0: never."),
    integer("enabled_events", 0..=MAX, "0")
        .no_op("reports and log lines wait in any case until a C program polls them")
        .doc("Which events a program takes from the queue, as a bit mask."),
    call("error_cb", None).doc("Is called with errors of the client."),
    call("throttle_cb", None).doc("Is called when a broker throttles the client."),
    call("stats_cb", None).doc("Is called with statistics every statistics.interval.ms."),
    call(
        "log_cb",
        Some("a subscriber of the crate tracing, whose events all logs are"),
    )
    .doc("Is called with lines of the log."),
    integer("log_level", 0..=7, "6")
        .implemented("effects::log_level", |to, level| {
            to.global.log.level = match level {
                ..3 => LevelFilter::OFF,
                3 => LevelFilter::ERROR,
                4 => LevelFilter::WARN,
                5 | 6 => LevelFilter::INFO,
                _ => LevelFilter::DEBUG,
            };
        })
        .doc(
            "How much is logged at most, as syslog counts: 3 errors, 4 warnings, 5 and 6 what \
             happens, 7 details.",
        ),
    boolean("log.queue", "false")
        .no_op(
            "a C program polls log lines in any case, and others get them from the crate tracing",
        )
        .doc("Hand log lines to the program as events."),
    boolean("log.thread.name", "true")
        .no_op("whoever writes the log down knows the thread: it is called event-kafka")
        .doc("Name the thread in log lines."),
    boolean("enable.random.seed", "true")
        .no_op("random numbers are seeded by the operating system")
        .doc("Seed the C library's random numbers."),
    boolean("log.connection.close", "true")
        .implemented("effects::log_connection_close", |to, on| {
            to.global.log.connection_close = on;
        })
        .doc(
            "Log connections that a broker closes. Those that were idle for long are a detail in \
             any case.",
        ),
    call("background_event_cb", None).doc("Is called with events on a thread of its own."),
    call("socket_cb", None).doc("Makes sockets in the library's place."),
    call("connect_cb", None).doc("Connects sockets in the library's place."),
    call("closesocket_cb", None).doc("Closes sockets in the library's place."),
    call("open_cb", None)
        .rejected("files are closed on exec as it is", "leave it out")
        .doc("Opens files in the library's place."),
    call("resolve_cb", None).doc("Resolves names in the library's place."),
    call("opaque", Some("Record::opaque, for each message"))
        .doc("A pointer that callbacks are given."),
    call(
        "default_topic_conf",
        Some("Config::set, which takes the properties of topics, too"),
    )
    .doc("The properties of topics that have none of their own."),
    integer("internal.termination.signal", 0..=128, "0")
        .no_op("no thread has to be woken by a signal")
        .doc("The signal by which librdkafka ends its threads sooner."),
    boolean("api.version.request", "true")
        .high()
        .no_op("brokers are always asked; those before 0.10 are not served")
        .doc("Ask brokers which versions of requests they speak."),
    integer("api.version.request.timeout.ms", 1..=300_000, "10000")
        .implemented("effects::api_version_request_timeout_ms", |to, ms| {
            to.global.api_version_timeout = millis(ms);
        })
        .doc("How many milliseconds a broker may take to say which versions it speaks."),
    integer("api.version.fallback.ms", 0..=604_800_000, "0")
        .medium()
        .no_op("deprecated; brokers are always asked which versions they speak")
        .doc("How long librdkafka takes an answer from broker.version.fallback."),
    formed("broker.version.fallback", Form::BrokerVersion, "0.10.0")
        .medium()
        .no_op("deprecated; brokers are always asked which versions they speak")
        .doc("The version that a broker is taken for which does not say."),
    boolean("allow.auto.create.topics", "true")
        .implemented("effects::allow_auto_create_topics", |to, allow| {
            to.global.allow_auto_create = allow;
        })
        .doc("Let the brokers create a topic that is published to, if they are set up for it."),
    choice(
        "security.protocol",
        &["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"],
        "plaintext",
    )
    .high()
    .planned("TLS and SASL")
    .doc("How connections are secured: not at all, by TLS, by SASL, or by both."),
    text("ssl.cipher.suites", "")
        .planned(TLS)
        .doc("The cipher suites that TLS may use, parted by colons; nothing: all good ones."),
    text("ssl.curves.list", "").planned(TLS).doc(
        "The groups of key exchange that TLS may use, parted by colons; nothing: all good \
             ones.",
    ),
    text("ssl.sigalgs.list", "")
        .rejected(
            "the TLS library fixes the signature algorithms that it verifies",
            "leave it out",
        )
        .doc("The signature algorithms of certificates."),
    text("ssl.key.location", "")
        .sensitive()
        .planned(TLS)
        .doc("The file of the client's private key (PEM)."),
    text("ssl.key.password", "")
        .sensitive()
        .planned(TLS)
        .doc("The passphrase of the client's private key."),
    text("ssl.key.pem", "")
        .sensitive()
        .planned(TLS)
        .doc("The client's private key itself (PEM)."),
    call("ssl_key", None).doc("The client's private key, from memory."),
    text("ssl.certificate.location", "")
        .planned(TLS)
        .doc("The file of the client's certificate and those that vouch for it (PEM)."),
    text("ssl.certificate.pem", "")
        .planned(TLS)
        .doc("The client's certificate itself (PEM)."),
    call("ssl_certificate", None).doc("The client's certificate, from memory."),
    text("ssl.ca.location", "").planned(TLS).doc(
        "The file or directory of the certificates that vouch for brokers (PEM); probe or \
             nothing: those of the system.",
    ),
    text("https.ca.location", "").planned(OIDC).doc(
        "The file or directory of the certificates that vouch for the token endpoint (PEM); \
             probe or nothing: those of the system.",
    ),
    text("https.ca.pem", "")
        .planned(OIDC)
        .doc("The certificates that vouch for the token endpoint, themselves (PEM)."),
    text("ssl.ca.pem", "")
        .sensitive()
        .planned(TLS)
        .doc("The certificates that vouch for brokers, themselves (PEM)."),
    call("ssl_ca", None).doc("The certificates that vouch for brokers, from memory."),
    text("ssl.ca.certificate.stores", "Root")
        .rejected(
            "only Windows has such stores",
            "name the certificates in ssl.ca.location",
        )
        .doc("The certificate stores of Windows that vouch for brokers."),
    text("ssl.crl.location", "")
        .planned(TLS)
        .doc("The file of revoked certificates (PEM)."),
    text("ssl.keystore.location", "")
        .planned(TLS)
        .doc("The file of the client's key and certificate together (PKCS#12)."),
    text("ssl.keystore.password", "")
        .sensitive()
        .planned(TLS)
        .doc("The password of ssl.keystore.location."),
    text("ssl.providers", "")
        .rejected(
            "there is no OpenSSL here that could load providers",
            "leave it out",
        )
        .doc("Providers that OpenSSL 3 loads."),
    text("ssl.engine.location", "")
        .rejected(
            "there is no OpenSSL here that could load an engine",
            "leave it out",
        )
        .doc("The library of an OpenSSL engine."),
    text("ssl.engine.id", "dynamic")
        .rejected(
            "there is no OpenSSL here that could load an engine",
            "leave it out",
        )
        .doc("Which OpenSSL engine is used."),
    call("ssl_engine_callback_data", None)
        .rejected(
            "there is no OpenSSL here that could have an engine",
            "leave it out",
        )
        .doc("What the OpenSSL engine is given."),
    boolean("enable.ssl.certificate.verification", "true")
        .planned(TLS)
        .doc("Verify the certificates of brokers. Without that, anybody can be the broker."),
    choice(
        "ssl.endpoint.identification.algorithm",
        &["none", "https"],
        "https",
    )
    .planned_but(TLS, &["none"])
    .doc("Whether a broker's certificate has to name the host that was connected to."),
    call("ssl.certificate.verify_cb", None)
        .doc("Verifies the certificates of brokers in the library's place."),
    formed("sasl.mechanisms", Form::Word, "GSSAPI")
        .also(&["sasl.mechanism"])
        .high()
        .planned(SASL)
        .doc(
            "How the client says who it is: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER. \
             The default is librdkafka's, and there is no Kerberos here: with SASL, give another.",
        ),
    text("sasl.kerberos.service.name", "kafka")
        .rejected(NO_KERBEROS, OTHER_SASL)
        .doc("The Kerberos name of the brokers."),
    text("sasl.kerberos.principal", "kafkaclient")
        .rejected(NO_KERBEROS, OTHER_SASL)
        .doc("The Kerberos name of the client."),
    text(
        "sasl.kerberos.kinit.cmd",
        "kinit -R -t \"%{sasl.kerberos.keytab}\" -k %{sasl.kerberos.principal} || kinit -t \
         \"%{sasl.kerberos.keytab}\" -k %{sasl.kerberos.principal}",
    )
    .rejected(NO_KERBEROS, OTHER_SASL)
    .doc("The command that renews the Kerberos ticket. Nothing here ever runs a command."),
    text("sasl.kerberos.keytab", "")
        .rejected(NO_KERBEROS, OTHER_SASL)
        .doc("The file of the Kerberos keys."),
    integer(
        "sasl.kerberos.min.time.before.relogin",
        0..=86_400_000,
        "60000",
    )
    .rejected(NO_KERBEROS, OTHER_SASL)
    .doc("Milliseconds between two renewals of the Kerberos ticket at least."),
    text("sasl.username", "")
        .high()
        .sensitive()
        .planned(SASL)
        .doc("The name for PLAIN and SCRAM."),
    text("sasl.password", "")
        .high()
        .sensitive()
        .planned(SASL)
        .doc("The password for PLAIN and SCRAM."),
    text("sasl.oauthbearer.config", "")
        .sensitive()
        .planned(OAUTH)
        .doc("What an unsecured token says, or the query for a cloud's token service."),
    boolean("enable.sasl.oauthbearer.unsecure.jwt", "false")
        .planned(OAUTH)
        .doc("Make tokens that nobody signed. For tests only."),
    call("oauthbearer_token_refresh_cb", None).doc("Is called when a new token is needed."),
    choice("sasl.oauthbearer.method", &["default", "oidc"], "default")
        .planned(OIDC)
        .doc("Where tokens come from: the program, or a token endpoint (OpenID Connect)."),
    text("sasl.oauthbearer.client.id", "")
        .also(&["sasl.oauthbearer.client.credentials.client.id"])
        .planned(OIDC)
        .doc("Who the client is to the token endpoint."),
    text("sasl.oauthbearer.client.secret", "")
        .also(&["sasl.oauthbearer.client.credentials.client.secret"])
        .sensitive()
        .planned(OIDC)
        .doc("The client's secret for the token endpoint."),
    text("sasl.oauthbearer.scope", "")
        .planned(OIDC)
        .doc("What the client asks the token endpoint to be allowed."),
    text("sasl.oauthbearer.extensions", "")
        .planned(OIDC)
        .doc("What the broker is told besides the token: key=value, parted by commas."),
    text("sasl.oauthbearer.token.endpoint.url", "")
        .planned(OIDC)
        .doc("The URL of the token endpoint."),
    text("sasl.oauthbearer.sub.claim.name", "sub")
        .planned(OIDC)
        .doc("The claim of the token that names the client."),
    choice(
        "sasl.oauthbearer.grant.type",
        &[
            "client_credentials",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
        ],
        "client_credentials",
    )
    .planned(OIDC)
    .doc(
        "How the client shows the token endpoint who it is: by a secret or by a signed \
         assertion (KIP-1139).",
    ),
    choice(
        "sasl.oauthbearer.assertion.algorithm",
        &["RS256", "ES256"],
        "RS256",
    )
    .planned(OIDC)
    .doc("How the assertion is signed."),
    text("sasl.oauthbearer.assertion.private.key.file", "")
        .sensitive()
        .planned(OIDC)
        .doc("The file of the key that signs the assertion (PEM)."),
    text("sasl.oauthbearer.assertion.private.key.passphrase", "")
        .sensitive()
        .planned(OIDC)
        .doc("The passphrase of the key that signs the assertion."),
    text("sasl.oauthbearer.assertion.private.key.pem", "")
        .sensitive()
        .planned(OIDC)
        .doc("The key that signs the assertion, itself (PEM)."),
    text("sasl.oauthbearer.assertion.file", "")
        .planned(OIDC)
        .doc("The file of an assertion that is signed already."),
    text("sasl.oauthbearer.assertion.claim.aud", "")
        .planned(OIDC)
        .doc("Whom the assertion is for (claim aud)."),
    integer(
        "sasl.oauthbearer.assertion.claim.exp.seconds",
        1..=MAX,
        "300",
    )
    .planned(OIDC)
    .doc("How many seconds the assertion is valid (claim exp)."),
    text("sasl.oauthbearer.assertion.claim.iss", "")
        .planned(OIDC)
        .doc("Who made the assertion (claim iss)."),
    boolean("sasl.oauthbearer.assertion.claim.jti.include", "false")
        .planned(OIDC)
        .doc("Give every assertion an identity of its own (claim jti)."),
    integer(
        "sasl.oauthbearer.assertion.claim.nbf.seconds",
        0..=MAX,
        "60",
    )
    .planned(OIDC)
    .doc("How many seconds before it was made the assertion is valid (claim nbf)."),
    text("sasl.oauthbearer.assertion.claim.sub", "")
        .planned(OIDC)
        .doc("Whom the assertion is about (claim sub)."),
    text("sasl.oauthbearer.assertion.jwt.template.file", "")
        .planned(OIDC)
        .doc("The file of a template with more that the assertion says."),
    choice(
        "sasl.oauthbearer.metadata.authentication.type",
        &["none", "azure_imds", "aws_iam"],
        "none",
    )
    .planned(OIDC)
    .doc("The service of a cloud that gives tokens to its machines."),
    text("plugin.library.paths", "")
        .rejected(
            "a static program loads no libraries",
            "leave it out, and do without what the plugin does",
        )
        .doc("Libraries that are loaded as plugins."),
    call("interceptors", None).doc("Functions that see messages on their way."),
    integer("test.mock.num.brokers", 0..=10_000, "0")
        .hidden()
        .rejected(
            "a producer brings no brokers along",
            "start `event-kafka broker` and set bootstrap.servers to its address",
        )
        .doc("How many brokers librdkafka simulates instead of connecting to any."),
    integer("test.mock.broker.rtt", 0..=3_600_000, "0")
        .hidden()
        .rejected(
            "a producer brings no brokers along",
            "start `event-kafka broker` and set bootstrap.servers to its address",
        )
        .doc("Milliseconds that librdkafka's simulated brokers take to answer."),
    call("ut_handle_ProduceResponse", None)
        .hidden()
        .rejected("only librdkafka's own tests use it", "leave it out")
        .doc("A hook of librdkafka's own tests."),
    formed("client.rack", Form::Verbatim, "")
        .no_op("brokers use it for consumers only")
        .doc("Where the client stands, so that it may read from a broker nearby."),
    text("transactional.id", "")
        .high()
        .planned(TRANSACTIONS)
        .doc("Who the producer is across restarts; makes transactions possible."),
    integer("transaction.timeout.ms", 1_000..=MAX, "60000")
        .medium()
        .planned(TRANSACTIONS)
        .doc("After how many milliseconds the broker aborts a transaction that was left open."),
    boolean("enable.idempotence", "false")
        .high()
        .implemented("effects::enable_idempotence", |to, yes| {
            to.global.idempotence = yes;
        })
        .doc(
            "Write every message exactly once and in order, whatever is sent again. Needs acks=all \
             and retries of at least 1; at most 5 requests are on the wire of a connection.",
        ),
    boolean("enable.gapless.guarantee", "false")
        .implemented("effects::enable_gapless_guarantee", |to, yes| {
            to.global.gapless = yes;
        })
        .doc(
            "End the producer when a message fails for another reason than its time-out, rather \
             than write what follows it. Needs enable.idempotence.",
        ),
    boolean("enable_sasl_queue", "false")
        .hidden()
        .planned(OAUTH)
        .doc("Serve SASL callbacks from a queue of their own."),
    integer("queue.buffering.max.messages", 0..=MAX, "100000")
        .high()
        .implemented("effects::queue_buffering_max_messages", |to, count| {
            to.global.queue_max_messages = (count > 0).then_some(count as usize);
        })
        .doc("Messages held at most, from publishing until the report was taken; 0: no limit."),
    integer("queue.buffering.max.kbytes", 1..=MAX, "1048576")
        .high()
        .implemented("effects::queue_buffering_max_kbytes", |to, kib| {
            to.global.queue_max_bytes = (kib as usize).saturating_mul(1024);
        })
        .doc("Memory held for messages at most, in KiB; keys, headers and framing count."),
    float("queue.buffering.max.ms", 0.0..=900_000.0, "5")
        .also(&["linger.ms"])
        .high()
        .implemented("effects::queue_buffering_max_ms", |to, ms| {
            to.global.linger = Duration::from_secs_f64(ms / 1e3);
        })
        .doc("How many milliseconds a batch may wait for more messages; fractions are allowed."),
    integer("message.send.max.retries", 0..=MAX, "2147483647")
        .also(&["retries"])
        .high()
        .implemented("effects::message_send_max_retries", |to, count| {
            to.global.max_retries = count as u32;
        })
        .doc("How often a failed batch is sent again, within message.timeout.ms."),
    integer("retry.backoff.ms", 1..=300_000, "100")
        .medium()
        .implemented("effects::retry_backoff_ms", |to, ms| {
            to.global.retry_backoff = millis(ms)
        })
        .doc(
            "Milliseconds before a failed request is sent again; doubles up to \
             retry.backoff.max.ms.",
        ),
    integer("retry.backoff.max.ms", 1..=300_000, "1000")
        .medium()
        .implemented("effects::retry_backoff_max_ms", |to, ms| {
            to.global.retry_backoff_max = millis(ms);
        })
        .doc("The longest wait in milliseconds before a failed request is sent again."),
    integer("queue.buffering.backpressure.threshold", 1..=1_000_000, "1")
        .implemented(
            "effects::queue_buffering_backpressure_threshold",
            |to, requests| {
                to.global.backpressure_threshold = requests as usize;
            },
        )
        .doc(
            "Requests waiting for a broker that reads slowly from which on batches stay open \
             for more messages.",
        ),
    choice(
        "compression.codec",
        &["none", "gzip", "snappy", "lz4", "zstd"],
        "none",
    )
    .also(&["compression.type"])
    .medium()
    .implemented("effects::compression_codec", |to, word| {
        to.global.codec = codec(word);
    })
    .doc("How batches are compressed, for topics that do not say it themselves."),
    integer("compression.threads", 1..=64, "1")
        .ours()
        .implemented("effects::compression_threads", |to, count| {
            to.global.compression_threads = count as usize;
        })
        .doc(
            "Threads that compress batches, started with the first one. librdkafka compresses on \
             the thread of each broker.",
        ),
    integer("batch.num.messages", 1..=1_000_000, "10000")
        .medium()
        .implemented("effects::batch_num_messages", |to, count| {
            to.global.batch_messages = count as usize;
        })
        .doc("Messages after which a batch is full."),
    integer("batch.size", 1..=MAX, "1000000")
        .medium()
        .implemented("effects::batch_size", |to, bytes| {
            to.global.batch_bytes = bytes as usize
        })
        .doc("Bytes after which a batch is full; a single larger message still gets a batch."),
    boolean("delivery.report.only.error", "false")
        .implemented("effects::delivery_report_only_error", |to, only_errors| {
            to.global.reports = if only_errors {
                ReportMode::Errors
            } else {
                ReportMode::All
            };
        })
        .doc("Report failures only."),
    call("dr_cb", Some("Producer::reports")).doc("Is called with what became of a message."),
    call("dr_msg_cb", Some("Producer::reports")).doc("Is called with what became of a message."),
    integer("sticky.partitioning.linger.ms", 0..=900_000, "10")
        .implemented("effects::sticky_partitioning_linger_ms", |to, ms| {
            to.global.sticky_linger = millis(ms);
        })
        .doc(
            "How many milliseconds a partition keeps the messages without a key before another one \
             is drawn; 0: one is drawn for every message. Unless set: twice linger.ms, at most \
             900000.",
        ),
    choice(
        "client.dns.lookup",
        &[
            "use_all_dns_ips",
            "resolve_canonical_bootstrap_servers_only",
        ],
        "use_all_dns_ips",
    )
    .implemented("effects::client_dns_lookup", |to, word| {
        to.global.sockets.canonical_bootstrap = word != "use_all_dns_ips";
    })
    .doc(
        "Whether a broker's name stands for all of its addresses, or each name in \
         bootstrap.servers for the canonical names of its addresses (as reverse look-up has \
         them), and they for theirs.",
    ),
    boolean("enable.metrics.push", "true")
        .ignored_until("client telemetry (KIP-714)")
        .doc("Send measurements to brokers that ask for them."),
    foreign(
        "ssl.truststore.location",
        "Java's trust stores cannot be read here",
        "export the certificates as PEM and name the file in ssl.ca.location",
    )
    .doc("The trust store of Java's client."),
    foreign(
        "sasl.jaas.config",
        "Java's JAAS cannot be configured here",
        "set sasl.mechanism, sasl.username and sasl.password",
    )
    .doc("The login module of Java's client."),
    // A topic.
    integer_or_word("request.required.acks", -1..=1_000, &[("all", -1)], "-1")
        .of_topic()
        .also(&["acks"])
        .high()
        .refuses(&[Refusal {
            values: Refused::Above(1),
            reason: "every broker since 0.9 answers such a number with an error",
            instead: "give 0, 1 or all, and the number as min.insync.replicas of the topic",
        }])
        .implemented("effects::request_required_acks", |to, number| {
            to.topic.acks = match number {
                0 => Acks::None,
                1 => Acks::Leader,
                _ => Acks::All,
            }
        })
        .doc(
            "Whose acknowledgement makes a message delivered: 0 nobody's, 1 the leader's, -1 or \
             all that of all in-sync replicas.",
        ),
    integer("request.timeout.ms", 1..=900_000, "30000")
        .of_topic()
        .medium()
        .implemented("effects::request_timeout_ms", |to, ms| {
            to.topic.request_timeout = millis(ms)
        })
        .doc(
            "How many milliseconds the leader may wait for its followers before it answers with an \
             error.",
        ),
    integer("message.timeout.ms", 0..=MAX, "300000")
        .of_topic()
        .also(&["delivery.timeout.ms"])
        .high()
        .implemented("effects::message_timeout_ms", |to, ms| {
            to.topic.message_timeout = unless_zero(ms);
        })
        .doc("How many milliseconds a message may take in all before it has failed; 0: for ever."),
    choice("queuing.strategy", &["fifo", "lifo"], "fifo")
        .of_topic()
        .rejected(
            "the messages of a partition keep their order here",
            "leave it at fifo",
        )
        .doc("Which of the waiting messages goes first: the oldest (fifo)."),
    boolean("produce.offset.report", "false")
        .of_topic()
        .no_op("deprecated; reports always carry the offset")
        .doc("Nothing any more."),
    exact_choice(
        "partitioner",
        &[
            "random",
            "consistent",
            "consistent_random",
            "murmur2",
            "murmur2_random",
            "fnv1a",
            "fnv1a_random",
            "uniform_sticky",
        ],
        "consistent_random",
    )
    .of_topic()
    .high()
    .implemented("effects::partitioner", |to, word| {
        to.topic.partitioner = match word {
            "random" => Partitioner::Random,
            "consistent" => Partitioner::Consistent,
            "murmur2" => Partitioner::Murmur2,
            "murmur2_random" => Partitioner::Murmur2Random,
            "fnv1a" => Partitioner::Fnv1a,
            "fnv1a_random" => Partitioner::Fnv1aRandom,
            "uniform_sticky" => Partitioner::UniformSticky,
            _ => Partitioner::ConsistentRandom,
        };
    })
    .doc(
        "How a partition is chosen for a message that names none: by a hash of the key \
         (consistent: CRC-32, murmur2: that of Java's client, fnv1a: that of Sarama) or at random. \
         With _random, messages without a key stick to a random partition for \
         sticky.partitioning.linger.ms. With uniform_sticky, which librdkafka does not know, keys go as \
         with murmur2_random; messages without one stick to a partition for batch.size bytes, and then \
         go to another, which is drawn the less often the more waits there (KIP-794).",
    ),
    call(
        "partitioner_cb",
        Some("Record::partition, for each message"),
    )
    .of_topic()
    .doc("Is called to choose a partition."),
    call("msg_order_cmp", None)
        .of_topic()
        .rejected(
            "deprecated; the messages of a partition keep their order here",
            "leave it out",
        )
        .doc("Compares messages to order the queue."),
    call("opaque", Some("Record::opaque, for each message"))
        .of_topic()
        .doc("A pointer that callbacks are given."),
    choice(
        "compression.codec",
        &["none", "gzip", "snappy", "lz4", "zstd", "inherit"],
        "inherit",
    )
    .of_topic()
    .also(&["compression.type"])
    .high()
    .implemented("effects::compression_codec", |to, word| {
        to.topic.codec = match word {
            "inherit" => TopicCodec::Inherit,
            word => TopicCodec::Own(codec(word)),
        };
    })
    .doc("How batches of the topic are compressed; inherit: as the producer says."),
    integer("compression.level", -1..=12, "-1")
        .of_topic()
        .medium()
        .implemented("effects::compression_level", |to, level| {
            to.topic.compression_level = (level >= 0).then_some(level as i32);
        })
        .doc(
            "How hard the codec tries; -1: as is usual for it. Here gzip has 0 to 9, zstd 1 to 4 \
             (1 is usual), snappy and lz4 only 0; a level that is lacking counts as the nearest, \
             with a warning.",
        ),
    // What a producer ignores.
    text("group.id", "")
        .high()
        .consumer()
        .doc("The group of a consumer."),
    text("group.instance.id", "")
        .medium()
        .consumer()
        .doc("Who a consumer is in its group across restarts."),
    text("partition.assignment.strategy", "range,roundrobin")
        .medium()
        .consumer()
        .doc("How partitions are shared out in a group."),
    integer("session.timeout.ms", 1..=3_600_000, "45000")
        .high()
        .consumer()
        .doc("After how many milliseconds of silence a consumer has left its group."),
    integer("heartbeat.interval.ms", 1..=3_600_000, "3000")
        .consumer()
        .doc("Milliseconds between two signs of life of a consumer."),
    formed("group.protocol.type", Form::Verbatim, "consumer")
        .consumer()
        .doc("The kind of group that is joined."),
    choice("group.protocol", &["classic", "consumer"], "classic")
        .high()
        .consumer()
        .doc("How a group is coordinated: among its members or by the broker (KIP-848)."),
    text("group.remote.assignor", "")
        .medium()
        .consumer()
        .doc("How the broker shares out partitions in a group."),
    integer("coordinator.query.interval.ms", 1..=3_600_000, "600000")
        .consumer()
        .doc("Milliseconds between two questions for the coordinator of a group."),
    integer("max.poll.interval.ms", 1..=86_400_000, "300000")
        .high()
        .consumer()
        .doc("Milliseconds between two polls of a consumer at most."),
    boolean("enable.auto.commit", "true")
        .high()
        .consumer()
        .doc("Commit the offsets of a consumer now and then."),
    integer("auto.commit.interval.ms", 0..=86_400_000, "5000")
        .medium()
        .consumer()
        .doc("Milliseconds between two commits of a consumer's offsets."),
    boolean("enable.auto.offset.store", "true")
        .high()
        .consumer()
        .doc("Take note of the offset of every message that is given to the program."),
    integer("queued.min.messages", 1..=10_000_000, "100000")
        .medium()
        .consumer()
        .doc("Messages that a consumer keeps ready at least."),
    integer("queued.max.messages.kbytes", 1..=2_097_151, "65536")
        .medium()
        .consumer()
        .doc("Memory for the messages that a consumer keeps ready, in KiB."),
    integer("fetch.wait.max.ms", 0..=300_000, "500")
        .consumer()
        .doc("Milliseconds that a broker waits for fetch.min.bytes."),
    integer("fetch.queue.backoff.ms", 0..=300_000, "1000")
        .medium()
        .consumer()
        .doc("Milliseconds before a consumer fetches again whose queue is full."),
    integer("fetch.message.max.bytes", 1..=1_000_000_000, "1048576")
        .also(&["max.partition.fetch.bytes"])
        .medium()
        .consumer()
        .doc("Bytes of one partition in a fetch at most."),
    integer("fetch.max.bytes", 0..=2_147_483_135, "52428800")
        .medium()
        .consumer()
        .doc("Bytes in a fetch at most."),
    integer("fetch.min.bytes", 0..=MAX, "1")
        .consumer()
        .doc("Bytes in a fetch at least."),
    integer("fetch.error.backoff.ms", 0..=300_000, "500")
        .medium()
        .consumer()
        .doc("Milliseconds before a consumer fetches again after an error."),
    choice("offset.store.method", &["none", "file", "broker"], "broker")
        .consumer()
        .doc("Where a consumer's offsets are kept."),
    choice(
        "isolation.level",
        &["read_uncommitted", "read_committed"],
        "read_committed",
    )
    .high()
    .consumer()
    .doc("Whether a consumer sees messages of open and aborted transactions."),
    call("consume_cb", None)
        .consumer()
        .doc("Is called with messages of a consumer."),
    call("rebalance_cb", None)
        .consumer()
        .doc("Is called when partitions are shared out anew."),
    call("offset_commit_cb", None)
        .consumer()
        .doc("Is called when offsets were committed."),
    boolean("enable.partition.eof", "false")
        .consumer()
        .doc("Tell a consumer when it has reached the end of a partition."),
    boolean("check.crcs", "false")
        .medium()
        .consumer()
        .doc("Verify the checksums of messages that are consumed."),
    integer("max.poll.records", 1..=MAX, "500")
        .consumer()
        .doc("Messages that one poll of a share consumer gives at most."),
    text("share.acknowledgement.mode", "implicit")
        .medium()
        .consumer()
        .doc("How a share consumer acknowledges messages."),
    boolean("auto.commit.enable", "true")
        .of_topic()
        .also(&["enable.auto.commit"])
        .consumer()
        .doc("Commit the offsets of the old consumer now and then; deprecated."),
    integer("auto.commit.interval.ms", 10..=86_400_000, "60000")
        .of_topic()
        .high()
        .consumer()
        .doc("Milliseconds between two commits of the old consumer's offsets."),
    choice(
        "auto.offset.reset",
        &[
            "smallest",
            "earliest",
            "beginning",
            "largest",
            "latest",
            "end",
            "error",
        ],
        "largest",
    )
    .of_topic()
    .high()
    .consumer()
    .doc("Where a consumer begins that has no offset yet."),
    text("offset.store.path", ".")
        .of_topic()
        .consumer()
        .doc("The file of the old consumer's offsets; deprecated."),
    integer("offset.store.sync.interval.ms", -1..=86_400_000, "-1")
        .of_topic()
        .consumer()
        .doc("Milliseconds between two syncs of the file of offsets; deprecated."),
    choice("offset.store.method", &["file", "broker"], "broker")
        .of_topic()
        .consumer()
        .doc("Where the old consumer's offsets are kept; deprecated."),
    integer("consume.callback.max.messages", 0..=1_000_000, "0")
        .of_topic()
        .consumer()
        .doc("Messages that one call of consume_cb round takes at most; 0: no limit."),
];

const OAUTH: &str = "SASL/OAUTHBEARER";
const OIDC: &str = "SASL/OAUTHBEARER with OpenID Connect";
const SASL: &str = "SASL";
const STATISTICS: &str = "statistics";
const TLS: &str = "TLS";
const TRANSACTIONS: &str = "transactions";

const NO_KERBEROS: &str = "there is no Kerberos here";
const OTHER_SASL: &str = "set sasl.mechanism to SCRAM-SHA-512, PLAIN or OAUTHBEARER";

fn millis(ms: i64) -> Duration {
    Duration::from_millis(ms.unsigned_abs())
}

fn unless_zero(ms: i64) -> Option<Duration> {
    (ms > 0).then(|| millis(ms))
}

/// The codec that is called so, in any case; `none` is none.
fn codec(name: &str) -> Option<Codec> {
    Codec::ALL.into_iter().find(|codec| codec.name() == name)
}

/// The place of a property in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id(usize);

impl Id {
    pub(super) fn property(self) -> &'static Property {
        &PROPERTIES[self.0]
    }
}

/// The property that is called `name`, or has it for an alias, in that scope. Case counts.
pub(super) fn find(scope: Scope, name: &str) -> Option<Id> {
    static NAMES: LazyLock<HashMap<(Scope, &str), Id>> = LazyLock::new(|| {
        let rows = PROPERTIES.iter().enumerate();
        rows.flat_map(|(index, p)| p.names().map(move |name| ((p.scope, name), Id(index))))
            .collect()
    });
    NAMES.get(&(scope, name)).copied()
}

/// The property that somebody who sets it in that scope means. Those of topics may have `topic.`
/// before their name, and may be set for the producer, too.
pub(super) fn find_written(scope: Scope, name: &str) -> Option<Id> {
    let of_topic = || find(Scope::Topic, name.strip_prefix("topic.").unwrap_or(name));
    match scope {
        Scope::Global => find(Scope::Global, name).or_else(of_topic),
        Scope::Topic => of_topic(),
    }
}

/// What there is to know of the property that somebody means.
pub(crate) fn lookup(scope: Scope, name: &str) -> Option<&'static Property> {
    find_written(scope, name).map(Id::property)
}

/// The known name most like `name`, if one is like it at all.
pub fn suggest(name: &str) -> Option<&'static str> {
    PROPERTIES
        .iter()
        .flat_map(Property::names)
        .filter(|known| is_of_like_length(name, known))
        .map(|known| (strsim::normalized_damerau_levenshtein(name, known), known))
        .filter(|(likeness, _)| *likeness > LIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// Whether the names can be alike at all. To compare them takes as long as their lengths
/// multiplied, and an unknown name may be as long as somebody likes.
fn is_of_like_length(name: &str, known: &str) -> bool {
    let (name, known) = (name.chars().count() as f64, known.chars().count() as f64);
    name.min(known) > LIKE * name.max(known)
}

/// From 0, nothing in common, to 1, equal.
const LIKE: f64 = 0.7;

#[cfg(test)]
mod tests {
    use super::super::property::{Handling, Kind, Origin, Targets, UntilThen};
    use super::super::value;
    use super::super::{Config, Problem};
    use super::*;

    fn applied(property: &Property, text: &str) -> Targets {
        let mut targets = Targets::default();
        let value = property.accept(text, None).unwrap();
        property.apply(&mut targets, &value);
        targets
    }

    fn implemented() -> impl Iterator<Item = &'static Property> {
        let is = |p: &&Property| matches!(p.handling, Handling::Implemented { .. });
        PROPERTIES.iter().filter(is)
    }

    /// Values that differ, as far apart as they can.
    fn extremes(property: &Property) -> [String; 2] {
        match property.kind {
            Kind::Integer { low, high, .. } => {
                let highest_of = |refusal: &Refusal| match refusal.values {
                    Refused::Above(limit) => Some(limit),
                    Refused::Words(_) => None,
                };
                let high = property
                    .refusals
                    .iter()
                    .find_map(highest_of)
                    .unwrap_or(high);
                [low.to_string(), high.to_string()]
            }
            Kind::Float { low, high } => [low.to_string(), high.to_string()],
            Kind::Boolean => ["false".into(), "true".into()],
            Kind::Choice { words, .. } => {
                let accepted = |word: &&&str| property.accept(word, None).is_ok();
                let mut taken = words.iter().filter(accepted);
                let first = taken.next().unwrap();
                [
                    (*first).into(),
                    (*taken.next_back().unwrap_or(first)).into(),
                ]
            }
            Kind::Flags { words, .. } => [words[0].into(), words[words.len() - 1].into()],
            _ => ["x".into(), "y".into()],
        }
    }

    #[test]
    fn stated_defaults_are_the_engines() {
        let untouched = format!("{:?}", Targets::default());
        for property in PROPERTIES {
            let mut targets = Targets::default();
            property.apply(&mut targets, &property.default_value());
            assert_eq!(format!("{targets:?}"), untouched, "{}", property.name);
        }
    }

    #[test]
    fn every_default_is_a_value() {
        for property in PROPERTIES {
            let none = matches!(property.kind, Kind::Flags { .. }) && property.default.is_empty();
            if !none {
                value::read(property, property.default, None)
                    .unwrap_or_else(|problem| panic!("{}: {problem:?}", property.name));
            }
        }
    }

    #[test]
    fn what_is_implemented_reaches_the_settings() {
        for property in implemented() {
            let [one, other] = extremes(property);
            let one_word = matches!(property.kind, Kind::Choice { .. }) && one == other;
            if !one_word {
                assert_ne!(
                    format!("{:?}", applied(property, &one)),
                    format!("{:?}", applied(property, &other)),
                    "{}",
                    property.name
                );
            }
        }
    }

    #[test]
    fn a_property_sets_only_its_own_scope() {
        let untouched = Targets::default();
        for property in implemented() {
            for text in extremes(property) {
                let targets = applied(property, &text);
                match property.scope {
                    Scope::Global => {
                        assert_eq!(targets.topic, untouched.topic, "{}", property.name)
                    }
                    Scope::Topic => {
                        assert_eq!(targets.global, untouched.global, "{}", property.name);
                    }
                }
            }
        }
    }

    #[test]
    fn beyond_its_range_nothing_is_taken() {
        for property in PROPERTIES {
            let ends = match property.kind {
                Kind::Integer { low, high, .. } => [low as f64, high as f64],
                Kind::Float { low, high } => [low, high],
                _ => continue,
            };
            for beyond in [ends[0] - 1.0, ends[1] + 1.0] {
                let problem = property.accept(&beyond.to_string(), None).unwrap_err();
                let allowed = property.allowed();
                let name = property.name;
                assert_eq!(problem, Problem::OutOfRange { allowed }, "{name}={beyond}");
            }
        }
    }

    #[test]
    fn no_name_stands_twice_in_a_scope() {
        let mut names: Vec<_> = PROPERTIES
            .iter()
            .flat_map(|p| p.names().map(|name| (p.scope as u8, name)))
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn every_property_of_librdkafka_that_concerns_a_producer_is_there() {
        let of_producer =
            |p: &&Property| p.origin != Origin::Ours && p.handling != Handling::ConsumerOnly;
        let names = PROPERTIES
            .iter()
            .filter(of_producer)
            .flat_map(Property::names);
        assert_eq!(names.count(), 170);
        let of_consumer = PROPERTIES
            .iter()
            .filter(|p| p.handling == Handling::ConsumerOnly);
        assert_eq!(of_consumer.flat_map(Property::names).count(), 39);
    }

    #[test]
    fn what_is_planned_takes_its_default_and_what_means_off_and_says_what_it_waits_for() {
        for property in PROPERTIES {
            let Handling::Planned {
                waits_for,
                until_then: UntilThen::Refused { off },
            } = property.handling
            else {
                continue;
            };
            let name = property.name;
            if !property.default.is_empty() {
                property.accept(property.default, None).unwrap();
            }
            for text in off {
                property.accept(text, None).unwrap();
            }
            let elsewhere = match property.kind {
                Kind::Choice { words, .. } => {
                    let on = |word: &&&str| **word != property.default && !off.contains(*word);
                    let Some(word) = words.iter().find(on) else {
                        continue;
                    };
                    (*word).to_owned()
                }
                Kind::Boolean => (property.default == "false").to_string(),
                _ => {
                    let [low, high] = extremes(property);
                    if low == property.default { high } else { low }
                }
            };
            match property.accept(&elsewhere, None).unwrap_err() {
                Problem::NotYet {
                    waits_for: named, ..
                } => assert_eq!(named, waits_for, "{name}"),
                other => panic!("{name}={elsewhere}: {other:?}"),
            }
        }
    }

    #[test]
    fn garbage_and_nothing_are_refused_where_upstream_truncates() {
        for (name, text) in [
            ("linger.ms", "5ms"),
            ("linger.ms", "soon"),
            ("batch.size", "1k"),
            ("retries", "1.5"),
            ("delivery.report.only.error", "yes"),
            ("partitioner", "Consistent_random"),
            ("acks", "most"),
        ] {
            let error = Config::default().set(name, text).unwrap_err();
            assert!(
                matches!(error.problem, Problem::Malformed { .. }),
                "{name}={text}: {error}"
            );
        }
        for name in [
            "linger.ms",
            "batch.size",
            "delivery.report.only.error",
            "partitioner",
        ] {
            let error = Config::default().set(name, " ").unwrap_err();
            assert!(
                matches!(error.problem, Problem::Empty { .. }),
                "{name}: {error}"
            );
        }
        let error = Config::default().set("linger.ms", "NaN").unwrap_err();
        assert!(
            matches!(error.problem, Problem::OutOfRange { .. }),
            "{error}"
        );
    }

    #[test]
    fn acks_are_numbers_or_all() {
        for (text, acks) in [
            ("0", Acks::None),
            ("1", Acks::Leader),
            ("-1", Acks::All),
            ("ALL", Acks::All),
        ] {
            let id = find(Scope::Topic, "acks").unwrap();
            assert_eq!(applied(id.property(), text).topic.acks, acks, "acks={text}");
        }
        assert_eq!(
            Config::default().set("acks", "2").unwrap_err().to_string(),
            "property acks (request.required.acks): value \"2\" is refused: every broker since 0.9 \
             answers such a number with an error; give 0, 1 or all, and the number as \
             min.insync.replicas of the topic"
        );
    }

    #[test]
    fn zero_switches_limits_off() {
        let off = |scope, name, text| applied(find(scope, name).unwrap().property(), text);
        let global = |name| off(Scope::Global, name, "0").global;
        assert_eq!(
            global("queue.buffering.max.messages").queue_max_messages,
            None
        );
        assert_eq!(global("connections.max.idle.ms").connections_max_idle, None);
        let refresh = "topic.metadata.refresh.interval.ms";
        assert_eq!(global(refresh).metadata_refresh_interval, None);
        assert_eq!(
            off(Scope::Global, refresh, "-1")
                .global
                .metadata_refresh_interval,
            None
        );
        let timeout = off(Scope::Topic, "message.timeout.ms", "0")
            .topic
            .message_timeout;
        assert_eq!(timeout, None);
    }

    #[test]
    fn an_empty_text_restores_the_default() {
        let mut config = Config::default();
        config.set("client.id", " me").unwrap();
        assert_eq!(config.get(Scope::Global, "client.id").unwrap(), "me");
        config.set("client.id", "").unwrap();
        assert_eq!(config.get(Scope::Global, "client.id").unwrap(), "rdkafka");
    }
}
