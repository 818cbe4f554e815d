"""More kinds of values: percentages, clock times, addresses, scores, sizes, short symbols, organisations, titles and word lists."""

from __future__ import annotations

import random
from collections.abc import Callable

from kblam.synthesis.values import LETTERS, MONTHS, person, phrase, pseudo_word
from kblam.synthesis.words import NOUNS, PLACES

__all__ = ["MORE_KINDS"]

Draw = random.Random
Maker = Callable[[Draw], str]

WORDS: dict[str, tuple[str, ...]] = {
    name: tuple(text.split(";"))
    for name, text in {
        "weekday": "Monday;Tuesday;Wednesday;Thursday;Friday;Saturday;Sunday;every Thursday;Saturdays and Sundays;Monday to Wednesday",
        "yes_no": "yes;no;yes, with some exceptions;no, never;yes, on request;only partly",
        "country": "Norway;Panama;Kenya;Chile;Vietnam;Portugal;Canada;Ghana;Iceland;Jordan;Malta;Nepal;Uruguay;Austria;Fiji;Oman;"
        "Latvia;Morocco;Japan;Ireland;Peru;Croatia;Tunisia;Bolivia",
        "department": "accounting;human resources;quality control;purchasing;customer support;legal affairs;field sales;research and "
        "development;facility services;internal audit;press office;data engineering;night shift;claims handling",
        "priority": "high;low;medium;urgent;critical;can wait;P1;P3;top of the list;severity 2",
        "payment": "bank transfer;credit card;cash on delivery;monthly direct debit;gift voucher;cheque;prepaid card;thirty days after "
        "invoice;in three installments;mobile wallet",
        "degree": "Bachelor of Science;Master of Arts;doctorate;diploma in nursing;trade certificate;Master of Laws;associate degree;"
        "teaching certificate;Bachelor of Music;postgraduate certificate",
        "subject": "organic chemistry;medieval history;linear algebra;criminal law;music theory;human anatomy;macroeconomics;plant "
        "physiology;machine learning;moral philosophy;comparative literature;fluid mechanics;accounting;geography",
        "exam_form": "written test;oral examination;group presentation;take-home essay;practical demonstration;multiple choice quiz;"
        "lab report;portfolio;final project;open-book test",
        "fabric": "merino wool;denim;velvet;organic cotton;satin;corduroy;tweed;polyester fleece;chiffon;jersey;cashmere;flannel;canvas",
        "pattern": "polka dots;pinstripes;houndstooth;tartan;paisley;zigzag;plain;floral print;herringbone;leopard print;checkered",
        "care": "hand wash only;machine wash at 30 degrees;dry clean only;do not iron;wash inside out;cold rinse;tumble dry low;air only",
        "closure": "zipper;snap buttons;hook and loop;laces;magnetic clasp;drawstring;buckle;wooden toggles;hooks and eyes",
        "drink": "dry cider;green tea;ginger beer;espresso;rosé wine;buttermilk;elderflower lemonade;stout;pear juice;mint tea;sake;cocoa",
        "spice": "cumin;saffron;smoked paprika;star anise;cardamom;black pepper;turmeric;cloves;fennel seed;sumac;juniper;nutmeg;thyme",
        "cuisine": "Lebanese;Thai;Peruvian;Georgian;Sicilian;Korean;Ethiopian;Basque;Cantonese;Mexican;Nordic;Creole;vegan street food",
        "cooking": "steaming;slow roasting;deep frying;grilling over charcoal;poaching;braising;baking;stir frying;smoking;pressure cooking",
        "utensil": "cast-iron pan;wok;springform tin;blender;mortar and pestle;Dutch oven;rolling pin;muffin tray;clay pot;hand mixer",
        "allergen": "peanuts;gluten;lactose;shellfish;soy;eggs;sesame;mustard;celery;tree nuts;lupin;sulphites;penicillin;latex;cat hair",
        "coding": "Rust;Kotlin;Python;Go;Haskell;TypeScript;C++;Elixir;Swift;Scala;OCaml;Julia;Lua;Ruby;Zig;Java",
        "system": "Linux;Windows 11;macOS;FreeBSD;Android 14;iOS;Ubuntu 22.04;Debian 12;Windows Server 2019;Chrome OS;Fedora",
        "format": "PDF;CSV;XML;JSON;Parquet;EPUB;SVG;YAML;plain text;Word document;WAV;PNG;ZIP archive;HTML;MP4",
        "database": "PostgreSQL;SQLite;MongoDB;Redis;MariaDB;DuckDB;Cassandra;Oracle;Elasticsearch;Neo4j;plain files",
        "browser": "Firefox 115;Chrome 108;Safari 16;Edge 101;Opera 90;any modern browser;Firefox ESR",
        "court": "district court;court of appeal;supreme court;labor tribunal;court of arbitration;family court;maritime court;"
        "constitutional court;tax court;juvenile court;commercial court",
        "verdict": "acquitted;guilty on two counts;settled out of court;dismissed;case remanded;suspended sentence;mistrial;guilty",
        "offense": "fraud;breach of contract;libel;tax evasion;patent infringement;arson;smuggling;bribery;trespass;forgery;"
        "unfair dismissal;price fixing;negligence;insider trading;theft of trade secrets",
        "body_part": "left knee;liver;heart;right shoulder;lungs;stomach;lower back;skin;kidneys;thyroid gland;inner ear;retina;ankle;jaw",
        "drug_route": "by mouth;as an injection into the muscle;under the tongue;as eye drops;on the skin;by inhaler;into a vein;as a patch",
        "specialty": "cardiology;dermatology;pediatrics;neurology;orthopedics;oncology;radiology;psychiatry;urology;ophthalmology",
        "drug_class": "antibiotic;beta blocker;antihistamine;diuretic;painkiller;antifungal;blood thinner;sedative;vaccine;statin;antacid",
        "symptom": "dizziness;dry cough;chest pain;blurred vision;fever;skin rash;numb fingers;loss of appetite;swollen ankles;fatigue",
        "treatment": "physiotherapy;bed rest;surgery;a course of antibiotics;dialysis;radiation;a plaster cast;insulin;light therapy",
        "blood_type": "A positive;0 negative;AB positive;B negative;A negative;0 positive;AB negative;B positive",
        "storage": "in the refrigerator;below 25 degrees;in a dry cupboard;frozen;away from sunlight;in the original box;upright;airtight",
        "position": "goalkeeper;left back;striker;point guard;pitcher;midfielder;fly-half;libero;winger;shortstop;center;sweeper;setter",
        "medal": "gold medal;silver medal;bronze medal;fourth place;a place in the semifinal;last place;the yellow jersey;world title",
        "surface": "clay;natural grass;artificial turf;hardwood;ice;sand;asphalt;tartan track;gravel;snow;indoor carpet",
        "platform": "PlayStation 5;Nintendo Switch;PC;Xbox;Android;arcade cabinet;Game Boy;web browser;Sega Saturn;Steam Deck;Amiga",
        "age_rating": "PG-13;12 and over;R;suitable for all;16 and over;18 and over;PG;M;6 and over;T",
        "game_mechanic": "worker placement;turn-based combat;deck building;real-time strategy;dice rolling;hidden roles;puzzle solving;"
        "tile laying;open world;side scrolling;auction;trick taking",
        "fuel": "diesel;unleaded petrol;hydrogen;electricity;natural gas;biogas;ethanol blend;kerosene;heavy fuel oil;coal;wood pellets",
        "gearbox": "six-speed manual;automatic;dual clutch;continuously variable;five-speed manual;single speed;eight-speed automatic",
        "body_style": "station wagon;convertible;hatchback;pickup;limousine;coupe;minivan;off-roader;roadster;panel van;sedan",
        "drive": "front-wheel drive;rear-wheel drive;all-wheel drive;chain drive;belt drive;tracks;two propellers;single screw",
        "connector": "USB-C;HDMI;Ethernet;DisplayPort;XLR;Lightning;SATA;Bluetooth;optical;barrel plug;micro USB;headphone jack",
        "battery": "lithium-ion;nickel metal hydride;two AA cells;lead acid;CR2032 coin cell;lithium polymer;four AAA cells;9-volt block",
        "meal_plan": "breakfast only;half board;full board;all inclusive;self catering;continental breakfast;brunch on Sundays;packed lunch",
        "room_type": "double room;suite with balcony;dormitory;single room;family room;penthouse;bunk bed;cabin with sea view;studio",
        "container": "wooden crate;40-foot container;refrigerated box;pallet;cardboard tube;steel drum;padded envelope;bulk bag;tank car",
        "incoterm": "FOB;CIF;EXW;DDP;DAP;FCA;CPT;FAS",
        "hazard": "flammable liquid;corrosive;toxic gas;explosive;none;radioactive;oxidizing;fragile;biohazard;lithium cells inside",
        "grape": "Riesling;Merlot;Pinot Noir;Syrah;Chardonnay;Tempranillo;Malbec;Grenache;Furmint;Zinfandel;Barbera;Albariño",
        "voice": "soprano;alto;tenor;baritone;bass;mezzo-soprano;countertenor;boy soprano;contralto",
        "denomination": "Methodist;Greek Orthodox;Sunni;Roman Catholic;Zen Buddhist;Lutheran;Quaker;Sikh;Reform Jewish;Coptic;Baptist",
        "saint": "Saint Brigid;Saint Florian;Saint Nicholas;Saint Hedwig;Saint Martin;Saint Lucy;Saint George;Saint Barbara;Saint Olaf",
        "style": "Baroque;Art Nouveau;Gothic;Brutalist;Romanesque;Neoclassical;Bauhaus;Moorish;Victorian;Art Deco;Half-timbered;Rococo",
        "roof": "thatch;slate;red clay tiles;flat and green;copper sheets;wooden shingles;glass dome;zinc;corrugated iron;solar panels",
        "heating": "heat pump;district heating;oil burner;tiled stove;gas boiler;underfloor heating;pellet stove;electric radiators;none",
        "direction": "north;south-west;east;facing the courtyard;north-east;west;toward the street;south;south-east;toward the lake",
        "floor": "ground floor;third floor;basement;attic;12th floor;mezzanine;second floor;level -2;top floor;fifth floor",
        "energy_class": "A;B;C;D;E;F;G;A+;A++;A+++",
        "soil": "sandy loam;heavy clay;peat;chalk;volcanic ash;black earth;gravel;silt;acidic humus;lime-rich loam",
        "fertilizer": "compost;horse manure;bone meal;ammonium nitrate;seaweed extract;wood ash;potash;liquid nettle feed;guano",
        "pest": "aphids;slugs;powdery mildew;spider mites;codling moth;root rot;leaf rust;wireworms;whitefly;potato beetle;thrips",
        "exposure": "full sun;partial shade;deep shade;morning sun;filtered light;bright window;any light;afternoon shade",
        "crop": "winter wheat;barley;sugar beet;sunflowers;lentils;hops;maize;flax;soybeans;rye;potatoes;canola;sorghum;chickpeas",
        "habitat": "mangrove swamp;dry savanna;alpine meadow;coral reef;pine forest;rocky coast;peat bog;desert dune;cave;rain forest",
        "diet": "beetles and larvae;small rodents;nectar;bamboo shoots;krill;fallen fruit;carrion;algae;grass and herbs;fish;pine seeds",
        "predator": "red fox;eagle owl;leopard seal;python;stoat;orca;jackal;goshawk;crocodile;wild cat;barracuda;monitor lizard",
        "animal_group": "rodent;songbird;freshwater fish;marsupial;reptile;amphibian;ruminant;insect;mollusk;bat;wading bird;primate",
        "activity": "at night;at dawn and dusk;in daylight;around noon;all day;only after rain;in the early morning;at low tide",
        "rank": "corporal;lieutenant colonel;rear admiral;sergeant;captain;field marshal;brigadier;private;midshipman;major;commodore",
        "weapon": "longbow;musket;pike;cannon;saber;crossbow;torpedo;halberd;catapult;bayonet;howitzer;lance;mortar;war elephant",
        "outcome": "decisive victory of the defenders;stalemate;retreat of the attackers;surrender;ceasefire;narrow defeat;siege lifted",
        "hobby": "bird watching;knitting;model trains;stamp collecting;baking;salsa dancing;astrophotography;chess;gardening;karaoke;"
        "mountain hiking;pottery;crossword puzzles;beekeeping;origami;surf fishing",
        "dance": "tango;waltz;flamenco;polka;samba;tap;swing;quickstep;bolero;square dance;rumba;foxtrot",
        "zodiac": "Aries;Taurus;Gemini;Cancer;Leo;Virgo;Libra;Scorpio;Sagittarius;Capricorn;Aquarius;Pisces",
        "family": "twin sister;two older brothers;only child;a stepbrother;three sisters;a half sister;one younger brother;no siblings",
        "process": "injection molding;laser cutting;die casting;cold forging;spot welding;3D printing;milling;extrusion;hand blowing",
        "coating": "powder coat;chrome;matte varnish;Teflon;hot-dip zinc;nickel plating;linseed oil;anodized;enamel;primer only;beeswax",
        "tool": "torque wrench;Allen key;soldering iron;crosscut saw;Phillips screwdriver;rubber mallet;caliper;pipe cutter;spirit level",
        "cause": "a worn bearing;human error;lightning;a missing comma;metal fatigue;a loose cable;overheating;flooding;an expired "
        "certificate;a full disk;a software update;heavy snow;wrong labels;a power cut",
        "method": "double-blind trial;telephone survey;field observation;computer simulation;interviews;case study;controlled experiment;"
        "meta-analysis;mass spectrometry;satellite imaging;literature review",
        "epoch": "Bronze Age;the 1920s;Victorian era;distant future;Middle Ages;Cold War;Renaissance;Ice Age;the 1980s;ancient Rome;Edo period",
        "camera": "35 mm film;digital IMAX;16 mm film;hand-held video;Super 8;70 mm film;a drone camera;stop motion;a mobile phone",
        "attire": "suit and tie;smart casual;white lab coat;blue overalls;no sneakers;evening gown;uniform with cap;jeans allowed;hard hat",
        "cut": "slim fit;loose;A-line;tapered;high-waisted;oversized;straight leg;tailored;cropped;pleated;knee-long;double breasted",
        "theme_word": "forgiveness;greed;coming of age;exile;first love;revenge;solitude;friendship;war and memory;jealousy;hope;betrayal",
        "encryption": "AES-256;RSA-4096;ChaCha20;none;Ed25519;TLS 1.3;Blowfish;end-to-end;Triple DES;bcrypt hash",
        "hosting": "own data center;cloud, region west-2;a rented rack;a cupboard in the basement;university cluster;edge nodes;laptop",
        "hair": "short black curls;long red braids;bald;shoulder-length blond;gray bob;brown ponytail;white crew cut;dyed green",
        "award": "Golden Compass;Silver Feather;Jury Prize;Best Newcomer;Order of Merit;Audience Award;Crystal Globe;Lifetime Honor",
    }.items()
}

