/// Where properties are judged or shown otherwise than by librdkafka, on purpose.
///
/// librdkafka's answers to thousands of values are compared with ours; there is no other difference
/// but that some properties are not obeyed, as [`Handling`](super::Handling) says of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// `linger.ms=5ms`.
    AfterNumber,
    /// `retries=4294967297`.
    TooManyBits,
    /// `linger.ms=0x1p3`.
    HexadecimalExponent,
    /// `linger.ms=nan`.
    NotANumber,
    /// `security.protocol=` and a blank.
    BlanksAlone,
    /// `client.id=` and bytes that are no UTF-8.
    NotUtf8,
    /// No `bootstrap.servers`.
    NoBrokers,
    /// `linger.ms=400000`.
    TopicAtStart,
    /// `bootstrap.servers=host:port`.
    Brokers,
    /// `acks= 1 `.
    BlanksAround,
    /// `topic.blacklist=^(`.
    Patterns,
    /// `client.software.name`.
    OwnName,
    /// `auto.offset.reset=earliest`.
    Synonyms,
    /// `ssl.ca.certificate.stores=Root`.
    DefaultOfRejected,
    /// `sasl.oauthbearer.config=a=b,query=c`.
    AnyQuery,
    /// `allow.auto.create.topics`.
    Defaults,
}

impl Difference {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::AfterNumber,
        Self::TooManyBits,
        Self::HexadecimalExponent,
        Self::NotANumber,
        Self::BlanksAlone,
        Self::NotUtf8,
        Self::NoBrokers,
        Self::TopicAtStart,
        Self::Brokers,
        Self::BlanksAround,
        Self::Patterns,
        Self::OwnName,
        Self::Synonyms,
        Self::DefaultOfRejected,
        Self::AnyQuery,
        Self::Defaults,
    ];

    /// Whether a value is refused that librdkafka takes.
    pub fn is_strict(self) -> bool {
        self <= Self::Brokers
    }

    /// What is so here, and what librdkafka does.
    pub fn explain(self) -> &'static str {
        match self {
            Self::AfterNumber => {
                "Nothing may follow a number: linger.ms=5ms is refused; librdkafka reads 5."
            }
            Self::TooManyBits => {
                "A number that does not fit into 32 bits is out of range: retries=4294967297 is \
                 refused; librdkafka cuts it off and reads 1."
            }
            Self::HexadecimalExponent => {
                "A hexadecimal number has no exponent: linger.ms=0x1p3 is refused; librdkafka \
                 reads 8."
            }
            Self::NotANumber => {
                "nan is no number: linger.ms=nan is refused; librdkafka takes it, and then nothing \
                 is less than it."
            }
            Self::BlanksAlone => {
                "Blanks alone are no value: refused where a word or a version is expected; \
                 librdkafka leaves the property as it was."
            }
            Self::NotUtf8 => "Values are UTF-8; librdkafka takes any bytes.",
            Self::NoBrokers => {
                "A producer without bootstrap.servers is an error at start; librdkafka starts it, \
                 and logs that it will reach nobody."
            }
            Self::TopicAtStart => {
                "What contradicts a property of topics is an error at start: linger.ms=400000 \
                 without a message.timeout.ms above it; librdkafka finds out when the first topic \
                 is made, unless a property of topics was set."
            }
            Self::Brokers => {
                "A list of brokers is read when it is set: bootstrap.servers=host:port is refused; \
                 librdkafka finds out when it looks the host up."
            }
            Self::BlanksAround => {
                "Blanks around a word, a number or an item of a list do not count; librdkafka \
                 skips those before it and refuses those after it."
            }
            Self::Patterns => {
                "The patterns of topic.blacklist are not checked, as nothing uses them; librdkafka \
                 compiles them."
            }
            Self::OwnName => {
                "client.software.name and client.software.version are our own unless set; \
                 librdkafka's are its own."
            }
            Self::Synonyms => {
                "Words that mean the same to a consumer stay as they were written; librdkafka \
                 shows the first of them."
            }
            Self::DefaultOfRejected => {
                "What is rejected may be set to its default, which changes nothing; librdkafka \
                 refuses ssl.ca.certificate.stores altogether where there are none."
            }
            Self::Defaults => {
                "The default of allow.auto.create.topics is the true that every producer of \
                 librdkafka has, whose listing shows a consumer's; that of builtin.features is \
                 what this build can do."
            }
            Self::AnyQuery => {
                "Any pair of sasl.oauthbearer.config may be the query; librdkafka does not see all \
                 of them."
            }
        }
    }
}
