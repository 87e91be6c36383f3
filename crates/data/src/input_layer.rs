//! What a model's inputs pass after the scaler, in training and at test alike.

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::DataError;

/// A fixed layer over standardised windows: columns are scaled, then smoothed along positions. Changes nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InputLayer {
    /// One factor a feature.
    pub scale: Option<Vec<f32>>,
    /// A moving average of some columns.
    pub smoothing: Option<Smoothing>,
}

/// Exponential moving average along the positions of a window: s_0 = x_0, s_t = keep · s_{t-1} + (1 - keep) · x_t.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smoothing {
    /// Which columns.
    pub columns: Vec<usize>,
    /// The share of the last average, from 0 (which changes nothing) to below 1.
    pub keep: f32,
}

impl InputLayer {
    /// Refuses another number of factors than features, factors that are not finite, columns that do not exist, and shares
    /// outside [0, 1).
    pub fn check(&self, features: usize) -> Result<(), DataError> {
        if let Some(scale) = &self.scale {
            if scale.len() != features {
                let expected = format!("{features} factors, one a feature");
                return Err(DataError::setting("layer.scale", scale.len(), expected));
            }
            if let Some(factor) = scale.iter().find(|factor| !factor.is_finite()) {
                return Err(DataError::setting("layer.scale", factor, "finite factors"));
            }
        }
        if let Some(smoothing) = &self.smoothing {
            if let Some(column) = smoothing.columns.iter().find(|&&column| column >= features) {
                let expected = format!("column indices below {features}");
                return Err(DataError::setting("layer.smoothing.columns", column, expected));
            }
            if !(0.0..1.0).contains(&smoothing.keep) {
                let expected = "a share from 0 to below 1";
                return Err(DataError::setting("layer.smoothing.keep", smoothing.keep, expected));
            }
        }
        Ok(())
    }

    /// Changes standardised windows, `[window, position, feature]`. Columns that do not exist are passed over.
    pub(crate) fn apply(&self, x: &mut Array3<f32>) {
        let (_, positions, features) = x.dim();
        if let Some(scale) = &self.scale {
            for mut row in x.rows_mut() {
                row.iter_mut().zip(scale).for_each(|(value, factor)| *value *= factor);
            }
        }
        if let Some(Smoothing { columns, keep }) = &self.smoothing {
            for mut window in x.outer_iter_mut() {
                for &column in columns.iter().filter(|&&column| column < features) {
                    for position in 1..positions {
                        let last = window[[position - 1, column]];
                        let value = &mut window[[position, column]];
                        *value = keep * last + (1.0 - keep) * *value;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn smoothing(columns: &[usize], keep: f32) -> Smoothing {
        Smoothing {
            columns: columns.to_vec(),
            keep,
        }
    }

    #[test]
    fn scales_then_smooths() {
        let x = array![
            [[1.0f32, 2.0], [3.0, 4.0], [5.0, -8.0]],
            [[0.0, 1.0], [0.0, 0.0], [8.0, 0.0]]
        ];
        let check = |layer: InputLayer, expected: Array3<f32>| {
            layer.check(2).unwrap();
            let mut found = x.clone();
            layer.apply(&mut found);
            assert_eq!(found, expected, "{layer:?}");
        };
        check(InputLayer::default(), x.clone());
        let scale = Some(vec![2.0, -0.5]);
        check(
            InputLayer {
                scale: scale.clone(),
                smoothing: None,
            },
            array![
                [[2.0, -1.0], [6.0, -2.0], [10.0, 4.0]],
                [[0.0, -0.5], [0.0, 0.0], [16.0, 0.0]]
            ],
        );
        // Second column: 2, then 3/4 · 2 + 1/4 · 4 = 2.5, then 3/4 · 2.5 - 1/4 · 8 = -.125. Each window starts anew.
        check(
            InputLayer {
                scale: None,
                smoothing: Some(smoothing(&[1], 0.75)),
            },
            array![
                [[1.0, 2.0], [3.0, 2.5], [5.0, -0.125]],
                [[0.0, 1.0], [0.0, 0.75], [8.0, 0.5625]]
            ],
        );
        check(
            InputLayer {
                scale,
                smoothing: Some(smoothing(&[0], 0.5)),
            },
            array![
                [[2.0, -1.0], [4.0, -2.0], [7.0, 4.0]],
                [[0.0, -0.5], [0.0, 0.0], [8.0, 0.0]]
            ],
        );
        check(
            InputLayer {
                scale: None,
                smoothing: Some(smoothing(&[0, 1], 0.0)),
            },
            x.clone(),
        );
    }

    #[test]
    fn what_does_not_fit_is_a_sentence() {
        for (text, expected) in [
            (
                r#"{"scale": [1.0]}"#,
                "`layer.scale = 1` cannot be used: expected 2 factors, one a feature",
            ),
            (
                r#"{"smoothing": {"columns": [0, 2], "keep": 0.5}}"#,
                "`layer.smoothing.columns = 2` cannot be used: expected column indices below 2",
            ),
            (
                r#"{"smoothing": {"columns": [0], "keep": 1.0}}"#,
                "`layer.smoothing.keep = 1` cannot be used: expected a share from 0 to below 1",
            ),
        ] {
            let layer: InputLayer = serde_json::from_str(text).unwrap();
            assert_eq!(layer.check(2).unwrap_err().to_string(), expected);
        }
        let endless = InputLayer {
            scale: Some(vec![1.0, f32::INFINITY]),
            smoothing: None,
        };
        assert!(endless.check(2).is_err());
        assert!(serde_json::from_str::<InputLayer>(r#"{"shift": [1.0]}"#).is_err());
        let written = serde_json::to_string(&InputLayer::default()).unwrap();
        assert_eq!(
            serde_json::from_str::<InputLayer>(&written).unwrap(),
            InputLayer::default()
        );
    }
}