EVENT_WORDS = "Fair Congress Marathon Cup Biennale Summit Carnival Regatta Jubilee Conference Parade Hackathon Symposium".split()
ORGANISATION_WORDS = "Ltd;Holdings;& Sons;Logistics;Bank;Union;Agency;Laboratories;Group;Insurance;Foundation;Records;Partners;Council;AG;Works"
TEAM_WORDS = "United Rovers Tigers Athletic Sharks Dynamos Wanderers Comets Bears Rangers Falcons City Giants Vikings".split()
STREETS = "Street Road Lane Avenue Square Alley Quay Boulevard Hill Court".split()
GRADES = "A B+ C- A- D F 1.3 2.7 4.0 pass distinction merit 87/100 14/20 9.5 first-class satisfactory excellent".split()
TITLE_FORMS = ("The {} of {}", "A {} for {}", "{} and {}", "Beyond the {} {}", "Last {} in {}", "{} without {}")


def _digits(draw: Draw, count: int) -> str:
    return "".join(draw.choices("0123456789", k=count))


def _letters(draw: Draw, count: int) -> str:
    return "".join(draw.choices(LETTERS, k=count))


def _word(draw: Draw) -> str:
    return pseudo_word(draw).lower()


def number_in(low: float, high: float, form: str, places: int = 0) -> Maker:
    """A maker of numbers from `low` to `high` with `places` decimals, set into one of the `form`s (separated by `|`) at `#`."""
    forms = form.split("|")

    def make(draw: Draw) -> str:
        value = draw.uniform(low, high)
        return draw.choice(forms).replace("#", f"{value:,.{places}f}" if places else f"{round(value):,}")

    return make


