//! Every way to misbehave that is tried, and what a producer may make of it.

use std::time::Duration;

use bytes::Bytes;
use kafka_mock::Fault as Mock;
use kafka_mock::{ApiKey, Profile, ResponseError, Rule};
use uuid::Uuid;

use super::scene::{Affliction, Extent, Scene, TOPIC};

/// A fault that comes, lasts and goes.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Also the name of its test.
    pub(crate) name: &'static str,
    /// What it befalls. Two faults of the same thing make no pair.
    pub(crate) thing: Thing,
    begin: fn(&Scene) -> Affliction,
    /// Whether it is over as soon as it has happened.
    pub(crate) at_once: bool,
    flow: Flow,
    /// What may be under way at its end and has to time out first.
    pub(crate) recovery: Recovery,
    fails: &'static [&'static str],
    /// Whether a message may be in the log more than once: that is so wherever a connection ends
    /// before the answer was read.
    pub(crate) duplicates: bool,
    /// Whether, with `acks=0`, messages are dropped and nobody tells the producer.
    pub(crate) loses: bool,
    /// The answer that cannot be read, which the log must name.
    pub(crate) unreadable: Option<ApiKey>,
    counted: Counted,
    /// Whether partitions may be forgotten until metadata is asked for the next time.
    pub(crate) forgets_partitions: bool,
    /// Whether it befalls all nodes, not the sick one only.
    pub(crate) everywhere: bool,
    wakes_per_second: u32,
    percent_of_a_core: u32,
    /// Memory that it takes by itself, in bytes: an answer is held until it is whole, as long as
    /// `receive.message.max.bytes` allows it, and what is known of a partition is remembered.
    pub(crate) memory: u64,
    /// The most lines on standard error: a line for each address, when it fails and when it is
    /// back, and a few for what else there is.
    pub(crate) log_lines: usize,
}

/// What a fault befalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thing {
    Answers,
    Handshakes,
    Connections,
    Nodes,
    Topic,
}

/// What a fault does to the messages that it befalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// They are appended all the time.
    Goes,
    /// Some are appended, at times.
    Stutters,
    /// None is appended.
    Stops,
    /// None is appended unless another node takes over.
    StopsAlone,
}

/// Whether it can be told that a fault has befallen something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Always,
    /// Other nodes may be asked instead of the sick one.
    Alone,
    /// The mock does not count it.
    Never,
}

/// What the first record after a fault may have to wait for, besides the reconnect backoff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    Backoff,
    /// `socket.timeout.ms` of a request.
    Request,
    /// `socket.connection.setup.timeout.ms` of a connection.
    Setup,
    /// `topic.metadata.propagation.max.ms` of partitions that are not there.
    Propagation,
}

impl Fault {
    pub(crate) fn begin(&self, scene: &Scene) -> Affliction {
        (self.begin)(scene)
    }

    pub(crate) fn flow(&self, extent: Extent) -> Flow {
        match (self.flow, extent) {
            (Flow::StopsAlone, Extent::Alone) => Flow::Stops,
            (Flow::StopsAlone, Extent::OneOfThree) => Flow::Goes,
            (flow, _) => flow,
        }
    }

    /// Whether messages may fail with the error of this name.
    pub(crate) fn may_fail(&self, name: &str) -> bool {
        self.fails.contains(&name) || (name == "_MSG_TIMED_OUT" && self.flow != Flow::Goes)
    }

    /// Whether it must have befallen something.
    pub(crate) fn must_strike(&self, acks: i8, extent: Extent) -> bool {
        // With `acks=0` there are no answers to Produce that could be wrong.
        acks != 0
            && match self.counted {
                Counted::Always => true,
                Counted::Alone => extent == Extent::Alone,
                Counted::Never => false,
            }
    }

    /// How often it wakes the producer by itself.
    pub(crate) fn wakes(&self, hold: Duration) -> u64 {
        (f64::from(self.wakes_per_second) * hold.as_secs_f64()) as u64
    }

