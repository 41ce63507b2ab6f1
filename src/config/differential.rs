//! What librdkafka makes of the same properties and values. Its answers are in `golden/`, made by
//! `cargo xtask golden properties`; every difference must have its reason here.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::difference::Difference;
use super::property::{Handling, Kind, Origin, Property, Scope};
use super::table::{self, Id, PROPERTIES};
use super::value::{self, Value};
use super::{Config, ConfigError, Problem, Written};

const LISTING: &str = include_str!("golden/listing.tsv");
const VALUES: &str = include_str!("golden/values.tsv");
const SEQUENCES: &str = include_str!("golden/sequences.tsv");
const CREATIONS: &str = include_str!("golden/creations.tsv");

/// How our answer relates to librdkafka's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Relation {
    /// The same verdict, value and code.
    Equal,
    /// Otherwise on purpose.
    ByDesign(Difference),
    /// A value that the table says is not obeyed, or not yet.
    ByHandling(&'static str),
    Unexplained(String),
}
use Relation::{ByDesign, ByHandling, Equal, Unexplained};

/// librdkafka's answer to a value.
#[derive(Clone, Copy, Debug)]
enum Answer<'a> {
    Taken(&'a [u8]),
    Refused(i32),
}

#[test]
fn every_value_is_judged_as_librdkafka_judges_it() {
    let mut counts = Counts::default();
    for section in sections() {
        for (text, answer) in &section.tries {
            let relation = section.relate(text, *answer);
            let shown = text.escape_ascii();
            let place = format!("{} {}=\"{shown}\"", section.scope_name, section.name);
            counts.add(relation, &place);
        }
        // Names that are mistaken are tried once.
        let tries = section.tries.len();
        assert!(tries >= 12 || tries == 1, "{}: {tries}", section.name);
    }
    counts.print("values");
    for difference in Difference::ALL {
        let met = counts.counts.contains_key(&ByDesign(*difference));
        let elsewhere = OF_COMBINATIONS.contains(difference) || *difference == Difference::Defaults;
        assert_eq!(met, !elsewhere, "{difference:?}");
    }
}

#[test]
fn values_that_follow_one_another_add_up_as_librdkafkas_do() {
    for line in lines(SEQUENCES) {
        let cells: Vec<_> = line.split('\t').collect();
        let [scope, name, rest @ .., result] = &cells[..] else {
            panic!("{line}")
        };
        let (texts, codes) = rest.split_at(rest.len() / 2);
        let id = table::find(scope_of(scope), name).unwrap();
        let mut config = Config::default();
        for (text, code) in texts.iter().zip(codes) {
            let taken = config.set_whatever_its_handling(id, text).is_ok();
            assert_eq!(taken, *code == "0", "{line}");
        }
        assert_eq!(config.value(id).to_string(), *result, "{line}");
    }
}

#[test]
fn properties_are_checked_against_each_other_as_librdkafka_checks_them() {
    let mut counts = Counts::default();
    let mut planned = 0;
    for line in lines(CREATIONS) {
        let (properties, outcome) = line.split_once('\t').unwrap();
        let (config, obeyed) = configured(properties);
        planned += usize::from(!obeyed);
        let mut completed = config.clone();
        let ours = super::rules::complete(&mut completed).map(|()| completed);
        let mut cells = outcome.split('\t');
        let relation = match (cells.next().unwrap(), ours) {
            ("refused", Err(_)) => Equal,
            ("made", Ok(completed)) => compare_derived(&config, &completed, cells),
            // It looks at every other pair of its list.
            ("made", Err(error)) => explain_refused_creation(properties, error),
            ("refused", Ok(_)) if properties.ends_with("other=x,query=y") => {
                ByDesign(Difference::AnyQuery)
            }
            (theirs, ours) => Unexplained(format!("{theirs}, here {:?}", ours.map(|_| "made"))),
        };
        counts.add(relation, properties);
    }
    counts.print("combinations");
    for difference in OF_COMBINATIONS {
        assert!(
            counts.counts.contains_key(&ByDesign(*difference)),
            "{difference:?}"
        );
    }
    println!("of them with a property that is planned or rejected: {planned}");
    assert!(counts.total() >= 40);
}

/// Those that only properties together show.
const OF_COMBINATIONS: &[Difference] = &[
    Difference::NoBrokers,
    Difference::TopicAtStart,
    Difference::AnyQuery,
];

