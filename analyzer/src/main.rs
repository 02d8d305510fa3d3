//! The program `analyzer`.

fn main() -> std::process::ExitCode {
    platform::entry::main("analyzer", analyzer::command::command)
}
