//! Statistics: medians, with the least and the greatest value.

/// Values of one quantity, measured several times.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    /// Adds a value.
    pub(crate) fn add(&mut self, value: f64) {
        let at = self.0.partition_point(|other| *other <= value);
        self.0.insert(at, value);
    }

    /// Whether nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value that half are below; of nothing, NaN.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The least value.
    pub(crate) fn min(&self) -> f64 {
        self.quantile(0.0)
    }

    /// The greatest value.
    pub(crate) fn max(&self) -> f64 {
        self.quantile(1.0)
    }

    /// The value that the share `q` is below, between two of them where none is there.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "there are fewer than 2^52 values, and the position is among them"
    )]
    pub(crate) fn quantile(&self, q: f64) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else {
            return f64::NAN;
        };
        let position = q * last as f64;
        let below = position.floor() as usize;
        let above = (below + 1).min(last);
        self.0[below] + (self.0[above] - self.0[below]) * position.fract()
    }
}

impl FromIterator<f64> for Sample {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut sample = Self::default();
        values.into_iter().for_each(|value| sample.add(value));
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        let sample: Sample = [4.0, 1.0, 3.0, 2.0].into_iter().collect();
        assert_eq!(
            (sample.min(), sample.median(), sample.max()),
            (1.0, 2.5, 4.0)
        );
        assert_eq!(sample.quantile(1.0 / 3.0), 2.0);
        assert!(Sample::default().median().is_nan());
    }
}
