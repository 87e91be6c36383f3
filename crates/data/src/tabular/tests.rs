//! Tables good and bad, and what becomes of their columns.

use std::path::Path;

use super::{Table, TableSchema, propose};
use crate::{DataError, Dataset, Role, Seed, Split, audit};

const SCHEMA: &str = r#"
label = "readmitted"
positive = ["<30"]
subject = "patient"
environment = "hospital"
missing = ["?"]
ignore = ["id"]

[groups.clinical]
role = "genuine"
numeric = ["labs"]
categorical = ["drug"]

[groups.administrative]
numeric = ["days"]
"#;

/// 300 visits of 150 patients in two hospitals.
fn rows() -> Vec<String> {
    let mut rng = Seed::new(1).rng();
    let mut rows = vec!["id,patient,hospital,labs,drug,days,readmitted".to_string()];
    for visit in 0..300 {
        let labs = if visit % 7 == 0 {
            "?".into()
        } else {
            format!("{:.2}", rng.normal())
        };
        let drug = ["None", "Steady", "Up"][visit % 3];
        let days = 1 + rng.below(9);
        let label = ["NO", ">30", "<30"][rng.below(3)];
        rows.push(format!(
            "{visit},P{},H{},{labs},{drug},{days},{label}",
            visit / 2,
            visit % 2
        ));
    }
    rows
}

fn load(schema: &str, rows: &[String], leaks: bool) -> Result<Dataset, DataError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), rows.join("\n") + "\n").unwrap();
    let schema = TableSchema::parse(Path::new("schema.toml"), schema)?;
    let table = Table::read(file.path(), &schema).map_err(|error| rename(error, file.path()))?;
    let dataset = schema.dataset(&table, "visits", leaks, Seed::new(2));
    dataset.map_err(|error| rename(error, file.path()))
}

/// The file's name in messages, whatever it was.
fn rename(error: DataError, path: &Path) -> DataError {
    let text = error.to_string().replace(&path.display().to_string(), "visits.csv");
    DataError::Leak(text)
}

fn changed(from: &str, to: &str) -> String {
    assert!(SCHEMA.contains(from), "{from}");
    SCHEMA.replace(from, to)
}

#[test]
fn columns_become_features_of_their_groups() {
    let dataset = load(SCHEMA, &rows(), false).unwrap();
    let expected = ["days", "labs", "labs is missing", "drug=None", "drug=Steady", "drug=Up"];
    assert_eq!(dataset.features.len(), expected.len());
    assert!(
        expected
            .iter()
            .all(|name| dataset.features.iter().any(|feature| feature == name)),
        "{:?}",
        dataset.features
    );
    let clinical = dataset.group("clinical").unwrap();
    assert_eq!((clinical.role, clinical.columns.len()), (Role::Genuine, 5));
    assert_eq!(dataset.group("administrative").unwrap().role, Role::Unknown);
    assert_eq!(dataset.windows.len(), 300);
    assert_eq!((dataset.subjects.len(), dataset.environments.len()), (150, 2));
    audit::subjects_in_one_part(&dataset).unwrap();
    for (split, share) in [(Split::Train, 0.6), (Split::Validation, 0.2), (Split::Test, 0.2)] {
        assert_eq!(dataset.part(split).len(), (300.0 * share) as usize);
    }
    // Row by row what the file says: window `target` is the file's row.
    let rows = rows();
    for window in &dataset.windows {
        let cells: Vec<&str> = rows[window.target + 1].split(',').collect();
        let value = |name: &str| {
            let column = dataset.features.iter().position(|feature| feature == name).unwrap();
            dataset.rows[[window.start, column]]
        };
        assert_eq!(value("days"), cells[5].parse::<f32>().unwrap());
        assert_eq!(value("labs is missing") > 0.5, cells[3] == "?");
        assert!(value("labs").is_nan() == (cells[3] == "?"));
        assert_eq!(value(&format!("drug={}", cells[4])), 1.0);
        assert_eq!(window.label, f32::from(u8::from(cells[6] == "<30")));
        assert_eq!(dataset.subjects[window.subject as usize], cells[1]);
        assert_eq!(dataset.environments[window.environment as usize], cells[2]);
    }
    // What is missing takes the training median, scaled; every scaled value is a number.
    let inputs = dataset.inputs(&(0..300).collect::<Vec<_>>());
    assert!(inputs.iter().all(|x| x.is_finite()));
    assert_eq!(load(SCHEMA, &rows, false).unwrap().windows, dataset.windows);
}

