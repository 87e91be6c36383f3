//! How much of a dimension each feature gets (Elhage et al. 2022, "Toy models of superposition").

use ndarray::{Array1, Array2, ArrayView2, Axis, Zip};

use crate::{
    linalg,
    matrix::{self, MatrixError},
};

/// Below this held-out R² the directions of [`site_directions`] say too little for a dimensionality.
pub const LEAST_R2: f64 = 0.05;

/// D_i = ‖W_i‖² / Σ_j (Ŵ_i · W_j)², j includes i, for the rows of `[features, d]`; Ŵ_i is W_i at unit length.
///
/// In [0, 1]: 1 for a feature with a dimension of its own, 1/2 for an antipodal pair, d / features for all of any tight frame of unit
/// norm, 0 where ‖W_i‖ = 0. Fails for no rows, no columns, and values that are not finite.
pub fn feature_dimensionality(name: &str, directions: ArrayView2<f64>) -> Result<Vec<f64>, MatrixError> {
    matrix::check(name, directions, 1)?;
    let largest = matrix::largest(directions);
    if largest <= 0.0 {
        return Ok(vec![0.0; directions.nrows()]);
    }
    let scaled = &directions / largest;
    let gram = linalg::product(scaled.view(), scaled.t());
    let dimension = |(i, row): (usize, ndarray::ArrayView1<f64>)| {
        let norm = row[i];
        if norm <= 0.0 {
            return 0.0;
        }
        // ‖W_i‖⁴ / Σ_j (W_i · W_j)², without its fourth powers.
        1.0 / row.iter().map(|dot| (dot / norm).powi(2)).sum::<f64>()
    };
    Ok(gram.rows().into_iter().enumerate().map(dimension).collect())
}

/// d / ‖W‖²_F for `[features, d]`: dimensions a feature, where represented features have about unit norm (the paper's D* = m / ‖W‖²_F,
/// m its hidden width). `None` where all directions are 0. Fails as [`feature_dimensionality`].
pub fn dimensions_per_feature(name: &str, directions: ArrayView2<f64>) -> Result<Option<f64>, MatrixError> {
    matrix::check(name, directions, 1)?;
    let squares: f64 = directions.iter().map(|x| x * x).sum();
    Ok((squares > 0.0).then(|| directions.ncols() as f64 / squares))
}

/// The directions along which a site moves with given scores, such as the standardised means of feature groups.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteDirections {
    /// W, `[m, d]`: change of the activations for one standard deviation of a score, the other scores fixed. A row is 0 for a
    /// score that does not vary.
    pub directions: Array2<f64>,
    /// 1 - Σ‖a - â‖² / Σ‖a - mean a‖² over the held-out rows and all neurons; the mean is the held-out rows' own. `None` where
    /// these do not vary. May be negative.
    pub held_out_r2: Option<f64>,
    /// D_i of each score among these directions; `None` for a score that does not vary, and for all where R² is undefined or
    /// below [`LEAST_R2`].
    pub dimensionality: Vec<Option<f64>>,
    /// Why there are no dimensionalities, or which scores do not vary.
    pub note: Option<String>,
}

