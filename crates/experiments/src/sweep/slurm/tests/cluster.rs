//! A simulated cluster, and a sweep's folder beside it.

use std::{
    cell::{RefCell, RefMut},
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use super::super::{
    Runs, Slurm,
    host::{Host, Reply},
    options::SlurmOptions,
};
use crate::{ExperimentError, sweep::folder::RunState};

/// What the simulated cluster does and did.
pub(super) struct State {
    pub(super) max_array: usize,
    /// Tasks that may be in the queue.
    pub(super) room: usize,
    /// Tasks that end between two looks.
    pub(super) speed: usize,
    /// Jobs with tasks in the queue.
    pub(super) jobs: BTreeMap<usize, Submitted>,
    /// Sizes of the job arrays in the order of their submission.
    pub(super) sizes: Vec<usize>,
    /// The most tasks that were in the queue.
    pub(super) peak: usize,
    /// How often a run fails before it succeeds.
    pub(super) failing: BTreeMap<usize, usize>,
    /// Runs that succeeded, and when.
    pub(super) done: BTreeMap<usize, usize>,
    /// For how long nobody sees that a run succeeded.
    pub(super) lag: usize,
    /// Looks so far.
    pub(super) waits: usize,
    /// The look at which Ctrl-C comes.
    pub(super) stop_at: Option<usize>,
    /// How often `squeue` fails before it answers.
    pub(super) silent: usize,
    /// Whether `squeue` fails at one forgotten job among several.
    pub(super) strict: bool,
    /// Why `sbatch` fails, beside a full queue.
    pub(super) refusal: Option<&'static str>,
    /// Why tasks wait, and for how many looks.
    pub(super) reason: Option<(&'static str, usize)>,
    pub(super) said: Vec<String>,
}

pub(super) struct Submitted {
    pub(super) name: String,
    pub(super) folder: PathBuf,
    /// Each task's run.
    pub(super) tasks: BTreeMap<usize, usize>,
}

pub(super) struct Cluster(RefCell<State>);

impl Cluster {
    pub(super) fn state(&self) -> RefMut<'_, State> {
        self.0.borrow_mut()
    }

    fn sbatch(&self, arguments: &[String]) -> Result<String, String> {
        let mut state = self.state();
        let value = |key: &str| {
            let given = arguments.iter().find_map(|argument| argument.strip_prefix(key));
            given.unwrap_or_else(|| panic!("{key} is absent")).to_string()
        };
        let script = Path::new(arguments.last().unwrap());
        let tasks: usize = value("--array=0-").parse::<usize>().unwrap() + 1;
        let script_text = std::fs::read_to_string(script).unwrap();
        assert!(script_text.contains(&format!("#SBATCH --array=0-{}\n", tasks - 1)));
        assert!(
            script_text.contains(" sweep-task --sweep DIR --threads 1 --index \"$index\""),
            "{script_text}"
        );
        let list = std::fs::read_to_string(script.with_extension("txt")).unwrap();
        let runs = list
            .lines()
            .map(|line| line.split_once('\t').unwrap().0.parse().unwrap());
        let runs: BTreeMap<usize, usize> = runs.enumerate().collect();
        assert_eq!(runs.len(), tasks);
        if let Some(refusal) = state.refusal {
            return Err(format!("sbatch: error: Batch job submission failed: {refusal}\n"));
        }
        if tasks > state.max_array {
            return Err("sbatch: error: Batch job submission failed: Invalid job array specification\n".into());
        }
        let queued: usize = state.jobs.values().map(|job| job.tasks.len()).sum();
        if queued + tasks > state.room {
            return Err("sbatch: error: QOSMaxSubmitJobPerUserLimit\n\
                 sbatch: error: Batch job submission failed: Job violates accounting/QOS policy\n"
                .into());
        }
        state.peak = state.peak.max(queued + tasks);
        state.sizes.push(tasks);
        let id = state.sizes.len();
        let job = Submitted {
            name: value("--job-name="),
            folder: script.parent().unwrap().into(),
            tasks: runs,
        };
        state.jobs.insert(id, job);
        Ok(format!("{id}\n"))
    }

    fn squeue(&self, arguments: &[String]) -> Result<String, String> {
        let mut state = self.state();
        if state.silent > 0 {
            state.silent -= 1;
            return Err("squeue: error: Unable to contact slurm controller (connect failure)\n".into());
        }
        let value = |key: &str| arguments.iter().find_map(|argument| argument.strip_prefix(key));
        if let Some(name) = value("--name=") {
            let found = state.jobs.iter().filter(|(_, job)| job.name == name);
            return Ok(found
                .map(|(id, job)| format!("{id}\n").repeat(job.tasks.len()))
                .collect());
        }
        let ids: Vec<usize> = value("--jobs=")
            .unwrap()
            .split(',')
            .map(|id| id.parse().unwrap())
            .collect();
        if (ids.len() == 1 || state.strict) && ids.iter().any(|id| !state.jobs.contains_key(id)) {
            return Err("slurm_load_jobs error: Invalid job id specified\n".into());
        }
        let mut text = String::new();
        for id in ids {
            for task in state.jobs.get(&id).into_iter().flat_map(|job| job.tasks.keys()) {
                text += &match state.reason {
                    Some((reason, looks)) if state.waits < looks => format!("{id}_{task} PENDING {reason}\n"),
                    _ => format!("{id}_{task} RUNNING None\n"),
                };
            }
        }
        Ok(text)
    }

    /// Some tasks end.
    fn step(&self) {
        let mut state = self.state();
        state.waits += 1;
        if state.reason.is_some_and(|(_, looks)| state.waits < looks) {
            return;
        }
        for _ in 0..state.speed {
            let Some((&id, job)) = state.jobs.iter_mut().next() else {
                return;
            };
            let (task, run) = job.tasks.pop_first().unwrap();
            let output = job.folder.join(format!("{id}_{task}.out"));
            if job.tasks.is_empty() {
                state.jobs.remove(&id);
            }
            let failures = state.failing.remove(&run).unwrap_or(0);
            if failures > 0 {
                state.failing.insert(run, failures - 1);
                std::fs::write(output, "DUE TO TIME LIMIT\n").unwrap();
            } else {
                let now = state.waits;
                state.done.insert(run, now);
                std::fs::write(output, "").unwrap();
            }
        }
    }
}

impl Host for Rc<Cluster> {
    fn run(&self, program: &str, arguments: &[String]) -> Result<Reply, ExperimentError> {
        let said = match program {
            "sbatch" => self.sbatch(arguments),
            "squeue" => self.squeue(arguments),
            "scontrol" => Ok(format!(
                "ClusterName = x\nMaxArraySize            = {}\n",
                self.state().max_array
            )),
            _ => panic!("{program}"),
        };
        Ok(Reply {
            success: said.is_ok(),
            stdout: said.clone().unwrap_or_default(),
            stderr: said.err().unwrap_or_default(),
        })
    }

    fn wait(&self, _: Duration) {
        self.step();
    }

    fn stopped(&self) -> bool {
        let state = self.state();
        state.stop_at.is_some_and(|look| state.waits >= look)
    }

    fn say(&self, line: &str) {
        self.state().said.push(line.into());
    }
}

/// A sweep's folder beside its cluster.
pub(super) struct Scene {
    pub(super) cluster: Rc<Cluster>,
    pub(super) folder: tempfile::TempDir,
    /// Goes into the names of runs.
    pub(super) grid: &'static str,
}

impl Runs for Scene {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run_path(&self, index: usize) -> PathBuf {
        self.path().join("runs").join(format!("{}-{index}", self.grid))
    }

    fn log_path(&self, index: usize) -> PathBuf {
        self.path().join("logs").join(format!("{index}.log"))
    }

    fn state(&self, index: usize) -> RunState {
        let state = self.cluster.state();
        match state.done.get(&index) {
            Some(&since) if state.waits >= since + state.lag => RunState::Done,
            _ => RunState::Interrupted,
        }
    }

    fn task_command(&self, index: usize) -> (PathBuf, Vec<String>) {
        let index = index.to_string();
        let arguments = ["sweep-task", "--sweep", "DIR", "--index", &index, "--threads", "1"];
        ("/opt/disentangle".into(), arguments.map(Into::into).into())
    }
}

impl Scene {
    pub(super) fn new(max_array: usize, speed: usize) -> Self {
        let state = State {
            max_array,
            room: usize::MAX,
            speed,
            jobs: BTreeMap::new(),
            sizes: Vec::new(),
            peak: 0,
            failing: BTreeMap::new(),
            done: BTreeMap::new(),
            lag: 0,
            waits: 0,
            stop_at: None,
            silent: 0,
            strict: false,
            refusal: None,
            reason: None,
            said: Vec::new(),
        };
        Self {
            cluster: Rc::new(Cluster(RefCell::new(state))),
            folder: tempfile::tempdir().unwrap(),
            grid: "first",
        }
    }

    pub(super) fn slurm(&self, options: &[&str]) -> Slurm {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        Slurm {
            options: SlurmOptions::parse(&options, 1, false).unwrap(),
            host: Box::new(Rc::clone(&self.cluster)),
        }
    }

    /// Launches a round; which runs it said to have ended.
    pub(super) fn launch(&self, pending: &[usize]) -> (Result<(), ExperimentError>, BTreeSet<usize>) {
        let mut ended = BTreeSet::new();
        let result = self.slurm(&[]).launch_runs(self, pending, &mut |run| {
            let state = self.cluster.state();
            let queued = state
                .jobs
                .values()
                .any(|job| job.tasks.values().any(|&other| other == run));
            assert!(!queued, "run {run} is in the queue");
            assert!(ended.insert(run), "run {run} ended twice");
        });
        (result, ended)
    }

    /// Launches a round that must succeed with every run ended.
    #[track_caller]
    pub(super) fn finish(&self, pending: &[usize]) {
        let (result, ended) = self.launch(pending);
        result.unwrap();
        let expected: BTreeSet<usize> = pending.iter().copied().collect();
        assert_eq!(ended, expected);
    }

    pub(super) fn sizes(&self) -> Vec<usize> {
        self.cluster.state().sizes.clone()
    }

    pub(super) fn said(&self, words: &str) -> usize {
        let state = self.cluster.state();
        state.said.iter().filter(|line| line.contains(words)).count()
    }

    pub(super) fn pending(&self, runs: usize) -> Vec<usize> {
        let state = self.cluster.state();
        (0..runs).filter(|run| !state.done.contains_key(run)).collect()
    }
}
