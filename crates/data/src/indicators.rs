//! Technical indicators, each causal: entry `t` uses entries up to `t` only. NaN until there is enough history.

/// Mean of the last `window` values.
pub fn rolling_mean(values: &[f64], window: usize) -> Vec<f64> {
    rolling(values, window, |slice| slice.iter().sum::<f64>() / slice.len() as f64)
}

/// Standard deviation (divides by n - 1, as pandas) of the last `window` values.
pub fn rolling_std(values: &[f64], window: usize) -> Vec<f64> {
    rolling(values, window, |slice| {
        let n = slice.len() as f64;
        let mean = slice.iter().sum::<f64>() / n;
        (slice.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
    })
}

// Recomputed for every window: a running sum drifts, and 20 additions a row are nothing.
fn rolling(values: &[f64], window: usize, statistic: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut out = vec![f64::NAN; values.len().min(window.saturating_sub(1))];
    out.extend(values.windows(window.max(1)).map(statistic));
    out
}

/// Relative strength index by simple means of the last `period` gains and losses (the notebook's).
///
/// First value at index `period`. 50 where nothing moved, 100 where nothing fell.
pub fn rsi_simple(close: &[f64], period: usize) -> Vec<f64> {
    let (gains, losses) = moves(close);
    let mut out = vec![f64::NAN; close.len().min(1)];
    out.extend(
        rolling_mean(&gains, period)
            .into_iter()
            .zip(rolling_mean(&losses, period))
            .map(|(gain, loss)| strength(gain, loss)),
    );
    out
}

/// Relative strength index by Wilder's smoothing: the first average is the simple mean of `period` changes, then
/// `(previous * (period - 1) + current) / period`. First value at index `period`.
///
/// Source: Wilder, New Concepts in Technical Trading Systems (1978).
pub fn rsi_wilder(close: &[f64], period: usize) -> Vec<f64> {
    let (gains, losses) = moves(close);
    let mut out = vec![f64::NAN; close.len().min(period)];
    if gains.len() < period {
        return out;
    }
    let n = period as f64;
    let mut gain = gains[..period].iter().sum::<f64>() / n;
    let mut loss = losses[..period].iter().sum::<f64>() / n;
    out.push(strength(gain, loss));
    for (g, l) in gains[period..].iter().zip(&losses[period..]) {
        gain = (gain * (n - 1.0) + g) / n;
        loss = (loss * (n - 1.0) + l) / n;
        out.push(strength(gain, loss));
    }
    out
}

fn moves(close: &[f64]) -> (Vec<f64>, Vec<f64>) {
    close
        .windows(2)
        .map(|pair| ((pair[1] - pair[0]).max(0.0), (pair[0] - pair[1]).max(0.0)))
        .unzip()
}

fn strength(gain: f64, loss: f64) -> f64 {
    if gain.is_nan() || loss.is_nan() {
        f64::NAN
    } else if loss == 0.0 {
        if gain == 0.0 { 50.0 } else { 100.0 }
    } else {
        100.0 - 100.0 / (1.0 + gain / loss)
    }
}
