//! Reports as `event-kafka publish --report json` prints them.

use serde_json::Value;

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) n: u64,
    pub(super) outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Delivered {
        partition: i32,
        offset: i64,
        latency_us: u64,
    },
    Failed {
        error: String,
        /// Whether it may be in the log nevertheless.
        maybe_persisted: bool,
    },
}

impl Report {
    /// `None` unless the line says all that it should.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let outcome = match line["status"].as_str()? {
            "delivered" => Outcome::Delivered {
                partition: line["partition"].as_i64()?.try_into().ok()?,
                offset: line["offset"].as_i64()?,
                latency_us: line["latency_us"].as_u64()?,
            },
            "failed" => {
                let error = &line["error"];
                Outcome::Failed {
                    error: error["name"].as_str()?.to_owned(),
                    maybe_persisted: match error["persisted"].as_str()? {
                        "maybe" => true,
                        "no" => false,
                        _ => return None,
                    },
                }
            }
            _ => return None,
        };
        let n = line["n"].as_u64()?;
        Some(Self { n, outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_outcomes_are_read() {
        let delivered = r#"{"n":7,"status":"delivered","topic":"t","partition":3,"offset":17,"timestamp":1700000000000,"latency_us":812}"#;
        let outcome = Outcome::Delivered {
            partition: 3,
            offset: 17,
            latency_us: 812,
        };
        assert_eq!(Report::parse(delivered), Some(Report { n: 7, outcome }));

        let failed = r#"{"n":8,"status":"failed","topic":"t","error":{"code":-192,"name":"_MSG_TIMED_OUT","text":"late","where":"in flight","attempts":3,"persisted":"maybe"}}"#;
        let outcome = Outcome::Failed {
            error: "_MSG_TIMED_OUT".to_owned(),
            maybe_persisted: true,
        };
        assert_eq!(Report::parse(failed), Some(Report { n: 8, outcome }));
    }

    #[test]
    fn a_delivery_without_its_place_is_no_report() {
        for line in [
            "",
            "half a li",
            r#"{"n":7,"status":"delivered","partition":3,"offset":null,"latency_us":812}"#,
            r#"{"status":"delivered","partition":3,"offset":1,"latency_us":812}"#,
            r#"{"n":8,"status":"failed","error":{"name":"X","persisted":"perhaps"}}"#,
        ] {
            assert_eq!(Report::parse(line), None, "{line}");
        }
    }
}
