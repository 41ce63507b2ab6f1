//! Makes a run that breaks a rule smaller: fewer things happen in it, fewer messages, fewer
//! peculiarities, as long as the same check fails.

use super::Plan;
use super::action::Action;
use super::run::Broken;
use super::setup::{BrokerSetup, Setup};

/// Runs at most: enough for the longest plans, and over in seconds.
const RUNS: usize = 2_000;

/// The smallest plan found that fails as `plan` does.
pub(super) fn smallest(plan: Plan, broken: &Broken) -> Plan {
    let mut search = Search {
        plan,
        check: &broken.check,
        runs: RUNS,
    };
    search.end_early();
    loop {
        let before = search.runs;
        let smaller = [
            search.leave_out_steps(),
            search.leave_out_messages(),
            search.simplify_setup(),
        ];
        if !smaller.contains(&true) || search.runs == 0 || search.runs == before {
            return search.plan;
        }
    }
}

struct Search<'a> {
    plan: Plan,
    check: &'a str,
    runs: usize,
}

impl Search<'_> {
    /// Goes on with a smaller plan if it fails in the same way.
    fn try_plan(&mut self, smaller: Plan) -> bool {
        if self.runs == 0 {
            return false;
        }
        self.runs -= 1;
        let fails = smaller.carry_out().is_err_and(|b| b.check == self.check);
        if fails {
            self.plan = smaller;
        }
        fails
    }

    fn try_change(&mut self, change: impl FnOnce(&mut Plan)) -> bool {
        let mut smaller = self.plan.clone();
        change(&mut smaller);
        self.try_plan(smaller)
    }

    /// Nothing after the failure can be its cause.
    fn end_early(&mut self) {
        let (mut fine, mut fails) = (0, self.plan.steps.len());
        while fails - fine > 1 {
            let middle = fine + (fails - fine) / 2;
            match self.try_change(|plan| plan.steps.truncate(middle)) {
                true => fails = middle,
                false => fine = middle,
            }
        }
    }

    /// Leaves out chunks of steps: large ones first.
    fn leave_out_steps(&mut self) -> bool {
        let before = self.plan.steps.len();
        let mut size = before.div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < self.plan.steps.len() {
                let end = (at + size).min(self.plan.steps.len());
                if !self.try_change(|plan| drop(plan.steps.drain(at..end))) {
                    at = end;
                }
            }
            size /= 2;
        }
        self.plan.steps.len() < before
    }

    /// Leaves out chunks of what is published together.
    fn leave_out_messages(&mut self) -> bool {
        let mut smaller = false;
        for index in 0..self.plan.steps.len() {
            let mut size = self.published(index).div_ceil(2);
            while size > 0 {
                let mut at = 0;
                while at < self.published(index) {
                    let end = (at + size).min(self.published(index));
                    let left_out = self.try_change(|plan| {
                        if let Action::Publish(_, messages) = &mut plan.steps[index].action {
                            messages.drain(at..end);
                        }
                    });
                    smaller |= left_out;
                    at = if left_out { at } else { end };
                }
                size /= 2;
            }
        }
        smaller
    }

    /// How many messages a step publishes.
    fn published(&self, index: usize) -> usize {
        match &self.plan.steps[index].action {
            Action::Publish(_, messages) => messages.len(),
            _ => 0,
        }
    }

    /// Makes one thing after the other as it is by default.
    fn simplify_setup(&mut self) -> bool {
        let mut smaller = false;
        for simplify in SIMPLER {
            let mut plan = self.plan.clone();
            simplify(&mut plan.setup);
            if format!("{:?}", plan.setup) != format!("{:?}", self.plan.setup) {
                smaller |= self.try_plan(plan);
            }
        }
        smaller
    }
}

macro_rules! by_default {
    ($($field:ident).+) => {
        |setup: &mut Setup| setup.$($field).+ = Setup::default().$($field).+
    };
}

const SIMPLER: &[fn(&mut Setup)] = &[
    |setup| setup.brokers.fill(BrokerSetup::default()),
    |setup| setup.brokers.truncate(1),
    |setup| setup.brokers.truncate(2),
    by_default!(partitions),
    by_default!(lag),
    by_default!(codec_fails),
    by_default!(settings.codec),
    by_default!(settings.compression_threads),
    by_default!(hints),
    by_default!(log_append_time),
    by_default!(lists_the_dead),
    by_default!(refuses_strangers),
    by_default!(first_producer_epoch),
    by_default!(presses),
    by_default!(settings.idempotence),
    by_default!(settings.gapless),
    by_default!(settings.bootstrap),
    by_default!(settings.linger),
    by_default!(settings.batch_messages),
    by_default!(settings.batch_bytes),
    by_default!(settings.message_max_bytes),
    by_default!(settings.request_max_bytes),
    by_default!(settings.queue_max_messages),
    by_default!(settings.queue_max_bytes),
    by_default!(settings.max_in_flight),
    by_default!(settings.max_retries),
    by_default!(settings.request_timeout),
    by_default!(settings.connection_setup_timeout),
    by_default!(settings.connections_max_idle),
    by_default!(settings.metadata_refresh_interval),
    by_default!(settings.topic_propagation_max),
    by_default!(settings.sticky_linger),
    by_default!(settings.report_records),
    by_default!(settings.recording),
];
