//! How much of a number's variation goes with a category.

/// The correlation ratio η = √(between / total sum of squares) of `values` over the categories in `member` (Fisher 1925), rows counted by
/// weight: 0 if all categories have the same mean, 1 if a category tells the value. For a binary value η² is χ² / n of the table
/// (Cramér's V with two rows), and F = η² / (1 - η²) · (n - k) / (k - 1). Rows in no category are left out. `None` if the values do not vary
/// or fewer than two categories have rows.
pub fn correlation_ratio(values: &[f64], member: &[Option<u32>], weights: &[f64]) -> Option<f64> {
    let categories = member.iter().flatten().max().map_or(0, |most| *most as usize + 1);
    let mut sums = vec![(0.0, 0.0); categories];
    let (mut total, mut sum) = (0.0, 0.0);
    let rows = || {
        let rows = values.iter().zip(member).zip(weights);
        rows.filter_map(|((value, member), weight)| Some((*value, (*member)? as usize, *weight)))
    };
    for (value, category, weight) in rows() {
        sums[category].0 += weight;
        sums[category].1 += weight * value;
        total += weight;
        sum += weight * value;
    }
    let present = sums.iter().filter(|(weight, _)| *weight > 0.0);
    if present.clone().count() < 2 {
        return None;
    }
    let mean = sum / total;
    let all: f64 = rows().map(|(value, _, weight)| weight * (value - mean).powi(2)).sum();
    let between: f64 = present
        .map(|(weight, sum)| weight * (sum / weight - mean).powi(2))
        .sum();
    // Rounding leaves constant values with a little variation.
    (all > 1e-12 * total * mean.abs().max(1e-12)).then(|| (between / all).clamp(0.0, 1.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_forms() {
        let check = |values: &[f64], member: &[Option<u32>], expected: Option<f64>| {
            let found = correlation_ratio(values, member, &vec![1.0; values.len()]);
            match (found, expected) {
                (Some(found), Some(expected)) => assert!((found - expected).abs() < 1e-12, "{found} {expected}"),
                (found, expected) => assert_eq!(found, expected),
            }
        };
        let two = [Some(0), Some(0), Some(1), Some(1)];
        check(&[1.0, 1.0, 3.0, 3.0], &two, Some(1.0));
        check(&[1.0, 3.0, 1.0, 3.0], &two, Some(0.0));
        // Between 4, within 4.
        check(&[0.0, 2.0, 2.0, 4.0], &two, Some(0.5f64.sqrt()));
        check(&[1.0; 4], &two, None);
        check(&[1.0, 2.0, 3.0, 4.0], &[Some(0); 4], None);
        check(
            &[1.0, 1.0, 3.0, 3.0, 99.0],
            &[Some(0), Some(0), Some(1), Some(1), None],
            Some(1.0),
        );
        // A 2 x 2 table 30 10 / 10 30: phi = (900 - 100) / 1600.
        let cells = [(1.0, 0, 30), (0.0, 0, 10), (1.0, 1, 10), (0.0, 1, 30)];
        let rows = || {
            cells
                .iter()
                .flat_map(|&(value, category, count)| vec![(value, Some(category)); count])
        };
        let (values, member): (Vec<f64>, Vec<Option<u32>>) = rows().unzip();
        check(&values, &member, Some(0.5));
        // A weight counts as so many rows.
        let weighted = correlation_ratio(&[0.0, 2.0, 4.0], &[Some(0), Some(0), Some(1)], &[1.0, 2.0, 1.0]);
        let repeated = correlation_ratio(&[0.0, 2.0, 2.0, 4.0], &[Some(0), Some(0), Some(0), Some(1)], &[1.0; 4]);
        assert!((weighted.unwrap() - repeated.unwrap()).abs() < 1e-12);
    }
}
