//! Refits through time: importance out of sample over the whole history (notebook part 26).

use disentangle_analysis::{
    Bootstrap,
    classification::RankedScores,
    importance::{self, Ablated, weighted_mean},
    probing,
};
use disentangle_data::{Dataset, Scaler};
use disentangle_models::train::{Control, Erm, Loss, Monitor, Stop, Task, train};
use serde::{Deserialize, Serialize};

use super::{
    FinanceConfig,
    evaluate::{Scored, performance},
    groups_of,
    outcome::{WalkForward, WalkWindow},
    permute_days,
};
use crate::{Context, ExperimentError, context::CANCEL};

/// What one refit predicts; kept in the checkpoint, so that an interrupted run does not refit again.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Scores {
    rows: Vec<usize>,
    train_rows: usize,
    logits: Vec<f64>,
    without: Vec<Vec<Vec<f64>>>,
    only: Vec<Vec<Vec<f64>>>,
}

/// Permutations in each window; their mean is what counts.
const DRAWS: usize = 10;

/// One refit: windows to fit on and windows to score, by position in time order.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    fit: Vec<usize>,
    score: Vec<usize>,
}

/// Plans non-overlapping scored windows, each with the latest windows before it of which none predicts a row that the scored
/// ones, or their indicators' histories, use.
fn plan(dataset: &Dataset, config: &FinanceConfig) -> Result<Vec<Step>, String> {
    if config.epochs == 0 {
        return Err("`epochs = 0`: the weights are taken as they are, and refits would train them".into());
    }
    let (n, symbols) = (dataset.windows.len(), dataset.subjects.len());
    // Windows of several symbols share their times, so that the gap in windows is as many times as wide.
    let (gap, history) = (
        config.features().embargo() * symbols,
        config.features().longest_indicator() - 1,
    );
    let (window, least) = (config.window, config.first_refit_rows);
    let first = least + gap;
    if n < first + window {
        return Err(format!(
            "too few rows: {n} windows, and {} are needed for one refit (first_refit_rows = {least}, an embargo of {gap}, window = {window})",
            first + window
        ));
    }
    let window = window.max((n - first).div_ceil(config.most_refits));
    let mut plan = Vec::new();
    let mut start = first;
    while start < n {
        let score: Vec<usize> = (start..(start + window).min(n)).collect();
        let mut limit = vec![usize::MAX; symbols];
        for &row in &score {
            let window = &dataset.windows[row];
            let limit = &mut limit[window.subject as usize];
            *limit = (*limit).min(window.start);
        }
        let clear =
            |row: &usize| dataset.windows[*row].target + history < limit[dataset.windows[*row].subject as usize];
        let mut fit: Vec<usize> = (0..start - gap).filter(clear).collect();
        fit.drain(..fit.len().saturating_sub(config.refit_rows.max(least)));
        start += window;
        // A remainder of less than half a window would be too noisy a point.
        if score.len() >= window.div_ceil(2) && !fit.is_empty() {
            plan.push(Step { fit, score });
        }
    }
    Ok(plan)
}

