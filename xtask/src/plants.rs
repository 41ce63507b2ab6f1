//! `cargo xtask plants`: re-introduces known defects, one at a time, in a copy of the workspace, and
//! demands that what is named for each finds it. So the tests are tested.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use xtask::{Error, Result, workspace_root};

use crate::command::{cargo, output, run, target_folder};

/// Plants every defect, or the one with this name.
pub(crate) fn plant_all(name: Option<&str>) -> Result<()> {
    let mut plants = read_plants()?;
    if let Some(name) = name {
        plants.retain(|plant| plant.name == name);
        if plants.is_empty() {
            return Err(Error::Usage(format!("there is no plants/{name}.patch")));
        }
    }
    plant(&plants)
}

/// Plants so many defects, which are other ones every day.
pub(crate) fn plant_some(count: usize) -> Result<()> {
    let mut plants = read_plants()?;
    let first = (today() as usize).wrapping_mul(count) % plants.len();
    plants.rotate_left(first);
    plants.truncate(count);
    plant(&plants)
}

/// A defect as a patch, behind lines that say what it is and what finds it.
#[derive(Debug)]
struct Plant {
    name: String,
    path: PathBuf,
    defect: String,
    finder: Finder,
}

/// What must fail.
#[derive(Debug, PartialEq, Eq)]
enum Finder {
    /// A test, by its package and its name.
    Test(String, String),
    /// One of the first so many seeds of the simulator.
    Seeds(u64),
}

const FOUND_BY: &str = "Found-by: ";

fn plant(plants: &[Plant]) -> Result<()> {
    let start = Instant::now();
    let copy = Copy::make()?;
    let mut missed = Vec::new();
    for plant in plants {
        println!("{}: {}", plant.name, plant.defect);
        copy.restore()?;
        copy.apply(plant)?;
        match copy.find(&plant.finder)? {
            Some(found) => println!("    found by {found}"),
            None => {
                println!("    NOT FOUND by {:?}", plant.finder);
                missed.push(plant.name.as_str());
            }
        }
    }
    copy.restore()?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} of {} plants found in {seconds:.0} s",
        plants.len() - missed.len(),
        plants.len()
    );
    match missed.is_empty() {
        true => Ok(()),
        false => Err(Error::Failed(format!("not found: {}", missed.join(", ")))),
    }
}

/// A copy of the workspace, kept from one run to the next so that cargo builds only what differs.
struct Copy {
    root: PathBuf,
    target: PathBuf,
    files: Vec<PathBuf>,
}

impl Copy {
    fn make() -> Result<Self> {
        let folder = target_folder().join("plants");
        let list = "ls-files --cached --others --exclude-standard -z";
        let mut git = Command::new("git");
        git.args(list.split_whitespace())
            .current_dir(workspace_root());
        let files = output(&mut git)?;
        let files = files.split_terminator('\0').map(PathBuf::from);
        let copy = Self {
            root: folder.join("tree"),
            target: folder.join("target"),
            // Deleted files are listed until that is committed.
            files: files
                .filter(|file| workspace_root().join(file).is_file())
                .collect(),
        };
        fs::create_dir_all(&copy.root).map_err(creating(&copy.root))?;
        Ok(copy)
    }

    /// Makes every file as it is in the workspace; those that are stay untouched.
    fn restore(&self) -> Result<()> {
        self.remove_others(&self.root)?;
        for file in &self.files {
            let (from, to) = (workspace_root().join(file), self.root.join(file));
            let content = fs::read(&from).map_err(reading(&from))?;
            if fs::read(&to).is_ok_and(|present| present == content) {
                continue;
            }
            let folder = to.parent().unwrap_or(&self.root);
            fs::create_dir_all(folder).map_err(creating(folder))?;
            fs::write(&to, content).map_err(Error::io(format!("writing {}", to.display())))?;
        }
        Ok(())
    }

