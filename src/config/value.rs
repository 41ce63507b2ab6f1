//! Values as librdkafka reads them, minus its silent truncation.

use std::fmt;
use std::num::IntErrorKind;

use kafka_engine::settings::Endpoint;

use super::Problem;
use super::brokers::parse_brokers;
use super::property::{Form, Kind, Property};
use super::secret::Secret;

/// A value of a property. Its text is the one that librdkafka gives back for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Word(&'static str),
    Flags(Flags),
    Text(Box<str>),
    Secret(Secret),
    Brokers {
        text: Box<str>,
        endpoints: Vec<Endpoint>,
    },
}

/// Some of the words of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags {
    words: &'static [&'static str],
    bits: u64,
}

impl Flags {
    pub(super) fn none_of(words: &'static [&'static str]) -> Self {
        Self { words, bits: 0 }
    }

    pub(super) fn contains(self, word: &str) -> bool {
        self.iter().any(|set| set == word)
    }

    fn iter(self) -> impl Iterator<Item = &'static str> {
        let is_set = move |index: &usize| self.bits >> index & 1 == 1;
        (0..self.words.len())
            .filter(is_set)
            .map(|index| self.words[index])
    }
}

impl Value {
    /// Whether it is that word, or has it among others.
    pub(super) fn has_word(&self, word: &str) -> bool {
        match self {
            Self::Word(chosen) => *chosen == word,
            Self::Flags(flags) => flags.contains(word),
            _ => false,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Boolean(yes) => yes.fmt(f),
            Self::Word(word) => f.write_str(word),
            Self::Flags(flags) => f.write_str(&flags.iter().collect::<Vec<_>>().join(",")),
            Self::Text(text) | Self::Brokers { text, .. } => f.write_str(text),
            Self::Secret(secret) => secret.fmt(f),
        }
    }
}

/// Reads a value of `property`. Flags add to those of `present`, or to those of the default.
pub(super) fn read(
    property: &Property,
    text: &str,
    present: Option<&Value>,
) -> Result<Value, Problem> {
    let malformed = || malformed(property, text);
    match property.kind {
        Kind::Integer { low, high, words } => {
            let named = words
                .iter()
                .find(|(word, _)| text.trim_ascii().eq_ignore_ascii_case(word))
                .map(|(_, number)| *number);
            match named.or_else(|| integer(text)) {
                None => Err(malformed()),
                Some(number) if (low..=high).contains(&number) => Ok(Value::Integer(number)),
                Some(_) => Err(out_of_range(property)),
            }
        }
        Kind::Float { low, high } => match float(text) {
            None => Err(malformed()),
            Some(number) if (low..=high).contains(&number) => Ok(Value::Float(number)),
            Some(_) => Err(out_of_range(property)),
        },
        Kind::Boolean => boolean(text).map(Value::Boolean).ok_or_else(malformed),
        Kind::Choice { words, case_counts } => find_word(words, text.trim_ascii(), case_counts)
            .map(|index| Value::Word(words[index]))
            .ok_or_else(malformed),
        Kind::Flags { words, all } => {
            let before = match present {
                Some(Value::Flags(flags)) => flags.bits,
                _ => change_flags(words, all, 0, property.default).unwrap_or(0),
            };
            let bits = change_flags(words, all, before, text).ok_or_else(malformed)?;
            Ok(Value::Flags(Flags { words, bits }))
        }
        Kind::Text(form) => read_text(property, form, text).ok_or_else(malformed),
        Kind::Patterns | Kind::Call | Kind::Foreign => Ok(Value::Text(text.into())),
        Kind::Brokers => {
            let text = text.trim_ascii_start();
            let endpoints = parse_brokers(text).map_err(Problem::Brokers)?;
            let text = text.into();
            Ok(Value::Brokers { text, endpoints })
        }
    }
}

fn read_text(property: &Property, form: Form, text: &str) -> Option<Value> {
    let text = match form {
        // An empty text is the default.
        Form::Any | Form::Verbatim if text.is_empty() => property.default,
        Form::Verbatim => text,
        Form::Any | Form::BrokerVersion => text.trim_ascii_start(),
        Form::Word => text.trim_ascii(),
    };
    let well_formed = match form {
        Form::Any | Form::Verbatim => true,
        Form::Word => !text.is_empty() && !text.contains([',', ' ']),
        Form::BrokerVersion => {
            !text.is_empty() && !text.starts_with("0.7.") && !text.starts_with("0.6.")
        }
    };
    well_formed.then(|| {
        if property.sensitive {
            Value::Secret(Secret::new(text))
        } else {
            Value::Text(text.into())
        }
    })
}

