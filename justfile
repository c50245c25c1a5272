# Chores. `just` lists them.

default:
    @just --list

# Everything that must hold before a change lands.
check:
    .ci/run

# The tests that take longer than a second each.
slow:
    cargo test --release --workspace -- --ignored

# Dependencies: licences, advisories, sources.
deny:
    cargo deny check

# The book, with its code tested.
book:
    mdbook build book

# Feed random bytes to a reader (npy, csv or recipe); needs nightly and cargo-fuzz.
fuzz TARGET SECONDS="60":
    cargo +nightly fuzz run {{TARGET}} -- -max_total_time={{SECONDS}}
