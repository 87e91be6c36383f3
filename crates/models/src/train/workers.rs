//! Worker threads, each with parameters of its own.
//!
//! Micro-batch `m` always belongs to worker `m % workers`, because a graph stays on the thread that built it. Sharing one
//! module between threads would merge their graphs behind one lock.

use std::{
    collections::{BTreeMap, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
};

use burn::tensor::{Device, Tensor, TensorData};

use super::{Task, strategy::mean_over_rows};
use crate::{
    Classifier, Dropout, Model, ModelError, Pass, Tap,
    model::{input, to_vec},
    parallel::own_pool,
    parameters,
};

/// The parameters of one step; workers place them once a version.
#[derive(Clone)]
pub(super) struct Version {
    pub(super) number: u64,
    pub(super) parameters: Arc<Vec<f32>>,
}

pub(super) enum Work {
    /// Logits without dropout.
    Logits,
    /// Logits, and the gradient of the mean loss over `total` rows.
    Gradient { total: usize, dropout: Dropout },
    /// Logits with dropout; the graph waits for [`Work::Backward`].
    Forward { dropout: Dropout },
    /// The model's penalty on its weights and its gradient; needs no rows.
    Penalty,
    /// The gradient of `sum(outputs * gradient)` of the graph that waits.
    Backward { gradient: Vec<f32> },
}

struct Job {
    micro: usize,
    windows: Vec<usize>,
    version: Version,
    work: Work,
}

#[derive(Default)]
pub(super) struct Done {
    pub(super) loss: f64,
    pub(super) outputs: Vec<f32>,
    pub(super) gradient: Vec<f32>,
}

pub(super) struct Workers {
    senders: Vec<Sender<Job>>,
    results: Receiver<(usize, Result<Done, String>)>,
}

impl Workers {
    /// Starts `threads` workers that live as long as `scope` and this value.
    pub(super) fn start<'scope, 'env>(
        scope: &'scope std::thread::Scope<'scope, 'env>,
        threads: usize,
        model: &'env Model,
        task: &'env Task,
        device: &'env Device,
    ) -> Self {
        let (sender, results) = channel();
        let senders = (0..threads.max(1)).map(|_| {
            let (jobs, inbox) = channel::<Job>();
            let outbox = sender.clone();
            scope.spawn(move || {
                let _pool = own_pool();
                let mut worker = Worker::new(model, task, device);
                for job in inbox {
                    let micro = job.micro;
                    // Without this, a panic of one worker would leave the others waiting for ever.
                    let done = catch_unwind(AssertUnwindSafe(|| worker.run(job))).map_err(|panic| {
                        let text = panic.downcast_ref::<String>().cloned();
                        text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
                            .unwrap_or_default()
                    });
                    // A closed channel means that training is over.
                    if outbox.send((micro, done)).is_err() {
                        break;
                    }
                }
            });
            jobs
        });
        Self {
            senders: senders.collect(),
            results,
        }
    }

    /// Gives each micro-batch of `windows` its work, and hands the results to `take` in micro-batch order.
    pub(super) fn run(
        &self,
        windows: &[usize],
        size: usize,
        version: &Version,
        mut work: impl FnMut(usize, std::ops::Range<usize>) -> Work,
        mut take: impl FnMut(Done),
    ) -> Result<(), ModelError> {
        let stopped = || ModelError::Train("a worker thread stopped".into());
        let mut start = 0;
        let mut count = 0;
        for part in windows.chunks(size) {
            let job = Job {
                micro: count,
                windows: part.to_vec(),
                version: version.clone(),
                work: work(count, start..start + part.len()),
            };
            self.senders[count % self.senders.len()]
                .send(job)
                .map_err(|_| stopped())?;
            start += part.len();
            count += 1;
        }
        let mut early = BTreeMap::new();
        for expected in 0..count {
            let done = loop {
                if let Some(done) = early.remove(&expected) {
                    break done;
                }
                let (micro, done) = self.results.recv().map_err(|_| stopped())?;
                early.insert(
                    micro,
                    done.map_err(|panic| ModelError::Train(format!("a worker thread failed: {panic}")))?,
                );
            };
            take(done);
        }
        Ok(())
    }
}

struct Worker<'a> {
    task: &'a Task<'a>,
    device: &'a Device,
    template: &'a Model,
    plain: Option<(u64, Model)>,
    taped: Option<(u64, Model)>,
    waiting: HashMap<usize, Tensor<1>>,
}

