//! Sections of the report.

use disentangle_analysis::Estimate;
use disentangle_report::{Block, Cell, Mark, Section, Series, Values};

use super::{
    methods::{CONVERGED, OURS},
    outcome::{Outcome, Structural, Test, is_oracle, is_regression},
    problem::PROBLEMS,
    reference::{STRUCTURAL, best_published, published},
    render::mark,
    structural::VARIANTS,
};
use crate::present::{cell, figure, number, table, with_interval};

/// Digits of an error.
fn digits(problem: &str) -> usize {
    if is_regression(problem) { 2 } else { 3 }
}

impl Outcome {
    pub(super) fn checks_section(&self) -> Section {
        let rows = self.checks.iter().map(|check| {
            vec![
                check.what.clone().into(),
                check.published.clone().into(),
                check.ours.clone().into(),
                check.tolerance.clone().into(),
                mark(check.passed).into(),
            ]
        });
        Section {
            title: "Published figures beside ours".into(),
            text: vec![
                "Test error: mean squared error for Example1, else share of wrong labels, on rows whose shortcut dimensions were put into another order of rows within each \
                 environment; mean of environments, then of data seeds, with Student's t interval. Comparisons are made at the published number of steps, from 5 draws, 5 data \
                 seeds, 5000 rows of a regression and 2000 of a classification on."
                    .into(),
            ],
            blocks: vec![table("", &["figure", "published", "ours", "may differ", "result"], rows.collect())],
        }
    }

    pub(super) fn tests_section(&self) -> Section {
        Section {
            title: "Test error of every method".into(),
            text: vec![
                format!(
                    "ERM, IRMv1, V-REx and Oracle are trained by full-batch Adam as published; Oracle is ERM whose shortcut is permuted in training as well. `{CONVERGED}` is ERM at \
                     its optimum (least squares, or Newton's method under a ridge of 1e-6), another regime than the published one."
                ),
                "Draws are those of the published runs, and the one is chosen whose error on held-out rows of the training environments is least in the mean over data seeds. The last column of the table says what choosing them by test rows would have given (oracle \
                 selection); no figure or check uses it."
                    .into(),
            ],
            blocks: vec![
                self.bars(false),
                self.bars(true),
                self.against_validation(),
                self.tests_table(),
            ],
        }
    }

    fn bars(&self, regression: bool) -> Block {
        let problems: Vec<&str> = PROBLEMS
            .iter()
            .filter(|(_, kind, _)| kind.is_regression() == regression)
            .map(|(name, ..)| *name)
            .collect();
        let names = || Values::Names(problems.iter().map(ToString::to_string).collect());
        let undefined = Estimate::default();
        let series = self.methods().into_iter().map(|method| {
            let estimates: Vec<&Estimate> = problems
                .iter()
                .map(|problem| self.test(problem, method).map_or(&undefined, |one| &one.test))
                .collect();
            with_interval(method, Mark::Bar, names(), &estimates)
        });
        let (id, title, axis, lines) = match regression {
            true => ("regression", "Regressions", "mean squared error", vec![]),
            false => ("classification", "Classifications", "share of wrong labels", vec![0.5]),
        };
        let reading = match regression {
            true => {
                "What lies above Oracle is what a method pays for leaning on effects of the target, which permuting makes worthless."
            }
            false => "Near one half a method leans on the shortcut alone; at the height of Oracle it does without.",
        };
        figure(id, title, reading, ["problem", axis, ""], series.collect(), lines)
    }

    /// Why validation on the training environments cannot choose invariance.
    fn against_validation(&self) -> Block {
        let series = self.methods().into_iter().map(|method| {
            let own: Vec<&Test> = self
                .tests
                .iter()
                .filter(|one| one.method == method && !is_regression(&one.problem))
                .filter(|one| one.validation.value.and(one.test.value).is_some())
                .collect();
            let x = own.iter().filter_map(|one| one.validation.value).collect();
            // Without intervals, which would cover the points.
            let y = own.iter().filter_map(|one| one.test.value).collect();
            Series {
                labels: Some(own.iter().map(|one| one.problem.clone()).collect()),
                ..Series::new(method, Mark::Points, Values::Numbers(x), y)
            }
        });
        figure(
            "validation",
            "Classifications: test error against the error on held-out rows of the training environments",
            "A point a problem. To the left and high up stand models that look best in training environments and fail outside: choosing by held-out rows alone favours them.",
            [
                "held-out rows of training environments, share of wrong labels",
                "test rows, share of wrong labels",
                "",
            ],
            series.collect(),
            vec![0.5],
        )
    }

