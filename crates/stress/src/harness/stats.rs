//! Numbers from samples: quantiles, intervals, slopes.

use rand::RngExt as _;

use crate::Seed;

/// How many times samples are drawn again for an interval.
const RESAMPLES: usize = 1000;

/// The value below which this share of the samples lies (nearest rank). `NaN` without samples.
///
/// ```
/// use stageflow_stress::stats::quantile;
///
/// assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), 2.0);
/// assert_eq!(quantile(&[3.0, 1.0, 2.0], 1.0), 3.0);
/// ```
#[must_use]
pub fn quantile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    of_sorted(&sorted, share)
}

/// The middle one.
#[must_use]
pub fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}

/// How alike they are: 1 if all are the same, the share of them that have anything if the others have nothing (R. Jain, D. Chiu and
/// W. Hawe, DEC-TR-301, 1984). `NaN` without samples.
///
/// ```
/// use stageflow_stress::stats::jain;
///
/// assert_eq!(jain(&[2.0, 2.0, 2.0]), 1.0);
/// assert_eq!(jain(&[1.0, 0.0, 0.0, 0.0]), 0.25);
/// ```
#[must_use]
pub fn jain(samples: &[f64]) -> f64 {
    let (sum, squares) = samples
        .iter()
        .fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    sum * sum / (samples.len() as f64 * squares)
}

fn of_sorted(sorted: &[f64], share: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// The 95 % interval of the median, by the percentile bootstrap (B. Efron, R. Tibshirani: An Introduction to the Bootstrap,
/// 1993, chapter 13). The same samples give the same interval.
#[must_use]
pub fn median_ci95(samples: &[f64]) -> Option<[f64; 2]> {
    if samples.len() < 5 {
        return None;
    }
    // More than this changes nothing that is shown.
    let step = samples.len().div_ceil(1000);
    let samples: Vec<f64> = samples.iter().copied().step_by(step).collect();
    let mut rng = Seed::new(0x5EED).rng();
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn: Vec<f64> = (0..samples.len())
                .map(|_| samples[rng.random_range(0..samples.len())])
                .collect();
            median(&drawn)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    Some([of_sorted(&medians, 0.025), of_sorted(&medians, 0.975)])
}

/// The slope of `log(cost)` over `log(size)` with its 95 % interval, by least squares: 1 is linear, 2 quadratic.
///
/// ```
/// use stageflow_stress::stats::log_log_slope;
///
/// let (slope, _) = log_log_slope(&[[10.0, 1.0], [100.0, 10.0], [1000.0, 100.0], [10_000.0, 1000.0]]);
/// assert!((slope - 1.0).abs() < 1e-9);
/// ```
#[must_use]
pub fn log_log_slope(points: &[[f64; 2]]) -> (f64, [f64; 2]) {
    let logs: Vec<(f64, f64)> = points.iter().map(|[x, y]| (x.ln(), y.ln())).collect();
    let n = logs.len() as f64;
    let (mean_x, mean_y) = (
        logs.iter().map(|(x, _)| x).sum::<f64>() / n,
        logs.iter().map(|(_, y)| y).sum::<f64>() / n,
    );
    let sxx: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let sxy: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let slope = sxy / sxx;
    if logs.len() < 3 {
        return (slope, [f64::NAN, f64::NAN]);
    }
    let residuals: f64 = logs
        .iter()
        .map(|(x, y)| (y - mean_y - slope * (x - mean_x)).powi(2))
        .sum();
    let error = (residuals / (n - 2.0) / sxx).sqrt();
    let reach = t975(logs.len() - 2) * error;
    (slope, [slope - reach, slope + reach])
}

/// The 97.5 % quantile of Student's t distribution.
fn t975(degrees: usize) -> f64 {
    const TABLE: [f64; 10] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    ];
    TABLE.get(degrees.saturating_sub(1)).copied().unwrap_or(2.0)
}

/// The upper 95 % bound of a rate: 3 / trials if nothing was seen (the rule of three), else Wilson's score interval.
///
/// ```
/// use stageflow_stress::stats::upper95;
///
/// assert_eq!(upper95(300, 0), 0.01);
/// ```
#[must_use]
pub fn upper95(trials: u64, seen: u64) -> f64 {
    if trials == 0 {
        return 1.0;
    }
    let n = trials as f64;
    if seen == 0 {
        return (3.0 / n).min(1.0);
    }
    let (p, z) = ((seen as f64 / n).min(1.0), 1.645);
    let middle = p + z * z / (2.0 * n);
    let reach = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    ((middle + reach) / (1.0 + z * z / n)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_has_the_slope_two() {
        let points: Vec<[f64; 2]> = [1.0, 10.0, 100.0, 1000.0]
            .map(|x: f64| [x, 3.0 * x * x])
            .to_vec();
        let (slope, [low, high]) = log_log_slope(&points);
        assert!((slope - 2.0).abs() < 1e-9 && low <= slope && slope <= high);
    }

    #[test]
    fn the_interval_holds_the_median() {
        let samples: Vec<f64> = (0..1000).map(|i| f64::from(i * 7919 % 1000)).collect();
        let [low, high] = median_ci95(&samples).unwrap();
        assert!(
            low <= 500.0 && 500.0 <= high && high - low < 120.0,
            "{low} {high}"
        );
        assert!(median_ci95(&samples[..4]).is_none());
    }

    #[test]
    fn a_bound_is_never_below_what_was_seen() {
        for (trials, seen) in [(10, 1), (100, 50), (7, 7), (1, 1)] {
            let bound = upper95(trials, seen);
            assert!(
                bound >= seen as f64 / trials as f64 && bound <= 1.0,
                "{bound}"
            );
        }
        assert!((upper95(0, 0) - 1.0).abs() < f64::EPSILON);
    }
}
