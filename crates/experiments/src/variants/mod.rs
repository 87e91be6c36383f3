//! `experiment variants`: families of models trained alike on the same rows: what do they represent, what do they attribute the output to, and
//! how robust are they? (Notebook part 47 and the table of part 48, which asked untrained models.)
//!
//! Every family sees the same rows in every repeat; how rows become positions is told by `Shape`.

mod config;
mod finish;
mod measure;
mod outcome;
mod part_sections;
mod parts;
mod render;
mod sections;
mod shape;
mod summary;
mod verdicts;

use std::time::Instant;

use burn::tensor::Device;
use disentangle_data::Seed;
use disentangle_models::{Family, parallel};

pub use config::VariantsSettings;
pub use outcome::Outcome;

pub(crate) use parts::{alike, weight_sparsity};
pub(crate) use shape::Shape;

use crate::{
    Context, Experiment, ExperimentError,
    rows::{Environment, LoadedRows},
    training::once,
};
use measure::{Measured, Subject};

/// The experiment.
#[derive(Clone, Copy, Debug)]
pub struct Variants;

/// Rows of the first training; those of the others are drawn or divided anew.
#[derive(Debug)]
pub struct Input {
    rows: LoadedRows,
}

impl Experiment for Variants {
    const NAME: &'static str = "variants";
    const ABOUT: &'static str =
        "families of models trained alike: representations, attributions, robustness and accuracy, ranked";
    type Config = VariantsSettings;
    type Input = Input;
    type Outcome = Outcome;

    fn fast(config: &mut VariantsSettings) {
        config.training.epochs = 2;
        (config.hidden, config.feed_forward) = (16, 32);
        (config.layers, config.large_layers, config.repeats) = (1, 2, 2);
        let rows = &mut config.data.synthetic;
        (rows.samples, rows.validation, rows.test) = (200, 100, 100);
        (config.rows, config.few_rows, config.steps) = (60, 16, 8);
        (config.noise_draws, config.permutations) = (1, 2);
    }

    fn load(config: &VariantsSettings, seed: u64, device: &Device) -> Result<Input, ExperimentError> {
        config.check()?;
        let root = Seed::new(seed);
        let rows = config.data.load(&config.environments, config.rows, root)?;
        // Sizes that cannot work are found before a folder is made.
        for family in config.families()? {
            let shaped = Shape::new(family, &rows.dataset).dataset(&rows.dataset);
            config.model(family, &shaped)?.init(root, device)?;
        }
        Ok(Input { rows })
    }

    fn input_hash(input: &Input) -> String {
        input.rows.hash.clone()
    }

    fn run(config: &VariantsSettings, _: &Input, context: &Context) -> Result<Outcome, ExperimentError> {
        let families = config.families()?;
        let repeats = repeats(config, context)?;
        let cells: Vec<(usize, Family)> = families
            .iter()
            .flat_map(|family| (0..repeats.len()).map(move |repeat| (repeat, *family)))
            .collect();
        let bar = context.progress("trainings", cells.len());
        let results = parallel::map(context.threads, &cells, |&(repeat, family)| {
            context.go_on()?;
            let result = one(config, &repeats[repeat], family, context.device);
            bar.inc(1);
            result
        });
        bar.finish_and_clear();
        let results: Vec<Done> = results.into_iter().collect::<Result<_, ExperimentError>>()?;
        finish::finish(config, &families, &repeats, results, context)
    }
}

/// Rows of one repeat, the same for every family.
struct Repeat {
    rows: LoadedRows,
    seed: Seed,
}

/// What one training came to.
struct Done {
    measured: Measured,
    parameters: usize,
    /// Of training, by the clock on the wall.
    seconds: f64,
}

fn repeats(config: &VariantsSettings, context: &Context) -> Result<Vec<Repeat>, ExperimentError> {
    let mut repeats: Vec<Repeat> = (0..config.repeats)
        .map(|repeat| {
            let seed = context.root().child("trainings").index(repeat as u64);
            // Other rows, or other parts of the same rows, so that intervals hold what samples vary by too.
            let rows = config.data.load(&config.environments, config.rows, seed)?;
            Ok(Repeat { rows, seed })
        })
        .collect::<Result<_, ExperimentError>>()?;
    align(&mut repeats);
    Ok(repeats)
}

/// Leaves the environments that every repeat has, in the order of the first; which these are may depend on how rows were divided. The main one
/// comes first even where it is not called the same in each.
fn align(repeats: &mut [Repeat]) {
    let named = |one: &Repeat| -> Vec<String> { one.rows.environments.iter().map(|one| one.name.clone()).collect() };
    let names: Vec<Vec<String>> = repeats.iter().map(named).collect();
    let main: Vec<String> = names.iter().filter_map(|own| own.first().cloned()).collect();
    let Some((first, others)) = names.split_first() else {
        return;
    };
    let everywhere = |name: &&String| others.iter().all(|own| own.contains(name)) && !main.contains(name);
    let kept: Vec<&String> = first.iter().filter(everywhere).collect();
    for repeat in repeats {
        let environments = &repeat.rows.environments;
        let named = |name: &String| environments.iter().find(|one| one.name == *name);
        let rest = kept.iter().filter_map(|name| named(name));
        let ordered: Vec<Environment> = environments.first().into_iter().chain(rest).cloned().collect();
        repeat.rows.environments = ordered;
    }
}

fn one(config: &VariantsSettings, repeat: &Repeat, family: Family, device: &Device) -> Result<Done, ExperimentError> {
    let (dataset, seed) = (&repeat.rows.dataset, repeat.seed);
    let shape = Shape::new(family, dataset);
    let shaped = shape.dataset(dataset);
    let start = config.model(family, &shaped)?.init(seed.child("model"), device)?;
    let started = Instant::now();
    let trained = once(start, &shaped, &config.training, seed.child("train"), device)?;
    let seconds = started.elapsed().as_secs_f64();
    let subject = Subject {
        config,
        rows: &repeat.rows,
        shape: &shape,
        model: &trained.model,
        seed: seed.child("measured"),
        device,
    };
    Ok(Done {
        measured: subject.measure(trained.history.len())?,
        parameters: burn::module::Module::num_params(&trained.model),
        seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_stand_in_one_order() {
        let config = VariantsSettings::default();
        let repeat = |names: &[&str]| {
            let seed = Seed::new(0);
            let mut rows = config.data.load(&[], 100, seed).unwrap();
            let one = rows.environments[0].clone();
            let renamed = names.iter().map(|name| Environment {
                name: (*name).into(),
                ..one.clone()
            });
            rows.environments = renamed.collect();
            Repeat { rows, seed }
        };
        let mut repeats = [repeat(&["test", "a", "b", "c"]), repeat(&["known", "c", "d", "a"])];
        align(&mut repeats);
        let names =
            |one: &Repeat| -> Vec<String> { one.rows.environments.iter().map(|one| one.name.clone()).collect() };
        assert_eq!(names(&repeats[0]), ["test", "a", "c"]);
        assert_eq!(names(&repeats[1]), ["known", "a", "c"]);
    }
}