    /// What it may cost by itself, in CPU time.
    pub(crate) fn cpu(&self, hold: Duration) -> Duration {
        hold * self.percent_of_a_core / 100
    }
}

/// The fault with this name.
pub(crate) fn find(name: &str) -> Option<&'static Fault> {
    FAULTS.iter().find(|fault| fault.name == name)
}

/// All of them.
pub(crate) static FAULTS: &[Fault] = &[
    // Error codes.
    Fault::new("refused_for_now", Thing::Answers, |scene| {
        scene.produce(Mock::Error(ResponseError::NotEnoughReplicas))
    })
    .flow_is(Flow::Stops)
    .never_duplicates(),
    Fault::new("refused_for_good", Thing::Answers, |scene| {
        scene.produce(Mock::Error(ResponseError::TopicAuthorizationFailed))
    })
    .flow_is(Flow::Stops)
    .fails(&["TOPIC_AUTHORIZATION_FAILED"])
    .never_duplicates(),
    Fault::new("next_three_refused", Thing::Answers, |scene| {
        let fault = Rule::new(Mock::Error(ResponseError::KafkaStorageError));
        scene.inject(fault.api(ApiKey::Produce).times(3))
    })
    .never_duplicates(),
    Fault::new(
        "third_of_those_in_flight_refused",
        Thing::Answers,
        |scene| {
            let fault = Rule::new(Mock::Error(ResponseError::LeaderNotAvailable));
            let slow = scene.produce(Mock::Delay(Duration::from_millis(10)));
            slow.and(scene.inject(fault.api(ApiKey::Produce).after(2).times(1)))
        },
    )
    .never_duplicates(),
    Fault::new("one_partition_refused", Thing::Answers, |scene| {
        let fault = Rule::new(Mock::Error(ResponseError::NotLeaderOrFollower));
        scene.inject(fault.api(ApiKey::Produce).partition(TOPIC, 0))
    })
    .flow_is(Flow::Stutters)
    .never_duplicates(),
    Fault::new("not_the_leader", Thing::Answers, |scene| {
        scene.produce(Mock::Error(ResponseError::NotLeaderOrFollower))
    })
    .flow_is(Flow::Stops)
    .never_duplicates(),
    Fault::new("taken_and_refused", Thing::Answers, |scene| {
        scene.produce(Mock::AppliedError(ResponseError::RequestTimedOut))
    })
    .flow_is(Flow::Stutters),
    Fault::new("metadata_refused", Thing::Handshakes, |scene| {
        scene.metadata(Mock::Error(ResponseError::LeaderNotAvailable))
    })
    .flow_is(Flow::Stutters)
    .counted(Counted::Alone),
    Fault::new("rebootstrap_required", Thing::Handshakes, |scene| {
        scene.metadata_everywhere(Mock::Error(ResponseError::RebootstrapRequired))
    })
    .flow_is(Flow::Stutters)
    .everywhere(),
    Fault::new("handshake_refused", Thing::Handshakes, |scene| {
        scene.handshake(Mock::Error(ResponseError::UnsupportedVersion))
    })
    .flow_is(Flow::Stops),
    // Answers that come late, never, twice or in the wrong order.
    Fault::new("slow_answers", Thing::Answers, |scene| {
        scene.inject(Rule::new(Mock::Delay(Duration::from_millis(10))))
    })
    .never_duplicates()
    .never_loses(),
    Fault::new("hangs_before_taking", Thing::Answers, |scene| {
        scene.produce(Mock::DelayBefore(Duration::MAX))
    })
    .flow_is(Flow::Stops)
    .recovers_after(Recovery::Request),
    Fault::new("hangs_after_taking", Thing::Answers, |scene| {
        scene.produce(Mock::Delay(Duration::MAX))
    })
    .flow_is(Flow::Stutters)
    .recovers_after(Recovery::Request),
    Fault::new("closes_instead_of_taking", Thing::Answers, |scene| {
        scene.produce(Mock::CloseBefore)
    })
    .flow_is(Flow::Stops),
    Fault::new("closes_after_taking", Thing::Answers, |scene| {
        scene.produce(Mock::CloseAfter)
    })
    .flow_is(Flow::Stutters),
    Fault::new("resets_instead_of_taking", Thing::Answers, |scene| {
        scene.produce(Mock::ResetBefore)
    })
    .flow_is(Flow::Stops),
    Fault::new("resets_after_taking", Thing::Answers, |scene| {
        scene.produce(Mock::ResetAfter)
    })
    .flow_is(Flow::Stutters),
    Fault::new("half_closes", Thing::Answers, |scene| {
        scene.produce(Mock::HalfClose)
    })
    .flow_is(Flow::Stutters),
    Fault::new("never_answers", Thing::Answers, |scene| {
        scene.inject(Rule::new(Mock::IgnoreBefore))
    })
    .flow_is(Flow::Stops)
    .recovers_after(Recovery::Request),
    Fault::new("takes_and_never_answers", Thing::Answers, |scene| {
        scene.produce(Mock::IgnoreAfter)
    })
    .flow_is(Flow::Stutters)
    .recovers_after(Recovery::Request),
    Fault::new("never_answers_metadata", Thing::Handshakes, |scene| {
        scene.metadata(Mock::IgnoreBefore)
    })
    .flow_is(Flow::Stutters)
    .recovers_after(Recovery::Request)
    .counted(Counted::Alone),
    Fault::new("never_answers_handshakes", Thing::Handshakes, |scene| {
        scene.handshake(Mock::IgnoreBefore)
    })
    .flow_is(Flow::Stops)
    .recovers_after(Recovery::Setup),
    Fault::new("answers_twice", Thing::Answers, |scene| {
        scene.produce(Mock::Twice)
    })
    .flow_is(Flow::Stutters),
    Fault::new("answers_in_the_wrong_order", Thing::Answers, |scene| {
        scene.produce(Mock::SwapWithNext)
    })
    .flow_is(Flow::Stutters)
    .recovers_after(Recovery::Request),
    // Answers that cannot be read.
    Fault::new("truncated", Thing::Answers, |scene| {
        scene.produce(Mock::Truncate(12))
    })
    .flow_is(Flow::Stutters)
    .unreadable(ApiKey::Produce),
    Fault::new("truncated_handshake", Thing::Handshakes, |scene| {
        scene.handshake(Mock::Truncate(12))
    })
    .flow_is(Flow::Stops)
    .unreadable(ApiKey::ApiVersions),
    Fault::new("truncated_metadata", Thing::Handshakes, |scene| {
        scene.metadata(Mock::Truncate(12))
    })
    .flow_is(Flow::Stutters)
    .unreadable(ApiKey::Metadata)
    .counted(Counted::Alone),
    Fault::new("breaks_off", Thing::Answers, |scene| {
        scene.produce(Mock::CutOff(12))
    })
    .flow_is(Flow::Stutters),
    Fault::new("breaks_off_in_the_length", Thing::Answers, |scene| {
        scene.produce(Mock::CutOff(2))
    })
    .flow_is(Flow::Stutters),
    Fault::new("trailing_bytes", Thing::Answers, |scene| {
        scene.produce(Mock::Trailing(Bytes::from_static(b"and more")))
    })
    .flow_is(Flow::Stutters)
    .unreadable(ApiKey::Produce),
    Fault::new("web_server", Thing::Answers, |scene| {
        scene.produce(Mock::Garbage(Bytes::from_static(WEB_PAGE)))
    })
    .flow_is(Flow::Stutters)
    .unreadable(ApiKey::Produce),
    Fault::new("web_server_from_the_start", Thing::Handshakes, |scene| {
        scene.handshake(Mock::Garbage(Bytes::from_static(WEB_PAGE)))
    })
    .flow_is(Flow::Stops)
    .unreadable(ApiKey::ApiVersions),
    Fault::new("tls_alert", Thing::Handshakes, |scene| {
        let alert = Bytes::from_static(&[0x15, 3, 3, 0, 2, 2, 0x46]);
        let length = alert.len();
        let garbage = scene.handshake(Mock::Garbage(alert));
        garbage.and(scene.handshake(Mock::CutOff(length)))
    })
    .flow_is(Flow::Stops)
    .unreadable(ApiKey::ApiVersions),
    Fault::new("flipped_bits", Thing::Answers, |scene| {
        scene.produce(Mock::Corrupt { bits: 16, seed: 7 })
    })
    .flow_is(Flow::Stutters)
    .recovers_after(Recovery::Request)
    .wrong_in_many_ways(),
    Fault::new("flipped_bits_in_metadata", Thing::Handshakes, |scene| {
        scene.metadata_everywhere(Mock::Corrupt { bits: 16, seed: 7 })
    })
    .flow_is(Flow::Stutters)
    .recovers_after(Recovery::Request)
    .everywhere()
    .wrong_in_many_ways(),
    Fault::new("count_of_billions", Thing::Answers, |scene| {
        let count = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
        scene.produce(Mock::Overwrite {
            at: 5,
            bytes: count,
        })
    })
    .flow_is(Flow::Stutters)
    .unreadable(ApiKey::Produce),
    Fault::new(
        "count_of_billions_in_metadata",
        Thing::Handshakes,
        |scene| {
            let count = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
            scene.metadata(Mock::Overwrite {
                at: 9,
                bytes: count,
            })
        },
    )
    .flow_is(Flow::Stutters)
    .unreadable(ApiKey::Metadata)
    .counted(Counted::Alone),
    Fault::new("announces_90_mb", Thing::Answers, |scene| {
        scene.produce(Mock::Announce(90_000_000))
    })
    .flow_is(Flow::Stutters)
    .recovers_after(Recovery::Request),
    Fault::new("announces_a_negative_length", Thing::Answers, |scene| {
        scene.produce(Mock::Announce(u32::MAX))
    })
    .flow_is(Flow::Stutters)
    .unreadable(ApiKey::Produce),
    Fault::new("sends_64_mb", Thing::Answers, |scene| {
        scene.produce(Mock::Flood(64 << 20))
    })
    .flow_is(Flow::Stutters)
    .recovers_after(Recovery::Request)
    .unreadable(ApiKey::Produce)
    // Of the next answer, as much as the system's buffer holds is read along.
    .costs_memory(80 << 20)
    .costs_percent_of_a_core(40),
    Fault::new("wrong_correlation", Thing::Answers, |scene| {
        scene.produce(Mock::WrongCorrelation(1_000))
    })
    .flow_is(Flow::Stutters)
    .unreadable(ApiKey::Produce),
    Fault::new("correlation_of_the_next", Thing::Answers, |scene| {
        scene.produce(Mock::WrongCorrelation(1))
    })
    .flow_is(Flow::Stutters)
    .unreadable(ApiKey::Produce),
    Fault::new("greets", Thing::Connections, |scene| {
        scene.inject(Rule::new(Mock::Greet(Bytes::from_static(
            b"SSH-2.0-OpenSSH_9.6\r\n",
        ))))
    })
    .flow_is(Flow::Stops)
    .unreadable(ApiKey::ApiVersions),
    // Answers that lie.
    Fault::new("partition_left_out", Thing::Answers, |scene| {
        scene.produce(Mock::OmitPartition)
    })
    .flow_is(Flow::Stutters),
    Fault::new("partition_twice", Thing::Answers, |scene| {
        scene.produce(Mock::RepeatPartition)
    })
    .flow_is(Flow::Stutters),
    Fault::new("partition_of_nobody", Thing::Answers, |scene| {
        scene.produce(Mock::StrayPartition(4711))
    })
    .flow_is(Flow::Stutters),
    Fault::new("topic_of_nobody", Thing::Answers, |scene| {
        scene.produce(Mock::StrayTopic("nobody.asked".to_owned()))
    })
    .flow_is(Flow::Stutters),
    Fault::new("negative_offsets", Thing::Answers, |scene| {
        scene.produce(Mock::BaseOffset(-7))
    })
    .flow_is(Flow::Stutters),
    Fault::new(
        "partitions_left_out_of_metadata",
        Thing::Handshakes,
        |scene| scene.metadata_everywhere(Mock::OmitPartition),
    )
    .flow_is(Flow::Stutters)
    .everywhere(),
    Fault::new("partitions_twice_in_metadata", Thing::Handshakes, |scene| {
        scene.metadata_everywhere(Mock::RepeatPartition)
    })
    .flow_is(Flow::Stutters)
    .everywhere(),
    Fault::new("leader_of_nobody_knows_where", Thing::Handshakes, |scene| {
        scene.metadata_everywhere(Mock::Leader { node: 99, epoch: 7 })
    })
    .flow_is(Flow::Stutters)
    .everywhere(),
    Fault::new(
        "leader_is_never_where_they_say",
        Thing::Handshakes,
        |scene| {
            scene
                .metadata_everywhere(Mock::Leader {
                    node: scene.sick(),
                    epoch: 0,
                })
                .and(scene.produce(Mock::Error(ResponseError::NotLeaderOrFollower)))
        },
    )
    .flow_is(Flow::Stutters)
    .everywhere(),
    Fault::new("no_brokers", Thing::Handshakes, |scene| {
        scene.metadata_everywhere(Mock::Brokers(Vec::new()))
    })
    .flow_is(Flow::Stutters)
    .everywhere(),
    Fault::new("absurd_brokers", Thing::Handshakes, |scene| {
        scene.metadata_everywhere(Mock::Brokers(absurd_brokers()))
    })
    .flow_is(Flow::Stutters)
    .everywhere(),
    Fault::new("a_thousand_partitions", Thing::Handshakes, |scene| {
        scene.metadata_everywhere(Mock::PartitionCount(1_000))
    })
    .flow_is(Flow::Stutters)
    .everywhere()
    // What waits for those that do not exist fills the queue until it is given up.
    .recovers_after(Recovery::Propagation)
    .fails(&["_UNKNOWN_PARTITION"])
    // Each of them is tried anew once in `retry.backoff.max.ms`.
    .wakes_per_second(250)
    .costs_memory(2 << 20)
    .costs_percent_of_a_core(30),
    Fault::new("one_partition_only", Thing::Handshakes, |scene| {
        scene.metadata_everywhere(Mock::PartitionCount(1))
    })
    .flow_is(Flow::Stutters)
    .fails(&["_UNKNOWN_PARTITION"])
    .everywhere()
    .forgets_partitions(),
    Fault::new("no_partitions", Thing::Handshakes, |scene| {
        scene.metadata_everywhere(Mock::PartitionCount(0))
    })
    .flow_is(Flow::Stutters)
    .everywhere(),
    Fault::new("another_topic_id", Thing::Handshakes, |scene| {
        scene.metadata_everywhere(Mock::TopicId(Uuid::from_u128(7)))
    })
    .flow_is(Flow::Stutters)
    .everywhere(),
    Fault::new("no_topic_id", Thing::Handshakes, |scene| {
        scene.metadata_everywhere(Mock::TopicId(Uuid::nil()))
    })
    .flow_is(Flow::Stutters)
    .everywhere(),
    Fault::new("another_cluster", Thing::Handshakes, |scene| {
        scene.metadata_everywhere(Mock::ClusterId(Some("another".to_owned())))
    })
    .flow_is(Flow::Stutters)
    .everywhere(),
    Fault::new("produce_is_not_offered", Thing::Handshakes, |scene| {
        scene.handshake(Mock::Versions(ApiKey::Produce, None))
    })
    .flow_is(Flow::Stops),
    Fault::new("versions_upside_down", Thing::Handshakes, |scene| {
        scene.handshake(Mock::Versions(ApiKey::Produce, Some((9, 3))))
    })
    .flow_is(Flow::Stops),
    Fault::new("versions_of_the_future", Thing::Handshakes, |scene| {
        scene.handshake(Mock::Versions(ApiKey::Produce, Some((100, 200))))
    })
    .flow_is(Flow::Stops),
    // Bytes that crawl, connections that do not come about or do not last.
    Fault::new("never_reads", Thing::Connections, |scene| {
        scene.inject(Rule::new(Mock::NeverRead))
    })
    .flow_is(Flow::Stops)
    .recovers_after(Recovery::Request),
    Fault::new("slow_reader", Thing::Connections, |scene| {
        let pause = Duration::from_millis(10);
        scene.inject(Rule::new(Mock::SlowRead { bytes: 512, pause }))
    })
    .flow_is(Flow::Stutters)
    .recovers_after(Recovery::Request),
    Fault::new("slow_writer", Thing::Connections, |scene| {
        let pause = Duration::from_millis(1);
        scene.inject(Rule::new(Mock::SlowWrite { bytes: 1, pause }))
    })
    .flow_is(Flow::Stutters)
    .recovers_after(Recovery::Request)
    .wakes_per_second(1_000),
    Fault::new("closes_the_idle", Thing::Connections, |scene| {
        scene.inject(Rule::new(Mock::CloseIdle(Duration::from_millis(5))))
    })
    .flow_is(Flow::Stutters),
    Fault::new("nobody_listens", Thing::Connections, |scene| {
        scene.inject(Rule::new(Mock::Refuse))
    })
    .flow_is(Flow::Stops)
    .counted(Counted::Never),
    Fault::new("black_hole", Thing::Connections, |scene| {
        scene.inject(Rule::new(Mock::BlackHole))
    })
    .flow_is(Flow::Stops)
    .recovers_after(Recovery::Setup)
    .counted(Counted::Never),
    Fault::new("closes_on_accept", Thing::Connections, |scene| {
        scene.inject(Rule::new(Mock::CloseOnAccept))
    })
    .flow_is(Flow::Stops),
    Fault::new("closes_after_the_handshake", Thing::Connections, |scene| {
        scene.inject(Rule::new(Mock::CloseAfterHandshake))
    })
    .flow_is(Flow::Stops),
    Fault::new("connections_cut", Thing::Connections, |scene| {
        scene.cut_connections();
        Affliction::default()
    })
    .at_once(),
    Fault::new("downgraded", Thing::Connections, |scene| {
        scene.inject(Rule::new(Mock::Downgrade(Profile::KAFKA_0_11)))
    })
    .counted(Counted::Never),
    // Nodes, leaders and topics that come and go.
    Fault::new("node_stops", Thing::Nodes, |scene| {
        scene.stop();
        Affliction::until(Scene::start)
    })
    .flow_is(Flow::StopsAlone),
    Fault::new("node_moves", Thing::Nodes, |scene| {
        scene.move_node();
        Affliction::default()
    })
    .at_once(),
    Fault::new("nodes_change_places", Thing::Nodes, |scene| {
        scene.exchange_nodes();
        Affliction::default()
    })
    .at_once()
    .everywhere(),
    Fault::new("no_leader", Thing::Topic, |scene| {
        scene.move_leaders(None);
        Affliction::until(|scene| scene.move_leaders(Some(scene.sick())))
    })
    .flow_is(Flow::Stops),
    Fault::new("leader_moves", Thing::Topic, |scene| {
        scene.move_leaders(Some(scene.heir()));
        Affliction::default()
    })
    .at_once(),
    Fault::new("leader_moves_with_hints", Thing::Topic, |scene| {
        let hints = scene.inject(Rule::new(Mock::LeaderHints));
        scene.move_leaders(Some(scene.heir()));
        hints
    })
    .at_once(),
    Fault::new("topic_recreated", Thing::Topic, |scene| {
        scene.delete_topic();
        scene.create_topic();
        Affliction::default()
    })
    .at_once()
    .everywhere(),
    Fault::new("topic_recreated_smaller", Thing::Topic, |scene| {
        scene.delete_topic();
        scene.create_topic_with(1);
        Affliction::default()
    })
    .at_once()
    .flow_is(Flow::Stutters)
    .fails(&["_UNKNOWN_PARTITION"])
    .everywhere(),
    Fault::new("topic_deleted", Thing::Topic, |scene| {
        scene.delete_topic();
        Affliction::until(Scene::create_topic)
    })
    .flow_is(Flow::Stops)
    .fails(&["_UNKNOWN_TOPIC"])
    .everywhere(),
    // What does no harm.
    Fault::new("throttled", Thing::Answers, |scene| {
        scene.produce(Mock::Throttle(Duration::from_millis(200)))
    })
    .never_duplicates()
    .never_loses(),
    Fault::new("clock_skew", Thing::Answers, |scene| {
        scene.inject(Rule::new(Mock::ClockSkew(-86_400_000)))
    })
    .never_duplicates()
    .never_loses(),
];

