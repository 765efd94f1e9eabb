# SPDX-License-Identifier: Apache-2.0
"""A Spark session: SQL over real cars, and a Python function in its workers."""

import os

from pyspark.sql import SparkSession, functions
from vega_datasets import data


def main(origin: str) -> "dict[str, int]":
    # A container without a network has no address for its own name.
    os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "localhost"}
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    cars = spark.createDataFrame(data.cars()[["Name", "Origin", "Cylinders"]])
    cars.createOrReplaceTempView("cars")
    shout = functions.udf(lambda name: name.upper())
    found = spark.sql(f"select * from cars where Origin = '{origin}'").withColumn(
        "Name", shout("Name")
    )
    rows = found.groupBy("Cylinders").count().collect()
    assert found.first()["Name"].isupper()
    spark.stop()
    return {str(row["Cylinders"]): row["count"] for row in rows}
