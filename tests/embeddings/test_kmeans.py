from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans

from tfrec_vis.embeddings import assign_clusters, fit_centroids
from tfrec_vis.embeddings.kmeans import training_sample
from tfrec_vis.errors import InputError


def blobs(seed=0):
    rng = np.random.default_rng(seed)
    centres = 10 * rng.normal(size=(5, 8))
    label = rng.integers(0, 5, 300)
    return (centres[label] + rng.normal(size=(300, 8))).astype(np.float32), label


def test_assigns_the_nearest_centroid():
    vectors, _ = blobs()
    centroids = np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32) * 10
    assigned = assign_clusters(vectors, centroids)
    distance = ((vectors[:, None].astype(float) - centroids[None]) ** 2).sum(-1)
    np.testing.assert_array_equal(assigned, distance.argmin(axis=1))
    assert assigned.dtype == np.int32


def test_assigns_as_scikit_learn_does():
    vectors, _ = blobs()
    fitted = KMeans(25, n_init=1, random_state=0).fit(vectors[:200])
    assigned = assign_clusters(vectors, fitted.cluster_centers_)
    np.testing.assert_array_equal(assigned, fitted.predict(vectors))
    assert assign_clusters(vectors[:0], fitted.cluster_centers_).shape == (0,)
    assert assign_clusters(vectors[:1], fitted.cluster_centers_).tolist() == [assigned[0]]


def test_very_many_vectors_are_sampled():
    rows = np.arange(1, 6000, 2)
    assert training_sample(rows, 3) is rows
    chosen = training_sample(rows, 2)
    assert len(chosen) == 2048 and set(chosen) < set(rows) and (np.diff(chosen) > 0).all()
    np.testing.assert_array_equal(training_sample(rows, 2), chosen)
    assert not np.array_equal(training_sample(rows, 2, seed=1), chosen)


def test_centroids_are_the_means_of_their_clusters():
    vectors, _ = blobs()
    centroids = fit_centroids(vectors, 5)
    assert centroids.shape == (5, 8) and centroids.dtype == np.float32
    assigned = assign_clusters(vectors, centroids)
    for cluster in range(5):
        members = vectors[assigned == cluster]
        np.testing.assert_allclose(centroids[cluster], members.mean(axis=0), atol=1e-3)


def test_fits_about_as_well_as_scikit_learn():
    vectors, _ = blobs()

    def spread(centroids):
        return ((vectors[:, None] - centroids[None]) ** 2).sum(-1).min(axis=1).sum()

    oracle = KMeans(20, init="random", n_init=1, random_state=0).fit(vectors)
    assert spread(fit_centroids(vectors, 20)) < 1.2 * spread(oracle.cluster_centers_)


def test_is_decided_by_the_seed():
    vectors, _ = blobs()
    np.testing.assert_array_equal(fit_centroids(vectors, 30), fit_centroids(vectors, 30))
    assert not np.array_equal(fit_centroids(vectors, 30), fit_centroids(vectors, 30, seed=1))


def test_as_many_clusters_as_vectors():
    vectors = np.eye(6, dtype=np.float32)
    clusters = assign_clusters(vectors, fit_centroids(vectors, 6))
    assert len(set(clusters)) == 6
    with pytest.raises(InputError, match="embed.clusters: 7 clusters .* only 6 were seen"):
        fit_centroids(vectors, 7)
