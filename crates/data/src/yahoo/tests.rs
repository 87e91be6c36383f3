//! The real connector against a local TLS server that answers in the format of Yahoo's v8 chart.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer},
};

use super::*;

const HOST: &str = "query1.finance.yahoo.com";

#[derive(Clone)]
enum Answer {
    Reply(u16, String),
    Silence,
}

struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    client: reqwest::Client,
    // Serves until it is dropped.
    _runtime: tokio::runtime::Runtime,
}

/// Answers request `i` with `answers[i]`, and every later one with the last.
fn serve(answers: Vec<Answer>) -> Server {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([HOST.to_string()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, answers, count) = (acceptor.clone(), answers.clone(), count.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut buffer = vec![0; 8192];
                let mut seen = 0;
                while !buffer[..seen].windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut buffer[seen..]).await {
                        Ok(n) if n > 0 => seen += n,
                        _ => return,
                    }
                }
                let index = count.fetch_add(1, Ordering::SeqCst);
                match &answers[index.min(answers.len() - 1)] {
                    Answer::Silence => std::future::pending::<()>().await,
                    Answer::Reply(status, body) => {
                        let head = format!(
                            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                            body.len()
                        );
                        let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                        let _ = stream.shutdown().await;
                    }
                }
            });
        }
    });
    let client = reqwest::Client::builder()
        .user_agent("test")
        .timeout(Duration::from_millis(800))
        .https_only(true)
        .resolve(HOST, address)
        .tls_certs_only([reqwest::Certificate::from_der(cert.der()).unwrap()])
        .build()
        .unwrap();
    Server {
        address,
        requests,
        client,
        _runtime: runtime,
    }
}

/// Three days: a gap, a dividend (the adjusted close is lower) and a live row that repeats the last day.
fn chart() -> String {
    r#"{"chart":{"result":[{"meta":{"currency":"USD","symbol":"SPY","exchangeName":"PCX","fullExchangeName":"NYSEArca","hasPrePostMarketData":true,"instrumentType":"ETF",
        "firstTradeDate":728317800,"regularMarketTime":1578085200,"gmtoffset":-18000,"timezone":"EST",
        "exchangeTimezoneName":"America/New_York","regularMarketPrice":322.4,"chartPreviousClose":321.8,"priceHint":2,
        "currentTradingPeriod":{"pre":{"timezone":"EST","start":1,"end":2,"gmtoffset":-18000},
        "regular":{"timezone":"EST","start":1,"end":2,"gmtoffset":-18000},
        "post":{"timezone":"EST","start":1,"end":2,"gmtoffset":-18000}},
        "dataGranularity":"1d","range":"","validRanges":["1d"]},
        "timestamp":[1577975400,1578061800,1578321000,1578407400,1578407460],
        "events":{"dividends":{"1578061800":{"amount":1.5,"date":1578061800}},
        "splits":{"1578321000":{"date":1578321000,"numerator":2,"denominator":1,"splitRatio":"2:1"}}},
        "indicators":{"quote":[{"open":[323.5,321.2,320.5,323.0,323.0],"high":[324.9,323.6,323.7,323.5,323.5],
        "low":[322.5,321.1,320.4,322.2,322.2],"close":[324.9,322.4,null,322.7,322.8],
        "volume":[59151200,77709700,null,40496400,40496500]}],
        "adjclose":[{"adjclose":[300.3,298.0,null,300.0,300.1]}]}}],"error":null}}"#
        .into()
}

fn request(cache: &Path) -> YahooRequest {
    let day = |day| NaiveDate::from_ymd_opt(2020, 1, day).unwrap();
    YahooRequest {
        pause: Duration::from_millis(1),
        ..YahooRequest::new(vec!["SPY".into()], day(1), day(9), cache.into())
    }
}

fn check(answers: Vec<Answer>, requests: usize, expected: Result<&[f64], &str>) {
    let cache = tempfile::tempdir().unwrap();
    let server = serve(answers);
    let answer = download_with(&request(cache.path()), &server.client).pop().unwrap();
    assert_eq!(server.requests.load(Ordering::SeqCst), requests, "{answer:?}");
    match (answer, expected) {
        (Ok((prices, _)), Ok(adjusted)) => assert_eq!(prices.adjusted, adjusted),
        (Err(error), Err(sentence)) => {
            let error = error.to_string().replace(&server.address.to_string(), "SERVER");
            assert_eq!(error, format!("symbol `SPY`: {sentence}"));
            assert_eq!(
                std::fs::read_dir(cache.path()).unwrap().count(),
                0,
                "a failure leaves no file"
            );
        }
        (answer, expected) => panic!("{answer:?} instead of {expected:?}"),
    }
}

const GOOD: &[f64] = &[300.3, 298.0, 300.0];

fn reply(status: u16, body: &str) -> Answer {
    Answer::Reply(status, body.into())
}