def either(*makers: Maker) -> Maker:
    """A maker that draws one of the makers."""
    return lambda draw: draw.choice(makers)(draw)


def clock_time(draw: Draw) -> str:
    """A time of day, such as `17:45` or `6:30 a.m.`."""
    hour, minute = draw.randrange(24), draw.choice((0, 5, 10, 15, 20, 30, 40, 45, 50))
    return draw.choice((f"{hour:02d}:{minute:02d}", f"{hour % 12 or 12}:{minute:02d} {'a' if hour < 12 else 'p'}.m."))


def time_window(draw: Draw) -> str:
    """From one hour to a later one."""
    start = draw.randint(5, 14)
    return draw.choice(("{}:00–{}:30", "from {} to {} o'clock", "{}:30 to {}:00")).format(start, draw.randint(start + 1, 23))


def month(draw: Draw) -> str:
    """A month, or a month of a year."""
    return draw.choice(MONTHS) + draw.choice(("", "", f" {draw.randint(1990, 2032)}"))


def recent_date(draw: Draw) -> str:
    """A day between 1970 and 2035."""
    day, at, when = draw.randint(1, 28), draw.randint(1, 12), draw.randint(1970, 2035)
    name = MONTHS[at - 1]
    return draw.choice((f"{day} {name} {when}", f"{name} {day}, {when}", f"{when}-{at:02d}-{day:02d}", f"{day:02d}.{at:02d}.{when}"))


