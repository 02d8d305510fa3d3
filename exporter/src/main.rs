//! The program `exporter`.

fn main() -> std::process::ExitCode {
    platform::entry::main("exporter", exporter::command::command)
}
