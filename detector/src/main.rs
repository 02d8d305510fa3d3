//! The program `detector`.

fn main() -> std::process::ExitCode {
    platform::entry::main("detector", detector::command::command)
}
