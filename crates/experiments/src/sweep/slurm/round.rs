//! One round: job arrays are submitted while the queue takes them, and followed until they have left it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::PathBuf,
};

use super::{
    Runs, array,
    host::Host,
    jobs::{Job, Jobs},
    options::SlurmOptions,
    queue::{self, Task},
};
use crate::{ExperimentError, sweep::folder::RunState};

/// How often a run's folder is read again that does not say how the run ended: a shared file system may lag behind.
const REREADS: u32 = 3;
/// How often in a row `squeue` may fail before the round is given up.
const MOST_SILENT: u32 = 60;

/// What is left to do in a round, and what is in the queue.
pub(super) struct Round<'a> {
    host: &'a dyn Host,
    options: &'a SlurmOptions,
    runs: &'a dyn Runs,
    /// `slurm/` of the sweep.
    folder: PathBuf,
    jobs: Jobs,
    number: usize,
    chunk: usize,
    /// The most tasks of the next job array.
    size: usize,
    /// Runs to submit.
    waiting: VecDeque<usize>,
    /// Runs in the queue: the place of the job, and the task.
    queued: BTreeMap<usize, (usize, usize)>,
    /// Runs that left the queue, and how often their folders were read since.
    left: BTreeMap<usize, (usize, usize, u32)>,
    /// How many runs were in the queue when it took no more.
    full_at: Option<usize>,
    /// How often in a row `squeue` failed.
    silent: u32,
    /// What the user was told already.
    told: BTreeSet<String>,
}

impl<'a> Round<'a> {
    /// Plans a round of `pending` in job arrays of at most `size` tasks, and takes over what an earlier process left
    /// in the queue.
    pub(super) fn start(
        host: &'a dyn Host,
        options: &'a SlurmOptions,
        runs: &'a dyn Runs,
        size: usize,
        pending: &[usize],
    ) -> Result<Self, ExperimentError> {
        let folder = array::absolute(runs.path())?.join("slurm");
        array::make(&folder)?;
        let jobs = Jobs::read(&folder)?;
        let mut round = Self {
            host,
            options,
            runs,
            number: jobs.next_round(),
            folder,
            jobs,
            chunk: 0,
            size: size.max(1),
            waiting: pending.iter().copied().collect(),
            queued: BTreeMap::new(),
            left: BTreeMap::new(),
            full_at: None,
            silent: 0,
            told: BTreeSet::new(),
        };
        round.adopt()?;
        Ok(round)
    }

    /// Submits and follows until no run of the round is at work.
    pub(super) fn follow(&mut self, ended: &mut dyn FnMut(usize)) -> Result<(), ExperimentError> {
        loop {
            self.submit()?;
            if self.waiting.is_empty() && self.queued.is_empty() && self.left.is_empty() {
                return Ok(());
            }
            self.host.wait(self.options.poll);
            self.go_on()?;
            self.look()?;
            self.settle(ended);
        }
    }

    /// Takes over the jobs of an earlier process that are in the queue.
    fn adopt(&mut self) -> Result<(), ExperimentError> {
        let unknown = |message: String| {
            ExperimentError::Failed(format!(
                "`squeue` does not tell whether this sweep has jobs in the queue: {message}; \
                 expected an answer before anything is submitted"
            ))
        };
        let cluster = self.options.value("clusters");
        for job in self.jobs.all().iter_mut().filter(|job| !job.ended && job.id.is_none()) {
            // The process ended between submitting it and noting its number, or it was not submitted.
            job.id = queue::find(self.host, &job.name, cluster).map_err(unknown)?;
            job.cluster = job.id.as_ref().and(cluster.map(Into::into));
            job.ended = job.id.is_none();
        }
        self.jobs.save()?;
        let tasks = self.jobs.tasks(self.host).map_err(unknown)?;
        let pending: BTreeSet<usize> = self.waiting.iter().copied().collect();
        for (place, Task { index: task, .. }) in &tasks {
            let job = self.jobs.get(*place);
            let Some(&run) = job.runs.get(*task).filter(|run| pending.contains(*run)) else {
                continue;
            };
            if job.names.get(*task) != Some(&self.name(run)) {
                let ids = self.jobs.live_ids();
                return Err(ExperimentError::Input(format!(
                    "jobs {ids} of this sweep's former grid are in the queue; expected their end, or `scancel {ids}`"
                )));
            }
            self.queued.insert(run, (*place, *task));
        }
        self.waiting.retain(|run| !self.queued.contains_key(run));
        self.jobs.retire(&tasks)?;
        if !self.queued.is_empty() {
            let count = self.queued.len();
            self.inform(&format!(
                "{count} runs are in the queue already, in jobs {}",
                self.jobs.live_ids()
            ));
        }
        Ok(())
    }

