//! Connections that are treated badly.

use std::time::Duration;

use bytes::Bytes;
use kafka_mock::{Cluster, Fault, Profile, Rule};
use kafka_protocol::messages::ProduceRequest;

use crate::client::{
    API_VERSIONS, Client, METADATA, PATIENCE, PRODUCE, batch, cluster, cluster_of, frame, hello,
    metadata, produce, settle, stored,
};

/// More than all buffers of a connection hold, if the broker does not read.
const MUCH: usize = 32 * 1024 * 1024;

/// As many requests as have `MUCH` bytes, none of which wants an answer, and how many they are.
fn flood() -> (Vec<u8>, i64) {
    let mut request = produce(&[0]).with_acks(0);
    let partition = &mut request.topic_data[0].partition_data[0];
    partition.records = Some(batch(&[0; 512 * 1024]));
    let one = frame(PRODUCE, 1, &request);
    let count = MUCH / one.len() + 1;
    (one.repeat(count), count as i64)
}

/// Whether a request is answered by now.
fn is_answered(cluster: &Cluster, client: &mut Client) -> bool {
    client.send(API_VERSIONS, &hello());
    settle(cluster);
    let (bytes, next) = client.arrived();
    assert_eq!(next, None, "the connection is still there");
    !bytes.is_empty()
}

#[test]
fn buffers_fill_up_when_nobody_reads_and_nothing_is_lost() {
    let (requests, count) = flood();
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let fault = cluster.inject(Rule::new(Fault::NeverRead).times(1));
    let sent = client.push(&requests);
    assert!(0 < sent && sent < MUCH / 2, "{sent} bytes were taken");
    settle(&cluster);
    assert_eq!((client.push(b"more"), stored(&cluster, 0)), (0, 0));
    cluster.withdraw(fault);
    client.send_bytes(&requests[sent..]);
    let all = cluster.wait(PATIENCE, |cluster| {
        (stored(cluster, 0) == count).then_some(())
    });
    assert_eq!(all, Some(()));
}

#[test]
fn connections_count_in_the_order_in_which_they_were_made() {
    let cluster = cluster();
    let mut present = [(); 3].map(|()| Client::to(&cluster, 1));
    for client in &mut present {
        client.call(API_VERSIONS, &hello());
    }
    let fault = cluster.inject(Rule::new(Fault::NeverRead).after(1).times(3));
    let mut next = [(); 3].map(|()| Client::to(&cluster, 1));
    let answered = present
        .each_mut()
        .map(|client| is_answered(&cluster, client));
    assert_eq!(answered, [true, false, false]);
    let answered = next.each_mut().map(|client| is_answered(&cluster, client));
    assert_eq!(answered, [false, true, true]);
    assert_eq!(cluster.struck(fault), 3);
}

#[test]
fn a_node_that_does_not_read_does_not_keep_others_from_it() {
    let cluster = cluster_of(2);
    cluster.inject(Rule::new(Fault::NeverRead).node(2));
    let mut well = Client::to(&cluster, 1);
    let mut sick = Client::to(&cluster, 2);
    sick.send(API_VERSIONS, &hello());
    well.call(API_VERSIONS, &hello());
    settle(&cluster);
    sick.assert_waits();
}

#[test]
fn requests_are_read_byte_by_byte() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    cluster.inject(Rule::new(Fault::SlowRead {
        bytes: 1,
        pause: Duration::ZERO,
    }));
    for _ in 0..2 {
        assert_eq!(client.produce(&[0, 1])[1].error_code, 0);
    }
}

#[test]
fn a_slow_reader_takes_so_many_bytes_at_a_time() {
    let request = frame(API_VERSIONS, 1, &hello());
    let answered = |bytes| {
        let cluster = cluster();
        let mut client = Client::to(&cluster, 1);
        let fault = Fault::SlowRead {
            bytes,
            pause: Duration::MAX,
        };
        let fault = cluster.inject(Rule::new(fault).times(1));
        client.send_bytes(&request);
        settle(&cluster);
        let (before, _) = client.arrived();
        cluster.withdraw(fault);
        settle(&cluster);
        let (after, _) = client.arrived();
        (!before.is_empty(), !after.is_empty())
    };
    assert_eq!(answered(request.len()), (true, false));
    assert_eq!(answered(request.len() - 1), (false, true));
}

#[test]
fn answers_come_a_few_bytes_at_a_time() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let slow = Fault::SlowWrite {
        bytes: 3,
        pause: Duration::MAX,
    };
    let fault = cluster.inject(Rule::new(slow).times(1));
    client.send(API_VERSIONS, &hello());
    settle(&cluster);
    let (first, next) = client.arrived();
    assert_eq!((first.len(), next), (3, None));
    cluster.withdraw(fault);
    let rest = client.bytes(1);
    let length = u32::from_be_bytes([first[0], first[1], first[2], rest[0]]);
    client.bytes(length as usize);
    client.assert_waits();
}

