//! SIP requests at a fixed rate, whatever becomes of them: a request that is sent late, because those
//! before were, counts from when it was to be sent.

use std::net::{SocketAddr, UdpSocket};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

/// What became of the requests, by their numbers.
pub(crate) struct Answers {
    /// `None`: there was no answer.
    answers: Vec<Option<Answer>>,
    /// Sorted.
    latencies: Vec<Duration>,
    /// How late the latest was sent.
    pub(crate) latest: Duration,
}

/// The script's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    latency: Duration,
    /// Whether `kafka_publish` took the message.
    pub(crate) is_published: bool,
    /// Whether the event was raised.
    pub(crate) is_raised: bool,
}

/// When nothing comes for so long, nothing more will.
const PATIENCE: Duration = Duration::from_secs(4);
/// After so long, who waits for answers looks whether it is over.
const SOON: Duration = Duration::from_millis(100);
/// What the kernel may hold of answers, as far as it lets us.
const BUFFER: usize = 4 << 20;
/// The bytes of a body, which is a message to Kafka.
const BODY: usize = 150;

/// Sends requests until it is over; each has its number first in its body.
pub(crate) fn run(server: SocketAddr, rate: u32, is_over: &AtomicBool) -> Answers {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    setsockopt(&socket, sockopt::RcvBuf, &BUFFER).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let start = Instant::now() + Duration::from_millis(50);
    let due = |number: u32| start + Duration::from_secs(1) * number / rate;
    let sent = OnceLock::new();
    thread::scope(|scope| {
        let answers = scope.spawn(|| receive(&socket, &sent, due));
        let (count, latest) = send(&socket, server, is_over, due);
        sent.set(count).expect("it is set once");
        let answers = answers.join().unwrap();
        let latencies = answers.iter().flatten().map(|answer| answer.latency);
        let mut latencies: Vec<_> = latencies.collect();
        latencies.sort();
        Answers {
            answers,
            latencies,
            latest,
        }
    })
}

/// How many were sent, and how late the latest.
fn send(
    socket: &UdpSocket,
    server: SocketAddr,
    is_over: &AtomicBool,
    due: impl Fn(u32) -> Instant,
) -> (u32, Duration) {
    let own = socket.local_addr().unwrap();
    let mut latest = Duration::ZERO;
    let mut number = 0;
    while !is_over.load(Ordering::Relaxed) {
        let (due, now) = (due(number), Instant::now());
        if now < due {
            thread::sleep(due - now);
        } else {
            latest = latest.max(now - due);
        }
        // A full buffer waits, and the request is late.
        let request = request(number, own, server);
        socket.send(request.as_bytes()).unwrap();
        number += 1;
    }
    (number, latest)
}

fn request(number: u32, own: SocketAddr, server: SocketAddr) -> String {
    format!(
        "MESSAGE sip:load@{server} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {own};branch=z9hG4bK-{number}\r\n\
         From: <sip:client@{own}>;tag={number}\r\n\
         To: <sip:load@{server}>\r\n\
         Call-ID: {number}@client\r\n\
         CSeq: 1 MESSAGE\r\n\
         Max-Forwards: 70\r\n\
         Content-Type: text/plain\r\n\
         Content-Length: {BODY}\r\n\r\n\
         {number:<BODY$}"
    )
}

/// What comes until all that were sent are answered, or none is any more. `sent` is known in the end.
fn receive(
    socket: &UdpSocket,
    sent: &OnceLock<u32>,
    due: impl Fn(u32) -> Instant,
) -> Vec<Option<Answer>> {
    let mut answers = Vec::new();
    let mut answered = 0;
    let mut last = Instant::now();
    let mut bytes = [0; 65536];
    loop {
        if let Some(&sent) = sent.get()
            && (answered == sent || last.elapsed() > PATIENCE)
        {
            answers.resize(sent as usize, None);
            return answers;
        }
        let Ok(len) = socket.recv(&mut bytes) else {
            continue;
        };
        last = Instant::now();
        let (number, taken) = parse(&bytes[..len]).expect("it answers what it was sent");
        let index = number as usize;
        if answers.len() <= index {
            answers.resize(index + 1, None);
        }
        if answers[index].is_none() {
            answered += 1;
            answers[index] = Some(Answer {
                latency: last - due(number),
                is_published: taken.starts_with('1'),
                is_raised: taken.ends_with('1'),
            });
        }
    }
}

/// The number of the request, and the reason, if an answer is one.
fn parse(answer: &[u8]) -> Option<(u32, &str)> {
    let answer = str::from_utf8(answer).ok()?;
    let (reason, headers) = answer.strip_prefix("SIP/2.0 200 ")?.split_once("\r\n")?;
    let (_, call_id) = headers.split_once("Call-ID: ")?;
    let (number, _) = call_id.split_once('@')?;
    Some((number.parse().ok()?, reason))
}

impl Answers {
    /// By the numbers of the requests.
    pub(crate) fn all(&self) -> &[Option<Answer>] {
        &self.answers
    }

    pub(crate) fn answered(&self) -> usize {
        self.latencies.len()
    }

    pub(crate) fn unanswered(&self) -> usize {
        self.answers.len() - self.answered()
    }

    /// So many in 1,000 of all requests were answered within it. A request without an answer took
    /// longer than any other.
    pub(crate) fn within(&self, permille: usize) -> Duration {
        let rank = (self.answers.len() * permille).div_ceil(1000);
        let rank = rank.saturating_sub(1);
        self.latencies.get(rank).copied().unwrap_or(PATIENCE)
    }
}
