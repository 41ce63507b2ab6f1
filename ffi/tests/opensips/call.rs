//! Calls through OpenSIPS: who calls and who is called are both here.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

pub(crate) struct Phones {
    caller: UdpSocket,
    callee: UdpSocket,
    /// How many calls and messages there were.
    count: u32,
}

const PATIENCE: Duration = Duration::from_secs(20);

impl Phones {
    pub(crate) fn new() -> Self {
        let [caller, callee] = ["127.0.0.1:0"; 2].map(|any| {
            let socket = UdpSocket::bind(any).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        });
        Self {
            caller,
            callee,
            count: 0,
        }
    }

    /// Where OpenSIPS finds the one that is called.
    pub(crate) fn callee(&self) -> SocketAddr {
        self.callee.local_addr().unwrap()
    }

    /// A call that is taken, and ended by who called; its Call-ID.
    pub(crate) fn call(&mut self, server: SocketAddr) -> String {
        self.count += 1;
        let to = "<sip:callee@example.net>";
        self.ask(server, "INVITE", 1, to, "");
        let answer = self.answer_and_hear("INVITE", "200 OK", server);
        let to = header(&answer, "To").remove(0);
        let routes = header(&answer, "Record-Route");
        let routes: String = routes
            .iter()
            .map(|route| format!("Route: {route}\r\n"))
            .collect();
        self.ask(server, "ACK", 1, to, &routes);
        receive(&self.callee, "ACK");
        self.ask(server, "BYE", 2, to, &routes);
        self.answer_and_hear("BYE", "200 OK", server);
        self.call_id()
    }

    /// A call that is refused; its Call-ID.
    pub(crate) fn refused_call(&mut self, server: SocketAddr) -> String {
        self.count += 1;
        let to = "<sip:callee@example.net>";
        self.ask(server, "INVITE", 1, to, "");
        let answer = self.answer_and_hear("INVITE", "486 Busy Here", server);
        self.ask(server, "ACK", 1, header(&answer, "To")[0], "");
        self.call_id()
    }

    /// A message; its Call-ID.
    pub(crate) fn message(&mut self, server: SocketAddr) -> String {
        self.count += 1;
        self.ask(server, "MESSAGE", 1, "<sip:callee@example.net>", "");
        self.answer_and_hear("MESSAGE", "200 OK", server);
        self.call_id()
    }

    fn call_id(&self) -> String {
        format!("call-{}@phones", self.count)
    }

    /// Sends a request by way of OpenSIPS.
    fn ask(&self, server: SocketAddr, method: &str, number: u32, to: &str, more: &str) {
        let (own, callee) = (self.caller.local_addr().unwrap(), self.callee());
        let (count, call_id) = (self.count, self.call_id());
        let request = format!(
            "{method} sip:callee@{callee} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {own};branch=z9hG4bK-{count}-{number}-{method}\r\n\
             {more}\
             From: <sip:caller@example.net>;tag=caller-{count}\r\n\
             To: {to}\r\n\
             Call-ID: {call_id}\r\n\
             CSeq: {number} {method}\r\n\
             Contact: <sip:caller@{own}>\r\n\
             Max-Forwards: 70\r\n\
             Content-Length: 0\r\n\r\n"
        );
        self.caller.send_to(request.as_bytes(), server).unwrap();
    }

    /// Has the one that is called answer a request; what the caller hears.
    fn answer_and_hear(&self, method: &str, status: &str, server: SocketAddr) -> String {
        let request = receive(&self.callee, method);
        let mut answer = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
            for value in header(&request, name) {
                let is_new = name == "To" && !value.contains("tag=");
                let tag = if is_new { ";tag=callee" } else { "" };
                answer += &format!("{name}: {value}{tag}\r\n");
            }
        }
        answer += &format!("Contact: <sip:callee@{}>\r\n", self.callee());
        answer += "Content-Length: 0\r\n\r\n";
        self.callee.send_to(answer.as_bytes(), server).unwrap();
        receive(&self.caller, &format!("SIP/2.0 {status}"))
    }
}

/// The next message that begins so; what is sent again or is provisional is thrown away.
fn receive(socket: &UdpSocket, start: &str) -> String {
    let mut message = [0; 65536];
    loop {
        let len = socket.recv(&mut message).expect("something comes in time");
        let message = String::from_utf8_lossy(&message[..len]);
        if message.starts_with(start) {
            return message.into_owned();
        }
    }
}

/// What all headers of this name say.
fn header<'a>(message: &'a str, name: &str) -> Vec<&'a str> {
    let lines = message.lines().filter_map(|line| line.split_once(": "));
    let its = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
    its.map(|(_, value)| value).collect()
}
