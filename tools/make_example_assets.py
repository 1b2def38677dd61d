"""Makes config/exampleassets/*.csv: invented businesses at real Danish post towns, the same on every run.

Post codes, towns and coordinates are facts; every name of a business is made up from nature words. The
columns are those of a map scraper, with its habit of writing "Not Found". Run it as
`python tools/make_example_assets.py [FOLDER]`.
"""

from __future__ import annotations

import csv
import random
import sys
from pathlib import Path

SEED = 707057500
COLUMNS = ("title", "address", "longitude", "latitude", "rating", "reviews", "category", "website")
ROWS_PER_LARGE_TOWN = 2
KINDS_PER_SMALL_TOWN = 4

#: (post code, post town, latitude, longitude); the first ones are large and get sites of every kind.
LARGE_TOWNS = (
    ("7400", "Herning", 56.137, 8.976),
    ("8000", "Aarhus C", 56.157, 10.207),
    ("5000", "Odense C", 55.396, 10.388),
    ("9000", "Aalborg", 57.048, 9.919),
    ("6700", "Esbjerg", 55.470, 8.455),
    ("8900", "Randers C", 56.461, 10.036),
    ("6000", "Kolding", 55.490, 9.472),
    ("8700", "Horsens", 55.861, 9.850),
    ("7100", "Vejle", 55.709, 9.536),
    ("4000", "Roskilde", 55.642, 12.080),
    ("8600", "Silkeborg", 56.170, 9.551),
    ("2100", "København Ø", 55.705, 12.577),
    ("8800", "Viborg", 56.452, 9.402),
    ("7500", "Holstebro", 56.360, 8.616),
    ("7900", "Nykøbing Mors", 56.795, 8.860),
)
SMALL_TOWNS = (
    ("1620", "København V", 55.672, 12.558),
    ("2200", "København N", 55.694, 12.549),
    ("2300", "København S", 55.658, 12.600),
    ("2400", "København NV", 55.710, 12.530),
    ("2450", "København SV", 55.650, 12.537),
    ("2000", "Frederiksberg", 55.678, 12.524),
    ("2600", "Glostrup", 55.667, 12.402),
    ("2630", "Taastrup", 55.652, 12.300),
    ("2750", "Ballerup", 55.731, 12.363),
    ("2800", "Kongens Lyngby", 55.770, 12.503),
    ("3000", "Helsingør", 56.036, 12.605),
    ("3400", "Hillerød", 55.928, 12.301),
    ("3600", "Frederikssund", 55.839, 12.069),
    ("3700", "Rønne", 55.101, 14.712),
    ("4100", "Ringsted", 55.443, 11.790),
    ("4180", "Sorø", 55.432, 11.556),
    ("4200", "Slagelse", 55.403, 11.354),
    ("4300", "Holbæk", 55.715, 11.713),
    ("4400", "Kalundborg", 55.682, 11.093),
    ("4500", "Nykøbing Sj", 55.925, 11.671),
    ("4600", "Køge", 55.458, 12.178),
    ("4700", "Næstved", 55.230, 11.761),
    ("4760", "Vordingborg", 55.010, 11.911),
    ("4800", "Nykøbing F", 54.769, 11.877),
    ("4930", "Maribo", 54.776, 11.500),
    ("5230", "Odense M", 55.375, 10.405),
    ("5500", "Middelfart", 55.503, 9.740),
    ("5600", "Faaborg", 55.098, 10.244),
    ("5700", "Svendborg", 55.062, 10.605),
    ("5800", "Nyborg", 55.312, 10.788),
    ("6100", "Haderslev", 55.254, 9.490),
    ("6200", "Aabenraa", 55.044, 9.415),
    ("6270", "Tønder", 54.936, 8.867),
    ("6400", "Sønderborg", 54.913, 9.795),
    ("6705", "Esbjerg Ø", 55.479, 8.500),
    ("6760", "Ribe", 55.330, 8.766),
    ("6800", "Varde", 55.620, 8.481),
    ("6900", "Skjern", 55.947, 8.496),
    ("6950", "Ringkøbing", 56.092, 8.248),
    ("7000", "Fredericia", 55.568, 9.748),
    ("7190", "Billund", 55.731, 9.115),
    ("7430", "Ikast", 56.139, 9.157),
    ("7600", "Struer", 56.489, 8.590),
    ("7620", "Lemvig", 56.547, 8.308),
    ("7700", "Thisted", 56.957, 8.692),
    ("7800", "Skive", 56.564, 9.027),
    ("8200", "Aarhus N", 56.187, 10.188),
    ("8260", "Viby J", 56.127, 10.160),
    ("8400", "Ebeltoft", 56.196, 10.681),
    ("8500", "Grenaa", 56.414, 10.876),
    ("8660", "Skanderborg", 56.039, 9.927),
    ("9200", "Aalborg SV", 57.018, 9.880),
    ("9400", "Nørresundby", 57.062, 9.923),
    ("9500", "Hobro", 56.640, 9.790),
    ("9600", "Aars", 56.804, 9.514),
    ("9700", "Brønderslev", 57.270, 9.942),
    ("9800", "Hjørring", 57.464, 9.982),
    ("9850", "Hirtshals", 57.588, 9.962),
    ("9900", "Frederikshavn", 57.441, 10.534),
    ("9990", "Skagen", 57.722, 10.583),
)

