"""Invoke as Nanoforge speaks it: options with one meaning per letter, and help that shows what Nanoforge does."""

from __future__ import annotations

import inspect
import re
import sys
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument
from invoke.parser.context import to_flag
from invoke.program import Program
from invoke.tasks import Task
from invoke.util import helpline

from nanoforge.config.spelling import did_you_mean
from nanoforge.errors import BadInput

# Name of an option -> its letter, the same for every task; `-h` is help everywhere, so no option has it.
LETTERS: Dict[str, str] = {"config": "c", "set": "s", "dry-run": "n", "json": "j", "force": "f", "yes": "y"}
HELP = ("--help", "-h")


class Group(NamedTuple):
    """Tasks that stand together in the overview."""

    title: str
    meaning: str


START = Group("start", "the first minutes")
BUILD = Group("build", "from photos to a proven model; each step makes what it needs")
BOARD = Group("board", "the model on a Jetson: its engine, what it sees, and jetson-inference")
LOOK = Group("look", "what was built, and why something would be built anew")
CONVERT = Group("convert", "models that you have already")
MACHINES = Group("machines", "where stages run")
CARE = Group("care", "room on the disk")
DEVELOP = Group("develop", "this program itself")
GROUPS = (START, BUILD, BOARD, LOOK, CONVERT, MACHINES, CARE, DEVELOP)


class Option(Argument):
    """An option that says what it wants when it gets something else."""

    def __init__(self, **description: Any) -> None:
        super().__init__(**description)
        self.raw_value = None  # also of a list, so that one without a value is noticed

    def __repr__(self) -> str:
        return to_flag(self.names[0])

    def set_value(self, value: Any, cast: bool = True) -> None:
        """Take the text that was given.

        Raises:
            ParseError: it is not of the option's kind.
        """
        try:
            super().set_value(value, cast)
        except ValueError:
            raise ParseError(f"{self!r} {value}: expected a whole number.") from None


class DocumentedTask(Task[Any]):
    """A task of Nanoforge.

    Args:
        group: where the overview shows it.
        words: the option that words right behind the task's name are for; unlike Invoke's positional arguments, they
            may be several, or none.
    """

    def __init__(self, body: Any, group: Optional[Group] = None, words: str = "", **options: Any) -> None:
        super().__init__(body, auto_shortflags=False, **options)
        self.group = group
        self.words = words

    def get_arguments(self, ignore_unknown_help: Optional[bool] = None) -> List[Argument]:
        """The task's options and positional arguments, with the letters that they have everywhere."""
        return [_with_letter(argument) for argument in super().get_arguments(ignore_unknown_help)]


def _with_letter(argument: Argument) -> Option:
    name = argument.names[0]
    return Option(
        names=(name, LETTERS[name]) if name in LETTERS else (name,),
        kind=argument.kind,
        default=argument.default,
        help=argument.help,
        positional=argument.positional,
        optional=argument.optional,
        incrementable=argument.incrementable,
        attr_name=argument.attr_name,
    )


