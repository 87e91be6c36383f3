//! Colours of series and of the cells of a heatmap, and symbols of points.

pub(crate) type Rgb = (u8, u8, u8);

/// The palette of Okabe and Ito (2008): told apart also by the colour-blind, on light and on dark ground.
const SERIES: [Rgb; 6] = [
    (0, 114, 178),
    (230, 120, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (170, 140, 0),
];

/// Series that have a colour of their own.
pub(crate) const COLOURS: usize = SERIES.len();

/// How a point looks where colours alone do not tell series apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Symbol {
    Circle,
    Square,
    Triangle,
    Diamond,
    Cross,
}

/// Five beside six colours: the thirty-first series is the first that looks like another one.
const SYMBOLS: [Symbol; 5] = [
    Symbol::Circle,
    Symbol::Square,
    Symbol::Triangle,
    Symbol::Diamond,
    Symbol::Cross,
];

impl Symbol {
    /// As Plotly calls it.
    pub(crate) fn plotly(self) -> &'static str {
        match self {
            Symbol::Circle => "circle",
            Symbol::Square => "square",
            Symbol::Triangle => "triangle-up",
            Symbol::Diamond => "diamond",
            Symbol::Cross => "x",
        }
    }
}

/// Viridis: even steps look even, and lightness alone tells them apart.
const SEQUENTIAL: [Rgb; 9] = [
    (68, 1, 84),
    (71, 44, 122),
    (59, 81, 139),
    (44, 113, 142),
    (33, 145, 140),
    (39, 173, 129),
    (93, 200, 99),
    (170, 220, 50),
    (253, 231, 37),
];

/// Blue, white, orange: both arms darken alike, and no kind of colour-blindness confuses them.
const DIVERGING: [Rgb; 9] = [
    (0, 84, 154),
    (61, 124, 186),
    (121, 165, 211),
    (180, 206, 234),
    (247, 247, 247),
    (248, 208, 168),
    (236, 166, 98),
    (208, 120, 38),
    (163, 78, 0),
];

/// The colour of the series at `index`.
pub(crate) fn colour(index: usize) -> Rgb {
    SERIES[index % SERIES.len()]
}

/// The symbol of the series at `index`.
pub(crate) fn symbol(index: usize) -> Symbol {
    SYMBOLS[index % SYMBOLS.len()]
}

/// The colours of a scale from its low to its high end, at even distances.
pub(crate) fn stops(diverging: bool) -> &'static [Rgb] {
    if diverging { &DIVERGING } else { &SEQUENTIAL }
}

/// The colour at `share` of a scale; what lies outside takes the colour of the nearer end.
pub(crate) fn shade(diverging: bool, share: f64) -> Rgb {
    let stops = stops(diverging);
    let at = share.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
    let below = (at.floor() as usize).min(stops.len() - 2);
    let part = at - below as f64;
    let mix = |a: u8, b: u8| (f64::from(a) + part * (f64::from(b) - f64::from(a))).round() as u8;
    let (a, b) = (stops[below], stops[below + 1]);
    (mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

/// Whether white text reads better on it than black text: by the contrast ratio of WCAG 2.
pub(crate) fn is_dark((r, g, b): Rgb) -> bool {
    let linear = |c: u8| {
        let c = f64::from(c) / 255.0;
        if c <= 0.04045 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    };
    let luminance = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_series_look_different() {
        let looks = |index: usize| (colour(index), symbol(index).plotly());
        for index in 0..30 {
            assert!((0..index).all(|other| looks(other) != looks(index)), "{index}");
        }
    }
}
