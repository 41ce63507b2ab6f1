//! Seeds that become runs: settings, a cluster and a list of things that happen are drawn, carried
//! out on virtual time, and everything that must hold is checked at every step. A run that breaks
//! a rule is made smaller until nothing can be left out.

mod action;
mod draw;
mod run;
mod setup;
mod shrink;

use std::fmt;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

pub use run::Broken;
use setup::Setup;

use crate::Census;
use crate::story::Story;
use action::Step;

/// Everything that happens in a run; the same plan is the same run.
#[derive(Clone, Debug)]
pub struct Plan {
    seed: u64,
    setup: Setup,
    steps: Vec<Step>,
}

/// A run that broke a rule.
#[derive(Debug)]
pub struct Violation {
    /// The seed that it was drawn from.
    pub seed: u64,
    /// What went wrong first.
    pub broken: Broken,
    /// How many things happened in it.
    steps: usize,
    /// What is left of it when nothing can be left out.
    shrunk: Plan,
    story: Story,
}

/// What many seeds came to.
#[derive(Debug, Default)]
pub struct Findings {
    /// Seeds that were run.
    pub seeds: u64,
    /// Messages that were accepted in all.
    pub messages: u64,
    /// What they met; also what they did not meet of all that can be drawn.
    pub census: Census,
    /// The first seed that broke a rule, if any did.
    pub violation: Option<Violation>,
}

/// Runs seeds on so many threads, up to the first that breaks a rule, which is shrunk.
pub fn run_seeds(seeds: Range<u64>, threads: usize) -> Findings {
    run::hush_expected_panics();
    let findings = Mutex::new(Findings::default());
    let next = AtomicU64::new(seeds.start);
    let last = AtomicU64::new(seeds.end);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = Findings::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= last.load(Ordering::Relaxed) {
                        break;
                    }
                    own.seeds += 1;
                    match Plan::draw(seed).carry_out() {
                        Ok(run) => {
                            own.messages += run.messages;
                            own.census.add(&run.census);
                        }
                        Err(broken) => {
                            // Smaller seeds are still tried: the first one is named.
                            last.fetch_min(seed, Ordering::Relaxed);
                            own.note(seed, broken);
                        }
                    }
                }
                findings.lock().expect("nobody panics with it").add(own);
            });
        }
    });
    let mut findings = findings.into_inner().expect("nobody panics with it");
    findings.census.expect(draw::everything());
    if let Some(violation) = &mut findings.violation {
        violation.shrink();
    }
    findings
}

impl Findings {
    fn note(&mut self, seed: u64, broken: Broken) {
        let shrunk = Plan::draw(seed);
        let violation = Violation {
            seed,
            broken,
            steps: shrunk.steps.len(),
            shrunk,
            story: Story::default(),
        };
        self.add(Self {
            violation: Some(violation),
            ..Self::default()
        });
    }

    fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.messages += other.messages;
        self.census.add(&other.census);
        let known = self.violation.take();
        let all = known.into_iter().chain(other.violation);
        self.violation = all.min_by_key(|violation| violation.seed);
    }
}

impl Violation {
    fn shrink(&mut self) {
        self.shrunk = shrink::smallest(Plan::draw(self.seed), &self.broken);
        self.story = Story::written();
        let _ = self.shrunk.carry_out_telling(&self.story);
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            broken,
            steps,
            shrunk,
            story,
        } = self;
        writeln!(f, "seed {seed} breaks a rule: {broken}")?;
        writeln!(f, "{} of {steps} steps are enough:", shrunk.steps.len())?;
        write!(f, "{shrunk}\nwhat happens then:\n{story}")
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.setup.fmt(f)?;
        for step in &self.steps {
            write!(f, "  {step}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use kafka_wire::ApiKey;

    use super::action::Action;
    use super::*;
    use crate::{Fault, millis};

    #[test]
    fn a_seed_is_always_the_same_run() {
        for seed in 0..20 {
            let [one, other] = [(); 2].map(|()| Plan::draw(seed).carry_out());
            assert_eq!(one, other, "{seed}");
        }
    }

    fn lie() -> Fault {
        Fault::Misreport(|response| {
            for topic in &mut response.topics {
                for partition in &mut topic.partitions {
                    partition.base_offset += 1;
                }
            }
        })
    }

    #[test]
    fn a_lie_about_an_offset_is_found_and_everything_else_left_out() {
        run::hush_expected_panics();
        // In some runs nobody listens to it.
        let told = (0..20).find_map(|seed| {
            let mut plan = Plan::draw(seed);
            for id in 1..=4 {
                let action = Action::Script(id, ApiKey::Produce, lie(), 100);
                let pause = millis(1);
                plan.steps.insert(20, Step { action, pause });
            }
            let broken = plan.carry_out().err()?;
            Some((plan, broken))
        });
        let (plan, broken) = told.expect("the offsets are wrong");
        assert!(
            broken.what.contains("was delivered and is not at"),
            "{broken}"
        );
        let shrunk = shrink::smallest(plan, &broken);
        let steps: Vec<&Action> = shrunk.steps.iter().map(|step| &step.action).collect();
        let lies = |action: &&&Action| matches!(action, Action::Script(.., Fault::Misreport(_), _));
        assert_eq!(steps.iter().filter(lies).count(), 1, "{shrunk}");
        let messages = steps.iter().map(|action| match action {
            Action::Publish(_, messages) => messages.len(),
            _ => 0,
        });
        assert!(messages.sum::<usize>() <= 1, "{shrunk}");
        assert!(steps.len() <= 3, "{shrunk}");
    }
}
