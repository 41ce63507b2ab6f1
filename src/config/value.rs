//! Values as librdkafka reads them, minus its silent truncation.

use std::num::IntErrorKind;

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

pub(super) fn float(text: &str) -> Option<f64> {
    text.trim_ascii().parse().ok()
}

pub(super) fn boolean(text: &str) -> Option<bool> {
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
