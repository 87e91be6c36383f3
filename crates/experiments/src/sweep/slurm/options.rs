//! `--slurm key=value`: options of `sbatch`, and three keys of our own.

use std::time::Duration;

use crate::ExperimentError;

/// Options of `sbatch` that a sweep sets itself, or that would keep `sbatch` from submitting and returning.
const RESERVED: [&str; 12] = [
    "array",
    "chdir",
    "error",
    "help",
    "job-name",
    "output",
    "parsable",
    "test-only",
    "usage",
    "version",
    "wait",
    "wrap",
];

/// One option of `sbatch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    /// Its long name, without dashes.
    pub(super) key: String,
    /// Absent for a switch.
    pub(super) value: Option<String>,
}

impl Directive {
    pub(super) fn new(key: &str, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: Some(value.into()),
        }
    }

    /// As an argument of `sbatch`.
    pub(super) fn argument(&self) -> String {
        match &self.value {
            Some(value) => format!("--{}={value}", self.key),
            None => format!("--{}", self.key),
        }
    }
}

/// What `--slurm` says.
#[derive(Debug, PartialEq)]
pub(super) struct SlurmOptions {
    /// For `sbatch`, in the order given.
    pub(super) directives: Vec<Directive>,
    /// The time between two looks at the queue.
    pub(super) poll: Duration,
    /// The most tasks of a job array, below what the cluster allows.
    pub(super) max_array: Option<usize>,
    /// A line of shell before each task.
    pub(super) setup: Option<String>,
    /// Whether only what needs the user's attention is said.
    pub(super) quiet: bool,
}

impl SlurmOptions {
    /// Reads `key=value` and, for switches of `sbatch`, `key`.
    ///
    /// A task asks for a core for each of its `threads`, unless the options say otherwise.
    pub(super) fn parse(options: &[String], threads: usize, quiet: bool) -> Result<Self, ExperimentError> {
        let mut parsed = Self {
            directives: Vec::new(),
            poll: Duration::from_secs(5),
            max_array: None,
            setup: None,
            quiet,
        };
        let mut seen = Vec::new();
        for option in options {
            let refuse =
                |reason: &str| ExperimentError::Input(format!("`--slurm {}`: {reason}", option.escape_debug()));
            let (key, value) = match option.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (option.as_str(), None),
            };
            check_key(key).map_err(|reason| refuse(&reason))?;
            if seen.contains(&key) {
                return Err(refuse("is given twice; expected every key once"));
            }
            seen.push(key);
            if value.is_some_and(|value| value.is_empty() || value.chars().any(char::is_control)) {
                return Err(refuse("expected a value of one line"));
            }
            match key {
                "poll" => {
                    parsed.poll = value
                        .and_then(seconds)
                        .ok_or_else(|| refuse("expected 0.1 to 3600 seconds"))?;
                }
                "max-array" => {
                    let number = value.and_then(|value| value.parse().ok()).filter(|&number| number > 0);
                    parsed.max_array = Some(number.ok_or_else(|| refuse("expected a number of tasks from 1"))?);
                }
                "setup" => {
                    let line = value
                        .ok_or_else(|| refuse("expected a line of shell, for example `setup=module load cuda`"))?;
                    parsed.setup = Some(line.into());
                }
                _ => parsed.directives.push(Directive {
                    key: key.into(),
                    value: value.map(Into::into),
                }),
            }
        }
        if threads > 1 && !seen.contains(&"cpus-per-task") {
            parsed
                .directives
                .push(Directive::new("cpus-per-task", threads.to_string()));
        }
        Ok(parsed)
    }

    /// The value of an option of `sbatch`, if it is given.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        let directive = self.directives.iter().find(|directive| directive.key == key)?;
        directive.value.as_deref()
    }
}

fn check_key(key: &str) -> Result<(), String> {
    let long = key.len() > 1 && key.starts_with(|first: char| first.is_ascii_lowercase());
    if !long || !key.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-') {
        return Err(
            "expected key=value, where key is a long option of sbatch without its dashes, or poll, max-array or setup"
                .into(),
        );
    }
    // `sbatch` takes the beginning of a name for the name.
    match RESERVED.iter().find(|name| name.starts_with(key)) {
        Some(name) => Err(format!(
            "the sweep sets or needs `{name}` itself; expected another option of sbatch"
        )),
        None => Ok(()),
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    (0.1..=3600.0)
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> Result<SlurmOptions, String> {
        parse_for(options, 1)
    }

    fn parse_for(options: &[&str], threads: usize) -> Result<SlurmOptions, String> {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        SlurmOptions::parse(&options, threads, false).map_err(|error| error.to_string())
    }

    #[test]
    fn options_of_sbatch_pass_and_three_keys_are_ours() {
        let given = [
            "partition=gpu",
            "time=1:00:00",
            "gres=gpu:a100=1",
            "exclusive",
            "poll=0.5",
            "max-array=7",
            "setup=module load cuda; export A='b c'",
        ];
        let parsed = parse(&given).unwrap();
        let arguments: Vec<String> = parsed.directives.iter().map(Directive::argument).collect();
        assert_eq!(
            arguments,
            ["--partition=gpu", "--time=1:00:00", "--gres=gpu:a100=1", "--exclusive"]
        );
        assert_eq!((parsed.poll, parsed.max_array), (Duration::from_millis(500), Some(7)));
        assert_eq!(parsed.setup.as_deref(), Some("module load cuda; export A='b c'"));
        assert_eq!(
            (parsed.value("partition"), parsed.value("exclusive")),
            (Some("gpu"), None)
        );
        let plain = parse(&[]).unwrap();
        assert_eq!((plain.poll, plain.max_array), (Duration::from_secs(5), None));
    }

    #[test]
    fn threads_ask_for_cores() {
        for (options, threads, expected) in [
            (&[][..], 1, None),
            (&[][..], 4, Some("4")),
            (&["cpus-per-task=2"][..], 4, Some("2")),
        ] {
            assert_eq!(parse_for(options, threads).unwrap().value("cpus-per-task"), expected);
        }
    }

    #[test]
    fn bad_options_are_sentences() {
        let check = |options: &[&str], said: &str| {
            let error = parse(options).unwrap_err();
            assert!(error.starts_with("`--slurm "), "{error}");
            assert!(error.contains(said), "{error}");
        };
        for option in [
            "",
            "=x",
            "--partition=x",
            "-p=x",
            "p=x",
            "Partition=x",
            "a b=c",
            "time_limit=1",
        ] {
            check(&[option], "expected key=value, where key is a long option of sbatch");
        }
        for name in RESERVED {
            check(
                &[&format!("{name}=x")],
                &format!("the sweep sets or needs `{name}` itself"),
            );
        }
        // What `sbatch` would take for `array` and `output`.
        check(&["arr=0-3"], "`array`");
        check(&["outp=x"], "`output`");
        check(&["partition="], "expected a value of one line");
        check(&["comment=a\n#SBATCH --array=0-3"], "expected a value of one line");
        check(&["setup=a\nb"], "expected a value of one line");
        check(&["time=1", "time=2"], "given twice");
        for option in ["poll", "poll=0", "poll=x", "poll=NaN", "poll=1e9", "poll=-1"] {
            check(&[option], "expected 0.1 to 3600 seconds");
        }
        for option in ["max-array", "max-array=0", "max-array=-1", "max-array=x"] {
            check(&[option], "expected a number of tasks from 1");
        }
        check(&["setup"], "expected a line of shell");
    }
}
