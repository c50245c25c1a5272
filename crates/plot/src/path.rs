//! Path data, written as short as SVG allows, and the thinning of lines to what a screen can show.

use std::fmt::Write;

/// The `d` attribute of a path, in relative coordinates of tenths of a pixel. Positions are rounded before
/// differences are taken, so rounding never adds up along a path.
#[derive(Debug, Default)]
pub(crate) struct PathData {
    text: String,
    /// Current point in tenths of a pixel.
    at: [i64; 2],
}

impl PathData {
    pub(crate) fn move_to(&mut self, point: [f64; 2]) {
        self.step('m', point);
    }

    pub(crate) fn line_to(&mut self, point: [f64; 2]) {
        self.step('l', point);
    }

    /// A stroke of no length, which round caps turn into a dot.
    pub(crate) fn dot(&mut self, point: [f64; 2]) {
        self.move_to(point);
        self.text.push_str("h0");
    }

    pub(crate) fn polyline(&mut self, points: &[[f64; 2]]) {
        let Some((first, rest)) = points.split_first() else { return };
        self.move_to(*first);
        for point in rest {
            self.line_to(*point);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn step(&mut self, command: char, point: [f64; 2]) {
        // Far outside the frame every position looks alike; clamping keeps the integers small.
        let to = point.map(|v| (v.clamp(-1e5, 1e5) * 10.0).round() as i64);
        self.text.push(command);
        self.push_tenths(to[0] - self.at[0], true);
        self.push_tenths(to[1] - self.at[1], false);
        self.at = to;
    }

    fn push_tenths(&mut self, tenths: i64, first: bool) {
        if tenths < 0 {
            self.text.push('-');
        } else if !first {
            self.text.push(' ');
        }
        let (whole, digit) = (tenths.unsigned_abs() / 10, tenths.unsigned_abs() % 10);
        // Writing to a String cannot fail.
        let _ = match (whole, digit) {
            (_, 0) => write!(self.text, "{whole}"),
            (0, _) => write!(self.text, ".{digit}"),
            _ => write!(self.text, "{whole}.{digit}"),
        };
    }
}

/// Thins a line drawn from left to right to at most four points per half pixel of width — first, lowest,
/// highest, last (the M4 aggregation of Jugel et al., 2014) — which paints the same pixels. A line that
/// turns back is left whole.
pub(crate) fn decimate(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let turns_back = points.windows(2).any(|pair| pair[1][0] < pair[0][0]);
    if points.len() < 8 || turns_back {
        return points.to_vec();
    }
    let bin = |point: &[f64; 2]| (point[0] * 2.0).floor();
    let mut kept = Vec::new();
    for group in points.chunk_by(|a, b| bin(a) == bin(b)) {
        if group.len() <= 4 {
            kept.extend_from_slice(group);
            continue;
        }
        let by_height = |&i: &usize, &j: &usize| group[i][1].total_cmp(&group[j][1]);
        let lowest = (0..group.len()).min_by(by_height).unwrap_or(0);
        let highest = (0..group.len()).max_by(by_height).unwrap_or(0);
        let mut corners = [0, lowest, highest, group.len() - 1];
        corners.sort_unstable();
        kept.extend(
            corners
                .iter()
                .enumerate()
                .filter(|(k, i)| *k == 0 || corners[k - 1] != **i)
                .map(|(_, &i)| group[i]),
        );
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_steps_are_compact_and_do_not_drift() {
        let mut path = PathData::default();
        path.polyline(&[[0.0, 10.0], [0.24, 9.5], [0.48, 9.0]]);
        path.dot([0.0, 0.0]);
        assert_eq!(path.into_text(), "m0 10l.2-.5l.3-.5m-.5-9h0");
    }

    #[test]
    fn decimation_keeps_extremes_and_ends() {
        let mut points: Vec<[f64; 2]> =
            (0..100_000).map(|i| [f64::from(i) * 0.005, f64::from(i % 7)]).collect();
        points[54_321][1] = 99.0;
        points[12_345][1] = -99.0;
        let kept = decimate(&points);
        assert!(kept.len() <= 4 * 1001, "{}", kept.len());
        assert!(kept.contains(&points[54_321]) && kept.contains(&points[12_345]));
        assert_eq!((kept.first(), kept.last()), (points.first(), points.last()));
        assert!(kept.windows(2).all(|pair| pair[0][0] <= pair[1][0]));
    }

    #[test]
    fn short_or_turning_lines_stay_whole() {
        let circle: Vec<[f64; 2]> = (0..1000).map(|i| [f64::from(i).cos(), f64::from(i).sin()]).collect();
        assert_eq!(decimate(&circle), circle);
        assert_eq!(decimate(&circle[..3]), circle[..3]);
    }
}
