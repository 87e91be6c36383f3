//! Reading and editing activations: a tap is an argument of the forward pass.
//!
//! Every site shows its activation as `[row, head, position, neuron]`; axes that it lacks have length 1. Rows count on over
//! successive forward passes, so a tap sees whole-model coordinates, whatever the micro-batch.

use std::ops::Range;

use burn::tensor::{Gradients, Tensor};

use crate::{ModelError, Selection, SiteName};

type Edit<'a> = Box<dyn FnMut(Tensor<4>) -> Tensor<4> + Send + 'a>;

enum Action<'a> {
    Record(Vec<Tensor<4>>),
    Edit(Edit<'a>),
    Patch(Box<Tensor<4>>),
    Gradient(Vec<Tensor<4>>),
}

struct Request<'a> {
    asked: String,
    selection: Selection,
    action: Action<'a>,
    fired: usize,
    unchanged: usize,
    problem: Option<String>,
}

/// What to read and what to change during forward passes.
///
/// ```
/// # use burn::tensor::{Device, Tensor};
/// # use disentangle_data::Seed;
/// # use disentangle_models::{Classifier, Input, SequenceConfig, Tap};
/// # let device = Device::flex();
/// # let model = SequenceConfig::new(5, 6).init(Seed::new(0), &device)?;
/// # let input = Input::new(Tensor::zeros([2, 6, 5], &device));
/// let mut tap = Tap::new().record("layers.0.attn.pattern")?.edit("layers.1.resid", |x| x * 0.5)?;
/// let logits = model.forward(&input, &mut tap);
/// let run = tap.finish()?;
/// assert_eq!(run.get("layers.0.attn.pattern")?.dims(), [2, 4, 6, 6]);
/// # let _ = logits;
/// # Ok::<(), disentangle_models::ModelError>(())
/// ```
#[derive(Default)]
pub struct Tap<'a> {
    requests: Vec<Request<'a>>,
    /// Whether names are collected although nothing is asked for.
    listing: bool,
    seen: Vec<String>,
    rows: Range<usize>,
}

impl<'a> Tap<'a> {
    /// A tap that asks for nothing; costs one branch a site.
    pub fn off() -> Tap<'static> {
        Tap::default()
    }

    /// A tap to which requests are added.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the activation of `site`, for example `layers.0.attn.z[head=2]`.
    pub fn record(self, site: &str) -> Result<Self, ModelError> {
        self.request(site, Action::Record(Vec::new()))
    }

    /// Replaces the activation of `site` by `edit` of it; the shape must stay.
    pub fn edit(self, site: &str, edit: impl FnMut(Tensor<4>) -> Tensor<4> + Send + 'a) -> Result<Self, ModelError> {
        self.request(site, Action::Edit(Box::new(edit)))
    }

    /// Replaces the activation of `site` by that of another run: `donor` holds all rows that will pass.
    pub fn patch(self, site: &str, donor: Tensor<4>) -> Result<Self, ModelError> {
        self.request(site, Action::Patch(Box::new(donor)))
    }

    /// Makes the gradient at `site` available after the backward pass, by a zero leaf added there.
    pub fn gradient(self, site: &str) -> Result<Self, ModelError> {
        self.request(site, Action::Gradient(Vec::new()))
    }

    /// A tap that only notes which sites fire.
    pub(crate) fn listing() -> Tap<'static> {
        Tap {
            listing: true,
            ..Tap::default()
        }
    }

    /// The sites that fired while the first rows passed.
    pub(crate) fn seen(&self) -> &[String] {
        &self.seen
    }

    fn request(mut self, asked: &str, action: Action<'a>) -> Result<Self, ModelError> {
        self.requests.push(Request {
            asked: asked.into(),
            selection: Selection::parse(asked)?,
            action,
            fired: 0,
            unchanged: 0,
            problem: None,
        });
        Ok(self)
    }

    /// Whether it asks for nothing.
    pub(crate) fn is_off(&self) -> bool {
        self.requests.is_empty() && !self.listing
    }

    /// A forward pass over `rows` further rows begins.
    pub(crate) fn begin(&mut self, rows: usize) {
        self.rows = self.rows.end..self.rows.end + rows;
    }

    /// Passes an activation through the requests for this site.
    pub(crate) fn site<const D: usize>(&mut self, name: SiteName, x: Tensor<D>) -> Tensor<D> {
        if self.is_off() {
            return x;
        }
        self.apply(name, x)
    }

    fn apply<const D: usize>(&mut self, name: SiteName, x: Tensor<D>) -> Tensor<D> {
        if self.rows.start == 0 {
            self.seen.push(name.to_string());
        }
        if !self.requests.iter().any(|request| name.is(&request.selection.site)) {
            return x;
        }
        let natural = x.dims();
        let full: [usize; 4] = match natural[..] {
            [n] => [n, 1, 1, 1],
            [n, d] => [n, 1, 1, d],
            [n, s, d] => [n, 1, s, d],
            _ => std::array::from_fn(|axis| natural[axis]),
        };
        let mut x = x.reshape(full);
        for request in self
            .requests
            .iter_mut()
            .filter(|request| name.is(&request.selection.site))
        {
            x = request.apply(x, &self.rows);
        }
        x.reshape(natural)
    }

    /// Ends the run: an error if a request never fired, selected nothing or did not fit.
    pub fn finish(self) -> Result<TapRun, ModelError> {
        let mut run = TapRun::default();
        for request in self.requests {
            let error = |reason: String| ModelError::Tap {
                site: request.asked.clone(),
                reason,
            };
            if let Some(problem) = request.problem {
                return Err(error(problem));
            }
            if request.fired == 0 {
                let near = near_names(&request.selection.site, &self.seen);
                return Err(error(format!("no such site in this model; near names: {near}")));
            }
            if request.unchanged > 0 {
                run.unchanged.push((request.asked.clone(), request.unchanged));
            }
            if let Action::Patch(donor) = &request.action
                && donor.dims()[0] != self.rows.end
            {
                let (had, passed) = (donor.dims()[0], self.rows.end);
                return Err(error(format!(
                    "the donor has {had} rows, but {passed} rows passed: they cannot be the same rows"
                )));
            }
            match request.action {
                Action::Record(parts) => run.records.push((request.asked, Tensor::cat(parts, 0))),
                Action::Gradient(leaves) => run.leaves.push((request.asked, leaves)),
                Action::Edit(_) | Action::Patch(_) => {}
            }
        }
        Ok(run)
    }
}

