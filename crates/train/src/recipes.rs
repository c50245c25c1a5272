//! The recipes and comparisons inside the library, so that `thalweg train two-moons` works anywhere.

use thalweg_run::Document;

/// A recipe of ours as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbeddedRecipe {
    /// Its name.
    pub name: &'static str,
    /// Its TOML.
    pub text: &'static str,
}

macro_rules! embedded {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(EmbeddedRecipe { name: $name, text: include_str!(concat!("../../../", $folder, "/", $name, ".toml")) }),*]
    };
}

/// All of them: data sets first, then one for each method, those that start from another run after it, then those that
/// need a file of the user's.
pub const RECIPES: &[EmbeddedRecipe] = embedded!["recipes":
    "two-moons",
    "eight-gaussians",
    "moons-from-gaussians",
    "checkerboard",
    "pinwheel",
    "rings",
    "spirals",
    "swiss-roll",
    "gaussian-16d",
    "conditional-two-moons",
    "i-cfm",
    "ot-cfm",
    "vp",
    "ve",
    "ddpm",
    "ddim",
    "sb-cfm",
    "stochastic-interpolant",
    "cnf",
    "few-steps",
    "fine-tuning",
    "debiased",
    "reflow",
    "local",
    "distilled",
    "free-stage",
    "contracting",
    "tree",
    "rose",
    "kin8nm",
    "protein",
    "power",
    "gas",
    "miniboone",
    "bsds300",
];

/// Comparisons, for `thalweg compare`.
pub const COMPARISONS: &[EmbeddedRecipe] = embedded!["comparisons": "plane"];

impl EmbeddedRecipe {
    /// The run it starts from; none for one that starts from nothing.
    #[must_use]
    pub fn starts_from(&self) -> Option<String> {
        Document::new(self.text, self.name, &[]).ok()?.text_at(&["from", "run"])
    }
}

/// The embedded recipe of that name.
#[must_use]
pub fn find_recipe(name: &str) -> Option<&'static EmbeddedRecipe> {
    RECIPES.iter().find(|recipe| recipe.name == name)
}

/// The embedded comparison of that name.
#[must_use]
pub fn find_comparison(name: &str) -> Option<&'static EmbeddedRecipe> {
    COMPARISONS.iter().find(|recipe| recipe.name == name)
}