/// Ordinary least squares of the centred activations `[n, d]` on the standardised scores `[n, m]`, fitted on `fit` =
/// (activations, scores) and judged on `held_out`, whose rows the fit does not see. Means and standard deviations
/// (divisor n) are those of `fit`.
///
/// Fails where shapes differ, for values that are not finite, for fewer than m + 2 rows to fit on or 2 held out, and where a varying
/// score is a combination of others.
pub fn site_directions(
    name: &str,
    fit: (ArrayView2<f64>, ArrayView2<f64>),
    held_out: (ArrayView2<f64>, ArrayView2<f64>),
) -> Result<SiteDirections, MatrixError> {
    let scores_name = format!("the scores of {name}");
    let held_name = format!("the held-out rows of {name}");
    check_pair((name, fit.0), (&scores_name, fit.1), fit.1.ncols() + 2)?;
    check_pair((&held_name, held_out.0), (&scores_name, held_out.1), 2)?;
    let columns = (held_name.as_str(), held_out.0.ncols());
    matrix::check_equal("columns", columns, (name, fit.0.ncols()))?;
    let columns = (held_name.as_str(), held_out.1.ncols());
    matrix::check_equal("scores", columns, (name, fit.1.ncols()))?;

    let (activations, scores) = fit;
    let rows = activations.nrows() as f64;
    let centred = matrix::centred(scores);
    let spread = centred.map_axis(Axis(0), |column| {
        (column.iter().map(|x| x * x).sum::<f64>() / rows).sqrt()
    });
    let varying: Vec<usize> = (0..scores.ncols()).filter(|&score| spread[score] > 0.0).collect();
    let mut directions = Array2::zeros((scores.ncols(), activations.ncols()));
    if varying.is_empty() {
        return Ok(SiteDirections {
            directions,
            held_out_r2: None,
            dimensionality: vec![None; scores.ncols()],
            note: Some("no score varies".into()),
        });
    }
    let standard = &centred.select(Axis(1), &varying) / &spread.select(Axis(0), &varying);
    let solution = least_squares(&scores_name, standard.view(), matrix::centred(activations).view())?;
    for (row, &score) in solution.rows().into_iter().zip(&varying) {
        directions.row_mut(score).assign(&row);
    }

    let mean = |matrix: ArrayView2<f64>| matrix.sum_axis(Axis(0)) / matrix.nrows() as f64;
    let (held, held_scores) = held_out;
    let mut standard = &held_scores - &mean(scores);
    for (mut column, &spread) in standard.columns_mut().into_iter().zip(&spread) {
        // A score that does not vary in the fit has no direction: whatever it is held out changes nothing.
        column /= if spread > 0.0 { spread } else { 1.0 };
    }
    let predicted = linalg::product(standard.view(), directions.view()) + mean(activations);
    let around = matrix::centred(held);
    let (mut left, mut all) = (0.0, 0.0);
    Zip::from(&held)
        .and(&predicted)
        .and(&around)
        .for_each(|a, predicted, around| {
            left += (a - predicted).powi(2);
            all += around.powi(2);
        });
    let held_out_r2 = (all > 0.0).then(|| 1.0 - left / all);

    let mut note = None;
    let mut dimensionality = vec![None; scores.ncols()];
    match held_out_r2 {
        None => note = Some("the held-out activations do not vary".to_string()),
        Some(r2) if r2 < LEAST_R2 => {
            note = Some(format!(
                "the scores explain too little of the site: held-out R² {r2:.3}"
            ));
        }
        Some(_) => {
            let all = feature_dimensionality(name, directions.view())?;
            for &score in &varying {
                dimensionality[score] = Some(all[score]);
            }
            if varying.len() < scores.ncols() {
                note = Some(format!("{} scores do not vary", scores.ncols() - varying.len()));
            }
        }
    }
    Ok(SiteDirections {
        directions,
        held_out_r2,
        dimensionality,
        note,
    })
}

/// At least `least` rows, the same number of both.
fn check_pair(
    (name, activations): (&str, ArrayView2<f64>),
    (scores_name, scores): (&str, ArrayView2<f64>),
    least: usize,
) -> Result<(), MatrixError> {
    matrix::check(name, activations, least)?;
    matrix::check(scores_name, scores, least)?;
    matrix::check_equal("rows", (name, activations.nrows()), (scores_name, scores.nrows()))
}

/// Coefficients `[m, d]` of `[n, d]` on `[n, m]`, n above m, by singular values.
fn least_squares(name: &str, x: ArrayView2<f64>, y: ArrayView2<f64>) -> Result<Array2<f64>, MatrixError> {
    let svd = linalg::svd(x).map_err(MatrixError::decomposition(name))?;
    let ends = (svd.s.first().copied(), svd.s.last().copied());
    let (Some(largest), Some(smallest)) = ends else {
        return Err(MatrixError::NoColumns {
            matrix: name.to_string(),
        });
    };
    // 1e-10: as in `regression::least_squares`.
    if smallest <= 1e-10 * largest {
        return Err(MatrixError::Dependent {
            matrix: name.to_string(),
        });
    }
    let inverse: Array1<f64> = svd.s.mapv(f64::recip);
    let rotated = linalg::product(svd.u.t(), y);
    let scaled = &rotated * &inverse.insert_axis(Axis(1));
    Ok(linalg::product(svd.vt.t(), scaled.view()))
}
