//! Typed pointers into user memory: allegations until read.

use std::marker::PhantomData;

/// An address that the application claims holds a `T`. Holding one proves nothing.
pub struct UserPtr<T> {
    address: usize,
    marker: PhantomData<fn() -> T>,
}

impl<T> Clone for UserPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for UserPtr<T> {}

impl<T> std::fmt::Debug for UserPtr<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}", self.address)
    }
}

impl<T> UserPtr<T> {
    /// The claim that `address` holds a `T`.
    #[must_use]
    pub const fn new(address: usize) -> UserPtr<T> {
        UserPtr {
            address,
            marker: PhantomData,
        }
    }

    /// The address.
    #[must_use]
    pub const fn address(self) -> usize {
        self.address
    }

    /// Whether it is NULL, by which many calls mean "none".
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.address == 0
    }
}

impl<T: zerocopy::FromBytes> UserPtr<T> {
    /// Copies the value in; EFAULT.
    pub fn read(self, mm: &crate::AddressSpace) -> crate::Result<T> {
        mm.read_value(self.address)
    }
}

impl<T: zerocopy::IntoBytes + zerocopy::Immutable> UserPtr<T> {
    /// Copies the value out; EFAULT.
    pub fn write(self, mm: &crate::AddressSpace, value: &T) -> crate::Result<()> {
        mm.write_value(self.address, value)
    }
}

impl<T: zerocopy::IntoBytes + zerocopy::Immutable> UserPtr<T> {
    /// Copies values out, one behind the other.
    ///
    /// # Errors
    /// EFAULT
    pub fn write_array(self, mm: &crate::AddressSpace, values: &[T]) -> crate::Result<()> {
        mm.write_bytes(self.address, zerocopy::IntoBytes::as_bytes(values))
    }
}

impl<T> UserPtr<T> {
    /// The pointer to the value `count` places further on; what wraps around can't be read anyway.
    #[must_use]
    pub const fn offset(self, count: usize) -> UserPtr<T> {
        UserPtr::new(
            self.address
                .wrapping_add(count.wrapping_mul(size_of::<T>())),
        )
    }
}

impl UserPtr<u8> {
    /// Copies as many bytes in as `buffer` has; EFAULT.
    pub fn read_bytes(self, mm: &crate::AddressSpace, buffer: &mut [u8]) -> crate::Result<()> {
        mm.read_bytes(self.address, buffer)
    }
}