fn explain_refused_creation(properties: &str, error: ConfigError) -> Relation {
    match error.problem {
        Problem::Missing if !properties.contains("bootstrap.servers") => {
            ByDesign(Difference::NoBrokers)
        }
        Problem::Conflict { .. } if properties.starts_with("bare;") => {
            ByDesign(Difference::TopicAtStart)
        }
        _ => Unexplained(format!("made, here {error}")),
    }
}

/// [`Difference::Defaults`].
const OTHER_DEFAULTS: &[&str] = &["builtin.features", "allow.auto.create.topics"];

#[test]
fn the_table_says_what_librdkafkas_own_listing_says() {
    let mut listed = 0;
    for line in lines(LISTING) {
        let cells: Vec<_> = line.split('\t').collect();
        let [
            scope,
            name,
            audience,
            range,
            default,
            importance,
            kind,
            alias_of,
        ] = cells[..]
        else {
            panic!("{line}")
        };
        listed += 1;
        let property = table::find(scope_of(scope), name)
            .unwrap_or_else(|| panic!("no {name}"))
            .property();
        let canonical = if alias_of.is_empty() { name } else { alias_of };
        assert_eq!(property.name, canonical);
        assert_eq!(property.origin, Origin::Librdkafka, "{name}");
        assert_eq!(
            audience == "C",
            property.handling == Handling::ConsumerOnly,
            "{name}"
        );
        // The listing shows the global one's words at the alias of the topic's.
        if (scope, name) == ("topic", "compression.type") {
            continue;
        }
        assert_eq!(
            format!("{:?}", property.importance).to_lowercase(),
            importance,
            "{name}"
        );
        // librdkafka checks this text by a function of its own.
        if !["partitioner", "builtin.features"].contains(&name) {
            assert_eq!(property.kind_name(), kind, "{name}");
            assert_eq!(property.range(), range, "{name}");
        }
        let same = property.default == default;
        assert_eq!(same, !OTHER_DEFAULTS.contains(&name), "{name}");
    }
    assert_eq!(listed, 199);
    let ours: Vec<_> = PROPERTIES
        .iter()
        .filter(|p| p.origin == Origin::Ours)
        .collect();
    for property in ours {
        assert!(
            !LISTING.contains(&format!("\t{}\t", property.name)),
            "{}",
            property.name
        );
    }
}

/// What librdkafka was asked about one name.
struct Section {
    scope_name: &'static str,
    scope: Scope,
    name: &'static str,
    tries: Vec<(Vec<u8>, Answer<'static>)>,
}

fn sections() -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in lines(VALUES) {
        if let Some(title) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            let (scope_name, name) = title.split_once(' ').unwrap();
            sections.push(Section {
                scope_name,
                scope: scope_of(scope_name),
                name,
                tries: Vec::new(),
            });
            continue;
        }
        let (text, answer) = line.split_once('\t').unwrap();
        let text = unescape(text);
        let answer = match answer.as_bytes() {
            b"~" => Answer::Taken(Vec::leak(text.clone())),
            [b'=', ..] => Answer::Taken(Vec::leak(unescape(&answer[1..]))),
            _ => Answer::Refused(answer[1..].parse().unwrap()),
        };
        sections.last_mut().unwrap().tries.push((text, answer));
    }
    sections
}

impl Section {
    fn relate(&self, text: &[u8], answer: Answer<'_>) -> Relation {
        let Ok(text) = std::str::from_utf8(text) else {
            return match answer {
                Answer::Refused(-1) => Equal,
                _ => ByDesign(Difference::NotUtf8),
            };
        };
        let mut config = Config::default();
        let judged = match self.scope {
            Scope::Global => config.set(self.name, text),
            Scope::Topic => config.set_topic(self.name, text),
        };
        let Some(id) = table::find_written(self.scope, self.name) else {
            return self.relate_errors(judged.unwrap_err(), answer);
        };
        let property = id.property();
        match (judged, answer) {
            (Ok(()), Answer::Taken(theirs)) => explain_taken(property, &config.value(id), theirs),
            (Ok(()), Answer::Refused(_)) => self.explain_lenient(property, text),
            (Err(error), Answer::Refused(_)) => self.relate_errors(error, answer),
            (Err(error), Answer::Taken(theirs)) => explain_refusal(property, text, error, theirs),
        }
    }

