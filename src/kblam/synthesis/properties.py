"""The properties of synthetic facts: what kind of value each takes, and how people ask without naming it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["CHINESE_PROPERTIES", "JAPANESE_PROPERTIES", "PROPERTIES", "Property"]


@dataclass(frozen=True)
class Property:
    """A property, the kind of its values (a name in `values.KINDS`), and questions that avoid its name (`{e}` is the
    entity)."""

    name: str
    kind: str
    paraphrases: tuple[str, ...]
    theme: str = "anything"
    """What kind of entity has it."""


def _parse(table: str) -> tuple[Property, ...]:
    rows = (line.split("|") for line in table.strip().splitlines())
    return tuple(Property(name, kind, tuple(questions.split(";"))) for name, kind, questions in rows)


def _read(path: Path) -> tuple[Property, ...]:
    rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return tuple(Property(name, kind, tuple(questions.split(";")), theme) for name, kind, questions, theme in rows)


_GENERAL = _parse("""
description|clause|What is {e}?;Tell me about {e}.;Can you explain what {e} is?;Who or what is {e}?
purpose|clause|What is {e} for?;Why does {e} exist?;What is {e} meant to do?;What do people use {e} for?
objective|clause|What does {e} want to achieve?;What is {e} trying to reach?;Which goal does {e} follow?
capital|place|Which city governs {e}?;Where is the seat of government of {e}?;From which city is {e} ruled?
location|place|Where is {e}?;Where can I find {e}?;In which city is {e}?
birthplace|place|Where was {e} born?;Which town does {e} come from?;In which city did {e} come into the world?
headquarters|place|Where is {e} based?;In which city is the main office of {e}?;Where does {e} have its central office?
largest city|place|Where do most people of {e} live?;What is the most populous town in {e}?
founder|person|Who started {e}?;Who set up {e}?;By whom was {e} established?;Who created {e}?
director|person|Who runs {e}?;Who is in charge of {e}?;Who leads {e}?
inventor|person|Who came up with {e}?;Who thought of {e} first?;To whom do we owe {e}?
author|person|Who wrote {e}?;By whom was {e} written?;Who is the writer behind {e}?
spouse|person|Who is {e} married to?;Who did {e} marry?
teacher|person|Who taught {e}?;From whom did {e} learn?;Who gave {e} lessons?
owner|person|To whom does {e} belong?;Who possesses {e}?;Who holds {e}?
successor|person|Who came after {e}?;Who took over from {e}?
color|color|Which shade does {e} have?;How is {e} painted?;What does {e} look like in terms of hue?
material|material|What is {e} made of?;Out of what was {e} built?;Which substance was used to make {e}?
favorite animal|animal|Which creature does {e} like most?;Which beast is dearest to {e}?
national dish|food|What do people typically eat in {e}?;Which meal is {e} known for?
official language|language|What do people speak in {e}?;Which tongue is used in {e}?
currency|currency|What money is used in {e}?;With what do people pay in {e}?;How do you pay in {e}?
profession|job|What does {e} do for a living?;What is {e} by trade?;How does {e} earn money?
sport|sport|Which game does {e} play?;What does {e} do to keep fit?
instrument|instrument|What does {e} play in the orchestra?;On what does {e} make music?
climate|weather|What is it like outdoors in {e}?;What kind of sky can visitors to {e} expect?
industry|industry|In which business is {e} active?;Which sector does {e} work in?;What does {e} produce?
treated disease|disease|What does {e} help against?;Against which illness is {e} given?
license|license|Under which terms may {e} be used?;On what legal terms is {e} published?
meeting schedule|frequency|When does {e} get together?;How often does {e} convene?
birthstone|gemstone|Which jewel belongs to {e}?;Which stone is linked with {e}?
means of transport|vehicle|How does {e} travel?;What does {e} use to get around?
status|status|How are things with {e}?;In what state is {e} now?
genre|genre|What sort of work is {e}?;To which style does {e} belong?
shape|shape|What form does {e} have?;How is {e} formed?
best season|season|When should one visit {e}?;At what time of year is {e} nicest?
main component|chemical|What does {e} mostly contain?;Which substance makes up most of {e}?
founding year|year|When was {e} started?;Since when does {e} exist?;How far back does {e} go?
birth date|date|When was {e} born?;On which day did {e} come into the world?
release date|date|When did {e} come out?;When was {e} published?;On which day did {e} become available?
deadline|date|By when must {e} be finished?;When is {e} due?;Until when can one work on {e}?
serial number|code|How is {e} identified?;Which identifier does {e} carry?;Which number is stamped on {e}?
phone number|code|How can I call {e}?;Under which number do I reach {e}?
error code|code|What does the machine show when {e} fails?;Which message number does {e} give?
email address|code|Where do I write to reach {e}?;How do I contact {e} in writing?
room|code|In which office does {e} sit?;Behind which door is {e}?
version|code|Which release of {e} is current?;How new is {e}?
ingredients|list|What goes into {e}?;What do I need to make {e}?
members|list|Who or what belongs to {e}?;What does {e} consist of?
price|money|How much does {e} cost?;What do I have to pay for {e}?;How expensive is {e}?
annual budget|money|How much may {e} spend in a year?;How much money does {e} get?
population|count|How many people live in {e}?;How many inhabitants does {e} have?
number of employees|count|How many people work for {e}?;How large is the staff of {e}?
height|length|How tall is {e}?;How far up does {e} reach?
length|length|How long is {e}?;How far does {e} stretch?
weight|weight|How heavy is {e}?;What does {e} bring to the scales?
duration|duration|How much time does {e} take?;For how long does {e} go on?
area|area|How big is the surface of {e}?;How much land does {e} cover?
boiling point|temperature|When does {e} start to boil?;At what heat does {e} turn into vapor?
melting point|temperature|When does {e} become liquid?;At what heat does {e} stop being solid?
maximum speed|rate|How fast can {e} go?;What is the quickest {e} can move?
power consumption|rate|How much electricity does {e} need?;What does {e} draw from the socket?
nickname|name|What do friends call {e}?;How is {e} known among people?
partner organization|name|With whom does {e} work together?;Who cooperates with {e}?
motto|phrase|Which words does {e} live by?;What does {e} like to say about itself?
emblem|phrase|What is shown on the flag of {e}?;Which picture stands for {e}?
warranty period|duration|For how long is {e} covered by the maker?;How long may I return {e}?
side effect|disease|What can go wrong after taking {e}?;What must patients who take {e} expect?
""")

_THEMED = _read(Path(__file__).with_name("properties.tsv"))
PROPERTIES = tuple({item.name: item for item in (*_THEMED, *_GENERAL)}.values())
"""All English properties; a name in both tables keeps the general meaning."""

CHINESE_PROPERTIES = _read(Path(__file__).with_name("properties_chinese.tsv"))
JAPANESE_PROPERTIES = _read(Path(__file__).with_name("properties_japanese.tsv"))
"""The first of each asks what a thing is."""