fn find_word(words: &[&str], text: &str, case_counts: bool) -> Option<usize> {
    words
        .iter()
        .position(|word| *word == text || !case_counts && word.eq_ignore_ascii_case(text))
}

/// A list of words, parted by commas: each is added, or taken away with a `-` before it. Nothing at
/// all is no list, but a list may have items that are empty.
fn change_flags(words: &[&str], all: Option<&str>, before: u64, list: &str) -> Option<u64> {
    if list.is_empty() {
        return None;
    }
    let bit_of = |word| Some(1 << find_word(words, word, false)?);
    let for_all = all.and_then(bit_of).unwrap_or(0);
    let every = (1 << words.len()) - 1;
    let bits = list
        .split(',')
        .map(str::trim_ascii)
        .try_fold(before, |bits, item| {
            let (taken, word) = match item.strip_prefix('-') {
                Some(word) => (true, word),
                None => (false, item.strip_prefix('+').unwrap_or(item)),
            };
            let change = match word {
                "" => 0,
                word => bit_of(word)?,
            };
            let change = if change == for_all && change != 0 {
                every
            } else {
                change
            };
            Some(if taken { bits & !change } else { bits | change })
        })?;
    let all_but_one = bits | for_all == every;
    Some(if all_but_one { every } else { bits & !for_all })
}

fn malformed(property: &Property, text: &str) -> Problem {
    let allowed = property.allowed();
    if text.trim_ascii().is_empty() {
        Problem::Empty { allowed }
    } else {
        Problem::Malformed { allowed }
    }
}

fn out_of_range(property: &Property) -> Problem {
    Problem::OutOfRange {
        allowed: property.allowed(),
    }
}

/// Decimal, `0x` hexadecimal or `0` octal, with blanks around it. What does not fit saturates, so
/// that it is out of range rather than malformed.
pub(super) fn integer(text: &str) -> Option<i64> {
    let text = text.trim_ascii();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = radix_and_digits(digits);
    // `from_str_radix` takes a second sign.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = match i64::from_str_radix(digits, radix) {
        Ok(number) => number,
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => i64::MAX,
        Err(_) => return None,
    };
    Some(if negative { -magnitude } else { magnitude })
}

fn radix_and_digits(text: &str) -> (u32, &str) {
    if let Some(hexadecimal) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        (16, hexadecimal)
    } else if text.len() > 1 && text.starts_with('0') {
        (8, &text[1..])
    } else {
        (10, text)
    }
}

fn float(text: &str) -> Option<f64> {
    let text = text.trim_ascii();
    let hexadecimal = |text: &str| integer(text).map(|number| number as f64);
    match text.trim_start_matches(['+', '-']).as_bytes() {
        [b'0', b'x' | b'X', ..] => hexadecimal(text),
        _ => text.parse().ok(),
    }
}

fn boolean(text: &str) -> Option<bool> {
    let text = text.trim_ascii();
    let is = |words: [&str; 3]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(["true", "t", "1"]) {
        Some(true)
    } else if is(["false", "f", "0"]) {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_decimal_hexadecimal_or_octal() {
        for (text, number) in [
            ("0", 0),
            ("42", 42),
            (" 42 ", 42),
            ("+42", 42),
            ("-1", -1),
            ("0x10", 16),
            ("0XfF", 255),
            ("010", 8),
            ("-0x10", -16),
        ] {
            assert_eq!(integer(text), Some(number), "{text:?}");
        }
    }

    #[test]
    fn trailing_garbage_is_no_integer() {
        for text in [
            "", " ", "5ms", "1 2", "--5", "+-5", "0x", "0x-1", "08", "1e3", "1.0", "-",
        ] {
            assert_eq!(integer(text), None, "{text:?}");
        }
    }

    #[test]
    fn overflow_saturates() {
        assert_eq!(integer("99999999999999999999"), Some(i64::MAX));
        assert_eq!(integer("-99999999999999999999"), Some(-i64::MAX));
    }

    #[test]
    fn floats_take_fractions_and_exponents_but_no_garbage() {
        assert_eq!(float(" 0.5 "), Some(0.5));
        assert_eq!(float("1e3"), Some(1000.0));
        assert_eq!(float("0xc"), Some(12.0));
        assert_eq!(float("014"), Some(14.0));
        assert_eq!(float("5ms"), None);
        assert_eq!(float(""), None);
    }

    #[test]
    fn booleans_are_words_in_any_case() {
        for text in ["true", "T", "1", " TRUE "] {
            assert_eq!(boolean(text), Some(true), "{text:?}");
        }
        for text in ["false", "f", "0", "False"] {
            assert_eq!(boolean(text), Some(false), "{text:?}");
        }
        for text in ["", "yes", "10", "tru"] {
            assert_eq!(boolean(text), None, "{text:?}");
        }
    }
}