/// Refits, scores, and puts the windows together.
pub(super) fn run(
    dataset: &Dataset,
    config: &FinanceConfig,
    bootstrap: &Bootstrap,
    context: &Context,
) -> Result<Result<WalkForward, String>, ExperimentError> {
    if !config.walk_forward {
        return Ok(Err("left out: walk_forward = false".into()));
    }
    let plan = match plan(dataset, config) {
        Ok(plan) => plan,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut scores = Vec::with_capacity(plan.len());
    let bar = context.progress("walk-forward refits", plan.len());
    for (index, step) in plan.iter().enumerate() {
        let name = context.name(&format!("checkpoint/walk-forward-{index}.json"));
        let kept = std::fs::read(context.run.path().join(&name))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let score: Scores = match kept {
            Some(score) => score,
            None => {
                let score = refit(dataset, config, context, index, step)?;
                context.run.write(
                    &name,
                    &serde_json::to_vec(&score).map_err(|e| ExperimentError::Failed(e.to_string()))?,
                )?;
                score
            }
        };
        scores.push(score);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Ok(summarise(dataset, config, bootstrap, &scores)))
}

fn refit(
    dataset: &Dataset,
    config: &FinanceConfig,
    context: &Context,
    index: usize,
    Step { fit, score: rows }: &Step,
) -> Result<Scores, ExperimentError> {
    let seed = context.root().child("walk-forward").index(index as u64);
    let mut own = dataset.clone();
    own.scaler = Scaler::fit(own.rows.view(), &feature_rows(&own, fit));
    let model = config.model().init(seed.child("model"), context.device)?;
    let task = Task {
        dataset: &own,
        train: fit,
        // There are no rows to spare for validation: all epochs run, and no choice is made.
        validation: &fit[..1],
        loss: Loss::Bce,
    };
    let mut training = config.training();
    (training.patience, training.monitor) = (0, Monitor::Off);
    let control = Control::new(context.threads, &CANCEL);
    let trained = train(model, &task, &mut Erm, &training, seed, context.device, control)?;
    if trained.stop == Stop::Cancelled {
        return Err(ExperimentError::Interrupted);
    }
    let logits = |x: &ndarray::Array3<f32>| probing::logits(&trained.model, x, context.device, context.threads);
    let inputs = own.inputs(rows);
    let ablated = importance::ablate(
        &inputs,
        &groups_of(dataset),
        DRAWS,
        |seed| permute_days(dataset, rows, seed),
        seed.child("permute"),
        logits,
    )?;
    let (without, only) = ablated.into_iter().map(|a| (a.without, a.only)).unzip();
    Ok(Scores {
        train_rows: fit.len(),
        logits: logits(&inputs)?,
        rows: rows.clone(),
        without,
        only,
    })
}

fn feature_rows(dataset: &Dataset, windows: &[usize]) -> Vec<usize> {
    let mut used = vec![false; dataset.rows.nrows()];
    for &w in windows {
        let start = dataset.windows[w].start;
        used[start..start + dataset.lookback].fill(true);
    }
    (0..used.len()).filter(|&row| used[row]).collect()
}

fn summarise(dataset: &Dataset, config: &FinanceConfig, bootstrap: &Bootstrap, scores: &[Scores]) -> WalkForward {
    let groups = groups_of(dataset);
    let ablated = |parts: &[&Scores], group: usize| {
        let join = |of: &dyn Fn(&Scores) -> &Vec<Vec<f64>>| -> Vec<Vec<f64>> {
            (0..DRAWS)
                .map(|draw| parts.iter().flat_map(|score| of(score)[draw].clone()).collect())
                .collect()
        };
        Ablated {
            group: groups[group].0.clone(),
            without: join(&|score| &score.without[group]),
            only: join(&|score| &score.only[group]),
        }
    };
    let windows = scores.iter().map(|score| {
        let labels = dataset.labels(&score.rows);
        let ranked = RankedScores::new(&score.logits, &labels);
        let right: Vec<f64> = score
            .logits
            .iter()
            .zip(&labels)
            .map(|(z, y)| f64::from(u8::from((*z > 0.0) == (*y > 0.5))))
            .collect();
        let time = |row: &usize| dataset.windows[*row].time;
        WalkWindow {
            span: [score.rows.first().map(time), score.rows.last().map(time)].map(Option::unwrap_or_default),
            train_rows: score.train_rows,
            auc: bootstrap
                .estimate_weighted(labels.len(), |weights| ranked.auc(weights))
                .within(0.0, 1.0),
            accuracy: weighted_mean(bootstrap, &right).within(0.0, 1.0),
            importance: (0..groups.len())
                .map(|group| importance::importance(&score.logits, &labels, &ablated(&[score], group), bootstrap))
                .collect(),
        }
    });
    let logits: Vec<f64> = scores.iter().flat_map(|score| score.logits.clone()).collect();
    let rows: Vec<usize> = scores.iter().flat_map(|score| score.rows.clone()).collect();
    let labels = dataset.labels(&rows);
    let all: Vec<&Scores> = scores.iter().collect();
    let scored = Scored {
        model: "sequence",
        part: "walk-forward",
        logits: &logits,
        labels: &labels,
    };
    WalkForward {
        windows: windows.collect(),
        pooled: performance(&scored, bootstrap, config.permutations, |seed| {
            permute_days(dataset, &rows, seed)
        }),
        importance: (0..groups.len())
            .map(|group| {
                // Ten draws are enough for a mean, not for a test: there is no p.
                importance::importance(&logits, &labels, &ablated(&all, group), bootstrap)
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use disentangle_data::market::{MarketConfig, simulate};

    use super::*;

    #[test]
    fn refits_never_see_what_they_are_scored_on() {
        let symbols = [1, 2].map(|seed| {
            simulate(&MarketConfig {
                seed,
                ..MarketConfig::default()
            })
        });
        for count in [1, 2] {
            let config = FinanceConfig::default();
            let dataset = config.features().dataset("market", true, &symbols[..count]).unwrap();
            let plan = plan(&dataset, &config).unwrap();
            assert!(plan.len() >= 7);
            let mut scored = Vec::new();
            for step in &plan {
                assert!((200..=500).contains(&step.fit.len()), "{}", step.fit.len());
                for subject in 0..count as u32 {
                    let of = |rows: &[usize]| {
                        rows.iter()
                            .map(|&r| dataset.windows[r].clone())
                            .filter(|w| w.subject == subject)
                            .collect::<Vec<_>>()
                    };
                    let latest = of(&step.fit).iter().map(|w| w.target).max().unwrap();
                    let earliest = of(&step.score).iter().map(|w| w.start).min().unwrap();
                    assert!(
                        earliest - 19 > latest,
                        "the first scored window and its indicators begin after the last fitted target"
                    );
                }
                scored.extend(step.score.clone());
            }
            let mut once = scored.clone();
            once.dedup();
            assert_eq!(once, scored);
        }
        let short = FinanceConfig {
            first_refit_rows: 5000,
            ..FinanceConfig::default()
        };
        let dataset = short.features().dataset("market", true, &symbols[..1]).unwrap();
        assert!(
            super::plan(&dataset, &short)
                .unwrap_err()
                .starts_with("too few rows: 957 windows, and 5150 are needed")
        );
    }
}