def day_of_year(draw: Draw) -> str:
    """A day without a year."""
    day, name = draw.randint(1, 28), draw.choice(MONTHS)
    return draw.choice((f"{day} {name}", f"{name} {day}"))


def ranking(draw: Draw) -> str:
    """A rank, such as `3rd` or `12th out of 40`."""
    place = draw.randint(1, 60)
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return draw.choice((f"{place}{ending}", f"{place}{ending} out of {place + draw.randint(1, 90)}", f"number {place}"))


def rating(draw: Draw) -> str:
    """A mark on a scale, such as `4.6 out of 5`."""
    top = draw.choice((5, 10))
    return draw.choice((f"{draw.uniform(1, top):.1f} out of {top}", f"{draw.uniform(1, top):.1f}/{top}", f"{draw.randint(1, 5)} stars"))


def score(draw: Draw) -> str:
    """The points of two sides."""
    return f"{draw.randint(0, 21)}{draw.choice(':-–')}{draw.randint(0, 21)}"


def pay(period: str) -> Maker:
    """A maker of sums of money for the period."""
    return lambda draw: draw.choice(("${:,} {}", "{:,} euros {}", "£{:,} {}", "{:,} francs {}")).format(draw.randint(9, 99) * 10 ** draw.randint(0, 3), period)