#[test]
fn rare_and_unseen_categories_share_a_place() {
    let mut rows = rows();
    for row in rows.iter_mut().skip(1).step_by(60) {
        let mut cells: Vec<&str> = row.split(',').collect();
        cells[4] = "Rare";
        *row = cells.join(",");
    }
    let dataset = load(SCHEMA, &rows, false).unwrap();
    assert!(
        dataset.features.contains(&"drug=other".to_string()),
        "{:?}",
        dataset.features
    );
    assert!(!dataset.features.contains(&"drug=Rare".to_string()));
    // A category that occurs on test rows only.
    let plain = load(SCHEMA, &self::rows(), false).unwrap();
    let test = plain
        .windows
        .iter()
        .find(|window| window.split == Split::Test)
        .unwrap()
        .target;
    let mut rows = self::rows();
    let mut cells: Vec<&str> = rows[test + 1].split(',').collect();
    cells[4] = "New";
    rows[test + 1] = cells.join(",");
    let dataset = load(SCHEMA, &rows, false).unwrap();
    assert!(
        dataset
            .notices
            .iter()
            .any(|notice| notice.contains("`drug`: 1 rows outside training hold categories that training never saw"))
    );
}

#[test]
fn windows_and_parts_follow_time() {
    let mut rows = vec!["patient,when,x,y".to_string()];
    let mut rng = Seed::new(3).rng();
    for visit in (0..5).rev() {
        for patient in 0..60 {
            rows.push(format!(
                "P{patient},2020-0{}-01,{:.2},{}",
                visit + 1,
                rng.normal(),
                rng.below(2)
            ));
        }
    }
    let schema =
        "label = \"y\"\nsubject = \"patient\"\ntime = \"when\"\nlookback = 3\n[groups.all]\nnumeric = [\"x\"]\n";
    let dataset = load(schema, &rows, false).unwrap();
    assert_eq!(
        dataset.windows.len(),
        60 * 3,
        "each patient has 5 visits, the first two end no window"
    );
    assert!(dataset.notices[0].starts_with("120 of 300 rows have fewer than 2 rows of their subject before them"));
    for window in &dataset.windows {
        let x = |row: usize| dataset.rows[[row, 0]];
        let cells: Vec<&str> = rows[window.target + 1].split(',').collect();
        assert_eq!(
            x(window.start + 2),
            cells[2].parse::<f32>().unwrap(),
            "the last row is the one whose label is predicted"
        );
        // Rows before it are the same patient's earlier months, found the long way.
        for back in 1..3usize {
            let month: usize = cells[1][5..7].parse().unwrap();
            let wanted = format!("{},2020-0{}-01,", cells[0], month - back);
            let before = rows.iter().find(|row| row.starts_with(&wanted)).unwrap();
            assert_eq!(
                x(window.start + 2 - back),
                before.split(',').nth(2).unwrap().parse::<f32>().unwrap()
            );
        }
    }
    audit::subjects_in_one_part(&dataset).unwrap();

    let schema = "label = \"y\"\ntime = \"when\"\n[groups.all]\nnumeric = [\"x\"]\n";
    let dataset = load(schema, &rows, false).unwrap();
    let span = |split: Split| {
        let times = dataset.part(split).into_iter().map(|row| dataset.windows[row].time);
        (times.clone().min().unwrap(), times.max().unwrap())
    };
    assert!(span(Split::Train).1 < span(Split::Validation).0 && span(Split::Validation).1 < span(Split::Test).0);
}

