use std::path::{Path, PathBuf};

use polars::prelude::*;
use serde_json::Value;

use super::{
    dataset::Audited,
    events::{Reading, stream},
    task::{MedsTask, Over, Span},
    window::{Recipe, STATIC, Seen, Windower, changed_by_the_future},
    *,
};
use crate::{DataError, Role, Seed, Split, write_frame};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

/// What pandas made of the same events (`tests/fixtures/make_meds.py`).
fn reference() -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixtures().join("meds.json")).unwrap()).unwrap()
}

fn task() -> MedsTask {
    MedsTask::read(&fixtures().join("meds/task.toml")).unwrap()
}

#[test]
fn windows_agree_with_pandas() {
    let (folder, task, expected) = (fixtures().join("meds"), task(), reference());
    let mut samples = labels::read_labels(&folder.join(&task.labels)).unwrap();
    labels::add_shortcut(&mut samples, &folder.join(task.shortcut.as_ref().unwrap())).unwrap();
    let parts = labels::read_splits(&folder.join("metadata/subject_splits.parquet")).unwrap();
    let mut windower = Windower::new(&task, samples);
    assert!(Windower::needs_texts(&task));
    let reading = Reading {
        texts: true,
        strict: true,
    };
    stream(&folder, reading, &mut |event| windower.event(event)).unwrap();
    let found = windower.finish().unwrap();
    let names: Vec<&str> = task.columns().map(|(_, name, _)| name).collect();
    let expected_names: Vec<&str> = expected["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, expected_names);
    let samples = expected["samples"].as_array().unwrap();
    assert_eq!(found.samples.len(), samples.len());
    let mut compared = 0;
    for wanted in samples {
        let time = wanted["prediction_time"].as_str().unwrap();
        let time = chrono::NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H:%M:%S%.f").unwrap();
        let key = (wanted["subject"].as_i64().unwrap(), time.and_utc().timestamp_micros());
        let place = found.samples.iter().position(|s| (s.subject, s.time) == key).unwrap();
        let sample = &found.samples[place];
        assert_eq!(f64::from(sample.label), wanted["label"].as_f64().unwrap());
        assert_eq!(sample.shortcut.map(f64::from), wanted["shortcut"].as_f64());
        let environment = &found.environments.names[found.environment_of[place] as usize];
        assert_eq!(environment, wanted["environment"].as_str().unwrap_or("missing"));
        let split = match wanted["split"].as_str().unwrap() {
            "train" => Split::Train,
            "tuning" => Split::Validation,
            _ => Split::Test,
        };
        assert_eq!(parts[&sample.subject], split);
        for (column, name) in names.iter().enumerate() {
            for position in 0..4 {
                let value = found.values[(place * 4 + position) * names.len() + column];
                let wanted = &wanted["values"][name][position];
                let what = format!("{key:?} {name} {position}: {value}, expected {wanted}");
                match wanted {
                    Value::Null => assert!(value.is_nan(), "{what}"),
                    Value::String(text) => {
                        assert_eq!(&found.categories[column].names[value as usize], text, "{what}");
                    }
                    number => assert_eq!(f64::from(value), number.as_f64().unwrap(), "{what}"),
                }
                compared += 1;
            }
        }
    }
    assert_eq!(compared, samples.len() * 4 * 15);
    assert!(found.recomputed >= 24);
}

#[test]
fn the_fixture_becomes_a_dataset() {
    let Audited { dataset, checks, .. } = task().dataset(&fixtures().join("meds"), false, Seed::new(0)).unwrap();
    assert_eq!(checks.len(), 4);
    assert_eq!((dataset.lookback, dataset.subjects.len()), (4, 12));
    assert_eq!(dataset.group("admin").unwrap().role, Role::Spurious);
    let unseen = dataset
        .notices
        .iter()
        .any(|notice| notice.contains("`insurance`") && notice.contains("training never saw"));
    assert!(unseen, "{:?}", dataset.notices);
    let times: Vec<_> = dataset.windows.iter().map(|window| window.time).collect();
    assert!(times.is_sorted());
    let contents = validate(&fixtures().join("meds")).unwrap();
    assert_eq!(
        (contents.files, contents.events, contents.subjects, contents.codes.len()),
        (2, 326, 14, 31)
    );
    assert_eq!(contents.labels.len(), 1);
}

#[test]
fn a_recipe_that_looks_ahead_is_caught() {
    let recipe = Recipe {
        value: Aggregate::Last,
        over: None,
    };
    let seen = |time: i64, number: f32| Seen {
        time,
        number,
        category: 0,
    };
    let events = vec![vec![seen(STATIC, 1.0), seen(10, 2.0), seen(20, 3.0)]];
    let honest = |events: &[Vec<Seen>]| vec![recipe.at(&events[0], 15)];
    let peeking = |events: &[Vec<Seen>]| vec![recipe.at(&events[0], 16)];
    assert_eq!(honest(&events), [2.0]);
    assert_eq!(changed_by_the_future(&events, 15, &honest(&events), honest), None);
    assert_eq!(changed_by_the_future(&events, 15, &peeking(&events), peeking), Some(0));
}

#[test]
fn lengths_of_time() {
    for text in ["30m", "12h", "7d", "90m"] {
        assert_eq!(Span::try_from(text.to_string()).unwrap().to_string(), text);
    }
    assert_eq!(Span::try_from("48h".to_string()).unwrap().to_string(), "2d");
    assert_eq!(Over::try_from("ever".to_string()), Ok(Over::Ever));
    assert_eq!(Span::hours(36).to_string(), "36h");
    for text in ["", "h", "12", "0h", "1.5h", "-1d", "12 h", "1é", "99999999999d"] {
        assert!(Span::try_from(text.to_string()).is_err(), "{text}");
    }
}

#[test]
fn tasks_that_cannot_be_used() {
    let good = std::fs::read_to_string(fixtures().join("meds/task.toml")).unwrap();
    let check = |from: &str, to: &str, expected: &str| {
        assert!(good.contains(from), "{from}");
        let error = MedsTask::parse(Path::new("task.toml"), &good.replace(from, to))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("task.toml: ") && error.contains(expected), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    };
    check("lookback = 4", "lokback = 4", "line 3: unknown field `lokback`");
    check("lookback = 4", "lokback = 4", "did you mean `lookback`?");
    check(
        "lookback = 4",
        "lookback = 0",
        "`lookback = 0` cannot be used; expected 1 to 1000",
    );
    check("lookback = 4", "lookback = \"4\"", "line 3: invalid type: string");
    check("step = \"12h\"", "step = \"12x\"", "line 4: `12x` is no length of time");
    check("step = \"12h\"", "step = 12", "line 4: ");
    check(
        "environment = \"HOSPITAL//*\"",
        "environment = \"HOSPITAL\"",
        "expected a code that ends in `*`",
    );
    check("value = \"last\" }", "value = \"latest\" }", "did you mean `last`?");
    check("role = \"genuine\"", "role = \"geniune\"", "did you mean `genuine`?");
    check("code = \"PAIN\"", "code = 3", "expected a code or a list of codes");
    check("code = \"PAIN\"", "code = \"*\"", "`pain`: expected at least one code");
    check("code = \"PAIN\"", "code = []", "`pain`: expected at least one code");
    check(
        "pain = {",
        "insurance = {",
        "column `insurance` stands in [groups.admin] and in [groups.clinical]",
    );
    check("labels = \"labels/outcome.parquet\"", "", "missing field `labels`");
    check("over = \"7d\"", "over = \"always\"", "or `ever`");
}

#[test]
fn a_task_needs_groups_with_columns() {
    for (text, expected) in [
        (
            "labels = \"l\"\ngroups = {}\n",
            "has no feature groups; expected at least one [groups.NAME]",
        ),
        (
            "labels = \"l\"\n[groups.a.columns]\n",
            "[groups.a.columns] is empty; expected at least one column",
        ),
        (
            "labels = \"l\"\nparts = { train = 0.9, validation = 0.2, test = 0.1 }\n[groups.a]\ncolumns.x = { code = \"X\", value = \"count\" }\n",
            "expected three shares above 0 that add up to 1",
        ),
    ] {
        let error = MedsTask::parse(Path::new("task.toml"), text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    // A task survives being written.
    let text = toml::to_string(&task()).unwrap();
    assert_eq!(MedsTask::parse(Path::new("task.toml"), &text).unwrap(), task());
    assert_eq!(task().environment_kind().as_deref(), Some("hospital"));
}

/// A small good dataset in a new folder, of which a test changes something.
struct Ward {
    folder: tempfile::TempDir,
}

fn times(name: &str, hours: &[i64]) -> Column {
    let micros: Vec<i64> = hours.iter().map(|hour| hour * 3_600_000_000).collect();
    let of = DataType::Datetime(TimeUnit::Microseconds, None);
    Series::new(name.into(), micros).cast(&of).unwrap().into_column()
}

/// Forty subjects with a pulse each hour from 1 to 5, predicted at hour 4; odd ones have the outcome. Every fourth is tuned on, every fifth held out.
impl Ward {
    fn new() -> Self {
        let ward = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for part in ["data", "metadata", "labels"] {
            std::fs::create_dir(ward.folder.path().join(part)).unwrap();
        }
        ward.write("data/0.parquet", Ward::events());
        ward.write("labels/outcome.parquet", Ward::labels());
        let subjects: Vec<i64> = (0..40).collect();
        let splits: Vec<&str> = (0..40)
            .map(|subject| ["train", "train", "tuning", "held_out", "train"][subject / 2 % 5])
            .collect();
        let frame = vec![
            Column::new("subject_id".into(), subjects),
            Column::new("split".into(), splits),
        ];
        ward.write("metadata/subject_splits.parquet", frame);
        ward.write(
            "metadata/codes.parquet",
            vec![Column::new("code".into(), ["PULSE", "SEX//F"])],
        );
        std::fs::write(ward.folder.path().join("metadata/dataset.json"), "{}").unwrap();
        ward
    }

    fn events() -> Vec<Column> {
        let rows = || (0..40i64).flat_map(|subject| (1..=5i64).map(move |hour| (subject, hour)));
        let numbers: Vec<Option<f32>> = rows()
            .map(|(s, h)| Some(60.0 + ((s * 7 + h * 3) % 11) as f32))
            .collect();
        vec![
            Column::new("subject_id".into(), rows().map(|row| row.0).collect::<Vec<_>>()),
            times("time", &rows().map(|row| row.1).collect::<Vec<_>>()),
            Column::new("code".into(), vec!["PULSE"; 200]),
            Column::new("numeric_value".into(), numbers),
        ]
    }

    fn labels() -> Vec<Column> {
        vec![
            Column::new("subject_id".into(), (0..40i64).collect::<Vec<_>>()),
            times("prediction_time", &[4; 40]),
            Column::new("boolean_value".into(), (0..40).map(|s| s % 2 == 1).collect::<Vec<_>>()),
        ]
    }

    fn write(&self, file: &str, columns: Vec<Column>) {
        let mut frame = DataFrame::new_infer_height(columns).unwrap();
        write_frame(&self.folder.path().join(file), &mut frame).unwrap();
    }

    fn read(&self, change: impl FnOnce(&mut String)) -> Result<Audited, DataError> {
        let mut text = String::from(
            "labels = \"labels\"\nlookback = 2\nstep = \"1h\"\n[groups.vitals]\ncolumns.pulse = { code = \"PULSE\", value = \"last\" }\n",
        );
        change(&mut text);
        MedsTask::parse(Path::new("task.toml"), &text)?.dataset(self.folder.path(), false, Seed::new(0))
    }

    fn fails(&self, expected: &str) {
        self.fails_for(|_| {}, expected);
    }

    fn fails_for(&self, change: impl FnOnce(&mut String), expected: &str) {
        let error = self.read(change).unwrap_err().to_string();
        let shown = error.replace(&self.folder.path().display().to_string(), "DIR");
        assert!(shown.contains(expected), "{shown}\nexpected {expected}");
        assert_eq!(shown.lines().count(), 1, "{shown}");
    }
}

/// Events with one column replaced.
fn with(mut columns: Vec<Column>, column: Column) -> Vec<Column> {
    let place = columns.iter().position(|known| known.name() == column.name());
    match place {
        Some(place) => columns[place] = column,
        None => columns.push(column),
    }
    columns
}

#[test]
fn a_small_dataset_is_read() {
    let ward = Ward::new();
    let dataset = ward.read(|_| {}).unwrap().dataset;
    assert_eq!((dataset.windows.len(), dataset.features.len()), (40, 1));
    assert_eq!(dataset.rows[[0, 0]], 60.0 + 9.0);
    // Hours 3 and 4 of the 24 training subjects.
    assert!((dataset.scaler.mean[0] - 3134.0 / 48.0).abs() < 1e-9);
    assert!((dataset.scaler.scale[0] - 23804f64.sqrt() / 48.0).abs() < 1e-9);
    assert_eq!(dataset.scaler.median[0], 65.0);
    // Without splits subjects are drawn; categorical codes, float64 numbers and integer labels are taken too.
    std::fs::remove_file(ward.folder.path().join("metadata/subject_splits.parquet")).unwrap();
    let codes = Categories::global();
    let codes = Series::new("code".into(), vec!["PULSE"; 200])
        .cast(&DataType::from_categories(codes))
        .unwrap();
    let numbers = Ward::events()[3].cast(&DataType::Float64).unwrap();
    ward.write(
        "data/0.parquet",
        with(with(Ward::events(), codes.into_column()), numbers),
    );
    let labels: Vec<Column> = Ward::labels()
        .into_iter()
        .take(2)
        .chain([Column::new(
            "integer_value".into(),
            (0..40i64).map(|s| s % 2).collect::<Vec<_>>(),
        )])
        .collect();
    ward.write("labels/outcome.parquet", labels);
    let again = ward.read(|_| {}).unwrap().dataset;
    assert_eq!(again.rows, dataset.rows);
    assert_eq!(again.part(Split::Train).len(), 24);
    let error = validate(ward.folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("column `numeric_value` is float64; expected float32"),
        "{error}"
    );
}

#[test]
fn events_that_cannot_be_used() {
    let check = |column: Column, expected: &str| {
        let ward = Ward::new();
        ward.write("data/0.parquet", with(Ward::events(), column));
        ward.fails(expected);
    };
    let zoned = |zone: Option<TimeZone>, unit: TimeUnit| {
        let micros = vec![3_600_000_000i64; 200];
        Series::new("time".into(), micros)
            .cast(&DataType::Datetime(unit, zone))
            .unwrap()
            .into_column()
    };
    check(
        zoned(Some(TimeZone::UTC), TimeUnit::Microseconds),
        "DIR/data/0.parquet: cannot be read: column `time` is timestamp[us, time zone UTC]; expected timestamp[us] without a time zone",
    );
    check(
        zoned(None, TimeUnit::Nanoseconds),
        "column `time` is timestamp[ns]; expected timestamp[us]",
    );
    check(
        Column::new("time".into(), vec!["2020-01-01"; 200]),
        "column `time` is string; expected timestamp[us]",
    );
    check(
        Column::new("subject_id".into(), vec!["7"; 200]),
        "column `subject_id` is string; expected int64",
    );
    check(
        Column::new("numeric_value".into(), vec!["7"; 200]),
        "column `numeric_value` is string; expected float32",
    );
    check(
        Column::new("code".into(), vec![7i64; 200]),
        "column `code` is int64; expected string",
    );
    check(
        Column::new("code".into(), vec![None::<&str>; 200]),
        "row 1, column `code`: `` is not a value; it is missing",
    );
    let rows: Vec<i64> = (0..200).map(|row| if row == 7 { 9 } else { row % 5 + 1 }).collect();
    check(
        times("time", &rows),
        "row 9, column `time`: `1970-01-01 04:00:00` is not in order: the event of subject 1 before it is at 1970-01-01 09:00:00",
    );
    let subjects: Vec<i64> = (0..200).map(|row| if row == 199 { 3 } else { row / 5 }).collect();
    check(
        Column::new("subject_id".into(), subjects),
        "row 200, column `subject_id`: `3` is not new here: its rows began before",
    );
    check(
        Column::new("code".into(), vec!["PULSES"; 200]),
        "column `pulse` is missing in every training sample: no event of `PULSE` has a value that it reads; did you mean `PULSES`?",
    );
    check(
        Column::new("numeric_value".into(), vec![None::<f32>; 200]),
        "column `pulse` is missing in every training sample",
    );
    let ward = Ward::new();
    ward.write("data/1.parquet", Ward::events());
    ward.fails("DIR/data/1.parquet: row 1, column `subject_id`: `0` is not new here");
    let ward = Ward::new();
    ward.write(
        "data/0.parquet",
        Ward::events()
            .into_iter()
            .filter(|column| column.name() != "code")
            .collect(),
    );
    ward.fails("column `code` is missing; found: subject_id, time, numeric_value");
    std::fs::write(ward.folder.path().join("data/0.parquet"), "no parquet").unwrap();
    ward.fails("DIR/data/0.parquet: cannot be read");
    std::fs::remove_file(ward.folder.path().join("data/0.parquet")).unwrap();
    ward.fails("DIR/data: cannot be read: holds no Parquet files");
}

#[test]
fn labels_and_splits_that_cannot_be_used() {
    let labels = |column: Column, expected: &str| {
        let ward = Ward::new();
        ward.write("labels/outcome.parquet", with(Ward::labels(), column));
        ward.fails(expected);
    };
    labels(
        times("prediction_time", &[0; 40]),
        "subject 0 is predicted at 1970-01-01 00:00:00, before its first event at 1970-01-01 01:00:00",
    );
    labels(
        Column::new("subject_id".into(), (1..41i64).collect::<Vec<_>>()),
        "says nothing of subject 40",
    );
    labels(
        Column::new("boolean_value".into(), vec![None::<bool>; 40]),
        "row 1, column `boolean_value`: `` is not a binary label",
    );
    labels(
        Column::new("subject_id".into(), vec![3i64; 40]),
        "subject 3 has two labels at 1970-01-01 04:00:00",
    );
    labels(
        Column::new("boolean_value".into(), vec![true; 40]),
        "expected both classes",
    );
    let ward = Ward::new();
    let three: Vec<i64> = (0..40).map(|s| s % 3).collect();
    let columns = Ward::labels()
        .into_iter()
        .take(2)
        .chain([Column::new("integer_value".into(), three)])
        .collect();
    ward.write("labels/outcome.parquet", columns);
    ward.fails("row 3, column `integer_value`: `2` is not a binary label: true or false, or 0 or 1");
    ward.write("labels/outcome.parquet", Ward::labels().into_iter().take(2).collect());
    ward.fails("column `boolean_value` is missing");
    std::fs::remove_dir_all(ward.folder.path().join("labels")).unwrap();
    ward.fails("DIR/labels: cannot be read");

    let ward = Ward::new();
    let split = |subjects: Vec<i64>, splits: Vec<&str>| {
        vec![
            Column::new("subject_id".into(), subjects),
            Column::new("split".into(), splits),
        ]
    };
    ward.write(
        "metadata/subject_splits.parquet",
        split(vec![0, 1, 0], vec!["train", "train", "held_out"]),
    );
    ward.fails("leakage audit: DIR/metadata/subject_splits.parquet: subject 0 lies in held_out and in another split");
    ward.write("metadata/subject_splits.parquet", split(vec![0], vec!["train"]));
    ward.fails("says nothing of subject 1, who has a label");
    ward.write(
        "metadata/subject_splits.parquet",
        split((0..40).collect(), vec!["train"; 40]),
    );
    ward.fails("0 of 0 validation labels are positive");
}

#[test]
fn a_column_made_from_the_outcome_stops_the_run() {
    let ward = Ward::new();
    let outcome: Vec<Option<f32>> = (0..200).map(|row| Some((row / 5 % 2) as f32)).collect();
    ward.write(
        "data/0.parquet",
        with(Ward::events(), Column::new("numeric_value".into(), outcome)),
    );
    ward.fails("leakage audit: column `pulse` tells the label of all 24 training rows");
}

#[test]
fn metadata_is_validated() {
    let ward = Ward::new();
    assert_eq!(validate(ward.folder.path()).unwrap().events, 200);
    let check = |file: &str, columns: Option<Vec<Column>>, expected: &str| {
        let ward = Ward::new();
        match columns {
            Some(columns) => ward.write(file, columns),
            None => std::fs::write(ward.folder.path().join(file), "[").unwrap(),
        }
        let error = validate(ward.folder.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(
        "metadata/codes.parquet",
        Some(vec![Column::new("code".into(), ["OTHER"])]),
        "says nothing of code `PULSE`",
    );
    check("metadata/dataset.json", None, "dataset.json: cannot be read");
    let splits = vec![
        Column::new("subject_id".into(), [0i64]),
        Column::new("split".into(), ["train"]),
    ];
    check(
        "metadata/subject_splits.parquet",
        Some(splits),
        "says nothing of subject 1",
    );
    let labels = vec![
        Column::new("subject_id".into(), [99i64]),
        times("prediction_time", &[4]),
        Column::new("boolean_value".into(), [true]),
    ];
    check(
        "labels/outcome.parquet",
        Some(labels),
        "subject 99 has a label but no events",
    );
}
