//! What the table says of a property.

use std::marker::PhantomData;
use std::ops::RangeInclusive;

use kafka_engine::settings::{Endpoint, Settings, TopicSettings};

use super::value::{Flags, Value};
use super::{Problem, value};

/// A property that somebody may set: a row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// The name that librdkafka's documentation lists it under.
    pub name: &'static str,
    /// Other names of the same property.
    pub aliases: &'static [&'static str],
    /// What it belongs to.
    pub scope: Scope,
    /// Whose property it is.
    pub origin: Origin,
    /// How much its value matters to most users, as librdkafka sees it.
    pub importance: Importance,
    /// The values it takes.
    pub kind: Kind,
    /// The value it has when it is not set.
    pub default: &'static str,
    /// What becomes of a value.
    pub handling: Handling,
    /// Values of the right kind that are refused all the same.
    pub refusals: &'static [Refusal],
    /// Whether its value is shown to nobody.
    pub sensitive: bool,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
    setter: Setter,
}

/// What a property belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The producer.
    Global,
    /// A topic; set on the producer, it is the default of all topics.
    Topic,
}

/// Whose property it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// librdkafka's.
    Librdkafka,
    /// librdkafka's, which does not list it in its documentation.
    LibrdkafkaHidden,
    /// Ours: librdkafka does not know it.
    Ours,
}

/// How much a property matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// Most users look at it.
    High,
    /// Some do.
    Medium,
    /// Few do.
    Low,
}

/// The values that a property takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// An integer: decimal, `0x` hexadecimal or `0` octal.
    Integer {
        /// The smallest.
        low: i64,
        /// The largest.
        high: i64,
        /// Names of some of them, in any case.
        words: &'static [(&'static str, i64)],
    },
    /// A number with a fraction.
    Float {
        /// The smallest.
        low: f64,
        /// The largest.
        high: f64,
    },
    /// `true`, `t`, `1`, `false`, `f` or `0`; words in any case.
    Boolean,
    /// One of some words.
    Choice {
        /// The words.
        words: &'static [&'static str],
        /// Whether capitals are other letters.
        case_counts: bool,
    },
    /// Any of some words, parted by commas; each adds to what is set, or takes from it with a `-`
    /// before it.
    Flags {
        /// The words.
        words: &'static [&'static str],
        /// The one that stands for all of them.
        all: Option<&'static str>,
    },
    /// A text.
    Text(Form),
    /// Patterns of names, parted by commas.
    Patterns,
    /// A list of brokers.
    Brokers,
    /// A function or an object of the program, which no text can be.
    Call,
    /// A property of Java's client, which has nothing like it here.
    Foreign,
}

/// What a text has to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Anything; blanks before it do not count.
    Any,
    /// Anything, blanks before it included.
    Verbatim,
    /// No blank and no comma in it.
    Word,
    /// The version of a broker that speaks what we speak.
    BrokerVersion,
}

/// What becomes of a property's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// It has its effect.
    Implemented {
        /// The test that proves the effect.
        evidence: &'static str,
    },
    /// It is checked; then nothing depends on it. A warning says so.
    AcceptedNoOp {
        /// Why nothing does.
        reason: &'static str,
    },
    /// It is checked; a producer has no use for it. A warning says so.
    ConsumerOnly,
    /// It will have its effect once something else is there.
    Planned {
        /// What has to be there first.
        waits_for: &'static str,
        /// What becomes of its values until then.
        until_then: UntilThen,
    },
    /// It cannot be set to anything but its default.
    Rejected {
        /// Why.
        reason: &'static str,
        /// What to do in its place.
        instead: &'static str,
    },
    /// It cannot be set as a text.
    DedicatedApi {
        /// The call that sets it, if there is one yet.
        call: Option<&'static str>,
    },
}

impl Handling {
    /// In a word or two.
    pub fn name(self) -> &'static str {
        match self {
            Self::Implemented { .. } => "implemented",
            Self::AcceptedNoOp { .. } => "accepted no-op",
            Self::ConsumerOnly => "consumer only",
            Self::Planned { .. } => "planned",
            Self::Rejected { .. } => "rejected",
            Self::DedicatedApi { .. } => "dedicated API",
        }
    }
}

/// What becomes of the values of a planned property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UntilThen {
    /// They are refused, except for the default and for those that mean "off".
    Refused {
        /// The values that mean "off".
        off: &'static [&'static str],
    },
    /// They are checked and do nothing; a warning says so.
    Ignored,
}

/// Values of the right kind that are refused all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which.
    pub values: Refused,
    /// Why.
    pub reason: &'static str,
    /// What to do in their place.
    pub instead: &'static str,
}