#[test]
fn schemas_that_cannot_be_used() {
    let check = |schema: &str, expected: &str| {
        let error = TableSchema::parse(Path::new("schema.toml"), schema)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("schema.toml: ") && error.contains(expected),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
    };
    check(
        &changed("label =", "lable ="),
        "line 2: unknown field `lable`, expected one of `label`, ",
    );
    check(
        &changed("role = \"genuine\"", "role = \"cause\""),
        "line 10: unknown variant `cause`, expected one of `genuine`, ",
    );
    check(&changed("missing = [\"?\"]", "missing = 3"), "line 6: invalid type");
    check(&changed("ignore = [\"id\"]", "ignore = [\"id\""), "line ");
    check(
        &changed("ignore = [\"id\"]", "ignore = [\"labs\"]"),
        "column `labs` stands in `ignore` and in [groups.clinical]",
    );
    check(
        &changed("numeric = [\"days\"]", ""),
        "[groups.administrative] has no columns",
    );
    check(
        &changed("ignore =", "lookback = 0\nignore ="),
        "`lookback = 0` cannot be used",
    );
    check(
        &changed("ignore =", "lookback = 3\nignore ="),
        "`lookback = 3` needs to know whose rows follow each other and when",
    );
    check("label = \"y\"\n[groups]\n", "has no feature groups");
    check(
        &changed("[groups.clinical]", "[parts]\ntrain = 0.9\n[groups.clinical]"),
        "[0.9, 0.2, 0.2] cannot be used",
    );
}

#[test]
fn tables_that_cannot_be_used() {
    let check = |schema: &str, change: &dyn Fn(&mut Vec<String>), expected: &str| {
        let mut rows = rows();
        change(&mut rows);
        let error = load(schema, &rows, false).unwrap_err().to_string();
        assert!(error.contains(expected), "expected {expected:?} in {error}");
    };
    let cell = |row: usize, column: usize, value: &'static str| {
        move |rows: &mut Vec<String>| {
            let mut cells: Vec<&str> = rows[row].split(',').collect();
            cells[column] = value;
            rows[row] = cells.join(",");
        }
    };
    let every = |column: usize, value: &'static str| {
        move |rows: &mut Vec<String>| {
            for row in rows.iter_mut().skip(1) {
                let mut cells: Vec<&str> = row.split(',').collect();
                cells[column] = value;
                *row = cells.join(",");
            }
        }
    };
    let none = |_: &mut Vec<String>| {};
    check(
        &changed("\"days\"", "\"dayz\""),
        &none,
        "visits.csv: column `dayz` is missing; found: id, patient, hospital, ",
    );
    check(SCHEMA, &cell(0, 0, "labs"), "column `labs` stands twice in the header");
    check(
        SCHEMA,
        &cell(7, 3, "high"),
        "visits.csv: row 8, column `labs`: `high` is not a number; list it under `categorical`",
    );
    check(
        SCHEMA,
        &cell(7, 3, "1e999"),
        "row 8, column `labs`: `1e999` is not a number",
    );
    check(
        SCHEMA,
        &cell(7, 6, "?"),
        "row 8, column `readmitted`: `` is not a label; it is missing",
    );
    check(&changed("positive = [\"<30\"]", ""), &none, "column `readmitted`: ");
    check(
        &changed("[\"<30\"]", "[\"<31\"]"),
        &none,
        "`positive = <31` cannot be used: expected values that column `readmitted` holds",
    );
    check(
        SCHEMA,
        &|rows| rows[9].push_str(",1"),
        "visits.csv: row 10 has 8 fields, expected 7",
    );
    check(SCHEMA, &every(6, "<30"), "labels are positive; expected both classes");
    check(SCHEMA, &every(3, "?"), "column `labs` is missing in every training row");
    check(SCHEMA, &every(4, "?"), "column `drug` is missing in every training row");
    check(
        SCHEMA,
        &|rows| rows.truncate(1),
        "visits.csv: cannot be read: holds no rows",
    );
    check(
        SCHEMA,
        &|rows| *rows = rows.iter().map(|row| row.replace(',', ";")).collect(),
        "its header is one column; expected columns separated by commas",
    );
    check(
        SCHEMA,
        &|rows| rows[0] = "PK\u{3}\u{4}\u{0}".into(),
        "holds binary data",
    );
    check(
        &changed("subject = \"patient\"", "time = \"hospital\""),
        &none,
        "row 2, column `hospital`: `H0` is not a date",
    );
    check(
        &changed("[\"days\"]", "[\"days\", \"copy\"]"),
        &|rows| {
            for (index, row) in rows.iter_mut().enumerate() {
                let copy = if index == 0 {
                    "copy".into()
                } else {
                    format!("{}", u8::from(row.ends_with("<30")) * 3)
                };
                *row = format!("{copy},{row}");
            }
        },
        "column `copy` tells the label of all 180 training rows: it is made from the outcome",
    );
    check(
        &changed("[\"days\"]", "[\"days\", \"copy\"]"),
        &|rows| {
            for (index, row) in rows.iter_mut().enumerate() {
                let copy = if index == 0 {
                    "copy".into()
                } else {
                    format!("{}", u8::from(!row.ends_with("<30")) * 3)
                };
                *row = format!("{copy},{row}");
            }
        },
        "column `copy` tells the label of all 180 training rows: it is made from the outcome",
    );
}

