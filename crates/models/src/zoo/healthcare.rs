//! The notebook's `HealthcareTransformer` (part 8): clinical and administrative attention beside each other, then an encoder.
//!
//! In the notebook both attentions see all features (`routing = shared`). By default each embeds and attends to its own
//! group of columns (`separated`), so that what a branch carries is known by construction.

use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor},
};
use disentangle_data::Seed;
use serde::{Deserialize, Serialize};

use super::{
    last_sites, read_out,
    tokens::{check_columns, select},
};
use crate::{
    Classifier, ModelError, Site, SiteName, State,
    init::Init,
    input::Pass,
    layers::{Attention, Encoder, EncoderConfig, Linear, STEPS, attention_sites, padding},
    model::InputWeight,
    site::{Place, Scope},
    state::Aside,
};

/// What the two attentions see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Routing {
    /// Each its own columns.
    #[default]
    Separated,
    /// Both all columns, as in the notebook.
    Shared,
}

/// Sizes of a [`Healthcare`]; the defaults are the notebook's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthcareConfig {
    /// Features at one position.
    pub features: usize,
    /// Positions in a window.
    pub sequence: usize,
    /// What the two attentions see.
    #[serde(default)]
    pub routing: Routing,
    /// Columns of the clinical branch; needed when routing is separated.
    #[serde(default)]
    pub clinical: Vec<usize>,
    /// Columns of the administrative branch; needed when routing is separated.
    #[serde(default)]
    pub admin: Vec<usize>,
    /// Width of the residual stream.
    #[serde(default = "defaults::hidden")]
    pub hidden: usize,
    /// Attention heads; divides `hidden`.
    #[serde(default = "defaults::heads")]
    pub heads: usize,
    /// Encoder layers.
    #[serde(default = "defaults::layers")]
    pub layers: usize,
    /// Width of the feed-forward part.
    #[serde(default = "defaults::feed_forward")]
    pub feed_forward: usize,
    /// Dropout rate of the encoder while training.
    #[serde(default = "defaults::dropout")]
    pub dropout: f64,
}

mod defaults {
    pub(super) fn hidden() -> usize {
        128
    }
    pub(super) fn heads() -> usize {
        4
    }
    pub(super) fn layers() -> usize {
        3
    }
    pub(super) fn feed_forward() -> usize {
        512
    }
    pub(super) fn dropout() -> f64 {
        0.1
    }
}

impl HealthcareConfig {
    /// The notebook's sizes; each branch sees its own columns.
    pub fn new(features: usize, sequence: usize, clinical: Vec<usize>, admin: Vec<usize>) -> Self {
        Self {
            features,
            sequence,
            routing: Routing::Separated,
            clinical,
            admin,
            hidden: defaults::hidden(),
            heads: defaults::heads(),
            layers: defaults::layers(),
            feed_forward: defaults::feed_forward(),
            dropout: defaults::dropout(),
        }
    }

    /// The notebook's sizes and routing.
    pub fn shared(features: usize, sequence: usize) -> Self {
        Self {
            routing: Routing::Shared,
            ..Self::new(features, sequence, Vec::new(), Vec::new())
        }
    }

    fn encoder(&self) -> EncoderConfig {
        EncoderConfig {
            width: self.hidden,
            heads: self.heads,
            layers: self.layers,
            feed_forward: self.feed_forward,
        }
    }

    /// Checks the sizes and draws the weights. Fails for a size of 0, heads that do not divide `hidden`, a dropout rate outside
    /// [0, 1), or branches without columns or with columns that do not exist.
    pub fn init(&self, seed: Seed, device: &Device) -> Result<Healthcare, ModelError> {
        let inputs = [("features", self.features), ("sequence", self.sequence)];
        self.encoder().check(&inputs, self.dropout)?;
        let separated = self.routing == Routing::Separated;
        if separated {
            check_columns("clinical", &self.clinical, self.features)?;
            check_columns("admin", &self.admin, self.features)?;
        }
        let init = Init::new(seed.child("healthcare"), device);
        let width = self.hidden;
        let branch = |name: &str, columns: &[usize]| Linear::new(&init.child(name), columns.len(), width);
        let shared = || Linear::new(&init.child("feature_embedding"), self.features, width);
        Ok(Healthcare {
            feature_embedding: (!separated).then(shared),
            clinical_embedding: separated.then(|| branch("clinical_embedding", &self.clinical)),
            admin_embedding: separated.then(|| branch("admin_embedding", &self.admin)),
            pos_embedding: init.normal("pos_embedding", [1, self.sequence, width]),
            clinical_attention: Attention::new(&init.child("clinical_attention"), width, self.heads),
            admin_attention: Attention::new(&init.child("admin_attention"), width, self.heads),
            transformer: Encoder::new(&init.child("transformer"), &self.encoder()),
            output: Linear::new(&init.child("output"), width, 1),
            config: self.clone(),
        })
    }
}

