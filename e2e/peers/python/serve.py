"""
Runs the scripts beside it in one process, so that what they import is loaded once. A line of JSON on standard input,
[script, argument, …], is answered with a line: {"answer": what the script printed}, or {"error": why it failed}.
"""

import contextlib
import io
import json
import os
import runpy
import sys
import traceback

here = os.path.dirname(os.path.abspath(__file__))
for line in sys.stdin:
    script, *arguments = json.loads(line)
    said = io.StringIO()
    sys.argv = [script, *arguments]
    try:
        with contextlib.redirect_stdout(said):
            runpy.run_path(os.path.join(here, script), run_name="__main__")
        answer = {"answer": json.loads(said.getvalue())}
    except (Exception, SystemExit):
        answer = {"error": traceback.format_exc()}
    print(json.dumps(answer), flush=True)
