//! The rules between properties, as librdkafka applies them when a producer is made. What its user
//! set is never changed: either it holds, or it is an error. Only defaults give way.

use super::property::Scope;
use super::table::{self, Id};
use super::value::Value;
use super::warning::{Reason, Warning};
use super::{Config, ConfigError, Problem};

/// Derives the defaults that follow other properties, and checks that all hold together.
pub(super) fn complete(config: &mut Config) -> Result<(), ConfigError> {
    config.derived.clear();
    config.sanitize_client_software();
    config.require_brokers()?;
    config.check_certificates()?;
    config.check_oauth()?;
    config.complete_transactions()?;
    config.complete_idempotence()?;
    config.derive_waits();
    config.require_ordered_reconnect_backoff()?;
    config.keep_linger_below_message_timeout()?;
    config.complete_topic()
}

/// What else there is to say about properties that were set.
pub(super) fn warnings(config: &Config) -> impl Iterator<Item = Warning> {
    let capped = |key: Key| {
        let longest = Key::RETRY_BACKOFF_MAX;
        (config.integer(key) > config.integer(longest)).then(|| Reason::Capped {
            by: config.written(longest.id()),
        })
    };
    let unused = |counts: bool, unless| (!counts).then_some(Reason::Unused { unless });
    let sasl = config.text(Key::SECURITY_PROTOCOL).starts_with("sasl_");
    let mechanism = config.text(Key::SASL_MECHANISMS);
    let by_password = mechanism == "PLAIN" || mechanism.starts_with("SCRAM");
    let unsafe_text = |key: Key| (!is_safe(&config.given_text(key))).then_some(Reason::Sanitized);
    [
        (Key::RETRY_BACKOFF, capped(Key::RETRY_BACKOFF)),
        (Key::FAST_REFRESH, capped(Key::FAST_REFRESH)),
        (
            Key::SASL_MECHANISMS,
            unused(sasl, "security.protocol is sasl_ssl or sasl_plaintext"),
        ),
        (
            Key::SASL_USERNAME,
            unused(by_password, "sasl.mechanism is PLAIN or SCRAM-SHA-..."),
        ),
        (Key::SOFTWARE_NAME, unsafe_text(Key::SOFTWARE_NAME)),
        (Key::SOFTWARE_VERSION, unsafe_text(Key::SOFTWARE_VERSION)),
    ]
    .into_iter()
    .filter(|(key, _)| config.sets(*key))
    .filter_map(|(key, reason)| Some(config.warning(key.id(), reason?)))
}

impl Config {
    fn require_brokers(&self) -> Result<(), ConfigError> {
        match self.value(Key::BROKERS.id()) {
            Value::Brokers { endpoints, .. } if !endpoints.is_empty() => Ok(()),
            _ => Err(self.error(Key::BROKERS.id(), Problem::Missing)),
        }
    }

    /// KIP-511: a broker refuses a client whose software has other characters.
    fn sanitize_client_software(&mut self) {
        for key in [Key::SOFTWARE_NAME, Key::SOFTWARE_VERSION] {
            let text = self.text(key);
            if !is_safe(&text) {
                self.derive(key, Value::Text(sanitized(&text).into()));
            }
        }
    }

    fn check_certificates(&self) -> Result<(), ConfigError> {
        self.require_with(Key::KEYSTORE, Key::KEYSTORE_PASSWORD)?;
        self.refuse_both(Key::HTTPS_CA_LOCATION, Key::HTTPS_CA_PEM)
    }

    fn check_oauth(&self) -> Result<(), ConfigError> {
        let mechanism = self.text(Key::SASL_MECHANISMS);
        if !mechanism.eq_ignore_ascii_case("OAUTHBEARER") || self.text(Key::OAUTH_METHOD) != "oidc"
        {
            return Ok(());
        }
        if self.is_true(Key::UNSECURE_JWT) {
            self.refuse_both(Key::UNSECURE_JWT, Key::OAUTH_METHOD)?;
        }
        match &*self.text(Key::OAUTH_METADATA_TYPE) {
            "azure_imds" => self.require_azure_query()?,
            "aws_iam" => {}
            _ => {
                self.require_with(Key::OAUTH_METHOD, Key::OAUTH_URL)?;
                self.check_oauth_grant()?;
            }
        }
        if self.text(Key::OAUTH_SUB_CLAIM).trim_ascii().is_empty() {
            return Err(self.needed(Key::OAUTH_SUB_CLAIM, Key::OAUTH_METHOD));
        }
        Ok(())
    }

