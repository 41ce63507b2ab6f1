//! Carries the schedule out.

use std::time::{Duration, Instant};

use xtask::Result;
use xtask::kafka::Cluster;

use super::schedule::{Act, Kind, Schedule};

/// Disturbs nodes as scheduled and says so, until `goes_on` has waited for the last time. In the end
/// all nodes are there.
pub(super) fn follow(
    schedule: Schedule,
    cluster: &mut Cluster,
    start: Instant,
    mut goes_on: impl FnMut(Duration) -> bool,
) -> Result<()> {
    let say = |text: String| println!("{:8.1} s  {text}", start.elapsed().as_secs_f64());
    for act in schedule {
        if !goes_on(act.calm) {
            break;
        }
        say(format!("{} node {}", signal(act.kind), act.node));
        begin(act, cluster)?;
        goes_on(act.outage);
        let returning = Instant::now();
        end(act, cluster)?;
        say(match act.kind {
            Kind::Pause => format!("SIGCONT node {}", act.node),
            Kind::Kill | Kind::Stop => format!(
                "node {} is back, started again within {:.1} s",
                act.node,
                returning.elapsed().as_secs_f64()
            ),
        });
    }
    Ok(())
}

fn begin(act: Act, cluster: &mut Cluster) -> Result<()> {
    match act.kind {
        Kind::Kill => cluster.kill(act.node),
        Kind::Pause => cluster.pause(act.node),
        Kind::Stop => cluster.stop(act.node),
    }
}

fn end(act: Act, cluster: &mut Cluster) -> Result<()> {
    match act.kind {
        Kind::Pause => cluster.resume(act.node),
        Kind::Kill | Kind::Stop => cluster.restart(act.node),
    }
}

fn signal(kind: Kind) -> &'static str {
    match kind {
        Kind::Kill => "SIGKILL",
        Kind::Pause => "SIGSTOP",
        Kind::Stop => "SIGTERM",
    }
}
