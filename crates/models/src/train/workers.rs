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
use ndarray::{Array3, s};

use super::{Task, strategy::mean_over_rows};
use crate::{
    Classifier, Dropout, Model, ModelError, Pass, Tap, is_accelerator,
    model::{input, to_vec},
    parallel::own_pool,
    parameters::{self, Piece},
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
    /// The gradient of the logit with respect to the inputs, without dropout.
    InputGradient,
    /// Logits, and the gradient of the mean loss over `total` rows.
    Gradient { total: usize, dropout: Dropout },
    /// Logits and the activations of some sites, with dropout; the graph waits for [`Work::Backward`].
    Forward { dropout: Dropout, sites: Arc<Vec<String>> },
    /// The model's penalty on its weights and its gradient; needs no rows.
    Penalty,
    /// The gradient of `sum(outputs * gradient)` of the graph that waits, plus `sum(activation * gradient)` of each of its sites;
    /// no sites if the objective depends on none.
    Backward { gradient: Vec<f32>, sites: Vec<Vec<f32>> },
}

/// Rows of a piece of work.
#[derive(Clone, Copy)]
pub(super) enum Rows<'a> {
    /// Windows of the dataset.
    Windows(&'a [usize]),
    /// Inputs of somebody else's, `[row, position, feature]`.
    Inputs(&'a Array3<f32>),
}

impl Rows<'_> {
    fn len(&self) -> usize {
        match self {
            Rows::Windows(windows) => windows.len(),
            Rows::Inputs(inputs) => inputs.dim().0,
        }
    }
}

/// The same, on its way to a worker.
enum Own {
    Windows(Vec<usize>),
    Inputs(Array3<f32>),
}

struct Job {
    micro: usize,
    rows: Own,
    version: Version,
    work: Work,
}

#[derive(Default)]
pub(super) struct Done {
    pub(super) loss: f64,
    pub(super) outputs: Vec<f32>,
    /// Activations of each site that was asked for, row by row.
    pub(super) sites: Vec<Vec<f32>>,
    pub(super) gradient: Vec<Piece>,
}

/// A graph that waits for its backward pass.
struct Waiting {
    output: Tensor<1>,
    /// Of each site, `[row, head · position · neuron]`.
    sites: Vec<Tensor<2>>,
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

