//! Windows as a dataset: columns encoded, subjects in their parts.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use ndarray::Array2;

use super::{
    Aggregate, MedsTask,
    ahead::no_time_to_the_end,
    events::{Reading, moment, stream},
    labels::{Sample, add_shortcut, draw_splits, read_labels, read_splits},
    window::{Windower, Windows},
};
use crate::{
    DataError, Dataset, FeatureGroup, Scaler, Seed, Split, Window, audit::AuditCheck, check_groups, features::Features,
    near::did_you_mean,
};

/// A dataset, and what the leakage audit found.
#[derive(Clone, Debug)]
pub struct Audited {
    /// The rows.
    pub dataset: Dataset,
    /// Each check that it passed.
    pub checks: Vec<AuditCheck>,
}

impl MedsTask {
    /// Reads and windows a MEDS dataset. Events are streamed by file and row group; what is kept grows with the labels.
    ///
    /// Fails for files that are not as MEDS 0.4 asks, labels before a subject's first event, subjects without events or without a split,
    /// columns without any value in training, and what tells the future, unless `allow_leaks`.
    pub fn dataset(&self, folder: &Path, allow_leaks: bool, seed: Seed) -> Result<Audited, DataError> {
        let (samples, parts) = self.samples(folder, seed)?;
        let mut windower = Windower::new(self, samples);
        let reading = Reading {
            texts: Windower::needs_texts(self),
            strict: false,
        };
        let seen = stream(folder, reading, &mut |event| windower.event(event))?;
        let windows = windower.finish()?;
        let name = folder.canonicalize().unwrap_or_else(|_| folder.into());
        let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut audited = self.assemble(&name, windows, &parts, allow_leaks)?;
        audited.dataset.notices.push(format!(
            "{} events of {} subjects in {} files",
            seen.rows,
            seen.subjects.len(),
            seen.files
        ));
        Ok(audited)
    }

    /// What is predicted, and each subject's part.
    fn samples(&self, folder: &Path, seed: Seed) -> Result<(Vec<Sample>, BTreeMap<i64, Split>), DataError> {
        let below = |path: &PathBuf| folder.join(path);
        let mut samples = read_labels(&below(&self.labels))?;
        if let Some(shortcut) = &self.shortcut {
            add_shortcut(&mut samples, &below(shortcut))?;
        }
        let file = folder.join("metadata/subject_splits.parquet");
        let parts = match file.is_file() {
            true => read_splits(&file)?,
            false => draw_splits(&samples, self.parts, seed),
        };
        if let Some(absent) = samples.iter().find(|sample| !parts.contains_key(&sample.subject)) {
            return Err(DataError::Read {
                path: file,
                reason: format!(
                    "says nothing of subject {}, who has a label; expected a split for every subject",
                    absent.subject
                ),
            });
        }
        Ok((samples, parts))
    }

