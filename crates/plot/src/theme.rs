//! The palette, light and dark, as one table: the style sheets, the GIF and the PNG clouds all take their
//! colours from it.

use crate::color::Rgb;

/// One role of the palette: its colour on paper and at night. It is `--tw-<name>` in style sheets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Role {
    pub(crate) name: &'static str,
    pub(crate) light: Rgb,
    pub(crate) dark: Rgb,
}

const fn role(name: &'static str, light: u32, dark: u32) -> Role {
    Role { name, light: rgb(light), dark: rgb(dark) }
}

const fn rgb(code: u32) -> Rgb {
    Rgb((code >> 16) as u8, (code >> 8) as u8, code as u8)
}

pub(crate) const SURFACE: Role = role("surface", 0xffffff, 0x141b22);
pub(crate) const INK: Role = role("ink", 0x17212b, 0xe8edf2);
pub(crate) const MUTED: Role = role("muted", 0x586573, 0x9dabb9);
/// Colours of series, in order of use; told apart also by people who see two primaries.
pub(crate) const SERIES: [Role; 6] = [
    role("s0", 0x1668ad, 0x6fb5f0),
    role("s1", 0xc2540a, 0xf49a55),
    role("s2", 0x23815a, 0x66cb9c),
    role("s3", 0x7a49b0, 0xbc9df2),
    role("s4", 0xb93651, 0xf2869c),
    role("s5", 0x806300, 0xdfbd50),
];
const OTHERS: [Role; 6] = [
    role("page", 0xf5f7f9, 0x0c1116),
    role("grid", 0xe6eaee, 0x25303a),
    role("axis", 0xaab4be, 0x51606e),
    role("sunken", 0xf0f3f6, 0x0f151b),
    role("warn", 0x9a3b00, 0xf5a96b),
    role("warn-soft", 0xfff3e8, 0x2b1d12),
];

/// Declares every role on `:root`, for the light and the dark scheme. A `data-theme` attribute on the root
/// wins over the reader's system; paper is always light.
pub(crate) fn style_sheet() -> String {
    let roles: Vec<Role> = [SURFACE, INK, MUTED].into_iter().chain(SERIES).chain(OTHERS).collect();
    let declare = |pick: fn(&Role) -> Rgb| -> String {
        roles.iter().map(|role| format!("--tw-{}:{};", role.name, pick(role).hex())).collect()
    };
    let (light, dark) = (declare(|r| r.light), declare(|r| r.dark));
    format!(
        ":root{{color-scheme:light;{light}}}\n\
         @media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n\
         @media screen{{:root[data-theme=dark]{{color-scheme:dark;{dark}}}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::contrast;

    #[test]
    fn text_reaches_the_contrast_of_wcag_aa() {
        for role in [INK, MUTED].into_iter().chain(SERIES) {
            assert!(contrast(role.light, SURFACE.light) >= 4.5, "{} light", role.name);
            assert!(contrast(role.dark, SURFACE.dark) >= 4.5, "{} dark", role.name);
        }
        for background in [OTHERS[0], OTHERS[3]] {
            assert!(
                contrast(MUTED.light, background.light) >= 4.5
                    && contrast(MUTED.dark, background.dark) >= 4.5
            );
        }
        let (warn, soft) = (OTHERS[4], OTHERS[5]);
        assert!(contrast(warn.light, soft.light) >= 4.5 && contrast(warn.dark, soft.dark) >= 4.5);
    }

    #[test]
    fn fallbacks_for_viewers_without_variables_are_the_light_palette() {
        let css = include_str!("assets/figure.css");
        for role in [SURFACE, INK, MUTED].into_iter().chain(SERIES) {
            let uses = css.matches(&format!("var(--tw-{})", role.name)).count();
            let hex = role.light.hex();
            // Style sheets shorten `#ffffff`.
            let hex = if hex == "#ffffff" { "#fff" } else { &hex };
            let fallbacks = ["fill", "stroke"]
                .map(|p| css.matches(&format!("{p}:{hex};{p}:var(--tw-{})", role.name)).count());
            assert!(
                uses > 0 && fallbacks.iter().sum::<usize>() == uses,
                "{}: {fallbacks:?} of {uses}",
                role.name
            );
        }
    }
}
