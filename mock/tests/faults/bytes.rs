//! Answers whose bytes are wrong.

use bytes::{Buf, Bytes};
use kafka_mock::{ApiKey, Cluster, Fault, Rule};
use kafka_protocol::messages::ApiVersionsRequest;

use crate::client::{API_VERSIONS, Client, METADATA, cluster, frame, hello, metadata, settle};

const CORRELATION: i32 = 77;

fn on_hello(fault: Fault) -> Rule {
    Rule::new(fault).api(ApiKey::ApiVersions)
}

/// Sends the request that all tests here send.
fn ask(client: &mut Client) {
    client.send_bytes(&frame(API_VERSIONS, CORRELATION, &hello()));
}

/// What it is answered without a fault, after the length.
fn truth(cluster: &Cluster) -> Vec<u8> {
    let mut client = Client::to(cluster, 1);
    ask(&mut client);
    let answer = client.frame().to_vec();
    assert_eq!(answer[..4], CORRELATION.to_be_bytes());
    answer
}

fn framed(body: &[u8]) -> Vec<u8> {
    announced(body.len() as u32, body)
}

fn announced(length: u32, body: &[u8]) -> Vec<u8> {
    [&length.to_be_bytes(), body].concat()
}

/// Asks once with the fault and once without; the two answers must be these, the length included.
fn assert_sends(fault: Fault, expected: impl Fn(&[u8]) -> Vec<u8>) {
    let cluster = cluster();
    let truth = truth(&cluster);
    let mut client = Client::to(&cluster, 1);
    let id = cluster.inject(on_hello(fault).times(1));
    ask(&mut client);
    ask(&mut client);
    let wrong = expected(&truth);
    assert_ne!(wrong, framed(&truth));
    assert_eq!(client.bytes(wrong.len()), wrong);
    assert_eq!(client.frame(), truth);
    assert_eq!(cluster.struck(id), 1);
    client.assert_waits();
}

#[test]
fn an_answer_comes_twice() {
    assert_sends(Fault::Twice, |truth| framed(truth).repeat(2));
}

#[test]
fn an_answer_is_truncated_and_does_not_hide_it() {
    assert_sends(Fault::Truncate(7), |truth| framed(&truth[..7]));
    assert_sends(Fault::Truncate(0), |_| framed(b""));
}

#[test]
fn bytes_trail_behind_an_answer() {
    let tail = Bytes::from_static(b"and more");
    assert_sends(Fault::Trailing(tail), |truth| {
        framed(&[truth, b"and more"].concat())
    });
}

#[test]
fn something_else_comes_instead_of_an_answer() {
    let page = Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_sends(Fault::Garbage(page.clone()), |_| page.to_vec());
}

#[test]
fn bytes_of_an_answer_are_overwritten() {
    let overwrite = |at, bytes| Fault::Overwrite {
        at,
        bytes: Bytes::from_static(bytes),
    };
    assert_sends(overwrite(6, b"\xff\xfe"), |truth| {
        framed(&[&truth[..6], b"\xff\xfe", &truth[8..]].concat())
    });
    assert_sends(overwrite(0, &[0xee; 1000]), |truth| {
        framed(&vec![0xee; truth.len()])
    });
}

#[test]
fn another_length_is_announced_than_sent() {
    for length in [0, 5, 100_000_000, u32::MAX] {
        assert_sends(Fault::Announce(length), |truth| announced(length, truth));
    }
}

#[test]
fn a_huge_answer_is_announced_and_sent() {
    let length = 300_000;
    assert_sends(Fault::Flood(length), |truth| {
        let mut body = truth.to_vec();
        body.resize(length as usize, 0);
        framed(&body)
    });
}

#[test]
fn an_answer_belongs_to_another_request() {
    for by in [1, -1, 1000, i32::MAX] {
        assert_sends(Fault::WrongCorrelation(by), |truth| {
            let wrong = CORRELATION.wrapping_add(by).to_be_bytes();
            framed(&[&wrong, &truth[4..]].concat())
        });
    }
}

#[test]
fn an_answer_is_cut_off_and_the_connection_closed() {
    for length in [0, 2, 4, 5, 20] {
        let cluster = cluster();
        let truth = framed(&truth(&cluster));
        let mut client = Client::to(&cluster, 1);
        cluster.inject(on_hello(Fault::CutOff(length)));
        ask(&mut client);
        assert_eq!(client.bytes_to_end(), truth[..length]);
    }
}

/// Answers to three requests with this fault.
fn corrupted(seed: u64, bits: u32) -> [Bytes; 3] {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    cluster.inject(on_hello(Fault::Corrupt { bits, seed }));
    [(); 3].map(|()| {
        ask(&mut client);
        client.frame()
    })
}

#[test]
fn as_many_bits_are_flipped_as_said() {
    let truth = truth(&cluster());
    for bits in [1, 3, 64] {
        for answer in corrupted(7, bits) {
            assert_eq!(answer.len(), truth.len());
            let flipped: u32 = truth
                .iter()
                .zip(&answer)
                .map(|(one, other)| (one ^ other).count_ones())
                .sum();
            assert_eq!(flipped, bits);
        }
    }
}

#[test]
fn the_seed_draws_the_bits_that_are_flipped() {
    let one = corrupted(7, 3);
    assert_eq!(corrupted(7, 3), one);
    assert_ne!(corrupted(8, 3), one);
    assert_ne!(one[0], one[1], "each answer gets bits of its own");
}

/// The correlation id of the next answer.
fn next(client: &mut Client) -> i32 {
    client.frame().get_i32()
}

#[test]
fn answers_change_places_in_pairs() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    cluster.inject(on_hello(Fault::SwapWithNext));
    let sent = [(); 4].map(|()| client.send(API_VERSIONS, &hello()));
    let answers = [(); 4].map(|()| next(&mut client));
    assert_eq!(answers, [sent[1], sent[0], sent[3], sent[2]]);
}

#[test]
fn an_answer_that_has_no_next_one_goes_out_at_withdrawal() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let fault = Rule::new(Fault::SwapWithNext).api(ApiKey::Metadata);
    let fault = cluster.inject(fault);
    let sent = client.send(METADATA, &metadata());
    settle(&cluster);
    client.assert_waits();
    cluster.withdraw(fault);
    assert_eq!(next(&mut client), sent);
}

#[test]
fn the_next_answer_to_change_places_with_may_be_of_another_api() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    cluster.inject(Rule::new(Fault::SwapWithNext).api(ApiKey::Metadata));
    let first = client.send(METADATA, &metadata());
    let second = client.send(API_VERSIONS, &hello());
    let (correlation, _) = client.answer::<ApiVersionsRequest>(API_VERSIONS);
    assert_eq!((correlation, next(&mut client)), (second, first));
}
