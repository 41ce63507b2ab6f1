//! Gives the shared library the name by which programs that were linked to it find it: its number
//! changes with the interface, so that none runs with another one.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libevent_kafka.so.0");
}
