//! Tables and figures of the report.

use disentangle_analysis::Estimate;
use disentangle_report::{Block, Mark, Section, Series, Values};

use super::{
    CellOutcome, Method, Outcome,
    newton::{RIDGE, TOLERANCE as GRADIENT},
    render::mark,
};
use crate::present::{cell, number, plain_figure, table, with_interval};

impl Outcome {
    pub(super) fn checks_section(&self) -> Section {
        let rows = self.checks.iter().chain([&self.goal]).map(|check| {
            vec![
                check.what.clone().into(),
                check.published.clone().into(),
                check.ours.clone().into(),
                number(Some(check.tolerance), 2),
                mark(check.passed).into(),
            ]
        });
        Section {
            title: "Published figures beside ours".into(),
            text: vec![
                "Worst-group test error. Ours passes where its 95 % interval includes the published figure or overlaps the published range, or where the mean lies within \
                 the tolerance of it; the rules were set before ours were measured. The last row is a goal of this program, not a published figure."
                    .into(),
            ],
            blocks: vec![table(
                "Means over data seeds with Student's t interval",
                &["figure", "published", "ours", "tolerance", "result"],
                rows.collect(),
            )],
        }
    }

    /// A line a method against the number of noise dimensions.
    fn lines(&self, of: fn(&CellOutcome) -> &Estimate) -> Vec<Series> {
        let line = |method: Method| {
            let own = self.of(method);
            let x = Values::Numbers(own.iter().map(|cell| cell.noise as f64).collect());
            let estimates: Vec<&Estimate> = own.iter().map(|cell| of(cell)).collect();
            with_interval(method.name(), Mark::Line, x, &estimates)
        };
        Method::ALL.map(line).into()
    }

    pub(super) fn errors_section(&self) -> Section {
        let mut worst = plain_figure(
            "worst-group-error",
            "Worst-group error",
            "The dotted line is the error of the core feature alone. Where reweighting leaves it and undersampling does not, the rare groups were learnt by heart.",
            ["noise dimensions N", "worst-group test error", ""],
            self.lines(|cell| &cell.worst_group),
            vec![self.floor],
        );
        worst.log = [true, false];
        let rows = self.cells.iter().map(|one| {
            vec![
                number(Some(one.noise as f64), 0),
                one.method.name().into(),
                cell(&one.worst_group, 3),
                number(one.deviation, 3),
                cell(&one.majority, 3),
                cell(&one.minority, 3),
            ]
        });
        Section {
            title: "Errors by group".into(),
            text: vec![format!(
                "Rows are a core feature N(label, 1), a shortcut N(attribute, 0.01) whose attribute agrees with the label in a share of {} of the rows, and noise of \
                 variance 1 / N in each of N dimensions. Errors are exact, because the margin of a linear model is normal in each group; the core feature alone errs in {:.3}.",
                self.majority, self.floor
            )],
            blocks: vec![
                Block::Figure(worst),
                table(
                    "Errors, means over data seeds; the deviation is between data seeds",
                    &["N", "method", "worst group", "deviation", "majority", "minority"],
                    rows.collect(),
                ),
            ],
        }
    }

    pub(super) fn shortcut_section(&self) -> Section {
        let mut weight = plain_figure(
            "shortcut-over-core",
            "Weight of the shortcut over weight of the core feature",
            "Above the dotted line at 1 the shortcut outweighs the core feature, and more than half of the minority is wrong.",
            ["noise dimensions N", "shortcut / core", ""],
            self.lines(|cell| &cell.shortcut_over_core),
            vec![0.0, 1.0],
        );
        weight.log = [true, false];
        Section {
            title: "What the models rely on".into(),
            text: vec![
                "The shortcut is told with less noise than the core feature, so that using it needs smaller weights. Reweighting forbids that only as long as rows of the \
                 minority cannot be told apart by their noise."
                    .into(),
            ],
            blocks: vec![Block::Figure(weight)],
        }
    }

    pub(super) fn fits_section(&self) -> Section {
        let rows = self.cells.iter().map(|one| {
            vec![
                number(Some(one.noise as f64), 0),
                one.method.name().into(),
                cell(&one.norm, 1),
                number(Some(one.steps as f64), 0),
                format!("{:.0e}", one.gradient).into(),
            ]
        });
        let mut norm = plain_figure(
            "norm-of-weights",
            "Norm of the weights",
            "A line that rises where the noise dimensions outnumber the rows belongs to a model that tells its training rows apart by their noise.",
            ["noise dimensions N", "norm", ""],
            self.lines(|cell| &cell.norm),
            vec![],
        );
        norm.log = [true, true];
        Section {
            title: "How well models were fitted".into(),
            text: vec![format!(
                "Logistic loss without intercept, mean over rows times their weights, plus half of {RIDGE:e} times the squared norm, by Newton's method until the gradient's \
                 norm is below {GRADIENT:e}."
            )],
            blocks: vec![
                Block::Figure(norm),
                table(
                    "Norm of the weights, most steps of a fit and greatest gradient at its end",
                    &["N", "method", "norm", "steps", "gradient"],
                    rows.collect(),
                ),
            ],
        }
    }
}
