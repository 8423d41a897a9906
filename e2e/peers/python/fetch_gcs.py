"""fetch_gcs.py ENDPOINT BUCKET/PATH FOLDER: copies what lies there, by pyarrow's client of Google Cloud Storage."""

import json
import os
import shutil
import sys
from urllib.parse import urlparse

from pyarrow import fs

endpoint, source, folder = sys.argv[1:]
url = urlparse(endpoint)
store = fs.GcsFileSystem(anonymous=True, scheme=url.scheme, endpoint_override=url.netloc)
files = [info for info in store.get_file_info(fs.FileSelector(source, recursive=True)) if info.is_file]
for info in files:
    to = os.path.join(folder, os.path.relpath(info.path, source))
    os.makedirs(os.path.dirname(to), exist_ok=True)
    with store.open_input_stream(info.path) as remote, open(to, "wb") as local:
        shutil.copyfileobj(remote, local)
print(json.dumps({"files": len(files)}))