#[test]
fn answers() {
    let good = || Answer::Reply(200, chart());
    let later = "try again later";
    check(vec![good()], 1, Ok(GOOD));
    check(vec![reply(429, "Too Many Requests"), good()], 2, Ok(GOOD));
    check(vec![reply(500, "oops"), good()], 2, Ok(GOOD));
    check(vec![reply(500, "oops"), reply(500, "oops"), good()], 3, Ok(GOOD));
    check(
        vec![reply(429, "")],
        4,
        Err(&format!(
            "Yahoo limits the rate of requests (429), also after 4 requests; {later}"
        )),
    );
    check(
        vec![reply(500, "oops")],
        4,
        Err(&format!("Yahoo's server failed (5xx), also after 4 requests; {later}")),
    );
    check(
        vec![reply(200, "<html>consent</html>")],
        4,
        Err(&format!("Yahoo sent a web page instead of data; {later}")),
    );
    check(
        vec![reply(200, "")],
        4,
        Err(&format!("Yahoo sent an empty answer; {later}")),
    );
    let unknown = r#"{"chart":{"result":null,"error":{"code":"Not Found","description":"No data found"}}}"#;
    check(
        vec![reply(404, unknown)],
        1,
        Err("Yahoo does not know it (404); expected a symbol as Yahoo spells it"),
    );
    check(
        vec![Answer::Silence],
        4,
        Err("no connection to Yahoo: the time limit was reached"),
    );
}

#[test]
fn odd_bodies_are_sentences() {
    let cache = tempfile::tempdir().unwrap();
    for body in [
        "[]",
        "{}",
        r#"{"chart":{}}"#,
        r#"{"chart":{"result":[],"error":null}}"#,
        "not json",
        r#"{"chart":3}"#,
    ] {
        let server = serve(vec![reply(200, body)]);
        let error = download_with(&request(cache.path()), &server.client)
            .pop()
            .unwrap()
            .unwrap_err();
        assert!(error.to_string().starts_with("symbol `SPY`: "), "{body}: {error}");
    }
    let nulls = chart().replace("[324.9,322.4,null,322.7,322.8]", "[null,null,null,null,null]");
    let server = serve(vec![reply(200, &nulls)]);
    let error = download_with(&request(cache.path()), &server.client)
        .pop()
        .unwrap()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "symbol `SPY`: Yahoo sent no complete rows for these dates"
    );
}

#[test]
fn incomplete_rows_are_counted() {
    let cache = tempfile::tempdir().unwrap();
    let server = serve(vec![Answer::Reply(200, chart())]);
    let (prices, notices) = download_with(&request(cache.path()), &server.client)
        .pop()
        .unwrap()
        .unwrap();
    let days: Vec<String> = prices.times.iter().map(|t| crate::format_time(*t)).collect();
    assert_eq!(days, ["2020-01-02", "2020-01-03", "2020-01-07"]);
    assert_eq!(prices.close, [324.9, 322.4, 322.7]);
    assert_eq!(
        notices,
        ["symbol `SPY`: 2 incomplete or repeated rows from Yahoo were left out"]
    );
}

#[test]
fn a_fresh_cache_asks_nobody_and_a_stale_one_is_named() {
    let cache = tempfile::tempdir().unwrap();
    let server = serve(vec![Answer::Reply(200, chart()), reply(429, "")]);
    let mut request = request(cache.path());
    let first = download_with(&request, &server.client).pop().unwrap().unwrap().0;
    let again = download_with(&request, &server.client).pop().unwrap().unwrap();
    assert_eq!(again.0, first);
    assert!(
        again.1[0].starts_with("symbol `SPY`: from the cache, "),
        "{:?}",
        again.1
    );
    assert_eq!(server.requests.load(Ordering::SeqCst), 1);

    request.fresh = Duration::ZERO;
    let (stale, notices) = download_with(&request, &server.client).pop().unwrap().unwrap();
    assert_eq!(stale, first);
    assert!(
        notices[0].contains("429") && notices[0].contains("SPY_2020-01-01_2020-01-09.parquet instead, 0.0 days old"),
        "{notices:?}"
    );
}

#[test]
fn each_symbol_has_its_own_answer() {
    let cache = tempfile::tempdir().unwrap();
    let server = serve(vec![Answer::Reply(200, chart())]);
    let mut request = request(cache.path());
    request.symbols = ["SPY", "QQQ", "^GSPC", "../x", "A", "B"].map(Into::into).into();
    let answers = download_with(&request, &server.client);
    let symbols: Vec<String> = answers.into_iter().map(|answer| answer.unwrap().0.symbol).collect();
    assert_eq!(symbols, request.symbols);
    assert_eq!(
        std::fs::read_dir(cache.path()).unwrap().count(),
        6,
        "every file lies in the cache folder"
    );
    assert_eq!(server.requests.load(Ordering::SeqCst), 6);
}

#[test]
fn a_closed_port_is_a_sentence() {
    let cache = tempfile::tempdir().unwrap();
    let mut server = serve(vec![Answer::Silence]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    server.client = reqwest::Client::builder()
        .https_only(true)
        .resolve(HOST, closed)
        .build()
        .unwrap();
    let error = download_with(&request(cache.path()), &server.client)
        .pop()
        .unwrap()
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("symbol `SPY`: no connection to Yahoo: "), "{error}");
}
