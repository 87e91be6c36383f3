//! Every strategy through the same tests, and each step against hand-computed numbers.

mod embeddings;
mod layers;
mod variants;
mod weights;

use std::{collections::HashMap, sync::atomic::AtomicBool};

use burn::tensor::Device;
use disentangle_data::{
    Dataset, Role, Seed, Split,
    synthetic::{Generator, SyntheticConfig},
};
use disentangle_models::{
    Family, Model,
    train::{Batch, Loss, LossAndGradient, Outputs, Strategy, TrainConfig},
};
use ndarray::{Array2, Axis, array};

use super::*;
use crate::{
    adversarial::Attacked,
    consistency::Consistent,
    dfr::{Embedded, strength},
    group_dro::Weighted,
    irm::Penalised,
    jtt::repeated,
    pcgrad::Surgery,
    sparse_logistic::SparseLogistic,
    vrex::Variance,
};

fn data(seed: u64) -> Dataset {
    let config = SyntheticConfig {
        generator: Generator::Biased,
        samples: 160,
        validation: 160,
        test: 40,
        ..SyntheticConfig::default()
    };
    config.dataset(Seed::new(seed)).unwrap()
}

/// The positions that a strategy needs at least.
fn positions(name: &str) -> usize {
    if name == "temporal_smoothing" { 2 } else { 1 }
}

/// Windows of so many rows that do not overlap, each within one part; the label is that of the first.
fn of_positions(mut dataset: Dataset, positions: usize) -> Dataset {
    dataset.lookback = positions;
    dataset.windows = dataset.windows.into_iter().step_by(positions).collect();
    dataset
}

fn model(dataset: &Dataset, device: &Device) -> Model {
    let (features, lookback) = (dataset.features.len(), dataset.lookback);
    // A small transformer takes one position.
    let family = if lookback == 1 { Family::Small } else { Family::Sequence };
    let start = family.config(features, lookback, &dataset.groups);
    let small = [
        ("hidden", 16.into()),
        ("heads", 2.into()),
        ("layers", 1.into()),
        ("feed_forward", 24.into()),
    ];
    start.with_settings(&small).unwrap().init(Seed::new(1), device).unwrap()
}

fn shortcut(dataset: &Dataset) -> Vec<usize> {
    let spurious = dataset.groups.iter().filter(|group| group.role == Role::Spurious);
    spurious.flat_map(|group| group.columns.clone()).collect()
}

struct Setup {
    dataset: Dataset,
    settings: MitigationSettings,
    threads: usize,
    batch: usize,
    linear: bool,
}

impl Setup {
    fn new() -> Self {
        Self {
            dataset: data(2),
            settings: MitigationSettings {
                jtt_epochs: 1,
                dfr_draws: 2,
                irm_warm_up: 3,
                ..MitigationSettings::default()
            },
            threads: 2,
            batch: 32,
            linear: false,
        }
    }

    fn run(&self, name: &str) -> Result<Mitigated, MitigationError> {
        self.run_on(name, positions(name))
    }

    fn run_on(&self, name: &str, positions: usize) -> Result<Mitigated, MitigationError> {
        let device = Device::flex();
        let all = strategies(&self.settings)?;
        let strategy = all.iter().find(|one| one.name() == name).unwrap();
        let dataset = of_positions(self.dataset.clone(), positions);
        let (train, validation) = (dataset.part(Split::Train), dataset.part(Split::Validation));
        let start = if self.linear {
            let config = Family::Linear.config(dataset.features.len(), positions, &dataset.groups);
            config.init(Seed::new(1), &device).unwrap()
        } else {
            model(&dataset, &device)
        };
        let config = TrainConfig {
            epochs: 3,
            batch: self.batch,
            micro_batch: 16,
            ..TrainConfig::default()
        };
        strategy.train(&Given {
            start: &start,
            dataset: &dataset,
            train: &train,
            validation: &validation,
            shortcut: &shortcut(&dataset),
            config: &config,
            seed: Seed::new(4),
            device: &device,
            threads: self.threads,
            cancel: &AtomicBool::new(false),
        })
    }

    /// Logits of the test rows of another draw, so that poisoned rows are never asked.
    fn logits(&self, name: &str) -> Vec<f32> {
        self.logits_on(name, positions(name))
    }

