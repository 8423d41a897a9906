"""What Prometheus' own parser reads from files of exposed text: JSON {file: {family: {type, help, samples: [[name, labels, value]]}}}."""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

answer = {}
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        families = text_string_to_metric_families(file.read())
        answer[path] = {
            family.name: {
                "type": family.type,
                "help": family.documentation,
                "samples": [[s.name, s.labels, str(s.value)] for s in family.samples],
            }
            for family in families
        }
json.dump(answer, sys.stdout)
