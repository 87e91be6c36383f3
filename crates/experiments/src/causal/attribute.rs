//! Attributions of the logit to columns by four methods, and whether they agree.

use disentangle_analysis::{
    causal::attribution::{agreement, completeness_gap},
    importance::{permute_columns, weighted_mean},
    probing::{logit_gradient, model_integrated_gradients, occlusion},
};
use ndarray::{Array3, s};

use super::{
    Asked,
    outcome::{Attribution, ColumnAttribution, GroupAttribution, METHODS, MethodAgreement},
};
use crate::{ExperimentError, finance::permute_days};

/// Permutations of each column.
const DRAWS: u64 = 5;

impl Asked<'_> {
    pub(super) fn attribution(&self) -> Result<Attribution, ExperimentError> {
        let dataset = &self.input.rows.dataset;
        let x = self.inputs(&self.few());
        let baseline = Array3::zeros(x.dim());
        let features = x.dim().2;
        let columns: Vec<usize> = (0..features).collect();
        let (device, threads) = (self.context.device, self.context.threads);
        let (rule, steps) = (self.config.rule, self.config.steps);
        let integrated = model_integrated_gradients(self.model, &x, &baseline, rule, steps, device, threads)?;
        let whole = self.logits(&x)?;
        let gap = completeness_gap(&integrated, &whole, &self.logits(&baseline)?);
        self.context.go_on()?;
        let gradient = logit_gradient(self.model, &x, device, threads)?;
        // Positions are added up before a contribution's size is taken, but sensitivities are sizes already.
        let integrated_sizes = sizes(
            &columns,
            |column, row| integrated.slice(s![row, .., column]).sum().abs(),
            x.dim().0,
        );
        let saliency = sizes(
            &columns,
            |column, row| {
                gradient
                    .slice(s![row, .., column])
                    .iter()
                    .map(|g| f64::from(g.abs()))
                    .sum()
            },
            x.dim().0,
        );
        let occluded = occlusion(self.model, &x, &baseline, &columns, device, threads)?;
        let occluded: Vec<Vec<f64>> = occluded
            .into_iter()
            .map(|rows| rows.into_iter().map(f64::abs).collect())
            .collect();
        self.context.go_on()?;
        let permuted = self.permuted(&x, &whole)?;
        let by_method = [integrated_sizes, saliency, permuted, occluded];
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let group_of = |column: usize| {
            let own = dataset.groups.iter().find(|group| group.columns.contains(&column));
            own.map_or_else(String::new, |group| group.name.clone())
        };
        let mut pairs = Vec::new();
        for first in 0..METHODS.len() {
            for second in first + 1..METHODS.len() {
                pairs.push(MethodAgreement {
                    methods: [METHODS[first].into(), METHODS[second].into()],
                    correlation: agreement(&by_method[first], &by_method[second], &self.bootstrap),
                });
            }
        }
        Ok(Attribution {
            environment: self.main().name.clone(),
            rows: x.dim().0,
            steps,
            rule,
            completeness_gap: gap,
            columns: columns
                .iter()
                .map(|&column| ColumnAttribution {
                    column: dataset.features[column].clone(),
                    group: group_of(column),
                    by_method: by_method.iter().map(|method| mean(&method[column])).collect(),
                })
                .collect(),
            groups: dataset
                .groups
                .iter()
                .map(|group| {
                    let of_row = |row: usize| -> f64 {
                        let own = group
                            .columns
                            .iter()
                            .map(|&column| integrated.slice(s![row, .., column]).sum());
                        own.sum::<f64>().abs()
                    };
                    let rows: Vec<f64> = (0..x.dim().0).map(of_row).collect();
                    GroupAttribution {
                        group: group.name.clone(),
                        size: weighted_mean(&self.bootstrap, &rows),
                    }
                })
                .collect(),
            agreement: pairs,
        })
    }

    /// |change of the logit| when a column's windows are permuted, the mean over draws.
    fn permuted(&self, x: &Array3<f32>, whole: &[f64]) -> Result<Vec<Vec<f64>>, ExperimentError> {
        let seed = self.seed("permuted columns");
        let order = |draw: u64| match self.input.rows.block {
            1 => seed.index(draw).rng().permutation(whole.len()),
            _ => permute_days(&self.input.rows.dataset, &self.few(), seed.index(draw)),
        };
        let orders: Vec<Vec<usize>> = (0..DRAWS).map(order).collect();
        let one = |column: usize| -> Result<Vec<f64>, ExperimentError> {
            let mut sums = vec![0.0; whole.len()];
            for order in &orders {
                let logits = self.logits(&permute_columns(x, &[column], order))?;
                for ((sum, z), plain) in sums.iter_mut().zip(logits).zip(whole) {
                    *sum += (z - plain).abs() / DRAWS as f64;
                }
            }
            Ok(sums)
        };
        (0..x.dim().2).map(one).collect()
    }
}

/// For each column a size row by row.
fn sizes(columns: &[usize], of: impl Fn(usize, usize) -> f64, rows: usize) -> Vec<Vec<f64>> {
    columns
        .iter()
        .map(|&column| (0..rows).map(|row| of(column, row)).collect())
        .collect()
}
