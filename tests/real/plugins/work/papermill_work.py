# SPDX-License-Identifier: Apache-2.0
"""A notebook with parameters, run by a kernel of the image and rendered with its outputs."""

import nbconvert
import nbformat
import papermill


def main(power: int) -> str:
    cells = [
        nbformat.v4.new_code_cell("power = 1", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("import sys; print('six to the', power, '=', 6**power)"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.language_info = {"name": "python"}
    nbformat.write(notebook, "/tmp/in.ipynb")
    papermill.execute_notebook(
        "/tmp/in.ipynb", "/tmp/out.ipynb", {"power": power}, kernel_name="python3"
    )
    page, _ = nbconvert.HTMLExporter().from_filename("/tmp/out.ipynb")
    assert f"six to the {power}" in page
    outputs = nbformat.read("/tmp/out.ipynb", 4).cells[-1].outputs
    return str(outputs[0]["text"]).strip()