def email(draw: Draw) -> str:
    """An e-mail address."""
    return f"{draw.choice(('info', 'help', 'press', _word(draw), _word(draw)))}@{_word(draw)}.{draw.choice(('org', 'com', 'net', 'example'))}"


def url(draw: Draw) -> str:
    """A web address."""
    page = draw.choice(("", f"/{draw.choice(NOUNS)}", f"/{_word(draw)}/{draw.randint(1, 99)}"))
    return f"{draw.choice(('https://', 'https://www.', 'www.'))}{_word(draw)}.{draw.choice(('org', 'com', 'io', 'net'))}{page}"


def path(draw: Draw) -> str:
    """A folder or file on disk."""
    return draw.choice(("/srv/{}/{}", "/var/{}/{}.log", "~/{}/{}.conf", "C:\\{}\\{}", "/opt/{}/{}")).format(draw.choice(NOUNS), _word(draw))


def coordinates(draw: Draw) -> str:
    """Latitude and longitude."""
    return f"{draw.uniform(0, 90):.3f}° {draw.choice('NS')}, {draw.uniform(0, 180):.3f}° {draw.choice('EW')}"


def address(draw: Draw) -> str:
    """A house in a street."""
    street = f"{draw.choice(NOUNS).capitalize()} {draw.choice(STREETS)}"
    return draw.choice((f"{draw.randint(1, 240)} {street}", f"{street} {draw.randint(1, 99)}, {draw.choice(PLACES).replace('_', ' ')}"))


