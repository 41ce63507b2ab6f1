//! Accounts beside each other.

use std::collections::BTreeSet;
use std::fmt;

use super::accounts::Accounts;

/// A column for each publisher.
pub(super) struct Table<'a>(pub(super) &'a [(&'static str, Accounts)]);

impl Table<'_> {
    fn row(
        &self,
        f: &mut fmt::Formatter<'_>,
        label: &str,
        figure: impl Fn(&Accounts) -> String,
    ) -> fmt::Result {
        write!(f, "{label:<44}")?;
        for (_, accounts) in self.0 {
            write!(f, "{:>24}", figure(accounts))?;
        }
        writeln!(f)
    }

    fn counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.row(f, "messages", |a| a.fed.to_string())?;
        self.row(f, "delivered", |a| a.delivered.to_string())?;
        self.row(f, "failed", |a| a.failed.values().sum::<u64>().to_string())?;
        let errors = self
            .0
            .iter()
            .flat_map(|(_, accounts)| accounts.failed.keys());
        for error in errors.collect::<BTreeSet<_>>() {
            let count = |a: &Accounts| a.failed.get(error).copied().unwrap_or_default();
            self.row(f, &format!("  {error}"), |a| count(a).to_string())?;
        }
        self.row(f, "  in the log all the same", |a| {
            a.failed_in_log.to_string()
        })?;
        if self.any(|a| a.cut_off > 0) {
            self.row(f, "cut off by the death of the publisher", |a| {
                a.cut_off.to_string()
            })?;
            self.row(f, "  in the log all the same", |a| {
                a.cut_off_in_log.to_string()
            })?;
        }
        self.row(f, "records in the log", |a| a.in_log.to_string())?;
        self.row(f, "lost: delivered and not in the log", |a| {
            a.lost.to_string()
        })?;
        self.row(f, "duplicated", |a| a.duplicates.to_string())?;
        self.row(f, "reordered: behind a later one of their key", |a| {
            a.out_of_order.to_string()
        })?;
        self.row(f, "reports per message", |a| match a.reports {
            (fewest, most) if fewest == most => most.to_string(),
            (fewest, most) => format!("{fewest} to {most}"),
        })
    }

    fn times(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("half", 0.5), ("99 %", 0.99), ("all", 1.0)];
        for (name, part) in parts {
            self.row(f, &format!("{name} of the deliveries took up to"), |a| {
                format!("{:.3} s", a.latency(part))
            })?;
        }
        self.row(f, "longest stall", |a| a.stall.to_string())?;
        let partitions = self.0.iter().flat_map(|(_, a)| a.partition_stalls.keys());
        for partition in partitions.collect::<BTreeSet<_>>() {
            self.row(f, &format!("  of partition {partition}"), |a| {
                let stall = a.partition_stalls.get(partition);
                stall.map(ToString::to_string).unwrap_or_default()
            })?;
        }
        let drains = self.0.iter().map(|(_, accounts)| accounts.drains.len());
        for n in 0..drains.max().unwrap_or_default() {
            self.row(f, "drained after leaders were back", |a| {
                a.drains[n].to_string()
            })?;
        }
        Ok(())
    }

    fn any(&self, is_so: impl Fn(&Accounts) -> bool) -> bool {
        self.0.iter().any(|(_, accounts)| is_so(accounts))
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<44}", "")?;
        for (name, _) in self.0 {
            write!(f, "{name:>24}")?;
        }
        writeln!(f)?;
        self.counts(f)?;
        self.times(f)?;
        for (name, accounts) in self.0 {
            for broken in &accounts.broken {
                writeln!(f, "BROKEN by {name}: {broken}")?;
            }
            if accounts.is_in_order() {
                writeln!(f, "kept by {name}: every promise")?;
            }
        }
        Ok(())
    }
}
