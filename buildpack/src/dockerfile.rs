//! Dockerfiles of image extensions: what they may hold, and what they do to the run image (IMX-019 to IMX-025).
//!
//! The grammar is the one that container builders read: parser directives, continued lines, here-documents on any
//! place of a line. Nothing is run or expanded here; that is the business of whoever applies the file.

mod instruction;
mod lines;
mod nearest;
mod words;

use std::path::Path;

use crate::dockerfile::instruction::Instruction;
use crate::syscall_text;

/// Which image a Dockerfile extends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `build.Dockerfile`: the image that buildpacks run on.
    Build,
    /// `run.Dockerfile`: the image that the app runs on.
    Run,
}

impl Kind {
    /// Returns `build` or `run`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Run => "run",
        }
    }

    /// Returns the name of the file in an extension's output.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Build => "build.Dockerfile",
            Self::Run => "run.Dockerfile",
        }
    }
}

/// What a valid Dockerfile does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// The image that it begins with, where that is another one than the run image (IMX-025).
    pub new_base: Option<String>,
    /// It changes the image that it begins with.
    pub extends: bool,
}

/// What is wrong with a Dockerfile. The text is the reference's.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    text: String,
    /// Where it is wrong; 0 for the file as a whole.
    pub line: usize,
    /// What to do about it, where the text does not say.
    pub advice: String,
}

/// Reads and checks a Dockerfile. Things to warn of are added to `warnings`, also where it fails.
pub fn read(path: &Path, kind: Kind, warnings: &mut Vec<String>) -> Result<Effect, Error> {
    let bytes = syscall_text::read_file(path).map_err(|e| Error::at(0, e.to_string()))?;
    check(&String::from_utf8_lossy(&bytes), kind, warnings)
}

/// Checks the text of a Dockerfile.
pub fn check(text: &str, kind: Kind, warnings: &mut Vec<String>) -> Result<Effect, Error> {
    let instructions = lines::parse(text)?;
    let file = File::new(&instructions)?;
    file.check_single_stage(kind)?;
    match kind {
        Kind::Build => {
            file.warn(kind, warnings);
            file.check_base_argument()?;
            file.from(kind)?;
            file.check_base()
        }
        Kind::Run => {
            file.from(kind)?;
            file.warn(kind, warnings);
            Ok(())
        }
    }?;
    Ok(Effect {
        new_base: file.base().filter(|base| *base != BASE).map(str::to_owned),
        extends: !file.commands.is_empty(),
    })
}

/// What must stand behind FROM, character by character, to mean the image that is extended.
const BASE: &str = "${base_image}";

/// The argument that the lifecycle sets.
const BASE_ARGUMENT: &str = "base_image";

/// Instructions that are said to be safe behind FROM.
const RECOMMENDED: [&str; 9] = [
    "ADD", "ARG", "COPY", "ENV", "LABEL", "RUN", "SHELL", "USER", "WORKDIR",
];

/// A Dockerfile by its parts.
struct File<'a> {
    /// ARG in front of the first FROM.
    arguments: Vec<&'a Instruction>,
    stages: Vec<&'a Instruction>,
    /// Everything behind the first FROM.
    commands: Vec<&'a Instruction>,
}

impl<'a> File<'a> {
    fn new(instructions: &'a [Instruction]) -> Result<Self, Error> {
        let mut file = Self {
            arguments: Vec::new(),
            stages: Vec::new(),
            commands: Vec::new(),
        };
        for instruction in instructions {
            instruction.check()?;
            match instruction.keyword().as_str() {
                "FROM" => file.stages.push(instruction),
                "ARG" if file.stages.is_empty() => file.arguments.push(instruction),
                _ if file.stages.is_empty() => {
                    let error = Error::at(instruction.line, "no build stage in current context");
                    return Err(error.advise("only ARG may stand in front of FROM".to_owned()));
                }
                _ => file.commands.push(instruction),
            }
        }
        Ok(file)
    }

    fn check_single_stage(&self, kind: Kind) -> Result<(), Error> {
        let Some(second) = self.stages.get(1) else {
            return Ok(());
        };
        let name = kind.file_name();
        let text = format!("{name} is not permitted to use multistage build");
        Err(Error::at(second.line, text).advise("leave one FROM; it extends one image".to_owned()))
    }

    /// Returns the only FROM.
    fn from(&self, kind: Kind) -> Result<&'a Instruction, Error> {
        self.stages.first().copied().ok_or_else(|| {
            let text = format!("{} should have at least one stage", kind.file_name());
            Error::at(0, text).advise(format!("say what is extended: FROM {BASE}"))
        })
    }

    fn base(&self) -> Option<&'a str> {
        Some(self.stages.first()?.args.first()?.as_str())
    }

    fn check_base_argument(&self) -> Result<(), Error> {
        let wrong = match &self.arguments[..] {
            [argument] if names(argument) == BASE_ARGUMENT => return Ok(()),
            [] => self.stages.first().map_or(0, |from| from.line),
            [argument] => argument.line,
            [_, second, ..] => second.line,
        };
        let text = "build.Dockerfile did not start with required ARG command";
        let advice = format!("let one ARG stand in front of FROM: ARG {BASE_ARGUMENT}");
        Err(Error::at(wrong, text).advise(advice))
    }

    fn check_base(&self) -> Result<(), Error> {
        let base = self.base().unwrap_or_default();
        if base == BASE {
            return Ok(());
        }
        let line = self.stages.first().map_or(0, |from| from.line);
        let text = "build.Dockerfile did not contain required FROM ${base_image} command";
        let advice = format!(
            "write FROM {BASE} instead of FROM {base}: the image is the lifecycle's choice"
        );
        Err(Error::at(line, text).advise(advice))
    }

    fn warn(&self, kind: Kind, warnings: &mut Vec<String>) {
        for command in &self.commands {
            let keyword = command.keyword();
            if !RECOMMENDED.contains(&keyword.as_str()) {
                warnings.push(format!(
                    "{} command {keyword} on line {} is not recommended",
                    kind.file_name(),
                    command.line
                ));
            }
        }
    }
}

/// Returns the first name that an ARG declares.
fn names(argument: &Instruction) -> &str {
    let first = argument.args.first().map_or("", String::as_str);
    first.split_once('=').map_or(first, |(name, _)| name)
}

impl Error {
    fn at(line: usize, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            line,
            advice: String::new(),
        }
    }

    fn advise(self, advice: String) -> Self {
        Self { advice, ..self }
    }
}

#[cfg(test)]
mod tests;
