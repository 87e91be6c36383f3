//! The exporter against a server on this machine that answers as MLflow does.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use super::*;
use crate::exported::tests::{at, run};

#[derive(Clone, Debug)]
struct Request {
    /// Method and path with its query.
    line: String,
    authorization: String,
    body: Vec<u8>,
}

impl Request {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Clone)]
struct Requests(Arc<Mutex<Vec<Request>>>);

impl Requests {
    fn all(&self) -> Vec<Request> {
        self.0.lock().unwrap().clone()
    }

    /// What was asked, without what is common to all.
    fn lines(&self) -> Vec<String> {
        let short = |request: Request| request.line.replace("/api/2.0/mlflow/", "/");
        self.all().into_iter().map(short).collect()
    }

    /// Bodies of what was sent to an endpoint.
    fn to(&self, endpoint: &str) -> Vec<Value> {
        let sent = self
            .all()
            .into_iter()
            .filter(|request| request.line.ends_with(endpoint));
        sent.map(|request| request.json()).collect()
    }
}

type Answer = (u16, String);

/// Serves until the process ends, one connection after the other; returns the address and what was asked.
fn serve(mut answer: impl FnMut(&Request) -> Answer + Send + 'static) -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests = Requests(Arc::default());
    let seen = requests.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Some(request) = read(&stream) else {
                continue;
            };
            let (status, body) = answer(&request);
            seen.0.lock().unwrap().push(request);
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = (&stream).write_all(format!("{head}{body}").as_bytes());
        }
    });
    (address, requests)
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_string()),
        }
    }
    let header = |name: &str| {
        let found = head[1..].iter().filter_map(|line| line.split_once(": "));
        let mut found = found.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.to_string())
    };
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        line: head[0].trim_end_matches(" HTTP/1.1").into(),
        authorization: header("authorization").unwrap_or_default(),
        body,
    })
}

const ABSENT: &str = r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"Could not find experiment"}"#;
const STORE: &str = "mlflow-artifacts:/7/r1/artifacts";

fn info(id: &str, artifact_uri: &str) -> String {
    json!({"info": {"run_id": id, "artifact_uri": artifact_uri}}).to_string()
}

/// A server that remembers the ids of its runs, in the order of their creation.
fn mlflow(artifact_uri: &'static str) -> impl FnMut(&Request) -> Answer + Send {
    let mut created: Vec<String> = Vec::new();
    let mut has_experiment = false;
    move |request| {
        let said = match request.line.split_once("/api/2.0/").map_or("", |(_, path)| path) {
            path if path.starts_with("mlflow/experiments/get-by-name?") => match has_experiment {
                true => r#"{"experiment":{"experiment_id":"7","lifecycle_stage":"active"}}"#.into(),
                false => return (404, ABSENT.into()),
            },
            "mlflow/experiments/create" => {
                has_experiment = true;
                r#"{"experiment_id":"7"}"#.into()
            }
            "mlflow/runs/search" => {
                let filter = request.json()["filter"].as_str().unwrap().to_string();
                match created.iter().position(|id| filter.contains(&format!("= '{id}'"))) {
                    Some(place) => format!("{{\"runs\":[{}]}}", info(&format!("r{}", place + 1), artifact_uri)),
                    None => "{}".into(),
                }
            }
            "mlflow/runs/create" => {
                let tags = request.json()["tags"].clone();
                assert_eq!(tags[0]["key"], "disentangle.run");
                created.push(tags[0]["value"].as_str().unwrap().into());
                format!("{{\"run\":{}}}", info(&format!("r{}", created.len()), artifact_uri))
            }
            "mlflow/runs/log-batch" | "mlflow/runs/update" => "{}".into(),
            path if path.starts_with("mlflow-artifacts/artifacts/") && request.line.starts_with("PUT ") => "{}".into(),
            path => panic!("MLflow has no `{path}`"),
        };
        (200, said)
    }
}

fn open(address: &str) -> Result<Mlflow, ReportError> {
    Mlflow::on(
        Server::new(address, Access::Open, Duration::from_millis(1))?,
        "an experiment",
    )
}

fn scalar(name: &str, step: i64, value: f64) -> Scalar {
    Scalar {
        name: name.into(),
        step,
        time: at(1_700_000_001_000),
        value,
    }
}

