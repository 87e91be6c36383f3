//! How much single columns move the logit, and how sure that is.

use disentangle_analysis::importance::{permute_columns, weighted_mean};

use super::{
    Asked,
    outcome::{ColumnImportance, Importance, Lead},
};
use crate::{ExperimentError, finance::permute_days};

impl Asked<'_> {
    pub(super) fn importance(&self) -> Result<Importance, ExperimentError> {
        let dataset = &self.rows.dataset;
        let rows = self.few();
        let sizes = self.sizes(&rows)?;
        let bootstrap = self.bootstrap();
        let group_of = |column: usize| {
            let own = dataset.groups.iter().find(|group| group.columns.contains(&column));
            own.map_or_else(String::new, |group| group.name.clone())
        };
        let columns: Vec<ColumnImportance> = sizes
            .iter()
            .enumerate()
            .map(|(column, sizes)| {
                let size = weighted_mean(&bootstrap, sizes).within(0.0, f64::INFINITY);
                let spread = size.low.zip(size.high).map(|(low, high)| (high - low) / (2.0 * 1.96));
                let relative = size.value.filter(|value| *value > 0.0).zip(spread);
                ColumnImportance {
                    column: dataset.features[column].clone(),
                    group: group_of(column),
                    relative_spread: relative.map(|(value, spread)| spread / value),
                    spread,
                    size,
                }
            })
            .collect();
        let mut order: Vec<usize> = (0..columns.len()).collect();
        let size = |column: usize| columns[column].size.value.unwrap_or(f64::NEG_INFINITY);
        order.sort_by(|&a, &b| size(b).total_cmp(&size(a)));
        let lead = order.first().zip(order.get(1)).map(|(&first, &second)| {
            let pairs = sizes[first].iter().zip(&sizes[second]);
            let differences: Vec<f64> = pairs.map(|(first, second)| first - second).collect();
            Lead {
                first: columns[first].column.clone(),
                second: columns[second].column.clone(),
                difference: weighted_mean(&bootstrap, &differences),
            }
        });
        Ok(Importance {
            environment: self.main().name.clone(),
            rows: rows.len(),
            permutations: self.config.permutations,
            columns,
            lead,
        })
    }

    /// The main rows, as few as are asked for: evenly spaced where rows are independent, else the latest.
    fn few(&self) -> Vec<usize> {
        let rows = &self.main().rows;
        let few = self.config.few_rows.min(rows.len());
        match self.rows.block {
            1 => (0..few).map(|place| rows[place * rows.len() / few]).collect(),
            _ => rows[rows.len() - few..].to_vec(),
        }
    }

    /// |change of the logit| of every row when a column's windows are permuted, the mean over draws; one vector a column.
    fn sizes(&self, rows: &[usize]) -> Result<Vec<Vec<f64>>, ExperimentError> {
        let dataset = &self.rows.dataset;
        let x = dataset.inputs(rows);
        let whole = self.logits(&x)?;
        let seed = self.seed("permuted columns");
        let order = |draw: usize| match self.rows.block {
            1 => seed.index(draw as u64).rng().permutation(rows.len()),
            _ => permute_days(dataset, rows, seed.index(draw as u64)),
        };
        let orders: Vec<Vec<usize>> = (0..self.config.permutations).map(order).collect();
        let one = |column: usize| -> Result<Vec<f64>, ExperimentError> {
            self.context.go_on()?;
            let mut sizes = vec![0.0; whole.len()];
            for order in &orders {
                let logits = self.logits(&permute_columns(&x, &[column], order))?;
                for ((size, z), plain) in sizes.iter_mut().zip(logits).zip(&whole) {
                    *size += (z - plain).abs() / orders.len() as f64;
                }
            }
            Ok(sizes)
        };
        (0..x.dim().2).map(one).collect()
    }
}
