//! The events of the demo, with names and parameters as OpenSIPS' modules give them.

use event_kafka::opensips::Value::{self, Integer, Text};

pub(super) struct Event {
    pub(super) name: &'static str,
    /// Of the SIP message that is being processed while the event is raised, if there is one.
    pub(super) call_id: Option<&'static str>,
    pub(super) params: &'static [(&'static [u8], Value<'static>)],
}

/// A phone registers, a call is answered and ends, and a flood is blocked meanwhile.
pub(super) const WHILE_ALL_IS_WELL: &[Event] = &[
    Event {
        name: "E_UL_CONTACT_INSERT",
        call_id: Some("reg-1@192.0.2.10"),
        params: &[
            (b"aor", Text(b"1001")),
            (b"uri", Text(b"sip:1001@192.0.2.10:5060")),
        ],
    },
    Event {
        name: "E_DLG_STATE_CHANGED",
        call_id: Some(CALL),
        params: &[(b"old_state", Integer(3)), (b"new_state", Integer(4))],
    },
    Event {
        name: "E_PIKE_BLOCKED",
        call_id: Some("f07@203.0.113.9"),
        params: &[(b"ip", Text(b"203.0.113.9"))],
    },
    Event {
        name: "E_DLG_STATE_CHANGED",
        call_id: Some(CALL),
        params: &[(b"old_state", Integer(4)), (b"new_state", Integer(5))],
    },
    Event {
        name: "E_ACC_CDR",
        call_id: Some(CALL),
        params: &[
            (b"callid", Text(CALL.as_bytes())),
            (b"sip_code", Text(b"200")),
            (b"duration", Integer(61)),
        ],
    },
];

/// A gateway goes silent, which no SIP message says, and another flood comes.
pub(super) const WHILE_THE_BROKER_IS_AWAY: &[Event] = &[
    Event {
        name: "E_DISPATCHER_STATUS",
        call_id: None,
        params: &[
            (b"group", Integer(1)),
            (b"address", Text(b"sip:192.0.2.40:5060")),
            (b"status", Text(b"inactive")),
        ],
    },
    Event {
        name: "E_PIKE_BLOCKED",
        call_id: Some("f11@198.51.100.23"),
        params: &[(b"ip", Text(b"198.51.100.23"))],
    },
];

/// The broker refuses the first of these.
pub(super) const AROUND_A_REFUSAL: &[Event] = &[
    Event {
        name: "E_ACC_CDR",
        call_id: Some(NEXT_CALL),
        params: &[
            (b"callid", Text(NEXT_CALL.as_bytes())),
            (b"sip_code", Text(b"200")),
            (b"duration", Integer(7)),
        ],
    },
    Event {
        name: "E_UL_CONTACT_DELETE",
        call_id: Some("reg-1@192.0.2.10"),
        params: &[
            (b"aor", Text(b"1001")),
            (b"uri", Text(b"sip:1001@192.0.2.10:5060")),
        ],
    },
];

const CALL: &str = "a41@192.0.2.10";
const NEXT_CALL: &str = "a42@192.0.2.10";