    fn relate_errors(&self, ours: ConfigError, theirs: Answer<'_>) -> Relation {
        match theirs {
            Answer::Refused(code) if code == ours.code() => Equal,
            theirs => Unexplained(format!("{theirs:?}, here {ours}")),
        }
    }

    fn explain_lenient(&self, property: &Property, text: &str) -> Relation {
        let without_blanks = |text: &str| {
            let items: Vec<_> = text.split(',').map(str::trim).collect();
            items.join(",").into_bytes()
        };
        let trimmed = without_blanks(text);
        let known = self.tries.iter().find(|(known, _)| *known == trimmed);
        match known {
            Some((_, Answer::Taken(_))) if trimmed != text.as_bytes() => {
                ByDesign(Difference::BlanksAround)
            }
            _ if property.kind == Kind::Patterns => ByDesign(Difference::Patterns),
            _ if property.name == "ssl.ca.certificate.stores" => {
                ByDesign(Difference::DefaultOfRejected)
            }
            _ => Unexplained("refused, here taken".into()),
        }
    }
}

fn explain_taken(property: &Property, ours: &Value, theirs: &[u8]) -> Relation {
    match compare(ours, theirs) {
        Equal => Equal,
        _ if property.name == "builtin.features" => ByHandling("planned"),
        _ if property.name.starts_with("client.software.") => ByDesign(Difference::OwnName),
        _ if property.name == "auto.offset.reset" => ByDesign(Difference::Synonyms),
        _ if ours.to_string().as_bytes() == theirs.trim_ascii() => {
            ByDesign(Difference::BlanksAround)
        }
        unexplained => unexplained,
    }
}

fn explain_refusal(property: &Property, text: &str, error: ConfigError, theirs: &[u8]) -> Relation {
    match error.problem {
        Problem::NotYet { .. } => by_handling(property, text, theirs, "planned"),
        Problem::Refused { .. } if property.kind == Kind::Call => ByHandling("rejected"),
        Problem::Refused { .. } => by_handling(property, text, theirs, "rejected"),
        Problem::DedicatedApi { .. } => ByHandling("rejected"),
        Problem::Brokers(_) => ByDesign(Difference::Brokers),
        _ => explain_strict(property, text, &error),
    }
}

/// What would be taken but for its handling must be read as librdkafka reads it.
fn by_handling(property: &Property, text: &str, theirs: &[u8], handling: &'static str) -> Relation {
    match explain_taken(
        property,
        &value::read(property, text, None).unwrap(),
        theirs,
    ) {
        Equal => ByHandling(handling),
        other => other,
    }
}

fn explain_strict(property: &Property, text: &str, error: &ConfigError) -> Relation {
    let unsigned = text.trim_ascii().trim_start_matches(['+', '-']);
    let begins_with_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    match (property.kind, &error.problem) {
        (_, Problem::Empty { .. }) if !text.is_empty() => ByDesign(Difference::BlanksAlone),
        (Kind::Integer { .. }, Problem::OutOfRange { .. })
            if value::integer(text).is_some_and(|number| i32::try_from(number).is_err()) =>
        {
            ByDesign(Difference::TooManyBits)
        }
        (Kind::Float { .. }, Problem::OutOfRange { .. }) if text == "nan" => {
            ByDesign(Difference::NotANumber)
        }
        (Kind::Float { .. }, Problem::Malformed { .. }) if text == "0x1p3" => {
            ByDesign(Difference::HexadecimalExponent)
        }
        (Kind::Integer { .. } | Kind::Float { .. }, Problem::Malformed { .. })
            if begins_with_number =>
        {
            ByDesign(Difference::AfterNumber)
        }
        _ => Unexplained(format!("taken, here {error}")),
    }
}

fn compare(ours: &Value, theirs: &[u8]) -> Relation {
    let theirs = std::str::from_utf8(theirs).unwrap();
    let same = match ours {
        // It prints six digits.
        Value::Float(number) => {
            let theirs: f64 = theirs.parse().unwrap();
            (number - theirs).abs() <= theirs.abs() * 1e-5
        }
        Value::Secret(secret) => secret.reveal() == theirs,
        other => other.to_string() == theirs,
    };
    if same {
        Equal
    } else {
        Unexplained(format!("{theirs:?}, here {ours:?}"))
    }
}

