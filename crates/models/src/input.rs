//! What a forward pass takes.

use burn::tensor::{Bool, Tensor};

use crate::{Dropout, SiteName, Tap};

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
    /// Set while a layer works on local windows instead of whole rows.
    pub(crate) fold: Option<Fold>,
}

impl<'p, 't> Pass<'p, 't> {
    pub(crate) fn new(tap: &'p mut Tap<'t>, dropout: Option<Dropout>) -> Self {
        Self {
            tap,
            dropout,
            fold: None,
        }
    }

    /// Reads or edits the activation.
    pub(crate) fn site<const D: usize>(&mut self, name: SiteName, x: Tensor<D>) -> Tensor<D> {
        match self.fold {
            Some(fold) if !self.tap.is_off() => fold.tap(self.tap, name, x),
            _ => self.tap.site(name, x),
        }
    }

    /// Reads or edits the activation, then drops entries of it while training.
    pub(crate) fn site_with_dropout<const D: usize>(&mut self, name: SiteName, x: Tensor<D>) -> Tensor<D> {
        let x = self.site(name, x);
        match &self.dropout {
            None => x,
            Some(dropout) => dropout.apply(name, x),
        }
    }
}

/// Rows cut into windows of positions, `[row * windows, .., width, ..]`; a tap sees them joined, without the padding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fold {
    pub(crate) windows: usize,
    pub(crate) width: usize,
    /// Positions that are no padding.
    pub(crate) length: usize,
}

impl Fold {
    fn tap<const D: usize>(self, tap: &mut Tap, name: SiteName, x: Tensor<D>) -> Tensor<D> {
        let natural = x.dims();
        let (heads, neurons) = match natural[..] {
            [_, heads, _, neurons] => (heads, neurons),
            _ => (1, natural[D - 1]),
        };
        let rows = natural[0] / self.windows;
        let padded = self.windows * self.width;
        let joined: Tensor<4> = x
            .reshape([rows, self.windows, heads, self.width, neurons])
            .swap_dims(1, 2)
            .reshape([rows, heads, padded, neurons]);
        let shown = tap.site(name, joined.clone().narrow(2, 0, self.length));
        let whole = if self.length == padded {
            shown
        } else {
            let padding = joined.narrow(2, self.length, padded - self.length);
            Tensor::cat(vec![shown, padding], 2)
        };
        whole
            .reshape([rows, heads, self.windows, self.width, neurons])
            .swap_dims(1, 2)
            .reshape(natural)
    }
}