impl Request<'_> {
    fn apply(&mut self, x: Tensor<4>, rows: &Range<usize>) -> Tensor<4> {
        if self.selection.is_whole() {
            return self.act(x, rows);
        }
        let [n, axes @ ..] = x.dims();
        if let Err(problem) = self.selection.check(axes) {
            self.problem = Some(problem);
            return x;
        }
        let acted = self.act(self.selection.of(x.clone()), rows);
        match self.action {
            Action::Record(_) => x,
            _ => x.slice_assign(self.selection.ranges(0..n, axes), acted),
        }
    }

    fn act(&mut self, x: Tensor<4>, rows: &Range<usize>) -> Tensor<4> {
        self.fired += 1;
        match &mut self.action {
            Action::Record(parts) => {
                parts.push(x.clone().without_autodiff());
                x
            }
            Action::Gradient(leaves) => {
                let leaf = x.zeros_like().without_autodiff().autodiff().require_grad();
                leaves.push(leaf.clone());
                x + leaf
            }
            Action::Edit(edit) => {
                let edited = edit(x.clone());
                self.replace(x, edited)
            }
            Action::Patch(donor) => {
                let [total, rest @ ..] = donor.dims();
                let [n, own @ ..] = x.dims();
                if rest != own || rows.end > total {
                    self.problem = Some(format!(
                        "the donor is {:?}, needed are rows {rows:?} of [_, {own:?}]",
                        donor.dims()
                    ));
                    return x;
                }
                let patched = donor.clone().narrow(0, rows.start, n).to_device(&x.device());
                self.replace(x, patched)
            }
        }
    }

    fn replace(&mut self, x: Tensor<4>, edited: Tensor<4>) -> Tensor<4> {
        if x.dims() != edited.dims() {
            self.problem = Some(format!(
                "the edit changed the shape from {:?} to {:?}",
                x.dims(),
                edited.dims()
            ));
            return x;
        }
        let difference = (edited.clone().without_autodiff() - x.without_autodiff()).abs().max();
        if difference.into_scalar::<f32>() == 0.0 {
            self.unchanged += 1;
        }
        edited
    }
}

/// What a tap saw.
#[derive(Debug, Default)]
pub struct TapRun {
    records: Vec<(String, Tensor<4>)>,
    leaves: Vec<(String, Vec<Tensor<4>>)>,
    unchanged: Vec<(String, usize)>,
}

impl TapRun {
    /// The recorded activation, `[row, head, position, neuron]`, of all rows that passed.
    pub fn get(&self, site: &str) -> Result<Tensor<4>, ModelError> {
        let found = self.records.iter().find(|(name, _)| name == site);
        found.map(|(_, tensor)| tensor.clone()).ok_or_else(|| ModelError::Tap {
            site: site.into(),
            reason: "was not recorded".into(),
        })
    }

    /// The gradient at a site, of whatever `backward` was called on; same shape as the activation.
    pub fn gradient(&self, site: &str, gradients: &Gradients) -> Result<Tensor<4>, ModelError> {
        let error = |reason: &str| ModelError::Tap {
            site: site.into(),
            reason: reason.into(),
        };
        let found = self.leaves.iter().find(|(name, _)| name == site);
        let (_, leaves) = found.ok_or_else(|| error("its gradient was not asked for"))?;
        let parts: Option<Vec<Tensor<4>>> = leaves.iter().map(|leaf| leaf.grad(gradients)).collect();
        Ok(Tensor::cat(
            parts.ok_or_else(|| error("the output does not depend on it"))?,
            0,
        ))
    }

    /// Edits whose output equalled their input (legitimate: ablating a dead neuron), with how often.
    pub fn unchanged(&self) -> &[(String, usize)] {
        &self.unchanged
    }
}

/// The names most like `name`: those that share its last part, else all.
pub fn near_names(name: &str, known: &[String]) -> String {
    let last = name.rsplit('.').next().unwrap_or(name);
    let like: Vec<&str> = known
        .iter()
        .map(String::as_str)
        .filter(|site| site.contains(last))
        .collect();
    if like.is_empty() {
        known.join(", ")
    } else {
        like.join(", ")
    }
}