def room(draw: Draw) -> str:
    """A room of a building."""
    return draw.choice((f"room {_digits(draw, 3)}", f"{_letters(draw, 1)} {draw.randint(0, 9)}.{_digits(draw, 2)}", f"{pseudo_word(draw)} Hall"))


def organisation(draw: Draw) -> str:
    """A company, bank or public body."""
    return f"{pseudo_word(draw)} {draw.choice(ORGANISATION_WORDS.split(';'))}"


def team(draw: Draw) -> str:
    """A sports team."""
    return f"{draw.choice((pseudo_word(draw), draw.choice(PLACES).replace('_', ' ')))} {draw.choice(TEAM_WORDS)}"


def event(draw: Draw) -> str:
    """A fair, festival or meeting, with its year now and then."""
    return f"{pseudo_word(draw)} {draw.choice(EVENT_WORDS)}{draw.choice(('', '', f' {draw.randint(1950, 2030)}'))}"


def title(draw: Draw) -> str:
    """The title of a work."""
    words = [word.capitalize() for word in draw.sample(NOUNS, 2)]
    return draw.choice((draw.choice(TITLE_FORMS).format(*words), phrase(draw).title(), f"The {words[0]}"))


def people(draw: Draw) -> str:
    """Two or three persons."""
    return ", ".join(person(draw) for _ in range(draw.randint(2, 3)))


def law_reference(draw: Draw) -> str:
    """A place in a law or contract."""
    first, second = draw.randint(1, 320), draw.randint(1, 9)
    return draw.choice((f"Article {first}({second})", f"§ {first}", f"Section {first}.{second}", f"clause {second}", f"Rule {first}"))


def dosage(draw: Draw) -> str:
    """How much of a drug, and how often."""
    often = draw.choice(("twice a day", "once daily", "every eight hours", "before meals", "at bedtime", "once a week"))
    return f"{draw.choice((5, 10, 20, 25, 50, 75, 100, 250, 500))} {draw.choice(('mg', 'ml', 'drops', 'µg'))} {often}"


def latin_name(draw: Draw) -> str:
    """Two words that sound like a species."""
    return f"{pseudo_word(draw)}us {_word(draw)}{draw.choice(('a', 'is', 'ensis', 'um'))}"


def clothing_size(draw: Draw) -> str:
    """A size of clothes or shoes."""
    return draw.choice(("XS", "S", "M", "L", "XL", "XXL", str(draw.randint(34, 56)), f"{draw.randint(4, 13)} UK", f"W{draw.randint(26, 40)} L{draw.randint(28, 36)}"))


