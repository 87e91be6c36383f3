//! Names for every place where activations can be read or edited.

use std::fmt;

/// The part of a model in which a place lies, before the common names: `branches.1.`, `local.`, or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The whole model: no prefix.
    #[default]
    Whole,
    /// One of several alike.
    Branch(usize),
    /// A part with a name of its own.
    Part(&'static str),
}

impl Scope {
    /// A site in this part, outside its layers.
    pub(crate) fn site(self, part: &str) -> SiteName<'_> {
        SiteName {
            scope: self,
            layer: None,
            part,
        }
    }

    /// What of `name` follows this prefix, if it has it.
    fn strip(self, name: &str) -> Option<&str> {
        match self {
            Scope::Whole => Some(name),
            Scope::Branch(branch) => {
                let (number, rest) = name.strip_prefix("branches.")?.split_once('.')?;
                (number.parse() == Ok(branch)).then_some(rest)
            }
            Scope::Part(part) => name.strip_prefix(part)?.strip_prefix('.'),
        }
    }
}

/// A block of a model, whose sites have the common names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) scope: Scope,
    pub(crate) layer: Option<usize>,
}

impl Place {
    /// A layer of a part.
    pub(crate) fn layer(scope: Scope, layer: usize) -> Self {
        Self {
            scope,
            layer: Some(layer),
        }
    }

    /// A site of this block.
    pub(crate) fn site<'a>(&self, part: &'a str) -> SiteName<'a> {
        SiteName {
            scope: self.scope,
            layer: self.layer,
            part,
        }
    }
}

/// A place in a model, by its parts: building one costs nothing, so a tap that is off pays no formatting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteName<'a> {
    scope: Scope,
    layer: Option<usize>,
    part: &'a str,
}

impl<'a> SiteName<'a> {
    /// A site outside the layers, for example `embed`.
    pub fn new(part: &'a str) -> Self {
        Scope::Whole.site(part)
    }

    /// FNV-1a of the name's parts.
    pub(crate) fn hash(&self) -> u64 {
        let layer = self.layer.map_or(u64::MAX, |layer| layer as u64).to_le_bytes();
        let (branch, scope) = match self.scope {
            Scope::Whole => (None, ""),
            Scope::Branch(branch) => (Some((branch as u64).to_le_bytes()), ""),
            Scope::Part(part) => (None, part),
        };
        let scope = branch.iter().flatten().chain(scope.as_bytes());
        scope
            .chain(&layer)
            .chain(self.part.as_bytes())
            .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
    }

    /// Whether `name` is this site's name; no allocation.
    pub(crate) fn is(&self, name: &str) -> bool {
        let Some(name) = self.scope.strip(name) else {
            return false;
        };
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
        match self.scope {
            Scope::Whole => {}
            Scope::Branch(branch) => write!(f, "branches.{branch}.")?,
            Scope::Part(part) => write!(f, "{part}.")?,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_it_displays_and_no_other() {
        let names = [
            SiteName::new("pool"),
            Place::layer(Scope::Whole, 1).site("attn.out"),
            Place::layer(Scope::Branch(1), 0).site("attn.out"),
            Place::layer(Scope::Branch(11), 0).site("attn.out"),
            Place::layer(Scope::Part("local"), 0).site("attn.out"),
            Scope::Part("clinical").site("attn.out"),
            Scope::Part("admin").site("embed"),
        ];
        for (i, a) in names.iter().enumerate() {
            for (j, b) in names.iter().enumerate() {
                assert_eq!(a.is(&b.to_string()), i == j, "{a} and {b}");
                assert_eq!(a.hash() == b.hash(), i == j, "{a} and {b}");
            }
        }
        assert_eq!(names[2].to_string(), "branches.1.layers.0.attn.out");
    }
}
