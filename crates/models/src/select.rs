//! Which part of a site a request is about: `SITE[head=2]`, `SITE[position=0..3,neuron=7]`.

use std::{fmt, ops::Range};

use burn::tensor::Tensor;

use crate::ModelError;

const AXES: [&str; 3] = ["head", "position", "neuron"];

/// A site, and the heads, positions and neurons of it that are meant; all where an axis is not named.
///
/// Written `SITE`, or `SITE[AXIS=N]` or `SITE[AXIS=FROM..TO,...]` (TO not included) with the axes `head`, `position`, `neuron`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The site's name.
    pub site: String,
    /// Along (head, position, neuron).
    pub axes: [Option<Range<usize>>; 3],
}

impl Selection {
    /// Reads what stands in front of and between the brackets. Fails where a bracket cannot be read or a range is empty.
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        let wrong = || ModelError::Tap {
            site: text.into(),
            reason: "expected `SITE`, or `SITE[AXIS=N]` or `SITE[AXIS=FROM..TO]` with axes head, position, neuron"
                .into(),
        };
        let mut selection = Self {
            site: text.into(),
            axes: [None, None, None],
        };
        let Some((site, rest)) = text.split_once('[') else {
            return Ok(selection);
        };
        selection.site = site.into();
        for part in rest.strip_suffix(']').ok_or_else(wrong)?.split(',') {
            let (name, value) = part.split_once('=').ok_or_else(wrong)?;
            let axis = AXES.iter().position(|axis| *axis == name.trim()).ok_or_else(wrong)?;
            let index = |text: &str| text.trim().parse::<usize>().map_err(|_| wrong());
            let range = match value.split_once("..") {
                Some((from, to)) => index(from)?..index(to)?,
                None => index(value)?..index(value)?.saturating_add(1),
            };
            if range.is_empty() || selection.axes[axis].is_some() {
                return Err(wrong());
            }
            selection.axes[axis] = Some(range);
        }
        Ok(selection)
    }

    /// Whether the whole site is meant.
    pub fn is_whole(&self) -> bool {
        self.axes.iter().all(Option::is_none)
    }

    /// Says so where a range ends behind its axis; `axes` are the lengths of (head, position, neuron).
    pub fn check(&self, axes: [usize; 3]) -> Result<(), String> {
        for ((range, length), name) in self.axes.iter().zip(axes).zip(AXES) {
            if range.as_ref().is_some_and(|range| range.end > length) {
                return Err(format!(
                    "selects nothing: the site has {length} {name}(s), counted from 0"
                ));
            }
        }
        Ok(())
    }

    /// Index ranges of `[row, head, position, neuron]`, for the rows given.
    pub fn ranges(&self, rows: Range<usize>, axes: [usize; 3]) -> [Range<usize>; 4] {
        let [head, position, neuron] = std::array::from_fn(|axis| self.axes[axis].clone().unwrap_or(0..axes[axis]));
        [rows, head, position, neuron]
    }

    /// The selected part of `[row, head, position, neuron]`, which [`Selection::check`] accepts.
    pub fn of(&self, activation: Tensor<4>) -> Tensor<4> {
        if self.is_whole() {
            return activation;
        }
        let [rows, axes @ ..] = activation.dims();
        activation.slice(self.ranges(0..rows, axes))
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.site)?;
        let parts: Vec<String> = AXES
            .iter()
            .zip(&self.axes)
            .filter_map(|(name, range)| {
                let Range { start, end } = range.clone()?;
                Some(if end == start + 1 {
                    format!("{name}={start}")
                } else {
                    format!("{name}={start}..{end}")
                })
            })
            .collect();
        match parts.is_empty() {
            true => Ok(()),
            false => write!(f, "[{}]", parts.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_select_along_axes() {
        let check = |text: &str, site: &str, axes: [Option<Range<usize>>; 3]| {
            let expected = Selection {
                site: site.into(),
                axes,
            };
            assert_eq!(Selection::parse(text).unwrap(), expected, "{text}");
            assert_eq!(Selection::parse(&expected.to_string()).unwrap(), expected, "{text}");
        };
        check("pool", "pool", [None, None, None]);
        check("a.z[head=2]", "a.z", [Some(2..3), None, None]);
        check("a.z[neuron=3..9, position=0]", "a.z", [None, Some(0..1), Some(3..9)]);
        for wrong in [
            "pool[2]",
            "pool[head=2",
            "pool[width=2]",
            "pool[head=]",
            "pool[head=-1]",
            "pool[head=3..3]",
            "pool[head=1,head=2]",
            "pool[]",
        ] {
            let error = Selection::parse(wrong).unwrap_err().to_string();
            assert!(error.starts_with(&format!("tap `{wrong}`: expected `SITE`")), "{error}");
        }
        let far = Selection::parse("pool[head=999999]").unwrap();
        assert!(far.check([4, 1, 1]).is_err());
        let selection = Selection::parse("a[head=1..3]").unwrap();
        assert!(selection.check([3, 1, 1]).is_ok() && selection.check([2, 1, 1]).is_err());
    }
}