    fn tests_table(&self) -> Block {
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        for (problem, ..) in PROBLEMS {
            let digits = digits(problem);
            let figures = published(problem);
            let of = |method: &str| figures.iter().find(|one| one.0 == method).map(|one| one.1);
            for one in self.tests.iter().filter(|one| one.problem == problem) {
                rows.push(vec![
                    problem.into(),
                    one.method.clone().into(),
                    number(of(&one.method), digits),
                    cell(&one.test, digits),
                    cell(&one.validation, digits),
                    one.draw.map_or_else(|| "–".to_string(), |draw| draw.to_string()).into(),
                    match &one.best_on_test {
                        Some(best) => cell(best, digits),
                        None => number(None, digits),
                    },
                ]);
            }
            // Published, not run here.
            let others = figures.iter().filter(|one| self.test(problem, one.0).is_none());
            rows.extend(others.map(|one| {
                let none = || number(None, digits);
                vec![
                    problem.into(),
                    format!("{} (not run)", one.0).into(),
                    number(Some(one.1), digits),
                    none(),
                    none(),
                    none(),
                    none(),
                ]
            }));
        }
        table(
            "Mean over data seeds with 95 % intervals",
            &[
                "problem",
                "method",
                "published",
                "test",
                "held-out, training environments",
                "draw",
                "test, chosen on test",
            ],
            rows,
        )
    }

    pub(super) fn ours_section(&self) -> Section {
        let rows = self.kept.iter().map(|kept| {
            let digits = digits(&kept.problem);
            let value = |method: &str| self.test(&kept.problem, method).and_then(|one| one.test.value);
            let best = best_published(&kept.problem);
            let oracle = self
                .tests
                .iter()
                .find(|one| one.problem == kept.problem && is_oracle(&one.method));
            vec![
                kept.problem.clone().into(),
                kept.describe().into(),
                number(kept.shortcut_features(), 1),
                format!("{} of {}", kept.identified(), kept.each.len()).into(),
                number(value(OURS), digits),
                best.map_or_else(String::new, |(name, value)| format!("{value:.digits$} ({name})"))
                    .into(),
                number(oracle.and_then(|one| one.test.value), digits),
            ]
        });
        Section {
            title: format!("Ours: {OURS}"),
            text: vec![
                "A set of features is invariant if the linear coefficients of the target on it, and it alone, are the same in all training environments (Wald's test at the .999 quantile; \
                 for labels Fisher's discriminant, which no class frequency changes, and the difference of class means). All 1023 sets are tried, and the largest invariant ones fitted to their optimum; held-out rows of the \
                 training environments choose among them. The same is done with ten directions that gather what moves between environments, for problems whose features are mixtures."
                    .into(),
                "Three environments can show two directions in which class means move. Where two do, a third may be hidden that happens to agree in all three, and held-out rows would choose \
                 it: such a problem is not identified by its training data, and directions are used only if no feature is invariant by itself."
                    .into(),
            ],
            blocks: vec![table(
                "What was kept",
                &[
                    "problem",
                    "kept",
                    "of them shortcut",
                    "identified",
                    "test error",
                    "best published without oracle",
                    "Oracle",
                ],
                rows.collect(),
            )],
        }
    }

    pub(super) fn structural_section(&self) -> Section {
        let rows = self.structural.iter().map(|one| {
            vec![
                one.variant.clone().into(),
                one.method.clone().into(),
                cell(&one.causal, 4),
                cell(&one.other, 4),
            ]
        });
        // Of causes and of effects: IRM's error over that of OLS, ours and the published.
        let share = |[ols, irm]: [Option<f64>; 2]| irm.zip(ols).map_or(f64::NAN, |(irm, ols)| irm / ols);
        let ours = |of: fn(&Structural) -> &Estimate| {
            let pairs = self.structural.chunks_exact(2);
            pairs
                .map(|pair| share([of(&pair[0]).value, of(&pair[1]).value]))
                .collect()
        };
        let published = |which: usize| {
            let pairs = STRUCTURAL.iter();
            pairs
                .map(|[ols, irm]| share([Some(ols[which]), Some(irm[which])]))
                .collect()
        };
        let bars = |name: &str, values: Vec<f64>| {
            let names = VARIANTS.iter().map(|variant| variant.short.to_string());
            Series::new(name, Mark::Bar, Values::Names(names.collect()), values)
        };
        let drawn = figure(
            "structural",
            "Squared error of IRM's weights over that of OLS",
            "Below 1 IRM has come nearer than OLS to weights of 1 for causes and of 0 for effects.",
            [
                "model (hidden confounder or none, noise of the target homo- or heteroskedastic)",
                "share of OLS's error",
                "",
            ],
            vec![
                bars("causes", ours(|one| &one.causal)),
                bars("causes, published", published(0)),
                bars("effects", ours(|one| &one.other)),
                bars("effects, published", published(1)),
            ],
            vec![1.0],
        );
        Section {
            title: "The structural model of Arjovsky et al. (2019)".into(),
            text: vec![format!(
                "Causes x, effects z and target Σy at environments of scale .2, 2 and 5, 1000 rows each; {} repeats. OLS sees all three environments. IRMv1, in the authors' \
                 parametrisation (features of 10 x 10, {} Adam steps at 1e-3), is trained on the first two and its share of the risk chosen by the error in the third.",
                self.protocol.repeats, self.protocol.iterations
            )],
            blocks: vec![
                drawn,
                table(
                    "Mean squared distance of weights to 1 (causes) and 0 (effects)",
                    &["model", "method", "causes", "effects"],
                    rows.collect(),
                ),
            ],
        }
    }
}
