# SPDX-License-Identifier: Apache-2.0
"""Real cars, written to a database and asked by a bound parameter."""

import pandas
import sqlalchemy
from vega_datasets import data


def main(origin: str) -> "dict[str, int]":
    engine = sqlalchemy.create_engine("sqlite:////tmp/cars.db")
    cars = data.cars()
    cars.to_sql("cars", engine, index=False, if_exists="replace")
    query = sqlalchemy.text(
        "select Cylinders as cylinders, count(*) as cars from cars"
        " where Origin = :origin group by 1"
    )
    found = pandas.read_sql(query, engine, params={"origin": origin})
    return {str(row.cylinders): int(row.cars) for row in found.itertuples()}