#[test]
fn a_run_arrives_with_all_that_it_has_and_only_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("figures")).unwrap();
    for name in ["report.html", "metrics.json", "figures/b.svg", "figures/a.png"] {
        fs::write(folder.path().join(name), format!("content of {name}")).unwrap();
    }
    let mut run = run(vec![scalar("epoch/loss", 2, 0.1), scalar("gap/window=7", 0, 1e-9)]);
    run.folder = folder.path().into();
    run.tags.insert("git_revision".into(), "abc".into());
    let (address, requests) = serve(mlflow(STORE));
    let server = open(&address).unwrap();
    let recorded = server.export(&run).unwrap();
    assert_eq!(recorded.link, format!("{address}/#/experiments/7/runs/r1"));
    assert_eq!(recorded.notes, Vec::<String>::new());
    let store = "PUT /api/2.0/mlflow-artifacts/artifacts/7/r1/artifacts";
    let written = [
        "POST /runs/log-batch".to_string(),
        "POST /runs/log-batch".into(),
        "POST /runs/log-batch".into(),
        format!("{store}/report.html"),
        format!("{store}/metrics.json"),
        format!("{store}/figures/a.png"),
        format!("{store}/figures/b.svg"),
        "POST /runs/update".into(),
    ];
    let mut expected = vec![
        "GET /experiments/get-by-name?experiment_name=an+experiment".to_string(),
        "POST /experiments/create".into(),
        "POST /runs/search".into(),
        "POST /runs/create".into(),
    ];
    expected.extend(written.iter().cloned());
    assert_eq!(requests.lines(), expected);

    let tag = |key: &str, value: &str| json!({"key": key, "value": value});
    let create = json!({
        "experiment_id": "7",
        "run_name": "the-run",
        "start_time": 1_700_000_000_500_u64,
        "tags": [tag("disentangle.run", "0123456789abcdef")],
    });
    assert_eq!(requests.to("/runs/create"), [create]);
    let batches = requests.to("/log-batch");
    let tags = json!({"run_id": "r1", "tags": [
        tag("disentangle.git_revision", "abc"),
        tag("disentangle.version", "0.1.0"),
        tag("disentangle.run", "0123456789abcdef"),
        tag("mlflow.source.name", "disentangle"),
        tag("mlflow.source.type", "LOCAL"),
        tag("mlflow.source.git.commit", "abc"),
    ]});
    let params = json!({"run_id": "r1", "params": [tag("epochs", "3"), tag("fast", "false"), tag("model", "gated")]});
    let metrics = json!({"run_id": "r1", "metrics": [
        {"key": "epoch/loss", "value": 0.1, "timestamp": 1_700_000_001_000_u64, "step": 2},
        {"key": "gap/window_7", "value": 1e-9, "timestamp": 1_700_000_001_000_u64, "step": 0},
    ]});
    assert_eq!(batches, [tags, params, metrics]);
    let update = json!({
        "run_id": "r1", "status": "FINISHED", "end_time": 1_700_000_030_000_u64, "run_name": "the-run",
    });
    assert_eq!(requests.to("/runs/update"), [update]);
    for request in requests.all().iter().filter(|request| request.line.starts_with("PUT")) {
        let name = request.line.split_once("r1/artifacts/").unwrap().1;
        assert_eq!(request.body, format!("content of {name}").as_bytes());
    }

    // Once more: the run is found, and everything is sent to it again.
    let before = requests.lines().len();
    assert_eq!(open(&address).unwrap().export(&run).unwrap(), recorded);
    let mut again = vec![
        "GET /experiments/get-by-name?experiment_name=an+experiment".to_string(),
        "POST /runs/search".into(),
    ];
    again.extend(written);
    assert_eq!(requests.lines()[before..], again);
}

#[test]
fn seeds_are_runs_below_the_whole() {
    let mut whole = run(Vec::new());
    let mut seed = run(Vec::new());
    (seed.name, seed.id) = ("seed-3".into(), "other".into());
    whole.parts = vec![seed];
    let (address, requests) = serve(mlflow(STORE));
    open(&address).unwrap().export(&whole).unwrap();
    let created = requests.to("/runs/create");
    let parents: Vec<&Value> = created.iter().map(|run| &run["tags"][1]["value"]).collect();
    assert_eq!(parents, [&Value::Null, &Value::from("r1")]);
    assert_eq!(created[1]["tags"][1]["key"], "mlflow.parentRunId");
    assert_eq!(created[1]["run_name"], "seed-3");
}

