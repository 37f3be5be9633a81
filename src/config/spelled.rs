//! Choices that an operator spells by name.

/// Writes a type as its `name` and reads it back; `ALL` has its values.
macro_rules! spelled {
    ($($choice:ty),+) => {$(
        impl core::fmt::Display for $choice {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl core::str::FromStr for $choice {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                let mut all = Self::ALL.into_iter();
                all.find(|choice| choice.name() == text).ok_or(())
            }
        }
    )+};
}

pub(super) use spelled;
