//! Names for every place where activations can be read or edited.

use std::fmt;

/// A place in a model, by its parts: building one costs nothing, so a tap that is off pays no formatting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteName<'a> {
    layer: Option<usize>,
    part: &'a str,
}

impl<'a> SiteName<'a> {
    /// A site outside the layers, for example `embed`.
    pub fn new(part: &'a str) -> Self {
        Self { layer: None, part }
    }

    /// A site of layer `layer`, for example `layers.0.attn.out`.
    pub fn layer(layer: usize, part: &'a str) -> Self {
        Self {
            layer: Some(layer),
            part,
        }
    }

    /// FNV-1a of the name's parts.
    pub(crate) fn hash(&self) -> u64 {
        let layer = self.layer.map_or(u64::MAX, |layer| layer as u64).to_le_bytes();
        let bytes = layer.iter().chain(self.part.as_bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// Whether `name` is this site's name; no allocation.
    pub(crate) fn is(&self, name: &str) -> bool {
        match self.layer {
            None => name == self.part,
            Some(layer) => {
                let rest = name
                    .strip_prefix("layers.")
                    .and_then(|rest| rest.strip_suffix(self.part));
                let number = rest.and_then(|rest| rest.strip_suffix('.'));
                number.is_some_and(|number| number.parse() == Ok(layer))
            }
        }
    }
}

impl fmt::Display for SiteName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layer {
            Some(layer) => write!(f, "layers.{layer}.{}", self.part),
            None => f.write_str(self.part),
        }
    }
}

/// A site of one model, and what its activation looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// For example `layers.0.attn.pattern`.
    pub name: String,
    /// Length of the axes (head, position, neuron) in whole-model coordinates; 1 where the site has no such axis.
    pub axes: [usize; 3],
}

impl Site {
    pub(crate) fn new(name: SiteName, axes: [usize; 3]) -> Self {
        Self {
            name: name.to_string(),
            axes,
        }
    }
}
