//! Orthogonal projections: plain training, then every projection inside goes towards the nearest semi-orthogonal matrix
//! of its size, then fine-tuning.
//!
//! W = U S Vᵀ goes to (1 - s) W + s c U Vᵀ with c = ‖W‖_F / √rank, so that at s = 1 the Frobenius norm stays: of all
//! matrices with that norm and equal singular values it is the nearest (the polar factor, Higham 1986).

use disentangle_analysis::linalg::svd;
use disentangle_models::{ModelError, train::Erm};
use ndarray::Array2;

use crate::{Given, Mitigated, Mitigation, MitigationError, MitigationSettings};

pub(crate) struct Orthogonality {
    strength: f64,
}

const NAME: &str = "orthogonality";

impl Orthogonality {
    pub(crate) fn new(settings: &MitigationSettings) -> Self {
        Self {
            strength: settings.orthogonality_strength,
        }
    }
}

/// (1 - s) W + s times the nearest semi-orthogonal matrix with the Frobenius norm of W. Fails for values that are not finite.
pub(crate) fn towards_orthogonal(weight: &Array2<f32>, strength: f64) -> Result<Array2<f32>, ModelError> {
    let w = weight.mapv(f64::from);
    let found = svd(w.view()).map_err(|error| ModelError::Train(error.to_string()))?;
    let norm = (&w * &w).sum().sqrt();
    let scale = norm / (found.s.len() as f64).sqrt();
    let nearest = found.u.dot(&found.vt) * scale;
    Ok((w * (1.0 - strength) + nearest * strength).mapv(|value| value as f32))
}

impl Mitigation for Orthogonality {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "plain training, then projections inside become orthogonal at their norm, then fine-tuning"
    }

    fn source(&self) -> &'static str {
        "Higham 1986 (polar factor); notebook part 37"
    }

    fn train(&self, given: &Given) -> Result<Mitigated, MitigationError> {
        given.embedding(NAME)?;
        let first = given.fit(&mut Erm, given.config)?;
        if self.strength == 0.0 {
            return Ok(first);
        }
        let mut edit = |weight: Array2<f32>| towards_orthogonal(&weight, self.strength);
        let changed = first.trained.model.with_projections(given.device, &mut edit)?;
        given.fit_from(&changed, &mut Erm, given.config)
    }
}
