# SPDX-License-Identifier: Apache-2.0
"""Fit a random forest to the iris data: hyperparameters in, metrics and the model's file out."""

from dataclasses import dataclass

import joblib
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split

from imagekit import File, task


@dataclass
class Metrics:
    accuracy: float
    f1: float
    test_rows: int


@task
def train(trees: int = 100, max_depth: int = 4, seed: int = 7) -> tuple[Metrics, File]:
    features, labels = load_iris(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        features, labels, test_size=0.3, random_state=seed, stratify=labels
    )
    model = RandomForestClassifier(n_estimators=trees, max_depth=max_depth, random_state=seed)
    model.fit(train_x, train_y)
    predicted = model.predict(test_x)
    joblib.dump(model, "model.joblib")
    metrics = Metrics(
        accuracy=float(accuracy_score(test_y, predicted)),
        f1=float(f1_score(test_y, predicted, average="macro")),
        test_rows=len(test_y),
    )
    return metrics, File("model.joblib")
