//! Colours: our own perceptual maps, made in the OKLCH space (lightness, chroma, hue), where equal steps
//! look equal.
//!
//! OKLab is Björn Ottosson's (2020); its matrices are the constants below. Colours a screen cannot show lose
//! chroma, never lightness or hue, so that order is never lost.

use std::f64::consts::TAU;

/// An sRGB colour, eight bits a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    /// `#rrggbb`.
    #[must_use]
    pub fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }

    /// The colour a fraction `amount` of the way to `other`: what translucent paint leaves.
    pub(crate) fn mix(self, other: Self, amount: f64) -> Self {
        let blend = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * amount).round() as u8;
        Self(blend(self.0, other.0), blend(self.1, other.1), blend(self.2, other.2))
    }
}

/// A way from numbers in `[0, 1]` to colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColorMap {
    /// From deep water to sand: lightness grows evenly with the value. For fields that fill the plane.
    #[default]
    Depth,
    /// Blue through magenta to orange at nearly one lightness. For marks, which must show on white and on
    /// black.
    Flow,
}

impl ColorMap {
    /// The colour at `fraction`, clamped to `[0, 1]`; not-a-number gives the first colour.
    #[must_use]
    pub fn at(self, fraction: f64) -> Rgb {
        let f = if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) };
        let along = |from: f64, to: f64| from + (to - from) * f;
        match self {
            // The middle carries the most chroma: dark and light ends have little room for it.
            Self::Depth => {
                oklch(along(0.20, 0.95), 0.07 + 0.08 * (std::f64::consts::PI * f).sin(), along(278.0, 92.0))
            }
            Self::Flow => oklch(along(0.56, 0.70), along(0.16, 0.17), along(255.0, 415.0)),
        }
    }
}

/// The sRGB colour of lightness `l` in `[0, 1]`, chroma `c` and hue `h` in degrees, with chroma cut to what
/// sRGB holds.
fn oklch(l: f64, c: f64, h: f64) -> Rgb {
    let (sin, cos) = (h / 360.0 * TAU).sin_cos();
    let linear = |chroma: f64| oklab_to_linear_srgb([l, chroma * cos, chroma * sin]);
    let fits = |rgb: [f64; 3]| rgb.iter().all(|v| (-1e-6..=1.0 + 1e-6).contains(v));
    let mut rgb = linear(c);
    if !fits(rgb) {
        let (mut inside, mut outside) = (0.0, c);
        for _ in 0..24 {
            let middle = 0.5 * (inside + outside);
            if fits(linear(middle)) { inside = middle } else { outside = middle }
        }
        rgb = linear(inside);
    }
    let [r, g, b] = rgb.map(gamma_encode);
    Rgb(r, g, b)
}

fn oklab_to_linear_srgb([l, a, b]: [f64; 3]) -> [f64; 3] {
    let long = (l + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let medium = (l - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let short = (l - 0.089_484_177_5 * a - 1.291_485_548_0 * b).powi(3);
    [
        4.076_741_662_1 * long - 3.307_711_591_3 * medium + 0.230_969_929_2 * short,
        -1.268_438_004_6 * long + 2.609_757_401_1 * medium - 0.341_319_396_5 * short,
        -0.004_196_086_3 * long - 0.703_418_614_7 * medium + 1.707_614_701_0 * short,
    ]
}

fn gamma_encode(linear: f64) -> u8 {
    let v = linear.clamp(0.0, 1.0);
    let encoded = if v <= 0.003_130_8 { 12.92 * v } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 };
    (encoded * 255.0).round() as u8
}

/// WCAG contrast ratio of two colours, between 1 and 21.
#[cfg(test)]
pub(crate) fn contrast(a: Rgb, b: Rgb) -> f64 {
    let linear = |v: u8| {
        let v = f64::from(v) / 255.0;
        if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    };
    let luminance = |c: Rgb| 0.2126 * linear(c.0) + 0.7152 * linear(c.1) + 0.0722 * linear(c.2);
    let (low, high) = if luminance(a) < luminance(b) { (a, b) } else { (b, a) };
    (luminance(high) + 0.05) / (luminance(low) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_axis_is_exact() {
        assert_eq!(oklch(1.0, 0.0, 0.0), Rgb(255, 255, 255));
        assert_eq!(oklch(0.0, 0.0, 0.0), Rgb(0, 0, 0));
        // Published value: sRGB red is OKLCH (0.62796, 0.25768, 29.234°).
        assert_eq!(oklch(0.627_96, 0.257_68, 29.234), Rgb(255, 0, 0));
    }

    #[test]
    fn depth_grows_lighter_at_every_step() {
        let black = Rgb(0, 0, 0);
        let ratios: Vec<f64> =
            (0..=64).map(|i| contrast(ColorMap::Depth.at(f64::from(i) / 64.0), black)).collect();
        assert!(ratios.windows(2).all(|pair| pair[1] > pair[0]), "{ratios:?}");
    }

    #[test]
    fn flow_shows_on_both_backgrounds() {
        for i in 0..=32 {
            let color = ColorMap::Flow.at(f64::from(i) / 32.0);
            for background in [crate::theme::SURFACE.light, crate::theme::SURFACE.dark] {
                assert!(contrast(color, background) > 2.5, "{} on {}", color.hex(), background.hex());
            }
        }
    }

    #[test]
    fn values_outside_the_range_take_the_ends() {
        assert_eq!(ColorMap::Depth.at(-3.0), ColorMap::Depth.at(0.0));
        assert_eq!(ColorMap::Depth.at(9.0), ColorMap::Depth.at(1.0));
        assert_eq!(ColorMap::Depth.at(f64::NAN), ColorMap::Depth.at(0.0));
    }
}
