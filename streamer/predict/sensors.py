"""Asks one model about windows with a gyroscope, and another model about windows without.

All windows have the features of the first model. In windows without a gyroscope the features of
rotation are NaN. The second model takes only the features of acceleration.
"""

import numpy as np

from streamer.arrays import Floats
from streamer.features.feature_set import ACCELERATION, ROTATION
from streamer.model.artifact import Model
from streamer.predict.answers import Answers, Ask, make_ask
from streamer.predict.local_predictor import LocalPredictor


def ask_by_sensors(ask: Ask, without_gyroscope: Model | None) -> Ask:
    """Return a function that asks the model for the sensors of each window.

    Args:
        ask: asks about features of ``GRAVITY_FRAME``.
        without_gyroscope: a model for features of ``GRAVITY_FRAME_ACC``; None if there are no
            windows without a gyroscope.

    Returns:
        A function that takes features of ``GRAVITY_FRAME``; those of rotation may be NaN.
    """
    if without_gyroscope is None:
        return ask
    ask_without = make_ask(LocalPredictor(without_gyroscope))

    async def asked(features: Floats) -> Answers:
        without = np.isnan(features[:, ROTATION[0]])
        if not without.any():
            return await ask(features)
        rest, those = np.flatnonzero(~without), np.flatnonzero(without)
        parts = (
            (rest, await ask(features[rest])),
            (those, await ask_without(features[those][:, ACCELERATION])),
        )
        return Answers.join(len(features), parts)

    return asked
