"""A search over a model's parameters: scikit-learn uses joblib, and joblib the workers.

Needs scikit-learn.
"""

from __future__ import annotations

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV

from nbtasks import App

app = App("scikit-learn")


def main() -> None:
    """Try each pair of parameters on three parts of the data, and say which did best."""
    app.start_workers(2)
    pixels, digits = load_digits(return_X_y=True)
    search = GridSearchCV(
        RandomForestClassifier(n_estimators=40, random_state=0),
        {"max_depth": [4, 8, None], "min_samples_leaf": [1, 4]},
        cv=3,
    )
    # n_jobs is left to the block: all slots of the workers.
    with app.joblib():
        search.fit(pixels, digits)
    print(
        f"best of {len(search.cv_results_['params'])}: {search.best_params_}, right {search.best_score_:.0%}"
    )


if __name__ == "__main__":
    main()