/// Which values are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Numbers above this one.
    Above(i64),
    /// These words.
    Words(&'static [&'static str]),
}

/// What the properties fill in.
#[derive(Debug, Default)]
pub(super) struct Targets {
    pub(super) global: Settings,
    pub(super) topic: TopicSettings,
}

#[derive(Clone, Copy, Debug)]
enum Setter {
    /// Nothing depends on the value.
    Nowhere,
    Integer(fn(&mut Targets, i64)),
    Float(fn(&mut Targets, f64)),
    Boolean(fn(&mut Targets, bool)),
    Word(fn(&mut Targets, &'static str)),
    #[allow(dead_code, reason = "until `debug` is wired")]
    Flags(fn(&mut Targets, Flags)),
    Text(fn(&mut Targets, &str)),
    Brokers(fn(&mut Targets, &[Endpoint])),
}

impl Property {
    /// Its name and its aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// What kind of values it takes, in librdkafka's words: `integer`, `CSV flags`.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Integer { .. } => "integer",
            Kind::Float { .. } => "float",
            Kind::Boolean => "boolean",
            Kind::Choice { .. } => "enum value",
            Kind::Flags { .. } => "CSV flags",
            Kind::Text(_) | Kind::Brokers => "string",
            Kind::Patterns => "pattern list",
            Kind::Call => "see dedicated API",
            Kind::Foreign => "invalid",
        }
    }

    /// Which of them, as librdkafka lists them: `1 .. 300000`, `true, false`; empty for texts.
    pub fn range(&self) -> String {
        match self.kind {
            Kind::Integer { low, high, .. } => format!("{low} .. {high}"),
            Kind::Float { low, high } => format!("{low} .. {high}"),
            Kind::Boolean => "true, false".into(),
            Kind::Choice { words, .. } | Kind::Flags { words, .. } => words.join(", "),
            Kind::Text(_) | Kind::Patterns | Kind::Brokers | Kind::Call | Kind::Foreign => {
                String::new()
            }
        }
    }

    /// The values it takes, in words: `an integer from 1 to 300000`.
    pub fn allowed(&self) -> String {
        match self.kind {
            Kind::Integer { low, high, words } => {
                let words: String = words
                    .iter()
                    .map(|(word, _)| format!(" or {word}"))
                    .collect();
                format!("an integer from {low} to {high}{words}")
            }
            Kind::Float { low, high } => format!("a number from {low} to {high}"),
            Kind::Boolean => "true or false".into(),
            Kind::Choice { words, .. } => one_of(words),
            Kind::Flags { words, .. } => {
                format!("a list, parted by commas, of {}", words.join(", "))
            }
            Kind::Text(Form::Any | Form::Verbatim) => "a text".into(),
            Kind::Text(Form::Word) => "one word, without blank or comma".into(),
            Kind::Text(Form::BrokerVersion) => "a version from 0.8.0 on".into(),
            Kind::Patterns => "names or ^patterns, parted by commas".into(),
            Kind::Brokers => "a list of host:port".into(),
            Kind::Call | Kind::Foreign => "nothing".into(),
        }
    }

    /// Reads a value and judges it. `present` is the one that it has, to which flags add.
    pub(super) fn accept(&self, text: &str, present: Option<&Value>) -> Result<Value, Problem> {
        self.refuse_any_text()?;
        let value = value::read(self, text, present)?;
        self.refuse_some(&value)?;
        self.refuse_for_now(&value)?;
        Ok(value)
    }

    /// The value that it has when it is not set.
    pub(super) fn default_value(&self) -> Value {
        match self.kind {
            Kind::Flags { words, .. } if self.default.is_empty() => {
                Value::Flags(Flags::none_of(words))
            }
            // That every other default can be read is tested.
            _ => value::read(self, self.default, None)
                .unwrap_or_else(|_| Value::Text(self.default.into())),
        }
    }

    /// Hands a value of its kind to whatever depends on it.
    pub(super) fn apply(&self, targets: &mut Targets, value: &Value) {
        match (self.setter, value) {
            (Setter::Integer(set), Value::Integer(number)) => set(targets, *number),
            (Setter::Float(set), Value::Float(number)) => set(targets, *number),
            (Setter::Boolean(set), Value::Boolean(yes)) => set(targets, *yes),
            (Setter::Word(set), Value::Word(word)) => set(targets, word),
            (Setter::Flags(set), Value::Flags(flags)) => set(targets, *flags),
            (Setter::Text(set), Value::Text(text)) => set(targets, text),
            (Setter::Text(set), Value::Secret(secret)) => set(targets, secret.reveal()),
            (Setter::Brokers(set), Value::Brokers { endpoints, .. }) => set(targets, endpoints),
            // A row's setter takes what its kind reads: `Row` sees to that.
            _ => {}
        }
    }

