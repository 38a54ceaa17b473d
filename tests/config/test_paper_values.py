"""The values of the paper's tables, transcribed a second time, one line for a line of the paper."""

from __future__ import annotations

import pytest

from impasto.config.presets import Presets
from tiny import ROOT

ROWS = Presets(ROOT / "presets").rows
CIFAR10, CIFAR100, TIN = "cifar10", "cifar100", "tiny-imagenet"
TABLE1 = {
    CIFAR10: "1.82 2.52 3.56 5.97 9.24 13.32 18.05 23.42 29.39 36.06 43.55 52.03",
    CIFAR100: "2.09 3.32 3.27 4.53 6.65 9.55 13.06 17.20 21.98 27.46 33.82 41.12",
    TIN: "1.36 17.67 13.99 13.94 14.76 16.28 18.47 21.31 24.75 28.87 33.57 39.12",
}
TABLE2 = """
baseline           | 94.61 71.55 70.5  | 77.43 48.11 46.66 | 61.95 24.67 31.03
ta                 | 96.83 87.1 84.28  | 81.85 64.99 58.64 | 68.01 39.64 37.41
re                 | 95.87 72.86 78.37 | 80.28 48.8 52.32  | 64.56 26.38 32.09
re-n               | 95.79 85.01 81.39 | 78.96 62.42 55.94 | 63.88 27.54 33.26
ta-re-n            | 96.83 91.71 86.13 | 81.82 71.16 61.25 | 69.23 40.33 38.89
augmix             | 95.82 86.57 82.5  | 78.84 62.97 58.31 | 62.36 36.13 33.98
augmix-deepaugment | 95.4 88.72 83.81  | 76.72 63.36 57.3  | 62.07 36.29 38.06
mu-cm              | 96.57 74.61 80.29 | 82.16 53.04 58.1  | 68.26 30.32 38.17
nfm-ta             | 96.5 89.67 85.01  | 82.31 68.28 62.45 | 69.93 40.0 40.43
noisymix           | 96.65 92.35 -     | 81.23 72.36 -     | 67.83 40.85 -
ipmix              | 96.0 91.4 -       | 80.6 71.4 -       |
syn                | 95.81 72.76 74.83 | 80.26 51.09 49.95 | 73.37 33.43 39.88
ours               | 96.66 91.35 86.1  | 82.4 71.14 61.61  | 73.07 49.26 44.72
ours-re-n          | 96.45 92.41 86.5  | 81.25 72.86 62.67 | 71.8 48.36 43.34
ours-re-n-fn       | 96.52 92.28 86.68 | 81.89 73.04 62.56 | 72.43 49.24 44.68
"""
TABLE3 = """
baseline   | | 77.43 48.84 | 61.95 24.61
ta         | | 81.85 65.87 | 67.99 39.4
nst        | | 78.94 62.27 | 64.21 34.82
nst-ta     | | 82.09 70.1  | 68.1 44.41
syn        | | 80.26 51.96 | 73.37 33.74
syn-ta     | | 82.27 67.1  | 73.72 45.57
syn-nst    | | 81.25 63.69 | 73.09 39.23
syn-nst-ta | | 82.4 71.56  | 73.07 48.0
"""
TABLE4 = """
ours-re-n    | -.21 1.03 | -.48 2.23  | -1.27 -.76
ours-fn      | .08 .4    | -.33 .05   | .15 .07
ours-re-n-fn | -.14 .87  | -.3 1.47   | -.64 -.34
ours-mu-cm   | -.53 -.54 | -1.53 -2.49 | -2.74 -2.68
ours-jsd     | -.25 .23  | -.33 -.76  | .27 -2.94
"""
TABLE5 = """
resnext-baseline  | | 77.52 46.29 46.04 | 63.76 21.56 30.47
resnext-ta-re-n   | | 80.54 69.2 58.52  | 68.53 34.4 36.49
resnext-syn       | | 81.18 52.18 49.85 | 74.62 32.29 37.55
resnext-ours      | | 82.73 70.73 60.37 | 76.46 47.33 44.23
densenet-baseline | | 75.88 48.15 45.32 | 60.76 21.43 28.72
densenet-ta-re-n  | | 80.27 69.67 59.58 | 67.48 38.14 37.26
densenet-syn      | | 79.12 51.62 47.71 | 73.73 32.92 38.92
densenet-ours     | | 81.58 70.22 61.26 | 75.03 50.54 45.18
vit-baseline      | |                   | 87.86 54.63 55.97
vit-ta-re-n       | |                   | 88.48 57.68 57.59
vit-ours          | |                   | 88.46 61.99 59.39
"""
TABLE6 = """
noisymix-robustbench | 96.73 - 92.78 -         | 81.16 - 72.06 -         |
noisymix             | 96.86 93.13 92.8 -      | 81.77 73.24 72.78 -     | 67.82 42.13 41.31 -
ours-re-n            | 97.01 93.8 93.54 88.4   |                         |
ours-re-n-fn         |                         | 83.12 75.27 74.9 64.31  |
ours                 |                         |                         | 74.69 49.77 50.15 45.93
"""
TABLE7 = """
baseline | | 18 | 33
noisymix | | 38 | 89
nst-ta   | | 48 | 86
"""
FIGURE7 = "x | 96.81 91.94 | 82.6 71.55 | 71.24 47.78"
TABLES = {2: TABLE2, 3: TABLE3, 4: TABLE4, 5: TABLE5, 6: TABLE6, 7: TABLE7}


def numbers(text: str) -> list[float | None]:
    return [None if word == "-" else float(word) for word in text.split()]


def transcribed(table: int) -> dict[str, list[float | None]]:
    found = {}
    for line in TABLES[table].strip().splitlines():
        name, *cells = (cell.strip() for cell in line.split("|"))
        assert len(cells) == 3
        for dataset, cell in zip((CIFAR10, CIFAR100, TIN), cells, strict=True):
            if cell:
                found[f"table{table}-{dataset}-{name}"] = numbers(cell)
    return found


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_the_papers_values_and_no_other_row(table: int) -> None:
    rows = {name: row.paper for name, row in ROWS.items() if name.startswith(f"table{table}-")}
    assert rows == transcribed(table)


def test_distances_and_the_replay() -> None:
    assert {f"table1-{dataset}": numbers(cells) for dataset, cells in TABLE1.items()} == {
        name: row.paper for name, row in ROWS.items() if name.startswith("table1-")
    }
    cells = FIGURE7.split("|")[1:]
    assert [ROWS[f"figure7-{name}"].paper for name in (CIFAR10, CIFAR100, TIN)] == [numbers(cell) for cell in cells]