/// Two attentions beside each other, their sum through an encoder, mean over positions, linear output. One logit a row.
#[derive(Module, Debug)]
pub struct Healthcare {
    feature_embedding: Option<Linear>,
    clinical_embedding: Option<Linear>,
    admin_embedding: Option<Linear>,
    pos_embedding: Param<Tensor<3>>,
    clinical_attention: Attention,
    admin_attention: Attention,
    transformer: Encoder,
    output: Linear,
    #[module(skip)]
    config: HealthcareConfig,
}

const CLINICAL: Scope = Scope::Part("clinical");
const ADMIN: Scope = Scope::Part("admin");

impl Healthcare {
    /// The sizes that it was built with.
    pub fn config(&self) -> &HealthcareConfig {
        &self.config
    }
}

/// The clinical or the administrative half.
struct Branch<'a> {
    scope: Scope,
    embedding: Option<&'a Linear>,
    columns: &'a [usize],
    attention: &'a Attention,
}

impl Branch<'_> {
    /// Half of the attention: first from the features up to what the heads read, then to its output, which is returned. As in the
    /// notebook, these attentions have no dropout.
    fn step(&self, state: &mut State, positions: &Param<Tensor<3>>, pass: &mut Pass) -> Option<Tensor<3>> {
        let dropout = pass.dropout.take();
        let place = Place {
            scope: self.scope,
            layer: None,
        };
        let attended = match state.aside.take() {
            Some(Aside::Heads(heads)) => Some(self.attention.out(heads, place, pass)),
            _ => {
                let embedded = match self.embedding {
                    None => state.stream.clone(),
                    Some(embedding) => {
                        let own = embedding.forward(select(&state.stream, self.columns)) + positions.val();
                        pass.site(self.scope.site("embed"), own)
                    }
                };
                let masked = padding(state.key_mask.as_ref());
                let heads = self.attention.heads(embedded, masked.as_ref(), place, pass);
                state.aside = Some(Aside::Heads(heads));
                None
            }
        };
        pass.dropout = dropout;
        attended
    }
}

impl Healthcare {
    fn clinical(&self) -> Branch<'_> {
        Branch {
            scope: CLINICAL,
            embedding: self.clinical_embedding.as_ref(),
            columns: &self.config.clinical,
            attention: &self.clinical_attention,
        }
    }

    fn admin(&self) -> Branch<'_> {
        Branch {
            scope: ADMIN,
            embedding: self.admin_embedding.as_ref(),
            columns: &self.config.admin,
            attention: &self.admin_attention,
        }
    }
}

impl Classifier for Healthcare {
    fn sites(&self) -> Vec<Site> {
        let c = &self.config;
        let embed = [1, c.sequence, c.hidden];
        let mut sites = vec![Site::new(SiteName::new("input"), [1, c.sequence, c.features])];
        if c.routing == Routing::Shared {
            sites.push(Site::new(SiteName::new("embed"), embed));
        }
        for scope in [CLINICAL, ADMIN] {
            if c.routing == Routing::Separated {
                sites.push(Site::new(scope.site("embed"), embed));
            }
            let place = Place { scope, layer: None };
            sites.extend(attention_sites(place, c.heads, c.sequence, c.sequence, c.hidden));
        }
        sites.extend(c.encoder().sites(c.sequence));
        sites.extend(last_sites(c.hidden));
        sites
    }

    fn input_shape(&self) -> [usize; 2] {
        [self.config.sequence, self.config.features]
    }

    fn dropout(&self) -> f64 {
        self.config.dropout
    }

    fn parts(&self) -> &'static [&'static str] {
        &["clinical_attention", "admin_attention"]
    }

    fn input_weights(&self) -> Vec<InputWeight> {
        let c = &self.config;
        match c.routing {
            Routing::Shared => vec![InputWeight::new("feature_embedding.weight", 0..c.features)],
            Routing::Separated => vec![
                InputWeight::new("clinical_embedding.weight", c.clinical.iter().copied()),
                InputWeight::new("admin_embedding.weight", c.admin.iter().copied()),
            ],
        }
    }

    fn steps(&self) -> usize {
        6 + STEPS * self.config.layers
    }

    fn step(&self, index: usize, mut state: State, pass: &mut Pass) -> State {
        match index {
            0 => {
                match &self.feature_embedding {
                    Some(embedding) => state = super::embed(state, embedding, Some(&self.pos_embedding), pass),
                    None => state.stream = pass.site(SiteName::new("input"), state.stream),
                }
                state
            }
            1 | 2 => {
                let attended = self.clinical().step(&mut state, &self.pos_embedding, pass);
                state.kept.extend(attended);
                state
            }
            3 | 4 => {
                if let Some(admin) = self.admin().step(&mut state, &self.pos_embedding, pass) {
                    state.stream = state.kept.remove(0) + admin;
                }
                state
            }
            step if step < self.steps() - 1 => self.transformer.step(step - 5, state, pass),
            _ => read_out(state, &self.output, pass),
        }
    }
}