#[test]
fn parquet_and_gzip_are_the_same_table() {
    use polars::prelude::{Column, DataFrame};
    let folder = tempfile::tempdir().unwrap();
    let text = rows();
    let column = |place: usize| -> Vec<String> {
        text[1..]
            .iter()
            .map(|row| row.split(',').nth(place).unwrap().into())
            .collect()
    };
    let days: Vec<i64> = column(5).iter().map(|day| day.parse().unwrap()).collect();
    let labs: Vec<Option<f64>> = column(3).iter().map(|cell| cell.parse().ok()).collect();
    let mut frame = DataFrame::new_infer_height(vec![
        Column::new("patient".into(), column(1)),
        Column::new("hospital".into(), column(2)),
        Column::new("labs".into(), labs),
        Column::new("drug".into(), column(4)),
        Column::new("days".into(), days),
        Column::new("readmitted".into(), column(6)),
    ])
    .unwrap();
    let path = folder.path().join("visits.parquet");
    crate::write_frame(&path, &mut frame).unwrap();
    let schema = TableSchema::parse(Path::new("s.toml"), SCHEMA).unwrap();
    let table = Table::read(&path, &schema).unwrap();
    let dataset = schema.dataset(&table, "visits", false, Seed::new(2)).unwrap();
    let expected = load(SCHEMA, &text, false).unwrap();
    assert_eq!(dataset.windows, expected.windows);
    let near = dataset
        .rows
        .iter()
        .zip(&expected.rows)
        .all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
    assert!(near && dataset.features == expected.features);

    let gz = folder.path().join("visits.csv.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, text.join("\n").as_bytes()).unwrap();
    std::fs::write(&gz, encoder.finish().unwrap()).unwrap();
    let table = Table::read(&gz, &schema).unwrap();
    let again = schema.dataset(&table, "visits", false, Seed::new(2)).unwrap();
    assert_eq!(again.windows, expected.windows);
    assert_eq!(Table::peek(&gz, 2).unwrap().1.len(), 2);
    assert_eq!(Table::peek(&path, 2).unwrap().0[2], "labs");
}

/// A proposal can be used as it is, and finds whose rows are whose, what is missing and what is only a number of a row.
#[test]
fn proposed_schemas_load() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), rows().join("\n")).unwrap();
    let text = propose(file.path()).unwrap();
    let schema = TableSchema::parse(Path::new("proposed"), &text).unwrap();
    assert_eq!(
        (schema.label.as_str(), schema.subject.as_deref()),
        ("readmitted", Some("patient"))
    );
    assert_eq!(
        (schema.missing, schema.ignore),
        (vec!["?".to_string()], vec!["id".to_string()])
    );
    assert_eq!(schema.groups["numbers"].numeric, ["labs", "days"]);
    assert_eq!(schema.groups["categories"].categorical, ["hospital", "drug"]);
    let counted = |value: &str| rows().iter().filter(|row| row.ends_with(&format!(",{value}"))).count();
    let rarest = ["NO", ">30", "<30"]
        .into_iter()
        .min_by_key(|value| counted(value))
        .unwrap();
    assert_eq!(schema.positive, [rarest]);
    assert_eq!(load(&text, &rows(), false).unwrap().windows.len(), 300);

    let visits = "who,when,x,y\n\"a \"\"b\"\"\",2020-01-01,1.5,0\nc,2020-01-02,2.5,1\n";
    std::fs::write(file.path(), visits).unwrap();
    let schema = TableSchema::parse(Path::new("proposed"), &propose(file.path()).unwrap()).unwrap();
    assert_eq!(
        (schema.label.as_str(), schema.time.as_deref(), schema.positive.len()),
        ("y", Some("when"), 0)
    );
    std::fs::write(file.path(), "a,b\n1,2\n").unwrap();
    assert!(
        propose(file.path())
            .unwrap_err()
            .to_string()
            .contains("holds 2 columns and 1 rows, expected a table")
    );
}