    /// Removes what an earlier state of the workspace had.
    fn remove_others(&self, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder).map_err(reading(folder))? {
            let path = entry.map_err(reading(folder))?.path();
            if path.is_dir() {
                self.remove_others(&path)?;
                continue;
            }
            let file = path.strip_prefix(&self.root).unwrap_or(&path);
            if !self.files.iter().any(|known| known == file) {
                let removing = Error::io(format!("removing {}", path.display()));
                fs::remove_file(&path).map_err(removing)?;
            }
        }
        Ok(())
    }

    fn apply(&self, plant: &Plant) -> Result<()> {
        let mut git = Command::new("git");
        git.args(["apply", "--recount"])
            .arg(&plant.path)
            .current_dir(&self.root)
            // The copy lies in the workspace and is none of its own.
            .env("GIT_CEILING_DIRECTORIES", target_folder().join("plants"));
        run(&mut git).map_err(|error| {
            let name = &plant.name;
            Error::Failed(format!(
                "{error}: plants/{name}.patch does not fit any more"
            ))
        })
    }

    /// How the defect was found, if it was.
    fn find(&self, finder: &Finder) -> Result<Option<String>> {
        match finder {
            Finder::Test(package, name) => {
                let said = self.say(&format!("test --package {package} --lib --tests {name}"))?;
                expect(&said, "test result: ")?;
                let failed = said.contains("test result: FAILED");
                Ok(failed.then(|| format!("{package} {name}")))
            }
            Finder::Seeds(seeds) => {
                let line = "run --profile sim --package kafka-sim -- --seeds";
                let said = self.say(&format!("{line} {seeds}"))?;
                expect(&said, " seeds/s")?;
                let broken = said.lines().find(|line| line.contains(" breaks a rule: "));
                Ok(broken.map(str::to_owned))
            }
        }
    }

    /// What cargo prints, whether it succeeds or not.
    fn say(&self, line: &str) -> Result<String> {
        let mut command = cargo(line);
        command
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_TERM_COLOR", "never");
        let output = command.output().map_err(Error::io(line))?;
        let [said, errors] =
            [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        Ok(said + &errors)
    }
}

/// A defect that does not compile, or a test that is gone, finds nothing.
fn expect(said: &str, words: &str) -> Result<()> {
    let nothing = said.lines().any(|line| line.starts_with("test result: "))
        && !said.contains(" passed; 1 failed;")
        && !said.contains("1 passed;");
    match said.contains(words) && !nothing {
        true => Ok(()),
        false => Err(Error::Failed(format!("nothing was tested:\n{said}"))),
    }
}

fn read_plants() -> Result<Vec<Plant>> {
    let folder = workspace_root().join("plants");
    let mut plants = Vec::new();
    for entry in fs::read_dir(&folder).map_err(reading(&folder))? {
        let path = entry.map_err(reading(&folder))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "patch")
        {
            plants.push(Plant::read(path)?);
        }
    }
    plants.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(plants)
}

impl Plant {
    fn read(path: PathBuf) -> Result<Self> {
        let text = fs::read_to_string(&path).map_err(reading(&path))?;
        let head = text.split("\n--- ").next().unwrap_or_default();
        let found_by = head.lines().find_map(|line| line.strip_prefix(FOUND_BY));
        let finder = found_by.and_then(Finder::read).ok_or_else(|| {
            let path = path.display();
            Error::Failed(format!(
                "{path} has no line `{FOUND_BY}PACKAGE TEST` or `... sim SEEDS`"
            ))
        })?;
        let defect = head.lines().take_while(|line| !line.starts_with(FOUND_BY));
        let defect = defect.collect::<Vec<_>>().join(" ");
        let name = path.file_stem().unwrap_or_default();
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            defect: defect.trim().to_owned(),
            path,
            finder,
        })
    }
}

impl Finder {
    fn read(text: &str) -> Option<Self> {
        let (package, name) = text.trim().split_once(' ')?;
        match package {
            "sim" => name.parse().ok().map(Self::Seeds),
            _ => Some(Self::Test(package.to_owned(), name.to_owned())),
        }
    }
}

fn reading(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    Error::io(format!("reading {}", path.display()))
}

fn creating(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    Error::io(format!("creating {}", path.display()))
}

/// Days since 1970.
fn today() -> u64 {
    const DAY: u64 = 24 * 60 * 60;
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.unwrap_or_default().as_secs() / DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_a_plant_is_a_test_or_a_number_of_seeds() {
        let test = Finder::Test("kafka-engine".into(), "order::holds".into());
        assert_eq!(Finder::read("kafka-engine order::holds"), Some(test));
        assert_eq!(Finder::read("sim 200"), Some(Finder::Seeds(200)));
        assert_eq!(Finder::read("sim some"), None);
        assert_eq!(Finder::read("order::holds"), None);
    }

    #[test]
    fn every_plant_fits_the_code() {
        for plant in read_plants().expect("readable") {
            let mut git = Command::new("git");
            git.args(["apply", "--recount", "--check"])
                .arg(&plant.path)
                .current_dir(workspace_root());
            assert!(run(&mut git).is_ok(), "{plant:?}");
        }
    }

    #[test]
    fn every_plant_says_what_it_is_and_what_finds_it() {
        let plants = read_plants().expect("readable");
        assert!(plants.len() >= 20, "{}", plants.len());
        for plant in plants {
            assert!(plant.defect.ends_with('.'), "{plant:?}");
        }
    }
}