/// As they are unless said otherwise: messages flow and may come twice, and none fails.
impl Fault {
    const fn new(name: &'static str, thing: Thing, begin: fn(&Scene) -> Affliction) -> Self {
        Self {
            name,
            thing,
            begin,
            at_once: false,
            flow: Flow::Goes,
            recovery: Recovery::Backoff,
            fails: &[],
            duplicates: true,
            loses: true,
            unreadable: None,
            counted: Counted::Always,
            forgets_partitions: false,
            everywhere: false,
            wakes_per_second: 0,
            percent_of_a_core: 5,
            memory: 0,
            log_lines: 10,
        }
    }

    const fn at_once(mut self) -> Self {
        self.at_once = true;
        self
    }

    const fn counted(mut self, counted: Counted) -> Self {
        self.counted = counted;
        self
    }

    const fn forgets_partitions(mut self) -> Self {
        self.forgets_partitions = true;
        self
    }

    const fn everywhere(mut self) -> Self {
        self.everywhere = true;
        self
    }

    const fn flow_is(mut self, flow: Flow) -> Self {
        // An address that comes and goes is told of up to four times, and there are four of them.
        if matches!(flow, Flow::Stutters) {
            self.log_lines = 20;
        }
        self.flow = flow;
        self
    }

    const fn recovers_after(mut self, recovery: Recovery) -> Self {
        self.recovery = recovery;
        self
    }

    const fn fails(mut self, names: &'static [&'static str]) -> Self {
        self.fails = names;
        self
    }

    const fn never_duplicates(mut self) -> Self {
        self.duplicates = false;
        self
    }

    const fn never_loses(mut self) -> Self {
        self.loses = false;
        self
    }

    const fn unreadable(mut self, api: ApiKey) -> Self {
        self.unreadable = Some(api);
        self
    }

    /// Every answer is wrong in another way, and each way is told once for each address.
    const fn wrong_in_many_ways(mut self) -> Self {
        self.log_lines = 40;
        self
    }

    const fn costs_percent_of_a_core(mut self, percent: u32) -> Self {
        self.percent_of_a_core = percent;
        self
    }

    const fn costs_memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    const fn wakes_per_second(mut self, times: u32) -> Self {
        self.wakes_per_second = times;
        self
    }
}

/// What comes from a web server that is taken for a broker.
const WEB_PAGE: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

fn absurd_brokers() -> Vec<(i32, String, i32)> {
    vec![
        (1, String::new(), 0),
        (2, "no such host.invalid".to_owned(), -1),
        (3, "x".repeat(300), 99_999),
        (-1, "127.0.0.1".to_owned(), 1),
    ]
}