    fn refuse_any_text(&self) -> Result<(), Problem> {
        match (self.kind, self.handling) {
            (Kind::Call | Kind::Foreign, Handling::Rejected { reason, instead }) => {
                Err(Problem::Refused { reason, instead })
            }
            (_, Handling::DedicatedApi { call }) => Err(Problem::DedicatedApi { call }),
            (Kind::Call, _) => Err(Problem::DedicatedApi { call: None }),
            _ => Ok(()),
        }
    }

    fn refuse_some(&self, value: &Value) -> Result<(), Problem> {
        let refusal = self.refusals.iter().find(|refusal| match refusal.values {
            Refused::Above(limit) => matches!(value, Value::Integer(number) if *number > limit),
            Refused::Words(words) => words.iter().any(|word| value.has_word(word)),
        });
        match refusal {
            None => Ok(()),
            Some(&Refusal {
                reason, instead, ..
            }) => Err(Problem::Refused { reason, instead }),
        }
    }

    fn refuse_for_now(&self, value: &Value) -> Result<(), Problem> {
        match self.handling {
            Handling::Planned {
                waits_for,
                until_then: UntilThen::Refused { off },
            } if !self.is_default(value) && !off.contains(&&*value.to_string()) => {
                Err(Problem::NotYet {
                    waits_for,
                    until_then: self.harmless(off),
                })
            }
            Handling::Rejected { reason, instead } if !self.is_default(value) => {
                Err(Problem::Refused { reason, instead })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn is_default(&self, value: &Value) -> bool {
        *value == self.default_value()
    }

    fn harmless(&self, off: &[&str]) -> String {
        let default = match self.default {
            "" => "nothing",
            text => text,
        };
        let values: Vec<_> = std::iter::once(default)
            .chain(off.iter().copied())
            .collect();
        one_of(&values)
    }
}

fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [words @ .., last] => format!("{} or {last}", words.join(", ")),
    }
}

/// librdkafka's integers are of 32 bits.
pub(super) const MAX: i64 = i32::MAX as i64;

/// A property in the making, whose values are of type `V`. [`Row::doc`] completes it.
pub(super) struct Row<V: ?Sized> {
    property: Property,
    handled: bool,
    values: PhantomData<V>,
}

/// What marks a property that takes one of some words.
pub(super) struct Word;

pub(super) const fn integer(
    name: &'static str,
    range: RangeInclusive<i64>,
    default: &'static str,
) -> Row<i64> {
    integer_or_word(name, range, &[], default)
}

pub(super) const fn integer_or_word(
    name: &'static str,
    range: RangeInclusive<i64>,
    words: &'static [(&'static str, i64)],
    default: &'static str,
) -> Row<i64> {
    let (low, high) = (*range.start(), *range.end());
    Row::new(name, Kind::Integer { low, high, words }, default)
}

pub(super) const fn float(
    name: &'static str,
    range: RangeInclusive<f64>,
    default: &'static str,
) -> Row<f64> {
    let (low, high) = (*range.start(), *range.end());
    Row::new(name, Kind::Float { low, high }, default)
}

pub(super) const fn boolean(name: &'static str, default: &'static str) -> Row<bool> {
    Row::new(name, Kind::Boolean, default)
}

pub(super) const fn choice(
    name: &'static str,
    words: &'static [&'static str],
    default: &'static str,
) -> Row<Word> {
    let case_counts = false;
    Row::new(name, Kind::Choice { words, case_counts }, default)
}

pub(super) const fn exact_choice(
    name: &'static str,
    words: &'static [&'static str],
    default: &'static str,
) -> Row<Word> {
    let case_counts = true;
    Row::new(name, Kind::Choice { words, case_counts }, default)
}

pub(super) const fn flags(
    name: &'static str,
    words: &'static [&'static str],
    all: Option<&'static str>,
    default: &'static str,
) -> Row<Flags> {
    Row::new(name, Kind::Flags { words, all }, default)
}

pub(super) const fn text(name: &'static str, default: &'static str) -> Row<str> {
    formed(name, Form::Any, default)
}

pub(super) const fn formed(name: &'static str, form: Form, default: &'static str) -> Row<str> {
    Row::new(name, Kind::Text(form), default)
}

pub(super) const fn patterns(name: &'static str) -> Row<str> {
    Row::new(name, Kind::Patterns, "")
}

