//! What a topic may be called.

use std::fmt;

/// Kafka's rule for the names of topics: 1 to 249 of `a-z A-Z 0-9 . _ -`, and neither `.` nor `..`.
///
/// # Errors
/// Which part of the rule the name breaks.
pub fn check_topic_name(name: &str) -> Result<(), TopicNameError> {
    let error = |offset, reason| {
        Err(TopicNameError {
            name: readable(name, offset),
            offset,
            reason,
        })
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() {
        error(0, "it is empty")
    } else if let Some(place) = name.find(|c| !legal(c)) {
        error(place, "only letters, digits, '.', '_' and '-' are allowed")
    } else if name.len() > TOPIC_NAME_MAX {
        error(TOPIC_NAME_MAX, "it is longer than 249 bytes")
    } else if name == "." || name == ".." {
        error(0, "'.' and '..' are reserved")
    } else {
        Ok(())
    }
}

/// A topic name that no broker accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicNameError {
    /// The name, up to the first offence: a socket without its `?` has secrets behind that.
    pub name: String,
    /// Where the first offence is, in bytes from the start of the name.
    pub offset: usize,
    reason: &'static str,
}

impl fmt::Display for TopicNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "topic {:?}: {}; choose another name",
            self.name, self.reason
        )
    }
}

impl std::error::Error for TopicNameError {}

fn readable(name: &str, offset: usize) -> String {
    match &name[..offset] {
        "" if name.starts_with('.') || name.is_empty() => name.to_owned(),
        legal => format!("{legal}..."),
    }
}

const TOPIC_NAME_MAX: usize = 249;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_names_follow_kafkas_rule() {
        let longest = "x".repeat(249);
        for name in ["a", "A.b_c-9", "...", &longest] {
            check_topic_name(name).unwrap();
        }
        let too_long = "x".repeat(250);
        for (name, offset) in [
            ("", 0),
            (".", 0),
            ("..", 0),
            ("a b", 1),
            ("a%2Fb", 1),
            ("é", 0),
            (&too_long, 249),
        ] {
            assert_eq!(
                check_topic_name(name).unwrap_err().offset,
                offset,
                "{name:?}"
            );
        }
    }
}
