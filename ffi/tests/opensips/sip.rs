//! As much of SIP as it takes to have a script run: a request by UDP, and its answer.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// A client; every request has a Call-ID of its own.
pub(crate) struct Client {
    socket: UdpSocket,
    server: SocketAddr,
    sent: u32,
}

const PATIENCE: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_millis(200);

impl Client {
    pub(crate) fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        Self {
            socket,
            server,
            sent: 0,
        }
    }

    /// Has the script run for this user and body; what stands behind the 200 of its answer, or behind
    /// another number of success.
    pub(crate) fn request(&mut self, user: &str, body: &[u8]) -> String {
        self.request_by("MESSAGE", user, body)
    }

    /// As `request`, by another method.
    pub(crate) fn request_by(&mut self, method: &str, user: &str, body: &[u8]) -> String {
        let answer = self.ask(method, user, body);
        answer.unwrap_or_else(|| panic!("no answer to {user} within {PATIENCE:?}"))
    }

    /// The same where the server may not survive it: then there is no answer.
    pub(crate) fn ask(&mut self, method: &str, user: &str, body: &[u8]) -> Option<String> {
        let request = self.new_request(method, user, body);
        let deadline = Instant::now() + PATIENCE;
        // Once: the script must not run twice.
        self.send(&request);
        while Instant::now() < deadline {
            if let Some(answer) = self.answer() {
                return Some(answer);
            }
        }
        None
    }

    /// Waits until somebody answers; whether somebody did.
    pub(crate) fn find_server(&mut self) -> bool {
        let request = self.new_request("OPTIONS", "ready", b"");
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.send(&request);
            if self.answer().is_some() {
                return true;
            }
        }
        false
    }

    /// Sends so many requests at once, and does not look at answers.
    pub(crate) fn flood(&mut self, count: u32) {
        for _ in 0..count {
            let request = self.new_request("OPTIONS", "flood", b"");
            self.send(&request);
        }
    }

    fn send(&self, request: &[u8]) {
        // Where nobody listens yet, the one before may have come back as an error.
        let _ = self.socket.send_to(request, self.server);
    }

    /// The reason of an answer to the last request, if one comes soon.
    fn answer(&self) -> Option<String> {
        let mut answer = [0; 65536];
        let len = self.socket.recv(&mut answer).ok()?;
        self.reason_of(&answer[..len])
    }

    /// The Call-ID of the last request.
    pub(crate) fn call_id(&self) -> String {
        format!("call-{}@client", self.sent)
    }

    fn new_request(&mut self, method: &str, user: &str, body: &[u8]) -> Vec<u8> {
        self.sent += 1;
        self.text_of(method, user, body)
    }

    fn text_of(&self, method: &str, user: &str, body: &[u8]) -> Vec<u8> {
        let own = self.socket.local_addr().unwrap();
        let (server, number) = (self.server, self.sent);
        let head = format!(
            "{method} sip:{user}@{server} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {own};branch=z9hG4bK-{number}\r\n\
             From: <sip:client@{own}>;tag={number}\r\n\
             To: <sip:{user}@{server}>\r\n\
             Call-ID: {}\r\n\
             CSeq: {number} {method}\r\n\
             Contact: <sip:client@{own}>\r\n\
             Max-Forwards: 70\r\n\
             Content-Type: text/plain\r\n\
             Content-Length: {}\r\n\r\n",
            self.call_id(),
            body.len()
        );
        [head.as_bytes(), body].concat()
    }

    /// The reason, if this answers the last request.
    fn reason_of(&self, answer: &[u8]) -> Option<String> {
        let answer = String::from_utf8_lossy(answer);
        let is_its = answer.contains(&format!("Call-ID: {}\r\n", self.call_id()));
        let (status, _) = answer.strip_prefix("SIP/2.0 ")?.split_once("\r\n")?;
        let (code, reason) = status.split_once(' ')?;
        (is_its && code.starts_with('2')).then(|| reason.to_owned())
    }
}
