# SPDX-License-Identifier: Apache-2.0
"""A schema that real data holds to, and one that it breaks."""

import pandera.pandas as pandera
from vega_datasets import data


def main() -> int:
    weather = data.seattle_weather()
    schema = pandera.DataFrameSchema(
        {
            "precipitation": pandera.Column(float, pandera.Check.ge(0)),
            "weather": pandera.Column(str, pandera.Check.isin(sorted(set(weather.weather)))),
        }
    )
    assert len(schema.validate(weather)) == len(weather)
    cold = pandera.DataFrameSchema({"temp_max": pandera.Column(float, pandera.Check.lt(35))})
    try:
        cold.validate(weather, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        return len(errors.failure_cases)
    return 0
