//! A short name for bytes and numbers, the same on every machine, to notice that they are not what they were.

/// The 128-bit FNV-1a hash: simple, stable, and more than enough against accidents. It is no defence against forgery.
///
/// ```
/// use thalweg_files::Fingerprint;
///
/// let mut fingerprint = Fingerprint::default();
/// fingerprint.bytes(b"foobar");
/// assert_eq!(fingerprint.text(), "343e1662793c64bf6f0d3597ba446f18");
/// ```
#[derive(Debug, Clone)]
pub struct Fingerprint(u128);

impl Default for Fingerprint {
    /// That of nothing.
    fn default() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Fingerprint {
    /// Adds bytes. They are not told apart from other bytes that follow, so say how many there are where it matters.
    pub fn bytes(&mut self, bytes: &[u8]) {
        const PRIME: u128 = (1 << 88) + 0x13b;
        for &byte in bytes {
            self.0 = (self.0 ^ u128::from(byte)).wrapping_mul(PRIME);
        }
    }

    /// Adds how many numbers there are, and all their bits.
    pub fn numbers(&mut self, values: &[f64]) {
        self.indices(&[values.len()]);
        for value in values {
            self.bytes(&value.to_bits().to_le_bytes());
        }
    }

    /// Adds whole numbers.
    pub fn indices(&mut self, values: &[usize]) {
        for &value in values {
            self.bytes(&(value as u64).to_le_bytes());
        }
    }

    /// 32 hexadecimal digits.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published test vectors of FNV-1a with 128 bits.
    #[test]
    fn known_answers() {
        let check = |text: &str, expected: &str| {
            let mut fingerprint = Fingerprint::default();
            fingerprint.bytes(text.as_bytes());
            assert_eq!(fingerprint.text(), expected, "{text}");
        };
        check("", "6c62272e07bb014262b821756295c58d");
        check("a", "d228cb696f1a8caf78912b704e4a8964");
        check("foobar", "343e1662793c64bf6f0d3597ba446f18");
    }
}
