//! What a forward pass takes.

use burn::tensor::{Bool, Tensor};

use crate::{Dropout, Tap};

/// A batch of windows.
#[derive(Clone, Debug)]
pub struct Input {
    /// Standardised features, `[row, position, feature]`.
    pub x: Tensor<3>,
    /// True where a position holds data, `[row, position]`; padding is attended to by nobody and not pooled.
    pub key_mask: Option<Tensor<2, Bool>>,
}

impl Input {
    /// Windows without padding.
    pub fn new(x: Tensor<3>) -> Self {
        Self { x, key_mask: None }
    }
}

/// One forward pass: its tap, and its dropout while training. Models hand activations through it.
pub struct Pass<'p, 't> {
    pub(crate) tap: &'p mut Tap<'t>,
    pub(crate) dropout: Option<Dropout>,
}

impl Pass<'_, '_> {
    /// Reads or edits the activation.
    pub(crate) fn site<const D: usize>(&mut self, name: crate::SiteName, x: Tensor<D>) -> Tensor<D> {
        self.tap.site(name, x)
    }

    /// Reads or edits the activation, then drops entries of it while training.
    pub(crate) fn site_with_dropout<const D: usize>(&mut self, name: crate::SiteName, x: Tensor<D>) -> Tensor<D> {
        let x = self.tap.site(name, x);
        match &self.dropout {
            None => x,
            Some(dropout) => dropout.apply(name, x),
        }
    }
}
