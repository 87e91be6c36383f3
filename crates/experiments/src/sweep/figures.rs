//! One number over the grid as figures: a curve, dots, or heatmaps.

use disentangle_analysis::Estimate;
use disentangle_report::{Block, Heatmap, Mark, Values};

use super::{
    grid::{self, GridKey},
    outcome::SweepOutcome,
};
use crate::present::{heatmap, plain_figure, with_interval};

/// Heatmaps of one number, at most.
const MOST_MAPS: usize = 6;
/// From this ratio of the greatest to the least value on, an axis is logarithmic.
const WIDE: f64 = 50.0;

/// A number that is drawn.
pub(super) struct Drawn<'a> {
    pub(super) outcome: &'a SweepOutcome,
    /// Which number.
    pub(super) id: usize,
    /// Begins the names of its files.
    pub(super) file: String,
    /// As it is called.
    pub(super) name: &'a str,
    /// Digits after the point.
    pub(super) digits: usize,
}

impl Drawn<'_> {
    /// The figures, and what they leave out.
    pub(super) fn figures(&self) -> (Vec<Block>, Option<String>) {
        let keys = self.keys();
        let mut varying: Vec<usize> = (0..keys.len()).filter(|&key| keys[key].values.len() > 1).collect();
        if varying.len() > 2 {
            // A stable order: of keys with as many values the first comes first.
            varying.sort_by_key(|&key| std::cmp::Reverse(keys[key].values.len()));
            let (axes, rest) = varying.split_at(2);
            return self.maps([axes[0], axes[1]], rest);
        }
        let blocks = match varying.as_slice() {
            [across, down] => vec![self.map([*across, *down], &vec![0; keys.len()], 0)],
            [key, ..] => vec![self.curve(*key)],
            [] => Vec::new(),
        };
        (blocks, None)
    }

    fn keys(&self) -> &[GridKey] {
        &self.outcome.grid
    }

    fn at(&self, places: &[usize]) -> Option<&Estimate> {
        let point = self.outcome.points.get(grid::index(self.keys(), places))?;
        point.estimate(self.id)
    }

    /// The values of one key along the first axis: a line over numbers, dots over names.
    fn curve(&self, key: usize) -> Block {
        let (axis, absent) = (&self.keys()[key], Estimate::undefined("no run is done", 0));
        let order = axis.order();
        let estimates: Vec<&Estimate> = order
            .iter()
            .map(|&place| {
                let mut places = vec![0; self.keys().len()];
                places[key] = place;
                self.at(&places).unwrap_or(&absent)
            })
            .collect();
        let (mark, x, log) = match axis.numbers() {
            Some(numbers) => {
                let rising: Vec<f64> = order.iter().map(|&place| numbers[place]).collect();
                let wide = rising[0] > 0.0 && rising[rising.len() - 1] >= WIDE * rising[0];
                (Mark::Line, Values::Numbers(rising), wide)
            }
            None => {
                let names = order.iter().map(|&place| grid::shown(&axis.values[place]));
                (Mark::Points, Values::Names(names.collect()), false)
            }
        };
        let mut figure = plain_figure(
            &self.file,
            self.name,
            "Each value is a mean over seeds with its interval.",
            [axis.key.as_str(), self.name, ""],
            vec![with_interval(self.name, mark, x, &estimates)],
            vec![],
        );
        figure.log = [log, false];
        Block::Figure(figure)
    }

    /// Two keys against each other, the others at `fixed`.
    fn map(&self, [across, down]: [usize; 2], fixed: &[usize], number: usize) -> Block {
        let keys = self.keys();
        let held = (0..keys.len()).filter(|key| ![across, down].contains(key) && keys[*key].values.len() > 1);
        let held: Vec<String> = held
            .map(|key| format!("{} = {}", keys[key].key, grid::shown(&keys[key].values[fixed[key]])))
            .collect();
        let title = match held.is_empty() {
            true => self.name.to_string(),
            false => format!("{} at {}", self.name, held.join(", ")),
        };
        let file = match held.is_empty() {
            true => self.file.clone(),
            false => format!("{}-{}", self.file, number + 1),
        };
        let names = |key: usize| -> Vec<String> {
            let values = keys[key].order().into_iter();
            values.map(|place| grid::shown(&keys[key].values[place])).collect()
        };
        let text = |estimate: Option<&Estimate>| {
            estimate.map_or_else(|| "undefined".into(), |estimate| estimate.show(self.digits))
        };
        heatmap(
            &file,
            &title,
            "Each cell is a mean over seeds with its interval.",
            [&keys[across].key, &keys[down].key],
            Heatmap {
                x: names(across),
                y: names(down),
                values: self.cells([across, down], fixed, |estimate| estimate?.value),
                text: Some(self.cells([across, down], fixed, text)),
                unit: self.name.into(),
                ..Heatmap::default()
            },
        )
    }

    /// For every row of a heatmap, what `of` says of its columns.
    fn cells<T>(
        &self,
        [across, down]: [usize; 2],
        fixed: &[usize],
        of: impl Fn(Option<&Estimate>) -> T,
    ) -> Vec<Vec<T>> {
        let (columns, rows) = (self.keys()[across].order(), self.keys()[down].order());
        let mut places = fixed.to_vec();
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            let mut cells = Vec::with_capacity(columns.len());
            for &column in &columns {
                (places[across], places[down]) = (column, row);
                cells.push(of(self.at(&places)));
            }
            all.push(cells);
        }
        all
    }

    /// One heatmap for each combination of the values of `rest`.
    fn maps(&self, axes: [usize; 2], rest: &[usize]) -> (Vec<Block>, Option<String>) {
        let keys = self.keys();
        let lengths: Vec<usize> = rest.iter().map(|&key| keys[key].values.len()).collect();
        let all = grid::combinations(&lengths);
        let maps = all.iter().take(MOST_MAPS).enumerate().map(|(number, chosen)| {
            let mut fixed = vec![0; keys.len()];
            for (&key, &place) in rest.iter().zip(chosen) {
                fixed[key] = place;
            }
            self.map(axes, &fixed, number)
        });
        let names: Vec<String> = rest.iter().map(|&key| format!("`{}`", keys[key].key)).collect();
        let left_out = (all.len() > MOST_MAPS).then(|| {
            format!(
                "Figures show {MOST_MAPS} of {} combinations of {}; the table holds all.",
                all.len(),
                names.join(", ")
            )
        });
        (maps.collect(), left_out)
    }
}
