//! `experiment overparameterised`: the simulation of Sagawa et al. (2020, "An investigation of why overparameterization exacerbates
//! spurious correlations"), published figures beside ours.
//!
//! Linear models learn a core feature, a sharper shortcut that agrees with the label in most rows, and noise. With more noise dimensions
//! than rows, a model that reweights the rare groups learns them by heart instead; one that drops rows of the frequent groups does not.

mod data;
mod newton;
mod outcome;
mod reference;
mod render;
mod sections;

use burn::tensor::Device;
use disentangle_analysis::{descriptive::std_dev, over_seeds};
use disentangle_data::Seed;
use disentangle_models::parallel;
use serde::{Deserialize, Serialize};

use self::newton::{Fit, Problem};
use crate::{Context, Experiment, ExperimentError};

pub use self::{
    outcome::{CellOutcome, Method, Outcome},
    reference::Check,
};

/// The experiment.
#[derive(Clone, Copy, Debug)]
pub struct Overparameterised;

/// The configuration; every key can be set by `--set key=value`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OverparameterisedSettings {
    /// Training rows.
    pub n: usize,
    /// Share of rows whose shortcut agrees with the label.
    pub majority: f64,
    /// Numbers of noise dimensions.
    pub noise: Vec<usize>,
    /// Training sets of each; means and intervals are over them.
    pub data_seeds: usize,
}

impl Default for OverparameterisedSettings {
    fn default() -> Self {
        Self {
            n: 3000,
            majority: 0.9,
            noise: vec![1, 100, 1000, 6000],
            data_seeds: 10,
        }
    }
}

/// One fit.
struct Measured {
    /// Errors on majority and minority.
    errors: [f64; 2],
    shortcut_over_core: f64,
    norm: f64,
    steps: usize,
    gradient: f64,
}

impl Measured {
    fn new(fit: &Fit) -> Self {
        Self {
            errors: data::errors(&fit.weights),
            shortcut_over_core: fit.weights[1] / fit.weights[0],
            norm: fit.weights.iter().map(|w| w * w).sum::<f64>().sqrt(),
            steps: fit.steps,
            gradient: fit.gradient,
        }
    }

    fn worst(&self) -> f64 {
        self.errors[0].max(self.errors[1])
    }
}

impl Experiment for Overparameterised {
    const NAME: &'static str = "overparameterised";
    const ABOUT: &'static str = "why overparameterisation makes shortcuts worse (Sagawa et al. 2020): reweighting against undersampling, published figures beside ours";
    type Config = OverparameterisedSettings;
    type Input = ();
    type Outcome = Outcome;

    fn fast(config: &mut OverparameterisedSettings) {
        (config.n, config.noise, config.data_seeds) = (300, vec![1, 100], 2);
    }

    fn load(config: &OverparameterisedSettings, _: u64, _: &Device) -> Result<(), ExperimentError> {
        config.check()
    }

    fn input_hash((): &()) -> String {
        String::new()
    }

    fn run(config: &OverparameterisedSettings, (): &(), context: &Context) -> Result<Outcome, ExperimentError> {
        let cells = cells(config, context)?;
        let checks = reference::checks(config, &cells);
        let goal = reference::goal(config, &cells);
        Ok(Outcome {
            schema_version: 1,
            kind: "run".into(),
            experiment: Self::NAME.into(),
            seed: context.seed,
            n: config.n,
            majority: config.majority,
            data_seeds: config.data_seeds,
            floor: data::normal_cdf(-1.0),
            cells,
            checks,
            goal,
        })
    }
}

impl OverparameterisedSettings {
    fn check(&self) -> Result<(), ExperimentError> {
        let refuse = |key: &str, value: String, expected: &str| {
            let reason = format!("`{key} = {value}` cannot be used: expected {expected}");
            Err(ExperimentError::Input(reason))
        };
        // Systems of n unknowns are solved: more rows would take days.
        if !(20..=20_000).contains(&self.n) || !self.n.is_multiple_of(2) {
            return refuse("n", self.n.to_string(), "an even number from 20 to 20000");
        }
        if !(0.5..1.0).contains(&self.majority) {
            return refuse("majority", self.majority.to_string(), "a share from 0.5 to below 1");
        }
        if data::counts(self.n, self.majority).contains(&0) {
            let expected = format!("a share that leaves a row for every group of n = {}", self.n);
            return refuse("majority", self.majority.to_string(), &expected);
        }
        let mut distinct = self.noise.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let usable = self.noise.iter().all(|noise| (1..=100_000).contains(noise));
        if self.noise.is_empty() || !usable || distinct.len() < self.noise.len() {
            let expected = "different whole numbers from 1 to 100000";
            return refuse("noise", format!("{:?}", self.noise), expected);
        }
        if !(2..=10_000).contains(&self.data_seeds) {
            return refuse("data_seeds", self.data_seeds.to_string(), "2 to 10000");
        }
        Ok(())
    }
}