pub(super) const fn brokers(name: &'static str) -> Row<[Endpoint]> {
    Row::new(name, Kind::Brokers, "")
}

/// A function or an object, with the call that sets it.
pub(super) const fn call(name: &'static str, call: Option<&'static str>) -> Row<()> {
    Row::<()>::new(name, Kind::Call, "").handled_as(Handling::DedicatedApi { call })
}

/// A property of Java's client.
pub(super) const fn foreign(
    name: &'static str,
    reason: &'static str,
    instead: &'static str,
) -> Row<()> {
    Row::<()>::new(name, Kind::Foreign, "").rejected(reason, instead)
}

impl<V: ?Sized> Row<V> {
    const fn new(name: &'static str, kind: Kind, default: &'static str) -> Self {
        Self {
            property: Property {
                name,
                aliases: &[],
                scope: Scope::Global,
                origin: Origin::Librdkafka,
                importance: Importance::Low,
                kind,
                default,
                handling: Handling::ConsumerOnly,
                refusals: &[],
                sensitive: false,
                doc: "",
                setter: Setter::Nowhere,
            },
            handled: false,
            values: PhantomData,
        }
    }

    pub(super) const fn also(mut self, aliases: &'static [&'static str]) -> Self {
        self.property.aliases = aliases;
        self
    }

    pub(super) const fn of_topic(mut self) -> Self {
        self.property.scope = Scope::Topic;
        self
    }

    pub(super) const fn high(mut self) -> Self {
        self.property.importance = Importance::High;
        self
    }

    pub(super) const fn medium(mut self) -> Self {
        self.property.importance = Importance::Medium;
        self
    }

    pub(super) const fn hidden(mut self) -> Self {
        self.property.origin = Origin::LibrdkafkaHidden;
        self
    }

    pub(super) const fn ours(mut self) -> Self {
        self.property.origin = Origin::Ours;
        self
    }

    pub(super) const fn sensitive(mut self) -> Self {
        self.property.sensitive = true;
        self
    }

    pub(super) const fn refuses(mut self, refusals: &'static [Refusal]) -> Self {
        self.property.refusals = refusals;
        self
    }

    pub(super) const fn no_op(self, reason: &'static str) -> Self {
        self.handled_as(Handling::AcceptedNoOp { reason })
    }

    pub(super) const fn consumer(self) -> Self {
        self.handled_as(Handling::ConsumerOnly)
    }

    /// Until then only the default is accepted.
    pub(super) const fn planned(self, waits_for: &'static str) -> Self {
        self.planned_but(waits_for, &[])
    }

    /// Until then only the default and the values that mean "off" are accepted.
    pub(super) const fn planned_but(
        self,
        waits_for: &'static str,
        off: &'static [&'static str],
    ) -> Self {
        self.handled_as(Handling::Planned {
            waits_for,
            until_then: UntilThen::Refused { off },
        })
    }

    /// Until then every value is accepted, with a warning.
    pub(super) const fn ignored_until(self, waits_for: &'static str) -> Self {
        self.handled_as(Handling::Planned {
            waits_for,
            until_then: UntilThen::Ignored,
        })
    }

    pub(super) const fn rejected(self, reason: &'static str, instead: &'static str) -> Self {
        self.handled_as(Handling::Rejected { reason, instead })
    }

    /// Completes the row.
    pub(super) const fn doc(self, doc: &'static str) -> Property {
        assert!(self.handled, "a row has to say what becomes of a value");
        let mut property = self.property;
        property.doc = doc;
        property
    }

    const fn handled_as(mut self, handling: Handling) -> Self {
        self.property.handling = handling;
        self.handled = true;
        self
    }

    const fn set_by(mut self, evidence: &'static str, setter: Setter) -> Self {
        self.property.setter = setter;
        self.handled_as(Handling::Implemented { evidence })
    }
}

/// `evidence` names the test in `tests/effects` that proves the effect of what `set` sets.
macro_rules! implemented {
    ($($(#[$lint:meta])? $values:ty => $setter:ident($argument:ty)),* $(,)?) => {$(
        $(#[$lint])?
        impl Row<$values> {
            pub(super) const fn implemented(
                self,
                evidence: &'static str,
                set: fn(&mut Targets, $argument),
            ) -> Self {
                self.set_by(evidence, Setter::$setter(set))
            }
        }
    )*};
}

implemented! {
    i64 => Integer(i64),
    f64 => Float(f64),
    bool => Boolean(bool),
    Word => Word(&'static str),
    #[allow(dead_code, reason = "until `debug` is wired")]
    Flags => Flags(Flags),
    str => Text(&str),
    [Endpoint] => Brokers(&[Endpoint]),
}