    fn logits_on(&self, name: &str, positions: usize) -> Vec<f32> {
        let mut other = of_positions(data(9), positions);
        let rows = other.part(Split::Test);
        let mitigated = self.run_on(name, positions).unwrap();
        other.layer = mitigated.layer;
        mitigated
            .trained
            .model
            .logits(other.inputs(&rows).view(), &Device::flex(), 1)
            .unwrap()
    }
}

fn names() -> Vec<&'static str> {
    strategies(&MitigationSettings::default())
        .unwrap()
        .iter()
        .map(|one| one.name())
        .collect()
}

#[test]
fn every_strategy_trains_and_threads_change_no_bit() {
    let setup = Setup::new();
    let plain = [1, 2].map(|positions| setup.logits_on("erm", positions));
    for name in names() {
        let found = setup.logits(name);
        assert!(found.iter().all(|z| z.is_finite()), "{name}");
        let same = found == plain[positions(name) - 1];
        assert_eq!(same, name == "erm", "{name} changes something");
        let alone = Setup {
            threads: 1,
            ..Setup::new()
        };
        assert_eq!(alone.logits(name), found, "{name} depends on the number of threads");
    }
}

#[test]
fn no_strategy_sees_test_rows() {
    let mut poisoned = Setup::new();
    for window in &mut poisoned.dataset.windows {
        if window.split == Split::Test {
            window.label = 1.0 - window.label;
            window.shortcut = window.shortcut.map(|shortcut| 1.0 - shortcut);
            poisoned.dataset.rows.row_mut(window.start).fill(f32::INFINITY);
        }
    }
    let clean = Setup::new();
    for name in names() {
        assert_eq!(clean.logits(name), poisoned.logits(name), "{name} saw test rows");
    }
}

#[test]
fn a_strength_of_zero_is_plain_training_bit_for_bit() {
    let plain = [1, 2].map(|positions| Setup::new().logits_on("erm", positions));
    let weak = Setup {
        settings: MitigationSettings {
            jtt_factor: 1,
            irm_weight: 0.0,
            vrex_weight: 0.0,
            adversarial_share: 0.0,
            consistency_weight: 0.0,
            contrastive_weight: 0.0,
            matching_weight: 0.0,
            lasso_weight: 0.0,
            orthogonality_strength: 0.0,
            uncertainty_strength: 0.0,
            smoothing_keep: 0.0,
            ..MitigationSettings::default()
        },
        ..Setup::new()
    };
    for name in [
        "jtt",
        "irm",
        "vrex",
        "adversarial",
        "consistency",
        "contrastive",
        "distribution_matching",
        "group_lasso",
        "orthogonality",
        "uncertainty_weighting",
        "temporal_smoothing",
    ] {
        assert_eq!(weak.logits(name), plain[positions(name) - 1], "{name}");
    }
}

#[test]
fn needs_are_said_and_checked() {
    let check = |change: &dyn Fn(&mut Dataset), expected: &dyn Fn(Needs) -> Option<&'static str>| {
        let mut setup = Setup::new();
        change(&mut setup.dataset);
        for strategy in strategies(&setup.settings).unwrap() {
            let found = setup
                .run(strategy.name())
                .map(|_| ())
                .map_err(|error| error.to_string());
            match expected(strategy.needs()) {
                None => assert_eq!(found, Ok(()), "{}", strategy.name()),
                Some(expected) => {
                    let error = found.unwrap_err();
                    assert!(error.starts_with(&format!("`{}` needs ", strategy.name())), "{error}");
                    assert!(error.contains(expected), "{error}");
                }
            }
        }
    };
    check(
        &|data| data.windows.iter_mut().for_each(|w| w.shortcut = None),
        &|needs| needs.groups.then_some("`biased` does not say it"),
    );
    check(
        &|data| data.windows.iter_mut().for_each(|w| w.shortcut = Some(1.0)),
        &|needs| needs.groups.then_some("no row of 160 has label 0 and shortcut 0"),
    );
    check(
        &|data| data.windows.iter_mut().for_each(|w| w.environment = 0),
        &|needs| {
            needs
                .environments
                .then_some("all 160 training rows of `biased` lie in one")
        },
    );
    check(
        &|data| data.groups.iter_mut().for_each(|group| group.role = Role::Unknown),
        &|needs| needs.shortcut.then_some("no group of `biased` is spurious"),
    );
    for strategy in strategies(&MitigationSettings::default()).unwrap() {
        let name = strategy.name();
        assert_eq!(strategy.needs().positions, positions(name) > 1, "{name}");
    }
    let error = |setup: &Setup, name: &str| setup.run_on(name, 1).err().map(|error| error.to_string());
    assert_eq!(
        error(&Setup::new(), "temporal_smoothing").as_deref(),
        Some("`temporal_smoothing` needs windows of more than one position, but those of `biased` have one")
    );
    let linear = Setup {
        linear: true,
        ..Setup::new()
    };
    for name in ["contrastive", "distribution_matching", "orthogonality"] {
        let expected = format!(
            "`{name}` needs a model with an embedding before its head (site `pool`), but this one has the sites input and \
             logit only"
        );
        assert_eq!(error(&linear, name), Some(expected));
    }
    assert_eq!(error(&linear, "group_lasso"), None);
}