    /// The token service of Azure is asked at the URL of the query, or at one that is given.
    fn require_azure_query(&self) -> Result<(), ConfigError> {
        let is_query = |pair: &str| pair.trim_ascii_start().starts_with("query=");
        let has_query = match self.value(Key::OAUTH_CONFIG.id()) {
            Value::Secret(config) => config.reveal().split(',').any(is_query),
            _ => false,
        };
        if has_query || self.sets(Key::OAUTH_URL) {
            Ok(())
        } else {
            Err(self.needed(Key::OAUTH_URL, Key::OAUTH_METADATA_TYPE))
        }
    }

    fn check_oauth_grant(&self) -> Result<(), ConfigError> {
        if self.text(Key::OAUTH_GRANT) == "client_credentials" {
            self.require_with(Key::OAUTH_METHOD, Key::OAUTH_CLIENT_ID)?;
            return self.require_with(Key::OAUTH_METHOD, Key::OAUTH_CLIENT_SECRET);
        }
        if self.has(Key::ASSERTION_FILE) {
            return Key::NOT_WITH_ASSERTION_FILE
                .iter()
                .try_for_each(|key| self.refuse_both(Key::ASSERTION_FILE, *key));
        }
        self.refuse_both(Key::ASSERTION_KEY_FILE, Key::ASSERTION_KEY_PEM)?;
        if self.has(Key::ASSERTION_KEY_PEM) {
            return Ok(());
        }
        self.require_with(Key::OAUTH_GRANT, Key::ASSERTION_KEY_FILE)
    }

    fn complete_transactions(&mut self) -> Result<(), ConfigError> {
        if !self.has(Key::TRANSACTIONAL_ID) {
            return Ok(());
        }
        if !self.is_true(Key::IDEMPOTENCE) {
            if self.sets(Key::IDEMPOTENCE) {
                let rule = "is not enough for";
                return Err(self.conflict(Key::IDEMPOTENCE, rule, Key::TRANSACTIONAL_ID));
            }
            self.derive(Key::IDEMPOTENCE, Value::Boolean(true));
        }
        // At least one request has to fit into a transaction.
        let transaction = self.integer(Key::TRANSACTION_TIMEOUT);
        if !self.sets(Key::SOCKET_TIMEOUT) {
            self.derive(
                Key::SOCKET_TIMEOUT,
                Value::Integer((transaction - 100).max(900)),
            );
        } else if self.integer(Key::SOCKET_TIMEOUT) > transaction + 100 {
            let rule = "must not be more than 100 above";
            return Err(self.conflict(Key::SOCKET_TIMEOUT, rule, Key::TRANSACTION_TIMEOUT));
        }
        Ok(())
    }

    fn complete_idempotence(&mut self) -> Result<(), ConfigError> {
        if !self.is_true(Key::IDEMPOTENCE) {
            if self.is_true(Key::GAPLESS) {
                return Err(self.conflict(Key::GAPLESS, "needs", Key::IDEMPOTENCE));
            }
            return Ok(());
        }
        let with = Key::IDEMPOTENCE;
        if !self.sets(Key::MAX_IN_FLIGHT) {
            self.derive(Key::MAX_IN_FLIGHT, Value::Integer(5));
        } else if self.integer(Key::MAX_IN_FLIGHT) > 5 {
            return Err(self.conflict(Key::MAX_IN_FLIGHT, "must not be more than 5 with", with));
        }
        if self.integer(Key::RETRIES) < 1 {
            return Err(self.conflict(Key::RETRIES, "must be at least 1 with", with));
        }
        if self.integer(Key::BACKPRESSURE) > 1 {
            return Err(self.conflict(Key::BACKPRESSURE, "must be 1 with", with));
        }
        if self.integer(Key::ACKS) != -1 {
            return Err(self.conflict(Key::ACKS, "must be all with", with));
        }
        if self.text(Key::QUEUING) != "fifo" {
            return Err(self.conflict(Key::QUEUING, "must be fifo with", with));
        }
        Ok(())
    }

