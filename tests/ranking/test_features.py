from __future__ import annotations

from itertools import combinations

import pytest

from tfrec_vis.ranking import FEATURES, parse_features


def test_all_combinations_in_order() -> None:
    assert FEATURES[0] == "none" and parse_features("none") == ()
    for count in range(1, len(FEATURES)):
        for chosen in combinations(FEATURES[1:], count):
            assert parse_features("+".join(chosen)) == chosen


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sim_scores", "unknown feature 'sim_scores'; did you mean 'sim_score'\\? expected none, "),
        ("vector+clusterid", "unknown feature 'clusterid'; did you mean 'cluster_id'\\?"),
        ("pixels", "unknown feature 'pixels'; expected none, vector, "),
        ("", "unknown feature ''; expected none"),
        ("vector+", "unknown feature ''; expected none"),
        ("none+vector", "in order, 'vector', got 'none\\+vector'"),
        ("cluster_id+sim_score", "in order, 'sim_score\\+cluster_id', got 'cluster_id\\+sim_sc"),
        ("vector+vector", "once each and in order, 'vector', got"),
    ],
)
def test_other_names_are_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_features(name)
