//! The outcome as rows, as a report and as text.

use disentangle_analysis::Estimate;
use disentangle_report::{Block, Cell, Heatmap, Mark, MetricRow, Report, Section, Tone, Values, Verdict};

use super::{GridCell, Outcome};
use crate::{
    cells::MEASURES,
    experiment::{Render, metric_row},
    present::{cell, figure, heatmap, table, with_interval},
};

impl Render for Outcome {
    fn rows(&self) -> Vec<MetricRow> {
        let mut rows = Vec::new();
        for one in &self.cells {
            let row = |metric: &str, estimate: &Estimate| MetricRow {
                experiment: self.experiment.clone(),
                dataset: self.dataset.clone(),
                model: Some(self.model.clone()),
                stage: Some("trained".into()),
                split: Some("test".into()),
                params: Some(format!("{{\"features\":{},\"hidden\":{}}}", one.features, one.hidden)),
                ..metric_row(metric, estimate)
            };
            rows.push(row("accuracy", &one.accuracy));
            rows.push(row("roc_auc", &one.auc));
            for (site, estimates) in &one.sites {
                rows.extend(MEASURES.iter().zip(estimates).map(|(measure, estimate)| MetricRow {
                    site: Some(site.clone()),
                    ..row(measure.name, estimate)
                }));
            }
        }
        rows
    }

    fn report(&self) -> Report {
        let sites = self.cells.first().map_or(&[][..], |one| &one.sites);
        let mut sections = vec![self.accuracy_section()];
        sections.extend((0..sites.len()).map(|index| self.site_section(index)));
        Report {
            title: "Capacity: features against width".into(),
            subtitle: format!(
                "{} on {}, {} trainings of each of {} cells, seed {}",
                self.model,
                self.dataset,
                self.repeats,
                self.cells.len(),
                self.seed
            ),
            simulated: true,
            notices: self.once().into_iter().map(Into::into).collect(),
            verdicts: self.verdicts(),
            sections,
        }
    }

    fn summary(&self) -> String {
        let mut text = String::new();
        let sites = self.cells.first().map_or(&[][..], |one| &one.sites);
        for (index, (site, _)) in sites.iter().enumerate() {
            text += &format!(
                "site {site}\n{:<10} {:<8} {:<24} {:<24} {:<24} {:<22}\n",
                "features", "hidden", "average overlap", "largest overlap", "effective rank", "accuracy"
            );
            for one in &self.cells {
                let of = |measure: usize| one.sites[index].1[measure].show(3);
                text += &format!(
                    "{:<10} {:<8} {:<24} {:<24} {:<24} {:<22}\n",
                    one.features,
                    one.hidden,
                    of(0),
                    of(1),
                    of(3),
                    one.accuracy.show(3)
                );
            }
            text += "\n";
        }
        if let Some(notice) = self.once() {
            text += &format!("- {notice}\n");
        }
        for verdict in self.verdicts() {
            text += &format!("- {}\n", verdict.text);
        }
        text
    }
}