impl<'a> Worker<'a> {
    fn new(template: &'a Model, task: &'a Task<'a>, device: &'a Device) -> Self {
        Self {
            task,
            device,
            template,
            plain: None,
            taped: None,
            waiting: HashMap::new(),
        }
    }

    fn run(&mut self, job: Job) -> Done {
        match job.work {
            Work::Logits => {
                let model = place(&mut self.plain, self.template, &job.version, self.device, false);
                let input = input(self.task.dataset.inputs(&job.windows).view(), self.device);
                Done {
                    outputs: to_vec(model.forward(&input, &mut Tap::off())),
                    ..Done::default()
                }
            }
            Work::Gradient { total, dropout } => {
                let output = self.forward(&job.windows, &job.version, dropout);
                let outputs = to_vec(output.clone().without_autodiff());
                let labels = self.task.dataset.labels(&job.windows);
                let objective = mean_over_rows(self.task.loss, &outputs, &labels, total);
                Done {
                    loss: objective.loss,
                    outputs,
                    gradient: self.backward(&output, objective.gradient),
                }
            }
            Work::Forward { dropout } => {
                let output = self.forward(&job.windows, &job.version, dropout);
                let outputs = to_vec(output.clone().without_autodiff());
                self.waiting.insert(job.micro, output);
                Done {
                    outputs,
                    ..Done::default()
                }
            }
            Work::Penalty => self.penalty(&job.version),
            Work::Backward { gradient } => Done {
                gradient: match self.waiting.remove(&job.micro) {
                    Some(output) => self.backward(&output, gradient),
                    None => Vec::new(),
                },
                ..Done::default()
            },
        }
    }

    fn forward(&mut self, windows: &[usize], version: &Version, dropout: Dropout) -> Tensor<1> {
        let device = self.device.clone().autodiff();
        let model = place(&mut self.taped, self.template, version, &device, true);
        let input = input(self.task.dataset.inputs(windows).view(), self.device);
        let mut tap = Tap::off();
        model.pass(
            &input,
            &mut Pass::new(&mut tap, (dropout.rate > 0.0).then_some(dropout)),
        )
    }

    fn penalty(&mut self, version: &Version) -> Done {
        let device = self.device.clone().autodiff();
        let model = place(&mut self.taped, self.template, version, &device, true);
        match model.penalty() {
            None => Done::default(),
            Some(penalty) => {
                let value = to_vec(penalty.clone().without_autodiff());
                let mut gradients = penalty.backward();
                Done {
                    loss: value.iter().map(|&value| f64::from(value)).sum(),
                    gradient: parameters::flat_gradients(model, &mut gradients),
                    ..Done::default()
                }
            }
        }
    }

    fn backward(&self, output: &Tensor<1>, gradient: Vec<f32>) -> Vec<f32> {
        let length = gradient.len();
        let weights = Tensor::<1>::from_data(TensorData::new(gradient, [length]), self.device);
        let mut gradients = (output.clone() * weights).sum().backward();
        match &self.taped {
            Some((_, model)) => parameters::flat_gradients(model, &mut gradients),
            None => Vec::new(),
        }
    }
}

fn place<'m>(
    kept: &'m mut Option<(u64, Model)>,
    template: &Model,
    version: &Version,
    device: &Device,
    gradients: bool,
) -> &'m Model {
    let current = matches!(kept, Some((number, _)) if *number == version.number);
    let fresh = (!current).then(|| {
        (
            version.number,
            parameters::place(template.clone(), &version.parameters, device, gradients),
        )
    });
    if fresh.is_some() {
        *kept = fresh;
    }
    // Just filled if it was empty.
    let (_, model) = kept.get_or_insert_with(|| (version.number, template.clone()));
    model
}