#[test]
fn settings_that_cannot_work() {
    for (text, expected) in [
        (
            r#"{"irm_weight": -1.0}"#,
            "`irm_weight = -1` cannot be used: expected a number from 0",
        ),
        (r#"{"adversarial_share": 1.5}"#, "expected a share from 0 to 1"),
        (
            r#"{"smoothing_keep": 1.0}"#,
            "`smoothing_keep = 1` cannot be used: expected a share from 0 to 0.999",
        ),
        (
            r#"{"orthogonality_strength": 2.0}"#,
            "`orthogonality_strength = 2` cannot be used: expected a number from 0 to 1",
        ),
        (
            r#"{"jtt_factor": 0}"#,
            "`jtt_factor = 0` cannot be used: expected a whole number from 1",
        ),
    ] {
        let settings: MitigationSettings = serde_json::from_str(text).unwrap();
        let error = strategies(&settings).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(serde_json::from_str::<MitigationSettings>(r#"{"irm": 1}"#).is_err());
}

/// Two environments of two rows.
fn batch<'a>(windows: &'a [usize], labels: &'a [f32]) -> Batch<'a> {
    Batch {
        windows,
        labels,
        environments: &[0, 0, 1, 1],
        step: 1000,
    }
}

const LABELS: [f32; 4] = [1.0, 0.0, 1.0, 0.0];
const LOGITS: [f32; 4] = [0.5, -0.3, -1.2, 0.8];

fn ask(strategy: &mut dyn Strategy, logits: &[f32], variants: &[Vec<f32>]) -> LossAndGradient {
    let outputs = Outputs {
        batch: logits,
        variants,
        ..Outputs::default()
    };
    strategy.objective(Loss::Bce, &outputs, &batch(&[10, 11, 12, 13], &LABELS))
}

/// The gradient against central differences of the loss.
fn differences(mut strategy: impl FnMut() -> Box<dyn Strategy>, variants: &[Vec<f32>]) {
    let found = ask(&mut *strategy(), &LOGITS, variants);
    let mut loss = |logits: &[f32], variants: &[Vec<f32>]| ask(&mut *strategy(), logits, variants).loss;
    let step = 1e-2f32;
    let mut compare = |change: &dyn Fn(f32) -> (Vec<f32>, Vec<Vec<f32>>), gradient: f32| {
        let (up, down) = (change(step), change(-step));
        let slope = (loss(&up.0, &up.1) - loss(&down.0, &down.1)) / (2.0 * f64::from(step));
        assert!((slope - f64::from(gradient)).abs() < 2e-4, "{slope} {gradient}");
    };
    for row in 0..4 {
        let moved = |by: f32| {
            let mut logits = LOGITS.to_vec();
            logits[row] += by;
            (logits, variants.to_vec())
        };
        compare(&moved, found.gradient[row]);
        for set in 0..variants.len() {
            let moved = |by: f32| {
                let mut variants = variants.to_vec();
                variants[set][row] += by;
                (LOGITS.to_vec(), variants)
            };
            compare(&moved, found.variants[set][row]);
        }
    }
}

#[test]
fn objectives_have_the_gradients_that_they_say() {
    let other = vec![vec![0.1, 0.2, -0.9, 1.4]];
    differences(
        || {
            Box::new(Penalised {
                weight: 0.7,
                warm_up: 0,
            })
        },
        &[],
    );
    differences(
        || {
            Box::new(Penalised {
                weight: 30.0,
                warm_up: 0,
            })
        },
        &[],
    );
    differences(|| Box::new(Variance { weight: 3.0 }), &[]);
    differences(
        || {
            Box::new(Consistent {
                weight: 0.6,
                columns: vec![0],
                seed: Seed::new(0),
            })
        },
        &other,
    );
    differences(
        || {
            Box::new(Attacked {
                level: 0.5,
                share: 0.3,
                columns: vec![0],
            })
        },
        &other,
    );
}

#[test]
fn irm_and_vrex_by_hand() {
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    let loss = |z: f64, y: f64| z.max(0.0) + (-z.abs()).exp().ln_1p() - y * z;
    let rows: Vec<(f64, f64)> = LOGITS
        .iter()
        .zip(LABELS)
        .map(|(&z, y)| (f64::from(z), f64::from(y)))
        .collect();
    let risk = |rows: &[(f64, f64)]| rows.iter().map(|&(z, y)| loss(z, y)).sum::<f64>() / 2.0;
    let slope = |rows: &[(f64, f64)]| rows.iter().map(|&(z, y)| (sigmoid(z) - y) * z).sum::<f64>() / 2.0;
    let (first, second) = rows.split_at(2);
    let mean = f64::midpoint(risk(first), risk(second));
    let irm = mean + 0.5 * (slope(first).powi(2) + slope(second).powi(2)) / 2.0;
    let found = ask(
        &mut Penalised {
            weight: 0.5,
            warm_up: 0,
        },
        &LOGITS,
        &[],
    )
    .loss;
    assert!((found - irm).abs() < 1e-12);
    // Before the warm-up ends the weight is at most 1; after it the whole is divided by it.
    let early = ask(
        &mut Penalised {
            weight: 9.0,
            warm_up: 2000,
        },
        &LOGITS,
        &[],
    )
    .loss;
    let late = ask(
        &mut Penalised {
            weight: 9.0,
            warm_up: 0,
        },
        &LOGITS,
        &[],
    )
    .loss;
    let penalty = f64::midpoint(slope(first).powi(2), slope(second).powi(2));
    assert!((early - mean - penalty).abs() < 1e-12 && (late - mean / 9.0 - penalty).abs() < 1e-12);
    let variance = f64::midpoint((risk(first) - mean).powi(2), (risk(second) - mean).powi(2));
    let found = ask(&mut Variance { weight: 3.0 }, &LOGITS, &[]).loss;
    assert!((found - mean - 3.0 * variance).abs() < 1e-12);
}

#[test]
fn group_dro_by_hand() {
    let group: HashMap<usize, u32> = [(10, 2), (11, 0), (12, 3), (13, 0)].into();
    let mut strategy = Weighted {
        step: 0.5,
        q: [0.25; 4],
        group,
        order: Vec::new(),
    };
    let loss = |z: f32, y: f32| Loss::Bce.row(z, y).0;
    let means = [
        f64::midpoint(loss(LOGITS[1], 0.0), loss(LOGITS[3], 0.0)),
        0.0,
        loss(LOGITS[0], 1.0),
        loss(LOGITS[2], 1.0),
    ];
    let mut q: Vec<f64> = means.iter().map(|mean| 0.25 * (0.5 * mean).exp()).collect();
    let total: f64 = q.iter().sum();
    for share in &mut q {
        *share /= total;
    }
    let found = ask(&mut strategy, &LOGITS, &[]);
    let expected: f64 = q.iter().zip(means).map(|(q, mean)| q * mean).sum();
    assert!((found.loss - expected).abs() < 1e-12);
    let slope = |row: usize| Loss::Bce.row(LOGITS[row], LABELS[row]).1;
    for (row, share) in [(0, q[2]), (1, q[0] / 2.0), (2, q[3]), (3, q[0] / 2.0)] {
        assert!((f64::from(found.gradient[row]) - share * slope(row)).abs() < 1e-7);
    }
    assert!(strategy.q.iter().zip(&q).all(|(found, q)| (found - q).abs() < 1e-12));
}

#[test]
fn gradient_surgery_by_hand() {
    let combine = |gradients: &[Vec<f32>]| Surgery.combine(gradients.to_vec(), Seed::new(0));
    // (1, 0) and (-1, 1) conflict: 1·-1 = -1; the first loses its part along the second, ‖·‖² = 2, the second its part along the first.
    assert_eq!(combine(&[vec![1.0, 0.0], vec![-1.0, 1.0]]), [0.25, 0.75]);
    assert_eq!(combine(&[vec![1.0, 0.0], vec![1.0, 1.0]]), [1.0, 0.5]);
    assert_eq!(combine(&[vec![1.0, 0.0], vec![-1.0, 0.0]]), [0.0, 0.0]);
    assert_eq!(combine(&[vec![2.0, 3.0]]), [2.0, 3.0]);
    // The second and the third point the same way: once the first has lost its part along one of them, nothing along the other is left.
    // They become (0, 1), (-1/2, 1/2) and (-1, 1), in whatever order.
    let found = combine(&[vec![1.0, 1.0], vec![-1.0, 0.0], vec![-2.0, 0.0]]);
    assert!(
        (found[0] + 0.5).abs() < 1e-6 && (found[1] - 5.0 / 6.0).abs() < 1e-6,
        "{found:?}"
    );
    let parts = Surgery.parts(&batch(&[10, 11, 12, 13], &LABELS));
    assert_eq!(parts, [vec![10, 11], vec![12, 13]]);
}

#[test]
fn errors_are_repeated() {
    let rows = repeated(&[5, 6, 7], &[1.0, -1.0, 0.0], &[1.0, 1.0, 0.0], 3);
    assert_eq!(rows, [5, 6, 6, 6, 7]);
}

#[test]
fn balanced_draws_hold_every_group_alike() {
    let groups = [0, 0, 0, 0, 0, 1, 1, 3];
    let windows: Vec<usize> = (20..28).collect();
    let mut counts: HashMap<u32, usize> = HashMap::new();
    for epoch in 0..300 {
        for window in given::balanced(&windows, &groups, Seed::new(epoch)) {
            *counts.entry(groups[window - 20]).or_default() += 1;
        }
    }
    // Eight rows in three groups: three, three and two of each epoch.
    assert_eq!((counts[&0], counts[&1], counts[&3]), (900, 900, 600));
}

#[test]
fn sparse_regression_is_optimal() {
    let mut rng = Seed::new(8).rng();
    let x = Array2::from_shape_simple_fn((120, 6), || rng.normal());
    let labels: Vec<f32> = x
        .outer_iter()
        .map(|row| f32::from(u8::from(row[0] - 0.7 * row[1] + 0.5 > rng.normal())))
        .collect();
    for c in [1.0, 0.1, 0.03] {
        let fit = SparseLogistic::fit(x.view(), &labels, c);
        let residual: Vec<f64> = fit
            .logits(x.view())
            .iter()
            .zip(&labels)
            .map(|(z, &y)| 1.0 / (1.0 + (-z).exp()) - f64::from(y))
            .collect();
        // Subgradients: 0 lies in c ∇ + ∂‖w‖₁, and the intercept's gradient is 0.
        assert!(residual.iter().sum::<f64>().abs() * c < 1e-5);
        for column in 0..6 {
            let gradient = c * x.column(column).iter().zip(&residual).map(|(x, r)| x * r).sum::<f64>();
            let w = fit.coefficients[column];
            match w == 0.0 {
                true => assert!(gradient.abs() <= 1.0 + 1e-5, "{gradient}"),
                false => assert!((gradient + w.signum()).abs() < 1e-5, "{gradient} {w}"),
            }
        }
    }
    // The sparser, the weaker c is.
    let zeros = |c: f64| {
        SparseLogistic::fit(x.view(), &labels, c)
            .coefficients
            .iter()
            .filter(|w| **w == 0.0)
            .count()
    };
    assert!(zeros(0.03) >= zeros(1.0) && zeros(0.001) == 6);
}

#[test]
fn a_head_of_one_s_own_gives_its_logits() {
    let (dataset, device) = (data(2), Device::flex());
    let model = model(&dataset, &device);
    let inputs = dataset.inputs(&dataset.part(Split::Validation));
    let pool = disentangle_analysis::probing::activations(&model, inputs.view(), "pool", &device).unwrap();
    let head: Vec<f32> = (0..pool.ncols()).map(|column| (column as f32 * 0.7).sin()).collect();
    let changed = model.with_head(&head, 0.25, &device).unwrap();
    let found = changed.logits(inputs.view(), &device, 1).unwrap();
    for (row, z) in pool.outer_iter().zip(found) {
        let expected: f64 = row.iter().zip(&head).map(|(a, w)| a * f64::from(*w)).sum::<f64>() + 0.25;
        assert!((f64::from(z) - expected).abs() < 1e-4, "{z} {expected}");
    }
    assert!(model.with_head(&head[1..], 0.0, &device).is_err());
}

#[test]
fn dfr_leaves_a_fit_on_standardised_embeddings() {
    let mut setup = Setup::new();
    setup.settings.dfr_draws = 3;
    // As many validation rows of each group: every balanced draw is all of them.
    let windows = setup.dataset.part(Split::Validation);
    let groups = setup.dataset.subgroups(&windows).unwrap();
    let count = |group: u32| groups.iter().filter(|own| **own == group).count();
    let least = (0..4).map(count).min().unwrap();
    let mut kept = [0; 4];
    for (window, group) in windows.into_iter().zip(&groups) {
        kept[*group as usize] += 1;
        if kept[*group as usize] > least {
            setup.dataset.windows[window].split = Split::Embargo;
        }
    }
    let (dataset, device) = (&setup.dataset, Device::flex());
    let validation = dataset.part(Split::Validation);
    let (inputs, labels) = (dataset.inputs(&validation), dataset.labels(&validation));
    let model = setup.run("dfr").unwrap().trained.model;
    let pool = disentangle_analysis::probing::activations(&model, inputs.view(), "pool", &device).unwrap();
    let x = (&pool - &pool.mean_axis(Axis(0)).unwrap()) / &pool.std_axis(Axis(0), 0.0);
    let found = model.logits(inputs.view(), &device, 1).unwrap();
    assert!(found.iter().any(|z| (z - found[0]).abs() > 0.1), "{found:?}");
    let apart = |c: f64| {
        let expected = SparseLogistic::fit(x.view(), &labels, c).logits(x.view());
        let pairs = found.iter().zip(expected);
        pairs.map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
    };
    let nearest = [1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01].map(apart);
    let nearest = nearest.into_iter().fold(f64::INFINITY, f64::min);
    assert!(nearest < 1e-3, "{nearest}");
}

#[test]
fn dfr_chooses_by_the_worst_group_of_the_other_half() {
    // The label by the first column, but for one row that only the second column tells.
    let half = Embedded {
        x: Array2::from_shape_fn((16, 2), |place| match place {
            (1, 0) => -1.0,
            (1, 1) => 3.0,
            (_, 1) => 0.0,
            (row, _) if row % 2 == 1 => 1.0,
            _ => -1.0,
        }),
        labels: (0..16u8).map(|row| f32::from(row % 2)).collect(),
        groups: (0..16)
            .map(|row| if row < 10 { 2 * (row % 2) } else { 2 * (row % 2) + 1 })
            .collect(),
    };
    // Weak penalties keep the second column, which is wrong here on one row; strong ones keep nothing, and every logit is 0.
    let other = Embedded {
        x: array![[-1.0, 30.0], [-1.0, 0.0], [1.0, 0.0], [1.0, 0.0]],
        labels: vec![0.0, 0.0, 1.0, 1.0],
        groups: vec![0, 1, 2, 3],
    };
    assert_eq!(strength(&half, &other), 0.3);
    // Groups of 5, 3, 5 and 3 rows: three of each, no row twice.
    let balanced = half.balanced(Seed::new(0));
    let mut counts = [0; 4];
    balanced.groups.iter().for_each(|group| counts[*group as usize] += 1);
    assert_eq!(counts, [3; 4]);
}

#[test]
fn environments_count_alike_however_many_rows_they_have() {
    let (two, three) = (2f64.ln(), 3f64.ln());
    let check = |strategy: &mut dyn Strategy, loss: f64, first: f64, last: f64| {
        let outputs = Outputs {
            batch: &[0.0, 0.0, 0.0, three as f32],
            ..Outputs::default()
        };
        let batch = Batch {
            environments: &[7, 7, 7, 2],
            ..batch(&[10, 11, 12, 13], &LABELS)
        };
        let found = strategy.objective(Loss::Bce, &outputs, &batch);
        assert!((found.loss - loss).abs() < 1e-6, "{} {loss}", found.loss);
        for (found, expected) in found.gradient.iter().zip([-first, first, -first, last]) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} {expected}");
        }
    };
    // Risks ln 2 of three rows and 2 ln 2 of one.
    let slope = 0.75 * three;
    let mut irm = Penalised {
        weight: 0.5,
        warm_up: 0,
    };
    let bend = 3.0 / 16.0 * three + 0.75;
    check(
        &mut irm,
        1.5 * two + 0.25 * slope * slope,
        1.0 / 12.0,
        0.5 * (0.75 + slope * bend),
    );
    let mut vrex = Variance { weight: 3.0 };
    check(
        &mut vrex,
        1.5 * two + 0.75 * two * two,
        (1.0 - 3.0 * two) / 12.0,
        0.375 * (1.0 + 3.0 * two),
    );
}
