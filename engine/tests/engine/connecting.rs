//! Finding brokers, agreeing on versions, coming back after failures.

use std::time::Duration;

use kafka_engine::Contact;
use kafka_engine::settings::{Settings, TopicSettings};
use kafka_wire::ApiKey::{self, ApiVersions, Metadata, Produce};
use kafka_wire::{ErrorCode, VersionRange};

use kafka_sim::{Cluster, Fault, Message, Reach, World, endpoint, millis, secs};

/// The waits between connects to a host, in milliseconds.
fn waits(world: &World, host: &str) -> Vec<u64> {
    let times = world.connects.iter().filter(|(_, to)| to == host);
    let times: Vec<Duration> = times.map(|(at, _)| *at).collect();
    let waits = times.windows(2).map(|pair| pair[1] - pair[0]);
    waits.map(|wait| wait.as_millis() as u64).collect()
}

#[test]
fn waits_between_connects_grow_and_are_bounded() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    world.crash(1, Reach::Refuses);
    world.connects.clear();
    world.publish(&topic, &Message::of(10));
    world.run_for(secs(100));
    // The same host is in the bootstrap list and in the cluster, each with its own wait.
    assert!(world.connects.len() < 45, "{}", world.connects.len());
    world.cluster.broker(1).reach = Reach::Up;
    world.run_dry(secs(16));
    world.verify();
}

#[test]
fn a_host_that_refuses_is_tried_with_doubling_waits() {
    let settings = Settings {
        bootstrap: vec![endpoint("nobody")],
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1), settings);
    world.run_for(secs(100));
    let waits = waits(&world, "nobody");
    assert_growing(&waits);
    assert!(waits.len() >= 12);
}

/// Waits that double from 100 ms to 10 s, each with its jitter.
fn assert_growing(waits: &[u64]) {
    let doubling = [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000];
    for (wait, expected) in waits.iter().zip(doubling) {
        let range = expected * 3 / 4..=(expected * 3 / 2).min(10_000) + 1;
        assert!(range.contains(wait), "{waits:?}");
    }
}

#[test]
fn a_broker_that_closes_what_it_accepted_is_connected_ever_more_slowly() {
    let cases = [
        (ApiVersions, Fault::AnswerThenClose, 0),
        (Metadata, Fault::Close, 0),
        (Metadata, Fault::AnswerThenClose, 0),
        (Produce, Fault::Close, 0),
        (Produce, Fault::AnswerThenClose, 9),
    ];
    for (api, fault, delivered) in cases {
        println!("{api:?} {fault:?}");
        let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
        let topic = world.topic("t");
        world.run_for(secs(20));
        let broker = world.cluster.broker(1);
        broker.script(api, vec![fault.clone(); 1000]);
        if api != Produce {
            world.crash(1, Reach::Up);
        }
        for _ in 0..100 {
            world.publish(&topic, &Message::of(10));
            world.run_for(secs(1));
        }
        // In 100 s: those of the first 25 s, and one in 10 s.
        assert!(world.connects.len() <= 25, "{}", world.connects.len());
        assert!(world.delivered() >= delivered);
        world.cluster.broker(1).forget_script();
        world.run_dry(secs(11));
        world.verify();
    }
}

#[test]
fn waits_grow_until_a_connection_has_lasted_as_long_as_the_longest_wait() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let topic = world.topic("t");
    world.run_for(secs(20));
    world.connects.clear();
    for _ in 0..8 {
        world.crash(1, Reach::Up);
        let connected = |world: &World| world.connections() == 1;
        world.run_for(millis(1));
        assert!(world.run_until(secs(11), connected));
    }
    let first_waits = waits(&world, "b1");
    assert_eq!(first_waits.len(), 7);
    assert_growing(&first_waits);
    for lasts in [millis(9_900), millis(10_100)] {
        world.run_for(lasts);
        world.crash(1, Reach::Up);
        world.publish(&topic, &Message::of(10));
        world.run_dry(secs(11));
    }
    let last_waits = waits(&world, "b1");
    let [.., impatient, patient] = last_waits[..] else {
        panic!("{last_waits:?}");
    };
    assert!(impatient > 17_000 && patient < 10_400, "{last_waits:?}");
    world.verify();
}

