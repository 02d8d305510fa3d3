//! The program `creator`.

fn main() -> std::process::ExitCode {
    platform::entry::main("creator", creator::command::command)
}
