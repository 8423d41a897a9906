"""
PyIceberg's files in Azure Blob Storage, by pyarrow. PyIceberg 0.12 gives pyarrow "container@account…" for the container,
and its other way, adlfs, brings the whole of Azure's SDK.
"""

from urllib.parse import urlparse

from pyarrow import fs
from pyiceberg.io.pyarrow import PyArrowFileIO


class AzureFileIO(PyArrowFileIO):
    @staticmethod
    def parse_location(location, properties={}):
        scheme, netloc, path = PyArrowFileIO.parse_location(location, properties)
        container = netloc.split("@", 1)[0]
        return scheme, netloc, container + urlparse(location).path

    def _initialize_azure_fs(self):
        of = {name.removeprefix("adls.").replace("-", "_"): value for name, value in self.properties.items() if name.startswith("adls.")}
        return fs.AzureFileSystem(**of)