class CommandLine(Program):
    """Invoke on Nanoforge's tasks: an overview instead of Invoke's own options; exit code 2 for what it cannot read."""

    def run(self, argv: Optional[List[str]] = None, exit: bool = True) -> None:
        """Run the tasks that ``argv`` names; its first word is the program."""
        try:
            super().run(argv, exit)
        except SystemExit as end:
            if isinstance(end.__context__, ParseError):
                sys.exit(BadInput.exit_code)
            raise

    def parse_tasks(self) -> None:
        """Read tasks and options; help comes before everything, wherever it was asked for.

        Raises:
            Exit: help was shown.
            ParseError: a task or option is not known, or an argument is missing.
        """
        given = list(self.core.unparsed)
        asked = self.args.help.value  # True, or the word behind it
        if asked or given[:1] == ["help"] or any(word in HELP for word in given):
            first = [asked] if isinstance(asked, str) else []
            self._show_help([*first, *(word for word in given if word not in (*HELP, "help"))])
        self._check_options(given)
        self.core.unparsed = self._with_flags(given)
        try:
            super().parse_tasks()
        except ParseError as error:
            raise ParseError(self._as_sentence(str(error), error.context)) from None

    def _with_flags(self, given: List[str]) -> List[str]:
        """The words, with the option before each of those that stand right behind a task that takes them so."""
        task = self.collection.tasks.get(given[0]) if given else None
        flag = getattr(task, "words", "")
        if not flag:
            return given
        count = next((place for place, word in enumerate(given[1:]) if word.startswith("-")), len(given) - 1)
        flagged = (part for word in given[1 : 1 + count] for part in (f"--{flag}", word))
        return [given[0], *flagged, *given[1 + count :]]

    def _check_options(self, words: Sequence[str]) -> None:
        """Invoke would take an unknown option for a positional argument.

        Raises:
            ParseError: there is one where an argument is expected.
        """
        if not words[1:2] or not words[1].startswith("-"):
            return
        context = self._make_parser().contexts.get(words[0])
        if context and context.positional_args:
            option = words[1].partition("=")[0]
            if option not in context.flags:
                raise ParseError(self._unknown(option, list(context.flag_names())))

    def _show_help(self, words: Sequence[str]) -> None:
        """Show the help of the first task among the words, or the overview where there are none.

        Raises:
            Exit: always, once it is shown.
            ParseError: there is no such task.
        """
        self.parser = self._make_parser()
        tasks = [word for word in words if word in self.parser.contexts]
        if words and not tasks:
            raise ParseError(self._unknown(words[0], sorted(self.parser.contexts)))
        if tasks:
            self.print_task_help(tasks[0])
        else:
            self.print_help()
        raise Exit

    def _as_sentence(self, said: str, context: Any) -> str:
        """What Invoke says of words that it cannot read, with the way to the right ones."""
        unknown = re.match(r"No idea what '(.*)' is!$", said, flags=re.DOTALL)
        if unknown:
            options = context.flag_names() if context else ()
            return self._unknown(unknown.group(1), [*self.parser.contexts, *options])
        missing = re.match(r"'(.*)' did not receive required positional arguments: (.*)$", said)
        if missing:
            name, needed = missing.group(1), missing.group(2).replace("'", "").upper()
            return f"{name} needs {needed}: `./run help {name}` shows how."
        valueless = re.match(r"Flag (\S+) needed value", said)
        return f"{valueless.group(1)} needs a value." if valueless else said

    def _unknown(self, word: str, known: Sequence[str]) -> str:
        kind = "option" if word.startswith("-") else "task"
        return f"There is no {kind} {word}{did_you_mean(word, known) or '.'} `./run help` lists what there is."

    def print_help(self) -> None:
        """The overview: the first two commands, then every task in its group."""
        print("Nanoforge: labelled photos in (PASCAL VOC), a detector for the Jetson Nano out.\n")
        print("  ./run demo           the whole chain on pictures that it renders itself")
        print("  ./run init PHOTOS    a detector.toml for your photos; then ./run build\n")
        width = max(map(len, self.parser.contexts)) + 2
        for group in GROUPS:
            print(f"{group.title}: {group.meaning}")
            for name, task in self._tasks_of(group):
                print(f"  {name:{width}}{helpline(task)}")
            print()
        print("./run help TASK explains a task and its options; ./run --version says which Nanoforge this is.")

    def _tasks_of(self, group: Group) -> List[Tuple[str, Task[Any]]]:
        """The group's tasks in the order in which tasks.py has them."""
        tasks = self.collection.tasks.items()
        found = [(name, task) for name, task in tasks if getattr(task, "group", None) == group]
        return sorted(found, key=lambda item: item[1].body.__wrapped__.__code__.co_firstlineno)

    def print_task_help(self, name: str) -> None:
        """What a task does, with examples, and its options."""
        context, words = self.parser.contexts[name], getattr(self.collection[name], "words", "")
        places = " ".join([argument.names[0].upper() for argument in context.positional_args])
        places += f"[{words.upper()} ...]" if words else ""
        print(f"Usage: ./run {' '.join(filter(None, (name, places)))} [options]\n")
        print(inspect.getdoc(self.collection[name]))
        print()
        for argument in context.positional_args:
            print(f"  {argument.names[0].upper()}: {argument.help}")
        options = [argument for argument in context.args.values() if not argument.positional]
        if options:
            print("\nOptions:" if context.positional_args else "Options:")
            self.print_columns([(_spelled(option), option.help) for option in options])


def _spelled(option: Argument) -> str:
    """An option as one writes it, such as `-c, --config TEXT`."""
    names = ", ".join(map(to_flag, (*option.nicknames, option.names[0])))
    value = {bool: "", int: " NUMBER"}.get(option.kind, " TEXT")
    return names + value