#[test]
fn requests_keep_to_the_limits() {
    let mut run = run((0..2001).map(|step| scalar("epoch/loss", step, 1.0)).collect());
    run.parameters = (0..150)
        .map(|index| (format!("p{index:03}"), Value::from(index)))
        .collect();
    run.parameters.insert("long".into(), "ä".repeat(6001).into());
    let (address, requests) = serve(mlflow("file:/stores/7/r1/artifacts"));
    let recorded = open(&address).unwrap().export(&run).unwrap();
    let batches = requests.to("/log-batch");
    let sizes = |kind: &str| -> Vec<usize> {
        let of = batches.iter().filter_map(|batch| batch[kind].as_array());
        of.map(Vec::len).collect()
    };
    assert_eq!(sizes("params"), [100, 51]);
    assert_eq!(sizes("metrics"), [1000, 1000, 1]);
    let long = &batches[1]["params"][0];
    assert_eq!(long["key"], "long");
    assert_eq!(long["value"].as_str().unwrap(), "ä".repeat(6000));
    assert_eq!(
        recorded.notes,
        [
            "parameter `long` was cut to the 6000 characters that MLflow takes",
            "report and figures stay in the run's folder: the server's artifacts lie at file:/stores/7/, which it \
             does not serve",
        ]
    );
    assert!(requests.lines().iter().all(|line| !line.starts_with("PUT")));
}

#[test]
fn artifacts_go_to_the_server_itself_only() {
    let check = |base: &str, uri: &str, expected: Option<&str>| {
        let server = Server::new(base, Access::Open, PAUSE).unwrap();
        assert_eq!(server.stored_at(uri).as_deref(), expected, "{base} {uri}");
    };
    let base = "http://tracking.example:5000";
    check(base, "mlflow-artifacts:/7/r/artifacts", Some("7/r/artifacts"));
    check(base, "mlflow-artifacts://tracking.example:5000/7/r", Some("7/r"));
    check(base, "mlflow-artifacts://tracking.example/7/r", Some("7/r"));
    check(base, "mlflow-artifacts://tracking.example:5001/7/r", None);
    check(base, "mlflow-artifacts://elsewhere.example:5000/7/r", None);
    check(base, "file:///stores/7/r/artifacts", None);
    check(base, "s3://bucket/7/r/artifacts", None);
    check(base, "/stores/7", None);
}

/// The exporter's error where requests are answered so, one after the other and then always the last; `SERVER` stands
/// for the address.
fn refused(answers: &'static [(u16, &'static str)]) -> (String, Requests) {
    let mut next = 0_usize;
    let (address, requests) = serve(move |_| {
        let (status, body) = answers[next.min(answers.len() - 1)];
        next += 1;
        (status, body.into())
    });
    let error = open(&address).map(|_| ()).unwrap_err().to_string();
    (error.replace(&address, "SERVER"), requests)
}

#[test]
fn refusals_are_sentences() {
    let check = |answers: &'static [(u16, &'static str)], asked: usize, expected: &str| {
        let (error, requests) = refused(answers);
        assert_eq!((error.as_str(), requests.lines().len()), (expected, asked));
    };
    let name = "experiments/get-by-name";
    check(
        &[(
            400,
            r#"{"error_code":"INVALID_PARAMETER_VALUE","message":"Invalid value\nfor parameter 'x'."}"#,
        )],
        1,
        &format!("SERVER: MLflow refused `{name}` (400): Invalid value for parameter 'x'"),
    );
    check(
        &[(403, "You are not authenticated.")],
        1,
        &format!("SERVER: `{name}` was answered with status 403: You are not authenticated"),
    );
    check(
        &[(404, "<html>nothing here</html>")],
        1,
        &format!("SERVER: `{name}` was answered with status 404; expected an MLflow tracking server"),
    );
    check(
        &[(200, "<html>welcome</html>")],
        1,
        &format!("SERVER: `{name}` was answered with something other than JSON; expected an MLflow tracking server"),
    );
    check(
        &[(200, "{}")],
        1,
        "SERVER: an experiment without `experiment_id`; expected an MLflow tracking server",
    );
    check(
        &[(
            200,
            r#"{"experiment":{"experiment_id":"7","lifecycle_stage":"deleted"}}"#,
        )],
        1,
        "SERVER: experiment `an experiment` is deleted; restore it, or name another one with `--experiment-name`",
    );
    check(
        &[(
            503,
            r#"{"error_code":"TEMPORARILY_UNAVAILABLE","message":"database is locked"}"#,
        )],
        4,
        &format!("SERVER: MLflow refused `{name}` (503): database is locked, also after 4 requests; try again later"),
    );
    check(
        &[(500, ""), (429, "slow down"), (404, "no")],
        3,
        &format!("SERVER: `{name}` was answered with status 404: no"),
    );
}

