import numpy as np

from bentos.contract import Columns, Floats

FEATURES = ("alcohol", "acidity", "organic", "red", "grape_known")


def matrix(columns: Columns) -> Floats:
    grape = columns["grape"]
    acidity = np.where(np.isnan(columns["acidity"]), -1.0, columns["acidity"])
    red = np.array([float(value == "red") for value in grape])
    known = np.array([float(value is not None) for value in grape])
    return np.column_stack([columns["alcohol"], acidity, columns["organic"], red, known])