CODES: dict[str, Maker] = {
    "phone": either(
        lambda d: f"+{_digits(d, 2)} {_digits(d, 3)} {_digits(d, 6)}",
        lambda d: f"0{_digits(d, 3)} {_digits(d, 3)} {_digits(d, 3)}",
        lambda d: f"({_digits(d, 3)}) 555-{_digits(d, 4)}",
    ),
    "ip_address": lambda d: ".".join(str(d.randint(1, 254)) for _ in range(4)),
    "version_number": either(lambda d: f"{d.randint(0, 19)}.{d.randint(0, 30)}.{d.randint(0, 9)}", lambda d: f"v{d.randint(1, 9)}.{d.randint(0, 20)}"),
    "hash": lambda d: "".join(d.choices("0123456789abcdef", k=d.choice((7, 8, 12)))),
    "hex_color": lambda d: "#" + "".join(d.choices("0123456789ABCDEF", k=6)),
    "plate": either(lambda d: f"{_letters(d, 2)} {_digits(d, 3)} {_letters(d, 2)}", lambda d: f"{_letters(d, 3)}-{_digits(d, 3)}", lambda d: f"{_letters(d, 1)}-{_letters(d, 2)} {_digits(d, 4)}"),
    "bank_account": either(lambda d: f"{_letters(d, 2)}{_digits(d, 2)} {_digits(d, 4)} {_digits(d, 4)} {_digits(d, 4)}", lambda d: _digits(d, 10)),
    "file_number": either(lambda d: f"{_letters(d, 3)}-{d.randint(1990, 2032)}-{_digits(d, 4)}", lambda d: f"{d.randint(1, 40)} {_letters(d, 1)} {_digits(d, 4)}/{_digits(d, 2)}", lambda d: f"No. {_digits(d, 6)}"),
    "long_code": either(lambda d: _digits(d, d.randint(8, 13)), lambda d: f"{_letters(d, 2)}{_digits(d, 9)}{_letters(d, 2)}", lambda d: f"{_letters(d, 4)} {_digits(d, 6)} {_digits(d, 1)}"),
    "gate": lambda d: f"{_letters(d, 1)}{d.randint(1, 64)}",
    "seat": lambda d: f"{d.randint(1, 44)}{d.choice('ABCDEFK')}",
    "symbol": either(lambda d: _letters(d, 1), lambda d: _letters(d, 1) + d.choice("abcdehklmnrstu"), lambda d: _letters(d, 2)),
    "ticker": lambda d: _letters(d, d.choice((3, 4))),
    "three_letters": lambda d: _letters(d, 3),
    "acronym": lambda d: _letters(d, d.randint(3, 5)),
    "command": lambda d: d.choice(("{} --{}", "make {}-{}", "{} {}", "run-{} -{}")).format(_word(d), d.choice(NOUNS)),
    "thread": either(lambda d: f"M{d.randint(2, 30)} × {d.choice(('0.5', '0.75', '1.25', '1.5', '2'))}", lambda d: f"{d.randint(1, 7)}/8 inch"),
    "tire": lambda d: f"{d.randint(14, 29) * 10 + 5}/{d.randint(3, 8) * 10} R{d.randint(13, 22)}",
    "gene": lambda d: f"{_letters(d, d.randint(2, 4))}{d.randint(1, 40)}",
    "model_number": either(lambda d: f"{_letters(d, 1)}{_digits(d, 3)}", lambda d: f"{_letters(d, 2)}-{_digits(d, 2)}{_letters(d, 1)}", lambda d: f"{pseudo_word(d, 1, 2)} {d.randint(2, 900)}"),
    "hashtag": lambda d: "#" + phrase(d).title().replace(" ", ""),
    "user_name": either(lambda d: f"@{_word(d)}", lambda d: f"{_word(d)}_{d.randint(1, 99)}", lambda d: f"{d.choice(NOUNS)}{d.randint(1, 999)}"),
    "formula": either(lambda d: f"{d.choice('xyknt')} = {d.randint(2, 9)}{d.choice('abcmr')} + {d.randint(1, 30)}", lambda d: f"O({d.choice(('n', 'n²', 'log n', 'n log n', '2ⁿ'))})", lambda d: f"{d.choice('PQRSV')} = {d.choice('abc')}·{d.choice('xyz')}²"),
    "meter": lambda d: f"{d.choice((2, 3, 4, 5, 6, 7, 9, 12))}/{d.choice((4, 8))}",
    "ratio": lambda d: f"{d.randint(1, 9)}:{d.choice((1, 2, 3, 4, 5, 7, 10, 12, 25, 100, 200))}",
    "grid": lambda d: f"{d.randint(3, 24)} {d.choice(('×', 'by'))} {d.randint(3, 24)}{d.choice(('', ' squares', ' fields'))}",
    "resolution": lambda d: f"{d.choice((800, 1024, 1280, 1366, 1920, 2560, 3840))} × {d.choice((480, 600, 720, 1080, 1440, 2160))} pixels",
}

