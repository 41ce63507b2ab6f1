//! Carries the schedule out.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use xtask::kafka::{Cluster, Leaders};
use xtask::{Error, Result};

use super::PARTITIONS;
use super::publisher::Publisher;
use super::schedule::{Act, Kind, Schedule};

/// What is disturbed.
pub(super) struct Scene<'a> {
    pub(super) cluster: &'a mut Cluster,
    pub(super) publishers: &'a mut [Publisher],
    /// What all times are told from.
    pub(super) start: Instant,
}

impl Scene<'_> {
    /// Disturbs as scheduled and says so, while there is more to publish. In the end all nodes and
    /// publishers are there. Returns when every partition had a leader again after all nodes were
    /// down.
    pub(super) fn follow(mut self, schedule: Schedule) -> Result<Vec<Duration>> {
        let mut recoveries = Vec::new();
        for act in schedule {
            if !self.goes_on(act.calm) {
                break;
            }
            self.begin(act)?;
            thread::sleep(act.outage);
            recoveries.extend(self.end(act)?);
        }
        Ok(recoveries)
    }

    fn begin(&mut self, act: Act) -> Result<()> {
        let node = act.node;
        match act.kind {
            Kind::Kill => {
                self.say(&format!("SIGKILL node {node}"));
                self.cluster.kill(node)
            }
            Kind::Pause => {
                self.say(&format!("SIGSTOP node {node}"));
                self.cluster.pause(node)
            }
            Kind::Stop => {
                self.say(&format!("SIGTERM node {node}"));
                self.cluster.stop(node)
            }
            Kind::AllDown => {
                self.say("SIGKILL all nodes");
                let mut nodes = self.cluster.node_ids().into_iter();
                nodes.try_for_each(|node| self.cluster.kill(node))
            }
            Kind::Producer => {
                self.say("SIGKILL every publisher");
                self.publishers.iter_mut().try_for_each(Publisher::kill)
            }
        }
    }

    fn end(&mut self, act: Act) -> Result<Option<Duration>> {
        let (node, returning) = (act.node, Instant::now());
        let mut recovery = None;
        match act.kind {
            Kind::Pause => {
                self.cluster.resume(node)?;
                self.say(&format!("SIGCONT node {node}"));
            }
            Kind::Kill | Kind::Stop => {
                self.cluster.restart(node)?;
                let took = returning.elapsed().as_secs_f64();
                let text = format!("node {node} is back, started again within {took:.1} s");
                self.say(&text);
            }
            Kind::AllDown => {
                let watch = self.watch_leaders();
                self.cluster.restart_stopped()?;
                let at = watch.join().expect("it does not panic")?;
                recovery = Some(at.duration_since(self.start));
                let took = at.duration_since(returning).as_secs_f64();
                let text =
                    format!("every partition has a leader again, {took:.1} s after the start");
                self.say(&text);
            }
            Kind::Producer => {
                self.publishers.iter_mut().try_for_each(Publisher::go_on)?;
                self.say("other publishers go on");
            }
        }
        Ok(recovery)
    }

    /// Waits so long, or until there is nothing more to publish, and says whether there is.
    fn goes_on(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let takes_more = self.publishers.iter().map(|publisher| {
            publisher.takes_more_after(end.saturating_duration_since(Instant::now()))
        });
        // All are asked: the second goes on although the first is through.
        takes_more.fold(false, |any, takes_more| any | takes_more)
    }

    /// Tells when every partition of every topic has a leader.
    fn watch_leaders(&self) -> JoinHandle<Result<Instant>> {
        let leaders = self.cluster.leaders();
        let publishers = self.publishers.iter();
        let topics: Vec<_> = publishers.map(|publisher| publisher.topic()).collect();
        thread::spawn(move || wait_for_leaders(&leaders, &topics))
    }

    fn say(&self, text: &str) {
        println!("{:8.1} s  {text}", self.start.elapsed().as_secs_f64());
    }
}

fn wait_for_leaders(leaders: &Leaders, topics: &[&str]) -> Result<Instant> {
    const LIMIT: Duration = Duration::from_secs(120);
    let all_led = |topic: &&str| leaders.led_partitions(topic).len() == usize::from(PARTITIONS);
    let deadline = Instant::now() + LIMIT;
    while !topics.iter().all(all_led) {
        if Instant::now() >= deadline {
            let limit = LIMIT.as_secs();
            let text = format!("there was a partition without a leader after {limit} s");
            return Err(Error::Failed(text));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(Instant::now())
}