    /// Gives each micro-batch of `rows` its work, and hands the results to `take` in micro-batch order. Micro-batches are numbered from
    /// `first`: graphs that wait are found by their number.
    pub(super) fn run(
        &self,
        rows: Rows,
        first: usize,
        size: usize,
        version: &Version,
        mut work: impl FnMut(usize, std::ops::Range<usize>) -> Work,
        mut take: impl FnMut(Done),
    ) -> Result<(), ModelError> {
        let stopped = || ModelError::Train("a worker thread stopped".into());
        let count = rows.len().div_ceil(size);
        for index in 0..count {
            let range = index * size..((index + 1) * size).min(rows.len());
            let own = match rows {
                Rows::Windows(windows) => Own::Windows(windows[range.clone()].to_vec()),
                Rows::Inputs(inputs) => Own::Inputs(inputs.slice(s![range.clone(), .., ..]).to_owned()),
            };
            let micro = first + index;
            let job = Job {
                micro,
                rows: own,
                version: version.clone(),
                work: work(micro, range),
            };
            self.senders[micro % self.senders.len()]
                .send(job)
                .map_err(|_| stopped())?;
        }
        let mut early = BTreeMap::new();
        for expected in first..first + count {
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

/// The model with the parameters of one version.
struct Placed {
    version: u64,
    plain: Model,
    /// Made when a gradient is first asked for.
    taped: Option<Model>,
}

impl Placed {
    fn taped(&mut self) -> &Model {
        let plain = &self.plain;
        self.taped.get_or_insert_with(|| parameters::taped(plain.clone()))
    }
}

struct Worker<'a> {
    task: &'a Task<'a>,
    device: &'a Device,
    template: &'a Model,
    placed: Option<Placed>,
    waiting: HashMap<usize, Waiting>,
}

impl<'a> Worker<'a> {
    fn new(template: &'a Model, task: &'a Task<'a>, device: &'a Device) -> Self {
        Self {
            task,
            device,
            template,
            placed: None,
            waiting: HashMap::new(),
        }
    }

    fn place(&mut self, version: &Version) -> &mut Placed {
        let flat = &version.parameters;
        let placed = match self.placed.take() {
            Some(placed) if placed.version == version.number => placed,
            // Reading an accelerator's memory only to write it would cost more than new memory.
            Some(placed) if !is_accelerator(self.device) => {
                drop(placed.taped);
                Placed {
                    version: version.number,
                    plain: parameters::renew(placed.plain, flat, self.device),
                    taped: None,
                }
            }
            _ => Placed {
                version: version.number,
                plain: parameters::place(self.template.clone(), flat, self.device),
                taped: None,
            },
        };
        self.placed.insert(placed)
    }

    fn run(&mut self, job: Job) -> Done {
        match job.work {
            Work::Logits => {
                let input = input(inputs(self.task, &job.rows).view(), self.device);
                let model = &self.place(&job.version).plain;
                Done {
                    outputs: to_vec(model.forward(&input, &mut Tap::off())),
                    ..Done::default()
                }
            }
            Work::InputGradient => {
                let (rows, device) = (inputs(self.task, &job.rows), self.device);
                let model = &self.place(&job.version).plain;
                // A gradient that cannot be had leaves the outputs empty, which whoever asked refuses.
                Done {
                    outputs: model.input_gradient(rows.view(), device).unwrap_or_default(),
                    ..Done::default()
                }
            }
            Work::Gradient { total, dropout } => {
                let passed = self.forward(&job.rows, &job.version, dropout, &[]);
                let outputs = to_vec(passed.output.clone().without_autodiff());
                let labels = match &job.rows {
                    Own::Windows(windows) => self.task.dataset.labels(windows),
                    // Only windows have labels.
                    Own::Inputs(_) => Vec::new(),
                };
                let objective = mean_over_rows(self.task.loss, &outputs, &labels, total);
                Done {
                    loss: objective.loss,
                    outputs,
                    gradient: self.backward(passed, objective.gradient, Vec::new()),
                    ..Done::default()
                }
            }
            Work::Forward { dropout, sites } => {
                let passed = self.forward(&job.rows, &job.version, dropout, &sites);
                let done = Done {
                    outputs: to_vec(passed.output.clone().without_autodiff()),
                    sites: passed
                        .sites
                        .iter()
                        .map(|site| to_vec(site.clone().without_autodiff()))
                        .collect(),
                    ..Done::default()
                };
                self.waiting.insert(job.micro, passed);
                done
            }
            Work::Penalty => self.penalty(&job.version),
            Work::Backward { gradient, sites } => Done {
                gradient: match self.waiting.remove(&job.micro) {
                    Some(passed) => self.backward(passed, gradient, sites),
                    None => Vec::new(),
                },
                ..Done::default()
            },
        }
    }

    fn forward(&mut self, rows: &Own, version: &Version, dropout: Dropout, sites: &[String]) -> Waiting {
        let input = input(inputs(self.task, rows).view(), self.device);
        let model = self.place(version).taped();
        let mut kept: Vec<Option<Tensor<4>>> = vec![None; sites.len()];
        let mut tap = Tap::new();
        for (site, own) in sites.iter().zip(&mut kept) {
            // A record would cut the activation off its graph. What cannot be asked for stays absent, which the engine refuses.
            let keep = move |x: Tensor<4>| {
                *own = Some(x.clone());
                x
            };
            tap = tap.edit(site, keep).unwrap_or_default();
        }
        let output = model.pass(
            &input,
            &mut Pass::new(&mut tap, (dropout.rate > 0.0).then_some(dropout)),
        );
        drop(tap);
        let flat = kept.into_iter().flatten().map(|activation| {
            let [rows, heads, positions, neurons] = activation.dims();
            activation.reshape([rows, heads * positions * neurons])
        });
        Waiting {
            output,
            sites: flat.collect(),
        }
    }

    fn penalty(&mut self, version: &Version) -> Done {
        let model = self.place(version).taped();
        match model.penalty() {
            None => Done::default(),
            Some(penalty) => {
                let value = to_vec(penalty.clone().without_autodiff());
                let mut gradients = penalty.backward();
                Done {
                    loss: value.iter().map(|&value| f64::from(value)).sum(),
                    gradient: parameters::gradients(model, &mut gradients),
                    ..Done::default()
                }
            }
        }
    }

    fn backward(&self, passed: Waiting, gradient: Vec<f32>, sites: Vec<Vec<f32>>) -> Vec<Piece> {
        let length = gradient.len();
        let weights = Tensor::<1>::from_data(TensorData::new(gradient, [length]), self.device);
        let mut total = (passed.output * weights).sum();
        for (activation, gradient) in passed.sites.into_iter().zip(sites) {
            let shape = activation.dims();
            let weights = Tensor::<2>::from_data(TensorData::new(gradient, shape), self.device);
            total = total + (activation * weights).sum();
        }
        let mut gradients = total.backward();
        match self.placed.as_ref().and_then(|placed| placed.taped.as_ref()) {
            Some(model) => parameters::gradients(model, &mut gradients),
            None => Vec::new(),
        }
    }
}

fn inputs<'r>(task: &Task, rows: &'r Own) -> std::borrow::Cow<'r, Array3<f32>> {
    match rows {
        Own::Windows(windows) => std::borrow::Cow::Owned(task.dataset.inputs(windows)),
        Own::Inputs(inputs) => std::borrow::Cow::Borrowed(inputs),
    }
}