    /// Encodes the columns of windows. `parts` holds every subject.
    pub(crate) fn assemble(
        &self,
        name: &str,
        windows: Windows,
        parts: &BTreeMap<i64, Split>,
        allow_leaks: bool,
    ) -> Result<Audited, DataError> {
        let (lookback, width, count) = (self.lookback, self.columns().count(), windows.samples.len());
        let part = |sample: &Sample| parts.get(&sample.subject).copied().unwrap_or(Split::Embargo);
        // Rows of a dataset are ordered by time, whatever the order of the files.
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|&sample| (windows.samples[sample].time, windows.samples[sample].subject));
        let of_place = |row: usize| (order[row / lookback], row % lookback);
        let value = |row: usize, column: usize| {
            let (sample, position) = of_place(row);
            windows.values[(sample * lookback + position) * width + column]
        };
        let rows = count * lookback;
        let is_train = |row: &usize| part(&windows.samples[of_place(*row).0]) == Split::Train;
        let train: Vec<usize> = (0..rows).filter(is_train).collect();
        let last: Vec<usize> = train
            .iter()
            .copied()
            .filter(|row| row % lookback == lookback - 1)
            .collect();
        let label = |row: usize| windows.samples[of_place(row).0].label;
        let mut features = Features::default();
        let mut groups = Vec::new();
        let mut numbered = Vec::new();
        let mut index = 0;
        for (group, of) in &self.groups {
            let first = features.names.len();
            for (column, spec) in &of.columns {
                let found = if spec.value == Aggregate::Category {
                    let names = &windows.categories[index].names;
                    let category = |row: usize| names.get(value(row, index) as usize).map(String::as_str);
                    let category = |row: usize| category(row).filter(|_| !value(row, index).is_nan());
                    features.categories(column, rows, category, &last)
                } else {
                    numbered.push((features.names.len(), index));
                    features.numbers(column, (0..rows).map(|row| value(row, index)).collect(), &train)
                };
                if !found {
                    let codes = spec.code.all().join(", ");
                    let near = did_you_mean(&codes, windows.codes.iter().map(String::as_str));
                    return Err(DataError::Schema {
                        path: name.into(),
                        reason: format!(
                            "column `{column}` is missing in every training sample: no event of `{codes}` has a value that it reads{near}"
                        ),
                    });
                }
                index += 1;
            }
            groups.push(FeatureGroup {
                name: group.clone(),
                role: of.role,
                columns: (first..features.names.len()).collect(),
            });
        }
        check_groups(&groups, features.names.len())?;
        let mut checks = vec![AuditCheck {
            name: "no column uses an event after the prediction time".into(),
            detail: format!(
                "{} windows recomputed with another future gave the same values",
                windows.recomputed
            ),
        }];
        if allow_leaks {
            features
                .notices
                .push("allow_leaks = true: columns that tell the future are accepted".into());
        } else {
            features.no_perfect_predictor(&last, label)?;
            let columns = numbered.iter().map(|&(feature, _)| {
                let values = &features.columns[feature];
                (
                    features.names[feature].as_str(),
                    order
                        .iter()
                        .enumerate()
                        .map(|(place, _)| values[(place + 1) * lookback - 1])
                        .collect(),
                )
            });
            let ahead: Vec<_> = order
                .iter()
                .map(|&sample| (windows.samples[sample].time, &windows.ahead[sample]))
                .collect();
            let since = self.columns().filter(|(_, _, column)| column.value.unit().is_some());
            let anchors: Vec<String> = ["the first event".into(), "the prediction".into()]
                .into_iter()
                .chain(since.map(|(_, name, _)| format!("the event of `{name}`")))
                .collect();
            checks.push(no_time_to_the_end(columns, &anchors, &ahead)?);
            checks.push(AuditCheck {
                name: "no column tells every label".into(),
                detail: format!("{} columns on {} training windows", features.names.len(), last.len()),
            });
        }
        let matrix = Array2::from_shape_fn((rows, features.names.len()), |(row, column)| {
            features.columns[column][row]
        });
        let mut subjects = BTreeMap::new();
        for sample in &windows.samples {
            let next = subjects.len() as u32;
            subjects.entry(sample.subject).or_insert(next);
        }
        let mut subject_names = vec![String::new(); subjects.len()];
        for (subject, place) in &subjects {
            subject_names[*place as usize] = subject.to_string();
        }
        let environments = match windows.environments.names.is_empty() {
            true => vec!["all".to_string()],
            false => windows.environments.names.clone(),
        };
        let of_samples = order.iter().enumerate().map(|(place, &sample)| {
            let one = &windows.samples[sample];
            Window {
                start: place * lookback,
                target: place,
                time: moment(one.time).unwrap_or_default(),
                subject: subjects[&one.subject],
                environment: windows.environment_of[sample],
                label: one.label,
                shortcut: one.shortcut,
                split: part(one),
            }
        });
        let windows_of: Vec<Window> = of_samples.collect();
        let left = windows_of
            .iter()
            .filter(|window| window.split == Split::Embargo)
            .count();
        if left > 0 {
            features.notices.push(format!(
                "{left} labels belong to subjects in other splits than train, tuning and held_out and are left out"
            ));
        }
        let dataset = Dataset {
            name: name.into(),
            simulated: false,
            lookback,
            scaler: Scaler::fit(matrix.view(), &train),
            features: features.names,
            groups,
            rows: matrix,
            windows: windows_of,
            subjects: subject_names,
            environments,
            shared_validation: false,
            notices: features.notices,
        };
        dataset.check_classes(0.0)?;
        checks.push(crate::audit::subjects_in_one_part(&dataset)?);
        Ok(Audited { dataset, checks })
    }
}