#[test]
fn answers_come_byte_by_byte_and_in_full() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let truth = client.call(METADATA, &metadata());
    cluster.inject(Rule::new(Fault::SlowWrite {
        bytes: 1,
        pause: Duration::ZERO,
    }));
    for _ in 0..2 {
        assert_eq!(client.call(METADATA, &metadata()), truth);
    }
}

#[test]
fn connections_are_closed_when_they_are_idle_for_long() {
    let cluster = cluster();
    let mut busy = Client::to(&cluster, 1);
    let mut idle = Client::to(&cluster, 1);
    let hold = cluster.inject(Rule::new(Fault::Delay(Duration::MAX)).times(1));
    let sent = busy.send(PRODUCE, &produce(&[0]));
    cluster.wait(PATIENCE, |cluster| (stored(cluster, 0) == 1).then_some(()));
    cluster.inject(Rule::new(Fault::CloseIdle(Duration::from_millis(10))));
    idle.assert_ends();
    busy.assert_waits();
    cluster.withdraw(hold);
    assert_eq!(busy.answer::<ProduceRequest>(PRODUCE).0, sent);
    busy.assert_ends();
}

/// Two connections that are there, and served.
fn present(cluster: &Cluster) -> [Client; 2] {
    [(); 2].map(|()| {
        let mut client = Client::to(cluster, 1);
        client.call(API_VERSIONS, &hello());
        client
    })
}

#[test]
fn connections_are_closed_when_they_are_taken() {
    let cluster = cluster();
    let old = present(&cluster);
    let fault = cluster.inject(Rule::new(Fault::CloseOnAccept).after(1).times(2));
    for mut client in old {
        assert_eq!(client.arrived(), (Vec::new(), Some(Ok(()))), "already");
    }
    let answered = [(); 4].map(|()| Client::to(&cluster, 1).try_call());
    assert_eq!(answered, [true, false, false, true]);
    assert_eq!(cluster.struck(fault), 2);
    cluster.withdraw(fault);
    Client::to(&cluster, 1).call(API_VERSIONS, &hello());
}

#[test]
fn connections_are_closed_after_the_handshake() {
    let cluster = cluster();
    let old = present(&cluster);
    let fault = cluster.inject(Rule::new(Fault::CloseAfterHandshake));
    for mut client in old {
        assert_eq!(client.arrived(), (Vec::new(), Some(Ok(()))), "already");
    }
    let mut polite = Client::to(&cluster, 1);
    polite.call(API_VERSIONS, &hello());
    polite.assert_ends();
    let mut hasty = Client::to(&cluster, 1);
    hasty.send(PRODUCE, &produce(&[0]));
    hasty.assert_ends();
    assert_eq!((cluster.struck(fault), stored(&cluster, 0)), (2, 0));
    cluster.withdraw(fault);
    present(&cluster);
}

#[test]
fn connections_begin_with_bytes_that_nobody_asked_for() {
    let cluster = cluster();
    let greet = |bytes: &'static [u8]| Rule::new(Fault::Greet(Bytes::from_static(bytes))).times(1);
    cluster.inject(greet(b"SSH-2.0-"));
    cluster.inject(greet(b"OpenSSH\r\n"));
    let mut client = Client::to(&cluster, 1);
    assert_eq!(client.bytes(17), b"SSH-2.0-OpenSSH\r\n"[..]);
    client.call(API_VERSIONS, &hello());
    present(&cluster);
}

#[test]
fn another_version_is_offered_on_new_connections() {
    let highest = |client: &mut Client| {
        let offers = client.call(0, &hello()).api_keys;
        offers
            .iter()
            .find(|offer| offer.api_key == 0)
            .unwrap()
            .max_version
    };
    let cluster = cluster_of(2);
    let mut old = Client::to(&cluster, 1);
    let mut other = Client::to(&cluster, 2);
    assert_eq!(highest(&mut old), 13);
    assert_eq!(highest(&mut other), 13);
    let fault = cluster.inject(Rule::new(Fault::Downgrade(Profile::KAFKA_2_8)).node(1));
    assert_eq!(old.arrived(), (Vec::new(), Some(Ok(()))), "already");
    let mut new = Client::to(&cluster, 1);
    assert_eq!(highest(&mut new), 9);
    assert_eq!(highest(&mut other), 13);
    new.send(PRODUCE, &produce(&[0]));
    new.assert_ends();
    let mut new = Client::to(&cluster, 1);
    assert_eq!(highest(&mut new), 9);
    cluster.withdraw(fault);
    assert_eq!(new.arrived(), (Vec::new(), Some(Ok(()))), "already");
    assert_eq!(highest(&mut Client::to(&cluster, 1)), 13);
}