KINDS = {
    "bakeries": (("{}s Bageri", "Bageriet {}", "{} Brød & Kager"), "Bakery"),
    "bars": (("{} Bar", "Café {}", "{} Vinstue"), "Bar"),
    "chargingstations": (("{} Ladestation", "Ladeparken {}", "{} Lynlader"), "EV charging station"),
    "hotels": (("Hotel {}", "{} Kro", "{} Badehotel"), "Hotel"),
    "industry": (("{} Maskinfabrik A/S", "{} Plast ApS", "{} Savværk"), "Manufacturer"),
    "restaurants": (("Restaurant {}", "{} Spisehus", "{} Grill & Køkken"), "Restaurant"),
    "schools": (("{}skolen", "{} Friskole", "{} Efterskole"), "School"),
    "swimmingpools": (("{} Svømmehal", "{}badet", "{} Friluftsbad"), "Swimming pool"),
}
TYPED_COLUMNS = (
    *("title", "address", "longitude", "latitude", "resource_type", "resource_sub_type"),
    *("p_max_kw", "p_min_kw", "e_max_kwh", "e_min_kwh"),
)
#: Kinds whose file says the type of its sites; one site at each of ten small towns.
TYPED_KINDS = {
    "batteries": (("{} Batteripark", "Batteriet {}"), "BATTERY", "Batteries"),
    "pv-plants": (("{} Solpark", "Solcelleanlæg {}"), "PV", "PV plants"),
}
TYPED_TOWNS = SMALL_TOWNS[5:15]
FIRST_PARTS = (
    *("Lærke", "Birke", "Hede", "Sø", "Fjord", "Måge", "Ege", "Klit", "Bøge", "Enge", "Strand", "Æble"),
    *("Solsikke", "Ravn", "Tårn", "Ørne", "Hassel", "Kløver", "Mose", "Vibe", "Ål", "Svane", "Pile", "Rug"),
)
LAST_PARTS = ("lund", "bakken", "toften", "holm", "krogen", "dal", "høj", "vang", "gården", "kilde")
STREETS = (
    *("Nørregade", "Søndergade", "Vestergade", "Østergade", "Algade", "Storegade", "Skolegade", "Kirkegade"),
    *("Jernbanegade", "Bredgade", "Stationsvej", "Parkvej", "Møllevej", "Ringvejen", "Åboulevarden"),
)
WORK_STREETS = ("Industrivej", "Fabriksvej", "Håndværkervej", "Energivej", "Transportvej")

Town = tuple[str, str, float, float]


def make_rows(kind: str) -> list[dict[str, str]]:
    """Return the rows of one kind's file, in the order of the towns."""
    rng = random.Random(f"{SEED}/{kind}")
    patterns, category = KINDS[kind]
    names = [first + last for first in FIRST_PARTS for last in LAST_PARTS]
    rng.shuffle(names)
    rows = []
    for town in _towns(kind):
        title = rng.choice(patterns).format(names.pop())
        rows.append(_row(title, category, town, WORK_STREETS if kind == "industry" else STREETS, rng))
    return rows


def _towns(kind: str) -> list[Town]:
    place = sorted(KINDS).index(kind)
    # half of the kinds are at each small town, in turns
    small = [town for n, town in enumerate(SMALL_TOWNS) if (n + place) % len(KINDS) < KINDS_PER_SMALL_TOWN]
    return [town for town in LARGE_TOWNS for _ in range(ROWS_PER_LARGE_TOWN)] + small


def _row(
    title: str, category: str, town: Town, streets: tuple[str, ...], rng: random.Random
) -> dict[str, str]:
    post_code, name, latitude, longitude = town
    letter = rng.choice(("", "", "", "A", "B"))
    address = f"{rng.choice(streets)} {rng.randint(1, 140)}{letter}, {post_code} {name}, Denmark"
    return {
        "title": title,
        "address": address,
        "longitude": f"{longitude + rng.uniform(-0.012, 0.012):.7f}",
        "latitude": f"{latitude + rng.uniform(-0.007, 0.007):.7f}",
        "rating": f"{rng.uniform(3, 5):.1f}" if rng.random() < 0.8 else "Not Found",
        "reviews": str(rng.randint(1, 900)),
        "category": category,
        "website": "Not Found",
    }


def make_typed_rows(kind: str) -> list[dict[str, str]]:
    """Return the rows of a file with types and capacities: batteries and PV plants."""
    rng = random.Random(f"{SEED}/{kind}")
    patterns, resource_type, sub_type = TYPED_KINDS[kind]
    names = [first + last for first in FIRST_PARTS for last in LAST_PARTS]
    rng.shuffle(names)
    rows = []
    for town in TYPED_TOWNS:
        row = _row(rng.choice(patterns).format(names.pop()), "", town, WORK_STREETS, rng)
        power = rng.choice((20, 25, 30, 50, 100, 250))
        sizes = (power, -power, 2 * power, 0) if resource_type == "BATTERY" else (0, -power, 0, 0)
        capacities = dict(zip(TYPED_COLUMNS[-4:], map(str, sizes), strict=True))
        made = {**row, "resource_type": resource_type, "resource_sub_type": sub_type, **capacities}
        rows.append({name: made[name] for name in TYPED_COLUMNS})
    return rows


def write_assets(folder: Path) -> int:
    """Write one file per kind into `folder`; gives how many rows in all."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for kind in KINDS:
        count += _write(folder, kind, COLUMNS, make_rows(kind))
    for kind in TYPED_KINDS:
        count += _write(folder, kind, TYPED_COLUMNS, make_typed_rows(kind))
    return count


def _write(folder: Path, kind: str, columns: tuple[str, ...], rows: list[dict[str, str]]) -> int:
    with (folder / f"{kind}-in-denmark.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


if __name__ == "__main__":
    target = (
        Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "config" / "exampleassets"
    )
    print(f"{target}: {write_assets(target)} rows")
