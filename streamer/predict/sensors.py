"""Asks one model about windows with a gyroscope, and another one about windows without.

The features of windows without a gyroscope are those of the first model, and the ones of rotation
among them are NaN. The second model takes the others.
"""

from dataclasses import replace

import numpy as np

from streamer.arrays import Floats
from streamer.features.feature_set import ACCELERATION, ROTATION
from streamer.model.artifact import Model
from streamer.predict.answers import Answers, Ask, make_ask
from streamer.predict.local_predictor import LocalPredictor


def ask_by_sensors(ask: Ask, without_gyroscope: Model | None) -> Ask:
    """Combine two models into one.

    Args:
        ask: asks about features of ``GRAVITY_FRAME``.
        without_gyroscope: takes features of ``GRAVITY_FRAME_ACC``; None where there is no such
            model and no such windows.

    Returns:
        Asks about features of ``GRAVITY_FRAME``, those of rotation NaN or not.
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
        return Answers(
            len(features),
            [
                replace(scored, rows=rows[scored.rows])
                for rows, answers in parts
                for scored in answers.scored
                if len(scored.rows)
            ],
            {
                int(rows[row]): words
                for rows, answers in parts
                for row, words in answers.refused.items()
            },
        )

    return asked