#[test]
fn a_connection_that_the_broker_closed_for_idleness_is_made_again_without_a_wait() {
    let settings = Settings {
        metadata_refresh_interval: None,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(2).with_topic("t", 2), settings);
    let topic = world.topic("t");
    for round in 0..5 {
        for partition in 0..2 {
            world.publish(&topic, &Message::of(10).to(partition));
        }
        world.run_dry(millis(6));
        assert_eq!(world.requests_of(Produce, 2), round + 1);
        world.run_for(secs(600));
        world.crash(2, Reach::Up);
        world.run_for(millis(1));
    }
    world.verify();
}

#[test]
fn a_bootstrap_connection_is_kept_while_the_brokers_that_it_names_cannot_be_reached() {
    let mut cluster = Cluster::new(2).with_topic("t", 2);
    cluster.aliases.insert(endpoint("front"), 1);
    let settings = Settings {
        bootstrap: vec![endpoint("front")],
        ..Settings::default()
    };
    for id in 1..=2 {
        cluster.black_holes.insert(endpoint(&format!("b{id}")));
    }
    let mut world = World::new(cluster, settings);
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10).to(0));
    world.run_for(secs(200));
    assert_eq!(waits(&world, "front"), []);
    world.cluster.black_holes.clear();
    world.run_dry(secs(40));
    assert_eq!(world.connections(), 1, "the front has done its work");
    world.verify();
}

#[test]
fn the_second_address_is_used_when_the_first_is_dead() {
    let bootstrap = vec![endpoint("nobody"), endpoint("b1")];
    let settings = Settings {
        bootstrap,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(millis(50));
    world.verify();
}

#[test]
fn the_second_address_is_used_when_the_first_is_a_black_hole() {
    for handshake in [false, true] {
        let mut cluster = Cluster::new(2).with_topic("t", 1);
        cluster.lead("t", 0, Some(2));
        if handshake {
            cluster.broker(1).reach = Reach::Hangs;
        } else {
            cluster.black_holes.insert(endpoint("b1"));
        }
        let bootstrap = vec![endpoint("b1"), endpoint("b2")];
        let settings = Settings {
            bootstrap,
            ..Settings::default()
        };
        let mut world = World::new(cluster, settings);
        let topic = world.topic("t");
        world.publish(&topic, &Message::of(10));
        world.run_dry(millis(600));
        world.verify();
    }
}

#[test]
fn a_connect_that_takes_for_ever_ends_after_the_setup_timeout() {
    let mut cluster = Cluster::new(1).with_topic("t", 1);
    cluster.black_holes.insert(endpoint("b1"));
    let settings = Settings {
        connection_setup_timeout: secs(3),
        ..Settings::default()
    };
    let mut world = World::new(cluster, settings);
    let topic = world.topic("t");
    let settings = TopicSettings {
        message_timeout: Some(secs(4)),
        ..TopicSettings::default()
    };
    let brief = world.topic_with("t", &settings);
    world.publish(&topic, &Message::of(10));
    let expired = world.publish(&brief, &Message::of(10));
    world.run_for(millis(2999));
    assert_eq!((world.connections(), world.connects.len()), (1, 1));
    world.run_for(secs(2));
    let why = world.failure(expired).last_error.clone().expect("why");
    assert!(
        why.contains("b1:9092") && why.contains("socket.connection.setup.timeout.ms"),
        "{why}"
    );
    world.cluster.black_holes.clear();
    world.run_dry(secs(10));
    world.verify();
}

#[test]
fn the_cluster_is_found_again_when_all_its_brokers_have_new_addresses() {
    let settings = Settings {
        request_timeout: secs(5),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(2).with_topic("t", 2), settings);
    let topic = world.topic("t");
    for partition in 0..2 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.run_dry(secs(1));
    // Broker 1 now listens where 2 was, and 2 elsewhere.
    world.crash(1, Reach::Up);
    world.crash(2, Reach::Up);
    world.cluster.broker(1).endpoint = endpoint("b2");
    world.cluster.broker(2).endpoint = endpoint("b3");
    for partition in 0..2 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.run_dry(secs(60));
    assert_eq!(world.delivered(), 4);
    world.verify();
}

#[test]
fn a_cluster_that_moved_away_is_found_by_its_bootstrap_address_though_old_addresses_swallow_all() {
    let mut cluster = Cluster::new(40).with_topic("t", 40);
    cluster.aliases.insert(endpoint("front"), 7);
    let settings = Settings {
        bootstrap: vec![endpoint("gone"), endpoint("front")],
        ..Settings::default()
    };
    cluster.black_holes.insert(endpoint("gone"));
    let mut world = World::new(cluster, settings);
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10).to(0));
    world.run_dry(secs(1));
    for id in 1..=40 {
        world.crash(id, Reach::Up);
        world
            .cluster
            .black_holes
            .insert(endpoint(&format!("b{id}")));
        world.cluster.broker(id).endpoint = endpoint(&format!("new{id}"));
    }
    world.publish(&topic, &Message::of(10).to(0));
    world.run_dry(secs(3));
    world.verify();
}