#[test]
fn an_address_without_a_server_is_a_sentence() {
    // The port is free again, and nobody listens.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = open(&format!("http://{address}")).map(|_| ()).unwrap_err().to_string();
    let expected = format!("http://{address}: no answer at `experiments/get-by-name`: ");
    assert!(error.starts_with(&expected), "{error}");
    assert!(error.ends_with(", also after 4 requests; try again later"), "{error}");

    let check = |uri: &str, shown: &str| {
        let expected = "expected the http or https address of an MLflow tracking server, for example \
                        http://127.0.0.1:5000";
        let error = check_mlflow_uri(uri).unwrap_err().to_string();
        assert_eq!(error, format!("{shown}: {expected}"));
    };
    check("sqlite:///mlflow.db", "sqlite:///mlflow.db");
    check("localhost:5000", "localhost:5000");
    check("databricks", "databricks");
    check("postgresql://me:secret@host/db", "host/db");
    check_mlflow_uri("https://host/mlflow/#/experiments/1").unwrap();
}

#[test]
fn what_fails_for_a_moment_is_asked_again() {
    let mut server = mlflow(STORE);
    let mut seen = HashSet::new();
    let (address, requests) = serve(move |request| {
        // Everything fails the first time; a run is created all the same.
        if !seen.insert(request.line.clone()) {
            return server(request);
        }
        if request.line.ends_with("/runs/create") {
            server(request);
        }
        (502, "<html>bad gateway</html>".into())
    });
    let run = run(vec![scalar("gap", 0, 1.0)]);
    let recorded = open(&address).unwrap().export(&run).unwrap();
    assert_eq!(
        recorded.link,
        format!("{address}/#/experiments/7/runs/r1"),
        "there is one run"
    );
    assert_eq!(requests.to("/runs/create").len(), 1);
    assert_eq!(requests.to("/runs/update").last().unwrap()["status"], "FINISHED");
}

#[test]
fn half_a_run_is_marked_as_failed() {
    let mut server = mlflow(STORE);
    let (address, requests) = serve(move |request| match request.line.ends_with("/runs/log-batch") {
        true => (
            400,
            r#"{"error_code":"INVALID_PARAMETER_VALUE","message":"Changing param values is not allowed."}"#.into(),
        ),
        false => server(request),
    });
    let error = open(&address)
        .unwrap()
        .export(&run(Vec::new()))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error.replace(&address, "SERVER"),
        "SERVER: MLflow refused `runs/log-batch` (400): Changing param values is not allowed"
    );
    let updates = requests.to("/runs/update");
    assert_eq!(updates.len(), 1);
    assert_eq!(updates[0]["status"], "FAILED");
}

#[test]
fn credentials_are_sent_and_not_shown() {
    let check = |credentials: &str, access: Access, expected: &str| {
        let (address, requests) = serve(mlflow(STORE));
        let uri = address.replace("http://", &format!("http://{credentials}")) + "/#/experiments/7";
        let server = Server::new(&uri, access, Duration::from_millis(1)).unwrap();
        assert_eq!(server.shown(), address);
        Mlflow::on(server, "x").map(|_| ()).unwrap();
        for request in requests.all() {
            assert_eq!(request.authorization, expected);
        }
        assert_eq!(requests.lines().len(), 2);
    };
    check("", Access::Open, "");
    check("", Access::Token("secret".into()), "Bearer secret");
    // `me:secret` in base 64.
    let basic = "Basic bWU6c2VjcmV0";
    check("", Access::Password("me".into(), "secret".into()), basic);
    check("me:secret@", Access::Token("other".into()), basic);
}

#[test]
fn a_server_may_lie_below_a_path() {
    let (address, requests) = serve(|_| (400, "no".into()));
    let error = open(&format!("{address}/tools/mlflow/"))
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(error.starts_with(&format!("{address}/tools/mlflow: ")), "{error}");
    assert!(
        requests.all()[0]
            .line
            .starts_with("GET /tools/mlflow/api/2.0/mlflow/experiments/get-by-name?")
    );
}
