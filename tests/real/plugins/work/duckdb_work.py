# SPDX-License-Identifier: Apache-2.0
"""SQL over a file and a data frame of real weather."""

import duckdb
import pandas
from vega_datasets import data, local_data


def main() -> "dict[str, int]":
    path = local_data.seattle_weather.filepath
    frame = data.seattle_weather()
    assert isinstance(frame, pandas.DataFrame)
    query = (
        f"select weather, count(*) as days from read_csv('{path}') join frame using (date, weather)"
        " group by weather order by weather"
    )
    return dict(duckdb.sql(query).fetchall())