/// A cluster that is found by an address that none of its brokers advertises, and asked every 10 s.
fn world_with_an_entry(settings: Settings) -> World {
    let settings = Settings {
        bootstrap: vec![endpoint("entry")],
        metadata_refresh_interval: Some(secs(10)),
        ..settings
    };
    let mut cluster = Cluster::new(2).with_topic("t", 1);
    cluster.aliases.insert(endpoint("entry"), 1);
    World::new(cluster, settings)
}

#[test]
fn a_cluster_that_gives_no_metadata_for_long_is_looked_for_anew() {
    let mut world = world_with_an_entry(Settings {
        rebootstrap_trigger: secs(20),
        ..Settings::default()
    });
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    for broker in 1..=2 {
        world.cluster.broker(broker).always(Metadata, Fault::Hang);
    }
    // Asked after 10 s.
    world.run_for(secs(29));
    let given_up = |world: &World| {
        let lines = world.log.lines();
        let given_up = |line: &String| line.contains("looked for at the bootstrap addresses");
        lines.iter().filter(|line| given_up(line)).count()
    };
    assert_eq!((given_up(&world), world.connections()), (0, 3));
    world.run_for(secs(3));
    assert_eq!((given_up(&world), world.connections()), (1, 1));
    for broker in 1..=2 {
        world.cluster.broker(broker).forget_script();
    }
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(120));
    world.verify();
}

#[test]
fn a_cluster_that_asks_for_it_is_looked_for_anew_unless_that_is_forbidden() {
    for rebootstrap in [true, false] {
        let mut world = world_with_an_entry(Settings {
            rebootstrap,
            ..Settings::default()
        });
        let topic = world.topic("t");
        world.publish(&topic, &Message::of(10));
        world.run_dry(secs(1));
        world.connects.clear();
        for broker in 1..=2 {
            let required = Fault::Misstate(|response| {
                response.error_code = ErrorCode::REBOOTSTRAP_REQUIRED;
            });
            world.cluster.broker(broker).script(Metadata, [required]);
        }
        world.run_for(secs(20));
        let went = world.connects.iter().any(|(_, host)| host == "entry");
        assert_eq!(went, rebootstrap);
        world.publish(&topic, &Message::of(10));
        world.run_dry(secs(5));
        world.verify();
    }
}

#[test]
fn without_rebootstrap_a_known_cluster_is_not_looked_for_elsewhere() {
    for rebootstrap in [true, false] {
        let settings = Settings {
            bootstrap: vec![endpoint("front")],
            rebootstrap,
            ..Settings::default()
        };
        let mut cluster = Cluster::new(1).with_topic("t", 1);
        cluster.aliases.insert(endpoint("front"), 1);
        let mut world = World::new(cluster, settings);
        let topic = world.topic("t");
        world.publish(&topic, &Message::of(10));
        world.run_dry(secs(1));
        world.crash(1, Reach::Refuses);
        world.connects.clear();
        world.run_for(secs(60));
        let tried = world.connects.iter().any(|(_, host)| host == "front");
        assert_eq!(tried, rebootstrap);
        world.cluster.broker(1).reach = Reach::Up;
        world.publish(&topic, &Message::of(10));
        world.run_dry(secs(16));
        world.verify();
    }
}

#[test]
fn brokers_that_have_nothing_to_do_are_connected_only_if_told_to() {
    for sparse_connections in [true, false] {
        let settings = Settings {
            sparse_connections,
            ..Settings::default()
        };
        let mut cluster = Cluster::new(3);
        cluster.lists_the_dead = true;
        let mut world = World::new(cluster, settings);
        world.run_for(secs(20));
        let expected = if sparse_connections { 1 } else { 3 };
        assert_eq!(world.connections(), expected);
        world.crash(2, Reach::Refuses);
        world.run_for(secs(20));
        world.cluster.broker(2).reach = Reach::Up;
        world.run_for(secs(20));
        assert_eq!(world.connections(), expected);
    }
}