/// The configuration, and whether all of it would be obeyed.
fn configured(properties: &str) -> (Config, bool) {
    let mut config = Config::default();
    let mut obeyed = true;
    let (always, properties) = match properties.strip_prefix("bare") {
        Some(properties) => ("", properties),
        None => (
            "bootstrap.servers=127.0.0.1:1;request.timeout.ms=30000",
            properties,
        ),
    };
    let all = always.split(';').chain(properties.split(';'));
    for property in all.filter(|property| !property.is_empty()) {
        let (name, text) = property.split_once('=').unwrap();
        let id = table::find_written(Scope::Global, name).unwrap();
        obeyed &= config.set(name, text).is_ok();
        let _ = config.set_whatever_its_handling(id, text);
    }
    (config, obeyed)
}

/// Whatever librdkafka changed must be changed here, to the same, and nothing else.
fn compare_derived<'a>(
    given: &Config,
    completed: &Config,
    theirs: impl Iterator<Item = &'a str>,
) -> Relation {
    let mut theirs: BTreeMap<&str, &str> =
        theirs.map(|cell| cell.split_once('=').unwrap()).collect();
    // A producer's default is in our table.
    theirs.remove("allow.auto.create.topics");
    // Each says its own version.
    if theirs.get("client.software.version") == Some(&"2.16.0") {
        theirs.remove("client.software.version");
    }
    let mut ours = BTreeMap::new();
    for (id, value) in &completed.derived {
        if given.value(*id) != *value {
            ours.insert(id.property().name, value);
        }
    }
    if !ours.keys().eq(theirs.keys()) {
        return Unexplained(format!("{theirs:?}, here {ours:?}"));
    }
    let relations = theirs
        .iter()
        .map(|(name, value)| compare(ours[name], value.as_bytes()));
    relations.max().unwrap_or(Equal)
}

impl Config {
    /// So that what is planned is compared, too.
    pub(super) fn set_whatever_its_handling(&mut self, id: Id, text: &str) -> Result<(), Problem> {
        let present = self.given.get(&id).map(|given| &given.value);
        let value = value::read(id.property(), text, present)?;
        self.give(id, Written::here(id.property().name, text), value);
        Ok(())
    }
}

#[derive(Default)]
struct Counts {
    counts: BTreeMap<Relation, usize>,
    unexplained: String,
}

impl Counts {
    fn add(&mut self, relation: Relation, place: &str) {
        if let Unexplained(difference) = &relation {
            writeln!(self.unexplained, "{place}: {difference}").unwrap();
        }
        *self.counts.entry(relation).or_default() += 1;
    }

    fn total(&self) -> usize {
        self.counts.values().sum()
    }

    fn print(&self, what: &str) {
        println!("{} {what} compared with librdkafka's answers", self.total());
        for (relation, count) in &self.counts {
            match relation {
                Equal => println!("{count:6} equal"),
                ByDesign(difference) if difference.is_strict() => {
                    println!("{count:6} strict by design: {}", difference.explain());
                }
                ByDesign(difference) => {
                    println!("{count:6} lenient by design: {}", difference.explain());
                }
                ByHandling(handling) => println!("{count:6} {handling} by design"),
                Unexplained(_) => {}
            }
        }
        println!("{:6} unexplained", self.unexplained.lines().count());
        assert!(self.unexplained.is_empty(), "{}", self.unexplained);
    }
}

fn lines(golden: &'static str) -> impl Iterator<Item = &'static str> {
    golden.lines().filter(|line| !line.starts_with('#'))
}

fn scope_of(name: &str) -> Scope {
    match name {
        "global" => Scope::Global,
        "topic" => Scope::Topic,
        _ => panic!("no scope {name}"),
    }
}

/// Bytes that are no ASCII are written `\xff`, and long runs `\{300*x}`.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(place) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..place]);
        rest = &rest[place + 1..];
        if let Some(run) = rest.strip_prefix('{') {
            let (run, after) = run.split_once('}').unwrap();
            let (count, what) = run.split_once('*').unwrap();
            bytes.extend(unescape(what).repeat(count.parse().unwrap()));
            rest = after;
        } else {
            bytes.push(u8::from_str_radix(&rest[1..3], 16).unwrap());
            rest = &rest[3..];
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
