//! A forward pass that can be stopped and resumed: what many edits of the same rows have in common is computed once.

use burn::tensor::{Bool, Device, Tensor};

use crate::{Classifier, Input, Model, ModelError, Pass, Tap, near_names};

/// What a forward pass holds between two steps of a model.
#[derive(Clone, Debug)]
pub struct State {
    rows: usize,
    /// What the next step works on, `[row, position, width]`; inside a layer of local windows `[row * windows, position, width]`.
    pub(crate) stream: Tensor<3>,
    /// What later steps need beside it.
    pub(crate) kept: Vec<Tensor<3>>,
    /// In the middle of a layer: what was computed last, before anybody looks at it.
    pub(crate) aside: Option<Aside>,
    pub(crate) key_mask: Option<Tensor<2, Bool>>,
}

/// Where in a layer a pass stands.
#[derive(Clone, Debug)]
pub(crate) enum Aside {
    /// What the heads read, `[row, head, position, width]`.
    Heads(Tensor<4>),
    /// The hidden activation of the feed-forward part, `[row, position, width]`.
    Hidden(Tensor<3>),
    /// The output of the feed-forward part, `[row, position, width]`.
    Out(Tensor<3>),
}

impl Aside {
    /// The rows of several, all of one kind.
    fn join(all: &[&Aside]) -> Option<Self> {
        let flat = |of: fn(&Aside) -> Option<Tensor<3>>| {
            let parts: Option<Vec<Tensor<3>>> = all.iter().map(|aside| of(aside)).collect();
            parts.map(|parts| Tensor::cat(parts, 0))
        };
        match all.first()? {
            Aside::Heads(_) => {
                let parts = all.iter().map(|aside| match aside {
                    Aside::Heads(heads) => Some(heads.clone()),
                    _ => None,
                });
                Some(Aside::Heads(Tensor::cat(parts.collect::<Option<Vec<_>>>()?, 0)))
            }
            Aside::Hidden(_) => Some(Aside::Hidden(flat(|aside| match aside {
                Aside::Hidden(hidden) => Some(hidden.clone()),
                _ => None,
            })?)),
            Aside::Out(_) => Some(Aside::Out(flat(|aside| match aside {
                Aside::Out(out) => Some(out.clone()),
                _ => None,
            })?)),
        }
    }
}

impl State {
    /// Before the first step.
    pub fn new(input: &Input) -> Self {
        Self {
            rows: input.x.dims()[0],
            stream: input.x.clone(),
            kept: Vec::new(),
            aside: None,
            key_mask: input.key_mask.clone(),
        }
    }

    /// Rows of input behind it.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Positions of what the next step works on, windows of a row counted together.
    pub fn positions(&self) -> usize {
        let [rows, positions, _] = self.stream.dims();
        rows * positions / self.rows.max(1)
    }

    /// The rows of several states of one step, one after the other. `None` for no states.
    pub fn join(states: &[&State]) -> Option<Self> {
        let first = states.first()?;
        let cat3 = |of: &dyn Fn(&State) -> Tensor<3>| Tensor::cat(states.iter().map(|state| of(state)).collect(), 0);
        let asides: Option<Vec<&Aside>> = states.iter().map(|state| state.aside.as_ref()).collect();
        let masks = states.iter().map(|state| state.key_mask.clone()).collect::<Option<_>>();
        Some(Self {
            rows: states.iter().map(|state| state.rows).sum(),
            stream: cat3(&|state| state.stream.clone()),
            kept: (0..first.kept.len())
                .map(|index| cat3(&|state| state.kept[index].clone()))
                .collect(),
            aside: asides.and_then(|asides| Aside::join(&asides)),
            key_mask: masks.map(|masks| Tensor::cat(masks, 0)),
        })
    }

    /// The output, `[row]`, as a state's stream; the last step of every model leaves it there.
    pub(crate) fn with_logits(mut self, logits: Tensor<1>) -> Self {
        self.stream = logits.reshape([self.rows, 1, 1]);
        self.kept.clear();
        self
    }

    pub(crate) fn logits(self) -> Tensor<1> {
        self.stream.reshape([self.rows])
    }
}

/// A whole forward pass: its logits, and the state before each step.
#[derive(Clone, Debug)]
pub struct Trace {
    /// One a step.
    pub before: Vec<State>,
    /// `[row]`.
    pub logits: Tensor<1>,
}

impl Model {
    /// A forward pass that keeps the state before each step. Without dropout.
    ///
    /// # Panics
    /// As [`Classifier::forward`].
    pub fn trace(&self, input: &Input, tap: &mut Tap) -> Trace {
        self.check_shape(input);
        tap.begin(input.x.dims()[0]);
        let mut pass = Pass::new(tap, None);
        let mut before = Vec::with_capacity(self.steps());
        let mut state = State::new(input);
        for index in 0..self.steps() {
            before.push(state.clone());
            state = self.step(index, state, &mut pass);
        }
        Trace {
            before,
            logits: state.logits(),
        }
    }

    /// The rest of a forward pass from before step `from`: logits `[row]`. The tap sees the sites that fire from there on.
    ///
    /// ```
    /// # use burn::tensor::{Device, Tensor};
    /// # use disentangle_data::Seed;
    /// # use disentangle_models::{Family, Input, Tap};
    /// # let device = Device::flex();
    /// let model = Family::Sequence.config(5, 6, &[]).init(Seed::new(0), &device)?;
    /// let trace = model.trace(&Input::new(Tensor::ones([2, 6, 5], &device)), &mut Tap::off());
    /// let from = model.step_of("layers.1.ff.out", &device)?;
    /// let mut tap = Tap::new().edit("layers.1.ff.out", |x| x * 0.0)?;
    /// let ablated = model.resume(from, trace.before[from].clone(), &mut tap);
    /// tap.finish()?;
    /// # assert_eq!(ablated.dims(), [2]);
    /// # Ok::<(), disentangle_models::ModelError>(())
    /// ```
    pub fn resume(&self, from: usize, state: State, tap: &mut Tap) -> Tensor<1> {
        tap.begin(state.rows);
        let mut pass = Pass::new(tap, None);
        let rest = from..self.steps();
        rest.fold(state, |state, index| self.step(index, state, &mut pass))
            .logits()
    }

    /// The step in which each site fires, in order.
    pub fn site_steps(&self, device: &Device) -> Vec<(String, usize)> {
        let [positions, features] = self.input_shape();
        let mut state = State::new(&Input::new(Tensor::zeros([1, positions, features], device)));
        let mut sites = Vec::new();
        for index in 0..self.steps() {
            let mut tap = Tap::listing();
            tap.begin(1);
            state = self.step(index, state, &mut Pass::new(&mut tap, None));
            sites.extend(tap.seen().iter().map(|name| (name.clone(), index)));
        }
        sites
    }

    /// The step in which a site fires. Fails for an unknown site, naming near ones.
    pub fn step_of(&self, site: &str, device: &Device) -> Result<usize, ModelError> {
        let sites = self.site_steps(device);
        let found = sites.iter().find(|(name, _)| name == site);
        found.map(|(_, step)| *step).ok_or_else(|| {
            let known: Vec<String> = sites.iter().map(|(name, _)| name.clone()).collect();
            ModelError::Tap {
                site: site.into(),
                reason: format!("no such site in this model; near names: {}", near_names(site, &known)),
            }
        })
    }
}
