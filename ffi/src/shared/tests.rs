//! All together, across processes.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use event_kafka::{Header, Record};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};

use super::area::{Area, Sizes};
use super::host::Refusal;
use super::inbox::Inbox;
use super::lane::LaneError;
use super::outbox::{Asker, OutboxError, To};
use super::process::Process;
use super::record::{Message, SocketId};
use super::report::{Part, Report};
use super::slots::Batch;
use super::worker::{AttachError, Worker, WorkerCounters};

const SMALL: Sizes = Sizes {
    lanes: 2,
    lane_bytes: 4096,
    sockets: 2,
    socket_bytes: 64,
    report_slots: 4,
    report_bytes: 2048,
};

/// The first socket of an area.
const SOCKET: SocketId = SocketId {
    slot: 0,
    generation: 1,
};
const QUANTUM: usize = 1024;

#[test]
fn a_message_arrives_with_all_its_parts() {
    let (area, mut worker) = attached();
    let headers = [
        Header {
            name: "none",
            value: None,
        },
        Header {
            name: "näme",
            value: Some(b"\0"),
        },
    ];
    let message = Message {
        socket: SOCKET,
        route: 7,
        topic: Some("others"),
        record: Record::new("INVITE")
            .key("call")
            .headers(&headers)
            .partition(5)
            .timestamp(1_700_000_000_123)
            .opaque(u64::MAX),
    };
    area.publish(&message, Duration::ZERO).unwrap();
    let tombstone = Message {
        record: Record::tombstone(),
        ..message
    };
    area.publish(&tombstone, Duration::ZERO).unwrap();
    let empty = Message {
        topic: None,
        record: Record::new("").key(""),
        ..message
    };
    area.publish(&empty, Duration::ZERO).unwrap();

    let mut seen = 0;
    let count = worker.serve(QUANTUM, |asker, found, _| {
        assert_eq!(asker.process, Process::this());
        let sent = [&message, &tombstone, &empty][seen];
        assert_eq!(format!("{found:?}"), format!("{sent:?}"));
        seen += 1;
    });
    assert_eq!((count, seen), (3, 3));
    assert_eq!(worker.serve(QUANTUM, |_, _, _| ()), 0);
}

#[test]
fn what_names_no_topic_that_can_be_is_no_message() {
    let (area, mut worker) = attached();
    let longest = "x".repeat(249);
    let too_long = "x".repeat(250);
    for topic in ["", "a b", "..", "\0", "é", &too_long, "a", &longest] {
        let named = Message {
            topic: Some(topic),
            ..message(1)
        };
        area.publish(&named, Duration::ZERO).unwrap();
    }
    let mut seen = Vec::new();
    while worker.serve(QUANTUM, |_, found, _| {
        seen.push(found.topic.map(str::to_owned));
    }) > 0
    {}
    assert_eq!(seen, [Some("a".to_owned()), Some(longest)]);
    assert_eq!(worker.counters().malformed, 6);
}

#[test]
fn a_value_written_in_place_is_as_long_as_it_became() {
    let (area, mut worker) = attached();
    let message = message(1);
    let mut lane = area.lane().unwrap();
    lane.draft(&message, 1000).unwrap().value().fill(b'x');
    let mut draft = lane.draft(&message, 1000).unwrap();
    draft.value()[..4].copy_from_slice(b"abcd");
    draft.commit(Some(4));
    lane.draft(&message, 1000).unwrap().commit(None);
    drop(lane);
    let mut values = Vec::new();
    worker.serve(QUANTUM, |_, found, _| {
        values.push(found.record.value.map(<[u8]>::to_vec));
    });
    assert_eq!(values, [Some(b"abcd".to_vec()), None]);
}

#[test]
fn a_full_lane_refuses_and_one_that_waits_gets_the_room() {
    let (area, mut worker) = attached();
    let full = Refusal::Lane(LaneError::Full);
    while area.publish(&message(1), Duration::ZERO).is_ok() {}
    let waited = area.publish(&message(1), Duration::from_millis(1));
    assert_eq!(waited, Err(full));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| area.publish(&message(2), Duration::from_secs(60)));
        let mut last = 0;
        while last != 2 {
            worker.serve(QUANTUM, |_, found, _| last = found.record.opaque);
        }
        assert_eq!(waiting.join().unwrap(), Ok(()));
    });
}