#[test]
fn a_broker_that_does_not_say_what_it_speaks_is_left_after_the_shorter_of_two_times() {
    for (version, setup, limit) in [
        (secs(10), secs(30), "api.version.request.timeout.ms"),
        (secs(30), secs(10), "socket.connection.setup.timeout.ms"),
    ] {
        let settings = Settings {
            api_version_timeout: version,
            connection_setup_timeout: setup,
            ..Settings::default()
        };
        let mut cluster = Cluster::new(1);
        cluster.broker(1).reach = Reach::Hangs;
        let mut world = World::new(cluster, settings);
        world.run_for(secs(9));
        assert_eq!(world.connects.len(), 1);
        world.run_for(secs(2));
        assert_eq!(world.connects.len(), 2);
        let said = world.log.lines();
        assert!(said[0].contains(limit), "{said:?}");
    }
}

#[test]
fn an_address_under_two_names_is_tried_as_one() {
    let bootstrap = vec![endpoint("b1"), endpoint("b1")];
    let settings = Settings {
        bootstrap,
        ..Settings::default()
    };
    let mut cluster = Cluster::new(1).with_topic("t", 1);
    cluster.black_holes.insert(endpoint("b1"));
    let mut world = World::new(cluster, settings);
    world.run_for(secs(29));
    assert_eq!(world.connects.len(), 1);
}

#[test]
fn a_broker_that_does_not_know_our_apiversions_is_asked_in_its_own() {
    for newest in 0..=4 {
        let mut cluster = Cluster::new(1).with_topic("t", 1);
        let range = VersionRange {
            min: 0,
            max: newest,
        };
        cluster.broker(1).offers.insert(ApiVersions, range);
        let mut world = World::new(cluster, Settings::default());
        let topic = world.topic("t");
        world.publish(&topic, &Message::of(10));
        world.run_dry(secs(1));
        assert_eq!(world.connects.len(), 1);
        world.verify();
    }
}

#[test]
fn a_broker_that_is_too_old_is_named_with_what_it_speaks() {
    let cases: [(ApiKey, Option<i16>, &str); 4] = [
        (Produce, Some(2), "speaks Produce 0 to 2"),
        (Produce, None, "speaks Produce not at all"),
        (Metadata, Some(0), "speaks Metadata 0 to 0"),
        (Metadata, None, "speaks Metadata not at all"),
    ];
    for (api, newest, words) in cases {
        let mut cluster = Cluster::new(1).with_topic("t", 1);
        match newest {
            Some(max) => cluster
                .broker(1)
                .offers
                .insert(api, VersionRange { min: 0, max }),
            None => cluster.broker(1).offers.remove(&api),
        };
        let mut world = World::new(cluster, Settings::default());
        let settings = TopicSettings {
            message_timeout: Some(secs(1)),
            ..TopicSettings::default()
        };
        let topic = world.topic_with("t", &settings);
        let opaque = world.publish(&topic, &Message::of(10));
        world.run_dry(secs(2));
        let why = world.failure(opaque).last_error.clone().expect("why");
        assert!(why.contains("b1:9092") && why.contains(words), "{why}");
        assert!(world.connects.len() < 12);
        world.verify();
    }
}

#[test]
fn every_version_of_metadata_will_do() {
    for newest in 1..=13 {
        let mut cluster = Cluster::new(2).with_topic("t", 2);
        for broker in 1..=2 {
            let range = VersionRange {
                min: 0,
                max: newest,
            };
            cluster.broker(broker).offers.insert(Metadata, range);
        }
        let mut world = World::new(cluster, Settings::default());
        let topic = world.topic("t");
        for partition in 0..2 {
            world.publish(&topic, &Message::of(10).to(partition));
        }
        world.run_dry(secs(1));
        world.verify();
    }
}