    /// Waits that follow others until they are set.
    fn derive_waits(&mut self) {
        if !self.sets(Key::STICKY_LINGER) {
            let sticky = (2.0 * self.float(Key::LINGER)).min(900_000.0) as i64;
            self.derive(Key::STICKY_LINGER, Value::Integer(sticky));
        }
        let refresh = self.integer(Key::METADATA_REFRESH);
        if !self.sets(Key::METADATA_MAX_AGE) && refresh > 0 {
            self.derive(Key::METADATA_MAX_AGE, Value::Integer(3 * refresh));
        }
        if !self.sets(Key::FAST_REFRESH) {
            let backoff = self.integer(Key::RETRY_BACKOFF);
            self.derive(Key::FAST_REFRESH, Value::Integer(backoff));
        }
        // Azure drops connections that are idle for 4 minutes, without a word.
        let brokers = self.text(Key::BROKERS).to_ascii_lowercase();
        if !self.sets(Key::MAX_IDLE) && brokers.contains("azure") {
            self.derive(Key::MAX_IDLE, Value::Integer(230_000));
        }
    }

    fn require_ordered_reconnect_backoff(&self) -> Result<(), ConfigError> {
        let (first, longest) = (Key::RECONNECT_BACKOFF, Key::RECONNECT_BACKOFF_MAX);
        if self.integer(longest) < self.integer(first) {
            return Err(self.conflict(longest, "must not be less than", first));
        }
        Ok(())
    }

    /// A message must be able to leave before it times out. A linger that nobody asked for gives
    /// way; one that was asked for is a contradiction.
    fn keep_linger_below_message_timeout(&mut self) -> Result<(), ConfigError> {
        let timeout = self.integer(Key::MESSAGE_TIMEOUT) as f64;
        if timeout == 0.0 || timeout > self.float(Key::LINGER) {
            return Ok(());
        }
        if self.sets(Key::LINGER) {
            let rule = "must be greater than";
            return Err(self.conflict(Key::MESSAGE_TIMEOUT, rule, Key::LINGER));
        }
        self.derive(Key::LINGER, Value::Float(timeout - 0.1));
        Ok(())
    }

    /// A message of a transaction must not outlive it.
    fn complete_topic(&mut self) -> Result<(), ConfigError> {
        if !self.has(Key::TRANSACTIONAL_ID) {
            return Ok(());
        }
        let transaction = self.integer(Key::TRANSACTION_TIMEOUT);
        if !self.sets(Key::MESSAGE_TIMEOUT) {
            self.derive(Key::MESSAGE_TIMEOUT, Value::Integer(transaction));
            return self.keep_linger_below_message_timeout();
        }
        if self.integer(Key::MESSAGE_TIMEOUT) > transaction {
            let rule = "must not be more than";
            return Err(self.conflict(Key::MESSAGE_TIMEOUT, rule, Key::TRANSACTION_TIMEOUT));
        }
        Ok(())
    }

    fn require_with(&self, key: Key, companion: Key) -> Result<(), ConfigError> {
        if self.has(key) && !self.has(companion) {
            return Err(self.needed(companion, key));
        }
        Ok(())
    }

    fn refuse_both(&self, key: Key, other: Key) -> Result<(), ConfigError> {
        if self.has(key) && self.has(other) {
            let other = self.written(other.id());
            return Err(self.error(key.id(), Problem::NotBoth { other }));
        }
        Ok(())
    }

    fn needed(&self, key: Key, by: Key) -> ConfigError {
        let by = self.written(by.id());
        self.error(key.id(), Problem::Needed { by })
    }

    fn conflict(&self, key: Key, rule: &'static str, other: Key) -> ConfigError {
        let other = Box::new(self.mention(other.id()));
        self.error(key.id(), Problem::Conflict { rule, other })
    }

    fn derive(&mut self, key: Key, value: Value) {
        self.derived.insert(key.id(), value);
    }

    /// Whether it was set by the user, to whatever value.
    fn sets(&self, key: Key) -> bool {
        self.is_set(key.id())
    }

    /// Whether it was set to something.
    fn has(&self, key: Key) -> bool {
        match self.value(key.id()) {
            Value::Text(text) => !text.is_empty(),
            Value::Secret(secret) => !secret.reveal().is_empty(),
            _ => self.sets(key),
        }
    }

    fn integer(&self, key: Key) -> i64 {
        match self.value(key.id()) {
            Value::Integer(number) => number,
            other => unreachable!("{key:?} is an integer, not {other:?}"),
        }
    }

