//! Fields of an item: little endian, one after another, without gaps.
//!
//! Path: a value → [`Field::put`] → bytes → [`Field::take`] → the same value. The table of shapes is section 2 of `FORMAT.md`. Types that are
//! archived in the log already, and those that are made of such, go in as their archive ([`put_archive`]), which is always last.
//! Bounds: a list is no longer than the bytes that are left, so no length makes more room than the item has. Nothing panics on any bytes.

use rkyv::{
    Archive, Deserialize, Serialize,
    api::high::{HighDeserializer, HighSerializer, HighValidator},
    bytecheck::CheckBytes,
    rancor,
    ser::allocator::ArenaHandle,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Something with one shape in bytes.
pub(in crate::partition) trait Field: Sized {
    /// Writes it at the end of `out`.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads it from the front of `from`; `None` if what stands there is none.
    fn take(from: &mut &[u8]) -> Option<Self>;
}

/// Writes an archive of `value`, the last field of an item.
///
/// # Panics
/// When it would pass 2 GiB: the bounds of what is stored are far below.
pub(in crate::partition) fn put_archive<T>(value: &T, out: &mut Vec<u8>)
where
    T: for<'a, 'o> Serialize<HighSerializer<&'o mut Vec<u8>, ArenaHandle<'a>, rancor::Error>>,
{
    rkyv::api::high::to_bytes_in::<_, rancor::Error>(value, out).expect("an item is far below 2 GiB");
}

/// Reads what [`put_archive`] wrote: all that is left. Checks every length and tag.
pub(in crate::partition) fn take_archive<T>(from: &mut &[u8]) -> Option<T>
where
    T: Archive,
    T::Archived: for<'a> CheckBytes<HighValidator<'a, rancor::Error>> + Deserialize<T, HighDeserializer<rancor::Error>>,
{
    rkyv::from_bytes::<T, rancor::Error>(std::mem::take(from)).ok()
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl Field for $integer {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn take(from: &mut &[u8]) -> Option<Self> {
                let (bytes, rest) = from.split_first_chunk()?;
                *from = rest;
                Some(Self::from_le_bytes(*bytes))
            }
        }
    )*};
}

integers!(u8 u16 u32 u64 u128 i8 i64);

impl Field for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push((*self).into());
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        match u8::take(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        Some(if bool::take(from)? { Some(T::take(from)?) } else { None })
    }
}

impl<T: Field, E: Field> Field for Result<T, E> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_err().put(out);
        match self {
            Ok(value) => value.put(out),
            Err(error) => error.put(out),
        }
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        Some(if bool::take(from)? { Err(E::take(from)?) } else { Ok(T::take(from)?) })
    }
}

impl<A: Field, B: Field> Field for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        Some((A::take(from)?, B::take(from)?))
    }
}

impl<A: Field, B: Field, C: Field> Field for (A, B, C) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
        self.2.put(out);
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        Some((A::take(from)?, B::take(from)?, C::take(from)?))
    }
}

impl<T: Field, const N: usize> Field for [T; N] {
    fn put(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.put(out));
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        let mut values = Vec::with_capacity(N);
        for _ in 0..N {
            values.push(T::take(from)?);
        }
        values.try_into().ok()
    }
}

/// Writes how many there are, and each.
fn put_list<'t, T: Field + 't>(list: impl ExactSizeIterator<Item = &'t T>, out: &mut Vec<u8>) {
    count(list.len()).put(out);
    list.for_each(|value| value.put(out));
}

/// Lists are bounded far below 2³² entries.
fn count(entries: usize) -> u32 {
    u32::try_from(entries).expect("lists are far shorter")
}

macro_rules! lists {
    ($($list:ty),*) => {$(
        impl<T: Field> Field for $list {
            fn put(&self, out: &mut Vec<u8>) {
                put_list(self.iter(), out);
            }
            fn take(from: &mut &[u8]) -> Option<Self> {
                let entries = u32::take(from)?;
                // Each takes a byte at least, so that a wrong count ends soon; the list grows with what is there.
                (0..entries).map(|_| T::take(from)).collect()
            }
        }
    )*};
}

lists!(Vec<T>, VecDeque<T>, Box<[T]>, inventory_ledger::PerLine<T>);

impl<K: Field + Ord, V: Field> Field for BTreeMap<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        count(self.len()).put(out);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        let mut map = Self::new();
        for _ in 0..u32::take(from)? {
            let (key, value) = (K::take(from)?, V::take(from)?);
            if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return None;
            }
            map.insert(key, value);
        }
        Some(map)
    }
}

/// A text: its length and its bytes.
fn put_text(text: &str, out: &mut Vec<u8>) {
    count(text.len()).put(out);
    out.extend_from_slice(text.as_bytes());
}

fn take_text<'f>(from: &mut &'f [u8]) -> Option<&'f str> {
    let bytes = usize::try_from(u32::take(from)?).ok()?;
    let (text, rest) = from.split_at_checked(bytes)?;
    *from = rest;
    std::str::from_utf8(text).ok()
}

impl Field for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self, out);
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        take_text(from).map(str::to_owned)
    }
}

impl Field for Arc<str> {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self, out);
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        take_text(from).map(Arc::from)
    }
}

/// Wrappers around one field.
macro_rules! wrappers {
    ($($wrapper:ty),* $(,)?) => {$(
        impl $crate::partition::snapshot::fields::Field for $wrapper {
            fn put(&self, out: &mut Vec<u8>) {
                let Self(inner) = self;
                inner.put(out);
            }
            fn take(from: &mut &[u8]) -> Option<Self> {
                Some(Self($crate::partition::snapshot::fields::Field::take(from)?))
            }
        }
    )*};
}

/// Structs, field by field in this order. Every field is named: one that is added does not compile until the format has it.
macro_rules! structs {
    ($($name:ty { $($field:ident),* $(,)? })*) => {$(
        impl $crate::partition::snapshot::fields::Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($crate::partition::snapshot::fields::Field::put($field, out);)*
            }
            fn take(from: &mut &[u8]) -> Option<Self> {
                $(let $field = $crate::partition::snapshot::fields::Field::take(from)?;)*
                Some(Self { $($field),* })
            }
        }
    )*};
}

/// Enums: a tag, then the fields of the variant.
macro_rules! enums {
    ($($name:ty { $($tag:literal $variant:ident $({ $($field:ident),* })? $(( $($item:ident),* ))?),* $(,)? })*) => {$(
        impl $crate::partition::snapshot::fields::Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $({ $($field),* })? $(( $($item),* ))? => {
                        out.push($tag);
                        $($($crate::partition::snapshot::fields::Field::put($field, out);)*)?
                        $($($crate::partition::snapshot::fields::Field::put($item, out);)*)?
                    })*
                }
            }
            fn take(from: &mut &[u8]) -> Option<Self> {
                Some(match <u8 as $crate::partition::snapshot::fields::Field>::take(from)? {
                    $($tag => {
                        $($(let $field = $crate::partition::snapshot::fields::Field::take(from)?;)*)?
                        $($(let $item = $crate::partition::snapshot::fields::Field::take(from)?;)*)?
                        Self::$variant $({ $($field),* })? $(( $($item),* ))?
                    })*
                    _ => return None,
                })
            }
        }
    )*};
}

pub(in crate::partition) use {enums, structs, wrappers};

wrappers!(
    wire::RawId,
    wire::Millis,
    wire::Seq,
    wire::PartitionId,
    wire::ProductId,
    wire::SkuId,
    wire::CategoryId,
    wire::HoldId,
    wire::OrderId,
    wire::EventId,
    wire::AnnouncementId,
    wire::TransferId,
);
