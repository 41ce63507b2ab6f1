//! `cargo xtask fuzz`: the fuzz targets, one after another.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::{Error, Result, workspace_root};

use crate::command::{cargo, output, run, run_by_line, target_folder};

/// Runs one target, or all, for so many seconds each, and prints what each did.
pub(crate) fn run_targets(seconds: u32, only: Option<&str>) -> Result<()> {
    let targets = targets(only)?;
    run(cargo_fuzz("build").args(only))?;
    println!(
        "{:<24} {:>12} {:>8} {:>8}",
        "target", "runs", "cov", "rss MB"
    );
    for target in targets {
        let figures = run_target(&target, seconds)?;
        let Figures { runs, cov, rss_mb } = figures;
        println!("{target:<24} {runs:>12} {cov:>8} {rss_mb:>8}");
    }
    Ok(())
}

fn targets(only: Option<&str>) -> Result<Vec<String>> {
    let list = output(&mut cargo_fuzz("list"))?;
    let all = || list.lines().map(str::to_owned);
    match only {
        None => Ok(all().collect()),
        Some(wanted) if all().any(|target| target == wanted) => Ok(vec![wanted.to_owned()]),
        Some(wanted) => Err(Error::Usage(format!(
            "there is no fuzz target `{wanted}`; there are {}",
            all().collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// libFuzzer's last figures.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    runs: u64,
    cov: u64,
    rss_mb: u64,
}

impl Figures {
    fn read(&mut self, line: &str) {
        if let Some(cov) = number_after(line, " cov: ") {
            self.cov = cov;
        }
        if let Some(runs) = number_after(line, "stat::number_of_executed_units:") {
            self.runs = runs;
        }
        if let Some(rss) = number_after(line, "stat::peak_rss_mb:") {
            self.rss_mb = rss;
        }
    }
}

fn number_after(line: &str, label: &str) -> Option<u64> {
    let (_, rest) = line.split_once(label)?;
    rest.split_whitespace().next()?.parse().ok()
}

/// libFuzzer talks much: its words go to a log, of which a failure shows the end.
fn run_target(target: &str, seconds: u32) -> Result<Figures> {
    let path = log_path(target)?;
    let writing = || Error::io(format!("writing {}", path.display()));
    let mut log = fs::File::create(&path).map_err(writing())?;
    let mut figures = Figures::default();
    let mut logged = Ok(());
    let mut command = cargo_fuzz("run");
    command.arg(target).args(corpora(target)?);
    command.args(["--", "-print_final_stats=1"]);
    command.arg(format!("-max_total_time={seconds}"));
    let result = run_by_line(command, |line| {
        figures.read(line);
        if logged.is_ok() {
            logged = writeln!(log, "{line}");
        }
    });
    logged.map_err(writing())?;
    result.map_err(|error| Error::Failed(format!("{error}\n{}", end_of(&path))))?;
    Ok(figures)
}

/// What the fuzzer found so far, which it adds to, then the seeds in the repository.
fn corpora(target: &str) -> Result<Vec<PathBuf>> {
    let fuzz = workspace_root().join("fuzz");
    let found = fuzz.join("corpus").join(target);
    fs::create_dir_all(&found).map_err(Error::io(format!("creating {}", found.display())))?;
    let seeds = fuzz.join("seeds").join(target);
    let has_seeds = seeds.is_dir();
    Ok([found]
        .into_iter()
        .chain(has_seeds.then_some(seeds))
        .collect())
}

fn log_path(target: &str) -> Result<PathBuf> {
    let folder = target_folder().join("fuzz");
    fs::create_dir_all(&folder).map_err(Error::io(format!("creating {}", folder.display())))?;
    Ok(folder.join(format!("{target}.log")))
}

fn end_of(log: &Path) -> String {
    const LINES: usize = 40;
    let text = fs::read_to_string(log).unwrap_or_default();
    let skipped = text.lines().count().saturating_sub(LINES);
    let end: Vec<_> = text.lines().skip(skipped).collect();
    format!("{} ends with:\n{}", log.display(), end.join("\n"))
}

/// cargo-fuzz asks rustc for sanitizers, which it gives only to nightly or to who insists.
fn cargo_fuzz(what: &str) -> Command {
    let mut command = cargo(&format!("fuzz {what}"));
    command.env("RUSTC_BOOTSTRAP", "1");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_figures_of_a_run_are_read() {
        let mut figures = Figures::default();
        for line in [
            "#2\tINITED cov: 3 ft: 3 corp: 1/1b exec/s: 0 rss: 40Mb",
            "#1048576\tDONE   cov: 211 ft: 640 corp: 90/4kb lim: 4096 exec/s: 52428 rss: 60Mb",
            "stat::number_of_executed_units: 1048576",
            "stat::peak_rss_mb:              61",
        ] {
            figures.read(line);
        }
        assert_eq!(
            figures,
            Figures {
                runs: 1_048_576,
                cov: 211,
                rss_mb: 61
            }
        );
    }
}
