"""Keep facts that change: `kblam kb create|add|set|remove|import|export|list|search|history|diff|rollback|check|compact`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kblam.doors import run_door
from kblam.errors import KnowledgeError

if TYPE_CHECKING:
    from kblam.knowledge import Triple
    from kblam.knowledge.store.store import StoredKnowledge

__all__ = ["main"]

EXAMPLE = """example:
  kblam kb create facts
  kblam kb import facts knowledge.json
  kblam kb set facts Mongolia capital Ulaanbaatar
  kblam kb history facts Mongolia
  kblam ask "What is the capital of Mongolia?" --kb facts

DIR is a store, or a model directory that `kblam integrate` wrote."""
PAGE = 20
NAMED_REJECTIONS = 20


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says with a store."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], None] = options.run
    run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kblam kb",
        description="Keep facts that change in a directory: durable, with history, safe under concurrent use.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], None], what: str, example: str) -> Any:
        made = commands.add_parser(name, help=what, description=what, epilog=f"example: kblam kb {name} {example}")
        made.set_defaults(run=run)
        made.add_argument("dir", metavar="DIR", help="the store's directory")
        return made

    _add_changes(command)
    _add_files(command)
    _add_views(command)
    return parser


def _add_changes(command: Callable[..., Any]) -> None:
    create = command("create", _create, "make an empty store", "facts")
    create.add_argument("--encoder", metavar="NAME", help="what makes its vectors (all-MiniLM-L6-v2)")
    for name, run, what in (
        ("add", _add, "add a fact; one that is already there is refused"),
        ("set", _set, "add a fact, or replace its value; aliases and id stay unless given"),
    ):
        change = command(name, run, what, 'facts Mongolia capital Ulaanbaatar --alias "Mongol Uls"')
        for part in ("entity", "property", "value"):
            change.add_argument(part, metavar=part.upper())
        change.add_argument(
            "--alias", action="append", default=[], metavar="NAME", help='another name of the entity; "" for none'
        )
        change.add_argument("--id", metavar="ID", help='the fact\'s name in the place it came from; "" for none')
    remove = command("remove", _remove, "remove a fact, or all facts of an entity", "facts Mongolia capital")
    remove.add_argument("entity", metavar="ENTITY")
    remove.add_argument("property", metavar="PROPERTY", nargs="?")
    rollback = command("rollback", _rollback, "make the facts what they were in a version, as a new one", "facts 3")
    rollback.add_argument("version", metavar="VERSION", type=int)
    compact = command("compact", _compact, "give back space; with --keep, forget old versions", "facts --keep 100")
    compact.add_argument("--keep", type=int, metavar="N", help="versions that can still be read (all)")


def _add_files(command: Callable[..., Any]) -> None:
    bring = command("import", _import, "import a file, all of it or nothing", "facts knowledge.csv --dry-run")
    bring.add_argument("file", metavar="FILE", help=".json .jsonl .csv .parquet .npy, a directory, .md or .txt")
    bring.add_argument("--dry-run", action="store_true", help="only say what would be done")
    bring.add_argument("--llm", metavar="MODEL", help="the language model that finds the facts of a .md or .txt file")
    bring.add_argument("--endpoint_url", metavar="URL", help="the OpenAI-compatible server of that model")
    export = command("export", _export, "write the facts to a file", "facts knowledge.jsonl")
    export.add_argument("file", metavar="FILE", help=".json .jsonl .csv .parquet, or .npy with the vectors")
    _add_version(export)


def _add_views(command: Callable[..., Any]) -> None:
    listing = command("list", _list, "show facts", "facts --first 100 --count 20")
    _add_version(listing)
    search = command("search", _search, "show the facts in which all of the words occur", "facts capital Mongolia")
    search.add_argument("words", metavar="WORD", nargs="+")
    for view in (listing, search):
        view.add_argument(
            "--first", type=_count, default=0, metavar="N", help="how many to leave out at the beginning (0)"
        )
    history = command("history", _history, "show the versions, or all that was said of an entity", "facts Mongolia")
    history.add_argument("entity", metavar="ENTITY", nargs="?")
    history.add_argument("property", metavar="PROPERTY", nargs="?")
    for view in (listing, search, history):
        view.add_argument("--count", type=_count, default=PAGE, metavar="N", help=f"how many to show ({PAGE})")
    diff = command("diff", _diff, "show what changed between two versions", "facts 3 5")
    diff.add_argument("old", metavar="OLD", type=int)
    diff.add_argument("new", metavar="NEW", type=int, nargs="?", help="the present one unless given")
    check = command("check", _check, "read everything, and say what is wrong or contradicts itself", "facts")
    for view in (listing, search, history, diff, check):
        view.add_argument("--json", action="store_true", help="print JSON, an object a line")


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is no number of facts: give 0 or more")
    return number


def _add_version(parser: Any) -> None:
    parser.add_argument("--version", type=int, metavar="N", help="as it was in version N")


def _open(options: argparse.Namespace) -> StoredKnowledge:
    from kblam.knowledge import KnowledgeBase

    return KnowledgeBase.open(options.dir)


# -- changing ----------------------------------------------------------------------------------------------------------


def _create(options: argparse.Namespace) -> None:
    from kblam.knowledge.encoders import DEFAULT_ENCODER, load_encoder
    from kblam.knowledge.store.creation import create_store

    encoder = load_encoder(options.encoder or DEFAULT_ENCODER)
    create_store(Path(options.dir), encoder)
    print(f"an empty store for vectors of {encoder.name} -> {options.dir}")


def _fact(options: argparse.Namespace) -> Triple:
    from kblam.knowledge import Triple

    aliases = tuple(name for name in options.alias if name.strip())
    return Triple(options.entity, options.property, options.value, aliases, options.id or None)


def _add(options: argparse.Namespace) -> None:
    fact = _fact(options)
    with _open(options) as store:
        store.add(fact)
        print(f"added, version {store.version}")


def _set(options: argparse.Namespace) -> None:
    fact = _fact(options)
    with _open(options) as store:
        held = store.get(*fact.identity)
        change = store.set(fact.with_names_of(held, aliases=not options.alias, id=options.id is None))
        what = "added" if change.added else "replaced" if change.replaced else "unchanged"
        print(f"{what}, version {store.version}")


def _remove(options: argparse.Namespace) -> None:
    with _open(options) as store:
        if options.property is not None:
            identities = [(options.entity, options.property)]
        else:
            records = store.history(options.entity)
            identities = [record.triple.identity for record in records if record.ended is None]
        if not identities:
            raise KnowledgeError(f"there is nothing about {options.entity} to remove: look with `kblam kb search`")
        store.remove_many(identities)
        print(f"{_facts(len(identities))} removed, version {store.version}")


def _rollback(options: argparse.Namespace) -> None:
    with _open(options) as store:
        store.rollback(options.version)
        done = store.versions(1)[0]
        print(
            f"{done.added:,} added, {done.replaced:,} replaced, {done.removed:,} removed, version {done.version}, "
            f"which holds what version {options.version} did"
        )


def _compact(options: argparse.Namespace) -> None:
    with _open(options) as store:
        before = _size(store)
        store.compact(options.keep)
        oldest = store.versions(2**31)[-1].version
        print(f"{before / 1e6:,.1f} MB -> {_size(store) / 1e6:,.1f} MB, versions {oldest} to {store.version} are kept")


def _size(store: StoredKnowledge) -> int:
    return sum(path.stat().st_size for path in store.directory.glob("facts.sqlite3*"))


# -- files -------------------------------------------------------------------------------------------------------------


def _import(options: argparse.Namespace) -> None:
    with _open(options) as store:
        report = store.import_file(options.file, options.dry_run, options.llm, options.endpoint_url, progress=True)
        for rejection in report.rejected[:NAMED_REJECTIONS]:
            print(f"line {rejection.line}, row {rejection.row}: {rejection.reason}", file=sys.stderr)
        rejected = len(report.rejected)
        if rejected > NAMED_REJECTIONS:
            print(f"and {rejected - NAMED_REJECTIONS:,} more rows", file=sys.stderr)
        if rejected and not (report.added or report.replaced or report.unchanged):
            rows = "1 row" if rejected == 1 else f"{rejected:,} rows"
            raise KnowledgeError(f"{options.file} has {rows} that cannot be used, so nothing was imported")
        changed = f"{_facts(report.added)} added, {report.replaced:,} replaced, {report.unchanged:,} unchanged"
        left_out = f", {rejected:,} rejected" if rejected else ""
        end = "nothing is changed by a dry run" if options.dry_run else f"version {report.version}"
        print(f"{changed}{left_out}, {end}")


def _export(options: argparse.Namespace) -> None:
    with _open(options) as store:
        count = store.export_file(options.file, options.version)
    print(f"{_facts(count)} -> {options.file}")


# -- looking -----------------------------------------------------------------------------------------------------------


def _list(options: argparse.Namespace) -> None:
    with _open(options) as store:
        if options.version is None:
            facts, total = store.page(options.first, options.count), len(store)
        else:
            held = store.facts_as_of(options.version)
            facts, total = held[options.first : options.first + options.count], len(held)
        _print_facts(facts, options.json)
        if not facts and total and options.count:
            print(f"(there are {_facts(total)}, and none of them behind the first {options.first:,})", file=sys.stderr)
        elif not options.json and total > options.first + len(facts):
            print(f"({len(facts):,} of {total:,} facts: more with --first {options.first + options.count})")


def _search(options: argparse.Namespace) -> None:
    with _open(options) as store:
        facts = store.search(" ".join(options.words), options.first, options.count)
        _print_facts(facts, options.json)
        if not facts:
            more = "further " if options.first else ""
            print(f"(no {more}fact holds {' and '.join(options.words)})", file=sys.stderr)


def _history(options: argparse.Namespace) -> None:
    with _open(options) as store:
        if options.entity is None:
            for version in store.versions(options.count):
                changed = f"{version.added:,} added, {version.replaced:,} replaced, {version.removed:,} removed"
                note = f"  {version.note}" if version.note else ""
                _print(
                    vars(version),
                    f"{version.version:>6}  {version.time}  {version.action:<8}  {changed}{note}",
                    options,
                )
            return
        records = store.history(options.entity, options.property)
    if not records:
        raise KnowledgeError(f"nothing was ever said about {options.entity} here: look with `kblam kb search`")
    for record in records[-options.count :]:
        until = "now" if record.ended is None else f"{record.ended - 1}"
        row = {**_row(record.triple), "began": record.began, "ended": record.ended}
        _print(row, f"versions {record.began} to {until}: {_line(record.triple)}", options)


def _diff(options: argparse.Namespace) -> None:
    with _open(options) as store:
        difference = store.diff(options.old, options.new)
    for sign, what, facts in (("+", "added", difference.added), ("-", "removed", difference.removed)):
        for fact in facts:
            _print({"change": what, **_row(fact)}, f"{sign} {_line(fact)}", options)
    for before, after in difference.replaced:
        row = {"change": "replaced", **_row(after), "before": _row(before)}
        _print(row, f"- {_line(before)}\n+ {_line(after)}", options)


def _check(options: argparse.Namespace) -> None:
    with _open(options) as store:
        report = store.check()
    if options.json:
        conflicts = [[_row(fact) for fact in pair] for pair in report.conflicts]
        print(json.dumps({**vars(report), "conflicts": conflicts}, ensure_ascii=False))
    else:
        for problem in report.problems:
            print(f"✗ {problem}")
        for first, second in report.conflicts:
            print(f"? {_line(first)}\n  {_line(second)}")
        state = f"{len(report.problems)} problems" if report.problems else "whole"
        print(f"{_facts(report.facts)}, version {report.version}, {state}; column cache: {report.cache}")
    if report.problems:
        raise SystemExit(1)


def _print_facts(facts: Iterable[Triple], as_json: bool) -> None:
    for fact in facts:
        print(json.dumps(_row(fact), ensure_ascii=False) if as_json else _line(fact))


def _print(row: dict[str, Any], line: str, options: argparse.Namespace) -> None:
    print(json.dumps(row, ensure_ascii=False) if options.json else line)


def _row(fact: Triple) -> dict[str, Any]:
    from kblam.knowledge.files import json_row

    return json_row(fact)


def _line(fact: Triple) -> str:
    aliases = f" ({', '.join(fact.aliases)})" if fact.aliases else ""
    return f"{fact.entity}{aliases} · {fact.property}: {' '.join(fact.value.split())}"


def _facts(count: int) -> str:
    return "1 fact" if count == 1 else f"{count:,} facts"


if __name__ == "__main__":
    raise SystemExit(run_door(main))