    /// Submits as many job arrays as the queue takes.
    fn submit(&mut self) -> Result<(), ExperimentError> {
        while !self.waiting.is_empty() {
            // Where it took no more, it may once something has left it.
            if self.full_at.is_some_and(|count| self.queued.len() >= count) {
                return Ok(());
            }
            self.go_on()?;
            let chosen: Vec<usize> = self.waiting.iter().take(self.size).copied().collect();
            match self.submit_array(&chosen)? {
                None => {
                    self.waiting.drain(..chosen.len());
                    self.full_at = None;
                }
                Some(message) => self.refused(&message, chosen.len())?,
            }
        }
        Ok(())
    }

    /// Submits one job array; what `sbatch` said if there are too many jobs.
    fn submit_array(&mut self, chosen: &[usize]) -> Result<Option<String>, ExperimentError> {
        let stem = format!("{}-{}", self.number, self.chunk);
        let name = format!("disentangle-{}-{stem}", self.jobs.token());
        let arguments = array::write(&self.folder, &stem, &name, self.options, self.runs, chosen)?;
        let job = Job {
            name,
            id: None,
            cluster: None,
            round: self.number,
            chunk: self.chunk,
            runs: chosen.to_vec(),
            names: chosen.iter().map(|&run| self.name(run)).collect(),
            ended: false,
        };
        let place = self.jobs.all().len();
        self.jobs.all().push(job);
        self.jobs.save()?;
        let reply = self.host.run("sbatch", &arguments)?;
        if reply.success {
            let Some((id, cluster)) = queue::submitted(&reply.stdout) else {
                let reason = format!(
                    "`sbatch` printed `{}`; expected a job's number",
                    reply.stdout.escape_debug()
                );
                return Err(ExperimentError::Failed(reason));
            };
            self.inform(&format!("job {id} has {} runs", chosen.len()));
            let job = &mut self.jobs.all()[place];
            (job.id, job.cluster) = (Some(id), cluster);
            self.jobs.save()?;
            self.queued
                .extend(chosen.iter().enumerate().map(|(task, &run)| (run, (place, task))));
            self.chunk += 1;
            return Ok(None);
        }
        // Ctrl-C reaches `sbatch` too.
        self.go_on()?;
        let message = reply.message();
        if !queue::is_full(&message) {
            let rest = self.rest();
            return Err(ExperimentError::Input(format!(
                "`sbatch` does not take the job: {message}{rest}"
            )));
        }
        self.jobs.all().pop();
        self.jobs.save()?;
        Ok(Some(message))
    }

