//! The language in which the APIs are written down: [`structure!`] takes what Kafka's own message
//! definitions say about each field and makes the type, its decoder and its encoder of it, so that
//! the two directions cannot drift apart.

use crate::error_code::ErrorCode;
use crate::message::{ApiKey, Records};
use crate::primitives::{
    DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, Reader, Uuid, Writer,
};

/// Defines a structure of the protocol:
///
/// ```text
/// /// What it is.
/// pub struct Name<'a> {
///     /// What the field is.
///     field: Type [VERSIONS, default VALUE, nullable VERSIONS, else skip],
/// } tagged {
///     /// What the field is.
///     TAG => field: Type [VERSIONS, default VALUE, else skip],
/// }
/// ```
///
/// All but the versions may be left out. The default is `Default::default()`; an `Option` is
/// refused as null outside its nullable versions; a value in a version that has no place for it
/// is refused unless `else skip` says that it may get lost (Kafka calls that *ignorable*).
macro_rules! structure {
    (
        $(#[$struct_meta:meta])*
        pub struct $name:ident $(<$life:lifetime>)? {
            $(
                $(#[$meta:meta])*
                $field:ident: $type:ty [
                    $versions:expr
                    $(, default $default:expr)?
                    $(, nullable $nullable:expr)?
                    $(, else $absent:ident)?
                ],
            )*
        } $(tagged {
            $(
                $(#[$tag_meta:meta])*
                $tag:literal => $tag_field:ident: $tag_type:ty [
                    $tag_versions:expr
                    $(, default $tag_default:expr)?
                    $(, else $tag_absent:ident)?
                ],
            )*
        })?
    ) => {
        $(#[$struct_meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name $(<$life>)? {
            $($(#[$meta])* pub $field: $type,)*
            $($($(#[$tag_meta])* pub $tag_field: $tag_type,)*)?
        }

        impl $(<$life>)? Default for $name $(<$life>)? {
            fn default() -> Self {
                Self {
                    $($field: structure!(@default $($default)?),)*
                    $($($tag_field: structure!(@default $($tag_default)?),)*)?
                }
            }
        }

        impl<'a> $crate::message::schema::Field<'a> for $name $(<$life>)? {
            fn least_len(place: $crate::message::schema::Place) -> usize {
                let mut len = usize::from(place.flexible);
                $(if ($versions).contains(&place.version) {
                    len += <$type as $crate::message::schema::Field<'_>>::least_len(place);
                })*
                len
            }

            fn decode(
                reader: &mut $crate::primitives::Reader<'a>,
                place: $crate::message::schema::Place,
            ) -> Result<Self, $crate::primitives::DecodeError> {
                let mut value = Self::default();
                $(if ($versions).contains(&place.version) {
                    let place = structure!(@place place, $name, $field $(, $nullable)?);
                    value.$field = $crate::message::schema::Field::decode(reader, place)?;
                })*
                if place.flexible {
                    reader.tagged_fields(stringify!($name), |tag, _reader| match tag {
                        $($($tag if ($tag_versions).contains(&place.version) => {
                            let place = structure!(@place place, $name, $tag_field);
                            value.$tag_field =
                                $crate::message::schema::Field::decode(_reader, place)?;
                            Ok(true)
                        })*)?
                        _ => Ok(false),
                    })?;
                }
                Ok(value)
            }

            fn encode(
                &self,
                writer: &mut $crate::primitives::Writer,
                place: $crate::message::schema::Place,
            ) -> Result<(), $crate::primitives::EncodeError> {
                let default = Self::default();
                $({
                    let place = structure!(@place place, $name, $field $(, $nullable)?);
                    if ($versions).contains(&place.version) {
                        self.$field.encode(writer, place)?;
                    } else if structure!(@required $($absent)?) && self.$field != default.$field {
                        return Err(place.not_in_version());
                    }
                })*
                $($(
                    let has_value = self.$tag_field != default.$tag_field;
                    let $tag_field = has_value && ($tag_versions).contains(&place.version);
                    if has_value && !$tag_field && structure!(@required $($tag_absent)?) {
                        return Err(structure!(@place place, $name, $tag_field).not_in_version());
                    }
                )*)?
                if place.flexible {
                    writer.unsigned_varint(0 $($(+ u32::from($tag_field))*)?);
                    $($(if $tag_field {
                        let place = structure!(@place place, $name, $tag_field);
                        writer.tagged_field($tag, place.field, |writer| {
                            self.$tag_field.encode(writer, place)
                        })?;
                    })*)?
                }
                Ok(())
            }
        }
    };
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    (@required) => { true };
    (@required skip) => { false };
    (@place $outer:expr, $name:ident, $field:ident $(, $nullable:expr)?) => {
        $crate::message::schema::Place {
            field: concat!(stringify!($name), ".", stringify!($field)),
            nullable: false $(|| ($nullable).contains(&$outer.version))?,
            ..$outer
        }
    };
}

/// Makes [`Message`](crate::message::Message)s of structures: `message!(Produce: ProduceRequest<'a>)`.
macro_rules! message {
    ($api:ident: $type:ty) => {
        impl<'a> $crate::message::Message<'a> for $type {
            fn decode(
                reader: &mut $crate::primitives::Reader<'a>,
                version: i16,
            ) -> Result<Self, $crate::primitives::DecodeError> {
                $crate::message::schema::decode_body($crate::message::ApiKey::$api, reader, version)
            }

            fn encode(
                &self,
                writer: &mut $crate::primitives::Writer,
                version: i16,
            ) -> Result<(), $crate::primitives::EncodeError> {
                let api = $crate::message::ApiKey::$api;
                $crate::message::schema::encode_body(api, self, writer, version)
            }
        }
    };
}

pub(super) use {message, structure};

/// Anything that can stand in a structure.
pub(super) trait Field<'a>: Sized {
    /// The fewest bytes that a value can take.
    fn least_len(place: Place) -> usize;

    fn decode(reader: &mut Reader<'a>, place: Place) -> Result<Self, DecodeError>;

    fn encode(&self, writer: &mut Writer, place: Place) -> Result<(), EncodeError>;
}

/// Where a field stands, and by which rules.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) field: &'static str,
    pub(super) version: i16,
    pub(super) flexible: bool,
    pub(super) nullable: bool,
}

impl Place {
    pub(super) fn not_in_version(self) -> EncodeError {
        let kind = EncodeErrorKind::NotInVersion {
            version: self.version,
        };
        EncodeError {
            field: self.field,
            kind,
        }
    }

    /// What was read from `start` on, unless it is null.
    fn required<T>(self, start: &Reader<'_>, value: Option<T>) -> Result<T, DecodeError> {
        value.ok_or_else(|| start.error(self.field, DecodeErrorKind::UnexpectedNull))
    }

    /// What was read from `start` on, unless it is null in a version without null.
    fn optional<T>(self, start: &Reader<'_>, value: Option<T>) -> Result<Option<T>, DecodeError> {
        if self.nullable {
            Ok(value)
        } else {
            self.required(start, value).map(Some)
        }
    }

    fn check_null<T>(self, value: Option<T>) -> Result<(), EncodeError> {
        if value.is_some() || self.nullable {
            return Ok(());
        }
        let kind = EncodeErrorKind::UnexpectedNull {
            version: self.version,
        };
        Err(EncodeError {
            field: self.field,
            kind,
        })
    }

    fn of_body(api: ApiKey, version: i16) -> Option<Self> {
        api.versions().contains(version).then_some(Self {
            field: api.name(),
            version,
            flexible: api.is_flexible(version),
            nullable: false,
        })
    }
}

pub(super) fn decode_body<'a, T: Field<'a>>(
    api: ApiKey,
    reader: &mut Reader<'a>,
    version: i16,
) -> Result<T, DecodeError> {
    let place = Place::of_body(api, version).ok_or_else(|| {
        let supported = api.versions();
        reader.error(
            api.name(),
            DecodeErrorKind::UnsupportedVersion { version, supported },
        )
    })?;
    T::decode(reader, place)
}

pub(super) fn encode_body<'a, T: Field<'a>>(
    api: ApiKey,
    body: &T,
    writer: &mut Writer,
    version: i16,
) -> Result<(), EncodeError> {
    let place = Place::of_body(api, version).ok_or_else(|| {
        let supported = api.versions();
        let kind = EncodeErrorKind::UnsupportedVersion { version, supported };
        EncodeError {
            field: api.name(),
            kind,
        }
    })?;
    body.encode(writer, place)
}

/// Types whose reader and writer do not depend on the place.
macro_rules! plain_fields {
    ($($type:ty: $method:ident, $len:literal;)*) => {$(
        impl<'a> Field<'a> for $type {
            fn least_len(_place: Place) -> usize {
                $len
            }

            fn decode(reader: &mut Reader<'a>, place: Place) -> Result<Self, DecodeError> {
                reader.$method(place.field)
            }

            fn encode(&self, writer: &mut Writer, _place: Place) -> Result<(), EncodeError> {
                writer.$method(*self);
                Ok(())
            }
        }
    )*};
}

plain_fields! {
    bool: bool, 1;
    i16: i16, 2;
    i32: i32, 4;
    i64: i64, 8;
    Uuid: uuid, 16;
}

impl<'a> Field<'a> for ErrorCode {
    fn least_len(place: Place) -> usize {
        i16::least_len(place)
    }

    fn decode(reader: &mut Reader<'a>, place: Place) -> Result<Self, DecodeError> {
        i16::decode(reader, place).map(Self)
    }

    fn encode(&self, writer: &mut Writer, place: Place) -> Result<(), EncodeError> {
        self.0.encode(writer, place)
    }
}

impl<'a> Field<'a> for &'a str {
    fn least_len(place: Place) -> usize {
        if place.flexible { 1 } else { 2 }
    }

    fn decode(reader: &mut Reader<'a>, place: Place) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let value = reader.nullable_string(place.flexible, place.field)?;
        place.required(&start, value)
    }

    fn encode(&self, writer: &mut Writer, place: Place) -> Result<(), EncodeError> {
        writer.nullable_string(Some(self), place.flexible, place.field)
    }
}

impl<'a> Field<'a> for Option<&'a str> {
    fn least_len(place: Place) -> usize {
        <&str>::least_len(place)
    }

    fn decode(reader: &mut Reader<'a>, place: Place) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let value = reader.nullable_string(place.flexible, place.field)?;
        place.optional(&start, value)
    }

    fn encode(&self, writer: &mut Writer, place: Place) -> Result<(), EncodeError> {
        place.check_null(*self)?;
        writer.nullable_string(*self, place.flexible, place.field)
    }
}

impl<'a, T: Field<'a>> Field<'a> for Vec<T> {
    fn least_len(place: Place) -> usize {
        if place.flexible { 1 } else { 4 }
    }

    fn decode(reader: &mut Reader<'a>, place: Place) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let value = decode_array(reader, place)?;
        place.required(&start, value)
    }

    fn encode(&self, writer: &mut Writer, place: Place) -> Result<(), EncodeError> {
        encode_array(Some(self), writer, place)
    }
}

impl<'a, T: Field<'a>> Field<'a> for Option<Vec<T>> {
    fn least_len(place: Place) -> usize {
        Vec::<T>::least_len(place)
    }

    fn decode(reader: &mut Reader<'a>, place: Place) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let value = decode_array(reader, place)?;
        place.optional(&start, value)
    }

    fn encode(&self, writer: &mut Writer, place: Place) -> Result<(), EncodeError> {
        place.check_null(self.as_ref())?;
        encode_array(self.as_deref(), writer, place)
    }
}

impl<'a> Field<'a> for Option<Records<'a>> {
    fn least_len(place: Place) -> usize {
        if place.flexible { 1 } else { 4 }
    }

    fn decode(reader: &mut Reader<'a>, place: Place) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let value = reader.nullable_bytes(place.flexible, place.field)?;
        place.optional(&start, value.map(Records::Whole))
    }

    fn encode(&self, writer: &mut Writer, place: Place) -> Result<(), EncodeError> {
        place.check_null(self.as_ref())?;
        writer.nullable_length(self.as_ref().map(Records::len), place.flexible, place.field)?;
        match *self {
            None => {}
            Some(Records::Whole(bytes)) => writer.raw(bytes),
            Some(Records::Split { header, rest }) => {
                writer.raw(header);
                writer.gap(rest);
            }
        }
        Ok(())
    }
}

fn decode_array<'a, T: Field<'a>>(
    reader: &mut Reader<'a>,
    place: Place,
) -> Result<Option<Vec<T>>, DecodeError> {
    let least_len = T::least_len(place);
    let Some(count) = reader.nullable_array(place.flexible, least_len, place.field)? else {
        return Ok(None);
    };
    let mut elements = Vec::with_capacity(count);
    for _ in 0..count {
        elements.push(T::decode(reader, place)?);
    }
    Ok(Some(elements))
}

fn encode_array<'a, T: Field<'a>>(
    elements: Option<&[T]>,
    writer: &mut Writer,
    place: Place,
) -> Result<(), EncodeError> {
    writer.nullable_length(elements.map(<[T]>::len), place.flexible, place.field)?;
    elements
        .into_iter()
        .flatten()
        .try_for_each(|element| element.encode(writer, place))
}
