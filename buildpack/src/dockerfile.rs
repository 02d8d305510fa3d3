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
    pub const fn file_name(self) -> &'static str {
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
    /// What is wrong, in plain words.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

/// Reads and checks a Dockerfile. What to warn of goes to `warn`, also where the file is then refused.
pub fn read(path: &Path, kind: Kind, warn: &mut dyn FnMut(String)) -> Result<Effect, Error> {
    let bytes = syscall_text::read_file(path).map_err(|error| {
        let problem = format!("cannot be read: {}", syscall_text::reason(&error.cause));
        let remedy = "make it a file that the building user may read";
        Error::at(0, error.to_string()).explained(problem, remedy)
    })?;
    check(&String::from_utf8_lossy(&bytes), kind, warn)
}

/// Checks the text of a Dockerfile.
pub fn check(text: &str, kind: Kind, warn: &mut dyn FnMut(String)) -> Result<Effect, Error> {
    let instructions = lines::parse(text)?;
    let file = File::new(&instructions)?;
    file.check_single_stage(kind)?;
    match kind {
        Kind::Build => {
            file.warn(kind, warn);
            file.check_base_argument()?;
            file.from(kind)?;
            file.check_base()
        }
        Kind::Run => {
            file.from(kind)?;
            file.warn(kind, warn);
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
                    let problem = format!("{} stands in front of FROM", instruction.keyword());
                    let remedy = "put it behind FROM; only ARG may stand in front";
                    return Err(error.explained(problem, remedy));
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
        let remedy = "leave one FROM: a Dockerfile of an extension extends one image";
        Err(Error::at(second.line, text).explained("holds a second FROM", remedy))
    }

    /// Returns the only FROM.
    fn from(&self, kind: Kind) -> Result<&'a Instruction, Error> {
        self.stages.first().copied().ok_or_else(|| {
            let text = format!("{} should have at least one stage", kind.file_name());
            let remedy = format!("say what is extended: FROM {BASE}");
            Error::at(0, text).explained("holds no FROM", remedy)
        })
    }

    fn base(&self) -> Option<&'a str> {
        Some(self.stages.first()?.args.first()?.as_str())
    }

    fn check_base_argument(&self) -> Result<(), Error> {
        let (line, problem) = match &self.arguments[..] {
            [argument] if first_name(argument) == BASE_ARGUMENT => return Ok(()),
            [] => {
                let line = self.stages.first().map_or(0, |from| from.line);
                (line, "there is no ARG in front of FROM".to_owned())
            }
            [argument] => {
                let name = first_name(argument);
                (
                    argument.line,
                    format!("declares {name} instead of {BASE_ARGUMENT}"),
                )
            }
            [_, second, ..] => (second.line, "is a second ARG in front of FROM".to_owned()),
        };
        let text = "build.Dockerfile did not start with required ARG command";
        let remedy = format!("begin with two lines: ARG {BASE_ARGUMENT}, and FROM {BASE}");
        Err(Error::at(line, text).explained(problem, remedy))
    }

    fn check_base(&self) -> Result<(), Error> {
        let base = self.base().unwrap_or_default();
        if base == BASE {
            return Ok(());
        }
        let line = self.stages.first().map_or(0, |from| from.line);
        let text = "build.Dockerfile did not contain required FROM ${base_image} command";
        let remedy =
            format!("write FROM {BASE}: which image is extended is the lifecycle's choice");
        Err(Error::at(line, text).explained(format!("begins with {base}"), remedy))
    }

    fn warn(&self, kind: Kind, warn: &mut dyn FnMut(String)) {
        for command in &self.commands {
            let keyword = command.keyword();
            if !RECOMMENDED.contains(&keyword.as_str()) {
                warn(format!(
                    "{} command {keyword} on line {} is not recommended",
                    kind.file_name(),
                    command.line
                ));
            }
        }
    }
}

/// Returns the first name that an ARG declares.
fn first_name(argument: &Instruction) -> &str {
    let first = argument.args.first().map_or("", String::as_str);
    first.split_once('=').map_or(first, |(name, _)| name)
}

impl Error {
    /// Returns an error that says all that there is to say.
    fn at(line: usize, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            problem: text.clone(),
            text,
            line,
            remedy: "correct this instruction".to_owned(),
        }
    }

    fn explained(self, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            remedy: remedy.into(),
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
