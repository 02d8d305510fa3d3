//! Prints the ledger's numbers by area: `make conformance`.

#![expect(clippy::print_stdout, reason = "this is what it is for")]

fn main() {
    print!("{}", tests::ledger::Ledger::of_project().table());
}
