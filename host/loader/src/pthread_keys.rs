//! Every `pthread_key_create` of the process, plugins included, passes here, so that a plugin's keys can be deleted before it is closed.
//!
//! Each image's own std makes keys and never deletes them; without this the process aborts near the thousandth load ("out of TLS keys"), or
//! jumps into an unmapped destructor when a thread ends. What must hold: the wrappers work before `main`, allocate nothing and never
//! panic.

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

type Destructor = unsafe extern "C" fn(*mut c_void);
type Create = unsafe extern "C" fn(*mut libc::pthread_key_t, Option<Destructor>) -> c_int;
type Delete = unsafe extern "C" fn(libc::pthread_key_t) -> c_int;

/// glibc's `PTHREAD_KEYS_MAX`.
const KEYS_MAX: usize = 1024;

/// Address of the destructor by key; 0 = no such key, or none.
static DESTRUCTORS: [AtomicUsize; KEYS_MAX] = [const { AtomicUsize::new(0) }; KEYS_MAX];

static REAL_CREATE: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static REAL_DELETE: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

/// The next definition after ours: the C library's. Several threads may resolve it at once; all find the same.
pub(crate) fn real(slot: &AtomicPtr<c_void>, name: &'static std::ffi::CStr) -> *mut c_void {
    let known = slot.load(Ordering::Acquire);
    if !known.is_null() {
        return known;
    }
    // SAFETY: the name ends with a zero byte; glibc's `dlsym` needs no key and no allocation of ours.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    slot.store(found, Ordering::Release);
    found
}

/// The C library's function, with a record of the destructor.
///
/// # Safety
/// As `pthread_key_create(3)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_key_create(key: *mut libc::pthread_key_t, destructor: Option<Destructor>) -> c_int {
    let real = real(&REAL_CREATE, c"pthread_key_create");
    if real.is_null() {
        return libc::EAGAIN;
    }
    // SAFETY: the C library's symbol of that name has this signature.
    let create: Create = unsafe { std::mem::transmute(real) };
    // SAFETY: the caller keeps the contract of `pthread_key_create`.
    let answer = unsafe { create(key, destructor) };
    if answer == 0 {
        // SAFETY: on success the C library has written the key.
        let made = unsafe { *key } as usize;
        if let Some(record) = DESTRUCTORS.get(made) {
            record.store(destructor.map_or(0, |d| d as usize), Ordering::Release);
        }
    }
    answer
}

/// The C library's function; the record goes first, since the number may be given again at once.
///
/// # Safety
/// As `pthread_key_delete(3)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_key_delete(key: libc::pthread_key_t) -> c_int {
    let real = real(&REAL_DELETE, c"pthread_key_delete");
    if real.is_null() {
        return libc::EINVAL;
    }
    if let Some(record) = DESTRUCTORS.get(key as usize) {
        record.store(0, Ordering::Release);
    }
    // SAFETY: the C library's symbol of that name has this signature.
    let delete: Delete = unsafe { std::mem::transmute(real) };
    // SAFETY: the caller keeps the contract of `pthread_key_delete`.
    unsafe { delete(key) }
}

/// Whether a plugin that is opened now would call these wrappers. Looked up once, as a plugin would look it up.
#[must_use]
pub fn keys_are_watched() -> bool {
    static WATCHED: OnceLock<bool> = OnceLock::new();
    *WATCHED.get_or_init(|| {
        is_ours(c"pthread_key_create", pthread_key_create as *const c_void)
            && is_ours(c"pthread_key_delete", pthread_key_delete as *const c_void)
    })
}

pub(crate) fn is_ours(name: &'static std::ffi::CStr, ours: *const c_void) -> bool {
    // SAFETY: the name ends with a zero byte.
    std::ptr::eq(unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }, ours)
}

/// Deletes the keys whose destructor lies in the image at `base`; how many.
///
/// The caller sees to it that no thread runs code of the image any more.
pub(crate) fn purge(base: usize) -> usize {
    let mut purged = 0;
    for (key, record) in DESTRUCTORS.iter().enumerate() {
        let destructor = record.load(Ordering::Acquire);
        if destructor == 0 || crate::image::base_of(destructor) != Some(base) {
            continue;
        }
        let Ok(key) = libc::pthread_key_t::try_from(key) else { continue };
        // SAFETY: the key was made by that image, which runs nowhere any more: nobody uses or deletes it now.
        if unsafe { pthread_key_delete(key) } == 0 {
            purged += 1;
        }
    }
    purged
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn ours(_: *mut c_void) {}

    #[test]
    fn plugins_would_find_the_wrappers() {
        assert!(keys_are_watched());
    }

    #[test]
    fn keys_of_an_image_are_purged_and_no_others() {
        let here = crate::image::base_of(ours as *const () as usize).expect("this test lies in an image");
        let mut mine = 0;
        let mut without = 0;
        // SAFETY: the keys are this test's own.
        unsafe {
            assert_eq!(libc::pthread_key_create(&raw mut mine, Some(ours)), 0);
            assert_eq!(libc::pthread_key_create(&raw mut without, None), 0);
        }
        assert_eq!(
            DESTRUCTORS[mine as usize].load(Ordering::Acquire),
            ours as *const () as usize,
            "this crate's own calls pass the wrapper"
        );
        assert_eq!(purge(here + 1), 0, "nobody's base");
        assert_eq!(DESTRUCTORS[without as usize].load(Ordering::Acquire), 0);
        // SAFETY: as above; after the deletion the key is nobody's.
        unsafe {
            assert_eq!(libc::pthread_key_delete(mine), 0);
            assert_eq!(DESTRUCTORS[mine as usize].load(Ordering::Acquire), 0);
            assert_eq!(libc::pthread_key_delete(without), 0);
        }
    }
}