#[test]
fn lanes_are_served_in_turn_and_no_longer_than_their_quantum() {
    let area = area();
    let publish = |opaque| {
        for _ in 0..20 {
            area.publish(&message(opaque), Duration::ZERO).unwrap();
        }
    };
    publish(1);
    in_child(|| publish(2));
    let mut worker = Worker::attach(&area).unwrap();
    let mut order = Vec::new();
    while worker.serve(1, |_, found, _| order.push(found.record.opaque)) > 0 {}
    order.truncate(6);
    assert_eq!(order, [1, 2, 2, 1, 1, 2]);
}

/// Also run by ThreadSanitizer, which `CONTRIBUTING.md` tells how.
#[test]
fn threads_lose_tear_and_double_nothing() {
    const MESSAGES: u64 = 10_000;
    let (area, mut worker) = attached();
    // Of all lengths, so that the ends of the lane are met in all ways.
    let value = |opaque: u64| vec![opaque as u8; (opaque % 257) as usize];
    let write = || {
        for opaque in 0..MESSAGES {
            let value = value(opaque);
            let message = Message {
                record: Record::new(&value).opaque(opaque),
                ..message(opaque)
            };
            area.publish(&message, Duration::from_secs(60)).unwrap();
        }
    };
    let serve = || {
        let mut next = 0;
        let mut kept = VecDeque::new();
        while next < MESSAGES || !kept.is_empty() {
            worker.sleep(None).unwrap();
            worker.serve(QUANTUM, |asker, found, _| {
                assert_eq!(found.record.opaque, next);
                assert_eq!(found.record.value, Some(&value(next)[..]));
                kept.push_back((asker, next));
                next += 1;
            });
            while let Some((asker, opaque)) = kept.front().copied() {
                match worker.outbox().push(To::Asker(asker), &report(opaque)) {
                    Ok(()) => drop(kept.pop_front()),
                    Err(OutboxError::Full) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            worker.outbox().flush();
        }
    };
    let read = || {
        let mut inbox = Inbox::default();
        let mut next = 0;
        while next < MESSAGES {
            let mut ready = [PollFd::new(area.report_fd().unwrap(), PollFlags::POLLIN)];
            poll(&mut ready, PollTimeout::NONE).unwrap();
            while area.take_reports(&mut inbox).unwrap() {
                while let Some(report) = inbox.next() {
                    assert_eq!(report.opaque, next);
                    next += 1;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(write);
        scope.spawn(serve);
        scope.spawn(read);
    });
}

#[test]
fn empty_records_do_not_keep_the_worker_at_their_lane() {
    let (area, mut worker) = attached();
    // Zeroes, as the lane holds them, are empty records.
    area.sit_at(0);
    area.scribble(0, 0, 800);
    worker.serve(80, |_, _, _| ());
    assert_eq!(worker.counters().malformed, 10);
}

#[test]
fn the_lane_of_a_killed_process_is_emptied_and_given_to_another() {
    let area = area();
    let mut worker = Worker::attach(&area).unwrap();
    for round in 0..5 {
        for opaque in [1, 2] {
            in_child(|| {
                area.publish(&message(opaque), Duration::ZERO).unwrap();
                // It dies with a message half written.
                let mut lane = area.lane().unwrap();
                let mut draft = lane.draft(&message(3), 10).unwrap();
                draft.value().fill(b'x');
                raise(Signal::SIGKILL).unwrap();
            });
        }
        let lanes = area.publish(&message(4), Duration::ZERO);
        assert_eq!(lanes, Err(Refusal::NoLane { lanes: 2 }), "{round}");
        let mut seen = Vec::new();
        while worker.counters().reclaimed < 2 * (round + 1) {
            worker.sleep(None).unwrap();
            worker.serve(QUANTUM, |_, found, _| seen.push(found.record.opaque));
        }
        seen.sort();
        assert_eq!(seen, [1, 2], "{round}");
    }
}

#[test]
fn a_child_does_not_write_to_the_lane_of_its_parent() {
    let (area, mut worker) = attached();
    area.publish(&message(1), Duration::ZERO).unwrap();
    in_child(|| area.publish(&message(2), Duration::ZERO).unwrap());
    let mut seats = Vec::new();
    worker.serve(QUANTUM, |asker, found, _| {
        seats.push((asker.seat, found.record.opaque));
    });
    assert_eq!(seats, [(0, 1), (1, 2)]);
}

#[test]
fn a_child_publishes_though_a_thread_of_its_parent_held_the_lane() {
    let (area, mut worker) = attached();
    let lane = area.lane().unwrap();
    in_child(|| area.publish(&message(2), Duration::ZERO).unwrap());
    drop(lane);
    assert_eq!(worker.serve(QUANTUM, |_, _, _| ()), 1);
}

#[test]
fn a_worker_that_sleeps_is_woken_and_one_that_is_idle_sleeps_on() {
    let (area, mut worker) = attached();
    area.publish(&message(1), Duration::ZERO).unwrap();
    while worker.serve(QUANTUM, |_, _, _| ()) > 0 {}
    let woken = std::thread::scope(|scope| {
        let woken = scope.spawn(|| {
            let mut seen = 0;
            while seen < 100 {
                worker.sleep(None).unwrap();
                seen += worker.serve(QUANTUM, |_, _, _| ());
            }
            worker
        });
        for _ in 0..100 {
            area.publish(&message(1), Duration::from_secs(60)).unwrap();
        }
        woken.join().unwrap()
    });
    let mut worker = woken;
    assert!(worker.have_sockets_changed());
    // What the last messages rang.
    worker.sleep(Some(Duration::ZERO)).unwrap();
    let naps = worker.counters().naps;
    worker.sleep(Some(Duration::from_millis(20))).unwrap();
    assert_eq!(worker.counters().naps, naps + 1);
}

#[test]
fn a_socket_that_takes_nothing_refuses_and_counts() {
    let (area, mut worker) = attached();
    let sockets = area.sockets();
    let publish = || area.publish(&message(1), Duration::ZERO);
    publish().unwrap();
    sockets.set_full(SOCKET, true);
    assert_eq!(publish(), Err(Refusal::SocketFull));
    assert_eq!(sockets.counters(SOCKET).unwrap().refused, 1);
    sockets.set_full(SOCKET, false);
    publish().unwrap();
    sockets.close(SOCKET);
    assert_eq!(publish(), Err(Refusal::NoSocket));
    sockets.remove(SOCKET);
    assert_eq!(publish(), Err(Refusal::NoSocket));
    assert_eq!(worker.serve(QUANTUM, |_, _, _| ()), 2);
}

#[test]
fn the_worker_is_told_of_sockets() {
    let (area, mut worker) = attached();
    let told = |worker: &mut Worker| {
        worker.sleep(None).unwrap();
        let told = worker.have_sockets_changed();
        assert!(!worker.have_sockets_changed());
        told
    };
    assert!(told(&mut worker));
    in_child(|| {
        area.sockets().insert("host/other").unwrap();
    });
    assert!(told(&mut worker));
    assert!(area.sockets().close(SOCKET));
    assert!(told(&mut worker));
}

#[test]
fn reports_come_to_the_process_that_asked_in_order_and_once() {
    let (area, mut worker) = attached();
    let mut inbox = Inbox::default();
    for opaque in 0..40 {
        area.publish(&message(opaque), Duration::ZERO).unwrap();
    }
    in_child(|| area.publish(&message(1), Duration::ZERO).unwrap());
    let mut kept = Vec::new();
    let mut dead = None;
    worker.serve(usize::MAX, |asker, found, outbox| {
        let report = report(found.record.opaque);
        if asker.seat == 1 {
            dead = Some(asker);
        } else if outbox.push(To::Asker(asker), &report) == Err(OutboxError::Full) {
            kept.push((asker, found.record.opaque));
        }
    });
    // The first two batches are all that may wait for it: as many slots are left to others.
    assert_eq!(kept.len(), 40 - 32);
    let mut seen = Vec::new();
    while area.take_reports(&mut inbox).unwrap() {
        while let Some(report) = inbox.next() {
            seen.push(report.opaque);
        }
        // A slot is free, of which the worker is told.
        worker.sleep(None).unwrap();
        for (asker, opaque) in kept.drain(..) {
            let outbox = worker.outbox();
            outbox.push(To::Asker(asker), &report(opaque)).unwrap();
        }
        worker.outbox().flush();
    }
    assert_eq!(seen, Vec::from_iter(0..40));
    let mut ready = [PollFd::new(area.report_fd().unwrap(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut ready, PollTimeout::ZERO), Ok(0));
    // The worker has not seen yet that the child is dead; then it has.
    let dead = To::Asker(dead.unwrap());
    while worker.counters().reclaimed == 0 {
        worker.sleep(None).unwrap();
        worker.serve(QUANTUM, |_, _, _| ());
    }
    let gone = worker.outbox().push(dead, &report(1));
    assert_eq!(gone, Err(OutboxError::Gone));
}

#[test]
fn whoever_waits_for_reports_sees_its_descriptor_readable() {
    let (area, mut worker) = attached();
    area.publish(&message(9), Duration::ZERO).unwrap();
    let mut inbox = Inbox::default();
    assert_eq!(area.take_reports(&mut inbox), Ok(false));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let mut ready = [PollFd::new(area.report_fd().unwrap(), PollFlags::POLLIN)];
            poll(&mut ready, PollTimeout::NONE).unwrap();
            assert_eq!(area.take_reports(&mut inbox), Ok(true));
            inbox.next().unwrap().opaque
        });
        worker.serve(QUANTUM, |asker, found, outbox| {
            let report = report(found.record.opaque);
            outbox.push(To::Asker(asker), &report).unwrap();
        });
        worker.outbox().flush();
        assert_eq!(waiting.join().unwrap(), 9);
    });
}

#[test]
fn a_batch_for_anybody_is_taken_once_by_its_number() {
    let area = Area::create(&Sizes {
        report_slots: 2,
        ..SMALL
    });
    let area = area.unwrap();
    let mut worker = Worker::attach(&area).unwrap();
    let outbox = worker.outbox();
    for opaque in 0..20 {
        outbox.push(To::Anybody, &report(opaque)).unwrap();
    }
    outbox.flush();
    let (first, second) = (outbox.next_batch().unwrap(), outbox.next_batch().unwrap());
    assert_eq!(outbox.next_batch(), None);
    assert_eq!(
        outbox.push(To::Anybody, &report(20)),
        Err(OutboxError::Full)
    );
    let mut inbox = Inbox::default();
    // Not by who has not got its number.
    assert_eq!(area.take_reports(&mut inbox), Ok(false));
    let second = Batch::from_id(second.id());
    in_child(|| {
        let mut inbox = Inbox::default();
        assert_eq!(area.take_batch(second, &mut inbox), Ok(true));
        let opaque = [(); 4].map(|()| inbox.next().unwrap().opaque);
        assert_eq!(opaque, [16, 17, 18, 19]);
        assert_eq!(inbox.next(), None);
    });
    assert_eq!(area.take_batch(second, &mut inbox), Ok(false));
    assert!(!worker.outbox().recall(second));
    assert!(worker.outbox().recall(first));
    assert_eq!(area.take_batch(first, &mut inbox), Ok(false));
    for id in [0, 1, u64::MAX, first.id() + (1 << 16)] {
        let strange = Batch::from_id(id);
        assert_eq!(area.take_batch(strange, &mut inbox), Ok(false));
        assert!(!worker.outbox().recall(strange));
    }
}

#[test]
fn a_slot_that_a_reader_frees_is_told_of_though_others_got_theirs_meanwhile() {
    let (area, mut worker) = attached();
    area.publish(&message(1), Duration::ZERO).unwrap();
    area.sit_at(1);
    let process = Process::this();
    let [one, other] = [0, 1].map(|seat| To::Asker(Asker { seat, process }));
    let outbox = worker.outbox();
    while outbox.push(one, &report(1)).is_ok() {}
    outbox.push(other, &report(1)).unwrap();
    outbox.flush();
    worker.serve(QUANTUM, |_, _, _| ());
    worker.have_sockets_changed();
    worker.sleep(Some(Duration::ZERO)).unwrap();

    area.take_reports(&mut Inbox::default()).unwrap();
    let mut rung = [PollFd::new(area.wake().as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut rung, PollTimeout::ZERO), Ok(1));
}

#[test]
fn slots_of_a_dead_reader_are_free_again_and_its_successor_gets_none_of_them() {
    let (area, mut worker) = attached();
    for round in 0..5 {
        in_child(|| {
            area.publish(&message(1), Duration::ZERO).unwrap();
            raise(Signal::SIGKILL).unwrap();
        });
        worker.serve(QUANTUM, |asker, _, outbox| {
            // One batch is sent, one is open when its reader is found dead.
            for opaque in 0..20 {
                outbox.push(To::Asker(asker), &report(opaque)).unwrap();
            }
        });
        while worker.counters().reclaimed <= round {
            worker.sleep(None).unwrap();
            worker.serve(QUANTUM, |_, _, _| ());
        }
        assert_eq!(worker.counters().unread, round + 1);
    }
    in_child(|| assert_eq!(area.take_reports(&mut Inbox::default()), Ok(false)));
}

#[test]
fn a_reader_that_dies_while_it_reads_has_had_the_batch_and_leaves_the_slot() {
    let (area, mut worker) = attached();
    worker.outbox().push(To::Anybody, &report(1)).unwrap();
    worker.outbox().flush();
    let batch = worker.outbox().next_batch().unwrap();
    in_child(|| {
        area.publish(&message(1), Duration::ZERO).unwrap();
        let slots = area.report_slots();
        let seat = area.seat().unwrap() as u16;
        assert!(slots.seize(batch, seat));
        raise(Signal::SIGKILL).unwrap();
    });
    while worker.counters().reclaimed == 0 {
        worker.sleep(None).unwrap();
        worker.serve(QUANTUM, |_, _, _| ());
    }
    assert_eq!(worker.counters().unread, 1);
    assert_eq!(area.take_batch(batch, &mut Inbox::default()), Ok(false));
    for opaque in 0..32 {
        worker.outbox().push(To::Anybody, &report(opaque)).unwrap();
    }
}

#[test]
fn a_report_larger_than_a_slot_says_how_much_is_missing() {
    let (area, mut worker) = attached();
    let value = vec![b'x'; 5000];
    let report = Report {
        value: Some(Part::whole(&value)),
        ..report(1)
    };
    // Large ones share no batch.
    for _ in 0..2 {
        worker.outbox().push(To::Anybody, &report).unwrap();
    }
    worker.outbox().flush();
    let mut inbox = Inbox::default();
    for _ in 0..2 {
        let batch = worker.outbox().next_batch().unwrap();
        assert_eq!(area.take_batch(batch, &mut inbox), Ok(true));
        let cut = inbox.next().unwrap();
        let Part { bytes, size } = cut.value.unwrap();
        assert_eq!((cut.encoded_len(), size), (2048 - 8, 5000));
        assert!(bytes.iter().all(|byte| *byte == b'x'));
        assert_eq!(inbox.next(), None);
    }
}

#[test]
fn another_worker_frees_what_the_one_before_was_filling_and_gives_other_numbers() {
    let area = area();
    let mut worker = Worker::attach(&area).unwrap();
    let push = |worker: &mut Worker| {
        let outbox = worker.outbox();
        outbox.push(To::Anybody, &report(1)).unwrap();
        outbox.flush();
        outbox.next_batch().unwrap()
    };
    let mut inbox = Inbox::default();
    let mut batches = Vec::new();
    for _ in 0..4 {
        batches.push(push(&mut worker));
        let last = *batches.last().unwrap();
        assert_eq!(area.take_batch(last, &mut inbox), Ok(true));
        worker.outbox().push(To::Anybody, &report(2)).unwrap();
        drop(worker);
        worker = Worker::attach(&area).unwrap();
    }
    batches.dedup();
    assert_eq!(batches.len(), 4);
    batches.sort_by_key(|batch| batch.id() >> 16);
    for batch in batches {
        assert_eq!(area.take_batch(batch, &mut inbox), Ok(false));
    }
}

#[test]
fn a_reader_that_stands_still_leaves_slots_to_another_and_the_worker_hears_of_its_return() {
    let (area, mut worker) = attached();
    area.publish(&message(1), Duration::ZERO).unwrap();
    let mut standing = None;
    worker.serve(QUANTUM, |asker, _, _| standing = Some(asker));
    let standing = standing.unwrap();
    let other = To::Asker(Asker {
        seat: 1,
        ..standing
    });
    let seat = &area.seats()[1];
    seat.owner.store(standing.process.word(), Ordering::Relaxed);
    let outbox = worker.outbox();
    let standing = To::Asker(standing);
    while outbox.push(standing, &report(1)).is_ok() {}
    for _ in 0..16 {
        outbox.push(other, &report(2)).unwrap();
    }
    assert_eq!(outbox.push(standing, &report(1)), Err(OutboxError::Full));
    let mut inbox = Inbox::default();
    assert!(area.take_reports(&mut inbox).unwrap());
    worker.sleep(None).unwrap();
    worker.outbox().push(standing, &report(1)).unwrap();
}

#[test]
fn the_lane_of_a_process_that_is_paused_is_left_alone_and_wakes_nobody() {
    let (area, mut worker) = attached();
    area.publish(&message(1), Duration::ZERO).unwrap();
    worker.sleep(None).unwrap();
    worker.pause(0, true);
    assert_eq!(worker.serve(QUANTUM, |_, _, _| ()), 0);
    while worker.have_sockets_changed() {}
    // What rang before.
    worker.sleep(Some(Duration::ZERO)).unwrap();
    let naps = worker.counters().naps;
    worker.sleep(Some(Duration::from_millis(1))).unwrap();
    assert_eq!(worker.counters().naps, naps + 1);
    worker.pause(0, false);
    worker.sleep(None).unwrap();
    assert_eq!(worker.serve(QUANTUM, |_, _, _| ()), 1);
}

#[test]
fn there_is_one_worker_and_another_goes_on_where_it_died() {
    let area = area();
    for opaque in [1, 2] {
        area.publish(&message(opaque), Duration::ZERO).unwrap();
    }
    in_child(|| {
        let mut worker = Worker::attach(&area).unwrap();
        worker.serve(1, |_, found, _| assert_eq!(found.record.opaque, 1));
        raise(Signal::SIGKILL).unwrap();
    });
    let mut worker = Worker::attach(&area).unwrap();
    let pid = Process::this().pid().as_raw();
    let second = Worker::attach(&area).unwrap_err();
    assert_eq!(second, AttachError::Attached { pid });
    let mut seen = Vec::new();
    worker.serve(QUANTUM, |_, found, _| seen.push(found.record.opaque));
    assert_eq!(seen, [2]);
    drop(worker);
    Worker::attach(&area).unwrap();
}

#[test]
fn nonsense_in_one_lane_is_counted_and_the_others_go_on() {
    let (area, mut worker) = attached();
    area.publish(&message(1), Duration::ZERO).unwrap();
    in_child(|| {
        let lane = area.lane().unwrap();
        drop(lane);
        area.scribble(1, 0, 17);
        area.publish(&message(2), Duration::ZERO).unwrap();
    });
    let mut seen = Vec::new();
    while worker.counters().reclaimed == 0 {
        worker.sleep(None).unwrap();
        worker.serve(QUANTUM, |_, found, _| seen.push(found.record.opaque));
    }
    assert_eq!(seen, [1]);
    let WorkerCounters { taken, broken, .. } = worker.counters();
    assert_eq!((taken, broken), (1, 1));
}

fn report(opaque: u64) -> Report<'static> {
    Report {
        opaque,
        socket: SOCKET,
        topic: "topic",
        ..Report::default()
    }
}

/// With a socket.
fn area() -> Area {
    let area = Area::create(&SMALL).unwrap();
    assert_eq!(area.sockets().insert("host/topic"), Ok(SOCKET));
    area
}

fn attached() -> (Area, Worker) {
    let area = area();
    let worker = Worker::attach(&area).unwrap();
    (area, worker)
}

fn message(opaque: u64) -> Message<'static> {
    Message {
        socket: SOCKET,
        route: 0,
        topic: None,
        record: Record::new("x").opaque(opaque),
    }
}

/// Runs this in a forked child, to its end, which is success or SIGKILL.
fn in_child(run: impl FnOnce()) {
    let child = spawn(run);
    let status = waitpid(child, None).unwrap();
    use nix::sys::wait::WaitStatus::{Exited, Signaled};
    assert!(
        matches!(status, Exited(_, 0) | Signaled(_, Signal::SIGKILL, _)),
        "{status:?}"
    );
}

fn spawn(run: impl FnOnce()) -> Pid {
    // SAFETY: the child runs code that wants no lock but malloc's, which glibc frees in it.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
            let code = i32::from(ended.is_err());
            // SAFETY: nothing of the parent's is run at the end.
            unsafe { nix::libc::_exit(code) }
        }
    }
}
