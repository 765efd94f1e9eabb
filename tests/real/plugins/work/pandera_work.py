# SPDX-License-Identifier: Apache-2.0
"""A schema that real data holds to, and one that it breaks."""

import pandera.pandas as pandera
from vega_datasets import data


def main(limit: float) -> "list[str]":
    """The dates that a schema with that highest temperature refuses, in order."""
    weather = data.seattle_weather()
    kinds = ["drizzle", "fog", "rain", "snow", "sun"]
    schema = pandera.DataFrameSchema(
        {
            "precipitation": pandera.Column(float, pandera.Check.ge(0)),
            "weather": pandera.Column(str, pandera.Check.isin(kinds)),
        }
    )
    assert len(schema.validate(weather)) == len(weather)
    cold = pandera.DataFrameSchema({"temp_max": pandera.Column(float, pandera.Check.lt(limit))})
    try:
        cold.validate(weather, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        rows = sorted(errors.failure_cases["index"])
        return [day.strftime("%Y/%m/%d") for day in weather.loc[rows, "date"]]
    return []