impl Outcome {
    /// Why there are no intervals.
    fn once(&self) -> Option<&'static str> {
        let said = "each cell was trained once (`repeats = 1`): intervals are undefined, and no cells are compared";
        (self.repeats < 2).then_some(said)
    }

    fn at(&self, features: usize, hidden: usize) -> Option<&GridCell> {
        self.cells
            .iter()
            .find(|one| one.features == features && one.hidden == hidden)
    }

    /// The grid of one number: rows are widths, columns are numbers of groups.
    fn grid(&self, id: &str, title: &str, reading: &str, of: &dyn Fn(&GridCell) -> Option<&Estimate>) -> Block {
        let cells = |value: &dyn Fn(Option<&Estimate>) -> Option<f64>| -> Vec<Vec<Option<f64>>> {
            let row = |&hidden: &usize| {
                let row = self
                    .features
                    .iter()
                    .map(|&features| value(self.at(features, hidden).and_then(of)));
                row.collect()
            };
            self.hidden.iter().map(row).collect()
        };
        let text = self.hidden.iter().map(|&hidden| {
            let row = self.features.iter().map(|&features| {
                let estimate = self.at(features, hidden).and_then(of);
                estimate.map_or_else(|| "undefined".into(), |estimate| estimate.show(3))
            });
            row.collect()
        });
        heatmap(
            id,
            title,
            reading,
            ["feature groups", "width"],
            Heatmap {
                x: self.features.iter().map(ToString::to_string).collect(),
                y: self.hidden.iter().map(ToString::to_string).collect(),
                values: cells(&|estimate| estimate?.value),
                text: Some(text.collect()),
                unit: title.into(),
                ..Heatmap::default()
            },
        )
    }

    fn accuracy_section(&self) -> Section {
        Section {
            title: "Does it learn?".into(),
            text: vec!["Accuracy on rows that training did not see; brackets hold Student's t interval over repeats, each with data and weights of its own.".into()],
            blocks: vec![self.grid(
                "accuracy",
                "Accuracy on test rows",
                "Read measures of a cell with an accuracy near 0.5 as those of a model that learned little.",
                &|one| Some(&one.accuracy),
            )],
        }
    }

    fn site_section(&self, index: usize) -> Section {
        let site = self.cells[0].sites[index].0.clone();
        let id = |name: &str| format!("{}-{name}", site.replace('.', "-"));
        let mut blocks = Vec::new();
        for (place, measure) in MEASURES.iter().enumerate() {
            let estimate = |one: &GridCell| one.sites[index].1[place].value;
            // Five heatmaps of cumulative variances would say little that the curve below does not.
            if measure.name.starts_with("cumulative") || self.cells.iter().all(|one| estimate(one).is_none()) {
                continue;
            }
            blocks.push(self.grid(
                &id(measure.name),
                &format!("{} at {site}", capitalised(measure.title)),
                "Each cell is a mean over repeats with its interval; compare along a row for more features at one width, along a column for more width.",
                &|one| Some(&one.sites[index].1[place]),
            ));
        }
        let first = MEASURES
            .iter()
            .position(|measure| measure.name == "cumulative_variance_1")
            .unwrap_or(0);
        let curves = self.cells.iter().map(|one| {
            let estimates: Vec<&Estimate> = (first..first + 5).map(|place| &one.sites[index].1[place]).collect();
            let counts = Values::Numbers((1..=5).map(f64::from).collect());
            let name = format!("{} groups, width {}", one.features, one.hidden);
            with_interval(&name, Mark::Line, counts, &estimates)
        });
        blocks.push(figure(
            &id("variance"),
            &format!("Cumulative variance of the first components at {site}"),
            "A curve that rises early belongs to a site whose activations lie near a few directions.",
            ["components", "share of variance", ""],
            curves.collect(),
            vec![],
        ));
        let rows = self.cells.iter().map(|one| {
            let mut cells: Vec<Cell> = vec![one.features.to_string().into(), one.hidden.to_string().into()];
            cells.extend(one.sites[index].1.iter().map(|estimate| cell(estimate, 3)));
            cells
        });
        let columns: Vec<&str> = ["features", "width"]
            .into_iter()
            .chain(MEASURES.iter().map(|m| m.title))
            .collect();
        blocks.push(table(
            "All measures, with 95 % intervals over repeats",
            &columns,
            rows.collect(),
        ));
        Section {
            title: format!("Site {site}"),
            text: vec![],
            blocks,
        }
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let sites = self.cells.first().map_or(&[][..], |one| &one.sites);
        let each = (0..sites.len()).flat_map(|index| {
            let site = &sites[index].0;
            [self.along_width(index, site), self.along_features(index, site)]
        });
        each.flatten().collect()
    }

    /// Does overlap fall with width, for every number of features?
    fn along_width(&self, index: usize, site: &str) -> Option<Verdict> {
        let (narrow, wide) = (*self.hidden.iter().min()?, *self.hidden.iter().max()?);
        self.compare(
            index,
            &self.features,
            (narrow, wide),
            true,
            &format!("width {narrow} to {wide}"),
            site,
        )
    }

    /// Does it rise with the number of features, at every width?
    fn along_features(&self, index: usize, site: &str) -> Option<Verdict> {
        let (few, many) = (*self.features.iter().min()?, *self.features.iter().max()?);
        self.compare(
            index,
            &self.hidden,
            (few, many),
            false,
            &format!("{few} to {many} groups"),
            site,
        )
    }

    fn compare(
        &self,
        index: usize,
        others: &[usize],
        ends: (usize, usize),
        width: bool,
        what: &str,
        site: &str,
    ) -> Option<Verdict> {
        if ends.0 == ends.1 {
            return None;
        }
        let overlap = |end: usize, other: usize| {
            let one = if width {
                self.at(other, end)
            } else {
                self.at(end, other)
            };
            one.map(|one| &one.sites[index].1[0])
        };
        let (mut lower, mut higher, mut values) = (0, 0, Vec::new());
        for other in others {
            let (first, last) = (overlap(ends.0, *other)?, overlap(ends.1, *other)?);
            let (low, high) = (first.low.zip(first.high)?, last.low.zip(last.high)?);
            lower += usize::from(high.1 < low.0);
            higher += usize::from(high.0 > low.1);
            values.push(format!("{:.2} to {:.2}", first.value?, last.value?));
        }
        let words = if lower == others.len() {
            "falls"
        } else if higher == others.len() {
            "rises"
        } else if lower + higher == 0 {
            "does not clearly change"
        } else {
            "changes in some cells only"
        };
        Some(Verdict {
            text: format!("average overlap at `{site}` {words} from {what}: {}", values.join(", ")),
            tone: Tone::Neutral,
        })
    }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        None => String::new(),
        Some(first) => first.to_uppercase().chain(characters).collect(),
    }
}
