//! What a value changes.

use std::fmt::Debug;

use event_kafka::config::{Config, PROPERTIES, Property};

/// The effect of one property.
pub(crate) struct Effect {
    property: &'static Property,
}

impl Effect {
    /// Of the property whose test this is.
    pub(crate) fn of(test: &str) -> Self {
        let mut properties = PROPERTIES.iter();
        let property = properties.find(|property| property.name.replace('.', "_") == test);
        let property = property.unwrap_or_else(|| panic!("there is no property {test}"));
        Self { property }
    }

    /// What `observe` sees with the default and with `value`, where nothing else is set. To see the
    /// same twice is no effect.
    pub(crate) fn with<T: PartialEq + Debug>(
        &self,
        value: &str,
        mut observe: impl FnMut(Config) -> T,
    ) -> [T; 2] {
        let name = self.property.name;
        let usual = observe(Config::default());
        let mut config = Config::default();
        config.set(name, value).expect("a value that is accepted");
        let other = observe(config);
        assert_ne!(usual, other, "{name}={value} has no effect");
        [usual, other]
    }
}

/// The same configuration with something more.
pub(crate) fn and(mut config: Config, others: &[(&str, &str)]) -> Config {
    for (name, value) in others {
        config.set(name, value).expect("a value that is accepted");
    }
    config
}