    /// The name of a run's folder.
    fn name(&self, run: usize) -> String {
        let path = self.runs.run_path(run);
        path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The queue took no job array of `tasks`: the next try comes when runs have left it, or with a smaller one.
    fn refused(&mut self, message: &str, tasks: usize) -> Result<(), ExperimentError> {
        if !self.queued.is_empty() {
            self.full_at = Some(self.queued.len());
            let waiting = self.waiting.len();
            let text =
                format!("the queue takes no more for now ({message}): {waiting} runs wait until others have ended");
            self.tell_once("full", &text);
        } else if tasks > 1 {
            self.size = tasks.div_ceil(2);
        } else {
            let reason = format!("`sbatch` takes no job at all: {message}");
            return Err(ExperimentError::Input(reason));
        }
        Ok(())
    }

    /// Looks who is in the queue.
    fn look(&mut self) -> Result<(), ExperimentError> {
        match self.jobs.tasks(self.host) {
            Ok(tasks) => {
                self.silent = 0;
                let present: BTreeSet<(usize, usize)> =
                    tasks.iter().map(|(place, task)| (*place, task.index)).collect();
                let all = self.queued.iter().map(|(&run, &task)| (run, task));
                let gone: Vec<(usize, (usize, usize))> = all.filter(|(_, task)| !present.contains(task)).collect();
                for (run, (place, task)) in gone {
                    self.queued.remove(&run);
                    self.left.insert(run, (place, task, 0));
                }
                self.show_reasons(&tasks);
                self.jobs.retire(&tasks)
            }
            Err(message) => {
                self.go_on()?;
                self.silent += 1;
                if self.silent > MOST_SILENT {
                    let rest = self.rest();
                    return Err(ExperimentError::Failed(format!(
                        "`squeue` keeps failing: {message}{rest}"
                    )));
                }
                self.tell_once(
                    "silent",
                    &format!("`squeue` does not answer ({message}); it is asked again"),
                );
                Ok(())
            }
        }
    }

    /// Reports the runs that have come to an end.
    fn settle(&mut self, ended: &mut dyn FnMut(usize)) {
        let runs: Vec<usize> = self.left.keys().copied().collect();
        for run in runs {
            // To open a folder makes a network file system ask for what is new in it.
            let _ = fs::read_dir(self.runs.run_path(run));
            let open = !matches!(self.runs.state(run), RunState::Done | RunState::Failed(_));
            let Some((place, task, rereads)) = self.left.get_mut(&run) else {
                continue;
            };
            if open && *rereads < REREADS {
                *rereads += 1;
                continue;
            }
            let (place, task) = (*place, *task);
            self.left.remove(&run);
            if let Some(id) = &self.jobs.get(place).id {
                array::keep_output(&self.folder, id, task, &self.runs.log_path(run));
            }
            ended(run);
        }
    }

    /// Says once what keeps tasks from starting, if it may last.
    fn show_reasons(&mut self, tasks: &[(usize, Task)]) {
        let mut reasons: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        for (_, task) in tasks.iter().filter(|(_, task)| task.state == "PENDING") {
            // Some go on with the names of nodes.
            let reason = task.reason.split(',').next().unwrap_or_default();
            if !queue::is_ordinary(reason) {
                reasons.entry(reason).or_insert((0, task.job.as_str())).0 += 1;
            }
        }
        for (reason, (count, job)) in reasons {
            let text = format!(
                "{count} tasks wait with the reason `{reason}` and may not start by themselves; \
                 `scontrol show job {job}` says more, `scancel {job}` cancels them"
            );
            self.tell_once(reason, &text);
        }
    }

    /// Fails once Ctrl-C was pressed; the jobs stay in the queue.
    fn go_on(&self) -> Result<(), ExperimentError> {
        if !self.host.stopped() {
            return Ok(());
        }
        let ids = self.jobs.live_ids();
        if !ids.is_empty() {
            self.host.say(&format!(
                "slurm: jobs {ids} go on; the same command follows them again, `scancel {ids}` cancels them"
            ));
        }
        Err(ExperimentError::Interrupted)
    }

    /// What an error says of the jobs that are in the queue.
    fn rest(&self) -> String {
        match self.jobs.live_ids() {
            ids if ids.is_empty() => String::new(),
            ids => format!("; jobs {ids} go on, and the same command follows them again"),
        }
    }

    fn inform(&self, text: &str) {
        if !self.options.quiet {
            self.host.say(&format!("slurm: {text}"));
        }
    }

    fn tell_once(&mut self, about: &str, text: &str) {
        if self.told.insert(about.to_string()) {
            self.host.say(&format!("note: slurm: {text}"));
        }
    }
}
