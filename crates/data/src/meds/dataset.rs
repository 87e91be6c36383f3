//! Windows as a dataset: columns encoded, subjects in their parts.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use ndarray::Array2;

use super::{
    Aggregate, MedsTask,
    ahead::no_time_to_the_end,
    events::{Reading, stream},
    labels::{Sample, add_shortcut, draw_splits, read_labels, read_new_labels, read_splits},
    places::Places,
    window::{Windower, Windows},
};
use crate::{
    DataError, Dataset, FeatureGroup, InputLayer, Scaler, Seed, Split,
    audit::AuditCheck,
    check_groups,
    features::{Encoding, Features, MISSING, NewRows},
    near::did_you_mean,
};

/// A dataset, how it was encoded, and what the leakage audit found.
#[derive(Clone, Debug)]
pub struct Audited {
    /// The rows.
    pub dataset: Dataset,
    /// How each column was encoded, in order.
    pub encodings: Vec<Encoding>,
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
        let (windows, seen) = self.windowed(folder, samples)?;
        let mut audited = self.assemble(&name(folder), windows, &parts, allow_leaks)?;
        audited.dataset.notices.push(seen);
        Ok(audited)
    }

    /// New rows of such a dataset, encoded as training rows were; nothing is fitted, and no split is read. Label files say who is
    /// predicted when; the label itself may be absent. The dataset's groups are empty and its scaler changes nothing: both belong to the
    /// run.
    ///
    /// Fails for files that are not as MEDS 0.4 asks, labels before a subject's first event, and subjects without events.
    pub fn new_rows(&self, folder: &Path, encodings: &[Encoding]) -> Result<NewRows, DataError> {
        let (samples, unknown) = read_new_labels(&folder.join(&self.labels))?;
        let (windows, seen) = self.windowed(folder, samples)?;
        let places = Places::new(self, &windows);
        let mut features = Features::default();
        for encoding in encodings {
            let (Encoding::Numbers { column, .. } | Encoding::Categories { column, .. }) = encoding;
            let Some(index) = self.columns().position(|(_, name, _)| name == column.as_str()) else {
                return Err(DataError::Schema {
                    path: name(folder).into(),
                    reason: format!(
                        "column `{column}` is encoded but no column of the task; expected those of the run"
                    ),
                });
            };
            match encoding {
                Encoding::Numbers { missing, .. } => {
                    let values = (0..places.rows()).map(|row| places.value(row, index)).collect();
                    features.encoded_numbers(column, values, *missing);
                }
                Encoding::Categories { own, other, .. } => {
                    let category = |row: usize| places.category(row, index).unwrap_or(MISSING);
                    features.encoded_categories(column, places.rows(), category, own, *other);
                }
            }
        }
        let (subjects, windows_of) = places.windows(|_| Split::Test);
        let labels = places.order.iter().map(|&sample| {
            let one = &windows.samples[sample];
            (!unknown.contains(&(one.subject, one.time))).then_some(one.label)
        });
        let labels = labels.collect();
        let dataset = Dataset {
            name: name(folder),
            simulated: false,
            lookback: self.lookback,
            scaler: Scaler::identity(features.names.len()),
            layer: InputLayer::default(),
            rows: matrix(&features, places.rows()),
            features: features.names,
            groups: Vec::new(),
            windows: windows_of,
            subjects,
            environments: places.environments(),
            shared_validation: false,
            notices: vec![seen],
        };
        Ok(NewRows { dataset, labels })
    }

    /// Windows of the samples from the events below a folder, and a sentence on the events.
    fn windowed(&self, folder: &Path, samples: Vec<Sample>) -> Result<(Windows, String), DataError> {
        let mut windower = Windower::new(self, samples);
        let reading = Reading {
            texts: Windower::needs_texts(self),
            strict: false,
        };
        let seen = stream(folder, reading, &mut |event| windower.event(event))?;
        let said = format!(
            "{} events of {} subjects in {} files",
            seen.rows,
            seen.subjects.len(),
            seen.files
        );
        Ok((windower.finish()?, said))
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
        let lookback = self.lookback;
        let part = |sample: &Sample| parts.get(&sample.subject).copied().unwrap_or(Split::Embargo);
        let places = Places::new(self, &windows);
        let (order, rows) = (&places.order, places.rows());
        let is_train = |row: &usize| part(places.sample(*row)) == Split::Train;
        let train: Vec<usize> = (0..rows).filter(is_train).collect();
        let last: Vec<usize> = train
            .iter()
            .copied()
            .filter(|row| row % lookback == lookback - 1)
            .collect();
        let label = |row: usize| places.sample(row).label;
        let mut features = Features::default();
        let mut groups = Vec::new();
        let mut numbered = Vec::new();
        let mut index = 0;
        for (group, of) in &self.groups {
            let first = features.names.len();
            for (column, spec) in &of.columns {
                let found = if spec.value == Aggregate::Category {
                    features.categories(column, rows, |row| places.category(row, index), &last)
                } else {
                    numbered.push((features.names.len(), index));
                    features.numbers(column, (0..rows).map(|row| places.value(row, index)).collect(), &train)
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
        let matrix = matrix(&features, rows);
        let (subjects, windows_of) = places.windows(part);
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
            layer: InputLayer::default(),
            features: features.names,
            groups,
            rows: matrix,
            windows: windows_of,
            subjects,
            environments: places.environments(),
            shared_validation: false,
            notices: features.notices,
        };
        dataset.check_classes(0.0)?;
        checks.push(crate::audit::subjects_in_one_part(&dataset)?);
        Ok(Audited {
            dataset,
            encodings: features.encodings,
            checks,
        })
    }
}

/// What a dataset is called: its folder.
fn name(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.into());
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// `[row, feature]`.
fn matrix(features: &Features, rows: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, features.names.len()), |(row, column)| {
        features.columns[column][row]
    })
}
