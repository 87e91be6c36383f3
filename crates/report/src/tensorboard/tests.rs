//! Bytes that the Python package `tensorboard` 2.21 writes for the same events, and what happens in folders.

use super::*;
use crate::{
    Scalar,
    exported::tests::{at, run},
};

fn one(name: &str, step: i64, value: f64) -> Scalar {
    Scalar {
        name: name.into(),
        step,
        time: at(1_700_000_000_500),
        value,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn recorded(message: &Message) -> String {
    let mut out = Vec::new();
    record(&mut out, message);
    hex(&out)
}

/// The events of a file, without their frames; fails where a length does not fit.
fn messages(file: &[u8]) -> Vec<&[u8]> {
    let mut rest = file;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        found.push(&rest[12..12 + length]);
        rest = &rest[12 + length + 4..];
    }
    found
}

#[test]
fn events_are_those_of_the_python_package() {
    let time = at(1_700_000_000_500);
    let check = |message: Message, expected: &str| assert_eq!(recorded(&message), expected);
    check(
        event(time, 0).bytes(3, b"brain.Event:2"),
        "1800000000000000a37f4b220900002040fc54d9411a0d627261696e2e4576656e743a322b353110",
    );
    check(
        scalar(time, 300, "test/roc_auc", 0.75),
        "2300000000000000b09f77430900002040fc54d94110ac022a150a130a0c746573742f726f635f617563150000403fa89bb9e2",
    );
    check(
        text(time, "config", "hello"),
        "3200000000000000241956ec0900002040fc54d9412a270a250a06636f6e666967420f0807120412020801420568656c6c6f\
         4a0a0a060a04746578742002039a6dfc",
    );
    check(
        session_start(&run(Vec::new())),
        "8500000000000000e98acc590900002040fc54d9412a7a0a780a1c5f68706172616d735f2f73657373696f6e5f7374617274\
         5f696e666f42060801120212004a500a4c0a0768706172616d7312411a3f0a130a0665706f63687312091100000000000008\
         400a0a0a0466617374120220000a100a056d6f64656c12071a0567617465642201672900002040fc54d941200268b02ede",
    );
    let mut minute = run(Vec::new());
    minute.ended = at(1_700_000_060_000);
    check(
        session_end(&minute),
        "4f000000000000006c474f93090000004ffc54d9412a440a420a1a5f68706172616d735f2f73657373696f6e5f656e645f69\
         6e666f42060801120212004a1c0a180a0768706172616d73120d220b0801110000004ffc54d9412002270c7531",
    );
}

#[test]
fn a_file_holds_every_finite_number_and_the_same_bytes_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let scalars = vec![
        one("epoch/loss", 1, 0.5),
        one("epoch/loss", 2, 0.25),
        one("gap", 0, 0.125),
        // No 32-bit number.
        one("gap/high", 0, 1e300),
    ];
    let run = run(scalars);
    let written = export_tensorboard(folder.path(), &run).unwrap();
    assert_eq!(
        written,
        [folder
            .path()
            .join("events.out.tfevents.1700000000.a-machine.disentangle")]
    );
    let content = fs::read(&written[0]).unwrap();
    let found = messages(&content);
    // Version, configuration, session, three scalars, session.
    assert_eq!(found.len(), 7);
    let has = |message: &[u8], part: &[u8]| message.windows(part.len()).any(|window| window == part);
    assert!(has(found[1], b"```\nepochs = 3\n"));
    for (message, (name, value)) in
        found[3..6]
            .iter()
            .zip([("epoch/loss", 0.5_f32), ("epoch/loss", 0.25), ("gap", 0.125)])
    {
        assert!(
            has(message, name.as_bytes()) && message.ends_with(&value.to_le_bytes()),
            "{name}"
        );
    }
    assert_eq!(export_tensorboard(folder.path(), &run).unwrap(), written);
    assert_eq!(fs::read(&written[0]).unwrap(), content);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn seeds_have_folders_and_the_run_over_seeds_is_no_session() {
    let folder = tempfile::tempdir().unwrap();
    let mut parts = run(vec![one("gap", 0, 0.5)]);
    parts.name = "seed-4".into();
    let mut whole = run(Vec::new());
    whole.parts = vec![parts];
    let written = export_tensorboard(folder.path(), &whole).unwrap();
    assert_eq!(written[1].parent().unwrap(), folder.path().join("seed-4"));
    let sessions = |path: &Path| {
        let content = fs::read(path).unwrap();
        let found = messages(&content);
        let named = |message: &&&[u8]| message.windows(9).any(|window| window == b"_hparams_");
        found.iter().filter(named).count()
    };
    assert_eq!((sessions(&written[0]), sessions(&written[1])), (0, 2));
}

#[test]
fn two_runs_never_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = run(Vec::new());
    export_tensorboard(folder.path(), &first).unwrap();
    let mut later = run(Vec::new());
    later.started = at(1_700_000_100_000);
    let error = export_tensorboard(folder.path(), &later).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "holds the events of another run, events.out.tfevents.1700000000.a-machine.disentangle; \
             expected a folder that is empty or does not exist"
        ),
        "{error}"
    );
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = export_tensorboard(&file, &first).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{}: cannot be written: ", file.display())),
        "{error}"
    );
}
