//! The program `restorer`.

fn main() -> std::process::ExitCode {
    platform::entry::main("restorer", restorer::command::command)
}