/// Whatever stands in the other parts: neither means nor medians change.
#[test]
fn the_scaler_is_fitted_on_training_rows() {
    let mut rows = rows();
    let header = rows.remove(0);
    // The two visits of a patient do not stand together, so that rows are stored in another order than the file's.
    let visits = rows.iter().step_by(2).chain(rows.iter().skip(1).step_by(2));
    let mut apart: Vec<String> = std::iter::once(&header).chain(visits).cloned().collect();
    let clean = load(SCHEMA, &apart, false).unwrap();
    for window in clean.windows.iter().filter(|window| window.split != Split::Train) {
        let mut cells: Vec<&str> = apart[window.target + 1].split(',').collect();
        cells[5] = "1000";
        apart[window.target + 1] = cells.join(",");
    }
    let poisoned = load(SCHEMA, &apart, false).unwrap();
    let inputs = poisoned.inputs(&poisoned.part(Split::Test));
    assert!(inputs.iter().any(|x| *x > 100.0), "test rows were changed");
    assert_eq!(poisoned.scaler, clean.scaler);
}

/// Seven months of 40 rows: 0.6 and 0.8 of 280 rows, 168 and 224, lie within the fifth and the sixth month.
#[test]
fn rows_of_one_time_lie_in_one_part() {
    let mut rng = Seed::new(4).rng();
    let mut rows = vec!["when,x,y".to_string()];
    for row in 0..280 {
        // Months take turns, so that the file's order is not that of time.
        rows.push(format!("2020-0{}-01,{:.2},{}", 1 + row % 7, rng.normal(), rng.below(2)));
    }
    let schema = "label = \"y\"\ntime = \"when\"\n[groups.all]\nnumeric = [\"x\"]\n";
    let dataset = load(schema, &rows, false).unwrap();
    for (split, months) in [(Split::Train, 1..6), (Split::Validation, 6..7), (Split::Test, 7..8)] {
        let part = dataset.part(split);
        assert_eq!(part.len(), 40 * months.len(), "{split:?}");
        for window in part {
            let month = &rows[dataset.windows[window].target + 1][5..7];
            assert!(months.contains(&month.parse::<usize>().unwrap()), "{split:?}: {month}");
        }
    }
}
