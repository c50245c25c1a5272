//! Figures, grids, animations and the self-contained HTML report.
//!
//! Plain numbers go in; SVG, PNG, GIF and HTML come out. Nothing here knows what a flow is, draws a random
//! number, or fetches anything: the same input gives the same bytes, and a report is one file that works
//! without a network.
//!
//! - [`Figure`] draws layers ([`Line`], [`Scatter`], [`HeatMap`], …) over axes; [`Panels`] sets several side by side.
//! - [`ScatterAnimation`] is a moving cloud, as a GIF or as a player inside a report.
//! - [`Report`] is the page a run ends with.
//! - [`image_grid`], [`write_png`], [`scatter_png`] make pictures of pixels.

mod animation;
mod axes;
mod axis;
mod color;
mod error;
mod figure;
mod gif;
mod image;
mod layer;
mod layers;
mod layout;
mod marks;
mod markup;
mod panels;
mod path;
mod player;
mod png;
mod raster;
mod report;
mod table;
mod text;
mod theme;
mod ticks;

pub use animation::ScatterAnimation;
pub use color::{ColorMap, Rgb};
pub use error::PlotError;
pub use figure::Figure;
pub use image::{RgbImage, image_grid, scatter_png, write_png};
pub use layer::Layer;
pub use layers::{
    Bounds, ErrorBars, HeatMap, Line, Reference, Scatter, Stroke, Tone, Trajectories, VectorField,
};
pub use panels::Panels;
pub use report::{Item, Report, Section};
pub use table::{Cell, Table};
pub use ticks::{Tick, linear_ticks, log_ticks};
