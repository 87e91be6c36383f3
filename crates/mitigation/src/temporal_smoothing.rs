//! Temporal smoothing: the shortcut's columns become moving averages along the window, in training and at test.
//!
//! s_0 = x_0, s_t = keep · s_{t-1} + (1 - keep) · x_t: what flickers from position to position is lost, what lasts
//! stays.

use disentangle_data::{InputLayer, Smoothing};
use disentangle_models::train::Erm;

use crate::{Given, Mitigated, Mitigation, MitigationError, MitigationSettings, Needs};

pub(crate) struct TemporalSmoothing {
    keep: f64,
}

const NAME: &str = "temporal_smoothing";

impl TemporalSmoothing {
    pub(crate) fn new(settings: &MitigationSettings) -> Self {
        Self {
            keep: settings.smoothing_keep,
        }
    }
}

impl Mitigation for TemporalSmoothing {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "smooths the shortcut's columns along the window, at test too"
    }

    fn source(&self) -> &'static str {
        "notebook part 38 (temporal smoothing)"
    }

    fn needs(&self) -> Needs {
        Needs {
            shortcut: true,
            positions: true,
            ..Needs::default()
        }
    }

    fn train(&self, given: &Given) -> Result<Mitigated, MitigationError> {
        let columns = given.shortcut(NAME)?;
        if given.dataset.lookback < 2 {
            return Err(MitigationError::Needs {
                strategy: NAME,
                needs: "windows of more than one position".into(),
                found: format!("those of `{}` have one", given.dataset.name),
            });
        }
        if self.keep == 0.0 {
            return given.fit(&mut Erm, given.config);
        }
        let mut dataset = given.dataset.clone();
        dataset.layer = InputLayer {
            smoothing: Some(Smoothing {
                columns,
                keep: self.keep as f32,
            }),
            ..dataset.layer
        };
        given.on(&dataset).fit(&mut Erm, given.config)
    }
}
