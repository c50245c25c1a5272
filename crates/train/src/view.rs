//! Choosing what part of space a picture shows.

use thalweg_plot::Bounds;

/// Share of the points that a picture may leave out at each side, so that a few strays do not shrink the rest.
const STRAYS: f64 = 0.002;

/// Room around the points, as a share of their range.
const MARGIN: f64 = 0.1;

/// The first two coordinates of points of `dim` coordinates.
///
/// # Panics
/// When points have one coordinate.
pub fn plane(points: &[f64], dim: usize) -> Vec<[f64; 2]> {
    points.chunks_exact(dim).map(|point| [point[0], point[1]]).collect()
}

/// One coordinate of points of `dim` coordinates.
pub fn column(points: &[f64], dim: usize, index: usize) -> Vec<f64> {
    points.iter().skip(index).step_by(dim).copied().collect()
}

/// The rectangle that shows nearly all of the points with some room around them; none where no point is finite.
pub fn bounds(points: &[[f64; 2]]) -> Option<Bounds> {
    let [x, y] = [0, 1].map(|axis| range(&points.iter().map(|point| point[axis]).collect::<Vec<f64>>()));
    Some(Bounds::new(x?, y?))
}

/// The least rectangle around a given one whose height is `least` to `most` times its width.
pub fn shaped(Bounds { x, y }: Bounds, [least, most]: [f64; 2]) -> Bounds {
    let [width, height] = [x, y].map(|[low, high]| high - low);
    let around =
        |[low, high]: [f64; 2], length: f64| [0.5 * (low + high - length), 0.5 * (low + high + length)];
    Bounds::new(around(x, width.max(height / most)), around(y, height.max(least * width)))
}

/// The interval that shows nearly all of the values with some room around them; none where no value is finite.
pub fn range(values: &[f64]) -> Option<[f64; 2]> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let strays = (STRAYS * sorted.len() as f64) as usize;
    let (low, high) = (*sorted.get(strays)?, *sorted.get(sorted.len() - 1 - strays)?);
    let room = if high > low { MARGIN * (high - low) } else { 1.0 };
    Some([low - room, high + room])
}

/// Centres of `count` equal cells of an interval.
pub fn centres([low, high]: [f64; 2], count: usize) -> Vec<f64> {
    (0..count).map(|cell| low + (high - low) * (cell as f64 + 0.5) / count as f64).collect()
}

/// Centres of `columns × rows` equal cells of a rectangle, row by row from the lowest ordinate up.
pub fn grid(bounds: Bounds, columns: usize, rows: usize) -> Vec<[f64; 2]> {
    let x = centres(bounds.x, columns);
    centres(bounds.y, rows)
        .into_iter()
        .flat_map(|y| x.iter().map(move |&x| [x, y]).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strays_do_not_shrink_a_picture() {
        let mut points: Vec<[f64; 2]> =
            (0..=1000).map(|i| [f64::from(i) / 1000.0, f64::from(i % 2)]).collect();
        points.push([1e9, f64::NAN]);
        let Bounds { x, y } = bounds(&points).unwrap();
        assert!((x[0] + 0.1).abs() < 0.01 && (x[1] - 1.1).abs() < 0.01, "{x:?}");
        assert_eq!(y, [-0.1, 1.1]);
        assert_eq!(bounds(&[]), None);
        assert_eq!(range(&[3.0, 3.0]), Some([2.0, 4.0]));
        let flat = Bounds::new([0.0, 4.0], [1.0, 3.0]);
        assert_eq!(shaped(flat, [1.0, 1.0]), Bounds::new([0.0, 4.0], [0.0, 4.0]));
        assert_eq!(shaped(flat, [0.75, 1.15]), Bounds::new([0.0, 4.0], [0.5, 3.5]));
        assert_eq!(
            shaped(Bounds::new([0.0, 1.0], [0.0, 4.0]), [0.5, 2.0]),
            Bounds::new([-0.5, 1.5], [0.0, 4.0])
        );
    }

    #[test]
    fn a_grid_starts_at_the_bottom() {
        let cells = grid(Bounds::new([0.0, 2.0], [0.0, 1.0]), 2, 1);
        assert_eq!(cells, [[0.5, 0.5], [1.5, 0.5]]);
        assert_eq!(grid(Bounds::new([0.0, 1.0], [0.0, 2.0]), 1, 2), [[0.5, 0.5], [0.5, 1.5]]);
    }
}
