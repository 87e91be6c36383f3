//! Principal component analysis on our own decomposition.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::linalg::{self, NoDecomposition};

/// Components of centred rows, by descending variance. The sign of each is chosen so that its largest entry is positive.
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    /// Column means, `[d]`.
    pub mean: Array1<f64>,
    /// Unit vectors, `[k, d]`, k = min(n, d).
    pub components: Array2<f64>,
    /// Variance along each, divisor n - 1, `[k]`.
    pub variance: Array1<f64>,
    /// Share of the total variance over *all* components, `[k]`; all 0 for constant data.
    pub share: Array1<f64>,
}

impl Pca {
    /// Fits on `[n, d]`, n at least 2. Fails for values that are not finite.
    pub fn fit(rows: ArrayView2<f64>) -> Result<Self, NoDecomposition> {
        let mean = rows.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(rows.ncols()));
        let centred = &rows - &mean;
        let svd = linalg::svd(centred.view())?;
        let mut components = svd.vt;
        for mut component in components.rows_mut() {
            let largest = component
                .iter()
                .copied()
                .fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
            if largest < 0.0 {
                component.mapv_inplace(|x| -x);
            }
        }
        let divisor = rows.nrows().saturating_sub(1).max(1) as f64;
        let variance = svd.s.mapv(|s| s * s / divisor);
        let total = variance.sum();
        let share = if total > 0.0 {
            &variance / total
        } else {
            Array1::zeros(variance.len())
        };
        Ok(Self {
            mean,
            components,
            variance,
            share,
        })
    }

    /// Coordinates of `[n, d]` along the first `count` components, `[n, count]`.
    pub fn project(&self, rows: ArrayView2<f64>, count: usize) -> Array2<f64> {
        let kept = self
            .components
            .slice(ndarray::s![..count.min(self.components.nrows()), ..]);
        (&rows - &self.mean).dot(&kept.t())
    }
}
