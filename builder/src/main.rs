//! The program `builder`.

fn main() -> std::process::ExitCode {
    platform::entry::main("builder", builder::command::command)
}