NUMBERS: dict[str, Maker] = {
    "percentage": either(number_in(0, 100, "#%|# percent"), number_in(0, 30, "#%", 1), number_in(0, 9, "#%|# per cent", 2)),
    "small_count": number_in(1, 40, "#"),
    "medium_count": number_in(20, 5000, "#|about #"),
    "age": number_in(3, 90, "#|# years|age #"),
    "work_hours": either(number_in(8, 60, "# hours"), number_in(8, 45, "# hours", 1)),
    "term": either(number_in(2, 40, "# years|# months"), number_in(1, 9, "# years", 1)),
    "short_time": either(number_in(2, 240, "# minutes"), number_in(2, 90, "# seconds|# s"), number_in(1, 12, "# hours", 1)),
    "days": number_in(2, 120, "# days|# weeks|# working days"),
    "small_length": either(number_in(1, 400, "# mm|# cm"), number_in(0, 60, "# cm|# mm|# inches", 1)),
    "distance": either(number_in(2, 5000, "# km|# miles|# m"), number_in(1, 90, "# km|# miles", 1)),
    "small_weight": either(number_in(1, 990, "# g|# grams"), number_in(0, 40, "# kg|# pounds|# oz", 1)),
    "load": number_in(10, 9000, "# kg|# tons|# pounds"),
    "heat": either(number_in(-30, 260, "# °C"), number_in(0, 480, "# °F"), number_in(30, 250, "# degrees Celsius")),
    "voltage": either(number_in(1, 440, "# V|# volts"), number_in(1, 48, "# V", 1)),
    "ampere": number_in(0, 32, "# A|# mA|# amperes", 1),
    "power": either(number_in(2, 900, "# W|# kW|# hp"), number_in(0, 40, "# kW|# MW", 1)),
    "energy": number_in(1, 900, "# kWh|# Wh|# MWh"),
    "calories": number_in(20, 1400, "# kcal|# calories"),
    "pressure": number_in(0, 60, "# bar|# psi|# kPa", 1),
    "hertz": number_in(1, 900, "# MHz|# GHz|# Hz|# kHz"),
    "speed": number_in(2, 420, "# km/h|# mph|# knots|# m/s"),
    "rotation": number_in(20, 18000, "# rpm|# revolutions per minute"),
    "torque": number_in(2, 900, "# Nm"),
    "angle": number_in(1, 180, "#°|# degrees"),
    "volume": either(number_in(2, 900, "# liters|# ml|# gallons"), number_in(0, 60, "# liters", 1)),
    "consumption": number_in(2, 30, "# l/100 km|# liters per 100 km|# kWh/100 km", 1),
    "noise": number_in(15, 130, "# dB|# decibels"),
    "data_size": number_in(1, 990, "# GB|# MB|# TB|# KB"),
    "bandwidth": number_in(1, 990, "# Mbit/s|# Gbit/s|# kbit/s"),
    "megapixels": number_in(2, 108, "# megapixels|# MP"),
    "brightness": number_in(50, 9000, "# lumens|# lm"),
    "tempo": number_in(40, 220, "# bpm|# beats per minute"),
    "yield": number_in(0, 60, "# tons per hectare|# t/ha", 1),
    "throughput": number_in(5, 9000, "# per hour|# pieces an hour|# units a day"),
    "fare": number_in(2, 900, "$#|# euros|£#"),
    "salary": either(pay("a year"), pay("per month")),
    "monthly_sum": pay("a month"),
    "hourly_sum": number_in(9, 240, "$# an hour|# euros per hour|£# an hour"),
    "nightly_sum": number_in(30, 900, "$# a night|# euros per night"),
}


def _drawn(words: tuple[str, ...]) -> Maker:
    return lambda draw: draw.choice(words)


MORE_KINDS: dict[str, Maker] = {
    **{name: _drawn(words) for name, words in WORDS.items()},
    **CODES,
    **NUMBERS,
    "grade": _drawn(tuple(GRADES)),
    "recent_year": lambda draw: str(draw.randint(1950, 2032)),
    **{
        maker.__name__: maker
        for maker in (
            clock_time, time_window, month, recent_date, day_of_year, ranking, rating, score, email, url, path, coordinates,
            address, room, organisation, team, event, title, people, law_reference, dosage, latin_name, clothing_size,
        )
    },
}  # fmt: skip
"""What a property's value can be besides `values.KINDS`, by name."""
