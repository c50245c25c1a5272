//! What a figure can show. Each layer is plain data with a few choices; drawing them is the business of
//! `marks`.

/// A rectangle of the plane in data units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Lowest and highest abscissa.
    pub x: [f64; 2],
    /// Lowest and highest ordinate.
    pub y: [f64; 2],
}

impl Bounds {
    /// The rectangle `x[0]..x[1]` by `y[0]..y[1]`.
    #[must_use]
    pub fn new(x: [f64; 2], y: [f64; 2]) -> Self {
        Self { x, y }
    }

    /// The smallest rectangle around the finite points; `None` if there are none.
    #[must_use]
    pub fn around<'a>(points: impl IntoIterator<Item = &'a [f64; 2]>) -> Option<Self> {
        points.into_iter().filter(|p| p.iter().all(|v| v.is_finite())).fold(None, |so_far, &[x, y]| {
            let Self { x: [x0, x1], y: [y0, y1] } = so_far.unwrap_or(Self::new([x, x], [y, y]));
            Some(Self::new([x0.min(x), x1.max(x)], [y0.min(y), y1.max(y)]))
        })
    }
}

/// A colour by role, so that one drawing serves the light and the dark scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// The n-th colour of the palette, counted from 0; six of them, then again.
    Series(usize),
    /// Grey, for what is there to compare with.
    Muted,
}

/// A line through points in their order; a point that cannot be drawn leaves a gap.
#[derive(Debug, Clone)]
pub struct Line {
    pub(crate) label: String,
    pub(crate) points: Vec<[f64; 2]>,
    pub(crate) tone: Option<Tone>,
    pub(crate) stroke: Stroke,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stroke {
    /// The ordinary line.
    #[default]
    Solid,
    /// Dashes, for a second curve of the same colour.
    Dashed,
    /// Thin and pale: raw values behind their running mean.
    Faint,
}

impl Line {
    /// A line named `label` in the legend (an empty name stays out of it). Any number of points: those that
    /// would fall on the same pixels are left out.
    #[must_use]
    pub fn new(label: impl Into<String>, points: Vec<[f64; 2]>) -> Self {
        Self { label: label.into(), points, tone: None, stroke: Stroke::default() }
    }

    /// Takes this colour instead of the next one.
    #[must_use]
    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = Some(tone);
        self
    }

    /// Draws the line in this manner.
    #[must_use]
    pub fn stroke(mut self, stroke: Stroke) -> Self {
        self.stroke = stroke;
        self
    }
}

/// A cloud of translucent dots, darker where they lie over each other.
#[derive(Debug, Clone)]
pub struct Scatter {
    pub(crate) label: String,
    pub(crate) points: Vec<[f64; 2]>,
    pub(crate) tone: Option<Tone>,
}

impl Scatter {
    /// A cloud named `label` in the legend. Above 20 000 points an even part of them is drawn, and the
    /// caption says so.
    #[must_use]
    pub fn new(label: impl Into<String>, points: Vec<[f64; 2]>) -> Self {
        Self { label: label.into(), points, tone: None }
    }

    /// Takes this colour instead of the next one.
    #[must_use]
    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = Some(tone);
        self
    }
}

/// Values on a regular grid, as colours. Needs linear axes.
#[derive(Debug, Clone)]
pub struct HeatMap {
    pub(crate) values: Vec<f64>,
    pub(crate) columns: usize,
    pub(crate) bounds: Bounds,
    pub(crate) label: String,
    pub(crate) range: Option<[f64; 2]>,
}

impl HeatMap {
    /// `values` row by row from the lowest ordinate up, `columns` to a row; `bounds` are the outer edges of
    /// the grid.
    ///
    /// # Panics
    /// If the values do not fill whole rows.
    #[must_use]
    pub fn new(values: Vec<f64>, columns: usize, bounds: Bounds) -> Self {
        let whole = columns > 0 && !values.is_empty() && values.len().is_multiple_of(columns);
        assert!(whole, "a heat map needs whole rows: {} values in rows of {columns}", values.len());
        Self { values, columns, bounds, label: String::new(), range: None }
    }