#[test]
fn a_connection_is_closed_after_its_idle_time_and_opened_again_when_needed() {
    let settings = Settings {
        connections_max_idle: Some(secs(10)),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    for _ in 0..5 {
        world.publish(&topic, &Message::of(10));
        world.run_for(millis(9_900));
        assert_eq!(world.connections(), 1);
    }
    assert_eq!(world.connects.len(), 1);
    world.run_for(secs(1));
    assert_eq!(world.connections(), 0);
    world.publish(&topic, &Message::of(10));
    world.run_dry(millis(10));
    assert_eq!(world.connects.len(), 2);
    world.verify();
}

#[test]
fn a_connection_whose_idle_time_is_over_when_an_attempt_is_due_is_opened_again() {
    let settings = Settings {
        connections_max_idle: Some(secs(1)),
        retry_backoff: secs(1),
        retry_backoff_max: secs(1),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    for _ in 0..10 {
        let refuse = Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS);
        world.cluster.broker(1).script(Produce, [refuse]);
        world.publish(&topic, &Message::of(10));
        world.run_dry(secs(2));
    }
    world.verify();
}

#[test]
fn a_broker_that_left_the_cluster_is_let_go() {
    let settings = Settings {
        metadata_refresh_interval: Some(secs(5)),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(2).with_topic("t", 2), settings);
    let topic = world.topic("t");
    for partition in 0..2 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.run_dry(secs(1));
    assert_eq!(world.connections(), 2);
    world.cluster.lead("t", 1, Some(1));
    world.cluster.brokers.remove(&2);
    world.run_for(secs(6));
    assert_eq!(world.connections(), 1);
    for partition in 0..2 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.run_dry(secs(1));
    world.verify();
}

#[test]
fn a_bootstrap_address_that_no_broker_advertises_serves_for_the_first_question_only() {
    let mut cluster = Cluster::new(1).with_topic("t", 1);
    // A load balancer in front of broker 1.
    cluster.aliases.insert(endpoint("balancer"), 1);
    let settings = Settings {
        bootstrap: vec![endpoint("balancer")],
        ..Settings::default()
    };
    let mut world = World::new(cluster, settings);
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    let hosts: Vec<&str> = world
        .connects
        .iter()
        .map(|(_, host)| host.as_str())
        .collect();
    assert_eq!(hosts, ["balancer", "b1"]);
    assert_eq!(world.connections(), 1);
    world.verify();
}

#[test]
fn one_connection_serves_a_broker_that_is_in_the_bootstrap_list() {
    let bootstrap = vec![endpoint("b1"), endpoint("b1"), endpoint("b2")];
    let settings = Settings {
        bootstrap,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(2).with_topic("t", 2), settings);
    let topic = world.topic("t");
    for partition in 0..2 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.run_for(secs(10));
    assert_eq!(world.connects.len(), 2);
    world.verify();
}

#[test]
fn a_broker_that_was_found_again_by_its_bootstrap_address_starts_afresh() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let settings = TopicSettings {
        message_timeout: Some(secs(1)),
        ..TopicSettings::default()
    };
    let topic = world.topic_with("t", &settings);
    for _ in 0..10 {
        world.run_for(secs(1));
        world.crash(1, Reach::Refuses);
        world.run_for(secs(5));
        world.cluster.broker(1).reach = Reach::Up;
        world.run_for(secs(16));
        world.publish(&topic, &Message::of(10));
        world.run_dry(secs(1));
        world.cluster.broker(1).script(Produce, [Fault::Hang]);
        let expired = world.publish(&topic, &Message::of(10));
        world.run_dry(secs(2));
        let old = &world.failure(expired).last_error;
        assert_eq!(*old, None, "all was well when it was published");
    }
    world.run_for(secs(60));
    world.verify();
}

#[test]
fn a_producer_says_whether_brokers_can_be_reached_and_why_not() {
    let mut world = World::new(Cluster::new(2).with_topic("t", 2), Settings::default());
    assert_eq!(world.accumulator.contact(), Contact::Connecting);
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    assert_eq!(world.accumulator.contact(), Contact::Up);
    world.crash(1, Reach::Refuses);
    world.run_for(secs(1));
    // The other one is there.
    assert_eq!(world.accumulator.contact(), Contact::Up);
    world.crash(2, Reach::Refuses);
    world.run_for(secs(1));
    assert!(matches!(world.accumulator.contact(), Contact::Down(why) if why.contains("connect")));
    world.cluster.broker(2).reach = Reach::Up;
    world.run_for(secs(20));
    assert_eq!(world.accumulator.contact(), Contact::Up);
}