/// Every training set is a job of its own, with seeds of its own, so that results depend on no number of threads.
fn cells(config: &OverparameterisedSettings, context: &Context) -> Result<Vec<CellOutcome>, ExperimentError> {
    let mut order = config.noise.clone();
    // The longest first, so that no thread is alone with one at the end.
    order.sort_unstable_by(|a, b| b.cmp(a));
    let jobs: Vec<(usize, u64)> = order
        .iter()
        .flat_map(|&noise| (0..config.data_seeds as u64).map(move |data| (noise, data)))
        .collect();
    let bar = context.progress("training sets", jobs.len());
    let measured = parallel::map(context.threads, &jobs, |&(noise, data)| {
        // By its number of dimensions too, so that training sets of different ones are independent.
        let seed = context.root().child("data").index(data).index(noise as u64);
        let one = measure(config, noise, seed, context);
        bar.inc(1);
        one
    });
    bar.finish_and_clear();
    let measured = measured.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut cells = Vec::new();
    for &noise in &config.noise {
        let own = jobs.iter().zip(&measured).filter(|((of, _), _)| *of == noise);
        let own: Vec<&[Measured; 3]> = own.map(|(_, one)| one).collect();
        for (place, method) in Method::ALL.into_iter().enumerate() {
            let fits: Vec<&Measured> = own.iter().map(|one| &one[place]).collect();
            cells.push(summarised(noise, method, &fits));
        }
    }
    Ok(cells)
}

/// All methods on one training set, in the order of [`Method::ALL`].
fn measure(
    config: &OverparameterisedSettings,
    noise: usize,
    seed: Seed,
    context: &Context,
) -> Result<[Measured; 3], ExperimentError> {
    context.go_on()?;
    let sample = data::draw(config.n, config.majority, noise, seed.child("rows"));
    let kept = sample.take(&sample.undersampled(seed.child("undersampled")));
    let undersampled = Problem::new(&kept).fit(&vec![1.0; kept.nrows()])?;
    let problem = Problem::new(&sample.rows);
    context.go_on()?;
    let erm = problem.fit(&vec![1.0; config.n])?;
    context.go_on()?;
    let reweighted = problem.fit(&sample.balancing())?;
    Ok([erm, reweighted, undersampled].map(|fit| Measured::new(&fit)))
}

fn summarised(noise: usize, method: Method, fits: &[&Measured]) -> CellOutcome {
    let over = |of: fn(&Measured) -> f64| {
        let values: Vec<Option<f64>> = fits.iter().map(|fit| Some(of(fit)).filter(|x| x.is_finite())).collect();
        over_seeds(&values)
    };
    let each: Vec<f64> = fits.iter().map(|fit| fit.worst()).collect();
    CellOutcome {
        noise,
        method,
        worst_group: over(Measured::worst).within(0.0, 1.0),
        deviation: std_dev(&each),
        majority: over(|fit| fit.errors[0]).within(0.0, 1.0),
        minority: over(|fit| fit.errors[1]).within(0.0, 1.0),
        shortcut_over_core: over(|fit| fit.shortcut_over_core),
        norm: over(|fit| fit.norm),
        each,
        steps: fits.iter().map(|fit| fit.steps).max().unwrap_or(0),
        gradient: fits.iter().map(|fit| fit.gradient).fold(0.0, f64::max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_refused_by_its_key() {
        let base = OverparameterisedSettings::default();
        assert!(base.check().is_ok());
        let error = |change: fn(&mut OverparameterisedSettings)| {
            let mut settings = base.clone();
            change(&mut settings);
            settings.check().unwrap_err().to_string()
        };
        assert_eq!(
            error(|s| s.n = 301),
            "`n = 301` cannot be used: expected an even number from 20 to 20000"
        );
        assert!(error(|s| s.majority = f64::NAN).starts_with("`majority = NaN`"));
        assert!(error(|s| s.majority = 0.9999).ends_with("a row for every group of n = 3000"));
        assert!(error(|s| s.noise = vec![1, 1]).starts_with("`noise = [1, 1]`"));
        assert!(error(|s| s.noise = vec![0]).starts_with("`noise = [0]`"));
        assert!(error(|s| s.data_seeds = 1).starts_with("`data_seeds = 1`"));
    }

    #[test]
    fn cells_summarise_their_fits() {
        let fit = |minority: f64, steps: usize, gradient: f64| Measured {
            errors: [0.1, minority],
            shortcut_over_core: 0.5,
            norm: 2.0,
            steps,
            gradient,
        };
        let (one, two) = (fit(0.2, 5, 1e-11), fit(0.4, 7, 1e-12));
        let cell = summarised(100, Method::Erm, &[&one, &two]);
        assert!((cell.worst_group.value.unwrap() - 0.3).abs() < 1e-12);
        assert_eq!(cell.worst_group.low, Some(0.0), "cut to where an error can lie");
        assert_eq!(cell.majority.value, Some(0.1));
        assert_eq!((cell.steps, cell.gradient), (7, 1e-11));
        assert_eq!(cell.each, [0.2, 0.4]);
        assert!((cell.deviation.unwrap() - 0.02_f64.sqrt()).abs() < 1e-12);
    }
}