    /// Names the quantity beside a colour bar.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Values at the two ends of the colour map; by default the least and greatest finite values.
    #[must_use]
    pub fn range(mut self, lo: f64, hi: f64) -> Self {
        self.range = Some([lo, hi]);
        self
    }
}

/// Arrows in the plane, coloured by length.
#[derive(Debug, Clone)]
pub struct VectorField {
    pub(crate) points: Vec<[f64; 2]>,
    pub(crate) vectors: Vec<[f64; 2]>,
    pub(crate) label: String,
    pub(crate) range: Option<[f64; 2]>,
}

impl VectorField {
    /// The arrow `vectors[i]` at `points[i]`. Colour tells the speed; the length grows
    /// with its square root, so that slow places still show where they go.
    ///
    /// # Panics
    /// If there are not as many vectors as points.
    #[must_use]
    pub fn new(points: Vec<[f64; 2]>, vectors: Vec<[f64; 2]>) -> Self {
        assert_eq!(points.len(), vectors.len(), "a vector field needs one vector at each point");
        Self { points, vectors, label: String::new(), range: None }
    }

    /// Names the length of the arrows beside a colour bar.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Speeds at the two ends of the colour map; `hi` is also the speed of the longest arrow. By default
    /// from 0 to the greatest speed.
    #[must_use]
    pub fn range(mut self, lo: f64, hi: f64) -> Self {
        self.range = Some([lo, hi]);
        self
    }
}

/// Curves that pass through their points at common times, coloured by time.
#[derive(Debug, Clone)]
pub struct Trajectories {
    pub(crate) paths: Vec<Vec<[f64; 2]>>,
    pub(crate) times: Vec<f64>,
    pub(crate) label: String,
}

impl Trajectories {
    /// `paths[i][k]` is where curve `i` is at `times[k]`; times grow.
    ///
    /// # Panics
    /// If a path does not have one point for each time, or times do not grow.
    #[must_use]
    pub fn new(paths: Vec<Vec<[f64; 2]>>, times: Vec<f64>) -> Self {
        assert!(
            paths.iter().all(|path| path.len() == times.len()),
            "each trajectory needs one point at each time"
        );
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "times of trajectories must grow: {times:?}");
        Self { paths, times, label: "t".to_owned() }
    }

    /// Names time beside the colour bar (`t` by default; an empty name removes the bar).
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }
}

/// A horizontal level, or a band of levels: the floor two true samples reach, a known optimum.
#[derive(Debug, Clone)]
pub struct Reference {
    pub(crate) label: String,
    pub(crate) lo: f64,
    pub(crate) hi: f64,
}

impl Reference {
    /// A dashed line at ordinate `y`, named in the legend.
    #[must_use]
    pub fn line(label: impl Into<String>, y: f64) -> Self {
        Self { label: label.into(), lo: y, hi: y }
    }

    /// A shaded band of ordinates, named in the legend.
    #[must_use]
    pub fn band(label: impl Into<String>, lo: f64, hi: f64) -> Self {
        Self { label: label.into(), lo, hi }
    }
}

/// Points with symmetric vertical intervals.
#[derive(Debug, Clone)]
pub struct ErrorBars {
    pub(crate) label: String,
    pub(crate) points: Vec<[f64; 2]>,
    pub(crate) errors: Vec<f64>,
    pub(crate) tone: Option<Tone>,
}

impl ErrorBars {
    /// The interval `y ± errors[i]` at each point.
    ///
    /// # Panics
    /// If there are not as many errors as points.
    #[must_use]
    pub fn new(label: impl Into<String>, points: Vec<[f64; 2]>, errors: Vec<f64>) -> Self {
        assert_eq!(points.len(), errors.len(), "error bars need one error at each point");
        Self { label: label.into(), points, errors, tone: None }
    }

    /// Takes this colour instead of the next one.
    #[must_use]
    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = Some(tone);
        self
    }
}