    fn float(&self, key: Key) -> f64 {
        match self.value(key.id()) {
            Value::Float(number) => number,
            other => unreachable!("{key:?} is a number, not {other:?}"),
        }
    }

    fn is_true(&self, key: Key) -> bool {
        self.value(key.id()) == Value::Boolean(true)
    }

    fn text(&self, key: Key) -> String {
        self.value(key.id()).to_string()
    }

    /// As its user wrote it, whatever follows from that.
    fn given_text(&self, key: Key) -> String {
        self.shown(key.id()).into()
    }
}

fn is_safe(text: &str) -> bool {
    sanitized(text) == text
}

/// KIP-511: letters, digits, `-` and `.`, and no punctuation at either end.
fn sanitized(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let text: String = text
        .chars()
        .map(|c| if safe(c) { c } else { '-' })
        .collect();
    text.trim_matches(|c: char| !c.is_ascii_alphanumeric())
        .to_owned()
}

/// A property that a rule is about, by its canonical name.
#[derive(Clone, Copy, Debug)]
struct Key(Scope, &'static str);

impl Key {
    const ACKS: Self = Self(Scope::Topic, "request.required.acks");
    const ASSERTION_FILE: Self = Self(Scope::Global, "sasl.oauthbearer.assertion.file");
    const ASSERTION_KEY_FILE: Self =
        Self(Scope::Global, "sasl.oauthbearer.assertion.private.key.file");
    const ASSERTION_KEY_PEM: Self =
        Self(Scope::Global, "sasl.oauthbearer.assertion.private.key.pem");
    const BACKPRESSURE: Self = Self(Scope::Global, "queue.buffering.backpressure.threshold");
    const BROKERS: Self = Self(Scope::Global, "metadata.broker.list");
    const FAST_REFRESH: Self = Self(Scope::Global, "topic.metadata.refresh.fast.interval.ms");
    const GAPLESS: Self = Self(Scope::Global, "enable.gapless.guarantee");
    const HTTPS_CA_LOCATION: Self = Self(Scope::Global, "https.ca.location");
    const HTTPS_CA_PEM: Self = Self(Scope::Global, "https.ca.pem");
    const IDEMPOTENCE: Self = Self(Scope::Global, "enable.idempotence");
    const KEYSTORE: Self = Self(Scope::Global, "ssl.keystore.location");
    const KEYSTORE_PASSWORD: Self = Self(Scope::Global, "ssl.keystore.password");
    const LINGER: Self = Self(Scope::Global, "queue.buffering.max.ms");
    const MAX_IDLE: Self = Self(Scope::Global, "connections.max.idle.ms");
    const MAX_IN_FLIGHT: Self = Self(Scope::Global, "max.in.flight.requests.per.connection");
    const MESSAGE_TIMEOUT: Self = Self(Scope::Topic, "message.timeout.ms");
    const METADATA_MAX_AGE: Self = Self(Scope::Global, "metadata.max.age.ms");
    const METADATA_REFRESH: Self = Self(Scope::Global, "topic.metadata.refresh.interval.ms");
    const OAUTH_CLIENT_ID: Self = Self(Scope::Global, "sasl.oauthbearer.client.id");
    const OAUTH_CLIENT_SECRET: Self = Self(Scope::Global, "sasl.oauthbearer.client.secret");
    const OAUTH_CONFIG: Self = Self(Scope::Global, "sasl.oauthbearer.config");
    const OAUTH_GRANT: Self = Self(Scope::Global, "sasl.oauthbearer.grant.type");
    const OAUTH_METADATA_TYPE: Self = Self(
        Scope::Global,
        "sasl.oauthbearer.metadata.authentication.type",
    );
    const OAUTH_METHOD: Self = Self(Scope::Global, "sasl.oauthbearer.method");
    const OAUTH_SUB_CLAIM: Self = Self(Scope::Global, "sasl.oauthbearer.sub.claim.name");
    const OAUTH_URL: Self = Self(Scope::Global, "sasl.oauthbearer.token.endpoint.url");
    const QUEUING: Self = Self(Scope::Topic, "queuing.strategy");
    const RECONNECT_BACKOFF: Self = Self(Scope::Global, "reconnect.backoff.ms");
    const RECONNECT_BACKOFF_MAX: Self = Self(Scope::Global, "reconnect.backoff.max.ms");
    const RETRIES: Self = Self(Scope::Global, "message.send.max.retries");
    const RETRY_BACKOFF: Self = Self(Scope::Global, "retry.backoff.ms");
    const RETRY_BACKOFF_MAX: Self = Self(Scope::Global, "retry.backoff.max.ms");
    const SASL_MECHANISMS: Self = Self(Scope::Global, "sasl.mechanisms");
    const SASL_USERNAME: Self = Self(Scope::Global, "sasl.username");
    const SECURITY_PROTOCOL: Self = Self(Scope::Global, "security.protocol");
    const SOCKET_TIMEOUT: Self = Self(Scope::Global, "socket.timeout.ms");
    const SOFTWARE_NAME: Self = Self(Scope::Global, "client.software.name");
    const SOFTWARE_VERSION: Self = Self(Scope::Global, "client.software.version");
    const STICKY_LINGER: Self = Self(Scope::Global, "sticky.partitioning.linger.ms");
    const TRANSACTIONAL_ID: Self = Self(Scope::Global, "transactional.id");
    const TRANSACTION_TIMEOUT: Self = Self(Scope::Global, "transaction.timeout.ms");
    const UNSECURE_JWT: Self = Self(Scope::Global, "enable.sasl.oauthbearer.unsecure.jwt");

    /// An assertion that is ready is neither made nor signed.
    const NOT_WITH_ASSERTION_FILE: &[Self] = &[
        Self::ASSERTION_KEY_FILE,
        Self::ASSERTION_KEY_PEM,
        Self(
            Scope::Global,
            "sasl.oauthbearer.assertion.private.key.passphrase",
        ),
        Self(
            Scope::Global,
            "sasl.oauthbearer.assertion.jwt.template.file",
        ),
        Self(Scope::Global, "sasl.oauthbearer.assertion.claim.sub"),
        Self(Scope::Global, "sasl.oauthbearer.assertion.claim.aud"),
        Self(Scope::Global, "sasl.oauthbearer.assertion.claim.iss"),
        Self(
            Scope::Global,
            "sasl.oauthbearer.assertion.claim.jti.include",
        ),
        Self(
            Scope::Global,
            "sasl.oauthbearer.assertion.claim.exp.seconds",
        ),
        Self(
            Scope::Global,
            "sasl.oauthbearer.assertion.claim.nbf.seconds",
        ),
    ];

    fn id(self) -> Id {
        // The comparison with librdkafka goes through every rule.
        table::find(self.0, self.1).expect("a rule is about a property")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Written;
    use super::*;

    fn refusal(properties: &[(&str, &str)]) -> String {
        let mut config = Config::default();
        config.set("bootstrap.servers", "localhost").unwrap();
        for (name, text) in properties {
            // Whatever is planned is obeyed one day, and then by these rules.
            let id = table::find_written(Scope::Global, name).unwrap();
            let value = super::super::value::read(id.property(), text, None).unwrap();
            config.give(id, Written::here(name, text), value);
        }
        complete(&mut config).unwrap_err().to_string()
    }

    #[test]
    fn what_contradicts_is_named_as_it_was_written_with_what_to_do() {
        for (properties, text) in [
            (
                &[("enable.idempotence", "true"), ("max.in.flight", "6")][..],
                "property max.in.flight (max.in.flight.requests.per.connection): value \"6\" must \
                 not be more than 5 with enable.idempotence, which is \"true\"; change one of the \
                 two",
            ),
            (
                &[("enable.idempotence", "TRUE"), ("topic.acks", "1")],
                "property topic.acks (request.required.acks): value \"1\" must be all with \
                 enable.idempotence, which is \"TRUE\"; change one of the two",
            ),
            (
                &[("enable.gapless.guarantee", "true")],
                "property enable.gapless.guarantee: value \"true\" needs enable.idempotence, which \
                 is \"false\"; change one of the two",
            ),
            (
                &[("ssl.keystore.location", "/k.p12")],
                "property ssl.keystore.password: it is not set, and ssl.keystore.location needs \
                 it; set it, too",
            ),
            (
                &[("https.ca.location", "probe"), ("https.ca.pem", "x")],
                "property https.ca.location: it cannot be set together with https.ca.pem; leave \
                 one of the two out",
            ),
        ] {
            assert_eq!(refusal(properties), text);
        }
    }
}
