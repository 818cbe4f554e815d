"""The word lists of `more_values`: what a value of each kind can be."""

from __future__ import annotations

__all__ = ["MORE_LISTS", "NAME_PARTS"]

MORE_LISTS: dict[str, tuple[str, ...]] = {
    name: tuple(text.split(";"))
    for name, text in {
        "grade": "A;B+;C-;A-;D;F;1.3;2.7;4.0;pass;distinction;merit;87/100;14/20;9.5;first-class;satisfactory;good",
        "weekday": "Monday;Tuesday;Wednesday;Thursday;Friday;Saturday;Sunday;every Thursday;Saturdays and Sundays;"
        "Monday to Wednesday",
        "yes_no": "yes;no;yes, with some exceptions;no, never;yes, on request;only partly",
        "country": "Norway;Panama;Kenya;Chile;Vietnam;Portugal;Canada;Ghana;Iceland;Jordan;Malta;Nepal;Uruguay;"
        "Austria;Fiji;Oman;Latvia;Morocco;Japan;Ireland;Peru;Croatia;Tunisia;Bolivia",
        "department": "accounting;human resources;quality control;purchasing;customer support;legal affairs;field "
        "sales;research and development;facility services;internal audit;press office;data engineering;night shift;"
        "claims handling",
        "priority": "high;low;medium;urgent;critical;can wait;P1;P3;top of the list;severity 2",
        "payment": "bank transfer;credit card;cash on delivery;monthly direct debit;gift voucher;cheque;prepaid "
        "card;thirty days after invoice;in three installments;mobile wallet",
        "degree": "Bachelor of Science;Master of Arts;doctorate;diploma in nursing;trade certificate;Master of Laws;"
        "associate degree;teaching certificate;Bachelor of Music;postgraduate certificate",
        "subject": "organic chemistry;medieval history;linear algebra;criminal law;music theory;human anatomy;"
        "macroeconomics;plant physiology;machine learning;moral philosophy;comparative literature;fluid mechanics;"
        "accounting;geography",
        "exam_form": "written test;oral examination;group presentation;take-home essay;practical demonstration;"
        "multiple choice quiz;lab report;portfolio;final project;open-book test",
        "fabric": "merino wool;denim;velvet;organic cotton;satin;corduroy;tweed;polyester fleece;chiffon;jersey;"
        "cashmere;flannel;canvas",
        "pattern": "polka dots;pinstripes;houndstooth;tartan;paisley;zigzag;plain;floral print;herringbone;leopard "
        "print;checkered",
        "care": "hand wash only;machine wash at 30 degrees;dry clean only;do not iron;wash inside out;cold rinse;"
        "tumble dry low;air only",
        "closure": "zipper;snap buttons;hook and loop;laces;magnetic clasp;drawstring;buckle;wooden toggles;hooks "
        "and eyes",
        "drink": "dry cider;green tea;ginger beer;espresso;rosé wine;buttermilk;elderflower lemonade;stout;pear "
        "juice;mint tea;sake;cocoa",
        "spice": "cumin;saffron;smoked paprika;star anise;cardamom;black pepper;turmeric;cloves;fennel seed;sumac;"
        "juniper;nutmeg;thyme",
        "cuisine": "Lebanese;Thai;Peruvian;Georgian;Sicilian;Korean;Ethiopian;Basque;Cantonese;Mexican;Nordic;"
        "Creole;vegan street food",
        "cooking": "steaming;slow roasting;deep frying;grilling over charcoal;poaching;braising;baking;stir frying;"
        "smoking;pressure cooking",
        "utensil": "cast-iron pan;wok;springform tin;blender;mortar and pestle;Dutch oven;rolling pin;muffin tray;"
        "clay pot;hand mixer",
        "allergen": "peanuts;gluten;lactose;shellfish;soy;eggs;sesame;mustard;celery;tree nuts;lupin;sulphites;"
        "penicillin;latex;cat hair",
        "coding": "Rust;Kotlin;Python;Go;Haskell;TypeScript;C++;Elixir;Swift;Scala;OCaml;Julia;Lua;Ruby;Zig;Java",
        "system": "Linux;Windows 11;macOS;FreeBSD;Android 14;iOS;Ubuntu 22.04;Debian 12;Windows Server 2019;Chrome "
        "OS;Fedora",
        "format": "PDF;CSV;XML;JSON;Parquet;EPUB;SVG;YAML;plain text;Word document;WAV;PNG;ZIP archive;HTML;MP4",
        "database": "PostgreSQL;SQLite;MongoDB;Redis;MariaDB;DuckDB;Cassandra;Oracle;Elasticsearch;Neo4j;plain files",
        "browser": "Firefox 115;Chrome 108;Safari 16;Edge 101;Opera 90;any modern browser;Firefox ESR",
        "court": "district court;court of appeal;supreme court;labor tribunal;court of arbitration;family court;"
        "maritime court;constitutional court;tax court;juvenile court;commercial court",
        "verdict": "acquitted;guilty on two counts;settled out of court;dismissed;case remanded;suspended sentence;"
        "mistrial;guilty",
        "offense": "fraud;breach of contract;libel;tax evasion;patent infringement;arson;smuggling;bribery;trespass;"
        "forgery;unfair dismissal;price fixing;negligence;insider trading;theft of trade secrets",
        "body_part": "left knee;liver;heart;right shoulder;lungs;stomach;lower back;skin;kidneys;thyroid gland;"
        "inner ear;retina;ankle;jaw",
        "drug_route": "by mouth;as an injection into the muscle;under the tongue;as eye drops;on the skin;by "
        "inhaler;into a vein;as a patch",
        "specialty": "cardiology;dermatology;pediatrics;neurology;orthopedics;oncology;radiology;psychiatry;urology;"
        "ophthalmology",
        "drug_class": "antibiotic;beta blocker;antihistamine;diuretic;painkiller;antifungal;blood thinner;sedative;"
        "vaccine;statin;antacid",
        "symptom": "dizziness;dry cough;chest pain;blurred vision;fever;skin rash;numb fingers;loss of appetite;"
        "swollen ankles;fatigue",
        "treatment": "physiotherapy;bed rest;surgery;a course of antibiotics;dialysis;radiation;a plaster cast;"
        "insulin;light therapy",
        "blood_type": "A positive;0 negative;AB positive;B negative;A negative;0 positive;AB negative;B positive",
        "storage": "in the refrigerator;below 25 degrees;in a dry cupboard;frozen;away from sunlight;in the "
        "original box;upright;airtight",
        "position": "goalkeeper;left back;striker;point guard;pitcher;midfielder;fly-half;libero;winger;shortstop;"
        "center;sweeper;setter",
        "medal": "gold medal;silver medal;bronze medal;fourth place;a place in the semifinal;last place;the yellow "
        "jersey;world title",
        "surface": "clay;natural grass;artificial turf;hardwood;ice;sand;asphalt;tartan track;gravel;snow;indoor "
        "carpet",
        "platform": "PlayStation 5;Nintendo Switch;PC;Xbox;Android;arcade cabinet;Game Boy;web browser;Sega Saturn;"
        "Steam Deck;Amiga",
        "age_rating": "PG-13;12 and over;R;suitable for all;16 and over;18 and over;PG;M;6 and over;T",
        "game_mechanic": "worker placement;turn-based combat;deck building;real-time strategy;dice rolling;hidden "
        "roles;puzzle solving;tile laying;open world;side scrolling;auction;trick taking",
        "fuel": "diesel;unleaded petrol;hydrogen;electricity;natural gas;biogas;ethanol blend;kerosene;heavy fuel "
        "oil;coal;wood pellets",
        "gearbox": "six-speed manual;automatic;dual clutch;continuously variable;five-speed manual;single speed;"
        "eight-speed automatic",
        "body_style": "station wagon;convertible;hatchback;pickup;limousine;coupe;minivan;off-roader;roadster;panel "
        "van;sedan",
        "drive": "front-wheel drive;rear-wheel drive;all-wheel drive;chain drive;belt drive;tracks;two propellers;"
        "single screw",
        "connector": "USB-C;HDMI;Ethernet;DisplayPort;XLR;Lightning;SATA;Bluetooth;optical;barrel plug;micro USB;"
        "headphone jack",
        "battery": "lithium-ion;nickel metal hydride;two AA cells;lead acid;CR2032 coin cell;lithium polymer;four "
        "AAA cells;9-volt block",
        "meal_plan": "breakfast only;half board;full board;all inclusive;self catering;continental breakfast;brunch "
        "on Sundays;packed lunch",
        "room_type": "double room;suite with balcony;dormitory;single room;family room;penthouse;bunk bed;cabin "
        "with sea view;studio",
        "container": "wooden crate;40-foot container;refrigerated box;pallet;cardboard tube;steel drum;padded "
        "envelope;bulk bag;tank car",
        "incoterm": "FOB;CIF;EXW;DDP;DAP;FCA;CPT;FAS",
        "hazard": "flammable liquid;corrosive;toxic gas;explosive;none;radioactive;oxidizing;fragile;biohazard;"
        "lithium cells inside",
        "grape": "Riesling;Merlot;Pinot Noir;Syrah;Chardonnay;Tempranillo;Malbec;Grenache;Furmint;Zinfandel;Barbera;"
        "Albariño",
        "voice": "soprano;alto;tenor;baritone;bass;mezzo-soprano;countertenor;boy soprano;contralto",
        "denomination": "Methodist;Greek Orthodox;Sunni;Roman Catholic;Zen Buddhist;Lutheran;Quaker;Sikh;Reform "
        "Jewish;Coptic;Baptist",
        "saint": "Saint Brigid;Saint Florian;Saint Nicholas;Saint Hedwig;Saint Martin;Saint Lucy;Saint George;Saint "
        "Barbara;Saint Olaf",
        "style": "Baroque;Art Nouveau;Gothic;Brutalist;Romanesque;Neoclassical;Bauhaus;Moorish;Victorian;Art Deco;"
        "Half-timbered;Rococo",
        "roof": "thatch;slate;red clay tiles;flat and green;copper sheets;wooden shingles;glass dome;zinc;"
        "corrugated iron;solar panels",
        "heating": "heat pump;district heating;oil burner;tiled stove;gas boiler;underfloor heating;pellet stove;"
        "electric radiators;none",
        "direction": "north;south-west;east;facing the courtyard;north-east;west;toward the street;south;south-east;"
        "toward the lake",
        "floor": "ground floor;third floor;basement;attic;12th floor;mezzanine;second floor;level -2;top floor;"
        "fifth floor",
        "energy_class": "A;B;C;D;E;F;G;A+;A++;A+++",
        "soil": "sandy loam;heavy clay;peat;chalk;volcanic ash;black earth;gravel;silt;acidic humus;lime-rich loam",
        "fertilizer": "compost;horse manure;bone meal;ammonium nitrate;seaweed extract;wood ash;potash;liquid "
        "nettle feed;guano",
        "pest": "aphids;slugs;powdery mildew;spider mites;codling moth;root rot;leaf rust;wireworms;whitefly;potato "
        "beetle;thrips",
        "exposure": "full sun;partial shade;deep shade;morning sun;filtered light;bright window;any light;afternoon "
        "shade",
        "crop": "winter wheat;barley;sugar beet;sunflowers;lentils;hops;maize;flax;soybeans;rye;potatoes;canola;"
        "sorghum;chickpeas",
        "habitat": "mangrove swamp;dry savanna;alpine meadow;coral reef;pine forest;rocky coast;peat bog;desert "
        "dune;cave;rain forest",
        "diet": "beetles and larvae;small rodents;nectar;bamboo shoots;krill;fallen fruit;carrion;algae;grass and "
        "herbs;fish;pine seeds",
        "predator": "red fox;eagle owl;leopard seal;python;stoat;orca;jackal;goshawk;crocodile;wild cat;barracuda;"
        "monitor lizard",
        "animal_group": "rodent;songbird;freshwater fish;marsupial;reptile;amphibian;ruminant;insect;mollusk;bat;"
        "wading bird;primate",
        "activity": "at night;at dawn and dusk;in daylight;around noon;all day;only after rain;in the early morning;"
        "at low tide",
        "rank": "corporal;lieutenant colonel;rear admiral;sergeant;captain;field marshal;brigadier;private;"
        "midshipman;major;commodore",
        "weapon": "longbow;musket;pike;cannon;saber;crossbow;torpedo;halberd;catapult;bayonet;howitzer;lance;mortar;"
        "war elephant",
        "outcome": "decisive victory of the defenders;stalemate;retreat of the attackers;surrender;ceasefire;narrow "
        "defeat;siege lifted",
        "hobby": "bird watching;knitting;model trains;stamp collecting;baking;salsa dancing;astrophotography;chess;"
        "gardening;karaoke;mountain hiking;pottery;crossword puzzles;beekeeping;origami;surf fishing",
        "dance": "tango;waltz;flamenco;polka;samba;tap;swing;quickstep;bolero;square dance;rumba;foxtrot",
        "zodiac": "Aries;Taurus;Gemini;Cancer;Leo;Virgo;Libra;Scorpio;Sagittarius;Capricorn;Aquarius;Pisces",
        "family": "twin sister;two older brothers;only child;a stepbrother;three sisters;a half sister;one younger "
        "brother;no siblings",
        "process": "injection molding;laser cutting;die casting;cold forging;spot welding;3D printing;milling;"
        "extrusion;hand blowing",
        "coating": "powder coat;chrome;matte varnish;Teflon;hot-dip zinc;nickel plating;linseed oil;anodized;enamel;"
        "primer only;beeswax",
        "tool": "torque wrench;Allen key;soldering iron;crosscut saw;Phillips screwdriver;rubber mallet;caliper;"
        "pipe cutter;spirit level",
        "cause": "a worn bearing;human error;lightning;a missing comma;metal fatigue;a loose cable;overheating;"
        "flooding;an expired certificate;a full disk;a software update;heavy snow;wrong labels;a power cut",
        "method": "double-blind trial;telephone survey;field observation;computer simulation;interviews;case study;"
        "controlled experiment;meta-analysis;mass spectrometry;satellite imaging;literature review",
        "epoch": "Bronze Age;the 1920s;Victorian era;distant future;Middle Ages;Cold War;Renaissance;Ice Age;the "
        "1980s;ancient Rome;Edo period",
        "camera": "35 mm film;digital IMAX;16 mm film;hand-held video;Super 8;70 mm film;a drone camera;stop motion;"
        "a mobile phone",
        "attire": "suit and tie;smart casual;white lab coat;blue overalls;no sneakers;evening gown;uniform with cap;"
        "jeans allowed;hard hat",
        "body_cover": "thick woolly fur;overlapping scales;bony plates;long spines;slimy skin;soft down;a hard "
        "shell;short bristles",
        "spot": "the car park;under the old oak;the bus stop;the fountain;the north lawn;the tennis court;the back "
        "gate;the flagpole",
        "cut": "slim fit;loose;A-line;tapered;high-waisted;oversized;straight leg;tailored;cropped;pleated;"
        "knee-long;double breasted",
        "theme_word": "forgiveness;greed;coming of age;exile;first love;revenge;solitude;friendship;war and memory;"
        "jealousy;hope;betrayal",
        "encryption": "AES-256;RSA-4096;ChaCha20;none;Ed25519;TLS 1.3;Blowfish;end-to-end;Triple DES;bcrypt hash",
        "hosting": "own data center;cloud, region west-2;a rented rack;a cupboard in the basement;university "
        "cluster;edge nodes;laptop",
        "hair": "short black curls;long red braids;bald;shoulder-length blond;gray bob;brown ponytail;white crew "
        "cut;dyed green",
        "award": "Golden Compass;Silver Feather;Jury Prize;Best Newcomer;Order of Merit;Audience Award;Crystal "
        "Globe;Lifetime Honor",
        "water_source": "a deep well;the village canal;rain barrels;a mountain stream;the fish pond;a reservoir "
        "uphill;treated waste water;an old mill race;a spring in the woods",
        "infection": "yellow fever;typhoid;tetanus;measles;rabies;hepatitis A;cholera;polio;influenza;mumps;"
        "whooping cough;meningitis",
        "secrecy": "public;internal only;confidential;strictly confidential;top secret;for the board's eyes only;"
        "red;amber;restricted;classified",
    }.items()
}

NAME_PARTS: dict[str, tuple[str, ...]] = {
    name: tuple(text.split(";"))
    for name, text in {
        "event": "Fair;Congress;Marathon;Cup;Biennale;Summit;Carnival;Regatta;Jubilee;Conference;Parade;Expo",
        "organisation": "Ltd;Holdings;& Sons;Logistics;Bank;Union;Agency;Laboratories;Group;Insurance;Foundation;"
        "Records;Partners;Council;AG;Works",
        "team": "United;Rovers;Tigers;Athletic;Sharks;Dynamos;Wanderers;Comets;Bears;Rangers;Falcons;City;Vikings",
        "street": "Street;Road;Lane;Avenue;Square;Alley;Quay;Boulevard;Hill;Court",
    }.items()
}
