//! `experiment scaling`: how do superposition, capacity, attention, gradients and specialisation change with the width
//! and the depth of a model, before and after training? (Notebook parts 45 and 46, which measured untrained models
//! without saying so.)

mod cell;
mod config;
mod curves;
mod gradients;
mod heads;
mod interaction;
mod layer_sections;
mod measure;
mod measures;
mod outcome;
mod render;
mod sections;
mod summary;
mod verdicts;

use burn::tensor::Device;
use disentangle_data::{Dataset, Seed};
use disentangle_models::{Family, parallel};

pub use config::{ScalingSettings, Sizes};
pub use outcome::Outcome;

use crate::{Context, Experiment, ExperimentError, rows::LoadedRows, variants::Shape};
use cell::{Cell, Done};

/// The experiment.
#[derive(Clone, Copy, Debug)]
pub struct Scaling;

/// Rows of the first training; those of the others are drawn or divided anew.
#[derive(Debug)]
pub struct Input {
    rows: LoadedRows,
}

/// Rows of one repeat, the same for every size.
struct Repeat {
    rows: LoadedRows,
    shape: Shape,
    /// The rows in the model's shape, under the same indices.
    shaped: Dataset,
    seed: Seed,
}

impl Experiment for Scaling {
    const NAME: &'static str = "scaling";
    const ABOUT: &'static str = "width and depth, before and after training: superposition, capacity, attention, gradients, with trends and intervals";
    type Config = ScalingSettings;
    type Input = Input;
    type Outcome = Outcome;

    fn fast(config: &mut ScalingSettings) {
        config.training.epochs = 2;
        config.sizes = Sizes {
            widths: vec![8, 16, 32],
            at_depth: 2,
            depths: vec![1, 2, 3],
            at_width: 16,
            grid_widths: vec![8, 16],
            grid_depths: vec![1, 2],
            heads: 2,
        };
        config.repeats = 2;
        let rows = &mut config.data.synthetic;
        (rows.samples, rows.validation, rows.test) = (200, 100, 100);
        (config.rows, config.few_rows, config.pairs) = (60, 16, 2);
    }

    fn load(config: &ScalingSettings, seed: u64, _: &Device) -> Result<Input, ExperimentError> {
        config.check()?;
        let rows = config.data.load(&[], usize::MAX, Seed::new(seed))?;
        Ok(Input { rows })
    }

    fn input_hash(input: &Input) -> String {
        input.rows.hash.clone()
    }

    fn run(config: &ScalingSettings, _: &Input, context: &Context) -> Result<Outcome, ExperimentError> {
        let repeats = repeats(config, context)?;
        let cells = cells(config);
        let folder = context.path(cell::FOLDER);
        std::fs::create_dir_all(&folder)
            .map_err(|error| ExperimentError::Failed(format!("{}: {error}", folder.display())))?;
        let bar = context.progress("trainings", cells.len());
        let done = parallel::map(context.threads, &cells, |cell| {
            context.go_on()?;
            let done = cell.finish(config, &repeats[cell.repeat], context);
            bar.inc(1);
            done
        });
        bar.finish_and_clear();
        let done: Vec<Done> = done.into_iter().collect::<Result<_, ExperimentError>>()?;
        Ok(summary::outcome(config, &repeats[0], &cells, &done, context.seed))
    }
}

/// The largest first, so that no thread begins one when the others are done.
fn cells(config: &ScalingSettings) -> Vec<Cell> {
    let sizes = config.sizes().all();
    let mut cells: Vec<Cell> = sizes
        .iter()
        .flat_map(|&size| (0..config.repeats).map(move |repeat| Cell { size, repeat }))
        .collect();
    let work = |cell: &Cell| std::cmp::Reverse(cell.size.0 * cell.size.0 * cell.size.1);
    cells.sort_by_key(work);
    cells
}

fn repeats(config: &ScalingSettings, context: &Context) -> Result<Vec<Repeat>, ExperimentError> {
    let repeats = (0..config.repeats).map(|repeat| {
        let seed = context.root().child("trainings").index(repeat as u64);
        // Other rows, or other parts of the same rows, so that intervals hold what samples vary by too.
        let rows = config.data.load(&[], usize::MAX, seed)?;
        let shape = Shape::new(Family::Large, &rows.dataset);
        Ok(Repeat {
            shaped: shape.dataset(&rows.dataset),
            rows,
            shape,
            seed,
        })
    });
    repeats.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_trained_as_often_and_the_largest_first() {
        let config = ScalingSettings::default();
        let cells = cells(&config);
        assert_eq!(cells.len(), 11 * config.repeats);
        assert_eq!((cells[0].size, cells[0].repeat), ((256, 2), 0));
        assert_eq!(cells[cells.len() - 1].size, (32, 1));
        let repeats: Vec<usize> = cells.iter().filter(|c| c.size == (64, 4)).map(|c| c.repeat).collect();
        assert_eq!(repeats, [0, 1, 2, 3]);
    }
}
